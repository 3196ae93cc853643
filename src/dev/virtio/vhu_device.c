/* The virtio side of a vhost-user device: what runs with the device lock held. It touches the
 * loop's half of struct vhu_device only inside loop_call(), or before the loop is told about it. */
#include "dev/virtio/vhu_device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/util.h"
#include "dev/virtio/vhu_device_internal.h"

static struct vhu_device *of(struct virtio_device *dev)
{
    return container_of(dev, struct vhu_device, dev);
}

/* ---- creation ---- */

int vhu_device_open(struct vhu_device *vd, const struct vhu_kind *kind,
                    const struct vhu_device_options *options, struct err *err)
{
    vd->kind = kind;
    vd->loop = options->loop;
    if (options->connector)
        vd->connector = *options->connector;
    vd->timeout_ms = options->timeout_ms ? options->timeout_ms : VHU_DEVICE_TIMEOUT_MS;
    vd->queue_size = options->queue_size ? options->queue_size : 256;
    vd->wake_fd = vd->log_fd = vd->inflight.fd = -1;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
        vd->rings[i].own_call_fd = -1;
    vd->connected_ns = loop_now_ns(vd->loop);
    int ret = vhu_front_open(&vd->front, options->fd, VHU_DEVICE_PROTOCOL | kind->protocol_features,
                             vd->timeout_ms, err);
    if (ret)
        return ret;
    uint64_t lacking = kind->need_protocol & ~vd->front.protocol_features;
    if (lacking)
        ret = err_set(err, EPROTO, "the vhost-user back end lacks protocol features 0x%llx",
                      (unsigned long long)lacking);
    else if (!(vd->front.features & VIRTIO_F_V1))
        ret = err_set(err, EPROTO, "the vhost-user back end is older than virtio 1.0");
    else if (kind->config_bytes)
        ret = vhu_device_fetch_config(vd, &vd->front, vd->config, err);
    if (ret)
        vhu_front_close(&vd->front);
    return ret;
}

static void woken(struct loop_fd *w, uint32_t events)
{
    struct vhu_device *vd = w->opaque;
    uint64_t drained;
    ssize_t ignored = read(vd->wake_fd, &drained, sizeof(drained));
    (void)ignored;
    if (atomic_exchange(&vd->start_wanted, false)) {
        vd->want_run = true;
        vhu_device_start(vd);
    }
    vhu_device_flush_config(vd);
}

static void wake(struct vhu_device *vd)
{
    uint64_t one = 1;
    ssize_t ignored = write(vd->wake_fd, &one, sizeof(one));
    (void)ignored;
}

struct call {
    struct vhu_device *vd;
    int ret;
    int fd;
    struct err *err;
};

static void begin_watching(void *arg)
{
    struct call *c = arg;
    c->vd->wake.ready = woken;
    c->vd->wake.opaque = c->vd;
    c->ret = loop_fd_add(c->vd->loop, &c->vd->wake, c->vd->wake_fd, EPOLLIN);
    if (!c->ret)
        c->ret = vhu_device_watch(c->vd, c->err);
}

int vhu_device_init(struct vhu_device *vd, const struct virtio_device_ops *ops, uint16_t device_id,
                    struct guest_mem *mem, unsigned n_queues, unsigned n_remote, struct err *err)
{
    pthread_mutex_init(&vd->config_lock, NULL);
    virtio_device_init(&vd->dev, ops, device_id, mem, n_queues, vd->queue_size);
    vd->n_remote = n_remote;
    vd->dev.config_bytes = vd->kind->config_bytes;
    vd->dev.features_offered = vd->front.features & vd->kind->features;
    /* Never packed: where such a ring stands is known to the back end alone, so it could not go on
     * after that one's death. */
    vd->dev.features_withheld = (VIRTIO_F_COMMON & ~vd->front.features) | VIRTIO_F_PACKED;
    vd->need_features = vd->dev.features_offered | (VIRTIO_F_COMMON & ~vd->dev.features_withheld);
    for (unsigned i = 0; i < n_remote; i++)
        vd->rings[i].enable = true;
    struct call c = {.vd = vd, .err = err};
    if (mem->fd < 0)
        c.ret = err_set(err, EINVAL, "%s needs shared guest memory", ops->name);
    else if ((vd->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        c.ret = err_sys(err, errno, "could not create an eventfd for %s", ops->name);
    if (!c.ret)
        loop_call(vd->loop, begin_watching, &c);
    if (c.ret)
        vhu_device_fini(vd);
    return c.ret;
}

static void end_watching(void *arg)
{
    struct vhu_device *vd = arg;
    vhu_device_unwatch(vd);
    loop_fd_remove(&vd->wake);
    loop_timer_cancel(vd->loop, &vd->retry);
}

void vhu_device_fini(struct vhu_device *vd)
{
    loop_call(vd->loop, end_watching, vd);
    vhu_front_close(&vd->front);
    vhu_device_inflight_drop(vd);
    if (vd->log)
        munmap((void *)vd->log, vd->log_bytes);
    if (vd->log_fd >= 0)
        close(vd->log_fd);
    if (vd->wake_fd >= 0)
        close(vd->wake_fd);
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
        if (vd->rings[i].own_call_fd >= 0)
            close(vd->rings[i].own_call_fd);
    pthread_mutex_destroy(&vd->config_lock);
}

/* ---- configuration space ---- */

void vhu_device_config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    struct vhu_device *vd = of(dev);
    pthread_mutex_lock(&vd->config_lock);
    memcpy(buf, vd->config + off, len);
    pthread_mutex_unlock(&vd->config_lock);
}

void vhu_device_config_store(struct vhu_device *vd, uint32_t off, const void *buf, unsigned len)
{
    pthread_mutex_lock(&vd->config_lock);
    memcpy(vd->config + off, buf, len);
    uint32_t end = off + len;
    if (vd->config_dirty_len) {
        end = MAX(end, vd->config_dirty_off + vd->config_dirty_len);
        off = MIN(off, vd->config_dirty_off);
    }
    vd->config_dirty_off = off;
    vd->config_dirty_len = end - off;
    pthread_mutex_unlock(&vd->config_lock);
    wake(vd);
}

/* ---- activation ---- */

/* The transport's eventfd by which another process interrupts, or -1: then the loop makes one and
 * watches it. */
static int call_fd_of(const struct virtio_device *dev, unsigned queue)
{
    if (!dev->transport || !dev->transport->interrupt_fd)
        return -1;
    return MAX(dev->transport->interrupt_fd(dev->transport_opaque, queue), -1);
}

/* Notes what the driver set up, where the loop will find it. The loop does not look before
 * start_wanted is set. */
static void note_rings(struct vhu_device *vd)
{
    vd->run_features = vd->dev.features;
    for (unsigned i = 0; i < vd->n_remote; i++) {
        const struct virtio_queue *q = &vd->dev.queues[i];
        struct vhu_device_ring *r = &vd->rings[i];
        r->used = q->enabled;
        if (!r->used)
            continue;
        r->front = (struct vhu_front_ring){
            .index = i,
            .size = q->config.size,
            .desc = q->config.desc,
            .driver = q->config.driver,
            .device = q->config.device,
            .base = virtq_get_base(&q->vq),
            .kick_fd = q->kick_fd,
            .call_fd = call_fd_of(&vd->dev, i),
        };
        r->driver_area = q->vq.driver;
        r->device_area = q->vq.device;
    }
}

int vhu_device_activate(struct virtio_device *dev, struct err *err)
{
    struct vhu_device *vd = of(dev);
    note_rings(vd);
    atomic_store(&vd->start_wanted, true);
    wake(vd);
    return 0;
}

static void stop_in_loop(void *arg)
{
    struct vhu_device *vd = arg;
    atomic_store(&vd->start_wanted, false);
    vd->want_run = false;
    vhu_device_stop(vd);
}

static void reset_in_loop(void *arg)
{
    struct vhu_device *vd = arg;
    stop_in_loop(vd);
    vhu_device_inflight_drop(vd);
    vd->unclean = false;
    for (unsigned i = 0; i < vd->n_remote; i++)
        vd->rings[i].used = false;
}

void vhu_device_reset(struct virtio_device *dev)
{
    loop_call(of(dev)->loop, reset_in_loop, of(dev));
}

void vhu_device_pause(struct virtio_device *dev)
{
    struct vhu_device *vd = of(dev);
    loop_call(vd->loop, stop_in_loop, vd);
    for (unsigned i = 0; i < vd->n_remote; i++)
        if (vd->rings[i].used)
            virtq_set_base(&dev->queues[i].vq, vd->rings[i].front.base);
}

void vhu_device_resume(struct virtio_device *dev)
{
    struct vhu_device *vd = of(dev);
    note_rings(vd);
    atomic_store(&vd->start_wanted, true);
    wake(vd);
}

static void reconnect_in_loop(void *arg)
{
    struct call *c = arg;
    vhu_device_stop(c->vd);
    vhu_device_unwatch(c->vd);
    vhu_front_close(&c->vd->front);
    c->ret = vhu_device_adopt(c->vd, c->fd, c->vd->timeout_ms, c->err);
    if (c->ret)
        vhu_device_lost(c->vd, c->err);
}

int vhu_device_reconnect(struct virtio_device *dev, int fd, struct err *err)
{
    struct err own = {0};
    struct call c = {.vd = of(dev), .fd = fd, .err = err ? err : &own};
    loop_call(c.vd->loop, reconnect_in_loop, &c);
    return c.ret;
}

/* ---- state ---- */

/* Only a device that was paused while its back end was dead carries requests in flight: their
 * record goes with it. */
void vhu_device_save(struct virtio_device *dev, struct state_writer *w)
{
    struct vhu_device *vd = of(dev);
    const struct vhu_front_inflight *in = &vd->inflight;
    CLEANUP_FREE uint8_t *bytes = NULL;
    if (vd->unclean && in->fd >= 0) {
        bytes = malloc(in->size_bytes);
        /* Read, not mapped: the file is the back end's to shorten. */
        if (!bytes ||
            pread(in->fd, bytes, in->size_bytes, (off_t)in->offset) != (ssize_t)in->size_bytes) {
            w->error = w->error ? w->error : -EIO;
            return;
        }
    }
    state_put_u8(w, bytes != NULL);
    if (!bytes)
        return;
    state_put_u32(w, (uint32_t)in->size_bytes);
    state_put_u16(w, in->n_queues);
    state_put_u16(w, in->queue_size);
    state_put_bytes(w, bytes, in->size_bytes);
}

static int load_inflight(struct vhu_device *vd, struct state_reader *r)
{
    uint32_t size = state_get_u32(r);
    uint16_t n_queues = state_get_u16(r), queue_size = state_get_u16(r);
    if (!size || size > VHU_FRONT_INFLIGHT_MAX_BYTES || size > r->section_end - r->pos)
        return state_invalid(r, "an in-flight area of %u bytes", size);
    if (!(vd->front.protocol_features & VHU_PF_INFLIGHT_SHMFD))
        return state_invalid(r, "%s has requests in flight, and a back end that cannot know them",
                             vd->dev.ops->name);
    CLEANUP_FREE uint8_t *bytes = malloc(size);
    CLEANUP_CLOSE int fd = memfd_create("vhost-user-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (bytes)
        state_get_bytes(r, bytes, size);
    if (!bytes || fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return state_invalid(r, "no memory for an in-flight area of %u bytes", size);
    vd->inflight = (struct vhu_front_inflight){steal_fd(&fd), size, 0, n_queues, queue_size};
    vd->unclean = true;
    return 0;
}

int vhu_device_load(struct virtio_device *dev, struct state_reader *r)
{
    return state_get_u8(r) ? load_inflight(of(dev), r) : 0;
}
