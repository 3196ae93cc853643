/* The server's end of WebSockets: endpoints and sessions. */
#include <stdlib.h>
#include <string.h>

#include "web/web_internal.h"

static const struct web_socket_ops *find_endpoint(const struct web_server *s,
                                                  const struct web_request *r)
{
    for (const struct web_endpoint *e = s->config.endpoints; e && e->path; e++)
        if (!strcmp(e->path, r->path))
            return e->ops;
    return s->config.find_endpoint ? s->config.find_endpoint(s->config.ctx, r) : NULL;
}

static int open_socket(struct web_server *s, const struct web_request *r, struct web_conn *conn)
{
    const struct web_socket_ops *ops = find_endpoint(s, r);
    if (!ops)
        return 404;
    struct web_socket *socket = calloc(1, sizeof(*socket));
    if (!socket)
        return 503;
    web_stream_init(&socket->stream, r->wsi);
    socket->stream.message_max_bytes = s->config.message_max_bytes;
    socket->stream.queue_max_bytes = s->config.queue_max_bytes;
    socket->stream.message = ops->message;
    int status = ops->open(s->config.ctx, r, socket, &socket->stream.session);
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

void web_socket_destroy(struct web_conn *conn)
{
    struct web_socket *socket = conn->socket;
    if (!socket)
        return;
    conn->socket = NULL;
    if (socket->ops->close)
        socket->ops->close(socket->stream.session);
    web_stream_fini(&socket->stream);
    free(socket);
}

int web_socket_send(struct web_socket *socket, const char *data, size_t bytes, bool text)
{
    return web_stream_send(&socket->stream, data, bytes, text);
}

size_t web_socket_queued(const struct web_socket *socket)
{
    return socket->stream.queued_bytes;
}

void web_socket_end(struct web_socket *socket, unsigned status)
{
    web_stream_end(&socket->stream, status);
}
