/* Problems as people read them. */
#include "cli/cloud/cloud_problem.h"

#include "api/api_problem.h"
#include "tap.h"

static char *shown(const char *json, enum cloud_exit *status)
{
    static struct cloud_flags flags;
    char *out = NULL;
    size_t n;
    json_t *v = json_loads(json, 0, NULL);
    FILE *f = open_memstream(&out, &n);
    cloud_flags_build(&flags, &api_route_table[API_OP_VM_CREATE], CLOUD_FLAG_ALWAYS);
    *status = cloud_problem_show(v, "vm create", &flags, f);
    fclose(f);
    json_decref(v);
    return out;
}

static void what_why_and_what_to_do(void)
{
    enum cloud_exit status;
    char *text =
        shown("{\"title\":\"No\",\"status\":422,\"code\":\"request.invalid\",\"detail\":\"two\","
              "\"errors\":[{\"pointer\":\"/nics/0/ip\",\"detail\":\"bad\"}]}",
              &status);
    CHECK_STR(text,
              "virga vm create: No: two\n  --nic (1st) ip: bad\nwhat to do: see what it takes "
              "with --help\n");
    CHECK_EQ(status, CLOUD_EXIT_REFUSED);
    free(text);
}

static void every_code_has_a_remedy_and_a_status(void)
{
    for (unsigned i = 0; i < API_PROBLEM_CODE_N; i++) {
        char json[200];
        enum cloud_exit status;
        snprintf(json, sizeof(json), "{\"title\":\"T\",\"status\":%d,\"code\":\"%s\"}",
                 api_problem_kinds[i].status, api_problem_kinds[i].code);
        char *text = shown(json, &status);
        if (!strstr(text, "what to do: "))
            CHECK_STR(text, api_problem_kinds[i].code);
        CHECK(status != CLOUD_EXIT_DONE && status != CLOUD_EXIT_USAGE);
        free(text);
    }
}

static void what_is_missing_or_of_another_kind_does_no_harm(void)
{
    static const char *const rows[] = {
        "{}", "{\"code\":5,\"status\":\"x\",\"errors\":{},\"title\":[]}",
        "{\"code\":\"new.code\",\"status\":499,\"errors\":[5,{\"pointer\":7}]}",
        "{\"code\":\"\",\"explanation\":{\"vms\":[1,{\"hosts\":5,\"filters\":[{}]}]}}"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum cloud_exit status;
        char *text = shown(rows[i], &status);
        CHECK(status != CLOUD_EXIT_DONE);
        CHECK(!strncmp(text, "virga vm create:", 16));
        free(text);
    }
}

int main(void)
{
    TAP_RUN(what_why_and_what_to_do);
    TAP_RUN(every_code_has_a_remedy_and_a_status);
    TAP_RUN(what_is_missing_or_of_another_kind_does_no_harm);
    return tap_done();
}
