/* virtio-balloon: memory that the guest gives back, for as long as it likes (free page reporting)
 * or on request (the balloon), and what it says about its memory (statistics). Spec:
 * virtio 1.2, 5.5. */
#ifndef DEV_VIRTIO_VIRTIO_BALLOON_H
#define DEV_VIRTIO_VIRTIO_BALLOON_H

#include "dev/virtio/virtio.h"
#include "io/loop.h"
#include "mem/guest_mem.h"

struct virtio_balloon_options {
    struct loop *loop;
    uint64_t target_bytes;     /* see virtio_balloon_set_target() */
    bool deflate_on_oom;       /* the guest may take pages back rather than kill a process */
    bool reporting;            /* free page reporting */
    unsigned stats_interval_s; /* 0: statistics only as the driver starts */
};

/* Errors: EINVAL (target larger than the guest's RAM). */
struct virtio_device *virtio_balloon_create(struct guest_mem *mem,
                                            const struct virtio_balloon_options *options,
                                            struct err *err);

/* The rest is for a device made by virtio_balloon_create(). */

/* How much memory the guest shall put into the balloon; it follows as well as it can. Rounded down
 * to pages. Errors: EINVAL. Called with the device lock held. */
int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes, struct err *err);
/* What was asked for, and how much the guest says is in it. Threads: any. */
uint64_t virtio_balloon_target_bytes(const struct virtio_device *dev);
uint64_t virtio_balloon_actual_bytes(const struct virtio_device *dev);

/* How often the guest is asked for statistics; 0: not any more. With the device lock held. */
void virtio_balloon_set_stats_interval(struct virtio_device *dev, unsigned seconds);

enum virtio_balloon_stat_id {
    VIRTIO_BALLOON_STAT_SWAP_IN_BYTES,
    VIRTIO_BALLOON_STAT_SWAP_OUT_BYTES,
    VIRTIO_BALLOON_STAT_MAJOR_FAULTS,
    VIRTIO_BALLOON_STAT_MINOR_FAULTS,
    VIRTIO_BALLOON_STAT_FREE_BYTES,
    VIRTIO_BALLOON_STAT_TOTAL_BYTES,
    VIRTIO_BALLOON_STAT_AVAILABLE_BYTES,
    VIRTIO_BALLOON_STAT_CACHES_BYTES,
    VIRTIO_BALLOON_STAT_HUGE_ALLOCATIONS,
    VIRTIO_BALLOON_STAT_HUGE_FAILURES,
    VIRTIO_BALLOON_STATS,
};

/* What the guest said last: unchecked numbers of an untrusted guest. */
struct virtio_balloon_stats {
    uint32_t known; /* bit per enum virtio_balloon_stat_id: the guest gave it */
    uint64_t value[VIRTIO_BALLOON_STATS];
    int64_t updated_ns; /* by the loop's clock; 0: never */
};
/* Threads: any. */
void virtio_balloon_stats(struct virtio_device *dev, struct virtio_balloon_stats *stats);

struct virtio_balloon_counters {
    _Atomic uint64_t inflated_pages, deflated_pages, reported_bytes;
    _Atomic uint64_t refused_pages; /* not RAM, or could not be given back */
};
const struct virtio_balloon_counters *virtio_balloon_counters(const struct virtio_device *dev);

#endif
