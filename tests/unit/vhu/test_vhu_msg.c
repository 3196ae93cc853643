#include "vhu/vhu_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/util.h"
#include "tap.h"

static int pair[2];

static void open_pair(void)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static int lowest_free_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static int64_t soon(void)
{
    return clock_now_ns() + 1000000000;
}

static void a_message_with_descriptors_arrives_whole(void)
{
    struct vhu_msg msg;
    struct vhu_rx rx = {0};
    struct err err = {0};
    open_pair();
    vhu_msg_init(&msg, VHU_SET_MEM_TABLE, VHU_FLAG_NEED_REPLY, VHU_MEM_TABLE_HEADER + 64);
    msg.payload.mem.n_regions = 2;
    msg.payload.mem.regions[1].guest_addr = 0x1234;
    msg.fds[0] = pair[0];
    msg.fds[1] = pair[1];
    msg.n_fds = 2;
    CHECK_EQ(vhu_msg_send(pair[0], &msg, soon(), &err), 0);
    REQUIRE(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err) == 1);
    CHECK_EQ(rx.msg.hdr.request, VHU_SET_MEM_TABLE);
    CHECK_EQ(rx.msg.payload.mem.regions[1].guest_addr, 0x1234);
    CHECK_EQ(rx.msg.n_fds, 2);
    CHECK(fcntl(rx.msg.fds[0], F_GETFD) & FD_CLOEXEC);
    int taken = vhu_msg_take_fd(&rx.msg, 0);
    vhu_msg_close_fds(&rx.msg);
    CHECK(taken >= 0 && close(taken) == 0);
    close_pair();
}

static void a_message_may_dribble_in_byte_by_byte(void)
{
    struct vhu_msg msg;
    struct vhu_rx rx = {0};
    struct err err = {0};
    open_pair();
    vhu_msg_init(&msg, VHU_SET_VRING_NUM, 0, 8);
    msg.payload.state = (struct vhu_vring_state){3, 256};
    for (size_t i = 0; i < 20; i++) {
        const uint8_t *from = i < 12 ? (uint8_t *)&msg.hdr + i : msg.payload.bytes + (i - 12);
        CHECK_EQ(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err), 0);
        CHECK_EQ(write(pair[0], from, 1), 1);
    }
    CHECK_EQ(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err), 1);
    CHECK_EQ(rx.msg.payload.state.num, 256);
    close_pair();
}

static int receive(uint32_t request, uint32_t flags, uint32_t size, unsigned n_fds,
                   enum vhu_direction dir, struct err *err)
{
    struct vhu_rx rx = {0};
    struct vhu_msg msg;
    open_pair();
    vhu_msg_init(&msg, request, 0, MIN(size, sizeof(msg.payload)));
    msg.hdr.flags = flags;
    msg.n_fds = n_fds;
    for (unsigned i = 0; i < n_fds; i++)
        msg.fds[i] = pair[0];
    if (vhu_msg_send(pair[0], &msg, soon(), NULL))
        abort();
    if (size > sizeof(msg.payload)) {
        struct vhu_header hdr = {request, flags, size};
        close_pair();
        open_pair();
        if (write(pair[0], &hdr, sizeof(hdr)) != sizeof(hdr))
            abort();
    }
    int ret = vhu_rx_read(&rx, pair[1], dir, err);
    vhu_rx_reset(&rx);
    close_pair();
    return ret;
}

static void refuses_what_does_not_fit_its_request(void)
{
    struct err err = {0};
    int fd = lowest_free_fd();
    CHECK_EQ(receive(VHU_SET_VRING_NUM, 1, 7, 0, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "SET_VRING_NUM: payload of 7 bytes, expected 8 to 8"));
    CHECK_EQ(receive(VHU_SET_VRING_NUM, 1, 0x7fffffff, 0, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "2147483647 bytes"));
    CHECK_EQ(receive(VHU_SET_VRING_NUM, 2, 8, 0, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "version 2"));
    CHECK_EQ(receive(VHU_SET_VRING_NUM, 5, 8, 0, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "a reply nobody asked for"));
    CHECK_EQ(receive(VHU_GET_FEATURES, 1, 8, 0, VHU_TO_FRONTEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "not a reply"));
    CHECK_EQ(receive(VHU_SET_VRING_NUM, 1, 8, 1, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "1 descriptors, expected 0 to 0"));
    CHECK_EQ(receive(VHU_SET_INFLIGHT_FD, 1, 20, 0, VHU_TO_BACKEND, &err), -EPROTO);
    CHECK_EQ(receive(9999, 1, 16, 0, VHU_TO_BACKEND, &err), -ENOSYS);
    CHECK_EQ(receive(9999, 5, 8, 0, VHU_TO_FRONTEND, &err), -ENOSYS);
    CHECK_EQ(lowest_free_fd(), fd); /* no descriptor was left open */
}

static void more_descriptors_than_allowed_are_closed(void)
{
    int fds[VHU_FDS_MAX + 4];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct vhu_header hdr = {VHU_SET_MEM_TABLE, VHU_VERSION, 8};
    struct iovec iov = {&hdr, sizeof(hdr)};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    struct vhu_rx rx = {0};
    struct err err = {0};
    open_pair();
    int fd = lowest_free_fd();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = pair[0];
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    REQUIRE(sendmsg(pair[0], &mh, 0) == sizeof(hdr));
    CHECK_EQ(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err), -EPROTO);
    CHECK(strstr(err.msg, "more than 8 descriptors"));
    vhu_rx_reset(&rx);
    CHECK_EQ(lowest_free_fd(), fd);
    close_pair();
}

static void sending_to_a_peer_that_does_not_read_ends_in_time(void)
{
    struct vhu_msg msg;
    struct err err = {0};
    int ret = 0;
    open_pair();
    vhu_msg_init(&msg, VHU_SET_FEATURES, 0, 8);
    int64_t deadline = clock_now_ns() + 20000000;
    for (int i = 0; i < 100000 && !ret; i++)
        ret = vhu_msg_send(pair[0], &msg, deadline, &err);
    CHECK_EQ(ret, -ETIMEDOUT);
    close(pair[1]);
    CHECK_EQ(vhu_msg_send(pair[0], &msg, soon(), &err), -EPIPE);
    close(pair[0]);
}

static void the_end_of_the_stream_is_told_from_silence(void)
{
    struct vhu_rx rx = {0};
    struct err err = {0};
    open_pair();
    CHECK_EQ(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err), 0);
    close(pair[0]);
    CHECK_EQ(vhu_rx_read(&rx, pair[1], VHU_TO_BACKEND, &err), -ECONNRESET);
    close(pair[1]);
}

int main(void)
{
    TAP_RUN(a_message_with_descriptors_arrives_whole);
    TAP_RUN(a_message_may_dribble_in_byte_by_byte);
    TAP_RUN(refuses_what_does_not_fit_its_request);
    TAP_RUN(more_descriptors_than_allowed_are_closed);
    TAP_RUN(sending_to_a_peer_that_does_not_read_ends_in_time);
    TAP_RUN(the_end_of_the_stream_is_told_from_silence);
    return tap_done();
}
