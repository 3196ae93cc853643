/* What a client of the cloud's API sends: a method, a path with its query, a body. Whatever it is,
 * it is understood or refused by a problem document that our own reader takes. What was understood
 * is written and reads back; patched with itself it stays allowed.
 *
 * Shape of an input: "METHOD PATH?QUERY", a newline, the body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_header.h"
#include "api/api_json.h"
#include "api/api_query.h"
#include "api/api_request.h"
#include "api/api_route.h"
#include "api/gen/all.h"
#include "base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* A refusal names its cause, and is itself a document as described. */
static void check_refusal(const struct api_refusal *r, struct api_arena *arena)
{
    struct api_buf b;
    struct api_refusal again;
    void *problem;
    demand(r->set);
    api_buf_init(&b, 1 << 20);
    api_problem_init(&again);
    api_problem_write(r, "/v1", "fuzz", NULL, &b);
    demand(!b.failed);
    demand(!api_json_read(&api_types_problem, b.text, b.bytes, 0, arena, &problem, &again));
    api_buf_fini(&b);
}

static void check_body(const struct api_types_object *o, const char *text, size_t bytes)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_buf b;
    void *object, *back;
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_problem_init(&refusal);
    int r = api_json_read(o, text, bytes, 0, &arena, &object, &refusal);
    if (r) {
        check_refusal(&refusal, &arena);
    } else {
        api_buf_init(&b, 4 * API_JSON_MAX_BYTES);
        api_json_write(o, object, API_JSON_SECRETS, NULL, &b);
        demand(!b.failed);
        demand(!api_json_read(o, b.text, b.bytes, 0, &arena, &back, &refusal));
        demand(api_json_equal(o, object, back));
        demand(!api_json_check(o, back, &refusal));
        demand(!api_json_merge(o, back, o, object, &arena));
        demand(!api_json_fill(o, back, &arena));
        api_buf_fini(&b);
    }
    api_arena_fini(&arena);
}

/* A cursor that we make of any item is one that we take. */
static void check_list(const struct api_query *q, struct api_arena *arena)
{
    char cursor[API_QUERY_CURSOR_BYTES];
    void *item = api_json_new(q->item, arena);
    demand(item != NULL);
    (void)api_query_match(q, item);
    demand(!api_query_order(q, item, item));
    (void)api_query_after(q, item);
    demand(!api_query_cursor(q, item, cursor));
    demand(q->limit >= 1 && q->limit <= 1000);
}

/* Header values, cut at their first NUL as an HTTP server would. */
static void check_headers(const char *text, size_t bytes)
{
    struct api_arena arena;
    char value[128], etag[API_HEADER_ETAG_BYTES];
    struct api_refusal refusal;
    bool all;
    snprintf(value, sizeof(value), "%.*s", (int)MIN(bytes, sizeof(value) - 1), text);
    api_header_etag(bytes, etag);
    demand(!api_header_if_match(etag, bytes, NULL));
    (void)api_header_none_match(value, bytes);
    api_problem_init(&refusal);
    api_arena_init(&arena, 1 << 20);
    if (api_header_if_match(value, bytes, &refusal) ||
        api_header_project(value, true, &all, &refusal) ||
        api_header_idempotency_key(value, &refusal) || api_header_request_id(value, &refusal))
        check_refusal(&refusal, &arena);
    api_arena_fini(&arena);
}

static void check_query(const struct api_route *route, const char *text, size_t bytes)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_query q;
    void *own = NULL;
    api_arena_init(&arena, 1 << 20);
    api_problem_init(&refusal);
    int r = api_query_read(text, bytes, route->query, &own, route->item, &q, &arena, &refusal);
    if (!r && route->item)
        check_list(&q, &arena);
    if (r)
        check_refusal(&refusal, &arena);
    api_arena_fini(&arena);
}

/* The whole way in front of a handler: whatever comes, what is refused is the client's fault. */
static void check_request(const struct api_request_wire *wire)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_request r;
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_problem_init(&refusal);
    if (api_request_route(&r, wire, &refusal) || api_request_read(&r, wire, &arena, &refusal)) {
        int status = api_problem_status(refusal.code);
        demand(status >= 400 && status < 500 && refusal.detail[0]);
        check_refusal(&refusal, &arena);
    } else {
        demand(!r.body == !r.route->request);
    }
    api_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *line = memchr(text, '\n', size);
    size_t line_bytes = line ? (size_t)(line - text) : size;
    const char *blank = memchr(text, ' ', line_bytes);
    size_t word = blank ? (size_t)(blank - text) : 0;
    const char *path = blank ? blank + 1 : text;
    size_t path_bytes = line_bytes - (blank ? word + 1 : 0);
    const char *mark = memchr(path, '?', path_bytes);
    size_t bare = mark ? (size_t)(mark - path) : path_bytes;
    enum api_method method = API_METHOD_GET;
    struct api_route_match m;
    check_request(&(struct api_request_wire){
        .method = text,
        .method_bytes = word,
        .target = path,
        .target_bytes = path_bytes,
        .content_type = size & 1 ? "application/json" : "application/merge-patch+json",
        .body = line ? line + 1 : NULL,
        .body_bytes = line ? size - line_bytes - 1 : 0});
    (void)api_route_method(text, word, &method);
    check_headers(text, size);
    if (api_route_find(method, path, bare, &m)) {
        /* What has no route is still a body of something. */
        check_body(api_types_objects[size % API_TYPES_OBJECTS], text, size);
        return 0;
    }
    check_query(m.route, mark ? mark + 1 : NULL, mark ? path_bytes - bare - 1 : 0);
    if (m.route->request && line)
        check_body(m.route->request, line + 1, size - line_bytes - 1);
    return 0;
}
