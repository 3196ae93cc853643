#include "net/passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/util.h"
#include "tap.h"

#define HDR NET_HDR_BYTES

struct rig {
    struct loop *loop;
    struct net_backend *nb;
    int peer;
    unsigned readable, writable;
};

static void on_readable(void *opaque, unsigned pair)
{
    struct rig *r = opaque;
    r->readable++;
}
static void on_writable(void *opaque, unsigned pair)
{
    struct rig *r = opaque;
    r->writable++;
}
static const struct net_events events = {on_readable, on_writable};

static void open_rig(struct rig *r)
{
    int sv[2];
    memset(r, 0, sizeof(*r));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        abort();
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    r->nb = passt_create(sv[0], NULL);
    r->peer = sv[1];
    if (!r->nb || net_start(r->nb, 0, r->loop, &events, r))
        abort();
    net_want_read(r->nb, 0, true);
}

static void close_rig(struct rig *r)
{
    net_destroy(r->nb);
    close(r->peer);
    loop_destroy(r->loop);
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 5 + i / 199 + seed);
}

/* A frame in passt's framing at `out`. Returns its size there. */
static size_t framed(uint8_t *out, size_t len, unsigned seed)
{
    uint32_t be = htonl((uint32_t)len);
    memcpy(out, &be, 4);
    fill(out + 4, len, seed);
    return len + 4;
}

/* Receives into buffers of `piece` bytes. */
static ssize_t receive(struct rig *r, uint8_t *buf, size_t piece)
{
    struct iovec iov[NET_IOV_MAX];
    unsigned n = 0;
    for (size_t at = 0; at < NET_PACKET_MAX_BYTES && n < NET_IOV_MAX; at += piece)
        iov[n++] = (struct iovec){buf + at, piece};
    return net_recv(r->nb, 0, iov, n);
}

static bool is_frame(const uint8_t *packet, ssize_t got, size_t len, unsigned seed)
{
    static const uint8_t no_hdr[HDR];
    uint8_t want[NET_FRAME_MAX_BYTES];
    fill(want, len, seed);
    return got == (ssize_t)(HDR + len) && memcmp(packet, no_hdr, HDR) == 0 &&
           memcmp(packet + HDR, want, len) == 0;
}

static void receives_frames_that_come_together(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t wire[4000], packet[NET_PACKET_MAX_BYTES + 4096];
    size_t n = framed(wire, 100, 1);
    n += framed(wire + n, 14, 2);
    n += framed(wire + n, 1514, 3);
    CHECK_EQ(write(r.peer, wire, n), n);
    memset(packet, 0xee, sizeof(packet));
    CHECK(is_frame(packet, receive(&r, packet, 7000), 100, 1));
    CHECK(is_frame(packet, receive(&r, packet, 65), 14, 2));
    CHECK(is_frame(packet, receive(&r, packet, 65), 1514, 3));
    CHECK_EQ(receive(&r, packet, 7000), -EAGAIN);
    close_rig(&r);
}

static void receives_a_frame_cut_anywhere(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t wire[256], packet[NET_PACKET_MAX_BYTES + 4096];
    size_t n = framed(wire, 60, 7), m = n + framed(wire + n, 40, 8);
    for (size_t cut = 1; cut < m; cut++) {
        CHECK_EQ(write(r.peer, wire, cut), cut);
        bool first = cut >= n && is_frame(packet, receive(&r, packet, 100), 60, 7);
        CHECK_EQ(first, cut >= n);
        CHECK_EQ(receive(&r, packet, 100), -EAGAIN);
        CHECK_EQ(write(r.peer, wire + cut, m - cut), m - cut);
        if (!first)
            CHECK(is_frame(packet, receive(&r, packet, 33), 60, 7));
        CHECK(is_frame(packet, receive(&r, packet, 100), 40, 8));
        CHECK_EQ(receive(&r, packet, 100), -EAGAIN);
    }
    close_rig(&r);
}

static void receives_a_frame_byte_by_byte(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t wire[200], packet[NET_PACKET_MAX_BYTES + 4096];
    size_t n = framed(wire, 150, 9);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(receive(&r, packet, 1000), -EAGAIN);
        CHECK_EQ(write(r.peer, wire + i, 1), 1);
    }
    CHECK(is_frame(packet, receive(&r, packet, 1000), 150, 9));
    close_rig(&r);
}

static void keeps_its_place_when_a_frame_does_not_fit_the_buffers(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t wire[2048], packet[100];
    size_t n = framed(wire, 1000, 1);
    n += framed(wire + n, 50, 2);
    CHECK_EQ(write(r.peer, wire, n), n);
    struct iovec iov = {packet, sizeof(packet)};
    CHECK_EQ(net_recv(r.nb, 0, &iov, 1), sizeof(packet));
    CHECK(is_frame(packet, net_recv(r.nb, 0, &iov, 1), 50, 2));
    close_rig(&r);
}

static void ends_the_connection_at_an_impossible_length(void)
{
    static const uint32_t lengths[] = {0, 13, NET_FRAME_MAX_BYTES + 1, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        struct rig r;
        open_rig(&r);
        uint8_t packet[NET_PACKET_MAX_BYTES + 4096];
        uint32_t be = htonl(lengths[i]);
        CHECK_EQ(write(r.peer, &be, 4), 4);
        CHECK_EQ(receive(&r, packet, 7000), -EPIPE);
        CHECK_EQ(receive(&r, packet, 7000), -EPIPE);
        CHECK(strstr(net_lost_reason(r.nb, 0), "announced a frame"));
        CHECK_EQ(write(r.peer, &be, 4), 4);
        for (int k = 0; k < 5; k++)
            CHECK_EQ(loop_run_once(r.loop, 0), 0);
        close_rig(&r);
    }
}

static void says_that_passt_closed_the_connection(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t packet[NET_PACKET_MAX_BYTES + 4096];
    shutdown(r.peer, SHUT_RDWR);
    loop_run_once(r.loop, 0);
    CHECK_EQ(r.readable, 1);
    CHECK_EQ(receive(&r, packet, 7000), -EPIPE);
    CHECK_STR(net_lost_reason(r.nb, 0), "passt closed the connection");
    struct iovec iov = {packet, 100};
    CHECK_EQ(net_send(r.nb, 0, &iov, 1, 100), -EPIPE);
    close_rig(&r);
}

static void sends_frames_without_their_header(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t packet[HDR + 500], wire[600], want[600];
    memset(packet, 0xaa, HDR);
    fill(packet + HDR, 500, 4);
    struct iovec iov[] = {{packet, 5}, {packet + 5, 20}, {packet + 25, 487}};
    CHECK_EQ(net_send(r.nb, 0, iov, 3, sizeof(packet)), 0);
    CHECK_EQ(read(r.peer, wire, sizeof(wire)), 504);
    framed(want, 500, 4);
    CHECK(memcmp(wire, want, 504) == 0);
    close_rig(&r);
}

static void refuses_to_send_what_passt_would_not_take(void)
{
    struct rig r;
    open_rig(&r);
    uint8_t *packet = calloc(1, NET_PACKET_MAX_BYTES);
    struct iovec iov = {packet, NET_PACKET_MAX_BYTES};
    CHECK_EQ(net_send(r.nb, 0, &iov, 1, HDR + PASST_FRAME_MAX_BYTES + 1), -EMSGSIZE);
    CHECK_EQ(net_send(r.nb, 0, &iov, 1, HDR + 13), -EMSGSIZE);
    CHECK_EQ(net_send(r.nb, 0, &iov, 1, HDR + PASST_FRAME_MAX_BYTES), 0);
    free(packet);
    close_rig(&r);
}

/* The reader is slow: sends wait, frames are cut, and yet every byte arrives in order. */
static void loses_no_byte_when_the_socket_is_full(void)
{
    enum { FRAMES = 100, FRAME = 30000, WIRE = FRAME + 4 };
    struct rig r;
    open_rig(&r);
    uint8_t *packet = calloc(1, HDR + FRAME), *wire = malloc(FRAMES * WIRE), want[WIRE];
    size_t got = 0;
    unsigned sent = 0, waited = 0;
    bool waits = false;
    for (int rounds = 0; rounds < 10000 && got < (size_t)FRAMES * WIRE; rounds++) {
        while (sent < FRAMES && !waits) {
            fill(packet + HDR, FRAME, sent);
            struct iovec iov[] = {{packet, 1000}, {packet + 1000, HDR + FRAME - 1000}};
            int ret = net_send(r.nb, 0, iov, 2, HDR + FRAME);
            CHECK(ret == 0 || ret == -EAGAIN);
            waits = ret == -EAGAIN;
            waited += waits;
            sent += ret == 0;
        }
        ssize_t n = recv(r.peer, wire + got, MIN(FRAMES * WIRE - got, 7777u), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        loop_run_once(r.loop, 0);
        if (r.writable)
            waits = false;
        r.writable = 0;
    }
    CHECK(waited > 0);
    REQUIRE(got == (size_t)FRAMES * WIRE);
    for (unsigned i = 0; i < FRAMES; i++) {
        framed(want, FRAME, i);
        CHECK(memcmp(wire + (size_t)i * WIRE, want, WIRE) == 0);
    }
    free(packet);
    free(wire);
    close_rig(&r);
}

static void does_not_spin_when_nobody_reads_and_the_peer_is_gone(void)
{
    struct rig r;
    open_rig(&r);
    net_want_read(r.nb, 0, false);
    shutdown(r.peer, SHUT_RDWR);
    loop_run_once(r.loop, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(loop_run_once(r.loop, 0), 0);
    net_want_read(r.nb, 0, true);
    loop_run_once(r.loop, 0);
    CHECK_EQ(r.readable, 1);
    close_rig(&r);
}

static void refuses_a_descriptor_that_is_no_stream_socket(void)
{
    int sv[2];
    struct err err = {0};
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv) == 0);
    CHECK(!passt_create(sv[0], &err));
    CHECK_EQ(err.code, EINVAL);
    CHECK(!passt_create(-1, &err));
    close(sv[0]);
    close(sv[1]);
}

int main(void)
{
    TAP_RUN(receives_frames_that_come_together);
    TAP_RUN(receives_a_frame_cut_anywhere);
    TAP_RUN(receives_a_frame_byte_by_byte);
    TAP_RUN(keeps_its_place_when_a_frame_does_not_fit_the_buffers);
    TAP_RUN(ends_the_connection_at_an_impossible_length);
    TAP_RUN(says_that_passt_closed_the_connection);
    TAP_RUN(sends_frames_without_their_header);
    TAP_RUN(refuses_to_send_what_passt_would_not_take);
    TAP_RUN(loses_no_byte_when_the_socket_is_full);
    TAP_RUN(does_not_spin_when_nobody_reads_and_the_peer_is_gone);
    TAP_RUN(refuses_a_descriptor_that_is_no_stream_socket);
    return tap_done();
}
