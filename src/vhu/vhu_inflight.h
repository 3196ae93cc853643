/* The in-flight area of a back end: notes, in memory that outlives this process, which requests it
 * has taken from a split ring and not yet completed, so that its successor runs each of them
 * exactly once more. Packed rings are not tracked (nor offered together with it).
 *
 * The area is shared with the front end, so what is read from it is checked like any input.
 * Spec: "Vhost-user Protocol", Inflight I/O tracking. */
#ifndef VHU_VHU_INFLIGHT_H
#define VHU_VHU_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vhu/vhu_wire.h"
#include "virtq/virtq.h"

struct vhu_inflight {
    uint8_t *map; /* NULL: nothing is tracked */
    size_t map_bytes;
    size_t lead_bytes; /* from the start of the mapping to the area */
    uint16_t n_queues, queue_size;
};

/* One queue's part, and what its successor has to run first. */
struct vhu_inflight_queue {
    struct vhu_inflight_region *region; /* NULL: not tracked */
    uint16_t size;
    uint64_t counter;
    uint16_t n_replay, replay_at, n_batch;
    uint16_t replay[VIRTQ_SIZE_MAX]; /* heads, oldest first */
    uint16_t batch[VIRTQ_SIZE_MAX];  /* heads completed since the last publish */
};

/* Bytes of an area. */
uint64_t vhu_inflight_bytes(uint16_t n_queues, uint16_t queue_size);

/* Makes a new area of `n_queues` queues, all clear; *fd receives its sealed memfd, the caller's.
 * Does not map it: the front end hands it back by SET_INFLIGHT_FD. Errors: EINVAL (sizes). */
int vhu_inflight_create(uint16_t n_queues, uint16_t queue_size, int *fd, struct err *err);

/* Maps an area. Owns: `fd` stays the caller's; vhu_inflight_unmap(). Errors: EINVAL. */
int vhu_inflight_map(struct vhu_inflight *in, int fd, const struct vhu_inflight_desc *desc,
                     struct err *err);
/* Every queue must have been detached (vhu_inflight_queue.region no longer used). */
void vhu_inflight_unmap(struct vhu_inflight *in);

/* Attaches queue `index` of a ring with `ring_size` entries whose used index is `used_idx`:
 * settles the batch that a predecessor left half done and lists what must be run again.
 * Errors: EPROTO (an area that makes no sense). */
int vhu_inflight_attach(const struct vhu_inflight *in, unsigned index, uint16_t ring_size,
                        uint16_t used_idx, struct vhu_inflight_queue *q, struct err *err);

/* A request was taken; it is completed (its used entry is written, not yet visible); the used
 * index `used_idx` has become visible. No-ops when not tracked. */
void vhu_inflight_taken(struct vhu_inflight_queue *q, uint16_t head);
void vhu_inflight_completed(struct vhu_inflight_queue *q, uint16_t head);
void vhu_inflight_published(struct vhu_inflight_queue *q, uint16_t used_idx);
/* A request was given back untaken. */
void vhu_inflight_returned(struct vhu_inflight_queue *q, uint16_t head);

#endif
