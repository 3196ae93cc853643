/* Pools: an object for each name that hosts report, its numbers added up when somebody looks; and
 * where something new is put. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_format.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

#define HOST_BUCKETS 4096

static const struct store_id nowhere;

/* A pool that is being written for the first time. */
struct server_storage_making {
    char name[64];
    struct server_storage_making *next;
};

/* ---- hosts ---- */

static struct server_storage_host **host_at(const struct server_storage *st,
                                            const struct store_id *id)
{
    /* Ids of version 7: their ends are random. */
    struct server_storage_host **at =
        &st->host_buckets[le32_read(id->bytes + sizeof(id->bytes) - 4) % HOST_BUCKETS];
    while (*at && memcmp(&(*at)->id, id, sizeof(*id)) != 0)
        at = &(*at)->next;
    return at;
}

static struct server_storage_host *host_find(const struct server_storage *st,
                                             const struct store_id *id)
{
    return st->host_buckets ? *host_at(st, id) : NULL;
}

static struct server_storage_host *host_get(struct server_storage *st, const struct store_id *id)
{
    if (!st->host_buckets &&
        !(st->host_buckets = calloc(HOST_BUCKETS, sizeof(struct server_storage_host *))))
        return NULL;
    struct server_storage_host **at = host_at(st, id), *h = *at;
    if (h || !(h = calloc(1, sizeof(*h))))
        return h;
    h->id = *id;
    h->next_host = st->hosts;
    st->hosts = *at = h;
    return h;
}

void server_storage_pool_fini(struct server_storage *st)
{
    for (struct server_storage_host *h = st->hosts, *next; h; h = next) {
        next = h->next_host;
        free(h);
    }
    for (struct server_storage_making *m = st->making, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    free(st->host_buckets);
}

static const struct api_host *host_doc(const struct server *s, const struct store_id *host)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, host);
    return slot ? slot->now->doc : NULL;
}

bool server_storage_host_exists(const struct server *s, const struct store_id *host)
{
    return host_doc(s, host) != NULL;
}

static int host_state(const struct api_host *doc)
{
    const struct api_host_status *status = doc->status.is == API_VALUE ? doc->status.v : NULL;
    return status && status->state.is == API_VALUE ? (int)status->state.v
                                                   : (int)API_HOST_STATUS_STATE_UP;
}

bool server_storage_host_lost(const struct server *s, const struct store_id *host)
{
    const struct api_host *doc = host_doc(s, host);
    int state = doc ? host_state(doc) : API_HOST_STATUS_STATE_FENCED;
    return state == API_HOST_STATUS_STATE_UNREACHABLE || state == API_HOST_STATUS_STATE_FENCED;
}

bool server_storage_host_up(const struct server *s, const struct store_id *host)
{
    const struct server_storage_host *h = host_find(s->storage, host);
    return h && h->n && !server_storage_host_lost(s, host);
}

/* ---- what hosts report ---- */

static struct catalog_slot *pool_named(const struct server *s, const char *name)
{
    struct catalog_slot *slot = catalog_find_text(s->catalog, CATALOG_POOL, &nowhere, name);
    return slot && !strcmp(slot->now->name, name) ? slot : NULL;
}

static void made(struct server_txn *t, int result)
{
    struct server_storage *st = t->s->storage;
    struct server_storage_making *m = t->ctx, **at = &st->making;
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
    if (result)
        log_line(LOG_WARN, "server",
                 "pool %s could not be written: it is tried again when a host "
                 "reports it",
                 m->name);
    free(m);
}

static int pool_fill(struct catalog_object *v, const struct server_storage_pool *pool)
{
    struct api_pool *doc = v->doc;
    doc->kind.is = API_VALUE;
    doc->kind.v = pool->kind;
    int r = server_meta_text(v, &doc->name, pool->name);
    if (!r)
        r = server_meta_text(v, &doc->location, pool->location[0] ? pool->location : "/");
    return r ? r : api_json_fill(&api_types_pool, doc, &v->arena);
}

/* The first host that has a pool of that name brings it into being. */
static void pool_make(struct server *s, const struct server_storage_pool *pool)
{
    struct server_storage *st = s->storage;
    for (struct server_storage_making *m = st->making; m; m = m->next)
        if (!strcmp(m->name, pool->name))
            return;
    struct store_id id = catalog_id(server_now_ms());
    struct server_storage_making *m = calloc(1, sizeof(*m));
    struct catalog_object *v = catalog_new(CATALOG_POOL, &id, &nowhere);
    struct server_txn *t = m && v ? server_txn_begin(s, NULL) : NULL;
    if (!t || pool_fill(v, pool)) {
        server_txn_abandon(t);
        catalog_unref(v);
        free(m);
        return;
    }
    snprintf(m->name, sizeof(m->name), "%s", pool->name);
    m->next = st->making;
    st->making = m;
    server_txn_put(t, NULL, v, false);
    if (server_txn_commit(t, made, m)) {
        st->making = m->next;
        free(m);
    }
}

static bool part_set(struct server_storage_part *part, const struct server_storage_pool *pool)
{
    if (!pool->name || !api_format_holds(API_FORMAT_NAME, pool->name, strlen(pool->name)) ||
        strlen(pool->name) >= sizeof(part->name) || pool->kind != API_POOL_KIND_LOCAL)
        return false;
    snprintf(part->name, sizeof(part->name), "%s", pool->name);
    snprintf(part->location, sizeof(part->location), "%s", pool->location ? pool->location : "");
    snprintf(part->reason, sizeof(part->reason), "%s", pool->reason ? pool->reason : "");
    part->size_gib = (int64_t)MIN(pool->size_bytes / GIB, UINT64_C(1000000000));
    part->free_gib = (int64_t)MIN(pool->free_bytes / GIB, (uint64_t)part->size_gib);
    return true;
}

void server_storage_pools_seen(struct server *s, const struct store_id *host,
                               const struct server_storage_pool *pools, size_t n)
{
    struct server_storage_host *h = host_get(s->storage, host);
    if (!h)
        return;
    bool was_up = h->n;
    h->n = 0;
    for (size_t i = 0; i < n && h->n < SERVER_STORAGE_POOLS; i++) {
        struct server_storage_part *part = &h->parts[h->n];
        if (!part_set(part, &pools[i])) {
            log_line(LOG_WARN, "server", "a host reports a pool that cannot be used: it is left");
            continue;
        }
        h->n++;
        if (!pool_named(s, part->name)) {
            struct server_storage_pool pool = {
                .name = part->name, .location = part->location, .kind = pools[i].kind};
            pool_make(s, &pool);
        }
    }
    if (!was_up && h->n)
        server_storage_settle_all(s, CATALOG_IMAGE, NULL);
}

size_t server_storage_pools_of(const struct server *s, const struct store_id *host,
                               struct server_storage_pool out[SERVER_STORAGE_POOLS])
{
    const struct server_storage_host *h = host_find(s->storage, host);
    for (unsigned i = 0; h && i < h->n; i++) {
        const struct server_storage_part *part = &h->parts[i];
        out[i] = (struct server_storage_pool){
            .name = part->name,
            .location = part->location,
            .kind = API_POOL_KIND_LOCAL,
            .size_bytes = (uint64_t)part->size_gib * GIB,
            .free_bytes = (uint64_t)part->free_gib * GIB,
            .reason = part->reason[0] ? part->reason : NULL,
        };
    }
    return h ? h->n : 0;
}

/* ---- where something is put ---- */

static bool id_matches(const struct api_text *text, const struct store_id *id)
{
    struct store_id have;
    return server_storage_id(text, &have) && !memcmp(&have, id, sizeof(have));
}

static bool host_fits(const struct server *s, const struct server_storage_place *p,
                      const struct server_storage_host *h)
{
    const struct api_host *doc = host_doc(s, &h->id);
    if (!doc)
        return false;
    if (!catalog_id_is_zero(&p->host))
        return !memcmp(&p->host, &h->id, sizeof(h->id));
    bool active = doc->mode.is != API_VALUE || doc->mode.v == API_HOST_MODE_ACTIVE;
    bool open = doc->dedicated_to.is != API_VALUE || id_matches(&doc->dedicated_to, &p->project);
    return active && open && !server_storage_host_lost(s, &h->id) &&
           (catalog_id_is_zero(&p->zone) || id_matches(&doc->zone, &p->zone));
}

/* GiB that may still be promised; negative: nothing new. */
static int64_t room(const struct server *s, const struct server_storage_place *p,
                    const struct server_storage_host *h, const struct server_storage_part *part,
                    struct store_id *id)
{
    const struct catalog_slot *slot = part->reason[0] ? NULL : pool_named(s, part->name);
    const struct api_pool *doc = slot ? slot->now->doc : NULL;
    if (!doc ||
        (!catalog_id_is_zero(&p->pool) && memcmp(&p->pool, &slot->now->id, sizeof(p->pool)) != 0) ||
        (doc->enabled.is == API_VALUE && !doc->enabled.v))
        return -1;
    const struct api_host *host = host_doc(s, &h->id);
    if (doc->zone.is == API_VALUE &&
        (host->zone.is != API_VALUE || strcmp(host->zone.v, doc->zone.v) != 0))
        return -1;
    double ratio = doc->overcommit_ratio.is == API_VALUE ? doc->overcommit_ratio.v : 1;
    *id = slot->now->id;
    return (int64_t)((double)part->size_gib * ratio) -
           server_storage_sum(s->storage, CATALOG_POOL, id, &h->id);
}

int server_storage_place(const struct server *s, struct server_storage_place *p,
                         char why[static 256])
{
    int64_t best = -1, most = -1;
    unsigned hosts = 0;
    bool fixed = !catalog_id_is_zero(&p->host);
    const struct server_storage_host *h =
        fixed ? host_find(s->storage, &p->host) : s->storage->hosts;
    for (; h; h = fixed ? NULL : h->next_host) {
        if (!h->n || !host_fits(s, p, h))
            continue;
        hosts++;
        for (unsigned i = 0; i < h->n; i++) {
            struct store_id id;
            int64_t has = room(s, p, h, &h->parts[i], &id);
            most = MAX(most, has);
            if (has < p->size_gib || has < 0)
                continue;
            bool there = p->image && server_image_on(s, &p->image->id, &h->id);
            has = there ? has + (INT64_MAX >> 1) : has; /* nothing to fetch */
            if (has <= best)
                continue;
            best = has;
            p->found_host = h->id;
            p->found_pool = id;
        }
    }
    if (best >= 0)
        return 0;
    if (!hosts)
        snprintf(why, 256, "%s",
                 fixed ? "its host does not answer or has no pool"
                       : "no host that may take it answers and has a pool");
    else if (most < 0)
        snprintf(why, 256, "no such pool of %u hosts is online and enabled", hosts);
    else
        snprintf(why, 256, "%lld GiB are asked for and the roomiest pool of %u hosts has %lld",
                 (long long)p->size_gib, hosts, (long long)most);
    return -ENOSPC;
}

/* ---- the objects ---- */

/* Adds up what hosts say of a pool. */
static void add_up(const struct server *s, const struct catalog_object *v,
                   struct api_pool_status *status)
{
    int64_t size = 0, used = 0;
    unsigned well = 0, ill = 0;
    const char *reason = "no host that answers has it";
    for (const struct server_storage_host *h = s->storage->hosts; h; h = h->next_host)
        for (unsigned i = 0; i < h->n && !server_storage_host_lost(s, &h->id); i++) {
            const struct server_storage_part *part = &h->parts[i];
            if (strcmp(part->name, v->name) != 0)
                continue;
            size += part->size_gib;
            used += part->size_gib - part->free_gib;
            well += !part->reason[0];
            ill += !!part->reason[0];
            reason = part->reason[0] ? part->reason : reason;
        }
    status->state.is = API_VALUE;
    status->state.v = !well ? API_POOL_STATUS_STATE_OFFLINE
                      : ill ? API_POOL_STATUS_STATE_DEGRADED
                            : API_POOL_STATUS_STATE_ONLINE;
    status->size_gib = (struct api_int){API_VALUE, size};
    status->used_gib = (struct api_int){API_VALUE, used};
    status->promised_gib =
        (struct api_int){API_VALUE, server_storage_sum(s->storage, CATALOG_POOL, &v->id, &nowhere)};
    status->reason = well && !ill ? (struct api_text){0} : (struct api_text){API_VALUE, reason};
}

static void refresh(struct server *s, const struct catalog_slot *slot)
{
    const struct api_pool *doc = slot->now->doc;
    struct api_pool_status status = {0};
    add_up(s, slot->now, &status);
    if (slot->writing || (doc->status.is == API_VALUE &&
                          api_json_equal(&api_types_pool_status, doc->status.v, &status)))
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    struct api_pool *next = v->doc;
    next->status.v = api_json_copy(&api_types_pool_status, &status, &v->arena);
    next->status.is = next->status.v ? API_VALUE : API_ABSENT;
    server_storage_show(s, slot, v);
}

static int pool_check(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_pool *doc = v->doc;
    struct catalog_slot *zone;
    (void)t;
    if (doc->kind.v != API_POOL_KIND_LOCAL)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "kind %s: no driver of this cloud offers it: use local",
                               api_types_pool_kind.names[doc->kind.v]);
    if (doc->encryption.is == API_VALUE && doc->encryption.v == API_POOL_ENCRYPTION_REQUIRED)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "encryption required: no driver of this cloud encrypts: use off");
    return server_storage_ref(c, v, CATALOG_ZONE, &doc->zone, "/zone", &zone);
}

static int pool_patched(struct server_call *c, struct server_txn *t,
                        const struct catalog_object *before, struct catalog_object *v)
{
    int r = pool_check(c, t, v);
    if (r || !strcmp(before->name, ((struct api_pool *)v->doc)->name.v))
        return r;
    if (server_storage_sum(c->s->storage, CATALOG_POOL, &before->id, &nowhere) > 0)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "pool %s holds volumes, and hosts know it by its name: keep it",
                               before->name);
    return 0;
}

static int pool_remove(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    (void)t;
    const char *id = v->id_text;
    const struct catalog_list *snapshots = catalog_all(c->s->catalog, CATALOG_SNAPSHOT);
    bool used = server_storage_sum(c->s->storage, CATALOG_POOL, &v->id, &nowhere) > 0;
    for (size_t i = 0; !used && i < snapshots->n; i++) {
        const char *pool = server_storage_value(&snapshots->slots[i]->now->own->pool);
        used = pool && !strcmp(pool, id);
    }
    if (used)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "pool %s holds volumes or snapshots: delete them first", v->name);
    for (const struct server_storage_host *h = c->s->storage->hosts; h; h = h->next_host)
        for (unsigned i = 0; i < h->n; i++)
            if (!strcmp(h->parts[i].name, v->name))
                return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                       "pool %s is reported by a host: take it from its agent's "
                                       "configuration first, or disable it",
                                       v->name);
    return 0;
}

static const struct server_resource pool = {
    .kind = CATALOG_POOL, .create = pool_check, .patch = pool_patched, .remove = pool_remove};

int server_storage_pool_create(struct server_call *c)
{
    return server_resource_create(c, &pool);
}

int server_storage_pool_get(struct server_call *c)
{
    const struct catalog_slot *slot = server_call_object(c, CATALOG_POOL, 0);
    if (slot)
        refresh(c->s, slot);
    return server_resource_get(c, &pool);
}

int server_storage_pool_list(struct server_call *c)
{
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_POOL);
    for (size_t i = 0; i < list->n; i++)
        refresh(c->s, list->slots[i]);
    return server_resource_list(c, &pool);
}

int server_storage_pool_patch(struct server_call *c)
{
    return server_resource_patch(c, &pool);
}

int server_storage_pool_delete(struct server_call *c)
{
    return server_resource_delete(c, &pool);
}
