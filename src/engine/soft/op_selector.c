/* Selectors: segment registers, LDTR and TR, far pointers, and the inquiries about descriptors. */
#include "engine/soft/soft_op.h"
#include "engine/soft/soft_segment.h"

static uint16_t load16(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (op->c)
        return soft_load16(cpu, soft_address(cpu, op, 2, SOFT_READ));
    return *soft_r16(cpu, op->a);
}

static void need_protected(struct soft_cpu *cpu)
{
    if (!(cpu->mode & SOFT_MODE_PROTECTED))
        soft_raise(cpu, SOFT_UD);
}

static void read_system(struct soft_cpu *cpu, uint16_t sel, struct soft_seg *s, uint64_t *low)
{
    uint64_t high;
    if (sel & 4 || !soft_segment_read_system(cpu, sel, low, &high))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    soft_segment_unpack(s, sel, *low);
    s->base |= high << 32;
}

static const struct soft_op *lldt_(struct soft_cpu *cpu, const struct soft_op *op)
{
    struct soft_seg s = {.unusable = 1};
    uint64_t d;
    need_protected(cpu);
    soft_need_ring0(cpu);
    uint16_t sel = load16(cpu, op);
    if (sel & ~3u) {
        read_system(cpu, sel, &s, &d);
        if (s.s || s.type != SOFT_TYPE_LDT)
            soft_raise_error(cpu, SOFT_GP, sel & ~3u);
        if (!s.present)
            soft_raise_error(cpu, SOFT_NP, sel & ~3u);
    }
    s.sel = sel;
    cpu->ldtr = s;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *ltr_(struct soft_cpu *cpu, const struct soft_op *op)
{
    struct soft_seg s;
    uint64_t d;
    need_protected(cpu);
    soft_need_ring0(cpu);
    uint16_t sel = load16(cpu, op);
    if (!(sel & ~3u))
        soft_raise_error(cpu, SOFT_GP, 0);
    read_system(cpu, sel, &s, &d);
    if (s.s || (s.type != SOFT_TYPE_TSS && (soft_in_long(cpu) || s.type != SOFT_TYPE_TSS16)))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (!s.present)
        soft_raise_error(cpu, SOFT_NP, sel & ~3u);
    soft_store_system(cpu, cpu->gdt_base + (sel & ~7u) + 5, (d >> 40 & 0xff) | 2, 1);
    s.type |= 2;
    cpu->tr = s;
    SOFT_NEXT(cpu, op);
}

/* Whether LAR (kinds as listed in the manual) or LSL may look at this descriptor. */
static bool visible(struct soft_cpu *cpu, uint16_t sel, uint64_t *d, bool limit)
{
    if (!(sel & ~3u) || !soft_segment_read(cpu, sel, d))
        return false;
    unsigned type = *d >> 40 & 15, dpl = *d >> 45 & 3;
    bool is_code_or_data = *d >> 44 & 1;
    uint32_t kinds = soft_in_long(cpu) ? 1u << 2 | 1u << 9 | 1u << 11
                                       : 1u << 1 | 1u << 2 | 1u << 3 | 1u << 9 | 1u << 11;
    if (!limit)
        kinds |= soft_in_long(cpu) ? 1u << 12 : 1u << 4 | 1u << 5 | 1u << 12;
    if (!is_code_or_data && !(kinds >> type & 1))
        return false;
    bool conforming = is_code_or_data && (type & 12) == 12;
    return conforming || (dpl >= cpu->cpl && dpl >= (sel & 3u));
}

static void set_zf(struct soft_cpu *cpu, bool on)
{
    cpu->fl = on ? cpu->fl | SOFT_FL_ZF : cpu->fl & ~(uint32_t)SOFT_FL_ZF;
}

static const struct soft_op *lar_lsl(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t d;
    struct soft_seg s;
    bool limit = op->imm;
    need_protected(cpu);
    uint16_t sel = load16(cpu, op);
    bool ok = visible(cpu, sel, &d, limit);
    set_zf(cpu, ok);
    if (!ok)
        SOFT_NEXT(cpu, op);
    soft_segment_unpack(&s, sel, d);
    uint32_t value = limit ? s.limit : (uint32_t)(d >> 32) & 0x00ffff00u;
    if (op->size == 2)
        *soft_r16(cpu, op->b) = (uint16_t)value;
    else
        *soft_r64(cpu, op->b) = value;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *verr_verw(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t d;
    bool write = op->imm, ok = false;
    need_protected(cpu);
    uint16_t sel = load16(cpu, op);
    if (sel & ~3u && soft_segment_read(cpu, sel, &d) && d >> 44 & 1) {
        unsigned type = d >> 40 & 15, dpl = d >> 45 & 3;
        bool code = type & 8, conforming = (type & 12) == 12;
        ok = write ? !code && type & 2 : !code || type & 2;
        ok = ok && ((!write && conforming) || (dpl >= cpu->cpl && dpl >= (sel & 3u)));
    }
    set_zf(cpu, ok);
    SOFT_NEXT(cpu, op);
}

/* lds, les, lfs, lgs, lss */
static const struct soft_op *load_far_pointer(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t sel;
    uint64_t offset;
    soft_load_pointer(cpu, op, &sel, &offset);
    soft_load_segment(cpu, (enum x86_segment)op->c, sel);
    if (op->size == 2)
        *soft_r16(cpu, op->a) = (uint16_t)offset;
    else
        *soft_r64(cpu, op->a) = offset;
    if (op->c == X86_SS)
        cpu->shadow = true;
    return soft_continue(cpu, op);
}

/* mov to and from a segment register. op->c: memory, op->b: the segment. */
static const struct soft_op *mov_to_segment(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_load_segment(cpu, (enum x86_segment)op->b, load16(cpu, op));
    if (op->b == X86_SS)
        soft_shadow_ss(cpu);
    return soft_continue(cpu, op);
}

static const struct soft_op *mov_from_segment(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t sel = cpu->seg[op->b].sel;
    if (op->c)
        soft_store16(cpu, soft_address(cpu, op, 2, SOFT_WRITE), sel);
    else if (op->size == 2)
        *soft_r16(cpu, op->a) = sel;
    else
        *soft_r64(cpu, op->a) = sel;
    SOFT_NEXT(cpu, op);
}

static void bind_rm16(const struct x86_insn *in, struct soft_op *op, unsigned which)
{
    const struct x86_operand *o = &in->operands[which];
    op->c = o->kind == X86_OPERAND_MEM;
    if (!op->c)
        op->a = SOFT_OFFSET(o->reg);
}

static enum soft_bound bind_inquiry(const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_LLDT:
        op->fn = lldt_;
        bind_rm16(in, op, 0);
        break;
    case X86_LTR:
        op->fn = ltr_;
        bind_rm16(in, op, 0);
        break;
    case X86_LAR:
    case X86_LSL:
        op->fn = lar_lsl;
        op->imm = in->id == X86_LSL;
        bind_rm16(in, op, 1);
        op->b = SOFT_OFFSET(in->operands[0].reg);
        break;
    case X86_VERR:
    case X86_VERW:
        op->fn = verr_verw;
        op->imm = in->id == X86_VERW;
        bind_rm16(in, op, 0);
        break;
    default:
        return SOFT_UNBOUND;
    }
    return SOFT_BOUND;
}

static enum soft_bound bind_mov_segment(const struct x86_insn *in, struct soft_op *op)
{
    bool to = in->operands[0].kind == X86_OPERAND_SEG;
    op->b = in->operands[to ? 0 : 1].reg;
    bind_rm16(in, op, to ? 1 : 0);
    op->fn = to ? mov_to_segment : mov_from_segment;
    return to ? SOFT_BOUND_END : SOFT_BOUND;
}

static enum soft_bound bind_pointer(const struct x86_insn *in, struct soft_op *op, unsigned seg)
{
    op->a = SOFT_OFFSET(in->operands[0].reg);
    op->c = (uint8_t)seg;
    return soft_bind_end(op, load_far_pointer);
}

enum soft_bound soft_bind_selector(struct soft_cpu *cpu, const struct x86_insn *in,
                                   struct soft_op *op)
{
    switch (in->id) {
    case X86_LDS:
        return bind_pointer(in, op, X86_DS);
    case X86_LES:
        return bind_pointer(in, op, X86_ES);
    case X86_LFS:
        return bind_pointer(in, op, X86_FS);
    case X86_LGS:
        return bind_pointer(in, op, X86_GS);
    case X86_LSS:
        return bind_pointer(in, op, X86_SS);
    case X86_MOV_SEG:
        return bind_mov_segment(in, op);
    default:
        return bind_inquiry(in, op);
    }
}
