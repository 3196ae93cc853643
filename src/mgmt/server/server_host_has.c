#include "mgmt/server/server_host_has.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_storage.h"

#define HAS_BYTES    16384 /* as catalog_own.has may have */
#define FREE_PORTION 16    /* what is free of a pool is told in so many parts of it */

void server_host_has_pools(struct server *s, const struct store_id *host,
                           const struct link_pool_state *pools, uint32_t n)
{
    struct server_storage_pool out[2 * SERVER_STORAGE_POOLS]; /* some may be of no use */
    size_t kept = 0;
    for (uint32_t i = 0; i < n && kept < ARRAY_LEN(out); i++) {
        const struct link_pool_state *p = &pools[i];
        bool online = p->state.v == LINK_POOL_STATE_STATE_ONLINE;
        out[kept++] = (struct server_storage_pool){
            .name = p->name.v,
            .location = p->location.is == API_VALUE ? p->location.v : "",
            .kind = API_POOL_KIND_LOCAL,
            .size_bytes = p->size_bytes.is == API_VALUE ? (uint64_t)p->size_bytes.v : 0,
            .free_bytes = p->free_bytes.is == API_VALUE ? (uint64_t)p->free_bytes.v : 0,
            .reason = online                      ? NULL
                      : p->reason.is == API_VALUE ? p->reason.v
                                                  : "it is offline",
        };
    }
    server_storage_pools_seen(s, host, out, kept);
}

/* ---- to the object ---- */

static uint32_t put_nodes(const struct link_inventory *inventory,
                          struct link_numa_node nodes[SCHED_NODES_MAX])
{
    uint32_t n = inventory->numa.is == API_VALUE ? MIN(inventory->numa.n, SCHED_NODES_MAX) : 0;
    for (uint32_t i = 0; i < n; i++) {
        nodes[i] = inventory->numa.v[i];
        nodes[i].hugepages_2m_free.is = API_ABSENT;
        nodes[i].hugepages_1g_free.is = API_ABSENT;
    }
    return n;
}

static uint32_t put_pools(const struct server_host *host,
                          struct link_pool_state pools[SERVER_STORAGE_POOLS])
{
    struct server_storage_pool have[SERVER_STORAGE_POOLS];
    size_t n = server_storage_pools_of(host->s, &host->id, have);
    for (size_t i = 0; i < n; i++) {
        int64_t size = (int64_t)have[i].size_bytes, part = MAX(size / FREE_PORTION, 1);
        pools[i] = (struct link_pool_state){
            .name = {API_VALUE, have[i].name},
            .location = {API_VALUE, have[i].location},
            .size_bytes = {API_VALUE, size},
            .free_bytes = {API_VALUE, (int64_t)have[i].free_bytes / part * part},
        };
        pools[i].state.is = API_VALUE;
        pools[i].state.v =
            have[i].reason ? LINK_POOL_STATE_STATE_OFFLINE : LINK_POOL_STATE_STATE_ONLINE;
        if (have[i].reason)
            pools[i].reason = (struct api_text){API_VALUE, have[i].reason};
    }
    return (uint32_t)n;
}

int server_host_has_note(const struct server_host *host, struct catalog_object *v)
{
    struct link_numa_node nodes[SCHED_NODES_MAX];
    struct link_pool_state pools[SERVER_STORAGE_POOLS];
    struct link_inventory has = {.numa = {API_VALUE, 0, nodes}, .pools = {API_VALUE, 0, pools}};
    struct api_buf b;
    if (!host->link || !host->inventory || !host->s->follow)
        return 0;
    has.numa.n = put_nodes(host->inventory, nodes);
    has.pools.n = put_pools(host, pools);
    api_buf_init(&b, HAS_BYTES);
    api_json_write(&link_types_inventory, &has, 0, NULL, &b);
    int r = 0;
    if (b.failed)
        LOG_LIMITED(LOG_WARN, "server", "host %s has too much to tell the other servers", v->name);
    else if (v->own->has.is != API_VALUE || strcmp(v->own->has.v, b.text) != 0)
        r = server_meta_text(v, &v->own->has, b.text);
    api_buf_fini(&b);
    return r;
}

/* ---- from the object ---- */

void server_host_has_take(struct server *s, struct catalog_slot *slot)
{
    struct server_host *host = slot->aux;
    const struct catalog_object *v = slot->now;
    const struct api_text *has = &v->own->has, *server = &v->own->server;
    char self[UUID_TEXT_BYTES];
    uuid_format(s->config.id.bytes, self);
    bool elsewhere = !host->link && has->is == API_VALUE && server->is == API_VALUE &&
                     strcmp(server->v, self) != 0;
    if (!elsewhere || host->has_seq == v->seq)
        return;
    struct api_refusal refusal;
    struct api_arena arena;
    struct link_inventory *inventory = NULL;
    api_problem_init(&refusal);
    api_arena_init(&arena, LINK_ARENA_BYTES);
    host->has_seq = v->seq;
    if (api_json_read(&link_types_inventory, has->v, strlen(has->v), API_JSON_LENIENT, &arena,
                      (void **)&inventory, &refusal)) {
        LOG_LIMITED(LOG_WARN, "server", "what host %s has cannot be read: %s", v->name,
                    refusal.detail);
        api_arena_fini(&arena);
        return;
    }
    api_arena_fini(&host->has_arena);
    host->has_arena = arena;
    host->has = inventory;
    if (inventory->pools.is == API_VALUE)
        server_host_has_pools(s, &host->id, inventory->pools.v, inventory->pools.n);
    server_host_changed(s, slot, v, v); /* its nodes */
}
