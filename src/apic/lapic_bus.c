#include <errno.h>

#include "apic/lapic_internal.h"

#define BROADCAST       UINT32_C(0xffffffff)
#define XAPIC_BROADCAST 0xffu
#define MSI_WINDOW      0xfeeu /* bits 31:20 of the address */
#define MSI_REDIRECTION (UINT32_C(1) << 3)
#define MSI_LOGICAL     (UINT32_C(1) << 2)
#define MSI_WIDE_DEST   0xffffff00u

/* Bits of the ICR's lower half and of a message's data. */
#define LEVEL_ASSERT  (UINT32_C(1) << 14)
#define TRIGGER_LEVEL (UINT32_C(1) << 15)
#define ICR_LOGICAL   (UINT32_C(1) << 11)

struct interrupt {
    uint32_t dest;
    bool logical;
    bool level;    /* for TMR */
    bool deassert; /* of an INIT: synchronized the arbitration ids of old, does nothing */
    unsigned delivery;
    uint8_t vector;
};

static bool is_deassert(uint32_t low)
{
    return low & TRIGGER_LEVEL && !(low & LEVEL_ASSERT);
}

/* ---- destinations (11.6.2) ---- */

static uint32_t physical_id(const struct lapic *a)
{
    uint32_t id = atomic_load_explicit(&a->id, memory_order_relaxed);
    return lapic_in_x2apic(a) ? id : id >> 24;
}

static bool matches_logical(const struct lapic *a, uint32_t dest)
{
    uint32_t ldr = atomic_load_explicit(&a->ldr, memory_order_relaxed);
    uint32_t model = atomic_load_explicit(&a->dfr, memory_order_relaxed) >> 28;
    if (lapic_in_x2apic(a))
        return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
    ldr >>= 24;
    if (model == 0xf) /* flat */
        return ldr & dest & 0xff;
    return model == 0 && ldr >> 4 == (dest >> 4 & 0xf) && ldr & dest & 0xf;
}

/* An xAPIC's broadcast is 0xff, an x2APIC's all ones. */
static bool matches(const struct lapic *a, uint32_t dest, bool logical)
{
    if (!lapic_enabled(a))
        return false;
    if (dest == BROADCAST || (!lapic_in_x2apic(a) && dest == XAPIC_BROADCAST))
        return true;
    return logical ? matches_logical(a, dest) : physical_id(a) == dest;
}

/* ---- delivery ---- */

/* An error was found; the first since ESR was written raises the LVT's interrupt (11.5.3). */
static void post_error(struct lapic *a, uint32_t esr_bit)
{
    if (atomic_fetch_or(&a->esr_pending, esr_bit))
        return;
    uint32_t lvt = atomic_load(&a->lvt[LAPIC_LVT_ERROR]);
    if (!(lvt & LAPIC_LVT_MASKED) && (uint8_t)lvt >= LAPIC_FIRST_VECTOR)
        lapic_post(a, (uint8_t)lvt, false);
}

bool lapic_accept(struct lapic *a, uint8_t vector, bool level)
{
    if (!lapic_software_enabled(a))
        return false;
    if (vector < LAPIC_FIRST_VECTOR)
        post_error(a, LAPIC_ESR_RECEIVE_ILLEGAL);
    else
        lapic_post(a, vector, level);
    return vector >= LAPIC_FIRST_VECTOR;
}

/* Whether the APIC takes it. NMI, INIT and SIPI need no software enable (11.4.7.2). */
static bool deliver(struct lapic *a, const struct interrupt *i)
{
    switch (i->delivery) {
    case LAPIC_DELIVERY_FIXED:
    case LAPIC_DELIVERY_LOWEST:
        return lapic_accept(a, i->vector, i->level);
    case LAPIC_DELIVERY_NMI:
        lapic_post_nmi(a);
        return true;
    case LAPIC_DELIVERY_INIT:
        if (!i->deassert)
            lapic_post_init(a);
        return true;
    case LAPIC_DELIVERY_SIPI:
        lapic_post_sipi(a, i->vector);
        return true;
    default: /* SMI: there is no system management mode; ExtINT comes by the engine */
        return false;
    }
}

/* To one of those addressed, in turn. */
static bool deliver_lowest(struct lapic_bus *b, const struct interrupt *i)
{
    unsigned turn = atomic_fetch_add_explicit(&b->turn, 1, memory_order_relaxed);
    for (unsigned k = 0; k < b->n; k++) {
        struct lapic *a = &b->apics[(turn + k) % b->n];
        if (matches(a, i->dest, i->logical) && lapic_software_enabled(a))
            return deliver(a, i);
    }
    return false;
}

static bool deliver_all(struct lapic_bus *b, const struct interrupt *i)
{
    bool any = false;
    if (i->delivery == LAPIC_DELIVERY_LOWEST)
        return deliver_lowest(b, i);
    for (unsigned k = 0; k < b->n; k++)
        if (matches(&b->apics[k], i->dest, i->logical))
            any |= deliver(&b->apics[k], i);
    return any;
}

int lapic_bus_msi(struct lapic_bus *b, const struct msi_message *msg)
{
    uint32_t low = (uint32_t)msg->address;
    struct interrupt i = {
        .dest = (low >> 12 & 0xff) | ((uint32_t)(msg->address >> 32) & MSI_WIDE_DEST),
        .logical = low & MSI_LOGICAL,
        .level = msg->data & TRIGGER_LEVEL,
        .deassert = is_deassert(msg->data),
        .delivery = msg->data >> 8 & 7,
        .vector = (uint8_t)msg->data,
    };
    /* The redirection hint asks for one of a logical destination (11.11.1). */
    if (i.delivery == LAPIC_DELIVERY_FIXED && i.logical && low & MSI_REDIRECTION)
        i.delivery = LAPIC_DELIVERY_LOWEST;
    /* There is no SIPI among the messages (11.11.2). */
    bool legal = low >> 20 == MSI_WINDOW && i.delivery != LAPIC_DELIVERY_SIPI;
    return legal && deliver_all(b, &i) ? 0 : -ESRCH;
}

/* ---- the interrupt command register ---- */

static void send_by_shorthand(struct lapic *a, const struct interrupt *i, unsigned shorthand)
{
    struct lapic_bus *b = a->bus;
    bool others_only = i->delivery == LAPIC_DELIVERY_INIT || i->delivery == LAPIC_DELIVERY_SIPI;
    if (others_only && (shorthand == LAPIC_SELF || shorthand == LAPIC_ALL))
        return; /* combinations that do not exist: table 11-3 */
    for (unsigned k = 0; k < b->n; k++) {
        struct lapic *to = &b->apics[k];
        bool wanted = shorthand == LAPIC_SELF ? to == a : shorthand == LAPIC_ALL || to != a;
        if (wanted && lapic_enabled(to))
            deliver(to, i);
    }
}

/* The trigger mode is left out: all IPIs are edge-triggered but the INIT de-assert. */
void lapic_send(struct lapic *a)
{
    const struct interrupt i = {
        .dest = lapic_in_x2apic(a) ? a->icr_high : a->icr_high >> 24,
        .logical = a->icr_low & ICR_LOGICAL,
        .deassert = is_deassert(a->icr_low),
        .delivery = a->icr_low >> 8 & 7,
        .vector = (uint8_t)a->icr_low,
    };
    unsigned shorthand = a->icr_low >> 18 & 3;
    if (i.delivery <= LAPIC_DELIVERY_LOWEST && i.vector < LAPIC_FIRST_VECTOR)
        post_error(a, LAPIC_ESR_SEND_ILLEGAL);
    else if (shorthand)
        send_by_shorthand(a, &i, shorthand);
    else
        deliver_all(a->bus, &i);
}

void lapic_send_self(struct lapic *a, uint8_t vector)
{
    if (vector < LAPIC_FIRST_VECTOR)
        post_error(a, LAPIC_ESR_SEND_ILLEGAL);
    else
        lapic_accept(a, vector, false);
}
