/* What the files of the PCI transport share: virtio_pci.c (interrupts, doorbells, the BAR, life)
 * and virtio_pci_common.c (the common configuration structure). All with the device lock held. */
#ifndef DEV_VIRTIO_VIRTIO_PCI_INTERNAL_H
#define DEV_VIRTIO_VIRTIO_PCI_INTERNAL_H

#include <pthread.h>

#include "dev/pci/pci_provider.h"
#include "dev/virtio/virtio_transport.h"

struct virtio_pci {
    struct pci_device pci; /* first */
    struct virtio_device *dev;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    _Atomic uint16_t config_vector;
    pthread_mutex_t isr_lock; /* the ISR and the pin move together. Then the bus's INTx lock */
    uint8_t isr;
    uint8_t window_cap; /* offset of the PCI configuration access capability */
    uint64_t doorbells; /* where the ioeventfds are, 0: nowhere */
};

/* ---- virtio_pci.c ---- */

/* The interrupt status, which reading acknowledges (4.1.4.5.1). */
uint8_t virtio_pci_take_isr(struct virtio_pci *vp);

/* ---- virtio_pci_common.c ---- */

uint64_t virtio_pci_common_read(struct virtio_pci *vp, uint64_t off, unsigned size);
void virtio_pci_common_write(struct virtio_pci *vp, uint64_t off, unsigned size, uint64_t value);
/* As if the driver had written 0 to the status. */
void virtio_pci_common_reset(struct virtio_pci *vp);

#endif
