/* One client: bytes in, requests out to the routes, answers back. At most one request is worked on
 * at a time and nothing is read while an answer waits to be written, so what a client can make us
 * hold is one request and one answer; what it can make us wait for ends at a deadline. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/util.h"
#include "control/control_internal.h"

#define IN_BYTES   (CONTROL_HTTP_HEAD_MAX_BYTES + CONTROL_HTTP_BODY_MAX_BYTES)
#define HEAD_ROOM  320
#define SECOND_NS  INT64_C(1000000000)
#define IDLE_NS    (300 * SECOND_NS) /* between requests */
#define REQUEST_NS (10 * SECOND_NS)  /* from a request's first byte to its last */
#define WRITE_NS   (10 * SECOND_NS)  /* without the client taking a byte */

static void drop_fds(struct control_fds *fds)
{
    for (unsigned i = 0; i < fds->n; i++)
        if (fds->fd[i] >= 0)
            close(fds->fd[i]);
    fds->n = 0;
}

void control_conn_destroy(struct control_conn *conn)
{
    struct control *c = conn->c;
    bool stop = conn->stop_after;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++)
        if (c->conns[i] == conn)
            c->conns[i] = NULL;
    int fd = conn->watch.fd;
    loop_fd_remove(&conn->watch);
    loop_timer_cancel(c->loop, &conn->deadline);
    close(fd);
    drop_fds(&conn->fds);
    free(conn->in);
    free(conn->out);
    free(conn);
    if (stop && c->stopped)
        c->stopped(c->vm);
}

static void set_deadline(struct control_conn *conn, int64_t in_ns)
{
    loop_timer_arm(conn->c->loop, &conn->deadline, loop_now_ns(conn->c->loop) + in_ns);
}

static void on_deadline(struct loop_timer *t)
{
    control_conn_destroy(t->opaque);
}

/* Writes what it can. Returns false when the connection is gone. */
static bool flush(struct control_conn *conn)
{
    while (conn->out_at < conn->out_len) {
        ssize_t n = send(conn->watch.fd, conn->out + conn->out_at, conn->out_len - conn->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            loop_fd_modify(&conn->watch, EPOLLOUT);
            return true;
        }
        if (n <= 0) {
            control_conn_destroy(conn);
            return false;
        }
        conn->out_at += (size_t)n;
        set_deadline(conn, WRITE_NS);
    }
    free(conn->out);
    conn->out = NULL;
    conn->out_at = conn->out_len = 0;
    if (conn->close_after) {
        control_conn_destroy(conn);
        return false;
    }
    if (conn->stop_after) {
        conn->stop_after = false;
        if (conn->c->stopped)
            conn->c->stopped(conn->c->vm);
    }
    loop_fd_modify(&conn->watch, EPOLLIN | EPOLLRDHUP);
    if (conn->streaming)
        loop_timer_cancel(conn->c->loop, &conn->deadline);
    else
        set_deadline(conn, conn->in_len ? REQUEST_NS : IDLE_NS);
    return true;
}

/* Head and body into conn->out. Without memory the connection closes. */
static void compose(struct control_conn *conn, int status, const char *type, const char *extra,
                    const char *body, size_t body_bytes)
{
    conn->out = malloc(HEAD_ROOM + body_bytes);
    if (!conn->out) {
        conn->close_after = true;
        return;
    }
    int n = snprintf(conn->out, HEAD_ROOM,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
                     status, control_http_status_text(status), type, body_bytes, extra,
                     conn->close_after ? "Connection: close\r\n" : "");
    memcpy(conn->out + n, body, body_bytes);
    conn->out_len = (size_t)n + body_bytes;
}

static void compose_problem(struct control_conn *conn, int status, const char *code,
                            const char *allow, const char *detail)
{
    char extra[64] = "";
    CLEANUP_FREE char *body = control_problem(status, code, detail);
    if (allow[0])
        snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
    compose(conn, status, "application/problem+json", extra, body ? body : "",
            body ? strlen(body) : 0);
}

/* What the parser refused: the rest of the stream cannot be trusted to begin a request. */
static void refuse(struct control_conn *conn, int status)
{
    static const struct {
        int status;
        const char *detail;
    } rows[] = {
        {413, "the body is over 65536 bytes"},
        {414, "the target is over 1024 bytes"},
        {417, "the only expectation that is met is 100-continue"},
        {431, "the request's head is over 8192 bytes or 32 fields"},
        {501, "transfer encodings are not taken: send a Content-Length"},
        {505, "the version is not taken: speak HTTP/1.1"},
    };
    const char *detail = "the request is not well-formed HTTP/1.1";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            detail = rows[i].detail;
    conn->close_after = true;
    conn->in_len = 0;
    compose_problem(conn, status, "bad-request", "", detail);
}

static bool too_many_streams(const struct control *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++)
        n += c->conns[i] && c->conns[i]->streaming;
    return n >= CONTROL_STREAMS_MAX;
}

static void begin_stream(struct control_conn *conn, uint64_t since)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
                               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    if (too_many_streams(conn->c)) {
        compose_problem(conn, 503, "try-again", "", "too many readers follow the events already");
        return;
    }
    conn->streaming = true;
    conn->next_event = since;
    conn->in_len = 0;
    conn->out = strdup(head);
    conn->out_len = conn->out ? sizeof(head) - 1 : 0;
    conn->close_after = !conn->out;
}

static void answer(struct control_conn *conn, const struct control_http_request *request,
                   const char *body)
{
    struct control_answer a = {0};
    control_route(conn->c, request, body, request->content_length, &conn->fds, &a);
    drop_fds(&conn->fds);
    conn->close_after = !request->keep_alive;
    conn->stop_after = a.stop;
    if (a.code)
        compose_problem(conn, a.status, a.code, a.allow, a.err.msg);
    else if (a.stream)
        begin_stream(conn, a.since);
    else
        compose(conn, a.status, a.lines ? "application/x-ndjson" : "application/json", "", a.body,
                strlen(a.body));
    free(a.body);
}

static void tell_to_continue(struct control_conn *conn)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!conn->told_to_continue)
        (void)!send(conn->watch.fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    conn->told_to_continue = true;
}

/* Answers the first request in the buffer if it is whole. Returns false when there is nothing to
 * do until more comes. */
static bool take_request(struct control_conn *conn)
{
    struct control_http_request request;
    if (!conn->in_len)
        return false;
    int head = control_http_parse(conn->in, conn->in_len, &request);
    if (head < 0) {
        refuse(conn, -head);
        return true;
    }
    if (head == 0)
        return false;
    size_t whole = (size_t)head + request.content_length;
    if (conn->in_len < whole) {
        if (request.expects_continue)
            tell_to_continue(conn);
        return false;
    }
    conn->told_to_continue = false;
    answer(conn, &request, conn->in + head);
    if (conn->in_len >= whole) {
        conn->in_len -= whole;
        memmove(conn->in, conn->in + whole, conn->in_len);
    }
    return true;
}

/* Answers what is there, as long as the client takes the answers. */
static void work(struct control_conn *conn)
{
    while (!conn->out && !conn->streaming && take_request(conn))
        if (!flush(conn))
            return;
    if (conn->streaming)
        control_conn_stream(conn);
}

void control_conn_stream(struct control_conn *conn)
{
    while (!conn->out && conn->next_event < conn->c->last_event) {
        size_t n = 0;
        CLEANUP_FREE char *text = control_events_text(conn->c, &conn->next_event, &n);
        conn->out = text && n ? malloc(n + 32) : NULL;
        if (!conn->out) {
            control_conn_destroy(conn);
            return;
        }
        int head = snprintf(conn->out, 32, "%zx\r\n", n);
        memcpy(conn->out + head, text, n);
        memcpy(conn->out + head + n, "\r\n", 2);
        conn->out_len = (size_t)head + n + 2;
        set_deadline(conn, WRITE_NS);
        if (!flush(conn))
            return;
    }
}

static void take_fds(struct control_conn *conn, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (conn->fds.n < CONTROL_FDS_MAX)
                conn->fds.fd[conn->fds.n++] = fd;
            else
                close(fd);
        }
    }
}

/* Returns the bytes read, 0 at the client's end, -EAGAIN or another error. */
static ssize_t receive(struct control_conn *conn, void *into, size_t room)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {into, room};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(conn->watch.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    take_fds(conn, &msg);
    return n;
}

static void on_readable(struct control_conn *conn)
{
    char ignored[256];
    bool stream = conn->streaming;
    ssize_t n = stream ? receive(conn, ignored, sizeof(ignored))
                       : receive(conn, conn->in + conn->in_len, IN_BYTES - conn->in_len);
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0) {
        control_conn_destroy(conn);
        return;
    }
    if (stream) { /* a client that follows events has nothing more to say */
        drop_fds(&conn->fds);
        return;
    }
    if (!conn->in_len)
        set_deadline(conn, REQUEST_NS);
    conn->in_len += (size_t)n;
    work(conn);
}

static void on_ready(struct loop_fd *w, uint32_t events)
{
    struct control_conn *conn = w->opaque;
    if (conn->out) {
        if (events & (EPOLLERR | EPOLLHUP))
            control_conn_destroy(conn);
        else if (flush(conn))
            work(conn);
        return;
    }
    on_readable(conn);
}

bool control_conn_evict(struct control *c)
{
    struct control_conn *oldest = NULL;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++) {
        struct control_conn *conn = c->conns[i];
        if (conn && !conn->in_len && !conn->out && !conn->streaming &&
            (!oldest || conn->deadline.due.at < oldest->deadline.due.at))
            oldest = conn;
    }
    if (oldest)
        control_conn_destroy(oldest);
    return oldest != NULL;
}

int control_conn_create(struct control *c, int fd, struct err *err)
{
    CLEANUP_CLOSE int owned = fd;
    unsigned slot = 0;
    while (slot < CONTROL_CONNS_MAX && c->conns[slot])
        slot++;
    if (slot == CONTROL_CONNS_MAX)
        return err_set(err, ENOSPC, "over %d API connections at once", CONTROL_CONNS_MAX);
    struct control_conn *conn = calloc(1, sizeof(*conn));
    if (conn)
        conn->in = malloc(IN_BYTES);
    if (!conn || !conn->in) {
        free(conn);
        return err_set(err, ENOMEM, "no memory for an API connection");
    }
    conn->c = c;
    conn->watch.ready = on_ready;
    conn->watch.opaque = conn;
    conn->deadline.expired = on_deadline;
    conn->deadline.opaque = conn;
    int r = loop_fd_add(c->loop, &conn->watch, fd, EPOLLIN | EPOLLRDHUP);
    if (r) {
        free(conn->in);
        free(conn);
        return err_sys(err, -r, "could not watch an API connection");
    }
    steal_fd(&owned);
    c->conns[slot] = conn;
    set_deadline(conn, IDLE_NS);
    return 0;
}
