/* Bits: tests and changes of one, scans, counts, and BMI's extractions. */
#include "engine/soft/soft_op.h"

/* ---- bt, bts, btr, btc ---- */

#define BIT(name, bits, sfx, mod)                                                                  \
    static inline uint##bits##_t name##bits(struct soft_cpu *cpu, uint##bits##_t v,                \
                                            uint##bits##_t n)                                      \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name sfx " %" mod "[n], %" mod "[v]" SOFT_FLAGS_OUT                 \
                : [v] "+r"(v), "+a"(fl)                                                            \
                : [n] "r"(n)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        return v;                                                                                  \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t n = op->c ? *soft_r##bits(cpu, op->b) : (uint##bits##_t)op->imm;            \
        uint##bits##_t v = name##bits(cpu, *soft_r##bits(cpu, op->a), n);                          \
        if (name##_writes)                                                                         \
            soft_op_set##bits(cpu, op->a, v);                                                      \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t n = (uint##bits##_t)op->imm;                                                \
        uint64_t at = soft_bit_address(cpu, op, bits, &n, name##_writes ? SOFT_WRITE : SOFT_READ); \
        if (!name##_writes) {                                                                      \
            name##bits(cpu, soft_load##bits(cpu, at), n);                                          \
            SOFT_NEXT(cpu, op);                                                                    \
        }                                                                                          \
        uint##bits##_t *p = soft_rmw_begin(cpu, at, bits / 8);                                     \
        *p = name##bits(cpu, *p, n);                                                               \
        soft_rmw_end(cpu, p, at, bits / 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define bt_writes  false
#define bts_writes true
#define btr_writes true
#define btc_writes true

/* Where the bit is: a register as the bit's number reaches beyond the operand, signed. */
static uint64_t bit_address(struct soft_cpu *cpu, const struct soft_op *op, unsigned bits,
                            int64_t n, enum soft_access access)
{
    uint64_t at = soft_offset(cpu, op) + (uint64_t)((n >> __builtin_ctz(bits)) * (bits / 8));
    if (op->ea & SOFT_EA_16)
        at = (uint16_t)at;
    else if (op->ea & SOFT_EA_32)
        at = (uint32_t)at;
    if (op->ea & SOFT_EA_SEGMENTED)
        return soft_linear_segmented(cpu, op->seg, at, bits / 8, access);
    return at + cpu->seg_base[op->seg];
}

#define soft_bit_address(cpu, op, bits, n, access)                                                 \
    ((op)->c ? (*(n) = *soft_r##bits(cpu, (op)->b),                                                \
                bit_address(cpu, op, bits, (int##bits##_t) * (n), access))                         \
             : soft_address(cpu, op, (bits) / 8, access))

#define BITS(bits, sfx, con, mod)                                                                  \
    BIT(bt, bits, sfx, mod)                                                                        \
    BIT(bts, bits, sfx, mod) BIT(btr, bits, sfx, mod) BIT(btc, bits, sfx, mod)
SOFT_EACH_WIDE_SIZE(BITS)

#define SIZES_OF(name)                                                                             \
    {                                                                                              \
        {name##_r16, name##_m16}, {name##_r32, name##_m32},                                        \
        {                                                                                          \
            name##_r64, name##_m64                                                                 \
        }                                                                                          \
    }
static soft_fn *const bit_ops[4][3][2] = {SIZES_OF(bt), SIZES_OF(bts), SIZES_OF(btr),
                                          SIZES_OF(btc)};

/* ---- scans and counts: destination and source ---- */

/* The whole destination register goes through the host's instruction: what a scan of zero leaves in
 * it is up to the CPU. */
#define SCAN(name, bits, mod)                                                                      \
    static inline void name##bits(struct soft_cpu *cpu, const struct soft_op *op,                  \
                                  uint##bits##_t s)                                                \
    {                                                                                              \
        uint64_t v = *soft_r64(cpu, op->a);                                                        \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name " %" mod "[s], %" mod "[v]" SOFT_FLAGS_OUT                     \
                : [v] "+r"(v), "+a"(fl)                                                            \
                : [s] "r"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        *soft_r64(cpu, op->a) = v;                                                                 \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, op, *soft_r##bits(cpu, op->b));                                            \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, op, soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ)));     \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define SCANS(bits, sfx, con, mod)                                                                 \
    SCAN(bsf, bits, mod)                                                                           \
    SCAN(bsr, bits, mod) SCAN(tzcnt, bits, mod) SCAN(lzcnt, bits, mod) SCAN(popcnt, bits, mod)
SOFT_EACH_WIDE_SIZE(SCANS)
static soft_fn *const scans[5][3][2] = {SIZES_OF(bsf), SIZES_OF(bsr), SIZES_OF(tzcnt),
                                        SIZES_OF(lzcnt), SIZES_OF(popcnt)};

/* ---- BMI: destination a, sources b and c (c may be memory for those that take it second) ---- */

#define TERNARY(name, bits, mod, first, second)                                                    \
    static inline void name##bits(struct soft_cpu *cpu, const struct soft_op *op,                  \
                                  uint##bits##_t reg, uint##bits##_t rm)                           \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name " %" mod "[" second "], %" mod "[" first "], %" mod            \
                                    "[v]" SOFT_FLAGS_OUT                                           \
                : [v] "=r"(v), "+a"(fl)                                                            \
                : [reg] "r"(reg), [rm] "r"(rm)                                                     \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, op, *soft_r##bits(cpu, op->c), *soft_r##bits(cpu, op->b));                 \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t rm = soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ));      \
        name##bits(cpu, op, *soft_r##bits(cpu, op->c), rm);                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define TERNARIES(bits, mod)                                                                       \
    TERNARY(andn, bits, mod, "reg", "rm")                                                          \
    TERNARY(pdep, bits, mod, "reg", "rm")                                                          \
    TERNARY(pext, bits, mod, "reg", "rm")                                                          \
    TERNARY(bextr, bits, mod, "rm", "reg")                                                         \
    TERNARY(bzhi, bits, mod, "rm", "reg")
TERNARIES(32, "k")
TERNARIES(64, "q")

#define LOWEST(name, bits, mod)                                                                    \
    static inline void name##bits(struct soft_cpu *cpu, const struct soft_op *op,                  \
                                  uint##bits##_t s)                                                \
    {                                                                                              \
        uint##bits##_t v;                                                                          \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN #name " %" mod "[s], %" mod "[v]" SOFT_FLAGS_OUT                     \
                : [v] "=r"(v), "+a"(fl)                                                            \
                : [s] "r"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
    }                                                                                              \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, op, *soft_r##bits(cpu, op->b));                                            \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, op, soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ)));     \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define LOWESTS(bits, mod) LOWEST(blsr, bits, mod) LOWEST(blsi, bits, mod) LOWEST(blsmsk, bits, mod)
LOWESTS(32, "k")
LOWESTS(64, "q")

#define BMI_OF(name)                                                                               \
    {                                                                                              \
        {name##_r32, name##_m32},                                                                  \
        {                                                                                          \
            name##_r64, name##_m64                                                                 \
        }                                                                                          \
    }
static soft_fn *const ternaries[5][2][2] = {BMI_OF(andn), BMI_OF(pdep), BMI_OF(pext), BMI_OF(bextr),
                                            BMI_OF(bzhi)};
static soft_fn *const lowests[3][2][2] = {BMI_OF(blsr), BMI_OF(blsi), BMI_OF(blsmsk)};

/* ---- binding ---- */

static enum soft_bound bind_bit(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    bool mem = d->kind == X86_OPERAND_MEM;
    if (!mem)
        op->a = soft_op_gpr(d);
    op->c = s->kind == X86_OPERAND_GPR;
    if (op->c)
        op->b = soft_op_gpr(s);
    op->fn = bit_ops[row][soft_op_size_index(d->size_bytes) - 1][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_scan(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *s = &in->operands[1];
    bool mem = s->kind == X86_OPERAND_MEM;
    op->a = soft_op_gpr(&in->operands[0]);
    if (!mem)
        op->b = soft_op_gpr(s);
    op->fn = scans[row][soft_op_size_index(in->operands[0].size_bytes) - 1][mem];
    return SOFT_BOUND;
}

/* tzcnt and lzcnt are bsf and bsr with a prefix that older CPUs ignore. */
static enum soft_bound bind_count(const struct soft_cpu *cpu, const struct x86_insn *in,
                                  struct soft_op *op)
{
    bool tz = in->id == X86_TZCNT;
    bool has = cpu->features >> (tz ? X86_FEATURE_BMI1 : X86_FEATURE_LZCNT) & 1;
    return bind_scan(in, op, tz ? (has ? 2 : 0) : (has ? 3 : 1));
}

static enum soft_bound bind_ternary(const struct x86_insn *in, struct soft_op *op, unsigned row,
                                    unsigned rm, unsigned reg)
{
    bool mem = in->operands[rm].kind == X86_OPERAND_MEM;
    op->a = soft_op_gpr(&in->operands[0]);
    op->c = soft_op_gpr(&in->operands[reg]);
    if (!mem)
        op->b = soft_op_gpr(&in->operands[rm]);
    op->fn = ternaries[row][in->operands[0].size_bytes == 8][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_lowest(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    bool mem = in->operands[1].kind == X86_OPERAND_MEM;
    op->a = soft_op_gpr(&in->operands[0]);
    if (!mem)
        op->b = soft_op_gpr(&in->operands[1]);
    op->fn = lowests[row][in->operands[0].size_bytes == 8][mem];
    return SOFT_BOUND;
}

enum soft_bound soft_bind_bit(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_BT:
        return bind_bit(in, op, 0);
    case X86_BTS:
        return bind_bit(in, op, 1);
    case X86_BTR:
        return bind_bit(in, op, 2);
    case X86_BTC:
        return bind_bit(in, op, 3);
    case X86_BSF:
        return bind_scan(in, op, 0);
    case X86_BSR:
        return bind_scan(in, op, 1);
    case X86_TZCNT:
    case X86_LZCNT:
        return bind_count(cpu, in, op);
    case X86_POPCNT:
        return bind_scan(in, op, 4);
    case X86_ANDN:
        return bind_ternary(in, op, 0, 2, 1);
    case X86_PDEP:
        return bind_ternary(in, op, 1, 2, 1);
    case X86_PEXT:
        return bind_ternary(in, op, 2, 2, 1);
    case X86_BEXTR:
        return bind_ternary(in, op, 3, 1, 2);
    case X86_BZHI:
        return bind_ternary(in, op, 4, 1, 2);
    case X86_BLSR:
        return bind_lowest(in, op, 0);
    case X86_BLSI:
        return bind_lowest(in, op, 1);
    case X86_BLSMSK:
        return bind_lowest(in, op, 2);
    default:
        return SOFT_UNBOUND;
    }
}
