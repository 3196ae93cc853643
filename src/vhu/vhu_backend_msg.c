/* What a back end does on each message. A handler returns 0 (done), 1 (done and answered) or the
 * error that is told to a peer which asked for an acknowledgement, and ends the connection
 * otherwise. */
#include "vhu/vhu_backend_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/util.h"

#define ANSWERED 1

static int reply(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    msg->hdr.flags |= VHU_FLAG_REPLY | VHU_VERSION;
    int ret = vhu_msg_send(b->fd, msg, 0, err);
    return ret ? ret : ANSWERED;
}

static int reply_u64(struct vhu_backend *b, uint32_t request, uint64_t value, struct err *err)
{
    struct vhu_msg msg;
    vhu_msg_init(&msg, request, 0, 8);
    msg.payload.u64 = value;
    return reply(b, &msg, err);
}

static struct vhu_ring *ring_of(struct vhu_backend *b, uint64_t index, struct err *err)
{
    if (index < b->config.n_rings)
        return &b->rings[index];
    err_set(err, EINVAL, "ring %llu does not exist, there are %u", (unsigned long long)index,
            b->config.n_rings);
    return NULL;
}

/* ---- features ---- */

static uint64_t features_offered(const struct vhu_backend *b)
{
    return b->config.features | VHU_F_PROTOCOL_FEATURES | VHU_F_LOG_ALL;
}

static uint64_t protocol_features_offered(const struct vhu_backend *b)
{
    uint64_t pf = VHU_PF_MQ | VHU_PF_LOG_SHMFD | VHU_PF_REPLY_ACK | VHU_PF_BACKEND_REQ;
    if (b->config.config_bytes)
        pf |= VHU_PF_CONFIG;
    if (b->config.flags & VHU_BACKEND_INFLIGHT)
        pf |= VHU_PF_INFLIGHT_SHMFD;
    return pf;
}

static int get_features(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    return reply_u64(b, VHU_GET_FEATURES, features_offered(b), err);
}

static int set_features(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    uint64_t bits = msg->payload.u64, changed = bits ^ b->features;
    if (bits & ~features_offered(b))
        return err_set(err, EINVAL, "features 0x%llx were never offered",
                       (unsigned long long)(bits & ~features_offered(b)));
    for (unsigned i = 0; i < b->config.n_rings; i++)
        if (b->rings[i].attached && (changed & ~VHU_F_LOG_ALL))
            return err_set(err, EBUSY, "features 0x%llx change while ring %u runs",
                           (unsigned long long)changed, i);
    b->features = bits;
    return 0;
}

static int get_protocol_features(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    return reply_u64(b, VHU_GET_PROTOCOL_FEATURES, protocol_features_offered(b), err);
}

static int set_protocol_features(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    uint64_t unknown = msg->payload.u64 & ~protocol_features_offered(b);
    if (unknown)
        return err_set(err, EINVAL, "protocol features 0x%llx were never offered",
                       (unsigned long long)unknown);
    b->protocol_features = msg->payload.u64;
    return 0;
}

static int get_queue_num(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    return reply_u64(b, VHU_GET_QUEUE_NUM, b->config.n_rings, err);
}

static int nothing(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    return 0;
}

/* ---- memory ---- */

/* Rings are taken from the user while the memory under them changes. */
static int set_mem_table(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    int ret = 0;
    for (unsigned i = 0; i < b->config.n_rings; i++) {
        struct vhu_ring *r = &b->rings[i];
        if (!vhu_backend_ring_quiesce(r))
            return err_set(err, EBUSY, "memory changes while ring %u has requests in flight", i);
        if (r->attached)
            r->base = virtq_get_base(&r->vq);
        r->attached = false;
    }
    ret = vhu_backend_mem_set(b, msg, err);
    for (unsigned i = 0; !ret && i < b->config.n_rings; i++)
        ret = vhu_backend_ring_update(b, &b->rings[i], err);
    return ret;
}

static int set_log_base(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    int ret = vhu_backend_log_set(b, msg, err);
    return ret ? ret : reply_u64(b, VHU_SET_LOG_BASE, 0, err);
}

/* ---- rings ---- */

static int set_vring_num(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.state.index, err);
    if (!r)
        return -EINVAL;
    if (r->attached)
        return err_set(err, EBUSY, "ring %u is resized while it runs", r->index);
    r->num = msg->payload.state.num;
    return 0;
}

static int set_vring_base(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.state.index, err);
    if (!r)
        return -EINVAL;
    if (r->attached)
        return err_set(err, EBUSY, "ring %u is moved while it runs", r->index);
    r->base = msg->payload.state.num;
    return 0;
}

static int set_vring_addr(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_vring_addr *a = &msg->payload.addr;
    struct vhu_ring *r = ring_of(b, a->index, err);
    if (!r)
        return -EINVAL;
    /* While it runs, only the log flag may change; all we write is logged either way. */
    if (r->attached &&
        (a->desc != r->addr.desc || a->avail != r->addr.avail || a->used != r->addr.used))
        return err_set(err, EBUSY, "ring %u moves in memory while it runs", r->index);
    r->addr = *a;
    r->have_addr = true;
    return vhu_backend_ring_update(b, r, err);
}

/* Eventfds and the like have no file type. Anything else (a FUSE file, a pipe) could block us. */
static bool is_anonymous_inode(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/* Takes the descriptor of SET_VRING_KICK, _CALL or _ERR into *slot. */
static int take_ring_fd(struct vhu_msg *msg, int *slot, struct err *err)
{
    bool none = msg->payload.u64 & VHU_VRING_NOFD;
    CLEANUP_CLOSE int fd = vhu_msg_take_fd(msg, 0);
    if (none != (fd < 0))
        return err_set(err, EINVAL, "%s %s a descriptor",
                       vhu_msg_name(VHU_TO_BACKEND, msg->hdr.request),
                       none ? "announces no but carries" : "lacks");
    if (fd >= 0 && !is_anonymous_inode(fd))
        return err_set(err, EINVAL, "%s carries something else than an eventfd",
                       vhu_msg_name(VHU_TO_BACKEND, msg->hdr.request));
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    if (*slot >= 0)
        close(*slot);
    *slot = steal_fd(&fd);
    return 0;
}

static int set_vring_kick(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.u64 & VHU_VRING_INDEX_MASK, err);
    if (!r)
        return -EINVAL;
    if (r->started)
        return err_set(err, EBUSY, "ring %u is started twice", r->index);
    int ret = take_ring_fd(msg, &r->kick_fd, err);
    if (ret)
        return ret;
    r->started = true;
    if (!(b->features & VHU_F_PROTOCOL_FEATURES))
        r->enabled = true;
    return vhu_backend_ring_update(b, r, err);
}

static int set_vring_call(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.u64 & VHU_VRING_INDEX_MASK, err);
    return r ? take_ring_fd(msg, &r->call_fd, err) : -EINVAL;
}

static int set_vring_err(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.u64 & VHU_VRING_INDEX_MASK, err);
    return r ? take_ring_fd(msg, &r->err_fd, err) : -EINVAL;
}

static int set_vring_enable(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.state.index, err);
    if (!r)
        return -EINVAL;
    if (msg->payload.state.num > 1)
        return err_set(err, EINVAL, "ring %u is to be enabled by %u", r->index,
                       msg->payload.state.num);
    r->enabled = msg->payload.state.num;
    return vhu_backend_ring_update(b, r, err);
}

int vhu_backend_answer_stop(struct vhu_backend *b, const struct vhu_ring *stopped, struct err *err)
{
    struct vhu_ring *r = &b->rings[stopped->index];
    struct vhu_msg msg;
    if (r->attached)
        r->base = virtq_get_base(&r->vq);
    vhu_backend_ring_forget(r);
    b->stop_reply = -1;
    vhu_msg_init(&msg, VHU_GET_VRING_BASE, 0, sizeof(msg.payload.state));
    msg.payload.state = (struct vhu_vring_state){r->index, r->base};
    int ret = reply(b, &msg, err);
    if (ret < 0)
        return ret;
    return loop_fd_modify(&b->watch, EPOLLIN);
}

static int get_vring_base(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_ring *r = ring_of(b, msg->payload.state.index, err);
    if (!r)
        return -EINVAL;
    r->started = false;
    if (!vhu_backend_ring_quiesce(r)) {
        b->stop_reply = (int)r->index; /* no message is looked at before the answer */
        loop_fd_modify(&b->watch, 0);
        return ANSWERED;
    }
    int ret = vhu_backend_answer_stop(b, r, err);
    return ret ? ret : ANSWERED;
}

/* ---- configuration, channel, in-flight area ---- */

static int get_config(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_config *c = &msg->payload.config;
    struct vhu_msg out;
    bool ok = c->size == msg->hdr.size - VHU_CONFIG_HEADER &&
              range_within(c->offset, c->size, b->config.config_bytes);
    vhu_msg_init(&out, VHU_GET_CONFIG, 0, ok ? msg->hdr.size : 0);
    if (ok) {
        out.payload.config.offset = c->offset;
        out.payload.config.size = c->size;
        b->config.ops->config_read(b->config.opaque, c->offset, out.payload.config.data, c->size);
    }
    return reply(b, &out, err);
}

static int set_config(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_config *c = &msg->payload.config;
    if (c->size != msg->hdr.size - VHU_CONFIG_HEADER ||
        !range_within(c->offset, c->size, b->config.config_bytes))
        return err_set(err, EINVAL, "configuration bytes %u to %u of %u do not exist", c->offset,
                       c->offset + c->size, b->config.config_bytes);
    int ret = b->config.ops->config_write
                  ? b->config.ops->config_write(b->config.opaque, c->offset, c->data, c->size)
                  : -EROFS;
    return ret ? err_sys(err, -ret, "configuration bytes at %u", c->offset) : 0;
}

static int set_backend_req_fd(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    if (b->channel_fd >= 0)
        close(b->channel_fd);
    b->channel_fd = vhu_msg_take_fd(msg, 0);
    return 0;
}

static int get_inflight_fd(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_inflight_desc *d = &msg->payload.inflight;
    CLEANUP_CLOSE int fd = -1;
    struct vhu_msg out;
    int ret = vhu_inflight_create(d->n_queues, d->queue_size, &fd, err);
    if (ret)
        return ret;
    vhu_msg_init(&out, VHU_GET_INFLIGHT_FD, 0, sizeof(out.payload.inflight));
    out.payload.inflight = *d;
    out.payload.inflight.mmap_size = vhu_inflight_bytes(d->n_queues, d->queue_size);
    out.payload.inflight.mmap_offset = 0;
    out.fds[0] = fd;
    out.n_fds = 1;
    return reply(b, &out, err);
}

static int set_inflight_fd(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    struct vhu_inflight in;
    for (unsigned i = 0; i < b->config.n_rings; i++)
        if (b->rings[i].attached)
            return err_set(err, EBUSY, "the in-flight area changes while ring %u runs", i);
    if (b->config.flags & VHU_BACKEND_DEMAND_SEALS) {
        int seals = fcntl(msg->fds[0], F_GET_SEALS);
        if (seals < 0 || !(seals & F_SEAL_SHRINK))
            return err_set(err, EPERM, "the in-flight area is not sealed against shrinking");
    }
    int ret = vhu_inflight_map(&in, msg->fds[0], &msg->payload.inflight, err);
    if (ret)
        return ret;
    vhu_inflight_unmap(&b->inflight);
    b->inflight = in;
    return 0;
}

/* ---- dispatch ---- */

static const struct handler {
    int (*run)(struct vhu_backend *b, struct vhu_msg *msg, struct err *err);
    uint64_t needs; /* protocol features */
} handlers[VHU_REQUEST_END] = {
    [VHU_GET_FEATURES] = {get_features},
    [VHU_SET_FEATURES] = {set_features},
    [VHU_SET_OWNER] = {nothing},
    [VHU_RESET_OWNER] = {nothing},
    [VHU_SET_MEM_TABLE] = {set_mem_table},
    [VHU_SET_LOG_BASE] = {set_log_base, VHU_PF_LOG_SHMFD},
    [VHU_SET_LOG_FD] = {nothing},
    [VHU_SET_VRING_NUM] = {set_vring_num},
    [VHU_SET_VRING_ADDR] = {set_vring_addr},
    [VHU_SET_VRING_BASE] = {set_vring_base},
    [VHU_GET_VRING_BASE] = {get_vring_base},
    [VHU_SET_VRING_KICK] = {set_vring_kick},
    [VHU_SET_VRING_CALL] = {set_vring_call},
    [VHU_SET_VRING_ERR] = {set_vring_err},
    [VHU_GET_PROTOCOL_FEATURES] = {get_protocol_features},
    [VHU_SET_PROTOCOL_FEATURES] = {set_protocol_features},
    [VHU_GET_QUEUE_NUM] = {get_queue_num, VHU_PF_MQ},
    [VHU_SET_VRING_ENABLE] = {set_vring_enable},
    [VHU_SET_BACKEND_REQ_FD] = {set_backend_req_fd, VHU_PF_BACKEND_REQ},
    [VHU_GET_CONFIG] = {get_config, VHU_PF_CONFIG},
    [VHU_SET_CONFIG] = {set_config, VHU_PF_CONFIG},
    [VHU_GET_INFLIGHT_FD] = {get_inflight_fd, VHU_PF_INFLIGHT_SHMFD},
    [VHU_SET_INFLIGHT_FD] = {set_inflight_fd, VHU_PF_INFLIGHT_SHMFD},
};

int vhu_backend_handle(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    uint32_t request = msg->hdr.request;
    const struct handler *h = request < VHU_REQUEST_END ? &handlers[request] : NULL;
    bool ack = (msg->hdr.flags & VHU_FLAG_NEED_REPLY) && (b->protocol_features & VHU_PF_REPLY_ACK);
    int ret;
    if (!h || !h->run)
        ret = err_set(err, ENOSYS, "vhost-user request %u is not served", request);
    else if (h->needs & ~b->protocol_features)
        ret = err_set(err, EPROTO, "protocol feature 0x%llx was not agreed on",
                      (unsigned long long)h->needs);
    else
        ret = h->run(b, msg, err);
    if (ret == ANSWERED)
        return 0;
    if (ack) {
        int sent = reply_u64(b, request, ret ? 1 : 0, ret ? NULL : err);
        return sent == ANSWERED ? 0 : ret ? ret : sent;
    }
    if (ret)
        err_wrap(err, "%s", vhu_msg_name(VHU_TO_BACKEND, request));
    return ret;
}
