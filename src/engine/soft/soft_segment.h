/* Descriptors, for far transfers and event delivery. */
#ifndef ENGINE_SOFT_SOFT_SEGMENT_H
#define ENGINE_SOFT_SOFT_SEGMENT_H

#include "engine/soft/soft_internal.h"

enum {
    SOFT_TYPE_TSS16 = 1,
    SOFT_TYPE_LDT = 2,
    SOFT_TYPE_TSS16_BUSY = 3,
    SOFT_TYPE_CALL16 = 4,
    SOFT_TYPE_TASK_GATE = 5,
    SOFT_TYPE_INT16 = 6,
    SOFT_TYPE_TRAP16 = 7,
    SOFT_TYPE_TSS = 9,
    SOFT_TYPE_TSS_BUSY = 11,
    SOFT_TYPE_CALL = 12,
    SOFT_TYPE_INT = 14,
    SOFT_TYPE_TRAP = 15,
};

/* The cached part of an 8-byte descriptor. */
void soft_segment_unpack(struct soft_seg *s, uint16_t sel, uint64_t descriptor);
/* The descriptor of a selector; false: beyond its table. Faults of the access are raised. */
bool soft_segment_read(struct soft_cpu *cpu, uint16_t sel, uint64_t *descriptor);
/* The same for system descriptors, which have 16 bytes in long mode. */
bool soft_segment_read_system(struct soft_cpu *cpu, uint16_t sel, uint64_t *low, uint64_t *high);
/* A code or data segment that is about to be loaded becomes accessed, in its table and in *s. */
void soft_segment_set_accessed(struct soft_cpu *cpu, struct soft_seg *s);
/* After CPL has risen: data segments of inner rings become null. */
void soft_segment_drop_privileged(struct soft_cpu *cpu);
/* CS and CPL, checked before. */
void soft_segment_load_cs(struct soft_cpu *cpu, const struct soft_seg *cs, uint16_t sel,
                          unsigned cpl);
/* SS:rSP of ring `cpl` from the TSS (not in long mode). `ext`: the EXT bit of the #TS it may raise,
 * 0 or 1. */
void soft_segment_tss_stack(struct soft_cpu *cpu, unsigned cpl, uint32_t ext, uint16_t *ss,
                            uint32_t *esp);
/* RSP n (0..2) or IST n (as index 2 + n) from a 64-bit TSS. */
uint64_t soft_segment_tss_rsp(struct soft_cpu *cpu, unsigned index, uint32_t ext);

#endif
