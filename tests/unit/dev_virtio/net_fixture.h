/* virtio-net with a guest's driver and a back end whose other end is the test's. */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "../virtio_driver.h"
#include "dev/virtio/virtio_net.h"
#include "net/net_null.h"
#include "tap.h"

#define BIT(n)  (UINT64_C(1) << VIRTIO_NET_F_##n)
#define MS      INT64_C(1000000)
#define HDR     NET_HDR_BYTES
#define TSO     (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6)
#define BIG     65000
#define NO_MRG  0x1000 /* of open_rig's flags */
#define NO_MQ   0x2000
#define MAC_STR "\x02\x11\x22\x33\x44\x55"

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct net_backend *nb;
    struct vdrv d;
    unsigned n_lost, n_addresses, ctrl; /* calls of lost, addresses_changed */
    char why[128];
};

static inline void on_lost(void *opaque, const char *why)
{
    struct rig *r = opaque;
    r->n_lost++;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

static inline void on_addresses(void *opaque)
{
    ((struct rig *)opaque)->n_addresses++;
}

static inline struct virtio_device *make(struct rig *r, unsigned n_pairs, uint32_t offloads,
                                         const struct rate_limit *limit)
{
    struct virtio_net_options o = {.loops = {r->loop},
                                   .n_loops = 1,
                                   .lost = on_lost,
                                   .addresses_changed = on_addresses,
                                   .opaque = r};
    memcpy(o.mac, MAC_STR, 6);
    o.mtu = 1500;
    if (limit)
        o.rx_limit = o.tx_limit = *limit;
    r->nb = net_null_create(n_pairs, offloads, 0, NULL);
    return virtio_net_create(&r->mem, r->nb, &o, NULL);
}

static inline void open_limited(struct rig *r, unsigned n_pairs, uint32_t offloads, unsigned flags,
                                const struct rate_limit *limit)
{
    memset(r, 0, sizeof(*r));
    if (guest_mem_init(&r->mem, 32 << 20, 0, NULL))
        abort();
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_device *dev = make(r, n_pairs, offloads, limit);
    vdrv_attach(&r->d, &r->mem, dev, flags & 0xfff);
    if (!vdrv_negotiate(&r->d,
                        (flags & NO_MRG ? BIT(MRG_RXBUF) : 0) | (flags & NO_MQ ? BIT(MQ) : 0)))
        abort();
    vdrv_setup_queues(&r->d);
    vdrv_driver_ok(&r->d);
    r->ctrl = virtio_has(dev, BIT(MQ)) ? 2 * n_pairs : 2;
}

static inline void open_rig(struct rig *r, unsigned n_pairs, uint32_t offloads, unsigned flags)
{
    open_limited(r, n_pairs, offloads, flags, NULL);
}

static inline void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
}

/* Until nothing happens any more. */
static inline void settle(struct rig *r)
{
    for (int i = 0, quiet = 0; i < 500 && quiet < 8; i++)
        quiet = loop_run_once(r->loop, 0) ? 0 : quiet + 1;
}

static inline void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* Posts `n` receive buffers of `bytes`; cookie = gpa. */
static inline void post(struct rig *r, unsigned queue, unsigned n, uint32_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t gpa = vdrv_alloc(&r->d, bytes, NULL);
        struct vdrv_buf b = {gpa, bytes};
        if (vdrv_add(&r->d, queue, &b, 0, 1, gpa) < 0)
            abort();
    }
    vdrv_kick(&r->d, queue);
    settle(r);
}

/* A frame arrives from the network. */
static inline void arrive(struct rig *r, unsigned pair, const uint8_t *packet, size_t bytes)
{
    CHECK_EQ(write(net_null_peer_fd(r->nb, pair), packet, bytes), bytes);
    settle(r);
}

/* Collects one packet that the guest was given into `out`. Returns its length or -1; *buffers
 * receives how many buffers it took. */
static inline long collect(struct rig *r, unsigned queue, uint8_t *out, unsigned *buffers)
{
    long total = 0;
    unsigned want = 1, got = 0;
    while (got < want) {
        int id;
        uintptr_t gpa;
        uint32_t len;
        if (!vdrv_ring_used(&r->d.rings[queue], &id, &gpa, &len) || id < 0)
            return -1;
        memcpy(out + total, guest_mem_ptr(&r->mem, gpa, len), len);
        total += len;
        if (!got++)
            want = le16_read(out + 10);
    }
    if (buffers)
        *buffers = got;
    return total;
}

/* The guest sends `packet`, cut in `pieces` buffers. */
static inline void transmit(struct rig *r, unsigned queue, const uint8_t *packet, uint32_t bytes,
                            unsigned pieces)
{
    struct vdrv_buf bufs[16];
    uint32_t done = 0;
    for (unsigned i = 0; i < pieces; i++) {
        void *host;
        uint32_t len = i + 1 < pieces ? bytes / pieces : bytes - done;
        bufs[i] = (struct vdrv_buf){vdrv_alloc(&r->d, len, &host), len};
        memcpy(host, packet + done, len);
        done += len;
    }
    CHECK(vdrv_add(&r->d, queue, bufs, pieces, 0, 0) >= 0);
    vdrv_kick(&r->d, queue);
}

static inline unsigned reap(struct rig *r, unsigned queue)
{
    unsigned n = 0;
    int id;
    uintptr_t cookie;
    uint32_t len;
    while (vdrv_ring_used(&r->d.rings[queue], &id, &cookie, &len)) {
        CHECK(id >= 0);
        CHECK_EQ(len, 0);
        n++;
    }
    return n;
}

/* A control command. Returns its acknowledgement, or -1 if the device broke. */
static inline int control(struct rig *r, const void *cmd, uint32_t len)
{
    uint8_t ack = 0xee;
    return vdrv_request(&r->d, r->ctrl, r->loop, cmd, len, &ack, 1) == 1 ? ack : -1;
}

static inline struct virtio_net_counters counters(struct rig *r)
{
    struct virtio_net_counters c;
    virtio_net_counters_get(r->d.dev, &c);
    return c;
}

static inline uint16_t link_status(struct rig *r)
{
    uint8_t le[2];
    virtio_transport_config_read(r->d.dev, 6, le, 2);
    return le16_read(le);
}

#endif
