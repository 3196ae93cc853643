/* KVM's paravirtual clock, written into a guest's memory. */
#ifndef X86_PVCLOCK_H
#define X86_PVCLOCK_H

#include <stdbool.h>

#include "x86/pvclock_wire.h"

/* Multiplier and shift that turn TSC ticks of this frequency into nanoseconds. */
void pvclock_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift);

/* Writes the record so that a reader on another CPU never sees half of it. `to` is guest memory;
 * from->version is ignored. GUEST_STOPPED stays until the guest, who has seen it, clears it. */
void pvclock_write(struct pvclock_vcpu_time_info *to, const struct pvclock_vcpu_time_info *from);
/* Likewise. Units: ns since 1970. */
void pvclock_write_wall(struct pvclock_wall_clock *to, uint64_t ns);
/* Likewise; only its own fields. */
void pvclock_write_steal(struct pvclock_steal_time *to, uint64_t steal_ns, bool preempted);

#endif
