/* Placement: from a VM's document to a request, from the scheduler's answer to an explanation.
 * Claims are server_claim.c's. */
#include "mgmt/server/server_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_reservation.h"

/* ---- requests ---- */

static enum sched_policy policy_of(struct server *s)
{
    static const struct store_id nobody;
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &nobody);
    const struct api_settings *settings = slot ? slot->now->doc : NULL;
    return settings && settings->placement_policy.is == API_VALUE &&
                   settings->placement_policy.v == API_SETTINGS_PLACEMENT_POLICY_SPREAD
               ? SCHED_SPREAD
               : SCHED_BEST_FIT;
}

/* VMs of other projects than its own are kept out of an aggregate. */
static bool is_for_others(const struct api_aggregate *a, const struct store_id *project)
{
    struct store_id id;
    if (a->dedicated_to.is != API_VALUE)
        return false;
    for (uint32_t i = 0; i < a->dedicated_to.n; i++)
        if (!catalog_id_parse(a->dedicated_to.v[i], &id) && !memcmp(&id, project, sizeof(id)))
            return false;
    return true;
}

static void keep_out(struct server *s, const struct store_id *project,
                     struct sched_request *request)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_AGGREGATE);
    for (size_t i = 0; i < all->n; i++)
        if (is_for_others(all->slots[i]->now->doc, project))
            (void)server_host_aggregate(s, &all->slots[i]->now->id, request->not_in_aggregates);
}

const char *server_place_labels(struct server *s, const struct store_id *project,
                                const struct api_text *zone, const struct api_flavor *flavor,
                                struct sched_request *request, const char **which)
{
    struct store_id id;
    request->project = server_host_project_number(s, project);
    request->policy = policy_of(s);
    request->among = s->config.follow_ms ? 4 : 1; /* servers that decide at once collide less */
    if (zone->is == API_VALUE && !catalog_id_parse(zone->v, &id)) {
        *which = zone->v;
        request->zone = server_host_zone_number(s, &id);
        if (!request->zone)
            return "is in the zone";
    }
    for (uint32_t i = 0; flavor->traits.is == API_VALUE && i < flavor->traits.n; i++) {
        *which = flavor->traits.v[i];
        if (!server_host_trait(s, *which, request->traits))
            return "has the trait";
    }
    keep_out(s, project, request);
    return NULL;
}

static int no_host(struct server_call *c, const char *what, const char *which)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                           "no host %s %s: ask for another one", what, which);
}

int server_place_prepare(struct server_call *c, const struct api_vm *vm,
                         const struct api_flavor *flavor, int64_t disk_gib,
                         const struct store_id *host, struct server_place *p)
{
    struct server *s = c->s;
    const char *which = "";
    memset(&p->request, 0, sizeof(p->request));
    p->reservation = NULL;
    server_claim_need(s, vm, flavor, disk_gib, &p->request.need);
    p->request.alternates = 3;
    const char *what = server_place_labels(s, &c->project, &vm->zone, flavor, &p->request, &which);
    if (what)
        return no_host(c, what, which);
    if (host) {
        const struct server_host *h = server_host_find(s, host);
        if (!h || !h->in_sched)
            return no_host(c, "is there that it must be on:", "it is gone");
        p->only[0] = h->number;
        p->request.only = p->only;
        p->request.n_only = 1;
    }
    return 0;
}

/* ---- answers ---- */

/* The scheduler's words for filters, and the API's, where they differ. */
static const struct {
    const char *sched;
    enum api_placement_filter_filter word;
} filter_words[] = {
    {"never", API_PLACEMENT_FILTER_FILTER_HOST},
    {"project", API_PLACEMENT_FILTER_FILTER_DEDICATED},
    {"traits", API_PLACEMENT_FILTER_FILTER_TRAIT},
    {"aggregates", API_PLACEMENT_FILTER_FILTER_AGGREGATE},
    {"not-aggregates", API_PLACEMENT_FILTER_FILTER_DEDICATED},
};

static enum api_placement_filter_filter group_word(struct server_call *c,
                                                   const struct server_place *p)
{
    return sched_group_is_apart(c->s->sched, p->request.need.group)
               ? API_PLACEMENT_FILTER_FILTER_ANTI_AFFINITY
               : API_PLACEMENT_FILTER_FILTER_AFFINITY;
}

static enum api_placement_filter_filter filter_word(struct server_call *c,
                                                    const struct server_place *p, unsigned filter)
{
    const char *name = sched_filter_name(filter);
    if (!strcmp(name, "only"))
        return p->reservation ? API_PLACEMENT_FILTER_FILTER_RESERVATION
                              : API_PLACEMENT_FILTER_FILTER_HOST;
    if (!strcmp(name, "group"))
        return group_word(c, p);
    for (size_t i = 0; i < ARRAY_LEN(filter_words); i++)
        if (!strcmp(filter_words[i].sched, name))
            return filter_words[i].word;
    for (uint32_t i = 0; i < api_types_placement_filter_filter.n; i++)
        if (!strcmp(api_types_placement_filter_filter.names[i], name))
            return (enum api_placement_filter_filter)i;
    return API_PLACEMENT_FILTER_FILTER_OTHER;
}

/* Whether reservations hold some of what a filter counts, and how much of one host: in words. */
static bool kept_of(const struct server_host *host, enum api_placement_filter_filter filter,
                    char text[64])
{
    unsigned long long vcpus = host->kept_vcpus, mib = host->kept_memory_mib,
                       gib = host->kept_disk_gib;
    text[0] = 0;
    if (filter == API_PLACEMENT_FILTER_FILTER_VCPUS && vcpus)
        snprintf(text, 64, "%llu vCPUs are kept for reservations", vcpus);
    else if (filter == API_PLACEMENT_FILTER_FILTER_MEMORY && mib)
        snprintf(text, 64, "%llu MiB are kept for reservations", mib);
    else if (filter == API_PLACEMENT_FILTER_FILTER_DISK && gib)
        snprintf(text, 64, "%llu GiB are kept for reservations", gib);
    return text[0];
}

/* What reservations hold of all hosts. */
static void kept_of_all(struct server *s, struct server_host *sum)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_HOST);
    *sum = (struct server_host){0};
    for (size_t i = 0; i < all->n; i++) {
        const struct server_host *host = all->slots[i]->aux;
        sum->kept_places += host ? host->kept_places : 0;
        sum->kept_vcpus += host ? host->kept_vcpus : 0;
        sum->kept_memory_mib += host ? host->kept_memory_mib : 0;
        sum->kept_disk_gib += host ? host->kept_disk_gib : 0;
    }
}

static void fill_filters(struct server_call *c, const struct server_place *p,
                         const struct sched_refusals *refusals, struct api_placement_vm *vm)
{
    struct server_host kept;
    char text[64];
    kept_of_all(c->s, &kept);
    vm->filters.v = api_arena_array(&c->arena, SCHED_FILTERS, sizeof(*vm->filters.v));
    vm->filters.is = vm->filters.v ? API_VALUE : API_ABSENT;
    for (unsigned i = 0; vm->filters.v && i < SCHED_FILTERS; i++) {
        struct api_placement_filter *f = &vm->filters.v[vm->filters.n];
        if (!refusals->by_filter[i])
            continue;
        f->filter.is = API_VALUE;
        f->filter.v = filter_word(c, p, i);
        if (kept_of(&kept, f->filter.v, text))
            f->detail.v = api_arena_text(&c->arena, text, strlen(text));
        f->detail.is = f->detail.v ? API_VALUE : API_ABSENT;
        f->hosts = (struct api_int){API_VALUE, refusals->by_filter[i]};
        vm->filters.n++;
    }
}

static void fill_hosts(struct server_call *c, struct server_place *p, struct api_placement_vm *vm)
{
    const struct catalog_list *all = catalog_all(c->s->catalog, CATALOG_HOST);
    size_t n = MIN(all->n, (size_t)1000);
    vm->hosts.v = api_arena_array(&c->arena, n, sizeof(*vm->hosts.v));
    vm->hosts.is = vm->hosts.v ? API_VALUE : API_ABSENT;
    for (size_t i = 0; vm->hosts.v && i < n; i++) {
        const struct catalog_object *v = all->slots[i]->now;
        const struct server_host *host = all->slots[i]->aux;
        struct api_placement_host *h = &vm->hosts.v[vm->hosts.n];
        struct sched_refusal why;
        char *text = api_arena_alloc(&c->arena, 256);
        if (!host || !host->in_sched || !text ||
            sched_explain_host(c->s->sched, &p->request, host->number, &why, NULL))
            continue;
        vm->hosts.n++;
        h->host = (struct api_text){API_VALUE, v->id_text};
        h->name = (struct api_text){API_VALUE, v->name};
        if (why.filter == SCHED_FILTERS)
            continue;
        enum api_placement_filter_filter word = filter_word(c, p, why.filter);
        char kept[64];
        int at = sched_refusal_text(&why, text, 256);
        if (kept_of(host, word, kept) && at > 0 && at < 256)
            snprintf(text + at, (size_t)(256 - at), "; %s", kept);
        if (word == API_PLACEMENT_FILTER_FILTER_RESERVATION)
            snprintf(text, 256, "reservation %s has no free place there",
                     p->reservation->now->name);
        h->turned_away_by =
            (struct api_text){API_VALUE, api_types_placement_filter_filter.names[word]};
        h->detail = (struct api_text){API_VALUE, text};
    }
}

static void fill_choice(struct server_call *c, const struct server_place *p,
                        struct api_placement_vm *vm)
{
    const struct sched_result *r = &p->result;
    const struct server_host *host = server_host_numbered(c->s, r->chosen[0].host);
    const struct catalog_slot *slot =
        host ? catalog_find(c->s->catalog, CATALOG_HOST, &host->id) : NULL;
    if (!slot)
        return;
    vm->host = (struct api_text){API_VALUE, slot->now->id_text};
    vm->host_name = (struct api_text){API_VALUE, slot->now->name};
    vm->alternates.v = api_arena_array(&c->arena, r->n_alternates, sizeof(*vm->alternates.v));
    vm->alternates.is = vm->alternates.v ? API_VALUE : API_ABSENT;
    for (uint32_t i = 0; vm->alternates.v && i < r->n_alternates; i++) {
        host = server_host_numbered(c->s, r->alternates[i].host);
        slot = host ? catalog_find(c->s->catalog, CATALOG_HOST, &host->id) : NULL;
        if (slot)
            vm->alternates.v[vm->alternates.n++] = slot->now->id_text;
    }
}

static void count_hosts(struct server_call *c, struct server_place *p, bool each_host,
                        struct api_placement *out, struct api_placement_vm *vm)
{
    struct sched_refusals refusals;
    if (!sched_explain(c->s->sched, &p->request, &refusals, NULL)) {
        out->hosts_considered = (struct api_int){API_VALUE, refusals.hosts};
        fill_filters(c, p, &refusals, vm);
    }
    if (each_host)
        fill_hosts(c, p, vm);
}

/* Of a reservation the first places that are offered are enough to explain. */
static void explain_one(struct server_call *c, struct server_place *p, const char *name,
                        bool placed, bool each_host, struct api_placement *out,
                        struct api_placement_vm *vm)
{
    const struct sched_request asked = p->request;
    uint32_t from = 0;
    vm->vm = (struct api_text){API_VALUE, name};
    if (p->reservation) {
        p->request.n_only =
            server_reservation_offer(c->s, p->reservation, &from, p->offers, SERVER_PLACE_OFFERS);
        p->request.only = p->offers;
    }
    count_hosts(c, p, each_host, out, vm);
    if (p->reservation)
        server_reservation_offered(c->s, p->reservation);
    p->request = asked;
    if (placed)
        fill_choice(c, p, vm);
}

/* NULL: no memory. */
static struct api_placement *placement_new(struct server_call *c, unsigned n)
{
    struct api_placement *out = api_json_new(&api_types_placement, &c->arena);
    struct api_placement_vm *vms = api_arena_array(&c->arena, n, sizeof(*vms));
    if (!out || !vms)
        return NULL;
    out->vms.is = API_VALUE;
    out->vms.v = vms;
    return out;
}

/* NULL: no memory. */
static struct api_placement *explain(struct server_call *c, struct server_place *p,
                                     const char *name, bool placed, bool each_host)
{
    struct api_placement *out = placement_new(c, 1);
    if (!out)
        return NULL;
    out->placed = (struct api_bool){API_VALUE, placed};
    out->vms.n = 1;
    explain_one(c, p, name, placed, each_host, out, out->vms.v);
    return out;
}

static void set_explanation(struct server_call *c, const struct api_placement *placement)
{
    struct api_buf b;
    api_buf_init(&b, SERVER_BODY_MAX_BYTES);
    api_buf_puts(&b, ",\"explanation\":");
    api_json_write(&api_types_placement, placement, 0, NULL, &b);
    c->explanation = b.failed ? NULL : api_arena_text(&c->arena, b.text, b.bytes);
    api_buf_fini(&b);
}

static int place_once(struct server_call *c, struct server_place *p)
{
    uint64_t seed = ((uint64_t)c->s->n_requests << 16) ^ c->tries;
    return sched_place(c->s->sched, &p->request, seed, &p->result, NULL);
}

/* Whether the hosts that are offered have the one that it must be on; then only that. */
static bool narrow(struct server_place *p, const struct sched_request *asked, uint32_t n)
{
    if (!asked->n_only)
        return true;
    for (uint32_t i = 0; i < n; i++)
        if (p->offers[i] == asked->only[0]) {
            p->request.only = asked->only;
            p->request.n_only = asked->n_only;
            return true;
        }
    return false;
}

/* On a host where there is a free place, whose room it gets. One that must be where none is takes
 * room there, and a place elsewhere is let go soon. */
static int place_reserved(struct server_call *c, struct server_place *p)
{
    const struct sched_request asked = p->request;
    uint32_t from = 0, n = 1;
    int r = -ENOSPC;
    p->result.refusals = (struct sched_refusals){0};
    if (!server_reservation_left(p->reservation))
        return r;
    while (r && n) {
        n = server_reservation_offer(c->s, p->reservation, &from, p->offers, SERVER_PLACE_OFFERS);
        p->request.only = p->offers;
        p->request.n_only = n;
        if (n && narrow(p, &asked, n))
            r = place_once(c, p);
        server_reservation_offered(c->s, p->reservation);
    }
    p->request = asked;
    if (r && asked.n_only)
        return place_once(c, p);
    struct store_id host = r ? (struct store_id){{0}} : server_place_host(c->s, p, 0);
    if (!r)
        (void)server_reservation_nodes(p->reservation, &host, &p->result.chosen[0].nodes);
    return r;
}

static int place(struct server_call *c, struct server_place *p)
{
    return p->reservation ? place_reserved(c, p) : place_once(c, p);
}

static void say_kept(struct server_call *c, const struct sched_refusals *refusals, char *text,
                     size_t size)
{
    struct server_host kept;
    size_t at = strlen(text);
    kept_of_all(c->s, &kept);
    if (kept.kept_places && refusals->hosts && at < size)
        snprintf(text + at, size - at, "; room for %llu VMs is kept for reservations",
                 (unsigned long long)kept.kept_places);
}

static void say_reserved(const struct server_place *p, char *text, size_t size)
{
    uint32_t left = server_reservation_left(p->reservation);
    const char *name = p->reservation->now->name;
    char why[256] = "";
    if (!left) {
        snprintf(text, size,
                 "reservation %s has no free place, %u are used: make it larger, or leave it out",
                 name, server_reservation_used(p->reservation));
        return;
    }
    if (p->result.refusals.hosts)
        sched_refusals_text(&p->result.refusals, why, sizeof(why));
    snprintf(text, size, "reservation %s has %u free places, none where the VM may be%s%s", name,
             left, why[0] ? ": " : "", why);
}

int server_place_choose(struct server_call *c, struct server_place *p, const char *name)
{
    char text[384];
    if (!place(c, p))
        return 0;
    if (p->reservation) {
        say_reserved(p, text, sizeof(text));
    } else {
        sched_refusals_text(&p->result.refusals, text, sizeof(text));
        say_kept(c, &p->result.refusals, text, sizeof(text));
    }
    const struct api_placement *placement = explain(c, p, name, false, false);
    if (placement)
        set_explanation(c, placement);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST, "%s: %s", name, text);
}

void server_place_answer(struct server_call *c, struct server_place *p, const char *name,
                         bool each_host)
{
    bool placed = !place(c, p);
    const struct api_placement *placement = explain(c, p, name, placed, each_host);
    if (placement) {
        server_call_reply_struct(c, 200, &api_types_placement, placement);
        return;
    }
    api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory for the answer");
    server_call_refuse(c);
}

struct server_place_dry {
    struct server_call *c;
    struct api_placement *out;
    bool placed;
};

struct server_place_dry *server_place_dry_begin(struct server_call *c, unsigned n)
{
    struct server_place_dry *d = api_arena_alloc(&c->arena, sizeof(*d));
    if (!d)
        return NULL;
    *d = (struct server_place_dry){.c = c, .out = placement_new(c, n), .placed = true};
    return d->out ? d : NULL;
}

bool server_place_dry_add(struct server_place_dry *d, struct server_place *p, const char *name,
                          bool each_host)
{
    bool placed = !place(d->c, p);
    const char *kept = api_arena_text(&d->c->arena, name, strlen(name));
    d->placed &= placed;
    if (kept)
        explain_one(d->c, p, kept, placed, each_host, d->out, &d->out->vms.v[d->out->vms.n++]);
    return placed;
}

void server_place_dry_answer(struct server_place_dry *d)
{
    d->out->placed = (struct api_bool){API_VALUE, d->placed};
    server_call_reply_struct(d->c, 200, &api_types_placement, d->out);
}

struct store_id server_place_host(struct server *s, const struct server_place *p, uint32_t i)
{
    static const struct store_id nobody;
    const struct server_host *host = server_host_numbered(s, p->result.chosen[i].host);
    return host ? host->id : nobody;
}

int server_place_claim(struct server_txn *t, const struct server_place *p, uint32_t i,
                       struct catalog_object *vm)
{
    struct store_id host = server_place_host(t->s, p, i);
    int r = p->reservation
                ? server_reservation_take(t, p->reservation, &host, p->result.chosen[i].nodes)
                : 0;
    return r ? r : server_claim_take(t, &p->request.need, &p->result.chosen[i], vm);
}
