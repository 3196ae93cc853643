/* Whole requests: what a handler gets, and every way to be refused. */
#include "api/api_request.h"

#include <errno.h>

#include "api/gen/all.h"
#include "base/util.h"
#include "tap.h"

static struct api_arena arena;
static struct api_refusal refusal;
static struct api_request request;

static int ask(const char *method, const char *target, const char *type, const char *body)
{
    struct api_request_wire wire = {.method = method,
                                    .method_bytes = strlen(method),
                                    .target = target,
                                    .target_bytes = strlen(target),
                                    .content_type = type,
                                    .body = body,
                                    .body_bytes = body ? strlen(body) : 0};
    api_problem_init(&refusal);
    int r = api_request_route(&request, &wire, &refusal);
    return r ? r : api_request_read(&request, &wire, &arena, &refusal);
}

#define JSON "application/json"

static void a_handler_gets_checked_structs_with_defaults(void)
{
    REQUIRE(!ask("POST", "/v1/projects/acme/vms/web/stop?", JSON, "{\"force\":true}"));
    CHECK_EQ(request.route->op, API_OP_VM_STOP);
    CHECK_STR(request.project, "acme");
    CHECK_STR(request.match.params[0], "web");
    const struct api_vm_stop *stop = request.body;
    CHECK(stop->force.v);
    CHECK_EQ(stop->timeout_s.v, 60);
    REQUIRE(!ask("POST", "/v1/vms?dry_run=true", "Application/JSON; charset=utf-8",
                 "{\"name\":\"a\",\"flavor\":\"f\"}"));
    const struct api_vm_create_query *query = request.query;
    CHECK(query->dry_run.v);
    CHECK(!query->explain.v);
    CHECK(request.project == NULL);
}

static void a_patch_has_no_defaults(void)
{
    REQUIRE(!ask("PATCH", "/v1/vms/web", "application/merge-patch+json", "{\"description\":null}"));
    const struct api_vm_patch *patch = request.body;
    CHECK_EQ(patch->description.is, API_NULL);
    CHECK_EQ(patch->autostart.is, API_ABSENT);
    CHECK_EQ(ask("PATCH", "/v1/vms/web", JSON, "{}"), 0);
    CHECK_EQ(
        ask("POST", "/v1/vms", "application/merge-patch+json", "{\"name\":\"a\",\"flavor\":\"f\"}"),
        -EINVAL);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA);
}

static void a_body_that_may_be_left_out_is_its_defaults(void)
{
    REQUIRE(!ask("POST", "/v1/vms/web/stop", NULL, NULL));
    CHECK_EQ(((const struct api_vm_stop *)request.body)->timeout_s.v, 60);
    CHECK_EQ(ask("POST", "/v1/vms/web/start", NULL, NULL), 0);
    CHECK_EQ(ask("POST", "/v1/vms/web/start", JSON, "{}"), 0);
    CHECK(request.body == NULL);
}

static void a_list_comes_with_its_query(void)
{
    REQUIRE(!ask("GET", "/v1/vms?limit=5&filter=name+eq+%22a%22", NULL, NULL));
    CHECK_EQ(request.list.limit, 5);
    CHECK(request.list.filter != NULL);
    REQUIRE(!ask("HEAD", "/v1/vms", NULL, NULL));
    CHECK(request.head);
    CHECK_EQ(request.list.limit, 100);
}

static void every_refusal_has_its_code_and_words(void)
{
    static const struct {
        const char *method, *target, *type, *body;
        enum api_problem_code code;
        const char *part;
    } rows[] = {
        {"GET", "/v1/nothing", NULL, NULL, API_PROBLEM_CODE_ROUTE_NOT_FOUND, "/v1/nothing"},
        {"BREW", "/v1/nothing", NULL, NULL, API_PROBLEM_CODE_ROUTE_NOT_FOUND, "/v1/nothing"},
        {"BREW", "/v1/vms", NULL, NULL, API_PROBLEM_CODE_ROUTE_METHOD_NOT_ALLOWED,
         "BREW is not offered here: use GET, HEAD, POST"},
        {"DELETE", "/v1/vms", NULL, NULL, API_PROBLEM_CODE_ROUTE_METHOD_NOT_ALLOWED,
         "use GET, HEAD, POST"},
        {"GET", "/v1/vms?colour=red", NULL, NULL, API_PROBLEM_CODE_QUERY_INVALID,
         "colour: no such parameter"},
        {"GET", "/v1/vms", JSON, "{\"a\":1}", API_PROBLEM_CODE_REQUEST_MALFORMED, "takes none"},
        {"POST", "/v1/vms", JSON, NULL, API_PROBLEM_CODE_REQUEST_MALFORMED,
         "send a VmCreate as JSON"},
        {"POST", "/v1/vms", NULL, "{}", API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA,
         "Content-Type is missing: use application/json"},
        {"POST", "/v1/vms", "application/jsonx", "{}", API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA,
         "application/jsonx"},
        {"POST", "/v1/vms", JSON, "{", API_PROBLEM_CODE_REQUEST_MALFORMED, "is not JSON"},
        {"POST", "/v1/vms", JSON, "{\"name\":\"a\"}", API_PROBLEM_CODE_REQUEST_INVALID,
         "/flavor: missing"},
        {"PUT", "/v1/images/a/content", JSON, "x", API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA,
         "use application/octet-stream"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK(ask(rows[i].method, rows[i].target, rows[i].type, rows[i].body) < 0);
        CHECK_EQ(refusal.code, rows[i].code);
        if (!strstr(refusal.detail, rows[i].part))
            CHECK_STR(refusal.detail, rows[i].part);
    }
}

static int ask_for(const char *method, const char *target, const char *project, const char *key)
{
    struct api_request_wire wire = {.method = method,
                                    .method_bytes = strlen(method),
                                    .target = target,
                                    .target_bytes = strlen(target),
                                    .project = project,
                                    .idempotency_key = key};
    api_problem_init(&refusal);
    return api_request_route(&request, &wire, &refusal);
}

static void the_project_is_that_of_the_path_or_of_the_header(void)
{
    REQUIRE(!ask_for("GET", "/v1/vms", "acme", NULL));
    CHECK_STR(request.project, "acme");
    REQUIRE(!ask_for("GET", "/v1/projects/other/vms", "acme", NULL));
    CHECK_STR(request.project, "other");
    REQUIRE(!ask_for("GET", "/v1/vms", "*", NULL));
    CHECK(request.all_projects && !request.project);
    CHECK_EQ(ask_for("POST", "/v1/vms", "*", NULL), -EINVAL);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_REQUEST_HEADER_INVALID);
    CHECK_EQ(ask_for("GET", "/v1/vms", "a b", NULL), -EINVAL);
    CHECK_EQ(ask_for("GET", "/v1/flavors", "a b", NULL), 0);
    CHECK(request.project == NULL);
}

static void a_projects_quota_is_read_in_it_and_changed_from_the_cloud(void)
{
    REQUIRE(!ask_for("GET", "/v1/projects/acme/quota", NULL, NULL));
    CHECK_EQ(request.route->op, API_OP_QUOTA_GET);
    CHECK_STR(request.project, "acme");
    REQUIRE(!ask_for("PATCH", "/v1/projects/acme/quota", NULL, NULL));
    CHECK_EQ(request.route->op, API_OP_QUOTA_PATCH);
    CHECK_STR(request.match.params[0], "acme");
    CHECK(!(request.route->flags & API_ROUTE_PROJECT));
}

static void a_key_is_looked_at_where_it_means_something(void)
{
    CHECK_EQ(ask_for("POST", "/v1/vms", NULL, "k-1"), 0);
    CHECK_EQ(ask_for("POST", "/v1/vms", NULL, ""), -EINVAL);
    CHECK_EQ(ask_for("GET", "/v1/vms", NULL, ""), 0);
}

int main(void)
{
    api_arena_init(&arena, 16 << 20);
    TAP_RUN(a_handler_gets_checked_structs_with_defaults);
    TAP_RUN(a_patch_has_no_defaults);
    TAP_RUN(a_body_that_may_be_left_out_is_its_defaults);
    TAP_RUN(a_list_comes_with_its_query);
    TAP_RUN(every_refusal_has_its_code_and_words);
    TAP_RUN(the_project_is_that_of_the_path_or_of_the_header);
    TAP_RUN(a_projects_quota_is_read_in_it_and_changed_from_the_cloud);
    TAP_RUN(a_key_is_looked_at_where_it_means_something);
    api_arena_fini(&arena);
    return tap_done();
}
