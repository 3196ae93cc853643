/* The convention for vsock's unix sockets, by path: one listening socket, and beside it, with "_P"
 * behind its name, one for each port P that the guest may connect to. */
#ifndef DEV_VIRTIO_VIRTIO_VSOCK_PATH_H
#define DEV_VIRTIO_VIRTIO_VSOCK_PATH_H

#include <stdint.h>

#include "base/err.h"

/* Makes the listening socket, in place of a dead one of that name. For use outside the sandbox.
 * Returns the descriptor, or -errno: ENAMETOOLONG, EADDRINUSE (somebody listens there). */
int virtio_vsock_path_listen(const char *path, struct err *err);

/* A connector that finds the socket through a descriptor of its directory, which may have been
 * opened outside the sandbox. Needs /proc to name things below a descriptor. */
struct virtio_vsock_path {
    int dir_fd;
    char name[64];
};

/* Opens the directory of `path`. Errors: those of open(2), ENAMETOOLONG. */
int virtio_vsock_path_init(struct virtio_vsock_path *p, const char *path, struct err *err);
void virtio_vsock_path_fini(struct virtio_vsock_path *p);
/* A struct virtio_vsock_connector's connect(); `opaque` is the struct virtio_vsock_path. */
int virtio_vsock_path_connect(void *opaque, uint32_t port, uint64_t ticket);

#endif
