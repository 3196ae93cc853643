/* From what is known of a VM's host to the VM's next state. Everything here may be called at any
 * time and again: it looks at the object and at what was last seen, and does what is due. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_vm.h"

static struct api_vm_status *status_of(const struct catalog_object *v)
{
    return ((struct api_vm *)v->doc)->status.v;
}

static void set_state(struct server_txn *t, struct catalog_object *v, enum api_vm_state state,
                      const char *reason)
{
    struct api_vm_status *status = status_of(v);
    status->state.v = state;
    status->reason = (struct api_text){API_ABSENT, NULL};
    if (reason && server_meta_text(v, &status->reason, reason) && !t->failed)
        t->failed = -ENOMEM;
}

/* ---- what a VM without steps does by itself ---- */

/* Its host has booted since the VM was started. */
static bool rebooted(struct server *s, const struct catalog_object *v)
{
    struct store_id id = catalog_parent(v), boot;
    const struct server_host *host = server_host_find(s, &id);
    return host && !catalog_id_is_zero(&host->boot) && v->own->boot.is == API_VALUE &&
           !catalog_id_parse(v->own->boot.v, &boot) &&
           memcmp(&boot, &host->boot, sizeof(boot)) != 0;
}

static bool start_again(struct server_txn *t, struct catalog_object *v)
{
    static const char *const run[] = {"run", NULL};
    const struct api_vm *vm = v->doc;
    enum api_vm_state state = status_of(v)->state.v;
    if (!rebooted(t->s, v) || (vm->autostart.is == API_VALUE && !vm->autostart.v))
        return false;
    enum api_vm_state to =
        state == API_VM_STATE_RESCUED ? API_VM_STATE_RESCUED : API_VM_STATE_RUNNING;
    if (server_vm_plan(v, run, API_VM_STATE_STARTING, to) && !t->failed)
        t->failed = -ENOMEM;
    return true;
}

static const char *reason_of(const struct server_vm *vm, const char *otherwise)
{
    return vm->reason[0] ? vm->reason : otherwise;
}

/* Of a VM that is running, paused or rescued: it was seen to do something else. */
static bool unexpected(const struct catalog_object *v, const struct server_vm *vm)
{
    enum api_vm_state state = status_of(v)->state.v;
    bool wants_run = v->own->want.v == LINK_VM_WANT_POWER_RUNNING;
    switch (vm->state) {
    case LINK_VM_SEEN_STATE_STOPPED:
    case LINK_VM_SEEN_STATE_FAILED:
        return true;
    case LINK_VM_SEEN_STATE_PAUSED: /* against what is wanted: its disk is full, say */
        return wants_run && state == API_VM_STATE_RUNNING;
    case LINK_VM_SEEN_STATE_RUNNING:
        return wants_run && state == API_VM_STATE_PAUSED;
    default:
        return false; /* on its way */
    }
}

/* It is running, paused or rescued, and was seen as its host has it now. */
static bool drift_live(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm)
{
    if (!unexpected(v, vm))
        return false;
    switch (vm->state) {
    case LINK_VM_SEEN_STATE_STOPPED:
        if (start_again(t, v))
            return true;
        set_state(t, v, API_VM_STATE_STOPPED, reason_of(vm, "the guest switched itself off"));
        v->own->want = (struct api_int){API_VALUE, LINK_VM_WANT_POWER_STOPPED};
        return true;
    case LINK_VM_SEEN_STATE_FAILED:
        if (!start_again(t, v))
            server_vm_fail(t, v, API_VM_STATE_ERROR,
                           reason_of(vm, "the monitor ended, and did not say why"));
        return true;
    case LINK_VM_SEEN_STATE_PAUSED:
        set_state(t, v, API_VM_STATE_PAUSED, reason_of(vm, "its host paused it"));
        return true;
    default:
        set_state(t, v, API_VM_STATE_RUNNING, NULL);
        return true;
    }
}

static bool live(enum api_vm_state state)
{
    return state == API_VM_STATE_RUNNING || state == API_VM_STATE_PAUSED ||
           state == API_VM_STATE_RESCUED;
}

static bool lose(struct server_txn *t, struct catalog_object *v, bool fenced)
{
    enum api_vm_state state = status_of(v)->state.v;
    if (!live(state))
        return false;
    v->own->to_state = (struct api_int){API_VALUE, state}; /* what it comes back to */
    set_state(t, v, API_VM_STATE_LOST,
              fenced ? "its host is fenced, and its disks lie there: it is started when the host "
                       "is back"
                     : "its host does not answer");
    return true;
}

static bool come_back(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm)
{
    enum api_vm_state was = (enum api_vm_state)v->own->to_state.v;
    switch (vm->state) {
    case LINK_VM_SEEN_STATE_RUNNING:
        if (v->own->want.v != LINK_VM_WANT_POWER_RUNNING)
            return false;
        set_state(t, v, was, NULL);
        return true;
    case LINK_VM_SEEN_STATE_PAUSED:
        set_state(t, v, was == API_VM_STATE_RESCUED ? was : API_VM_STATE_PAUSED, NULL);
        return true;
    case LINK_VM_SEEN_STATE_STOPPED:
    case LINK_VM_SEEN_STATE_FAILED:
        set_state(t, v, was, NULL);
        return drift_live(t, v, vm);
    default:
        return false;
    }
}

static bool drift(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm,
                  bool heard)
{
    const struct api_vm_status *status = status_of(v);
    struct store_id host = catalog_parent(v);
    bool changed = false;
    if (status->host.is == API_VALUE && server_host_lost(t->s, &host))
        return lose(t, v, server_host_fenced(t->s, &host));
    bool ours = heard && vm->epoch == (uint64_t)status->run_epoch.v;
    if (ours && status->state.v == API_VM_STATE_LOST)
        changed = come_back(t, v, vm);
    else if (ours && live(status->state.v))
        changed = drift_live(t, v, vm);
    return server_vm_addresses(t, v, vm) || changed;
}

/* ---- settling ---- */

/* The window of a deleted VM is over. */
static bool purge_due(const struct catalog_object *v)
{
    const struct api_vm_status *status = status_of(v);
    int64_t when;
    return status->state.v == API_VM_STATE_DELETED && status->purge_at.is == API_VALUE &&
           !server_meta_parse_time(status->purge_at.v, &when) && when <= server_now_ms();
}

static enum api_vm_state state_after_failure(struct server *s, const struct catalog_object *now,
                                             const struct server_vm *vm)
{
    struct store_id host = catalog_parent(now);
    bool over = vm->state == LINK_VM_SEEN_STATE_STOPPED || vm->state == LINK_VM_SEEN_STATE_ABSENT;
    return over || server_host_fenced(s, &host) ? API_VM_STATE_STOPPED : API_VM_STATE_ERROR;
}

/* Whether there is something to write; an error (SERVER_WAIT too) leaves it for later. */
static int change(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm,
                  const struct catalog_object *now)
{
    static const char *const purge[] = {"absent", "forget", NULL};
    const char *step = server_vm_step(now);
    char why[SERVER_VM_REASON_BYTES] = "";
    enum server_vm_outcome outcome = step ? server_vm_look(t->s, now, vm, why) : SERVER_VM_NOT_YET;
    int r = 0;
    if (!step && purge_due(now))
        r = server_vm_plan(v, purge, API_VM_STATE_DELETING, API_VM_STATE_DELETED);
    else if (!step)
        return drift(t, v, vm, server_vm_heard(now, vm));
    else if (outcome == SERVER_VM_FAILED && server_vm_plugs(now))
        r = server_vm_plug_failed(t, v, why);
    else if (outcome == SERVER_VM_FAILED)
        server_vm_fail(t, v, state_after_failure(t->s, now, vm), why);
    else
        r = server_vm_advance(t, v);
    if (r)
        return -EAGAIN;
    (void)server_vm_addresses(t, v, vm);
    return 1;
}

static void settled(struct server_txn *t, int result)
{
    struct catalog_slot *slot = catalog_find(t->s->catalog, CATALOG_VM, t->ctx);
    struct server_vm *vm = slot ? slot->aux : NULL;
    (void)fault_point("server_vm.settle.done");
    if (vm && !result)
        vm->tried = false;
}

/* Whether drift() may find something: true once too often costs a copy of the version. */
static bool may_drift(struct server *s, const struct catalog_object *now,
                      const struct server_vm *vm)
{
    const struct api_vm_status *status = status_of(now);
    struct store_id host = catalog_parent(now);
    if (status->host.is == API_VALUE && server_host_lost(s, &host))
        return live(status->state.v);
    if (status->state.v == API_VM_STATE_LOST || server_vm_addresses_given(s, now, vm))
        return true;
    return live(status->state.v) && server_vm_heard(now, vm) && unexpected(now, vm);
}

/* Cheap: this is asked at every report of every VM. */
static bool due(struct server *s, const struct catalog_object *now, const struct server_vm *vm)
{
    char why[SERVER_VM_REASON_BYTES];
    if (server_vm_step(now))
        return server_vm_look(s, now, vm, why) != SERVER_VM_NOT_YET;
    return purge_due(now) || may_drift(s, now, vm);
}

static void settle(struct server *s, struct catalog_slot *slot)
{
    struct server_vm *vm = slot->aux;
    struct catalog_object *now = slot->now;
    if (!vm || slot->writing || ((const struct api_vm *)slot->now->doc)->status.is != API_VALUE ||
        vm->tried || !due(s, now, vm))
        return;
    const char *step = server_vm_step(now);
    if (step && !strcmp(step, "forget")) {
        vm->tried = true;
        server_vm_forget(s, slot);
        return;
    }
    struct catalog_object *v = catalog_copy(now);
    struct server_txn *t = v ? server_txn_begin(s, NULL) : NULL;
    struct store_id *id = t ? api_arena_alloc(&t->arena, sizeof(*id)) : NULL;
    int r = id ? change(t, v, vm, now) : -ENOMEM;
    if (r != 1) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    *id = now->id;
    v->patient = !server_vm_step(v) && !server_vm_plugs(now) &&
                 v->own->want.v == now->own->want.v &&
                 status_of(v)->run_epoch.v == status_of(now)->run_epoch.v;
    vm->tried = true; /* if it fails, not at once again */
    server_vm_later(s, vm);
    server_txn_put(t, slot, v, false);
    (void)fault_point("server_vm.settle.begin");
    (void)server_txn_commit(t, settled, id);
}

void server_vm_settle(struct server *s, struct catalog_slot *slot)
{
    settle(s, slot);
    server_vm_show(s, slot);
}
