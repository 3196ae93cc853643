/* What is not a frame: control commands, offloads, queue pairs, the link, limits. */
#include "dev/virtio/virtio_net.h"

#include "net_fixture.h"

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

int main(void)
{
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
    return tap_done();
}
