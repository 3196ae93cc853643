/* virtio-fs: a host directory shared with the guest, `--share DIR:TAG`. The file system itself is
 * served by another process over vhost-user (vhu/virtiofsd.h starts one); the mount tag is ours. A
 * server that dies takes its open files with it: the device then needs a reset.
 * Spec: virtio 1.2, 5.11. */
#ifndef DEV_VIRTIO_FS_H
#define DEV_VIRTIO_FS_H

#include "dev/virtio/vhu_device.h"

#define FS_TAG_BYTES 36

/* `tag` is what the guest mounts by: 1 to 36 bytes. Owns: takes options->fd. Errors: EINVAL (tag);
 * as vhu_device_open(). Blocks: up to the timeout. */
struct virtio_device *fs_create(struct guest_mem *mem, const char *tag,
                                const struct vhu_device_options *options, struct err *err);

#endif
