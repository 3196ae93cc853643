/* virtio-blk: a disk over a block backend. Spec: virtio 1.2, 5.2.
 *
 * All queues of a disk are served by the loop of its backend; give each disk an iothread of its own
 * and a slow one holds up nobody. */
#ifndef DEV_VIRTIO_VIRTIO_BLK_H
#define DEV_VIRTIO_VIRTIO_BLK_H

#include <stdatomic.h>

#include "base/token_bucket.h"
#include "blk/blk.h"
#include "dev/virtio/virtio.h"
#include "mem/guest_mem.h"

#define VIRTIO_BLK_QUEUES_MAX 32

/* What happens when the backend fails a request. */
enum virtio_blk_policy {
    VIRTIO_BLK_REPORT, /* the guest gets an I/O error */
    VIRTIO_BLK_STOP,   /* the request is kept, no more are taken, and the monitor is told: it pauses
                          the VM; virtio_device_resume() tries again */
};

struct virtio_blk_error {
    enum blk_op op;
    int error; /* positive errno value */
    uint64_t offset, len_bytes;
    bool stopped; /* the policy was to stop */
};

struct virtio_blk_options {
    struct loop *loop;   /* of the backend */
    unsigned n_queues;   /* 0: 1 */
    uint16_t queue_size; /* 0: 256 */
    const char *serial;  /* at most 20 bytes are shown; NULL: none */
    enum virtio_blk_policy on_error, on_enospc;
    struct rate_limit limit;
    /* Told about each failed request, in the loop's thread (post it on, and take no lock that
     * waits for this thread). May be NULL: then nothing stops. */
    void (*io_error)(void *opaque, const struct virtio_blk_error *e);
    void *opaque;
};

/* Owns `backend` once it succeeds: destroyed with the device. Read-only is the backend's. */
struct virtio_device *virtio_blk_create(struct guest_mem *mem, struct blk *backend,
                                        const struct virtio_blk_options *options, struct err *err);

/* The rest is for a device made by virtio_blk_create(), while the device lock is held or when no
 * vCPU runs. */

/* A new limit, from now on. Blocks. */
void virtio_blk_set_limit(struct virtio_device *dev, const struct rate_limit *limit);
/* Looks again how large the image is and tells the guest. Returns the size. Blocks. */
int virtio_blk_refresh(struct virtio_device *dev, uint64_t *size_bytes, struct err *err);

/* Makes all that was written durable, the image's own tables included. Blocks. Threads: any but the
 * loop's, while the device is paused. Errors: those of the backend's flush. */
int virtio_blk_flush(struct virtio_device *dev);

/* Reads from the backend as a machine's loader does, past the guest's queues and limits. Blocks.
 * Threads: any, while the device is paused or no vCPU has run. Errors: those of the backend's read,
 * EINVAL (not within the disk). */
int virtio_blk_read(struct virtio_device *dev, uint64_t offset, void *buf, size_t bytes);
/* As the guest sees it. Threads: any. */
uint64_t virtio_blk_size_bytes(const struct virtio_device *dev);

struct virtio_blk_counters {
    _Atomic uint64_t reads, writes, flushes, discards; /* finished well */
    _Atomic uint64_t read_bytes, written_bytes;
    _Atomic uint64_t errors, throttled;
};
/* Borrowed. Threads: any. */
const struct virtio_blk_counters *virtio_blk_counters(const struct virtio_device *dev);

#endif
