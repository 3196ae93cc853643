/* A call: one request, from its route to its answer. Who calls is looked at between the route and
 * the body, so that nobody's body is read who may not send it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_audit.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_key.h"

#define TARGET_MAX_BYTES 16384

static void call_free(struct server_call *c)
{
    server_key_end(c);
    api_arena_fini(&c->arena);
    free(c);
}

/* Path and query as they came, percent-encoded again: what web/ decoded is what api/ reads. */
static const char *wire_target(struct server_call *c)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct api_buf b;
    const char *parameter;
    api_buf_init(&b, TARGET_MAX_BYTES);
    api_buf_puts(&b, web_request_path(c->web));
    for (unsigned i = 0; (parameter = web_request_parameter(c->web, i)); i++) {
        api_buf_putc(&b, i ? '&' : '?');
        bool value = false;
        for (const unsigned char *p = (const unsigned char *)parameter; *p; p++) {
            if (strchr(plain, *p) || (*p == '=' && !value))
                api_buf_putc(&b, (char)*p);
            else
                api_buf_printf(&b, "%%%02X", *p);
            value |= *p == '=';
        }
    }
    const char *target = b.failed ? NULL : api_arena_text(&c->arena, b.text, b.bytes);
    api_buf_fini(&b);
    return target;
}

static int read_wire(struct server_call *c)
{
    struct web_request *r = c->web;
    const char *method = web_method_name(web_request_method(r)), *target = wire_target(c);
    if (!target || strchr(web_request_path(r), '?'))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_ROUTE_NOT_FOUND,
                               "no path is called that");
    c->wire = (struct api_request_wire){
        .method = method,
        .target = target,
        .method_bytes = strlen(method),
        .target_bytes = strlen(target),
        .content_type = web_request_header(r, "content-type"),
        .project = web_request_header(r, "virga-project"),
        .if_match = web_request_header(r, "if-match"),
        .idempotency_key = web_request_header(r, "idempotency-key"),
        .request_id = web_request_header(r, "virga-request-id"),
    };
    c->wire.body = web_request_body(r, &c->wire.body_bytes);
    return 0;
}

static void set_request_id(struct server_call *c)
{
    const char *given = web_request_header(c->web, "virga-request-id");
    if (given && !api_header_request_id(given, NULL)) {
        snprintf(c->request_id, sizeof(c->request_id), "%s", given);
    } else {
        struct store_id id = catalog_id(server_now_ms());
        uuid_format(id.bytes, c->request_id);
    }
}

static int route_and_read(struct server_call *c)
{
    int r = read_wire(c);
    if (!r)
        r = api_request_route(&c->request, &c->wire, &c->refusal);
    if (!r)
        r = server_auth_call(c);
    if (!r)
        r = api_request_read(&c->request, &c->wire, &c->arena, &c->refusal);
    if (!r && c->request.body && c->request.route->request)
        r = api_json_check_role(c->request.route->request, c->request.body, c->role, &c->refusal);
    if (!r && !c->s->handlers[c->request.route->op])
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER, "%s is not built yet",
                            c->request.route->id);
    return r ? r : server_key_begin(c);
}

static struct server_call *call_new(struct server *s, struct web_request *web)
{
    struct server_call *c = malloc(sizeof(*c));
    if (!c)
        return NULL;
    memset(c, 0, offsetof(struct server_call, refusal));
    memset(&c->explanation, 0, sizeof(*c) - offsetof(struct server_call, explanation));
    api_problem_init(&c->refusal);
    api_arena_init(&c->arena, API_JSON_ARENA_BYTES);
    c->s = s;
    c->web = web;
    set_request_id(c);
    return c;
}

struct server_call *server_call_socket(struct server *s, const struct web_request *web)
{
    struct server_call *c = call_new(s, (struct web_request *)(uintptr_t)web);
    s->n_requests++;
    if (c && route_and_read(c) && !c->refusal.set)
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    return c;
}

void server_call_socket_free(struct server_call *c)
{
    call_free(c);
}

/* True: it goes on when this server has come as far as the caller has seen, or is refused. */
static bool await_seq(struct server_call *c)
{
    const char *text = web_request_header(c->web, "virga-seq");
    char *end;
    if (!text)
        return false;
    errno = 0;
    unsigned long long seq = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
                        "Virga-Seq is no number: send that of an answer");
        server_call_refuse(c);
        return true;
    }
    return server_follow_await(c, seq);
}

void server_call_begin(void *ctx, struct web_request *web)
{
    struct server *s = ctx;
    struct server_call *c = call_new(s, web);
    s->n_requests++;
    if (!c) {
        web_reply(web, 503, NULL, NULL, 0);
        return;
    }
    if (server_plain_reply(c))
        return;
    if (!await_seq(c))
        server_call_go_on(c);
}

void server_call_go_on(struct server_call *c)
{
    if (route_and_read(c))
        server_call_refuse(c);
    else
        server_call_run(c);
}

void server_call_run(struct server_call *c)
{
    api_problem_init(&c->refusal);
    int r = c->s->handlers[c->request.route->op](c);
    if (r == SERVER_WAIT) {
        struct server_call **at = &c->s->waiting;
        while (*at)
            at = &(*at)->next;
        c->next = NULL;
        *at = c;
    } else if (r) {
        server_call_refuse(c);
    }
}

void server_call_wake(struct server *s, enum catalog_kind kind, const struct store_id *id)
{
    struct server_call *list = s->waiting, **kept = &s->waiting, *woken = NULL, **end = &woken;
    s->waiting = NULL;
    while (list) {
        struct server_call *c = list;
        list = c->next;
        c->next = NULL;
        bool hit = c->wait_kind == kind && !memcmp(&c->wait_id, id, sizeof(*id));
        struct server_call ***to = hit ? &end : &kept;
        **to = c;
        *to = &c->next;
    }
    while (woken) {
        struct server_call *c = woken;
        woken = c->next;
        server_call_run(c);
    }
}

struct catalog_slot *server_call_object(struct server_call *c, enum catalog_kind kind,
                                        unsigned param)
{
    static const struct store_id nobody;
    const char *ref = c->request.match.params[param];
    bool in_project = catalog_kinds[kind].in_project;
    struct catalog_slot *slot =
        catalog_find_text(c->s->catalog, kind, in_project ? &c->project : &nobody, ref);
    /* An id of another project's is nobody's; an operation on the cloud is its operators'. */
    bool clouds = slot && kind == CATALOG_OPERATION && catalog_id_is_zero(&slot->now->project) &&
                  c->who.cloud_role >= API_ROLE_OPERATOR;
    if (slot && in_project && !clouds &&
        memcmp(&slot->now->project, &c->project, sizeof(c->project)) != 0)
        slot = NULL;
    if (!slot)
        api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                        "no %s is called %s here: list them to see which there are",
                        catalog_kinds[kind].name, ref);
    return slot;
}

int server_call_wait(struct server_call *c, const struct catalog_slot *slot)
{
    if (!slot->writing)
        return 0;
    c->wait_kind = slot->now->kind;
    c->wait_id = slot->now->id;
    return SERVER_WAIT;
}

int server_call_ref(struct server_call *c, enum catalog_kind kind, struct api_text *ref,
                    const char *pointer, struct catalog_slot **slot)
{
    static const struct store_id nobody;
    *slot = NULL;
    if (ref->is != API_VALUE)
        return 0;
    bool in_project = catalog_kinds[kind].in_project;
    struct catalog_slot *found =
        catalog_find_text(c->s->catalog, kind, in_project ? &c->project : &nobody, ref->v);
    if (found && in_project && memcmp(&found->now->project, &c->project, sizeof(c->project)) != 0 &&
        !server_shared(found->now))
        found = NULL;
    if (!found)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, pointer,
                               "no %s is called %s", catalog_kinds[kind].name, ref->v);
    const char *id = api_arena_text(&c->arena, found->now->id_text, UUID_TEXT_BYTES - 1);
    if (!id)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    ref->v = id;
    *slot = found;
    return 0;
}

int server_call_match(struct server_call *c, const struct catalog_object *v)
{
    return api_header_if_match(c->wire.if_match, server_meta_generation(v), &c->refusal);
}

static void common_headers(struct server_call *c)
{
    char text[32];
    web_reply_header(c->web, "virga-request-id", c->request_id);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)c->s->seq);
    web_reply_header(c->web, "virga-seq", text);
    if (c->location)
        web_reply_header(c->web, "location", c->location);
}

void server_call_reply(struct server_call *c, int status, const char *text, size_t bytes)
{
    const char *media = c->request.route && c->request.route->response_media
                            ? c->request.route->response_media
                            : "application/json";
    common_headers(c);
    web_reply(c->web, status, bytes ? media : NULL, text, bytes);
    call_free(c);
}

void server_call_reply_object(struct server_call *c, int status, const struct catalog_object *v)
{
    char etag[API_HEADER_ETAG_BYTES];
    uint64_t generation = server_meta_generation(v);
    const char *none_match = web_request_header(c->web, "if-none-match");
    if (generation) {
        api_header_etag(generation, etag);
        web_reply_header(c->web, "etag", etag);
    }
    if (generation && c->request.route->method == API_METHOD_GET &&
        api_header_none_match(none_match, generation)) {
        server_call_reply(c, 304, NULL, 0);
        return;
    }
    if (v->kind == CATALOG_OPERATION && status == 202) {
        c->location = api_arena_alloc(&c->arena, 64);
        if (c->location) {
            snprintf((char *)(uintptr_t)c->location, 64, "/v1/operations/%s", v->id_text);
            web_reply_header(c->web, "operation-location", c->location);
        }
    }
    if (status == 204)
        server_call_reply(c, status, NULL, 0);
    else
        server_call_reply_struct(c, status, catalog_kinds[v->kind].type, v->doc);
}

void server_call_reply_struct(struct server_call *c, int status,
                              const struct api_types_object *type, const void *object)
{
    struct api_buf b;
    api_buf_init(&b, SERVER_BODY_MAX_BYTES);
    api_json_write(type, object, 0, NULL, &b);
    if (b.failed) {
        api_buf_fini(&b);
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory for the answer");
        server_call_refuse(c);
        return;
    }
    server_call_reply(c, status, b.text, b.bytes);
    api_buf_fini(&b);
}

void server_call_refuse(struct server_call *c)
{
    struct api_buf b;
    char text[32];
    if (server_key_look(c))
        return;
    if (!c->refusal.set)
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_INTERNAL, "the reason was lost");
    api_problem_summarize(&c->refusal);
    c->location = NULL;
    int status = api_problem_status(c->refusal.code);
    c->s->n_refused++;
    server_audit_refused(c, status);
    if (status == 500) {
        c->s->n_errors++;
        log_line(LOG_ERROR, "server", "%s request=%s path=%s", c->refusal.detail, c->request_id,
                 web_request_path(c->web));
    }
    if (status == 401)
        web_reply_header(c->web, "www-authenticate", "Bearer");
    if (status == 405) {
        char allow[API_ROUTE_ALLOW_BYTES];
        api_route_allow(c->request.match.methods, allow);
        web_reply_header(c->web, "allow", allow);
    }
    if (c->refusal.retry_after_s) {
        snprintf(text, sizeof(text), "%u", c->refusal.retry_after_s);
        web_reply_header(c->web, "retry-after", text);
    }
    api_buf_init(&b, SERVER_BODY_MAX_BYTES);
    api_problem_write(&c->refusal, web_request_path(c->web), c->request_id, c->explanation, &b);
    common_headers(c);
    web_reply(c->web, status, API_PROBLEM_MEDIA, b.failed ? "{}" : b.text, b.failed ? 2 : b.bytes);
    api_buf_fini(&b);
    call_free(c);
}
