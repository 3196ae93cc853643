/* The core of every virtio device: the status machine, queue set-up and state, between a transport
 * (virtio_transport.h) and a device (virtio_provider.h). Spec: virtio 1.2, 2 and 3. */
#include "dev/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "dev/virtio/virtio_transport.h"

/* What a driver may set; NEEDS_RESET is the device's. Spec: 2.1. */
#define STATUS_DRIVER_BITS                                                                         \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |                  \
     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)

static void mark_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
    guest_mem_mark_dirty(opaque, gpa, len);
}

void virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
                        uint16_t device_id, struct guest_mem *mem, unsigned n_queues,
                        uint16_t queue_size)
{
    assert(n_queues <= VIRTIO_QUEUES_MAX && queue_size <= VIRTQ_SIZE_MAX && is_pow2(queue_size));
    dev->ops = ops;
    dev->device_id = device_id;
    dev->mem = mem;
    dev->n_queues = n_queues;
    for (unsigned i = 0; i < n_queues; i++) {
        dev->queues[i].size_max = queue_size;
        dev->queues[i].config.size = queue_size;
        dev->queues[i].kick_fd = -1;
        dev->queues[i].msix_vector = VIRTIO_NO_VECTOR;
    }
    static_assert(GUEST_MEM_REGIONS_MAX <= VIRTQ_REGIONS_MAX, "every region is translated");
    dev->xlate = (struct virtq_xlate){
        .n_regions = mem->n_regions,
        .mark_dirty = mark_dirty,
        .opaque = mem,
    };
    for (unsigned i = 0; i < mem->n_regions; i++)
        dev->xlate.regions[i] = (struct virtq_region){
            .gpa = mem->regions[i].gpa,
            .size_bytes = mem->regions[i].size_bytes,
            .hva = mem->regions[i].hva,
        };
}

static void leave_queues(struct virtio_device *dev)
{
    if (dev->active) {
        if (dev->transport && dev->transport->active_changed)
            dev->transport->active_changed(dev->transport_opaque, false);
        dev->ops->reset(dev);
    }
    dev->active = dev->activate_pending = false;
}

void virtio_device_destroy(struct virtio_device *dev)
{
    if (!dev)
        return;
    leave_queues(dev);
    dev->transport = NULL;
    for (unsigned i = 0; i < dev->n_queues; i++)
        if (dev->queues[i].kick_fd >= 0)
            close(dev->queues[i].kick_fd);
    dev->ops->destroy(dev);
}

static void kick_all(struct virtio_device *dev)
{
    for (unsigned i = 0; i < dev->n_queues; i++)
        if (dev->queues[i].enabled)
            virtio_queue_kick(dev, i);
}

/* Hands the attached queues to the device. */
static void activate(struct virtio_device *dev)
{
    struct err err = {0};
    dev->activate_pending = false;
    dev->active = true;
    if (dev->ops->activate(dev, &err)) {
        virtio_device_broken(dev, &err);
        return;
    }
    if (dev->transport && dev->transport->active_changed)
        dev->transport->active_changed(dev->transport_opaque, true);
    kick_all(dev);
}

void virtio_device_pause(struct virtio_device *dev)
{
    if (dev->paused)
        return;
    dev->paused = true;
    if (dev->active)
        dev->ops->pause(dev);
}

void virtio_device_resume(struct virtio_device *dev)
{
    if (!dev->paused)
        return;
    dev->paused = false;
    if (dev->activate_pending) {
        activate(dev);
    } else if (dev->active) {
        dev->ops->resume(dev);
        kick_all(dev);
    }
}

int virtio_device_log_start(struct virtio_device *dev, struct err *err)
{
    return dev->ops->log_start ? dev->ops->log_start(dev, err) : 0;
}

void virtio_device_log_sync(struct virtio_device *dev)
{
    if (dev->ops->log_sync)
        dev->ops->log_sync(dev);
}

void virtio_device_log_stop(struct virtio_device *dev)
{
    if (dev->ops->log_stop)
        dev->ops->log_stop(dev);
}

/* ---- for devices ---- */

void virtio_queue_interrupt(struct virtio_device *dev, unsigned queue)
{
    if (dev->transport)
        dev->transport->interrupt(dev->transport_opaque, queue);
}

void virtio_queue_kick(struct virtio_device *dev, unsigned queue)
{
    uint64_t one = 1;
    ssize_t ignored = write(dev->queues[queue].kick_fd, &one, sizeof(one));
    (void)ignored; /* EAGAIN: the counter is full, so it is readable */
}

void virtio_config_changed(struct virtio_device *dev)
{
    atomic_fetch_add(&dev->config_generation, 1);
    if (dev->transport && (atomic_load(&dev->status) & VIRTIO_STATUS_DRIVER_OK))
        dev->transport->config_interrupt(dev->transport_opaque);
}

void virtio_device_broken(struct virtio_device *dev, const struct err *why)
{
    uint8_t had = atomic_fetch_or(&dev->status, VIRTIO_STATUS_NEEDS_RESET);
    if (had & VIRTIO_STATUS_NEEDS_RESET)
        return;
    LOG_LIMITED(LOG_WARN, dev->ops->name,
                "the guest's driver must reset the device: %s instance=%u", why->msg,
                dev->instance);
    if (dev->transport && (had & VIRTIO_STATUS_DRIVER_OK)) /* 2.1.2 */
        dev->transport->config_interrupt(dev->transport_opaque);
    if (dev->broken)
        dev->broken(dev->broken_opaque, why);
}

/* ---- for transports ---- */

int virtio_transport_attach(struct virtio_device *dev, const struct virtio_transport_ops *ops,
                            void *opaque, struct err *err)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        if (dev->queues[i].kick_fd >= 0)
            continue;
        dev->queues[i].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (dev->queues[i].kick_fd < 0)
            return err_sys(err, errno, "could not create an eventfd for queue %u of %s", i,
                           dev->ops->name);
    }
    dev->transport = ops;
    dev->transport_opaque = opaque;
    return 0;
}

uint64_t virtio_transport_features(const struct virtio_device *dev)
{
    return dev->features_offered | (VIRTIO_F_COMMON & ~dev->features_withheld);
}

void virtio_transport_set_features(struct virtio_device *dev, uint64_t features)
{
    if (!(atomic_load(&dev->status) & VIRTIO_STATUS_FEATURES_OK))
        dev->features_driver = features;
}

/* Spec: 2.2, 3.1.1 step 5, 6.1. */
static int accept_features(struct virtio_device *dev, struct err *err)
{
    uint64_t excess = dev->features_driver & ~virtio_transport_features(dev);
    if (excess)
        return err_set(err, EINVAL, "the driver accepted features 0x%llx that were not offered",
                       (unsigned long long)excess);
    if (!(dev->features_driver & VIRTIO_F_V1))
        return err_set(err, EINVAL, "the driver is a legacy one (no VIRTIO_F_VERSION_1)");
    dev->features = dev->features_driver;
    return dev->ops->features_ok ? dev->ops->features_ok(dev, err) : 0;
}

/* Points every enabled queue's vq at the ring that the driver set up. */
static int attach_rings(struct virtio_device *dev, struct err *err)
{
    for (unsigned i = 0; i < dev->n_queues; i++) {
        struct virtio_queue *q = &dev->queues[i];
        if (!q->enabled)
            continue;
        q->config.packed = virtio_has(dev, VIRTIO_F_PACKED);
        q->config.event_idx = virtio_has(dev, VIRTIO_F_EVENT);
        q->config.indirect = virtio_has(dev, VIRTIO_F_INDIRECT);
        int ret = q->config.size > q->size_max
                      ? err_set(err, EINVAL, "size %u is over the maximum of %u", q->config.size,
                                q->size_max)
                      : virtq_init(&q->vq, &q->config, &dev->xlate, err);
        if (ret) {
            err_wrap(err, "queue %u", i);
            return ret;
        }
    }
    return 0;
}

static void driver_ok(struct virtio_device *dev)
{
    struct err err = {0};
    if (attach_rings(dev, &err))
        virtio_device_broken(dev, &err);
    else if (dev->paused)
        dev->activate_pending = true;
    else
        activate(dev);
}

void virtio_transport_set_status(struct virtio_device *dev, uint8_t value)
{
    if (!value) {
        virtio_transport_reset(dev);
        return;
    }
    uint8_t have = atomic_load(&dev->status);
    uint8_t new = (uint8_t)(value & STATUS_DRIVER_BITS & ~have);
    if (new &VIRTIO_STATUS_FEATURES_OK) {
        struct err err = {0};
        if (accept_features(dev, &err)) {
            LOG_LIMITED(LOG_WARN, dev->ops->name, "features refused: %s instance=%u", err.msg,
                        dev->instance);
            dev->features = 0;
            new &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
        }
    }
    /* A modern driver is not ready before it agreed on features (3.1.1). */
    if (!((have | new) & VIRTIO_STATUS_FEATURES_OK))
        new &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    atomic_fetch_or(&dev->status, new);
    if (new &VIRTIO_STATUS_DRIVER_OK)
        driver_ok(dev);
}

void virtio_transport_reset(struct virtio_device *dev)
{
    leave_queues(dev);
    dev->features = dev->features_driver = 0;
    for (unsigned i = 0; i < dev->n_queues; i++) {
        struct virtio_queue *q = &dev->queues[i];
        q->vq = (struct virtq){0};
        q->config = (struct virtq_config){.size = q->size_max};
        q->enabled = false;
        q->msix_vector = VIRTIO_NO_VECTOR;
        uint64_t drained;
        ssize_t ignored = q->kick_fd >= 0 ? read(q->kick_fd, &drained, sizeof(drained)) : 0;
        (void)ignored;
    }
    atomic_store(&dev->status, 0);
}

bool virtio_transport_queue_open(const struct virtio_device *dev, unsigned queue)
{
    return queue < dev->n_queues && !dev->queues[queue].enabled &&
           !(atomic_load(&dev->status) & VIRTIO_STATUS_DRIVER_OK);
}

void virtio_transport_config_read(struct virtio_device *dev, uint64_t off, void *buf, unsigned len)
{
    memset(buf, 0, len);
    if (off >= dev->config_bytes || !dev->ops->config_read)
        return;
    dev->ops->config_read(dev, (uint32_t)off, buf, (unsigned)MIN(len, dev->config_bytes - off));
}

void virtio_transport_config_write(struct virtio_device *dev, uint64_t off, const void *buf,
                                   unsigned len)
{
    if (range_within(off, len, dev->config_bytes) && dev->ops->config_write)
        dev->ops->config_write(dev, (uint32_t)off, buf, len);
}

/* ---- state ---- */

void virtio_transport_save(struct virtio_device *dev, struct state_writer *w)
{
    state_put_u16(w, dev->device_id);
    state_put_u16(w, (uint16_t)dev->n_queues);
    state_put_u64(w, dev->features_driver);
    state_put_u64(w, dev->features);
    state_put_u8(w, atomic_load(&dev->status));
    state_put_u8(w, atomic_load(&dev->config_generation));
    for (unsigned i = 0; i < dev->n_queues; i++) {
        const struct virtio_queue *q = &dev->queues[i];
        bool attached = dev->active || dev->activate_pending;
        state_put_u16(w, q->config.size);
        state_put_u8(w, q->enabled);
        state_put_u16(w, q->msix_vector);
        state_put_u64(w, q->config.desc);
        state_put_u64(w, q->config.driver);
        state_put_u64(w, q->config.device);
        state_put_u32(w, attached && q->enabled ? virtq_get_base(&q->vq) : 0);
    }
    if (dev->ops->save)
        dev->ops->save(dev, w);
}

static void load_queue(struct virtio_queue *q, uint32_t *base, struct state_reader *r)
{
    q->config = (struct virtq_config){.size = state_get_u16(r)};
    q->enabled = state_get_u8(r) & 1;
    q->msix_vector = state_get_u16(r);
    q->config.desc = state_get_u64(r);
    q->config.driver = state_get_u64(r);
    q->config.device = state_get_u64(r);
    *base = state_get_u32(r);
}

int virtio_transport_load(struct virtio_device *dev, struct state_reader *r)
{
    uint32_t base[VIRTIO_QUEUES_MAX];
    uint16_t id = state_get_u16(r), n_queues = state_get_u16(r);
    if (id != dev->device_id || n_queues != dev->n_queues)
        return state_invalid(r, "%s with %u queues (virtio id %u) cannot take device id %u with %u",
                             dev->ops->name, dev->n_queues, dev->device_id, id, n_queues);
    dev->features_driver = state_get_u64(r);
    dev->features = state_get_u64(r);
    uint8_t status = state_get_u8(r);
    atomic_store(&dev->config_generation, state_get_u8(r));
    for (unsigned i = 0; i < n_queues; i++)
        load_queue(&dev->queues[i], &base[i], r);
    uint64_t excess = dev->features & ~virtio_transport_features(dev);
    if (excess)
        return state_invalid(r, "%s was used with features 0x%llx that it does not have here",
                             dev->ops->name, (unsigned long long)excess);
    struct err err = {0};
    if ((status & VIRTIO_STATUS_FEATURES_OK) && dev->ops->features_ok &&
        dev->ops->features_ok(dev, &err))
        return state_invalid(r, "%s: %s", dev->ops->name, err.msg);
    int ret = dev->ops->load ? dev->ops->load(dev, r) : 0;
    if (ret || r->err.code)
        return ret ? ret : -r->err.code;

    dev->paused = true;
    atomic_store(&dev->status, status);
    if ((status & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_NEEDS_RESET)) {
        if (attach_rings(dev, &err))
            return state_invalid(r, "%s: %s", dev->ops->name, err.msg);
        for (unsigned i = 0; i < n_queues; i++)
            if (dev->queues[i].enabled)
                virtq_set_base(&dev->queues[i].vq, base[i]);
        dev->activate_pending = true;
    }
    return 0;
}
