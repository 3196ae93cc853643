/* event_stream: events as they happen, over a WebSocket. A reader that asks for older ones first
 * gets those of the store, in pieces, each when the last has been taken; then those in memory; then
 * it is told of each new one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_event.h"
#include "mgmt/server/server_socket.h"

#define AHEAD_BYTES     (1u << 20) /* that may wait before more is read for it */
#define WAITS_MAX_BYTES (4u << 20) /* that may wait before it is too slow */
#define PIECE           500
#define LOOK_US         20000
#define TOO_OLD         4410 /* as 410 */

struct stream {
    struct server_event_reader reader;
    struct server_event_fetch fetch; /* its filter is the stream's */
    struct server *s;
    struct web_socket *socket; /* NULL: closed while a worker has the fetch */
    struct web_timer *timer;
    uint64_t after;
    bool fetching, ended;
};

static void stream_free(struct stream *st)
{
    server_event_fetch_fini(&st->fetch);
    web_timer_destroy(st->timer);
    free(st);
}

static void end(struct stream *st, unsigned status)
{
    if (!st->ended)
        web_socket_end(st->socket, status);
    st->ended = true;
    server_event_remove(&st->reader);
}

static void send_event(struct stream *st, const struct server_event *e)
{
    if (server_event_may(st->s, &st->fetch.filter, e) &&
        (web_socket_queued(st->socket) + e->bytes > WAITS_MAX_BYTES ||
         web_socket_send(st->socket, e->text, e->bytes, true)))
        end(st, SERVER_SOCKET_SLOW);
    st->after = e->position;
}

static void on_event(struct server_event_reader *r, const struct server_event *e)
{
    struct stream *st = container_of(r, struct stream, reader);
    if (server_event_asked(&st->fetch.filter, e))
        send_event(st, e);
    st->after = e->position;
}

static void on_lost(struct server_event_reader *r)
{
    end(container_of(r, struct stream, reader), TOO_OLD);
}

static void fetched(struct server_job *j);

/* Goes on, as far as the socket takes it. */
static void pump(struct stream *st)
{
    const struct server_event *e;
    while (!st->ended && st->after >= server_event_memory(st->s) &&
           web_socket_queued(st->socket) < AHEAD_BYTES) {
        e = server_event_next(st->s, st->after);
        if (!e) {
            st->reader.event = on_event;
            st->reader.lost = on_lost;
            server_event_add(st->s, &st->reader);
            return;
        }
        if (server_event_asked(&st->fetch.filter, e))
            send_event(st, e);
        st->after = e->position;
    }
    if (st->ended)
        return;
    if (web_socket_queued(st->socket) < AHEAD_BYTES) {
        st->fetch.job.done = fetched;
        st->fetch.s = st->s;
        st->fetch.after = st->after;
        st->fetch.limit = PIECE;
        st->fetching = !server_event_fetch(&st->fetch);
        if (st->fetching)
            return;
    }
    web_timer_arm(st->timer, LOOK_US);
}

static void timed_out(void *ctx)
{
    pump(ctx);
}

static void fetched(struct server_job *j)
{
    struct stream *st = container_of(j, struct stream, fetch.job);
    struct server_event_fetch *f = &st->fetch;
    st->fetching = false;
    if (!st->socket) {
        stream_free(st);
        return;
    }
    for (size_t i = 0; i < f->n && !f->result && !st->ended; i++)
        send_event(st, &f->events[i]);
    bool nothing = f->end && !f->n;
    if (!f->result)
        st->after = MAX(st->after, f->after);
    int result = f->result;
    server_event_fetch_fini(f);
    if (result == -ESTALE)
        end(st, TOO_OLD);
    else if (!result && nothing) /* what memory dropped has not been kept: only what came since */
        st->after = MAX(st->after, server_event_memory(st->s));
    if (result == -EAGAIN)
        web_timer_arm(st->timer, 10 * LOOK_US);
    else if (!st->ended)
        pump(st);
}

static int stream_open(struct server_call *c, struct web_socket *socket, void **session)
{
    const struct api_event_stream_query *q = c->request.query;
    uint64_t after;
    int r = server_event_after(c, &q->after, &after);
    struct stream *st = r ? NULL : calloc(1, sizeof(*st));
    if (r)
        return r;
    if (st) {
        st->s = c->s;
        st->socket = socket;
        st->after = after;
        st->timer = web_timer_create(c->s->loop, timed_out, st);
    }
    if (!st || !st->timer) {
        free(st);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    r = server_event_filter_init(&st->fetch.filter, c, &q->type, &q->subject);
    if (r) {
        stream_free(st);
        return r;
    }
    web_timer_arm(st->timer, 0); /* the socket is open when this has returned */
    *session = st;
    return 0;
}

static void stream_close(void *session)
{
    struct stream *st = session;
    server_event_remove(&st->reader);
    st->ended = true;
    st->socket = NULL;
    if (st->fetching)
        web_timer_destroy(steal_ptr(&st->timer));
    else
        stream_free(st);
}

const struct server_socket_route server_socket_events = {
    .op = API_OP_EVENT_STREAM, .open = stream_open, .close = stream_close};
