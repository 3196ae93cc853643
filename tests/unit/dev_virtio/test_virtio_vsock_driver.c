/* Drivers that talk nonsense; pause, save and load. */
#include "dev/virtio/virtio_vsock.h"

#include "vsock_fixture.h"

/* ---- nonsense ---- */

static void answers_packets_of_no_connection_with_a_reset(void)
{
    static const uint16_t ops[] = {VIRTIO_VSOCK_OP_RESPONSE,
                                   VIRTIO_VSOCK_OP_RW,
                                   VIRTIO_VSOCK_OP_SHUTDOWN,
                                   VIRTIO_VSOCK_OP_CREDIT_UPDATE,
                                   VIRTIO_VSOCK_OP_CREDIT_REQUEST,
                                   VIRTIO_VSOCK_OP_INVALID,
                                   99};
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 16, 4096);
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        say(&r, ops[i], 5, 6);
        struct virtio_vsock_hdr h = next(&r, NULL);
        CHECK_EQ(h.op, VIRTIO_VSOCK_OP_RST);
        CHECK_EQ(h.dst_port, 5);
        CHECK_EQ(h.src_port, 6);
    }
    say(&r, VIRTIO_VSOCK_OP_RST, 5, 6); /* but not a reset */
    CHECK_EQ(next_op(&r), 0);
    struct virtio_vsock_hdr h = packet(&r, VIRTIO_VSOCK_OP_REQUEST, 5, 6, 0);
    h.type = 2; /* not a stream */
    send_packet(&r, h, NULL);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    h = packet(&r, VIRTIO_VSOCK_OP_REQUEST, 5, 6, 0);
    h.src_cid = 99; /* somebody else's */
    send_packet(&r, h, NULL);
    h = packet(&r, VIRTIO_VSOCK_OP_REQUEST, 5, 6, 0);
    h.dst_cid = 1;
    send_packet(&r, h, NULL);
    CHECK_EQ(next_op(&r), 0);
    CHECK_EQ(r.n_dials, 0);
    close_rig(&r);
}

static void resets_a_connection_whose_ports_are_asked_for_again(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    CHECK(closed(r.host_end));
    CHECK_EQ(n_open(&r), 0);
    close_rig(&r);
}

static void stops_reading_packets_when_too_many_resets_wait_and_goes_on_later(void)
{
    struct rig r;
    open_rig(&r, 0);
    for (unsigned i = 0; i < 100; i++)
        say(&r, VIRTIO_VSOCK_OP_RW, i, 6);
    CHECK(r.d.rings[TX].free_slots < 256);
    unsigned n = 0;
    post_rx(&r, 120, 256);
    while (next_op(&r) == VIRTIO_VSOCK_OP_RST)
        n++;
    CHECK_EQ(n, 100);
    close_rig(&r);
}

static void breaks_on_malformed_packets_and_buffers(void)
{
    for (int i = 0; i < 4; i++) {
        struct rig r;
        open_rig(&r, 0);
        uint64_t gpa = vdrv_alloc(&r.d, 4096, NULL);
        struct virtio_vsock_hdr h = packet(&r, VIRTIO_VSOCK_OP_RW, 1, 2, 4096);
        memcpy(guest_mem_ptr(&r.mem, gpa, HDR), &h, HDR);
        struct vdrv_buf b = {gpa, i == 0 ? 43 : i == 1 ? 100 : i == 2 ? 43 : 64};
        vdrv_add(&r.d, i < 2 ? TX : RX, &b, i != 2, i == 2, 0);
        vdrv_kick(&r.d, i < 2 ? TX : RX);
        settle(&r);
        if (i >= 2) /* a receive buffer is looked at when there is a packet for it */
            say(&r, VIRTIO_VSOCK_OP_RW, 5, 6);
        CHECK(virtio_device_is_broken(r.d.dev));
        vdrv_reset(&r.d);
        CHECK(!virtio_device_is_broken(r.d.dev));
        close_rig(&r);
    }
}

static void closes_all_connections_on_reset(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    int fd = client(&r);
    settle(&r);
    vdrv_reset(&r.d);
    CHECK(closed(r.host_end));
    CHECK(closed(fd));
    CHECK_EQ(n_open(&r), 0);
    close(fd);
    close_rig(&r);
}

/* ---- pause, save, load ---- */

static void keeps_connections_over_a_pause(void)
{
    struct rig r;
    char buf[8];
    open_rig(&r, VDRV_PACKED);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    virtio_device_pause(r.d.dev);
    CHECK_EQ(r.d.dev->queues[RX].vq.in_flight, 0);
    CHECK_EQ(write(r.host_end, "now", 3), 3);
    send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 2), "go");
    CHECK_EQ(next_op(&r), 0);
    CHECK_EQ(read(r.host_end, buf, sizeof(buf)), -1);
    virtio_device_resume(r.d.dev);
    CHECK_EQ(next(&r, NULL).len, 3);
    CHECK_EQ(read(r.host_end, buf, sizeof(buf)), 2);
    close_rig(&r);
}

static void tells_a_restored_guest_that_its_connections_are_gone(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    uint64_t gpa = vdrv_alloc(&r.d, 8, NULL);
    struct vdrv_buf b = {gpa, 8};
    vdrv_add(&r.d, EVENT, &b, 0, 1, gpa);
    vdrv_kick(&r.d, EVENT);
    settle(&r);
    REQUIRE(open_from_guest(&r));
    virtio_device_pause(r.d.dev);
    struct state_writer w;
    state_writer_init(&w);
    state_begin(&w, "virtio", 0, 1);
    virtio_transport_save(r.d.dev, &w);
    state_end(&w);
    struct vdrv_ring *rings = r.d.rings;
    uint64_t next_gpa = r.d.next_gpa;
    virtio_device_destroy(r.d.dev);
    CHECK(closed(r.host_end));
    struct virtio_device *new = make(&r, 0, false);
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
    int id;
    uintptr_t cookie;
    uint32_t len;
    REQUIRE(vdrv_ring_used(&r.d.rings[EVENT], &id, &cookie, &len));
    CHECK_EQ(len, 4);
    CHECK_EQ(le32_read(guest_mem_ptr(&r.mem, gpa, 4)), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    /* The old connection does not exist; a new one does. */
    send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 2), "go");
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    close(r.host_end);
    CHECK(open_from_guest(&r));
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(answers_packets_of_no_connection_with_a_reset);
    TAP_RUN(resets_a_connection_whose_ports_are_asked_for_again);
    TAP_RUN(stops_reading_packets_when_too_many_resets_wait_and_goes_on_later);
    TAP_RUN(breaks_on_malformed_packets_and_buffers);
    TAP_RUN(closes_all_connections_on_reset);
    TAP_RUN(keeps_connections_over_a_pause);
    TAP_RUN(tells_a_restored_guest_that_its_connections_are_gone);
    return tap_done();
}
