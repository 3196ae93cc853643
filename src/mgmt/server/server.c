/* The server as a whole: what it is made of, in which order it begins and ends. */
#include "mgmt/server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_audit.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_command.h"
#include "mgmt/server/server_event.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_host_empty.h"
#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_key.h"
#include "mgmt/server/server_keypair.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_peer.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_socket.h"
#include "mgmt/server/server_start.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_sweep.h"
#include "mgmt/server/server_usage.h"
#include "mgmt/server/server_vm.h"

#define WORKERS           2
#define TICK_US           1000000
#define TOKEN_RATE_KEYS   65536
#define LOGIN_RATE_KEYS   16384
#define MESSAGE_MAX_BYTES (4u << 20)
#define QUEUE_MAX_BYTES   (16u << 20)

const char *const server_call_headers[] = {
    "authorization",    "content-type",    "virga-project", "if-match",
    "if-none-match",    "idempotency-key", "virga-seq",     "traceparent",
    "virga-request-id", "content-range",   "range",         NULL,
};

static const struct server_route *const routes[] = {
    server_backup_routes,
    server_compute_routes,
    server_identity_routes,
    server_image_routes,
    server_infra_routes,
    server_network_routes,
    server_placement_routes,
    server_reservation_routes,
    server_storage_routes,
    server_system_routes,
    server_host_empty_routes,
    server_vm_routes,
    server_operation_routes,
    server_identity_user_routes,
    server_identity_role_routes,
    server_identity_token_routes,
    server_identity_session_routes,
    server_identity_quota_routes,
    server_keypair_routes,
    server_event_routes,
    server_zone_routes,
    server_aggregate_routes,
    server_join_routes,
    server_audit_routes,
};

static void deliver_post(struct web_post *p)
{
    struct server *s = container_of(p, struct server, deliver);
    server_link_gather(s);
    store_deliver(s->store);
    server_link_tell(s);
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

/* Who has to know of a change, by kind. */
static void changed(void *ctx, struct catalog_slot *slot, struct catalog_object *before,
                    struct catalog_object *after)
{
    struct server *s = ctx;
    if (before && after && before->seq == after->seq && after->kind == CATALOG_HOST)
        return; /* when it was last heard of, and nothing else */
    switch (after ? after->kind : before->kind) {
    case CATALOG_USER:
    case CATALOG_ROLE:
    case CATALOG_TOKEN:
        server_auth_changed(s, before, after);
        break;
    case CATALOG_OPERATION:
        if (after)
            server_operation_changed(s, after);
        return;
    case CATALOG_SETTINGS:
        if (after)
            server_identity_settings(s, after);
        server_host_changed(s, slot, before, after);
        break;
    case CATALOG_HOST:
    case CATALOG_ZONE:
    case CATALOG_AGGREGATE:
        server_host_changed(s, slot, before, after);
        break;
    case CATALOG_SERVER_GROUP:
        server_claim_changed(s, slot, before, after);
        break;
    case CATALOG_RESERVATION:
        server_reservation_changed(s, slot, before, after);
        break;
    case CATALOG_VM:
        server_vm_changed(s, slot, before, after);
        break;
    default:
        break;
    }
    server_network_changed(s, before, after);
    server_storage_changed(s, before, after);
}

void server_written(struct server *s, enum catalog_kind kind, const struct store_id *id)
{
    server_storage_written(s, kind, id);
    struct catalog_slot *slot = catalog_find(s->catalog, kind, id);
    if (!slot)
        return;
    if (kind == CATALOG_HOST)
        server_host_settle(s, slot);
    else if (kind == CATALOG_VM)
        server_vm_settle(s, slot);
    if (kind == CATALOG_VM || kind == CATALOG_VOLUME || kind == CATALOG_SNAPSHOT ||
        kind == CATALOG_IMAGE)
        server_link_want(s, slot->now);
}

static void tick(void *ctx)
{
    struct server *s = ctx;
    server_peer_tick(s);
    server_host_tick(s);
    server_vm_tick(s);
    server_reservation_tick(s);
    web_timer_arm(s->tick, TICK_US);
}

struct load {
    struct server *s;
    struct err *err;
    struct store_record *claims; /* hosts may come after their claims */
    size_t n_claims;
};

static int load_claim(struct load *l, const struct store_record *r)
{
    struct store_record *claims = reallocarray(l->claims, l->n_claims + 1, sizeof(*claims));
    if (!claims)
        return err_set(l->err, ENOMEM, "no memory for what the store holds");
    l->claims = claims;
    l->claims[l->n_claims++] = *r;
    return 0;
}

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
    if (s->follow) /* once everything is loaded */
        server_written(s, kind, &r->id);
    return 0;
}

int server_follow_record(struct server *s, const struct store_record *r, struct err *err)
{
    if (r->type == STORE_COUNTER && server_peer_heard(s, &r->id, r->name, clock_now_ns())) {
        return 0;
    } else if (r->type == STORE_COUNTER) {
        server_quotas_load(s->quotas, &r->id, r->name, r->value, r->seq);
    } else if (r->type == STORE_CLAIM) {
        server_host_generation(s, &r->id, (uint64_t)r->value);
    } else if (r->type == STORE_OBJECT && r->kind != CATALOG_LEASE) {
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
    struct load *l = ctx;
    return r->type == STORE_CLAIM ? load_claim(l, r) : server_follow_record(l->s, r, l->err);
}

static int create_parts(struct server *s, struct err *err)
{
    const struct auth_hasher_config hashing = {
        .threads = 1, .cost = s->config.password_cost, .wake = hasher_wake, .wake_ctx = s};
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
    s->tick = web_timer_create(s->loop, tick, s);
    s->sched = sched_create();
    s->catalog = catalog_create(changed, s);
    s->events = server_events_create(s);
    s->quotas = server_quotas_create();
    s->usage = server_usage_create(s);
    s->hosts = s->sched && s->catalog ? server_hosts_create(s) : NULL;
    s->keys = server_keys_create();
    s->peers = server_peers_create();
    s->audit = server_audit_create(err);
    s->networks = server_networks_create();
    s->storage = server_storage_create(s);
    return s->catalog && s->events && s->quotas && s->usage && s->hosts && s->keys && s->peers &&
                   s->audit && s->networks && s->storage && s->tick && !server_link_wants_init(s)
               ? 0
               : err_set(err, ENOMEM, "no memory for a server");
}

static int open_store(struct server *s, struct err *err)
{
    const struct store_config config = {.server = s->config.id, .wake = store_wake, .wake_ctx = s};
    struct load load = {.s = s, .err = err};
    s->store = s->config.open_store(s->config.open_ctx, &config, err);
    if (!s->store)
        return err_wrap(err, "the store");
    int r = store_load(s->store, &s->seq, load_record, &load, err);
    for (size_t i = 0; i < load.n_claims; i++)
        server_host_generation(s, &load.claims[i].id, (uint64_t)load.claims[i].value);
    free(load.claims);
    server_vm_loaded(s);
    if (r)
        return r;
    server_networks_loaded(s);
    server_events_begin(s, s->seq);
    uint64_t loaded = s->seq;
    r = server_start(s, err);
    if (r == -EEXIST) /* another server was faster */
        r = store_follow(s->store, &loaded, load_record, &load, err);
    s->seq = MAX(s->seq, loaded);
    if (!r)
        r = server_join_start(s, err);
    if (!r)
        r = server_identity_start(s, err);
    if (!r)
        r = server_storage_start(s, err);
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
        .headers = server_call_headers,
        .handle = server_call_begin,
        .find_endpoint = server_socket_find,
        .ctx = s,
    };
    s->web = web_server_create(s->loop, &config, err);
    if (!s->web)
        return -EIO;
    web_timer_arm(s->tick, TICK_US);
    return server_link_listen(s, err);
}

struct server *server_create(const struct server_config *config, struct err *err)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "no memory for a server");
        return NULL;
    }
    s->config = *config;
    if (!s->config.password_cost.memory_kib)
        s->config.password_cost = auth_password_cost_default;
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

uint16_t server_agents_port(const struct server *s)
{
    return s->agents_web ? web_server_port(s->agents_web) : 0;
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
    s->ending = true;
    web_timer_destroy(s->session_sweeps);
    server_follow_end(s->follow);
    server_workers_destroy(steal_ptr(&s->workers));
    auth_hasher_destroy(s->hasher);
    store_close(s->store);
    server_sweep_destroy(s->sweep);
    server_events_end(s);
    web_timer_destroy(s->tick);
    server_link_wants_fini(s);
    server_storage_destroy(s->storage);
    server_operation_answer_all(s);
    server_command_lost(s, NULL); /* their timers are the loop's */
    web_loop_destroy(s->loop);
    web_server_destroy(s->web);
    web_server_destroy(s->agents_web);
    server_hosts_destroy(s->hosts);
    server_follow_destroy(s->follow);
    server_events_destroy(s->events);
    server_quotas_destroy(s->quotas);
    server_usage_destroy(s->usage);
    server_vm_destroy_all(s);
    server_reservation_destroy_all(s);
    server_keys_destroy(s->keys);
    server_peers_destroy(s->peers);
    server_audit_destroy(s->audit);
    catalog_destroy(s->catalog);
    sched_destroy(s->sched);
    server_numbers_fini(&s->groups);
    server_networks_destroy(s->networks);
    auth_rate_destroy(s->token_rate);
    auth_rate_destroy(s->login_rate);
    auth_table_destroy(s->auth);
    free(s->description);
    free(s->first_password);
    free(s);
}
