#include "machine/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define BUFFER_BYTES (64 * KIB)
/* A pipe or terminal that poll() calls writable takes this much without blocking. */
#define CHUNK_BYTES 4096

struct serial_port {
    struct serial_port_config config;
    pthread_mutex_t lock; /* a leaf: the output side */
    int out_fd;
    bool out_is_file;
    uint64_t file_bytes;
    uint8_t *buffer; /* ring; allocated when first needed */
    size_t first, len;
    uint64_t dropped_bytes;
    struct loop_post want_write, feed;
    struct loop_fd listener, reader, writer;
    int write_fd; /* a duplicate that epoll can watch for writing beside reading */
    uint8_t pending[256];
    size_t pending_first, pending_len;
};

/* ---- output ---- */

/* Keeps the newer half of a file that has reached its bound. */
static void rotate(struct serial_port *s)
{
    uint8_t copy[4096];
    uint64_t keep = s->config.max_bytes / 2, from = s->file_bytes - MIN(keep, s->file_bytes);
    uint64_t to = 0;
    for (ssize_t n; from < s->file_bytes; from += (uint64_t)n, to += (uint64_t)n) {
        n = pread(s->out_fd, copy, sizeof(copy), (off_t)from);
        if (n <= 0 || pwrite(s->out_fd, copy, (size_t)n, (off_t)to) != n)
            break;
    }
    if (!ftruncate(s->out_fd, (off_t)to))
        s->file_bytes = to;
}

static void write_file(struct serial_port *s, const uint8_t *data, size_t len)
{
    if (s->config.max_bytes && s->file_bytes + len > s->config.max_bytes)
        rotate(s);
    ssize_t n = pwrite(s->out_fd, data, len, (off_t)s->file_bytes);
    s->file_bytes += n > 0 ? (uint64_t)n : 0;
    s->dropped_bytes += len - (n > 0 ? (size_t)n : 0);
}

/* Writes what the reader will take now. Returns how much. */
static size_t write_some(struct serial_port *s, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len && s->out_fd >= 0) {
        struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};
        if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
            break;
        ssize_t n = write(s->out_fd, data + done, MIN(len - done, CHUNK_BYTES));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static void drain(struct serial_port *s)
{
    while (s->len) {
        size_t run = MIN(s->len, BUFFER_BYTES - s->first);
        size_t n = write_some(s, s->buffer + s->first, run);
        s->first = (s->first + n) % BUFFER_BYTES;
        s->len -= n;
        if (n < run)
            break;
    }
}

static void enqueue(struct serial_port *s, const uint8_t *data, size_t len)
{
    if (!s->buffer)
        s->buffer = malloc(BUFFER_BYTES);
    if (!s->buffer) {
        s->dropped_bytes += len;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (s->len == BUFFER_BYTES) {
            s->first = (s->first + 1) % BUFFER_BYTES;
            s->len--;
            s->dropped_bytes++;
        }
        s->buffer[(s->first + s->len++) % BUFFER_BYTES] = data[i];
    }
}

void serial_port_output(struct serial_port *s, const uint8_t *data, size_t len)
{
    bool waiting = false;
    pthread_mutex_lock(&s->lock);
    if (s->out_is_file) {
        write_file(s, data, len);
    } else {
        drain(s);
        size_t n = s->len ? 0 : write_some(s, data, len);
        if (n < len)
            enqueue(s, data + n, len - n);
        waiting = s->len && s->out_fd >= 0;
    }
    pthread_mutex_unlock(&s->lock);
    if (waiting)
        loop_post(s->config.loop, &s->want_write);
}

static void writable(struct loop_fd *w, uint32_t events)
{
    struct serial_port *s = w->opaque;
    pthread_mutex_lock(&s->lock);
    drain(s);
    bool done = !s->len || (events & (EPOLLERR | EPOLLHUP));
    pthread_mutex_unlock(&s->lock);
    if (done)
        loop_fd_remove(w);
}

static void watch_writable(struct loop_post *p)
{
    struct serial_port *s = p->opaque;
    if (s->write_fd >= 0 && !s->writer.loop)
        loop_fd_add(s->config.loop, &s->writer, s->write_fd, EPOLLOUT);
}

uint64_t serial_port_dropped_bytes(const struct serial_port *s)
{
    return s->dropped_bytes;
}

/* ---- input ---- */

static void offer_pending(struct serial_port *s)
{
    while (s->pending_len) {
        size_t n = s->config.input(s->config.opaque, s->pending + s->pending_first, s->pending_len);
        s->pending_first += n;
        s->pending_len -= n;
        if (!n)
            return;
    }
    s->pending_first = 0;
}

static void set_out_fd(struct serial_port *s, int fd)
{
    loop_fd_remove(&s->writer);
    pthread_mutex_lock(&s->lock);
    if (s->write_fd >= 0)
        close(s->write_fd);
    s->out_fd = fd;
    s->write_fd = fd >= 0 && !s->out_is_file ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    bool backlog = s->len && fd >= 0;
    pthread_mutex_unlock(&s->lock);
    if (backlog)
        loop_post(s->config.loop, &s->want_write);
}

/* The peer is gone: a terminal stays closed, a socket waits for the next client. */
static void hang_up(struct serial_port *s)
{
    int fd = s->reader.fd;
    loop_fd_remove(&s->reader);
    if (!s->listener.loop)
        return;
    set_out_fd(s, -1);
    close(fd);
    s->reader.fd = -1;
}

static void readable(struct loop_fd *w, uint32_t events)
{
    struct serial_port *s = w->opaque;
    if (s->pending_len) {
        loop_fd_modify(w, 0); /* until the receiver has room */
        if (events & (EPOLLHUP | EPOLLERR))
            hang_up(s);
        return;
    }
    ssize_t n = read(w->fd, s->pending, sizeof(s->pending));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(s);
        return;
    }
    s->pending_len = (size_t)n;
    offer_pending(s);
}

static void feed(struct loop_post *p)
{
    struct serial_port *s = p->opaque;
    offer_pending(s);
    if (!s->pending_len && s->reader.loop)
        loop_fd_modify(&s->reader, EPOLLIN);
}

void serial_port_input_ready(struct serial_port *s)
{
    loop_post(s->config.loop, &s->feed);
}

static void accepted(struct loop_fd *w, uint32_t events)
{
    struct serial_port *s = w->opaque;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (s->reader.loop) {
        close(fd); /* one client at a time */
        return;
    }
    s->reader.fd = -1;
    if (loop_fd_add(s->config.loop, &s->reader, fd, EPOLLIN)) {
        close(fd);
        return;
    }
    set_out_fd(s, fd);
}

/* ---- life ---- */

struct serial_port *serial_port_create(const struct serial_port_config *config, struct err *err)
{
    struct serial_port *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "could not allocate a serial port");
        return NULL;
    }
    s->config = *config;
    s->out_fd = s->write_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    s->want_write = (struct loop_post){.run = watch_writable, .opaque = s};
    s->feed = (struct loop_post){.run = feed, .opaque = s};
    s->listener = (struct loop_fd){.fd = -1, .ready = accepted, .opaque = s};
    s->reader = (struct loop_fd){.fd = -1, .ready = readable, .opaque = s};
    s->writer = (struct loop_fd){.fd = -1, .ready = writable, .opaque = s};
    struct stat st;
    if (config->out_fd >= 0 && !fstat(config->out_fd, &st) && S_ISREG(st.st_mode)) {
        s->out_is_file = true;
        s->file_bytes = (uint64_t)st.st_size;
    }
    if (config->out_fd >= 0)
        set_out_fd(s, config->out_fd);
    int ret = 0;
    if (config->listen_fd >= 0)
        ret = loop_fd_add(config->loop, &s->listener, config->listen_fd, EPOLLIN);
    else if (config->in_fd >= 0)
        ret = loop_fd_add(config->loop, &s->reader, config->in_fd, EPOLLIN);
    if (ret && ret != -EPERM) { /* a file or /dev/null as input: there is nothing to wait for */
        err_sys(err, -ret, "could not watch the serial console");
        serial_port_destroy(s);
        return NULL;
    }
    return s;
}

void serial_port_destroy(struct serial_port *s)
{
    if (!s)
        return;
    if (!s->out_is_file)
        drain(s);
    loop_post_cancel(s->config.loop, &s->want_write);
    loop_post_cancel(s->config.loop, &s->feed);
    loop_fd_remove(&s->listener);
    loop_fd_remove(&s->writer);
    loop_fd_remove(&s->reader);
    if (s->config.listen_fd >= 0 && s->reader.fd >= 0)
        close(s->reader.fd);
    const int fds[] = {s->config.listen_fd, s->config.in_fd, s->write_fd,
                       s->config.out_fd == s->config.in_fd ? -1 : s->config.out_fd};
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&s->lock);
    free(s->buffer);
    free(s);
}
