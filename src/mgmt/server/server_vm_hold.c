/* What VMs hold: quota and usage of processors and memory; and the addresses that they have. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage.h"
#include "mgmt/server/server_vm.h"

#define ADDRESSES_MAX 64

void server_vm_meter(struct server_txn *t, struct catalog_object *v)
{
    const struct api_vm *vm = v->doc;
    const struct server_usage_rate rates[] = {
        {API_USAGE_RECORD_METER_VM_TIME, 1},
        {API_USAGE_RECORD_METER_VCPU_TIME, vm->status.v->vcpus.v},
        {API_USAGE_RECORD_METER_MEMORY_TIME, vm->status.v->memory_mib.v},
    };
    server_usage_open(t, v, rates, ARRAY_LEN(rates),
                      vm->flavor.is == API_VALUE ? vm->flavor.v : NULL);
}

int server_vm_hold(struct server_txn *t, struct catalog_object *v, int sign)
{
    const struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    int r = server_quota_add(t, &v->project, "vcpus", sign * status->vcpus.v);
    if (!r)
        r = server_quota_add(t, &v->project, "memory_mib", sign * status->memory_mib.v);
    if (r)
        return r;
    if (sign > 0)
        server_vm_meter(t, v);
    else
        server_usage_close(t, v);
    return 0;
}

/* ---- addresses ---- */

struct list {
    struct catalog_object *v;
    struct api_vm_address items[ADDRESSES_MAX];
    uint32_t n;
};

static void add(struct list *l, enum api_vm_address_source source, const char *ip, const char *mac,
                const char *port)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].ip.v, ip))
            return;
    if (l->n == ADDRESSES_MAX)
        return;
    struct api_vm_address *a = &l->items[l->n++];
    *a = (struct api_vm_address){.ip = {API_VALUE, ip}};
    a->source.is = API_VALUE;
    a->source.v = source;
    if (mac && *mac)
        a->mac = (struct api_text){API_VALUE, mac};
    if (port)
        a->port = (struct api_text){API_VALUE, port};
}

static void add_port(struct server *s, struct list *l, const char *id_text)
{
    const struct catalog_slot *slot = catalog_find_id(s->catalog, CATALOG_PORT, id_text);
    const struct api_port *port = slot ? slot->now->doc : NULL;
    if (!port || port->status.is != API_VALUE)
        return;
    const struct api_port_status *status = port->status.v;
    const char *mac = status->mac.is == API_VALUE ? status->mac.v : NULL;
    for (uint32_t i = 0; status->addresses.is == API_VALUE && i < status->addresses.n; i++)
        add(l, API_VM_ADDRESS_SOURCE_ASSIGNED, status->addresses.v[i], mac, slot->now->id_text);
    if (status->floating_ip.is == API_VALUE)
        add(l, API_VM_ADDRESS_SOURCE_FLOATING, status->floating_ip.v, mac, slot->now->id_text);
}

static bool same(const struct api_vm_status *status, const struct list *l)
{
    uint32_t n = status->addresses.is == API_VALUE ? status->addresses.n : 0;
    if (n != l->n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!api_json_equal(&api_types_vm_address, &status->addresses.v[i], &l->items[i]))
            return false;
    return true;
}

/* The list's texts are the ports', so they are copied. */
static int keep(struct catalog_object *v, struct api_vm_status *status, const struct list *l)
{
    status->addresses.is = API_ABSENT;
    status->addresses.v = api_arena_array(&v->arena, l->n, sizeof(*status->addresses.v));
    if (!status->addresses.v)
        return -ENOMEM;
    status->addresses.n = l->n;
    status->addresses.is = l->n ? API_VALUE : API_ABSENT;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct api_vm_address *from = &l->items[i];
        struct api_vm_address *to = &status->addresses.v[i];
        *to = *from;
        if (server_meta_text(v, &to->ip, from->ip.v) ||
            (from->mac.is == API_VALUE && server_meta_text(v, &to->mac, from->mac.v)) ||
            (from->port.is == API_VALUE && server_meta_text(v, &to->port, from->port.v)))
            return -ENOMEM;
    }
    return 0;
}

bool server_vm_addresses(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    struct list l = {.v = v};
    for (uint32_t i = 0; v->own->ports.is == API_VALUE && i < v->own->ports.n; i++)
        add_port(t->s, &l, v->own->ports.v[i]);
    bool runs = vm->seen &&
                (vm->state == LINK_VM_SEEN_STATE_RUNNING || vm->state == LINK_VM_SEEN_STATE_PAUSED);
    for (uint32_t i = 0; runs && i < vm->n_addresses; i++)
        add(&l, API_VM_ADDRESS_SOURCE_GUEST, vm->addresses[i].ip, vm->addresses[i].mac, NULL);
    if (same(status, &l))
        return false;
    if (keep(v, status, &l) && !t->failed)
        t->failed = -ENOMEM;
    return true;
}
