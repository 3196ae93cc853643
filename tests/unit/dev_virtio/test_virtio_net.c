#include "dev/virtio/virtio_net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "../virtio_driver.h"
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
    unsigned n_lost, ctrl;
    char why[128];
};

static void on_lost(void *opaque, const char *why)
{
    struct rig *r = opaque;
    r->n_lost++;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

static struct virtio_device *make(struct rig *r, unsigned n_pairs, uint32_t offloads,
                                  const struct rate_limit *limit)
{
    struct virtio_net_options o = {.loops = {r->loop}, .n_loops = 1, .lost = on_lost, .opaque = r};
    memcpy(o.mac, MAC_STR, 6);
    o.mtu = 1500;
    if (limit)
        o.rx_limit = o.tx_limit = *limit;
    r->nb = net_null_create(n_pairs, offloads, 0, NULL);
    return virtio_net_create(&r->mem, r->nb, &o, NULL);
}

static void open_limited(struct rig *r, unsigned n_pairs, uint32_t offloads, unsigned flags,
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

static void open_rig(struct rig *r, unsigned n_pairs, uint32_t offloads, unsigned flags)
{
    open_limited(r, n_pairs, offloads, flags, NULL);
}

static void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
}

/* Until nothing happens any more. */
static void settle(struct rig *r)
{
    for (int i = 0, quiet = 0; i < 500 && quiet < 8; i++)
        quiet = loop_run_once(r->loop, 0) ? 0 : quiet + 1;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

/* Posts `n` receive buffers of `bytes`; cookie = gpa. */
static void post(struct rig *r, unsigned queue, unsigned n, uint32_t bytes)
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
static void arrive(struct rig *r, unsigned pair, const uint8_t *packet, size_t bytes)
{
    CHECK_EQ(write(net_null_peer_fd(r->nb, pair), packet, bytes), bytes);
    settle(r);
}

/* Collects one packet that the guest was given into `out`. Returns its length or -1; *buffers
 * receives how many buffers it took. */
static long collect(struct rig *r, unsigned queue, uint8_t *out, unsigned *buffers)
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
static void transmit(struct rig *r, unsigned queue, const uint8_t *packet, uint32_t bytes,
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

static unsigned reap(struct rig *r, unsigned queue)
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
static int control(struct rig *r, const void *cmd, uint32_t len)
{
    uint8_t ack = 0xee;
    return vdrv_request(&r->d, r->ctrl, r->loop, cmd, len, &ack, 1) == 1 ? ack : -1;
}

static struct virtio_net_counters counters(struct rig *r)
{
    struct virtio_net_counters c;
    virtio_net_counters_get(r->d.dev, &c);
    return c;
}

/* ---- sending ---- */

static void sends_what_the_guest_wrote_header_and_all(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED, VDRV_NO_EVENT_IDX, VDRV_INDIRECT,
                                     VDRV_PACKED | VDRV_INDIRECT};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, 1, TSO, flags[f]);
        uint8_t packet[HDR + 1500], got[2000];
        fill(packet, sizeof(packet), f);
        for (unsigned pieces = 1; pieces <= 4; pieces++) {
            transmit(&r, 1, packet, sizeof(packet), pieces);
            settle(&r);
            CHECK_EQ(read(net_null_peer_fd(r.nb, 0), got, sizeof(got)), sizeof(packet));
            CHECK(memcmp(got, packet, sizeof(packet)) == 0);
            CHECK_EQ(reap(&r, 1), 1);
        }
        CHECK_EQ(counters(&r).tx_packets, 4);
        CHECK_EQ(counters(&r).tx_bytes, 4 * 1500);
        close_rig(&r);
    }
}

static void serves_a_full_transmit_ring_with_one_kick(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    settle(&r);
    uint8_t packet[HDR + 60] = {0}, got[100];
    unsigned n = 0, kicks = 0;
    for (unsigned i = 0; i < 256; i++) {
        struct vdrv_buf b = {vdrv_alloc(&r.d, sizeof(packet), NULL), sizeof(packet)};
        vdrv_add(&r.d, 1, &b, 1, 0, 0);
        kicks += vdrv_kick(&r.d, 1);
    }
    CHECK_EQ(kicks, 1);
    for (int i = 0; i < 100; i++) {
        loop_run_once(r.loop, 0);
        while (read(net_null_peer_fd(r.nb, 0), got, sizeof(got)) > 0)
            n++;
    }
    CHECK_EQ(n, 256);
    CHECK_EQ(reap(&r, 1), 256);
    CHECK(atomic_load(&r.d.interrupts[1]) <= 256 / 32);
    /* It sleeps with kicks on. */
    transmit(&r, 1, packet, sizeof(packet), 1);
    settle(&r);
    CHECK_EQ(read(net_null_peer_fd(r.nb, 0), got, sizeof(got)), sizeof(packet));
    close_rig(&r);
}

static void waits_while_the_back_end_is_full_and_loses_nothing(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t *packet = calloc(1, HDR + BIG), *got = malloc(NET_PACKET_MAX_BYTES);
    for (unsigned i = 0; i < 10; i++) {
        fill(packet + HDR, BIG, i);
        transmit(&r, 1, packet, HDR + BIG, 4);
    }
    settle(&r);
    unsigned before = reap(&r, 1), n = 0;
    CHECK(before < 10);
    CHECK(counters(&r).tx_stalls > 0);
    for (int i = 0; i < 100 && n < 10; i++) {
        while (read(net_null_peer_fd(r.nb, 0), got, NET_PACKET_MAX_BYTES) > 0) {
            fill(packet + HDR, BIG, n++);
            CHECK(memcmp(got, packet, HDR + BIG) == 0);
        }
        settle(&r);
    }
    CHECK_EQ(n, 10);
    CHECK_EQ(before + reap(&r, 1), 10);
    CHECK_EQ(counters(&r).tx_dropped, 0);
    free(packet);
    free(got);
    close_rig(&r);
}

static void drops_frames_that_are_too_short_or_too_long(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t *packet = calloc(1, NET_PACKET_MAX_BYTES + 1), got[64];
    transmit(&r, 1, packet, HDR, 1);
    transmit(&r, 1, packet, HDR + 13, 1);
    transmit(&r, 1, packet, NET_PACKET_MAX_BYTES + 1, 1);
    settle(&r);
    CHECK_EQ(reap(&r, 1), 3);
    CHECK_EQ(counters(&r).tx_dropped, 3);
    CHECK_EQ(read(net_null_peer_fd(r.nb, 0), got, sizeof(got)), -1);
    CHECK(!virtio_device_is_broken(r.d.dev));
    free(packet);
    close_rig(&r);
}

static void breaks_on_a_packet_without_a_whole_header(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t packet[HDR] = {0};
    transmit(&r, 1, packet, HDR - 1, 1);
    settle(&r);
    CHECK(virtio_device_is_broken(r.d.dev));
    close_rig(&r);
}

/* ---- receiving ---- */

static void delivers_a_frame_into_one_buffer(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED, VDRV_NO_EVENT_IDX, NO_MRG,
                                     NO_MRG | VDRV_PACKED};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, 1, TSO, flags[f]);
        uint8_t packet[HDR + 1000], got[2000];
        unsigned buffers;
        fill(packet, sizeof(packet), f);
        post(&r, 0, 8, 1600);
        for (unsigned i = 0; i < 8; i++) {
            arrive(&r, 0, packet, sizeof(packet));
            REQUIRE(collect(&r, 0, got, &buffers) == sizeof(packet));
            CHECK_EQ(buffers, 1);
            CHECK(memcmp(got, packet, 10) == 0);
            CHECK(memcmp(got + HDR, packet + HDR, 1000) == 0);
        }
        CHECK_EQ(counters(&r).rx_bytes, 8000);
        close_rig(&r);
    }
}

static void spreads_a_long_frame_over_several_buffers(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, 1, TSO, flags[f]);
        uint8_t *packet = malloc(HDR + BIG), *got = malloc(1 << 20);
        unsigned buffers;
        post(&r, 0, 256, 1536);
        for (unsigned i = 0; i < 5; i++) {
            fill(packet, HDR + BIG, i);
            arrive(&r, 0, packet, HDR + BIG);
            REQUIRE(collect(&r, 0, got, &buffers) == HDR + BIG);
            CHECK_EQ(buffers, (HDR + BIG + 1535) / 1536);
            CHECK(memcmp(got + HDR, packet + HDR, BIG) == 0);
        }
        free(packet);
        free(got);
        close_rig(&r);
    }
}

static void holds_a_frame_until_the_guest_has_room_for_all_of_it(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t *packet = malloc(HDR + BIG), *got = malloc(1 << 20), small[HDR + 64];
    fill(packet, HDR + BIG, 3);
    fill(small, sizeof(small), 9);
    post(&r, 0, 3, 1536);
    arrive(&r, 0, packet, HDR + BIG);
    arrive(&r, 0, small, sizeof(small));
    CHECK_EQ(collect(&r, 0, got, NULL), -1);
    post(&r, 0, 20, 1536);
    CHECK_EQ(collect(&r, 0, got, NULL), -1);
    post(&r, 0, 40, 1536);
    REQUIRE(collect(&r, 0, got, NULL) == HDR + BIG);
    CHECK(memcmp(got + HDR, packet + HDR, BIG) == 0);
    REQUIRE(collect(&r, 0, got, NULL) == sizeof(small));
    CHECK(memcmp(got + HDR, small + HDR, 64) == 0);
    CHECK_EQ(counters(&r).rx_dropped, 0);
    CHECK(counters(&r).rx_stalls > 0);
    free(packet);
    free(got);
    close_rig(&r);
}

static void drops_a_frame_that_the_whole_ring_could_not_hold(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t *packet = calloc(1, HDR + BIG), got[256];
    post(&r, 0, 256, 128);
    arrive(&r, 0, packet, HDR + BIG);
    CHECK_EQ(counters(&r).rx_dropped, 1);
    arrive(&r, 0, packet, HDR + 100);
    CHECK_EQ(collect(&r, 0, got, NULL), HDR + 100);
    free(packet);
    close_rig(&r);
}

static void without_merging_drops_a_frame_longer_than_its_buffer(void)
{
    struct rig r;
    open_rig(&r, 1, 0, NO_MRG);
    uint8_t packet[HDR + 3000] = {0}, got[2000];
    post(&r, 0, 2, 1526);
    arrive(&r, 0, packet, sizeof(packet));
    arrive(&r, 0, packet, HDR + 1514);
    CHECK_EQ(collect(&r, 0, got, NULL), 1526);
    CHECK_EQ(collect(&r, 0, got, NULL), -1);
    CHECK_EQ(counters(&r).rx_dropped, 1);
    close_rig(&r);
}

static void stops_polling_the_back_end_when_the_guest_has_no_buffers(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t packet[HDR + 60] = {0}, got[100];
    settle(&r);
    arrive(&r, 0, packet, sizeof(packet));
    for (int i = 0; i < 10; i++)
        CHECK_EQ(loop_run_once(r.loop, 0), 0);
    post(&r, 0, 1, 1536);
    CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
    close_rig(&r);
}

static void sets_num_buffers_in_a_header_cut_into_bytes(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t packet[HDR + 60];
    memset(packet, 0xff, sizeof(packet));
    uint64_t gpa = vdrv_alloc(&r.d, 2048, NULL);
    struct vdrv_buf bufs[14];
    for (unsigned i = 0; i < 13; i++)
        bufs[i] = (struct vdrv_buf){gpa + i, 1};
    bufs[13] = (struct vdrv_buf){gpa + 13, 2000};
    vdrv_add(&r.d, 0, bufs, 0, 14, gpa);
    vdrv_kick(&r.d, 0);
    settle(&r);
    arrive(&r, 0, packet, sizeof(packet));
    uint8_t got[100];
    REQUIRE(collect(&r, 0, got, NULL) == sizeof(packet));
    CHECK_EQ(le16_read(got + 10), 1);
    CHECK_EQ(got[9], 0xff);
    CHECK_EQ(got[12], 0xff);
    close_rig(&r);
}

static void breaks_on_receive_buffers_that_cannot_hold_a_header(void)
{
    for (int readable = 0; readable < 2; readable++) {
        struct rig r;
        open_rig(&r, 1, TSO, 0);
        struct vdrv_buf b[2] = {{vdrv_alloc(&r.d, 64, NULL), readable ? 64 : HDR - 1},
                                {vdrv_alloc(&r.d, 64, NULL), 64}};
        vdrv_add(&r.d, 0, b, readable, 1, 0);
        vdrv_kick(&r.d, 0);
        settle(&r);
        CHECK(virtio_device_is_broken(r.d.dev));
        for (int i = 0; i < 10; i++)
            CHECK_EQ(loop_run_once(r.loop, 0), 0);
        /* A reset heals it. */
        vdrv_reset(&r.d);
        CHECK(!virtio_device_is_broken(r.d.dev));
        close_rig(&r);
    }
}

/* ---- control ---- */

static void answers_control_commands(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    CHECK_EQ(control(&r, "\0\0\1", 3), VIRTIO_NET_OK);  /* promiscuous */
    CHECK_EQ(control(&r, "\0\1\1", 3), VIRTIO_NET_OK);  /* all multicast */
    CHECK_EQ(control(&r, "\0\2\1", 3), VIRTIO_NET_ERR); /* all unicast: not offered */
    CHECK_EQ(control(&r, "\0\0", 2), VIRTIO_NET_ERR);   /* nothing said */
    CHECK_EQ(control(&r, "\0", 1), VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\x77\0", 2), VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\1\1\2\1\1\1\1\1", 8), VIRTIO_NET_OK); /* MAC address */
    uint8_t mac[6];
    virtio_transport_config_read(r.d.dev, 0, mac, 6);
    CHECK(memcmp(mac, "\2\1\1\1\1\1", 6) == 0);
    CHECK_EQ(control(&r, "\1\1\2\1\1\1\1", 7), VIRTIO_NET_ERR);
    /* MAC tables: one address each; and a count that is a lie. */
    CHECK_EQ(control(&r, "\1\0\1\0\0\0aaaaaa\1\0\0\0bbbbbb", 22), VIRTIO_NET_OK);
    CHECK_EQ(control(&r,
                     "\1\0\xff\xff\xff\xff"
                     "aaaaaa\1\0\0\0bbbbbb",
                     22),
             VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\1\0\1\0\0\0aaaaaa\1\0\0\0bbbbbbc", 23), VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\4\0\1\0", 4), VIRTIO_NET_ERR); /* MQ: not offered */
    vdrv_reset(&r.d);
    virtio_transport_config_read(r.d.dev, 0, mac, 6);
    CHECK(memcmp(mac, MAC_STR, 6) == 0);
    close_rig(&r);
}

static void breaks_on_a_command_with_no_room_for_an_answer(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    struct vdrv_buf b = {vdrv_alloc(&r.d, 3, NULL), 3};
    vdrv_add(&r.d, 2, &b, 1, 0, 0);
    vdrv_kick(&r.d, 2);
    settle(&r);
    CHECK(virtio_device_is_broken(r.d.dev));
    close_rig(&r);
}

static void tells_the_back_end_which_offloads_the_guest_takes(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    CHECK_EQ(net_null_offloads(r.nb), TSO);
    uint8_t cmd[10] = {VIRTIO_NET_CTRL_GUEST_OFFLOADS};
    le64_write(cmd + 2, BIT(GUEST_CSUM) | BIT(GUEST_TSO4));
    CHECK_EQ(control(&r, cmd, sizeof(cmd)), VIRTIO_NET_OK);
    CHECK_EQ(net_null_offloads(r.nb), NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
    le64_write(cmd + 2, BIT(GUEST_UFO)); /* not negotiated */
    CHECK_EQ(control(&r, cmd, sizeof(cmd)), VIRTIO_NET_ERR);
    le64_write(cmd + 2, BIT(CSUM)); /* not a guest offload */
    CHECK_EQ(control(&r, cmd, sizeof(cmd)), VIRTIO_NET_ERR);
    CHECK_EQ(net_null_offloads(r.nb), NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
    vdrv_reset(&r.d);
    CHECK_EQ(net_null_offloads(r.nb), 0);
    close_rig(&r);
}

static void switches_queue_pairs_on_and_off(void)
{
    struct rig r;
    open_rig(&r, 4, TSO, 0);
    uint8_t packet[HDR + 60] = {0}, got[100];
    post(&r, 6, 2, 1536);
    CHECK(!net_pair_active(r.nb, 3));
    transmit(&r, 7, packet, sizeof(packet), 1);
    arrive(&r, 3, packet, sizeof(packet));
    CHECK_EQ(reap(&r, 7), 0);
    CHECK_EQ(control(&r, "\4\0\5\0", 4), VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\4\0\0\0", 4), VIRTIO_NET_ERR);
    CHECK_EQ(control(&r, "\4\0\4\0", 4), VIRTIO_NET_OK);
    settle(&r);
    CHECK(net_pair_active(r.nb, 3));
    CHECK_EQ(reap(&r, 7), 1);
    CHECK_EQ(collect(&r, 6, got, NULL), sizeof(packet));
    CHECK_EQ(control(&r, "\4\0\1\0", 4), VIRTIO_NET_OK);
    CHECK(!net_pair_active(r.nb, 1));
    close_rig(&r);
}

static void serves_the_control_queue_where_a_driver_without_mq_has_it(void)
{
    struct rig r;
    open_rig(&r, 4, TSO, NO_MQ);
    CHECK_EQ(control(&r, "\0\0\1", 3), VIRTIO_NET_OK);
    close_rig(&r);
}

static void refuses_features_that_need_others(void)
{
    static const uint64_t missing[] = {BIT(CSUM), BIT(GUEST_CSUM), BIT(CTRL_VQ)};
    for (unsigned i = 0; i < ARRAY_LEN(missing); i++) {
        struct rig r = {0};
        guest_mem_init(&r.mem, 8 << 20, 0, NULL);
        r.loop = loop_create(LOOP_FAKE_CLOCK, NULL);
        vdrv_attach(&r.d, &r.mem, make(&r, 2, TSO, NULL), 0);
        CHECK(!vdrv_negotiate(&r.d, missing[i]));
        close_rig(&r);
    }
}

static void offers_no_offload_that_the_back_end_cannot_do(void)
{
    struct rig r;
    open_rig(&r, 1, 0, 0);
    uint64_t f = virtio_transport_features(r.d.dev);
    CHECK(!(f & (BIT(CSUM) | BIT(GUEST_CSUM) | BIT(HOST_TSO4) | BIT(GUEST_TSO4) | BIT(HOST_UFO) |
                 BIT(CTRL_GUEST_OFFLOADS) | BIT(MQ))));
    CHECK(f & BIT(MRG_RXBUF));
    close_rig(&r);
}

static void refuses_a_multicast_mac_address(void)
{
    struct rig r = {0};
    guest_mem_init(&r.mem, 8 << 20, 0, NULL);
    r.loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_net_options o = {.mac = {1}, .loops = {r.loop}, .n_loops = 1};
    struct err err = {0};
    CHECK(!virtio_net_create(&r.mem, net_null_create(1, 0, 0, NULL), &o, &err));
    CHECK_EQ(err.code, EINVAL);
    loop_destroy(r.loop);
    guest_mem_fini(&r.mem);
}

/* ---- link ---- */

static uint16_t link_status(struct rig *r)
{
    uint8_t le[2];
    virtio_transport_config_read(r->d.dev, 6, le, 2);
    return le16_read(le);
}

static void discards_frames_while_the_cable_is_out(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t packet[HDR + 60] = {0}, got[100];
    post(&r, 0, 2, 1536);
    CHECK_EQ(link_status(&r), VIRTIO_NET_S_LINK_UP);
    unsigned before = atomic_load(&r.d.config_interrupts);
    virtio_net_set_link(r.d.dev, false);
    CHECK_EQ(link_status(&r), 0);
    CHECK_EQ(atomic_load(&r.d.config_interrupts), before + 1);
    arrive(&r, 0, packet, sizeof(packet));
    transmit(&r, 1, packet, sizeof(packet), 1);
    settle(&r);
    CHECK_EQ(reap(&r, 1), 1);
    CHECK_EQ(collect(&r, 0, got, NULL), -1);
    CHECK_EQ(read(net_null_peer_fd(r.nb, 0), got, sizeof(got)), -1);
    virtio_net_set_link(r.d.dev, true);
    arrive(&r, 0, packet, sizeof(packet));
    CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
    CHECK_EQ(counters(&r).rx_dropped, 1);
    CHECK_EQ(counters(&r).tx_dropped, 1);
    close_rig(&r);
}

static void takes_the_link_down_when_the_back_end_hangs_up(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t packet[HDR + 60] = {0};
    post(&r, 0, 2, 1536);
    shutdown(net_null_peer_fd(r.nb, 0), SHUT_RDWR);
    settle(&r);
    CHECK_EQ(r.n_lost, 1);
    CHECK_STR(r.why, "the peer hung up");
    CHECK_EQ(link_status(&r), 0);
    transmit(&r, 1, packet, sizeof(packet), 1);
    settle(&r);
    CHECK_EQ(reap(&r, 1), 1);
    CHECK_EQ(r.n_lost, 1);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(loop_run_once(r.loop, 0), 0);
    close_rig(&r);
}

/* ---- limits ---- */

static void keeps_the_packet_rate_in_both_directions(void)
{
    struct rig r;
    struct rate_limit limit = {.ops_per_s = 100, .ops_burst = 1};
    open_limited(&r, 1, TSO, 0, &limit);
    uint8_t packet[HDR + 60] = {0}, got[100];
    post(&r, 0, 64, 1536);
    for (int i = 0; i < 50; i++) {
        transmit(&r, 1, packet, sizeof(packet), 1);
        CHECK_EQ(write(net_null_peer_fd(r.nb, 0), packet, sizeof(packet)), sizeof(packet));
    }
    settle(&r);
    for (int window = 0; window < 4; window++) {
        unsigned rx = 0, tx = 0;
        for (int i = 0; i < 100; i++) {
            loop_advance_ns(r.loop, MS);
            settle(&r);
            while (read(net_null_peer_fd(r.nb, 0), got, sizeof(got)) > 0)
                tx++;
            while (collect(&r, 0, got, NULL) > 0)
                rx++;
        }
        CHECK(rx >= 9 && rx <= 11);
        CHECK(tx >= 9 && tx <= 11);
    }
    close_rig(&r);
}

static void forgets_an_old_limit_at_once(void)
{
    struct rig r;
    struct rate_limit limit = {.bytes_per_s = 1, .bytes_burst = 1}, none = {0};
    open_limited(&r, 1, TSO, 0, &limit);
    uint8_t packet[HDR + 1000] = {0}, got[2000];
    post(&r, 0, 8, 1600);
    for (int i = 0; i < 2; i++) {
        transmit(&r, 1, packet, sizeof(packet), 1);
        arrive(&r, 0, packet, sizeof(packet));
    }
    CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
    CHECK_EQ(collect(&r, 0, got, NULL), -1);
    CHECK_EQ(reap(&r, 1), 1);
    virtio_net_set_limits(r.d.dev, &none, &none);
    settle(&r);
    CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
    CHECK_EQ(reap(&r, 1), 1);
    close_rig(&r);
}

/* ---- pause, save, load ---- */

static void gives_unused_buffers_back_on_pause_and_goes_on_after_resume(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, 1, TSO, flags[f]);
        uint8_t packet[HDR + 60] = {0}, got[100];
        post(&r, 0, 8, 1536);
        arrive(&r, 0, packet, sizeof(packet));
        virtio_device_pause(r.d.dev);
        CHECK_EQ(r.d.dev->queues[0].vq.in_flight, 0);
        CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
        arrive(&r, 0, packet, sizeof(packet));
        transmit(&r, 1, packet, sizeof(packet), 1);
        settle(&r);
        CHECK_EQ(collect(&r, 0, got, NULL), -1);
        CHECK_EQ(reap(&r, 1), 0);
        virtio_device_resume(r.d.dev);
        settle(&r);
        CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
        CHECK_EQ(reap(&r, 1), 1);
        close_rig(&r);
    }
}

static void continues_in_another_process_after_save_and_load(void)
{
    struct rig r;
    open_rig(&r, 2, TSO, 0);
    uint8_t packet[HDR + 60] = {0}, got[100];
    CHECK_EQ(control(&r, "\4\0\2\0", 4), VIRTIO_NET_OK);
    CHECK_EQ(control(&r, "\1\1\2\1\1\1\1\1", 8), VIRTIO_NET_OK);
    post(&r, 2, 8, 1536);
    virtio_device_pause(r.d.dev);
    struct state_writer w;
    state_writer_init(&w);
    state_begin(&w, "virtio", 0, 1);
    virtio_transport_save(r.d.dev, &w);
    state_end(&w);
    CHECK_EQ(w.error, 0);

    /* The same memory, a new device. */
    struct virtio_device *old = r.d.dev, *new = make(&r, 2, TSO, NULL);
    virtio_device_destroy(old);
    struct vdrv_ring *rings = r.d.rings;
    uint64_t next_gpa = r.d.next_gpa;
    vdrv_attach(&r.d, &r.mem, new, 0);
    free(r.d.rings);
    r.d.rings = rings;
    r.d.next_gpa = next_gpa;
    struct state_reader rd;
    state_reader_init(&rd, w.data, w.len_bytes);
    REQUIRE(state_open(&rd, "virtio", 0, 1) == 1);
    CHECK_EQ(virtio_transport_load(new, &rd), 0);
    CHECK_EQ(state_close(&rd), 0);
    state_writer_fini(&w);
    virtio_device_resume(new);
    settle(&r);

    CHECK(net_pair_active(r.nb, 1));
    CHECK_EQ(net_null_offloads(r.nb), TSO);
    CHECK_EQ(link_status(&r), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    CHECK(atomic_load(&r.d.config_interrupts) > 0);
    /* The network hears where the address is now. */
    REQUIRE(read(net_null_peer_fd(r.nb, 0), got, sizeof(got)) == HDR + 60);
    CHECK(memcmp(got + HDR, "\xff\xff\xff\xff\xff\xff\2\1\1\1\1\1\x80\x35", 14) == 0);
    arrive(&r, 1, packet, sizeof(packet));
    CHECK_EQ(collect(&r, 2, got, NULL), sizeof(packet));
    CHECK_EQ(control(&r, "\3\0", 2), VIRTIO_NET_OK);
    CHECK_EQ(link_status(&r), VIRTIO_NET_S_LINK_UP);
    close_rig(&r);
}

static void forgets_a_held_frame_on_reset(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    uint8_t *packet = calloc(1, HDR + BIG);
    post(&r, 0, 3, 1536);
    arrive(&r, 0, packet, HDR + BIG);
    vdrv_reset(&r.d);
    r.d.next_gpa = 0x10000;
    REQUIRE(vdrv_negotiate(&r.d, 0));
    vdrv_setup_queues(&r.d);
    vdrv_driver_ok(&r.d);
    post(&r, 0, 100, 1536);
    CHECK_EQ(collect(&r, 0, packet, NULL), -1);
    CHECK(!virtio_device_is_broken(r.d.dev));
    free(packet);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(sends_what_the_guest_wrote_header_and_all);
    TAP_RUN(serves_a_full_transmit_ring_with_one_kick);
    TAP_RUN(waits_while_the_back_end_is_full_and_loses_nothing);
    TAP_RUN(drops_frames_that_are_too_short_or_too_long);
    TAP_RUN(breaks_on_a_packet_without_a_whole_header);
    TAP_RUN(delivers_a_frame_into_one_buffer);
    TAP_RUN(spreads_a_long_frame_over_several_buffers);
    TAP_RUN(holds_a_frame_until_the_guest_has_room_for_all_of_it);
    TAP_RUN(drops_a_frame_that_the_whole_ring_could_not_hold);
    TAP_RUN(without_merging_drops_a_frame_longer_than_its_buffer);
    TAP_RUN(stops_polling_the_back_end_when_the_guest_has_no_buffers);
    TAP_RUN(sets_num_buffers_in_a_header_cut_into_bytes);
    TAP_RUN(breaks_on_receive_buffers_that_cannot_hold_a_header);
    TAP_RUN(answers_control_commands);
    TAP_RUN(breaks_on_a_command_with_no_room_for_an_answer);
    TAP_RUN(tells_the_back_end_which_offloads_the_guest_takes);
    TAP_RUN(switches_queue_pairs_on_and_off);
    TAP_RUN(serves_the_control_queue_where_a_driver_without_mq_has_it);
    TAP_RUN(refuses_features_that_need_others);
    TAP_RUN(offers_no_offload_that_the_back_end_cannot_do);
    TAP_RUN(refuses_a_multicast_mac_address);
    TAP_RUN(discards_frames_while_the_cable_is_out);
    TAP_RUN(takes_the_link_down_when_the_back_end_hangs_up);
    TAP_RUN(keeps_the_packet_rate_in_both_directions);
    TAP_RUN(forgets_an_old_limit_at_once);
    TAP_RUN(gives_unused_buffers_back_on_pause_and_goes_on_after_resume);
    TAP_RUN(continues_in_another_process_after_save_and_load);
    TAP_RUN(forgets_a_held_frame_on_reset);
    return tap_done();
}
