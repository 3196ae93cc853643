#include "dev/virtio/virtio_blk.h"

#include <errno.h>
#include <stddef.h>

#include "base/util.h"
#include "dev/virtio/virtio_blk_internal.h"

#define DEVICE_ID_BLOCK 2

#define F(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

static int features_ok(struct virtio_device *dev, struct err *err)
{
    struct vblk *v = (struct vblk *)dev;
    /* 5.2.5.1: without FLUSH the driver cannot flush, so every write is made stable. */
    atomic_store(&v->wce, virtio_has(dev, F(FLUSH)));
    return 0;
}

/* ---- configuration space: 5.2.4 ---- */

static void fill_config(const struct vblk *v, struct virtio_blk_config *c)
{
    const struct blk_info *info = blk_info(v->backend);
    uint32_t physical = MAX(info->block_bytes, 4096);
    uint32_t granularity = info->discard_granularity_bytes / BLK_SECTOR_BYTES;
    *c = (struct virtio_blk_config){
        .capacity = htole64(atomic_load(&v->capacity_sectors)),
        .size_max = htole32(VBLK_SIZE_MAX),
        .seg_max = htole32(MIN(VBLK_SEG_MAX, (uint32_t)v->options.queue_size - 2)),
        .blk_size = htole32(BLK_SECTOR_BYTES),
        .physical_block_exp = (uint8_t)__builtin_ctz(physical / BLK_SECTOR_BYTES),
        .min_io_size = htole16((uint16_t)(physical / BLK_SECTOR_BYTES)),
        .wce = atomic_load(&v->wce),
        .num_queues = htole16((uint16_t)v->dev.n_queues),
        .max_discard_sectors = htole32(VBLK_RANGE_SECTORS),
        .max_discard_seg = htole32(VBLK_RANGES_MAX),
        .discard_sector_alignment = htole32(MAX(granularity, 1)),
        .max_write_zeroes_sectors = htole32(VBLK_RANGE_SECTORS),
        .max_write_zeroes_seg = htole32(VBLK_RANGES_MAX),
        .write_zeroes_may_unmap = granularity != 0,
    };
}

static void config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    struct virtio_blk_config c;
    fill_config((struct vblk *)dev, &c);
    memcpy(buf, (char *)&c + off, len);
}

static void config_write(struct virtio_device *dev, uint32_t off, const void *buf, unsigned len)
{
    struct vblk *v = (struct vblk *)dev;
    uint32_t wce_at = offsetof(struct virtio_blk_config, wce);
    if (virtio_has(dev, F(CONFIG_WCE)) && off <= wce_at && wce_at < off + len)
        atomic_store(&v->wce, ((const uint8_t *)buf)[wce_at - off] & 1);
}

/* ---- life of the queues ---- */

static int make_requests(struct vblk *v, unsigned queue, struct err *err)
{
    struct virtio_blk_queue *q = &v->queues[queue];
    /* One more than can be in flight, so that an overfull ring is seen by virtq_pop(). */
    unsigned n = v->dev.queues[queue].config.size + 1u;
    q->requests = calloc(n, sizeof(*q->requests));
    q->segments = calloc(n + 1, sizeof(*q->segments));
    if (!q->requests || !q->segments)
        return err_set(err, ENOMEM, "could not allocate %u disk requests", n);
    q->free = NULL;
    q->n_requests = n;
    q->n_used = 0;
    return 0;
}

static void free_requests(struct virtio_blk_queue *q)
{
    free(q->requests);
    free(q->segments);
    q->requests = q->free = NULL;
    q->segments = NULL;
    q->n_requests = q->n_used = 0;
    q->to_publish = false;
}

static bool publish_hook(struct loop_prepare *p)
{
    return virtio_blk_publish(p->opaque);
}

static void start_in_loop(void *arg)
{
    struct vblk *v = arg;
    loop_prepare_add(v->options.loop, &v->publish);
    virtio_blk_retry(v);
}

static int activate(struct virtio_device *dev, struct err *err)
{
    struct vblk *v = (struct vblk *)dev;
    int r = 0;
    v->publish = (struct loop_prepare){.prepare = publish_hook, .opaque = v};
    for (unsigned i = 0; i < dev->n_queues && !r; i++)
        if (dev->queues[i].enabled)
            r = make_requests(v, i, err);
    if (!r)
        r = virtio_blk_restore_held(v, err);
    loop_call(v->options.loop, start_in_loop, v); /* also on failure: reset() takes it back */
    for (unsigned i = 0; i < dev->n_queues && !r; i++)
        r = virtio_watch_start(&v->queues[i].watch, dev, i, v->options.loop, virtio_blk_serve, err);
    return r;
}

static void quiesce_in_loop(void *arg)
{
    struct vblk *v = arg;
    loop_timer_cancel(v->options.loop, &v->throttle);
    blk_drain(v->backend);
    virtio_blk_publish(v);
}

static void pause_queues(struct virtio_device *dev)
{
    struct vblk *v = (struct vblk *)dev;
    for (unsigned i = 0; i < dev->n_queues; i++)
        virtio_watch_stop(&v->queues[i].watch);
    loop_call(v->options.loop, quiesce_in_loop, v);
}

static void retry_in_loop(void *arg)
{
    virtio_blk_retry(arg);
}

static void resume_queues(struct virtio_device *dev)
{
    struct vblk *v = (struct vblk *)dev;
    struct err err = {0};
    loop_call(v->options.loop, retry_in_loop, v);
    for (unsigned i = 0; i < dev->n_queues; i++) {
        if (virtio_watch_start(&v->queues[i].watch, dev, i, v->options.loop, virtio_blk_serve,
                               &err)) {
            virtio_device_broken(dev, &err);
            return;
        }
    }
}

static void leave_in_loop(void *arg)
{
    struct vblk *v = arg;
    loop_prepare_remove(v->options.loop, &v->publish);
    v->held = NULL;
    v->held_tail = &v->held;
    v->stopped = false;
}

static void reset(struct virtio_device *dev)
{
    struct vblk *v = (struct vblk *)dev;
    pause_queues(dev);
    loop_call(v->options.loop, leave_in_loop, v);
    for (unsigned i = 0; i < dev->n_queues; i++)
        free_requests(&v->queues[i]);
}

static void close_in_loop(void *arg)
{
    struct vblk *v = arg;
    loop_timer_cancel(v->options.loop, &v->throttle);
    blk_close(v->backend);
}

static void destroy(struct virtio_device *dev)
{
    struct vblk *v = (struct vblk *)dev;
    loop_call(v->options.loop, close_in_loop, v);
    free(v->saved);
    free(v);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-blk",
    .features_ok = features_ok,
    .config_read = config_read,
    .config_write = config_write,
    .activate = activate,
    .reset = reset,
    .pause = pause_queues,
    .resume = resume_queues,
    .save = virtio_blk_save,
    .load = virtio_blk_load,
    .destroy = destroy,
};

static uint64_t offer(const struct vblk *v)
{
    const struct blk_info *info = blk_info(v->backend);
    uint64_t f = F(SIZE_MAX) | F(SEG_MAX) | F(BLK_SIZE) | F(TOPOLOGY) | F(FLUSH) | F(CONFIG_WCE);
    if (v->dev.n_queues > 1)
        f |= F(MQ);
    if (info->read_only)
        return f | F(RO);
    f |= F(WRITE_ZEROES);
    if (info->discard_granularity_bytes)
        f |= F(DISCARD);
    return f;
}

struct virtio_device *virtio_blk_create(struct guest_mem *mem, struct blk *backend,
                                        const struct virtio_blk_options *options, struct err *err)
{
    unsigned n_queues = options->n_queues ? options->n_queues : 1;
    uint16_t queue_size = options->queue_size ? options->queue_size : 256;
    if (n_queues > VIRTIO_BLK_QUEUES_MAX) {
        err_set(err, EINVAL, "a disk has at most %d queues, not %u", VIRTIO_BLK_QUEUES_MAX,
                n_queues);
        return NULL;
    }
    if (queue_size < 4 || queue_size > VIRTQ_SIZE_MAX || !is_pow2(queue_size)) {
        err_set(err, EINVAL, "the queue size of a disk is a power of two from 4 to %d, not %u",
                VIRTQ_SIZE_MAX, queue_size);
        return NULL;
    }
    struct vblk *v = calloc(1, sizeof(*v));
    if (!v) {
        err_set(err, ENOMEM, "could not allocate a disk");
        return NULL;
    }
    virtio_device_init(&v->dev, &ops, DEVICE_ID_BLOCK, mem, n_queues, queue_size);
    v->backend = backend;
    v->options = *options;
    v->options.queue_size = queue_size;
    if (options->serial)
        memcpy(v->serial, options->serial, strnlen(options->serial, sizeof(v->serial)));
    v->options.serial = NULL;
    v->held_tail = &v->held;
    v->throttle = (struct loop_timer){.expired = virtio_blk_throttle_over, .opaque = v};
    token_bucket_limiter_init(&v->limiter, &options->limit, loop_now_ns(options->loop));
    for (unsigned i = 0; i < n_queues; i++)
        v->queues[i].vblk = v;
    atomic_store(&v->capacity_sectors, blk_info(backend)->size_bytes / BLK_SECTOR_BYTES);
    v->dev.features_offered = offer(v);
    v->dev.config_bytes = offsetof(struct virtio_blk_config, max_secure_erase_sectors);
    return &v->dev;
}

/* ---- while it runs ---- */

struct limit_call {
    struct vblk *v;
    const struct rate_limit *limit;
};

static void set_limit_in_loop(void *arg)
{
    struct limit_call *c = arg;
    struct loop *loop = c->v->options.loop;
    token_bucket_limiter_set(&c->v->limiter, c->limit, loop_now_ns(loop));
    if (loop_timer_armed(&c->v->throttle)) {
        loop_timer_cancel(loop, &c->v->throttle);
        virtio_blk_throttle_over(&c->v->throttle);
    }
}

void virtio_blk_set_limit(struct virtio_device *dev, const struct rate_limit *limit)
{
    struct limit_call c = {(struct vblk *)dev, limit};
    loop_call(c.v->options.loop, set_limit_in_loop, &c);
}

struct refresh_call {
    struct vblk *v;
    struct err *err;
    uint64_t size_bytes;
    int result;
};

static void refresh_in_loop(void *arg)
{
    struct refresh_call *c = arg;
    c->result = blk_refresh(c->v->backend, c->err);
    c->size_bytes = blk_info(c->v->backend)->size_bytes;
}

int virtio_blk_refresh(struct virtio_device *dev, uint64_t *size_bytes, struct err *err)
{
    struct vblk *v = (struct vblk *)dev;
    struct refresh_call c = {.v = v, .err = err};
    loop_call(v->options.loop, refresh_in_loop, &c);
    if (c.result < 0)
        return c.result;
    uint64_t sectors = c.size_bytes / BLK_SECTOR_BYTES;
    if (atomic_exchange(&v->capacity_sectors, sectors) != sectors)
        virtio_config_changed(dev);
    *size_bytes = c.size_bytes;
    return 0;
}

struct flush_call {
    struct vblk *v;
    int result;
};

static void flush_in_loop(void *arg)
{
    struct flush_call *c = arg;
    c->result = blk_op_sync(c->v->backend, BLK_FLUSH, 0, 0, 0);
}

int virtio_blk_flush(struct virtio_device *dev)
{
    struct flush_call c = {.v = (struct vblk *)dev};
    if (!blk_info(c.v->backend)->read_only)
        loop_call(c.v->options.loop, flush_in_loop, &c);
    return c.result;
}

struct read_call {
    struct vblk *v;
    uint64_t offset;
    void *buf;
    size_t bytes;
    int result;
};

static void read_in_loop(void *arg)
{
    struct read_call *c = arg;
    c->result = blk_read_sync(c->v->backend, c->offset, c->buf, c->bytes);
}

int virtio_blk_read(struct virtio_device *dev, uint64_t offset, void *buf, size_t bytes)
{
    struct read_call c = {.v = (struct vblk *)dev, .offset = offset, .buf = buf, .bytes = bytes};
    loop_call(c.v->options.loop, read_in_loop, &c);
    return c.result;
}

uint64_t virtio_blk_size_bytes(const struct virtio_device *dev)
{
    return atomic_load(&((const struct vblk *)dev)->capacity_sectors) * BLK_SECTOR_BYTES;
}

const struct virtio_blk_counters *virtio_blk_counters(const struct virtio_device *dev)
{
    return &((const struct vblk *)dev)->counters;
}
