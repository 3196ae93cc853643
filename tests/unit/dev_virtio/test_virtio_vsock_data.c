/* Data of vsock connections: credit, sharing, half and full closes. */
#include "dev/virtio/virtio_vsock.h"

#include "vsock_fixture.h"

/* ---- flow control ---- */

static void sends_no_more_than_the_guest_has_credit_for(void)
{
    struct rig r;
    uint8_t *bulk = calloc(1, 3 * ALLOC);
    open_rig(&r, 0);
    post_rx(&r, 100, 8192);
    REQUIRE(open_from_guest(&r));
    int big = 4 << 20;
    setsockopt(r.host_end, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    uint64_t total = 0, put = 0;
    bool asked = false;
    for (int i = 0; i < 1000 && (total < ALLOC || !asked); i++) {
        ssize_t n = write(r.host_end, bulk, 3 * ALLOC - put);
        put += n > 0 ? (uint64_t)n : 0;
        struct virtio_vsock_hdr h = next(&r, NULL);
        total += h.op == VIRTIO_VSOCK_OP_RW ? h.len : 0;
        asked |= h.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST;
    }
    CHECK_EQ(total, ALLOC);
    CHECK(asked);
    CHECK_EQ(next_op(&r), 0);
    r.fwd_cnt = 1000;
    say(&r, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 1000, 80);
    CHECK_EQ(next(&r, NULL).len, 1000);
    /* Credit that makes no sense gives none. */
    r.fwd_cnt = ALLOC + 5000;
    say(&r, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 1000, 80);
    while (next_op(&r) == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        ;
    CHECK_EQ(next_op(&r), 0);
    free(bulk);
    close_rig(&r);
}

static void buffers_what_a_slow_host_does_not_read_up_to_the_credit(void)
{
    struct rig r;
    uint8_t *chunk = malloc(32768), *got = malloc(1 << 20);
    open_rig(&r, 0);
    post_rx(&r, 16, 4096);
    REQUIRE(open_from_guest(&r));
    /* What we were told: 128 KiB of credit, beyond what the host's socket has taken. */
    uint32_t sent = 0, fwd = 0;
    for (unsigned i = 0; sent - fwd + 32768 <= 128 * 1024; i++) {
        for (unsigned k = 0; k < 32768; k++)
            chunk[k] = (uint8_t)((sent + k) * 31 >> 3);
        send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 32768), chunk);
        sent += 32768;
        for (struct virtio_vsock_hdr h; (h = next(&r, NULL)).op;) {
            CHECK_EQ(h.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
            CHECK_EQ(h.buf_alloc, 128 * 1024);
            fwd = h.fwd_cnt;
        }
        REQUIRE(i < 100);
    }
    uint32_t got_bytes = 0;
    for (ssize_t n; (n = read(r.host_end, got + got_bytes, 10000)) > 0; settle(&r))
        got_bytes += (uint32_t)n;
    CHECK_EQ(got_bytes, sent);
    for (uint32_t i = 0; i < got_bytes; i++)
        if (got[i] != (uint8_t)(i * 31 >> 3)) {
            CHECK_EQ(i, -1);
            break;
        }
    CHECK_EQ(next(&r, NULL).op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    free(chunk);
    free(got);
    close_rig(&r);
}

static void resets_a_guest_that_exceeds_its_credit(void)
{
    struct rig r;
    uint8_t *chunk = calloc(1, 65536);
    open_rig(&r, 0);
    post_rx(&r, 64, 4096);
    REQUIRE(open_from_guest(&r));
    uint16_t op = 0;
    for (int i = 0; i < 100 && op != VIRTIO_VSOCK_OP_RST; i++) {
        send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 65536), chunk);
        do
            op = next_op(&r);
        while (op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    }
    CHECK_EQ(op, VIRTIO_VSOCK_OP_RST);
    CHECK_EQ(n_open(&r), 0);
    free(chunk);
    close_rig(&r);
}

static void shares_the_guests_buffers_among_connections(void)
{
    struct rig r;
    int ends[3];
    unsigned seen[3] = {0};
    uint8_t *bulk = calloc(1, 65536);
    open_rig(&r, 0);
    post_rx(&r, 3, 1044);
    for (uint32_t i = 0; i < 3; i++) {
        say(&r, VIRTIO_VSOCK_OP_REQUEST, 1000 + i, 80);
        ends[i] = r.host_end;
        CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RESPONSE);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(write(ends[i], bulk, 65536), 65536);
    settle(&r);
    post_rx(&r, 30, 1044);
    for (struct virtio_vsock_hdr h; (h = next(&r, NULL)).op;)
        seen[h.dst_port - 1000]++;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(seen[i], 10);
    close(ends[0]);
    close(ends[1]);
    free(bulk);
    close_rig(&r);
}

/* ---- closing ---- */

static void passes_on_half_closes_and_goes_on_in_the_other_direction(void)
{
    struct rig r;
    char buf[8];
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    CHECK_EQ(write(r.host_end, "last", 4), 4);
    shutdown(r.host_end, SHUT_WR);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RW);
    struct virtio_vsock_hdr h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    CHECK_EQ(h.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
    send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 2), "go");
    CHECK_EQ(read(r.host_end, buf, sizeof(buf)), 2);
    guest_shutdown(&r, VIRTIO_VSOCK_SHUTDOWN_SEND, 1000, 80);
    CHECK(closed(r.host_end));
    h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    CHECK_EQ(h.flags, 3);
    say(&r, VIRTIO_VSOCK_OP_RST, 1000, 80);
    CHECK_EQ(n_open(&r), 0);
    close_rig(&r);
}

static void delivers_everything_before_a_full_shutdown_ends_it(void)
{
    struct rig r;
    uint8_t *chunk = calloc(1, 65536), buf[10000];
    open_rig(&r, 0);
    post_rx(&r, 16, 4096);
    REQUIRE(open_from_guest(&r));
    uint32_t sent = 0, fwd = 0, got = 0;
    while (sent - fwd + 65536 <= 128 * 1024) {
        send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 65536), chunk);
        sent += 65536;
        for (struct virtio_vsock_hdr h; (h = next(&r, NULL)).op;)
            fwd = h.fwd_cnt;
    }
    guest_shutdown(&r, 3, 1000, 80);
    CHECK_EQ(next_op(&r), 0);
    ssize_t n;
    for (; (n = read(r.host_end, buf, sizeof(buf))) > 0; settle(&r))
        got += (uint32_t)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(got, sent);
    uint16_t op;
    while ((op = next_op(&r)) == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
        ;
    CHECK_EQ(op, VIRTIO_VSOCK_OP_RST);
    CHECK_EQ(n_open(&r), 0);
    free(chunk);
    close_rig(&r);
}

static void tells_the_guest_that_the_host_hung_up(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    close(r.host_end);
    r.host_end = -1;
    struct virtio_vsock_hdr h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    CHECK_EQ(h.flags, 3);
    /* A guest that does not answer does not keep the slot. */
    loop_advance_ns(r.loop, 9 * S);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    CHECK_EQ(n_open(&r), 0);
    close_rig(&r);
}

static void tells_the_guest_that_the_host_reads_no_more(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    REQUIRE(open_from_guest(&r));
    shutdown(r.host_end, SHUT_RD);
    send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 5), "hello");
    struct virtio_vsock_hdr h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_SHUTDOWN);
    CHECK_EQ(h.flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(sends_no_more_than_the_guest_has_credit_for);
    TAP_RUN(buffers_what_a_slow_host_does_not_read_up_to_the_credit);
    TAP_RUN(resets_a_guest_that_exceeds_its_credit);
    TAP_RUN(shares_the_guests_buffers_among_connections);
    TAP_RUN(passes_on_half_closes_and_goes_on_in_the_other_direction);
    TAP_RUN(delivers_everything_before_a_full_shutdown_ends_it);
    TAP_RUN(tells_the_guest_that_the_host_hung_up);
    TAP_RUN(tells_the_guest_that_the_host_reads_no_more);
    return tap_done();
}
