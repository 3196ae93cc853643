/* For implementers of virtio devices. A device embeds struct virtio_device as its first member,
 * fills in `ops`, the identity and the queues, and gets:
 *  - activate() when the driver sets DRIVER_OK: every enabled queue has its `vq` attached to the
 *    ring, its kick_fd live. The device hands its queues to its I/O thread(s).
 *  - virtio_queue_interrupt() to tell the driver about used buffers, from any thread;
 *  - virtio_config_changed() for configuration-change interrupts, from any thread;
 *  - virtio_device_broken() when the driver broke the rules: the status gets NEEDS_RESET, the
 *    queues stop. Any thread; queues that another thread owns must still be left by reset().
 *
 * All slots but destroy run with the device lock held, in a vCPU's or the main thread. I/O threads
 * never take that lock, so a slot may wait for its I/O thread (loop_call()). */
#ifndef DEV_VIRTIO_VIRTIO_PROVIDER_H
#define DEV_VIRTIO_VIRTIO_PROVIDER_H

#include <stdatomic.h>
#include <stddef.h>

#include "dev/virtio/virtio.h"
#include "mem/guest_mem.h"

struct virtio_device_ops {
    const char *name; /* state section name, log name: "virtio-blk" */
    /* Optional. The driver accepted `dev->features`; refuse a combination with -EINVAL. */
    int (*features_ok)(struct virtio_device *dev, struct err *err);
    /* Device-specific configuration space. `off + len` is within config_bytes. Write is optional.
     */
    void (*config_read)(struct virtio_device *dev, uint32_t off, void *buf, unsigned len);
    void (*config_write)(struct virtio_device *dev, uint32_t off, const void *buf, unsigned len);
    /* The driver is ready: start serving the enabled queues. An error breaks the device. */
    int (*activate)(struct virtio_device *dev, struct err *err);
    /* Leave the queues; on return no thread touches guest memory. Also called on destroy. */
    void (*reset)(struct virtio_device *dev);
    /* See virtio_device_pause() and _resume(); only called while active. */
    void (*pause)(struct virtio_device *dev);
    void (*resume)(struct virtio_device *dev);
    /* Optional: for queues served by another process, whose writes to guest memory neither the
     * engine nor mem->dirty sees. Start and stop its log; sync moves what it logged so far into
     * mem->dirty. Called with the device lock held. */
    int (*log_start)(struct virtio_device *dev, struct err *err);
    void (*log_sync)(struct virtio_device *dev);
    void (*log_stop)(struct virtio_device *dev);
    /* Device-private state inside an open section; the transport saves features, status and rings.
     */
    void (*save)(struct virtio_device *dev, struct state_writer *w);
    int (*load)(struct virtio_device *dev, struct state_reader *r);
    /* Frees the object. */
    void (*destroy)(struct virtio_device *dev);
};

struct virtio_queue {
    struct virtq vq;
    struct virtq_config config; /* as the driver programmed it */
    uint16_t size_max;
    bool enabled;
    int kick_fd; /* eventfd: readable when the driver kicked. Owned by the transport */
    uint16_t msix_vector;
};

/* What the transport gives to a device. */
struct virtio_transport_ops {
    void (*interrupt)(void *opaque, unsigned queue); /* used buffers; any thread */
    void (*config_interrupt)(void *opaque); /* configuration or status changed; any thread */
    /* An eventfd that another process may signal in place of interrupt(); -errno if none. */
    int (*interrupt_fd)(void *opaque, unsigned queue);
};

struct virtio_device {
    const struct virtio_device_ops *ops;
    uint16_t device_id;         /* virtio 1.2, 5: 1 net, 2 block, 3 console, ... */
    unsigned instance;          /* which of several of this kind */
    uint64_t features_offered;  /* besides the common ones, which the transport adds */
    uint64_t features_withheld; /* of the common ones, those the transport must not add: what a
                                 * vhost-user back end cannot do */
    uint64_t features;          /* negotiated */
    _Atomic uint8_t status;
    uint32_t config_bytes;
    _Atomic uint8_t config_generation;
    unsigned n_queues;
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
    struct virtq_xlate xlate; /* filled in before activate() */
    struct guest_mem *mem;
    bool active, paused;
    const struct virtio_transport_ops *transport; /* NULL until attached */
    void *transport_opaque;
};

static inline bool virtio_has(const struct virtio_device *dev, uint64_t feature)
{
    return (dev->features & feature) != 0;
}

/* After virtq_publish() said so. Threads: any. */
void virtio_queue_interrupt(struct virtio_device *dev, unsigned queue);
void virtio_config_changed(struct virtio_device *dev);
/* Logs (rate-limited) why, sets NEEDS_RESET and interrupts. Threads: any. */
void virtio_device_broken(struct virtio_device *dev, const struct err *why);

#endif
