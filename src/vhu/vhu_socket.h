/* Paths of vhost-user sockets to descriptors: for launchers, command lines and tests, never from
 * inside the sandbox. */
#ifndef VHU_VHU_SOCKET_H
#define VHU_VHU_SOCKET_H

#include "base/err.h"

/* Connects to the back end that listens at `path`. Returns the descriptor or -errno: ENAMETOOLONG,
 * ECONNREFUSED, ENOENT. */
int vhu_socket_connect(const char *path, struct err *err);

#endif
