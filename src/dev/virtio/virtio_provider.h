/* For implementers of virtio devices. A device embeds struct virtio_device as its first member,
 * calls virtio_device_init(), sets its features and configuration size, and gets:
 *  - activate() when the driver sets DRIVER_OK: every enabled queue has its `vq` attached to the
 *    ring, its kick_fd live. The device hands its queues to its I/O thread(s): see
 *    dev/virtio/virtio_watch.h.
 *  - virtio_queue_interrupt() to tell the driver about used buffers, from any thread;
 *  - virtio_config_changed() for configuration-change interrupts, from any thread;
 *  - virtio_device_broken() when the driver broke the rules: the status gets NEEDS_RESET and the
 *    driver is told. The device stops serving the queue that failed (virtio_watch does) and leaves
 *    the queues at the reset() that follows.
 *
 * All slots but destroy run with the device lock held, in a vCPU's or the main thread. I/O threads
 * never take that lock, so a slot may wait for its I/O thread (loop_call()).
 *
 * Life: created -> [activate -> (pause -> resume)* -> reset]* -> destroy. reset() may come while
 * paused. No kick is lost: after activate() and after resume() the kick_fd of every enabled queue
 * is signalled once, so a device need not look for old requests itself.
 *
 * Load: a device is created, its load() slot is called (also when the driver was not ready yet),
 * and activate() follows at virtio_device_resume(), with the rings at the saved positions
 * (virtq_get_base() tells them, for a back end in another process). */
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
    /* Device-specific configuration space. `off + len` is within config_bytes. Both optional: a
     * device without has config_bytes 0, writes without a slot are ignored. */
    void (*config_read)(struct virtio_device *dev, uint32_t off, void *buf, unsigned len);
    void (*config_write)(struct virtio_device *dev, uint32_t off, const void *buf, unsigned len);
    /* The driver is ready: start serving the enabled queues. An error breaks the device (and
     * reset() still follows). */
    int (*activate)(struct virtio_device *dev, struct err *err);
    /* Leave the queues; on return no thread touches guest memory. Also called on destroy, if the
     * device is active then. */
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
     * Both optional. save() is called while paused. */
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
    int kick_fd; /* eventfd: readable when the driver kicked; -1 until attached to a transport */
    _Atomic uint16_t msix_vector;
};

/* What the transport gives to a device. */
struct virtio_transport_ops {
    void (*interrupt)(void *opaque, unsigned queue); /* used buffers; any thread */
    void (*config_interrupt)(void *opaque); /* configuration or status changed; any thread */
    /* An eventfd that another process may signal in place of interrupt(); -errno if none. */
    int (*interrupt_fd)(void *opaque, unsigned queue);
    /* Activated / about to be reset, with the device lock held: doorbells on and off. Optional. */
    void (*active_changed)(void *opaque, bool active);
};

struct virtio_device {
    const struct virtio_device_ops *ops;
    uint16_t device_id;         /* virtio 1.2, 5: 1 net, 2 block, 3 console, ... */
    unsigned instance;          /* which of several of this kind */
    uint64_t features_offered;  /* besides VIRTIO_F_COMMON, which the core adds */
    uint64_t features_withheld; /* of VIRTIO_F_COMMON, what the back end cannot do */
    uint64_t features_driver;   /* as the driver wrote them; frozen by FEATURES_OK */
    uint64_t features;          /* negotiated */
    _Atomic uint8_t status;
    uint32_t config_bytes;
    _Atomic uint8_t config_generation;
    unsigned n_queues;
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
    struct virtq_xlate xlate; /* filled in by virtio_device_init() */
    struct guest_mem *mem;
    bool active, paused;
    bool activate_pending;                        /* DRIVER_OK seen, activate() is due at resume */
    const struct virtio_transport_ops *transport; /* NULL until attached */
    void *transport_opaque;
    void (*broken)(void *opaque,
                   const struct err *why); /* it needs a reset; optional, any thread */
    void *broken_opaque;
};

/* Fills in the core's part of a zeroed device: identity, translation over `mem` (borrowed, with
 * dirty marking), `n_queues` queues of at most `queue_size` entries. The device sets
 * features_offered and config_bytes itself. */
void virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
                        uint16_t device_id, struct guest_mem *mem, unsigned n_queues,
                        uint16_t queue_size);

static inline bool virtio_has(const struct virtio_device *dev, uint64_t feature)
{
    return (dev->features & feature) != 0;
}

/* After virtq_publish() said so. Threads: any. */
void virtio_queue_interrupt(struct virtio_device *dev, unsigned queue);
/* Signals the queue's own kick_fd: look again soon. Threads: any. */
void virtio_queue_kick(struct virtio_device *dev, unsigned queue);
/* The configuration space reads differently now. Threads: any. */
void virtio_config_changed(struct virtio_device *dev);
/* Logs (rate-limited) why, sets NEEDS_RESET, interrupts and calls broken(). Threads: any. */
void virtio_device_broken(struct virtio_device *dev, const struct err *why);
static inline bool virtio_device_is_broken(const struct virtio_device *dev)
{
    return atomic_load_explicit(&dev->status, memory_order_relaxed) & VIRTIO_STATUS_NEEDS_RESET;
}

#endif
