/* A vCPU between blocks, for the run loop: what others want of it, the time, halting. */
#ifndef ENGINE_SOFT_SOFT_VCPU_H
#define ENGINE_SOFT_SOFT_VCPU_H

#include "engine/soft/soft_internal.h"

/* How many blocks run before the time is looked at again: some 20 us of guest code. */
#define SOFT_VCPU_BLOCKS_PER_LOOK 512

/* Takes what other threads asked for by attention, and lets the APIC timer expire. */
void soft_vcpu_look(struct soft_cpu *cpu);
/* Acts on the NMI, INIT and SIPI that the local APIC holds. */
void soft_vcpu_take_events(struct soft_cpu *cpu);
/* Whether a kick has to be reported now; takes it. */
bool soft_vcpu_take_kick(struct soft_cpu *cpu);
/* Sleeps until there may be something to do. */
void soft_vcpu_wait(struct soft_cpu *cpu);
/* Makes the vCPU look soon. Threads: any. */
void soft_vcpu_attend(struct soft_vcpu *v, uint32_t why);

/* Connects the local APICs of a new VM to its vCPUs. */
void soft_vcpu_wire(struct soft_vm *vm);

int soft_vcpu_create(struct engine_vm *vm, unsigned index, struct engine_vcpu **vcpu,
                     struct err *err);
void soft_vcpu_destroy(struct engine_vcpu *vcpu);
int soft_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries,
                        unsigned n, struct err *err);
void soft_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info);
void soft_vcpu_kick(struct engine_vcpu *vcpu);
void soft_vcpu_nmi(struct engine_vcpu *vcpu);
uint64_t soft_vcpu_insns(struct engine_vcpu *vcpu);
void soft_vcpu_paused(struct engine_vcpu *vcpu);
int soft_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                        struct err *err);

#endif
