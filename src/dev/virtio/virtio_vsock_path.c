#include "dev/virtio/virtio_vsock_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"

#define BACKLOG 64

static int try_listen(int fd, const struct sockaddr_un *a)
{
    return bind(fd, (const void *)a, sizeof(*a)) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
}

/* A socket file that nobody listens on is what a killed process leaves behind. */
static bool is_dead(const struct sockaddr_un *a)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (const void *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;
}

int virtio_vsock_path_listen(const char *path, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof(a.sun_path))
        return err_set(err, ENAMETOOLONG, "vsock path '%s' is not 1 to %zu bytes long", path,
                       sizeof(a.sun_path) - 1);
    memcpy(a.sun_path, path, strlen(path) + 1);
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, errno, "could not make a socket for '%s'", path);
    int ret = try_listen(fd, &a);
    if (ret == -EADDRINUSE && is_dead(&a) && unlink(path) == 0)
        ret = try_listen(fd, &a);
    if (ret == -EADDRINUSE)
        return err_set(err, EADDRINUSE,
                       "cannot listen on '%s': another process does, or it is no socket; choose "
                       "another vsock path",
                       path);
    if (ret)
        return err_sys(err, -ret, "could not listen on '%s'", path);
    return steal_fd(&fd);
}

int virtio_vsock_path_init(struct virtio_vsock_path *p, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char dir[4096] = ".";
    p->dir_fd = -1;
    if (!*name || strlen(name) >= sizeof(p->name) || (size_t)(name - path) >= sizeof(dir))
        return err_set(err, ENAMETOOLONG, "the last part of vsock path '%s' is not 1 to %zu bytes",
                       path, sizeof(p->name) - 1);
    if (slash) {
        memcpy(dir, path, (size_t)(name - path));
        dir[name - path] = 0;
    }
    memcpy(p->name, name, strlen(name) + 1);
    p->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->dir_fd < 0 ? err_sys(err, errno, "could not open directory '%s'", dir) : 0;
}

void virtio_vsock_path_fini(struct virtio_vsock_path *p)
{
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    p->dir_fd = -1;
}

int virtio_vsock_path_connect(void *opaque, uint32_t port, uint64_t ticket)
{
    const struct virtio_vsock_path *p = opaque;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s_%u", p->dir_fd, p->name,
                     port);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A unix socket's connect() is done at once, or refused: EAGAIN if the backlog is full. */
    if (fd < 0 || connect(fd, (const void *)&a, sizeof(a)) < 0)
        return errno == EINPROGRESS ? -EAGAIN : -errno;
    return steal_fd(&fd);
}
