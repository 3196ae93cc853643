/* A VM of the soft engine and its clock, between the files of engine/soft. */
#ifndef ENGINE_SOFT_SOFT_VM_H
#define ENGINE_SOFT_SOFT_VM_H

#include "engine/soft/soft_internal.h"

int soft_vm_create(const struct engine_probe_input *in, const struct engine_vm_config *config,
                   struct engine_vm **vm, struct err *err);
void soft_vm_destroy(struct engine_vm *vm);
int soft_vm_dirty_start(struct engine_vm *vm, struct err *err);
int soft_vm_dirty_take(struct engine_vm *vm, unsigned region, uint64_t *bitmap, struct err *err);
void soft_vm_dirty_stop(struct engine_vm *vm);
int soft_vm_get_clock(struct engine_vm *vm, struct kvm_clock_data *clock, struct err *err);
int soft_vm_set_clock(struct engine_vm *vm, const struct kvm_clock_data *clock, struct err *err);

/* kvmclock: ns since the VM was made, or what was loaded. */
int64_t soft_vm_clock_ns(const struct soft_vm *vm);
/* The same with the host TSC of that moment. */
void soft_vm_clock_pair(const struct soft_vm *vm, uint64_t *tsc, uint64_t *ns);
/* Every vCPU writes its guest's kvmclock page anew. */
void soft_vm_clock_changed(struct soft_vm *vm);
/* Frequency of this host's TSC: as the CPU states it, else measured (at most 10 ms, once). */
uint32_t soft_vm_tsc_khz(struct soft_vm *vm);

/* soft_irq.c: MSIs, and the eventfds that other processes signal. */
extern const struct bus_engine_ops soft_irq_bus_ops;
int soft_irq_init(struct soft_vm *vm, struct err *err);
void soft_irq_fini(struct soft_vm *vm);
int soft_irq_set_ioapic(struct engine_vm *vm, const struct bus_ioapic_pin *pins);
void soft_irq_extint(struct engine_vm *vm);

#endif
