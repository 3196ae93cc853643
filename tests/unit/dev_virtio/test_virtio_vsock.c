#include "dev/virtio/virtio_vsock.h"

#include "vsock_fixture.h"

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
    TAP_RUN(takes_over_the_path_of_a_dead_process_but_not_of_a_live_one);
    TAP_RUN(refuses_impossible_options);
    return tap_done();
}
