/* Packed rings: one ring of descriptors that both sides write. Whose turn a slot is, two flag bits
 * say in relation to a wrap counter that flips each time round. A chain takes consecutive slots; a
 * completion is written into the next slot of the device's own position, and its flags last: those
 * of the first completion of a batch are held back until publish, which makes all of them visible.
 * Spec: virtio 1.2, 2.8. */
#include <errno.h>

#include "base/util.h"
#include "virtq/virtq_internal.h"

#define TURN_FLAGS (VIRTQ_WIRE_AVAIL | VIRTQ_WIRE_USED)

static inline struct virtq_wire_packed_desc *slot_of(const struct virtq *vq, uint16_t slot)
{
    return (struct virtq_wire_packed_desc *)vq->desc + slot;
}

/* Spec: 2.8.1: available when AVAIL equals the driver's wrap counter and USED does not. */
static inline bool is_available(uint16_t flags, bool wrap)
{
    return (flags & TURN_FLAGS) == (wrap ? VIRTQ_WIRE_AVAIL : VIRTQ_WIRE_USED);
}

static inline void advance(const struct virtq *vq, uint16_t *slot, bool *wrap, uint16_t n)
{
    *slot = (uint16_t)(*slot + n);
    if (*slot >= vq->config.size) {
        *slot = (uint16_t)(*slot - vq->config.size);
        *wrap = !*wrap;
    }
}

/* Entries of an indirect table follow each other; all flags but WRITE are reserved and ignored.
 * Spec: 2.8.7. */
static int add_indirect(const struct virtq *vq, struct virtq_chain *c, uint64_t gpa, uint32_t len,
                        struct err *err)
{
    struct virtq_table table;
    int ret = virtq_table_open(vq, gpa, len, &table, err);
    if (ret)
        return ret;
    if (table.n > VIRTQ_SIZE_MAX)
        return err_set(err, EPROTO, "an indirect table of %u entries, at most %d are taken",
                       table.n, VIRTQ_SIZE_MAX);
    for (uint32_t i = 0; i < table.n; i++) {
        struct virtq_wire_packed_desc d;
        ret = virtq_table_fetch(vq, &table, i, &d, err);
        if (!ret)
            ret = virtq_chain_add(vq, c, le64toh(d.addr), le32toh(d.len),
                                  le16toh(d.flags) & VIRTQ_WIRE_WRITE, err);
        if (ret)
            return ret;
    }
    return 0;
}

static int walk(const struct virtq *vq, struct virtq_chain *c, struct err *err)
{
    uint16_t slot = vq->last_avail, flags;
    bool wrap = vq->avail_wrap;
    do {
        struct virtq_wire_packed_desc d;
        if (c->n_desc == vq->config.size)
            return err_set(err, EPROTO, "a chain is longer than the ring of %u", vq->config.size);
        virtq_fetch(&d, slot_of(vq, slot));
        flags = le16toh(d.flags);
        if (flags & ~(VIRTQ_WIRE_NEXT | VIRTQ_WIRE_WRITE | VIRTQ_WIRE_INDIRECT | TURN_FLAGS))
            return err_set(err, EPROTO, "descriptor %u has reserved flags 0x%x", slot, flags);
        if ((flags & VIRTQ_WIRE_INDIRECT) && (flags & VIRTQ_WIRE_NEXT))
            return err_set(err, EPROTO, "indirect descriptor %u has a next", slot);
        int ret = flags & VIRTQ_WIRE_INDIRECT
                      ? add_indirect(vq, c, le64toh(d.addr), le32toh(d.len), err)
                      : virtq_chain_add(vq, c, le64toh(d.addr), le32toh(d.len),
                                        flags & VIRTQ_WIRE_WRITE, err);
        if (ret)
            return ret;
        c->id = le16toh(d.id); /* that of the last descriptor counts (2.8.6) */
        c->n_desc++;
        advance(vq, &slot, &wrap, 1);
    } while (flags & VIRTQ_WIRE_NEXT);
    return 0;
}

int virtq_packed_pop(struct virtq *vq, struct virtq_chain *c, struct err *err)
{
    uint16_t flags = virtq_load16_acquire(&slot_of(vq, vq->last_avail)->flags);
    if (!is_available(flags, vq->avail_wrap))
        return 0;
    if (vq->in_flight >= vq->config.size)
        return err_set(err, EPROTO, "more requests than the ring of %u has entries",
                       vq->config.size);
    virtq_chain_clear(c);
    int ret = walk(vq, c, err);
    if (ret)
        return ret;
    advance(vq, &vq->last_avail, &vq->avail_wrap, c->n_desc);
    vq->in_flight++;
    return 1;
}

void virtq_packed_unpop(struct virtq *vq, const struct virtq_chain *c)
{
    if (c->n_desc > vq->last_avail) {
        vq->last_avail = (uint16_t)(vq->last_avail + vq->config.size);
        vq->avail_wrap = !vq->avail_wrap;
    }
    vq->last_avail = (uint16_t)(vq->last_avail - c->n_desc);
}

void virtq_packed_push(struct virtq *vq, const struct virtq_chain *c, uint32_t written_bytes)
{
    struct virtq_wire_packed_desc *d = slot_of(vq, vq->used_idx);
    uint16_t flags =
        (uint16_t)((written_bytes ? VIRTQ_WIRE_WRITE : 0) | (vq->used_wrap ? TURN_FLAGS : 0));
    d->id = htole16(c->id);
    d->len = htole32(written_bytes);
    if (vq->batch_slots) {
        virtq_store16(&d->flags, flags);
    } else {
        vq->batch_first_slot = vq->used_idx;
        vq->batch_first_flags = flags;
    }
    advance(vq, &vq->used_idx, &vq->used_wrap, c->n_desc);
    vq->batch_slots = (uint16_t)(vq->batch_slots + c->n_desc);
}

static void mark_used(struct virtq *vq)
{
    uint16_t first = vq->batch_first_slot;
    uint16_t n = MIN(vq->batch_slots, vq->config.size);
    uint16_t until_end = MIN(n, vq->config.size - first);
    virtq_dirty(vq, vq->config.desc + 16 * (uint64_t)first, 16 * (uint64_t)until_end);
    if (n > until_end)
        virtq_dirty(vq, vq->config.desc, 16 * (uint64_t)(n - until_end));
}

/* Whether the slot that the driver named is one of the `batch` slots before our position, counting
 * positions over two rounds of the ring. Spec: 2.8.9, 2.8.10. */
static bool event_in_batch(const struct virtq *vq, uint16_t off_wrap, uint16_t batch)
{
    int size = vq->config.size, event = off_wrap & ~VIRTQ_WIRE_EVENT_WRAP;
    if (event >= size)
        return true;
    if (!(off_wrap & VIRTQ_WIRE_EVENT_WRAP))
        event += size;
    int distance = vq->used_idx + (vq->used_wrap ? 0 : size) - event - 1;
    return (distance < 0 ? distance + 2 * size : distance) < batch;
}

bool virtq_packed_publish(struct virtq *vq)
{
    uint16_t batch = vq->batch_slots;
    if (!batch)
        return false;
    virtq_store16_seq(&slot_of(vq, vq->batch_first_slot)->flags, vq->batch_first_flags);
    if (vq->xlate->mark_dirty)
        mark_used(vq);
    vq->batch_slots = 0;
    uint32_t event = le32toh(__atomic_load_n((const uint32_t *)vq->driver, __ATOMIC_SEQ_CST));
    switch (event >> 16 & 3) {
    case VIRTQ_WIRE_EVENT_DISABLE:
        return false;
    case VIRTQ_WIRE_EVENT_DESC:
        return !vq->config.event_idx || event_in_batch(vq, (uint16_t)event, batch);
    default:
        return true;
    }
}

static void set_device_event(struct virtq *vq, uint16_t off_wrap, uint32_t flags)
{
    uint32_t word = htole32(off_wrap | flags << 16);
    (void)__atomic_exchange_n((uint32_t *)vq->device, word, __ATOMIC_SEQ_CST);
    virtq_dirty(vq, vq->config.device, sizeof(word));
}

void virtq_packed_disable_kicks(struct virtq *vq)
{
    set_device_event(vq, 0, VIRTQ_WIRE_EVENT_DISABLE);
}

bool virtq_packed_enable_kicks(struct virtq *vq)
{
    if (vq->config.event_idx)
        set_device_event(vq,
                         (uint16_t)(vq->last_avail | (vq->avail_wrap ? VIRTQ_WIRE_EVENT_WRAP : 0)),
                         VIRTQ_WIRE_EVENT_DESC);
    else
        set_device_event(vq, 0, VIRTQ_WIRE_EVENT_ENABLE);
    return virtq_packed_pending(vq);
}

bool virtq_packed_pending(const struct virtq *vq)
{
    return is_available(virtq_load16_seq(&slot_of(vq, vq->last_avail)->flags), vq->avail_wrap);
}

uint32_t virtq_packed_get_base(const struct virtq *vq)
{
    return vq->last_avail | (uint32_t)vq->avail_wrap << 15 | (uint32_t)vq->used_idx << 16 |
           (uint32_t)vq->used_wrap << 31;
}

/* Positions beyond the ring (a hostile snapshot) are taken modulo its size. */
void virtq_packed_set_base(struct virtq *vq, uint32_t base)
{
    vq->last_avail = (base & 0x7fff) % vq->config.size;
    vq->avail_wrap = base >> 15 & 1;
    vq->used_idx = (base >> 16 & 0x7fff) % vq->config.size;
    vq->used_wrap = base >> 31;
}
