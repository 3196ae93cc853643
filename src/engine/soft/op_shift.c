/* Shifts and rotates. The host's own instruction with the guest's count and flags: a count of zero
 * then changes nothing, and the undefined flags are this CPU's. */
#include "engine/soft/soft_op.h"

#define SHIFT(name, bits, sfx, mod)                                                                \
    static inline uint##bits##_t name##bits(struct soft_cpu *cpu, uint##bits##_t v, uint8_t count) \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name sfx " %%cl, %" mod "[v]" SOFT_FLAGS_OUT                        \
                : [v] "+q"(v), "+a"(fl)                                                            \
                : "c"(count)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        return v;                                                                                  \
    }                                                                                              \
    static const struct soft_op *name##_ri##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        soft_op_set##bits(cpu, op->a, name##bits(cpu, v, (uint8_t)op->imm));                       \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_rc##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        soft_op_set##bits(cpu, op->a, name##bits(cpu, v, (uint8_t)cpu->r[SOFT_RCX]));              \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    /* op->c: the count is in CL */                                                                \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint8_t count = op->c ? (uint8_t)cpu->r[SOFT_RCX] : (uint8_t)op->imm;                      \
        uint64_t at = soft_address(cpu, op, bits / 8, SOFT_WRITE);                                 \
        uint##bits##_t *p = soft_rmw_begin(cpu, at, bits / 8);                                     \
        *p = name##bits(cpu, *p, count);                                                           \
        soft_rmw_end(cpu, p, at, bits / 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define SHIFTS(bits, sfx, con, mod)                                                                \
    SHIFT(rol, bits, sfx, mod)                                                                     \
    SHIFT(ror, bits, sfx, mod)                                                                     \
    SHIFT(rcl, bits, sfx, mod)                                                                     \
    SHIFT(rcr, bits, sfx, mod)                                                                     \
    SHIFT(shl, bits, sfx, mod)                                                                     \
    SHIFT(shr, bits, sfx, mod)                                                                     \
    SHIFT(sar, bits, sfx, mod)
SOFT_EACH_SIZE(SHIFTS)

/* shld and shrd. */
#define DOUBLE(name, bits, sfx, mod)                                                               \
    static inline uint##bits##_t name##bits(struct soft_cpu *cpu, uint##bits##_t v,                \
                                            uint##bits##_t from, uint8_t count)                    \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name sfx " %%cl, %" mod "[from], %" mod "[v]" SOFT_FLAGS_OUT        \
                : [v] "+r"(v), "+a"(fl)                                                            \
                : [from] "r"(from), "c"(count)                                                     \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        return v;                                                                                  \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint8_t count = op->c ? (uint8_t)cpu->r[SOFT_RCX] : (uint8_t)op->imm;                      \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        soft_op_set##bits(cpu, op->a, name##bits(cpu, v, *soft_r##bits(cpu, op->b), count));       \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint8_t count = op->c ? (uint8_t)cpu->r[SOFT_RCX] : (uint8_t)op->imm;                      \
        uint64_t at = soft_address(cpu, op, bits / 8, SOFT_WRITE);                                 \
        uint##bits##_t *p = soft_rmw_begin(cpu, at, bits / 8);                                     \
        *p = name##bits(cpu, *p, *soft_r##bits(cpu, op->b), count);                                \
        soft_rmw_end(cpu, p, at, bits / 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define DOUBLES(bits, sfx, con, mod) DOUBLE(shld, bits, sfx, mod) DOUBLE(shrd, bits, sfx, mod)
SOFT_EACH_WIDE_SIZE(DOUBLES)

/* BMI2: no flags; the count's register is op->c. */
#define FLAGLESS(name, bits, mod)                                                                  \
    static inline void name##bits(struct soft_cpu *cpu, const struct soft_op *op,                  \
                                  uint##bits##_t v, uint64_t count)                                \
    {                                                                                              \
        v = name##_calc##bits(v, count & (bits - 1));                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint64_t count = name##_by_imm ? (uint64_t)op->imm : *soft_r64(cpu, op->c);                \
        name##bits(cpu, op, *soft_r##bits(cpu, op->b), count);                                     \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint64_t count = name##_by_imm ? (uint64_t)op->imm : *soft_r64(cpu, op->c);                \
        name##bits(cpu, op, soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ)),      \
                   count);                                                                         \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define shlx_by_imm       false
#define shrx_by_imm       false
#define sarx_by_imm       false
#define rorx_by_imm       true
#define shlx_calc32(v, n) ((v) << (n))
#define shlx_calc64(v, n) ((v) << (n))
#define shrx_calc32(v, n) ((v) >> (n))
#define shrx_calc64(v, n) ((v) >> (n))
#define sarx_calc32(v, n) ((uint32_t)((int32_t)(v) >> (n)))
#define sarx_calc64(v, n) ((uint64_t)((int64_t)(v) >> (n)))
#define rorx_calc32(v, n) ((v) >> (n) | (v) << (-(n)&31))
#define rorx_calc64(v, n) ((v) >> (n) | (v) << (-(n)&63))
#define FLAGLESS_ALL(bits, mod)                                                                    \
    FLAGLESS(shlx, bits, mod)                                                                      \
    FLAGLESS(shrx, bits, mod)                                                                      \
    FLAGLESS(sarx, bits, mod)                                                                      \
    FLAGLESS(rorx, bits, mod)
FLAGLESS_ALL(32, "k")
FLAGLESS_ALL(64, "q")

/* [operation][size][immediate, CL, memory] */
#define SHAPES_OF(name, bits)                                                                      \
    {                                                                                              \
        name##_ri##bits, name##_rc##bits, name##_m##bits                                           \
    }
#define SIZES_OF(name)                                                                             \
    {                                                                                              \
        SHAPES_OF(name, 8), SHAPES_OF(name, 16), SHAPES_OF(name, 32), SHAPES_OF(name, 64)          \
    }
static soft_fn *const shifts[7][4][3] = {SIZES_OF(rol), SIZES_OF(ror), SIZES_OF(rcl), SIZES_OF(rcr),
                                         SIZES_OF(shl), SIZES_OF(shr), SIZES_OF(sar)};
static soft_fn *const doubles[2][3][2] = {
    {{shld_r16, shld_m16}, {shld_r32, shld_m32}, {shld_r64, shld_m64}},
    {{shrd_r16, shrd_m16}, {shrd_r32, shrd_m32}, {shrd_r64, shrd_m64}},
};
static soft_fn *const flagless[4][2][2] = {
    {{shlx_r32, shlx_m32}, {shlx_r64, shlx_m64}},
    {{shrx_r32, shrx_m32}, {shrx_r64, shrx_m64}},
    {{sarx_r32, sarx_m32}, {sarx_r64, sarx_m64}},
    {{rorx_r32, rorx_m32}, {rorx_r64, rorx_m64}},
};

static bool count_in_cl(const struct x86_insn *in, unsigned which)
{
    return in->operands[which].kind == X86_OPERAND_GPR;
}

static enum soft_bound bind_shift(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *d = &in->operands[0];
    bool mem = d->kind == X86_OPERAND_MEM, cl = count_in_cl(in, 1);
    if (!mem)
        op->a = soft_op_gpr(d);
    op->c = cl;
    op->fn = shifts[row][soft_op_size_index(d->size_bytes)][mem ? 2 : cl];
    return SOFT_BOUND;
}

static enum soft_bound bind_double(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *d = &in->operands[0];
    bool mem = d->kind == X86_OPERAND_MEM;
    if (!mem)
        op->a = soft_op_gpr(d);
    op->b = soft_op_gpr(&in->operands[1]);
    op->c = count_in_cl(in, 2);
    op->fn = doubles[row][soft_op_size_index(d->size_bytes) - 1][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_flagless(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *s = &in->operands[1];
    bool mem = s->kind == X86_OPERAND_MEM;
    op->a = soft_op_gpr(&in->operands[0]);
    if (!mem)
        op->b = soft_op_gpr(s);
    if (in->id != X86_RORX)
        op->c = soft_op_gpr(&in->operands[2]);
    op->fn = flagless[row][in->operands[0].size_bytes == 8][mem];
    return SOFT_BOUND;
}

enum soft_bound soft_bind_shift(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_ROL:
        return bind_shift(in, op, 0);
    case X86_ROR:
        return bind_shift(in, op, 1);
    case X86_RCL:
        return bind_shift(in, op, 2);
    case X86_RCR:
        return bind_shift(in, op, 3);
    case X86_SHL:
        return bind_shift(in, op, 4);
    case X86_SHR:
        return bind_shift(in, op, 5);
    case X86_SAR:
        return bind_shift(in, op, 6);
    case X86_SHLD:
        return bind_double(in, op, 0);
    case X86_SHRD:
        return bind_double(in, op, 1);
    case X86_SHLX:
        return bind_flagless(in, op, 0);
    case X86_SHRX:
        return bind_flagless(in, op, 1);
    case X86_SARX:
        return bind_flagless(in, op, 2);
    case X86_RORX:
        return bind_flagless(in, op, 3);
    default:
        return SOFT_UNBOUND;
    }
}
