#include "apic/lapic.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_APR = 0x90,
    REG_PPR = 0xa0,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SVR = 0xf0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_LVT_CMCI = 0x2f0,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_THERMAL = 0x330,
    REG_LVT_PERF = 0x340,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
    REG_SELF_IPI = 0x3f0,
};

enum delivery {
    DELIVERY_FIXED,
    DELIVERY_LOWEST,
    DELIVERY_SMI,
    DELIVERY_NMI = 4,
    DELIVERY_INIT,
    DELIVERY_SIPI,
    DELIVERY_EXTINT
};

enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

#define LVT_MASKED          (UINT32_C(1) << 16)
#define SVR_ENABLE          (UINT32_C(1) << 8)
#define ICR_LEVEL           (UINT32_C(1) << 14) /* assert */
#define ICR_TRIGGER         (UINT32_C(1) << 15) /* level-triggered */
#define ESR_SEND_ILLEGAL    (UINT32_C(1) << 5)
#define ESR_RECEIVE_ILLEGAL (UINT32_C(1) << 6)
#define VERSION             UINT32_C(0x00050014) /* six LVT entries; no suppression of EOI broadcasts */
#define BROADCAST           UINT32_C(0xffffffff)

/* What of each LVT entry can be written. */
static const uint32_t lvt_bits[LAPIC_LVTS] = {
    [LAPIC_LVT_TIMER] = 0x700ff, [LAPIC_LVT_THERMAL] = 0x107ff, [LAPIC_LVT_PERF] = 0x107ff,
    [LAPIC_LVT_LINT0] = 0x1a7ff, [LAPIC_LVT_LINT1] = 0x1a7ff,   [LAPIC_LVT_ERROR] = 0x100ff,
};

static bool enabled(const struct lapic *a)
{
    return atomic_load_explicit(&a->base, memory_order_relaxed) & LAPIC_BASE_ENABLE;
}

static bool x2apic(const struct lapic *a)
{
    uint64_t both = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
    return (atomic_load_explicit(&a->base, memory_order_relaxed) & both) == both;
}

static bool software_enabled(const struct lapic *a)
{
    return atomic_load_explicit(&a->svr, memory_order_relaxed) & SVR_ENABLE;
}

/* ---- vectors ---- */

static int highest(const uint32_t words[8])
{
    for (int i = 7; i >= 0; i--)
        if (words[i])
            return i * 32 + 31 - __builtin_clz(words[i]);
    return -1;
}

static int highest_request(const struct lapic *a)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t w = atomic_load_explicit(&a->irr[i], memory_order_relaxed);
        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

/* Processor priority. Spec: 11.8.3.1. */
static uint32_t priority(const struct lapic *a)
{
    int isr = highest(a->isr);
    uint32_t service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;
    return (a->tpr & 0xf0) >= service ? a->tpr : service;
}

int lapic_pending_vector(struct lapic *a)
{
    int vector = highest_request(a);
    if (vector < 0 || !enabled(a) || !software_enabled(a) ||
        ((uint32_t)vector & 0xf0) <= (priority(a) & 0xf0))
        return -1;
    return vector;
}

void lapic_acknowledge(struct lapic *a, int vector)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);
    atomic_fetch_and(&a->irr[vector / 32], ~bit);
    a->isr[vector / 32] |= bit;
}

static void wake(struct lapic *a)
{
    if (a->bus->ops && a->bus->ops->wake)
        a->bus->ops->wake(a->bus->opaque, a->index);
}

void lapic_post(struct lapic *a, uint8_t vector, bool level)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);
    if (level)
        atomic_fetch_or(&a->tmr[vector / 32], bit);
    else
        atomic_fetch_and(&a->tmr[vector / 32], ~bit);
    atomic_fetch_or(&a->irr[vector / 32], bit);
    wake(a);
}

static void end_of_interrupt(struct lapic *a)
{
    int vector = highest(a->isr);
    if (vector < 0)
        return;
    uint32_t bit = UINT32_C(1) << (vector & 31);
    a->isr[vector / 32] &= ~bit;
    if (atomic_load(&a->tmr[vector / 32]) & bit && a->bus->ops && a->bus->ops->eoi)
        a->bus->ops->eoi(a->bus->opaque, (uint8_t)vector);
    wake(a); /* a lower one may wait */
}

void lapic_set_tpr(struct lapic *a, uint32_t tpr)
{
    a->tpr = tpr & 0xff;
    wake(a);
}

/* ---- events ---- */

static void post_event(struct lapic *a, uint32_t event)
{
    atomic_fetch_or(&a->events, event);
    wake(a);
}

void lapic_post_nmi(struct lapic *a)
{
    post_event(a, LAPIC_EVENT_NMI);
}

static bool take_event(struct lapic *a, uint32_t event)
{
    return atomic_load_explicit(&a->events, memory_order_relaxed) & event &&
           atomic_fetch_and(&a->events, ~event) & event;
}

bool lapic_take_nmi(struct lapic *a)
{
    return take_event(a, LAPIC_EVENT_NMI);
}

bool lapic_take_init(struct lapic *a)
{
    return take_event(a, LAPIC_EVENT_INIT);
}

bool lapic_take_sipi(struct lapic *a, uint8_t *vector)
{
    if (!(atomic_load(&a->events) & LAPIC_EVENT_SIPI))
        return false;
    uint32_t was = atomic_fetch_and(&a->events, ~(LAPIC_EVENT_SIPI | 0xff00u));
    *vector = (uint8_t)(was >> 8);
    return was & LAPIC_EVENT_SIPI;
}

static void post_sipi(struct lapic *a, uint8_t vector)
{
    uint32_t old = atomic_load(&a->events), new;
    do
        new = (old & ~0xff00u) | (uint32_t)vector << 8 | LAPIC_EVENT_SIPI;
    while (!atomic_compare_exchange_weak(&a->events, &old, new));
    wake(a);
}

/* ---- destinations (spec: 11.6.2) ---- */

static uint32_t physical_id(const struct lapic *a)
{
    uint32_t id = atomic_load_explicit(&a->id, memory_order_relaxed);
    return x2apic(a) ? id : id >> 24;
}

static bool matches_logical(const struct lapic *a, uint32_t dest)
{
    uint32_t ldr = atomic_load_explicit(&a->ldr, memory_order_relaxed);
    if (x2apic(a))
        return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
    ldr >>= 24;
    if (atomic_load_explicit(&a->dfr, memory_order_relaxed) >> 28 == 0xf)
        return ldr & dest & 0xff;
    return ldr >> 4 == (dest >> 4 & 0xf) && ldr & dest & 0xf;
}

/* An xAPIC's broadcast is 0xff, an x2APIC's all ones. */
static bool matches(const struct lapic *a, uint32_t dest, bool logical)
{
    if (!enabled(a))
        return false;
    if (dest == BROADCAST || (!x2apic(a) && dest == 0xff))
        return true;
    return logical ? matches_logical(a, dest) : physical_id(a) == dest;
}

/* ---- delivery ---- */

struct interrupt {
    uint32_t dest;
    bool logical, level, assert_level;
    unsigned delivery;
    uint8_t vector;
};

static void deliver(struct lapic *a, const struct interrupt *i)
{
    switch (i->delivery) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
        if (i->vector >= 16 && software_enabled(a))
            lapic_post(a, i->vector, i->level);
        break;
    case DELIVERY_NMI:
        lapic_post_nmi(a);
        break;
    case DELIVERY_INIT:
        if (!i->level || i->assert_level)
            post_event(a, LAPIC_EVENT_INIT);
        break;
    case DELIVERY_SIPI:
        post_sipi(a, i->vector);
        break;
    default: /* SMI: there is no system management mode; ExtINT comes by the engine */
        break;
    }
}

/* To one of those addressed, in turn. */
static bool deliver_lowest(struct lapic_bus *b, const struct interrupt *i)
{
    unsigned turn = atomic_fetch_add_explicit(&b->turn, 1, memory_order_relaxed);
    for (unsigned k = 0; k < b->n; k++) {
        struct lapic *a = &b->apics[(turn + k) % b->n];
        if (!matches(a, i->dest, i->logical) || !software_enabled(a))
            continue;
        deliver(a, i);
        return true;
    }
    return false;
}

static bool deliver_all(struct lapic_bus *b, const struct interrupt *i)
{
    bool any = false;
    if (i->delivery == DELIVERY_LOWEST)
        return deliver_lowest(b, i);
    for (unsigned k = 0; k < b->n; k++) {
        if (!matches(&b->apics[k], i->dest, i->logical))
            continue;
        deliver(&b->apics[k], i);
        any = true;
    }
    return any;
}

int lapic_bus_msi(struct lapic_bus *b, const struct msi_message *msg)
{
    uint32_t low = (uint32_t)msg->address;
    const struct interrupt i = {
        .dest = (low >> 12 & 0xff) | ((uint32_t)(msg->address >> 32) & 0xffffff00u),
        .logical = low >> 2 & 1,
        .level = msg->data >> 15 & 1,
        .assert_level = msg->data >> 14 & 1,
        .delivery = msg->data >> 8 & 7,
        .vector = (uint8_t)msg->data,
    };
    return deliver_all(b, &i) ? 0 : -ESRCH;
}

/* The interrupt command register was written. Spec: 11.6.1. */
static void send(struct lapic *a)
{
    struct lapic_bus *b = a->bus;
    const struct interrupt i = {
        .dest = x2apic(a) ? a->icr_high : a->icr_high >> 24,
        .logical = a->icr_low >> 11 & 1,
        .level = a->icr_low & ICR_TRIGGER,
        .assert_level = a->icr_low & ICR_LEVEL,
        .delivery = a->icr_low >> 8 & 7,
        .vector = (uint8_t)a->icr_low,
    };
    unsigned shorthand = a->icr_low >> 18 & 3;
    if (i.delivery <= DELIVERY_LOWEST && i.vector < 16)
        a->esr_pending |= ESR_SEND_ILLEGAL;
    if (shorthand == 0) {
        deliver_all(b, &i);
        return;
    }
    for (unsigned k = 0; k < b->n; k++) {
        struct lapic *to = &b->apics[k];
        bool wanted = shorthand == 1 ? to == a : shorthand == 2 || to != a;
        if (wanted && enabled(to))
            deliver(to, &i);
    }
}

/* A local source, through its LVT entry. */
static void fire_lvt(struct lapic *a, enum lapic_lvt which)
{
    uint32_t lvt = a->lvt[which];
    if (lvt & LVT_MASKED)
        return;
    const struct interrupt i = {
        .delivery = which == LAPIC_LVT_TIMER ? DELIVERY_FIXED : lvt >> 8 & 7,
        .vector = (uint8_t)lvt,
    };
    if (i.delivery == DELIVERY_FIXED && i.vector < 16)
        a->esr_pending |= ESR_RECEIVE_ILLEGAL;
    deliver(a, &i);
}

bool lapic_accepts_extint(const struct lapic *a)
{
    uint32_t lvt = a->lvt[LAPIC_LVT_LINT0];
    return !enabled(a) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == DELIVERY_EXTINT);
}

/* ---- the timer: 1 GHz before the divider (spec: 11.5.4) ---- */

static unsigned timer_mode(const struct lapic *a)
{
    return a->lvt[LAPIC_LVT_TIMER] >> 17 & 3;
}

static unsigned divider(const struct lapic *a)
{
    unsigned v = (a->timer_divide & 3) | (a->timer_divide >> 1 & 4);
    return v == 7 ? 1 : 2u << v;
}

static uint64_t ticks_to_tsc(const struct lapic *a, uint64_t ticks)
{
    unsigned __int128 ns = (unsigned __int128)ticks * divider(a);
    return (uint64_t)(ns * a->tsc_khz / 1000000);
}

static uint64_t tsc_to_ticks(const struct lapic *a, uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)tsc * 1000000 / a->tsc_khz / divider(a));
}

/* The period or the whole count, at least one TSC tick. */
static uint64_t span(const struct lapic *a)
{
    return MAX(ticks_to_tsc(a, a->timer_initial), UINT64_C(1));
}

static void rearm(struct lapic *a)
{
    a->deadline = UINT64_MAX;
    if (timer_mode(a) == TIMER_DEADLINE) {
        if (a->tsc_deadline)
            a->deadline = a->tsc_deadline;
    } else if (a->timer_initial) {
        a->deadline = a->timer_start + span(a);
    }
}

static uint32_t timer_current(const struct lapic *a, uint64_t tsc)
{
    if (timer_mode(a) == TIMER_DEADLINE || !a->timer_initial)
        return 0;
    uint64_t passed = tsc > a->timer_start ? tsc - a->timer_start : 0;
    if (timer_mode(a) == TIMER_PERIODIC)
        passed %= span(a);
    uint64_t ticks = tsc_to_ticks(a, passed);
    return ticks >= a->timer_initial ? 0 : (uint32_t)(a->timer_initial - ticks);
}

void lapic_timer_look(struct lapic *a, uint64_t tsc)
{
    if (tsc < a->deadline)
        return;
    if (timer_mode(a) == TIMER_PERIODIC) {
        /* One interrupt for all the periods that were missed. */
        uint64_t period = span(a);
        a->timer_start += (tsc - a->timer_start) / period * period;
        a->deadline = a->timer_start + period;
    } else {
        a->deadline = UINT64_MAX;
        a->tsc_deadline = 0;
    }
    fire_lvt(a, LAPIC_LVT_TIMER);
}

static void set_initial(struct lapic *a, uint32_t value, uint64_t tsc)
{
    if (timer_mode(a) == TIMER_DEADLINE)
        return;
    a->timer_initial = value;
    a->timer_start = tsc;
    rearm(a);
}

/* What is left of the count goes on at the new rate. */
static void set_divide(struct lapic *a, uint32_t value, uint64_t tsc)
{
    uint32_t left = timer_current(a, tsc);
    a->timer_divide = value & 0xb;
    if (timer_mode(a) != TIMER_DEADLINE && a->timer_initial && left) {
        a->timer_start = tsc - ticks_to_tsc(a, a->timer_initial - left);
        rearm(a);
    }
}

static void set_lvt(struct lapic *a, enum lapic_lvt which, uint32_t value)
{
    unsigned before = timer_mode(a);
    value &= lvt_bits[which];
    if (!software_enabled(a))
        value |= LVT_MASKED;
    a->lvt[which] = value;
    if (which == LAPIC_LVT_TIMER && timer_mode(a) != before) {
        /* Between one-shot and periodic the count goes on; TSC-deadline disarms (11.5.4.1). */
        if (before == TIMER_DEADLINE || timer_mode(a) == TIMER_DEADLINE) {
            a->timer_initial = 0;
            a->tsc_deadline = 0;
        }
        rearm(a);
    }
}

void lapic_set_tsc_deadline(struct lapic *a, uint64_t value, uint64_t tsc)
{
    if (timer_mode(a) != TIMER_DEADLINE)
        return;
    a->tsc_deadline = value;
    rearm(a);
    lapic_timer_look(a, tsc);
}

uint64_t lapic_tsc_deadline(const struct lapic *a)
{
    return timer_mode(a) == TIMER_DEADLINE ? a->tsc_deadline : 0;
}

void lapic_set_tsc_khz(struct lapic *a, uint32_t tsc_khz)
{
    a->tsc_khz = tsc_khz;
}

/* ---- registers ---- */

static void set_svr(struct lapic *a, uint32_t value)
{
    a->svr = value & 0x1ff;
    if (!(value & SVR_ENABLE))
        for (unsigned i = 0; i < LAPIC_LVTS; i++)
            a->lvt[i] |= LVT_MASKED;
    wake(a);
}

static enum lapic_lvt lvt_of(unsigned reg)
{
    return (enum lapic_lvt)((reg - REG_LVT_TIMER) / 0x10);
}

/* One 32-bit register; false: there is none that can be read here. */
static bool read_register(struct lapic *a, unsigned reg, uint32_t *value, uint64_t tsc)
{
    unsigned i = reg >> 4 & 7;
    if (reg >= REG_ISR && reg < REG_TMR)
        *value = a->isr[i];
    else if (reg >= REG_TMR && reg < REG_IRR)
        *value = a->tmr[i];
    else if (reg >= REG_IRR && reg < REG_ESR)
        *value = a->irr[i];
    else if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR)
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
            *value = priority(a);
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
            *value = timer_current(a, tsc);
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
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        set_lvt(a, lvt_of(reg), value);
        return true;
    }
    switch (reg) {
    case REG_TPR:
        lapic_set_tpr(a, value);
        break;
    case REG_EOI:
        end_of_interrupt(a);
        break;
    case REG_SVR:
        set_svr(a, value);
        break;
    case REG_ESR:
        a->esr = a->esr_pending;
        a->esr_pending = 0;
        break;
    case REG_TIMER_INITIAL:
        set_initial(a, value, tsc);
        break;
    case REG_TIMER_DIVIDE:
        set_divide(a, value, tsc);
        break;
    default:
        return false;
    }
    return true;
}

bool lapic_mmio_enabled(const struct lapic *a)
{
    return enabled(a) && !x2apic(a);
}

uint32_t lapic_mmio_read(struct lapic *a, unsigned offset, uint64_t tsc)
{
    uint32_t value = 0;
    switch (offset & 0xff0) {
    case REG_ICR:
        return a->icr_low;
    case REG_ICR_HIGH:
        return a->icr_high;
    case REG_DFR:
        return a->dfr;
    default:
        read_register(a, offset & 0xff0, &value, tsc);
        return value;
    }
}

void lapic_mmio_write(struct lapic *a, unsigned offset, uint32_t value, uint64_t tsc)
{
    switch (offset & 0xff0) {
    case REG_ID:
        a->id = value & 0xff000000u;
        break;
    case REG_LDR:
        a->ldr = value & 0xff000000u;
        break;
    case REG_DFR:
        a->dfr = value | 0x0fffffffu;
        break;
    case REG_ICR:
        a->icr_low = value & 0xccfffu;
        send(a);
        break;
    case REG_ICR_HIGH:
        a->icr_high = value & 0xff000000u;
        break;
    default:
        write_register(a, offset & 0xff0, value, tsc);
        break;
    }
}

/* ---- x2APIC (spec: 11.12) ---- */

bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value, uint64_t tsc)
{
    unsigned reg = (msr - 0x800) << 4;
    uint32_t low = 0;
    if (!x2apic(a) || msr < 0x800 || msr > 0x83f)
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
    unsigned reg = (msr - 0x800) << 4;
    if (!x2apic(a) || msr < 0x800 || msr > 0x83f)
        return false;
    if (reg == REG_ICR) {
        if (value & 0xfff32000u)
            return false;
        a->icr_low = (uint32_t)value;
        a->icr_high = (uint32_t)(value >> 32);
        send(a);
        return true;
    }
    if (value >> 32)
        return false;
    if (reg == REG_SELF_IPI) {
        if (value & ~UINT64_C(0xff))
            return false;
        deliver(a, &(struct interrupt){.vector = (uint8_t)value});
        return true;
    }
    if ((reg == REG_EOI || reg == REG_ESR) && value)
        return false;
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR &&
        value & ~(uint64_t)(lvt_bits[lvt_of(reg)] | 0x1000))
        return false;
    return write_register(a, reg, (uint32_t)value, tsc);
}

/* Transitions: disabled, xAPIC, x2APIC; x2APIC goes back to disabled only (11.12.5). */
bool lapic_set_base(struct lapic *a, uint64_t value)
{
    uint64_t both = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC, old = a->base;
    uint64_t known = both | LAPIC_BASE_BSP | LAPIC_BASE_ADDRESS;
    uint64_t from = old & both, to = value & both;
    if (value & ~known || (value & ~UINT64_C(0xfff)) != LAPIC_BASE_ADDRESS ||
        to == LAPIC_BASE_X2APIC)
        return false;
    if ((from == both && to == LAPIC_BASE_ENABLE) || (from == 0 && to == both))
        return false;
    a->base = value;
    if (to == both && from != both) {
        a->id = a->index;
        a->ldr = (a->index >> 4) << 16 | 1u << (a->index & 15);
    } else if (to == 0) {
        lapic_reset(a, false);
    }
    if (to == LAPIC_BASE_ENABLE && from == 0)
        a->id = a->index << 24;
    return true;
}

/* ---- life ---- */

void lapic_reset(struct lapic *a, bool power_on)
{
    for (unsigned i = 0; i < 8; i++)
        a->irr[i] = a->tmr[i] = a->isr[i] = 0;
    a->tpr = a->esr = a->esr_pending = a->icr_low = a->icr_high = 0;
    a->timer_initial = a->timer_divide = 0;
    a->tsc_deadline = 0;
    a->deadline = UINT64_MAX;
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        a->lvt[i] = LVT_MASKED;
    a->svr = 0xff;
    a->dfr = UINT32_MAX;
    if (power_on) {
        a->events = 0;
        a->base = LAPIC_BASE_ADDRESS | LAPIC_BASE_ENABLE | (a->index ? 0 : LAPIC_BASE_BSP);
        a->id = a->index << 24;
    }
    if (!x2apic(a))
        a->ldr = 0;
    /* As firmware would leave it, and KVM does: the 8259 reaches the boot processor. */
    if (a->index == 0)
        a->lvt[LAPIC_LVT_LINT0] = DELIVERY_EXTINT << 8;
}

void lapic_bus_init(struct lapic_bus *b, unsigned n, const struct lapic_ops *ops, void *opaque)
{
    memset(b, 0, sizeof(*b));
    b->n = MIN(n, (unsigned)LAPIC_MAX);
    b->ops = ops;
    b->opaque = opaque;
    for (unsigned i = 0; i < b->n; i++) {
        b->apics[i].bus = b;
        b->apics[i].index = i;
        b->apics[i].tsc_khz = 1000000;
        lapic_reset(&b->apics[i], true);
    }
}

struct lapic *lapic_bus_apic(struct lapic_bus *b, unsigned index)
{
    return &b->apics[index];
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

void lapic_get_state(struct lapic *a, struct kvm_lapic_state *s, uint64_t tsc)
{
    memset(s, 0, sizeof(*s));
    put(s, REG_ID, a->id);
    put(s, REG_VERSION, VERSION);
    put(s, REG_TPR, a->tpr);
    put(s, REG_PPR, priority(a));
    put(s, REG_LDR, a->ldr);
    put(s, REG_DFR, a->dfr);
    put(s, REG_SVR, a->svr);
    for (unsigned i = 0; i < 8; i++) {
        put(s, REG_ISR + 16 * i, a->isr[i]);
        put(s, REG_TMR + 16 * i, a->tmr[i]);
        put(s, REG_IRR + 16 * i, a->irr[i]);
    }
    put(s, REG_ESR, a->esr);
    put(s, REG_ICR, a->icr_low);
    put(s, REG_ICR_HIGH, a->icr_high);
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        put(s, REG_LVT_TIMER + 16 * i, a->lvt[i]);
    put(s, REG_TIMER_INITIAL, a->timer_initial);
    put(s, REG_TIMER_CURRENT, timer_current(a, tsc));
    put(s, REG_TIMER_DIVIDE, a->timer_divide);
}

void lapic_set_state(struct lapic *a, const struct kvm_lapic_state *s, uint64_t tsc)
{
    a->id = x2apic(a) ? a->index : get(s, REG_ID);
    a->tpr = get(s, REG_TPR) & 0xff;
    a->ldr = get(s, REG_LDR);
    a->dfr = get(s, REG_DFR);
    a->svr = get(s, REG_SVR) & 0x1ff;
    for (unsigned i = 0; i < 8; i++) {
        a->isr[i] = get(s, REG_ISR + 16 * i);
        a->tmr[i] = get(s, REG_TMR + 16 * i);
        a->irr[i] = get(s, REG_IRR + 16 * i);
    }
    a->esr = get(s, REG_ESR);
    a->icr_low = get(s, REG_ICR);
    a->icr_high = get(s, REG_ICR_HIGH);
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        a->lvt[i] = get(s, REG_LVT_TIMER + 16 * i) & lvt_bits[i];
    a->timer_divide = get(s, REG_TIMER_DIVIDE) & 0xb;
    a->timer_initial = get(s, REG_TIMER_INITIAL);
    /* The count goes on from where it was. */
    uint32_t left = get(s, REG_TIMER_CURRENT);
    if (!left && timer_mode(a) == TIMER_ONE_SHOT)
        a->timer_start = 0;
    else
        a->timer_start = tsc - ticks_to_tsc(a, a->timer_initial - MIN(left, a->timer_initial));
    rearm(a);
    if (!left && timer_mode(a) == TIMER_ONE_SHOT)
        a->deadline = UINT64_MAX;
    wake(a);
}
