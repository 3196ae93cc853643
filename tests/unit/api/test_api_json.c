/* JSON to structs and back: what is taken, what is refused and in which words, merge patches. */
#include "api/api_json.h"

#include <errno.h>

#include "api/gen/all.h"
#include "base/util.h"
#include "tap.h"

static struct api_arena arena;
static struct api_refusal refusal;

static int read_as(const struct api_types_object *o, const char *text, unsigned flags, void *out)
{
    void *p = NULL;
    api_problem_init(&refusal);
    int r = api_json_read(o, text, strlen(text), flags, &arena, &p, &refusal);
    memcpy(out, &p, sizeof(p));
    return r;
}

static bool told(const char *pointer, const char *part)
{
    for (unsigned i = 0; i < MIN(refusal.n_errors, (unsigned)API_PROBLEM_ERRORS_MAX); i++)
        if (!strcmp(refusal.errors[i].pointer, pointer) && strstr(refusal.errors[i].detail, part))
            return true;
    for (unsigned i = 0; i < MIN(refusal.n_errors, (unsigned)API_PROBLEM_ERRORS_MAX); i++)
        printf("# told: %s: %s\n", refusal.errors[i].pointer, refusal.errors[i].detail);
    return false;
}

static void written(const struct api_types_object *o, const void *object, unsigned flags,
                    const char *expected)
{
    struct api_buf b;
    api_buf_init(&b, 1 << 20);
    api_json_write(o, object, flags, NULL, &b);
    CHECK(!b.failed);
    CHECK_STR(b.text, expected);
    api_buf_fini(&b);
}

static const char whole_vm[] =
    "{\"name\":\"web\",\"description\":\"a \\u20ac\",\"labels\":{\"tier\":\"front\"},"
    "\"flavor\":\"small\",\"image\":\"debian-12\",\"user_data\":\"aGk=\","
    "\"nics\":[{\"network\":\"net\",\"security_groups\":[\"a\",\"b\"]},{\"port\":\"p\"}],"
    "\"start\":false,\"on_host_failure\":\"stay\"}";

static void reads_what_is_there_and_knows_what_is_not(void)
{
    struct api_vm_create *c;
    REQUIRE(!read_as(&api_types_vm_create, whole_vm, 0, &c));
    CHECK_STR(c->name.v, "web");
    CHECK_STR(c->description.v, "a \xe2\x82\xac");
    CHECK_EQ(c->labels.n, 1);
    CHECK_STR(c->labels.v[0].value, "front");
    CHECK_EQ(c->nics.n, 2);
    CHECK_STR(c->nics.v[0].security_groups.v[1], "b");
    CHECK_STR(c->nics.v[1].port.v, "p");
    CHECK_EQ(c->nics.v[1].network.is, API_ABSENT);
    CHECK_EQ(c->start.is, API_VALUE);
    CHECK(!c->start.v);
    CHECK_EQ(c->on_host_failure.v, API_VM_ON_HOST_FAILURE_STAY);
    CHECK_EQ(c->zone.is, API_ABSENT);
    written(&api_types_vm_create, c, API_JSON_SECRETS,
            "{\"name\":\"web\",\"description\":\"a \xe2\x82\xac\",\"labels\":{\"tier\":\"front\"},"
            "\"flavor\":\"small\",\"image\":\"debian-12\",\"user_data\":\"aGk=\","
            "\"nics\":[{\"network\":\"net\",\"security_groups\":[\"a\",\"b\"]},{\"port\":\"p\"}],"
            "\"start\":false,\"on_host_failure\":\"stay\"}");
}

static void secrets_are_written_only_when_asked_for(void)
{
    struct api_user_create *c;
    REQUIRE(!read_as(&api_types_user_create, "{\"name\":\"ann\",\"password\":\"correct horse\"}", 0,
                     &c));
    written(&api_types_user_create, c, 0, "{\"name\":\"ann\"}");
    written(&api_types_user_create, c, API_JSON_SECRETS,
            "{\"name\":\"ann\",\"password\":\"correct horse\"}");
}

static void a_patch_tells_absent_null_and_a_value_apart(void)
{
    struct api_vm_patch *p;
    REQUIRE(!read_as(&api_types_vm_patch, "{\"description\":null,\"autostart\":false}", 0, &p));
    CHECK_EQ(p->description.is, API_NULL);
    CHECK_EQ(p->autostart.is, API_VALUE);
    CHECK_EQ(p->labels.is, API_ABSENT);
    CHECK_EQ(p->name.is, API_ABSENT);
    written(&api_types_vm_patch, p, 0, "{\"description\":null,\"autostart\":false}");
    REQUIRE(read_as(&api_types_vm_patch, "{\"name\":null}", 0, &p) == -EINVAL);
    CHECK(told("/name", "null"));
    struct api_vm_create *c;
    REQUIRE(read_as(&api_types_vm_create, "{\"name\":null,\"flavor\":\"f\",\"zone\":null}", 0,
                    &c) == -EINVAL);
    CHECK(told("/name", "null"));
    CHECK(told("/zone", "null"));
}

static void tells_every_mistake_with_its_place_and_what_is_allowed(void)
{
    struct api_vm_create *c;
    const char *text =
        "{\"name\":\"-web\",\"disk_gib\":0,\"nics\":[{},{\"ip\":\"1.2.3\",\"mca\":1}],"
        "\"on_host_failure\":\"panic\",\"start\":\"yes\",\"labels\":{\"a/b\":7},"
        "\"status\":{},\"autostart\":1}";
    REQUIRE(read_as(&api_types_vm_create, text, 0, &c) == -EINVAL);
    CHECK(c == NULL);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_INVALID);
    CHECK(told("/name", "\"-web\": use a name"));
    CHECK(told("/disk_gib", "0: use 1 to 65536"));
    CHECK(told("/nics/1/ip", "\"1.2.3\": use an IPv4"));
    CHECK(told("/nics/1/mca", "no such field: use network, subnet"));
    CHECK(told("/on_host_failure", "\"panic\": use restart, stay"));
    CHECK(told("/start", "text: use true or false"));
    CHECK(told("/labels/a~1b", "a whole number: use text"));
    CHECK(told("/status", "the server sets it"));
    CHECK(told("/flavor", "missing"));
    CHECK(told("/autostart", "a whole number: use true or false"));
    CHECK_EQ(refusal.n_errors, 10);
    CHECK_STR(refusal.detail,
              "/name: \"-web\": use a name: letters, digits and . _ - after the first; "
              "and 9 more, see errors");
}

static void a_secret_is_not_repeated_in_a_refusal(void)
{
    struct api_vm_create *c;
    REQUIRE(read_as(&api_types_vm_create,
                    "{\"name\":\"a\",\"flavor\":\"b\",\"user_data\":\"pa$$word\"}", 0,
                    &c) == -EINVAL);
    CHECK(told("/user_data", "base64"));
    CHECK(!strstr(refusal.errors[0].detail, "word"));
}

static void bounds_are_taken_at_their_edges(void)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"{\"vcpus\":1,\"memory_mib\":64,\"name\":\"a\"}", true},
                {"{\"vcpus\":64,\"memory_mib\":4194304,\"name\":\"a\"}", true},
                {"{\"vcpus\":0,\"memory_mib\":64,\"name\":\"a\"}", false},
                {"{\"vcpus\":65,\"memory_mib\":64,\"name\":\"a\"}", false},
                {"{\"vcpus\":1.0,\"memory_mib\":64,\"name\":\"a\"}", false},
                {"{\"vcpus\":1,\"memory_mib\":9223372036854775807,\"name\":\"a\"}", false},
                {"{\"vcpus\":1,\"memory_mib\":9223372036854775808,\"name\":\"a\"}", false}};
    struct api_flavor_create *f;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(read_as(&api_types_flavor_create, rows[i].text, 0, &f) == 0, rows[i].good);
}

static void lengths_count_characters_and_not_bytes(void)
{
    char text[8192];
    struct api_vm_create *c;
    size_t n = (size_t)sprintf(text, "{\"name\":\"a\",\"flavor\":\"b\",\"description\":\"");
    for (int i = 0; i < 1023; i++, n += 3)
        memcpy(text + n, "\xe2\x82\xac", 3);
    strcpy(text + n, "\"}");
    CHECK_EQ(read_as(&api_types_vm_create, text, 0, &c), 0);
    strcpy(text + n, "x\"}");
    CHECK_EQ(read_as(&api_types_vm_create, text, 0, &c), -EINVAL);
    CHECK(told("/description", "1024 characters: use 0 to 1023"));
}

static void what_is_no_json_is_said_to_be_none(void)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"a\":}",
                                        "nul",
                                        "{} x",
                                        "{\"name\":\"\\u0000\"}",
                                        "{\"name\":\"\xff\"}",
                                        "{\"a\":1e999}"};
    struct api_vm_create *c;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CHECK_EQ(read_as(&api_types_vm_create, texts[i], 0, &c), -EINVAL);
        CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_MALFORMED);
        CHECK(strlen(refusal.detail) > 10);
    }
    static const char *const others[] = {"[]", "null", "1", "\"x\""};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        CHECK_EQ(read_as(&api_types_vm_create, others[i], 0, &c), -EINVAL);
        CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_INVALID);
        CHECK(told("", "use an object"));
    }
}

static void nothing_is_given_twice(void)
{
    struct api_vm_create *c;
    CHECK_EQ(
        read_as(&api_types_vm_create, "{\"name\":\"a\",\"flavor\":\"f\",\"name\":\"b\"}", 0, &c),
        -EINVAL);
    CHECK(told("/name", "twice"));
    CHECK_EQ(read_as(&api_types_vm_create,
                     "{\"name\":\"a\",\"flavor\":\"f\",\"labels\":{\"x\":\"1\",\"\\u0078\":\"2\"}}",
                     0, &c),
             -EINVAL);
    CHECK(told("/labels/x", "twice"));
}

static void deep_and_huge_documents_are_refused_before_they_are_parsed(void)
{
    struct api_vm_create *c;
    char deep[200];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    CHECK_EQ(read_as(&api_types_vm_create, deep, 0, &c), -EINVAL);
    CHECK(strstr(refusal.detail, "nests") != NULL);
    size_t bytes = API_JSON_MAX_BYTES + 1;
    char *huge = malloc(bytes);
    REQUIRE(huge);
    memset(huge, ' ', bytes);
    void *out;
    CHECK_EQ(api_json_read(&api_types_vm_create, huge, bytes, 0, &arena, &out, &refusal), -E2BIG);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_TOO_LARGE);
    free(huge);
}

static void lists_have_a_least_and_a_most(void)
{
    struct api_vm_batch_create *b;
    CHECK_EQ(read_as(&api_types_vm_batch_create, "{\"vms\":[]}", 0, &b), -EINVAL);
    CHECK(told("/vms", "0 of them: use 1 to 100"));
    char text[8192] = "{\"vms\":[";
    for (int i = 0; i < 101; i++)
        sprintf(text + strlen(text), "%s{\"name\":\"v%d\",\"flavor\":\"f\"}", i ? "," : "", i);
    strcat(text, "]}");
    CHECK_EQ(read_as(&api_types_vm_batch_create, text, 0, &b), -EINVAL);
    CHECK(told("/vms", "101 of them: use 1 to 100"));
}

static void an_arena_that_is_full_is_too_large_a_request(void)
{
    struct api_arena small;
    void *out;
    for (size_t limit = 0; limit < 12288; limit += 512) {
        api_arena_init(&small, limit);
        api_problem_init(&refusal);
        int r = api_json_read(&api_types_vm_create, whole_vm, strlen(whole_vm), 0, &small, &out,
                              &refusal);
        CHECK(r == 0 || (r == -ENOMEM && refusal.code == API_PROBLEM_CODE_REQUEST_TOO_LARGE));
        api_arena_fini(&small);
    }
}

static void a_client_skips_what_a_newer_server_says(void)
{
    struct api_vm_status *s;
    const char *text = "{\"state\":\"levitating\",\"aura\":{\"x\":1},\"vcpus\":2}";
    CHECK_EQ(read_as(&api_types_vm_status, text, 0, &s), -EINVAL);
    REQUIRE(!read_as(&api_types_vm_status, text, API_JSON_LENIENT, &s));
    CHECK_EQ(s->state.is, API_ABSENT);
    CHECK_EQ(s->vcpus.v, 2);
    struct api_flavor *f;
    REQUIRE(
        !read_as(&api_types_flavor, "{\"name\":\"huge!\",\"vcpus\":4096}", API_JSON_LENIENT, &f));
    CHECK_EQ(f->vcpus.v, 4096);
    CHECK_EQ(read_as(&api_types_flavor, "{\"vcpus\":\"many\"}", API_JSON_LENIENT, &f), -EINVAL);
}

static void any_json_is_kept_as_it_came(void)
{
    struct api_event *e;
    const char *text =
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
        "\"time\":\"2026-01-01T00:00:00Z\",\"data\":{\"b\":[1,2.5,null],\"a\":\"x\"}}";
    REQUIRE(!read_as(&api_types_event, text, 0, &e));
    CHECK_STR(e->data.v, "{\"b\":[1,2.5,null],\"a\":\"x\"}");
    written(&api_types_event, e, 0, text);
}

static void a_merge_patch_changes_what_it_names(void)
{
    struct api_volume *v = api_json_new(&api_types_volume, &arena);
    struct api_volume_patch *p;
    struct api_volume_create *c;
    REQUIRE(v);
    REQUIRE(
        !read_as(&api_types_volume_create,
                 "{\"name\":\"data\",\"description\":\"d\",\"labels\":{\"a\":\"1\",\"b\":\"2\"},"
                 "\"size_gib\":5,\"qos\":{\"read_iops\":100,\"write_iops\":200}}",
                 0, &c));
    REQUIRE(!api_json_merge(&api_types_volume, v, &api_types_volume_create, c, &arena));
    REQUIRE(!read_as(&api_types_volume_patch,
                     "{\"description\":null,\"labels\":{\"a\":null,\"c\":\"3\"},"
                     "\"qos\":{\"read_iops\":null,\"burst_s\":9},\"delete_protection\":true}",
                     0, &p));
    struct api_volume before = *v;
    REQUIRE(!api_json_merge(&api_types_volume, v, &api_types_volume_patch, p, &arena));
    written(&api_types_volume, v, 0,
            "{\"name\":\"data\",\"labels\":{\"b\":\"2\",\"c\":\"3\"},\"size_gib\":5,"
            "\"qos\":{\"write_iops\":200,\"burst_s\":9},\"delete_protection\":true}");
    /* What the patch went over is as it was: readers may still hold it. */
    CHECK_EQ(before.qos.v->read_iops.is, API_VALUE);
    CHECK_EQ(before.labels.n, 2);
    CHECK_STR(before.labels.v[0].value, "1");
    CHECK_EQ(c->labels.n, 2);
}

static void a_patch_that_removes_an_object_removes_all_of_it(void)
{
    struct api_volume_create *c;
    struct api_volume_patch *p;
    struct api_volume *v = api_json_new(&api_types_volume, &arena);
    REQUIRE(v && !read_as(&api_types_volume_create, "{\"name\":\"a\",\"qos\":{\"read_iops\":1}}", 0,
                          &c));
    REQUIRE(!api_json_merge(&api_types_volume, v, &api_types_volume_create, c, &arena));
    REQUIRE(!read_as(&api_types_volume_patch, "{\"qos\":null}", 0, &p));
    REQUIRE(!api_json_merge(&api_types_volume, v, &api_types_volume_patch, p, &arena));
    written(&api_types_volume, v, 0, "{\"name\":\"a\"}");
}

static void defaults_fill_only_what_is_absent(void)
{
    struct api_vm_create *c;
    REQUIRE(!read_as(
        &api_types_vm_create,
        "{\"name\":\"a\",\"flavor\":\"f\",\"autostart\":false,\"volumes\":[{\"size_gib\":1}]}", 0,
        &c));
    REQUIRE(!api_json_fill(&api_types_vm_create, c, &arena));
    CHECK(c->start.v);
    CHECK(!c->autostart.v);
    CHECK_EQ(c->on_host_failure.v, API_VM_ON_HOST_FAILURE_RESTART);
    CHECK_EQ(c->volumes.v[0].readonly.is, API_VALUE);
    CHECK_EQ(c->zone.is, API_ABSENT);
    struct api_token_create *t;
    REQUIRE(!read_as(&api_types_token_create, "{\"name\":\"a\"}", 0, &t));
    REQUIRE(!api_json_fill(&api_types_token_create, t, &arena));
    CHECK_EQ(t->scopes.n, 1);
    CHECK_EQ(t->scopes.v[0], API_TOKEN_SCOPE_ALL_WRITE);
}

static void every_default_is_allowed_by_its_own_bounds(void)
{
    for (int i = 0; i < API_TYPES_OBJECTS; i++) {
        void *object = api_json_new(api_types_objects[i], &arena);
        REQUIRE(object);
        if (api_json_fill(api_types_objects[i], object, &arena)) {
            printf("# %s\n", api_types_objects[i]->what);
            CHECK(0);
        }
    }
}

static void a_struct_is_checked_as_a_document_is(void)
{
    struct api_flavor_create f = {.name = {API_VALUE, "-x"}, .vcpus = {API_VALUE, 65}};
    struct api_pair labels[] = {{"a b", "x"}};
    f.labels = (struct api_map){API_VALUE, 1, labels};
    api_problem_init(&refusal);
    CHECK_EQ(api_json_check(&api_types_flavor_create, &f, &refusal), -EINVAL);
    CHECK(told("/name", "\"-x\""));
    CHECK(told("/vcpus", "65: use 1 to 64"));
    CHECK(told("/memory_mib", "missing"));
    CHECK(told("/labels/a b", "a key"));
}

static void some_fields_are_for_operators_only(void)
{
    struct api_vm_batch_create *b;
    REQUIRE(!read_as(&api_types_vm_batch_create,
                     "{\"vms\":[{\"name\":\"a\",\"flavor\":\"f\",\"host\":\"h1\"}]}", 0, &b));
    CHECK_EQ(api_json_check_role(&api_types_vm_batch_create, b, API_ROLE_MEMBER, &refusal), -EPERM);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_AUTH_FORBIDDEN);
    CHECK(told("/vms/0/host", "only an operator"));
    CHECK_EQ(api_json_check_role(&api_types_vm_batch_create, b, API_ROLE_OPERATOR, &refusal), 0);
    CHECK_EQ(api_json_check_role(&api_types_vm_batch_create, b, API_ROLE_ADMIN, &refusal), 0);
}

int main(void)
{
    api_arena_init(&arena, 64 << 20);
    TAP_RUN(some_fields_are_for_operators_only);
    TAP_RUN(reads_what_is_there_and_knows_what_is_not);
    TAP_RUN(secrets_are_written_only_when_asked_for);
    TAP_RUN(a_patch_tells_absent_null_and_a_value_apart);
    TAP_RUN(tells_every_mistake_with_its_place_and_what_is_allowed);
    TAP_RUN(a_secret_is_not_repeated_in_a_refusal);
    TAP_RUN(bounds_are_taken_at_their_edges);
    TAP_RUN(lengths_count_characters_and_not_bytes);
    TAP_RUN(what_is_no_json_is_said_to_be_none);
    TAP_RUN(nothing_is_given_twice);
    TAP_RUN(deep_and_huge_documents_are_refused_before_they_are_parsed);
    TAP_RUN(lists_have_a_least_and_a_most);
    TAP_RUN(an_arena_that_is_full_is_too_large_a_request);
    TAP_RUN(a_client_skips_what_a_newer_server_says);
    TAP_RUN(any_json_is_kept_as_it_came);
    TAP_RUN(a_merge_patch_changes_what_it_names);
    TAP_RUN(a_patch_that_removes_an_object_removes_all_of_it);
    TAP_RUN(defaults_fill_only_what_is_absent);
    TAP_RUN(every_default_is_allowed_by_its_own_bounds);
    TAP_RUN(a_struct_is_checked_as_a_document_is);
    api_arena_fini(&arena);
    return tap_done();
}
