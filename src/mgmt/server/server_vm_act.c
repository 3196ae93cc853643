/* Beginning and end of an action on a VM. */
#include "mgmt/server/server_vm_act.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_host.h"
#include "mgmt/server/server_host_empty.h"
#include "mgmt/server/server_storage_internal.h"
#include "mgmt/server/server_vm.h"

static const char *state_name(enum api_vm_state state)
{
    return api_types_vm_state.names[state];
}

static int wrong_state(struct server_call *c, const struct catalog_object *v,
                       enum api_vm_state state)
{
    const struct api_route *route = c->request.route;
    char may[512] = "";
    size_t n = 0;
    for (unsigned i = 0; i < API_VM_STATE_N && n < sizeof(may); i++)
        if (route->from_states & 1u << i)
            n += (size_t)snprintf(may + n, sizeof(may) - n, "%s%s", n ? ", " : "",
                                  state_name((enum api_vm_state)i));
    const struct api_vm *doc = v->doc;
    bool busy = doc->status.v->operation.is == API_VALUE;
    return api_problem_set(
        &c->refusal, busy ? API_PROBLEM_CODE_RESOURCE_BUSY : API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
        "VM %s is %s: this is for one that is %s", v->name, state_name(state), may);
}

/* What ends the VM's run, or the VM, does not wait for a device. */
static int check_plugs(struct server_call *c, const struct catalog_object *v)
{
    int via = c->request.route->via_state;
    if (!server_vm_plugs(v) || via == API_VM_STATE_STOPPING || via == API_VM_STATE_DELETING)
        return 0;
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_BUSY,
                           "a volume or NIC is being plugged into or out of VM %s: wait for "
                           "operation %s",
                           v->name, status->operation.is == API_VALUE ? status->operation.v : "");
}

int server_vm_act_begin(struct server_vm_act *a, struct server_call *c)
{
    *a = (struct server_vm_act){.c = c, .slot = server_call_object(c, CATALOG_VM, 0)};
    int r = a->slot ? server_call_wait(c, a->slot) : -ENOENT;
    if (r)
        return r;
    const struct api_vm *doc = a->slot->now->doc;
    if (!api_route_in_state(c->request.route, doc->status.v->state.v))
        return wrong_state(c, a->slot->now, doc->status.v->state.v);
    r = check_plugs(c, a->slot->now);
    if (!r)
        r = server_call_match(c, a->slot->now);
    if (r)
        return r;
    a->t = server_txn_begin(c->s, c);
    a->v = a->t ? catalog_copy(a->slot->now) : NULL;
    if (!a->v)
        return server_vm_act_no_memory(a);
    a->vm = a->v->doc;
    a->status = a->vm->status.v;
    return 0;
}

/* A disk that an image is being copied from is not written meanwhile. */
static int check_copied(const struct server_vm_act *a)
{
    const struct api_texts *volumes = &a->v->own->volumes;
    int r = 0;
    for (uint32_t i = 0; !r && volumes->is == API_VALUE && i < volumes->n; i++) {
        const struct catalog_slot *slot =
            catalog_find_id(a->c->s->catalog, CATALOG_VOLUME, volumes->v[i]);
        r = slot ? server_image_copied(a->c, slot->now) : 0;
    }
    return r;
}

/* What the VM runs on, and off. */
static int check_run(const struct server_vm_act *a, const struct store_id *host)
{
    if (server_host_empty_may_run(a->c->s, host))
        return check_copied(a);
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                           "host %s of VM %s is in maintenance: wait until it is active again",
                           a->status->host.v, a->slot->now->name);
}

int server_vm_act_check_up(const struct server_vm_act *a)
{
    struct store_id host = catalog_parent(a->v);
    if (catalog_id_is_zero(&host) || !server_host_lost(a->c->s, &host))
        return 0;
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                           "host %s of VM %s %s: wait until it is back, or delete the VM",
                           a->status->host.v, a->slot->now->name,
                           server_host_fenced(a->c->s, &host) ? "is fenced" : "does not answer");
}

int server_vm_act_begin_up(struct server_vm_act *a, struct server_call *c)
{
    int r = server_vm_act_begin(a, c);
    struct store_id host;
    if (r)
        return r;
    host = catalog_parent(a->v);
    int to = c->request.route->to_state;
    if (to == API_VM_STATE_RUNNING || to == API_VM_STATE_RESCUED)
        r = check_run(a, &host);
    if (!r)
        r = server_vm_act_check_up(a);
    return r ? server_vm_act_refuse(a, r) : 0;
}

int server_vm_act_refuse(struct server_vm_act *a, int r)
{
    catalog_unref(a->v);
    server_txn_abandon(a->t);
    return r;
}

int server_vm_act_no_memory(struct server_vm_act *a)
{
    return server_vm_act_refuse(
        a, api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again"));
}

/* An operation that another one takes the place of (a delete while it builds). */
static void end_old_operation(struct server_vm_act *a)
{
    struct api_refusal problem;
    if (a->status->operation.is != API_VALUE)
        return;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_RESOURCE_BUSY, "%s took its place",
                    a->c->request.route->id);
    server_operation_end(a->t, a->status->operation.v, &problem);
    a->status->operation = (struct api_text){API_ABSENT, NULL};
}

static bool has(const char *const *steps, const char *step)
{
    for (; *steps; steps++)
        if (!strcmp(*steps, step))
            return true;
    return false;
}

/* A disk that a rescue or a rebuild has left goes before the VM runs again, once it has stopped; so
 * does a device that was on its way in. */
static void plan_of(const struct server_vm_act *a, const char *const *steps, bool takes_back,
                    const char *plan[SERVER_VM_STEPS_MAX])
{
    bool untidy = a->v->own->swap.is == API_VALUE || a->v->own->rescue.is == API_VALUE;
    bool handled = has(steps, "swap") || has(steps, "rescue") || has(steps, "tidy") ||
                   has(steps, "absent") || has(steps, "pause") || has(steps, "resume") ||
                   has(steps, "plug") || has(steps, "unplug");
    unsigned n = 0;
    if (takes_back && !strcmp(steps[0], "stop")) {
        plan[n++] = *steps++;
        plan[n++] = "unplug";
    }
    if (untidy && !handled) {
        if (!n)
            plan[n++] = "stop";
        plan[n++] = "tidy";
        steps += *steps && !strcmp(steps[0], "stop");
    }
    while (*steps && n < SERVER_VM_STEPS_MAX - 1)
        plan[n++] = *steps++;
    plan[n] = NULL;
}

int server_vm_act_end(struct server_vm_act *a, const char *const *steps, enum api_vm_state to)
{
    const char *plan[SERVER_VM_STEPS_MAX];
    const struct api_route *route = a->c->request.route;
    enum api_vm_state via =
        route->via_state >= 0 ? (enum api_vm_state)route->via_state : a->status->state.v;
    bool takes_back = !has(steps, "plug") && !has(steps, "unplug") && server_vm_plug_give_up(a->v);
    end_old_operation(a);
    plan_of(a, steps, takes_back, plan);
    if (server_vm_plan(a->v, plan, via, to) && !a->t->failed)
        a->t->failed = -ENOMEM;
    const char *id = server_operation_begin(a->t, a->v, false);
    if (id && server_meta_text(a->v, &a->status->operation, id) && !a->t->failed)
        a->t->failed = -ENOMEM;
    a->t->about = a->v;
    server_txn_put(a->t, a->slot, a->v, false);
    return server_txn_commit(a->t, NULL, NULL);
}

int server_vm_act_end_now(struct server_vm_act *a)
{
    server_operation_done(a->t, a->v);
    a->t->about = a->v;
    server_txn_put(a->t, a->slot, a->v, true);
    return server_txn_commit(a->t, NULL, NULL);
}
