/* Save and load. A paused disk has nothing in flight, but requests that failed under the policy
 * "stop" are still held: they are saved as the guest addresses of their buffers.
 *
 *   u8 wce, u16 number of held requests, then of each: u16 queue, id, n_desc, n_out, n_in, u32
 * type, u64 sector, u8 step (enum blk_op), u32 range, then per buffer u64 gpa, u32 length */
#include <errno.h>

#include "base/util.h"
#include "dev/virtio/virtio_blk_internal.h"

static uint64_t gpa_of(const struct virtq_xlate *x, const void *p)
{
    for (unsigned i = 0; i < x->n_regions; i++) {
        const struct virtq_region *r = &x->regions[i];
        uintptr_t at = (uintptr_t)p, base = (uintptr_t)r->hva;
        if (at >= base && at - base <= r->size_bytes)
            return r->gpa + (at - base);
    }
    return UINT64_MAX;
}

static void save_request(struct vblk *v, struct state_writer *w, const struct virtio_blk_request *r)
{
    const struct virtq_chain *c = &r->chain;
    state_put_u16(w, (uint16_t)r->queue->watch.queue);
    state_put_u16(w, c->id);
    state_put_u16(w, c->n_desc);
    state_put_u16(w, c->n_out);
    state_put_u16(w, c->n_in);
    state_put_u32(w, r->type);
    state_put_u64(w, r->sector);
    state_put_u8(w, (uint8_t)r->blk.op);
    state_put_u32(w, r->range);
    for (unsigned i = 0; i < (unsigned)c->n_out + c->n_in; i++) {
        state_put_u64(w, gpa_of(&v->dev.xlate, c->iov[i].iov_base));
        state_put_u32(w, (uint32_t)c->iov[i].iov_len);
    }
}

void virtio_blk_save(struct virtio_device *dev, struct state_writer *w)
{
    struct vblk *v = (struct vblk *)dev;
    uint16_t n = 0;
    state_put_u8(w, atomic_load(&v->wce));
    for (const struct virtio_blk_request *r = v->held; r; r = r->next)
        n++;
    state_put_u16(w, n);
    for (const struct virtio_blk_request *r = v->held; r; r = r->next)
        save_request(v, w, r);
}

static int load_request(struct vblk *v, struct state_reader *r, struct virtio_blk_saved *s)
{
    s->queue = state_get_u16(r);
    s->id = state_get_u16(r);
    s->n_desc = state_get_u16(r);
    s->n_out = state_get_u16(r);
    s->n_in = state_get_u16(r);
    s->type = state_get_u32(r);
    s->sector = state_get_u64(r);
    s->op = state_get_u8(r);
    s->range = state_get_u32(r);
    if (s->queue >= v->dev.n_queues || !s->n_in || !s->n_out || s->op >= BLK_OPS_COUNT ||
        s->range >= VBLK_RANGES_MAX || (unsigned)s->n_out + s->n_in > VBLK_IOV_MAX)
        return state_invalid(r, "a held disk request is malformed (queue %u, %u buffers)", s->queue,
                             s->n_out + s->n_in);
    for (unsigned i = 0; i < (unsigned)s->n_out + s->n_in; i++) {
        s->gpa[i] = state_get_u64(r);
        s->len[i] = state_get_u32(r);
    }
    return 0;
}

int virtio_blk_load(struct virtio_device *dev, struct state_reader *r)
{
    struct vblk *v = (struct vblk *)dev;
    atomic_store(&v->wce, state_get_u8(r) & 1);
    unsigned n = state_get_u16(r);
    if (n > v->dev.n_queues * VIRTQ_SIZE_MAX)
        return state_invalid(r, "%u held disk requests are more than its queues take", n);
    free(v->saved);
    v->n_saved = 0;
    v->saved = n ? calloc(n, sizeof(*v->saved)) : NULL;
    if (n && !v->saved)
        return state_invalid(r, "could not allocate %u held disk requests", n);
    for (unsigned i = 0; i < n && !r->err.code; i++) {
        int ret = load_request(v, r, &v->saved[i]);
        if (ret < 0)
            return ret;
    }
    v->n_saved = n;
    return 0;
}

/* The buffers of a saved request as they were after the header and the status were taken off. */
static int restore_one(struct vblk *v, const struct virtio_blk_saved *s, struct err *err)
{
    struct virtio_blk_queue *q = &v->queues[s->queue];
    struct virtio_blk_request *r = virtio_blk_next_request(q);
    struct virtq *vq = &v->dev.queues[s->queue].vq;
    if (!r || s->id >= vq->config.size || !s->n_desc || s->n_desc > vq->config.size)
        return err_set(err, EPROTO, "a held disk request does not fit queue %u", s->queue);
    struct virtq_chain *c = &r->chain;
    *c = (struct virtq_chain){.id = s->id,
                              .n_desc = s->n_desc,
                              .n_out = s->n_out,
                              .n_in = s->n_in,
                              .out_bytes = VBLK_HEADER_BYTES,
                              .in_bytes = 1};
    unsigned n = (unsigned)s->n_out + s->n_in;
    virtio_blk_give_room(r, n);
    for (unsigned i = 0; i < n; i++) {
        /* The last buffer is followed by the status byte. */
        void *p = virtq_xlate_ptr(&v->dev.xlate, s->gpa[i], (uint64_t)s->len[i] + (i == n - 1));
        uint32_t *total = i < s->n_out ? &c->out_bytes : &c->in_bytes;
        if ((!p && (s->len[i] || i == n - 1)) || s->len[i] > UINT32_MAX - *total)
            return err_set(err, EFAULT,
                           "a buffer of a held disk request, at 0x%llx, is not in "
                           "guest memory",
                           (unsigned long long)s->gpa[i]);
        *total += s->len[i];
        c->iov[i] = (struct iovec){p, s->len[i]};
        if (i >= s->n_out)
            c->in_gpa[i - s->n_out] = s->gpa[i];
    }
    r->status = (uint8_t *)c->iov[n - 1].iov_base + c->iov[n - 1].iov_len;
    r->type = s->type;
    r->sector = s->sector;
    r->range = s->range;
    q->watch.queue = s->queue;
    if (virtio_blk_prepare(r) >= 0)
        return err_set(err, EPROTO, "a held disk request of type %u at sector %llu is malformed",
                       s->type, (unsigned long long)s->sector);
    if (s->op == BLK_FLUSH)
        r->blk.op = BLK_FLUSH;
    q->free = r->next;
    vq->in_flight++;
    virtio_blk_hold(v, r);
    return 0;
}

int virtio_blk_restore_held(struct vblk *v, struct err *err)
{
    int ret = 0;
    for (unsigned i = 0; i < v->n_saved && !ret; i++)
        ret = v->queues[v->saved[i].queue].requests
                  ? restore_one(v, &v->saved[i], err)
                  : err_set(err, EPROTO, "a held disk request is of queue %u, which is off",
                            v->saved[i].queue);
    free(v->saved);
    v->saved = NULL;
    v->n_saved = 0;
    return ret;
}
