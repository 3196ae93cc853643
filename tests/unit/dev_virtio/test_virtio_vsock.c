#include "dev/virtio/virtio_vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../virtio_driver.h"
#include "dev/virtio/virtio_vsock_path.h"
#include "tap.h"

#define CID   7
#define HDR   sizeof(struct virtio_vsock_hdr)
#define S     INT64_C(1000000000)
#define ALLOC (256 * 1024) /* the guest's own credit */

enum { RX, TX, EVENT };

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
    char dir[64], path[96];
    struct virtio_vsock_path by_path;
    /* The connector of tests: gives one end of a socket pair and keeps the other. */
    int host_end, n_dials;
    bool refuse, later;
    uint32_t dialled_port;
    uint64_t ticket;
    uint32_t fwd_cnt; /* what the guest says it has consumed */
};

static int dial(void *opaque, uint32_t port, uint64_t ticket)
{
    struct rig *r = opaque;
    r->n_dials++;
    r->dialled_port = port;
    r->ticket = ticket;
    if (r->refuse)
        return -ECONNREFUSED;
    if (r->later)
        return -EINPROGRESS;
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    r->host_end = sv[1];
    return sv[0];
}

static void settle(struct rig *r)
{
    for (int i = 0, quiet = 0; i < 2000 && quiet < 4; i++)
        quiet = loop_run_once(r->loop, 0) ? 0 : quiet + 1;
}

static void post_rx(struct rig *r, unsigned n, uint32_t bytes)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t gpa = vdrv_alloc(&r->d, bytes, NULL);
        struct vdrv_buf b[2] = {{gpa, 44}, {gpa + 44, bytes - 44}};
        if (vdrv_add(&r->d, RX, b, 0, 2, gpa) < 0)
            abort();
    }
    vdrv_kick(&r->d, RX);
    settle(r);
}

static struct virtio_device *make(struct rig *r, unsigned max, bool by_path)
{
    struct err err = {0};
    struct virtio_vsock_options o = {
        .guest_cid = CID,
        .loop = r->loop,
        .max_connections = max,
        .listen_fd = virtio_vsock_path_listen(r->path, &err),
        .connector = {by_path ? virtio_vsock_path_connect : dial,
                      by_path ? (void *)&r->by_path : (void *)r},
    };
    return virtio_vsock_create(&r->mem, &o, &err);
}

static void open_with(struct rig *r, unsigned flags, unsigned max, bool by_path)
{
    struct err err = {0};
    memset(r, 0, sizeof(*r));
    r->host_end = -1;
    strcpy(r->dir, "/tmp/vsock-test-XXXXXX");
    if (!mkdtemp(r->dir) || guest_mem_init(&r->mem, 64 << 20, 0, NULL))
        abort();
    snprintf(r->path, sizeof(r->path), "%s/v", r->dir);
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    if (virtio_vsock_path_init(&r->by_path, r->path, &err) ||
        !vdrv_open(&r->d, &r->mem, make(r, max, by_path), flags))
        abort();
    settle(r);
}

static void open_rig(struct rig *r, unsigned flags)
{
    open_with(r, flags, 0, false);
}

static void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
    virtio_vsock_path_fini(&r->by_path);
    if (r->host_end >= 0)
        close(r->host_end);
    unlink(r->path);
    rmdir(r->dir);
}

/* The guest sends a packet. */
static void send_packet(struct rig *r, struct virtio_vsock_hdr h, const void *data)
{
    void *host;
    uint64_t gpa = vdrv_alloc(&r->d, HDR + h.len, &host);
    memcpy(host, &h, HDR);
    if (h.len)
        memcpy((uint8_t *)host + HDR, data, h.len);
    struct vdrv_buf b[2] = {{gpa, HDR}, {gpa + HDR, h.len}};
    CHECK(vdrv_add(&r->d, TX, b, h.len ? 2 : 1, 0, 0) >= 0);
    vdrv_kick(&r->d, TX);
    settle(r);
    int id;
    uintptr_t cookie;
    uint32_t len;
    while (vdrv_ring_used(&r->d.rings[TX], &id, &cookie, &len))
        CHECK(id >= 0 && len == 0);
}

static struct virtio_vsock_hdr packet(struct rig *r, uint16_t op, uint32_t guest_port,
                                      uint32_t host_port, uint32_t len)
{
    return (struct virtio_vsock_hdr){
        .src_cid = CID,
        .dst_cid = 2,
        .src_port = guest_port,
        .dst_port = host_port,
        .len = len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .buf_alloc = ALLOC,
        .fwd_cnt = r->fwd_cnt,
    };
}

static void say(struct rig *r, uint16_t op, uint32_t guest_port, uint32_t host_port)
{
    send_packet(r, packet(r, op, guest_port, host_port, 0), NULL);
}

static void guest_shutdown(struct rig *r, uint32_t flags, uint32_t guest_port, uint32_t host_port)
{
    struct virtio_vsock_hdr h = packet(r, VIRTIO_VSOCK_OP_SHUTDOWN, guest_port, host_port, 0);
    h.flags = flags;
    send_packet(r, h, NULL);
}

/* The next packet that the guest got; op 0 if none. Payload into `data` (64 KiB) if not NULL. */
static struct virtio_vsock_hdr next(struct rig *r, uint8_t *data)
{
    struct virtio_vsock_hdr h = {0};
    int id;
    uintptr_t gpa;
    uint32_t len;
    settle(r);
    if (!vdrv_ring_used(&r->d.rings[RX], &id, &gpa, &len))
        return h;
    CHECK(id >= 0 && len >= HDR);
    memcpy(&h, guest_mem_ptr(&r->mem, gpa, HDR), HDR);
    CHECK_EQ(len, HDR + h.len);
    CHECK_EQ(h.src_cid, 2);
    CHECK_EQ(h.dst_cid, CID);
    if (data)
        memcpy(data, guest_mem_ptr(&r->mem, gpa + HDR, h.len), h.len);
    return h;
}

static uint16_t next_op(struct rig *r)
{
    return next(r, NULL).op;
}

/* A connection from guest port 1000 to host port 80 with r->host_end as its other end. */
static bool open_from_guest(struct rig *r)
{
    say(r, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
    struct virtio_vsock_hdr h = next(r, NULL);
    return h.op == VIRTIO_VSOCK_OP_RESPONSE && h.src_port == 80 && h.dst_port == 1000;
}

static int client(struct rig *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_EQ(connect(fd, (void *)&a, sizeof(a)), 0);
    return fd;
}

static uint64_t n_open(struct rig *r)
{
    struct virtio_vsock_counters c;
    virtio_vsock_counters_get(r->d.dev, &c);
    return c.open;
}

static bool closed(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

/* ---- guest to host ---- */

static void carries_data_of_a_connection_that_the_guest_opened(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED, VDRV_INDIRECT, VDRV_NO_EVENT_IDX};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        char buf[64] = "";
        uint8_t data[65536];
        open_rig(&r, flags[f]);
        post_rx(&r, 16, 4096);
        REQUIRE(open_from_guest(&r));
        CHECK_EQ(r.dialled_port, 80);
        send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 5), "hello");
        CHECK_EQ(read(r.host_end, buf, sizeof(buf)), 5);
        CHECK_STR(buf, "hello");
        CHECK_EQ(write(r.host_end, "welcome", 7), 7);
        struct virtio_vsock_hdr h = next(&r, data);
        CHECK_EQ(h.op, VIRTIO_VSOCK_OP_RW);
        CHECK_EQ(h.len, 7);
        CHECK_EQ(h.fwd_cnt, 5);
        CHECK(memcmp(data, "welcome", 7) == 0);
        CHECK_EQ(next_op(&r), 0);
        close_rig(&r);
    }
}

static void resets_a_connection_that_nobody_takes(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 4, 4096);
    r.refuse = true;
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
    struct virtio_vsock_hdr h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_RST);
    CHECK_EQ(h.dst_port, 1000);
    CHECK_EQ(h.src_port, 80);
    CHECK_EQ(n_open(&r), 0);
    close_rig(&r);
}

static void connects_by_path_beside_the_listening_socket(void)
{
    struct rig r;
    char name[128], buf[8] = "";
    struct err err = {0};
    open_with(&r, 0, 0, true);
    post_rx(&r, 4, 4096);
    snprintf(name, sizeof(name), "%s_80", r.path);
    int l = virtio_vsock_path_listen(name, &err);
    REQUIRE(l >= 0);
    CHECK(open_from_guest(&r));
    int fd = accept(l, NULL, NULL);
    send_packet(&r, packet(&r, VIRTIO_VSOCK_OP_RW, 1000, 80, 3), "abc");
    CHECK_EQ(read(fd, buf, sizeof(buf)), 3);
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1001, 81);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    close(fd);
    close(l);
    unlink(name);
    close_rig(&r);
}

static void waits_for_a_connector_that_answers_later(void)
{
    struct rig r;
    int sv[2];
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    r.later = true;
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1000, 80);
    CHECK_EQ(next_op(&r), 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
    virtio_vsock_connected(r.d.dev, r.ticket, sv[0]);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RESPONSE);
    /* The same ticket again, and one that never was: closed, and nothing else. */
    virtio_vsock_connected(r.d.dev, r.ticket, dup(sv[1]));
    virtio_vsock_connected(r.d.dev, 12345, dup(sv[1]));
    virtio_vsock_connected(r.d.dev, UINT64_MAX, -EPERM);
    settle(&r);
    CHECK_EQ(n_open(&r), 1);
    /* No. */
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1001, 80);
    virtio_vsock_connected(r.d.dev, r.ticket, -EACCES);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    /* No answer. */
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1002, 80);
    loop_advance_ns(r.loop, 6 * S);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    virtio_vsock_connected(r.d.dev, r.ticket, dup(sv[1]));
    settle(&r);
    CHECK_EQ(n_open(&r), 1);
    close(sv[1]);
    close_rig(&r);
}

static void refuses_more_connections_than_its_maximum(void)
{
    struct rig r;
    open_with(&r, 0, 2, false);
    post_rx(&r, 8, 4096);
    int kept[3];
    for (uint32_t i = 0; i < 3; i++) {
        say(&r, VIRTIO_VSOCK_OP_REQUEST, 1000 + i, 80);
        kept[i] = r.host_end;
        CHECK_EQ(next_op(&r), i < 2 ? VIRTIO_VSOCK_OP_RESPONSE : VIRTIO_VSOCK_OP_RST);
    }
    CHECK_EQ(n_open(&r), 2);
    say(&r, VIRTIO_VSOCK_OP_RST, 1000, 80);
    CHECK(closed(kept[0]));
    say(&r, VIRTIO_VSOCK_OP_REQUEST, 1002, 80);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RESPONSE);
    close(kept[0]);
    close(kept[1]);
    close_rig(&r);
}

/* ---- host to guest ---- */

static void opens_a_connection_for_a_client_of_the_host(void)
{
    struct rig r;
    char buf[64] = "", want[64];
    uint8_t data[65536];
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    int fd = client(&r);
    /* The line in two pieces, data right behind it. */
    CHECK_EQ(write(fd, "CONN", 4), 4);
    settle(&r);
    CHECK_EQ(write(fd, "ECT 52\nearly", 12), 12);
    struct virtio_vsock_hdr h = next(&r, NULL);
    CHECK_EQ(h.op, VIRTIO_VSOCK_OP_REQUEST);
    CHECK_EQ(h.dst_port, 52);
    CHECK_EQ(read(fd, buf, sizeof(buf)), -1);
    say(&r, VIRTIO_VSOCK_OP_RESPONSE, 52, h.src_port);
    snprintf(want, sizeof(want), "OK %u\n", h.src_port);
    CHECK(read(fd, buf, sizeof(buf)) > 0);
    CHECK_STR(buf, want);
    CHECK_EQ(next(&r, data).len, 5);
    CHECK(memcmp(data, "early", 5) == 0);
    close(fd);
    close_rig(&r);
}

static void closes_the_client_when_the_guest_refuses_or_does_not_answer(void)
{
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 8, 4096);
    int a = client(&r), b = client(&r);
    CHECK_EQ(write(a, "CONNECT 52\n", 11), 11);
    struct virtio_vsock_hdr h = next(&r, NULL);
    say(&r, VIRTIO_VSOCK_OP_RST, 52, h.src_port);
    CHECK(closed(a));
    CHECK_EQ(write(b, "CONNECT 52\n", 11), 11);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_REQUEST);
    CHECK(!closed(b));
    loop_advance_ns(r.loop, 6 * S);
    CHECK_EQ(next_op(&r), VIRTIO_VSOCK_OP_RST);
    CHECK(closed(b));
    CHECK_EQ(n_open(&r), 0);
    close(a);
    close(b);
    close_rig(&r);
}

static void closes_a_client_that_says_something_else(void)
{
    static const char *const bad[] = {
        "HELLO 52\n",
        "CONNECT \n",
        "CONNECT 5x\n",
        "CONNECT 4294967296\n",
        "connect 1\n",
        "CONNECT -1\n",
        "\n",
        "CONNECT 00000000000000000000000052\n",
        "CONNECT 1 2\n",
        "CONNECT                               ",
    };
    struct rig r;
    open_rig(&r, 0);
    post_rx(&r, 4, 4096);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        int fd = client(&r);
        CHECK_EQ(write(fd, bad[i], strlen(bad[i])), strlen(bad[i]));
        settle(&r);
        /* A line that was not read to its end makes it a reset. */
        char byte;
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
        close(fd);
    }
    int silent = client(&r);
    settle(&r);
    CHECK(!closed(silent));
    loop_advance_ns(r.loop, 6 * S);
    CHECK(closed(silent));
    close(silent);
    CHECK_EQ(next_op(&r), 0);
    CHECK_EQ(n_open(&r), 0);
    close_rig(&r);
}

static void takes_no_clients_before_the_driver_is_ready(void)
{
    struct rig r;
    open_rig(&r, 0);
    vdrv_reset(&r.d);
    int fd = client(&r);
    settle(&r);
    CHECK(closed(fd));
    close(fd);
    close_rig(&r);
}

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

/* ---- paths ---- */

static void takes_over_the_path_of_a_dead_process_but_not_of_a_live_one(void)
{
    char dir[] = "/tmp/vsock-test-XXXXXX", path[64], longer[300];
    struct err err = {0};
    REQUIRE(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/v", dir);
    int a = virtio_vsock_path_listen(path, &err);
    CHECK(a >= 0);
    CHECK_EQ(virtio_vsock_path_listen(path, &err), -EADDRINUSE);
    close(a);
    a = virtio_vsock_path_listen(path, &err);
    CHECK(a >= 0);
    close(a);
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    CHECK_EQ(virtio_vsock_path_listen(longer, &err), -ENAMETOOLONG);
    struct virtio_vsock_path p;
    CHECK_EQ(virtio_vsock_path_init(&p, longer, &err), -ENAMETOOLONG);
    CHECK_EQ(virtio_vsock_path_init(&p, "/nowhere/v", &err), -ENOENT);
    unlink(path);
    rmdir(dir);
}

static void refuses_impossible_options(void)
{
    struct guest_mem mem;
    struct err err = {0};
    guest_mem_init(&mem, 1 << 20, 0, NULL);
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    static const uint64_t cids[] = {0, 1, 2, UINT32_MAX, UINT64_C(1) << 32};
    for (unsigned i = 0; i < ARRAY_LEN(cids); i++) {
        struct virtio_vsock_options o = {.guest_cid = cids[i], .loop = loop, .listen_fd = -1};
        CHECK(!virtio_vsock_create(&mem, &o, &err));
        CHECK_EQ(err.code, EINVAL);
    }
    loop_destroy(loop);
    guest_mem_fini(&mem);
}

int main(void)
{
    TAP_RUN(carries_data_of_a_connection_that_the_guest_opened);
    TAP_RUN(resets_a_connection_that_nobody_takes);
    TAP_RUN(connects_by_path_beside_the_listening_socket);
    TAP_RUN(waits_for_a_connector_that_answers_later);
    TAP_RUN(refuses_more_connections_than_its_maximum);
    TAP_RUN(opens_a_connection_for_a_client_of_the_host);
    TAP_RUN(closes_the_client_when_the_guest_refuses_or_does_not_answer);
    TAP_RUN(closes_a_client_that_says_something_else);
    TAP_RUN(takes_no_clients_before_the_driver_is_ready);
    TAP_RUN(sends_no_more_than_the_guest_has_credit_for);
    TAP_RUN(buffers_what_a_slow_host_does_not_read_up_to_the_credit);
    TAP_RUN(resets_a_guest_that_exceeds_its_credit);
    TAP_RUN(shares_the_guests_buffers_among_connections);
    TAP_RUN(passes_on_half_closes_and_goes_on_in_the_other_direction);
    TAP_RUN(delivers_everything_before_a_full_shutdown_ends_it);
    TAP_RUN(tells_the_guest_that_the_host_hung_up);
    TAP_RUN(tells_the_guest_that_the_host_reads_no_more);
    TAP_RUN(answers_packets_of_no_connection_with_a_reset);
    TAP_RUN(resets_a_connection_whose_ports_are_asked_for_again);
    TAP_RUN(stops_reading_packets_when_too_many_resets_wait_and_goes_on_later);
    TAP_RUN(breaks_on_malformed_packets_and_buffers);
    TAP_RUN(closes_all_connections_on_reset);
    TAP_RUN(keeps_connections_over_a_pause);
    TAP_RUN(tells_a_restored_guest_that_its_connections_are_gone);
    TAP_RUN(takes_over_the_path_of_a_dead_process_but_not_of_a_live_one);
    TAP_RUN(refuses_impossible_options);
    return tap_done();
}
