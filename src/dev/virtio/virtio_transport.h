/* For implementers of virtio transports (virtio_pci.c; the tests' own): the part of a virtio device
 * that every transport drives in the same way: feature negotiation, the status machine, queue
 * set-up, activation, save and load. All with the device lock held. Spec: virtio 1.2, 2.1, 3.1. */
#ifndef DEV_VIRTIO_VIRTIO_TRANSPORT_H
#define DEV_VIRTIO_VIRTIO_TRANSPORT_H

#include "dev/virtio/virtio_provider.h"

#define VIRTIO_NO_VECTOR 0xffff

/* Attaches a transport and makes the kick eventfds. Errors: EMFILE. */
int virtio_transport_attach(struct virtio_device *dev, const struct virtio_transport_ops *ops,
                            void *opaque, struct err *err);

/* All features the driver may choose from. */
uint64_t virtio_transport_features(const struct virtio_device *dev);
/* What the driver chose; ignored once FEATURES_OK is set. */
void virtio_transport_set_features(struct virtio_device *dev, uint64_t features);

/* The driver wrote the status register: 0 resets; FEATURES_OK stays clear if the features are
 * refused; DRIVER_OK activates, or leaves the device with NEEDS_RESET. Bits that are set are never
 * cleared but by reset. */
void virtio_transport_set_status(struct virtio_device *dev, uint8_t value);
void virtio_transport_reset(struct virtio_device *dev);

/* Whether the driver may (still) program a queue: it exists, is not enabled and the driver is not
 * ready. */
bool virtio_transport_queue_open(const struct virtio_device *dev, unsigned queue);

/* Configuration space with bounds: reads beyond it are zero, writes are ignored. */
void virtio_transport_config_read(struct virtio_device *dev, uint64_t off, void *buf, unsigned len);
void virtio_transport_config_write(struct virtio_device *dev, uint64_t off, const void *buf,
                                   unsigned len);

/* Features, status, rings and the device's own state, inside the transport's open section. Saving
 * needs a paused device. Loading needs a fresh one, leaves it paused, and checks everything. */
void virtio_transport_save(struct virtio_device *dev, struct state_writer *w);
int virtio_transport_load(struct virtio_device *dev, struct state_reader *r);

#endif
