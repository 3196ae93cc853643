/* A virtio device whose queues another process serves over vhost-user: what vhu_blk, vhu_net and fs
 * have in common. Requests never pass through this process: the guest's doorbells are eventfds that
 * the back end waits for, its interrupts are eventfds that the back end signals.
 *
 * Life of a connection. The device is created over a live connection, from which it learns what it
 * can offer. When the back end dies or misbehaves, the connection is dropped, a new one is asked of
 * the connector again and again with growing pauses, and the rings go on where they stood, if what
 * was in flight is known (see enum vhu_loss); else the device needs a reset by its driver. A back
 * end that comes back must be able to do all it could before.
 *
 * Threads. All messages are exchanged in the thread of one loop, each exchange under a deadline.
 * The slots that must wait (pause, reset) wait for at most that; activation and configuration
 * writes only wake the loop. Where several devices share a loop, a bad peer of one delays the
 * others, so give each back end that is not trusted a loop of its own. */
#ifndef DEV_VIRTIO_VHU_DEVICE_H
#define DEV_VIRTIO_VHU_DEVICE_H

#include <pthread.h>

#include "dev/virtio/virtio_provider.h"
#include "io/loop.h"
#include "vhu/vhu_front.h"

#define VHU_DEVICE_TIMEOUT_MS 5000

/* Where a new connection comes from when the old one has ended. */
struct vhu_connector {
    /* Returns a connected stream socket, or -errno to be asked again later. Runs in the loop's
     * thread and must not wait. */
    int (*connect)(void *opaque, struct err *err);
    void *opaque;
};

struct vhu_device_options {
    struct loop *loop;
    int fd;                                /* connected; taken, also when creation fails */
    const struct vhu_connector *connector; /* NULL: only vhu_device_reconnect() helps */
    unsigned timeout_ms;                   /* for one exchange; 0: VHU_DEVICE_TIMEOUT_MS */
    uint16_t queue_size;                   /* 0: 256 */
};

/* What becomes of requests that a dead back end had taken. */
enum vhu_loss {
    VHU_LOSS_REPLAYED, /* its successor runs them, if it kept an in-flight area; else NEEDS_RESET,
                        * unless nothing was in flight */
    VHU_LOSS_DROPPED,  /* lost, as packets may be */
    VHU_LOSS_FATAL,    /* the back end's own state is lost: NEEDS_RESET */
};

struct vhu_device;

/* What a kind of device adds. Slots run in the loop's thread and may be NULL. */
struct vhu_kind {
    uint64_t features;          /* offered if the back end has them */
    uint64_t protocol_features; /* besides those every device uses */
    uint64_t need_protocol;     /* without which the back end is of no use */
    enum vhu_loss loss;
    uint32_t config_bytes; /* read from the back end (VHU_PF_CONFIG); 0: the device has its own */
    /* Corrects what the back end said of itself. */
    void (*config_fix)(struct vhu_device *vd, uint8_t *config);
    void (*link)(struct vhu_device *vd, bool up);
    /* Once the features are agreed on, before memory and rings are handed over. */
    int (*set_up)(struct vhu_device *vd, struct err *err);
};

/* One ring, as handed to the back end. Filled in with the device lock held while the loop does not
 * use it; the loop's from then on. */
struct vhu_device_ring {
    struct vhu_front_ring front;
    bool used;    /* the driver enabled the queue and the back end serves it */
    bool enable;  /* the back end may process it (multi-queue NICs enable some) */
    bool started; /* the back end has it */
    const uint8_t *driver_area, *device_area;
    int own_call_fd; /* in place of a transport's interrupt eventfd; -1 */
    struct loop_fd call_watch;
};

struct vhu_device {
    struct virtio_device dev;
    const struct vhu_kind *kind;
    struct loop *loop;
    struct vhu_connector connector;
    unsigned timeout_ms;
    uint16_t queue_size;
    uint64_t need_features; /* a successor must offer these */
    unsigned n_remote; /* the first queues are the back end's; changed in the loop's thread only */

    /* From any thread. */
    int wake_fd; /* wakes the loop for start_wanted and for what the driver configured */
    struct loop_fd wake;
    _Atomic bool start_wanted;
    pthread_mutex_t config_lock; /* a leaf */
    uint8_t config[VHU_CONFIG_MAX];
    uint32_t config_dirty_off, config_dirty_len; /* written by the driver, not told yet */

    /* The loop's. */
    struct vhu_front front;
    struct loop_fd socket, channel;
    struct loop_prepare
        look; /* for a change of the config that came in the middle of an exchange */
    struct loop_timer retry;
    unsigned backoff_ms;
    int64_t connected_ns;
    bool want_run; /* the driver is ready and the device not paused */
    bool running;  /* the rings are the back end's */
    bool unclean;  /* rings were taken from a back end that did not give them back */
    uint64_t run_features;
    struct vhu_device_ring rings[VIRTIO_QUEUES_MAX];
    struct vhu_front_inflight inflight; /* fd -1: none */
    int log_fd;
    _Atomic(uint64_t) *log; /* one bit a page from guest address 0; NULL while off */
    uint64_t log_bytes;
};

/* Meets the back end: agrees on features, learns front.n_queues_max and the configuration space.
 * `vd` is zeroed. Errors: as vhu_front_open(); EPROTO if the back end lacks what the kind needs. On
 * failure nothing is left to free. Blocks: up to the timeout. */
int vhu_device_open(struct vhu_device *vd, const struct vhu_kind *kind,
                    const struct vhu_device_options *options, struct err *err);
/* Fills in the core's virtio_device, then watches the connection. `n_queues` are those the device
 * has, of which the first `n_remote` are the back end's. Errors: EINVAL if guest memory is not
 * shared; on failure, vhu_device_fini() has been done. */
int vhu_device_init(struct vhu_device *vd, const struct virtio_device_ops *ops, uint16_t device_id,
                    struct guest_mem *mem, unsigned n_queues, unsigned n_remote, struct err *err);
/* Closes and releases all but the object's own memory. */
void vhu_device_fini(struct vhu_device *vd);

/* The slots of struct virtio_device_ops that all kinds share. */
void vhu_device_config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len);
int vhu_device_activate(struct virtio_device *dev, struct err *err);
void vhu_device_reset(struct virtio_device *dev);
void vhu_device_pause(struct virtio_device *dev);
void vhu_device_resume(struct virtio_device *dev);
int vhu_device_log_start(struct virtio_device *dev, struct err *err);
void vhu_device_log_sync(struct virtio_device *dev);
void vhu_device_log_stop(struct virtio_device *dev);
void vhu_device_save(struct virtio_device *dev, struct state_writer *w);
int vhu_device_load(struct virtio_device *dev, struct state_reader *r);

/* Changes configuration bytes on behalf of the driver and has the back end told, soon. */
void vhu_device_config_store(struct vhu_device *vd, uint32_t off, const void *buf, unsigned len);
/* Lets the back end process a ring, or not. Threads: the loop's. */
void vhu_device_ring_enable(struct vhu_device *vd, unsigned queue, bool enable);
/* Hands over a new connection in place of the old one, dead or alive (then its back end is asked to
 * stop first). Owns: takes `fd`. Threads: any but under a lock the loop's thread takes. Blocks. */
int vhu_device_reconnect(struct virtio_device *dev, int fd, struct err *err);

#endif
