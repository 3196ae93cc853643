/* Theory of operation. Pages that the guest puts into the balloon, or reports as free, are given
 * back to the host with guest_mem_discard(); the guest may touch them again at any time and finds
 * zeroes, so a page frame number that lies is harmless to all but the guest: what is not RAM is
 * skipped and counted. Work a request is bounded: of a longer list of pages the rest stays as it
 * is.
 *
 * Statistics: the driver hands in a buffer with numbers, which the device keeps until it wants new
 * ones. The buffer kept is the last one taken from its queue, so a pause simply puts it back.
 *
 * Queues have no fixed numbers: like Linux, we count those of the negotiated features (5.5.2). */
#include "dev/virtio/virtio_balloon.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/virtio_balloon.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/virtio/virtio_watch.h"

#define QUEUE_SIZE    128
#define IOVS          (QUEUE_SIZE + VIRTQ_REGIONS_MAX)
#define REQUESTS      16   /* a turn in the loop */
#define PFNS          4096 /* looked at in one request; Linux sends up to 256 */
#define PFN_BATCH     256
#define PAGE_BYTES    (UINT64_C(1) << VIRTIO_BALLOON_PFN_SHIFT)
#define STATS_BYTES   (VIRTIO_BALLOON_S_NR * sizeof(struct virtio_balloon_stat))
#define NO_QUEUE      UINT_MAX
#define QUEUE_INFLATE 0
#define QUEUE_DEFLATE 1
#define QUEUES        4

#define F_STATS     (UINT64_C(1) << VIRTIO_BALLOON_F_STATS_VQ)
#define F_OOM       (UINT64_C(1) << VIRTIO_BALLOON_F_DEFLATE_ON_OOM)
#define F_REPORTING (UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING)

struct virtio_balloon {
    struct virtio_device dev;
    struct loop *loop;
    struct virtio_watch watch[QUEUES];
    _Atomic uint32_t target_pages, actual_pages;
    struct virtio_balloon_counters counters;
    unsigned queue_stats, queue_reporting; /* numbers, or NO_QUEUE */
    pthread_mutex_t stats_lock;            /* a leaf */
    struct virtio_balloon_stats stats;
    /* Of the loop's thread. */
    unsigned stats_interval_s;
    struct loop_timer stats_timer;
    bool stats_held; /* a buffer of the driver waits here */
    struct virtq_chain stats_chain;
};

/* ---- giving pages back ---- */

static void discard(struct virtio_balloon *b, uint64_t gpa, uint64_t len)
{
    if (guest_mem_discard(b->dev.mem, gpa, len))
        atomic_fetch_add(&b->counters.refused_pages, len / PAGE_BYTES);
}

static int compare_pfns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, neighbours go back in one call; runs end where RAM does. */
static void inflate_batch(struct virtio_balloon *b, uint32_t *pfns, unsigned n)
{
    qsort(pfns, n, sizeof(*pfns), compare_pfns);
    for (unsigned i = 0, end; i < n; i = end) {
        uint64_t gpa = pfns[i] * PAGE_BYTES, len = PAGE_BYTES;
        uint64_t ram = guest_mem_contiguous(b->dev.mem, gpa);
        for (end = i + 1; end < n && pfns[end] - pfns[end - 1] <= 1; end++)
            if (pfns[end] != pfns[end - 1])
                len += PAGE_BYTES;
        if (len <= ram) {
            discard(b, gpa, len);
            continue;
        }
        for (unsigned j = i; j < end; j++) /* page by page: some are not RAM */
            discard(b, pfns[j] * PAGE_BYTES, PAGE_BYTES);
    }
}

/* Copies `len` bytes at `off` out of the readable buffers; returns how many there were. */
static uint32_t copy_out(const struct virtq_chain *c, uint32_t off, void *buf, uint32_t len)
{
    uint32_t done = 0;
    for (unsigned i = 0; i < c->n_out && done < len; i++) {
        uint32_t iov_len = (uint32_t)c->iov[i].iov_len;
        if (off >= iov_len) {
            off -= iov_len;
            continue;
        }
        uint32_t n = MIN(iov_len - off, len - done);
        memcpy((uint8_t *)buf + done, (const uint8_t *)c->iov[i].iov_base + off, n);
        done += n;
        off = 0;
    }
    return done;
}

static void inflate(struct virtio_balloon *b, const struct virtq_chain *c)
{
    uint32_t pfns[PFN_BATCH];
    uint32_t bytes = MIN(c->out_bytes, PFNS * sizeof(pfns[0]));
    for (uint32_t off = 0; off < bytes; off += sizeof(pfns)) {
        unsigned n = copy_out(c, off, pfns, MIN(bytes - off, sizeof(pfns))) / sizeof(pfns[0]);
        for (unsigned i = 0; i < n; i++)
            pfns[i] = le32toh(pfns[i]);
        inflate_batch(b, pfns, n);
        atomic_fetch_add(&b->counters.inflated_pages, n);
    }
}

/* The guest finds zeroes in pages it takes back; nothing to do but count. */
static void deflate(struct virtio_balloon *b, const struct virtq_chain *c)
{
    atomic_fetch_add(&b->counters.deflated_pages, c->out_bytes / sizeof(uint32_t));
}

/* Free ranges are the writable buffers themselves (5.5.6.7). */
static void report(struct virtio_balloon *b, const struct virtq_chain *c)
{
    for (unsigned i = 0; i < c->n_in; i++) {
        uint64_t start = align_up(c->in_gpa[i], PAGE_BYTES);
        uint64_t end = (c->in_gpa[i] + c->iov[c->n_out + i].iov_len) & ~(PAGE_BYTES - 1);
        if (start >= end)
            continue;
        discard(b, start, end - start);
        atomic_fetch_add(&b->counters.reported_bytes, end - start);
    }
}

static bool serve(struct virtio_watch *w,
                  void (*handle)(struct virtio_balloon *b, const struct virtq_chain *c))
{
    struct virtq *vq = &w->dev->queues[w->queue].vq;
    struct iovec iov[IOVS];
    uint64_t in_gpa[IOVS];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = IOVS};
    struct err err = {0};
    int ret = 1;
    virtq_disable_kicks(vq);
    for (unsigned n = REQUESTS; n; n--) {
        ret = virtq_pop(vq, &c, &err);
        if (ret <= 0)
            break;
        handle((struct virtio_balloon *)w->dev, &c);
        virtq_push(vq, &c, 0);
    }
    if (virtq_publish(vq))
        virtio_queue_interrupt(w->dev, w->queue);
    if (ret < 0)
        virtio_device_broken(w->dev, &err);
    return ret >= 0 && virtq_enable_kicks(vq);
}

static bool serve_inflate(struct virtio_watch *w)
{
    return serve(w, inflate);
}
static bool serve_deflate(struct virtio_watch *w)
{
    return serve(w, deflate);
}
static bool serve_reporting(struct virtio_watch *w)
{
    return serve(w, report);
}

/* ---- statistics ---- */

static void parse_stats(struct virtio_balloon *b, const struct virtq_chain *c)
{
    struct virtio_balloon_stat entries[VIRTIO_BALLOON_S_NR];
    unsigned n = copy_out(c, 0, entries, STATS_BYTES) / sizeof(entries[0]);
    struct virtio_balloon_stats stats = {.updated_ns = loop_now_ns(b->loop)};
    static_assert(VIRTIO_BALLOON_STATS == VIRTIO_BALLOON_S_NR, "our names are the tags");
    for (unsigned i = 0; i < n; i++) {
        unsigned tag = le16toh(entries[i].tag);
        if (tag >= VIRTIO_BALLOON_STATS) /* a newer guest */
            continue;
        stats.known |= 1u << tag;
        stats.value[tag] = le64toh(entries[i].val);
    }
    pthread_mutex_lock(&b->stats_lock);
    b->stats = stats;
    pthread_mutex_unlock(&b->stats_lock);
}

/* Gives the driver its buffer back, which asks for new numbers. */
static void return_stats(struct virtio_balloon *b)
{
    struct virtq *vq = &b->dev.queues[b->queue_stats].vq;
    if (!b->stats_held)
        return;
    b->stats_held = false;
    virtq_push(vq, &b->stats_chain, 0);
    if (virtq_publish(vq))
        virtio_queue_interrupt(&b->dev, b->queue_stats);
}

static bool serve_stats(struct virtio_watch *w)
{
    struct virtio_balloon *b = (struct virtio_balloon *)w->dev;
    struct virtq *vq = &w->dev->queues[w->queue].vq;
    struct iovec iov[IOVS];
    struct virtq_chain c = {.iov = iov, .iov_max = IOVS};
    struct err err = {0};
    int ret = 1;
    for (unsigned n = REQUESTS; n; n--) {
        ret = virtq_pop(vq, &c, &err);
        if (ret <= 0)
            break;
        if (b->stats_held) { /* a driver should have but one; the older goes back */
            virtq_push(vq, &b->stats_chain, 0);
            if (virtq_publish(vq))
                virtio_queue_interrupt(w->dev, w->queue);
        }
        parse_stats(b, &c);
        b->stats_held = true;
        b->stats_chain = c;
        b->stats_chain.iov = NULL; /* the stack's; only the bookkeeping is needed */
    }
    if (ret < 0)
        virtio_device_broken(w->dev, &err);
    return ret >= 0 && virtq_enable_kicks(vq);
}

static void arm_stats(struct virtio_balloon *b)
{
    loop_timer_cancel(b->loop, &b->stats_timer);
    if (b->stats_interval_s)
        loop_timer_arm(b->loop, &b->stats_timer,
                       loop_now_ns(b->loop) + b->stats_interval_s * INT64_C(1000000000));
}

static void stats_due(struct loop_timer *t)
{
    struct virtio_balloon *b = t->opaque;
    if (!virtio_device_is_broken(&b->dev))
        return_stats(b);
    arm_stats(b);
}

void virtio_balloon_stats(struct virtio_device *dev, struct virtio_balloon_stats *stats)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    pthread_mutex_lock(&b->stats_lock);
    *stats = b->stats;
    pthread_mutex_unlock(&b->stats_lock);
}

struct interval {
    struct virtio_balloon *b;
    unsigned seconds;
};

static void set_interval_in_loop(void *arg)
{
    struct interval *i = arg;
    bool running = i->b->dev.active && !i->b->dev.paused;
    i->b->stats_interval_s = i->seconds;
    if (running && i->b->queue_stats != NO_QUEUE)
        arm_stats(i->b);
}

void virtio_balloon_set_stats_interval(struct virtio_device *dev, unsigned seconds)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    loop_call(b->loop, set_interval_in_loop, &(struct interval){b, seconds});
}

/* ---- size ---- */

int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes, struct err *err)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    if (bytes > dev->mem->total_bytes)
        return err_set(err, EINVAL, "a balloon of %llu bytes is larger than the guest's %llu",
                       (unsigned long long)bytes, (unsigned long long)dev->mem->total_bytes);
    atomic_store(&b->target_pages, (uint32_t)(bytes / PAGE_BYTES));
    virtio_config_changed(dev);
    return 0;
}

uint64_t virtio_balloon_target_bytes(const struct virtio_device *dev)
{
    return atomic_load(&((const struct virtio_balloon *)dev)->target_pages) * PAGE_BYTES;
}

uint64_t virtio_balloon_actual_bytes(const struct virtio_device *dev)
{
    return atomic_load(&((const struct virtio_balloon *)dev)->actual_pages) * PAGE_BYTES;
}

const struct virtio_balloon_counters *virtio_balloon_counters(const struct virtio_device *dev)
{
    return &((const struct virtio_balloon *)dev)->counters;
}

static void config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    const struct virtio_balloon *b = (const struct virtio_balloon *)dev;
    const struct virtio_balloon_config config = {
        .num_pages = htole32(atomic_load(&b->target_pages)),
        .actual = htole32(atomic_load(&b->actual_pages)),
    };
    memcpy(buf, (const uint8_t *)&config + off, len);
}

/* Only `actual` is the driver's. */
static void config_write(struct virtio_device *dev, uint32_t off, const void *buf, unsigned len)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    struct virtio_balloon_config config;
    config_read(dev, 0, &config, sizeof(config));
    memcpy((uint8_t *)&config + off, buf, len);
    atomic_store(&b->actual_pages, le32toh(config.actual));
}

/* ---- slots ---- */

static int start(struct virtio_device *dev, struct err *err)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    unsigned next = QUEUE_DEFLATE + 1;
    b->queue_stats = virtio_has(dev, F_STATS) ? next++ : NO_QUEUE;
    b->queue_reporting = virtio_has(dev, F_REPORTING) ? next++ : NO_QUEUE;
    int ret = virtio_watch_start(&b->watch[0], dev, QUEUE_INFLATE, b->loop, serve_inflate, err);
    if (!ret)
        ret = virtio_watch_start(&b->watch[1], dev, QUEUE_DEFLATE, b->loop, serve_deflate, err);
    if (!ret && b->queue_stats != NO_QUEUE) {
        ret = virtio_watch_start(&b->watch[2], dev, b->queue_stats, b->loop, serve_stats, err);
        virtio_balloon_set_stats_interval(dev, b->stats_interval_s);
    }
    if (!ret && b->queue_reporting != NO_QUEUE)
        ret = virtio_watch_start(&b->watch[3], dev, b->queue_reporting, b->loop, serve_reporting,
                                 err);
    return ret;
}

/* Puts the statistics buffer back into its queue, so that nothing is in flight. */
static void stop_stats_in_loop(void *arg)
{
    struct virtio_balloon *b = arg;
    loop_timer_cancel(b->loop, &b->stats_timer);
    if (b->stats_held)
        virtq_unpop(&b->dev.queues[b->queue_stats].vq, &b->stats_chain);
    b->stats_held = false;
}

static void stop(struct virtio_device *dev)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    for (unsigned i = 0; i < QUEUES; i++)
        virtio_watch_stop(&b->watch[i]);
    loop_call(b->loop, stop_stats_in_loop, b);
}

/* A driver that starts over has an empty balloon. */
static void reset(struct virtio_device *dev)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    stop(dev);
    atomic_store(&b->actual_pages, 0);
}

static void resume(struct virtio_device *dev)
{
    struct err err = {0};
    if (start(dev, &err))
        virtio_device_broken(dev, &err);
}

static void save(struct virtio_device *dev, struct state_writer *w)
{
    const struct virtio_balloon *b = (const struct virtio_balloon *)dev;
    state_put_u32(w, atomic_load(&b->target_pages));
    state_put_u32(w, atomic_load(&b->actual_pages));
}

static int load(struct virtio_device *dev, struct state_reader *r)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    uint32_t target = state_get_u32(r);
    if (target > dev->mem->total_bytes / PAGE_BYTES)
        return state_invalid(r, "a balloon of %u pages is larger than the guest's RAM", target);
    atomic_store(&b->target_pages, target);
    atomic_store(&b->actual_pages, state_get_u32(r));
    return 0;
}

static void destroy(struct virtio_device *dev)
{
    struct virtio_balloon *b = (struct virtio_balloon *)dev;
    pthread_mutex_destroy(&b->stats_lock);
    free(b);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-balloon",
    .config_read = config_read,
    .config_write = config_write,
    .activate = start,
    .reset = reset,
    .pause = stop,
    .resume = resume,
    .save = save,
    .load = load,
    .destroy = destroy,
};

struct virtio_device *virtio_balloon_create(struct guest_mem *mem,
                                            const struct virtio_balloon_options *options,
                                            struct err *err)
{
    struct virtio_balloon *b = calloc(1, sizeof(*b));
    if (!b) {
        err_set(err, ENOMEM, "could not allocate a virtio-balloon device");
        return NULL;
    }
    unsigned n_queues = QUEUES - !options->reporting;
    virtio_device_init(&b->dev, &ops, 5, mem, n_queues, QUEUE_SIZE);
    pthread_mutex_init(&b->stats_lock, NULL);
    b->dev.config_bytes = sizeof(struct virtio_balloon_config);
    b->dev.features_offered =
        F_STATS | (options->deflate_on_oom ? F_OOM : 0) | (options->reporting ? F_REPORTING : 0);
    b->loop = options->loop;
    b->stats_interval_s = options->stats_interval_s;
    b->stats_timer = (struct loop_timer){.expired = stats_due, .opaque = b};
    b->queue_stats = b->queue_reporting = NO_QUEUE;
    if (virtio_balloon_set_target(&b->dev, options->target_bytes, err)) {
        destroy(&b->dev);
        return NULL;
    }
    return &b->dev;
}
