/* A WebSocket's messages, at either end: put together and bounded coming in, a bounded queue going
 * out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "web/web_internal.h"

/* Closed here, and not by returning -1: with an event library Debian's libwebsockets (built for
 * debugging) then closes twice, the second time before the close frame is out. */
static int fail(struct web_stream *s, enum lws_close_status status)
{
    s->closing = true;
    lws_close_reason(s->wsi, status, NULL, 0);
    lws_close_free_wsi(s->wsi, LWS_CLOSE_STATUS_NOSTATUS, "web_stream");
    return 0;
}

int web_stream_receive(struct web_stream *s, const char *data, size_t bytes)
{
    size_t total = s->in_bytes + bytes;
    web_silence_heard(s);
    if (s->closing)
        return 0;
    if (total > s->message_max_bytes)
        return fail(s, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE);
    bool whole = lws_is_final_fragment(s->wsi);
    bool text = !lws_frame_is_binary(s->wsi);
    if (whole && !s->in_bytes) { /* the usual case: no copy */
        if (s->message)
            s->message(s->session, data, bytes, text);
        return 0;
    }
    if (total > s->in_capacity) {
        size_t capacity = MAX(total, s->in_capacity * 2);
        char *in = realloc(s->in, capacity);
        if (!in)
            return fail(s, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION);
        s->in = in;
        s->in_capacity = capacity;
    }
    memcpy(s->in + s->in_bytes, data, bytes);
    s->in_bytes = total;
    if (!whole)
        return 0;
    s->in_bytes = 0;
    if (s->message)
        s->message(s->session, s->in, total, text);
    return 0;
}

/* libwebsockets takes one frame a call. */
static int write_ping(struct web_stream *s)
{
    uint8_t frame[LWS_PRE + 1] = {0};
    s->ping = false;
    if (s->queue || s->end_status)
        lws_callback_on_writable(s->wsi);
    return lws_write(s->wsi, frame + LWS_PRE, 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

int web_stream_write(struct web_stream *s)
{
    struct web_message *m = s->queue;
    if (s->closing)
        return 0;
    if (s->ping)
        return write_ping(s);
    if (m) {
        s->queue = m->next;
        if (!s->queue)
            s->queue_end = &s->queue;
        s->queued_bytes -= m->bytes;
        int sent = lws_write(s->wsi, m->data + LWS_PRE, m->bytes,
                             m->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
        free(m);
        if (sent < 0)
            return -1;
    }
    if (s->queue || (m && s->end_status))
        lws_callback_on_writable(s->wsi);
    else if (s->end_status)
        return fail(s, (enum lws_close_status)s->end_status);
    return 0;
}

void web_stream_init(struct web_stream *s, struct lws *wsi)
{
    s->wsi = wsi;
    s->queue_end = &s->queue;
}

void web_stream_fini(struct web_stream *s)
{
    web_silence_end(s);
    while (s->queue) {
        struct web_message *m = s->queue;
        s->queue = m->next;
        free(m);
    }
    free(s->in);
}

int web_stream_send(struct web_stream *s, const char *data, size_t bytes, bool text)
{
    if (s->closing || s->queued_bytes + bytes > s->queue_max_bytes)
        return -EAGAIN;
    struct web_message *m = malloc(sizeof(*m) + LWS_PRE + bytes);
    if (!m)
        return -ENOMEM;
    m->next = NULL;
    m->bytes = bytes;
    m->text = text;
    memcpy(m->data + LWS_PRE, data, bytes);
    *s->queue_end = m;
    s->queue_end = &m->next;
    s->queued_bytes += bytes;
    lws_callback_on_writable(s->wsi);
    return 0;
}

void web_stream_end(struct web_stream *s, unsigned status)
{
    s->end_status = status;
    lws_callback_on_writable(s->wsi);
}
