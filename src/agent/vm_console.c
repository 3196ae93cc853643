#include "agent/vm_console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"

#define AGAIN_NS   INT64_C(50000000)
#define READ_BYTES 16384

struct vm_console {
    struct loop *loop;
    const char *path;
    const struct vm_console_ops *ops;
    void *opaque;
    int fd; /* -1: not connected */
    struct loop_fd watch;
    struct loop_timer again;
    bool runs;

    char *log; /* a ring, made when the guest first says something */
    uint64_t said_bytes;
    char *input;
    size_t input_bytes;
    unsigned n_streams;
    uint32_t streams[VM_CONSOLE_STREAMS_MAX];
};

static void end_all(struct vm_console *c, const char *why)
{
    while (c->n_streams) {
        uint32_t stream = c->streams[--c->n_streams];
        c->ops->end(c->opaque, stream, why);
    }
}

static void disconnect(struct vm_console *c)
{
    if (c->fd < 0)
        return;
    loop_fd_remove(&c->watch);
    close(c->fd);
    c->fd = -1;
    c->input_bytes = 0;
}

static void try_later(struct vm_console *c)
{
    if (c->runs)
        loop_timer_arm(c->loop, &c->again, loop_now_ns(c->loop) + AGAIN_NS);
}

/* ---- what the guest says ---- */

static void keep(struct vm_console *c, const char *data, size_t bytes)
{
    if (!c->log)
        c->log = malloc(VM_CONSOLE_LOG_BYTES);
    for (size_t done = 0; c->log && done < bytes;) {
        size_t at = (size_t)(c->said_bytes % VM_CONSOLE_LOG_BYTES);
        size_t n = MIN(bytes - done, VM_CONSOLE_LOG_BYTES - at);
        memcpy(c->log + at, data + done, n);
        c->said_bytes += n;
        done += n;
    }
}

static void read_output(struct vm_console *c)
{
    char data[READ_BYTES];
    ssize_t n = read(c->fd, data, sizeof(data));
    if (n > 0) {
        keep(c, data, (size_t)n);
        for (unsigned i = c->n_streams; i-- > 0;)
            c->ops->output(c->opaque, c->streams[i], data, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        disconnect(c);
        try_later(c);
    }
}

static void write_input(struct vm_console *c)
{
    ssize_t n = send(c->fd, c->input, c->input_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        c->input_bytes -= (size_t)n;
        memmove(c->input, c->input + n, c->input_bytes);
    }
    loop_fd_modify(&c->watch, EPOLLIN | (c->input_bytes ? EPOLLOUT : 0));
}

static void ready(struct loop_fd *w, uint32_t events)
{
    struct vm_console *c = container_of(w, struct vm_console, watch);
    if (events & EPOLLOUT && c->input_bytes)
        write_input(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_output(c);
}

/* ---- connecting ---- */

static void try_now(struct vm_console *c)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!c->runs || c->fd >= 0)
        return;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", c->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    c->watch.ready = ready;
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)) &&
        !loop_fd_add(c->loop, &c->watch, fd, EPOLLIN)) {
        c->fd = fd;
        return;
    }
    if (fd >= 0)
        close(fd);
    try_later(c);
}

static void time_to_try(struct loop_timer *t)
{
    try_now(container_of(t, struct vm_console, again));
}

void vm_console_follow(struct vm_console *c, bool runs)
{
    if (c->runs == runs)
        return;
    c->runs = runs;
    if (runs) {
        try_now(c);
        return;
    }
    loop_timer_cancel(c->loop, &c->again);
    for (unsigned i = 0; c->fd >= 0 && i < 64; i++) /* its last words */
        read_output(c);
    disconnect(c);
    loop_timer_cancel(c->loop, &c->again);
    end_all(c, "the VM has ended");
}

/* ---- from outside ---- */

struct vm_console *vm_console_create(struct loop *loop, const char *path,
                                     const struct vm_console_ops *ops, void *opaque)
{
    struct vm_console *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct vm_console){.loop = loop, .path = path, .ops = ops, .opaque = opaque, .fd = -1};
    c->again.expired = time_to_try;
    return c;
}

void vm_console_destroy(struct vm_console *c)
{
    if (!c)
        return;
    loop_timer_cancel(c->loop, &c->again);
    disconnect(c);
    end_all(c, "the agent lets go of the VM");
    free(c->log);
    free(c->input);
    free(c);
}

int vm_console_open(struct vm_console *c, uint32_t stream)
{
    if (!c->runs)
        return -ENOTCONN;
    if (vm_console_has(c, stream))
        return -EEXIST;
    if (c->n_streams == VM_CONSOLE_STREAMS_MAX)
        return -EMFILE;
    c->streams[c->n_streams++] = stream;
    return 0;
}

bool vm_console_has(const struct vm_console *c, uint32_t stream)
{
    for (unsigned i = 0; i < c->n_streams; i++)
        if (c->streams[i] == stream)
            return true;
    return false;
}

void vm_console_close(struct vm_console *c, uint32_t stream)
{
    for (unsigned i = 0; i < c->n_streams; i++)
        if (c->streams[i] == stream) {
            c->streams[i] = c->streams[--c->n_streams];
            return;
        }
}

void vm_console_close_all(struct vm_console *c)
{
    c->n_streams = 0;
}

void vm_console_input(struct vm_console *c, const char *data, size_t bytes)
{
    if (c->fd < 0)
        return;
    if (!c->input)
        c->input = malloc(VM_CONSOLE_INPUT_BYTES);
    size_t n = c->input ? MIN(bytes, VM_CONSOLE_INPUT_BYTES - c->input_bytes) : 0;
    if (!n)
        return;
    memcpy(c->input + c->input_bytes, data, n);
    c->input_bytes += n;
    write_input(c);
}

char *vm_console_log(const struct vm_console *c, size_t max, size_t *bytes, bool *truncated)
{
    size_t kept = (size_t)MIN(c->said_bytes, (uint64_t)VM_CONSOLE_LOG_BYTES);
    size_t n = c->log ? MIN(kept, max) : 0;
    char *text = malloc(n + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < n; i++)
        text[i] = c->log[(c->said_bytes - n + i) % VM_CONSOLE_LOG_BYTES];
    text[n] = 0;
    *bytes = n;
    *truncated = c->said_bytes > n;
    return text;
}
