/* What virtio_blk.c (the device), virtio_blk_request.c (a request's life) and virtio_blk_state.c
 * (save and load) share. Everything but `wce` and `capacity` belongs to the loop's thread while the
 * device is active. */
#ifndef DEV_VIRTIO_VIRTIO_BLK_INTERNAL_H
#define DEV_VIRTIO_VIRTIO_BLK_INTERNAL_H

#include <linux/virtio_blk.h>

#include "dev/virtio/virtio_blk.h"
#include "dev/virtio/virtio_provider.h"
#include "dev/virtio/virtio_watch.h"

#define VBLK_SEG_MAX       254
#define VBLK_IOV_MAX       (VBLK_SEG_MAX + 2)
#define VBLK_HEADER_BYTES  16
#define VBLK_RANGE_BYTES   16 /* struct virtio_blk_discard_write_zeroes */
#define VBLK_RANGES_MAX    16
#define VBLK_RANGE_SECTORS (UINT32_C(0x80000000) / 512)
#define VBLK_SIZE_MAX      (UINT32_C(4) << 20)

/* Most requests have a header, a buffer or a few, and a status: those fit into the request, so that
 * a queue that could hold many long ones costs memory only once it does. */
#define VBLK_FEW 6

struct virtio_blk_segments {
    struct iovec iov[VBLK_IOV_MAX];
    uint64_t in_gpa[VBLK_IOV_MAX];
};

struct virtio_blk_request {
    struct blk_request blk;
    struct virtio_blk_queue *queue;
    struct virtio_blk_request *next; /* on the free list or among those held */
    struct virtq_chain chain;
    uint32_t type;
    uint64_t sector;
    unsigned range; /* discard, write zeroes: which is being done */
    uint8_t *status;
    struct iovec few_iov[VBLK_FEW];
    uint64_t few_in_gpa[VBLK_FEW];
};

struct virtio_blk_queue {
    struct virtio_watch watch;
    struct vblk *vblk;
    struct virtio_blk_request *requests, *free;
    unsigned n_requests, n_used; /* those never used are not on the free list, and not touched */
    struct virtio_blk_segments
        *segments; /* one a request, and one to pop into; pages come with use */
    bool to_publish;
};

/* A request that was held when the device was saved: what is needed to have it again. */
struct virtio_blk_saved {
    uint16_t queue, id, n_desc, n_out, n_in;
    uint32_t type;
    uint64_t sector;
    uint8_t op;
    unsigned range;
    uint64_t gpa[VBLK_IOV_MAX];
    uint32_t len[VBLK_IOV_MAX];
};

struct vblk {
    struct virtio_device dev;
    struct blk *backend;
    struct virtio_blk_options options;
    char serial[VIRTIO_BLK_ID_BYTES];
    _Atomic uint64_t capacity_sectors;
    _Atomic bool wce; /* the guest flushes itself; otherwise every write is flushed */
    struct rate_limiter limiter;
    struct loop_timer throttle;
    struct loop_prepare publish;
    bool stopped;
    struct virtio_blk_request *held, **held_tail;
    struct virtio_blk_saved *saved; /* loaded, until activate() */
    unsigned n_saved;
    struct virtio_blk_counters counters;
    struct virtio_blk_queue queues[VIRTIO_BLK_QUEUES_MAX];
};

bool virtio_blk_serve(struct virtio_watch *w);
void virtio_blk_throttle_over(struct loop_timer *t);
/* Runs the requests that were held again. */
void virtio_blk_retry(struct vblk *v);
void virtio_blk_hold(struct vblk *v, struct virtio_blk_request *r);
/* The request that is taken next (by q->free = r->next), or NULL: as many as there can be are
 * taken. */
struct virtio_blk_request *virtio_blk_next_request(struct virtio_blk_queue *q);
void virtio_blk_free_request(struct virtio_blk_request *r);
/* Gives the chain room for n buffers that lasts as long as the request. */
void virtio_blk_give_room(struct virtio_blk_request *r, unsigned n);
void virtio_blk_request_done(struct blk_request *req, int result);
bool virtio_blk_publish(struct vblk *v);
/* Sets blk.iov and length for the request's type. Returns a virtio status, or -1 to go on. */
int virtio_blk_prepare(struct virtio_blk_request *r);

void virtio_blk_save(struct virtio_device *dev, struct state_writer *w);
int virtio_blk_load(struct virtio_device *dev, struct state_reader *r);
/* Makes held requests of what was loaded. */
int virtio_blk_restore_held(struct vblk *v, struct err *err);

#endif
