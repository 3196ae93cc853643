/* The connection of a vhost-user device: set-up, loss and return of the back end. Runs in the
 * loop's thread. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/virtio/vhu_device_internal.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_LAST_MS  2000
/* A connection that held for so long was a good one: the next is tried at once. */
#define STABLE_NS INT64_C(5000000000)
/* For the hellos of a back end that came back. One that cannot say them quickly is asked again
 * later; meanwhile nobody who needs this loop should wait. */
#define HELLO_TIMEOUT_MS 1000

static bool connected(const struct vhu_device *vd)
{
    return vd->front.fd >= 0;
}

/* ---- configuration space ---- */

int vhu_device_fetch_config(struct vhu_device *vd, struct vhu_front *front, uint8_t *fresh,
                            struct err *err)
{
    int ret = vhu_front_get_config(front, 0, fresh, vd->kind->config_bytes, err);
    if (!ret && vd->kind->config_fix)
        vd->kind->config_fix(vd, fresh);
    return ret;
}

/* Takes over what the back end says now; tells the driver if that is news. */
static int refresh_config(struct vhu_device *vd, struct err *err)
{
    uint8_t fresh[VHU_CONFIG_MAX];
    vd->front.config_changed = false;
    if (!vd->kind->config_bytes)
        return 0;
    int ret = vhu_device_fetch_config(vd, &vd->front, fresh, err);
    if (ret)
        return ret;
    pthread_mutex_lock(&vd->config_lock);
    if (vd->config_dirty_len) /* the driver's last word, which the back end has not heard */
        memcpy(fresh + vd->config_dirty_off, vd->config + vd->config_dirty_off,
               vd->config_dirty_len);
    bool changed = memcmp(vd->config, fresh, vd->kind->config_bytes) != 0;
    memcpy(vd->config, fresh, vd->kind->config_bytes);
    pthread_mutex_unlock(&vd->config_lock);
    if (changed)
        virtio_config_changed(&vd->dev);
    return 0;
}

void vhu_device_flush_config(struct vhu_device *vd)
{
    uint8_t bytes[VHU_CONFIG_MAX];
    struct err err = {0};
    pthread_mutex_lock(&vd->config_lock);
    uint32_t off = vd->config_dirty_off, len = connected(vd) ? vd->config_dirty_len : 0;
    memcpy(bytes, vd->config + off, len);
    if (len)
        vd->config_dirty_len = 0;
    pthread_mutex_unlock(&vd->config_lock);
    if (!len)
        return;
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    int ret = vhu_front_set_config(&vd->front, off, bytes, len, &err);
    if (ret == -EREMOTEIO)
        LOG_LIMITED(LOG_WARN, vd->dev.ops->name, "%s instance=%u", err.msg, vd->dev.instance);
    else if (ret)
        vhu_device_lost(vd, &err);
}

/* ---- watching ---- */

static void peer_ready(struct loop_fd *w, uint32_t events)
{
    struct vhu_device *vd = w->opaque;
    struct err err = {0};
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    int ret = vhu_front_poll(&vd->front, &err);
    if (!ret && vd->front.channel_fd < 0)
        loop_fd_remove(&vd->channel);
    if (ret) /* a change of the config is looked at before the loop sleeps */
        vhu_device_lost(vd, &err);
}

/* While we wait for an answer the channel is served too: nothing will be readable there then. */
static bool look_at_config(struct loop_prepare *p)
{
    struct vhu_device *vd = container_of(p, struct vhu_device, look);
    struct err err = {0};
    if (!connected(vd) || !vd->front.config_changed)
        return false;
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    if (refresh_config(vd, &err))
        vhu_device_lost(vd, &err);
    return true;
}

int vhu_device_watch(struct vhu_device *vd, struct err *err)
{
    vd->socket.ready = vd->channel.ready = peer_ready;
    vd->socket.opaque = vd->channel.opaque = vd;
    int ret = loop_fd_add(vd->loop, &vd->socket, vd->front.fd, EPOLLIN);
    if (!ret && vd->front.channel_fd >= 0)
        ret = loop_fd_add(vd->loop, &vd->channel, vd->front.channel_fd, EPOLLIN);
    if (ret)
        return err_sys(err, -ret, "could not watch a vhost-user connection");
    vd->look.prepare = look_at_config;
    loop_prepare_add(vd->loop, &vd->look);
    return 0;
}

static void called(struct loop_fd *w, uint32_t events)
{
    struct vhu_device *vd = w->opaque;
    struct vhu_device_ring *r = container_of(w, struct vhu_device_ring, call_watch);
    uint64_t drained;
    ssize_t ignored = read(w->fd, &drained, sizeof(drained));
    (void)ignored;
    virtio_queue_interrupt(&vd->dev, r->front.index);
}

void vhu_device_unwatch(struct vhu_device *vd)
{
    loop_fd_remove(&vd->socket);
    loop_fd_remove(&vd->channel);
    loop_prepare_remove(vd->loop, &vd->look);
    for (unsigned i = 0; i < vd->n_remote; i++)
        loop_fd_remove(&vd->rings[i].call_watch);
}

/* ---- start ---- */

static int share_memory(struct vhu_device *vd, struct err *err)
{
    const struct guest_mem *mem = vd->dev.mem;
    struct vhu_front_region regions[GUEST_MEM_REGIONS_MAX];
    static_assert(GUEST_MEM_REGIONS_MAX <= VHU_REGIONS_MAX, "all RAM fits one table");
    for (unsigned i = 0; i < mem->n_regions; i++)
        regions[i] = (struct vhu_front_region){
            .gpa = mem->regions[i].gpa,
            .size_bytes = mem->regions[i].size_bytes,
            .fd_offset = mem->regions[i].fd_offset,
            .fd = mem->fd,
        };
    return vhu_front_set_mem_table(&vd->front, regions, mem->n_regions, err);
}

/* Hands over the in-flight area: a new one if there is none yet. */
static int share_inflight(struct vhu_device *vd, struct err *err)
{
    if (!(vd->front.protocol_features & VHU_PF_INFLIGHT_SHMFD))
        return 0;
    int ret = vd->inflight.fd >= 0 ? 0
                                   : vhu_front_get_inflight(&vd->front, (uint16_t)vd->n_remote,
                                                            vd->queue_size, &vd->inflight, err);
    return ret ? ret : vhu_front_set_inflight(&vd->front, &vd->inflight, err);
}

static int start_ring(struct vhu_device *vd, struct vhu_device_ring *r, struct err *err)
{
    int ret = 0;
    r->front.log = vd->log != NULL;
    if (r->front.call_fd < 0 && r->own_call_fd < 0)
        r->own_call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->front.call_fd < 0)
        r->front.call_fd = r->own_call_fd;
    if (r->front.call_fd < 0)
        return err_sys(err, errno, "could not create a call eventfd for queue %u", r->front.index);
    if (r->front.call_fd == r->own_call_fd) {
        r->call_watch.ready = called;
        r->call_watch.opaque = vd;
        ret = loop_fd_add(vd->loop, &r->call_watch, r->own_call_fd, EPOLLIN);
        if (ret)
            return err_sys(err, -ret, "could not watch the call eventfd of queue %u",
                           r->front.index);
    }
    ret = vhu_front_ring_start(&vd->front, &r->front, err);
    if (ret)
        return ret;
    r->started = true;
    return vhu_front_ring_enable(&vd->front, r->front.index, r->enable, err);
}

static int start(struct vhu_device *vd, struct err *err)
{
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    int ret = vhu_front_set_features(
        &vd->front, (vd->run_features & vd->front.features) | (vd->log ? VHU_F_LOG_ALL : 0), err);
    if (!ret && vd->kind->set_up)
        ret = vd->kind->set_up(vd, err);
    if (!ret)
        ret = share_memory(vd, err);
    if (!ret)
        ret = share_inflight(vd, err);
    if (!ret && vd->log)
        ret = vhu_device_log_tell(vd, err);
    for (unsigned i = 0; !ret && i < vd->n_remote; i++)
        if (vd->rings[i].used)
            ret = start_ring(vd, &vd->rings[i], err);
    return ret;
}

void vhu_device_start(struct vhu_device *vd)
{
    struct err err = {0};
    if (vd->running || !vd->want_run || !connected(vd) || virtio_device_is_broken(&vd->dev))
        return;
    vd->running = true;
    if (start(vd, &err)) {
        vhu_device_lost(vd, &err);
        return;
    }
    vd->unclean = false;
    /* A kick that went to a predecessor, or an interrupt that it owed, would be lost. */
    for (unsigned i = 0; i < vd->n_remote; i++) {
        if (!vd->rings[i].used)
            continue;
        virtio_queue_kick(&vd->dev, i);
        virtio_queue_interrupt(&vd->dev, i);
    }
}

void vhu_device_ring_enable(struct vhu_device *vd, unsigned queue, bool enable)
{
    struct vhu_device_ring *r = &vd->rings[queue];
    struct err err = {0};
    if (r->enable == enable)
        return;
    r->enable = enable;
    if (!vd->running || !r->started)
        return;
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    if (vhu_front_ring_enable(&vd->front, queue, enable, &err))
        vhu_device_lost(vd, &err);
}

/* ---- stop and loss ---- */

static int stop(struct vhu_device *vd, struct err *err)
{
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    for (unsigned i = 0; i < vd->n_remote; i++) {
        struct vhu_device_ring *r = &vd->rings[i];
        uint32_t base;
        if (!r->started)
            continue;
        int ret = vhu_front_ring_stop(&vd->front, i, &base, err);
        if (!ret && base > UINT16_MAX)
            ret = err_set(err, EPROTO, "the vhost-user back end stopped ring %u at %u", i, base);
        if (ret)
            return ret;
        r->front.base = base;
        r->started = false;
        loop_fd_remove(&r->call_watch);
        if (r->front.call_fd == r->own_call_fd)
            called(&r->call_watch, 0); /* a last signal may not have been looked at */
    }
    vd->running = false;
    return 0;
}

void vhu_device_stop(struct vhu_device *vd)
{
    struct err err = {0};
    if (vd->running && stop(vd, &err))
        vhu_device_lost(vd, &err);
}

static uint16_t idx_of(const uint8_t *area)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)(area + 2), __ATOMIC_ACQUIRE));
}

/* Takes the rings from a back end that is gone: they stand where the used ring ends. Returns false
 * if it is not known what became of the requests it had taken. */
static bool salvage_rings(struct vhu_device *vd)
{
    bool known = vd->kind->loss == VHU_LOSS_DROPPED ||
                 (vd->kind->loss == VHU_LOSS_REPLAYED && vd->inflight.fd >= 0);
    bool idle = true;
    for (unsigned i = 0; i < vd->n_remote; i++) {
        struct vhu_device_ring *r = &vd->rings[i];
        if (!r->used || !r->started)
            continue;
        r->started = false;
        r->front.base = idx_of(r->device_area);
        if (idx_of(r->driver_area) != r->front.base)
            idle = false;
    }
    vd->running = false;
    vd->unclean = true;
    return known || (vd->kind->loss == VHU_LOSS_REPLAYED && idle);
}

static void retry(struct loop_timer *t);

static void schedule_retry(struct vhu_device *vd)
{
    if (!vd->connector.connect)
        return;
    vd->backoff_ms = MIN(MAX(2 * vd->backoff_ms, BACKOFF_FIRST_MS), BACKOFF_LAST_MS);
    vd->retry.expired = retry;
    vd->retry.opaque = vd;
    loop_timer_arm(vd->loop, &vd->retry, loop_now_ns(vd->loop) + (int64_t)vd->backoff_ms * 1000000);
}

void vhu_device_lost(struct vhu_device *vd, const struct err *why)
{
    bool was_connected = connected(vd);
    LOG_LIMITED(LOG_WARN, vd->dev.ops->name, "lost the vhost-user back end: %s instance=%u",
                why->msg, vd->dev.instance);
    vhu_device_unwatch(vd);
    vhu_front_close(&vd->front);
    if (vd->running && !salvage_rings(vd)) {
        struct err err = *why;
        err_wrap(&err, "requests were in flight in a back end that keeps no record of them");
        virtio_device_broken(&vd->dev, &err);
    }
    if (was_connected && loop_now_ns(vd->loop) - vd->connected_ns > STABLE_NS)
        vd->backoff_ms = 0;
    if (was_connected && vd->kind->link)
        vd->kind->link(vd, false);
    schedule_retry(vd);
}

/* ---- return ---- */

int vhu_device_adopt(struct vhu_device *vd, int fd, unsigned timeout_ms, struct err *err)
{
    int ret = vhu_front_open(&vd->front, fd, VHU_DEVICE_PROTOCOL | vd->kind->protocol_features,
                             timeout_ms, err);
    if (ret)
        return ret;
    uint64_t lacking = (vd->need_features | (vd->log ? VHU_F_LOG_ALL : 0)) & ~vd->front.features;
    uint64_t pf = vd->kind->need_protocol | (vd->inflight.fd >= 0 ? VHU_PF_INFLIGHT_SHMFD : 0);
    if (lacking || (pf & ~vd->front.protocol_features))
        return err_set(
            err, EPROTO, "the back end came back without features 0x%llx, protocol features 0x%llx",
            (unsigned long long)lacking, (unsigned long long)(pf & ~vd->front.protocol_features));
    if (vd->front.n_queues_max && vd->front.n_queues_max < vd->n_remote)
        return err_set(err, EPROTO, "the back end came back with %u queues instead of %u",
                       vd->front.n_queues_max, vd->n_remote);
    ret = refresh_config(vd, err);
    if (!ret)
        ret = vhu_device_watch(vd, err);
    if (ret)
        return ret;
    vd->connected_ns = loop_now_ns(vd->loop);
    loop_timer_cancel(vd->loop, &vd->retry);
    vhu_device_start(vd);
    vhu_device_flush_config(vd);
    if (connected(vd) && vd->kind->link)
        vd->kind->link(vd, true);
    return 0;
}

static void retry(struct loop_timer *t)
{
    struct vhu_device *vd = t->opaque;
    struct err err = {0};
    int fd = vd->connector.connect(vd->connector.opaque, &err);
    if (fd < 0)
        schedule_retry(vd);
    else if (vhu_device_adopt(vd, fd, HELLO_TIMEOUT_MS, &err))
        vhu_device_lost(vd, &err);
}

void vhu_device_inflight_drop(struct vhu_device *vd)
{
    if (vd->inflight.fd >= 0)
        close(vd->inflight.fd);
    vd->inflight.fd = -1;
}
