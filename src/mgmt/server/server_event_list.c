/* event_list: a page after a number, from memory or the store; where there is none, a wait. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_event.h"
#include "mgmt/server/server_socket.h"

#define ANSWER_MAX_BYTES (6u << 20)

struct poll {
    struct server_event_reader reader; /* while it waits */
    struct server_event_fetch fetch;   /* its filter is the poll's */
    struct server_call *c;
    struct web_timer *timer;
    uint64_t after;
    size_t n;
    bool waits;
    struct api_buf text;
};

static void poll_free(struct poll *p)
{
    server_event_remove(&p->reader);
    server_event_fetch_fini(&p->fetch);
    web_timer_destroy(p->timer);
    api_buf_fini(&p->text);
    free(p);
}

static const struct api_event_list_query *query_of(const struct poll *p)
{
    return p->c->request.query;
}

static void add(struct poll *p, const struct server_event *e)
{
    if (p->n++)
        api_buf_putc(&p->text, ',');
    api_buf_put(&p->text, e->text, e->bytes);
}

static bool is_full(const struct poll *p)
{
    return p->n == (size_t)query_of(p)->limit.v || p->text.bytes > ANSWER_MAX_BYTES;
}

static void reply(struct poll *p)
{
    struct server_call *c = p->c;
    api_buf_printf(&p->text, "],\"next_after\":\"%llu\"}", (unsigned long long)p->after);
    if (p->text.failed) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: ask for fewer");
        server_call_refuse(c);
    } else {
        server_call_reply(c, 200, p->text.text, p->text.bytes);
    }
    poll_free(p);
}

static void timed_out(void *ctx)
{
    reply(ctx);
}

/* It was waiting, and this is the first. What comes with it in the same turn comes along. */
static void on_event(struct server_event_reader *r, const struct server_event *e)
{
    struct poll *p = container_of(r, struct poll, reader);
    if (server_event_asked(&p->fetch.filter, e) && server_event_may(p->c->s, &p->fetch.filter, e) &&
        !is_full(p)) {
        add(p, e);
        web_timer_arm(p->timer, 0);
    } else if (is_full(p)) {
        return;
    }
    p->after = e->position;
}

static void on_end(struct server_event_reader *r)
{
    reply(container_of(r, struct poll, reader));
}

static void wait_or_reply(struct poll *p)
{
    int64_t wait_s = query_of(p)->wait_s.v;
    if (p->n || !wait_s) {
        reply(p);
        return;
    }
    p->reader.event = on_event;
    p->reader.end = p->reader.lost = on_end; /* the next request is told why */
    server_event_add(p->c->s, &p->reader);
    web_timer_arm(p->timer, wait_s * 1000000);
}

static void from_memory(struct poll *p)
{
    const struct server_event *e;
    while (!is_full(p) && (e = server_event_next(p->c->s, p->after))) {
        if (server_event_asked(&p->fetch.filter, e) &&
            server_event_may(p->c->s, &p->fetch.filter, e))
            add(p, e);
        p->after = e->position;
    }
    wait_or_reply(p);
}

static int from_store(struct poll *p);

static void refuse(struct poll *p, int result)
{
    struct server_call *c = p->c;
    if (result == -ESTALE) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_EVENTS_TOO_OLD,
                        "events after %llu are no longer kept: list what you watch again, then go "
                        "on from the newest event (leave `after` out)",
                        (unsigned long long)p->after);
    } else {
        c->refusal.retry_after_s = 1;
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                        "the events cannot be read now: try again");
    }
    server_call_refuse(c);
    poll_free(p);
}

static void fetched(struct server_job *j)
{
    struct poll *p = container_of(j, struct poll, fetch.job);
    struct server_event_fetch *f = &p->fetch;
    if (f->result) {
        refuse(p, f->result);
        return;
    }
    for (size_t i = 0; i < f->n && !is_full(p); i++) {
        if (server_event_may(p->c->s, &f->filter, &f->events[i]))
            add(p, &f->events[i]);
        p->after = f->events[i].position;
    }
    if (!is_full(p))
        p->after = MAX(f->after, p->after);
    bool end = f->end;
    server_event_fetch_fini(f);
    if (is_full(p))
        reply(p);
    else if (end || p->after >= server_event_memory(p->c->s))
        from_memory(p);
    else if (from_store(p))
        refuse(p, -EAGAIN);
}

static int from_store(struct poll *p)
{
    p->fetch.job.done = fetched;
    p->fetch.s = p->c->s;
    p->fetch.after = p->after;
    p->fetch.limit = (unsigned)query_of(p)->limit.v - (unsigned)p->n;
    return server_event_fetch(&p->fetch);
}

static int event_list(struct server_call *c)
{
    const struct api_event_list_query *q = c->request.query;
    uint64_t after;
    int r = server_event_after(c, &q->after, &after);
    struct poll *p = r ? NULL : calloc(1, sizeof(*p));
    if (!r && p) {
        p->c = c;
        p->after = after;
        api_buf_init(&p->text, SERVER_BODY_MAX_BYTES);
        api_buf_puts(&p->text, "{\"items\":[");
        r = server_event_filter_init(&p->fetch.filter, c, &q->type, &q->subject);
        p->timer = web_timer_create(c->s->loop, timed_out, p);
    }
    if (!r && (!p || !p->timer))
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    if (!r && after >= server_event_memory(c->s)) {
        from_memory(p);
        return 0;
    }
    if (!r && from_store(p)) {
        c->refusal.retry_after_s = 1;
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "too much is being read: try again");
    }
    if (r && p)
        poll_free(p);
    return r;
}

const struct server_route server_event_routes[] = {
    {API_OP_EVENT_LIST, event_list},
    {API_OP_EVENT_STREAM, server_socket_only},
    {0},
};
