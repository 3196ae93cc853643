/* virtio-vsock, hybrid: the host's end of each of the guest's connections is a unix stream socket,
 * so no kernel module is needed and nothing of the host is reachable but what was given.
 *
 *  - Host to guest: a client connects to the listening socket, sends "CONNECT <port>\n", and, once
 *    the guest has accepted, gets "OK <host port>\n"; what follows is the connection's data. If the
 *    guest refuses, or does not answer in time, the socket is closed instead.
 *  - Guest to host (context id 2), port P: a `connector` says which unix socket that is; by
 *    convention the listening socket's path with "_P" behind it: dev/virtio/virtio_vsock_path.h.
 *
 * Connections do not survive a restore in another process: the guest is told by a transport reset
 * event. Spec: virtio 1.2, 5.10. */
#ifndef DEV_VIRTIO_VIRTIO_VSOCK_H
#define DEV_VIRTIO_VIRTIO_VSOCK_H

#include "dev/virtio/virtio.h"
#include "io/loop.h"
#include "mem/guest_mem.h"

#define VIRTIO_VSOCK_CONNECTIONS_MAX 1024

/* Gives the host's end of a connection that the guest asks for. Called in the loop's thread. */
struct virtio_vsock_connector {
    /* Returns a connected stream socket, which the device takes over; -EINPROGRESS if
     * virtio_vsock_connected() will be called with `ticket`; any other -errno refuses. May be NULL:
     * all are refused. Must not block. */
    int (*connect)(void *opaque, uint32_t port, uint64_t ticket);
    void *opaque;
};

struct virtio_vsock_options {
    uint64_t guest_cid;       /* 3 to 2^32 - 2 */
    int listen_fd;            /* listening unix stream socket, owned by the device; -1: none */
    struct loop *loop;        /* borrowed */
    unsigned max_connections; /* 0: 256 */
    struct virtio_vsock_connector connector;
};

/* Owns: takes options->listen_fd, also when it fails. Errors: EINVAL (context id, number of
 * connections), ENOMEM, those of epoll_ctl(2). */
struct virtio_device *virtio_vsock_create(struct guest_mem *mem,
                                          const struct virtio_vsock_options *options,
                                          struct err *err);

/* The answer to a connect() that returned -EINPROGRESS: a connected stream socket, which is taken
 * over (and closed if nobody waits for it any more), or -errno. Threads: any, while the device
 * exists. */
void virtio_vsock_connected(struct virtio_device *dev, uint64_t ticket, int fd_or_errno);

struct virtio_vsock_counters {
    uint64_t rx_bytes, tx_bytes; /* payload to and from the guest */
    uint64_t connections;        /* opened since creation */
    uint64_t open;               /* in use now, in whatever state */
    uint64_t dropped;            /* packets that were not for us */
};
/* Threads: any. */
void virtio_vsock_counters_get(struct virtio_device *dev, struct virtio_vsock_counters *out);

#endif
