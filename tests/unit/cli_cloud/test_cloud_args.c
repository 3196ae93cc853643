/* The words of a command line. */
#include "cli/cloud/cloud_args.h"

#include "cli/cloud/cloud_command.h"
#include "tap.h"

static struct cloud_flags flags;
static struct cloud_args args;
static struct err err;

static int parse(enum api_op op, char **argv)
{
    cloud_args_fini(&args);
    err = (struct err){0};
    cloud_flags_build(&flags, &api_route_table[op], cloud_flag_set_of(&api_route_table[op]));
    return cloud_args_parse(&args, &flags, argv, &err);
}
#define PARSE(op, ...) parse(op, (char *[]){__VA_ARGS__, NULL})

static void check_body(const char *expected)
{
    json_t *v = json_loads(expected, 0, NULL);
    char *text = json_dumps(args.body, JSON_COMPACT);
    CHECK(v);
    if (!json_equal(v, args.body))
        CHECK_STR(text, expected);
    free(text);
    json_decref(v);
}

static void words_and_flags_come_in_any_order(void)
{
    /* Words are kept by their places in argv, which outlives the call. */
    char *argv[] = {(char *)"web",
                    (char *)"--flavor",
                    (char *)"small",
                    (char *)"-o=json",
                    (char *)"--label=a=b",
                    (char *)"-",
                    NULL};
    CHECK_EQ(parse(API_OP_VM_CREATE, argv), 0);
    CHECK_EQ(args.n_words, 2);
    CHECK_STR(args.words[0], "web");
    CHECK_STR(args.words[1], "-");
    CHECK_STR(args.common[CLOUD_OUTPUT], "json");
    check_body("{\"flavor\":\"small\",\"labels\":{\"a\":\"b\"}}");
}

static void a_later_value_wins_and_lists_grow(void)
{
    CHECK_EQ(PARSE(API_OP_FLAVOR_CREATE, "--vcpus=1", "--vcpus=2", "--trait=a,b", "--trait", "c",
                   "--hugepages", "--no-hugepages"),
             0);
    check_body("{\"vcpus\":2,\"traits\":[\"a\",\"b\",\"c\"],\"hugepages\":false}");
    CHECK_EQ(PARSE(API_OP_FLAVOR_CREATE, "--traits="), 0);
    check_body("{\"traits\":[]}");
}

static void objects_are_keys_with_values(void)
{
    CHECK_EQ(PARSE(API_OP_VM_CREATE, "--nic", "network=a,security-groups=x,security-groups=y",
                   "--nic=b", "--nic", "{\"port\":\"p\"}",
                   "--volume=size=1GiB,readonly,snapshot=s"),
             0);
    check_body(
        "{\"nics\":[{\"network\":\"a\",\"security_groups\":[\"x\",\"y\"]},{\"network\":\"b\"},"
        "{\"port\":\"p\"}],\"volumes\":[{\"size_gib\":1,\"readonly\":true,"
        "\"snapshot\":\"s\"}]}");
    CHECK_EQ(PARSE(API_OP_VOLUME_CREATE, "--qos", "read-iops=5", "--write-iops=6"), 0);
    check_body("{\"qos\":{\"read_iops\":5,\"write_iops\":6}}");
    CHECK_EQ(PARSE(API_OP_SECURITY_GROUP_CREATE, "--rule",
                   "direction=ingress,description=\"a, b\",port-first=1"),
             0);
    check_body(
        "{\"rules\":[{\"direction\":\"ingress\",\"description\":\"a, b\",\"port_first\":1}]}");
}

static void a_query_is_apart_from_the_body(void)
{
    CHECK_EQ(PARSE(API_OP_VM_CREATE, "--dry-run", "--flavor=x"), 0);
    check_body("{\"flavor\":\"x\"}");
    CHECK(json_is_true(json_object_get(args.query, "dry_run")));
}

static void what_stands_behind_two_dashes_is_kept(void)
{
    char *argv[] = {(char *)"web", (char *)"--", (char *)"--flag", (char *)"x", NULL};
    CHECK_EQ(parse(API_OP_VM_GET, argv), 0);
    REQUIRE(args.rest);
    CHECK_STR(args.rest[0], "--flag");
    CHECK(PARSE(API_OP_VM_GET, "web") == 0 && !args.rest);
}

static void mistakes_name_the_flag(void)
{
    static const struct {
        const char *word, *said;
    } rows[] = {{"--flavr=x", "--flavor, perhaps?"},
                {"--zzz", "there is no flag --zzz"},
                {"--flavor", "needs a value"},
                {"-o", "needs a value"},
                {"-q", "-q"},
                {"--wait=1", "takes no value"},
                {"--disk=x", "--disk"},
                {"--disk=0", "from 1GiB to 65536GiB"},
                {"--start=maybe", "true or false"},
                {"--label=x", "KEY=VALUE"},
                {"--label==x", "KEY=VALUE"},
                {"--nic=nett=x", "network, subnet"},
                {"--nic={", "no JSON"},
                {"--on-host-failure=x", "restart, stay"},
                {"--no-start=true", "takes no value"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK(PARSE(API_OP_VM_CREATE, (char *)rows[i].word) < 0);
        if (!strstr(err.msg, rows[i].said))
            CHECK_STR(err.msg, rows[i].said);
    }
}

static void too_many_words_are_refused(void)
{
    char *argv[CLOUD_ARGS_WORDS_MAX + 2] = {0};
    for (int i = 0; i <= CLOUD_ARGS_WORDS_MAX; i++)
        argv[i] = (char *)"w";
    CHECK(parse(API_OP_VM_GET, argv) < 0);
}

static void secrets_are_not_taken_from_the_command_line(void)
{
    CHECK(PARSE(API_OP_USER_CREATE, "--password=swordfish") < 0);
    CHECK(strstr(err.msg, "@FILE") && !strstr(err.msg, "swordfish"));
    CHECK(PARSE(API_OP_USER_CREATE, "--password=@/nowhere/at/all") < 0);
    CHECK(strstr(err.msg, "/nowhere/at/all"));
}

int main(void)
{
    TAP_RUN(words_and_flags_come_in_any_order);
    TAP_RUN(a_later_value_wins_and_lists_grow);
    TAP_RUN(objects_are_keys_with_values);
    TAP_RUN(a_query_is_apart_from_the_body);
    TAP_RUN(what_stands_behind_two_dashes_is_kept);
    TAP_RUN(mistakes_name_the_flag);
    TAP_RUN(too_many_words_are_refused);
    TAP_RUN(secrets_are_not_taken_from_the_command_line);
    cloud_args_fini(&args);
    return tap_done();
}
