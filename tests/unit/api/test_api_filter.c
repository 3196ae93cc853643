/* Filter expressions: what they mean and what is refused. */
#include "api/api_filter.h"

#include <errno.h>

#include "api/api_json.h"
#include "api/gen/all.h"
#include "base/util.h"
#include "tap.h"

static struct api_arena arena;
static struct api_refusal refusal;
static void *vm;

static void setup(void)
{
    static const char text[] =
        "{\"id\":\"0190b8e4-9a5b-7cde-8f01-23456789abcd\",\"project\":"
        "\"0190b8e4-9a5b-7cde-8f01-23456789abce\",\"name\":\"web-1\",\"description\":\"say "
        "\\\"hi\\\"\",\"labels\":{\"tier\":\"front\",\"virga.io/x\":\"1\"},\"flavor\":\"small\","
        "\"autostart\":true,\"delete_protection\":false,\"on_host_failure\":\"stay\","
        "\"live_migration\":true,\"generation\":7,\"created_at\":\"2026-03-01T10:00:00.500Z\","
        "\"updated_at\":\"2026-03-01T10:00:00Z\",\"status\":{\"state\":\"running\",\"vcpus\":4,"
        "\"addresses\":[{\"ip\":\"10.0.0.5\",\"source\":\"assigned\"},{\"ip\":\"192.0.2.9\","
        "\"source\":\"floating\"}]}}";
    struct api_refusal r;
    api_problem_init(&r);
    if (api_json_read(&api_types_vm, text, strlen(text), 0, &arena, &vm, &r))
        printf("# %s %s\n", r.errors[0].pointer, r.errors[0].detail);
}

static int parse(const char *text, const struct api_filter **f)
{
    api_problem_init(&refusal);
    *f = NULL;
    return api_filter_read(&api_types_vm, text, &arena, f, &refusal);
}

static void means(const char *text, bool expected)
{
    const struct api_filter *f;
    if (parse(text, &f)) {
        printf("# %s: %s\n", text, refusal.errors[0].detail);
        CHECK(0);
    } else if (api_filter_match(f, vm) != expected) {
        printf("# %s\n", text);
        CHECK_EQ(api_filter_match(f, vm), expected);
    }
}

static void compares_every_kind_of_field(void)
{
    means("name eq \"web-1\"", true);
    means("name ne \"web-1\"", false);
    means("name gt \"web-0\" and name lt \"web-2\"", true);
    means("status.state eq \"running\"", true);
    means("status.vcpus ge 4 and status.vcpus le 4", true);
    means("status.vcpus gt 4", false);
    means("autostart eq true", true);
    means("autostart eq false", false);
    means("generation in (1, 7, 9)", true);
    means("generation in (1, 9)", false);
    means("name has \"eb-\"", true);
    means("description eq \"say \\\"hi\\\"\"", true);
}

static void compares_times_as_times(void)
{
    means("created_at gt \"2026-03-01T10:00:00Z\"", true);
    means("created_at lt \"2026-03-01T10:00:01Z\"", true);
    means("created_at eq \"2026-03-01T10:00:00.500Z\"", true);
}

static void looks_into_labels_and_lists(void)
{
    means("labels.tier eq \"front\"", true);
    means("labels.virga.io/x eq \"1\"", true);
    means("labels.none eq \"front\"", false);
    means("labels.none eq null", true);
    means("labels.tier ne null", true);
    means("status.addresses.ip eq \"192.0.2.9\"", true);
    means("status.addresses.ip eq \"192.0.2.8\"", false);
    means("status.addresses.ip ne \"192.0.2.9\"", false);
    means("status.addresses.source in (\"guest\", \"floating\")", true);
}

static void absent_fields_are_null_and_nothing_else(void)
{
    means("zone eq null", true);
    means("zone ne null", false);
    means("zone eq \"a\"", false);
    means("zone ne \"a\"", true);
    means("zone lt \"a\"", false);
    means("status.host eq null", true);
}

static void joins_by_the_usual_precedence(void)
{
    means("name eq \"x\" or name eq \"web-1\" and autostart eq true", true);
    means("(name eq \"x\" or name eq \"web-1\") and autostart eq false", false);
    means("not name eq \"x\" and not (autostart eq false)", true);
    means("not not autostart eq true", true);
    means("  name   eq\t\"web-1\"  ", true);
}

static void says_where_and_what_is_wrong(void)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "the name of a field"},
        {"colour eq \"red\"", "Vm has no field \"colour\": use id"},
        {"status.mood eq \"red\"", "VmStatus has no field"},
        {"name.x eq \"red\"", "nothing is inside of \"name\""},
        {"name is \"red\"", "use eq, ne"},
        {"name eq red", "double quotes"},
        {"name eq \"red", "close the quotes"},
        {"name eq 7", "this field holds text"},
        {"generation eq \"7\"", "a whole number"},
        {"generation eq 7.5", "a whole number"},
        {"autostart eq 1", "true or false"},
        {"status.state eq \"flying\"", "no such word"},
        {"created_at gt \"yesterday\"", "a time in UTC"},
        {"status eq \"x\"", "an object"},
        {"zone lt null", "eq and ne only"},
        {"autostart has true", "lists and texts"},
        {"generation in 7", "in parentheses"},
        {"generation in (7", "close the parenthesis"},
        {"(name eq \"a\"", "close the parenthesis"},
        {"name eq \"a\" name eq \"b\"", "or the end"},
        {"name eq \"a\" and", "the name of a field"},
        {"user_data eq \"x\"", "no field \"user_data\""},
    };
    const struct api_filter *f;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(parse(rows[i].text, &f), -EINVAL);
        CHECK_EQ(refusal.code, API_PROBLEM_CODE_QUERY_FILTER_INVALID);
        if (!strstr(refusal.errors[0].detail, rows[i].part)) {
            printf("# %s: %s\n", rows[i].text, refusal.errors[0].detail);
            CHECK_STR(refusal.errors[0].detail, rows[i].part);
        }
    }
}

static void length_and_depth_are_bounded(void)
{
    char text[8192] = "";
    const struct api_filter *f;
    for (int i = 0; i < 100; i++)
        strcat(text, "(");
    CHECK_EQ(parse(text, &f), -EINVAL);
    CHECK(strstr(refusal.errors[0].detail, "too deep") != NULL);
    text[0] = '\0';
    for (int i = 0; i < 100; i++)
        strcat(text, "not ");
    CHECK_EQ(parse(text, &f), -EINVAL);
    strcpy(text, "generation eq 1");
    for (int i = 0; i < 200; i++)
        strcat(text, " or generation eq 1");
    CHECK_EQ(parse(text, &f), -EINVAL);
    CHECK(strstr(refusal.errors[0].detail, "too long") != NULL);
}

int main(void)
{
    api_arena_init(&arena, 16 << 20);
    setup();
    TAP_RUN(compares_every_kind_of_field);
    TAP_RUN(compares_times_as_times);
    TAP_RUN(looks_into_labels_and_lists);
    TAP_RUN(absent_fields_are_null_and_nothing_else);
    TAP_RUN(joins_by_the_usual_precedence);
    TAP_RUN(says_where_and_what_is_wrong);
    TAP_RUN(length_and_depth_are_bounded);
    api_arena_fini(&arena);
    return tap_done();
}
