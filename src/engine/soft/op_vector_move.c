/* SSE and AVX: moves of whole registers and of scalars to and from memory, in C. */
#include "engine/soft/op_vector.h"

#include "engine/soft/soft_op.h"

/* In all of these: op->imm: aligned; op->c: VEX, so the upper half is cleared. */

static inline uint64_t vector_address(struct soft_cpu *cpu, const struct soft_op *op,
                                      unsigned bytes, enum soft_access access)
{
    return soft_vector_address(cpu, op, bytes, access, op->imm);
}

/* Whole registers, most of which are in the TLB and on one page. `bytes` is a constant. */

static inline void load_register(struct soft_cpu *cpu, uint64_t at, uint8_t *to, unsigned bytes)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, at);
    if (likely((at ^ e->read) <= 4096 - bytes))
        memcpy(to, (const void *)(at + e->addend), bytes);
    else
        soft_load_bytes(cpu, at, to, bytes);
}

static inline void store_register(struct soft_cpu *cpu, uint64_t at, const uint8_t *from,
                                  unsigned bytes)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, at);
    if (unlikely((at ^ e->write) > 4096 - bytes)) {
        soft_store_bytes(cpu, at, from, bytes);
        return;
    }
    void *p = (void *)(at + e->addend);
    memcpy(p, from, bytes);
    if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))
        soft_written(cpu, p, bytes);
}

static const struct soft_op *load16(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    uint64_t at = vector_address(cpu, op, 16, SOFT_READ);
    load_register(cpu, at, cpu->fpu.ymm[op->a], 16);
    if (op->c)
        soft_vector_clear_upper(cpu, op->a);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *store16(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    uint64_t at = vector_address(cpu, op, 16, SOFT_WRITE);
    store_register(cpu, at, cpu->fpu.ymm[op->a], 16);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *move16(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    memcpy(cpu->fpu.ymm[op->a], cpu->fpu.ymm[op->b], 16);
    if (op->c)
        soft_vector_clear_upper(cpu, op->a);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *load32(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, true);
    uint64_t at = vector_address(cpu, op, 32, SOFT_READ);
    uint8_t v[32];
    load_register(cpu, at, v, 32);
    memcpy(cpu->fpu.ymm[op->a], v, 32);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *store32(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, true);
    uint64_t at = vector_address(cpu, op, 32, SOFT_WRITE);
    store_register(cpu, at, cpu->fpu.ymm[op->a], 32);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *move32(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, true);
    memcpy(cpu->fpu.ymm[op->a], cpu->fpu.ymm[op->b], 32);
    SOFT_NEXT(cpu, op);
}

/* movss, movsd, movq, movd from memory: the rest of the register becomes zero. */
#define SCALAR(bits)                                                                               \
    static const struct soft_op *load_scalar##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        soft_vector_check(cpu, op->c);                                                             \
        uint64_t v = soft_load##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_READ));             \
        memset(cpu->fpu.ymm[op->a], 0, op->c ? 32 : 16);                                           \
        memcpy(cpu->fpu.ymm[op->a], &v, 8);                                                        \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *store_scalar##bits(struct soft_cpu *cpu,                          \
                                                    const struct soft_op *op)                      \
    {                                                                                              \
        soft_vector_check(cpu, op->c);                                                             \
        uint##bits##_t v;                                                                          \
        memcpy(&v, cpu->fpu.ymm[op->a], sizeof(v));                                                \
        soft_store##bits(cpu, soft_address(cpu, op, bits / 8, SOFT_WRITE), v);                     \
        SOFT_NEXT(cpu, op);                                                                        \
    }
SCALAR(32)
SCALAR(64)

static const struct soft_op *zero16(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    memset(cpu->fpu.ymm[op->a], 0, op->c ? 32 : 16);
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

/* Whole-register moves. */
static enum soft_bound bind_move(const struct x86_insn *in, struct soft_op *op)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    bool wide = in->vex_l;
    op->c = (in->prefixes & X86_PREFIX_VEX) != 0;
    op->imm = (in->flags & X86_FLAG_ALIGNED) != 0;
    if (d->kind == X86_OPERAND_MEM) {
        op->a = s->reg;
        return soft_bind_next(op, wide ? store32 : store16);
    }
    op->a = d->reg;
    if (s->kind == X86_OPERAND_MEM)
        return soft_bind_next(op, wide ? load32 : load16);
    op->b = s->reg;
    return soft_bind_next(op, wide ? move32 : move16);
}

/* movss and its like with memory; between registers they merge: thunks. */
static enum soft_bound bind_scalar(const struct x86_insn *in, struct soft_op *op, unsigned bytes)
{
    const struct x86_operand *d = &in->operands[0], *s = &in->operands[1];
    bool mmx = in->flags & X86_FLAG_MMX;
    if (!in->has_mem || mmx)
        return SOFT_UNBOUND;
    op->c = (in->prefixes & X86_PREFIX_VEX) != 0;
    if (d->kind == X86_OPERAND_MEM) {
        op->a = s->reg;
        return soft_bind_next(op, bytes == 4 ? store_scalar32 : store_scalar64);
    }
    op->a = d->reg;
    return soft_bind_next(op, bytes == 4 ? load_scalar32 : load_scalar64);
}

static bool same_register_xor(const struct x86_insn *in)
{
    bool xor = in->id == X86_PXOR || in->id == X86_XORPS || in->id == X86_XORPD;
    return xor&&in->operands[1].kind == X86_OPERAND_XMM &&
           in->operands[0].kind == X86_OPERAND_XMM && in->operands[0].reg == in->operands[1].reg;
}

enum soft_bound soft_bind_vector_move(const struct x86_insn *in, struct soft_op *op)
{
    op->c = (in->prefixes & X86_PREFIX_VEX) != 0;
    if (same_register_xor(in)) {
        op->a = in->operands[0].reg;
        return soft_bind_next(op, zero16);
    }
    switch (in->id) {
    case X86_MOVUPS:
    case X86_MOVUPD:
    case X86_MOVAPS:
    case X86_MOVAPD:
    case X86_MOVDQA:
    case X86_MOVDQU:
    case X86_MOVNTPS:
    case X86_MOVNTPD:
    case X86_MOVNTDQ:
    case X86_MOVNTDQA:
    case X86_LDDQU:
    case X86_VMOVUPS:
    case X86_VMOVUPD:
    case X86_VMOVAPS:
    case X86_VMOVAPD:
    case X86_VMOVDQA:
    case X86_VMOVDQU:
    case X86_VMOVNTPS:
    case X86_VMOVNTPD:
    case X86_VMOVNTDQ:
    case X86_VMOVNTDQA:
    case X86_VLDDQU:
        return bind_move(in, op);
    case X86_MOVSS:
    case X86_VMOVSS:
        return bind_scalar(in, op, 4);
    case X86_MOVSD:
    case X86_VMOVSD:
    case X86_MOVQ:
    case X86_VMOVQ:
        return bind_scalar(in, op, 8);
    case X86_MOVD:
    case X86_VMOVD:
        return bind_scalar(in, op, in->rex & 8 ? 8 : 4);
    default:
        return SOFT_UNBOUND;
    }
}
