/* From what a host says of a VM to the VM's next state. Everything here may be called at any time
 * and again: it looks at the object and at what was last seen, and does what is due. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_network.h"
#include "mgmt/server/server_place.h"
#include "mgmt/server/server_storage.h"
#include "mgmt/server/server_vm.h"

enum outcome { NOT_YET, DONE, FAILED };

static const char *first_step(const struct catalog_object *v)
{
    const struct api_texts *steps = &v->own->steps;
    return steps->is == API_VALUE && steps->n ? steps->v[0] : NULL;
}

/* ---- seen ---- */

static void pending_drop(struct server_vm *vm)
{
    if (!vm->link_pending)
        return;
    *vm->link_pending = vm->next_pending;
    if (vm->next_pending)
        vm->next_pending->link_pending = vm->link_pending;
    vm->link_pending = NULL;
}

static void pending_add(struct server *s, struct server_vm *vm)
{
    if (vm->link_pending)
        return;
    vm->next_pending = s->pending_vms;
    vm->link_pending = &s->pending_vms;
    if (vm->next_pending)
        vm->next_pending->link_pending = &vm->next_pending;
    s->pending_vms = vm;
}

void server_vm_changed(struct server *s, struct catalog_slot *slot,
                       const struct catalog_object *before, const struct catalog_object *after)
{
    struct server_vm *vm = slot->aux;
    if (!vm && after) {
        vm = calloc(1, sizeof(*vm));
        if (!vm)
            return;
        vm->id = after->id;
        slot->aux = vm;
    }
    server_place_changed(s, slot, before, after);
    if (!vm)
        return;
    if (!after) {
        pending_drop(vm);
        free(vm);
        slot->aux = NULL;
    } else if (first_step(after) ||
               ((const struct api_vm *)after->doc)->status.v->purge_at.is == API_VALUE) {
        pending_add(s, vm);
    } else {
        pending_drop(vm);
    }
}

void server_vm_seen(struct server *s, const struct store_id *host, const struct link_vm_seen *seen)
{
    struct store_id id;
    link_uuid(&seen->id, id.bytes);
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_VM, &id);
    struct server_vm *vm = slot ? slot->aux : NULL;
    if (!vm)
        return; /* not ours, or forgotten: left alone, for an operator to look at */
    struct store_id where = catalog_parent(slot->now);
    if (memcmp(&where, host, sizeof(where)) != 0)
        return;
    vm->seen = true;
    vm->seen_by = *host;
    vm->generation = (uint64_t)seen->generation.v;
    vm->epoch = (uint64_t)seen->epoch.v;
    vm->state = seen->state.v;
    snprintf(vm->reason, sizeof(vm->reason), "%s",
             seen->reason.is == API_VALUE ? seen->reason.v : "");
    server_vm_settle(s, slot);
}

/* ---- steps ---- */

/* A host that is known to be off has nothing of it. */
static bool fenced(struct server *s, const struct catalog_object *v)
{
    struct store_id id = catalog_parent(v);
    const struct catalog_slot *slot =
        catalog_id_is_zero(&id) ? NULL : catalog_find(s->catalog, CATALOG_HOST, &id);
    const struct api_host *host = slot ? slot->now->doc : NULL;
    return !host || (host->status.is == API_VALUE &&
                     host->status.v->state.v == API_HOST_STATUS_STATE_FENCED);
}

static enum outcome look(struct server *s, const struct catalog_object *v,
                         const struct server_vm *vm, const char *step)
{
    const struct api_vm *doc = v->doc;
    uint64_t epoch = (uint64_t)doc->status.v->run_epoch.v;
    bool heard = vm->seen && vm->generation >= v->seq;
    bool runs = vm->state == LINK_VM_SEEN_STATE_RUNNING;
    bool over = vm->state == LINK_VM_SEEN_STATE_STOPPED || vm->state == LINK_VM_SEEN_STATE_FAILED ||
                vm->state == LINK_VM_SEEN_STATE_ABSENT;
    if (!strcmp(step, "forget"))
        return DONE;
    if ((!strcmp(step, "stop") || !strcmp(step, "absent")) && fenced(s, v))
        return DONE;
    if (!heard)
        return NOT_YET;
    if (!strcmp(step, "run"))
        return runs && vm->epoch == epoch                                      ? DONE
               : vm->state == LINK_VM_SEEN_STATE_FAILED                        ? FAILED
               : vm->state == LINK_VM_SEEN_STATE_STOPPED && vm->epoch == epoch ? FAILED
                                                                               : NOT_YET;
    if (!strcmp(step, "stop"))
        return over ? DONE : NOT_YET;
    if (!strcmp(step, "pause"))
        return vm->state == LINK_VM_SEEN_STATE_PAUSED ? DONE : over ? FAILED : NOT_YET;
    if (!strcmp(step, "resume"))
        return runs ? DONE : over ? FAILED : NOT_YET;
    return vm->state == LINK_VM_SEEN_STATE_ABSENT ? DONE : NOT_YET; /* absent */
}

/* What the first step wants of the host. */
static void begin_step(struct catalog_object *v)
{
    const char *step = first_step(v);
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    enum link_vm_want_power want;
    if (!step || !strcmp(step, "forget"))
        return;
    if (!strcmp(step, "run")) {
        want = LINK_VM_WANT_POWER_RUNNING;
        status->run_epoch = (struct api_int){API_VALUE, status->run_epoch.v + 1};
    } else {
        want = !strcmp(step, "stop")     ? LINK_VM_WANT_POWER_STOPPED
               : !strcmp(step, "pause")  ? LINK_VM_WANT_POWER_PAUSED
               : !strcmp(step, "resume") ? LINK_VM_WANT_POWER_RUNNING
                                         : LINK_VM_WANT_POWER_ABSENT;
    }
    v->own->want = (struct api_int){API_VALUE, (int64_t)want};
}

int server_vm_plan(struct catalog_object *v, const char *const *steps, enum api_vm_state via,
                   enum api_vm_state to)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    struct api_texts *out = &v->own->steps;
    uint32_t n = 0;
    while (steps[n])
        n++;
    const char **copy = api_arena_array(&v->arena, n, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        copy[i] = steps[i]; /* texts of the program's own */
    *out = (struct api_texts){API_VALUE, n, copy};
    v->own->to_state = (struct api_int){API_VALUE, to};
    status->state.is = API_VALUE;
    status->state.v = via;
    status->reason = (struct api_text){API_ABSENT, NULL};
    begin_step(v);
    return 0;
}

static void set_time(struct server_txn *t, struct catalog_object *v, struct api_text *field,
                     int64_t ms)
{
    char text[SERVER_TIME_BYTES];
    server_meta_time(ms, text);
    if (server_meta_text(v, field, text) && !t->failed)
        t->failed = -ENOMEM;
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
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    if (status->operation.is == API_VALUE)
        server_operation_end(t, status->operation.v, problem);
    status->operation = (struct api_text){API_ABSENT, NULL};
}

/* The row is at its end. */
static void arrive(struct server_txn *t, struct catalog_object *v)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    int64_t now_ms = server_now_ms();
    status->state.v = (enum api_vm_state)v->own->to_state.v;
    if (status->state.v == API_VM_STATE_RUNNING)
        set_time(t, v, &status->started_at, now_ms);
    if (status->state.v == API_VM_STATE_DELETED) {
        set_time(t, v, &status->deleted_at, now_ms);
        set_time(t, v, &status->purge_at, now_ms + window_ms(t->s, v));
    }
    end_operation(t, v, NULL);
}

static void advance(struct server_txn *t, struct catalog_object *v)
{
    struct api_texts *steps = &v->own->steps;
    steps->v++;
    steps->n--;
    if (!steps->n)
        arrive(t, v);
    else
        begin_step(v);
}

static void fail(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    struct api_refusal problem;
    const char *reason = vm->reason[0] ? vm->reason : "the monitor ended, and did not say why";
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, "%s", reason);
    v->own->steps = (struct api_texts){API_ABSENT, 0, NULL};
    v->own->want = (struct api_int){API_VALUE, LINK_VM_WANT_POWER_STOPPED};
    status->state.v = API_VM_STATE_ERROR;
    if (server_meta_text(v, &status->reason, reason) && !t->failed)
        t->failed = -ENOMEM;
    end_operation(t, v, &problem);
}

/* ---- the end of a VM ---- */

static int release_all(struct server_txn *t, const struct catalog_object *v)
{
    struct server *s = t->s;
    const struct api_texts *lists[] = {&v->own->ports, &v->own->volumes};
    const enum catalog_kind kinds[] = {CATALOG_PORT, CATALOG_VOLUME};
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; lists[k]->is == API_VALUE && i < lists[k]->n; i++) {
            struct store_id id;
            struct catalog_slot *slot = !catalog_id_parse(lists[k]->v[i], &id)
                                            ? catalog_find(s->catalog, kinds[k], &id)
                                            : NULL;
            int r = !slot                      ? 0
                    : kinds[k] == CATALOG_PORT ? server_network_unplug(t, slot)
                                               : server_storage_release(t, slot, i == 0);
            if (r)
                return r;
        }
    return 0;
}

static void forget(struct server *s, struct catalog_slot *slot)
{
    const struct catalog_object *v = slot->now;
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    struct server_txn *t = server_txn_begin(s, NULL);
    int r = t ? release_all(t, v) : -ENOMEM;
    if (!r) {
        if (status->operation.is == API_VALUE)
            server_operation_end(t, status->operation.v, NULL);
        (void)server_quota_add(t, &v->project, "vms", -1);
        (void)server_quota_add(t, &v->project, "vcpus", -status->vcpus.v);
        (void)server_quota_add(t, &v->project, "memory_mib", -status->memory_mib.v);
        struct store_id host = catalog_parent(v);
        server_link_gone(s, &host, v);
        server_txn_remove(t, slot);
        (void)server_txn_commit(t, NULL, NULL);
    } else {
        server_txn_abandon(t); /* the tick tries again */
    }
}

/* ---- settling ---- */

/* What a VM without steps does by itself: its guest switches itself off, its monitor dies. */
static bool drift(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm,
                  uint64_t seq)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    bool heard = vm->seen && vm->generation >= seq;
    if (!heard || status->state.v != API_VM_STATE_RUNNING ||
        vm->epoch != (uint64_t)status->run_epoch.v)
        return false;
    if (vm->state == LINK_VM_SEEN_STATE_STOPPED) {
        status->state.v = API_VM_STATE_STOPPED;
        v->own->want = (struct api_int){API_VALUE, LINK_VM_WANT_POWER_STOPPED};
        if (server_meta_text(v, &status->reason,
                             vm->reason[0] ? vm->reason : "the guest switched itself off"))
            t->failed = -ENOMEM;
        return true;
    }
    if (vm->state == LINK_VM_SEEN_STATE_FAILED) {
        fail(t, v, vm);
        return true;
    }
    return false;
}

/* The window of a deleted VM is over. */
static bool purge_due(const struct catalog_object *v)
{
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    int64_t when;
    return status->state.v == API_VM_STATE_DELETED && status->purge_at.is == API_VALUE &&
           !server_meta_parse_time(status->purge_at.v, &when) && when <= server_now_ms();
}

void server_vm_settle(struct server *s, struct catalog_slot *slot)
{
    static const char *const purge[] = {"absent", "forget", NULL};
    const struct server_vm *vm = slot->aux;
    const struct catalog_object *now = slot->now;
    if (!vm || slot->writing)
        return;
    const char *step = first_step(now);
    enum outcome outcome = step ? look(s, now, vm, step) : NOT_YET;
    if (step && outcome == NOT_YET)
        return;
    if (step && !strcmp(step, "forget")) {
        forget(s, slot);
        return;
    }
    struct catalog_object *v = catalog_copy(now);
    struct server_txn *t = v ? server_txn_begin(s, NULL) : NULL;
    if (!t) {
        catalog_unref(v);
        return;
    }
    bool changed = true;
    if (step && outcome == DONE)
        advance(t, v);
    else if (step)
        fail(t, v, vm);
    else if (purge_due(now))
        changed = !server_vm_plan(v, purge, API_VM_STATE_DELETING, API_VM_STATE_DELETED);
    else
        changed = drift(t, v, vm, now->seq);
    if (!changed) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    server_txn_put(t, slot, v, false);
    (void)server_txn_commit(t, NULL, NULL);
}

void server_vm_tick(struct server *s)
{
    for (struct server_vm *vm = s->pending_vms, *next; vm; vm = next) {
        next = vm->next_pending;
        struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_VM, &vm->id);
        if (slot)
            server_vm_settle(s, slot);
    }
}

void server_vm_loaded(struct server *s)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_VM);
    for (size_t i = 0; i < all->n; i++)
        server_place_changed(s, all->slots[i], all->slots[i]->now, all->slots[i]->now);
}

void server_vm_destroy_all(struct server *s)
{
    const struct catalog_list *all = s->catalog ? catalog_all(s->catalog, CATALOG_VM) : NULL;
    for (size_t i = 0; all && i < all->n; i++)
        free(all->slots[i]->aux);
}
