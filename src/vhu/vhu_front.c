#include "vhu/vhu_front.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

/* Messages taken from the channel at once: a peer that floods it only slows itself. */
#define CHANNEL_BATCH 16

static bool has(const struct vhu_front *f, uint64_t protocol_feature)
{
    return (f->protocol_features & protocol_feature) != 0;
}

void vhu_front_deadline(struct vhu_front *f, unsigned timeout_ms)
{
    f->deadline_ns = clock_now_ns() + (int64_t)timeout_ms * 1000000;
}

/* ---- the back end's channel ---- */

static int channel_answer(struct vhu_front *f, const struct vhu_msg *asked, uint64_t result,
                          struct err *err)
{
    struct vhu_msg reply;
    if (!(asked->hdr.flags & VHU_FLAG_NEED_REPLY))
        return 0;
    vhu_msg_init(&reply, asked->hdr.request, VHU_FLAG_REPLY, 8);
    reply.payload.u64 = result;
    /* A peer that asks and does not read the answers is not waited for. */
    return vhu_msg_send(f->channel_fd, &reply, 0, err);
}

/* Takes what has arrived on the channel. Errors end the connection, end of stream only the
 * channel. */
static int channel_read(struct vhu_front *f, struct err *err)
{
    for (int i = 0; i < CHANNEL_BATCH && f->channel_fd >= 0; i++) {
        struct vhu_msg *msg = &f->channel_rx.msg;
        int ret = vhu_rx_read(&f->channel_rx, f->channel_fd, VHU_CHANNEL_TO_FRONTEND, err);
        if (ret == 0)
            break;
        if (ret == -ECONNRESET) {
            vhu_rx_reset(&f->channel_rx);
            close(steal_fd(&f->channel_fd));
            break;
        }
        if (ret < 0 && ret != -ENOSYS)
            return ret;
        vhu_msg_close_fds(msg);
        bool known = ret == 1 && msg->hdr.request == VHU_BACKEND_CONFIG_CHANGE_MSG;
        if (known)
            f->config_changed = true;
        ret = channel_answer(f, msg, known ? 0 : 1, err);
        if (ret)
            return ret;
    }
    return 0;
}

/* ---- requests and replies ---- */

/* Waits for traffic until the deadline; serves the channel meanwhile, because a back end may wait
 * for an answer there before it gives one here. */
static int wait_for_peer(struct vhu_front *f, uint32_t request, struct err *err)
{
    int64_t left = f->deadline_ns - clock_now_ns();
    struct pollfd p[2] = {{.fd = f->fd, .events = POLLIN}, {.fd = f->channel_fd, .events = POLLIN}};
    struct timespec ts = {MAX(left, 0) / 1000000000, MAX(left, 0) % 1000000000};
    int n = left <= 0 ? 0 : ppoll(p, 2, &ts, NULL);
    if (n < 0 && errno != EINTR)
        return err_sys(err, errno, "could not wait for the vhost-user back end");
    if (n == 0)
        return err_set(err, ETIMEDOUT, "the vhost-user back end did not answer %s in time",
                       vhu_msg_name(VHU_TO_FRONTEND, request));
    if (n > 0 && p[1].revents)
        return channel_read(f, err);
    return 0;
}

/* Receives the reply to `request` into f->rx.msg. */
static int receive_reply(struct vhu_front *f, uint32_t request, struct err *err)
{
    for (;;) {
        int ret = vhu_rx_read(&f->rx, f->fd, VHU_TO_FRONTEND, err);
        if (ret == 0)
            ret = wait_for_peer(f, request, err);
        else if (ret == 1 && f->rx.msg.hdr.request == request)
            return 0;
        else if (ret == 1)
            ret = err_set(err, EPROTO, "the vhost-user back end answered %u when asked %u",
                          f->rx.msg.hdr.request, request);
        if (ret < 0) {
            vhu_msg_close_fds(&f->rx.msg);
            return ret == -ENOSYS ? -EPROTO : ret;
        }
    }
}

/* Sends a request that has a reply of its own, and receives that. */
static int ask(struct vhu_front *f, const struct vhu_msg *msg, struct err *err)
{
    int ret = vhu_msg_send(f->fd, msg, f->deadline_ns, err);
    return ret ? ret : receive_reply(f, msg->hdr.request, err);
}

/* Sends a request that has none; with REPLY_ACK, learns whether it was obeyed. */
static int tell(struct vhu_front *f, struct vhu_msg *msg, struct err *err)
{
    if (!has(f, VHU_PF_REPLY_ACK))
        return vhu_msg_send(f->fd, msg, f->deadline_ns, err);
    msg->hdr.flags |= VHU_FLAG_NEED_REPLY;
    int ret = ask(f, msg, err);
    if (ret)
        return ret;
    if (f->rx.msg.payload.u64)
        return err_set(err, EREMOTEIO, "the vhost-user back end refused %s",
                       vhu_msg_name(VHU_TO_BACKEND, msg->hdr.request));
    return 0;
}

static int ask_u64(struct vhu_front *f, uint32_t request, uint64_t *value, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, request, 0, 0);
    int ret = ask(f, &msg, err);
    if (!ret)
        *value = f->rx.msg.payload.u64;
    return ret;
}

static int tell_u64(struct vhu_front *f, uint32_t request, uint64_t value, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, request, 0, 8);
    msg.payload.u64 = value;
    return tell(f, &msg, err);
}

static int tell_state(struct vhu_front *f, uint32_t request, uint32_t index, uint32_t num,
                      struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, request, 0, sizeof(msg.payload.state));
    msg.payload.state = (struct vhu_vring_state){index, num};
    return tell(f, &msg, err);
}

static int tell_ring_fd(struct vhu_front *f, uint32_t request, unsigned index, int fd,
                        struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, request, 0, 8);
    msg.payload.u64 = index | (fd < 0 ? VHU_VRING_NOFD : 0);
    msg.fds[0] = fd;
    msg.n_fds = fd >= 0;
    return tell(f, &msg, err);
}

/* ---- the connection ---- */

static int channel_open(struct vhu_front *f, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, errno, "could not make a channel for the vhost-user back end");
    f->channel_fd = pair[0];
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_SET_BACKEND_REQ_FD, 0, 0);
    msg.fds[0] = pair[1];
    msg.n_fds = 1;
    int ret = tell(f, &msg, err);
    close(pair[1]);
    return ret;
}

static int introduce(struct vhu_front *f, uint64_t wanted, struct err *err)
{
    struct vhu_msg msg;
    uint64_t offered, n = 0;
    int ret = ask_u64(f, VHU_GET_FEATURES, &f->features, err);
    if (ret)
        return ret;
    if (f->features & VHU_F_PROTOCOL_FEATURES) {
        ret = ask_u64(f, VHU_GET_PROTOCOL_FEATURES, &offered, err);
        if (!ret)
            ret = tell_u64(f, VHU_SET_PROTOCOL_FEATURES, offered & wanted, err);
        if (ret)
            return ret;
        f->protocol_features = offered & wanted;
    }
    vhu_msg_init(&msg, VHU_SET_OWNER, 0, 0);
    ret = tell(f, &msg, err);
    if (!ret && has(f, VHU_PF_MQ))
        ret = ask_u64(f, VHU_GET_QUEUE_NUM, &n, err);
    if (!ret && n > VHU_VRING_INDEX_MASK + 1)
        ret = err_set(err, EPROTO, "the vhost-user back end claims %llu queues, at most 256 exist",
                      (unsigned long long)n);
    f->n_queues_max = (unsigned)n;
    if (!ret && has(f, VHU_PF_BACKEND_REQ))
        ret = channel_open(f, err);
    return ret;
}

int vhu_front_open(struct vhu_front *f, int fd, uint64_t protocol_features, unsigned timeout_ms,
                   struct err *err)
{
    *f = VHU_FRONT_CLOSED;
    f->fd = fd;
    vhu_front_deadline(f, timeout_ms);
    int ret = introduce(f, protocol_features, err);
    if (ret)
        vhu_front_close(f);
    return ret;
}

void vhu_front_close(struct vhu_front *f)
{
    vhu_rx_reset(&f->rx);
    vhu_rx_reset(&f->channel_rx);
    if (f->fd >= 0)
        close(f->fd);
    if (f->channel_fd >= 0)
        close(f->channel_fd);
    *f = VHU_FRONT_CLOSED;
}

int vhu_front_poll(struct vhu_front *f, struct err *err)
{
    int ret = f->channel_fd >= 0 ? channel_read(f, err) : 0;
    if (ret)
        return ret;
    ret = vhu_rx_read(&f->rx, f->fd, VHU_TO_FRONTEND, err);
    if (ret == 1 || ret == -ENOSYS) {
        vhu_msg_close_fds(&f->rx.msg);
        return err_set(err, EPROTO, "the vhost-user back end answered %u when asked nothing",
                       f->rx.msg.hdr.request);
    }
    return ret;
}

/* ---- set-up ---- */

int vhu_front_set_features(struct vhu_front *f, uint64_t features, struct err *err)
{
    return tell_u64(f, VHU_SET_FEATURES, features | (f->features & VHU_F_PROTOCOL_FEATURES), err);
}

int vhu_front_set_mem_table(struct vhu_front *f, const struct vhu_front_region *regions, unsigned n,
                            struct err *err)
{
    struct vhu_msg msg;
    if (!n || n > VHU_REGIONS_MAX)
        return err_set(err, EINVAL, "%u memory regions do not fit a vhost-user table of %d", n,
                       VHU_REGIONS_MAX);
    vhu_msg_init(&msg, VHU_SET_MEM_TABLE, 0,
                 (uint32_t)(VHU_MEM_TABLE_HEADER + n * sizeof(struct vhu_mem_region)));
    msg.payload.mem.n_regions = n;
    for (unsigned i = 0; i < n; i++) {
        msg.payload.mem.regions[i] = (struct vhu_mem_region){
            .guest_addr = regions[i].gpa,
            .size_bytes = regions[i].size_bytes,
            .user_addr = VHU_FRONT_USER_BASE + regions[i].gpa,
            .mmap_offset = regions[i].fd_offset,
        };
        msg.fds[i] = regions[i].fd;
    }
    msg.n_fds = n;
    return tell(f, &msg, err);
}

int vhu_front_ring_addr(struct vhu_front *f, const struct vhu_front_ring *ring, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_SET_VRING_ADDR, 0, sizeof(msg.payload.addr));
    msg.payload.addr = (struct vhu_vring_addr){
        .index = ring->index,
        .flags = ring->log ? VHU_VRING_F_LOG : 0,
        .desc = VHU_FRONT_USER_BASE + ring->desc,
        .used = VHU_FRONT_USER_BASE + ring->device,
        .avail = VHU_FRONT_USER_BASE + ring->driver,
        .log = ring->device,
    };
    return tell(f, &msg, err);
}

int vhu_front_ring_start(struct vhu_front *f, const struct vhu_front_ring *ring, struct err *err)
{
    int ret = tell_state(f, VHU_SET_VRING_NUM, ring->index, ring->size, err);
    if (!ret)
        ret = tell_state(f, VHU_SET_VRING_BASE, ring->index, ring->base, err);
    if (!ret)
        ret = vhu_front_ring_addr(f, ring, err);
    /* The call descriptor first: the one for kicks starts the ring. */
    if (!ret)
        ret = tell_ring_fd(f, VHU_SET_VRING_CALL, ring->index, ring->call_fd, err);
    if (!ret)
        ret = tell_ring_fd(f, VHU_SET_VRING_KICK, ring->index, ring->kick_fd, err);
    return ret;
}

int vhu_front_ring_enable(struct vhu_front *f, unsigned index, bool enable, struct err *err)
{
    if (!(f->features & VHU_F_PROTOCOL_FEATURES))
        return 0; /* such a ring is enabled as soon as it starts */
    return tell_state(f, VHU_SET_VRING_ENABLE, index, enable, err);
}

int vhu_front_ring_stop(struct vhu_front *f, unsigned index, uint32_t *base, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_GET_VRING_BASE, 0, sizeof(msg.payload.state));
    msg.payload.state.index = index;
    int ret = ask(f, &msg, err);
    if (ret)
        return ret;
    if (f->rx.msg.payload.state.index != index)
        return err_set(err, EPROTO, "the vhost-user back end stopped ring %u instead of %u",
                       f->rx.msg.payload.state.index, index);
    *base = f->rx.msg.payload.state.num;
    return 0;
}

/* ---- configuration space ---- */

static int config_msg(struct vhu_msg *msg, uint32_t request, uint32_t off, uint32_t len,
                      struct err *err)
{
    if (!range_within(off, len, VHU_CONFIG_MAX))
        return err_set(err, EINVAL, "configuration bytes %u to %u are beyond the %d of vhost-user",
                       off, off + len, VHU_CONFIG_MAX);
    vhu_msg_init(msg, request, 0, VHU_CONFIG_HEADER + len);
    msg->payload.config.offset = off;
    msg->payload.config.size = len;
    return 0;
}

int vhu_front_get_config(struct vhu_front *f, uint32_t off, void *buf, uint32_t len,
                         struct err *err)
{
    struct vhu_msg msg;
    int ret = config_msg(&msg, VHU_GET_CONFIG, off, len, err);
    if (!ret)
        ret = ask(f, &msg, err);
    if (ret)
        return ret;
    const struct vhu_msg *reply = &f->rx.msg;
    if (!reply->hdr.size)
        return err_set(err, EREMOTEIO,
                       "the vhost-user back end has no configuration bytes %u to %u", off,
                       off + len);
    if (reply->hdr.size != VHU_CONFIG_HEADER + len || reply->payload.config.size != len)
        return err_set(err, EPROTO,
                       "the vhost-user back end sent %u configuration bytes when asked for %u",
                       reply->payload.config.size, len);
    memcpy(buf, reply->payload.config.data, len);
    return 0;
}

int vhu_front_set_config(struct vhu_front *f, uint32_t off, const void *buf, uint32_t len,
                         struct err *err)
{
    struct vhu_msg msg;
    int ret = config_msg(&msg, VHU_SET_CONFIG, off, len, err);
    if (ret)
        return ret;
    memcpy(msg.payload.config.data, buf, len);
    return tell(f, &msg, err);
}

/* ---- in-flight area, dirty log ---- */

int vhu_front_get_inflight(struct vhu_front *f, uint16_t n_queues, uint16_t queue_size,
                           struct vhu_front_inflight *in, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_GET_INFLIGHT_FD, 0, sizeof(msg.payload.inflight));
    msg.payload.inflight.n_queues = n_queues;
    msg.payload.inflight.queue_size = queue_size;
    int ret = ask(f, &msg, err);
    if (ret)
        return ret;
    const struct vhu_inflight_desc *d = &f->rx.msg.payload.inflight;
    CLEANUP_CLOSE int fd = vhu_msg_take_fd(&f->rx.msg, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !d->mmap_size ||
        d->mmap_size > VHU_FRONT_INFLIGHT_MAX_BYTES ||
        !range_within(d->mmap_offset, d->mmap_size, (uint64_t)st.st_size))
        return err_set(err, EPROTO,
                       "the vhost-user back end gave an in-flight area of %llu bytes at %llu that "
                       "is not within its file or 16 MiB",
                       (unsigned long long)d->mmap_size, (unsigned long long)d->mmap_offset);
    *in = (struct vhu_front_inflight){steal_fd(&fd), d->mmap_size, d->mmap_offset, n_queues,
                                      queue_size};
    return 0;
}

int vhu_front_set_inflight(struct vhu_front *f, const struct vhu_front_inflight *in,
                           struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_SET_INFLIGHT_FD, 0, sizeof(msg.payload.inflight));
    msg.payload.inflight = (struct vhu_inflight_desc){.mmap_size = in->size_bytes,
                                                      .mmap_offset = in->offset,
                                                      .n_queues = in->n_queues,
                                                      .queue_size = in->queue_size};
    msg.fds[0] = in->fd;
    msg.n_fds = 1;
    return tell(f, &msg, err);
}

int vhu_front_set_log(struct vhu_front *f, int fd, uint64_t size_bytes, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, VHU_SET_LOG_BASE, 0, sizeof(msg.payload.log));
    msg.payload.log.size_bytes = size_bytes;
    msg.fds[0] = fd;
    msg.n_fds = 1;
    return ask(f, &msg, err); /* has a reply of its own, with no result in it */
}

/* ---- NICs ---- */

int vhu_front_set_mtu(struct vhu_front *f, uint16_t mtu, struct err *err)
{
    return tell_u64(f, VHU_NET_SET_MTU, mtu, err);
}
