/* The connections of virtio-vsock, from the first word to the last: the host's side of both kinds
 * of beginning, and what ends them. Their data: virtio_vsock_data.c. See virtio_vsock_internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dev/virtio/virtio_vsock_internal.h"

static void on_socket(struct loop_fd *w, uint32_t events);
static void on_timer(struct loop_timer *t);

/* ---- lists ---- */

static struct vsock_conn **bucket(struct virtio_vsock *vs, uint32_t host_port, uint32_t guest_port)
{
    uint32_t h = (host_port * 31 + guest_port) * UINT32_C(2654435761);
    return &vs->buckets[h >> 24];
}
static_assert(VSOCK_BUCKETS == 256, "the hash gives 8 bits");

struct vsock_conn *virtio_vsock_conn_find(struct virtio_vsock *vs, uint32_t host_port,
                                          uint32_t guest_port)
{
    struct vsock_conn *c = *bucket(vs, host_port, guest_port);
    while (c && (c->host_port != host_port || c->guest_port != guest_port))
        c = c->hash_next;
    return c;
}

static void hash_add(struct vsock_conn *c)
{
    struct vsock_conn **at = bucket(c->vs, c->host_port, c->guest_port);
    c->hash_next = *at;
    *at = c;
}

static void hash_remove(struct vsock_conn *c)
{
    struct vsock_conn **at = bucket(c->vs, c->host_port, c->guest_port);
    while (*at && *at != c)
        at = &(*at)->hash_next;
    if (*at)
        *at = c->hash_next;
}

void virtio_vsock_conn_unready(struct vsock_conn *c)
{
    struct virtio_vsock *vs = c->vs;
    if (!c->in_ready)
        return;
    *(c->ready_prev ? &c->ready_prev->ready_next : &vs->ready_first) = c->ready_next;
    *(c->ready_next ? &c->ready_next->ready_prev : &vs->ready_last) = c->ready_prev;
    c->in_ready = false;
}

void virtio_vsock_conn_want(struct vsock_conn *c, uint8_t pending)
{
    struct virtio_vsock *vs = c->vs;
    c->pending |= pending;
    if (c->in_ready || !virtio_vsock_conn_ready(c))
        return;
    c->ready_prev = vs->ready_last;
    c->ready_next = NULL;
    *(vs->ready_last ? &vs->ready_last->ready_next : &vs->ready_first) = c;
    vs->ready_last = c;
    c->in_ready = true;
}

/* ---- slots ---- */

static struct vsock_conn *conn_take(struct virtio_vsock *vs, enum vsock_state state)
{
    for (unsigned i = 0; i < vs->n_conns; i++) {
        struct vsock_conn *c = &vs->conns[i];
        if (c->state != VSOCK_FREE)
            continue;
        uint32_t generation = c->generation + 1;
        pthread_mutex_lock(&vs->answers_lock); /* somebody may look whether a ticket is ours */
        *c = (struct vsock_conn){
            .vs = vs,
            .state = state,
            .generation = generation ? generation : 1,
            .watch = {.ready = on_socket, .opaque = c, .fd = -1},
            .timer = {.expired = on_timer, .opaque = c},
            .answer = VSOCK_NO_ANSWER,
        };
        pthread_mutex_unlock(&vs->answers_lock);
        atomic_fetch_add(&vs->open, 1);
        return c;
    }
    return NULL;
}

void virtio_vsock_conn_timer(struct vsock_conn *c, int64_t ns)
{
    loop_timer_arm(c->vs->options.loop, &c->timer, loop_now_ns(c->vs->options.loop) + ns);
}

/* Nobody waits for the connector's answer any more. */
static void forget_ticket(struct vsock_conn *c)
{
    pthread_mutex_lock(&c->vs->answers_lock);
    if (c->ticket && c->answer >= 0)
        close(c->answer);
    c->ticket = 0;
    c->answer = VSOCK_NO_ANSWER;
    pthread_mutex_unlock(&c->vs->answers_lock);
}

void virtio_vsock_conn_close(struct vsock_conn *c, bool tell_guest)
{
    struct virtio_vsock *vs = c->vs;
    /* The guest knows nothing of a handshake, nor of a request that was not sent. */
    if (c->state == VSOCK_HANDSHAKE || (c->pending & VSOCK_P_REQUEST))
        tell_guest = false;
    loop_timer_cancel(vs->options.loop, &c->timer);
    loop_fd_remove(&c->watch);
    if (c->watch.fd >= 0)
        close(c->watch.fd);
    c->watch.fd = -1;
    free(c->buf);
    c->buf = NULL;
    c->buf_bytes = 0;
    c->readable = false;
    forget_ticket(c);
    if (tell_guest) {
        c->state = VSOCK_CLOSING;
        c->pending = 0;
        virtio_vsock_conn_want(c, VSOCK_P_RST);
        return;
    }
    if (c->state != VSOCK_HANDSHAKE)
        hash_remove(c);
    virtio_vsock_conn_unready(c);
    c->state = VSOCK_FREE;
    atomic_fetch_sub(&vs->open, 1);
}

static void on_timer(struct loop_timer *t)
{
    struct vsock_conn *c = t->opaque;
    virtio_vsock_conn_close(c, true);
    virtio_vsock_pump(c->vs);
}

/* Takes a socket over. Edge-triggered in both directions: no further calls to change interest. */
static int attach(struct vsock_conn *c, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    int ret = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
    if (!ret)
        ret = loop_fd_add(c->vs->options.loop, &c->watch, fd,
                          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (ret) {
        c->watch.fd = -1;
        close(fd);
    }
    return ret;
}

/* ---- host to guest: handshake ---- */

void virtio_vsock_conn_accept(struct virtio_vsock *vs, int fd)
{
    struct vsock_conn *c = conn_take(vs, VSOCK_HANDSHAKE);
    if (!c) {
        close(fd);
        return;
    }
    if (attach(c, fd))
        virtio_vsock_conn_close(c, false);
    else
        virtio_vsock_conn_timer(c, VSOCK_TIMEOUT_NS);
}

/* "CONNECT <port>\n". Returns the port, or -1. */
static int64_t parse_connect(const char *line, size_t len)
{
    static const char word[] = "CONNECT ";
    size_t at = sizeof(word) - 1;
    uint64_t port = 0;
    if (len <= at + 1 || memcmp(line, word, at) != 0)
        return -1;
    if (line[len - 2] == '\r')
        len--;
    for (; at < len - 1; at++) {
        if (line[at] < '0' || line[at] > '9')
            return -1;
        port = port * 10 + (unsigned)(line[at] - '0');
        if (port > UINT32_MAX)
            return -1;
    }
    return (int64_t)port;
}

static void request(struct vsock_conn *c, uint32_t guest_port)
{
    struct virtio_vsock *vs = c->vs;
    do {
        c->host_port = vs->next_host_port++;
        if (vs->next_host_port == UINT32_MAX)
            vs->next_host_port = VSOCK_HOST_PORT;
    } while (virtio_vsock_conn_find(vs, c->host_port, guest_port));
    c->guest_port = guest_port;
    c->state = VSOCK_CONNECTING;
    hash_add(c);
    virtio_vsock_conn_timer(c, VSOCK_TIMEOUT_NS);
    virtio_vsock_conn_want(c, VSOCK_P_REQUEST);
}

/* Reads up to the end of the line and no further: what follows is the connection's data. */
static void handshake(struct vsock_conn *c)
{
    for (;;) {
        char *to = c->line + c->line_bytes;
        size_t room = sizeof(c->line) - c->line_bytes;
        ssize_t n = room ? recv(c->watch.fd, to, room, MSG_PEEK | MSG_DONTWAIT) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        const char *end = memchr(to, '\n', (size_t)n);
        size_t take = end ? (size_t)(end - to) + 1 : (size_t)n;
        if (recv(c->watch.fd, to, take, MSG_DONTWAIT) != (ssize_t)take)
            break;
        c->line_bytes += (unsigned)take;
        if (!end)
            continue;
        int64_t port = parse_connect(c->line, c->line_bytes);
        if (port < 0)
            break;
        c->readable = true; /* more may be there, and no new edge would say so */
        request(c, (uint32_t)port);
        return;
    }
    virtio_vsock_conn_close(c, false);
}

void virtio_vsock_conn_established(struct vsock_conn *c)
{
    char line[VSOCK_LINE_BYTES];
    int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);
    loop_timer_cancel(c->vs->options.loop, &c->timer);
    c->state = VSOCK_OPEN;
    atomic_fetch_add(&c->vs->connections, 1);
    if (send(c->watch.fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
        virtio_vsock_conn_close(c, true);
    else
        virtio_vsock_conn_want(c, 0);
}

/* ---- guest to host: dialling ---- */

/* The connector's answer. */
static void dialled(struct vsock_conn *c, int fd_or_errno)
{
    loop_timer_cancel(c->vs->options.loop, &c->timer);
    if (fd_or_errno < 0 || attach(c, fd_or_errno)) {
        virtio_vsock_conn_close(c, true);
        return;
    }
    c->state = VSOCK_OPEN;
    atomic_fetch_add(&c->vs->connections, 1);
    virtio_vsock_conn_want(c, VSOCK_P_RESPONSE);
}

void virtio_vsock_conn_dial(struct virtio_vsock *vs, const struct virtio_vsock_hdr *h)
{
    struct vsock_conn *c = conn_take(vs, VSOCK_DIALING);
    if (!c) {
        virtio_vsock_reset_ports(vs, le32toh(h->dst_port), le32toh(h->src_port),
                                 VIRTIO_VSOCK_TYPE_STREAM);
        return;
    }
    c->host_port = le32toh(h->dst_port);
    c->guest_port = le32toh(h->src_port);
    c->peer_buf_alloc = le32toh(h->buf_alloc);
    c->peer_fwd_cnt = le32toh(h->fwd_cnt);
    hash_add(c);
    uint64_t ticket = (uint64_t)c->generation << 32 | (uint32_t)(c - vs->conns);
    pthread_mutex_lock(&vs->answers_lock);
    c->ticket = ticket;
    pthread_mutex_unlock(&vs->answers_lock);
    const struct virtio_vsock_connector *k = &vs->options.connector;
    int ret = k->connect ? k->connect(k->opaque, c->host_port, ticket) : -ECONNREFUSED;
    if (ret == -EINPROGRESS) {
        virtio_vsock_conn_timer(c, VSOCK_TIMEOUT_NS);
        return;
    }
    forget_ticket(c);
    dialled(c, ret);
}

void virtio_vsock_connected(struct virtio_device *dev, uint64_t ticket, int fd_or_errno)
{
    struct virtio_vsock *vs = container_of(dev, struct virtio_vsock, dev);
    uint32_t slot = (uint32_t)ticket;
    bool taken = false;
    pthread_mutex_lock(&vs->answers_lock);
    if (slot < vs->n_conns && ticket && vs->conns[slot].ticket == ticket &&
        vs->conns[slot].answer == VSOCK_NO_ANSWER) {
        vs->conns[slot].answer = fd_or_errno;
        taken = true;
    }
    pthread_mutex_unlock(&vs->answers_lock);
    if (taken)
        loop_post(vs->options.loop, &vs->answers_post);
    else if (fd_or_errno >= 0)
        close(fd_or_errno);
}

void virtio_vsock_conn_answers(struct virtio_vsock *vs)
{
    for (unsigned i = 0; i < vs->n_conns; i++) {
        struct vsock_conn *c = &vs->conns[i];
        pthread_mutex_lock(&vs->answers_lock);
        int answer = c->ticket ? c->answer : VSOCK_NO_ANSWER;
        if (answer != VSOCK_NO_ANSWER) {
            c->ticket = 0;
            c->answer = VSOCK_NO_ANSWER;
        }
        pthread_mutex_unlock(&vs->answers_lock);
        if (answer != VSOCK_NO_ANSWER)
            dialled(c, answer);
    }
}

/* ---- the socket says something ---- */

static void on_socket(struct loop_fd *w, uint32_t events)
{
    struct vsock_conn *c = w->opaque;
    struct virtio_vsock *vs = c->vs;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & (EPOLLHUP | EPOLLERR))
        c->hung_up = true;
    if (c->state == VSOCK_HANDSHAKE) {
        handshake(c);
    } else if (c->state == VSOCK_OPEN) {
        /* It said that it sends no more, and now that it is gone altogether. */
        if (c->hung_up && c->eof && c->shut_by_us != VSOCK_SHUT_BOTH) {
            c->shut_by_us = VSOCK_SHUT_BOTH;
            virtio_vsock_conn_want(c, VSOCK_P_SHUTDOWN);
        }
        if (c->buf_bytes && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
            virtio_vsock_conn_flush(c);
    } else if (c->hung_up) {
        virtio_vsock_conn_close(c, true); /* a client that did not wait */
    }
    if (c->state != VSOCK_FREE)
        virtio_vsock_conn_want(c, 0);
    virtio_vsock_pump(vs);
}
