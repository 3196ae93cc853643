/* virtio-net's identity, features, configuration and life; the queues are in virtio_net_rx.c,
 * virtio_net_tx.c and virtio_net_ctrl.c. */
#include "dev/virtio/virtio_net.h"

#include <errno.h>
#include <linux/virtio_ids.h>

#include "base/log.h"
#include "dev/virtio/virtio_net_internal.h"

#define BIT(n) VIRTIO_NET_BIT(VIRTIO_NET_F_##n)

/* Which features an offload of the back end stands for. */
static const struct {
    uint32_t offload;
    uint64_t host, guest;
} offload_features[] = {
    {NET_OFFLOAD_CSUM, BIT(CSUM), BIT(GUEST_CSUM)},
    {NET_OFFLOAD_TSO4, BIT(HOST_TSO4), BIT(GUEST_TSO4)},
    {NET_OFFLOAD_TSO6, BIT(HOST_TSO6), BIT(GUEST_TSO6)},
    {NET_OFFLOAD_ECN, BIT(HOST_ECN), BIT(GUEST_ECN)},
    {NET_OFFLOAD_UFO, BIT(HOST_UFO), BIT(GUEST_UFO)},
    {NET_OFFLOAD_USO4, BIT(HOST_USO), BIT(GUEST_USO4)},
    {NET_OFFLOAD_USO6, 0, BIT(GUEST_USO6)},
};

/* A feature, and those of which it needs one. Spec: 5.1.3.1. */
static const struct {
    uint64_t feature, needs_one_of;
    const char *name, *needed;
} needs[] = {
    {BIT(GUEST_TSO4), BIT(GUEST_CSUM), "GUEST_TSO4", "GUEST_CSUM"},
    {BIT(GUEST_TSO6), BIT(GUEST_CSUM), "GUEST_TSO6", "GUEST_CSUM"},
    {BIT(GUEST_ECN), BIT(GUEST_TSO4) | BIT(GUEST_TSO6), "GUEST_ECN", "GUEST_TSO4 or GUEST_TSO6"},
    {BIT(GUEST_UFO), BIT(GUEST_CSUM), "GUEST_UFO", "GUEST_CSUM"},
    {BIT(GUEST_USO4), BIT(GUEST_CSUM), "GUEST_USO4", "GUEST_CSUM"},
    {BIT(GUEST_USO6), BIT(GUEST_CSUM), "GUEST_USO6", "GUEST_CSUM"},
    {BIT(HOST_TSO4), BIT(CSUM), "HOST_TSO4", "CSUM"},
    {BIT(HOST_TSO6), BIT(CSUM), "HOST_TSO6", "CSUM"},
    {BIT(HOST_ECN), BIT(HOST_TSO4) | BIT(HOST_TSO6), "HOST_ECN", "HOST_TSO4 or HOST_TSO6"},
    {BIT(HOST_UFO), BIT(CSUM), "HOST_UFO", "CSUM"},
    {BIT(HOST_USO), BIT(CSUM), "HOST_USO", "CSUM"},
    {BIT(CTRL_RX), BIT(CTRL_VQ), "CTRL_RX", "CTRL_VQ"},
    {BIT(CTRL_MAC_ADDR), BIT(CTRL_VQ), "CTRL_MAC_ADDR", "CTRL_VQ"},
    {BIT(CTRL_GUEST_OFFLOADS), BIT(CTRL_VQ), "CTRL_GUEST_OFFLOADS", "CTRL_VQ"},
    {BIT(GUEST_ANNOUNCE), BIT(CTRL_VQ), "GUEST_ANNOUNCE", "CTRL_VQ"},
    {BIT(MQ), BIT(CTRL_VQ), "MQ", "CTRL_VQ"},
};

uint32_t virtio_net_guest_offloads(uint64_t features)
{
    uint32_t offloads = 0;
    for (unsigned i = 0; i < ARRAY_LEN(offload_features); i++)
        if (features & offload_features[i].guest)
            offloads |= offload_features[i].offload;
    /* A driver may turn checksums off and leave segmentation on: then neither can be had. */
    return offloads & NET_OFFLOAD_CSUM ? offloads : 0;
}

/* ---- rate limits ---- */

static void limit_set(struct virtio_net_limit *l, const struct rate_limit *limit, int64_t now_ns)
{
    pthread_mutex_lock(&l->lock);
    token_bucket_limiter_set(&l->limiter, limit, now_ns);
    atomic_store(&l->on, limit->ops_per_s || limit->bytes_per_s);
    pthread_mutex_unlock(&l->lock);
}

int64_t virtio_net_limit_take(struct virtio_net_limit *l, uint64_t bytes, int64_t now_ns)
{
    if (!atomic_load_explicit(&l->on, memory_order_relaxed))
        return 0;
    int64_t later_ns = 0;
    pthread_mutex_lock(&l->lock);
    if (bytes) {
        later_ns = token_bucket_limiter_take(&l->limiter, bytes, now_ns);
    } else {
        bool ops = token_bucket_allows(&l->limiter.ops, 1, now_ns);
        bool byte = token_bucket_allows(&l->limiter.bytes, 1, now_ns);
        if (!ops || !byte) {
            int64_t ops_ns = token_bucket_ready_ns(&l->limiter.ops, 1, now_ns);
            int64_t bytes_ns = token_bucket_ready_ns(&l->limiter.bytes, 1, now_ns);
            later_ns = MAX(MAX(ops_ns, bytes_ns), now_ns + 1);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return later_ns;
}

void virtio_net_limit_charge(struct virtio_net_limit *l, uint64_t bytes)
{
    if (!atomic_load_explicit(&l->on, memory_order_relaxed))
        return;
    pthread_mutex_lock(&l->lock);
    token_bucket_take(&l->limiter.ops, 1);
    token_bucket_take(&l->limiter.bytes, bytes);
    pthread_mutex_unlock(&l->lock);
}

/* ---- link ---- */

void virtio_net_lost(struct virtio_net_pair *p)
{
    struct virtio_net *n = p->net;
    if (!atomic_exchange(&n->back_end, false))
        return;
    const char *why = net_lost_reason(n->nb, p->index);
    LOG_LIMITED(LOG_WARN, "virtio-net", "the network is gone, link down: %s instance=%u", why,
                n->dev.instance);
    virtio_config_changed(&n->dev);
    if (n->options.lost)
        n->options.lost(n->options.opaque, why);
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
    struct virtio_net *n = virtio_net_of(dev);
    if (atomic_exchange(&n->cable, up) != up)
        virtio_config_changed(dev);
}

/* After a restore the network does not know where the guest's address is now: a reverse ARP request
 * in its name tells every switch on the way. */
static void send_rarp(struct virtio_net_pair *p)
{
    uint8_t packet[NET_HDR_BYTES + 60] = {0}, *eth = packet + NET_HDR_BYTES, mac[8];
    static const uint8_t rarp[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
    le64_write(mac, atomic_load(&p->net->mac));
    memset(eth, 0xff, 6);
    memcpy(eth + 6, mac, 6);
    memcpy(eth + 12, rarp, sizeof(rarp));
    memcpy(eth + 22, mac, 6);
    memcpy(eth + 32, mac, 6);
    struct iovec iov = {packet, sizeof(packet)};
    net_send(p->net->nb, p->index, &iov, 1, sizeof(packet));
}

/* ---- pairs ---- */

static void on_readable(void *opaque, unsigned pair)
{
    virtio_net_rx_serve(opaque);
}

static void on_writable(void *opaque, unsigned pair)
{
    struct virtio_net_pair *p = opaque;
    p->tx.blocked = false;
    virtio_net_tx_serve(p);
}

static const struct net_events events = {.readable = on_readable, .writable = on_writable};

static bool on_prepare(struct loop_prepare *prepare)
{
    struct virtio_net_pair *p = prepare->opaque;
    if (p->tx.more)
        virtio_net_tx_serve(p);
    return p->tx.more;
}

/* The control queue switched this pair on, or the limits are others: who waited looks again. */
static void on_wake(struct loop_post *post)
{
    struct virtio_net_pair *p = post->opaque;
    if (!p->running)
        return;
    loop_timer_cancel(p->loop, &p->rx.timer);
    loop_timer_cancel(p->loop, &p->tx.timer);
    p->rx.limited = p->tx.limited = false;
    if (!p->rx.stalled)
        net_want_read(p->net->nb, p->index, true);
    virtio_net_rx_serve(p);
    virtio_net_tx_serve(p);
}

static void pair_start(void *arg)
{
    struct virtio_net_pair *p = arg;
    struct virtio_net *n = p->net;
    p->running = true;
    p->prepare = (struct loop_prepare){.prepare = on_prepare, .opaque = p};
    loop_prepare_add(p->loop, &p->prepare);
    if (net_start(n->nb, p->index, p->loop, &events, p) || virtio_net_rx_start(p) ||
        virtio_net_tx_start(p)) {
        struct err err = {0};
        err_set(&err, ENOMEM, "could not watch queue pair %u", p->index);
        virtio_device_broken(&n->dev, &err);
    }
    if (!p->index && n->announce_due) {
        n->announce_due = false;
        send_rarp(p);
    }
}

static void pair_stop(void *arg)
{
    struct virtio_net_pair *p = arg;
    if (!p->running)
        return;
    p->running = false;
    virtio_net_rx_stop(p);
    virtio_net_tx_stop(p);
    net_stop(p->net->nb, p->index);
    loop_prepare_remove(p->loop, &p->prepare);
}

/* A driver that did not take MQ has one pair, whose control queue then is queue 2. Spec: 5.1.2. */
static unsigned pairs_in_use(const struct virtio_net *n)
{
    return virtio_has(&n->dev, BIT(MQ)) ? n->n_pairs : 1;
}

static int start(struct virtio_net *n, struct err *err)
{
    unsigned pairs = pairs_in_use(n);
    for (unsigned i = 0; i < pairs; i++)
        if (n->dev.queues[2 * i].enabled && n->dev.queues[2 * i + 1].enabled)
            loop_call(n->pairs[i].loop, pair_start, &n->pairs[i]);
    if (!virtio_has(&n->dev, BIT(CTRL_VQ)))
        return 0;
    return virtio_watch_start(&n->ctrl, &n->dev, 2 * pairs, n->options.loops[0],
                              virtio_net_ctrl_serve, err);
}

static void stop(struct virtio_net *n)
{
    virtio_watch_stop(&n->ctrl);
    for (unsigned i = 0; i < n->n_pairs; i++)
        loop_call(n->pairs[i].loop, pair_stop, &n->pairs[i]);
}

/* ---- slots ---- */

static void set_defaults(struct virtio_net *n, uint64_t features)
{
    uint8_t mac[8] = {0};
    memcpy(mac, n->options.mac, 6);
    atomic_store(&n->mac, le64_read(mac));
    atomic_store(&n->announce, false);
    atomic_store(&n->guest_offloads, features & VIRTIO_NET_GUEST_OFFLOADS);
    n->active_pairs = 1;
    n->promiscuous = n->all_multicast = n->announce_due = false;
}

static int features_ok(struct virtio_device *dev, struct err *err)
{
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++)
        if (virtio_has(dev, needs[i].feature) && !virtio_has(dev, needs[i].needs_one_of))
            return err_set(err, EINVAL, "VIRTIO_NET_F_%s without %s", needs[i].name,
                           needs[i].needed);
    set_defaults(virtio_net_of(dev), dev->features);
    return 0;
}

static void config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    struct virtio_net *n = virtio_net_of(dev);
    uint16_t status = (virtio_net_link_up(n) ? VIRTIO_NET_S_LINK_UP : 0) |
                      (atomic_load(&n->announce) ? VIRTIO_NET_S_ANNOUNCE : 0);
    struct virtio_net_config c = {
        .status = htole16(status),
        .max_virtqueue_pairs = htole16((uint16_t)n->n_pairs),
        .mtu = htole16(n->options.mtu),
        .speed = htole32(n->options.speed_mbps ? n->options.speed_mbps : UINT32_MAX),
        .duplex = n->options.speed_mbps ? 1 : 0xff,
    };
    uint8_t mac[8];
    le64_write(mac, atomic_load(&n->mac));
    memcpy(c.mac, mac, 6);
    memcpy(buf, (uint8_t *)&c + off, len);
}

static int activate(struct virtio_device *dev, struct err *err)
{
    struct virtio_net *n = virtio_net_of(dev);
    uint32_t offloads = virtio_net_guest_offloads(atomic_load(&n->guest_offloads));
    int ret = net_set_offloads(n->nb, offloads, err);
    if (!ret)
        ret = net_set_active_pairs(n->nb, n->active_pairs, err);
    if (ret)
        return ret;
    bool announce = n->announce_due && virtio_has(dev, BIT(GUEST_ANNOUNCE));
    ret = start(n, err);
    if (!ret && announce) {
        atomic_store(&n->announce, true);
        virtio_config_changed(dev);
    }
    return ret;
}

static void reset(struct virtio_device *dev)
{
    struct virtio_net *n = virtio_net_of(dev);
    stop(n);
    for (unsigned i = 0; i < n->n_pairs; i++)
        virtio_net_rx_reset(&n->pairs[i]);
    virtio_net_sight_reset(n);
    set_defaults(n, 0);
    struct err err = {0};
    if (net_set_active_pairs(n->nb, 1, &err) || net_set_offloads(n->nb, 0, &err))
        LOG_LIMITED(LOG_WARN, "virtio-net", "%s instance=%u", err.msg, dev->instance);
}

static void pause_queues(struct virtio_device *dev)
{
    stop(virtio_net_of(dev));
}

static void resume_queues(struct virtio_device *dev)
{
    struct err err = {0};
    if (start(virtio_net_of(dev), &err))
        virtio_device_broken(dev, &err);
}

static void save(struct virtio_device *dev, struct state_writer *w)
{
    struct virtio_net *n = virtio_net_of(dev);
    state_put_u64(w, atomic_load(&n->mac));
    state_put_u64(w, atomic_load(&n->guest_offloads));
    state_put_u16(w, n->active_pairs);
    state_put_u8(w, n->promiscuous);
    state_put_u8(w, n->all_multicast);
    state_put_u8(w, atomic_load(&n->cable));
}

static int load(struct virtio_device *dev, struct state_reader *r)
{
    struct virtio_net *n = virtio_net_of(dev);
    uint64_t mac = state_get_u64(r), offloads = state_get_u64(r);
    unsigned pairs = state_get_u16(r);
    uint8_t promiscuous = state_get_u8(r), all_multicast = state_get_u8(r), cable = state_get_u8(r);
    if (mac >> 48 || promiscuous > 1 || all_multicast > 1 || cable > 1 || !pairs ||
        pairs > n->n_pairs || (offloads & ~(dev->features & VIRTIO_NET_GUEST_OFFLOADS)))
        return state_invalid(r, "virtio-net: offloads 0x%llx, %u queue pairs of %u, or a flag",
                             (unsigned long long)offloads, pairs, n->n_pairs);
    atomic_store(&n->mac, mac);
    atomic_store(&n->guest_offloads, offloads);
    n->active_pairs = (uint16_t)pairs;
    n->promiscuous = promiscuous;
    n->all_multicast = all_multicast;
    atomic_store(&n->cable, cable);
    n->announce_due = true;
    return 0;
}

static void forget_wake(void *arg)
{
    struct virtio_net_pair *p = arg;
    loop_post_cancel(p->loop, &p->wake);
}

static void destroy(struct virtio_device *dev)
{
    struct virtio_net *n = virtio_net_of(dev);
    for (unsigned i = 0; i < n->n_pairs; i++)
        loop_call(n->pairs[i].loop, forget_wake, &n->pairs[i]);
    net_destroy(n->nb);
    pthread_mutex_destroy(&n->rx_limit.lock);
    pthread_mutex_destroy(&n->tx_limit.lock);
    pthread_mutex_destroy(&n->sight.lock);
    free(n->pairs);
    free(n);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-net",
    .features_ok = features_ok,
    .config_read = config_read,
    .activate = activate,
    .reset = reset,
    .pause = pause_queues,
    .resume = resume_queues,
    .save = save,
    .load = load,
    .destroy = destroy,
};

/* ---- creation ---- */

static uint64_t offered(const struct virtio_net *n)
{
    uint64_t f = BIT(MAC) | BIT(STATUS) | BIT(MRG_RXBUF) | BIT(CTRL_VQ) | BIT(CTRL_RX) |
                 BIT(CTRL_MAC_ADDR) | BIT(GUEST_ANNOUNCE) | BIT(SPEED_DUPLEX);
    if (n->options.mtu)
        f |= BIT(MTU);
    if (n->n_pairs > 1)
        f |= BIT(MQ);
    uint32_t offloads = net_offloads(n->nb);
    for (unsigned i = 0; i < ARRAY_LEN(offload_features); i++)
        if (offloads & offload_features[i].offload)
            f |= offload_features[i].host | offload_features[i].guest;
    return offloads ? f | BIT(CTRL_GUEST_OFFLOADS) : f;
}

static int check_options(const struct virtio_net_options *o, struct err *err)
{
    static const uint8_t zero[6];
    if ((o->mac[0] & 1) || memcmp(o->mac, zero, 6) == 0)
        return err_set(err, EINVAL,
                       "MAC address %02x:%02x:%02x:%02x:%02x:%02x cannot be a NIC's: choose one "
                       "whose first byte is even, and not all zero",
                       o->mac[0], o->mac[1], o->mac[2], o->mac[3], o->mac[4], o->mac[5]);
    if (o->mtu && o->mtu < 68) /* 5.1.4.1 */
        return err_set(err, EINVAL, "MTU %u of a NIC is below 68", o->mtu);
    if (!o->n_loops || o->n_loops > NET_PAIRS_MAX)
        return err_set(err, EINVAL, "%u event loops for a NIC: 1 to %d are possible", o->n_loops,
                       NET_PAIRS_MAX);
    return 0;
}

static void limit_init(struct virtio_net_limit *l, const struct rate_limit *limit, int64_t now_ns)
{
    pthread_mutex_init(&l->lock, NULL);
    token_bucket_limiter_init(&l->limiter, limit, now_ns);
    atomic_store(&l->on, limit->ops_per_s || limit->bytes_per_s);
}

struct virtio_device *virtio_net_create(struct guest_mem *mem, struct net_backend *nb,
                                        const struct virtio_net_options *options, struct err *err)
{
    struct virtio_net *n = NULL;
    if (check_options(options, err))
        goto fail;
    n = calloc(1, sizeof(*n));
    if (n)
        n->pairs = calloc(net_pairs(nb), sizeof(*n->pairs));
    if (!n || !n->pairs) {
        err_set(err, ENOMEM, "could not allocate a NIC");
        goto fail;
    }
    n->nb = nb;
    n->n_pairs = net_pairs(nb);
    n->options = *options;
    virtio_device_init(&n->dev, &ops, VIRTIO_ID_NET, mem, 2 * n->n_pairs + 1,
                       VIRTIO_NET_QUEUE_SIZE);
    n->dev.features_offered = offered(n);
    n->dev.config_bytes = offsetof(struct virtio_net_config, rss_max_key_size);
    atomic_store(&n->cable, true);
    atomic_store(&n->back_end, true);
    set_defaults(n, 0);
    int64_t now_ns = loop_now_ns(options->loops[0]);
    limit_init(&n->rx_limit, &options->rx_limit, now_ns);
    limit_init(&n->tx_limit, &options->tx_limit, now_ns);
    pthread_mutex_init(&n->sight.lock, NULL);
    for (unsigned i = 0; i < n->n_pairs; i++) {
        struct virtio_net_pair *p = &n->pairs[i];
        p->net = n;
        p->index = i;
        p->loop = options->loops[i % options->n_loops];
        p->wake = (struct loop_post){.run = on_wake, .opaque = p};
    }
    return &n->dev;
fail:
    net_destroy(nb);
    free(n);
    return NULL;
}

void virtio_net_set_limits(struct virtio_device *dev, const struct rate_limit *rx,
                           const struct rate_limit *tx)
{
    struct virtio_net *n = virtio_net_of(dev);
    int64_t now_ns = loop_now_ns(n->options.loops[0]);
    limit_set(&n->rx_limit, rx, now_ns);
    limit_set(&n->tx_limit, tx, now_ns);
    for (unsigned i = 0; i < n->n_pairs; i++)
        loop_post(n->pairs[i].loop, &n->pairs[i].wake);
}

void virtio_net_counters_get(struct virtio_device *dev, struct virtio_net_counters *out)
{
    struct virtio_net *n = virtio_net_of(dev);
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < n->n_pairs; i++) {
        struct virtio_net_stat *rx = &n->pairs[i].rx.stat, *tx = &n->pairs[i].tx.stat;
        out->rx_packets += atomic_load(&rx->packets);
        out->rx_bytes += atomic_load(&rx->bytes);
        out->rx_dropped += atomic_load(&rx->dropped);
        out->rx_stalls += atomic_load(&rx->stalls);
        out->tx_packets += atomic_load(&tx->packets);
        out->tx_bytes += atomic_load(&tx->bytes);
        out->tx_dropped += atomic_load(&tx->dropped);
        out->tx_stalls += atomic_load(&tx->stalls);
        out->kicks += atomic_load(&rx->kicks) + atomic_load(&tx->kicks);
        out->interrupts += atomic_load(&rx->interrupts) + atomic_load(&tx->interrupts);
    }
}
