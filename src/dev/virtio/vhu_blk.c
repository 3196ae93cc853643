#include "dev/virtio/vhu_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/util.h"

#define BIT(n) (UINT64_C(1) << (n))

struct vhu_blk {
    struct vhu_device vd;
    unsigned n_queues;
};

/* The part of the configuration space that every back end has: up to and with write-zeroes. */
#define CONFIG_BYTES 60
static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4 == CONFIG_BYTES,
              "block configuration space");

/* The driver must not be told of queues that this device does not have. */
static void config_fix(struct vhu_device *vd, uint8_t *config)
{
    const struct vhu_blk *b = container_of(vd, struct vhu_blk, vd);
    le16_write(config + offsetof(struct virtio_blk_config, num_queues), (uint16_t)b->n_queues);
}

static const struct vhu_kind blk_kind = {
    .features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
                BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
                BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
                BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
                BIT(VIRTIO_BLK_F_WRITE_ZEROES),
    .protocol_features = VHU_PF_CONFIG | VHU_PF_INFLIGHT_SHMFD,
    .need_protocol = VHU_PF_CONFIG,
    .loss = VHU_LOSS_REPLAYED,
    .config_bytes = CONFIG_BYTES,
    .config_fix = config_fix,
};

/* Only the cache mode can be written. Spec: 5.2.5.2. */
static void config_write(struct virtio_device *dev, uint32_t off, const void *buf, unsigned len)
{
    if (off == offsetof(struct virtio_blk_config, wce) && len == 1 &&
        virtio_has(dev, BIT(VIRTIO_BLK_F_CONFIG_WCE)))
        vhu_device_config_store(container_of(dev, struct vhu_device, dev), off, buf, len);
}

static void destroy(struct virtio_device *dev)
{
    struct vhu_blk *b = container_of(dev, struct vhu_blk, vd.dev);
    vhu_device_fini(&b->vd);
    free(b);
}

static const struct virtio_device_ops blk_ops = {
    .name = "vhost-user-blk",
    .config_read = vhu_device_config_read,
    .config_write = config_write,
    .activate = vhu_device_activate,
    .reset = vhu_device_reset,
    .pause = vhu_device_pause,
    .resume = vhu_device_resume,
    .log_start = vhu_device_log_start,
    .log_sync = vhu_device_log_sync,
    .log_stop = vhu_device_log_stop,
    .save = vhu_device_save,
    .load = vhu_device_load,
    .destroy = destroy,
};

struct virtio_device *vhu_blk_create(struct guest_mem *mem, unsigned n_queues,
                                     const struct vhu_device_options *options, struct err *err)
{
    struct vhu_blk *b = calloc(1, sizeof(*b));
    if (!b) {
        close(options->fd);
        err_set(err, ENOMEM, "could not allocate a disk");
        return NULL;
    }
    b->n_queues = MIN(MAX(n_queues, 1), VHU_BLK_QUEUES_MAX);
    if (vhu_device_open(&b->vd, &blk_kind, options, err))
        goto fail;
    b->n_queues = MIN(b->n_queues, MAX(b->vd.front.n_queues_max, 1));
    if (!(b->vd.front.features & BIT(VIRTIO_BLK_F_MQ)))
        b->n_queues = 1;
    config_fix(&b->vd, b->vd.config);
    if (vhu_device_init(&b->vd, &blk_ops, VIRTIO_ID_BLOCK, mem, b->n_queues, b->n_queues, err))
        goto fail;
    return &b->vd.dev;
fail:
    free(b);
    return NULL;
}
