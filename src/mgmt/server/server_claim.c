/* Claims and their generations.
 *
 * A claim expects its host's generation to be a number, and the store raises it with the commit
 * only if it is. So that claims of one host need not wait for each other, those under way expect
 * successive numbers: of a host's *chain*, `in_flight` claims expect committed, committed + 1, ...,
 * and the scheduler's own number is the sum of both, which the next one will expect.
 *
 * The store commits in the order of submission. If the oldest claim of a chain fails, those behind
 * it will fail too, since the number that they expect is not reached: they are written off at once
 * (a new chain begins, at what is committed) and their ends change nothing. If the newest one
 * fails, it was not submitted, or is alone: nobody is behind it, and the number goes back by one.
 * In between none fails, unless one before it has. So whatever fails, the next claim expects what
 * the store has after those that are still good; and what another server has raised meanwhile comes
 * with the store's refusal (server_claim_overtaken()). No number is ever stuck: a call is refused
 * for its generation only if after its choice an older claim of the same host failed, or another
 * server was faster. */
#include "mgmt/server/server_claim.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_numbers.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_vm.h"

#define GROUPS_MAX (SCHED_GROUPS_MAX - 1)

struct claim {
    struct server_hold hold;
    struct store_id host;
    struct sched_need need;
    struct sched_choice choice;
    uint64_t expected, chain;
};

/* ---- needs ---- */

static uint32_t group_number(struct server *s, const struct api_text *group)
{
    return group->is == API_VALUE ? server_numbers_of(&s->groups, group->v, GROUPS_MAX, true) : 0;
}

void server_claim_need(struct server *s, const struct api_vm *vm, const struct api_flavor *flavor,
                       int64_t disk_gib, struct sched_need *need)
{
    *need = (struct sched_need){
        .vcpus = (uint32_t)flavor->vcpus.v,
        .memory_mib = (uint32_t)flavor->memory_mib.v,
        .disk_gib = (uint32_t)disk_gib,
        .group = group_number(s, &vm->server_group),
    };
    if (flavor->cpu_policy.is == API_VALUE &&
        flavor->cpu_policy.v == API_FLAVOR_CPU_POLICY_DEDICATED)
        need->cpu = SCHED_DEDICATED;
    if (flavor->hugepages.is == API_VALUE && flavor->hugepages.v)
        need->pages = SCHED_PAGES_2M;
}

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

/* ---- claims under way ---- */

void server_claim_generation(struct server *s, struct server_host *host)
{
    const struct sched_host *now = host->in_sched ? sched_host(s->sched, host->number) : NULL;
    uint32_t generation = (uint32_t)(host->committed + host->in_flight);
    if (!now || now->generation == generation)
        return;
    struct sched_host spec = *now;
    spec.generation = generation;
    (void)sched_update(s->sched, host->number, &spec, NULL);
}

void server_claim_overtaken(struct server *s, const struct store_id *id, uint64_t current)
{
    struct server_host *host = server_host_find(s, id);
    if (host && current > host->committed)
        host->committed = current; /* the claim that was refused ends its chain */
}

static void done(struct server_host *host, const struct claim *claim)
{
    host->committed = MAX(host->committed, claim->expected + 1);
    if (claim->chain == host->chain)
        host->in_flight--;
}

static void failed(struct server_host *host, const struct claim *claim)
{
    bool newest = claim->expected + 1 == host->committed + host->in_flight;
    if (claim->chain != host->chain)
        return;
    if (newest) {
        host->in_flight--;
    } else {
        host->in_flight = 0;
        host->chain++;
    }
}

/* A host that was removed keeps its number, and so is nobody else's, until no claim is left. */
void server_claim_release(struct server *s, const struct sched_need *need,
                          const struct sched_choice *choice)
{
    (void)sched_release(s->sched, need, choice, NULL);
    if (!server_host_numbered(s, choice->host))
        (void)sched_remove(s->sched, choice->host, NULL);
}

static void claim_end(struct server *s, struct server_hold *h, bool ok)
{
    struct claim *claim = container_of(h, struct claim, hold);
    struct server_host *host = server_host_find(s, &claim->host);
    server_claim_release(s, &claim->need, &claim->choice);
    if (!host)
        return;
    if (ok)
        done(host, claim);
    else
        failed(host, claim);
    server_claim_generation(s, host);
}

static int claim(struct server_txn *t, struct server_host *host, const struct sched_need *need,
                 const struct sched_choice *choice)
{
    struct claim *claim = api_arena_alloc(&t->arena, sizeof(*claim));
    if (!host || !claim)
        return host ? -ENOMEM : -EAGAIN;
    *claim = (struct claim){.hold = {.end = claim_end},
                            .host = host->id,
                            .need = *need,
                            .choice = *choice,
                            .expected = host->committed + host->in_flight,
                            .chain = host->chain};
    int r = sched_claim(t->s->sched, &claim->need, &claim->choice, NULL);
    if (r)
        return r;
    host->in_flight++;
    server_txn_hold(t, &claim->hold);
    struct store_op op = {.type = STORE_RAISE,
                          .raise = {.host = host->id, .expected = claim->expected}};
    server_txn_op(t, &op);
    return 0;
}

static void further_end(struct server *s, struct server_hold *h, bool ok)
{
    struct claim *claim = container_of(h, struct claim, hold);
    (void)ok;
    server_claim_release(s, &claim->need, &claim->choice);
}

int server_claim_room(struct server_txn *t, const struct sched_need *need,
                      const struct sched_choice *choice, bool raise)
{
    if (raise)
        return claim(t, server_host_numbered(t->s, choice->host), need, choice);
    struct claim *further = api_arena_alloc(&t->arena, sizeof(*further));
    if (!further)
        return -ENOMEM;
    *further = (struct claim){.hold = {.end = further_end}, .need = *need, .choice = *choice};
    int r = sched_adopt(t->s->sched, &further->need, &further->choice, NULL);
    if (!r)
        server_txn_hold(t, &further->hold);
    return r;
}

static void note(struct catalog_object *vm, const struct sched_need *need, uint8_t nodes)
{
    vm->own->nodes = (struct api_int){API_VALUE, nodes};
    vm->own->cpu_policy = (struct api_int){API_VALUE, need->cpu};
    vm->own->hugepages = (struct api_bool){API_VALUE, need->pages != SCHED_PAGES_4K};
    vm->own->disk_gib = (struct api_int){API_VALUE, need->disk_gib};
}

int server_claim_take(struct server_txn *t, const struct sched_need *need,
                      const struct sched_choice *choice, struct catalog_object *vm)
{
    int r = claim(t, server_host_numbered(t->s, choice->host), need, choice);
    if (!r)
        note(vm, need, choice->nodes);
    return r;
}

static bool floats(const struct sched_need *need)
{
    return need->cpu == SCHED_SHARED && need->pages == SCHED_PAGES_4K;
}

static uint32_t more(uint32_t next, uint32_t now)
{
    return next > now ? next - now : 0;
}

/* What floats over the nodes claims the difference. What has nodes of its own claims all of the new
 * beside all of the old, which is let go with the commit: no arithmetic on nodes can go wrong. */
int server_claim_grow(struct server_txn *t, const struct catalog_object *now,
                      struct catalog_object *next, const struct sched_need *need)
{
    struct server *s = t->s;
    struct store_id id = catalog_parent(now);
    struct server_host *host = server_host_find(s, &id);
    struct sched_result *result = api_arena_alloc(&t->arena, sizeof(*result));
    struct sched_need old, extra = *need;
    if (!host || !host->in_sched || !result)
        return result ? -EAGAIN : -ENOMEM;
    need_of_vm(s, now, &old);
    extra.group = 0; /* it is a member already */
    if (floats(&old) && floats(need)) {
        extra.vcpus = more(need->vcpus, old.vcpus);
        extra.memory_mib = more(need->memory_mib, old.memory_mib);
        extra.disk_gib = more(need->disk_gib, old.disk_gib);
        if (!extra.vcpus && !extra.memory_mib && !extra.disk_gib) {
            note(next, need, 0);
            return 0;
        }
        extra.vcpus = MAX(extra.vcpus, 1); /* the scheduler knows no VM without one */
    }
    const struct sched_request request = {.need = extra,
                                          .only = &host->number,
                                          .n_only = 1,
                                          .project = server_host_project_number(s, &now->project)};
    if (sched_place(s->sched, &request, 0, result, NULL))
        return -ENOSPC;
    int r = claim(t, host, &extra, &result->chosen[0]);
    if (!r)
        note(next, need, result->chosen[0].nodes);
    return r;
}

/* ---- what VMs hold ---- */

static bool holds(const struct catalog_object *v)
{
    const struct api_vm *vm = v->doc;
    return vm->status.is == API_VALUE && vm->status.v->host.is == API_VALUE;
}

static void let_go(struct server *s, struct server_vm *aux)
{
    if (aux->holds)
        server_claim_release(s, &aux->need, &aux->choice);
    aux->holds = false;
}

static void adopt(struct server *s, struct server_vm *aux, const struct catalog_object *v)
{
    struct store_id id = catalog_parent(v);
    const struct server_host *host = server_host_find(s, &id);
    struct err err = {0};
    if (!host || !host->in_sched)
        return;
    need_of_vm(s, v, &aux->need);
    aux->choice = (struct sched_choice){.host = host->number, .nodes = (uint8_t)v->own->nodes.v};
    int r = sched_adopt(s->sched, &aux->need, &aux->choice, &err);
    if (r && aux->need.group) { /* a group that is gone, or not there yet */
        aux->need.group = 0;
        r = sched_adopt(s->sched, &aux->need, &aux->choice, &err);
    }
    aux->holds = !r;
    if (r && host->inventory)
        log_line(LOG_WARN, "server", "VM %s is not counted on its host: %s", v->id_text, err.msg);
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
    uint32_t most = g->max_per_host.is == API_VALUE ? (uint32_t)g->max_per_host.v : 1;
    if (number)
        (void)sched_group_set(s->sched, number, affinity, scope, most, NULL);
}

void server_claim_changed(struct server *s, struct catalog_slot *slot,
                          const struct catalog_object *before, const struct catalog_object *after)
{
    struct server_vm *aux = slot->aux;
    if ((after ? after : before)->kind == CATALOG_SERVER_GROUP) {
        if (after)
            group_changed(s, after);
        return;
    }
    if (aux)
        let_go(s, aux);
    if (aux && after && holds(after))
        adopt(s, aux, after);
    server_reservation_vm_changed(s, before, after);
}

void server_claim_adopt(struct server *s, const struct store_id *host)
{
    const struct catalog_list *vms = catalog_under(s->catalog, CATALOG_VM, host);
    for (size_t i = 0; i < vms->n; i++) {
        struct server_vm *aux = vms->slots[i]->aux;
        if (aux && !aux->holds && holds(vms->slots[i]->now))
            adopt(s, aux, vms->slots[i]->now);
    }
    server_reservation_host_changed(s, host);
}
