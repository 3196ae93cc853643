/* Disks: from a config and descriptors to a device with its back end and thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "blk/image.h"
#include "dev/virtio/vhu_blk.h"
#include "dev/virtio/virtio_blk.h"
#include "machine/machine_internal.h"

/* In the disk's thread: the guest's request stays with the device, the machine pauses. */
static void io_error(void *opaque, const struct virtio_blk_error *e)
{
    struct machine_device *d = opaque;
    if (!e->stopped)
        return;
    static const char *const ops[BLK_OPS_COUNT] = {"read", "write", "flush", "discard",
                                                   "write zeroes"};
    struct err why;
    err_sys(&why, e->error, "%s of %llu bytes at %llu failed", ops[e->op],
            (unsigned long long)e->len_bytes, (unsigned long long)e->offset);
    machine_fail(d->machine, &d->machine->io_error, MACHINE_REQUEST_IO_ERROR, d->id, &why);
}

/* The asynchronous I/O of the thread that serves the disk. */
static struct aio *disk_aio(struct machine_device *d, struct loop *loop, struct err *err)
{
    struct aio_config config = {.thread_setup = d->machine->setup.thread_setup};
    struct aio **aio = d->n_threads ? &d->aio : &d->machine->shared_aio;
    if (!*aio)
        *aio = aio_create(loop, &config, err);
    return *aio;
}

struct create {
    struct machine_device *d;
    const struct vm_config_disk *c;
    struct machine_disk_files *files;
    struct loop *loop;
    struct err *err;
    struct virtio_device *dev;
};

/* In the loop's thread, as back ends want it. */
static void create_disk(void *opaque)
{
    struct create *x = opaque;
    const struct vm_config_disk *c = x->c;
    struct aio *aio = disk_aio(x->d, x->loop, x->err);
    if (!aio)
        return;
    struct blk *backend = image_create(aio, x->loop, x->files->image, x->err);
    if (!backend)
        return;
    struct virtio_blk_options options = {
        .loop = x->loop,
        .n_queues = c->queues,
        .serial = c->serial[0] ? c->serial : c->id,
        .on_error = c->on_error == VM_CONFIG_ON_ERROR_STOP ? VIRTIO_BLK_STOP : VIRTIO_BLK_REPORT,
        .on_enospc = c->on_error == VM_CONFIG_ON_ERROR_REPORT ? VIRTIO_BLK_REPORT : VIRTIO_BLK_STOP,
        .limit = {.ops_per_s = c->limits.iops, .bytes_per_s = c->limits.bandwidth_bytes},
        .io_error = io_error,
        .opaque = x->d,
    };
    x->dev = virtio_blk_create(&x->d->machine->mem, backend, &options, x->err);
    if (!x->dev)
        blk_close(backend);
}

static struct virtio_device *create_vhost_user_disk(struct machine_device *d,
                                                    const struct vm_config_disk *c,
                                                    struct machine_disk_files *files,
                                                    struct err *err)
{
    struct vhu_device_options options = {.connector = machine_device_connector(d, c->socket)};
    d->remote = true;
    /* Its thread exchanges messages and does no disk I/O: the system calls of a NIC's. */
    options.loop = machine_device_loop(d, MACHINE_THREAD_NICS, true, err);
    if (!options.loop)
        return NULL;
    options.fd = steal_fd(&files->vhost_user_fd);
    return vhu_blk_create(&d->machine->mem, c->queues, &options, err);
}

int machine_attach_disk(struct machine *m, const struct vm_config_disk *c,
                        struct machine_disk_files *files, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "disk", c->id, &d, err);
    if (ret)
        return ret;
    struct create x = {.d = d, .c = c, .files = files, .err = err};
    if (c->socket) {
        x.dev = create_vhost_user_disk(d, c, files, err);
    } else {
        x.loop = machine_device_loop(d, MACHINE_THREAD_DISKS, c->own_thread, err);
        if (x.loop)
            loop_call(x.loop, create_disk, &x);
    }
    ret = x.dev ? machine_device_plug(d, x.dev, err) : err_wrap(err, "disk '%s'", c->id);
    if (ret)
        machine_device_abandon(d);
    return ret;
}

int machine_flush_disks(struct machine *m, struct err *err)
{
    for (unsigned i = 0; i < m->n_devices; i++) {
        struct machine_device *d = m->devices[i];
        /* What another process serves is that one's to keep; it outlives us. */
        int ret = d->remote || strcmp(d->kind, "disk") != 0 ? 0 : virtio_blk_flush(d->dev);
        if (ret)
            return err_sys(err, -ret, "could not flush disk '%s'", d->id);
    }
    return 0;
}
