/* A back end that answers anything, to a disk: its creation, activation, pause, log and reset. The
 * answers wait in the socket before they are asked for, and end, so nothing ever waits. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "dev/virtio/vhu_blk.h"
#include "dev/virtio/virtio_transport.h"
#include "vhu_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_interrupt(void *opaque, unsigned queue)
{
}
static void no_config_interrupt(void *opaque)
{
}
static int no_fd(void *opaque, unsigned queue)
{
    return -ENOTSUP;
}

static void drive(struct virtio_device *dev, struct loop *loop)
{
    static const struct virtio_transport_ops ops = {no_interrupt, no_config_interrupt, no_fd, NULL};
    struct vhu_device *vd = container_of(dev, struct vhu_device, dev);
    uint8_t config[64];
    /* Answers that wait would be taken for unasked ones; only at the end they are. */
    loop_fd_remove(&vd->socket);
    if (virtio_transport_attach(dev, &ops, NULL, NULL))
        return;
    virtio_transport_config_read(dev, 0, config, sizeof(config));
    virtio_transport_set_features(dev, virtio_transport_features(dev));
    virtio_transport_set_status(dev, 11);
    for (unsigned i = 0; i < dev->n_queues; i++) {
        dev->queues[i].config.desc = 0x1000 + i * 0x4000;
        dev->queues[i].config.driver = 0x3000 + i * 0x4000;
        dev->queues[i].config.device = 0x4000 + i * 0x4000;
        dev->queues[i].enabled = true;
    }
    virtio_transport_set_status(dev, 15);
    for (int i = 0; i < 8; i++)
        loop_run_once(loop, 0);
    virtio_transport_config_write(dev, 32, config, 1);
    loop_run_once(loop, 0);
    if (!dev->ops->log_start(dev, NULL)) {
        dev->ops->log_sync(dev);
        dev->ops->log_stop(dev);
    }
    virtio_device_pause(dev);
    virtio_device_resume(dev);
    for (int i = 0; i < 8; i++)
        loop_run_once(loop, 0);
    virtio_transport_reset(dev);
    if (vd->front.fd >= 0 && !loop_fd_add(loop, &vd->socket, vd->front.fd, EPOLLIN))
        loop_run_once(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest_mem mem;
    static struct loop *loop;
    int pair[2];
    if (!loop) {
        loop = loop_create(0, NULL);
        if (!loop || guest_mem_init(&mem, 1 * MIB, GUEST_MEM_SHARED, NULL))
            return 0;
    }
    int fds[2] = {mem.fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (fds[1] < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    for (int i = 0; i < VHU_SCRIPT_MAX; i++)
        if (!vhu_script_send(pair[0], &data, &size, VHU_VERSION | VHU_FLAG_REPLY, fds, 2))
            break;
    shutdown(pair[0], SHUT_WR);
    struct vhu_device_options o = {.loop = loop, .fd = pair[1], .timeout_ms = 1000};
    struct virtio_device *dev = vhu_blk_create(&mem, 2, &o, NULL);
    if (dev) {
        drive(dev, loop);
        virtio_device_destroy(dev);
    }
    close(pair[0]);
    close(fds[1]);
    return 0;
}
