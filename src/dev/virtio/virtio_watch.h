/* Serves one virtqueue in an event loop: the usual way for a device to hand a queue to its I/O
 * thread. Embedded in the device, one a queue. */
#ifndef DEV_VIRTIO_VIRTIO_WATCH_H
#define DEV_VIRTIO_VIRTIO_WATCH_H

#include "dev/virtio/virtio_provider.h"
#include "io/loop.h"

struct virtio_watch {
    struct loop_fd fd;
    struct loop *loop;
    struct virtio_device *dev;
    unsigned queue;
    bool (*serve)(struct virtio_watch *w);
    int result;
};

/* From now on serve(w) runs in the loop's thread after each kick, unless the device is broken. It
 * handles what is in the ring up to a bound of its own and returns true if there is more (it is
 * called again after the other users of the loop had their turn). Does nothing and succeeds for a
 * queue that the driver did not enable. Blocks until the loop took it over (loop_call()).
 * Errors: those of epoll_ctl(2). */
int virtio_watch_start(struct virtio_watch *w, struct virtio_device *dev, unsigned queue,
                       struct loop *loop, bool (*serve)(struct virtio_watch *w), struct err *err);

/* On return serve() does not run and will not. Safe when not started. Blocks as above. */
void virtio_watch_stop(struct virtio_watch *w);

#endif
