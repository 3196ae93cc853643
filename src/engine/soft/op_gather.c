/* Vector memory accesses element by element: gathers, masked loads and stores. Elements that the
 * mask leaves out are not accessed and cannot fault. */
#include "engine/soft/op_vector.h"
#include "engine/soft/soft_op.h"

/* The element's mask: its top bit. */
static bool chosen(const uint8_t *mask, unsigned i, unsigned bytes)
{
    return mask[(i + 1) * bytes - 1] & 0x80;
}

/* Linear address of an element: outside of 64-bit code they wrap at 4 GiB. */
static uint64_t element_at(const struct soft_cpu *cpu, uint64_t at, unsigned offset)
{
    bool wide = (cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64;
    return wide ? at + offset : (uint32_t)(at + offset);
}

/* op->a: destination, op->b: mask, op->c: element size, op->size: vector size. */
static const struct soft_op *masked_load(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t v[32] = {0};
    const uint8_t *mask = cpu->fpu.ymm[op->b];
    soft_vector_check(cpu, true);
    uint64_t at = soft_address(cpu, op, 1, SOFT_READ);
    for (unsigned i = 0; i < op->size / op->c; i++)
        if (chosen(mask, i, op->c))
            soft_load_bytes(cpu, element_at(cpu, at, i * op->c), v + i * op->c, op->c);
    memcpy(cpu->fpu.ymm[op->a], v, 32);
    SOFT_NEXT(cpu, op);
}

/* Every chosen element is checked before any is written. */
static void store_chosen(struct soft_cpu *cpu, uint64_t at, const uint8_t *v, const uint8_t *mask,
                         unsigned bytes, unsigned element)
{
    for (unsigned i = 0; i < bytes / element; i++)
        if (chosen(mask, i, element))
            soft_check_store(cpu, element_at(cpu, at, i * element), element);
    for (unsigned i = 0; i < bytes / element; i++)
        if (chosen(mask, i, element))
            soft_store_bytes(cpu, element_at(cpu, at, i * element), v + i * element, element);
}

static const struct soft_op *masked_store(struct soft_cpu *cpu, const struct soft_op *op)
{
    const uint8_t *mask = cpu->fpu.ymm[op->b];
    bool any = false;
    soft_vector_check(cpu, true);
    for (unsigned i = 0; i < op->size / op->c; i++)
        any |= chosen(mask, i, op->c);
    if (any)
        store_chosen(cpu, soft_address(cpu, op, 1, SOFT_WRITE), cpu->fpu.ymm[op->a], mask, op->size,
                     op->c);
    SOFT_NEXT(cpu, op);
}

/* maskmovdqu: to [rDI]. op->c: VEX, op->size: address size, op->seg as decoded in op->imm. */
static const struct soft_op *maskmovdqu(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    uint64_t at = cpu->r[SOFT_RDI];
    at = op->size == 8 ? at : op->size == 4 ? (uint32_t)at : (uint16_t)at;
    at = soft_linear(cpu, (unsigned)op->imm, at, 16, SOFT_WRITE);
    store_chosen(cpu, at, cpu->fpu.ymm[op->a], cpu->fpu.ymm[op->b], 16, 1);
    SOFT_NEXT(cpu, op);
}

/* maskmovq, with MMX registers in the saved image. */
static const struct soft_op *maskmovq(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (unlikely(cpu->mmx_fault != 0xff))
        soft_raise(cpu, cpu->mmx_fault);
    soft_fpu_unload(cpu);
    if (le16_read(cpu->fpu.legacy + 2) & 0x80)
        soft_raise(cpu, SOFT_MF);
    uint64_t at = cpu->r[SOFT_RDI];
    at = op->size == 8 ? at : op->size == 4 ? (uint32_t)at : (uint16_t)at;
    at = soft_linear(cpu, (unsigned)op->imm, at, 8, SOFT_WRITE);
    store_chosen(cpu, at, soft_fpu_mmx(cpu, op->a), soft_fpu_mmx(cpu, op->b), 8, 1);
    soft_fpu_set_top(cpu, 0);
    cpu->fpu.legacy[4] = 0xff;
    SOFT_NEXT(cpu, op);
}

/* A gather. op->a: destination, op->b: mask, op->c: index register, op->size: element size;
 * op->imm: elements in bits 0..7, index size in bits 8..15. The mask's elements become zero as they
 * are done, so that a fault in the middle can be resumed. */
static const struct soft_op *gather(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned n = op->imm & 0xff, index_bytes = op->imm >> 8 & 0xff, bytes = op->size;
    uint8_t *dst = cpu->fpu.ymm[op->a], *mask = cpu->fpu.ymm[op->b];
    const uint8_t *index = cpu->fpu.ymm[op->c];
    soft_vector_check(cpu, true);
    uint64_t base = *soft_r64(cpu, op->base) + (uint64_t)(int64_t)op->disp;
    for (unsigned i = 0; i < n; i++)
        memset(mask + i * bytes, chosen(mask, i, bytes) ? 0xff : 0, bytes);
    for (unsigned i = 0; i < n; i++) {
        if (!chosen(mask, i, bytes))
            continue;
        int64_t x = index_bytes == 4 ? (int32_t)le32_read(index + 4 * i)
                                     : (int64_t)le64_read(index + 8 * i);
        uint64_t at = base + ((uint64_t)x << op->scale);
        if (op->ea & SOFT_EA_32)
            at = (uint32_t)at;
        if (op->ea & SOFT_EA_SEGMENTED)
            at = soft_linear_segmented(cpu, op->seg, at, bytes, SOFT_READ);
        else
            at += cpu->seg_base[op->seg];
        soft_load_bytes(cpu, at, dst + i * bytes, bytes);
        memset(mask + i * bytes, 0, bytes);
    }
    memset(dst + n * bytes, 0, 32 - n * bytes);
    memset(mask, 0, 32);
    SOFT_NEXT(cpu, op);
}

static enum soft_bound bind_gather(const struct x86_insn *in, struct soft_op *op,
                                   unsigned index_bytes, unsigned bytes)
{
    unsigned vector = in->vex_l ? 32 : 16;
    op->a = in->operands[0].reg;
    op->b = in->vex_vvvv;
    op->c = in->mem_index;
    op->size = (uint8_t)bytes;
    op->imm = (int64_t)(vector / MAX(index_bytes, bytes)) | (int64_t)index_bytes << 8;
    op->fn = gather;
    return SOFT_BOUND;
}

static enum soft_bound bind_masked(const struct x86_insn *in, struct soft_op *op, unsigned element)
{
    bool store = in->operands[0].kind == X86_OPERAND_MEM;
    op->a = in->operands[store ? 2 : 0].reg;
    op->b = in->vex_vvvv;
    op->c = (uint8_t)element;
    op->size = in->vex_l ? 32 : 16;
    op->fn = store ? masked_store : masked_load;
    return SOFT_BOUND;
}

static enum soft_bound bind_maskmov(const struct x86_insn *in, struct soft_op *op, soft_fn *fn)
{
    op->a = in->operands[0].reg;
    op->b = in->operands[1].reg;
    op->c = (in->prefixes & X86_PREFIX_VEX) != 0;
    op->size = in->adsize;
    op->imm = in->mem_segment;
    if (in->mode == X86_CODE64)
        op->seg = SOFT_SEG_FLAT; /* a bad address is #GP, not #SS */
    op->fn = fn;
    return SOFT_BOUND;
}

enum soft_bound soft_bind_gather(struct soft_cpu *cpu, const struct x86_insn *in,
                                 struct soft_op *op)
{
    switch (in->id) {
    case X86_VPGATHERDD:
    case X86_VGATHERDPS:
        return bind_gather(in, op, 4, 4);
    case X86_VPGATHERDQ:
    case X86_VGATHERDPD:
        return bind_gather(in, op, 4, 8);
    case X86_VPGATHERQD:
    case X86_VGATHERQPS:
        return bind_gather(in, op, 8, 4);
    case X86_VPGATHERQQ:
    case X86_VGATHERQPD:
        return bind_gather(in, op, 8, 8);
    case X86_VMASKMOVPS:
    case X86_VPMASKMOVD:
        return bind_masked(in, op, 4);
    case X86_VMASKMOVPD:
    case X86_VPMASKMOVQ:
        return bind_masked(in, op, 8);
    case X86_MASKMOVDQU:
    case X86_VMASKMOVDQU:
        return bind_maskmov(in, op, maskmovdqu);
    case X86_MASKMOVQ:
        return bind_maskmov(in, op, maskmovq);
    default:
        return SOFT_UNBOUND;
    }
}
