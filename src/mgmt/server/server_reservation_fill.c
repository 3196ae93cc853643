/* Where a reservation's places go, and when: it begins, ends, grows and shrinks; places on hosts
 * that take no VMs any more are placed anew.
 *
 * A fill works on a copy of the list, decides place by place with each one claimed in its
 * transaction, and writes the result into the version. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/util.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_usage.h"

#define HOSTS_SHOWN_MAX 1000 /* api/placement.yaml */

struct fill {
    struct server_txn *t;
    struct catalog_object *v;
    struct api_reservation *doc;
    struct server_reservation_list list;
    struct sched_request request;
    struct sched_result result;
    bool no_room;
    int failed;
};

/* Whether VMs can go there. */
static bool is_good(struct server *s, const struct store_id *id)
{
    const struct server_host *host = server_host_find(s, id);
    return host && host->in_sched && sched_host(s->sched, host->number)->state == SCHED_ENABLED;
}

static uint32_t gone(const struct server_reservation_place *p)
{
    return p->used + p->taking;
}

static uint32_t left(const struct server_reservation_place *p)
{
    return p->places > gone(p) ? p->places - gone(p) : 0;
}

static uint32_t sum_places(const struct server_reservation_list *list)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < list->n; i++)
        n += list->at[i].places;
    return n;
}

/* ---- requests ---- */

const char *server_reservation_request(struct server *s, const struct catalog_object *v,
                                       struct sched_request *request, const char **which)
{
    static const struct api_flavor plain;
    const struct api_reservation *doc = v->doc;
    const struct catalog_slot *flavor = catalog_find_id(s->catalog, CATALOG_FLAVOR, doc->flavor.v);
    struct store_id aggregate;
    *request = (struct sched_request){.count = 1};
    server_reservation_need(v, &request->need);
    const char *what = server_place_labels(s, &v->project, &doc->zone,
                                           flavor ? flavor->now->doc : &plain, request, which);
    if (what || doc->aggregate.is != API_VALUE)
        return what;
    *which = doc->aggregate.v;
    return !catalog_id_parse(doc->aggregate.v, &aggregate) &&
                   server_host_aggregate(s, &aggregate, request->in_aggregates)
               ? NULL
               : "is in the aggregate";
}

void server_reservation_size(struct catalog_object *v, const struct api_flavor *flavor)
{
    v->own->vcpus = flavor->vcpus;
    v->own->memory_mib = flavor->memory_mib;
    v->own->disk_gib = flavor->disk_gib;
    v->own->hugepages = flavor->hugepages;
    v->own->cpu_policy = (struct api_int){API_VALUE, SCHED_SHARED};
    if (flavor->cpu_policy.is == API_VALUE &&
        flavor->cpu_policy.v == API_FLAVOR_CPU_POLICY_DEDICATED)
        v->own->cpu_policy.v = SCHED_DEDICATED;
}

/* ---- filling ---- */

static bool raised(const struct fill *f, const struct store_id *host)
{
    for (uint32_t i = server_reservation_seek(&f->list, host, 0);
         i < f->list.n && !memcmp(&f->list.at[i].host, host, sizeof(*host)); i++)
        if (f->list.at[i].raises)
            return true;
    return false;
}

/* One more place; false: there is no room, or something failed. */
static bool place_one(struct fill *f)
{
    struct server *s = f->t->s;
    uint64_t seed = (s->n_requests << 16) ^ f->list.n;
    if (f->no_room || f->failed)
        return false;
    f->no_room = sched_place(s->sched, &f->request, seed, &f->result, NULL) != 0;
    if (f->no_room)
        return false;
    const struct sched_choice *choice = &f->result.chosen[0];
    const struct server_host *host = server_host_numbered(s, choice->host);
    bool first = host && !raised(f, &host->id);
    f->failed = host ? server_claim_room(f->t, &f->request.need, choice, first) : -EAGAIN;
    struct server_reservation_place *p =
        f->failed ? NULL : server_reservation_entry(&f->list, &host->id, choice->nodes);
    if (!p) {
        f->failed = f->failed ? f->failed : -ENOMEM;
        return false;
    }
    p->raises |= first;
    p->places++;
    return true;
}

/* Places of hosts that are gone; VMs that have taken more than there were. */
static void put_right(struct fill *f)
{
    for (uint32_t i = 0; i < f->list.n; i++) {
        struct server_reservation_place *p = &f->list.at[i];
        if (!server_host_find(f->t->s, &p->host))
            p->places = p->used = p->taking = 0;
        p->places = MAX(p->places, gone(p));
    }
}

/* Takes up to n free places away, of hosts where no VM can go, or of any. */
static uint32_t take_away(struct fill *f, uint32_t n, bool bad)
{
    for (uint32_t i = 0; i < f->list.n && n; i++) {
        struct server_reservation_place *p = &f->list.at[i];
        uint32_t less = MIN(n, left(p));
        if (bad && is_good(f->t->s, &p->host))
            continue;
        p->places -= less;
        n -= less;
    }
    return n;
}

/* Free places where no VM can go are placed anew, as far as there is room. */
static void move_away(struct fill *f)
{
    for (uint32_t i = 0; i < f->list.n; i++) {
        const struct store_id host = f->list.at[i].host;
        const uint8_t nodes = f->list.at[i].nodes;
        if (is_good(f->t->s, &host))
            continue;
        for (uint32_t n = left(&f->list.at[i]); n && place_one(f); n--) {
            struct server_reservation_place *p = server_reservation_find(&f->list, &host, nodes);
            p->places--;
            i = (uint32_t)(p - f->list.at); /* a new one may have come before it */
        }
    }
}

/* ---- what the version says ---- */

static int write_places(struct fill *f)
{
    struct catalog_object *v = f->v;
    const char **texts = api_arena_array(&v->arena, f->list.n, sizeof(*texts));
    uint32_t n = 0;
    for (uint32_t i = 0; texts && i < f->list.n; i++) {
        const struct server_reservation_place *p = &f->list.at[i];
        char id[UUID_TEXT_BYTES], text[64];
        if (!p->places)
            continue;
        uuid_format(p->host.bytes, id);
        int bytes = snprintf(text, sizeof(text), "%s %u %u", id, p->nodes, p->places);
        texts[n] = api_arena_text(&v->arena, text, (size_t)bytes);
        if (!texts[n++])
            return -ENOMEM;
    }
    v->own->places = (struct api_texts){n ? API_VALUE : API_ABSENT, n, texts};
    return texts ? 0 : -ENOMEM;
}

static void meter(struct server_txn *t, struct catalog_object *v, uint32_t before, uint32_t places)
{
    const struct api_reservation *doc = v->doc;
    const struct server_usage_rate rate = {API_USAGE_RECORD_METER_RESERVATION_TIME,
                                           (int64_t)places * v->own->vcpus.v};
    if (places && places != before)
        server_usage_open(t, v, &rate, 1, doc->flavor.v);
    else if (!places && before)
        server_usage_close(t, v);
}

/* One host of the list's at `i`, added to what is shown; returns where the next one begins. */
static uint32_t show_host(struct server *s, struct catalog_object *v,
                          const struct server_reservation_list *list, uint32_t i)
{
    struct api_reservation_status *status = ((struct api_reservation *)v->doc)->status.v;
    const struct store_id id = list->at[i].host;
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, &id);
    int64_t places = 0, used = 0;
    bool good = is_good(s, &id);
    for (; i < list->n && !memcmp(&list->at[i].host, &id, sizeof(id)); i++) {
        places += list->at[i].places;
        used += gone(&list->at[i]);
        status->held.v += good ? left(&list->at[i]) : 0;
    }
    status->used.v += used;
    if ((!places && !used) || !slot || status->hosts.n == HOSTS_SHOWN_MAX)
        return i;
    struct api_reservation_host *h = &status->hosts.v[status->hosts.n++];
    *h = (struct api_reservation_host){.places = {API_VALUE, places}, .used = {API_VALUE, used}};
    if (server_meta_text(v, &h->host, slot->now->id_text) ||
        server_meta_text(v, &h->name, slot->now->name))
        status->hosts.n--;
    return i;
}

static int show(struct server *s, struct catalog_object *v,
                const struct server_reservation_list *list)
{
    struct api_reservation_status *status = ((struct api_reservation *)v->doc)->status.v;
    uint32_t n = MIN(list->n, (uint32_t)HOSTS_SHOWN_MAX);
    status->held = status->used = (struct api_int){API_VALUE, 0};
    status->hosts.v = api_arena_array(&v->arena, n, sizeof(*status->hosts.v));
    status->hosts.n = 0;
    if (!status->hosts.v)
        return -ENOMEM;
    for (uint32_t i = 0; i < list->n;)
        i = show_host(s, v, list, i);
    status->hosts.is = status->hosts.n ? API_VALUE : API_ABSENT;
    return 0;
}

static int set_state(struct fill *f)
{
    struct api_reservation_status *status = f->doc->status.v;
    int64_t lacks = f->doc->count.v - status->held.v - status->used.v;
    char text[160];
    status->state.is = API_VALUE;
    status->state.v = API_RESERVATION_STATUS_STATE_ACTIVE;
    status->reason = (struct api_text){API_ABSENT, NULL};
    if (lacks <= 0)
        return 0;
    status->state.v = API_RESERVATION_STATUS_STATE_PARTIAL;
    snprintf(text, sizeof(text), "%lld of %lld places are not kept: no host has room for them",
             (long long)lacks, (long long)f->doc->count.v);
    return server_meta_text(f->v, &status->reason, text);
}

/* ---- one fill ---- */

static int fill_init(struct fill *f, struct server_txn *t, struct catalog_object *v,
                     const struct server_reservation *aux)
{
    const char *which;
    f->t = t;
    f->v = v;
    f->doc = v->doc;
    const struct catalog_slot *flavor =
        catalog_find_id(t->s->catalog, CATALOG_FLAVOR, f->doc->flavor.v);
    if (v->own->vcpus.is != API_VALUE && flavor) /* from before it was kept */
        server_reservation_size(v, flavor->now->doc);
    f->list = (struct server_reservation_list){0};
    f->failed = 0;
    f->no_room = server_reservation_request(t->s, v, &f->request, &which) != NULL;
    for (uint32_t i = 0; aux && i < aux->list.n; i++) {
        const struct server_reservation_place *from = &aux->list.at[i];
        struct server_reservation_place *p =
            server_reservation_entry(&f->list, &from->host, from->nodes);
        if (!p)
            return -ENOMEM;
        p->places = from->places;
        p->used = from->used;
        p->taking = from->taking;
    }
    return 0;
}

static int fill(struct fill *f, uint32_t *lacks)
{
    uint32_t count = (uint32_t)f->doc->count.v, before = sum_places(&f->list);
    put_right(f);
    uint32_t places = sum_places(&f->list);
    if (places > count) {
        uint32_t rest = take_away(f, places - count, true);
        take_away(f, rest, false);
    }
    move_away(f);
    places = sum_places(&f->list);
    while (places < count && place_one(f))
        places++;
    *lacks = places < count ? count - places : 0;
    if (f->failed)
        return f->failed;
    meter(f->t, f->v, before, places);
    int r = write_places(f);
    if (!r)
        r = show(f->t->s, f->v, &f->list);
    return r ? r : set_state(f);
}

int server_reservation_fill(struct server_txn *t, struct catalog_object *v,
                            const struct server_reservation *aux, uint32_t *lacks)
{
    struct fill *f = api_arena_alloc(&t->arena, sizeof(*f));
    int r = f ? fill_init(f, t, v, aux) : -ENOMEM;
    if (!r)
        r = fill(f, lacks);
    if (f)
        free(f->list.at);
    return r;
}

void server_reservation_end(struct server_txn *t, struct catalog_object *v)
{
    struct api_reservation_status *status = ((struct api_reservation *)v->doc)->status.v;
    server_usage_close(t, v);
    v->own->places = (struct api_texts){API_ABSENT, 0, NULL};
    status->state.v = API_RESERVATION_STATUS_STATE_ENDED;
    status->reason = (struct api_text){API_ABSENT, NULL};
    status->held = status->used = (struct api_int){API_VALUE, 0};
    status->hosts.is = API_ABSENT;
    status->hosts.n = 0;
}

/* As progress of operations: another version of the same write, which is not stored. */
void server_reservation_show(struct server *s, struct catalog_slot *slot)
{
    struct server_reservation *r = slot->aux;
    const struct api_reservation *doc = slot->now->doc;
    if (!r || !r->stale || doc->status.is != API_VALUE ||
        doc->status.v->state.v == API_RESERVATION_STATUS_STATE_PENDING ||
        doc->status.v->state.v == API_RESERVATION_STATUS_STATE_ENDED)
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    v->seq = slot->now->seq;
    if (show(s, v, &r->list) || catalog_seal(v)) {
        catalog_unref(v);
        return;
    }
    r->stale = false;
    catalog_publish(s->catalog, v);
}

/* ---- by themselves ---- */

static int64_t time_of(const struct api_text *text, int64_t otherwise)
{
    int64_t ms;
    return text->is == API_VALUE && !server_meta_parse_time(text->v, &ms) ? ms : otherwise;
}

/* Whether places are missing, too many, or where no VM can go. Cheap. */
static bool is_wrong(struct server *s, const struct api_reservation *doc,
                     const struct server_reservation *r)
{
    int64_t places = 0;
    for (uint32_t i = 0; i < r->list.n; i++) {
        const struct server_reservation_place *p = &r->list.at[i];
        places += p->places;
        if (gone(p) > p->places || (left(p) && !is_good(s, &p->host)))
            return true;
    }
    return places != doc->count.v || doc->status.v->state.v != API_RESERVATION_STATUS_STATE_ACTIVE;
}

static bool is_over(const struct api_reservation *doc)
{
    return time_of(&doc->ends_at, INT64_MAX) <= server_now_ms();
}

/* Whether there is something to do, as far as that is known without doing it. */
static bool due(struct server *s, const struct catalog_slot *slot)
{
    const struct api_reservation *doc = slot->now->doc;
    return slot->aux && !slot->writing && doc->status.is == API_VALUE &&
           doc->status.v->state.v != API_RESERVATION_STATUS_STATE_ENDED &&
           time_of(&doc->starts_at, 0) <= server_now_ms() &&
           (is_over(doc) || is_wrong(s, doc, slot->aux));
}

/* Whether there is something to write. */
static bool change(struct server_txn *t, const struct catalog_slot *slot, struct catalog_object *v)
{
    const struct api_reservation *doc = slot->now->doc;
    const struct api_reservation_status *was = doc->status.v, *status;
    uint32_t lacks;
    if (is_over(doc)) {
        server_reservation_end(t, v);
        return true;
    }
    if (server_reservation_fill(t, v, slot->aux, &lacks))
        return false;
    status = ((struct api_reservation *)v->doc)->status.v;
    return !api_json_equal(&catalog_own_type, v->own, slot->now->own) ||
           status->state.v != was->state.v ||
           status->held.v + status->used.v != was->held.v + was->used.v;
}

static void settled(struct server_txn *t, int result)
{
    (void)t, (void)result; /* the next tick looks again */
    (void)fault_point("server_reservation.settle.done");
}

static void settle(struct server *s, struct catalog_slot *slot)
{
    struct catalog_object *v = catalog_copy(slot->now);
    struct server_txn *t = v ? server_txn_begin(s, NULL) : NULL;
    if (!t || !change(t, slot, v)) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    server_txn_put(t, slot, v, false);
    (void)fault_point("server_reservation.settle.begin");
    (void)server_txn_commit(t, settled, NULL);
}

void server_reservation_tick(struct server *s)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_RESERVATION);
    for (size_t i = 0; i < all->n; i++)
        if (due(s, all->slots[i]))
            settle(s, all->slots[i]);
}
