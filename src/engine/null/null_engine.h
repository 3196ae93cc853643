/* The `null` engine: no guest at all. For tests of devices, of the machine and of whatever else
 * needs a VM, and behind the qtest server (qtest.h). Guest accesses are calls of this header;
 * interrupts are recorded; vCPUs run nothing and wait for kicks.
 *
 * Threads: every function here may be called from any thread. */
#ifndef ENGINE_NULL_NULL_ENGINE_H
#define ENGINE_NULL_NULL_ENGINE_H

#include "engine/engine.h"

/* Its probe always passes; "auto" should not find it, so list it only in tests. */
extern const struct engine null_engine;

/* The messages kept; older ones are only counted. */
#define NULL_ENGINE_MSIS_KEPT 64

/* How many MSIs were delivered, by route, eventfd or directly, since creation or the last clear.
 * A route's eventfd is looked at when one of these is called: no thread watches it. */
unsigned null_engine_msi_count(struct engine_vm *vm);
/* The i-th of them (from 0). False if there are not so many or it is too long ago. */
bool null_engine_msi_at(struct engine_vm *vm, unsigned i, struct msi_message *msg);
/* How many of them had these data (the vector is its low byte). Of those kept. */
unsigned null_engine_msi_count_data(struct engine_vm *vm, uint32_t data);
void null_engine_msi_clear(struct engine_vm *vm);
/* Called for each MSI as it is delivered, under the engine's lock; NULL for none. */
void null_engine_msi_hook(struct engine_vm *vm,
                          void (*hook)(void *opaque, const struct msi_message *msg), void *opaque);

/* What engine_vm_set_ioapic() was last given, and how often engine_vm_extint() was called. */
void null_engine_ioapic(struct engine_vm *vm, struct bus_ioapic_pin *pins);
unsigned null_engine_extints(struct engine_vm *vm);

/* A guest access. Memory accesses go to guest RAM where there is some (and into the guest's dirty
 * log), else to the bus. `size` is 1, 2, 4 or 8 (ports: up to 4). */
uint32_t null_engine_in(struct engine_vm *vm, uint16_t port, unsigned size);
void null_engine_out(struct engine_vm *vm, uint16_t port, unsigned size, uint32_t value);
uint64_t null_engine_read(struct engine_vm *vm, uint64_t gpa, unsigned size);
void null_engine_write(struct engine_vm *vm, uint64_t gpa, unsigned size, uint64_t value);

/* The guest's EOI of a level-triggered vector, as a local APIC broadcasts it. */
void null_engine_eoi(struct engine_vm *vm, uint8_t vector);

/* Makes the vCPU's current or next engine_vcpu_run() return with this reason. */
void null_engine_exit(struct engine_vcpu *vcpu, enum engine_exit reason);

#endif
