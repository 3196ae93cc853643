/* The PCI bus of a machine: one root bus with 32 slots of one function each, reached through ports
 * 0xcf8/0xcfc and through ECAM, with a host bridge in slot 0. BARs are assigned when a device is
 * added, so that a kernel booted without firmware finds them. Devices implement pci_provider.h.
 *
 * All functions need the device lock (bus_lock()), or that no vCPU runs yet.
 * Spec: PCI Local Bus 3.0; PCI Express Base (ECAM, 7.2.2). */
#ifndef DEV_PCI_PCI_H
#define DEV_PCI_PCI_H

#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "bus/memory_map.h"
#include "state/state.h"

#define PCI_SLOTS    32
#define PCI_SLOT_ANY 0xff

struct pci_root;
struct pci_device;

struct pci_window {
    uint64_t base, size;
};

/* Creates the bus and adds its registers to `bus`. `ram_end`: first guest-physical address above
 * all RAM; the 64-bit window begins at the next GiB boundary, above 4 GiB. Owns:
 * pci_root_destroy(), which destroys the devices too. */
struct pci_root *pci_root_create(struct bus *bus, uint64_t ram_end, struct err *err);
void pci_root_destroy(struct pci_root *root);

/* The window above 4 GiB that BARs may lie in, for the host bridge's _CRS. */
struct pci_window pci_root_window64(const struct pci_root *root);

/* Puts a device into a slot (PCI_SLOT_ANY: the first free one from 1 on) and assigns its BARs.
 * Returns the slot, or -errno: EBUSY (slot taken), ENOSPC (no slot, no window space).
 * Owns: takes the device on success. */
int pci_root_add(struct pci_root *root, struct pci_device *dev, unsigned slot, struct err *err);

/* Takes the device out of a slot and destroys it; its addresses are free again. An empty slot and
 * the host bridge are left alone. Blocks while the device's I/O threads let go. */
void pci_root_remove(struct pci_root *root, unsigned slot);

/* The machine was reset: every device is as new, with its BARs assigned again. Blocks as above. */
void pci_root_reset(struct pci_root *root);

/* The device in a slot, or NULL. */
struct pci_device *pci_root_device(const struct pci_root *root, unsigned slot);
/* Bit n set: slot n holds a device (bit 0: the host bridge). */
uint32_t pci_root_slots(const struct pci_root *root);

/* What byte accesses to port 0xcf9 reach, which lies inside the address register: the chip set's
 * reset control register. Borrowed; NULL: nothing. */
void pci_root_set_reset_control(struct pci_root *root, const struct bus_region *region);

/* The interrupt line of pin 0 to 3 (INTA to INTD) of a slot, for the _PRT. */
static inline unsigned pci_gsi(unsigned slot, unsigned pin)
{
    return MEMORY_MAP_IRQ_PCI_BASE + (slot + pin) % 4;
}

/* Section "pci-root" and the sections of every device in slot order. Loading needs the same devices
 * in the same slots, not used yet. */
void pci_root_save(const struct pci_root *root, struct state_writer *w);
int pci_root_load(struct pci_root *root, struct state_reader *r);

#endif
