#include "vhu/vhu_msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

/* What a request looks like on the wire: payload size range and descriptor count range. */
struct shape {
    const char *name;
    uint16_t size_min, size_max;
    uint8_t fds_min, fds_max;
};

#define U64    8, 8
#define STATE  8, 8
#define ADDR   40, 40
#define CONFIG VHU_CONFIG_HEADER, sizeof(struct vhu_config)

static const struct shape to_backend[VHU_REQUEST_END] = {
    [VHU_GET_FEATURES] = {"GET_FEATURES", 0, 0, 0, 0},
    [VHU_SET_FEATURES] = {"SET_FEATURES", U64, 0, 0},
    [VHU_SET_OWNER] = {"SET_OWNER", 0, 0, 0, 0},
    [VHU_RESET_OWNER] = {"RESET_OWNER", 0, 0, 0, 0},
    [VHU_SET_MEM_TABLE] = {"SET_MEM_TABLE", VHU_MEM_TABLE_HEADER, sizeof(struct vhu_mem_table), 0,
                           VHU_FDS_MAX},
    [VHU_SET_LOG_BASE] = {"SET_LOG_BASE", 8, sizeof(struct vhu_log), 0, 1},
    [VHU_SET_LOG_FD] = {"SET_LOG_FD", 0, 8, 0, 1},
    [VHU_SET_VRING_NUM] = {"SET_VRING_NUM", STATE, 0, 0},
    [VHU_SET_VRING_ADDR] = {"SET_VRING_ADDR", ADDR, 0, 0},
    [VHU_SET_VRING_BASE] = {"SET_VRING_BASE", STATE, 0, 0},
    [VHU_GET_VRING_BASE] = {"GET_VRING_BASE", STATE, 0, 0},
    [VHU_SET_VRING_KICK] = {"SET_VRING_KICK", U64, 0, 1},
    [VHU_SET_VRING_CALL] = {"SET_VRING_CALL", U64, 0, 1},
    [VHU_SET_VRING_ERR] = {"SET_VRING_ERR", U64, 0, 1},
    [VHU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", 0, 0, 0, 0},
    [VHU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", U64, 0, 0},
    [VHU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", 0, 0, 0, 0},
    [VHU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", STATE, 0, 0},
    [VHU_SEND_RARP] = {"SEND_RARP", U64, 0, 0},
    [VHU_NET_SET_MTU] = {"NET_SET_MTU", U64, 0, 0},
    [VHU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", 0, 8, 1, 1},
    [VHU_GET_CONFIG] = {"GET_CONFIG", CONFIG, 0, 0},
    [VHU_SET_CONFIG] = {"SET_CONFIG", CONFIG, 0, 0},
    [VHU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", VHU_INFLIGHT_BYTES,
                             sizeof(struct vhu_inflight_desc), 0, 0},
    [VHU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", VHU_INFLIGHT_BYTES,
                             sizeof(struct vhu_inflight_desc), 1, 1},
    [VHU_RESET_DEVICE] = {"RESET_DEVICE", 0, 0, 0, 0},
};

/* Replies. A request without one of its own is answered with a u64 (REPLY_ACK). */
static const struct shape to_frontend[VHU_REQUEST_END] = {
    [VHU_GET_FEATURES] = {"GET_FEATURES", U64, 0, 0},
    [VHU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", U64, 0, 0},
    [VHU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", U64, 0, 0},
    [VHU_GET_VRING_BASE] = {"GET_VRING_BASE", STATE, 0, 0},
    /* Some back ends answer with an empty payload, some with a u64, some echo the request. */
    [VHU_SET_LOG_BASE] = {"SET_LOG_BASE", 0, sizeof(struct vhu_log), 0, 0},
    [VHU_GET_CONFIG] = {"GET_CONFIG", 0, sizeof(struct vhu_config), 0, 0},
    [VHU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", VHU_INFLIGHT_BYTES,
                             sizeof(struct vhu_inflight_desc), 0, 1},
};

static const struct shape channel[VHU_BACKEND_REQUEST_END] = {
    [VHU_BACKEND_IOTLB_MSG] = {"BACKEND_IOTLB_MSG", 32, 32, 0, 0},
    [VHU_BACKEND_CONFIG_CHANGE_MSG] = {"BACKEND_CONFIG_CHANGE_MSG", 0, 0, 0, 0},
    [VHU_BACKEND_VRING_HOST_NOTIFIER_MSG] = {"BACKEND_VRING_HOST_NOTIFIER_MSG", 24, 24, 0, 1},
};

static const struct shape ack = {"acknowledgement", U64, 0, 0};

static const struct shape *shape_of(enum vhu_direction dir, uint32_t request)
{
    const struct shape *s = NULL;
    if (dir == VHU_CHANNEL_TO_FRONTEND)
        s = request < VHU_BACKEND_REQUEST_END ? &channel[request] : NULL;
    else if (request < VHU_REQUEST_END)
        s = &to_backend[request];
    if (!s || !s->name)
        return NULL;
    if (dir == VHU_TO_FRONTEND)
        s = to_frontend[request].name ? &to_frontend[request] : &ack;
    return s;
}

const char *vhu_msg_name(enum vhu_direction dir, uint32_t request)
{
    const struct shape *s = shape_of(dir == VHU_TO_FRONTEND ? VHU_TO_BACKEND : dir, request);
    return s ? s->name : "unknown request";
}

int vhu_msg_check(enum vhu_direction dir, const struct vhu_msg *msg, struct err *err)
{
    const struct vhu_header *h = &msg->hdr;
    const char *name = vhu_msg_name(dir, h->request);
    if ((h->flags & VHU_VERSION_MASK) != VHU_VERSION)
        return err_set(err, EPROTO, "vhost-user %s (%u): flags 0x%x carry version %u, expected %u",
                       name, h->request, h->flags, h->flags & VHU_VERSION_MASK, VHU_VERSION);
    bool reply = h->flags & VHU_FLAG_REPLY;
    if (reply != (dir == VHU_TO_FRONTEND))
        return err_set(err, EPROTO, "vhost-user %s (%u): flags 0x%x: %s", name, h->request,
                       h->flags, reply ? "a reply nobody asked for" : "not a reply");
    if (h->size > sizeof(msg->payload))
        return err_set(err, EPROTO, "vhost-user %s (%u): payload of %u bytes, at most %zu allowed",
                       name, h->request, h->size, sizeof(msg->payload));
    const struct shape *s = shape_of(dir, h->request);
    if (!s)
        return err_set(err, ENOSYS, "vhost-user request %u is not supported", h->request);
    if (h->size < s->size_min || h->size > s->size_max)
        return err_set(err, EPROTO, "vhost-user %s: payload of %u bytes, expected %u to %u", name,
                       h->size, s->size_min, s->size_max);
    if (msg->n_fds < s->fds_min || msg->n_fds > s->fds_max)
        return err_set(err, EPROTO, "vhost-user %s: %u descriptors, expected %u to %u", name,
                       msg->n_fds, s->fds_min, s->fds_max);
    return 0;
}

void vhu_msg_init(struct vhu_msg *msg, uint32_t request, uint32_t flags, uint32_t size)
{
    memset(msg, 0, sizeof(*msg));
    msg->hdr = (struct vhu_header){request, VHU_VERSION | flags, size};
}

int vhu_msg_take_fd(struct vhu_msg *msg, unsigned i)
{
    return i < msg->n_fds ? steal_fd(&msg->fds[i]) : -1;
}

void vhu_msg_close_fds(struct vhu_msg *msg)
{
    for (unsigned i = 0; i < msg->n_fds; i++)
        if (msg->fds[i] >= 0)
            close(msg->fds[i]);
    msg->n_fds = 0;
}

/* Waits until `fd` has `events`. Returns 0 or -ETIMEDOUT. */
static int wait_until(int fd, short events, int64_t deadline_ns)
{
    for (;;) {
        int64_t left = deadline_ns - clock_now_ns();
        if (left <= 0)
            return -ETIMEDOUT;
        struct timespec ts = {left / 1000000000, left % 1000000000};
        struct pollfd p = {.fd = fd, .events = events};
        int n = ppoll(&p, 1, &ts, NULL);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

int vhu_msg_send(int fd, const struct vhu_msg *msg, int64_t deadline_ns, struct err *err)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(VHU_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov[2] = {
        {(void *)&msg->hdr, sizeof(msg->hdr)},
        {(void *)&msg->payload, msg->hdr.size},
    };
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
    if (msg->n_fds) {
        memset(&control, 0, sizeof(control));
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(msg->n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(msg->n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), msg->fds, msg->n_fds * sizeof(int));
    }
    size_t left = sizeof(msg->hdr) + msg->hdr.size;
    while (left) {
        ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
        int e = n < 0 ? errno : 0;
        if (e == EAGAIN)
            e = -wait_until(fd, POLLOUT, deadline_ns);
        if (e && e != EINTR)
            return err_sys(err, e, "could not send vhost-user message %u", msg->hdr.request);
        if (n <= 0)
            continue;
        left -= (size_t)n;
        mh.msg_control = NULL; /* the descriptors went with the first byte */
        mh.msg_controllen = 0;
        size_t first = MIN((size_t)n, iov[0].iov_len);
        iov[0].iov_base = (uint8_t *)iov[0].iov_base + first;
        iov[0].iov_len -= first;
        iov[1].iov_base = (uint8_t *)iov[1].iov_base + ((size_t)n - first);
        iov[1].iov_len -= (size_t)n - first;
    }
    return 0;
}

/* Adds the descriptors of one recvmsg() to the message. Returns false if there were too many or
 * some were lost. */
static bool collect_fds(struct vhu_msg *msg, struct msghdr *mh)
{
    bool ok = !(mh->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (msg->n_fds < VHU_FDS_MAX) {
                msg->fds[msg->n_fds++] = fd;
            } else {
                close(fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* Reads up to `want` bytes at `buf`. Returns the count, 0 when nothing has arrived, or -errno. */
static ssize_t receive(struct vhu_msg *msg, int fd, void *buf, size_t want, struct err *err)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(VHU_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {buf, want};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    do
        n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        return err_sys(err, errno, "could not receive a vhost-user message");
    if (!collect_fds(msg, &mh))
        return err_set(err, EPROTO, "a vhost-user message carries more than %d descriptors",
                       VHU_FDS_MAX);
    if (n == 0)
        return err_set(err, ECONNRESET, "the vhost-user peer closed the connection");
    return n;
}

int vhu_rx_read(struct vhu_rx *rx, int fd, enum vhu_direction dir, struct err *err)
{
    const size_t hdr_bytes = sizeof(rx->msg.hdr);
    if (rx->got_bytes == 0)
        memset(&rx->msg, 0, sizeof(rx->msg));
    for (;;) {
        uint8_t *at = (uint8_t *)&rx->msg.hdr + rx->got_bytes;
        size_t want = hdr_bytes - rx->got_bytes;
        if (rx->got_bytes >= hdr_bytes) {
            size_t have = rx->got_bytes - hdr_bytes;
            at = rx->msg.payload.bytes + have;
            want = rx->msg.hdr.size - have;
        }
        if (rx->got_bytes >= hdr_bytes && !want)
            break;
        ssize_t n = receive(&rx->msg, fd, at, want, err);
        if (n <= 0)
            return (int)n;
        rx->got_bytes += (size_t)n;
        if (rx->got_bytes == hdr_bytes && rx->msg.hdr.size > sizeof(rx->msg.payload))
            return vhu_msg_check(dir, &rx->msg, err);
    }
    rx->got_bytes = 0;
    int ret = vhu_msg_check(dir, &rx->msg, err);
    return ret ? ret : 1;
}

void vhu_rx_reset(struct vhu_rx *rx)
{
    vhu_msg_close_fds(&rx->msg);
    rx->got_bytes = 0;
}
