/* One queue of buffers to fill. A request is bounded, and what the rate limit holds back stays in
 * the ring until the timer. Nothing here is state: a loaded device begins with a full bucket. */
#include "dev/virtio/virtio_rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/token_bucket.h"
#include "base/util.h"
#include "dev/virtio/virtio_watch.h"

#define QUEUE_SIZE 64
#define IOVS       (QUEUE_SIZE + VIRTQ_REGIONS_MAX)

struct virtio_rng {
    struct virtio_device dev;
    struct loop *loop;
    struct virtio_watch watch;
    struct token_bucket bucket;
    struct loop_timer retry;
};

/* Fills the first `n` bytes of the writable buffers; returns how many it could. */
static uint32_t fill(const struct virtq_chain *c, uint32_t n)
{
    uint32_t done = 0;
    for (unsigned i = c->n_out; done < n; i++) {
        size_t want = MIN(n - done, c->iov[i].iov_len);
        ssize_t got;
        do
            got = getrandom(c->iov[i].iov_base, want, 0);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
            break;
        done += (uint32_t)got;
        if ((size_t)got < want)
            break;
    }
    return done;
}

static bool serve(struct virtio_watch *w)
{
    struct virtio_rng *r = (struct virtio_rng *)w->dev;
    struct virtq *vq = &w->dev->queues[0].vq;
    struct iovec iov[IOVS];
    uint64_t in_gpa[IOVS];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = IOVS};
    struct err err = {0};
    int ret = 1;
    bool held_back = false;
    virtq_disable_kicks(vq);
    for (unsigned budget = QUEUE_SIZE; budget && !held_back; budget--) {
        ret = virtq_pop(vq, &c, &err);
        if (ret <= 0)
            break;
        uint32_t n = MIN(c.in_bytes, VIRTIO_RNG_REQUEST_BYTES);
        int64_t now = loop_now_ns(r->loop);
        held_back = !token_bucket_allows(&r->bucket, n, now);
        if (held_back) {
            virtq_unpop(vq, &c);
            loop_timer_arm(r->loop, &r->retry, token_bucket_ready_ns(&r->bucket, n, now));
        } else {
            token_bucket_take(&r->bucket, n);
            virtq_push(vq, &c, fill(&c, n));
        }
    }
    if (virtq_publish(vq))
        virtio_queue_interrupt(w->dev, 0);
    if (ret < 0)
        virtio_device_broken(w->dev, &err);
    return ret >= 0 && !held_back && virtq_enable_kicks(vq);
}

static void retry_expired(struct loop_timer *t)
{
    struct virtio_rng *r = t->opaque;
    virtio_queue_kick(&r->dev, 0);
}

static void cancel_retry(void *arg)
{
    struct virtio_rng *r = arg;
    loop_timer_cancel(r->loop, &r->retry);
}

static int start(struct virtio_device *dev, struct err *err)
{
    struct virtio_rng *r = (struct virtio_rng *)dev;
    return virtio_watch_start(&r->watch, dev, 0, r->loop, serve, err);
}

static void stop(struct virtio_device *dev)
{
    struct virtio_rng *r = (struct virtio_rng *)dev;
    virtio_watch_stop(&r->watch);
    loop_call(r->loop, cancel_retry, r);
}

static void resume(struct virtio_device *dev)
{
    struct err err = {0};
    if (start(dev, &err))
        virtio_device_broken(dev, &err);
}

static void destroy(struct virtio_device *dev)
{
    free(dev);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-rng",
    .activate = start,
    .reset = stop,
    .pause = stop,
    .resume = resume,
    .destroy = destroy,
};

struct virtio_device *virtio_rng_create(struct guest_mem *mem,
                                        const struct virtio_rng_options *options, struct err *err)
{
    struct virtio_rng *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(err, ENOMEM, "could not allocate a virtio-rng device");
        return NULL;
    }
    virtio_device_init(&r->dev, &ops, 4, mem, 1, QUEUE_SIZE);
    r->loop = options->loop;
    r->retry = (struct loop_timer){.expired = retry_expired, .opaque = r};
    token_bucket_init(&r->bucket, options->bytes_per_s, options->burst_bytes, loop_now_ns(r->loop));
    return &r->dev;
}
