#include "web/web_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
/* Its sys/param.h has those of base/util.h. */
#undef MIN
#undef MAX

#include "base/log.h"
#include "base/util.h"
#include "web/web_internal.h"

struct web_timer {
    struct deadline due;
    struct web_loop *loop;
    void (*expired)(void *ctx);
    void *ctx;
};

/* The loop of this thread: libwebsockets' log has no other way to say whose line it is. */
static _Thread_local struct web_loop *running;

static void run_posts(struct web_loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct web_post *p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    pthread_mutex_unlock(&l->lock);
    while (p) {
        struct web_post *next = p->next;
        pthread_mutex_lock(&l->lock);
        p->queued = false;
        pthread_mutex_unlock(&l->lock);
        p->run(p);
        p = next;
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    struct web_loop *l = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
        run_posts(l);
        return 0;
    }
    struct lws_vhost *vhost = lws_get_vhost(wsi);
    struct web_vhost *v = vhost ? lws_vhost_user(vhost) : NULL;
    if (!v || (void *)v == (void *)l)
        return lws_callback_http_dummy(wsi, reason, user, in, bytes);
    return v->on_event(v, wsi, reason, user, in, bytes);
}

/* The first one also serves WebSockets whose client names no subprotocol. */
const struct lws_protocols web_loop_protocols[] = {
    {.name = "http", .callback = on_event},
    {.name = "cloudevents.json", .callback = on_event},
    {0},
};

/* web_silence.c does it: libwebsockets' way puts a timer a connection into a list that is walked
 * for every timer, those of each request too. */
const lws_retry_bo_t web_loop_no_keepalive = {0};

static void on_log(int level, const char *line)
{
    int bytes = (int)strcspn(line, "\n");
    if (strstr(line, "Ran out of header data space") && running) {
        for (struct web_vhost *v = running->vhosts; v; v = v->next)
            if (v->on_overflow)
                v->on_overflow(v);
    } else if (level & LLL_ERR)
        LOG_LIMITED(LOG_WARN, "web", "libwebsockets: %.*s", bytes, line);
    else
        LOG_LIMITED(LOG_DEBUG, "web", "libwebsockets: %.*s", bytes, line);
}

struct web_loop *web_loop_create(struct err *err)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    struct web_loop *l = calloc(1, sizeof(*l));
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = web_loop_protocols,
        .user = l,
        .max_http_header_data2 = WEB_HEADER_BYTES,
        .pt_serv_buf_size = WEB_RECEIVE_BYTES,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_LIBUV,
    };
    void *loops[1];
    if (l)
        l->uv = calloc(1, sizeof(*l->uv));
    if (l && l->uv && uv_loop_init(l->uv)) {
        free(l->uv); /* it is nothing to close */
        l->uv = NULL;
    }
    if (l && l->uv) {
        loops[0] = l->uv;
        info.foreign_loops = loops;
        l->posts_end = &l->posts;
        web_loop_silence(l, 15000000, 40000000);
        pthread_mutex_init(&l->lock, NULL);
        l->lws = lws_create_context(&info);
    }
    if (l && l->lws)
        return l;
    err_set(err, ENOMEM,
            "could not set up libwebsockets: the package libwebsockets-evlib-uv has to be there");
    web_loop_destroy(l);
    return NULL;
}

void web_loop_run(struct web_loop *l)
{
    running = l;
    while (!atomic_load(&l->stop))
        uv_run(l->uv, UV_RUN_ONCE);
    running = NULL;
    atomic_store(&l->stop, false);
}

void web_loop_stop(struct web_loop *l)
{
    atomic_store(&l->stop, true);
    lws_cancel_service(l->lws);
}

void web_loop_destroy(struct web_loop *l)
{
    if (!l)
        return;
    l->stopping = true;
    web_files_stop(l->files);
    if (l->lws) {
        lws_context_destroy(l->lws); /* begins; connections are closed by libuv's loop */
        while (uv_run(l->uv, UV_RUN_DEFAULT)) {
        }
        lws_context_destroy(l->lws); /* ends */
    }
    if (l->uv)
        uv_loop_close(l->uv);
    web_files_destroy(l->files);
    web_silence_destroy(l);
    deadlines_fini(&l->timers);
    pthread_mutex_destroy(&l->lock);
    free(l->uv);
    free(l);
}

void web_loop_post(struct web_loop *l, struct web_post *p)
{
    pthread_mutex_lock(&l->lock);
    bool first = !l->posts, add = !p->queued;
    if (add) {
        p->queued = true;
        p->next = NULL;
        *l->posts_end = p;
        l->posts_end = &p->next;
    }
    pthread_mutex_unlock(&l->lock);
    if (add && first)
        lws_cancel_service(l->lws);
}

/* ---- timers ---- */

static void timers_fired(lws_sorted_usec_list_t *sul);

static void schedule(struct web_loop *l)
{
    const struct deadline *first = deadlines_first(&l->timers);
    int64_t left = first ? MAX(first->at - lws_now_usecs(), 1) : LWS_SET_TIMER_USEC_CANCEL;
    lws_sul_schedule(l->lws, 0, &l->first_timer, timers_fired, left);
}

static void timers_fired(lws_sorted_usec_list_t *sul)
{
    struct web_loop *l = container_of(sul, struct web_loop, first_timer);
    int64_t now = lws_now_usecs();
    for (unsigned budget = l->timers.n; budget && l->timers.n; budget--) {
        struct deadline *due = deadlines_first(&l->timers);
        if (due->at > now)
            break;
        struct web_timer *t = container_of(due, struct web_timer, due);
        deadlines_remove(&l->timers, due);
        t->expired(t->ctx);
    }
    schedule(l);
}

struct web_timer *web_timer_create(struct web_loop *l, void (*expired)(void *ctx), void *ctx)
{
    struct web_timer *t = calloc(1, sizeof(*t));
    if (t) {
        t->loop = l;
        t->expired = expired;
        t->ctx = ctx;
    }
    return t;
}

void web_timer_arm(struct web_timer *t, int64_t delay_us)
{
    struct deadlines *timers = &t->loop->timers;
    const struct deadline *first = deadlines_first(timers);
    if (deadlines_put(timers, &t->due, lws_now_usecs() + MAX(delay_us, 1)))
        LOG_LIMITED(LOG_WARN, "web", "no memory: a timer does not run out: timers=%u", timers->n);
    if (deadlines_first(timers) == &t->due || first == &t->due)
        schedule(t->loop);
}

void web_timer_destroy(struct web_timer *t)
{
    if (!t)
        return;
    deadlines_remove(&t->loop->timers, &t->due); /* what fires for it finds nothing due */
    free(t);
}
