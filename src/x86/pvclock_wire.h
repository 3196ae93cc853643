/* What a guest sees of KVM's paravirtual time. Little-endian.
 * Spec: Linux Documentation/virt/kvm/x86/msr.rst. */
#ifndef X86_PVCLOCK_WIRE_H
#define X86_PVCLOCK_WIRE_H

#include <assert.h>
#include <stdint.h>

/* MSR_KVM_SYSTEM_TIME_NEW points to one a vCPU. ns = ((tsc - tsc_timestamp) << tsc_shift) *
 * tsc_to_system_mul >> 32, plus system_time. */
struct pvclock_vcpu_time_info {
    uint32_t version; /* odd while it is being written */
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time; /* ns */
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
};
static_assert(sizeof(struct pvclock_vcpu_time_info) == 32, "ABI");

#define PVCLOCK_TSC_STABLE    1
#define PVCLOCK_GUEST_STOPPED 2

/* MSR_KVM_WALL_CLOCK_NEW: the time of day when system_time was zero. */
struct pvclock_wall_clock {
    uint32_t version;
    uint32_t sec, nsec;
};
static_assert(sizeof(struct pvclock_wall_clock) == 12, "ABI");

/* MSR_KVM_STEAL_TIME points to one a vCPU, 64-byte aligned. */
struct pvclock_steal_time {
    uint64_t steal; /* ns that the vCPU could have run and did not; never goes back */
    uint32_t version;
    uint32_t flags;    /* 0 */
    uint8_t preempted; /* bit 0: not on a host CPU now */
    uint8_t pad8[3];
    uint32_t pad[11];
};
static_assert(sizeof(struct pvclock_steal_time) == 64, "ABI");

#endif
