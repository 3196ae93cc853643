/* Delivery of exceptions and interrupts: through the IVT in real mode, gates of the IDT otherwise.
 *
 * Theory of operation. Everything is read and checked before anything is changed; the frame is
 * written before registers change. So a fault on the way leaves the state as before the event, and
 * the run loop makes of the two what the table of double faults says.
 *
 * Task gates are refused with #GP of their selector: no system of today has them (Windows NT's
 * double-fault task on 32 bits was the last in common use).
 *
 * Spec: SDM volume 3, chapter 6. */
#include "engine/soft/soft_segment.h"

enum { EXT = 1, IDT = 2 };

static bool contributory(unsigned vector)
{
    return vector == SOFT_DE || (vector >= SOFT_TS && vector <= SOFT_GP);
}

bool soft_exception_combine(const struct soft_pending *first, const struct soft_pending *second)
{
    if (first->software || first->external)
        return false;
    if (first->vector == SOFT_PF)
        return second->vector == SOFT_PF || contributory(second->vector);
    return contributory(first->vector) && contributory(second->vector);
}

static uint32_t ext_bit(const struct soft_pending *e)
{
    return e->software ? 0 : EXT;
}

_Noreturn static void bad_vector(struct soft_cpu *cpu, const struct soft_pending *e)
{
    soft_raise_error(cpu, SOFT_GP, (uint32_t)e->vector * 8 | IDT | ext_bit(e));
}

/* The flags image that is pushed: faults show RF, so that the restarted instruction does not hit
 * its breakpoint again; #DB shows what is (17.3.1.1), whose handler sets RF itself. */
static uint64_t flags_image(const struct soft_cpu *cpu, const struct soft_pending *e)
{
    bool fault = !e->trap && !e->software && !e->external && e->vector != SOFT_NMI &&
                 e->vector != SOFT_DB && e->vector != SOFT_BP && e->vector != SOFT_OF;
    uint64_t f = soft_rflags_get(cpu);
    return fault ? f | SOFT_RFLAGS_RF : f & ~(uint64_t)SOFT_RFLAGS_RF;
}

/* ---- real mode ---- */

static void deliver_real(struct soft_cpu *cpu, const struct soft_pending *e)
{
    if (e->vector * 4u + 3 > cpu->idt_limit)
        bad_vector(cpu, e);
    uint32_t entry = (uint32_t)soft_load_system(cpu, cpu->idt_base + e->vector * 4u, 4);
    uint16_t sp = (uint16_t)cpu->r[SOFT_RSP];
    const uint16_t frame[3] = {(uint16_t)cpu->rip, cpu->seg[X86_CS].sel,
                               (uint16_t)soft_rflags_get(cpu)};
    uint64_t ss = cpu->seg[X86_SS].base;
    for (unsigned i = 0; i < 3; i++)
        soft_check_store(cpu, (uint32_t)(ss + (uint16_t)(sp - 6 + 2 * i)), 2);
    for (unsigned i = 0; i < 3; i++)
        soft_store16(cpu, (uint32_t)(ss + (uint16_t)(sp - 6 + 2 * i)), frame[i]);
    *soft_r16(cpu, SOFT_OFFSET(SOFT_RSP)) = (uint16_t)(sp - 6);
    cpu->rflags &= ~(uint64_t)(SOFT_RFLAGS_IF | SOFT_RFLAGS_TF | SOFT_RFLAGS_AC);
    soft_set_segment_real(cpu, X86_CS, (uint16_t)(entry >> 16));
    cpu->rip = (uint16_t)entry;
}

/* ---- protected mode ---- */

struct gate {
    uint64_t offset;
    uint16_t sel;
    uint8_t type, dpl, ist;
    bool present;
};

static void read_gate(struct soft_cpu *cpu, const struct soft_pending *e, struct gate *g)
{
    bool wide = cpu->mode & SOFT_MODE_LONG;
    unsigned bytes = wide ? 16 : 8;
    if (e->vector * bytes + bytes - 1 > cpu->idt_limit)
        bad_vector(cpu, e);
    uint64_t at = cpu->idt_base + e->vector * bytes;
    uint64_t low = soft_load_system(cpu, at, 8);
    uint64_t high = wide ? soft_load_system(cpu, at + 8, 8) : 0;
    *g = (struct gate){
        .offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32,
        .sel = (uint16_t)(low >> 16),
        .ist = wide ? low >> 32 & 7 : 0,
        .type = low >> 40 & 31,
        .dpl = low >> 45 & 3,
        .present = low >> 47 & 1,
    };
    bool known = g->type == SOFT_TYPE_INT || g->type == SOFT_TYPE_TRAP ||
                 (!wide && (g->type == SOFT_TYPE_INT16 || g->type == SOFT_TYPE_TRAP16));
    if (!known || (e->software && g->dpl < cpu->cpl))
        bad_vector(cpu, e);
    if (!g->present)
        soft_raise_error(cpu, SOFT_NP, (uint32_t)e->vector * 8 | IDT | ext_bit(e));
}

/* The handler's code segment and the CPL it runs at. */
static void read_target(struct soft_cpu *cpu, const struct soft_pending *e, const struct gate *g,
                        struct soft_seg *cs, unsigned *cpl)
{
    uint64_t d;
    uint32_t error = (g->sel & ~3u) | ext_bit(e);
    if (!(g->sel & ~3u))
        soft_raise_error(cpu, SOFT_GP, ext_bit(e));
    if (!soft_segment_read(cpu, g->sel, &d))
        soft_raise_error(cpu, SOFT_GP, error);
    soft_segment_unpack(cs, g->sel, d);
    bool wide = cpu->mode & SOFT_MODE_LONG;
    if (!cs->s || !(cs->type & 8) || cs->dpl > cpu->cpl || (wide && (!cs->l || cs->db)))
        soft_raise_error(cpu, SOFT_GP, error);
    if (!cs->present)
        soft_raise_error(cpu, SOFT_NP, error);
    *cpl = cs->type & 4 ? cpu->cpl : cs->dpl;
    if (cpu->mode & SOFT_MODE_VM86 && *cpl != 0)
        soft_raise_error(cpu, SOFT_GP, error);
    soft_segment_set_accessed(cpu, cs);
}

static void enter_handler(struct soft_cpu *cpu, const struct gate *g, const struct soft_seg *cs,
                          unsigned cpl)
{
    uint64_t cleared = SOFT_RFLAGS_TF | SOFT_RFLAGS_VM | SOFT_RFLAGS_RF | SOFT_RFLAGS_NT;
    if (!(g->type & 1)) /* an interrupt gate */
        cleared |= SOFT_RFLAGS_IF;
    cpu->rflags &= ~cleared;
    soft_segment_load_cs(cpu, cs, g->sel, cpl);
    cpu->rip = g->offset;
}

/* ---- long mode (6.14) ---- */

static void deliver_long(struct soft_cpu *cpu, const struct soft_pending *e)
{
    struct gate g;
    struct soft_seg cs;
    unsigned cpl;
    read_gate(cpu, e, &g);
    read_target(cpu, e, &g, &cs, &cpl);
    uint64_t rsp = cpu->r[SOFT_RSP];
    if (g.ist)
        rsp = soft_segment_tss_rsp(cpu, 2 + g.ist, ext_bit(e));
    else if (cpl != cpu->cpl)
        rsp = soft_segment_tss_rsp(cpu, cpl, ext_bit(e));
    if (!soft_canonical(rsp))
        soft_raise_error(cpu, SOFT_SS, ext_bit(e));
    uint64_t frame[6] = {e->error,
                         cpu->rip,
                         cpu->seg[X86_CS].sel,
                         flags_image(cpu, e),
                         cpu->r[SOFT_RSP],
                         cpu->seg[X86_SS].sel};
    unsigned first = e->has_error ? 0 : 1, bytes = (6 - first) * 8;
    uint64_t top = (rsp & ~UINT64_C(15)) - bytes;
    /* Written with supervisor rights: the new CPL is never 3 when it is an inner one. */
    uint8_t old_cpl = cpu->cpl;
    bool same = cpl == 3 && old_cpl == 3;
    if (same)
        soft_store_bytes(cpu, top, frame + first, bytes);
    else
        soft_store_system_bytes(cpu, top, frame + first, bytes);
    cpu->r[SOFT_RSP] = top;
    if (cpl != old_cpl)
        cpu->seg[X86_SS] =
            (struct soft_seg){.sel = (uint16_t)cpl, .unusable = 1, .dpl = (uint8_t)cpl};
    enter_handler(cpu, &g, &cs, cpl);
}

/* ---- 16- and 32-bit gates (6.12.1) ---- */

/* A stack to push on: SS's cached part and a pointer, moved by push(). */
struct stack {
    struct soft_seg ss;
    uint32_t sp;
    bool system; /* the new ring is not the current one: supervisor rights */
    unsigned size;
    uint32_t error; /* of the #SS where it is too short */
};

static void push(struct soft_cpu *cpu, struct stack *st, uint32_t value)
{
    uint32_t mask = st->ss.db ? 0xffffffffu : 0xffffu;
    st->sp = ((st->sp - st->size) & mask) | (st->sp & ~mask);
    uint32_t offset = st->sp & mask;
    bool expand_down = st->ss.type & 4;
    if (expand_down ? offset <= st->ss.limit : offset + st->size - 1 > st->ss.limit)
        soft_raise_error(cpu, SOFT_SS, st->error);
    uint64_t linear = (uint32_t)(st->ss.base + offset);
    if (st->system)
        soft_store_system(cpu, linear, value, st->size);
    else if (st->size == 4)
        soft_store32(cpu, linear, value);
    else
        soft_store16(cpu, linear, (uint16_t)value);
}

/* The inner ring's stack from the TSS. */
static void inner_stack(struct soft_cpu *cpu, const struct soft_pending *e, unsigned cpl,
                        struct stack *st)
{
    uint16_t sel;
    uint64_t d;
    soft_segment_tss_stack(cpu, cpl, ext_bit(e), &sel, &st->sp);
    uint32_t error = (sel & ~3u) | ext_bit(e);
    if (!(sel & ~3u) || !soft_segment_read(cpu, sel, &d))
        soft_raise_error(cpu, SOFT_TS, error);
    soft_segment_unpack(&st->ss, sel, d);
    if ((sel & 3u) != cpl || st->ss.dpl != cpl || !st->ss.s || st->ss.type & 8 ||
        !(st->ss.type & 2))
        soft_raise_error(cpu, SOFT_TS, error);
    if (!st->ss.present)
        soft_raise_error(cpu, SOFT_SS, error);
    soft_segment_set_accessed(cpu, &st->ss);
    st->error = error;
    st->system = true;
}

static void deliver_legacy(struct soft_cpu *cpu, const struct soft_pending *e)
{
    struct gate g;
    struct soft_seg cs;
    unsigned cpl;
    read_gate(cpu, e, &g);
    read_target(cpu, e, &g, &cs, &cpl);
    bool vm86 = cpu->mode & SOFT_MODE_VM86, inner = cpl != cpu->cpl || vm86;
    struct stack st = {.ss = cpu->seg[X86_SS], .sp = (uint32_t)cpu->r[SOFT_RSP]};
    st.size = g.type & 8 ? 4 : 2;
    st.system = cpu->cpl != 3;
    st.error = ext_bit(e);
    if (inner)
        inner_stack(cpu, e, cpl, &st);
    if (!(g.type & 8))
        g.offset = (uint16_t)g.offset;
    if (g.offset > cs.limit)
        soft_raise_error(cpu, SOFT_GP, ext_bit(e));
    if (vm86) {
        static const uint8_t order[] = {X86_GS, X86_FS, X86_DS, X86_ES};
        for (unsigned i = 0; i < ARRAY_LEN(order); i++)
            push(cpu, &st, cpu->seg[order[i]].sel);
    }
    if (inner) {
        push(cpu, &st, cpu->seg[X86_SS].sel);
        push(cpu, &st, (uint32_t)cpu->r[SOFT_RSP]);
    }
    push(cpu, &st, (uint32_t)flags_image(cpu, e));
    push(cpu, &st, cpu->seg[X86_CS].sel);
    push(cpu, &st, (uint32_t)cpu->rip);
    if (e->has_error)
        push(cpu, &st, e->error);
    if (vm86) {
        static const uint8_t emptied[] = {X86_GS, X86_FS, X86_DS, X86_ES};
        for (unsigned i = 0; i < ARRAY_LEN(emptied); i++)
            cpu->seg[emptied[i]] = (struct soft_seg){.unusable = 1};
    }
    if (inner)
        cpu->seg[X86_SS] = st.ss;
    if (st.ss.db)
        cpu->r[SOFT_RSP] = st.sp;
    else
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RSP)) = (uint16_t)st.sp;
    enter_handler(cpu, &g, &cs, cpl);
}

void soft_deliver(struct soft_cpu *cpu, const struct soft_pending *e)
{
    if (e->vector == SOFT_PF && !e->software && !e->external)
        cpu->cr2 = e->address;
    if (e->vector == SOFT_DB && !e->software && !e->external) {
        cpu->dr6 = (cpu->dr6 & ~UINT64_C(0xf)) | e->address;
        cpu->dr7 &= ~(UINT64_C(1) << 13); /* GD */
    }
    if (!(cpu->mode & (SOFT_MODE_PROTECTED | SOFT_MODE_VM86)))
        deliver_real(cpu, e);
    else if (cpu->mode & SOFT_MODE_LONG)
        deliver_long(cpu, e);
    else
        deliver_legacy(cpu, e);
}
