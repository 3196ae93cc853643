/* The server's end of WebSockets: messages put together and bounded, and a bounded queue out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "web/web_internal.h"

static const struct web_socket_ops *find_endpoint(const struct web_server *s, const char *path)
{
    for (const struct web_endpoint *e = s->config.endpoints; e && e->path; e++)
        if (!strcmp(e->path, path))
            return e->ops;
    return NULL;
}

static int open_socket(struct web_server *s, const struct web_request *r, struct web_conn *conn)
{
    const struct web_socket_ops *ops = find_endpoint(s, r->path);
    if (!ops)
        return 404;
    struct web_socket *socket = calloc(1, sizeof(*socket));
    if (!socket)
        return 503;
    socket->server = s;
    socket->wsi = r->wsi;
    socket->queue_end = &socket->queue;
    int status = ops->open(s->config.ctx, r, socket, &socket->session);
    if (status) {
        free(socket);
        return status;
    }
    socket->ops = ops;
    conn->socket = socket;
    return 0;
}

int web_socket_filter(struct web_server *s, struct lws *wsi, struct web_conn *conn)
{
    struct web_request *r = calloc(1, sizeof(*r));
    if (!r)
        return -1;
    int status = web_request_read(r, s, wsi);
    if (!status)
        status = open_socket(s, r, conn);
    web_request_free(r);
    if (!status)
        return 0;
    web_refuse_raw(wsi, status);
    return -1;
}

static int fail(struct web_socket *socket, enum lws_close_status status)
{
    lws_close_reason(socket->wsi, status, NULL, 0);
    return -1;
}

int web_socket_receive(struct web_socket *socket, const char *data, size_t bytes)
{
    size_t total = socket->in_bytes + bytes;
    if (total > socket->server->config.message_max_bytes)
        return fail(socket, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE);
    bool whole = lws_is_final_fragment(socket->wsi);
    bool text = !lws_frame_is_binary(socket->wsi);
    if (whole && !socket->in_bytes) { /* the usual case: no copy */
        if (socket->ops->message)
            socket->ops->message(socket->session, data, bytes, text);
        return 0;
    }
    if (total > socket->in_capacity) {
        size_t capacity = MAX(total, socket->in_capacity * 2);
        char *in = realloc(socket->in, capacity);
        if (!in)
            return fail(socket, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION);
        socket->in = in;
        socket->in_capacity = capacity;
    }
    memcpy(socket->in + socket->in_bytes, data, bytes);
    socket->in_bytes = total;
    if (!whole)
        return 0;
    socket->in_bytes = 0;
    if (socket->ops->message)
        socket->ops->message(socket->session, socket->in, total, text);
    return 0;
}

int web_socket_write(struct web_socket *socket)
{
    struct web_message *m = socket->queue;
    if (m) {
        socket->queue = m->next;
        if (!socket->queue)
            socket->queue_end = &socket->queue;
        socket->queued_bytes -= m->bytes;
        int sent = lws_write(socket->wsi, m->data + LWS_PRE, m->bytes,
                             m->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
        free(m);
        if (sent < 0)
            return -1;
    }
    if (socket->queue || (m && socket->end_status))
        lws_callback_on_writable(socket->wsi);
    else if (socket->end_status)
        return fail(socket, (enum lws_close_status)socket->end_status);
    return 0;
}

void web_socket_destroy(struct web_conn *conn)
{
    struct web_socket *socket = conn->socket;
    if (!socket)
        return;
    conn->socket = NULL;
    if (socket->ops->close)
        socket->ops->close(socket->session);
    while (socket->queue) {
        struct web_message *m = socket->queue;
        socket->queue = m->next;
        free(m);
    }
    free(socket->in);
    free(socket);
}

int web_socket_send(struct web_socket *socket, const char *data, size_t bytes, bool text)
{
    if (socket->queued_bytes + bytes > socket->server->config.queue_max_bytes)
        return -EAGAIN;
    struct web_message *m = malloc(sizeof(*m) + LWS_PRE + bytes);
    if (!m)
        return -ENOMEM;
    m->next = NULL;
    m->bytes = bytes;
    m->text = text;
    memcpy(m->data + LWS_PRE, data, bytes);
    *socket->queue_end = m;
    socket->queue_end = &m->next;
    socket->queued_bytes += bytes;
    lws_callback_on_writable(socket->wsi);
    return 0;
}

void web_socket_end(struct web_socket *socket, unsigned status)
{
    socket->end_status = status;
    lws_callback_on_writable(socket->wsi);
}
