/* virtio-blk served by another process: `--disk vhost-user:SOCKET`. What the disk is (size, serial,
 * read-only, cache mode, limits) is the back end's to say. Spec: virtio 1.2, 5.2. */
#ifndef DEV_VIRTIO_VHU_BLK_H
#define DEV_VIRTIO_VHU_BLK_H

#include "dev/virtio/vhu_device.h"

#define VHU_BLK_QUEUES_MAX 16

/* `n_queues` is what the VM would like (one a vCPU, say); the back end may have fewer. Owns: takes
 * options->fd. Errors: as vhu_device_open(). Blocks: up to the timeout. */
struct virtio_device *vhu_blk_create(struct guest_mem *mem, unsigned n_queues,
                                     const struct vhu_device_options *options, struct err *err);

#endif
