#include <string.h>

#include "apic/lapic_internal.h"
#include "base/util.h"

enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_PPR = 0xa0,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SVR = 0xf0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
    REG_SELF_IPI = 0x3f0,
    REG_END = 0x400,
};

#define VERSION          UINT32_C(0x00050014) /* six LVT entries; EOIs are always broadcast */
#define XAPIC_ID         UINT32_C(0xff000000)
#define DFR_ONES         UINT32_C(0x0fffffff)
#define SVR_BITS         UINT32_C(0x1ff)
#define SVR_FOCUS        UINT32_C(0x200) /* focus checking, of old CPUs: written, not kept */
#define ICR_BITS         UINT32_C(0xccfff)
#define ICR_STATUS       UINT32_C(0x01000) /* delivery status: never pending here */
#define ICR_RESERVED     UINT32_C(0xfff32000)
#define LVT_READ_ONLY    UINT32_C(0x05000) /* delivery status, remote IRR */
#define RESERVED_VECTORS UINT32_C(0xffff)
#define X2APIC_FIRST     0x800u
#define X2APIC_LAST      0x83fu

/* What of each LVT entry can be written. */
static const uint32_t lvt_bits[LAPIC_LVTS] = {
    [LAPIC_LVT_TIMER] = 0x700ff, [LAPIC_LVT_THERMAL] = 0x107ff, [LAPIC_LVT_PERF] = 0x107ff,
    [LAPIC_LVT_LINT0] = 0x1a7ff, [LAPIC_LVT_LINT1] = 0x1a7ff,   [LAPIC_LVT_ERROR] = 0x100ff,
};

static bool is_lvt(unsigned reg)
{
    return reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR;
}

static enum lapic_lvt lvt_of(unsigned reg)
{
    return (enum lapic_lvt)((reg - REG_LVT_TIMER) / 0x10);
}

static void set_lvt(struct lapic *a, enum lapic_lvt which, uint32_t value)
{
    enum lapic_timer_mode before = lapic_timer_mode(a);
    value &= lvt_bits[which];
    if (!lapic_software_enabled(a))
        value |= LAPIC_LVT_MASKED;
    a->lvt[which] = value;
    if (which == LAPIC_LVT_TIMER)
        lapic_timer_mode_changed(a, before);
    else if (which == LAPIC_LVT_LINT0)
        lapic_wake(a); /* the 8259 may be let through */
}

/* Disabling masks all of the LVT for good (11.4.7.2). */
static void set_svr(struct lapic *a, uint32_t value)
{
    a->svr = value & SVR_BITS;
    if (!(value & LAPIC_SVR_ENABLE))
        for (unsigned i = 0; i < LAPIC_LVTS; i++)
            atomic_fetch_or(&a->lvt[i], LAPIC_LVT_MASKED);
}

/* One register that both modes have; false: there is none that can be read here. */
static bool read_register(const struct lapic *a, unsigned reg, uint32_t *value, uint64_t tsc)
{
    unsigned i = reg >> 4 & 7;
    if (reg >= REG_ISR && reg < REG_TMR)
        *value = a->isr[i];
    else if (reg >= REG_TMR && reg < REG_IRR)
        *value = a->tmr[i];
    else if (reg >= REG_IRR && reg < REG_ESR)
        *value = a->irr[i];
    else if (is_lvt(reg))
        *value = a->lvt[lvt_of(reg)];
    else
        switch (reg) {
        case REG_ID:
            *value = a->id;
            break;
        case REG_VERSION:
            *value = VERSION;
            break;
        case REG_TPR:
            *value = a->tpr;
            break;
        case REG_PPR:
            *value = lapic_priority(a);
            break;
        case REG_LDR:
            *value = a->ldr;
            break;
        case REG_SVR:
            *value = a->svr;
            break;
        case REG_ESR:
            *value = a->esr;
            break;
        case REG_TIMER_INITIAL:
            *value = a->timer_initial;
            break;
        case REG_TIMER_CURRENT:
            *value = lapic_timer_current(a, tsc);
            break;
        case REG_TIMER_DIVIDE:
            *value = a->timer_divide;
            break;
        default:
            return false;
        }
    return true;
}

static bool write_register(struct lapic *a, unsigned reg, uint32_t value, uint64_t tsc)
{
    lapic_timer_look(a, tsc);
    if (is_lvt(reg)) {
        set_lvt(a, lvt_of(reg), value);
        return true;
    }
    switch (reg) {
    case REG_TPR:
        lapic_set_tpr(a, value);
        break;
    case REG_EOI:
        lapic_end_of_interrupt(a);
        break;
    case REG_SVR:
        set_svr(a, value);
        break;
    case REG_ESR: /* shows what was found since the last write (11.5.3) */
        a->esr = atomic_exchange(&a->esr_pending, 0);
        break;
    case REG_TIMER_INITIAL:
        lapic_timer_set_initial(a, value, tsc);
        break;
    case REG_TIMER_DIVIDE:
        lapic_timer_set_divide(a, value, tsc);
        break;
    default:
        return false;
    }
    return true;
}

/* ---- xAPIC (11.4.1) ---- */

bool lapic_mmio_enabled(const struct lapic *a)
{
    return lapic_enabled(a) && !lapic_in_x2apic(a);
}

uint32_t lapic_mmio_read(struct lapic *a, unsigned offset, uint64_t tsc)
{
    uint32_t value = 0;
    switch (offset) {
    case REG_ICR:
        return a->icr_low;
    case REG_ICR_HIGH:
        return a->icr_high;
    case REG_DFR:
        return a->dfr;
    default:
        if (!(offset & 15))
            read_register(a, offset, &value, tsc);
        return value;
    }
}

void lapic_mmio_write(struct lapic *a, unsigned offset, uint32_t value, uint64_t tsc)
{
    switch (offset) {
    case REG_ID:
        a->id = value & XAPIC_ID;
        break;
    case REG_LDR:
        a->ldr = value & XAPIC_ID;
        break;
    case REG_DFR:
        a->dfr = value | DFR_ONES;
        break;
    case REG_ICR:
        a->icr_low = value & ICR_BITS & ~ICR_STATUS;
        lapic_send(a);
        break;
    case REG_ICR_HIGH:
        a->icr_high = value & XAPIC_ID;
        break;
    default:
        if (!(offset & 15))
            write_register(a, offset, value, tsc);
        break;
    }
}

/* ---- x2APIC (11.12.1) ---- */

static bool is_x2apic_msr(const struct lapic *a, uint32_t msr)
{
    return lapic_in_x2apic(a) && msr >= X2APIC_FIRST && msr <= X2APIC_LAST;
}

/* Whether a register takes this value; read-only and reserved bits that are set fault. */
static bool takes(unsigned reg, uint64_t value)
{
    if (is_lvt(reg))
        return !(value & ~(uint64_t)(lvt_bits[lvt_of(reg)] | LVT_READ_ONLY)) &&
               (reg != REG_LVT_TIMER || (value >> 17 & 3) != LAPIC_TIMER_RESERVED);
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return value <= 0xff;
    case REG_SVR:
        return !(value & ~(uint64_t)(SVR_BITS | SVR_FOCUS));
    case REG_EOI:
    case REG_ESR:
        return value == 0;
    case REG_ICR:
        return !(value & ICR_RESERVED);
    case REG_TIMER_INITIAL:
        return value <= UINT32_MAX;
    case REG_TIMER_DIVIDE:
        return !(value & ~(uint64_t)LAPIC_DIVIDE_BITS);
    default:
        return false;
    }
}

bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value, uint64_t tsc)
{
    unsigned reg = (msr - X2APIC_FIRST) << 4;
    uint32_t low = 0;
    if (!is_x2apic_msr(a, msr))
        return false;
    if (reg == REG_ICR) {
        *value = (uint64_t)a->icr_high << 32 | a->icr_low;
        return true;
    }
    if (!read_register(a, reg, &low, tsc))
        return false;
    *value = low;
    return true;
}

bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value, uint64_t tsc)
{
    unsigned reg = (msr - X2APIC_FIRST) << 4;
    if (!is_x2apic_msr(a, msr) || !takes(reg, value))
        return false;
    if (reg == REG_ICR) {
        a->icr_low = (uint32_t)value & ICR_BITS & ~ICR_STATUS;
        a->icr_high = (uint32_t)(value >> 32);
        lapic_send(a);
        return true;
    }
    if (reg == REG_SELF_IPI) {
        lapic_send_self(a, (uint8_t)value);
        return true;
    }
    return write_register(a, reg, (uint32_t)value, tsc);
}

/* ---- state ---- */

static void put(struct kvm_lapic_state *s, unsigned reg, uint32_t value)
{
    le32_write(s->regs + reg, value);
}

static uint32_t get(const struct kvm_lapic_state *s, unsigned reg)
{
    return le32_read(s->regs + reg);
}

/* What is due is in IRR then, not in a count of zero that looks like one that is over. */
void lapic_get_state(struct lapic *a, struct kvm_lapic_state *s, uint64_t tsc)
{
    uint32_t value;
    lapic_timer_look(a, tsc);
    memset(s, 0, sizeof(*s));
    for (unsigned reg = 0; reg < REG_END; reg += 16)
        if (read_register(a, reg, &value, tsc))
            put(s, reg, value);
    put(s, REG_DFR, a->dfr);
    put(s, REG_ICR, a->icr_low);
    put(s, REG_ICR_HIGH, a->icr_high);
}

static void load_vectors(struct lapic *a, const struct kvm_lapic_state *s)
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t exist = i ? UINT32_MAX : ~RESERVED_VECTORS;
        a->isr[i] = get(s, REG_ISR + 16 * i) & exist;
        a->tmr[i] = get(s, REG_TMR + 16 * i) & exist;
        a->irr[i] = get(s, REG_IRR + 16 * i) & exist;
    }
}

/* The count goes on from where it was. A one-shot at zero is over; a period at zero is due. */
static void load_timer(struct lapic *a, const struct kvm_lapic_state *s, uint64_t tsc)
{
    uint32_t left = get(s, REG_TIMER_CURRENT);
    enum lapic_timer_mode mode = lapic_timer_mode(a);
    a->timer_divide = get(s, REG_TIMER_DIVIDE) & LAPIC_DIVIDE_BITS;
    a->timer_initial = get(s, REG_TIMER_INITIAL);
    a->deadline = LAPIC_NEVER;
    a->tsc_deadline = 0;
    if (a->timer_initial &&
        (mode == LAPIC_TIMER_PERIODIC || (mode == LAPIC_TIMER_ONE_SHOT && left)))
        lapic_timer_resume(a, left, tsc);
}

void lapic_set_state(struct lapic *a, const struct kvm_lapic_state *s, uint64_t tsc)
{
    bool wide = lapic_in_x2apic(a);
    a->id = wide ? a->index : get(s, REG_ID) & XAPIC_ID;
    a->ldr = wide ? lapic_x2apic_ldr(a) : get(s, REG_LDR) & XAPIC_ID;
    a->dfr = get(s, REG_DFR) | DFR_ONES;
    a->tpr = get(s, REG_TPR) & 0xff;
    a->svr = get(s, REG_SVR) & SVR_BITS;
    a->esr = get(s, REG_ESR) & LAPIC_ESR_BITS;
    a->esr_pending = 0;
    a->events = 0;
    a->icr_low = get(s, REG_ICR) & ICR_BITS & ~ICR_STATUS;
    a->icr_high = get(s, REG_ICR_HIGH) & (wide ? UINT32_MAX : XAPIC_ID);
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        a->lvt[i] = get(s, REG_LVT_TIMER + 16 * i) & lvt_bits[i];
    load_vectors(a, s);
    load_timer(a, s, tsc);
    lapic_wake(a);
}
