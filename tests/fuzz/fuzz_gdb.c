/* A debugger that sends anything. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gdb/gdb_server.h"
#include "gdb/gdb_target_null.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gdb_target_null target = {0};
    struct loop *loop = loop_create(0, NULL);
    struct gdb_server *server = gdb_server_create(loop, -1, &gdb_target_null_ops, &target, NULL);
    int fds[2];
    char heard[4096];
    if (!server || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ||
        gdb_server_adopt(server, fds[1], NULL))
        abort();
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fds[0], data + at, size - at > 400 ? 400 : size - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
        loop_run_once(loop, 0);
        if (target.running) { /* what runs stops by itself */
            const struct gdb_stop stop = {GDB_STOP_STEP, target.steps & 1, 0};
            target.running = false;
            gdb_server_stopped(server, &stop);
        }
        if (data[at - 1] & 1) /* sometimes nobody reads */
            while (recv(fds[0], heard, sizeof(heard), 0) > 0)
                ;
    }
    gdb_server_destroy(server);
    loop_destroy(loop);
    close(fds[0]);
    return 0;
}
