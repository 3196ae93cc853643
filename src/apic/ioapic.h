/* The I/O APIC (82093AA, as version 0x20 with an EOI register): 24 inputs, each of which sends an
 * MSI. A pure state machine: the caller holds its lock (apic/irqchip.h).
 *
 * A line is "asserted" or not: the polarity bit of a redirection entry is kept for the guest and
 * inverts nothing. Spec: Intel 82093AA datasheet (290566), Intel ICH9 datasheet 13.5 (EOI). */
#ifndef APIC_IOAPIC_H
#define APIC_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "bus/memory_map.h"
#include "state/state.h"

#define IOAPIC_PINS MEMORY_MAP_IOAPIC_PINS

struct ioapic_ops {
    /* Sends an interrupt. Returns 0, or -errno when no local APIC takes it. */
    int (*deliver)(void *opaque, const struct msi_message *msg);
    /* What the pins send has changed (all IOAPIC_PINS of them); comes before the first interrupt
     * of the new kind. */
    void (*pins_changed)(void *opaque, const struct bus_ioapic_pin *pins);
};

struct ioapic {
    uint8_t select; /* IOREGSEL */
    uint8_t id;
    uint32_t lines; /* asserted inputs */
    uint64_t redir[IOAPIC_PINS];
    const struct ioapic_ops *ops;
    void *opaque;
};

void ioapic_init(struct ioapic *a, const struct ioapic_ops *ops, void *opaque);
void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level);
/* A local APIC broadcast the EOI of this vector. */
void ioapic_eoi(struct ioapic *a, uint8_t vector);

/* Any offset within the page, any width. */
uint64_t ioapic_read(struct ioapic *a, uint64_t offset, unsigned size);
void ioapic_write(struct ioapic *a, uint64_t offset, unsigned size, uint64_t value);

/* Section "ioapic". Loading reports the pins. */
void ioapic_save(const struct ioapic *a, struct state_writer *w);
int ioapic_load(struct ioapic *a, struct state_reader *r);

#endif
