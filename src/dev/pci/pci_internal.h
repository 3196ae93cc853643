/* Between pci_root.c, pci_device.c and pci_msix.c. */
#ifndef DEV_PCI_PCI_INTERNAL_H
#define DEV_PCI_PCI_INTERNAL_H

#include <pthread.h>

#include "dev/pci/pci_provider.h"

struct pci_root {
    struct bus *bus;
    struct pci_device *devices[PCI_SLOTS];
    struct pci_window window32, window64;
    uint32_t address; /* port 0xcf8 */
    const struct bus_region *reset_control;
    struct bus_region ports, ecam;
    pthread_mutex_t intx_lock; /* a leaf but for the interrupt controllers' */
    unsigned intx_asserted[4]; /* how many devices drive each of the four lines */
    struct pci_device host_bridge;
};

/* Brings the decoded BARs of all devices in line with their configuration spaces. */
void pci_root_remap(struct pci_root *root);
/* Where the configuration space says that a BAR lies, whether decoded or not. */
uint64_t pci_bar_address(const struct pci_device *dev, unsigned bar);
void pci_bar_assign(struct pci_device *dev, unsigned bar, uint64_t addr);
/* Clears every writable bit of the configuration space, and MSI-X. */
void pci_device_reset(struct pci_device *dev);
/* The interrupt disable bit: the level is remembered, the line is not driven. */
void pci_intx_disable(struct pci_device *dev, bool disabled);

void pci_msix_fini(struct pci_device *dev);
/* The capability's control word may have changed. */
void pci_msix_control_written(struct pci_device *dev, unsigned off, unsigned len);
/* Switches MSI-X off and masks every vector, as at power-on. */
void pci_msix_reset(struct pci_device *dev);
void pci_msix_save(const struct pci_device *dev, struct state_writer *w);
int pci_msix_load(struct pci_device *dev, struct state_reader *r);

#endif
