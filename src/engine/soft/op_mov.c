/* mov and its kin: moves, extensions, conditional moves, exchanges, byte orders. */
#include "engine/soft/soft_op.h"

#define ADDRESS(bits, access) soft_address(cpu, op, bits / 8, access)

#define MOVES(bits, sfx, con, mod)                                                                 \
    static const struct soft_op *mov_rr##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        soft_op_set##bits(cpu, op->a, *soft_r##bits(cpu, op->b));                                  \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_rm##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        soft_op_set##bits(cpu, op->a, soft_load##bits(cpu, ADDRESS(bits, SOFT_READ)));             \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_mr##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        soft_store##bits(cpu, ADDRESS(bits, SOFT_WRITE), *soft_r##bits(cpu, op->b));               \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_ri##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        soft_op_set##bits(cpu, op->a, (uint##bits##_t)op->imm);                                    \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_mi##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        soft_store##bits(cpu, ADDRESS(bits, SOFT_WRITE), (uint##bits##_t)op->imm);                 \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    /* In 64-bit code, no segment base: the most frequent accesses of all. */                      \
    static const struct soft_op *mov_rm_flat##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        uint64_t at = *soft_r64(cpu, op->base) + (*soft_r64(cpu, op->index) << op->scale) +        \
                      (uint64_t)(int64_t)op->disp;                                                 \
        soft_op_set##bits(cpu, op->a, soft_load##bits(cpu, at));                                   \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_mr_flat##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        uint64_t at = *soft_r64(cpu, op->base) + (*soft_r64(cpu, op->index) << op->scale) +        \
                      (uint64_t)(int64_t)op->disp;                                                 \
        soft_store##bits(cpu, at, *soft_r##bits(cpu, op->b));                                      \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    /* [base + displacement] */                                                                    \
    static const struct soft_op *mov_rm_base##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        uint64_t at = *soft_r64(cpu, op->base) + (uint64_t)(int64_t)op->disp;                      \
        soft_op_set##bits(cpu, op->a, soft_load##bits(cpu, at));                                   \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_mr_base##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        uint64_t at = *soft_r64(cpu, op->base) + (uint64_t)(int64_t)op->disp;                      \
        soft_store##bits(cpu, at, *soft_r##bits(cpu, op->b));                                      \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    /* moffs: the address is op->imm */                                                            \
    static const struct soft_op *mov_ro##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        uint64_t at = soft_linear(cpu, op->seg, (uint64_t)op->imm, bits / 8, SOFT_READ);           \
        soft_op_set##bits(cpu, SOFT_OFFSET(SOFT_RAX), soft_load##bits(cpu, at));                   \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *mov_or##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        uint64_t at = soft_linear(cpu, op->seg, (uint64_t)op->imm, bits / 8, SOFT_WRITE);          \
        soft_store##bits(cpu, at, *soft_r##bits(cpu, SOFT_OFFSET(SOFT_RAX)));                      \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *xchg_rr##bits(struct soft_cpu *cpu, const struct soft_op *op)     \
    {                                                                                              \
        uint##bits##_t a = *soft_r##bits(cpu, op->a), b = *soft_r##bits(cpu, op->b);               \
        soft_op_set##bits(cpu, op->a, b);                                                          \
        soft_op_set##bits(cpu, op->b, a);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }
SOFT_EACH_SIZE(MOVES)

enum move { RR, RM, MR, RI, MI, RM_FLAT, MR_FLAT, RM_BASE, MR_BASE, RO, OR_, XCHG, MOVES_N };

#define MOVES_OF(bits)                                                                             \
    {                                                                                              \
        mov_rr##bits, mov_rm##bits, mov_mr##bits, mov_ri##bits, mov_mi##bits, mov_rm_flat##bits,   \
            mov_mr_flat##bits, mov_rm_base##bits, mov_mr_base##bits, mov_ro##bits, mov_or##bits,   \
            xchg_rr##bits                                                                          \
    }
static soft_fn *const moves[4][MOVES_N] = {MOVES_OF(8), MOVES_OF(16), MOVES_OF(32), MOVES_OF(64)};

/* ---- extensions: from 8, 16, 32 bits (signed or not) to 16, 32, 64 ---- */

#define EXTENSION(name, from, type, to)                                                            \
    static const struct soft_op *name##_r##from##_##to(struct soft_cpu *cpu,                       \
                                                       const struct soft_op *op)                   \
    {                                                                                              \
        soft_op_set##to(cpu, op->a, (uint##to##_t)(type)*soft_r##from(cpu, op->b));                \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##from##_##to(struct soft_cpu *cpu,                       \
                                                       const struct soft_op *op)                   \
    {                                                                                              \
        type v = (type)soft_load##from(cpu, ADDRESS(from, SOFT_READ));                             \
        soft_op_set##to(cpu, op->a, (uint##to##_t)v);                                              \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define EXTENSIONS(to)                                                                             \
    EXTENSION(movzx, 8, uint8_t, to)                                                               \
    EXTENSION(movzx, 16, uint16_t, to)                                                             \
    EXTENSION(movsx, 8, int8_t, to)                                                                \
    EXTENSION(movsx, 16, int16_t, to)                                                              \
    EXTENSION(movsx, 32, int32_t, to)
EXTENSIONS(16)
EXTENSIONS(32)
EXTENSIONS(64)

#define TO_EACH(name)                                                                              \
    {                                                                                              \
        name##_16, name##_32, name##_64                                                            \
    }
enum extension { ZX8, ZX16, SX8, SX16, SX32 };
/* [from][memory][to] */
static soft_fn *const extensions[5][2][3] = {
    {TO_EACH(movzx_r8), TO_EACH(movzx_m8)},   {TO_EACH(movzx_r16), TO_EACH(movzx_m16)},
    {TO_EACH(movsx_r8), TO_EACH(movsx_m8)},   {TO_EACH(movsx_r16), TO_EACH(movsx_m16)},
    {TO_EACH(movsx_r32), TO_EACH(movsx_m32)},
};

/* ---- conditions ---- */

#define CONDITIONALS(bits, sfx, con, mod)                                                          \
    static const struct soft_op *cmov_r##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->b);                                              \
        if (!soft_condition(cpu->fl, op->c))                                                       \
            v = *soft_r##bits(cpu, op->a);                                                         \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *cmov_m##bits(struct soft_cpu *cpu, const struct soft_op *op)      \
    {                                                                                              \
        uint##bits##_t v = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        if (!soft_condition(cpu->fl, op->c))                                                       \
            v = *soft_r##bits(cpu, op->a);                                                         \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *movbe_rm##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t v = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        soft_op_set##bits(cpu, op->a, __builtin_bswap##bits(v));                                   \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *movbe_mr##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t v = __builtin_bswap##bits(*soft_r##bits(cpu, op->b));                       \
        soft_store##bits(cpu, ADDRESS(bits, SOFT_WRITE), v);                                       \
        SOFT_NEXT(cpu, op);                                                                        \
    }
SOFT_EACH_WIDE_SIZE(CONDITIONALS)

static soft_fn *const wide[4][3] = {
    {cmov_r16, cmov_r32, cmov_r64},
    {cmov_m16, cmov_m32, cmov_m64},
    {movbe_rm16, movbe_rm32, movbe_rm64},
    {movbe_mr16, movbe_mr32, movbe_mr64},
};

static const struct soft_op *setcc_r(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r8(cpu, op->a) = soft_condition(cpu->fl, op->c);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *setcc_m(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_store8(cpu, ADDRESS(8, SOFT_WRITE), soft_condition(cpu->fl, op->c));
    SOFT_NEXT(cpu, op);
}

/* ---- lea, bswap, cbw, cwd, xlat ---- */

static const struct soft_op *lea64(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = soft_offset(cpu, op);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *lea32(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = (uint32_t)soft_offset(cpu, op);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *lea16(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r16(cpu, op->a) = (uint16_t)soft_offset(cpu, op);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *bswap64(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = __builtin_bswap64(*soft_r64(cpu, op->a));
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *bswap32(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = __builtin_bswap32(*soft_r32(cpu, op->a));
    SOFT_NEXT(cpu, op);
}

/* With 16 bits the result is undefined; CPUs give zero. */
static const struct soft_op *bswap16(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r16(cpu, op->a) = 0;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *cbw(struct soft_cpu *cpu, const struct soft_op *op)
{
    int64_t rax = (int64_t)cpu->r[SOFT_RAX];
    if (op->size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint16_t)(int8_t)rax;
    else
        cpu->r[SOFT_RAX] = op->size == 4 ? (uint32_t)(int16_t)rax : (uint64_t)(int32_t)rax;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *cwd(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t rax = cpu->r[SOFT_RAX];
    if (op->size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RDX)) = rax >> 15 & 1 ? 0xffff : 0;
    else if (op->size == 4)
        cpu->r[SOFT_RDX] = rax >> 31 & 1 ? UINT32_MAX : 0;
    else
        cpu->r[SOFT_RDX] = rax >> 63 ? UINT64_MAX : 0;
    SOFT_NEXT(cpu, op);
}

/* op->c: address size; op->seg as decoded. */
static const struct soft_op *xlat(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RBX] + (uint8_t)cpu->r[SOFT_RAX];
    at = op->c == 2 ? (uint16_t)at : op->c == 4 ? (uint32_t)at : at;
    *soft_r8(cpu, SOFT_OFFSET(SOFT_RAX)) =
        soft_load8(cpu, soft_linear(cpu, op->b, at, 1, SOFT_READ));
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static bool flat(const struct soft_op *op)
{
    return !op->ea && (op->seg == SOFT_SEG_FLAT || op->seg == SOFT_SEG_FLAT_STACK);
}

static enum move memory_move(const struct soft_op *op, bool load)
{
    if (!flat(op))
        return load ? RM : MR;
    if (op->index == SOFT_OFFSET(SOFT_ZERO))
        return load ? RM_BASE : MR_BASE;
    return load ? RM_FLAT : MR_FLAT;
}

static enum soft_bound bind_mov(const struct x86_insn *in, struct soft_op *op)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    enum move which;
    bool moffs = in->map == 0 && in->opcode >= 0xa0 && in->opcode <= 0xa3;
    if (soft_op_is_gpr(d))
        op->a = soft_op_gpr(d);
    if (soft_op_is_gpr(s))
        op->b = soft_op_gpr(s);
    if (moffs) {
        op->imm = in->mem_disp;
        op->seg = in->mem_segment;
        which = d->kind == X86_OPERAND_MEM ? OR_ : RO;
    } else if (d->kind == X86_OPERAND_MEM) {
        which = s->kind == X86_OPERAND_IMM ? MI : memory_move(op, false);
    } else if (s->kind == X86_OPERAND_MEM) {
        which = memory_move(op, true);
    } else {
        which = s->kind == X86_OPERAND_IMM ? RI : RR;
    }
    op->fn = moves[soft_op_size_index(d->size_bytes)][which];
    return SOFT_BOUND;
}

static enum soft_bound bind_extension(const struct x86_insn *in, struct soft_op *op)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    bool mem = s->kind == X86_OPERAND_MEM;
    unsigned from = in->id == X86_MOVZX    ? (s->size_bytes == 1 ? ZX8 : ZX16)
                    : in->id == X86_MOVSXD ? SX32
                    : s->size_bytes == 1   ? SX8
                                           : SX16;
    op->a = soft_op_gpr(d);
    if (!mem)
        op->b = soft_op_gpr(s);
    op->fn = extensions[from][mem][soft_op_size_index(d->size_bytes) - 1];
    return SOFT_BOUND;
}

static enum soft_bound bind_wide(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    op->c = in->opcode & 15;
    if (soft_op_is_gpr(d))
        op->a = soft_op_gpr(d);
    if (soft_op_is_gpr(s))
        op->b = soft_op_gpr(s);
    op->fn = wide[row][soft_op_size_index(d->size_bytes) - 1];
    return SOFT_BOUND;
}

static enum soft_bound bind_xchg(const struct x86_insn *in, struct soft_op *op)
{
    if (in->has_mem)
        return SOFT_UNBOUND;
    op->a = soft_op_gpr(&in->operands[0]);
    op->b = soft_op_gpr(&in->operands[1]);
    op->fn = moves[soft_op_size_index(in->operands[0].size_bytes)][XCHG];
    return SOFT_BOUND;
}

enum soft_bound soft_bind_mov(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    bool mem = in->has_mem;
    switch (in->id) {
    case X86_MOV:
    case X86_MOVNTI:
        return bind_mov(in, op);
    case X86_MOVZX:
    case X86_MOVSX:
    case X86_MOVSXD:
        return bind_extension(in, op);
    case X86_CMOVCC:
        return bind_wide(in, op, mem);
    case X86_MOVBE:
        return bind_wide(in, op, in->operands[0].kind == X86_OPERAND_MEM ? 3 : 2);
    case X86_SETCC:
        op->c = in->opcode & 15;
        if (!mem)
            op->a = soft_op_gpr(&in->operands[0]);
        return soft_bind_next(op, mem ? setcc_m : setcc_r);
    case X86_XCHG:
        return bind_xchg(in, op);
    case X86_LEA:
        op->a = soft_op_gpr(&in->operands[0]);
        return soft_bind_next(op, in->opsize == 8 ? lea64 : in->opsize == 4 ? lea32 : lea16);
    case X86_BSWAP:
        op->a = soft_op_gpr(&in->operands[0]);
        return soft_bind_next(op, in->opsize == 8 ? bswap64 : in->opsize == 4 ? bswap32 : bswap16);
    case X86_CBW:
        return soft_bind_next(op, cbw);
    case X86_CWD:
        return soft_bind_next(op, cwd);
    case X86_XLAT:
        op->c = in->adsize;
        op->b = in->mem_segment;
        if (in->mode == X86_CODE64)
            op->seg = SOFT_SEG_FLAT; /* a bad address is #GP, not #SS */
        return soft_bind_next(op, xlat);
    default:
        return SOFT_UNBOUND;
    }
}
