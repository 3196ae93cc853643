/* The API's server: bytes from a client, in pieces, against a VM that is not there. The first byte
 * sets the size of the pieces. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control_null.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void turn(struct loop *loop, int fd)
{
    char back[4096];
    while (loop_run_once(loop, 0) > 0)
        ;
    while (recv(fd, back, sizeof(back), MSG_DONTWAIT) > 0)
        while (loop_run_once(loop, 0) > 0)
            ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return 0;
    size_t piece = data[0] ? data[0] * 16u : 1 + size / 64;
    struct control_null vm;
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    log_setup(STDERR_FILENO, LOG_ERROR, NULL);
    control_null_init(&vm);
    struct control_config config = {
        .listen_fd = -1, .ops = &control_null_ops, .vm = &vm, .stopped = control_null_stopped};
    struct control *c = control_create(loop, &config, NULL);
    if (!c || control_adopt(c, pair[0], NULL))
        abort();
    control_event(c, VM_API_EVENT_RESET, NULL, "seed");
    for (size_t at = 1; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (send(pair[1], data + at, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
        turn(loop, pair[1]);
    }
    loop_advance_ns(loop, INT64_C(400000000000));
    turn(loop, pair[1]);
    close(pair[1]);
    turn(loop, pair[1]);
    control_destroy(c);
    control_null_fini(&vm);
    loop_destroy(loop);
    return 0;
}
