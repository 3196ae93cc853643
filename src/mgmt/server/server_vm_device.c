/* Volumes and NICs that VMs get and give back: of one that is stopped with the commit, of one that
 * runs once its host has said so (server_vm_plug.c). */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_network.h"
#include "mgmt/server/server_storage_internal.h"
#include "mgmt/server/server_vm.h"
#include "mgmt/server/server_vm_act.h"

#define VOLUMES_MAX 24
#define NICS_MAX    16

static bool is_stopped(const struct server_vm_act *a)
{
    return a->status->state.v == API_VM_STATE_STOPPED;
}

/* One that runs needs its host to answer. */
static int begin(struct server_vm_act *a, struct server_call *c)
{
    int r = server_vm_act_begin(a, c);
    if (r || is_stopped(a))
        return r;
    r = server_vm_act_check_up(a);
    return r ? server_vm_act_refuse(a, r) : 0;
}

/* The device is in the VM's lists; of one that runs it is seen to come or go. */
static int end(struct server_vm_act *a, const char *const *steps, const char *device)
{
    if (is_stopped(a))
        return server_vm_act_end_now(a);
    if (server_meta_text(a->v, &a->v->own->resource, device))
        return server_vm_act_no_memory(a);
    return server_vm_act_end(a, steps, a->status->state.v);
}

static const char *const PLUG[] = {"plug", NULL}, *const UNPLUG[] = {"unplug", NULL};

static int no_memory(struct server_vm_act *a)
{
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static int full(struct server_vm_act *a, const char *what, unsigned max)
{
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                           "VM %s has %u %s, and may not have more: detach one first",
                           a->slot->now->name, max, what);
}

/* ---- lists of ids ---- */

static uint32_t count(const struct api_texts *list)
{
    return list->is == API_VALUE ? list->n : 0;
}

static int append(struct catalog_object *v, struct api_texts *list, const char *id)
{
    uint32_t n = count(list);
    const char **copy = api_arena_array(&v->arena, n + 1, sizeof(*copy));
    const char *text = api_arena_text(&v->arena, id, strlen(id));
    if (!copy || !text)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        copy[i] = list->v[i];
    copy[n] = text;
    *list = (struct api_texts){API_VALUE, n + 1, copy};
    return 0;
}

/* -1: it is not there. */
static int index_of(const struct api_texts *list, const char *id)
{
    for (uint32_t i = 0; i < count(list); i++)
        if (!strcmp(list->v[i], id))
            return (int)i;
    return -1;
}

/* ---- volumes: own.volumes is the first disk and, in the same order, vm.volumes ---- */

static int show_volume(struct server_vm_act *a, const struct api_vm_volume *spec)
{
    uint32_t n = a->vm->volumes.is == API_VALUE ? a->vm->volumes.n : 0;
    struct api_vm_volume *list = api_arena_array(&a->v->arena, n + 1, sizeof(*list));
    if (!list)
        return no_memory(a);
    if (n)
        memcpy(list, a->vm->volumes.v, n * sizeof(*list));
    list[n] = *spec;
    a->vm->volumes.v = list;
    a->vm->volumes.n = n + 1;
    a->vm->volumes.is = API_VALUE;
    return 0;
}

static int attach(struct server_vm_act *a, struct catalog_object **volume)
{
    const struct api_vm_attach_volume *body = a->c->request.body;
    struct api_vm_volume spec = {
        .volume = body->volume, .readonly = body->readonly, .delete_with_vm = body->delete_with_vm};
    struct store_id host = catalog_parent(a->v);
    if (count(&a->v->own->volumes) >= VOLUMES_MAX)
        return full(a, "volumes", VOLUMES_MAX);
    int r = server_storage_attach(a->c, a->t, a->v, &spec, 0, &host, volume);
    if (!r && !is_stopped(a))
        r = server_image_copied(a->c, *volume);
    if (r)
        return r;
    if (append(a->v, &a->v->own->volumes, (*volume)->id_text))
        return no_memory(a);
    spec.volume =
        (struct api_text){API_VALUE, a->v->own->volumes.v[count(&a->v->own->volumes) - 1]};
    return show_volume(a, &spec);
}

int server_vm_attach_volume(struct server_call *c)
{
    struct catalog_object *volume;
    struct server_vm_act a;
    int r = begin(&a, c);
    if (r)
        return r;
    r = attach(&a, &volume);
    return r ? server_vm_act_refuse(&a, r) : end(&a, PLUG, volume->id_text);
}

static int not_attached(struct server_vm_act *a, const char *what, const char *name)
{
    return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "%s %s is not VM %s's: look at what it has", what, name,
                           a->slot->now->name);
}

/* Of a stopped VM at once; of one that runs, once it has left. */
static int drop(struct server_vm_act *a, const struct catalog_slot *device)
{
    int r = is_stopped(a) ? server_vm_drop_device(a->t, a->v, device->now->id_text) : 0;
    return r == -ENOMEM ? no_memory(a) : r;
}

static int detach(struct server_vm_act *a, struct catalog_slot **volume)
{
    struct catalog_slot *slot = *volume = server_call_object(a->c, CATALOG_VOLUME, 1);
    if (!slot)
        return -ENOENT;
    int at = index_of(&a->v->own->volumes, slot->now->id_text);
    if (at < 0)
        return not_attached(a, "volume", slot->now->name);
    if (!at)
        return api_problem_set(&a->c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "volume %s is the first disk of VM %s: delete the VM instead",
                               slot->now->name, a->slot->now->name);
    return drop(a, slot);
}

int server_vm_detach_volume(struct server_call *c)
{
    struct catalog_slot *volume;
    struct server_vm_act a;
    int r = begin(&a, c);
    if (r)
        return r;
    r = detach(&a, &volume);
    return r ? server_vm_act_refuse(&a, r) : end(&a, UNPLUG, volume->now->id_text);
}

/* ---- NICs: own.ports and vm.nics, in the same order ---- */

static int show_nic(struct server_vm_act *a, const struct api_vm_nic *nic, const char *port)
{
    uint32_t n = a->vm->nics.is == API_VALUE ? a->vm->nics.n : 0;
    struct api_vm_nic *list = api_arena_array(&a->v->arena, n + 1, sizeof(*list));
    if (!list)
        return no_memory(a);
    if (n)
        memcpy(list, a->vm->nics.v, n * sizeof(*list));
    list[n] = *nic;
    list[n].port = (struct api_text){API_VALUE, port};
    a->vm->nics.v = list;
    a->vm->nics.n = n + 1;
    a->vm->nics.is = API_VALUE;
    return 0;
}

static int plug(struct server_vm_act *a, struct catalog_object **port)
{
    const struct api_vm_nic *nic = a->c->request.body;
    if (count(&a->v->own->ports) >= NICS_MAX)
        return full(a, "NICs", NICS_MAX);
    int r = server_network_plug(a->c, a->t, a->v, nic, SERVER_NETWORK_NO_INDEX, port);
    if (r)
        return r;
    if (append(a->v, &a->v->own->ports, (*port)->id_text))
        return no_memory(a);
    return show_nic(a, nic, a->v->own->ports.v[count(&a->v->own->ports) - 1]);
}

int server_vm_attach_nic(struct server_call *c)
{
    struct catalog_object *port;
    struct server_vm_act a;
    int r = begin(&a, c);
    if (r)
        return r;
    r = plug(&a, &port);
    return r ? server_vm_act_refuse(&a, r) : end(&a, PLUG, port->id_text);
}

static int unplug(struct server_vm_act *a, struct catalog_slot **port)
{
    struct catalog_slot *slot = *port = server_call_object(a->c, CATALOG_PORT, 1);
    if (!slot)
        return -ENOENT;
    if (index_of(&a->v->own->ports, slot->now->id_text) < 0)
        return not_attached(a, "port", slot->now->name);
    return drop(a, slot);
}

int server_vm_detach_nic(struct server_call *c)
{
    struct catalog_slot *port;
    struct server_vm_act a;
    int r = begin(&a, c);
    if (r)
        return r;
    r = unplug(&a, &port);
    return r ? server_vm_act_refuse(&a, r) : end(&a, UNPLUG, port->now->id_text);
}
