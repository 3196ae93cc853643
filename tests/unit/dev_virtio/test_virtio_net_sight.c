/* The addresses that virtio-net sees its guest use. */
#include "../net/frames.h"
#include "net_fixture.h"

/* The guest sends a frame, its packet cut into a first buffer of `first` bytes (0: one buffer) and
 * the rest. */
static void say(struct rig *r, unsigned queue, const uint8_t *frame, uint32_t bytes, uint32_t first)
{
    uint8_t packet[HDR + 128] = {0}, got[2048];
    struct vdrv_buf bufs[2];
    void *host;
    memcpy(packet + HDR, frame, bytes);
    bytes += HDR;
    uint32_t cut = first ? first : bytes;
    bufs[0] = (struct vdrv_buf){vdrv_alloc(&r->d, cut, &host), cut};
    memcpy(host, packet, cut);
    if (cut < bytes) {
        bufs[1] = (struct vdrv_buf){vdrv_alloc(&r->d, bytes - cut, &host), bytes - cut};
        memcpy(host, packet + cut, bytes - cut);
    }
    CHECK(vdrv_add(&r->d, queue, bufs, cut < bytes ? 2 : 1, 0, 0) >= 0);
    vdrv_kick(&r->d, queue);
    settle(r);
    CHECK_EQ(reap(r, queue), 1);
    while (read(net_null_peer_fd(r->nb, queue / 2), got, sizeof(got)) > 0)
        ;
}

static void say_arp(struct rig *r, unsigned queue, const char *ip)
{
    uint8_t f[FRAME_ARP_BYTES];
    frame_arp(f, 1, ip, "10.0.0.1");
    say(r, queue, f, sizeof(f), 0);
}

static bool has(struct rig *r, const char *ip)
{
    struct net_addresses a;
    char text[NET_ADDRESSES_TEXT_BYTES];
    virtio_net_addresses_get(r->d.dev, &a);
    for (unsigned i = 0; i < a.n; i++) {
        net_addresses_text(&a.address[i], text);
        if (!strcmp(text, ip))
            return true;
    }
    return false;
}

static unsigned count(struct rig *r)
{
    struct net_addresses a;
    virtio_net_addresses_get(r->d.dev, &a);
    return a.n;
}

static void sees_an_address_wherever_the_buffers_are_cut(void)
{
    uint8_t f[FRAME_ND_BYTES];
    for (uint32_t first = 0; first < HDR + FRAME_ARP_BYTES; first++) {
        struct rig r;
        open_rig(&r, 1, TSO, first % 2 ? VDRV_PACKED : 0);
        frame_arp(f, 1, "10.0.0.5", "10.0.0.1");
        say(&r, 1, f, FRAME_ARP_BYTES, first);
        CHECK(has(&r, "10.0.0.5"));
        close_rig(&r);
    }
    for (uint32_t first = 0; first < HDR + FRAME_ND_BYTES; first++) {
        struct rig r;
        open_rig(&r, 1, TSO, 0);
        frame_nd(f, 136, "fe80::5", "2001:db8::5");
        say(&r, 1, f, FRAME_ND_BYTES, first);
        CHECK(has(&r, "fe80::5") && has(&r, "2001:db8::5"));
        close_rig(&r);
    }
}

static void tells_of_a_change_and_of_nothing_else(void)
{
    struct rig r;
    uint8_t f[FRAME_ARP_BYTES];
    open_rig(&r, 1, TSO, 0);
    say_arp(&r, 1, "10.0.0.5");
    CHECK_EQ(r.n_addresses, 1);
    say_arp(&r, 1, "10.0.0.5");
    frame_arp(f, 1, "10.0.0.6", "10.0.0.1");
    f[13] = 0; /* IPv4 */
    say(&r, 1, f, sizeof(f), 0);
    say(&r, 1, f, sizeof(f), HDR);
    f[13] = 6;
    say(&r, 1, f, 20, 0);
    say(&r, 1, f, 41, 0);
    CHECK_EQ(r.n_addresses, 1);
    CHECK_EQ(count(&r), 1);
    close_rig(&r);
}

static void sees_what_any_queue_pair_sends(void)
{
    struct rig r;
    open_rig(&r, 2, TSO, 0);
    CHECK_EQ(control(&r, "\4\0\2\0", 4), VIRTIO_NET_OK);
    say_arp(&r, 1, "10.0.0.5");
    say_arp(&r, 3, "10.0.0.6");
    CHECK(has(&r, "10.0.0.5") && has(&r, "10.0.0.6"));
    close_rig(&r);
}

static void does_not_see_what_was_not_sent(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    virtio_net_set_link(r.d.dev, false);
    say_arp(&r, 1, "10.0.0.5");
    CHECK_EQ(count(&r), 0);
    virtio_net_set_link(r.d.dev, true);
    say_arp(&r, 1, "10.0.0.5");
    CHECK_EQ(count(&r), 1);
    close_rig(&r);
}

/* Nor what comes from the network: those are its neighbours'. */
static void does_not_see_what_arrives(void)
{
    struct rig r;
    uint8_t packet[HDR + FRAME_ARP_BYTES] = {0}, got[2048];
    open_rig(&r, 1, TSO, 0);
    post(&r, 0, 4, 2048);
    frame_arp(packet + HDR, 2, "10.0.0.1", "10.0.0.5");
    arrive(&r, 0, packet, sizeof(packet));
    CHECK_EQ(collect(&r, 0, got, NULL), sizeof(packet));
    CHECK_EQ(count(&r), 0);
    close_rig(&r);
}

static void forgets_what_is_old_and_all_at_a_reset(void)
{
    struct rig r;
    open_rig(&r, 1, TSO, 0);
    say_arp(&r, 1, "10.0.0.5");
    loop_advance_ns(r.loop, NET_ADDRESSES_KEPT_NS - 1);
    CHECK_EQ(count(&r), 1);
    loop_advance_ns(r.loop, 1);
    CHECK_EQ(count(&r), 0);
    say_arp(&r, 1, "10.0.0.6");
    CHECK_EQ(r.n_addresses, 2);
    virtio_transport_set_status(r.d.dev, 0);
    CHECK_EQ(r.n_addresses, 3);
    CHECK_EQ(count(&r), 0);
    virtio_transport_set_status(r.d.dev, 0);
    CHECK_EQ(r.n_addresses, 3);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(sees_an_address_wherever_the_buffers_are_cut);
    TAP_RUN(tells_of_a_change_and_of_nothing_else);
    TAP_RUN(sees_what_any_queue_pair_sends);
    TAP_RUN(does_not_see_what_was_not_sent);
    TAP_RUN(does_not_see_what_arrives);
    TAP_RUN(forgets_what_is_old_and_all_at_a_reset);
    return tap_done();
}
