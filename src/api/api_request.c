#include "api/api_request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/api_header.h"
#include "base/util.h"

static size_t path_bytes(const struct api_request_wire *wire)
{
    const char *mark = memchr(wire->target, '?', wire->target_bytes);
    return mark ? (size_t)(mark - wire->target) : wire->target_bytes;
}

static int find_route(struct api_request *r, const struct api_request_wire *wire,
                      struct api_refusal *refusal)
{
    enum api_method method = API_METHODS;
    char allow[API_ROUTE_ALLOW_BYTES];
    size_t bytes = path_bytes(wire);
    /* A method that nobody knows is still a 404 where there is no such path. */
    (void)api_route_method(wire->method, wire->method_bytes, &method);
    r->head = wire->method_bytes == 4 && !memcmp(wire->method, "HEAD", 4);
    int e = api_route_find(method, wire->target, bytes, &r->match);
    r->route = r->match.route;
    if (e == -ENOTSUP) {
        api_route_allow(r->match.methods, allow);
        return api_problem_set(refusal, API_PROBLEM_CODE_ROUTE_METHOD_NOT_ALLOWED,
                               "%.*s is not offered here: use %s",
                               (int)MIN(wire->method_bytes, (size_t)16), wire->method, allow);
    }
    if (e)
        return api_problem_set(refusal, API_PROBLEM_CODE_ROUTE_NOT_FOUND, "no path is called %.*s",
                               (int)MIN(bytes, (size_t)128), wire->target);
    return 0;
}

static int read_headers(struct api_request *r, const struct api_request_wire *wire,
                        struct api_refusal *refusal)
{
    int e = wire->request_id ? api_header_request_id(wire->request_id, refusal) : 0;
    int one = 0;
    if (r->match.project[0]) {
        r->project = r->match.project;
    } else if (wire->project && (r->route->flags & API_ROUTE_PROJECT)) {
        one = api_header_project(wire->project, r->route->method == API_METHOD_GET,
                                 &r->all_projects, refusal);
        r->project = one || r->all_projects ? NULL : wire->project;
        e = e ? e : one;
    }
    if (wire->idempotency_key && (r->route->flags & API_ROUTE_IDEMPOTENT)) {
        one = api_header_idempotency_key(wire->idempotency_key, refusal);
        e = e ? e : one;
    }
    return e;
}

int api_request_route(struct api_request *r, const struct api_request_wire *wire,
                      struct api_refusal *refusal)
{
    memset(r, 0, sizeof(*r));
    int e = find_route(r, wire, refusal);
    if (!e)
        e = read_headers(r, wire, refusal);
    api_problem_summarize(e ? refusal : NULL);
    return e;
}

/* The type without its parameters: "application/json" of "application/json; charset=utf-8". */
static bool is_media(const char *value, const char *media)
{
    size_t bytes = strlen(media);
    if (!value || strncasecmp(value, media, bytes) != 0)
        return false;
    value += bytes + strspn(value + bytes, " \t");
    return !*value || *value == ';';
}

static int check_media(const struct api_route *route, const struct api_request_wire *wire,
                       struct api_refusal *refusal)
{
    const char *own = route->request_media ? route->request_media : "application/json";
    bool patch = route->method == API_METHOD_PATCH;
    if (is_media(wire->content_type, own) ||
        (patch && is_media(wire->content_type, "application/merge-patch+json")))
        return 0;
    return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA,
                           "Content-Type is %.64s: use %s",
                           wire->content_type ? wire->content_type : "missing", own);
}

/* Clients send {} with a POST that takes nothing: that is nothing too. */
static int check_no_body(const struct api_request_wire *wire, struct api_refusal *refusal)
{
    if (!wire->body_bytes || (wire->body_bytes == 2 && !memcmp(wire->body, "{}", 2)))
        return 0;
    return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                           "a body of %zu bytes: this operation takes none", wire->body_bytes);
}

static int read_body(struct api_request *r, const struct api_request_wire *wire,
                     struct api_arena *arena, struct api_refusal *refusal)
{
    const struct api_route *route = r->route;
    int e = 0;
    if (!wire->body_bytes && !(route->flags & API_ROUTE_BODY_OPTIONAL))
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                               "a body is missing: send a %s as JSON", route->request->what);
    if (wire->body_bytes) {
        e = check_media(route, wire, refusal);
        if (!e)
            e = api_json_read(route->request, wire->body, wire->body_bytes, 0, arena, &r->body,
                              refusal);
    } else {
        r->body = api_json_new(route->request, arena);
        e = r->body ? 0 : -ENOMEM;
    }
    if (!e && route->method != API_METHOD_PATCH)
        e = api_json_fill(route->request, r->body, arena);
    if (e == -ENOMEM)
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                               "the document holds more than can be read at once: send less");
    return e;
}

int api_request_read(struct api_request *r, const struct api_request_wire *wire,
                     struct api_arena *arena, struct api_refusal *refusal)
{
    const struct api_route *route = r->route;
    size_t bytes = path_bytes(wire);
    bool has_query = bytes < wire->target_bytes;
    int e = api_query_read(has_query ? wire->target + bytes + 1 : NULL,
                           has_query ? wire->target_bytes - bytes - 1 : 0, route->query, &r->query,
                           route->item, &r->list, arena, refusal);
    if (e)
        return e;
    if (route->request_media)
        return check_media(route, wire, refusal);
    return route->request ? read_body(r, wire, arena, refusal) : check_no_body(wire, refusal);
}
