/* What people ask of VMs: looked at, changed, started, stopped, deleted, had back. */
#include "mgmt/server/server_vm.h"

#include <errno.h>
#include <string.h>

#include "mgmt/server/server_command.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_socket.h"
#include "mgmt/server/server_vm_act.h"
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

/* ---- power ---- */

static enum api_vm_state route_to(const struct server_call *c)
{
    return (enum api_vm_state)c->request.route->to_state;
}

static int vm_start(struct server_call *c)
{
    static const char *const steps[] = {"run", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    return r ? r : server_vm_act_end(&a, steps, route_to(c));
}

static int vm_pause(struct server_call *c)
{
    static const char *const steps[] = {"pause", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    return r ? r : server_vm_act_end(&a, steps, route_to(c));
}

static int vm_resume(struct server_call *c)
{
    static const char *const steps[] = {"resume", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    return r ? r : server_vm_act_end(&a, steps, route_to(c));
}

static void set_grace(struct server_vm_act *a, bool force, int64_t timeout_s)
{
    a->v->own->grace_ms = (struct api_int){API_VALUE, force ? 0 : timeout_s * 1000};
}

static int vm_stop(struct server_call *c)
{
    static const char *const steps[] = {"stop", NULL};
    const struct api_vm_stop *body = c->request.body;
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    set_grace(&a, body->force.v, body->timeout_s.v);
    return server_vm_act_end(&a, steps, route_to(c));
}

static int vm_reboot(struct server_call *c)
{
    static const char *const steps[] = {"stop", "run", NULL};
    const struct api_vm_reboot *body = c->request.body;
    struct server_vm_act a;
    int r = server_vm_act_begin_up(&a, c);
    if (r)
        return r;
    set_grace(&a, body->force.v, body->timeout_s.v);
    return server_vm_act_end(&a, steps, route_to(c));
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
    struct server_vm_act a;
    int r = server_vm_act_begin(&a, c);
    if (r)
        return r;
    if (a.vm->delete_protection.is == API_VALUE && a.vm->delete_protection.v)
        return server_vm_act_refuse(
            &a, api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_PROTECTED,
                                "VM %s is protected against deletion: set delete_protection to "
                                "false first",
                                a.slot->now->name));
    bool for_good = query->purge.v || !has_window(c->s, a.v);
    /* A request that comes again, since its answer was lost, must not end the window. */
    if (a.status->state.v == API_VM_STATE_DELETED && !for_good)
        return server_vm_act_end_now(&a);
    a.v->own->grace_ms = (struct api_int){API_VALUE, 0};
    if (query->delete_volumes.v)
        a.v->own->purge = (struct api_int){API_VALUE, 1};
    a.status->purge_at = (struct api_text){API_ABSENT, NULL};
    return server_vm_act_end(&a, for_good ? purge : keep, route_to(c));
}

static int vm_undelete(struct server_call *c)
{
    static const char *const steps[] = {"stop", NULL};
    struct server_vm_act a;
    int r = server_vm_act_begin(&a, c);
    if (r)
        return r;
    a.status->deleted_at = a.status->purge_at = (struct api_text){API_ABSENT, NULL};
    a.v->own->purge = (struct api_int){API_ABSENT, 0};
    bool shelved = a.status->host.is != API_VALUE; /* it had no place, and has none now */
    return server_vm_act_end(&a, steps, shelved ? API_VM_STATE_SHELVED : route_to(c));
}

const struct server_route server_vm_routes[] = {
    {API_OP_VM_LIST, vm_list},
    {API_OP_VM_GET, vm_get},
    {API_OP_VM_PATCH, vm_patch},
    {API_OP_VM_CREATE, server_vm_make},
    {API_OP_VM_BATCH_CREATE, server_vm_make_batch},
    {API_OP_VM_DELETE, vm_delete},
    {API_OP_VM_UNDELETE, vm_undelete},
    {API_OP_VM_START, vm_start},
    {API_OP_VM_STOP, vm_stop},
    {API_OP_VM_REBOOT, vm_reboot},
    {API_OP_VM_PAUSE, vm_pause},
    {API_OP_VM_RESUME, vm_resume},
    {API_OP_VM_RESIZE, server_vm_resize},
    {API_OP_VM_SHELVE, server_vm_shelve},
    {API_OP_VM_UNSHELVE, server_vm_unshelve},
    {API_OP_VM_MIGRATE, server_vm_migrate},
    {API_OP_VM_REBUILD, server_vm_rebuild},
    {API_OP_VM_RESCUE, server_vm_rescue},
    {API_OP_VM_UNRESCUE, server_vm_unrescue},
    {API_OP_VM_CREATE_IMAGE, server_vm_create_image},
    {API_OP_VM_ATTACH_VOLUME, server_vm_attach_volume},
    {API_OP_VM_DETACH_VOLUME, server_vm_detach_volume},
    {API_OP_VM_ATTACH_NIC, server_vm_attach_nic},
    {API_OP_VM_DETACH_NIC, server_vm_detach_nic},
    {API_OP_VM_CONSOLE, server_socket_only},
    {API_OP_VM_CONSOLE_LOG, server_command_console_log},
    {0},
};
