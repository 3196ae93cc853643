/* The control queue of virtio-net. The filters that it can set are accepted and not used: the
 * device delivers what its network gives it, and the driver filters by itself.
 * Spec: virtio 1.2, 5.1.6.5. */
#include <errno.h>

#include "dev/virtio/virtio_net_internal.h"

#define BATCH 16

/* What the driver sent, read in order. */
struct body {
    const struct virtq_chain *c;
    size_t at;
};

/* Returns false if fewer than `len` bytes are left; they are then consumed all the same. A NULL
 * `to` skips. */
static bool take(struct body *b, void *to, uint64_t len)
{
    if (len > b->c->out_bytes - b->at) {
        b->at = b->c->out_bytes;
        return false;
    }
    size_t skip = b->at, done = 0;
    b->at += len;
    for (unsigned i = 0; to && i < b->c->n_out && done < len; i++) {
        size_t have = b->c->iov[i].iov_len;
        if (have <= skip) {
            skip -= have;
            continue;
        }
        size_t n = MIN(have - skip, len - done);
        memcpy((uint8_t *)to + done, (uint8_t *)b->c->iov[i].iov_base + skip, n);
        done += n;
        skip = 0;
    }
    return true;
}

static bool at_end(const struct body *b)
{
    return b->at == b->c->out_bytes;
}

static bool set_rx_mode(struct virtio_net *n, uint8_t cmd, struct body *b)
{
    uint8_t on;
    if (!virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_CTRL_RX)) || !take(b, &on, 1))
        return false;
    if (cmd == VIRTIO_NET_CTRL_RX_PROMISC)
        n->promiscuous = on;
    else if (cmd == VIRTIO_NET_CTRL_RX_ALLMULTI)
        n->all_multicast = on;
    else
        return false;
    return true;
}

static bool set_mac(struct virtio_net *n, uint8_t cmd, struct body *b)
{
    uint8_t mac[8] = {0}, count[4];
    if (cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (!virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR)) || !take(b, mac, 6) ||
            !at_end(b))
            return false;
        atomic_store(&n->mac, le64_read(mac));
        return true;
    }
    if (cmd != VIRTIO_NET_CTRL_MAC_TABLE_SET ||
        !virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_CTRL_RX)))
        return false;
    for (int table = 0; table < 2; table++) /* unicast, multicast */
        if (!take(b, count, 4) || !take(b, NULL, 6 * (uint64_t)le32_read(count)))
            return false;
    return at_end(b);
}

static void wake_pairs(struct virtio_net *n, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        loop_post(n->pairs[i].loop, &n->pairs[i].wake);
}

static bool set_pairs(struct virtio_net *n, uint8_t cmd, struct body *b)
{
    uint8_t le[2];
    if (!virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_MQ)) ||
        cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !take(b, le, 2))
        return false;
    unsigned want = le16_read(le), before = n->active_pairs;
    struct err err = {0};
    if (!want || want > n->n_pairs || net_set_active_pairs(n->nb, want, &err))
        return false;
    n->active_pairs = (uint16_t)want;
    wake_pairs(n, before, want);
    return true;
}

static bool set_guest_offloads(struct virtio_net *n, uint8_t cmd, struct body *b)
{
    uint8_t le[8];
    if (!virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)) ||
        cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !take(b, le, 8))
        return false;
    uint64_t want = le64_read(le);
    struct err err = {0};
    if ((want & ~(n->dev.features & VIRTIO_NET_GUEST_OFFLOADS)) ||
        net_set_offloads(n->nb, virtio_net_guest_offloads(want), &err))
        return false;
    atomic_store(&n->guest_offloads, want);
    return true;
}

static bool announced(struct virtio_net *n, uint8_t cmd)
{
    if (!virtio_has(&n->dev, VIRTIO_NET_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE)) ||
        cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
        return false;
    atomic_store(&n->announce, false);
    return true;
}

static bool command(struct virtio_net *n, const struct virtq_chain *c)
{
    struct body b = {.c = c};
    struct virtio_net_ctrl_hdr hdr;
    if (!take(&b, &hdr, sizeof(hdr)))
        return false;
    switch (hdr.class) {
    case VIRTIO_NET_CTRL_RX:
        return set_rx_mode(n, hdr.cmd, &b);
    case VIRTIO_NET_CTRL_MAC:
        return set_mac(n, hdr.cmd, &b);
    case VIRTIO_NET_CTRL_ANNOUNCE:
        return announced(n, hdr.cmd);
    case VIRTIO_NET_CTRL_MQ:
        return set_pairs(n, hdr.cmd, &b);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return set_guest_offloads(n, hdr.cmd, &b);
    default:
        return false;
    }
}

/* Writes the acknowledgement into the first writable byte. */
static void put_ack(const struct virtq_chain *c, uint8_t ack)
{
    for (unsigned i = c->n_out; i < (unsigned)c->n_out + c->n_in; i++) {
        if (c->iov[i].iov_len) {
            *(uint8_t *)c->iov[i].iov_base = ack;
            return;
        }
    }
}

bool virtio_net_ctrl_serve(struct virtio_watch *w)
{
    struct virtio_net *n = virtio_net_of(w->dev);
    struct virtq *vq = &w->dev->queues[w->queue].vq;
    struct iovec iov[VIRTIO_NET_CHAIN_IOV];
    uint64_t in_gpa[VIRTIO_NET_CHAIN_IOV];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = ARRAY_LEN(iov)};
    struct err err = {0};
    for (int i = 0; i < BATCH; i++) {
        int ret = virtq_pop(vq, &c, &err);
        if (ret > 0 && !c.in_bytes)
            ret = err_set(&err, EPROTO, "a control command has no room for its acknowledgement");
        if (ret < 0)
            virtio_device_broken(w->dev, &err);
        if (ret < 0 || (ret == 0 && !virtq_enable_kicks(vq)))
            return false;
        if (ret == 0)
            continue;
        put_ack(&c, command(n, &c) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
        virtq_push(vq, &c, 1);
        if (virtq_publish(vq))
            virtio_queue_interrupt(w->dev, w->queue);
    }
    return true;
}
