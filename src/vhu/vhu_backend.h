/* The back end of a vhost-user connection: serves the queues of a virtio device that lives in
 * another process (a monitor of ours or anybody's). The tests' back ends use it, and the volume
 * engine and the switch will.
 *
 * One object is one connection. All of it runs in one loop's thread: messages, kicks, and the
 * user's calls. The peer is not trusted: what it says is checked, its memory is bounded and, with
 * VHU_BACKEND_DEMAND_SEALS, must be unable to shrink under us; nothing waits for it.
 *
 * A ring is live between ring_start() and ring_stop(). The user takes requests from a live ring
 * with vhu_backend_pop(), completes them in any order with vhu_backend_push() and makes the
 * completions visible with vhu_backend_flush(). After ring_stop() it takes no more, but must still
 * complete what it has taken; the peer gets its answer when the last one has been flushed. */
#ifndef VHU_VHU_BACKEND_H
#define VHU_VHU_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "virtq/virtq.h"

#define VHU_BACKEND_RINGS_MAX 64

struct vhu_backend;

struct vhu_backend_ops {
    /* Configuration space; `off + len` is within config_bytes. Write is optional and may refuse. */
    void (*config_read)(void *opaque, uint32_t off, void *buf, uint32_t len);
    int (*config_write)(void *opaque, uint32_t off, const void *buf, uint32_t len);
    /* Optional. A refusal (-errno) is told to the peer. */
    int (*ring_start)(void *opaque, unsigned ring, struct err *err);
    void (*ring_stop)(void *opaque, unsigned ring);
    /* The driver kicked, or the ring has just become live: requests may wait. */
    void (*ring_kick)(void *opaque, unsigned ring);
    /* The connection has ended, why says how; every ring is stopped and every request completed.
     * Called once, never from inside another call of the user's; vhu_backend_destroy() is all that
     * is left to do, here or later. */
    void (*closed)(void *opaque, const struct err *why);
};

enum vhu_backend_flags {
    VHU_BACKEND_DEMAND_SEALS = 1 << 0, /* memory must be a memfd sealed against shrinking: without
                                        * that a peer can kill this process */
    VHU_BACKEND_INFLIGHT = 1 << 1,     /* offer in-flight tracking (split rings only) */
};

struct vhu_backend_config {
    const struct vhu_backend_ops *ops;
    void *opaque;
    uint64_t features; /* virtio features offered, the common ones included */
    unsigned n_rings;
    uint32_t config_bytes; /* at most 256; 0: the front end has its own */
    unsigned flags;
};

/* Serves the connected socket `fd` in `loop`. Owns: takes `fd`, also when it fails.
 * Threads: the loop's. */
struct vhu_backend *vhu_backend_create(struct loop *loop, int fd,
                                       const struct vhu_backend_config *config, struct err *err);
/* After closed(), or while no ring is live and nothing is in flight. NULL is allowed. */
void vhu_backend_destroy(struct vhu_backend *b);

bool vhu_backend_ring_live(const struct vhu_backend *b, unsigned ring);
/* The queue of a live ring, for virtq_enable_kicks() and the like; not for pop, push, publish. */
struct virtq *vhu_backend_vq(struct vhu_backend *b, unsigned ring);

/* As virtq_pop(), virtq_unpop(), virtq_push(); requests that a dead predecessor had taken come
 * first. A malformed ring is reported to the peer and stopped: pop returns 0 from then on. */
int vhu_backend_pop(struct vhu_backend *b, unsigned ring, struct virtq_chain *chain);
void vhu_backend_unpop(struct vhu_backend *b, unsigned ring, const struct virtq_chain *chain);
void vhu_backend_push(struct vhu_backend *b, unsigned ring, const struct virtq_chain *chain,
                      uint32_t written_bytes);
/* Makes completions visible and calls the driver if it wants that. */
void vhu_backend_flush(struct vhu_backend *b, unsigned ring);

/* Tells the front end that configuration space changed. */
void vhu_backend_config_changed(struct vhu_backend *b);

#endif
