#include "apic/ioapic.h"

#include <string.h>

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI    0x40

#define INDEX_ID      0x00
#define INDEX_VERSION 0x01
#define INDEX_ARB     0x02
#define INDEX_REDIR   0x10

#define REDIR_VECTOR        0xffu
#define REDIR_MODE_SHIFT    8
#define REDIR_MODE          0x7u
#define REDIR_LOGICAL       (1u << 11)
#define REDIR_STATUS        (1u << 12)
#define REDIR_REMOTE_IRR    (1u << 14)
#define REDIR_LEVEL         (1u << 15)
#define REDIR_MASKED        (1u << 16)
#define REDIR_DEST_SHIFT    56
#define REDIR_LOW_WRITABLE  (0x1ffffu & ~(REDIR_STATUS | REDIR_REMOTE_IRR))
#define REDIR_HIGH_WRITABLE 0xff000000u

#define MODE_LOWEST 1
#define MODE_EXTINT 7

#define MSI_ADDRESS      0xfee00000u
#define MSI_DEST_SHIFT   12
#define MSI_LOGICAL      (1u << 2)
#define MSI_LEVEL_ASSERT (1u << 14)
#define MSI_LEVEL        (1u << 15)

#define FIRST_LEGAL_VECTOR 16
#define STATE_VERSION      1

static unsigned mode(uint64_t redir)
{
    return (redir >> REDIR_MODE_SHIFT) & REDIR_MODE;
}

/* Level-triggered interrupts exist in the two modes that a local APIC acknowledges. */
static bool is_level(uint64_t redir)
{
    return (redir & REDIR_LEVEL) && mode(redir) <= MODE_LOWEST;
}

/* False if the entry sends nothing: a vector no local APIC takes, or ExtINT, where the 8259's own
 * wire to the boot CPU does the work. */
static bool message(uint64_t redir, struct msi_message *msg)
{
    if (mode(redir) <= MODE_LOWEST && (redir & REDIR_VECTOR) < FIRST_LEGAL_VECTOR)
        return false;
    if (mode(redir) == MODE_EXTINT)
        return false;
    msg->address = MSI_ADDRESS | (uint32_t)(redir >> REDIR_DEST_SHIFT) << MSI_DEST_SHIFT |
                   (redir & REDIR_LOGICAL ? MSI_LOGICAL : 0);
    msg->data = (uint32_t)(redir & REDIR_VECTOR) | mode(redir) << REDIR_MODE_SHIFT |
                (is_level(redir) ? MSI_LEVEL | MSI_LEVEL_ASSERT : 0);
    return true;
}

static void report_pins(struct ioapic *a)
{
    struct bus_ioapic_pin pins[IOAPIC_PINS] = {0};
    /* Masked pins too: one may be masked while its interrupt is in service, and its EOI has to
     * clear remote IRR. */
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        if (message(a->redir[i], &pins[i].msg))
            pins[i].level = is_level(a->redir[i]);
    a->ops->pins_changed(a->opaque, pins);
}

/* Sends pin `i`'s interrupt if it may be sent. An edge on a masked pin is lost (datasheet 3.2.4,
 * "interrupt mask"). */
static void fire(struct ioapic *a, unsigned i)
{
    struct msi_message msg;
    uint64_t *redir = &a->redir[i];
    if ((*redir & REDIR_MASKED) || (is_level(*redir) && (*redir & REDIR_REMOTE_IRR)) ||
        !message(*redir, &msg))
        return;
    if (a->ops->deliver(a->opaque, &msg) == 0 && is_level(*redir))
        *redir |= REDIR_REMOTE_IRR;
}

/* A level-triggered pin sends as long as its line is asserted and nobody is serving it. */
static void fire_if_asserted(struct ioapic *a, unsigned i)
{
    if (is_level(a->redir[i]) && (a->lines & (1u << i)))
        fire(a, i);
}

void ioapic_init(struct ioapic *a, const struct ioapic_ops *ops, void *opaque)
{
    memset(a, 0, sizeof(*a));
    a->ops = ops;
    a->opaque = opaque;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        a->redir[i] = REDIR_MASKED;
}

void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level)
{
    if (pin >= IOAPIC_PINS)
        return;
    bool was = a->lines & (1u << pin);
    if (level)
        a->lines |= 1u << pin;
    else
        a->lines &= ~(1u << pin);
    if (is_level(a->redir[pin]))
        fire_if_asserted(a, pin);
    else if (level && !was)
        fire(a, pin);
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        if ((a->redir[i] & REDIR_VECTOR) != vector || !(a->redir[i] & REDIR_REMOTE_IRR))
            continue;
        a->redir[i] &= ~(uint64_t)REDIR_REMOTE_IRR;
        fire_if_asserted(a, i);
    }
}

/* ---- registers ---- */

static uint32_t read_index(const struct ioapic *a)
{
    switch (a->select) {
    case INDEX_ID:
    case INDEX_ARB:
        return (uint32_t)a->id << 24;
    case INDEX_VERSION:
        return 0x20 | (IOAPIC_PINS - 1) << 16;
    default:
        break;
    }
    unsigned i = (a->select - INDEX_REDIR) / 2u;
    if (a->select < INDEX_REDIR || i >= IOAPIC_PINS)
        return 0;
    return (uint32_t)(a->redir[i] >> (a->select & 1 ? 32 : 0));
}

static void write_redir(struct ioapic *a, unsigned i, bool high, uint32_t value)
{
    uint64_t old = a->redir[i], new;
    if (high)
        new = (uint32_t)old | (uint64_t)(value & REDIR_HIGH_WRITABLE) << 32;
    else
        new = (old & ~(uint64_t)REDIR_LOW_WRITABLE) | (value & REDIR_LOW_WRITABLE);
    /* Guests switch a pin to edge and back to clear a remote IRR that got stuck. */
    if (!is_level(new))
        new &= ~(uint64_t)REDIR_REMOTE_IRR;
    a->redir[i] = new;
    if ((new ^ old) & ~(uint64_t)(REDIR_MASKED | REDIR_REMOTE_IRR))
        report_pins(a);
    fire_if_asserted(a, i);
}

static void write_index(struct ioapic *a, uint32_t value)
{
    unsigned i = (a->select - INDEX_REDIR) / 2u;
    if (a->select == INDEX_ID)
        a->id = (value >> 24) & 0xf;
    else if (a->select >= INDEX_REDIR && i < IOAPIC_PINS)
        write_redir(a, i, a->select & 1, value);
}

uint64_t ioapic_read(struct ioapic *a, uint64_t offset, unsigned size)
{
    uint32_t value = 0;
    if ((offset & ~UINT64_C(3)) == REG_SELECT)
        value = a->select;
    else if ((offset & ~UINT64_C(3)) == REG_WINDOW)
        value = read_index(a);
    value >>= 8 * (offset & 3);
    return size >= 4 ? value : value & ((1u << (8 * size)) - 1);
}

/* IOREGSEL takes any width, the others whole aligned 32-bit writes (datasheet 3.1). */
void ioapic_write(struct ioapic *a, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == REG_SELECT)
        a->select = (uint8_t)value;
    else if (offset == REG_WINDOW && size >= 4)
        write_index(a, (uint32_t)value);
    else if (offset == REG_EOI && size >= 4)
        ioapic_eoi(a, (uint8_t)value);
}

/* ---- state ---- */

void ioapic_save(const struct ioapic *a, struct state_writer *w)
{
    state_begin(w, "ioapic", 0, STATE_VERSION);
    state_put_u8(w, a->select);
    state_put_u8(w, a->id);
    state_put_u32(w, a->lines);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        state_put_u64(w, a->redir[i]);
    state_end(w);
}

int ioapic_load(struct ioapic *a, struct state_reader *r)
{
    int version = state_open(r, "ioapic", 0, STATE_VERSION);
    if (version < 0)
        return version;
    struct ioapic loaded = {.ops = a->ops, .opaque = a->opaque};
    loaded.select = state_get_u8(r);
    loaded.id = state_get_u8(r) & 0xf;
    loaded.lines = state_get_u32(r) & ((1u << IOAPIC_PINS) - 1);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        loaded.redir[i] = state_get_u64(r) & ((uint64_t)REDIR_HIGH_WRITABLE << 32 |
                                              REDIR_LOW_WRITABLE | REDIR_REMOTE_IRR);
    int ret = state_close(r);
    if (ret)
        return ret;
    *a = loaded;
    report_pins(a);
    return 0;
}
