/* Receive queues of virtio-net: see virtio_net_internal.h. Spec: virtio 1.2, 5.1.6.3, 5.1.6.4. */
#include <errno.h>
#include <sys/epoll.h>

#include "dev/virtio/virtio_net_internal.h"

#define NUM_BUFFERS_OFFSET offsetof(struct virtio_net_hdr_v1, num_buffers)
#define NARROW_BYTES       2048 /* a frame of MTU 1500, its tags and the header */
/* Publish when this much waits, so that the guest works on the first frames of a batch while we
 * read the rest. */
#define PUBLISH_FRAMES 16
#define PUBLISH_BYTES  (64 * 1024)

static bool merging(const struct virtio_net_pair *p)
{
    return virtio_has(&p->net->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_MRG_RXBUF));
}

/* ---- the window ---- */

static void window_clear(struct virtio_net_rx *rx)
{
    rx->first = rx->end = rx->iov_first = rx->iov_end = 0;
    rx->window_bytes = 0;
}

/* Moves the window to the start of its arrays. */
static void window_compact(struct virtio_net_rx *rx)
{
    unsigned n = rx->end - rx->first, n_iov = rx->iov_end - rx->iov_first;
    memmove(rx->chains, rx->chains + rx->first, n * sizeof(rx->chains[0]));
    memmove(rx->iov, rx->iov + rx->iov_first, n_iov * sizeof(rx->iov[0]));
    memmove(rx->in_gpa, rx->in_gpa + rx->iov_first, n_iov * sizeof(rx->in_gpa[0]));
    for (unsigned i = 0; i < n; i++) {
        rx->chains[i].iov -= rx->iov_first;
        rx->chains[i].in_gpa -= rx->iov_first;
    }
    rx->first = rx->iov_first = 0;
    rx->end = n;
    rx->iov_end = n_iov;
}

/* Adds the ring's next chain to the window. Returns 1, 0 if there is none, or -errno. */
static int window_grow(struct virtio_net_pair *p, struct err *err)
{
    struct virtio_net_rx *rx = &p->rx;
    /* One slot stays free for the held buffer. */
    if (rx->end == ARRAY_LEN(rx->chains) ||
        rx->iov_end + VIRTIO_NET_CHAIN_IOV + 1 > ARRAY_LEN(rx->iov))
        window_compact(rx);
    struct virtq_chain *c = &rx->chains[rx->end];
    *c = (struct virtq_chain){
        .iov = rx->iov + rx->iov_end,
        .in_gpa = rx->in_gpa + rx->iov_end,
        .iov_max = VIRTIO_NET_CHAIN_IOV,
    };
    int ret = virtq_pop(virtio_net_vq(p, false), c, err);
    if (ret <= 0)
        return ret;
    if (c->n_out || c->in_bytes < NET_HDR_BYTES) /* 5.1.6.3.1 */
        return err_set(err, EPROTO,
                       "a receive buffer has %u readable and %u writable bytes; none and at least "
                       "%d are needed",
                       c->out_bytes, c->in_bytes, NET_HDR_BYTES);
    rx->end++;
    rx->iov_end += c->n_in;
    rx->window_bytes += c->in_bytes;
    return 1;
}

/* Pops until the window holds `want` bytes, or, without merging, one chain. Returns 0, also when
 * the ring had less, or -errno. */
static int window_gather(struct virtio_net_pair *p, size_t want, struct err *err)
{
    struct virtio_net_rx *rx = &p->rx;
    if (rx->first == rx->end)
        window_clear(rx);
    int ret = 1;
    while (ret > 0 && rx->window_bytes < want &&
           rx->iov_end - rx->iov_first < VIRTIO_NET_CHAIN_IOV &&
           (merging(p) || rx->first == rx->end))
        ret = window_grow(p, err);
    return MIN(ret, 0);
}

/* Gives all that is in the window back to the ring, last first. */
static void window_return(struct virtio_net_pair *p)
{
    struct virtio_net_rx *rx = &p->rx;
    while (rx->end > rx->first)
        virtq_unpop(virtio_net_vq(p, false), &rx->chains[--rx->end]);
    window_clear(rx);
}

/* ---- delivery ---- */

static void rx_publish(struct virtio_net_pair *p)
{
    struct virtio_net_rx *rx = &p->rx;
    if (!rx->unpublished)
        return;
    rx->unpublished = rx->unpublished_bytes = 0;
    if (virtq_publish(virtio_net_vq(p, false))) {
        virtio_net_count(&rx->stat.interrupts, 1);
        virtio_queue_interrupt(&p->net->dev, 2 * p->index);
    }
}

/* Writes num_buffers into the header that the first chain begins with, however it is cut up. */
static void put_num_buffers(const struct virtq_chain *c, unsigned n)
{
    uint8_t le[2];
    le16_write(le, (uint16_t)n);
    if (c->iov[0].iov_len >= NET_HDR_BYTES) {
        memcpy((uint8_t *)c->iov[0].iov_base + NUM_BUFFERS_OFFSET, le, 2);
        return;
    }
    size_t at = 0;
    for (unsigned i = 0, done = 0; i < c->n_in && done < 2; i++) {
        size_t len = c->iov[i].iov_len;
        while (done < 2 && NUM_BUFFERS_OFFSET + done - at < len) {
            ((uint8_t *)c->iov[i].iov_base)[NUM_BUFFERS_OFFSET + done - at] = le[done];
            done++;
        }
        at += len;
    }
}

/* The front of the window holds a packet of `bytes`, which fits: completes those chains. */
static void deliver(struct virtio_net_pair *p, size_t bytes)
{
    struct virtio_net_rx *rx = &p->rx;
    struct virtq *vq = virtio_net_vq(p, false);
    unsigned n = 0;
    for (size_t left = bytes; left; n++)
        left -= MIN(left, rx->chains[rx->first + n].in_bytes);
    put_num_buffers(&rx->chains[rx->first], n);
    size_t left = bytes;
    for (unsigned i = 0; i < n; i++) {
        const struct virtq_chain *c = &rx->chains[rx->first++];
        size_t part = MIN(left, c->in_bytes);
        virtq_push(vq, c, (uint32_t)part);
        left -= part;
        rx->iov_first += c->n_in;
        rx->window_bytes -= c->in_bytes;
    }
    virtio_net_count(&rx->stat.packets, 1);
    virtio_net_count(&rx->stat.bytes, bytes - NET_HDR_BYTES);
    rx->unpublished_bytes += (unsigned)bytes;
    if (++rx->unpublished >= PUBLISH_FRAMES || rx->unpublished_bytes >= PUBLISH_BYTES)
        rx_publish(p);
}

/* The guest has no place for the held frame. True if it never will: all that the ring can hold is
 * in the window. */
static bool hopeless(const struct virtio_net_pair *p)
{
    const struct virtio_net_rx *rx = &p->rx;
    unsigned ring = p->net->dev.queues[2 * p->index].vq.config.size;
    return !merging(p) ? rx->first != rx->end : rx->iov_end - rx->iov_first >= ring;
}

/* Copies the held frame to the guest. Returns whether it is gone (delivered or dropped), or
 * -errno. */
static int deliver_held(struct virtio_net_pair *p, struct err *err)
{
    struct virtio_net_rx *rx = &p->rx;
    int ret = window_gather(p, rx->held_bytes, err);
    if (ret)
        return ret;
    if (rx->window_bytes < rx->held_bytes) {
        if (!hopeless(p))
            return 0;
        virtio_net_count(&rx->stat.dropped, 1);
        rx->held_bytes = 0;
        return 1;
    }
    size_t done = 0;
    for (unsigned i = rx->iov_first; done < rx->held_bytes; i++) {
        size_t len = MIN(rx->iov[i].iov_len, rx->held_bytes - done);
        memcpy(rx->iov[i].iov_base, rx->held + done, len);
        done += len;
    }
    rx->held_bytes = 0;
    deliver(p, done);
    return 1;
}

/* ---- serving ---- */

/* A packet of `bytes` has been read into the window and, if that was too small, into held[]. */
static void received(struct virtio_net_pair *p, size_t bytes)
{
    struct virtio_net_rx *rx = &p->rx;
    virtio_net_limit_charge(&p->net->rx_limit, bytes - NET_HDR_BYTES);
    if (bytes > NET_PACKET_MAX_BYTES || bytes < NET_HDR_BYTES + NET_FRAME_MIN_BYTES) {
        virtio_net_count(&rx->stat.dropped, 1);
        return;
    }
    if (bytes <= rx->window_bytes) {
        deliver(p, bytes);
        return;
    }
    /* The tail is in its place behind the window; the head joins it. */
    size_t done = 0;
    for (unsigned i = rx->iov_first; i < rx->iov_end; i++) {
        memcpy(rx->held + done, rx->iov[i].iov_base, rx->iov[i].iov_len);
        done += rx->iov[i].iov_len;
    }
    rx->held_bytes = bytes;
    rx->wide = true;
}

static ssize_t receive(struct virtio_net_pair *p)
{
    struct virtio_net_rx *rx = &p->rx;
    unsigned n = rx->iov_end - rx->iov_first;
    if (rx->window_bytes <= NET_PACKET_MAX_BYTES)
        rx->iov[rx->iov_end] = (struct iovec){
            .iov_base = rx->held + rx->window_bytes,
            .iov_len = sizeof(rx->held) - rx->window_bytes,
        };
    n += rx->window_bytes <= NET_PACKET_MAX_BYTES;
    return net_recv(p->net->nb, p->index, rx->iov + rx->iov_first, n);
}

/* With the cable out, what comes is thrown away. Returns as net_recv(). */
static ssize_t discard(struct virtio_net_pair *p)
{
    struct iovec iov = {p->rx.held, sizeof(p->rx.held)};
    p->rx.held_bytes = 0;
    ssize_t n = net_recv(p->net->nb, p->index, &iov, 1);
    if (n > 0)
        virtio_net_count(&p->rx.stat.dropped, 1);
    return n;
}

/* No buffers. Returns true if there are, after all. */
static bool stall(struct virtio_net_pair *p)
{
    rx_publish(p);
    if (virtq_enable_kicks(virtio_net_vq(p, false)))
        return true;
    p->rx.stalled = true;
    virtio_net_count(&p->rx.stat.stalls, 1);
    net_want_read(p->net->nb, p->index, false);
    return false;
}

/* One frame. Returns 1 if the next may follow, 0 if not now, -errno if the driver broke a rule. */
static int serve_one(struct virtio_net_pair *p, int64_t now_ns, struct err *err)
{
    struct virtio_net *n = p->net;
    struct virtio_net_rx *rx = &p->rx;
    if (virtio_net_link_up(n)) {
        int64_t later_ns = virtio_net_limit_take(&n->rx_limit, 0, now_ns);
        if (later_ns) {
            rx->limited = true;
            net_want_read(n->nb, p->index, false);
            loop_timer_arm(p->loop, &rx->timer, later_ns);
            return 0;
        }
        int ret;
        if (rx->held_bytes) {
            ret = deliver_held(p, err);
            return ret ? ret : stall(p);
        }
        uint64_t gso = atomic_load_explicit(&n->guest_offloads, memory_order_relaxed) &
                       ~VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_CSUM);
        ret = window_gather(p, gso || rx->wide ? NET_PACKET_MAX_BYTES : NARROW_BYTES, err);
        if (ret)
            return ret;
        if (rx->first == rx->end)
            return stall(p);
    }
    ssize_t got = virtio_net_link_up(n) ? receive(p) : discard(p);
    if (got == -EPIPE)
        virtio_net_lost(p);
    if (got < 0)
        return 0;
    if (virtio_net_link_up(n))
        received(p, (size_t)got);
    return 1;
}

void virtio_net_rx_serve(struct virtio_net_pair *p)
{
    struct virtio_net *n = p->net;
    struct virtio_net_rx *rx = &p->rx;
    struct err err = {0};
    int64_t now_ns =
        atomic_load_explicit(&n->rx_limit.on, memory_order_relaxed) ? loop_now_ns(p->loop) : 0;
    if (rx->stalled || rx->limited || !p->running)
        return;
    int ret = virtio_device_is_broken(&n->dev) ? -EPROTO : 1;
    uint64_t had = atomic_load_explicit(&rx->stat.bytes, memory_order_relaxed), bytes = 0;
    for (int i = 0; i < VIRTIO_NET_BATCH && bytes < VIRTIO_NET_BATCH_BYTES && ret > 0; i++) {
        ret = serve_one(p, now_ns, &err);
        bytes = atomic_load_explicit(&rx->stat.bytes, memory_order_relaxed) - had;
    }
    if (ret < 0) {
        net_want_read(n->nb, p->index, false);
        if (err.code)
            virtio_device_broken(&n->dev, &err);
        return;
    }
    rx_publish(p);
}

static void limit_over(struct loop_timer *t)
{
    struct virtio_net_pair *p = t->opaque;
    p->rx.limited = false;
    if (!p->rx.stalled)
        net_want_read(p->net->nb, p->index, true);
    virtio_net_rx_serve(p);
}

/* The driver added buffers (or the transport wants us to look). */
static void kicked(struct loop_fd *fd, uint32_t events)
{
    struct virtio_net_pair *p = fd->opaque;
    if (!p->rx.stalled)
        return;
    virtio_net_count(&p->rx.stat.kicks, 1);
    p->rx.stalled = false;
    virtq_disable_kicks(virtio_net_vq(p, false));
    if (!p->rx.limited)
        net_want_read(p->net->nb, p->index, true);
    virtio_net_rx_serve(p);
}

int virtio_net_rx_start(struct virtio_net_pair *p)
{
    struct virtio_net_rx *rx = &p->rx;
    rx->timer = (struct loop_timer){.expired = limit_over, .opaque = p};
    rx->kick = (struct loop_fd){.ready = kicked, .opaque = p};
    rx->limited = false;
    rx->stalled = true; /* until the kick that follows each start */
    rx->unpublished = rx->unpublished_bytes = 0;
    window_clear(rx);
    /* Edge-triggered: each write wakes us, and nobody has to read the counter. */
    return loop_fd_add(p->loop, &rx->kick, p->net->dev.queues[2 * p->index].kick_fd,
                       EPOLLIN | EPOLLET);
}

void virtio_net_rx_stop(struct virtio_net_pair *p)
{
    rx_publish(p);
    window_return(p);
    loop_fd_remove(&p->rx.kick);
    loop_timer_cancel(p->loop, &p->rx.timer);
}

void virtio_net_rx_reset(struct virtio_net_pair *p)
{
    p->rx.held_bytes = 0;
    p->rx.wide = false;
}
