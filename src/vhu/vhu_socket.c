#include "vhu/vhu_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"

static int open_socket(const char *path, struct sockaddr_un *addr, struct err *err)
{
    size_t len = strlen(path);
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len >= sizeof(addr->sun_path))
        return err_set(err, ENAMETOOLONG, "socket path '%s' is longer than %zu bytes", path,
                       sizeof(addr->sun_path) - 1);
    memcpy(addr->sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? err_sys(err, errno, "could not create a socket for '%s'", path) : fd;
}

int vhu_socket_connect(const char *path, struct err *err)
{
    struct sockaddr_un addr;
    CLEANUP_CLOSE int fd = open_socket(path, &addr, err);
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return err_sys(err, errno, "could not connect to the vhost-user back end at '%s'", path);
    return steal_fd(&fd);
}

int vhu_socket_listen(const char *path, struct err *err)
{
    struct sockaddr_un addr;
    CLEANUP_CLOSE int fd = open_socket(path, &addr, err);
    if (fd < 0)
        return fd;
    int ret = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
    if (ret < 0 && errno == EADDRINUSE) {
        CLEANUP_CLOSE int probe = vhu_socket_connect(path, NULL);
        errno = EADDRINUSE;
        if (probe == -ECONNREFUSED && unlink(path) == 0)
            ret = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
    }
    if (ret < 0 || listen(fd, 8) < 0)
        return err_sys(err, errno, "could not listen at '%s'", path);
    return steal_fd(&fd);
}
