/* The server as a whole: what it is made of, in which order it begins and ends. */
#include "mgmt/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_audit.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_event.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_key.h"
#include "mgmt/server/server_socket.h"
#include "mgmt/server/server_start.h"
#include "mgmt/server/server_sweep.h"
#include "mgmt/server/server_usage.h"

#define WORKERS           2
#define TOKEN_RATE_KEYS   65536
#define LOGIN_RATE_KEYS   16384
#define MESSAGE_MAX_BYTES (4u << 20)
#define QUEUE_MAX_BYTES   (16u << 20)

static const char *const headers[] = {
    "authorization",   "content-type", "virga-project", "if-match",         "if-none-match",
    "idempotency-key", "virga-seq",    "traceparent",   "virga-request-id", NULL,
};

static const struct server_route *const routes[] = {
    server_compute_routes, server_identity_routes,  server_image_routes,   server_infra_routes,
    server_network_routes, server_placement_routes, server_storage_routes, server_system_routes,
    server_vm_routes,      server_operation_routes, server_event_routes,   server_audit_routes,
};

static void deliver_post(struct web_post *p)
{
    struct server *s = container_of(p, struct server, deliver);
    store_deliver(s->store);
}

static void store_wake(void *ctx)
{
    struct server *s = ctx;
    web_loop_post(s->loop, &s->deliver);
}

static void hashed_post(struct web_post *p)
{
    struct server *s = container_of(p, struct server, hashed);
    auth_hasher_deliver(s->hasher);
}

static void hasher_wake(void *ctx)
{
    struct server *s = ctx;
    web_loop_post(s->loop, &s->hashed);
}

static void changed(void *ctx, struct catalog_slot *slot, struct catalog_object *before,
                    struct catalog_object *after)
{
    struct server *s = ctx;
    enum catalog_kind kind = after ? after->kind : before->kind;
    (void)slot;
    if (kind == CATALOG_USER || kind == CATALOG_ROLE || kind == CATALOG_TOKEN)
        server_auth_changed(s, before, after);
    else if (kind == CATALOG_OPERATION && after)
        server_operation_changed(s, after);
}

void server_written(struct server *s, enum catalog_kind kind, const struct store_id *id)
{
    (void)s;
    (void)kind;
    (void)id;
}

struct load {
    struct server *s;
    struct err *err;
};

static int load_object(struct server *s, const struct store_record *r, struct err *err)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, (enum catalog_kind)r->kind, &r->id);
    if (slot && slot->now->seq >= r->seq) /* one's own, come back */
        return 0;
    struct catalog_object *v = catalog_parse(r, err);
    if (!v)
        return -EBADMSG;
    enum catalog_kind kind = v->kind;
    if (!catalog_publish(s->catalog, v))
        return err_set(err, ENOMEM, "no memory for what the store holds");
    if (s->follow)
        server_written(s, kind, &r->id);
    return 0;
}

int server_follow_record(struct server *s, const struct store_record *r, struct err *err)
{
    if (r->type == STORE_COUNTER) {
        server_quotas_load(s->quotas, &r->id, r->name, r->value, r->seq);
    } else if (r->type == STORE_OBJECT) {
        return load_object(s, r, err);
    } else if (r->type == STORE_TOMBSTONE && r->kind < CATALOG_KINDS) {
        catalog_remove(s->catalog, (enum catalog_kind)r->kind, &r->id, r->seq);
        if (s->follow)
            server_written(s, (enum catalog_kind)r->kind, &r->id);
    }
    return 0;
}

static int load_record(const struct store_record *r, void *ctx)
{
    const struct load *l = ctx;
    return server_follow_record(l->s, r, l->err);
}

static int create_parts(struct server *s, struct err *err)
{
    const struct auth_hasher_config hashing = {.threads = 1, .wake = hasher_wake, .wake_ctx = s};
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        for (const struct server_route *r = routes[i]; r->handle; r++)
            s->handlers[r->op] = r->handle;
    s->deliver.run = deliver_post;
    s->hashed.run = hashed_post;
    s->loop = web_loop_create(err);
    s->workers = s->loop ? server_workers_create(s, WORKERS, err) : NULL;
    s->hasher = s->workers ? auth_hasher_create(&hashing, err) : NULL;
    s->auth = s->hasher ? auth_table_create(err) : NULL;
    s->token_rate = s->auth ? auth_rate_create(TOKEN_RATE_KEYS, err) : NULL;
    s->login_rate = s->token_rate ? auth_rate_create(LOGIN_RATE_KEYS, err) : NULL;
    if (!s->login_rate)
        return -ENOMEM;
    s->catalog = catalog_create(changed, s);
    s->events = server_events_create(s);
    s->quotas = server_quotas_create();
    s->usage = server_usage_create(s);
    s->keys = server_keys_create();
    s->audit = server_audit_create(err);
    return s->catalog && s->events && s->quotas && s->usage && s->keys && s->audit
               ? 0
               : err_set(err, ENOMEM, "no memory for a server");
}

static int open_store(struct server *s, struct err *err)
{
    const struct store_config config = {.server = s->config.id, .wake = store_wake, .wake_ctx = s};
    struct load load = {s, err};
    s->store = s->config.open_store(s->config.open_ctx, &config, err);
    if (!s->store)
        return err_wrap(err, "the store");
    int r = store_load(s->store, &s->seq, load_record, &load, err);
    if (r)
        return r;
    server_events_begin(s, s->seq);
    uint64_t loaded = s->seq;
    r = server_start(s, err);
    if (r == -EEXIST) /* another server was faster */
        r = store_follow(s->store, &loaded, load_record, &load, err);
    s->seq = MAX(s->seq, loaded);
    if (!r && s->config.follow_ms)
        s->follow = server_follow_create(s, loaded, s->config.follow_ms, err);
    return !r && s->config.follow_ms && !s->follow ? -ENOMEM : r;
}

static int start_web(struct server *s, struct err *err)
{
    const struct web_config config = {
        .address = s->config.address,
        .port = s->config.port,
        .cert_path = s->config.cert_path,
        .key_path = s->config.key_path,
        .body_max_bytes = SERVER_BODY_MAX_BYTES,
        .message_max_bytes = MESSAGE_MAX_BYTES,
        .queue_max_bytes = QUEUE_MAX_BYTES,
        .idle_timeout_s = 60,
        .headers = headers,
        .handle = server_call_begin,
        .find_endpoint = server_socket_find,
        .ctx = s,
    };
    s->web = web_server_create(s->loop, &config, err);
    return s->web ? 0 : -EIO;
}

struct server *server_create(const struct server_config *config, struct err *err)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "no memory for a server");
        return NULL;
    }
    s->config = *config;
    if (!create_parts(s, err) && !open_store(s, err) && !start_web(s, err) &&
        (s->sweep = server_sweep_create(s, err)))
        return s;
    server_destroy(s);
    return NULL;
}

void server_run(struct server *s)
{
    web_loop_run(s->loop);
}

void server_stop(struct server *s)
{
    web_loop_stop(s->loop);
}

uint16_t server_port(const struct server *s)
{
    return web_server_port(s->web);
}

char *server_steal_first_password(struct server *s)
{
    return steal_ptr(&s->first_password);
}

/* Connections first, then what may still answer to them: answers go nowhere, and free their calls.
 */
void server_destroy(struct server *s)
{
    if (!s)
        return;
    server_follow_end(s->follow);
    server_workers_destroy(steal_ptr(&s->workers));
    auth_hasher_destroy(s->hasher);
    store_close(s->store);
    server_sweep_destroy(s->sweep);
    server_events_end(s);
    server_operation_answer_all(s);
    web_loop_destroy(s->loop);
    web_server_destroy(s->web);
    server_follow_destroy(s->follow);
    server_events_destroy(s->events);
    server_quotas_destroy(s->quotas);
    server_usage_destroy(s->usage);
    server_keys_destroy(s->keys);
    server_audit_destroy(s->audit);
    catalog_destroy(s->catalog);
    auth_rate_destroy(s->token_rate);
    auth_rate_destroy(s->login_rate);
    auth_table_destroy(s->auth);
    free(s->description);
    free(s->first_password);
    free(s);
}
