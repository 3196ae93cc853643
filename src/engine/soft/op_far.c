/* Far transfers: jumps, calls and returns between segments, iret.
 *
 * Tasks are not switched: a far transfer to a TSS or task gate, and iret with NT set, raise #GP (of
 * the selector) and #TS. Spec: SDM volume 3, 5.8; volume 2, the instructions. */
#include "engine/soft/soft_op.h"
#include "engine/soft/soft_segment.h"

static uint64_t cut(uint64_t v, unsigned size)
{
    return size == 2 ? (uint16_t)v : size == 4 ? (uint32_t)v : v;
}

/* ---- the TSS ---- */

void soft_segment_tss_stack(struct soft_cpu *cpu, unsigned cpl, uint32_t ext, uint16_t *ss,
                            uint32_t *esp)
{
    bool wide = cpu->tr.type & 8;
    uint32_t at = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    if (at + (wide ? 5 : 3) > cpu->tr.limit)
        soft_raise_error(cpu, SOFT_TS, (cpu->tr.sel & ~3u) | ext);
    if (wide) {
        *esp = (uint32_t)soft_load_system(cpu, cpu->tr.base + at, 4);
        *ss = (uint16_t)soft_load_system(cpu, cpu->tr.base + at + 4, 2);
    } else {
        *esp = (uint16_t)soft_load_system(cpu, cpu->tr.base + at, 2);
        *ss = (uint16_t)soft_load_system(cpu, cpu->tr.base + at + 2, 2);
    }
}

uint64_t soft_segment_tss_rsp(struct soft_cpu *cpu, unsigned index, uint32_t ext)
{
    /* RSP0..2 at 4, IST1..7 at 36 (SDM volume 3, figure 7-11). */
    uint32_t at = index < 3 ? 4 + index * 8 : 36 + (index - 3) * 8;
    if (at + 7 > cpu->tr.limit)
        soft_raise_error(cpu, SOFT_TS, (cpu->tr.sel & ~3u) | ext);
    return soft_load_system(cpu, cpu->tr.base + at, 8);
}

/* ---- far jmp and call ---- */

static void check_code_target(struct soft_cpu *cpu, const struct soft_seg *cs, uint64_t offset)
{
    if (soft_in_long(cpu) && cs->l) {
        if (!soft_canonical(offset))
            soft_raise_error(cpu, SOFT_GP, 0);
    } else if (offset > cs->limit) {
        soft_raise_error(cpu, SOFT_GP, 0);
    }
}

/* A code segment as a direct target: CPL does not change. */
static void check_direct(struct soft_cpu *cpu, const struct soft_seg *cs, uint16_t sel)
{
    bool conforming = cs->type & 4;
    bool bad =
        conforming ? cs->dpl > cpu->cpl : (unsigned)(sel & 3) > cpu->cpl || cs->dpl != cpu->cpl;
    if (bad || (soft_in_long(cpu) && cs->l && cs->db))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (!cs->present)
        soft_raise_error(cpu, SOFT_NP, sel & ~3u);
}

struct target {
    struct soft_seg cs;
    uint16_t sel;
    uint64_t offset;
    unsigned cpl;
    unsigned gate_size, params; /* of a call gate; 0: none */
};

static void through_gate(struct soft_cpu *cpu, struct target *t, uint16_t sel, uint64_t low,
                         uint64_t high, bool call)
{
    unsigned type = low >> 40 & 15, dpl = low >> 45 & 3;
    bool wide = soft_in_long(cpu);
    if (type != SOFT_TYPE_CALL && (wide || type != SOFT_TYPE_CALL16))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (dpl < cpu->cpl || dpl < (sel & 3u))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (!(low >> 47 & 1))
        soft_raise_error(cpu, SOFT_NP, sel & ~3u);
    uint64_t d;
    t->gate_size = wide ? 8 : type == SOFT_TYPE_CALL ? 4 : 2;
    t->params = wide ? 0 : low >> 32 & 31;
    t->sel = (uint16_t)(low >> 16);
    t->offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32;
    if (t->gate_size == 2)
        t->offset &= 0xffff;
    if (!(t->sel & ~3u) || !soft_segment_read(cpu, t->sel, &d))
        soft_raise_error(cpu, SOFT_GP, t->sel & ~3u);
    soft_segment_unpack(&t->cs, t->sel, d);
    bool conforming = t->cs.type & 4;
    if (!t->cs.s || !(t->cs.type & 8) || t->cs.dpl > cpu->cpl ||
        (!call && !conforming && t->cs.dpl != cpu->cpl) || (wide && (!t->cs.l || t->cs.db)))
        soft_raise_error(cpu, SOFT_GP, t->sel & ~3u);
    if (!t->cs.present)
        soft_raise_error(cpu, SOFT_NP, t->sel & ~3u);
    t->cpl = conforming ? cpu->cpl : t->cs.dpl;
}

static void resolve_target(struct soft_cpu *cpu, struct target *t, uint16_t sel, uint64_t offset,
                           bool call)
{
    uint64_t d, high = 0;
    *t = (struct target){.sel = sel, .offset = offset, .cpl = cpu->cpl};
    if (!(sel & ~3u) || !soft_segment_read(cpu, sel, &d))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (d >> 44 & 1) {
        soft_segment_unpack(&t->cs, sel, d);
        if (!(t->cs.type & 8))
            soft_raise_error(cpu, SOFT_GP, sel & ~3u);
        check_direct(cpu, &t->cs, sel);
    } else {
        if (!soft_segment_read_system(cpu, sel, &d, &high))
            soft_raise_error(cpu, SOFT_GP, sel & ~3u);
        through_gate(cpu, t, sel, d, high, call);
    }
    soft_segment_set_accessed(cpu, &t->cs);
}

static const struct soft_op *go_real(struct soft_cpu *cpu, uint16_t sel, uint64_t offset)
{
    soft_set_segment_real(cpu, X86_CS, sel);
    return soft_stop(cpu, offset);
}

static const struct soft_op *far_jump(struct soft_cpu *cpu, uint16_t sel, uint64_t offset)
{
    struct target t;
    if (!(cpu->mode & SOFT_MODE_PROTECTED)) {
        if (offset > cpu->seg[X86_CS].limit)
            soft_raise_error(cpu, SOFT_GP, 0);
        return go_real(cpu, sel, offset);
    }
    resolve_target(cpu, &t, sel, offset, false);
    check_code_target(cpu, &t.cs, t.offset);
    soft_segment_load_cs(cpu, &t.cs, t.sel, cpu->cpl);
    return soft_stop(cpu, t.offset);
}

/* Pushes n values of `size` on the stack of this moment, all or none. */
static void push_all(struct soft_cpu *cpu, const uint64_t *values, unsigned n, unsigned size)
{
    uint64_t rsp = cpu->r[SOFT_RSP];
    jmp_buf fault, *outer = cpu->fault;
    cpu->fault = &fault;
    if (setjmp(fault)) {
        cpu->r[SOFT_RSP] = rsp;
        cpu->fault = outer;
        longjmp(*outer, 1);
    }
    for (unsigned i = 0; i < n; i++)
        soft_push(cpu, values[i], size);
    cpu->fault = outer;
}

/* A call gate to an inner ring: another stack. */
static const struct soft_op *call_inner(struct soft_cpu *cpu, const struct soft_op *op,
                                        struct target *t)
{
    uint64_t values[36], old_rsp = cpu->r[SOFT_RSP];
    unsigned n = 0;
    struct soft_seg old_ss = cpu->seg[X86_SS], ss;
    uint8_t old_cpl = cpu->cpl;
    uint64_t rsp;
    values[n++] = old_ss.sel;
    values[n++] = old_rsp;
    for (unsigned i = t->params; i > 0; i--)
        values[n++] = soft_peek_stack(cpu, (i - 1) * t->gate_size, t->gate_size);
    values[n++] = cpu->seg[X86_CS].sel;
    values[n++] = soft_next_rip(cpu, op);
    if (soft_in_long(cpu)) {
        rsp = soft_segment_tss_rsp(cpu, t->cpl, 0);
        ss = (struct soft_seg){.sel = (uint16_t)t->cpl, .unusable = 1, .dpl = (uint8_t)t->cpl};
    } else {
        uint16_t sel;
        uint32_t esp;
        uint64_t d;
        soft_segment_tss_stack(cpu, t->cpl, 0, &sel, &esp);
        if (!(sel & ~3u) || !soft_segment_read(cpu, sel, &d))
            soft_raise_error(cpu, SOFT_TS, sel & ~3u);
        soft_segment_unpack(&ss, sel, d);
        if ((sel & 3u) != t->cpl || ss.dpl != t->cpl || !ss.s || ss.type & 8 || !(ss.type & 2))
            soft_raise_error(cpu, SOFT_TS, sel & ~3u);
        if (!ss.present)
            soft_raise_error(cpu, SOFT_SS, sel & ~3u);
        soft_segment_set_accessed(cpu, &ss);
        rsp = esp;
    }
    struct soft_seg old_cs = cpu->seg[X86_CS];
    cpu->seg[X86_SS] = ss;
    cpu->r[SOFT_RSP] = rsp;
    soft_segment_load_cs(cpu, &t->cs, t->sel, t->cpl);
    jmp_buf fault, *outer = cpu->fault;
    cpu->fault = &fault;
    if (setjmp(fault)) {
        if (cpu->pending.vector == SOFT_SS)
            cpu->pending.error = ss.sel & ~3u; /* it was the new stack */
        cpu->seg[X86_SS] = old_ss;
        cpu->r[SOFT_RSP] = old_rsp;
        cpu->seg[X86_CS] = old_cs;
        cpu->cpl = old_cpl;
        soft_update_mode(cpu);
        cpu->fault = outer;
        longjmp(*outer, 1);
    }
    push_all(cpu, values, n, t->gate_size);
    cpu->fault = outer;
    return soft_stop(cpu, t->offset);
}

/* In the same ring. The CPU enters the new segment first, so what is pushed goes to the stack as
 * that one's mode sees it (SS has a base and a limit or not), and only then looks at the offset
 * (APM volume 3, CALL far). */
static void call_same(struct soft_cpu *cpu, const struct target *t, const uint64_t values[2],
                      unsigned size)
{
    struct soft_seg old_cs = cpu->seg[X86_CS];
    uint64_t old_rsp = cpu->r[SOFT_RSP];
    jmp_buf fault, *outer = cpu->fault;
    cpu->fault = &fault;
    if (setjmp(fault)) {
        cpu->seg[X86_CS] = old_cs;
        cpu->r[SOFT_RSP] = old_rsp;
        soft_update_mode(cpu);
        cpu->fault = outer;
        longjmp(*outer, 1);
    }
    soft_segment_load_cs(cpu, &t->cs, t->sel, cpu->cpl);
    soft_push(cpu, values[0], size);
    soft_push(cpu, values[1], size);
    check_code_target(cpu, &t->cs, t->offset);
    cpu->fault = outer;
}

static const struct soft_op *far_call(struct soft_cpu *cpu, const struct soft_op *op, uint16_t sel,
                                      uint64_t offset)
{
    const uint64_t values[2] = {cpu->seg[X86_CS].sel, soft_next_rip(cpu, op)};
    struct target t;
    if (!(cpu->mode & SOFT_MODE_PROTECTED)) {
        if (offset > cpu->seg[X86_CS].limit)
            soft_raise_error(cpu, SOFT_GP, 0);
        push_all(cpu, values, 2, op->size);
        return go_real(cpu, sel, offset);
    }
    resolve_target(cpu, &t, sel, offset, true);
    if (t.gate_size && t.cpl < cpu->cpl) {
        check_code_target(cpu, &t.cs, t.offset);
        return call_inner(cpu, op, &t);
    }
    call_same(cpu, &t, values, t.gate_size ? t.gate_size : op->size);
    return soft_stop(cpu, t.offset);
}

static const struct soft_op *jmp_far_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
    return far_jump(cpu, (uint16_t)op->disp, cut((uint64_t)op->imm, op->size));
}

static const struct soft_op *jmp_far_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t sel;
    uint64_t offset;
    soft_load_pointer(cpu, op, &sel, &offset);
    return far_jump(cpu, sel, offset);
}

static const struct soft_op *call_far_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
    return far_call(cpu, op, (uint16_t)op->disp, cut((uint64_t)op->imm, op->size));
}

static const struct soft_op *call_far_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t sel;
    uint64_t offset;
    soft_load_pointer(cpu, op, &sel, &offset);
    return far_call(cpu, op, sel, offset);
}

/* ---- returns ---- */

/* What a return or iret takes from the stack. */
struct frame {
    uint64_t rip, flags, rsp;
    uint16_t cs, ss;
};

/* The stack segment of a return to an outer ring. */
static void check_outer_ss(struct soft_cpu *cpu, struct soft_seg *ss, uint16_t sel, unsigned cpl,
                           bool to64)
{
    uint64_t d;
    if (!(sel & ~3u)) {
        if (!soft_in_long(cpu) || !to64 || cpl == 3)
            soft_raise_error(cpu, SOFT_GP, 0);
        *ss = (struct soft_seg){.sel = sel, .unusable = 1, .dpl = (uint8_t)cpl};
        return;
    }
    if (!soft_segment_read(cpu, sel, &d))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    soft_segment_unpack(ss, sel, d);
    if ((sel & 3u) != cpl || ss->dpl != cpl || !ss->s || ss->type & 8 || !(ss->type & 2))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (!ss->present)
        soft_raise_error(cpu, SOFT_SS, sel & ~3u);
    soft_segment_set_accessed(cpu, ss);
}

/* The code segment to return to. */
static void check_return_cs(struct soft_cpu *cpu, struct soft_seg *cs, const struct frame *f)
{
    uint64_t d;
    if (!(f->cs & ~3u))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (!soft_segment_read(cpu, f->cs, &d))
        soft_raise_error(cpu, SOFT_GP, f->cs & ~3u);
    soft_segment_unpack(cs, f->cs, d);
    unsigned rpl = f->cs & 3;
    bool conforming = cs->type & 4;
    if (!cs->s || !(cs->type & 8) || rpl < cpu->cpl ||
        (conforming ? cs->dpl > rpl : cs->dpl != rpl) || (soft_in_long(cpu) && cs->l && cs->db))
        soft_raise_error(cpu, SOFT_GP, f->cs & ~3u);
    if (!cs->present)
        soft_raise_error(cpu, SOFT_NP, f->cs & ~3u);
    check_code_target(cpu, cs, f->rip);
    soft_segment_set_accessed(cpu, cs);
}

/* Leaves for an outer ring, or, in 64-bit iret, for the same one with another stack. */
static void switch_stack(struct soft_cpu *cpu, const struct soft_seg *ss, uint64_t rsp, bool to64)
{
    cpu->seg[X86_SS] = *ss;
    if (!to64 && !ss->db) /* a stack of 16 bits: the rest of rSP stays */
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RSP)) = (uint16_t)rsp;
    else
        cpu->r[SOFT_RSP] = rsp;
}

static const struct soft_op *ret_far(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned size = op->size, extra = (uint16_t)op->imm;
    struct frame f = {.rip = soft_peek_stack(cpu, 0, size),
                      .cs = (uint16_t)soft_peek_stack(cpu, size, size)};
    if (!(cpu->mode & SOFT_MODE_PROTECTED)) {
        if (f.rip > cpu->seg[X86_CS].limit)
            soft_raise_error(cpu, SOFT_GP, 0);
        soft_pop_done(cpu, 2 * size + extra);
        return go_real(cpu, f.cs, f.rip);
    }
    struct soft_seg cs, ss;
    check_return_cs(cpu, &cs, &f);
    unsigned cpl = f.cs & 3;
    if (cpl == cpu->cpl) {
        soft_pop_done(cpu, 2 * size + extra);
        soft_segment_load_cs(cpu, &cs, f.cs, cpl);
        return soft_stop(cpu, f.rip);
    }
    f.rsp = soft_peek_stack(cpu, 2 * size + extra, size);
    f.ss = (uint16_t)soft_peek_stack(cpu, 3 * size + extra, size);
    check_outer_ss(cpu, &ss, f.ss, cpl, cs.l);
    switch_stack(cpu, &ss, f.rsp, soft_in_long(cpu) && cs.l);
    soft_segment_load_cs(cpu, &cs, f.cs, cpl);
    soft_segment_drop_privileged(cpu);
    soft_update_mode(cpu);
    soft_pop_done(cpu, extra);
    return soft_stop(cpu, f.rip);
}

/* ---- iret ---- */

static const struct soft_op *iret_real(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned size = op->size;
    uint64_t rip = soft_peek_stack(cpu, 0, size), flags = soft_peek_stack(cpu, 2 * size, size);
    uint16_t cs = (uint16_t)soft_peek_stack(cpu, size, size);
    if (rip > cpu->seg[X86_CS].limit)
        soft_raise_error(cpu, SOFT_GP, 0);
    soft_pop_done(cpu, 3 * size);
    uint64_t old = soft_rflags_get(cpu);
    uint64_t keep =
        size == 2 ? UINT64_C(0xffff0000) : SOFT_RFLAGS_VM | SOFT_RFLAGS_VIF | SOFT_RFLAGS_VIP;
    if (cpu->mode & SOFT_MODE_VM86)
        keep |= SOFT_RFLAGS_IOPL;
    cpu->nmi_blocked = false;
    soft_rflags_set(cpu, (flags & ~keep) | (old & keep));
    return go_real(cpu, cs, rip);
}

static uint64_t iret_flags(const struct soft_cpu *cpu, uint64_t flags, unsigned size)
{
    uint64_t old = soft_rflags_get(cpu);
    uint64_t keep = SOFT_RFLAGS_VM;
    if (cpu->cpl)
        keep |= SOFT_RFLAGS_IOPL | SOFT_RFLAGS_VIF | SOFT_RFLAGS_VIP;
    if (cpu->cpl > (old >> 12 & 3))
        keep |= SOFT_RFLAGS_IF;
    if (size == 2)
        keep |= UINT64_C(0xffff0000);
    return (flags & ~keep) | (old & keep);
}

static const struct soft_op *iret_to_vm86(struct soft_cpu *cpu, const struct frame *f)
{
    static const uint8_t order[] = {X86_ES, X86_DS, X86_FS, X86_GS};
    uint16_t sels[4];
    uint64_t rsp = soft_peek_stack(cpu, 12, 4);
    uint16_t ss = (uint16_t)soft_peek_stack(cpu, 16, 4);
    for (unsigned i = 0; i < 4; i++)
        sels[i] = (uint16_t)soft_peek_stack(cpu, 20 + 4 * i, 4);
    soft_rflags_set(cpu, f->flags | SOFT_RFLAGS_VM);
    for (unsigned i = 0; i < 4; i++)
        soft_set_segment_real(cpu, (enum x86_segment)order[i], sels[i]);
    soft_set_segment_real(cpu, X86_SS, ss);
    soft_set_segment_real(cpu, X86_CS, f->cs);
    cpu->r[SOFT_RSP] = rsp;
    cpu->nmi_blocked = false;
    return soft_stop(cpu, (uint16_t)f->rip);
}

static const struct soft_op *iret(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned size = op->size;
    if (cpu->mode & SOFT_MODE_VM86 && (cpu->rflags >> 12 & 3) != 3)
        soft_raise_error(cpu, SOFT_GP, 0);
    if (!(cpu->mode & SOFT_MODE_PROTECTED))
        return iret_real(cpu, op);
    if (cpu->rflags & SOFT_RFLAGS_NT)
        soft_raise_error(cpu, soft_in_long(cpu) ? SOFT_GP : SOFT_TS,
                         soft_in_long(cpu) ? 0 : cpu->tr.sel & ~3u);
    struct frame f = {.rip = soft_peek_stack(cpu, 0, size),
                      .cs = (uint16_t)soft_peek_stack(cpu, size, size),
                      .flags = soft_peek_stack(cpu, 2 * size, size)};
    if (!soft_in_long(cpu) && size == 4 && f.flags & SOFT_RFLAGS_VM && cpu->cpl == 0)
        return iret_to_vm86(cpu, &f);
    struct soft_seg cs, ss;
    check_return_cs(cpu, &cs, &f);
    unsigned cpl = f.cs & 3;
    bool stack = cpl != cpu->cpl || soft_in_code64(cpu);
    if (stack) {
        f.rsp = soft_peek_stack(cpu, 3 * size, size);
        f.ss = (uint16_t)soft_peek_stack(cpu, 4 * size, size);
        check_outer_ss(cpu, &ss, f.ss, cpl, cs.l);
    }
    uint64_t flags = iret_flags(cpu, f.flags, size);
    bool outer = cpl != cpu->cpl;
    if (stack)
        switch_stack(cpu, &ss, f.rsp, soft_in_long(cpu) && cs.l);
    else
        soft_pop_done(cpu, 3 * size);
    cpu->nmi_blocked = false;
    soft_segment_load_cs(cpu, &cs, f.cs, cpl);
    if (outer)
        soft_segment_drop_privileged(cpu);
    soft_rflags_set(cpu, flags);
    soft_update_mode(cpu);
    return soft_stop(cpu, f.rip);
}

enum soft_bound soft_bind_far(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    bool mem = in->has_mem;
    if (!mem)
        op->disp = (int32_t)in->imm2;
    switch (in->id) {
    case X86_JMP_FAR:
        return soft_bind_end(op, mem ? jmp_far_mem : jmp_far_imm);
    case X86_CALL_FAR:
        return soft_bind_end(op, mem ? call_far_mem : call_far_imm);
    case X86_RET_FAR:
        return soft_bind_end(op, ret_far);
    case X86_IRET:
        return soft_bind_end(op, iret);
    default:
        return SOFT_UNBOUND;
    }
}
