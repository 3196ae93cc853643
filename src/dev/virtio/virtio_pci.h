/* The PCI transport of virtio devices, modern only. Spec: virtio 1.2, 4.1. */
#ifndef DEV_VIRTIO_VIRTIO_PCI_H
#define DEV_VIRTIO_VIRTIO_PCI_H

#include "dev/pci/pci.h"
#include "dev/virtio/virtio.h"

/* Makes a PCI device of a virtio device and puts it into a slot (PCI_SLOT_ANY: the first free).
 * It has one MSI-X vector a queue and one for configuration changes, and falls back to INTA.
 * Returns the slot, or -errno (see pci_root_add(), pci_msix_init()).
 * Owns: takes `dev` on success, and pci_root_remove() or pci_root_destroy() destroys it; on failure
 * it stays the caller's. Threads: with the device lock held, or before vCPUs run. */
int virtio_pci_create(struct bus *bus, struct pci_root *root, unsigned slot,
                      struct virtio_device *dev, struct err *err);

/* The virtio device in a slot; NULL if there is none or it is not one. Borrowed. */
struct virtio_device *virtio_pci_device(const struct pci_root *root, unsigned slot);

#endif
