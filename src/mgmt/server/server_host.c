/* Hosts: from objects to the scheduler's snapshot, from what agents say to objects. */
#include "mgmt/server/server_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_host_empty.h"
#include "mgmt/server/server_host_has.h"
#include "mgmt/server/server_host_status.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_numbers.h"
#include "mgmt/server/server_peer.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_vm.h"

#define LEASE_NS    (INT64_C(20) * 1000000000)
#define NUMBERS_MAX 65535

struct server_hosts {
    struct server *s;
    struct sched *sched;
    struct server_host **by_number;
    uint32_t n_numbers;
    struct server_numbers zones, racks, traits, projects;
};

struct server_hosts *server_hosts_create(struct server *s)
{
    struct server_hosts *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->s = s;
    h->sched = s->sched;
    return h;
}

static void free_host(struct server_host *host)
{
    if (!host)
        return;
    api_arena_fini(&host->arena);
    api_arena_fini(&host->has_arena);
    free(host);
}

void server_hosts_destroy(struct server_hosts *h)
{
    if (!h)
        return;
    const struct catalog_list *all = catalog_all(h->s->catalog, CATALOG_HOST);
    for (size_t i = 0; i < all->n; i++) {
        struct server_host *host = all->slots[i]->aux;
        free_host(host);
    }
    server_numbers_fini(&h->zones);
    server_numbers_fini(&h->racks);
    server_numbers_fini(&h->traits);
    server_numbers_fini(&h->projects);
    free(h->by_number);
    free(h);
}

uint32_t server_host_zone_number(struct server *s, const struct store_id *zone)
{
    return server_numbers_of_id(&s->hosts->zones, zone, SCHED_ZONES_MAX - 1, false);
}

bool server_host_trait(struct server *s, const char *name, uint64_t bits[SCHED_LABEL_WORDS])
{
    uint32_t n = server_numbers_of(&s->hosts->traits, name, SCHED_LABELS_MAX, false);
    if (!n)
        return false;
    bits[(n - 1) / 64] |= UINT64_C(1) << (n - 1) % 64;
    return true;
}

/* As add_aggregates() numbers them: in the order of their ids, anew whenever one comes or goes. */
bool server_host_aggregate(struct server *s, const struct store_id *aggregate,
                           uint64_t bits[SCHED_LABEL_WORDS])
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_AGGREGATE);
    for (size_t i = 0; i < all->n && i < SCHED_LABELS_MAX; i++)
        if (!memcmp(&all->slots[i]->now->id, aggregate, sizeof(*aggregate))) {
            bits[i / 64] |= UINT64_C(1) << i % 64;
            return true;
        }
    return false;
}

uint32_t server_host_project_number(struct server *s, const struct store_id *project)
{
    /* One that no host is dedicated to has no number: none of theirs is equal. */
    uint32_t n = server_numbers_of_id(&s->hosts->projects, project, NUMBERS_MAX, false);
    return n ? n : UINT32_MAX;
}

struct server_host *server_host_find(struct server *s, const struct store_id *id)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, id);
    return slot ? slot->aux : NULL;
}

struct server_host *server_host_numbered(struct server *s, uint32_t number)
{
    return number < s->hosts->n_numbers ? s->hosts->by_number[number] : NULL;
}

void server_host_generation(struct server *s, const struct store_id *id, uint64_t generation)
{
    struct server_host *host = server_host_find(s, id);
    /* While claims are under way it may be theirs; and what it is, the store says to the next. */
    if (!host || generation <= host->committed || host->in_flight)
        return;
    host->committed = generation;
    server_claim_generation(s, host);
}

/* ---- the scheduler's view ---- */

static void add_traits(struct server_hosts *h, const struct api_texts *traits,
                       struct sched_host *spec)
{
    for (uint32_t i = 0; traits->is == API_VALUE && i < traits->n; i++) {
        uint32_t n = server_numbers_of(&h->traits, traits->v[i], SCHED_LABELS_MAX, true);
        if (n)
            spec->traits[(n - 1) / 64] |= UINT64_C(1) << (n - 1) % 64;
    }
}

static uint32_t percent(const struct api_number *ratio, uint32_t otherwise)
{
    if (ratio->is != API_VALUE)
        return otherwise;
    return (uint32_t)(ratio->v * 100 + 0.5);
}

static void set_ratios(struct sched_host *spec, const struct api_overcommit *o)
{
    spec->cpu_ratio_percent = percent(&o->vcpu_ratio, spec->cpu_ratio_percent);
    spec->memory_ratio_percent = percent(&o->memory_ratio, spec->memory_ratio_percent);
    spec->disk_ratio_percent = percent(&o->disk_ratio, spec->disk_ratio_percent);
}

static void add_ratios(struct server *s, const struct api_host *doc, struct sched_host *spec)
{
    static const struct store_id nobody;
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &nobody);
    const struct api_settings *settings = slot ? slot->now->doc : NULL;
    spec->cpu_ratio_percent = 400;
    spec->memory_ratio_percent = spec->disk_ratio_percent = 100;
    if (settings && settings->overcommit.is == API_VALUE)
        set_ratios(spec, settings->overcommit.v);
    if (doc->overcommit.is == API_VALUE)
        set_ratios(spec, doc->overcommit.v);
}

static bool in_aggregate(const struct api_aggregate *a, const struct catalog_object *host)
{
    for (uint32_t i = 0; a->hosts.is == API_VALUE && i < a->hosts.n; i++)
        if (!strcmp(a->hosts.v[i], host->id_text) || !strcmp(a->hosts.v[i], host->name))
            return true;
    return false;
}

/* An aggregate's traits, and its ratios where the host has none of its own: the smallest counts. */
static void add_aggregates(struct server_hosts *h, const struct catalog_object *host,
                           struct sched_host *spec)
{
    const struct catalog_list *all = catalog_all(h->s->catalog, CATALOG_AGGREGATE);
    const struct api_host *doc = host->doc;
    bool own = doc->overcommit.is == API_VALUE, first = true;
    for (size_t i = 0; i < all->n; i++) {
        const struct api_aggregate *a = all->slots[i]->now->doc;
        if (!in_aggregate(a, host))
            continue;
        add_traits(h, &a->traits, spec);
        if (i < SCHED_LABELS_MAX)
            spec->aggregates[i / 64] |= UINT64_C(1) << i % 64;
        if (own || a->overcommit.is != API_VALUE)
            continue;
        struct sched_host other = *spec;
        set_ratios(&other, a->overcommit.v);
        if (first || other.cpu_ratio_percent < spec->cpu_ratio_percent)
            spec->cpu_ratio_percent = other.cpu_ratio_percent;
        if (first || other.memory_ratio_percent < spec->memory_ratio_percent)
            spec->memory_ratio_percent = other.memory_ratio_percent;
        if (first || other.disk_ratio_percent < spec->disk_ratio_percent)
            spec->disk_ratio_percent = other.disk_ratio_percent;
        first = false;
    }
}

static uint32_t count(const struct api_int *v)
{
    return v->is == API_VALUE ? (uint32_t)v->v : 0;
}

static enum sched_state sched_state_of(struct server *s, const struct api_host *doc)
{
    static const struct store_id nobody;
    const struct catalog_slot *zone =
        doc->zone.is == API_VALUE
            ? catalog_find_text(s->catalog, CATALOG_ZONE, &nobody, doc->zone.v)
            : NULL;
    const struct api_zone *zone_doc = zone ? zone->now->doc : NULL;
    if (doc->status.is != API_VALUE || doc->status.v->state.v != API_HOST_STATUS_STATE_UP)
        return SCHED_DOWN;
    if (doc->mode.is == API_VALUE && doc->mode.v != API_HOST_MODE_ACTIVE)
        return SCHED_DRAINING;
    if (zone_doc && zone_doc->enabled.is == API_VALUE && !zone_doc->enabled.v)
        return SCHED_DRAINING;
    return SCHED_ENABLED;
}

static void add_place(struct server_hosts *h, const struct api_host *doc, struct sched_host *spec)
{
    static const struct store_id nobody;
    struct server *s = h->s;
    const struct catalog_slot *slot;
    if (doc->zone.is == API_VALUE) {
        slot = catalog_find_text(s->catalog, CATALOG_ZONE, &nobody, doc->zone.v);
        if (slot)
            spec->zone = server_numbers_of_id(&h->zones, &slot->now->id, SCHED_ZONES_MAX - 1, true);
    }
    if (doc->rack.is == API_VALUE)
        spec->rack = server_numbers_of(&h->racks, doc->rack.v, SCHED_RACKS_MAX - 1, true);
    if (doc->dedicated_to.is == API_VALUE) {
        slot = catalog_find_text(s->catalog, CATALOG_PROJECT, &nobody, doc->dedicated_to.v);
        spec->project = slot ? server_numbers_of_id(&h->projects, &slot->now->id, NUMBERS_MAX, true)
                             : NUMBERS_MAX;
    }
}

static void add_nodes(const struct server_host *host, struct sched_host *spec)
{
    const struct link_inventory *inventory = host->has && !host->link ? host->has : host->inventory;
    if (!inventory || inventory->numa.is != API_VALUE)
        return;
    spec->n_nodes = MIN(inventory->numa.n, (uint32_t)SCHED_NODES_MAX);
    for (unsigned i = 0; i < spec->n_nodes; i++) {
        const struct link_numa_node *node = &inventory->numa.v[i];
        spec->nodes[i] = (struct sched_node){
            .cores = node->cpus.is == API_VALUE ? node->cpus.n : 0,
            .memory_mib = count(&node->memory_mib),
            .pages_2m = count(&node->hugepages_2m),
            .pages_1g = count(&node->hugepages_1g),
        };
    }
}

static void spec_of(struct server_hosts *h, const struct server_host *host,
                    const struct catalog_object *v, struct sched_host *spec)
{
    const struct api_host *doc = v->doc;
    *spec = (struct sched_host){.generation = (uint32_t)(host->committed + host->in_flight)};
    if (doc->status.is == API_VALUE) {
        spec->cores = count(&doc->status.v->cpus);
        spec->memory_mib = count(&doc->status.v->memory_mib);
        spec->disk_gib = count(&doc->status.v->disk_gib);
    }
    spec->reserved_cores = MIN(count(&doc->reserved_vcpus), spec->cores);
    spec->reserved_memory_mib = MIN(count(&doc->reserved_memory_mib), spec->memory_mib);
    spec->state = sched_state_of(h->s, doc);
    add_place(h, doc, spec);
    add_traits(h, &doc->traits, spec);
    add_ratios(h->s, doc, spec);
    add_aggregates(h, v, spec);
    add_nodes(host, spec);
}

static int remember_number(struct server_hosts *h, struct server_host *host)
{
    if (host->number >= h->n_numbers) {
        uint32_t n = MAX(host->number + 1, h->n_numbers * 2);
        struct server_host **by_number =
            reallocarray(h->by_number, n, sizeof(struct server_host *));
        if (!by_number)
            return -ENOMEM;
        memset(by_number + h->n_numbers, 0, (n - h->n_numbers) * sizeof(struct server_host *));
        h->by_number = by_number;
        h->n_numbers = n;
    }
    h->by_number[host->number] = host;
    return 0;
}

/* NUMA nodes of which VMs hold something stay, whatever the host says: its state counts too. */
static int update(struct server_hosts *h, const struct server_host *host, struct sched_host *spec,
                  struct err *err)
{
    int r = sched_update(h->sched, host->number, spec, err);
    if (r != -EBUSY)
        return r;
    const struct sched_host *now = sched_host(h->sched, host->number);
    spec->n_nodes = now->n_nodes;
    memcpy(spec->nodes, now->nodes, sizeof(spec->nodes));
    return sched_update(h->sched, host->number, spec, err);
}

static void update_sched(struct server_hosts *h, struct server_host *host,
                         const struct catalog_object *v)
{
    struct sched_host spec;
    struct err err = {0};
    spec_of(h, host, v, &spec);
    int r;
    if (host->in_sched) {
        r = update(h, host, &spec, &err);
    } else {
        r = sched_add(h->sched, &spec, &host->number, &err);
        host->in_sched = !r;
        if (!r && remember_number(h, host)) {
            sched_remove(h->sched, host->number, NULL);
            host->in_sched = false;
        }
    }
    if (r)
        log_line(LOG_WARN, "server", "host %s cannot be placed on: %s", v->name, err.msg);
    else
        server_claim_adopt(h->s, &host->id);
}

static void forget(struct server_hosts *h, struct catalog_slot *slot)
{
    struct server_host *host = slot->aux;
    if (!host)
        return;
    if (host->link)
        server_link_end(host->link, "the host was removed");
    if (host->in_sched) {
        struct sched_host gone = *sched_host(h->sched, host->number);
        gone.state = SCHED_DOWN;
        h->by_number[host->number] = NULL;
        if (sched_remove(h->sched, host->number, NULL)) /* claims are on their way to it */
            (void)sched_update(h->sched, host->number, &gone, NULL);
    }
    free_host(host);
    slot->aux = NULL;
}

static void host_changed(struct server_hosts *h, struct catalog_slot *slot)
{
    struct server_host *host = slot->aux;
    if (!host) {
        host = calloc(1, sizeof(*host));
        if (!host)
            return;
        host->s = h->s;
        host->id = slot->now->id;
        host->heard_ns = clock_now_ns();
        api_arena_init(&host->arena, LINK_ARENA_BYTES);
        api_arena_init(&host->has_arena, LINK_ARENA_BYTES);
        slot->aux = host;
    }
    update_sched(h, host, slot->now);
}

static int host_state(const struct catalog_object *v)
{
    const struct api_host *doc = v->doc;
    return doc->status.is == API_VALUE ? (int)doc->status.v->state.v : -1;
}

bool server_host_lost(struct server *s, const struct store_id *id)
{
    const struct catalog_slot *slot =
        catalog_id_is_zero(id) ? NULL : catalog_find(s->catalog, CATALOG_HOST, id);
    int state = slot ? host_state(slot->now) : API_HOST_STATUS_STATE_FENCED;
    return state == API_HOST_STATUS_STATE_FENCED || state == API_HOST_STATUS_STATE_UNREACHABLE;
}

bool server_host_fenced(struct server *s, const struct store_id *id)
{
    const struct catalog_slot *slot =
        catalog_id_is_zero(id) ? NULL : catalog_find(s->catalog, CATALOG_HOST, id);
    return !slot || host_state(slot->now) == API_HOST_STATUS_STATE_FENCED;
}

void server_host_changed(struct server *s, struct catalog_slot *slot,
                         const struct catalog_object *before, const struct catalog_object *after)
{
    struct server_hosts *h = s->hosts;
    if (before && !after && before->kind == CATALOG_HOST) {
        forget(h, slot);
        server_reservation_host_changed(s, &before->id);
        return;
    }
    if (slot->now->kind == CATALOG_HOST) {
        host_changed(h, slot);
        if (before && after && host_state(before) != host_state(after))
            server_vm_host_changed(s, &after->id);
        return;
    }
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_HOST);
    for (size_t i = 0; i < all->n; i++)
        host_changed(h, all->slots[i]);
}

/* ---- what agents say ---- */

static void settled(struct server_txn *t, int result)
{
    struct server_host *host = server_host_find(t->s, t->ctx);
    if (host && !result)
        host->tried = false;
}

/* Where there are several servers it matters to which one a host is connected. */
static int note_server(const struct server_host *host, struct catalog_object *v)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(host->s->config.id.bytes, text);
    if (!host->link || !host->s->follow ||
        (v->own->server.is == API_VALUE && !strcmp(v->own->server.v, text)))
        return 0;
    return server_meta_text(v, &v->own->server, text);
}

/* It is connected to another server, which hears it and lives: its lease is that one's business. */
static bool is_elsewhere(const struct server_host *host, const struct catalog_object *v,
                         int64_t now_ns)
{
    return !host->link && v->own->server.is == API_VALUE &&
           server_peer_lives(host->s, v->own->server.v, now_ns);
}

void server_host_settle(struct server *s, struct catalog_slot *slot)
{
    struct server_host *host = slot->aux;
    if (!host || slot->writing || host->tried)
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    if (server_host_status_fill(host, v) || note_server(host, v) || server_host_has_note(host, v) ||
        (api_json_equal(&api_types_host, v->doc, slot->now->doc) &&
         api_json_equal(&catalog_own_type, v->own, slot->now->own))) {
        catalog_unref(v);
        return;
    }
    struct server_txn *t = server_txn_begin(s, NULL);
    struct store_id *id = t ? api_arena_alloc(&t->arena, sizeof(*id)) : NULL;
    if (!id) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    if (host->link && server_host_status_heard(v))
        t->failed = -ENOMEM;
    *id = host->id;
    host->tried = true; /* if it fails, not at once again */
    server_txn_put(t, slot, v, false);
    (void)server_txn_commit(t, settled, id);
}

void server_host_tick(struct server *s)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_HOST);
    int64_t now_ns = clock_now_ns();
    for (size_t i = 0; i < all->n; i++) {
        struct catalog_slot *slot = all->slots[i];
        struct server_host *host = slot->aux;
        if (!host)
            continue;
        server_host_empty_step(s, slot);
        server_host_has_take(s, slot);
        bool ended = now_ns - host->heard_ns > LEASE_NS && !is_elsewhere(host, slot->now, now_ns);
        if (ended && host->link)
            server_link_end(host->link, "nothing was heard for too long");
        if (ended && !host->lease_ended)
            server_vm_host_changed(s, &host->id);
        if (ended || host->lease_ended || host->tried) {
            host->lease_ended = ended;
            host->tried = false;
            server_host_settle(s, slot);
        }
    }
    (void)fault_point("server_host.tick.done");
}
