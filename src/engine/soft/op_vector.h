/* Between the files of vector handlers. */
#ifndef ENGINE_SOFT_OP_VECTOR_H
#define ENGINE_SOFT_OP_VECTOR_H

#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

/* Raises #UD or #NM where SSE (or, with vex, AVX) is not to be used now. */
static inline void soft_vector_check(struct soft_cpu *cpu, bool vex)
{
    uint8_t fault = vex ? cpu->avx_fault : cpu->sse_fault;
    if (unlikely(fault != 0xff))
        soft_raise(cpu, fault);
}

/* Linear address of a memory operand that may have to be aligned, which is looked at before the
 * limit of its segment. `bytes` is a power of two then. */
static inline uint64_t soft_vector_address(struct soft_cpu *cpu, const struct soft_op *op,
                                           unsigned bytes, enum soft_access access, bool aligned)
{
    if (aligned && unlikely(op->ea & SOFT_EA_SEGMENTED) &&
        (soft_offset(cpu, op) + cpu->seg_base[op->seg]) & (bytes - 1))
        soft_raise_error(cpu, SOFT_GP, 0);
    uint64_t at = soft_address(cpu, op, bytes, access);
    if (aligned && unlikely(at & (bytes - 1)))
        soft_raise_error(cpu, SOFT_GP, 0);
    return at;
}

static inline void soft_vector_clear_upper(struct soft_cpu *cpu, unsigned reg)
{
    memset(cpu->fpu.ymm[reg] + 16, 0, 16);
}

/* Moves: op_vector_move.c. */
enum soft_bound soft_bind_vector_move(const struct x86_insn *insn, struct soft_op *op);
/* Gathers and masked moves: op_gather.c. */
enum soft_bound soft_bind_gather(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);

#endif
