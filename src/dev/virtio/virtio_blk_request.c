/* The life of a request: popped, checked, limited, started, perhaps held or tried again, finished.
 *
 * The chain's own iov is what the backend gets: the 16 bytes of header are taken off its front and
 * the status byte off its end (virtio 1.2, 2.7.4: framing is the driver's choice). Completions are
 * published, and interrupts sent, once a round of the loop. */
#include <errno.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/virtio/virtio_blk_internal.h"

static struct virtq *vq_of(const struct virtio_blk_request *r)
{
    return &r->queue->vblk->dev.queues[r->queue->watch.queue].vq;
}

struct virtio_blk_request *virtio_blk_next_request(struct virtio_blk_queue *q)
{
    if (!q->free && q->n_used < q->n_requests) {
        struct virtio_blk_request *r = &q->requests[q->n_used++];
        r->queue = q;
        virtio_blk_free_request(r);
    }
    return q->free;
}

void virtio_blk_free_request(struct virtio_blk_request *r)
{
    r->next = r->queue->free;
    r->queue->free = r;
}

void virtio_blk_give_room(struct virtio_blk_request *r, unsigned n)
{
    struct virtio_blk_segments *own = &r->queue->segments[r - r->queue->requests];
    bool few = n <= VBLK_FEW;
    r->chain.iov = few ? r->few_iov : own->iov;
    r->chain.in_gpa = few ? r->few_in_gpa : own->in_gpa;
    r->chain.iov_max = few ? VBLK_FEW : VBLK_IOV_MAX;
}

/* Moves a chain out of the queue's common room. */
static void keep_chain(struct virtio_blk_request *r)
{
    const struct virtq_chain popped = r->chain;
    unsigned n = (unsigned)popped.n_out + popped.n_in;
    virtio_blk_give_room(r, n);
    memcpy(r->chain.iov, popped.iov, n * sizeof(popped.iov[0]));
    memcpy(r->chain.in_gpa, popped.in_gpa, popped.n_in * sizeof(popped.in_gpa[0]));
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void finish(struct virtio_blk_request *r, uint8_t status)
{
    *r->status = status;
    /* All that may have been written, so that the status byte is marked dirty too. */
    r->chain.iov[r->chain.n_out + r->chain.n_in - 1].iov_len =
        (size_t)(r->status - (uint8_t *)r->chain.iov[r->chain.n_out + r->chain.n_in - 1].iov_base) +
        1;
    virtq_push(vq_of(r), &r->chain, r->chain.in_bytes);
    r->queue->to_publish = true;
    virtio_blk_free_request(r);
}

/* ---- reading the request ---- */

/* Takes the header and the status byte off. */
static int parse(struct virtio_blk_request *r, struct err *err)
{
    struct virtq_chain *c = &r->chain;
    uint8_t header[VBLK_HEADER_BYTES];
    if (c->out_bytes < VBLK_HEADER_BYTES)
        return err_set(err, EPROTO, "a disk request of %u bytes has no header", c->out_bytes);
    if (!c->in_bytes)
        return err_set(err, EPROTO, "a disk request has no room for its status");
    blk_iov_to_buf(c->iov, c->n_out, 0, header, sizeof(header));
    r->type = le32_read(header);
    r->sector = le64_read(header + 8);
    r->range = 0;
    size_t skip = sizeof(header);
    for (unsigned i = 0; skip; i++) {
        size_t part = MIN(skip, c->iov[i].iov_len);
        c->iov[i].iov_base = (char *)c->iov[i].iov_base + part;
        c->iov[i].iov_len -= part;
        skip -= part;
    }
    struct iovec *last = &c->iov[c->n_out + c->n_in - 1];
    last->iov_len--;
    r->status = (uint8_t *)last->iov_base + last->iov_len;
    return 0;
}

static int prepare_transfer(struct virtio_blk_request *r, enum blk_op op)
{
    struct virtq_chain *c = &r->chain;
    bool in = op == BLK_READ;
    uint64_t len = in ? c->in_bytes - 1 : c->out_bytes - VBLK_HEADER_BYTES;
    uint64_t capacity = atomic_load(&r->queue->vblk->capacity_sectors);
    if (len % BLK_SECTOR_BYTES || !range_within(r->sector, len / BLK_SECTOR_BYTES, capacity))
        return VIRTIO_BLK_S_IOERR;
    r->blk.op = op;
    r->blk.offset = r->sector * BLK_SECTOR_BYTES;
    r->blk.len_bytes = len;
    r->blk.iov = in ? c->iov + c->n_out : c->iov;
    r->blk.n_iov = in ? c->n_in : c->n_out;
    while (r->blk.n_iov && !r->blk.iov->iov_len) { /* what held only the header */
        r->blk.iov++;
        r->blk.n_iov--;
    }
    while (r->blk.n_iov && !r->blk.iov[r->blk.n_iov - 1].iov_len)
        r->blk.n_iov--;
    return -1;
}

/* The next range of a discard or write-zeroes request: 5.2.6. */
static int prepare_range(struct virtio_blk_request *r)
{
    struct vblk *v = r->queue->vblk;
    struct virtq_chain *c = &r->chain;
    bool discard = r->type == VIRTIO_BLK_T_DISCARD;
    uint32_t len = c->out_bytes - VBLK_HEADER_BYTES;
    uint8_t range[VBLK_RANGE_BYTES];
    if (!len || len % VBLK_RANGE_BYTES || len / VBLK_RANGE_BYTES > VBLK_RANGES_MAX)
        return VIRTIO_BLK_S_IOERR;
    blk_iov_to_buf(c->iov, c->n_out, (size_t)r->range * VBLK_RANGE_BYTES, range, sizeof(range));
    uint64_t sector = le64_read(range);
    uint32_t n_sectors = le32_read(range + 8), flags = le32_read(range + 12);
    if (flags & ~(discard ? 0u : (uint32_t)VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP))
        return VIRTIO_BLK_S_UNSUPP;
    if (n_sectors > VBLK_RANGE_SECTORS ||
        !range_within(sector, n_sectors, atomic_load(&v->capacity_sectors)))
        return VIRTIO_BLK_S_IOERR;
    r->blk.op = discard ? BLK_DISCARD : BLK_WRITE_ZEROES;
    r->blk.flags = flags ? BLK_MAY_UNMAP : 0;
    r->blk.offset = sector * BLK_SECTOR_BYTES;
    r->blk.len_bytes = (uint64_t)n_sectors * BLK_SECTOR_BYTES;
    return -1;
}

static int answer_id(struct virtio_blk_request *r)
{
    const struct virtq_chain *c = &r->chain;
    const struct vblk *v = r->queue->vblk;
    blk_iov_from_buf(c->iov + c->n_out, c->n_in, 0, v->serial,
                     MIN(sizeof(v->serial), c->in_bytes - 1));
    return VIRTIO_BLK_S_OK;
}

int virtio_blk_prepare(struct virtio_blk_request *r)
{
    const struct virtio_device *dev = &r->queue->vblk->dev;
    r->blk = (struct blk_request){.done = virtio_blk_request_done, .opaque = r};
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
        return prepare_transfer(r, BLK_READ);
    case VIRTIO_BLK_T_OUT:
        return prepare_transfer(r, BLK_WRITE);
    case VIRTIO_BLK_T_FLUSH:
        r->blk.op = BLK_FLUSH;
        return -1;
    case VIRTIO_BLK_T_GET_ID:
        return answer_id(r);
    case VIRTIO_BLK_T_DISCARD:
        return virtio_has(dev, UINT64_C(1) << VIRTIO_BLK_F_DISCARD) ? prepare_range(r)
                                                                    : VIRTIO_BLK_S_UNSUPP;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return virtio_has(dev, UINT64_C(1) << VIRTIO_BLK_F_WRITE_ZEROES) ? prepare_range(r)
                                                                         : VIRTIO_BLK_S_UNSUPP;
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* ---- serving a queue ---- */

/* Whether the limiter lets it through; if not, the timer will look again. */
static bool limited(struct vblk *v, struct virtio_blk_request *r)
{
    const struct virtq_chain *c = &r->chain;
    uint64_t bytes = 0;
    if (r->type == VIRTIO_BLK_T_IN)
        bytes = c->in_bytes - 1;
    else if (r->type == VIRTIO_BLK_T_OUT)
        bytes = c->out_bytes - VBLK_HEADER_BYTES;
    struct loop *loop = v->options.loop;
    int64_t again_ns = token_bucket_limiter_take(&v->limiter, bytes, loop_now_ns(loop));
    if (!again_ns)
        return false;
    count(&v->counters.throttled, 1);
    if (!loop_timer_armed(&v->throttle) && loop_timer_arm(loop, &v->throttle, again_ns) < 0)
        return false; /* no memory for a timer: better too fast than stuck */
    return true;
}

/* Takes one request. Returns 1, 0 when there is none to take now, or -errno. */
static int take_one(struct virtio_blk_queue *q, struct err *err)
{
    struct vblk *v = q->vblk;
    struct virtio_blk_request *r = virtio_blk_next_request(q);
    struct virtio_blk_segments *room = &q->segments[q->n_requests];
    if (v->stopped || loop_timer_armed(&v->throttle))
        return 0;
    r->chain.iov = room->iov;
    r->chain.iov_max = VBLK_IOV_MAX;
    r->chain.in_gpa = room->in_gpa;
    int ret = virtq_pop(&v->dev.queues[q->watch.queue].vq, &r->chain, err);
    if (ret <= 0)
        return ret;
    ret = parse(r, err);
    if (ret < 0)
        return ret;
    if (limited(v, r)) {
        virtq_unpop(vq_of(r), &r->chain);
        return 0;
    }
    q->free = r->next;
    keep_chain(r);
    int status = virtio_blk_prepare(r);
    if (status >= 0)
        finish(r, (uint8_t)status);
    else
        blk_submit(v->backend, &r->blk);
    return 1;
}

bool virtio_blk_serve(struct virtio_watch *w)
{
    struct virtio_blk_queue *q = container_of(w, struct virtio_blk_queue, watch);
    struct vblk *v = q->vblk;
    struct virtq *vq = &v->dev.queues[w->queue].vq;
    struct err err = {0};
    unsigned budget = vq->config.size;
    int r;
    do {
        virtq_disable_kicks(vq);
        while ((r = take_one(q, &err)) > 0 && --budget)
            ;
        if (r < 0) {
            virtio_device_broken(&v->dev, &err);
            return false;
        }
        if (v->stopped || loop_timer_armed(&v->throttle))
            return false; /* kicks stay off: the retry or the timer looks again */
        if (!budget)
            return true;
    } while (virtq_enable_kicks(vq));
    return false;
}

void virtio_blk_throttle_over(struct loop_timer *t)
{
    struct vblk *v = t->opaque;
    for (unsigned i = 0; i < v->dev.n_queues; i++)
        if (v->dev.queues[i].enabled)
            virtio_queue_kick(&v->dev, i);
}

bool virtio_blk_publish(struct vblk *v)
{
    for (unsigned i = 0; i < v->dev.n_queues; i++) {
        if (!v->queues[i].to_publish)
            continue;
        v->queues[i].to_publish = false;
        if (virtq_publish(&v->dev.queues[i].vq))
            virtio_queue_interrupt(&v->dev, i);
    }
    return false;
}

/* ---- completion ---- */

void virtio_blk_hold(struct vblk *v, struct virtio_blk_request *r)
{
    r->next = NULL;
    *v->held_tail = r;
    v->held_tail = &r->next;
    v->stopped = true;
}

void virtio_blk_retry(struct vblk *v)
{
    struct virtio_blk_request *list = v->held;
    v->held = NULL;
    v->held_tail = &v->held;
    v->stopped = false;
    while (list) {
        struct virtio_blk_request *r = list;
        list = r->next;
        blk_submit(v->backend, &r->blk);
    }
}

/* Returns whether the request was held back. */
static bool failed(struct virtio_blk_request *r, int result)
{
    struct vblk *v = r->queue->vblk;
    enum virtio_blk_policy policy = result == -ENOSPC ? v->options.on_enospc : v->options.on_error;
    bool asked_too_much = result == -EOPNOTSUPP || result == -EINVAL || result == -EROFS;
    struct virtio_blk_error e = {
        .op = r->blk.op,
        .error = -result,
        .offset = r->blk.offset,
        .len_bytes = r->blk.len_bytes,
        .stopped = policy == VIRTIO_BLK_STOP && v->options.io_error && !asked_too_much,
    };
    count(&v->counters.errors, 1);
    if (e.stopped)
        virtio_blk_hold(v, r);
    if (v->options.io_error && !asked_too_much)
        v->options.io_error(v->options.opaque, &e);
    return e.stopped;
}

static void count_success(struct virtio_blk_request *r)
{
    struct virtio_blk_counters *c = &r->queue->vblk->counters;
    if (r->type == VIRTIO_BLK_T_IN) {
        count(&c->reads, 1);
        count(&c->read_bytes, r->chain.in_bytes - 1);
    } else if (r->type == VIRTIO_BLK_T_OUT) {
        count(&c->writes, 1);
        count(&c->written_bytes, r->chain.out_bytes - VBLK_HEADER_BYTES);
    } else if (r->type == VIRTIO_BLK_T_FLUSH) {
        count(&c->flushes, 1);
    } else {
        count(&c->discards, 1);
    }
}

/* What follows a step that went well: the next range, the flush of a write-through disk.
 * Returns whether there is such a step. */
static bool next_step(struct virtio_blk_request *r, uint8_t *status)
{
    struct vblk *v = r->queue->vblk;
    bool ranges = r->type == VIRTIO_BLK_T_DISCARD || r->type == VIRTIO_BLK_T_WRITE_ZEROES;
    uint32_t n_ranges = (r->chain.out_bytes - VBLK_HEADER_BYTES) / VBLK_RANGE_BYTES;
    if (r->blk.op == BLK_FLUSH)
        return false;
    if (ranges && ++r->range < n_ranges) {
        int s = virtio_blk_prepare(r);
        *status = s < 0 ? VIRTIO_BLK_S_OK : (uint8_t)s;
        return s < 0;
    }
    if (r->blk.op == BLK_READ || atomic_load_explicit(&v->wce, memory_order_relaxed))
        return false;
    r->blk.op = BLK_FLUSH;
    return true;
}

void virtio_blk_request_done(struct blk_request *req, int result)
{
    struct virtio_blk_request *r = req->opaque;
    uint8_t status = VIRTIO_BLK_S_OK;
    if (result < 0) {
        if (failed(r, result))
            return;
        status = result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
    } else if (next_step(r, &status)) {
        blk_submit(r->queue->vblk->backend, &r->blk);
        return;
    } else if (status == VIRTIO_BLK_S_OK) {
        count_success(r);
    }
    finish(r, status);
}
