/* Claims. What a VM holds in the scheduler's snapshot follows its published version
 * (server_place_changed()); a transaction that is on its way holds its claim besides, until its
 * end.
 *
 * A host's claim generation is raised in memory with each claim, and by the store with its commit:
 * raises of one host that are under way at once expect successive numbers. If one of them fails,
 * those behind it fail too, run again, and the memory's number goes back to the store's when none
 * is left. */
#include "mgmt/server/server_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_numbers.h"
#include "mgmt/server/server_vm.h"

#define GROUPS_MAX (SCHED_GROUPS_MAX - 1)

struct claim_hold {
    struct server_hold hold;
    struct store_id host;
    struct sched_need need;
    struct sched_choice choice;
};

/* ---- requests ---- */

static uint32_t group_number(struct server *s, const struct api_text *group)
{
    return group->is == API_VALUE ? server_numbers_of(&s->groups, group->v, GROUPS_MAX, true) : 0;
}

static void need_of_flavor(const struct api_flavor *flavor, int64_t disk_gib,
                           struct sched_need *need)
{
    *need = (struct sched_need){
        .vcpus = (uint32_t)flavor->vcpus.v,
        .memory_mib = (uint32_t)flavor->memory_mib.v,
        .disk_gib = (uint32_t)disk_gib,
    };
    if (flavor->cpu_policy.is == API_VALUE &&
        flavor->cpu_policy.v == API_FLAVOR_CPU_POLICY_DEDICATED)
        need->cpu = SCHED_DEDICATED;
    if (flavor->hugepages.is == API_VALUE && flavor->hugepages.v)
        need->pages = SCHED_PAGES_2M;
}

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
    need_of_flavor(flavor, disk_gib, &p->request.need);
    p->request.need.group = group_number(s, &vm->server_group);
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

/* NULL: no memory. */
static struct api_placement *explain(struct server_call *c, struct server_place *p,
                                     const char *name, bool placed, bool each_host)
{
    struct api_placement *out = api_json_new(&api_types_placement, &c->arena);
    struct api_placement_vm *vm = api_json_new(&api_types_placement_vm, &c->arena);
    struct sched_refusals refusals;
    if (!out || !vm)
        return NULL;
    out->placed = (struct api_bool){API_VALUE, placed};
    out->vms.is = API_VALUE;
    out->vms.n = 1;
    out->vms.v = vm;
    vm->vm = (struct api_text){API_VALUE, name};
    if (!sched_explain(c->s->sched, &p->request, &refusals, NULL)) {
        out->hosts_considered = (struct api_int){API_VALUE, refusals.hosts};
        fill_filters(c, &refusals, vm);
    }
    if (placed)
        fill_choice(c, p, vm);
    if (each_host)
        fill_hosts(c, p, vm);
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

struct store_id server_place_host(struct server *s, const struct server_place *p, uint32_t i)
{
    static const struct store_id nobody;
    const struct server_host *host = server_host_numbered(s, p->result.chosen[i].host);
    return host ? host->id : nobody;
}

/* ---- claims ---- */

/* The memory's number goes back to the store's when nothing is under way. */
static void generation_back(struct server *s, struct server_host *host)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_HOST, &host->id);
    const struct sched_host *now = host->in_sched ? sched_host(s->sched, host->number) : NULL;
    if (!slot || !now || host->in_flight || now->generation == (uint32_t)host->committed)
        return;
    struct sched_host spec = *now;
    spec.generation = (uint32_t)host->committed;
    (void)sched_update(s->sched, host->number, &spec, NULL);
}

static void claim_end(struct server *s, struct server_hold *h, bool done)
{
    struct claim_hold *claim = container_of(h, struct claim_hold, hold);
    struct server_host *host = server_host_find(s, &claim->host);
    if (!host || !host->in_sched)
        return;
    (void)sched_release(s->sched, &claim->need, &claim->choice, NULL);
    host->in_flight--;
    if (done)
        host->committed = MAX(host->committed, (uint64_t)claim->choice.generation + 1);
    generation_back(s, host);
}

int server_place_claim(struct server_txn *t, const struct server_place *p, uint32_t i,
                       struct catalog_object *vm)
{
    struct server *s = t->s;
    struct server_host *host = server_host_numbered(s, p->result.chosen[i].host);
    struct claim_hold *claim = api_arena_alloc(&t->arena, sizeof(*claim));
    if (!host || !claim)
        return -ENOMEM;
    *claim = (struct claim_hold){.hold = {.end = claim_end},
                                 .host = host->id,
                                 .need = p->request.need,
                                 .choice = p->result.chosen[i]};
    int r = sched_claim(s->sched, &claim->need, &claim->choice, NULL);
    if (r)
        return r;
    host->in_flight++;
    server_txn_hold(t, &claim->hold);
    struct store_op op = {.type = STORE_RAISE,
                          .raise = {.host = host->id, .expected = claim->choice.generation}};
    server_txn_op(t, &op);
    vm->own->nodes = (struct api_int){API_VALUE, claim->choice.nodes};
    vm->own->cpu_policy = (struct api_int){API_VALUE, claim->need.cpu};
    vm->own->hugepages = (struct api_bool){API_VALUE, claim->need.pages != SCHED_PAGES_4K};
    vm->own->disk_gib = (struct api_int){API_VALUE, claim->need.disk_gib};
    return 0;
}

/* ---- what VMs hold ---- */

static void need_of_vm(struct server *s, const struct catalog_object *v, struct sched_need *need)
{
    const struct api_vm *vm = v->doc;
    const struct api_vm_status *status = vm->status.v;
    *need = (struct sched_need){
        .vcpus = (uint32_t)status->vcpus.v,
        .memory_mib = (uint32_t)status->memory_mib.v,
        .disk_gib = (uint32_t)v->own->disk_gib.v,
        .cpu = (enum sched_cpu)v->own->cpu_policy.v,
        .pages = v->own->hugepages.v ? SCHED_PAGES_2M : SCHED_PAGES_4K,
        .group = group_number(s, &vm->server_group),
    };
}

static bool holds(const struct catalog_object *v)
{
    const struct api_vm *vm = v->doc;
    if (vm->status.is != API_VALUE || vm->status.v->host.is != API_VALUE)
        return false;
    enum api_vm_state state = vm->status.v->state.v;
    return state != API_VM_STATE_SHELVED;
}

static void let_go(struct server *s, struct server_vm *aux)
{
    const struct server_host *host = server_host_find(s, &aux->host);
    if (aux->holds && host && host->in_sched)
        (void)sched_release(s->sched, &aux->need, &aux->choice, NULL);
    aux->holds = false;
}

static void group_changed(struct server *s, const struct catalog_object *v)
{
    const struct api_server_group *g = v->doc;
    uint32_t number = server_numbers_of(&s->groups, v->id_text, GROUPS_MAX, true);
    bool apart = g->policy.v == API_SERVER_GROUP_POLICY_ANTI_AFFINITY;
    bool soft = g->strength.is == API_VALUE && g->strength.v == API_SERVER_GROUP_STRENGTH_SOFT;
    enum sched_affinity affinity =
        apart ? (soft ? SCHED_APART_IF : SCHED_APART) : (soft ? SCHED_TOGETHER_IF : SCHED_TOGETHER);
    enum sched_scope scope = g->by.is == API_VALUE && g->by.v == API_SERVER_GROUP_BY_RACK
                                 ? SCHED_BY_RACK
                                 : SCHED_BY_HOST;
    if (number)
        (void)sched_group_set(s->sched, number, affinity, scope, NULL);
}

void server_place_changed(struct server *s, struct catalog_slot *slot,
                          const struct catalog_object *before, const struct catalog_object *after)
{
    if ((after ? after : before)->kind == CATALOG_SERVER_GROUP) {
        if (after)
            group_changed(s, after);
        return;
    }
    struct server_vm *aux = slot->aux;
    if (!aux)
        return;
    let_go(s, aux);
    if (!after || !holds(after))
        return;
    struct store_id id = catalog_parent(after);
    const struct server_host *host = server_host_find(s, &id);
    if (!host || !host->in_sched)
        return;
    need_of_vm(s, after, &aux->need);
    aux->host = id;
    aux->choice =
        (struct sched_choice){.host = host->number, .nodes = (uint8_t)after->own->nodes.v};
    aux->holds = !sched_adopt(s->sched, &aux->need, &aux->choice, NULL);
}
