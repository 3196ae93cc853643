/* Ports and VMs: plugged and unplugged with the VM's transaction, shown with its state, told to its
 * agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_call.h"
#include "mgmt/server/server_port_internal.h"

#define SSH_PORT 22

/* ---- what a port shows of its VM ---- */

static bool runs(const struct api_vm_status *status)
{
    if (!status || status->state.is != API_VALUE)
        return false;
    switch (status->state.v) {
    case API_VM_STATE_RUNNING:
    case API_VM_STATE_PAUSING:
    case API_VM_STATE_PAUSED:
    case API_VM_STATE_RESUMING:
    case API_VM_STATE_STOPPING:
    case API_VM_STATE_REBOOTING:
    case API_VM_STATE_RESCUED:
    case API_VM_STATE_UNRESCUING:
    case API_VM_STATE_MIGRATING:
        return true;
    default:
        return false;
    }
}

int server_network_port_status(struct catalog_object *v, const struct catalog_object *vm)
{
    const struct api_port *doc = v->doc;
    const struct api_vm *vm_doc = vm ? vm->doc : NULL;
    const struct api_vm_status *vm_status =
        vm_doc && vm_doc->status.is == API_VALUE ? vm_doc->status.v : NULL;
    struct api_port_status *status = doc->status.v;
    if (doc->status.is != API_VALUE)
        return 0;
    bool active = runs(vm_status) && (doc->enabled.is != API_VALUE || doc->enabled.v);
    status->state.is = API_VALUE;
    status->state.v = active ? API_PORT_STATUS_STATE_ACTIVE : API_PORT_STATUS_STATE_DOWN;
    status->vm.is = API_ABSENT;
    status->host.is = API_ABSENT;
    int r = vm ? server_meta_text(v, &status->vm, vm->id_text) : 0;
    if (!r && vm_status && vm_status->host.is == API_VALUE)
        r = server_meta_text(v, &status->host, vm_status->host.v);
    return r;
}

void server_network_port_show(struct server *s, struct catalog_slot *slot,
                              const struct catalog_object *vm)
{
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    v->seq = slot->now->seq;
    if (server_network_port_status(v, vm) ||
        api_json_equal(&api_types_port, v->doc, slot->now->doc) || catalog_seal(v))
        catalog_unref(v);
    else
        catalog_publish(s->catalog, v);
}

/* ---- NICs ---- */

/* The networks that a project may mean when it names none: its own, else those shared with it. */
static size_t candidates(struct server_call *c, const struct catalog_slot **first, char names[256])
{
    const struct catalog_list *own = catalog_in(c->s->catalog, CATALOG_NETWORK, &c->project);
    const struct store_id *ids;
    size_t shared = server_network_shared(c->s, &ids), n = own->n ? own->n : shared, at = 0;
    names[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct catalog_slot *slot =
            own->n ? own->slots[i] : catalog_find(c->s->catalog, CATALOG_NETWORK, &ids[i]);
        if (!slot)
            continue;
        if (!*first)
            *first = slot;
        int bytes = snprintf(names + at, 256 - at, "%s%s", i ? ", " : "", slot->now->name);
        if (bytes < 0 || at + (size_t)bytes >= 250) {
            snprintf(names + at, 256 - at, "...");
            break;
        }
        at += (size_t)bytes;
    }
    return n;
}

/* A guest that somebody has a key for is meant to be reached. */
static int forward_ssh(struct server_call *c, const struct catalog_object *network,
                       struct api_vm_nic *nic)
{
    if (((const struct api_network *)network->doc)->kind.v != API_NETWORK_KIND_NAT)
        return 0;
    nic->forwards.v = api_arena_array(&c->arena, 1, sizeof(*nic->forwards.v));
    if (!nic->forwards.v)
        return server_network_no_memory(c);
    nic->forwards.is = API_VALUE;
    nic->forwards.n = 1;
    nic->forwards.v[0].protocol.is = API_VALUE;
    nic->forwards.v[0].protocol.v = API_PORT_FORWARD_PROTOCOL_TCP;
    nic->forwards.v[0].guest_port = (struct api_int){API_VALUE, SSH_PORT};
    return 0;
}

int server_network_default_nic(struct server_call *c, bool ssh, struct api_vm_nic *nic, bool *none)
{
    const struct catalog_slot *slot = NULL;
    char names[256];
    size_t n = candidates(c, &slot, names);
    *none = !n;
    if (!n)
        return 0;
    if (n > 1)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/nics",
                               "there are %zu networks (%s): say which the VM is to be in, or [] "
                               "for none",
                               n, names);
    const char *id =
        slot ? api_arena_text(&c->arena, slot->now->id_text, UUID_TEXT_BYTES - 1) : NULL;
    if (!id)
        return server_network_no_memory(c);
    nic->network = (struct api_text){API_VALUE, id};
    return ssh ? forward_ssh(c, slot->now, nic) : 0;
}

static int refuse_nic(struct server_call *c, const struct server_network_where *where,
                      const char *field, enum api_problem_code code, const char *why)
{
    char pointer[SERVER_PORT_POINTER_BYTES];
    snprintf(pointer, sizeof(pointer), "%s/%s", where->prefix, field);
    return api_problem_add(&c->refusal, code, pointer, "%s", why);
}

/* A transaction that gave up is told of by its caller's commit; here it is an error at once. */
static int put(struct server_call *c, struct server_txn *t, struct catalog_slot *slot,
               struct catalog_object *v, struct catalog_object **port)
{
    server_txn_put(t, slot, v, false);
    if (t->failed == -E2BIG)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                               "it changes more at once than %u things: ask for less",
                               STORE_OPS_MAX);
    if (t->failed)
        return server_network_no_memory(c);
    *port = v;
    return 0;
}

static bool in_transaction(const struct server_txn *t, const struct catalog_slot *slot)
{
    for (unsigned i = 0; i < t->store.n_ops; i++)
        if (t->changes[i].kind == slot->now->kind &&
            !memcmp(&t->changes[i].id, &slot->now->id, sizeof(slot->now->id)))
            return true;
    return false;
}

static int plug_existing(struct server_call *c, struct server_txn *t,
                         const struct catalog_object *vm, const struct api_vm_nic *nic,
                         const struct server_network_where *where, struct catalog_object **port)
{
    struct api_text ref = nic->port;
    struct catalog_slot *slot;
    char pointer[SERVER_PORT_POINTER_BYTES];
    if (nic->network.is == API_VALUE || nic->subnet.is == API_VALUE || nic->ip.is == API_VALUE ||
        nic->mac.is == API_VALUE || nic->security_groups.is == API_VALUE ||
        nic->forwards.is == API_VALUE)
        return refuse_nic(c, where, "port", API_PROBLEM_CODE_REQUEST_INVALID,
                          "a port brings its network and addresses: name it alone");
    snprintf(pointer, sizeof(pointer), "%s/port", where->prefix);
    int r = server_call_ref(c, CATALOG_PORT, &ref, pointer, &slot);
    if (!r && in_transaction(t, slot))
        return refuse_nic(c, where, "port", API_PROBLEM_CODE_REQUEST_INVALID,
                          "two NICs name this port: one port is one NIC");
    if (!r)
        r = server_call_wait(c, slot);
    if (r)
        return r;
    if (slot->now->own->vm.is == API_VALUE)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, pointer,
                               "VM %s has port %s: detach it there, or use another",
                               slot->now->own->vm.v, slot->now->name);
    const struct api_port *doc = slot->now->doc;
    const struct catalog_slot *network = server_network_of(c->s, &doc->network);
    if (!network)
        return refuse_nic(c, where, "port", API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                          "the network of this port is gone: delete the port, use another");
    r = server_port_wait(c, network);
    if (r)
        return r;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v || server_meta_text(v, &v->own->vm, vm->id_text) || server_network_port_status(v, vm)) {
        catalog_unref(v);
        return server_network_no_memory(c);
    }
    return put(c, t, slot, v, port);
}

/* The document of the port that a NIC means. */
static int from_nic(struct catalog_object *v, const struct api_vm_nic *nic_)
{
    struct api_port *doc = v->doc;
    struct api_vm_nic *nic = api_json_copy(&api_types_vm_nic, nic_, &v->arena);
    if (!nic || server_meta_text(v, &doc->name, v->id_text))
        return -ENOMEM;
    doc->network = nic->network;
    doc->mac = nic->mac;
    doc->security_groups = nic->security_groups;
    doc->forwards.is = nic->forwards.is;
    doc->forwards.n = nic->forwards.n;
    doc->forwards.v = nic->forwards.v;
    if (nic->subnet.is == API_VALUE || nic->ip.is == API_VALUE) {
        doc->addresses.v = api_arena_array(&v->arena, 1, sizeof(*doc->addresses.v));
        if (!doc->addresses.v)
            return -ENOMEM;
        doc->addresses.is = API_VALUE;
        doc->addresses.n = 1;
        doc->addresses.v[0].subnet = nic->subnet;
        doc->addresses.v[0].ip = nic->ip;
    }
    return api_json_fill(&api_types_port, doc, &v->arena);
}

static int plug_new(struct server_call *c, struct server_txn *t, const struct catalog_object *vm,
                    const struct api_vm_nic *nic, const struct server_network_where *where,
                    struct catalog_object **port)
{
    if (nic->network.is != API_VALUE)
        return refuse_nic(c, where, "network", API_PROBLEM_CODE_REQUEST_INVALID,
                          "a NIC is in a network: name it, or a port that exists");
    struct store_id id = catalog_id(server_now_ms());
    struct catalog_object *v = catalog_new(CATALOG_PORT, &id, &vm->project);
    if (!v)
        return server_network_no_memory(c);
    int r =
        from_nic(v, nic) ? server_network_no_memory(c) : server_network_port_make(c, t, v, where);
    if (!r)
        r = server_quota_add(t, &vm->project, "ports", 1);
    v->own->made = (struct api_bool){API_VALUE, true};
    if (!r && (server_meta_text(v, &v->own->vm, vm->id_text) || server_network_port_status(v, vm)))
        r = server_network_no_memory(c);
    if (!r)
        return put(c, t, NULL, v, port);
    catalog_unref(v);
    return r;
}

int server_network_plug(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct api_vm_nic *nic, unsigned index, struct catalog_object **port)
{
    struct server_network_where where = {.nic = true};
    if (index != SERVER_NETWORK_NO_INDEX)
        snprintf(where.prefix, sizeof(where.prefix), "/nics/%u", index);
    return nic->port.is == API_VALUE ? plug_existing(c, t, vm, nic, &where, port)
                                     : plug_new(c, t, vm, nic, &where, port);
}

int server_network_unplug(struct server_txn *t, struct catalog_slot *port)
{
    const struct catalog_object *now = port->now;
    if (port->writing) {
        if (t->call)
            (void)server_call_wait(t->call, port);
        return SERVER_WAIT;
    }
    if (now->own->made.is == API_VALUE && now->own->made.v) {
        server_network_give_all(t, now);
        int r = server_quota_add(t, &now->project, "ports", -1);
        if (!r)
            server_txn_remove(t, port);
        return r ? r : t->failed;
    }
    struct catalog_object *v = catalog_copy(now);
    if (!v)
        return -ENOMEM;
    v->own->vm.is = API_ABSENT;
    if (server_network_port_status(v, NULL)) {
        catalog_unref(v);
        return -ENOMEM;
    }
    server_txn_put(t, port, v, false);
    return t->failed;
}
