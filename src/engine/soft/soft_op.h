/* What handlers have in common: how they end, and flags by the host's own instructions.
 *
 * A flag-setting handler runs the guest's instruction on the host and keeps the flags with
 * `lahf; seto %al`: AX then is what cpu->fl holds. Instructions that read flags, or leave some of
 * them alone, first get all of them back: adding 7fh to AL (0 or 1) sets OF from it, SAHF the rest.
 * So every flag, also those that the manuals leave undefined, comes out as on this CPU. */
#ifndef ENGINE_SOFT_SOFT_OP_H
#define ENGINE_SOFT_SOFT_OP_H

#include "engine/soft/soft_internal.h"

/* The end of a handler that goes on with the next instruction of the block: it calls that one's
 * handler itself, in tail position, which saves the way through the run loop. Where a compiler
 * makes a real call of it (no optimisation, sanitizers), the depth is bounded by the length of a
 * block. */
#define SOFT_NEXT(cpu, op)                                                                         \
    do {                                                                                           \
        (cpu)->op = (op) + 1;                                                                      \
        return (op)[1].fn((cpu), (op) + 1);                                                        \
    } while (0)

#define SOFT_FLAGS_IN  "addb $0x7f, %%al\n\tsahf\n\t"
#define SOFT_FLAGS_OUT "\n\tlahf\n\tseto %%al"
/* Only CF, for those that read no other and write all others. */
#define SOFT_CARRY_IN "btl $8, %%eax\n\t"

/* X(bits, instruction suffix, register constraint, name modifier in asm) for each operand size. */
#define SOFT_EACH_SIZE(X)                                                                          \
    X(8, "b", "q", "b") X(16, "w", "r", "w") X(32, "l", "r", "k") X(64, "q", "r", "q")
#define SOFT_EACH_WIDE_SIZE(X) X(16, "w", "r", "w") X(32, "l", "r", "k") X(64, "q", "r", "q")

/* Writes a general register: 32 bits clear the upper half, 8 and 16 leave the rest. */
static inline void soft_op_set8(struct soft_cpu *cpu, unsigned offset, uint8_t v)
{
    *soft_r8(cpu, offset) = v;
}
static inline void soft_op_set16(struct soft_cpu *cpu, unsigned offset, uint16_t v)
{
    *soft_r16(cpu, offset) = v;
}
static inline void soft_op_set32(struct soft_cpu *cpu, unsigned offset, uint32_t v)
{
    *soft_r64(cpu, offset) = v;
}
static inline void soft_op_set64(struct soft_cpu *cpu, unsigned offset, uint64_t v)
{
    *soft_r64(cpu, offset) = v;
}

/* Index of an operand size in tables of four. */
static inline unsigned soft_op_size_index(unsigned bytes)
{
    return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

static inline bool soft_in_long(const struct soft_cpu *cpu)
{
    return cpu->mode & SOFT_MODE_LONG;
}

static inline bool soft_in_code64(const struct soft_cpu *cpu)
{
    return (cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64;
}

static inline void soft_need_ring0(struct soft_cpu *cpu)
{
    if (unlikely(cpu->cpl))
        soft_raise_error(cpu, SOFT_GP, 0);
}

/* SS was loaded: neither interrupts nor a single step come before the next instruction is done, so
 * that it can load rSP. */
static inline void soft_shadow_ss(struct soft_cpu *cpu)
{
    cpu->shadow = true;
    cpu->step_guest = false;
}

/* An offset and the selector behind it, from memory. Pointers of 10 bytes are Intel's: on AMD's
 * CPUs, of which the guest's is one, REX.W does not widen the offset (APM volume 3, JMP far, LFS).
 */
static inline void soft_load_pointer(struct soft_cpu *cpu, const struct soft_op *op, uint16_t *sel,
                                     uint64_t *offset)
{
    uint8_t bytes[6];
    unsigned size = op->size == 2 ? 2 : 4;
    soft_load_bytes(cpu, soft_address(cpu, op, size + 2, SOFT_READ), bytes, size + 2);
    *offset = size == 2 ? le16_read(bytes) : le32_read(bytes);
    *sel = le16_read(bytes + size);
}

/* Binds what goes on to the next instruction of the block. */
static inline enum soft_bound soft_bind_next(struct soft_op *op, soft_fn *fn)
{
    op->fn = fn;
    return SOFT_BOUND;
}

/* Binds what ends its block. */
static inline enum soft_bound soft_bind_end(struct soft_op *op, soft_fn *fn)
{
    op->fn = fn;
    return SOFT_BOUND_END;
}

/* The byte offset of a general register operand in soft_cpu.r. */
static inline uint8_t soft_op_gpr(const struct x86_operand *o)
{
    return (uint8_t)(SOFT_OFFSET(o->reg) + (o->kind == X86_OPERAND_GPR8H));
}

static inline bool soft_op_is_gpr(const struct x86_operand *o)
{
    return o->kind == X86_OPERAND_GPR || o->kind == X86_OPERAND_GPR8H;
}

#endif
