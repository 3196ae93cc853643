/* Theory of operation. A ring is live when it has been started (SET_VRING_KICK, with size and
 * addresses known) and is enabled; vhu_backend_ring_update() is the only place that makes it so.
 * It stops being live at GET_VRING_BASE, when disabled, when its contents make no sense, and when
 * the connection ends; requests that the user still has keep it attached (`stopping`), and the
 * peer's memory mapped, until the last is flushed.
 *
 * Kick descriptors are watched edge-triggered and never read, call descriptors must be anonymous
 * inodes and are written non-blocking: a peer cannot make us wait on a descriptor it chose. */
#include "vhu/vhu_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/util.h"
#include "vhu/vhu_backend_internal.h"

/* Messages handled before the loop looks at anything else. */
#define MESSAGE_BATCH 32

static void tell_closed(struct loop_timer *t)
{
    struct vhu_backend *b = t->opaque;
    for (unsigned i = 0; i < b->config.n_rings; i++)
        if (b->rings[i].stopping)
            return; /* the last flush arms the timer again */
    if (b->closed_told)
        return;
    b->closed_told = true;
    b->config.ops->closed(b->config.opaque, &b->why);
}

static void begin_closing(struct vhu_backend *b, const struct err *why)
{
    if (b->closing)
        return;
    b->closing = true;
    b->why = *why;
    b->stop_reply = -1;
    loop_fd_remove(&b->watch);
    for (unsigned i = 0; i < b->config.n_rings; i++)
        vhu_backend_ring_quiesce(&b->rings[i]);
    loop_timer_arm(b->loop, &b->closed, 0);
}

/* Requests may wait in a ring that has just become live. */
static void look_at_fresh_rings(struct vhu_backend *b)
{
    for (unsigned i = 0; i < b->config.n_rings; i++) {
        struct vhu_ring *r = &b->rings[i];
        bool look = r->fresh && r->live;
        r->fresh = false;
        if (look)
            b->config.ops->ring_kick(b->config.opaque, i);
    }
}

static void socket_ready(struct loop_fd *w, uint32_t events)
{
    struct vhu_backend *b = w->opaque;
    struct err err = {0};
    if (b->stop_reply >= 0 && (events & (EPOLLHUP | EPOLLERR))) {
        err_set(&err, ECONNRESET, "the vhost-user peer closed the connection");
        begin_closing(b, &err);
        return;
    }
    for (int i = 0; i < MESSAGE_BATCH && b->stop_reply < 0 && !b->closing; i++) {
        int ret = vhu_rx_read(&b->rx, b->fd, VHU_TO_BACKEND, &err);
        if (ret == 0)
            return;
        if (ret == 1 || ret == -ENOSYS)
            ret = vhu_backend_handle(b, &b->rx.msg, &err);
        vhu_msg_close_fds(&b->rx.msg);
        if (ret) {
            begin_closing(b, &err);
            return;
        }
        look_at_fresh_rings(b);
    }
}

struct vhu_backend *vhu_backend_create(struct loop *loop, int fd,
                                       const struct vhu_backend_config *config, struct err *err)
{
    struct vhu_backend *b = NULL;
    if (!config->n_rings || config->n_rings > VHU_BACKEND_RINGS_MAX ||
        config->config_bytes > VHU_CONFIG_MAX) {
        err_set(err, EINVAL, "a vhost-user back end of %u rings and %u configuration bytes",
                config->n_rings, config->config_bytes);
        goto fail;
    }
    b = calloc(1, sizeof(*b));
    if (!b) {
        err_set(err, ENOMEM, "could not allocate a vhost-user back end");
        goto fail;
    }
    b->loop = loop;
    b->config = *config;
    b->fd = fd;
    b->channel_fd = -1;
    b->stop_reply = -1;
    b->closed = (struct loop_timer){.expired = tell_closed, .opaque = b};
    for (unsigned i = 0; i < VHU_BACKEND_RINGS_MAX; i++) {
        struct vhu_ring *r = &b->rings[i];
        r->backend = b;
        r->index = i;
        r->kick_fd = r->call_fd = r->err_fd = -1;
    }
    b->watch.ready = socket_ready;
    b->watch.opaque = b;
    int ret = loop_fd_add(loop, &b->watch, fd, EPOLLIN);
    if (ret) {
        err_sys(err, -ret, "could not watch a vhost-user connection");
        goto fail;
    }
    return b;
fail:
    free(b);
    close(fd);
    return NULL;
}

void vhu_backend_destroy(struct vhu_backend *b)
{
    if (!b)
        return;
    loop_fd_remove(&b->watch);
    loop_timer_cancel(b->loop, &b->closed);
    for (unsigned i = 0; i < b->config.n_rings; i++) {
        vhu_backend_ring_quiesce(&b->rings[i]);
        vhu_backend_ring_forget(&b->rings[i]);
    }
    vhu_backend_mem_drop(b);
    vhu_backend_log_drop(b);
    vhu_inflight_unmap(&b->inflight);
    vhu_rx_reset(&b->rx);
    close(b->fd);
    if (b->channel_fd >= 0)
        close(b->channel_fd);
    free(b);
}

bool vhu_backend_ring_live(const struct vhu_backend *b, unsigned ring)
{
    return ring < b->config.n_rings && b->rings[ring].live;
}

struct virtq *vhu_backend_vq(struct vhu_backend *b, unsigned ring)
{
    return &b->rings[ring].vq;
}

/* ---- rings ---- */

static void signal_fd(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = fd >= 0 ? write(fd, &one, sizeof(one)) : 0;
    (void)ignored;
}

static void kicked(struct loop_fd *w, uint32_t events)
{
    struct vhu_ring *r = w->opaque;
    if (r->live)
        r->backend->config.ops->ring_kick(r->backend->config.opaque, r->index);
}

/* Attaches the queue to the ring in the peer's memory. */
static int ring_attach(struct vhu_backend *b, struct vhu_ring *r, struct err *err)
{
    struct virtq_config c = {
        .size = (uint16_t)r->num,
        .packed = b->features & (UINT64_C(1) << 34),
        .event_idx = b->features & (UINT64_C(1) << 29),
        .indirect = b->features & (UINT64_C(1) << 28),
    };
    if (!r->num || r->num > VIRTQ_SIZE_MAX)
        return err_set(err, EINVAL, "ring %u has %u entries, at most %d are possible", r->index,
                       r->num, VIRTQ_SIZE_MAX);
    if (vhu_backend_mem_gpa(b, r->addr.desc, &c.desc) ||
        vhu_backend_mem_gpa(b, r->addr.avail, &c.driver) ||
        vhu_backend_mem_gpa(b, r->addr.used, &c.device))
        return err_set(err, EFAULT, "ring %u lies outside of the memory table", r->index);
    int ret = virtq_init(&r->vq, &c, &b->xlate, err);
    if (ret)
        return ret;
    virtq_set_base(&r->vq, r->base);
    r->inflight.region = NULL;
    r->inflight.n_replay = r->inflight.replay_at = 0;
    if (b->inflight.map && !c.packed) {
        /* The ring's own used index counts, not what the front end believes: its knowledge is as
         * old as the last message, the ring is as new as the last store. */
        uint16_t used = le16_read((uint8_t *)r->vq.device + 2);
        ret =
            vhu_inflight_attach(&b->inflight, r->index, (uint16_t)r->num, used, &r->inflight, err);
        if (ret)
            return ret;
        virtq_set_base(&r->vq, (uint16_t)(used + r->inflight.n_replay));
    }
    r->attached = true;
    return 0;
}

int vhu_backend_ring_update(struct vhu_backend *b, struct vhu_ring *r, struct err *err)
{
    bool want = r->started && r->enabled && r->have_addr && !b->closing;
    if (want == r->live)
        return 0;
    if (!want) {
        vhu_backend_ring_quiesce(r);
        return 0;
    }
    if (r->stopping)
        return err_set(err, EBUSY, "ring %u was started again before it had stopped", r->index);
    int ret = r->attached ? 0 : ring_attach(b, r, err);
    if (!ret && b->config.ops->ring_start)
        ret = b->config.ops->ring_start(b->config.opaque, r->index, err);
    if (ret) {
        r->attached = false;
        return ret;
    }
    r->live = true;
    if (r->kick_fd >= 0) {
        r->kick.ready = kicked;
        r->kick.opaque = r;
        ret = loop_fd_add(b->loop, &r->kick, r->kick_fd, EPOLLIN | EPOLLET);
    }
    if (ret) {
        vhu_backend_ring_quiesce(r);
        return err_sys(err, -ret, "could not watch the kick descriptor of ring %u", r->index);
    }
    r->fresh = true;
    return 0;
}

bool vhu_backend_ring_quiesce(struct vhu_ring *r)
{
    struct vhu_backend *b = r->backend;
    if (r->live) {
        r->live = false;
        loop_fd_remove(&r->kick);
        r->stopping = r->vq.in_flight > 0;
        if (b->config.ops->ring_stop)
            b->config.ops->ring_stop(b->config.opaque, r->index);
        vhu_backend_flush(b, r->index);
    }
    return !r->stopping;
}

void vhu_backend_ring_forget(struct vhu_ring *r)
{
    if (r->kick_fd >= 0)
        close(steal_fd(&r->kick_fd));
    if (r->call_fd >= 0)
        close(steal_fd(&r->call_fd));
    if (r->err_fd >= 0)
        close(steal_fd(&r->err_fd));
    r->started = r->attached = false;
}

static void ring_broken(struct vhu_backend *b, struct vhu_ring *r, const struct err *err)
{
    LOG_LIMITED(LOG_WARN, "vhu", "ring %u stopped: %s", r->index, err->msg);
    r->started = false;
    vhu_backend_ring_quiesce(r);
    signal_fd(r->err_fd);
}

int vhu_backend_pop(struct vhu_backend *b, unsigned ring, struct virtq_chain *chain)
{
    struct vhu_ring *r = &b->rings[ring];
    struct vhu_inflight_queue *q = &r->inflight;
    struct err err = {0};
    int ret;
    if (!r->live)
        return 0;
    bool again = q->replay_at < q->n_replay;
    if (again)
        ret = virtq_pop_head(&r->vq, q->replay[q->replay_at], chain, &err);
    else
        ret = virtq_pop(&r->vq, chain, &err);
    if (ret < 0) {
        ring_broken(b, r, &err);
        return 0;
    }
    if (again)
        q->replay_at++;
    else if (ret)
        vhu_inflight_taken(q, chain->id);
    r->last_was_replay = again;
    return ret;
}

void vhu_backend_unpop(struct vhu_backend *b, unsigned ring, const struct virtq_chain *chain)
{
    struct vhu_ring *r = &b->rings[ring];
    if (r->last_was_replay) { /* its slot in the ring was taken by a predecessor and stays taken */
        r->inflight.replay_at--;
        r->vq.in_flight--;
        return;
    }
    vhu_inflight_returned(&r->inflight, chain->id);
    virtq_unpop(&r->vq, chain);
}

void vhu_backend_push(struct vhu_backend *b, unsigned ring, const struct virtq_chain *chain,
                      uint32_t written_bytes)
{
    struct vhu_ring *r = &b->rings[ring];
    virtq_push(&r->vq, chain, written_bytes);
    vhu_inflight_completed(&r->inflight, chain->id);
}

void vhu_backend_flush(struct vhu_backend *b, unsigned ring)
{
    struct vhu_ring *r = &b->rings[ring];
    if (!r->attached)
        return;
    bool call = virtq_publish(&r->vq);
    vhu_inflight_published(&r->inflight, r->vq.used_idx);
    if (call)
        signal_fd(r->call_fd);
    if (!r->stopping || r->vq.in_flight)
        return;
    r->stopping = false;
    struct err err = {0};
    if (b->closing)
        loop_timer_arm(b->loop, &b->closed, 0);
    else if (b->stop_reply == (int)ring && vhu_backend_answer_stop(b, r, &err))
        begin_closing(b, &err);
}

void vhu_backend_config_changed(struct vhu_backend *b)
{
    struct vhu_msg msg;
    if (b->channel_fd < 0)
        return;
    /* If the channel is full, an earlier notice that nobody has read yet says the same. */
    vhu_msg_init(&msg, VHU_BACKEND_CONFIG_CHANGE_MSG, 0, 0);
    vhu_msg_send(b->channel_fd, &msg, 0, NULL);
}
