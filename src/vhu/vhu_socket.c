#include "vhu/vhu_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"

int vhu_socket_connect(const char *path, struct err *err)
{
    size_t len = strlen(path);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (len >= sizeof(addr.sun_path))
        return err_set(err, ENAMETOOLONG, "socket path '%s' is longer than %zu bytes", path,
                       sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, len + 1);
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(err, errno, "could not create a socket for '%s'", path);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return err_sys(err, errno, "could not connect to the vhost-user back end at '%s'", path);
    return steal_fd(&fd);
}
