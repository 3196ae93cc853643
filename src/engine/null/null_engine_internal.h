/* What the files of the `null` engine share: null_engine.c (the slots of VM and vCPU),
 * null_engine_irq.c (interrupts, recorded), null_engine_guest.c (the guest's accesses, as calls).
 */
#ifndef ENGINE_NULL_NULL_ENGINE_INTERNAL_H
#define ENGINE_NULL_NULL_ENGINE_INTERNAL_H

#include <pthread.h>

#include "base/util.h"
#include "bus/memory_map.h"
#include "engine/engine_provider.h"
#include "engine/null/null_engine.h"

struct null_vm {
    struct engine_vm base;
    pthread_mutex_t lock; /* everything below; a leaf */
    unsigned n_msis;
    struct msi_message msis[NULL_ENGINE_MSIS_KEPT];
    void (*hook)(void *opaque, const struct msi_message *msg);
    void *hook_opaque;
    struct bus_ioapic_pin pins[MEMORY_MAP_IOAPIC_PINS];
    unsigned n_extints;
    struct msi_route *routes;
    struct kvm_clock_data clock;
    uint64_t *dirty[GUEST_MEM_REGIONS_MAX]; /* NULL while the log is off */
};

static inline struct null_vm *null_engine_vm(void *engine)
{
    return container_of((struct engine_vm *)engine, struct null_vm, base);
}

/* ---- null_engine_irq.c ---- */

extern const struct bus_engine_ops null_engine_bus_ops;
int null_engine_set_ioapic(struct engine_vm *base, const struct bus_ioapic_pin *pins);
void null_engine_extint(struct engine_vm *base);
/* Frees all routes, of a VM that ends. */
void null_engine_routes_close(struct null_vm *vm);

#endif
