#include "dev/virtio/virtio_net.h"

#include "net_fixture.h"

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
    TAP_RUN(gives_unused_buffers_back_on_pause_and_goes_on_after_resume);
    TAP_RUN(continues_in_another_process_after_save_and_load);
    TAP_RUN(forgets_a_held_frame_on_reset);
    return tap_done();
}
