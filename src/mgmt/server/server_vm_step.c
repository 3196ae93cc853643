/* Steps of VMs: what each wants of the host, when it is over, what it does at its end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_usage.h"
#include "mgmt/server/server_vm.h"

static struct api_vm_status *status_of(const struct catalog_object *v)
{
    return ((struct api_vm *)v->doc)->status.v;
}

const char *server_vm_step(const struct catalog_object *v)
{
    const struct api_texts *steps = &v->own->steps;
    return steps->is == API_VALUE && steps->n ? steps->v[0] : NULL;
}

static bool is(const char *step, const char *name)
{
    return !strcmp(step, name);
}

/* Those that want nothing of the host. */
static bool at_once(const char *step)
{
    return is(step, "swap") || is(step, "rescue") || is(step, "tidy") || is(step, "shelve") ||
           is(step, "forget");
}

/* ---- the row ---- */

static void begin_step(struct catalog_object *v)
{
    const char *step = server_vm_step(v);
    struct api_vm_status *status = status_of(v);
    enum link_vm_want_power want;
    if (!step || at_once(step) || server_vm_plugs(v)) /* those change its devices alone */
        return;
    if (is(step, "run")) {
        want = LINK_VM_WANT_POWER_RUNNING;
        status->run_epoch = (struct api_int){API_VALUE, status->run_epoch.v + 1};
    } else {
        want = is(step, "stop")     ? LINK_VM_WANT_POWER_STOPPED
               : is(step, "pause")  ? LINK_VM_WANT_POWER_PAUSED
               : is(step, "resume") ? LINK_VM_WANT_POWER_RUNNING
                                    : LINK_VM_WANT_POWER_ABSENT;
    }
    v->own->want = (struct api_int){API_VALUE, (int64_t)want};
}

int server_vm_plan(struct catalog_object *v, const char *const *steps, enum api_vm_state via,
                   enum api_vm_state to)
{
    struct api_vm_status *status = status_of(v);
    uint32_t n = 0;
    while (steps[n])
        n++;
    const char **copy = api_arena_array(&v->arena, n, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        copy[i] = steps[i]; /* texts of the program's own */
    v->own->steps = (struct api_texts){API_VALUE, n, copy};
    v->own->to_state = (struct api_int){API_VALUE, to};
    status->state.is = API_VALUE;
    status->state.v = via;
    status->reason = (struct api_text){API_ABSENT, NULL};
    begin_step(v);
    return 0;
}

/* ---- whether the first one is over ---- */

bool server_vm_heard(const struct catalog_object *v, const struct server_vm *vm)
{
    struct store_id host = catalog_parent(v);
    return vm->seen && vm->generation >= v->seq && !memcmp(&vm->seen_by, &host, sizeof(host));
}

static const char *reason_of(const struct server_vm *vm, const char *otherwise)
{
    return vm->reason[0] ? vm->reason : otherwise;
}

static enum server_vm_outcome look_run(const struct catalog_object *v, const struct server_vm *vm)
{
    bool ours = vm->epoch == (uint64_t)status_of(v)->run_epoch.v;
    if (vm->state == LINK_VM_SEEN_STATE_FAILED)
        return SERVER_VM_FAILED;
    if (!ours)
        return SERVER_VM_NOT_YET;
    return vm->state == LINK_VM_SEEN_STATE_RUNNING   ? SERVER_VM_DONE
           : vm->state == LINK_VM_SEEN_STATE_STOPPED ? SERVER_VM_FAILED
                                                     : SERVER_VM_NOT_YET;
}

static enum server_vm_outcome look_at(const struct catalog_object *v, const struct server_vm *vm,
                                      const char *step)
{
    enum link_vm_seen_state state = vm->state;
    bool over = state == LINK_VM_SEEN_STATE_STOPPED || state == LINK_VM_SEEN_STATE_FAILED ||
                state == LINK_VM_SEEN_STATE_ABSENT;
    bool there = false;
    if (is(step, "run"))
        return look_run(v, vm);
    if (is(step, "stop"))
        return over ? SERVER_VM_DONE : SERVER_VM_NOT_YET;
    if (is(step, "absent"))
        return state == LINK_VM_SEEN_STATE_ABSENT ? SERVER_VM_DONE : SERVER_VM_NOT_YET;
    if (is(step, "pause"))
        there = state == LINK_VM_SEEN_STATE_PAUSED;
    else if (is(step, "resume"))
        there = state == LINK_VM_SEEN_STATE_RUNNING;
    return there ? SERVER_VM_DONE : over ? SERVER_VM_FAILED : SERVER_VM_NOT_YET;
}

enum server_vm_outcome server_vm_look(struct server *s, const struct catalog_object *v,
                                      const struct server_vm *vm, char why[SERVER_VM_REASON_BYTES])
{
    const char *step = server_vm_step(v);
    struct store_id host = catalog_parent(v);
    why[0] = 0;
    if (at_once(step))
        return SERVER_VM_DONE;
    /* A host that is known to be off runs nothing. */
    if (server_host_fenced(s, &host)) {
        snprintf(why, SERVER_VM_REASON_BYTES, "its host is fenced");
        return is(step, "stop") || is(step, "absent") || is(step, "unplug") ? SERVER_VM_DONE
                                                                            : SERVER_VM_FAILED;
    }
    if (!server_vm_heard(v, vm))
        return SERVER_VM_NOT_YET;
    if (server_vm_plugs(v))
        return server_vm_look_plug(v, vm, why);
    enum server_vm_outcome outcome = look_at(v, vm, step);
    if (outcome == SERVER_VM_FAILED)
        snprintf(why, SERVER_VM_REASON_BYTES, "%s",
                 reason_of(vm, vm->state == LINK_VM_SEEN_STATE_STOPPED
                                   ? "the guest switched itself off"
                                   : "the monitor ended, and did not say why"));
    return outcome;
}

/* ---- the end of one ---- */

static struct catalog_slot *volume_slot(struct server *s, const struct api_text *id_text)
{
    return id_text->is == API_VALUE ? catalog_find_id(s->catalog, CATALOG_VOLUME, id_text->v)
                                    : NULL;
}

/* A volume that is the VM's own goes with it; the field is emptied. */
static int drop_volume(struct server_txn *t, struct api_text *field)
{
    struct catalog_slot *slot = volume_slot(t->s, field);
    int r = slot ? server_storage_release(t, slot, true) : 0;
    if (!r)
        *field = (struct api_text){API_ABSENT, NULL};
    return r;
}

static int swap(struct server_txn *t, struct catalog_object *v)
{
    struct api_texts *volumes = &v->own->volumes;
    if (v->own->swap.is != API_VALUE || volumes->is != API_VALUE || !volumes->n)
        return 0;
    struct api_text old = {API_VALUE, volumes->v[0]};
    const char **list = api_arena_array(&v->arena, volumes->n, sizeof(*list));
    if (!list)
        return -ENOMEM;
    int r = drop_volume(t, &old);
    if (r)
        return r;
    memcpy(list, volumes->v, volumes->n * sizeof(*list));
    list[0] = v->own->swap.v;
    volumes->v = list;
    status_of(v)->boot_volume = v->own->swap;
    v->own->swap = (struct api_text){API_ABSENT, NULL};
    return 0;
}

static int shelve(struct server_txn *t, struct catalog_object *v)
{
    if (status_of(v)->host.is != API_VALUE)
        return 0;
    status_of(v)->host = (struct api_text){API_ABSENT, NULL};
    return server_vm_hold(t, v, -1);
}

static void set_time(struct server_txn *t, struct catalog_object *v, struct api_text *field,
                     int64_t ms)
{
    char text[SERVER_TIME_BYTES];
    server_meta_time(ms, text);
    if (server_meta_text(v, field, text) && !t->failed)
        t->failed = -ENOMEM;
}

/* In which boot of its host it runs: after another one it has to be started again. */
static int started(struct server_txn *t, struct catalog_object *v)
{
    struct store_id id = catalog_parent(v);
    const struct server_host *host = server_host_find(t->s, &id);
    char boot[UUID_TEXT_BYTES];
    set_time(t, v, &status_of(v)->started_at, server_now_ms());
    if (!host || catalog_id_is_zero(&host->boot))
        return 0;
    uuid_format(host->boot.bytes, boot);
    return server_meta_text(v, &v->own->boot, boot);
}

static int end_step(struct server_txn *t, struct catalog_object *v, const char *step)
{
    if (is(step, "run"))
        return started(t, v);
    if (is(step, "swap"))
        return swap(t, v);
    if (is(step, "shelve"))
        return shelve(t, v);
    if (is(step, "unplug"))
        return server_vm_unplugged(t, v);
    if (is(step, "plug")) {
        v->own->resource = (struct api_text){API_ABSENT, NULL};
    } else if (is(step, "rescue")) {
        v->own->rescue = v->own->swap;
        v->own->swap = (struct api_text){API_ABSENT, NULL};
    } else if (is(step, "tidy")) {
        int r = drop_volume(t, &v->own->swap);
        return r ? r : drop_volume(t, &v->own->rescue);
    }
    return 0;
}

static int64_t window_ms(struct server *s, const struct catalog_object *v)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PROJECT, &v->project);
    const struct api_project *project = slot ? slot->now->doc : NULL;
    return project && project->undelete_window_s.is == API_VALUE
               ? project->undelete_window_s.v * 1000
               : 0;
}

static void end_operation(struct server_txn *t, struct catalog_object *v,
                          const struct api_refusal *problem)
{
    struct api_vm_status *status = status_of(v);
    if (status->operation.is == API_VALUE)
        server_operation_end(t, status->operation.v, problem);
    status->operation = (struct api_text){API_ABSENT, NULL};
}

void server_vm_arrive(struct server_txn *t, struct catalog_object *v,
                      const struct api_refusal *problem)
{
    struct api_vm_status *status = status_of(v);
    int64_t now_ms = server_now_ms();
    v->own->steps = (struct api_texts){API_ABSENT, 0, NULL};
    status->state.v = (enum api_vm_state)v->own->to_state.v;
    if (status->state.v == API_VM_STATE_DELETED) {
        set_time(t, v, &status->deleted_at, now_ms);
        set_time(t, v, &status->purge_at, now_ms + window_ms(t->s, v));
    }
    end_operation(t, v, problem);
}

/* A device that did not come has been taken back. */
static void arrive(struct server_txn *t, struct catalog_object *v)
{
    struct api_refusal problem;
    bool failed = v->own->why.is == API_VALUE;
    api_problem_init(&problem);
    if (failed)
        api_problem_set(&problem, API_PROBLEM_CODE_HOST_FAILED, "%s", v->own->why.v);
    v->own->why = (struct api_text){API_ABSENT, NULL};
    server_vm_arrive(t, v, failed ? &problem : NULL);
}

int server_vm_advance(struct server_txn *t, struct catalog_object *v)
{
    struct api_texts *steps = &v->own->steps;
    const char *step = server_vm_step(v);
    do {
        int r = end_step(t, v, step);
        if (r)
            return r;
        steps->v++;
        steps->n--;
        step = server_vm_step(v);
    } while (step && at_once(step) && !is(step, "forget"));
    if (step)
        begin_step(v);
    else
        arrive(t, v);
    return 0;
}

void server_vm_fail(struct server_txn *t, struct catalog_object *v, enum api_vm_state state,
                    const char *reason)
{
    struct api_vm_status *status = status_of(v);
    struct api_refusal problem;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, "%s", reason);
    v->own->steps = (struct api_texts){API_ABSENT, 0, NULL};
    v->own->want = (struct api_int){API_VALUE, LINK_VM_WANT_POWER_STOPPED};
    status->state.v = state;
    if (server_meta_text(v, &status->reason, reason) && !t->failed)
        t->failed = -ENOMEM;
    end_operation(t, v, &problem);
}

/* ---- the end of a VM ---- */

static bool goes_with_it(const struct catalog_object *v, uint32_t i)
{
    const struct api_vm *vm = v->doc;
    if (v->own->purge.is == API_VALUE && v->own->purge.v)
        return true;
    if (!i)
        return vm->boot_volume.is != API_VALUE;
    return vm->volumes.is == API_VALUE && i - 1 < vm->volumes.n &&
           vm->volumes.v[i - 1].delete_with_vm.is == API_VALUE &&
           vm->volumes.v[i - 1].delete_with_vm.v;
}

static int release_volumes(struct server_txn *t, const struct catalog_object *v)
{
    const struct api_texts *volumes = &v->own->volumes;
    struct api_text own[] = {v->own->swap, v->own->rescue};
    int r = drop_volume(t, &own[0]);
    if (!r)
        r = drop_volume(t, &own[1]);
    for (uint32_t i = 0; !r && volumes->is == API_VALUE && i < volumes->n; i++) {
        const struct api_text id = {API_VALUE, volumes->v[i]};
        struct catalog_slot *slot = volume_slot(t->s, &id);
        r = slot ? server_storage_release(t, slot, goes_with_it(v, i)) : 0;
    }
    return r;
}

static int release_ports(struct server_txn *t, const struct catalog_object *v)
{
    const struct api_texts *ports = &v->own->ports;
    int r = 0;
    for (uint32_t i = 0; !r && ports->is == API_VALUE && i < ports->n; i++) {
        struct catalog_slot *slot = catalog_find_id(t->s->catalog, CATALOG_PORT, ports->v[i]);
        r = slot ? server_network_unplug(t, slot) : 0;
    }
    return r;
}

static int give_back(struct server_txn *t, const struct catalog_object *v)
{
    const struct api_vm_status *status = status_of(v);
    int r = server_quota_add(t, &v->project, "vms", -1);
    server_usage_end(t, v);
    if (status->host.is != API_VALUE) /* shelved: it holds nothing */
        return r;
    if (!r)
        r = server_quota_add(t, &v->project, "vcpus", -status->vcpus.v);
    return r ? r : server_quota_add(t, &v->project, "memory_mib", -status->memory_mib.v);
}

/* ctx is the last version, whose reference is this function's. */
static void forgotten(struct server_txn *t, int result)
{
    struct catalog_object *v = t->ctx;
    struct store_id host = catalog_parent(v);
    (void)fault_point("server_vm.forget.stored");
    if (!result)
        server_link_gone(t->s, &host, v);
    (void)fault_point("server_vm.forget.told");
    catalog_unref(v);
}

void server_vm_forget(struct server *s, struct catalog_slot *slot)
{
    struct catalog_object *v = slot->now;
    const struct api_vm_status *status = status_of(v);
    struct server_txn *t = server_txn_begin(s, NULL);
    int r = t ? release_volumes(t, v) : -ENOMEM;
    if (!r)
        r = release_ports(t, v);
    if (!r)
        r = give_back(t, v);
    if (r) {
        server_txn_abandon(t); /* the tick tries again */
        return;
    }
    if (status->operation.is == API_VALUE)
        server_operation_end(t, status->operation.v, NULL);
    server_txn_remove(t, slot);
    (void)fault_point("server_vm.forget.begin");
    catalog_ref(v);
    if (server_txn_commit(t, forgotten, v))
        catalog_unref(v);
}
