#include "dev/virtio/virtio_watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

static void kicked(struct loop_fd *fd, uint32_t events)
{
    struct virtio_watch *w = fd->opaque;
    uint64_t drained;
    ssize_t ignored = read(fd->fd, &drained, sizeof(drained));
    (void)ignored;
    if (!virtio_device_is_broken(w->dev) && w->serve(w))
        virtio_queue_kick(w->dev, w->queue);
}

static void start_in_loop(void *arg)
{
    struct virtio_watch *w = arg;
    w->result = loop_fd_add(w->loop, &w->fd, w->dev->queues[w->queue].kick_fd, EPOLLIN);
}

static void stop_in_loop(void *arg)
{
    struct virtio_watch *w = arg;
    loop_fd_remove(&w->fd);
}

int virtio_watch_start(struct virtio_watch *w, struct virtio_device *dev, unsigned queue,
                       struct loop *loop, bool (*serve)(struct virtio_watch *w), struct err *err)
{
    *w = (struct virtio_watch){
        .fd = {.ready = kicked, .opaque = w},
        .loop = loop,
        .dev = dev,
        .queue = queue,
        .serve = serve,
    };
    if (!dev->queues[queue].enabled)
        return 0;
    loop_call(loop, start_in_loop, w);
    if (w->result)
        return err_sys(err, -w->result, "could not watch queue %u of %s", queue, dev->ops->name);
    return 0;
}

void virtio_watch_stop(struct virtio_watch *w)
{
    if (w->loop)
        loop_call(w->loop, stop_in_loop, w);
}
