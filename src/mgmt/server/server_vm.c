/* What people ask of VMs: made, looked at, changed, started, stopped, deleted, had back. */
#include "mgmt/server/server_vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_vm_make.h"

static const struct server_resource vm = {.kind = CATALOG_VM};

static int vm_get(struct server_call *c)
{
    return server_resource_get(c, &vm);
}
static int vm_list(struct server_call *c)
{
    return server_resource_list(c, &vm);
}
static int vm_patch(struct server_call *c)
{
    return server_resource_patch(c, &vm);
}

/* ---- actions ---- */

struct action {
    struct server_call *c;
    struct catalog_slot *slot;
    struct server_txn *t;
    struct catalog_object *v; /* the version that the action makes */
    struct api_vm_status *status;
};

static const char *state_name(enum api_vm_state state)
{
    return api_types_vm_state.names[state];
}

static int wrong_state(struct server_call *c, const struct catalog_object *v,
                       enum api_vm_state state)
{
    const struct api_route *route = c->request.route;
    char may[256] = "";
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

/* Finds the VM, looks at its state, and begins a transaction with a version of it. */
static int action_begin(struct action *a, struct server_call *c)
{
    *a = (struct action){.c = c, .slot = server_call_object(c, CATALOG_VM, 0)};
    int r = a->slot ? server_call_wait(c, a->slot) : -ENOENT;
    if (r)
        return r;
    const struct api_vm *doc = a->slot->now->doc;
    if (!api_route_in_state(c->request.route, doc->status.v->state.v))
        return wrong_state(c, a->slot->now, doc->status.v->state.v);
    r = server_call_match(c, a->slot->now);
    if (r)
        return r;
    a->t = server_txn_begin(c->s, c);
    a->v = a->t ? catalog_copy(a->slot->now) : NULL;
    if (!a->v) {
        server_txn_abandon(a->t);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    a->status = ((struct api_vm *)a->v->doc)->status.v;
    return 0;
}

/* An operation that another one takes the place of (a delete while it builds). */
static void end_old_operation(struct action *a)
{
    struct api_refusal problem;
    if (a->status->operation.is != API_VALUE)
        return;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_RESOURCE_BUSY, "%s took its place",
                    a->c->request.route->id);
    server_operation_end(a->t, a->status->operation.v, &problem);
}

static int action_commit(struct action *a, const char *const *steps)
{
    const struct api_route *route = a->c->request.route;
    end_old_operation(a);
    if (server_vm_plan(a->v, steps, (enum api_vm_state)route->via_state,
                       (enum api_vm_state)route->to_state) &&
        !a->t->failed)
        a->t->failed = -ENOMEM;
    const char *id = server_operation_begin(a->t, a->v, false);
    if (id && server_meta_text(a->v, &a->status->operation, id))
        a->t->failed = -ENOMEM;
    server_txn_put(a->t, a->slot, a->v, false);
    return server_txn_commit(a->t, NULL, NULL);
}

static int act(struct server_call *c, const char *const *steps)
{
    struct action a;
    int r = action_begin(&a, c);
    return r ? r : action_commit(&a, steps);
}

static int vm_start(struct server_call *c)
{
    static const char *const steps[] = {"run", NULL};
    return act(c, steps);
}
static int vm_pause(struct server_call *c)
{
    static const char *const steps[] = {"pause", NULL};
    return act(c, steps);
}
static int vm_resume(struct server_call *c)
{
    static const char *const steps[] = {"resume", NULL};
    return act(c, steps);
}

static int act_after_stop(struct server_call *c, const char *const *steps, bool force,
                          int64_t timeout_s)
{
    struct action a;
    int r = action_begin(&a, c);
    if (r)
        return r;
    a.v->own->grace_ms = (struct api_int){API_VALUE, force ? 0 : timeout_s * 1000};
    return action_commit(&a, steps);
}

static int vm_stop(struct server_call *c)
{
    static const char *const steps[] = {"stop", NULL};
    const struct api_vm_stop *body = c->request.body;
    return act_after_stop(c, steps, body->force.v, body->timeout_s.v);
}
static int vm_reboot(struct server_call *c)
{
    static const char *const steps[] = {"stop", "run", NULL};
    const struct api_vm_reboot *body = c->request.body;
    return act_after_stop(c, steps, body->force.v, body->timeout_s.v);
}

/* ---- the end, and back ---- */

static bool has_window(struct server *s, const struct catalog_object *v)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_PROJECT, &v->project);
    const struct api_project *project = slot ? slot->now->doc : NULL;
    return project && project->undelete_window_s.is == API_VALUE && project->undelete_window_s.v;
}

static int vm_delete(struct server_call *c)
{
    static const char *const keep[] = {"stop", NULL}, *const purge[] = {"absent", "forget", NULL};
    const struct api_vm_delete_query *query = c->request.query;
    struct action a;
    int r = action_begin(&a, c);
    if (r)
        return r;
    const struct api_vm *doc = a.v->doc;
    if (doc->delete_protection.is == API_VALUE && doc->delete_protection.v) {
        catalog_unref(a.v);
        server_txn_abandon(a.t);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_PROTECTED,
                               "VM %s is protected against deletion: set delete_protection to "
                               "false first",
                               a.slot->now->name);
    }
    bool deleted = a.status->state.v == API_VM_STATE_DELETED;
    bool for_good = query->purge.v || deleted || !has_window(c->s, a.v);
    a.v->own->grace_ms = (struct api_int){API_VALUE, 0};
    a.status->purge_at = (struct api_text){API_ABSENT, NULL};
    return action_commit(&a, for_good ? purge : keep);
}

static int vm_undelete(struct server_call *c)
{
    static const char *const steps[] = {"stop", NULL};
    struct action a;
    int r = action_begin(&a, c);
    if (r)
        return r;
    a.status->deleted_at = a.status->purge_at = (struct api_text){API_ABSENT, NULL};
    return action_commit(&a, steps);
}

const struct server_route server_vm_routes[] = {
    {API_OP_VM_LIST, vm_list},     {API_OP_VM_GET, vm_get},
    {API_OP_VM_PATCH, vm_patch},   {API_OP_VM_CREATE, server_vm_make},
    {API_OP_VM_DELETE, vm_delete}, {API_OP_VM_UNDELETE, vm_undelete},
    {API_OP_VM_START, vm_start},   {API_OP_VM_STOP, vm_stop},
    {API_OP_VM_REBOOT, vm_reboot}, {API_OP_VM_PAUSE, vm_pause},
    {API_OP_VM_RESUME, vm_resume}, {0},
};
