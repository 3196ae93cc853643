/* Disks and NICs that come to a VM that runs, or leave it. own.resource is the one that does; the
 * VM has it in its lists as long as it is its own, so it is in use until the host has said that it
 * is out, and only what is wanted of the host tells a device on its way out from the others.
 *
 *   attach:  plug ----seen--------> done        plug --a problem--> unplug --seen out--> failed
 *   detach:  unplug --seen out----> done        unplug --a problem-----> (as it was)     failed
 *
 * Where nothing runs any more a device is neither in nor to be waited for: both steps are over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"

static bool is_step(const char *step, const char *name)
{
    return step && !strcmp(step, name);
}

bool server_vm_plugs(const struct catalog_object *v)
{
    const char *step = server_vm_step(v);
    return is_step(step, "plug") || is_step(step, "unplug");
}

bool server_vm_wants_device(const struct catalog_object *v, const char *id)
{
    const struct api_texts *steps = &v->own->steps;
    bool leaves = false;
    for (uint32_t i = 0; steps->is == API_VALUE && i < steps->n; i++)
        leaves = leaves || !strcmp(steps->v[i], "unplug");
    return !leaves || v->own->resource.is != API_VALUE || strcmp(v->own->resource.v, id) != 0;
}

/* ---- what is seen ---- */

static bool has(const struct api_texts *list, const char *id)
{
    for (uint32_t i = 0; list->is == API_VALUE && i < list->n; i++)
        if (!strcmp(list->v[i], id))
            return true;
    return false;
}

void server_vm_take_device(struct server_vm *vm, const struct catalog_object *v,
                           const struct link_vm_seen *seen)
{
    vm->device_known = vm->has_device = false;
    free(vm->problem);
    vm->problem = NULL;
    if (!server_vm_plugs(v) || v->own->resource.is != API_VALUE)
        return;
    const char *id = v->own->resource.v;
    vm->device_known = seen->disks.is == API_VALUE && seen->ports.is == API_VALUE;
    vm->has_device = has(&seen->disks, id) || has(&seen->ports, id);
    for (uint32_t i = 0; seen->problems.is == API_VALUE && i < seen->problems.n; i++) {
        const struct link_device_problem *p = &seen->problems.v[i];
        if (!vm->problem && (!strcmp(p->id.v, id) || !strcmp(p->id.v, v->id_text)))
            vm->problem = strdup(p->reason.v);
    }
}

enum server_vm_outcome server_vm_look_plug(const struct catalog_object *v,
                                           const struct server_vm *vm,
                                           char why[SERVER_VM_REASON_BYTES])
{
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    bool in = is_step(server_vm_step(v), "plug");
    switch (vm->state) {
    case LINK_VM_SEEN_STATE_ABSENT:
    case LINK_VM_SEEN_STATE_STOPPED:
    case LINK_VM_SEEN_STATE_FAILED:
        return SERVER_VM_DONE;
    case LINK_VM_SEEN_STATE_RUNNING:
    case LINK_VM_SEEN_STATE_PAUSED:
        break;
    default:
        return SERVER_VM_NOT_YET; /* on its way */
    }
    if (vm->epoch != (uint64_t)status->run_epoch.v)
        return SERVER_VM_NOT_YET;
    if (vm->device_known && vm->has_device == in)
        return SERVER_VM_DONE;
    if (!vm->problem)
        return SERVER_VM_NOT_YET;
    snprintf(why, SERVER_VM_REASON_BYTES, "%s", vm->problem);
    return SERVER_VM_FAILED;
}

/* ---- lists of ids ---- */

/* -1: it is not there. */
static int index_of(const struct api_texts *list, const char *id)
{
    for (uint32_t i = 0; list->is == API_VALUE && i < list->n; i++)
        if (!strcmp(list->v[i], id))
            return (int)i;
    return -1;
}

/* Without moving what is borrowed: the version's own array. */
static int remove_at(struct catalog_object *v, struct api_texts *list, uint32_t at)
{
    const char **copy = api_arena_array(&v->arena, list->n, sizeof(*copy));
    uint32_t n = 0;
    if (!copy)
        return -ENOMEM;
    for (uint32_t i = 0; i < list->n; i++)
        if (i != at)
            copy[n++] = list->v[i];
    *list = (struct api_texts){API_VALUE, n, copy};
    return 0;
}

/* own.volumes is the first disk and, in the same order, vm.volumes. */
static int drop_volume(struct server_txn *t, struct catalog_object *v, uint32_t at)
{
    struct api_vm *vm = v->doc;
    struct catalog_slot *slot =
        catalog_find_id(t->s->catalog, CATALOG_VOLUME, v->own->volumes.v[at]);
    int r = slot ? server_storage_release(t, slot, false) : 0;
    if (!r)
        r = remove_at(v, &v->own->volumes, at);
    uint32_t n = vm->volumes.is == API_VALUE ? vm->volumes.n : 0, i = at - 1;
    if (r || i >= n)
        return r;
    memmove(&vm->volumes.v[i], &vm->volumes.v[i + 1], (n - i - 1) * sizeof(*vm->volumes.v));
    vm->volumes.n--;
    return 0;
}

/* own.ports and vm.nics, in the same order. */
static int drop_port(struct server_txn *t, struct catalog_object *v, uint32_t at)
{
    struct api_vm *vm = v->doc;
    struct catalog_slot *slot = catalog_find_id(t->s->catalog, CATALOG_PORT, v->own->ports.v[at]);
    int r = slot ? server_network_unplug(t, slot) : 0;
    if (!r)
        r = remove_at(v, &v->own->ports, at);
    uint32_t n = vm->nics.is == API_VALUE ? vm->nics.n : 0;
    if (r || at >= n)
        return r;
    memmove(&vm->nics.v[at], &vm->nics.v[at + 1], (n - at - 1) * sizeof(*vm->nics.v));
    vm->nics.n--;
    return 0;
}

int server_vm_drop_device(struct server_txn *t, struct catalog_object *v, const char *id)
{
    int at = index_of(&v->own->volumes, id);
    if (at > 0)
        return drop_volume(t, v, (uint32_t)at);
    at = index_of(&v->own->ports, id);
    return at >= 0 ? drop_port(t, v, (uint32_t)at) : 0;
}

/* ---- ends ---- */

int server_vm_unplugged(struct server_txn *t, struct catalog_object *v)
{
    if (v->own->resource.is != API_VALUE)
        return 0;
    int r = server_vm_drop_device(t, v, v->own->resource.v);
    if (!r)
        v->own->resource = (struct api_text){API_ABSENT, NULL};
    return r;
}

int server_vm_plug_failed(struct server_txn *t, struct catalog_object *v, const char *why)
{
    static const char *const back[] = {"unplug", NULL};
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    struct api_refusal problem;
    if (is_step(server_vm_step(v), "plug")) {
        int r = server_meta_text(v, &v->own->why, why);
        return r ? r
                 : server_vm_plan(v, back, status->state.v, (enum api_vm_state)v->own->to_state.v);
    }
    const char *first = v->own->why.is == API_VALUE ? v->own->why.v : NULL;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_HOST_FAILED, "%s%s%s", first ? first : "",
                    first ? "; and it could not be taken back: " : "", why);
    v->own->resource = v->own->why = (struct api_text){API_ABSENT, NULL};
    server_vm_arrive(t, v, &problem);
    return 0;
}

bool server_vm_plug_give_up(struct catalog_object *v)
{
    if (!server_vm_plugs(v))
        return false;
    bool comes = is_step(server_vm_step(v), "plug") || v->own->why.is == API_VALUE;
    v->own->why = (struct api_text){API_ABSENT, NULL};
    if (!comes)
        v->own->resource = (struct api_text){API_ABSENT, NULL};
    return comes;
}
