/* What the tests of rings share: a ring to drive from both ends, in each of its formats. */
#ifndef TESTS_UNIT_VIRTQ_RIG_H
#define TESTS_UNIT_VIRTQ_RIG_H

#include <errno.h>
#include <stddef.h>

#define VDRV_NO_DEVICE
#include "tap.h"
#include "virtio_driver.h"
#include "virtq/virtq.h"
#include "virtq/virtq_wire.h"

#define MEM_BYTES (4 * MIB)
#define IOV_MAX_  80

/* One ring with both its sides over a guest memory of its own. */
struct rig {
    struct guest_mem mem;
    struct virtq_xlate xlate;
    struct vdrv_ring ring;
    struct virtq vq;
    uint64_t next_gpa;
    struct iovec iov[IOV_MAX_];
    uint64_t in_gpa[IOV_MAX_];
    struct virtq_chain chain;
    struct err err;
};

static inline void mark_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
    guest_mem_mark_dirty(opaque, gpa, len);
}

static inline void rig_init(struct rig *g, struct virtq_config config)
{
    memset(g, 0, sizeof(*g));
    if (guest_mem_init(&g->mem, MEM_BYTES, 0, &g->err)) {
        printf("Bail out! %s\n", g->err.msg);
        exit(1);
    }
    g->xlate = (struct virtq_xlate){.n_regions = 1, .mark_dirty = mark_dirty, .opaque = &g->mem};
    g->xlate.regions[0] = (struct virtq_region){0, MEM_BYTES, g->mem.regions[0].hva};
    g->next_gpa = 0x1000;
    vdrv_ring_init(&g->ring, &g->mem, &g->next_gpa, config);
    CHECK_EQ(virtq_init(&g->vq, &g->ring.config, &g->xlate, &g->err), 0);
    g->chain = (struct virtq_chain){.iov = g->iov, .in_gpa = g->in_gpa, .iov_max = IOV_MAX_};
}

static inline void rig_fini(struct rig *g)
{
    guest_mem_fini(&g->mem);
}

static inline int rig_pop(struct rig *g)
{
    memset(&g->err, 0, sizeof(g->err));
    return virtq_pop(&g->vq, &g->chain, &g->err);
}

static const struct virtq_config formats[] = {
    {.size = 8},
    {.size = 8, .event_idx = true, .indirect = true},
    {.size = 8, .packed = true},
    {.size = 8, .packed = true, .event_idx = true, .indirect = true},
    {.size = 7, .packed = true, .event_idx = true, .indirect = true},
};

#endif
