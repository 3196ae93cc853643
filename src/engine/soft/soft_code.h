/* Decoded operations, the blocks they form, and the binders that make the one from instructions.
 * Part of soft_internal.h. soft_op.h has what handlers need besides. */
#ifndef ENGINE_SOFT_SOFT_CODE_H
#define ENGINE_SOFT_SOFT_CODE_H

#include <assert.h>

#include "engine/soft/soft_cpu.h"

/* Executes one operation and returns the next one: op + 1, the first of another block
 * (soft_goto*()), or NULL to go back to the run loop, with cpu->rip set (soft_stop()). */
typedef const struct soft_op *soft_fn(struct soft_cpu *cpu, const struct soft_op *op);

/* Bits of soft_op.ea: how the effective address is made, beyond base + index << scale + disp. */
enum soft_ea {
    SOFT_EA_16 = 1 << 0,        /* truncated to 16 bits */
    SOFT_EA_32 = 1 << 1,        /* truncated to 32 bits */
    SOFT_EA_SEGMENTED = 1 << 2, /* not 64-bit code: limit and type are checked, linear is 32 bits */
};

struct soft_op {
    soft_fn *fn;
    int64_t imm;  /* immediate, or displacement of a branch from the next instruction */
    int32_t disp; /* of the memory operand */
    uint8_t base, index, scale; /* byte offsets into r; log2 */
    uint8_t seg;                /* of the memory operand: enum x86_segment, or SOFT_SEG_FLAT */
    uint8_t a, b; /* register operands: byte offsets into r for GPRs, else plain numbers */
    uint8_t ea;   /* enum soft_ea */
    uint8_t size; /* operand size in bytes */
    uint8_t len;  /* of the instruction */
    uint8_t c;    /* for the binder's use */
    uint16_t off; /* of the instruction from the block's first byte */
    void *p;      /* for the binder's use: a thunk, a linked block, a decoded instruction */
};
static_assert(sizeof(struct soft_op) == 40, "operations stay compact");

/* What a binder answers. */
enum soft_bound {
    SOFT_UNBOUND = 0,   /* not of this family */
    SOFT_BOUND = 1,     /* op is filled in; the next instruction follows in the same block */
    SOFT_BOUND_END = 2, /* filled in, and the block ends here: the handler returns soft_goto*(),
                           soft_continue() or soft_stop(), never op + 1 */
};

/* Each family's binder. On entry the op is zeroed except len, off, imm, size (= insn->opsize) and,
 * if there is a memory operand, base, index, scale, disp, seg, ea. It sets fn and what fn needs.
 * CPUID was checked: the guest's CPU has the instruction's feature. insn lives only during the
 * call; what soft_keep() copies of it lives as long as the block. */
enum soft_bound soft_bind_alu(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_mov(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_shift(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
enum soft_bound soft_bind_bit(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_mul(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_stack(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
enum soft_bound soft_bind_branch(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_string(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_atomic(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_misc(struct soft_cpu *cpu, const struct x86_insn *insn,
                               struct soft_op *op);
enum soft_bound soft_bind_io(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op);
enum soft_bound soft_bind_far(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_syscall(struct soft_cpu *cpu, const struct x86_insn *insn,
                                  struct soft_op *op);
enum soft_bound soft_bind_selector(struct soft_cpu *cpu, const struct x86_insn *insn,
                                   struct soft_op *op);
enum soft_bound soft_bind_control(struct soft_cpu *cpu, const struct x86_insn *insn,
                                  struct soft_op *op);
enum soft_bound soft_bind_system(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_vector(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_x87(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_xsave(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
/* Tries them all; what nobody takes becomes #UD. */
enum soft_bound soft_bind(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op);
/* A copy of something small (at most 128 bytes) in the block cache's memory. */
void *soft_keep(struct soft_cpu *cpu, const void *what, size_t bytes);

/* A run of instructions on one page (the last may be alone on two), made for one mode. */
struct soft_block {
    uint64_t phys; /* guest-physical address of the first byte */
    uint32_t mode; /* soft_cpu.mode it was made for */
    uint32_t gen;  /* *gen_now when its bytes were read: it is good while they are equal */
    const uint32_t *gen_now;
    struct soft_block *next; /* in its hash chain */
    const uint8_t *bytes;    /* a copy of its code where RAM has foreign writers, else NULL */
    uint16_t n_insns, n_bytes;
    struct soft_op ops[]; /* ends in an operation that leaves the block */
};

/* rip (not linear) of this instruction, and of the one behind it. In 16- and 32-bit code the next
 * rip is truncated by whoever makes it current. */
static inline uint64_t soft_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->r[SOFT_BLOCK_RIP] + op->off;
}
static inline uint64_t soft_next_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->r[SOFT_BLOCK_RIP] + op->off + op->len;
}

#endif
