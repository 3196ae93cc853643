/* add, or, adc, sbb, and, sub, xor, cmp, test, inc, dec, neg, not: one small function for each
 * operation, size and shape of operands. The locked forms are in op_atomic.c.
 *
 * To add an instruction of this kind: a line in ALU_OPERATIONS and one in row_of(). */
#include "engine/soft/soft_op.h"

/* Shapes: destination and source. */
enum shape { RR, RM, MR, RI, MI, SHAPES };

#define ADDRESS(bits, access) soft_address(cpu, op, bits / 8, access)

/* One operation on v (read and written) and s, flags into fl. `in` is what of the flags it reads.
 */
#define CALC(bits, insn, sfx, con, mod, in)                                                        \
    __asm__(in insn sfx " %" mod "[s], %" mod "[v]" SOFT_FLAGS_OUT                                 \
            : [v] "+" con(v), "+a"(fl)                                                             \
            : [s] con(s)                                                                           \
            : "cc")

#define WRITING(name, insn, in, bits, sfx, con, mod)                                               \
    static const struct soft_op *name##_rr##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a), s = *soft_r##bits(cpu, op->b);               \
        uint32_t fl = cpu->fl;                                                                     \
        CALC(bits, insn, sfx, con, mod, in);                                                       \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_rm##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t s = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        uint32_t fl = cpu->fl;                                                                     \
        CALC(bits, insn, sfx, con, mod, in);                                                       \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_ri##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a), s = (uint##bits##_t)op->imm;                 \
        uint32_t fl = cpu->fl;                                                                     \
        CALC(bits, insn, sfx, con, mod, in);                                                       \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static inline const struct soft_op *name##_memory##bits(                                       \
        struct soft_cpu *cpu, const struct soft_op *op, uint##bits##_t s)                          \
    {                                                                                              \
        uint64_t at = ADDRESS(bits, SOFT_WRITE);                                                   \
        uint##bits##_t *p = soft_rmw_begin(cpu, at, bits / 8), v = *p;                             \
        uint32_t fl = cpu->fl;                                                                     \
        CALC(bits, insn, sfx, con, mod, in);                                                       \
        cpu->fl = fl;                                                                              \
        *p = v;                                                                                    \
        soft_rmw_end(cpu, p, at, bits / 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_mr##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        return name##_memory##bits(cpu, op, *soft_r##bits(cpu, op->b));                            \
    }                                                                                              \
    static const struct soft_op *name##_mi##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        return name##_memory##bits(cpu, op, (uint##bits##_t)op->imm);                              \
    }

/* cmp and test only read. */
#define COMPARE(bits, insn, sfx, con, mod)                                                         \
    do {                                                                                           \
        uint32_t fl;                                                                               \
        __asm__(insn sfx " %" mod "[s], %" mod "[v]" SOFT_FLAGS_OUT                                \
                : "=a"(fl)                                                                         \
                : [v] con(v), [s] con(s)                                                           \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        SOFT_NEXT(cpu, op);                                                                        \
    } while (0)

#define READING(name, insn, bits, sfx, con, mod)                                                   \
    static const struct soft_op *name##_rr##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a), s = *soft_r##bits(cpu, op->b);               \
        COMPARE(bits, insn, sfx, con, mod);                                                        \
    }                                                                                              \
    static const struct soft_op *name##_rm##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t s = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        COMPARE(bits, insn, sfx, con, mod);                                                        \
    }                                                                                              \
    static const struct soft_op *name##_mr##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        uint##bits##_t s = *soft_r##bits(cpu, op->b);                                              \
        COMPARE(bits, insn, sfx, con, mod);                                                        \
    }                                                                                              \
    static const struct soft_op *name##_ri##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a), s = (uint##bits##_t)op->imm;                 \
        COMPARE(bits, insn, sfx, con, mod);                                                        \
    }                                                                                              \
    static const struct soft_op *name##_mi##bits(struct soft_cpu *cpu, const struct soft_op *op)   \
    {                                                                                              \
        uint##bits##_t v = soft_load##bits(cpu, ADDRESS(bits, SOFT_READ));                         \
        uint##bits##_t s = (uint##bits##_t)op->imm;                                                \
        COMPARE(bits, insn, sfx, con, mod);                                                        \
    }

/* One operand: inc, dec, neg, not. */
#define UNARY(name, insn, in, out, bits, sfx, con, mod)                                            \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(in insn sfx " %" mod "[v]" out : [v] "+" con(v), "+a"(fl) : : "cc");               \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint64_t at = ADDRESS(bits, SOFT_WRITE);                                                   \
        uint##bits##_t *p = soft_rmw_begin(cpu, at, bits / 8), v = *p;                             \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(in insn sfx " %" mod "[v]" out : [v] "+" con(v), "+a"(fl) : : "cc");               \
        cpu->fl = fl;                                                                              \
        *p = v;                                                                                    \
        soft_rmw_end(cpu, p, at, bits / 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }

#define ALL_OF(bits, sfx, con, mod)                                                                \
    WRITING(add, "add", "", bits, sfx, con, mod)                                                   \
    WRITING(or, "or", "", bits, sfx, con, mod)                                                     \
    WRITING(adc, "adc", SOFT_CARRY_IN, bits, sfx, con, mod)                                        \
    WRITING(sbb, "sbb", SOFT_CARRY_IN, bits, sfx, con, mod)                                        \
    WRITING(and, "and", "", bits, sfx, con, mod)                                                   \
    WRITING(sub, "sub", "", bits, sfx, con, mod)                                                   \
    WRITING(xor, "xor", "", bits, sfx, con, mod)                                                   \
    READING(cmp, "cmp", bits, sfx, con, mod)                                                       \
    READING(test, "test", bits, sfx, con, mod)                                                     \
    UNARY(inc, "inc", SOFT_CARRY_IN, SOFT_FLAGS_OUT, bits, sfx, con, mod)                          \
    UNARY(dec, "dec", SOFT_CARRY_IN, SOFT_FLAGS_OUT, bits, sfx, con, mod)                          \
    UNARY(neg, "neg", "", SOFT_FLAGS_OUT, bits, sfx, con, mod)                                     \
    UNARY(not, "not", "", "", bits, sfx, con, mod)
SOFT_EACH_SIZE(ALL_OF)

#define SHAPES_OF(name, bits)                                                                      \
    {                                                                                              \
        name##_rr##bits, name##_rm##bits, name##_mr##bits, name##_ri##bits, name##_mi##bits        \
    }
#define SIZES_OF(name)                                                                             \
    {                                                                                              \
        SHAPES_OF(name, 8), SHAPES_OF(name, 16), SHAPES_OF(name, 32), SHAPES_OF(name, 64)          \
    }
#define SIZES_OF_UNARY(name)                                                                       \
    {                                                                                              \
        {name##_r8, name##_m8}, {name##_r16, name##_m16}, {name##_r32, name##_m32},                \
        {                                                                                          \
            name##_r64, name##_m64                                                                 \
        }                                                                                          \
    }

enum row { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, ROWS };

static soft_fn *const binary[ROWS][4][SHAPES] = {
    SIZES_OF(add), SIZES_OF(or),  SIZES_OF(adc), SIZES_OF(sbb),  SIZES_OF(and),
    SIZES_OF(sub), SIZES_OF(xor), SIZES_OF(cmp), SIZES_OF(test),
};
static soft_fn *const unary[4][4][2] = {SIZES_OF_UNARY(inc), SIZES_OF_UNARY(dec),
                                        SIZES_OF_UNARY(neg), SIZES_OF_UNARY(not )};

static int row_of(uint16_t id)
{
    switch (id) {
    case X86_ADD:
        return ADD;
    case X86_OR:
        return OR;
    case X86_ADC:
        return ADC;
    case X86_SBB:
        return SBB;
    case X86_AND:
        return AND;
    case X86_SUB:
        return SUB;
    case X86_XOR:
        return XOR;
    case X86_CMP:
        return CMP;
    case X86_TEST:
        return TEST;
    default:
        return -1;
    }
}

/* xor r, r: the usual way to write zero. */
static const struct soft_op *zero(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = 0;
    cpu->fl = SOFT_FL_ZF | SOFT_FL_PF;
    SOFT_NEXT(cpu, op);
}

static enum soft_bound bind_unary(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *o = &in->operands[0];
    bool mem = o->kind == X86_OPERAND_MEM;
    if (!mem)
        op->a = soft_op_gpr(o);
    op->fn = unary[row][soft_op_size_index(o->size_bytes)][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_binary(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    enum shape shape;
    if (d->kind == X86_OPERAND_MEM)
        shape = s->kind == X86_OPERAND_IMM ? MI : MR;
    else
        shape = s->kind == X86_OPERAND_IMM ? RI : s->kind == X86_OPERAND_MEM ? RM : RR;
    if (soft_op_is_gpr(d))
        op->a = soft_op_gpr(d);
    if (soft_op_is_gpr(s))
        op->b = soft_op_gpr(s);
    op->fn = binary[row][soft_op_size_index(d->size_bytes)][shape];
    if (row == XOR && shape == RR && op->a == op->b && d->size_bytes >= 4)
        op->fn = zero;
    return SOFT_BOUND;
}

enum soft_bound soft_bind_alu(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_INC:
        return bind_unary(in, op, 0);
    case X86_DEC:
        return bind_unary(in, op, 1);
    case X86_NEG:
        return bind_unary(in, op, 2);
    case X86_NOT:
        return bind_unary(in, op, 3);
    default:
        return row_of(in->id) < 0 ? SOFT_UNBOUND : bind_binary(in, op, (unsigned)row_of(in->id));
    }
}
