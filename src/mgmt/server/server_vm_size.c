/* VMs that become larger or smaller, give up their place, take one again, or are to be moved. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_reservation.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"
#include "mgmt/server/server_vm_act.h"

/* ---- resize ---- */

static int find_flavor(struct server_vm_act *a, struct api_text *ref, struct catalog_slot **slot)
{
    int r = server_call_ref(a->c, CATALOG_FLAVOR, ref, "/flavor", slot);
    if (r)
        return r;
    const struct api_flavor *flavor = (*slot)->now->doc;
    if (flavor->enabled.is != API_VALUE || flavor->enabled.v)
        return 0;
    return api_problem_add(&a->c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/flavor",
                           "flavor %s is not offered any more: choose another", (*slot)->now->name);
}

static int take_difference(struct server_vm_act *a, const struct api_flavor *flavor)
{
    const struct store_id *project = &a->v->project;
    int r = server_quota_add(a->t, project, "vcpus", flavor->vcpus.v - a->status->vcpus.v);
    return r ? r
             : server_quota_add(a->t, project, "memory_mib",
                                flavor->memory_mib.v - a->status->memory_mib.v);
}

static int grow(struct server_vm_act *a, const struct api_flavor *flavor)
{
    struct sched_need need;
    server_claim_need(a->c->s, a->vm, flavor, a->v->own->disk_gib.v, &need);
    int r = server_claim_grow(a->t, a->slot->now, a->v, &need);
    if (!r)
        return 0;
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                           "host %s, where the VM's disks lie, has no room for so much more: ask "
                           "for less, or move others away",
                           a->status->host.v);
}

/* The VM's disks lie on its host, so it stays there. Its first disk keeps its size. */
static int resize(struct server_vm_act *a)
{
    static const char *const stopped[] = {"stop", NULL}, *const running[] = {"stop", "run", NULL};
    const struct api_vm_resize *body = a->c->request.body;
    struct api_text ref = body->flavor;
    struct catalog_slot *slot;
    int r = find_flavor(a, &ref, &slot);
    const struct api_flavor *flavor = r ? NULL : slot->now->doc;
    if (!r)
        r = take_difference(a, flavor);
    if (!r)
        r = grow(a, flavor);
    if (r)
        return server_vm_act_refuse(a, r);
    bool runs = a->status->state.v == API_VM_STATE_RUNNING;
    a->vm->flavor = (struct api_text){API_VALUE, slot->now->id_text};
    a->status->vcpus.v = flavor->vcpus.v;
    a->status->memory_mib.v = flavor->memory_mib.v;
    server_vm_meter(a->t, a->v);
    return server_vm_act_end(a, runs ? running : stopped,
                             runs ? API_VM_STATE_RUNNING : API_VM_STATE_STOPPED);
}

/* Where it would be larger: where it is, or nowhere. */
static int resize_dry(struct server_vm_act *a, bool each_host)
{
    const struct api_vm_resize *body = a->c->request.body;
    struct server_place *place = api_arena_alloc(&a->c->arena, sizeof(*place));
    struct store_id host = catalog_parent(a->v);
    struct api_text ref = body->flavor;
    struct catalog_slot *slot;
    if (!place)
        return server_vm_act_no_memory(a);
    int r = find_flavor(a, &ref, &slot);
    if (!r)
        r = server_place_prepare(a->c, a->vm, slot->now->doc, a->v->own->disk_gib.v, &host, place);
    if (r)
        return server_vm_act_refuse(a, r);
    struct server_call *c = a->c;
    const char *name = api_arena_text(&c->arena, a->slot->now->name, strlen(a->slot->now->name));
    (void)server_vm_act_refuse(a, -ECANCELED);
    server_place_answer(c, place, name ? name : "", each_host);
    return 0;
}

int server_vm_resize(struct server_call *c)
{
    const struct api_vm_resize_query *query = c->request.query;
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    return query->dry_run.v ? resize_dry(&a, query->explain.v) : resize(&a);
}

/* ---- shelve ---- */

int server_vm_shelve(struct server_call *c)
{
    static const char *const steps[] = {"stop", "absent", "shelve", NULL};
    const struct api_vm_shelve *body = c->request.body;
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    if (body->force.is == API_VALUE && body->force.v)
        a.v->own->grace_ms = (struct api_int){API_VALUE, 0};
    return server_vm_act_end(&a, steps, API_VM_STATE_SHELVED);
}

/* Its flavor, or where that was deleted, what the VM kept of it. */
static const struct api_flavor *flavor_of(struct server_vm_act *a, struct api_flavor *kept)
{
    const struct catalog_slot *slot =
        a->vm->flavor.is == API_VALUE
            ? catalog_find_id(a->c->s->catalog, CATALOG_FLAVOR, a->vm->flavor.v)
            : NULL;
    if (slot)
        return slot->now->doc;
    *kept = (struct api_flavor){.vcpus = a->status->vcpus, .memory_mib = a->status->memory_mib};
    kept->hugepages = a->v->own->hugepages;
    kept->cpu_policy.is = API_VALUE;
    kept->cpu_policy.v = a->v->own->cpu_policy.v == SCHED_DEDICATED
                             ? API_FLAVOR_CPU_POLICY_DEDICATED
                             : API_FLAVOR_CPU_POLICY_SHARED;
    return kept;
}

/* NULL: its volumes lie nowhere in particular. */
static const struct store_id *where_it_lies(struct server_vm_act *a, struct store_id *host)
{
    const struct api_texts *volumes = &a->v->own->volumes;
    for (uint32_t i = 0; volumes->is == API_VALUE && i < volumes->n; i++) {
        const struct catalog_slot *slot =
            catalog_find_id(a->c->s->catalog, CATALOG_VOLUME, volumes->v[i]);
        if (slot && server_storage_host_of(slot->now, host))
            return host;
    }
    return NULL;
}

static int take_place(struct server_vm_act *a, struct server_place *place)
{
    char text[UUID_TEXT_BYTES];
    struct store_id host = server_place_host(a->c->s, place, 0);
    int r = server_vm_hold(a->t, a->v, 1);
    if (r)
        return r;
    uuid_format(host.bytes, text);
    if (server_meta_text(a->v, &a->status->host, text))
        return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                               "no memory: try again");
    if (server_place_claim(a->t, place, 0, a->v))
        return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_PLACEMENT_CONFLICT,
                               "the host that was chosen changed meanwhile: try again");
    return 0;
}

int server_vm_unshelve(struct server_call *c)
{
    static const char *const steps[] = {"run", NULL};
    const struct api_vm_unshelve_query *query = c->request.query;
    struct server_place *place = api_arena_alloc(&c->arena, sizeof(*place));
    struct api_flavor kept;
    struct store_id host;
    struct server_vm_act a;
    int r = server_vm_act_begin(&a, c);
    if (r)
        return r;
    if (!place)
        return server_vm_act_no_memory(&a);
    r = server_place_prepare(c, a.vm, flavor_of(&a, &kept), a.v->own->disk_gib.v,
                             where_it_lies(&a, &host), place);
    place->reservation = server_reservation_of(c->s, a.vm);
    if (!r && query->dry_run.v) {
        const char *name = a.slot->now->name;
        (void)server_vm_act_refuse(&a, -ECANCELED);
        server_place_answer(c, place, name, query->explain.v);
        return 0;
    }
    if (!r)
        r = server_place_choose(c, place, a.slot->now->name);
    if (!r)
        r = take_place(&a, place);
    return r ? server_vm_act_refuse(&a, r) : server_vm_act_end(&a, steps, API_VM_STATE_RUNNING);
}

/* ---- migrate ---- */

/* Every driver of volumes that there is keeps them on one host, and a VM has at least one. */
int server_vm_migrate(struct server_call *c)
{
    struct server_vm_act a;
    int r = server_vm_act_begin(&a, c);
    if (r)
        return r;
    return server_vm_act_refuse(
        &a, api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                            "the disks of VM %s lie on host %s, and no driver of this cloud can "
                            "move them: make a snapshot of its volume, or an image, and a new VM",
                            a.slot->now->name,
                            a.status->host.is == API_VALUE ? a.status->host.v : "none"));
}
