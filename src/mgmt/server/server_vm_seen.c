/* What hosts say of VMs, and which VMs the tick has to look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_vm.h"

static void pending_drop(struct server_vm *vm)
{
    if (!vm->link_pending)
        return;
    *vm->link_pending = vm->next_pending;
    if (vm->next_pending)
        vm->next_pending->link_pending = vm->link_pending;
    vm->link_pending = NULL;
}

void server_vm_later(struct server *s, struct server_vm *vm)
{
    if (vm->link_pending)
        return;
    vm->next_pending = s->pending_vms;
    vm->link_pending = &s->pending_vms;
    if (vm->next_pending)
        vm->next_pending->link_pending = &vm->next_pending;
    s->pending_vms = vm;
}

static void vm_free(struct server_vm *vm)
{
    pending_drop(vm);
    free(vm->addresses);
    free(vm->problem);
    free(vm);
}

/* Whether something may be due that nobody will tell of. */
static bool waits(const struct server_vm *vm, const struct catalog_object *v)
{
    const struct api_vm *doc = v->doc;
    return vm->tried || server_vm_step(v) ||
           (doc->status.is == API_VALUE && doc->status.v->purge_at.is == API_VALUE);
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
    server_claim_changed(s, slot, before, after);
    if (!vm)
        return;
    if (!after) {
        vm_free(vm);
        slot->aux = NULL;
    } else if (waits(vm, after)) {
        server_vm_later(s, vm);
    }
}

static void take_addresses(struct server_vm *vm, const struct link_vm_seen *seen)
{
    uint32_t n = seen->addresses.is == API_VALUE ? seen->addresses.n : 0;
    struct server_vm_address *list = n ? calloc(n, sizeof(*list)) : NULL;
    if (n && !list)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const struct link_address *a = &seen->addresses.v[i];
        snprintf(list[i].ip, sizeof(list[i].ip), "%s", a->ip.v);
        if (a->mac.is == API_VALUE)
            snprintf(list[i].mac, sizeof(list[i].mac), "%s", a->mac.v);
    }
    free(vm->addresses);
    vm->addresses = list;
    vm->n_addresses = n;
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
    take_addresses(vm, seen);
    server_vm_take_device(vm, slot->now, seen);
    server_vm_settle(s, slot);
}

void server_vm_host_changed(struct server *s, const struct store_id *host)
{
    const struct catalog_list *vms = catalog_under(s->catalog, CATALOG_VM, host);
    for (size_t i = 0; i < vms->n; i++)
        if (vms->slots[i]->aux)
            server_vm_later(s, vms->slots[i]->aux);
}

/* Settling publishes nothing before the store's answer, so the list does not change under this. */
void server_vm_tick(struct server *s)
{
    for (struct server_vm *vm = s->pending_vms, *next; vm; vm = next) {
        next = vm->next_pending;
        struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_VM, &vm->id);
        if (!slot || slot->writing)
            continue;
        vm->tried = false;
        server_vm_settle(s, slot);
        if (!slot->writing && !waits(vm, slot->now))
            pending_drop(vm);
    }
}

void server_vm_loaded(struct server *s)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_VM);
    for (size_t i = 0; i < all->n; i++) {
        server_claim_changed(s, all->slots[i], all->slots[i]->now, all->slots[i]->now);
        if (all->slots[i]->aux)
            server_vm_later(s, all->slots[i]->aux);
        server_vm_show(s, all->slots[i]); /* what guests were seen with is not known any more */
    }
}

void server_vm_destroy_all(struct server *s)
{
    const struct catalog_list *all = s->catalog ? catalog_all(s->catalog, CATALOG_VM) : NULL;
    for (size_t i = 0; all && i < all->n; i++)
        if (all->slots[i]->aux)
            vm_free(all->slots[i]->aux);
}
