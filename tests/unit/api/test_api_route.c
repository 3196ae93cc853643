/* Paths to operations, for every route that there is. */
#include "api/api_route.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

static int find(enum api_method method, const char *path, struct api_route_match *m)
{
    return api_route_find(method, path, strlen(path), m);
}

/* A route's path with each name in braces as "thing-N". */
static void fill_in(const struct api_route *r, const char *prefix, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "%s", prefix);
    unsigned n = 0;
    for (const char *p = r->path; *p && at + 16 < size; p++) {
        if (*p != '{') {
            out[at++] = *p;
            continue;
        }
        at += (size_t)snprintf(out + at, size - at, "thing-%u", n++);
        p = strchr(p, '}');
    }
    out[at] = '\0';
}

static void finds_every_route_with_what_its_path_names(void)
{
    for (int op = 0; op < API_OPS; op++) {
        const struct api_route *r = &api_route_table[op];
        struct api_route_match m;
        char path[256], expected[24];
        CHECK_EQ(r->op, op);
        fill_in(r, "/v1", path, sizeof(path));
        CHECK_EQ(find(r->method, path, &m), 0);
        CHECK(m.route == r);
        CHECK_STR(m.project, "");
        for (unsigned i = 0; i < r->n_params; i++) {
            snprintf(expected, sizeof(expected), "thing-%u", i);
            CHECK_STR(m.params[i], expected);
        }
    }
}

static void finds_what_belongs_to_a_project_behind_the_project_too(void)
{
    for (int op = 0; op < API_OPS; op++) {
        const struct api_route *r = &api_route_table[op];
        struct api_route_match m;
        char path[256];
        fill_in(r, "/v1/projects/acme", path, sizeof(path));
        int e = find(r->method, path, &m);
        if (r->flags & API_ROUTE_PROJECT) {
            CHECK_EQ(e, 0);
            CHECK(m.route == r);
            CHECK_STR(m.project, "acme");
            CHECK(!r->n_params || !strcmp(m.params[0], "thing-0"));
        } else {
            CHECK(e != 0 || m.route != r);
        }
    }
}

static void tells_a_wrong_method_from_a_wrong_path(void)
{
    struct api_route_match m;
    char allow[API_ROUTE_ALLOW_BYTES];
    CHECK_EQ(find(API_METHOD_PUT, "/v1/vms", &m), -ENOTSUP);
    api_route_allow(m.methods, allow);
    CHECK_STR(allow, "GET, HEAD, POST");
    CHECK_EQ(find(API_METHOD_POST, "/v1/vms/web", &m), -ENOTSUP);
    api_route_allow(m.methods, allow);
    CHECK_STR(allow, "GET, HEAD, PATCH, DELETE");
    api_route_allow((1u << API_METHODS) - 1, allow);
    CHECK_STR(allow, "GET, HEAD, PUT, POST, PATCH, DELETE");
    CHECK_EQ(find(API_METHOD_GET, "/v1/vm", &m), -ENOENT);
    CHECK(m.route == NULL);
}

static void refuses_paths_that_are_nothing(void)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "/v1",
                                        "/v1/",
                                        "/v2/vms",
                                        "v1/vms",
                                        "/v1/vms/",
                                        "/v1//vms",
                                        "/v1/vms//x",
                                        "/v1/vmsx",
                                        "/v1/vm",
                                        "/v1/vms/a/b/c",
                                        "/v1/vms/..",
                                        "/v1/vms/%",
                                        "/v1/vms/%2",
                                        "/v1/vms/%00",
                                        "/v1/vms/%2F",
                                        "/v1/vms/a%20b",
                                        "/v1/projects/a/projects",
                                        "/v1/projects/a/vms/"};
    struct api_route_match m;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (find(API_METHOD_GET, paths[i], &m) != -ENOENT) {
            printf("# %s\n", paths[i]);
            CHECK_EQ(find(API_METHOD_GET, paths[i], &m), -ENOENT);
        }
    CHECK_EQ(api_route_find(API_METHOD_GET, "/v1/vms\0\0\0\0\0\0\0\0\0\0\0\0", 19, &m), -ENOENT);
    char longer[300] = "/v1/vms/";
    memset(longer + 8, 'a', 64);
    CHECK_EQ(find(API_METHOD_GET, longer, &m), -ENOENT);
    longer[8 + 63] = '\0';
    CHECK_EQ(find(API_METHOD_GET, longer, &m), 0);
    CHECK_EQ(strlen(m.params[0]), 63);
}

static void decodes_percent_signs_in_names_only(void)
{
    struct api_route_match m;
    CHECK_EQ(find(API_METHOD_GET, "/v1/vms/web%2D1", &m), 0);
    CHECK_STR(m.params[0], "web-1");
    CHECK_EQ(find(API_METHOD_GET, "/v1/%76ms", &m), -ENOENT);
}

static void reads_methods_and_takes_head_for_get(void)
{
    enum api_method method = API_METHOD_DELETE;
    CHECK_EQ(api_route_method("HEAD", 4, &method), 0);
    CHECK_EQ(method, API_METHOD_GET);
    for (int i = 0; i < API_METHODS; i++) {
        const char *name = api_route_method_name((enum api_method)i);
        CHECK_EQ(api_route_method(name, strlen(name), &method), 0);
        CHECK_EQ(method, i);
    }
    CHECK_EQ(api_route_method("get", 3, &method), -ENOTSUP);
    CHECK_EQ(api_route_method("GETX", 4, &method), -ENOTSUP);
    CHECK_EQ(api_route_method("", 0, &method), -ENOTSUP);
}

static bool in_scope(enum api_op op, enum api_token_scope scope)
{
    return api_route_in_scope(&api_route_table[op], &scope, 1);
}

static void a_token_reaches_what_its_scopes_say(void)
{
    CHECK(in_scope(API_OP_VM_LIST, API_TOKEN_SCOPE_COMPUTE_READ));
    CHECK(in_scope(API_OP_VM_LIST, API_TOKEN_SCOPE_COMPUTE_WRITE));
    CHECK(in_scope(API_OP_VM_LIST, API_TOKEN_SCOPE_ALL_READ));
    CHECK(!in_scope(API_OP_VM_LIST, API_TOKEN_SCOPE_NETWORK_WRITE));
    CHECK(!in_scope(API_OP_VM_CREATE, API_TOKEN_SCOPE_COMPUTE_READ));
    CHECK(!in_scope(API_OP_VM_CREATE, API_TOKEN_SCOPE_ALL_READ));
    CHECK(in_scope(API_OP_VM_CREATE, API_TOKEN_SCOPE_ALL_WRITE));
    /* A console is typed into, though it is opened by GET. */
    CHECK(!in_scope(API_OP_VM_CONSOLE, API_TOKEN_SCOPE_COMPUTE_READ));
    CHECK(!api_route_in_scope(&api_route_table[API_OP_VM_LIST], NULL, 0));
}

static void a_vm_is_acted_on_in_the_states_that_allow_it(void)
{
    const struct api_route *start = &api_route_table[API_OP_VM_START];
    CHECK(api_route_in_state(start, API_VM_STATE_STOPPED));
    CHECK(!api_route_in_state(start, API_VM_STATE_RUNNING));
    CHECK_EQ(start->via_state, API_VM_STATE_STARTING);
    CHECK_EQ(start->to_state, API_VM_STATE_RUNNING);
    CHECK(api_route_in_state(&api_route_table[API_OP_VM_GET], API_VM_STATE_LOST));
}

static void every_route_that_changes_something_says_who_may(void)
{
    for (int op = 0; op < API_OPS; op++) {
        const struct api_route *r = &api_route_table[op];
        bool open = op == API_OP_SESSION_CREATE || op == API_OP_HOST_JOIN;
        CHECK(r->method == API_METHOD_GET || open || r->role > API_ROLE_NONE);
        CHECK(!(r->flags & API_ROUTE_LIST) || r->item);
        CHECK(!(r->flags & API_ROUTE_ASYNC) || r->status == 202);
        CHECK(r->method == API_METHOD_POST || !(r->flags & API_ROUTE_IDEMPOTENT));
    }
}

int main(void)
{
    TAP_RUN(finds_every_route_with_what_its_path_names);
    TAP_RUN(finds_what_belongs_to_a_project_behind_the_project_too);
    TAP_RUN(tells_a_wrong_method_from_a_wrong_path);
    TAP_RUN(refuses_paths_that_are_nothing);
    TAP_RUN(decodes_percent_signs_in_names_only);
    TAP_RUN(reads_methods_and_takes_head_for_get);
    TAP_RUN(a_token_reaches_what_its_scopes_say);
    TAP_RUN(a_vm_is_acted_on_in_the_states_that_allow_it);
    TAP_RUN(every_route_that_changes_something_says_who_may);
    return tap_done();
}
