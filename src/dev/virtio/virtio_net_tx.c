/* Transmit queues of virtio-net: see virtio_net_internal.h. The header goes to the back end as the
 * guest wrote it: the kernel behind a TAP reads it once and checks it, passt never sees it.
 * Spec: virtio 1.2, 5.1.6.2. */
#include <errno.h>
#include <sys/epoll.h>

#include "dev/virtio/virtio_net_internal.h"

/* How often an empty ring is looked at again before kicks are enabled. */
#define LOOKUPS_MAX 3
/* Publish when this much waits: the guest's TCP sends on only as what it sent is given back, so
 * that it makes the next packet while we send this one. */
#define PUBLISH_FRAMES 32
#define PUBLISH_BYTES  (64 * 1024)

/* What was sent and not yet given back. */
struct unpublished {
    unsigned frames, bytes;
};

static void tx_publish(struct virtio_net_pair *p, struct unpublished *u)
{
    if (!u->frames)
        return;
    *u = (struct unpublished){0};
    if (virtq_publish(virtio_net_vq(p, true))) {
        virtio_net_count(&p->tx.stat.interrupts, 1);
        virtio_queue_interrupt(&p->net->dev, 2 * p->index + 1);
    }
}

/* Sends one chain. Returns 0 when it is done with, -EAGAIN when it must go back into the ring. */
static int send_chain(struct virtio_net_pair *p, const struct virtq_chain *c, int64_t now_ns)
{
    struct virtio_net *n = p->net;
    struct virtio_net_tx *tx = &p->tx;
    uint64_t frame_bytes = c->out_bytes - NET_HDR_BYTES;
    if (!virtio_net_link_up(n)) {
        virtio_net_count(&tx->stat.dropped, 1);
        return 0;
    }
    int64_t later_ns = virtio_net_limit_take(&n->tx_limit, frame_bytes, now_ns);
    if (later_ns) {
        tx->limited = true;
        loop_timer_arm(p->loop, &tx->timer, later_ns);
        return -EAGAIN;
    }
    int ret = net_send(n->nb, p->index, c->iov, c->n_out, c->out_bytes);
    if (ret == 0) {
        virtio_net_count(&tx->stat.packets, 1);
        virtio_net_count(&tx->stat.bytes, frame_bytes);
        virtio_net_sight_look(p, c);
        return 0;
    }
    if (ret == -EAGAIN) {
        tx->blocked = true;
        virtio_net_count(&tx->stat.stalls, 1);
        return ret;
    }
    if (ret == -EPIPE)
        virtio_net_lost(p);
    virtio_net_count(&tx->stat.dropped, 1);
    return 0;
}

/* Returns 1 after a packet, 0 if the ring is empty or must wait, -errno. */
static int serve_one(struct virtio_net_pair *p, int64_t now_ns, struct unpublished *u,
                     struct err *err)
{
    struct virtio_net_tx *tx = &p->tx;
    struct virtq *vq = virtio_net_vq(p, true);
    struct virtq_chain c = {.iov = tx->iov, .iov_max = ARRAY_LEN(tx->iov)};
    int ret = virtq_pop(vq, &c, err);
    if (ret <= 0)
        return ret;
    if (c.out_bytes < NET_HDR_BYTES || c.n_in)
        return err_set(err, EPROTO,
                       "a packet to send has %u readable and %u writable bytes; at least %d and "
                       "none are needed",
                       c.out_bytes, c.in_bytes, NET_HDR_BYTES);
    if (send_chain(p, &c, now_ns) == -EAGAIN) {
        virtq_unpop(vq, &c);
        return 0;
    }
    virtq_push(vq, &c, 0);
    u->bytes += c.out_bytes;
    if (++u->frames >= PUBLISH_FRAMES || u->bytes >= PUBLISH_BYTES)
        tx_publish(p, u);
    return 1;
}

void virtio_net_tx_serve(struct virtio_net_pair *p)
{
    struct virtio_net *n = p->net;
    struct virtio_net_tx *tx = &p->tx;
    struct virtq *vq = virtio_net_vq(p, true);
    struct err err = {0};
    int64_t now_ns =
        atomic_load_explicit(&n->tx_limit.on, memory_order_relaxed) ? loop_now_ns(p->loop) : 0;
    struct unpublished unpublished = {0};
    int ret = 1, done = 0;
    tx->more = false;
    /* 5.1.6.5.5: queues of pairs that are off are not read. */
    if (!p->running || tx->blocked || tx->limited || virtio_device_is_broken(&n->dev) ||
        !net_pair_active(n->nb, p->index))
        return;
    uint64_t had = atomic_load_explicit(&tx->stat.bytes, memory_order_relaxed), bytes = 0;
    while (done < VIRTIO_NET_BATCH && bytes < VIRTIO_NET_BATCH_BYTES &&
           (ret = serve_one(p, now_ns, &unpublished, &err)) > 0) {
        bytes = atomic_load_explicit(&tx->stat.bytes, memory_order_relaxed) - had;
        done++;
    }
    tx_publish(p, &unpublished);
    if (ret < 0) {
        virtio_device_broken(&n->dev, &err);
        return;
    }
    if (tx->blocked || tx->limited)
        return;
    tx->lookups = done ? 0 : tx->lookups + 1;
    tx->more = ret > 0 || tx->lookups < LOOKUPS_MAX || virtq_enable_kicks(vq);
}

static void limit_over(struct loop_timer *t)
{
    struct virtio_net_pair *p = t->opaque;
    p->tx.limited = false;
    virtio_net_tx_serve(p);
}

static void kicked(struct loop_fd *fd, uint32_t events)
{
    struct virtio_net_pair *p = fd->opaque;
    virtio_net_count(&p->tx.stat.kicks, 1);
    p->tx.lookups = 0;
    if (p->tx.blocked || p->tx.limited)
        return;
    virtq_disable_kicks(virtio_net_vq(p, true));
    virtio_net_tx_serve(p);
}

int virtio_net_tx_start(struct virtio_net_pair *p)
{
    struct virtio_net_tx *tx = &p->tx;
    tx->timer = (struct loop_timer){.expired = limit_over, .opaque = p};
    tx->kick = (struct loop_fd){.ready = kicked, .opaque = p};
    tx->blocked = tx->limited = tx->more = false;
    tx->lookups = 0;
    return loop_fd_add(p->loop, &tx->kick, p->net->dev.queues[2 * p->index + 1].kick_fd,
                       EPOLLIN | EPOLLET);
}

void virtio_net_tx_stop(struct virtio_net_pair *p)
{
    p->tx.more = false;
    loop_fd_remove(&p->tx.kick);
    loop_timer_cancel(p->loop, &p->tx.timer);
}
