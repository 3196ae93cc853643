/* virtio-console with one port (hvc0 in the guest). Spec: virtio 1.2, 5.3.
 *
 * Bytes go straight between the ring and the back end; nothing is kept here. What the back end
 * cannot take waits in the guest's ring, what the guest has no buffer for waits with the back end.
 */
#ifndef DEV_VIRTIO_VIRTIO_CONSOLE_H
#define DEV_VIRTIO_VIRTIO_CONSOLE_H

#include "dev/virtio/virtio.h"
#include "io/loop.h"
#include "mem/guest_mem.h"

/* Called in the loop's thread. */
struct virtio_console_backend {
    /* Takes what the guest sent; returns how many bytes it took (all, if it drops what it cannot
     * keep). After fewer, the device waits for virtio_console_output_ready(). Must not block. */
    size_t (*output)(void *opaque, const void *data, size_t len);
    /* The guest has buffers again after virtio_console_input() took less than it was given. May be
     * NULL. */
    void (*input_ready)(void *opaque);
    void *opaque;
};

struct virtio_console_options {
    struct loop *loop;
    uint16_t cols, rows; /* 0: the guest is not told */
    struct virtio_console_backend backend;
};

struct virtio_device *virtio_console_create(struct guest_mem *mem,
                                            const struct virtio_console_options *options,
                                            struct err *err);

/* Gives received bytes to the guest; returns how many fitted into its buffers, 0 while no driver
 * listens. Threads: the loop's. */
size_t virtio_console_input(struct virtio_device *dev, const void *data, size_t len);

/* The back end has room again. Threads: the loop's. */
void virtio_console_output_ready(struct virtio_device *dev);

/* The terminal has a new size. Called with the device lock held. */
void virtio_console_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows);

#endif
