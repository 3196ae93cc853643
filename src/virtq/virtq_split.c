/* Split rings: a descriptor table, the driver's ring of available heads, the device's ring of used
 * heads. The driver's idx is cached in shadow_avail, so that taking a batch of requests touches its
 * cache line once. Spec: virtio 1.2, 2.7. */
#include <errno.h>

#include "base/util.h"
#include "virtq/virtq_internal.h"

static inline struct virtq_wire_avail *avail_of(const struct virtq *vq)
{
    return vq->driver;
}
static inline struct virtq_wire_used *used_of(const struct virtq *vq)
{
    return vq->device;
}
/* The driver's used_event and our avail_event follow the rings. Spec: 2.7.7, 2.7.10. */
static inline uint16_t *used_event_of(const struct virtq *vq)
{
    return &avail_of(vq)->ring[vq->config.size];
}
static inline uint16_t *avail_event_of(const struct virtq *vq)
{
    return (uint16_t *)(void *)&used_of(vq)->ring[vq->config.size];
}

/* Follows a chain from `head`, through at most one indirect table at its end. */
static int walk(const struct virtq *vq, struct virtq_chain *c, uint16_t head, struct err *err)
{
    struct virtq_table table = {.host = vq->desc, .n = vq->config.size};
    bool indirect = false;
    uint32_t budget = table.n; /* a chain that visits more entries than there are, loops */
    for (uint16_t i = head;;) {
        struct virtq_wire_desc d;
        if (i >= table.n)
            return err_set(err, EPROTO, "descriptor index %u in a table of %u", i, table.n);
        if (!budget--)
            return err_set(err, EPROTO, "a chain loops or is longer than %u descriptors",
                           MIN(table.n, VIRTQ_SIZE_MAX));
        int ret = virtq_table_fetch(vq, &table, i, &d, err);
        if (ret)
            return ret;
        uint16_t flags = le16toh(d.flags);
        if (flags & ~(VIRTQ_WIRE_NEXT | VIRTQ_WIRE_WRITE | VIRTQ_WIRE_INDIRECT))
            return err_set(err, EPROTO, "descriptor %u has reserved flags 0x%x", i, flags);
        if (flags & VIRTQ_WIRE_INDIRECT) {
            if (indirect || (flags & VIRTQ_WIRE_NEXT)) /* 2.7.5.3.1 */
                return err_set(err, EPROTO, "indirect descriptor %u is nested or has a next", i);
            ret = virtq_table_open(vq, le64toh(d.addr), le32toh(d.len), &table, err);
            if (ret)
                return ret;
            indirect = true;
            budget = MIN(table.n, VIRTQ_SIZE_MAX);
            i = 0;
            continue;
        }
        ret =
            virtq_chain_add(vq, c, le64toh(d.addr), le32toh(d.len), flags & VIRTQ_WIRE_WRITE, err);
        if (ret || !(flags & VIRTQ_WIRE_NEXT))
            return ret;
        i = le16toh(d.next);
    }
}

/* Looks at the driver's idx; the entries before it are visible afterwards. */
static int refresh_avail(struct virtq *vq, struct err *err)
{
    uint16_t idx = virtq_load16_acquire(&avail_of(vq)->idx);
    uint16_t waiting = (uint16_t)(idx - vq->last_avail);
    if (waiting > vq->config.size)
        return err_set(err, EPROTO, "available index %u is %u ahead in a ring of %u", idx, waiting,
                       vq->config.size);
    vq->shadow_avail = idx;
    return 0;
}

static int take(struct virtq *vq, uint16_t head, struct virtq_chain *c, struct err *err)
{
    virtq_chain_clear(c);
    int ret = walk(vq, c, head, err);
    if (ret)
        return ret;
    c->id = head;
    c->n_desc = 1;
    vq->in_flight++;
    return 1;
}

int virtq_split_pop(struct virtq *vq, struct virtq_chain *c, struct err *err)
{
    if (vq->last_avail == vq->shadow_avail) {
        int ret = refresh_avail(vq, err);
        if (ret)
            return ret;
        if (vq->last_avail == vq->shadow_avail)
            return 0;
    }
    if (vq->in_flight >= vq->config.size)
        return err_set(err, EPROTO, "more requests than the ring of %u has entries",
                       vq->config.size);
    uint16_t head = virtq_load16(&avail_of(vq)->ring[vq->last_avail & (vq->config.size - 1)]);
    int ret = take(vq, head, c, err);
    if (ret > 0)
        vq->last_avail++;
    return ret;
}

int virtq_split_pop_head(struct virtq *vq, uint16_t head, struct virtq_chain *c, struct err *err)
{
    if (vq->in_flight >= vq->config.size)
        return err_set(err, EPROTO, "more requests than the ring of %u has entries",
                       vq->config.size);
    return take(vq, head, c, err);
}

void virtq_split_push(struct virtq *vq, const struct virtq_chain *c, uint32_t written_bytes)
{
    used_of(vq)->ring[vq->used_idx & (vq->config.size - 1)] = (struct virtq_wire_used_elem){
        .id = htole32(c->id),
        .len = htole32(written_bytes),
    };
    vq->used_idx++;
    vq->batch_slots++;
}

/* Marks what the batch wrote of the used ring: its entries, at most in two pieces, and idx. */
static void mark_used(struct virtq *vq)
{
    uint16_t first = (uint16_t)(vq->used_idx - vq->batch_slots) & (vq->config.size - 1);
    uint16_t n = MIN(vq->batch_slots, vq->config.size);
    uint16_t until_end = MIN(n, vq->config.size - first);
    uint64_t ring = vq->config.device + offsetof(struct virtq_wire_used, ring);
    virtq_dirty(vq, vq->config.device, 4);
    virtq_dirty(vq, ring + 8 * (uint64_t)first, 8 * (uint64_t)until_end);
    if (n > until_end)
        virtq_dirty(vq, ring, 8 * (uint64_t)(n - until_end));
}

bool virtq_split_publish(struct virtq *vq)
{
    uint16_t new = vq->used_idx, batch = vq->batch_slots;
    if (!batch)
        return false;
    virtq_store16_seq(&used_of(vq)->idx, new);
    if (vq->xlate->mark_dirty)
        mark_used(vq);
    vq->batch_slots = 0;
    if (!vq->config.event_idx)
        return !(virtq_load16_seq(&avail_of(vq)->flags) & VIRTQ_WIRE_NO_INTERRUPT);
    if (!vq->signalled_valid) {
        vq->signalled_valid = true;
        return true;
    }
    /* Signal if used_event is one of the entries just published (2.7.7.2). */
    uint16_t event = virtq_load16_seq(used_event_of(vq));
    return (uint16_t)(new - event - 1) < batch;
}

void virtq_split_disable_kicks(struct virtq *vq)
{
    /* With the event index, an avail_event that is not moved on suppresses by itself. */
    if (vq->config.event_idx)
        return;
    virtq_store16(&used_of(vq)->flags, VIRTQ_WIRE_NO_NOTIFY);
    virtq_dirty(vq, vq->config.device, 2);
}

bool virtq_split_enable_kicks(struct virtq *vq)
{
    if (vq->config.event_idx) {
        virtq_store16_seq(avail_event_of(vq), vq->last_avail);
        virtq_dirty(vq, vq->config.device + 4 + 8 * (uint64_t)vq->config.size, 2);
    } else {
        virtq_store16_seq(&used_of(vq)->flags, 0);
        virtq_dirty(vq, vq->config.device, 2);
    }
    return virtq_split_pending(vq);
}

bool virtq_split_pending(const struct virtq *vq)
{
    return virtq_load16_seq(&avail_of(vq)->idx) != vq->last_avail;
}

void virtq_split_set_base(struct virtq *vq, uint32_t base)
{
    vq->last_avail = vq->shadow_avail = (uint16_t)base;
    vq->used_idx = virtq_load16(&used_of(vq)->idx);
}
