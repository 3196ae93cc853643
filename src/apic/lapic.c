#include "apic/lapic.h"

#include <string.h>

#include "apic/lapic_internal.h"
#include "base/util.h"

#define SIPI_VECTOR_SHIFT 8
#define SIPI_VECTOR       (0xffu << SIPI_VECTOR_SHIFT)

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
        uint32_t w = atomic_load_explicit(&a->irr[i], memory_order_acquire);
        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

uint32_t lapic_priority(const struct lapic *a)
{
    int isr = highest(a->isr);
    uint32_t service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;
    return (a->tpr & 0xf0) >= service ? a->tpr : service;
}

/* Disabling by software keeps what was accepted before, for the CPU to take (11.4.7.2). */
int lapic_pending_vector(const struct lapic *a)
{
    int vector = highest_request(a);
    if (vector < 0 || !lapic_enabled(a) || ((uint32_t)vector & 0xf0) <= (lapic_priority(a) & 0xf0))
        return -1;
    return vector;
}

void lapic_acknowledge(struct lapic *a, int vector)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);
    atomic_fetch_and(&a->irr[vector / 32], ~bit);
    a->isr[vector / 32] |= bit;
}

void lapic_wake(struct lapic *a)
{
    if (a->bus->ops && a->bus->ops->wake)
        a->bus->ops->wake(a->bus->opaque, a->index);
}

/* The trigger mode before the request: whoever sees the request knows how to end it. */
void lapic_post(struct lapic *a, uint8_t vector, bool level)
{
    uint32_t bit = UINT32_C(1) << (vector & 31);
    if (level)
        atomic_fetch_or(&a->tmr[vector / 32], bit);
    else
        atomic_fetch_and(&a->tmr[vector / 32], ~bit);
    atomic_fetch_or(&a->irr[vector / 32], bit);
    lapic_wake(a);
}

/* The priority has dropped: a request that waited may now be due. */
static void look_again(struct lapic *a)
{
    if (lapic_pending_vector(a) >= 0)
        lapic_wake(a);
}

void lapic_end_of_interrupt(struct lapic *a)
{
    int vector = highest(a->isr);
    if (vector < 0)
        return;
    uint32_t bit = UINT32_C(1) << (vector & 31);
    a->isr[vector / 32] &= ~bit;
    if (atomic_load(&a->tmr[vector / 32]) & bit && a->bus->ops && a->bus->ops->eoi)
        a->bus->ops->eoi(a->bus->opaque, (uint8_t)vector);
    look_again(a);
}

void lapic_set_tpr(struct lapic *a, uint32_t tpr)
{
    a->tpr = tpr & 0xff;
    look_again(a);
}

bool lapic_accepts_extint(const struct lapic *a)
{
    uint32_t lvt = a->lvt[LAPIC_LVT_LINT0];
    return !lapic_enabled(a) ||
           (!(lvt & LAPIC_LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_DELIVERY_EXTINT);
}

/* ---- events ---- */

/* Replaces the bits of `clear` by those of `set`. */
static void change_events(struct lapic *a, uint32_t clear, uint32_t set)
{
    uint32_t old = atomic_load(&a->events);
    while (!atomic_compare_exchange_weak(&a->events, &old, (old & ~clear) | set))
        ;
    lapic_wake(a);
}

void lapic_post_nmi(struct lapic *a)
{
    change_events(a, 0, LAPIC_EVENT_NMI);
}

/* A CPU in reset waits for the SIPI that comes after. */
void lapic_post_init(struct lapic *a)
{
    change_events(a, LAPIC_EVENT_SIPI | SIPI_VECTOR, LAPIC_EVENT_INIT);
}

void lapic_post_sipi(struct lapic *a, uint8_t vector)
{
    change_events(a, SIPI_VECTOR, LAPIC_EVENT_SIPI | (uint32_t)vector << SIPI_VECTOR_SHIFT);
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

/* Nothing is taken while an INIT waits: it came first. */
bool lapic_take_sipi(struct lapic *a, uint8_t *vector)
{
    uint32_t old = atomic_load(&a->events);
    do
        if (!(old & LAPIC_EVENT_SIPI) || old & LAPIC_EVENT_INIT)
            return false;
    while (
        !atomic_compare_exchange_weak(&a->events, &old, old & ~(LAPIC_EVENT_SIPI | SIPI_VECTOR)));
    *vector = (uint8_t)(old >> SIPI_VECTOR_SHIFT);
    return true;
}

/* ---- modes ---- */

uint32_t lapic_x2apic_ldr(const struct lapic *a)
{
    return (a->index >> 4) << 16 | 1u << (a->index & 15);
}

static bool base_exists(uint64_t value)
{
    uint64_t modes = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
    return (value & ~(modes | LAPIC_BASE_BSP)) == LAPIC_BASE_ADDRESS &&
           (value & modes) != LAPIC_BASE_X2APIC;
}

/* The registers whose format depends on the mode. */
static void set_ids(struct lapic *a)
{
    if (lapic_in_x2apic(a)) {
        a->id = a->index;
        a->ldr = lapic_x2apic_ldr(a);
    } else {
        a->id = a->index << 24;
        a->ldr = 0;
    }
}

bool lapic_set_base(struct lapic *a, uint64_t value)
{
    uint64_t both = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
    uint64_t from = a->base & both, to = value & both;
    if (!base_exists(value) || (from == both && to == LAPIC_BASE_ENABLE) ||
        (from == 0 && to == both))
        return false;
    a->base = value;
    if (to == from)
        return true;
    if (to == 0)
        lapic_reset(a, false);
    a->icr_high = 0;
    set_ids(a);
    lapic_wake(a); /* a disabled one lets the 8259 through */
    return true;
}

bool lapic_load_base(struct lapic *a, uint64_t value)
{
    if (!base_exists(value))
        return false;
    if (a->base != value) {
        a->base = value;
        set_ids(a);
    }
    return true;
}

/* ---- life ---- */

void lapic_reset(struct lapic *a, bool power_on)
{
    for (unsigned i = 0; i < 8; i++)
        a->irr[i] = a->tmr[i] = a->isr[i] = 0;
    a->tpr = a->esr = a->icr_low = a->icr_high = 0;
    a->esr_pending = 0;
    a->timer_initial = a->timer_divide = 0;
    a->tsc_deadline = 0;
    a->deadline = LAPIC_NEVER;
    for (unsigned i = 0; i < LAPIC_LVTS; i++)
        a->lvt[i] = LAPIC_LVT_MASKED;
    a->svr = 0xff;
    a->dfr = UINT32_MAX;
    if (power_on) {
        a->events = 0;
        a->base = LAPIC_BASE_ADDRESS | LAPIC_BASE_ENABLE | (a->index ? 0 : LAPIC_BASE_BSP);
        a->id = a->index << 24;
    }
    if (!lapic_in_x2apic(a))
        a->ldr = 0;
    /* As firmware would leave it, and KVM does: the 8259 reaches the boot processor. */
    if (a->index == 0)
        a->lvt[LAPIC_LVT_LINT0] = LAPIC_DELIVERY_EXTINT << 8;
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
