/* Which addresses a VM has: those that its ports were given, and those that its guest was seen
 * with. What was given is part of the object. What is seen changes with no write, and is no reason
 * for one: it is put into the version that is shown (server_vm_show()). A version that is written
 * for another reason has it as it was, so that nobody sees it come and go; after a load, what
 * nobody has said yet is not shown. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_vm.h"

#define ADDRESSES_MAX 64

struct list {
    struct api_vm_address items[ADDRESSES_MAX];
    uint32_t n;
};

/* A port's addresses are written as the agent writes what is seen: each in one way only. */
static void add(struct list *l, enum api_vm_address_source source, const char *ip, const char *mac,
                const char *port)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].ip.v, ip)) {
            if (source == API_VM_ADDRESS_SOURCE_GUEST)
                l->items[i].seen = (struct api_bool){API_VALUE, true};
            return;
        }
    if (l->n == ADDRESSES_MAX)
        return;
    struct api_vm_address *a = &l->items[l->n++];
    *a = (struct api_vm_address){.ip = {API_VALUE, ip}};
    a->source.is = API_VALUE;
    a->source.v = source;
    if (source == API_VM_ADDRESS_SOURCE_GUEST)
        a->seen = (struct api_bool){API_VALUE, true};
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

/* Of what is stored only: not what the guest was seen with. */
static bool same_given(const struct api_vm_status *status, const struct list *l)
{
    uint32_t n = status->addresses.is == API_VALUE ? status->addresses.n : 0, i = 0, k = 0;
    for (;;) {
        while (i < n && status->addresses.v[i].source.v == API_VM_ADDRESS_SOURCE_GUEST)
            i++;
        while (k < l->n && l->items[k].source.v == API_VM_ADDRESS_SOURCE_GUEST)
            k++;
        if (i == n || k == l->n)
            return i == n && k == l->n;
        struct api_vm_address was = status->addresses.v[i++], is = l->items[k++];
        was.seen = is.seen = (struct api_bool){API_ABSENT, false};
        if (!api_json_equal(&api_types_vm_address, &was, &is))
            return false;
    }
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

/* Whether what is known of the guest is of its present run, and its host still answers here: of a
 * host that went to another server the last that was heard here would be shown for ever. */
static bool knows_guest(struct server *s, const struct catalog_object *v,
                        const struct server_vm *vm)
{
    const struct api_vm_status *status = ((const struct api_vm *)v->doc)->status.v;
    struct store_id id = catalog_parent(v);
    const struct server_host *host = server_host_find(s, &id);
    return vm->seen && host && (host->link || !host->lease_ended) &&
           memcmp(&vm->seen_by, &id, sizeof(id)) == 0 &&
           vm->epoch == (uint64_t)status->run_epoch.v &&
           (vm->state == LINK_VM_SEEN_STATE_RUNNING || vm->state == LINK_VM_SEEN_STATE_PAUSED);
}

static void collect(struct server *s, const struct catalog_object *v, const struct server_vm *vm,
                    struct list *l)
{
    l->n = 0;
    for (uint32_t i = 0; v->own->ports.is == API_VALUE && i < v->own->ports.n; i++)
        add_port(s, l, v->own->ports.v[i]);
    uint32_t n = knows_guest(s, v, vm) ? vm->n_addresses : 0;
    for (uint32_t i = 0; i < n; i++)
        add(l, API_VM_ADDRESS_SOURCE_GUEST, vm->addresses[i].ip, vm->addresses[i].mac, NULL);
}

bool server_vm_addresses_given(struct server *s, const struct catalog_object *v,
                               const struct server_vm *vm)
{
    struct list l;
    collect(s, v, vm, &l);
    return !same_given(((const struct api_vm *)v->doc)->status.v, &l);
}

bool server_vm_addresses(struct server_txn *t, struct catalog_object *v, const struct server_vm *vm)
{
    struct api_vm_status *status = ((struct api_vm *)v->doc)->status.v;
    struct list l;
    collect(t->s, v, vm, &l);
    bool news = !same_given(status, &l);
    if (!same(status, &l) && keep(v, status, &l) && !t->failed)
        t->failed = -ENOMEM;
    return news;
}

void server_vm_show(struct server *s, struct catalog_slot *slot)
{
    const struct server_vm *vm = slot->aux;
    const struct api_vm *doc = slot->now->doc;
    struct list l;
    if (!vm || slot->writing || doc->status.is != API_VALUE)
        return;
    collect(s, slot->now, vm, &l);
    if (same(doc->status.v, &l))
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return; /* the next look does it */
    v->seq = slot->now->seq;
    if (keep(v, ((struct api_vm *)v->doc)->status.v, &l) || catalog_seal(v))
        catalog_unref(v);
    else
        catalog_publish(s->catalog, v);
}
