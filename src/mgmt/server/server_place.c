/* Placement: from a VM's document to a request, from the scheduler's answer to an explanation.
 * Claims are server_claim.c's. */
#include "mgmt/server/server_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"

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
    struct store_id id;
    memset(&p->request, 0, sizeof(p->request));
    server_claim_need(s, vm, flavor, disk_gib, &p->request.need);
    p->request.project = server_host_project_number(s, &c->project);
    p->request.policy = policy_of(s);
    p->request.alternates = 3;
    p->request.among = s->config.follow_ms ? 4 : 1; /* servers that decide at once collide less */
    if (vm->zone.is == API_VALUE && !catalog_id_parse(vm->zone.v, &id)) {
        p->request.zone = server_host_zone_number(s, &id);
        if (!p->request.zone)
            return no_host(c, "is in the zone", vm->zone.v);
    }
    for (uint32_t i = 0; flavor->traits.is == API_VALUE && i < flavor->traits.n; i++)
        if (!server_host_trait(s, flavor->traits.v[i], p->request.traits))
            return no_host(c, "has the trait", flavor->traits.v[i]);
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

static enum api_placement_filter_filter filter_word(unsigned filter)
{
    const char *name = sched_filter_name(filter);
    for (uint32_t i = 0; i < api_types_placement_filter_filter.n; i++)
        if (!strcmp(api_types_placement_filter_filter.names[i], name))
            return (enum api_placement_filter_filter)i;
    return API_PLACEMENT_FILTER_FILTER_OTHER;
}

static void fill_filters(struct server_call *c, const struct sched_refusals *refusals,
                         struct api_placement_vm *vm)
{
    vm->filters.v = api_arena_array(&c->arena, SCHED_FILTERS, sizeof(*vm->filters.v));
    vm->filters.is = vm->filters.v ? API_VALUE : API_ABSENT;
    for (unsigned i = 0; vm->filters.v && i < SCHED_FILTERS; i++) {
        struct api_placement_filter *f = &vm->filters.v[vm->filters.n];
        if (!refusals->by_filter[i])
            continue;
        f->filter.is = API_VALUE;
        f->filter.v = filter_word(i);
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
        sched_refusal_text(&why, text, 256);
        h->turned_away_by = (struct api_text){API_VALUE, sched_filter_name(why.filter)};
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

static void explain_one(struct server_call *c, struct server_place *p, const char *name,
                        bool placed, bool each_host, struct api_placement *out,
                        struct api_placement_vm *vm)
{
    struct sched_refusals refusals;
    vm->vm = (struct api_text){API_VALUE, name};
    if (!sched_explain(c->s->sched, &p->request, &refusals, NULL)) {
        out->hosts_considered = (struct api_int){API_VALUE, refusals.hosts};
        fill_filters(c, &refusals, vm);
    }
    if (placed)
        fill_choice(c, p, vm);
    if (each_host)
        fill_hosts(c, p, vm);
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

static int place(struct server_call *c, struct server_place *p)
{
    uint64_t seed = ((uint64_t)c->s->n_requests << 16) ^ c->tries;
    return sched_place(c->s->sched, &p->request, seed, &p->result, NULL);
}

int server_place_choose(struct server_call *c, struct server_place *p, const char *name)
{
    char text[384];
    if (!place(c, p))
        return 0;
    sched_refusals_text(&p->result.refusals, text, sizeof(text));
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
    return server_claim_take(t, &p->request.need, &p->result.chosen[i], vm);
}
