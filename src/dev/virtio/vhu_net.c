/* Queues: receive and transmit of each pair are the back end's; the control queue, which only
 * exists together with several pairs, is served here, in the same loop as the connection. */
#include "dev/virtio/vhu_net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "base/util.h"
#include "dev/virtio/virtio_watch.h"

#define BIT(n) (UINT64_C(1) << (n))

struct vhu_net {
    struct vhu_device vd;
    unsigned n_pairs;
    _Atomic unsigned pairs_in_use; /* set by the driver on the control queue */
    _Atomic bool cable, back_end;  /* the link is up when both are */
    uint16_t mtu;
    struct virtio_watch ctrl;
};

static struct vhu_net *of(struct virtio_device *dev)
{
    return container_of(dev, struct vhu_net, vd.dev);
}

/* ---- link ---- */

static void show_link(struct vhu_net *n)
{
    uint16_t up = atomic_load(&n->cable) && atomic_load(&n->back_end) ? VIRTIO_NET_S_LINK_UP : 0;
    uint8_t *status = n->vd.config + offsetof(struct virtio_net_config, status);
    pthread_mutex_lock(&n->vd.config_lock);
    bool changed = le16_read(status) != up;
    le16_write(status, up);
    pthread_mutex_unlock(&n->vd.config_lock);
    if (changed)
        virtio_config_changed(&n->vd.dev);
}

static void link_changed(struct vhu_device *vd, bool up)
{
    struct vhu_net *n = container_of(vd, struct vhu_net, vd);
    atomic_store(&n->back_end, up);
    show_link(n);
}

void vhu_net_set_link(struct virtio_device *dev, bool up)
{
    atomic_store(&of(dev)->cable, up);
    show_link(of(dev));
}

static int set_up(struct vhu_device *vd, struct err *err)
{
    const struct vhu_net *n = container_of(vd, struct vhu_net, vd);
    if (!(vd->run_features & BIT(VIRTIO_NET_F_MTU)) ||
        !(vd->front.protocol_features & VHU_PF_NET_MTU))
        return 0;
    return vhu_front_set_mtu(&vd->front, n->mtu, err);
}

static const struct vhu_kind net_kind = {
    .features =
        BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
        BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO) |
        BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
        BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_MRG_RXBUF),
    .protocol_features = VHU_PF_NET_MTU | VHU_PF_RARP,
    .loss = VHU_LOSS_DROPPED,
    .link = link_changed,
    .set_up = set_up,
};

/* ---- control queue ---- */

/* Copies up to `len` bytes of what the driver sent. */
static size_t chain_read(const struct virtq_chain *c, void *buf, size_t len)
{
    size_t got = 0;
    for (unsigned i = 0; i < c->n_out && got < len; i++) {
        size_t n = MIN(len - got, c->iov[i].iov_len);
        memcpy((uint8_t *)buf + got, c->iov[i].iov_base, n);
        got += n;
    }
    return got;
}

/* The only command: how many pairs to use. Spec: 5.1.6.5.5. */
static uint8_t command(struct vhu_net *n, const struct virtq_chain *c)
{
    uint8_t cmd[4];
    if (chain_read(c, cmd, sizeof(cmd)) < sizeof(cmd) || cmd[0] != VIRTIO_NET_CTRL_MQ ||
        cmd[1] != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)
        return VIRTIO_NET_ERR;
    unsigned pairs = le16_read(cmd + 2);
    if (!pairs || 2 * pairs > n->vd.n_remote)
        return VIRTIO_NET_ERR;
    atomic_store(&n->pairs_in_use, pairs);
    for (unsigned i = 0; i < n->vd.n_remote; i++)
        vhu_device_ring_enable(&n->vd, i, i / 2 < pairs);
    return VIRTIO_NET_OK;
}

static bool serve_ctrl(struct virtio_watch *w)
{
    struct vhu_net *n = of(w->dev);
    struct virtq *vq = &w->dev->queues[w->queue].vq;
    struct iovec iov[16];
    uint64_t in_gpa[16];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = ARRAY_LEN(iov)};
    struct err err = {0};
    for (int i = 0; i < 16; i++) {
        int ret = virtq_pop(vq, &c, &err);
        if (ret < 0)
            virtio_device_broken(w->dev, &err);
        if (ret < 0 || (ret == 0 && !virtq_enable_kicks(vq)))
            return false;
        if (ret == 0)
            continue;
        uint8_t ack = command(n, &c);
        for (unsigned k = 0; k < c.n_in; k++) {
            if (!c.iov[c.n_out + k].iov_len)
                continue;
            memcpy(c.iov[c.n_out + k].iov_base, &ack, 1);
            break;
        }
        virtq_push(vq, &c, c.in_bytes ? 1 : 0);
        if (virtq_publish(vq))
            virtio_queue_interrupt(w->dev, w->queue);
    }
    return true;
}

/* Where the control queue is depends on whether the driver knows of several pairs. Spec: 5.1.2. */
static unsigned ctrl_queue(const struct vhu_net *n)
{
    return virtio_has(&n->vd.dev, BIT(VIRTIO_NET_F_MQ)) ? 2 * n->n_pairs : 2;
}

static int start_ctrl(struct vhu_net *n, struct err *err)
{
    if (!virtio_has(&n->vd.dev, BIT(VIRTIO_NET_F_CTRL_VQ)))
        return 0;
    return virtio_watch_start(&n->ctrl, &n->vd.dev, ctrl_queue(n), n->vd.loop, serve_ctrl, err);
}

/* ---- slots ---- */

/* Which rings are the back end's, and which of them it may process from the start. */
static void lay_out_in_loop(void *arg)
{
    struct vhu_net *n = arg;
    n->vd.n_remote = virtio_has(&n->vd.dev, BIT(VIRTIO_NET_F_MQ)) ? 2 * n->n_pairs : 2;
    for (unsigned i = 0; i < n->vd.n_remote; i++)
        n->vd.rings[i].enable = i / 2 < atomic_load(&n->pairs_in_use);
}

static int activate(struct virtio_device *dev, struct err *err)
{
    struct vhu_net *n = of(dev);
    loop_call(n->vd.loop, lay_out_in_loop, n);
    int ret = vhu_device_activate(dev, err);
    return ret ? ret : start_ctrl(n, err);
}

static void reset(struct virtio_device *dev)
{
    virtio_watch_stop(&of(dev)->ctrl);
    vhu_device_reset(dev);
    atomic_store(&of(dev)->pairs_in_use, 1);
}

static void pause_device(struct virtio_device *dev)
{
    virtio_watch_stop(&of(dev)->ctrl);
    vhu_device_pause(dev);
}

static void resume(struct virtio_device *dev)
{
    struct err err = {0};
    vhu_device_resume(dev);
    if (start_ctrl(of(dev), &err))
        virtio_device_broken(dev, &err);
}

static void save(struct virtio_device *dev, struct state_writer *w)
{
    state_put_u16(w, (uint16_t)atomic_load(&of(dev)->pairs_in_use));
    vhu_device_save(dev, w);
}

static int load(struct virtio_device *dev, struct state_reader *r)
{
    unsigned pairs = state_get_u16(r);
    if (!pairs || pairs > of(dev)->n_pairs)
        return state_invalid(r, "%u queue pairs in use of %u", pairs, of(dev)->n_pairs);
    atomic_store(&of(dev)->pairs_in_use, pairs);
    return vhu_device_load(dev, r);
}

static void destroy(struct virtio_device *dev)
{
    vhu_device_fini(&of(dev)->vd);
    free(of(dev));
}

static const struct virtio_device_ops net_ops = {
    .name = "vhost-user-net",
    .config_read = vhu_device_config_read,
    .activate = activate,
    .reset = reset,
    .pause = pause_device,
    .resume = resume,
    .log_start = vhu_device_log_start,
    .log_sync = vhu_device_log_sync,
    .log_stop = vhu_device_log_stop,
    .save = save,
    .load = load,
    .destroy = destroy,
};

static void fill_config(struct vhu_net *n, const uint8_t mac[6])
{
    uint8_t *c = n->vd.config;
    memcpy(c + offsetof(struct virtio_net_config, mac), mac, 6);
    le16_write(c + offsetof(struct virtio_net_config, status), VIRTIO_NET_S_LINK_UP);
    le16_write(c + offsetof(struct virtio_net_config, max_virtqueue_pairs), (uint16_t)n->n_pairs);
    le16_write(c + offsetof(struct virtio_net_config, mtu), n->mtu);
}

static void offer_ours(struct vhu_net *n)
{
    n->vd.dev.config_bytes = offsetof(struct virtio_net_config, mtu) + 2;
    n->vd.dev.features_offered |= BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS);
    if (n->mtu)
        n->vd.dev.features_offered |= BIT(VIRTIO_NET_F_MTU);
    if (n->n_pairs > 1)
        n->vd.dev.features_offered |= BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
}

struct virtio_device *vhu_net_create(struct guest_mem *mem, const struct vhu_net_options *net,
                                     const struct vhu_device_options *options, struct err *err)
{
    struct vhu_net *n = calloc(1, sizeof(*n));
    int ret = n ? 0 : err_set(err, ENOMEM, "could not allocate a NIC");
    if (!ret && (net->mac[0] & 1))
        ret = err_set(err, EINVAL, "MAC address %02x:... is a multicast address", net->mac[0]);
    if (ret) {
        close(options->fd);
        goto fail;
    }
    if (vhu_device_open(&n->vd, &net_kind, options, err))
        goto fail;
    unsigned can = n->vd.front.n_queues_max / 2;
    n->n_pairs = MIN(MIN(MAX(net->n_pairs, 1), MAX(can, 1)), VHU_NET_PAIRS_MAX);
    if (!(n->vd.front.features & BIT(VIRTIO_NET_F_MQ)))
        n->n_pairs = 1;
    n->mtu = net->mtu;
    atomic_store(&n->pairs_in_use, 1);
    atomic_store(&n->cable, true);
    atomic_store(&n->back_end, true);
    unsigned n_remote = 2 * n->n_pairs;
    fill_config(n, net->mac);
    if (vhu_device_init(&n->vd, &net_ops, VIRTIO_ID_NET, mem, n_remote + (n->n_pairs > 1), n_remote,
                        err))
        goto fail;
    offer_ours(n);
    return &n->vd.dev;
fail:
    free(n);
    return NULL;
}
