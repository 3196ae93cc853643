/* Multiplication and division, the decimal adjustments, adcx and adox. */
#include "engine/soft/soft_op.h"

/* ---- mul and imul with one operand: rDX:rAX = rAX * source ---- */

#define WIDE_MUL(name, bits, sfx, mod)                                                             \
    static inline void name##bits(struct soft_cpu *cpu, uint##bits##_t s)                          \
    {                                                                                              \
        uint64_t lo = cpu->r[SOFT_RAX], hi;                                                        \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN "xchg %%rax, %[lo]\n\t" #name sfx " %" mod                           \
                              "[s]\n\txchg %%rax, %[lo]" SOFT_FLAGS_OUT                            \
                : "+a"(fl), [lo] "+r"(lo), "=&d"(hi)                                               \
                : [s] "r"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, SOFT_OFFSET(SOFT_RAX), (uint##bits##_t)lo);                         \
        soft_op_set##bits(cpu, SOFT_OFFSET(SOFT_RDX), (uint##bits##_t)hi);                         \
    }
#define WIDE_MULS(bits, sfx, con, mod) WIDE_MUL(mul, bits, sfx, mod) WIDE_MUL(imul, bits, sfx, mod)
SOFT_EACH_WIDE_SIZE(WIDE_MULS)

/* With bytes the product is in AX. */
#define BYTE_MUL(name)                                                                             \
    static inline void name##8(struct soft_cpu * cpu, uint8_t s)                                   \
    {                                                                                              \
        uint64_t product = cpu->r[SOFT_RAX];                                                       \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN "xchg %%rax, %[p]\n\t" #name                                         \
                              "b %b[s]\n\txchg %%rax, %[p]" SOFT_FLAGS_OUT                         \
                : "+a"(fl), [p] "+r"(product)                                                      \
                : [s] "q"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint16_t)product;                                 \
    }
BYTE_MUL(mul)
BYTE_MUL(imul)

/* ---- div and idiv: checked first, so that the host never traps ---- */

static void divide_fault(struct soft_cpu *cpu)
{
    soft_raise(cpu, SOFT_DE);
}

/* The host's own instruction, for the quotient and for the flags that the manuals leave open. */
#define DIVIDE(name, bits, sfx, mod)                                                               \
    static inline void name##_by##bits(struct soft_cpu *cpu, uint##bits##_t s)                     \
    {                                                                                              \
        uint64_t lo = cpu->r[SOFT_RAX], hi = cpu->r[SOFT_RDX];                                     \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN "xchg %%rax, %[lo]\n\t" #name sfx " %" mod                           \
                              "[s]\n\txchg %%rax, %[lo]" SOFT_FLAGS_OUT                            \
                : "+a"(fl), [lo] "+r"(lo), "+d"(hi)                                                \
                : [s] "r"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, SOFT_OFFSET(SOFT_RAX), (uint##bits##_t)lo);                         \
        soft_op_set##bits(cpu, SOFT_OFFSET(SOFT_RDX), (uint##bits##_t)hi);                         \
    }
#define DIVIDE_BYTE(name)                                                                          \
    static inline void name##_by8(struct soft_cpu *cpu, uint8_t s)                                 \
    {                                                                                              \
        uint64_t ax = cpu->r[SOFT_RAX];                                                            \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN "xchg %%rax, %[ax]\n\t" #name                                        \
                              "b %b[s]\n\txchg %%rax, %[ax]" SOFT_FLAGS_OUT                        \
                : "+a"(fl), [ax] "+r"(ax)                                                          \
                : [s] "q"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint16_t)ax;                                      \
    }
#define DIVIDES(bits, sfx, con, mod) DIVIDE(div, bits, sfx, mod) DIVIDE(idiv, bits, sfx, mod)
SOFT_EACH_WIDE_SIZE(DIVIDES)
DIVIDE_BYTE(div)
DIVIDE_BYTE(idiv)

#define DIV(bits)                                                                                  \
    static inline void div##bits(struct soft_cpu *cpu, uint##bits##_t s)                           \
    {                                                                                              \
        if (unlikely(*soft_r##bits(cpu, SOFT_OFFSET(SOFT_RDX)) >= s))                              \
            divide_fault(cpu);                                                                     \
        div_by##bits(cpu, s);                                                                      \
    }
DIV(16)
DIV(32)
DIV(64)

static inline void div8(struct soft_cpu *cpu, uint8_t s)
{
    if (unlikely(*soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) >> 8 >= s))
        divide_fault(cpu);
    div_by8(cpu, s);
}

#define IDIV(bits, wide, min, max)                                                                 \
    static inline void idiv##bits(struct soft_cpu *cpu, uint##bits##_t source)                     \
    {                                                                                              \
        wide s = (int##bits##_t)source, n = idiv_dividend##bits(cpu);                              \
        /* The most negative number divided by -1 is not representable even in the wide type. */   \
        if (unlikely(s == 0 || (s == -1 && n < -(wide)max)))                                       \
            divide_fault(cpu);                                                                     \
        wide q = n / s;                                                                            \
        if (unlikely(q < min || q > max))                                                          \
            divide_fault(cpu);                                                                     \
        idiv_by##bits(cpu, source);                                                                \
    }
#define IDIV_WIDE(bits, wide)                                                                      \
    static inline wide idiv_dividend##bits(struct soft_cpu *cpu)                                   \
    {                                                                                              \
        return (wide)((unsigned wide) * soft_r##bits(cpu, SOFT_OFFSET(SOFT_RDX)) << bits |         \
                      *soft_r##bits(cpu, SOFT_OFFSET(SOFT_RAX)));                                  \
    }
IDIV_WIDE(16, int)
IDIV_WIDE(32, long)
IDIV_WIDE(64, __int128)
IDIV(16, int, INT16_MIN, INT16_MAX)
IDIV(32, long, INT32_MIN, INT32_MAX)
IDIV(64, __int128, INT64_MIN, INT64_MAX)

static inline int idiv_dividend8(struct soft_cpu *cpu)
{
    return (int16_t)cpu->r[SOFT_RAX];
}
IDIV(8, int, INT8_MIN, INT8_MAX)

#define ONE_OPERAND(name, bits)                                                                    \
    static const struct soft_op *name##_r##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, *soft_r##bits(cpu, op->a));                                                \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *name##_m##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        name##bits(cpu, soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ)));         \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define ONE_OPERANDS(bits, sfx, con, mod)                                                          \
    ONE_OPERAND(mul, bits) ONE_OPERAND(imul, bits) ONE_OPERAND(div, bits) ONE_OPERAND(idiv, bits)
SOFT_EACH_SIZE(ONE_OPERANDS)

#define SIZES_OF(name)                                                                             \
    {                                                                                              \
        {name##_r8, name##_m8}, {name##_r16, name##_m16}, {name##_r32, name##_m32},                \
        {                                                                                          \
            name##_r64, name##_m64                                                                 \
        }                                                                                          \
    }
static soft_fn *const one_operand[4][4][2] = {SIZES_OF(mul), SIZES_OF(imul), SIZES_OF(div),
                                              SIZES_OF(idiv)};

/* ---- imul with two and three operands; mulx; adcx, adox ---- */

#define IMUL2(bits, sfx, con, mod)                                                                 \
    static inline void multiply##bits(struct soft_cpu *cpu, const struct soft_op *op,              \
                                      uint##bits##_t v, uint##bits##_t s)                          \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__(SOFT_FLAGS_IN "imul" sfx " %" mod "[s], %" mod "[v]" SOFT_FLAGS_OUT                \
                : [v] "+r"(v), "+a"(fl)                                                            \
                : [s] "r"(s)                                                                       \
                : "cc");                                                                           \
        cpu->fl = fl;                                                                              \
        soft_op_set##bits(cpu, op->a, v);                                                          \
    }                                                                                              \
    static const struct soft_op *imul2_r##bits(struct soft_cpu *cpu, const struct soft_op *op)     \
    {                                                                                              \
        multiply##bits(cpu, op, *soft_r##bits(cpu, op->a), *soft_r##bits(cpu, op->b));             \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *imul2_m##bits(struct soft_cpu *cpu, const struct soft_op *op)     \
    {                                                                                              \
        uint##bits##_t s = soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ));       \
        multiply##bits(cpu, op, *soft_r##bits(cpu, op->a), s);                                     \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *imul3_r##bits(struct soft_cpu *cpu, const struct soft_op *op)     \
    {                                                                                              \
        multiply##bits(cpu, op, *soft_r##bits(cpu, op->b), (uint##bits##_t)op->imm);               \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *imul3_m##bits(struct soft_cpu *cpu, const struct soft_op *op)     \
    {                                                                                              \
        uint##bits##_t s = soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ));       \
        multiply##bits(cpu, op, s, (uint##bits##_t)op->imm);                                       \
        SOFT_NEXT(cpu, op);                                                                        \
    }
SOFT_EACH_WIDE_SIZE(IMUL2)
static soft_fn *const imuls[2][3][2] = {
    {{imul2_r16, imul2_m16}, {imul2_r32, imul2_m32}, {imul2_r64, imul2_m64}},
    {{imul3_r16, imul3_m16}, {imul3_r32, imul3_m32}, {imul3_r64, imul3_m64}},
};

/* What a memory or register source of op holds. op->c: memory. */
static uint64_t source(struct soft_cpu *cpu, const struct soft_op *op)
{
    bool wide = op->size == 8;
    if (!op->c)
        return wide ? *soft_r64(cpu, op->b) : *soft_r32(cpu, op->b);
    uint64_t at = soft_address(cpu, op, op->size, SOFT_READ);
    return wide ? soft_load64(cpu, at) : soft_load32(cpu, at);
}

/* High half to a, low half to the register in op->imm (written first: they may be the same). */
static const struct soft_op *mulx(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t s = source(cpu, op);
    unsigned low = (unsigned)op->imm;
    if (op->size == 8) {
        unsigned __int128 v = (unsigned __int128)s * cpu->r[SOFT_RDX];
        *soft_r64(cpu, low) = (uint64_t)v;
        *soft_r64(cpu, op->a) = (uint64_t)(v >> 64);
    } else {
        uint64_t v = s * (uint32_t)cpu->r[SOFT_RDX];
        *soft_r64(cpu, low) = (uint32_t)v;
        *soft_r64(cpu, op->a) = v >> 32;
    }
    SOFT_NEXT(cpu, op);
}

/* op->imm: the flag that carries. */
static const struct soft_op *add_carry(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t s = source(cpu, op), a = op->size == 8 ? *soft_r64(cpu, op->a) : *soft_r32(cpu, op->a);
    uint32_t flag = (uint32_t)op->imm;
    unsigned __int128 v = (unsigned __int128)a + s + (cpu->fl & flag ? 1 : 0);
    *soft_r64(cpu, op->a) = op->size == 8 ? (uint64_t)v : (uint32_t)v;
    bool carry = v >> (op->size == 8 ? 64 : 32) & 1;
    cpu->fl = carry ? cpu->fl | flag : cpu->fl & ~flag;
    SOFT_NEXT(cpu, op);
}

/* ---- decimal adjustment (SDM volume 2; 16- and 32-bit code only) ---- */

static void set_flags_of_byte(struct soft_cpu *cpu, uint8_t v, uint32_t keep)
{
    uint32_t fl;
    __asm__("testb %b[v], %b[v]" SOFT_FLAGS_OUT : "=a"(fl) : [v] "q"(v) : "cc");
    uint32_t szp = SOFT_FL_SF | SOFT_FL_ZF | SOFT_FL_PF;
    cpu->fl = (fl & szp) | (cpu->fl & keep);
}

static const struct soft_op *daa_das(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t *al = soft_r8(cpu, SOFT_OFFSET(SOFT_RAX)), old = *al;
    bool carry = cpu->fl & SOFT_FL_CF, subtract = op->c, aux = false, out = false;
    unsigned v = old;
    if ((old & 15) > 9 || cpu->fl & SOFT_FL_AF) {
        v = subtract ? v - 6 : v + 6;
        out = carry || v > 0xff;
        aux = true;
    }
    if (old > 0x99 || carry) {
        v = subtract ? v - 0x60 : v + 0x60;
        out = true;
    }
    *al = (uint8_t)v;
    set_flags_of_byte(cpu, *al, 0);
    cpu->fl |= (out ? SOFT_FL_CF : 0) | (aux ? SOFT_FL_AF : 0);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *aaa_aas(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t *ax = soft_r16(cpu, SOFT_OFFSET(SOFT_RAX));
    bool adjust = (*ax & 15) > 9 || cpu->fl & SOFT_FL_AF;
    if (adjust)
        *ax = (uint16_t)(op->c ? *ax - 0x106 : *ax + 0x106);
    *ax &= 0xff0f;
    set_flags_of_byte(cpu, (uint8_t)*ax, 0);
    cpu->fl |= adjust ? SOFT_FL_CF | SOFT_FL_AF : 0;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *aam(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t *ax = soft_r16(cpu, SOFT_OFFSET(SOFT_RAX));
    uint8_t al = (uint8_t)*ax, base = (uint8_t)op->imm;
    if (!base)
        divide_fault(cpu);
    *ax = (uint16_t)((al / base) << 8 | al % base);
    set_flags_of_byte(cpu, (uint8_t)*ax, 0);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *aad(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t *ax = soft_r16(cpu, SOFT_OFFSET(SOFT_RAX));
    *ax = (uint8_t)((*ax >> 8) * (uint8_t)op->imm + (uint8_t)*ax);
    set_flags_of_byte(cpu, (uint8_t)*ax, 0);
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static enum soft_bound bind_one(const struct x86_insn *in, struct soft_op *op, unsigned row)
{
    const struct x86_operand *o = &in->operands[0];
    bool mem = o->kind == X86_OPERAND_MEM;
    if (!mem)
        op->a = soft_op_gpr(o);
    op->fn = one_operand[row][soft_op_size_index(o->size_bytes)][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_imul(const struct x86_insn *in, struct soft_op *op)
{
    const struct x86_operand *s = &in->operands[1];
    if (in->n_operands == 1)
        return bind_one(in, op, 1);
    bool mem = s->kind == X86_OPERAND_MEM;
    op->a = soft_op_gpr(&in->operands[0]);
    if (!mem)
        op->b = soft_op_gpr(s);
    op->fn = imuls[in->n_operands == 3][soft_op_size_index(in->operands[0].size_bytes) - 1][mem];
    return SOFT_BOUND;
}

static enum soft_bound bind_source(const struct x86_insn *in, struct soft_op *op, unsigned which,
                                   soft_fn *fn, int64_t imm)
{
    const struct x86_operand *s = &in->operands[which];
    op->a = soft_op_gpr(&in->operands[0]);
    op->c = s->kind == X86_OPERAND_MEM;
    if (!op->c)
        op->b = soft_op_gpr(s);
    op->size = in->operands[0].size_bytes;
    op->imm = imm;
    op->fn = fn;
    return SOFT_BOUND;
}

static enum soft_bound decimal(struct soft_op *op, soft_fn *fn, bool subtract)
{
    op->fn = fn;
    op->c = subtract;
    return SOFT_BOUND;
}

enum soft_bound soft_bind_mul(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_MUL:
        return bind_one(in, op, 0);
    case X86_IMUL:
        return bind_imul(in, op);
    case X86_DIV:
        return bind_one(in, op, 2);
    case X86_IDIV:
        return bind_one(in, op, 3);
    case X86_MULX:
        return bind_source(in, op, 2, mulx, soft_op_gpr(&in->operands[1]));
    case X86_ADCX:
        return bind_source(in, op, 1, add_carry, SOFT_FL_CF);
    case X86_ADOX:
        return bind_source(in, op, 1, add_carry, SOFT_FL_OF);
    case X86_DAA:
    case X86_DAS:
        return decimal(op, daa_das, in->id == X86_DAS);
    case X86_AAA:
    case X86_AAS:
        return decimal(op, aaa_aas, in->id == X86_AAS);
    case X86_AAM:
        return decimal(op, aam, false);
    case X86_AAD:
        return decimal(op, aad, false);
    default:
        return SOFT_UNBOUND;
    }
}
