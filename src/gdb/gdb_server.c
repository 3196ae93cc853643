#include "gdb/gdb_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "gdb/gdb_internal.h"

static void hang_up(struct gdb_server *s)
{
    int fd = s->conn.fd;
    if (!s->conn.loop)
        return;
    loop_fd_remove(&s->conn);
    close(fd);
    s->waits = s->closing = false;
    s->ops->detach(s->target);
}

/* Sends what it can; the rest when the socket takes more. False: the peer is gone. */
static bool flush_out(struct gdb_server *s)
{
    while (s->sent < s->out_len) {
        ssize_t n = send(s->conn.fd, s->out + s->sent, s->out_len - s->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return false;
        s->sent += (size_t)n;
    }
    bool more = s->sent < s->out_len;
    if (!more && s->closing)
        return false;
    /* Nothing is read while an answer waits: a peer can make us hold one. */
    loop_fd_modify(&s->conn, more ? EPOLLOUT : EPOLLIN);
    return true;
}

/* Bytes in front of what is not sent yet stay for a NAK; there is room for one packet and
 * acknowledgements. */
static void put_packet(struct gdb_server *s)
{
    if (s->sent == s->out_len)
        s->sent = s->out_len = 0;
    if (s->out_len > sizeof(s->out) - (2 * s->reply_len + 4))
        return; /* a peer that asks without reading: its answers are lost */
    s->out_len += gdb_packet_encode(s->out + s->out_len, s->reply, s->reply_len);
}

static void put_ack(struct gdb_server *s, char ack)
{
    if (s->no_ack)
        return;
    if (s->sent == s->out_len)
        s->sent = s->out_len = 0;
    if (s->out_len < sizeof(s->out))
        s->out[s->out_len++] = ack;
}

static void answer(struct gdb_server *s)
{
    gdb_stop_reply(s);
    put_packet(s);
}

static void interrupt(struct gdb_server *s)
{
    if (!s->waits)
        return;
    s->waits = false;
    s->last = (struct gdb_stop){.kind = GDB_STOP_PAUSED, .thread = s->step_thread};
    if (s->ops->running(s->target))
        s->ops->interrupt(s->target);
    answer(s);
}

static void take(struct gdb_server *s, enum gdb_input what)
{
    switch (what) {
    case GDB_PACKET:
        put_ack(s, '+');
        if (gdb_command(s, s->in.data, s->in.len))
            put_packet(s);
        break;
    case GDB_BAD:
        put_ack(s, '-');
        break;
    case GDB_NAK:
        if (s->sent == s->out_len) /* the packet is still there */
            s->sent = 0;
        break;
    case GDB_INTERRUPT:
        interrupt(s);
        break;
    case GDB_ACK:
    case GDB_NOTHING:
        break;
    }
}

static void ready(struct loop_fd *w, uint32_t events)
{
    struct gdb_server *s = w->opaque;
    char bytes[512];
    ssize_t n = 0;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        n = recv(w->fd, bytes, sizeof(bytes), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            hang_up(s);
            return;
        }
    }
    for (ssize_t i = 0; i < n && !s->closing; i++)
        take(s, gdb_framer_feed(&s->in, (uint8_t)bytes[i]));
    if (!flush_out(s))
        hang_up(s);
}

int gdb_server_adopt(struct gdb_server *s, int fd, struct err *err)
{
    int ret;
    if (s->conn.loop) {
        close(fd);
        return err_set(err, EBUSY, "there is a debugger already: detach it first");
    }
    s->conn = (struct loop_fd){.ready = ready, .opaque = s};
    s->in = (struct gdb_framer){0};
    s->no_ack = s->physical = s->waits = s->closing = false;
    s->thread = s->step_thread = 0;
    s->out_len = s->sent = 0;
    s->last = (struct gdb_stop){.kind = GDB_STOP_PAUSED};
    ret = loop_fd_add(s->loop, &s->conn, fd, EPOLLIN);
    if (ret) {
        close(fd);
        return err_sys(err, -ret, "could not serve a debugger");
    }
    s->ops->attach(s->target);
    return 0;
}

static void on_connect(struct loop_fd *w, uint32_t events)
{
    struct gdb_server *s = w->opaque;
    struct err err = {0};
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && gdb_server_adopt(s, fd, &err))
        LOG_LIMITED(LOG_WARN, "gdb", "refused a debugger: %s", err.msg);
}

struct gdb_server *gdb_server_create(struct loop *loop, int listen_fd,
                                     const struct gdb_target_ops *ops, void *target,
                                     struct err *err)
{
    struct gdb_server *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "could not allocate the gdb server");
        return NULL;
    }
    *s = (struct gdb_server){.loop = loop, .ops = ops, .target = target};
    s->listener = (struct loop_fd){.ready = on_connect, .opaque = s};
    int ret = listen_fd < 0 ? 0 : loop_fd_add(loop, &s->listener, listen_fd, EPOLLIN);
    if (ret) {
        err_sys(err, -ret, "could not listen for a debugger");
        close(listen_fd);
        free(s);
        return NULL;
    }
    return s;
}

void gdb_server_destroy(struct gdb_server *s)
{
    if (!s)
        return;
    hang_up(s);
    if (s->listener.loop) {
        int fd = s->listener.fd;
        loop_fd_remove(&s->listener);
        close(fd);
    }
    free(s);
}

void gdb_server_stopped(struct gdb_server *s, const struct gdb_stop *why)
{
    s->last = *why;
    s->thread = s->step_thread = why->thread;
    if (!s->conn.loop || !s->waits)
        return;
    s->waits = false;
    answer(s);
    if (!flush_out(s))
        hang_up(s);
}
