/* Two connections (struct conn) to the same socket: one for requests, one for events. Each has an
 * answer being read; what is to be sent waits in `out`. */
#include "agent/vm_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/vm_reply.h"
#include "base/util.h"
#include "vmmapi/vm_api.h"

#define REQUEST "%s %s HTTP/1.1\r\nHost: vm\r\nContent-Length: %zu\r\n\r\n%s"

struct request {
    struct request *next;
    vm_client_done *done;
    void *opaque;
    unsigned n_fds; /* go with its first bytes, and are closed when it is over */
    int fds[VM_CLIENT_FDS_MAX];
    size_t bytes;
    char text[];
};

struct conn {
    struct vm_client *client;
    struct loop_fd fd; /* .fd is -1 while not connected */
    struct vm_reply reply;
    char *in; /* the body so far, or the beginning of an event */
    size_t in_bytes, in_max_bytes;
    int in_error;
    size_t sent_bytes;
};

struct vm_client {
    struct loop *loop;
    struct sockaddr_un address;
    struct conn calls, events;
    struct request *first, **end;
    struct loop_timer timeout; /* of the first request */
    struct loop_post start;    /* `done` is never called from vm_client_request() */
    vm_client_event *event;
    void *event_opaque;
    char *follow; /* the request for events */
};

static int connect_to(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return fd;
    int ret = -errno;
    close(fd);
    return ret;
}

static int set_address(struct sockaddr_un *a, const char *path)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a->sun_path))
        return -ENAMETOOLONG;
    strcpy(a->sun_path, path);
    return 0;
}

int vm_client_pid(const char *path, pid_t *pid)
{
    struct sockaddr_un address;
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    int fd = set_address(&address, path);
    if (!fd)
        fd = connect_to(&address);
    if (fd < 0)
        return fd;
    int ret = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ? -errno : 0;
    close(fd);
    if (!ret)
        *pid = peer.pid;
    return ret;
}

static void disconnect(struct conn *c)
{
    if (c->fd.fd < 0)
        return;
    loop_fd_remove(&c->fd);
    close(c->fd.fd);
    c->fd.fd = -1;
    c->in_bytes = 0;
    c->in_error = 0;
    c->sent_bytes = 0;
}

static int open_conn(struct conn *c)
{
    int fd = connect_to(&c->client->address);
    if (fd < 0)
        return fd;
    vm_reply_init(&c->reply);
    c->in_bytes = c->sent_bytes = 0;
    c->in_error = 0;
    int ret = loop_fd_add(c->client->loop, &c->fd, fd, EPOLLIN | EPOLLOUT);
    if (ret) {
        close(fd);
        c->fd.fd = -1;
    }
    return ret;
}

static ssize_t send_with_fds(int fd, const char *text, size_t bytes, const int *fds, unsigned n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(VM_CLIENT_FDS_MAX * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {(void *)(uintptr_t)text, bytes};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS,
                                      .cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
    memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Sends what is left of `text`; the loop is asked to say when there is room for more. */
static int send_some(struct conn *c, const char *text, size_t bytes, const int *fds, unsigned n_fds)
{
    while (c->sent_bytes < bytes) {
        ssize_t n = !c->sent_bytes && n_fds
                        ? send_with_fds(c->fd.fd, text, bytes, fds, n_fds)
                        : send(c->fd.fd, text + c->sent_bytes, bytes - c->sent_bytes, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        c->sent_bytes += (size_t)n;
    }
    return loop_fd_modify(&c->fd, EPOLLIN);
}

static void start_timeout(struct vm_client *c)
{
    loop_timer_arm(c->loop, &c->timeout,
                   loop_now_ns(c->loop) + VM_CLIENT_TIMEOUT_MS * INT64_C(1000000));
}

static void close_fds(const int *fds, unsigned n_fds)
{
    for (unsigned i = 0; i < n_fds; i++)
        close(fds[i]);
}

/* Answers the first request and goes on with the next. */
static void finish(struct vm_client *c, int status)
{
    struct request *r = c->first;
    size_t bytes = status > 0 ? c->calls.in_bytes : 0;
    loop_timer_cancel(c->loop, &c->timeout);
    if (status < 0 || c->calls.reply.closes)
        disconnect(&c->calls);
    c->first = r->next;
    if (!c->first)
        c->end = &c->first;
    c->calls.in_bytes = c->calls.sent_bytes = 0;
    c->calls.in[bytes] = 0;
    close_fds(r->fds, r->n_fds);
    r->done(r->opaque, status, c->calls.in, bytes);
    free(r);
    if (c->first)
        loop_post(c->loop, &c->start);
}

static void go_on(struct loop_post *p)
{
    struct vm_client *c = container_of(p, struct vm_client, start);
    int ret = 0;
    if (!c->first)
        return;
    if (c->calls.fd.fd < 0)
        ret = open_conn(&c->calls);
    else
        vm_reply_init(&c->calls.reply);
    if (!ret) {
        start_timeout(c);
        c->calls.sent_bytes = 0;
        ret = loop_fd_modify(&c->calls.fd, EPOLLIN | EPOLLOUT);
    }
    if (ret)
        finish(c, ret);
}

static void timed_out(struct loop_timer *t)
{
    struct vm_client *c = container_of(t, struct vm_client, timeout);
    if (c->first)
        finish(c, -ETIMEDOUT);
}

static void take_body(void *opaque, const char *data, size_t bytes)
{
    struct conn *c = opaque;
    if (c->in_error || bytes > c->in_max_bytes - c->in_bytes) {
        c->in_error = -EBADMSG;
        return;
    }
    memcpy(c->in + c->in_bytes, data, bytes);
    c->in_bytes += bytes;
}

/* Whole lines are events; what is left is the beginning of one. */
static void take_events(void *opaque, const char *data, size_t bytes)
{
    struct conn *c = opaque;
    if (c->reply.status != 200)
        return;
    while (bytes && !c->in_error && c->client->event) {
        const char *end = memchr(data, '\n', bytes);
        size_t n = end ? (size_t)(end - data) : bytes;
        take_body(c, data, n);
        data += n;
        bytes -= n;
        if (!end || c->in_error)
            continue;
        data++;
        bytes--;
        c->in[c->in_bytes] = 0;
        c->in_bytes = 0;
        c->client->event(c->client->event_opaque, c->in, 0);
    }
}

/* Reads once. 1: the answer is whole. */
static int receive_some(struct conn *c, void (*body)(void *, const char *, size_t))
{
    char data[16384];
    size_t used;
    ssize_t n = recv(c->fd.fd, data, sizeof(data), 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    int ret = vm_reply_feed(&c->reply, data, (size_t)n, body, c, &used);
    if (ret || c->in_error)
        return -EBADMSG;
    if (c->reply.part != VM_REPLY_DONE)
        return 0;
    return used == (size_t)n ? 1 : -EBADMSG; /* nothing was asked that could follow */
}

static void calls_ready(struct loop_fd *w, uint32_t events)
{
    struct vm_client *c = container_of(w, struct vm_client, calls.fd);
    struct request *r = c->first;
    int ret = 0;
    if (!r) { /* between requests: the monitor closed it, or it said what nobody asked */
        disconnect(&c->calls);
        return;
    }
    if (events & EPOLLOUT)
        ret = send_some(&c->calls, r->text, r->bytes, r->fds, r->n_fds);
    if (!ret && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        ret = receive_some(&c->calls, take_body);
    if (ret < 0)
        finish(c, ret == -EPIPE ? -ECONNRESET : ret);
    else if (ret)
        finish(c, c->calls.reply.status);
}

static void end_events(struct vm_client *c, int status)
{
    vm_client_event *event = c->event;
    c->event = NULL;
    disconnect(&c->events);
    if (event)
        event(c->event_opaque, NULL, status);
}

static void events_ready(struct loop_fd *w, uint32_t events)
{
    struct vm_client *c = container_of(w, struct vm_client, events.fd);
    int ret = 0;
    if (events & EPOLLOUT)
        ret = send_some(&c->events, c->follow, strlen(c->follow), NULL, 0);
    if (!ret && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        ret = receive_some(&c->events, take_events);
    if (ret)
        end_events(c, ret < 0 ? ret : c->events.reply.status == 200 ? 0 : -EBADMSG);
}

struct vm_client *vm_client_create(struct loop *loop, const char *path, struct err *err)
{
    struct vm_client *c = calloc(1, sizeof(*c));
    if (c) {
        c->calls.in = malloc(VM_CLIENT_ANSWER_MAX_BYTES + 1);
        c->events.in = malloc(VM_CLIENT_EVENT_MAX_BYTES + 1);
    }
    if (!c || !c->calls.in || !c->events.in) {
        err_set(err, ENOMEM, "could not allocate a client of %s", path);
        goto failed;
    }
    c->calls.in_max_bytes = VM_CLIENT_ANSWER_MAX_BYTES;
    c->events.in_max_bytes = VM_CLIENT_EVENT_MAX_BYTES;
    c->calls.client = c->events.client = c;
    c->calls.fd.fd = c->events.fd.fd = -1;
    c->calls.fd.ready = calls_ready;
    c->events.fd.ready = events_ready;
    c->loop = loop;
    c->end = &c->first;
    c->timeout.expired = timed_out;
    c->start.run = go_on;
    if (set_address(&c->address, path) == 0)
        return c;
    err_set(err, ENAMETOOLONG, "cannot use the socket %s: a path of at most %zu bytes is allowed",
            path, sizeof(c->address.sun_path) - 1);
failed:
    if (c) {
        free(c->calls.in);
        free(c->events.in);
    }
    free(c);
    return NULL;
}

void vm_client_destroy(struct vm_client *c)
{
    if (!c)
        return;
    loop_post_cancel(c->loop, &c->start);
    while (c->first) {
        finish(c, -ECANCELED);
        loop_post_cancel(c->loop, &c->start);
    }
    end_events(c, -ECANCELED);
    disconnect(&c->calls);
    free(c->calls.in);
    free(c->events.in);
    free(c->follow);
    free(c);
}

int vm_client_request(struct vm_client *c, const char *method, const char *target, const char *body,
                      vm_client_done *done, void *opaque)
{
    return vm_client_request_fds(c, method, target, body, NULL, 0, done, opaque);
}

int vm_client_request_fds(struct vm_client *c, const char *method, const char *target,
                          const char *body, const int *fds, unsigned n_fds, vm_client_done *done,
                          void *opaque)
{
    size_t body_bytes = body ? strlen(body) : 0;
    body = body ? body : "";
    int n = snprintf(NULL, 0, REQUEST, method, target, body_bytes, body);
    struct request *r = n_fds <= VM_CLIENT_FDS_MAX ? malloc(sizeof(*r) + (size_t)n + 1) : NULL;
    if (!r) {
        close_fds(fds, n_fds);
        return n_fds <= VM_CLIENT_FDS_MAX ? -ENOMEM : -E2BIG;
    }
    r->n_fds = n_fds;
    if (n_fds)
        memcpy(r->fds, fds, n_fds * sizeof(*fds));
    r->next = NULL;
    r->done = done;
    r->opaque = opaque;
    r->bytes = (size_t)n;
    snprintf(r->text, (size_t)n + 1, REQUEST, method, target, body_bytes, body);
    bool idle = !c->first;
    *c->end = r;
    c->end = &r->next;
    if (idle)
        loop_post(c->loop, &c->start);
    return 0;
}

int vm_client_follow(struct vm_client *c, uint64_t since, vm_client_event *event, void *opaque)
{
    char *follow;
    if (asprintf(&follow, "GET %s?since=%llu HTTP/1.1\r\nHost: vm\r\n\r\n", VM_API_PATH_EVENTS,
                 (unsigned long long)since) < 0)
        return -ENOMEM;
    disconnect(&c->events);
    free(c->follow);
    c->follow = follow;
    c->event = NULL;
    int ret = open_conn(&c->events);
    if (ret)
        return ret;
    c->event = event;
    c->event_opaque = opaque;
    return 0;
}
