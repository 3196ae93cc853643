/* The register block through which the DSDT and the machine talk about PCI slots that come and go:
 * 16 bytes of I/O ports at MEMORY_MAP_PCI_HOTPLUG, bit n of each register being slot n.
 *
 *   OFFSET  SIZE  MEANING
 *   0       4     UP: slots that got a device since the last read. Reading clears
 *   4       4     DOWN: slots whose device is asked to go. Reading clears
 *   8       4     EJECT: writing a bit says the guest is done with the slot's device
 *   12      4     PRESENT: slots that hold a device. Read-only
 *
 * A change raises GPE0 bit MEMORY_MAP_GPE_PCI_HOTPLUG, whose AML method reads UP and DOWN once each
 * and notifies the slots. All are 32-bit registers; other widths read ones and write nothing. */
#ifndef DEV_CHIPSET_PCI_HOTPLUG_H
#define DEV_CHIPSET_PCI_HOTPLUG_H

#include <stdint.h>

#include "bus/bus.h"
#include "dev/chipset/acpi_pm.h"
#include "state/state.h"

struct pci_hotplug {
    struct bus *bus;
    struct acpi_pm *pm;
    struct bus_region region;
    uint32_t up, down, present;
    void (*eject)(void *opaque, unsigned slot); /* the guest let go; device lock held */
    void *opaque;
};

/* Errors: those of bus_add(). */
int pci_hotplug_init(struct pci_hotplug *hp, struct bus *bus, struct acpi_pm *pm,
                     void (*eject)(void *opaque, unsigned slot), void *opaque, struct err *err);
void pci_hotplug_fini(struct pci_hotplug *hp);

/* The slot holds a device from now on (`notify`: tell the guest). Device lock held. */
void pci_hotplug_plugged(struct pci_hotplug *hp, unsigned slot, bool notify);
/* Asks the guest to let the slot's device go; eject() follows if it does. Device lock held. */
void pci_hotplug_request_eject(struct pci_hotplug *hp, unsigned slot);
/* The slot is empty from now on. Device lock held. */
void pci_hotplug_unplugged(struct pci_hotplug *hp, unsigned slot);
/* Forgets what the guest was told: it will scan the bus anew. */
void pci_hotplug_reset(struct pci_hotplug *hp);

void pci_hotplug_save(const struct pci_hotplug *hp, struct state_writer *w);
/* `present` is the machine's own knowledge: it is checked, not replaced. */
int pci_hotplug_load(struct pci_hotplug *hp, struct state_reader *r);

#endif
