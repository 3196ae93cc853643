#include "dev/virtio/fs.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>

#include "base/util.h"

/* One queue for urgent requests, one for the others: the only packaged server has no more. */
#define REQUEST_QUEUES 1
#define N_QUEUES       (1 + REQUEST_QUEUES)

static const struct vhu_kind fs_kind = {
    .loss = VHU_LOSS_FATAL,
};

static void destroy(struct virtio_device *dev)
{
    struct vhu_device *vd = container_of(dev, struct vhu_device, dev);
    vhu_device_fini(vd);
    free(vd);
}

static const struct virtio_device_ops fs_ops = {
    .name = "virtio-fs",
    .config_read = vhu_device_config_read,
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

struct virtio_device *fs_create(struct guest_mem *mem, const char *tag,
                                const struct vhu_device_options *options, struct err *err)
{
    size_t len = strlen(tag);
    struct vhu_device *vd = calloc(1, sizeof(*vd));
    int ret = vd ? 0 : err_set(err, ENOMEM, "could not allocate a file system device");
    if (!ret && (!len || len > FS_TAG_BYTES))
        ret = err_set(err, EINVAL, "share tag '%s' is not of 1 to %d bytes", tag, FS_TAG_BYTES);
    if (ret) {
        close(options->fd);
        goto fail;
    }
    if (vhu_device_open(vd, &fs_kind, options, err) ||
        vhu_device_init(vd, &fs_ops, VIRTIO_ID_FS, mem, N_QUEUES, N_QUEUES, err))
        goto fail;
    memcpy(vd->config + offsetof(struct virtio_fs_config, tag), tag, len);
    le32_write(vd->config + offsetof(struct virtio_fs_config, num_request_queues), REQUEST_QUEUES);
    vd->dev.config_bytes = sizeof(struct virtio_fs_config);
    return &vd->dev;
fail:
    free(vd);
    return NULL;
}
