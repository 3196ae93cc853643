#include "mgmt/server/server_audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mgmt/server/server_internal.h"

#define KEYS            4096
#define PER_MIN         60
#define PER_MIN_OF_ALL  600
#define UNDER_WAY_MAX   64
#define TEXT_MAX_BYTES  (64u << 10) /* of what is refused less is kept */
#define ARENA_MAX_BYTES (4u << 20)

struct server_audit {
    struct auth_rate *rate;
    unsigned under_way;
    uint64_t suppressed;
};

/* A refusal on its way to the store. */
struct refused {
    struct server_audit *a;
    struct api_arena arena;
    struct store_txn txn;
    struct store_op op;
    uint64_t suppressed;
};

struct server_audit *server_audit_create(struct err *err)
{
    struct server_audit *a = calloc(1, sizeof(*a));
    if (a)
        a->rate = auth_rate_create(KEYS, err);
    if (a && a->rate)
        return a;
    free(a);
    return NULL;
}

void server_audit_destroy(struct server_audit *a)
{
    if (!a)
        return;
    auth_rate_destroy(a->rate);
    free(a);
}

/* Of a try to sign in the name that was tried. */
static const char *principal_name(const struct server_call *c)
{
    if (c->request.route->op == API_OP_SESSION_CREATE && c->request.body) {
        const struct api_session_create *body = c->request.body;
        return body->user.is == API_VALUE ? body->user.v : "";
    }
    return c->who.user_name;
}

/* An IPv4 address that came over an IPv6 socket is shown as what it is. */
static const char *address(const struct server_call *c)
{
    const char *text = web_request_peer_address(c->web);
    return strncmp(text, "::ffff:", 7) || !strchr(text, '.') ? text : text + 7;
}

static void write_text(const struct server_call *c, const char *outcome, int status,
                       uint64_t suppressed, bool with_detail, struct api_buf *b)
{
    char time[SERVER_TIME_BYTES], token[UUID_TEXT_BYTES];
    server_meta_time(server_now_ms(), time);
    api_buf_printf(b, "{\"time\":\"%s\",\"principal_name\":", time);
    api_buf_json_text(b, principal_name(c));
    if (!auth_record_id_is_zero(&c->who.token) && c->who.token_name[0]) {
        uuid_format(c->who.token.bytes, token);
        api_buf_printf(b, ",\"token\":\"%s\"", token);
    }
    api_buf_printf(b, ",\"source_ip\":");
    api_buf_json_text(b, address(c));
    api_buf_printf(b, ",\"operation\":\"%s\",\"outcome\":\"%s\",\"status\":%d",
                   c->request.route->id, outcome, status);
    if (status >= 400)
        api_buf_printf(b, ",\"code\":\"%s\"", api_problem_kinds[c->refusal.code].code);
    api_buf_puts(b, ",\"request_id\":");
    api_buf_json_text(b, c->request_id);
    if (suppressed)
        api_buf_printf(b, ",\"suppressed\":%llu", (unsigned long long)suppressed);
    if (with_detail && c->request.body && c->request.route->request) {
        api_buf_puts(b, ",\"detail\":");
        api_json_write(c->request.route->request, c->request.body, 0, NULL, b);
    }
    api_buf_putc(b, '}');
}

const char *server_audit_text(const struct server_call *c, const char *outcome, int status,
                              uint64_t suppressed, struct api_arena *arena)
{
    struct api_buf b;
    api_buf_init(&b, status >= 400 ? TEXT_MAX_BYTES : STORE_BODY_MAX);
    write_text(c, outcome, status, suppressed, true, &b);
    if (b.failed) { /* what was asked is too long to be kept: that it was asked is not */
        api_buf_fini(&b);
        api_buf_init(&b, STORE_BODY_MAX);
        write_text(c, outcome, status, suppressed, false, &b);
    }
    const char *text = b.failed ? NULL : api_arena_text(arena, b.text, b.bytes);
    api_buf_fini(&b);
    return text;
}

/* ---- refusals ---- */

static bool matters(const struct server_call *c, int status)
{
    const struct api_route *route = c->request.route;
    return route && route->method != API_METHOD_GET && status != 404 && status != 405 &&
           status != 501 && c->refusal.code != API_PROBLEM_CODE_IDEMPOTENCY_IN_FLIGHT;
}

static bool allowed(struct server_audit *a, const struct server_call *c)
{
    static const struct auth_id all;
    const struct auth_rate_limit limit = {.per_min = PER_MIN, .burst = PER_MIN};
    const struct auth_rate_limit of_all = {.per_min = PER_MIN_OF_ALL, .burst = PER_MIN_OF_ALL};
    int64_t now_us = clock_now_ns() / 1000;
    struct auth_id key = auth_record_id_is_zero(&c->who.user)
                             ? auth_rate_address(web_request_peer_address(c->web))
                             : c->who.user;
    return a->under_way < UNDER_WAY_MAX && auth_rate_take(a->rate, &key, &limit, now_us).allowed &&
           auth_rate_take(a->rate, &all, &of_all, now_us).allowed;
}

static void refused_free(struct refused *r)
{
    api_arena_fini(&r->arena);
    free(r);
}

static void recorded(struct store_txn *txn, void *ctx)
{
    struct refused *r = ctx;
    r->a->under_way--;
    if (txn->result)
        r->a->suppressed += r->suppressed + 1;
    refused_free(r);
}

void server_audit_refused(struct server_call *c, int status)
{
    struct server_audit *a = c->s->audit;
    if (!matters(c, status))
        return;
    struct refused *r = allowed(a, c) ? calloc(1, sizeof(*r)) : NULL;
    a->suppressed++;
    if (!r)
        return;
    api_arena_init(&r->arena, ARENA_MAX_BYTES);
    r->a = a;
    r->suppressed = a->suppressed - 1;
    const char *text = server_audit_text(c, status >= 500 ? "failed" : "refused", status,
                                         r->suppressed, &r->arena);
    if (!text) {
        refused_free(r);
        return;
    }
    r->op = (struct store_op){.type = STORE_AUDIT,
                              .row = {.at_ms = server_now_ms(),
                                      .project = c->project,
                                      .actor = server_store_id(&c->who.user),
                                      .name = store_text_of(c->request.route->id),
                                      .body = store_text_of(text)}};
    r->txn = (struct store_txn){.ops = &r->op, .n_ops = 1};
    if (store_submit(c->s->store, &r->txn, recorded, r)) {
        refused_free(r);
        return;
    }
    a->suppressed = 0;
    a->under_way++;
}
