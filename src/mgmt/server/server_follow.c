/* Theory of operation. A *round* is: everything after `at` (at most so much of it; the rest is the
 * next one's), then the events up to the new `at`. The thread fills a round, posts it, and waits
 * until the loop has taken it: so there is one in memory, and a slow loop slows the reading.
 *
 * Whoever must see all that is committed *now* waits for the end of a round that has not begun yet.
 *
 * A server that was cut off for longer than the store keeps tombstones cannot ask for what came
 * after: its next round is made of a load. What lives is noted; of it the round has what is newer
 * than `at`; and what the catalog has besides was deleted meanwhile. Events are on their own: if
 * some have expired, those who read them are told.
 */
#include "mgmt/server/server_follow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_event.h"
#include "mgmt/server/server_follow_anew.h"
#include "mgmt/server/server_link.h"

#define ROUND_BYTES  (16u << 20)
#define EVENTS_MAX   2000 /* read at once */
#define FAILED_MS    200
#define AWAIT_NS     (INT64_C(5) * 1000000000)
#define AWAITING_MAX 4096

/* A record, or an event's row, with all that it points to. */
struct item {
    struct item *next;
    bool is_event;
    struct store_record record;
    struct store_row row;
    char text[];
};

struct awaiting {
    struct server_call *c;
    uint64_t seq, round; /* until that is shown; or that round has ended */
    int64_t until_ns;
    struct awaiting *next;
};

struct server_follow {
    struct server *s;
    unsigned ms;
    pthread_t thread;
    bool started, ended; /* the loop's */
    struct web_post post;
    struct web_timer *timer;
    struct awaiting *awaiting, **awaiting_end;
    unsigned n_awaiting;
    uint64_t shown;       /* the loop's */
    pthread_mutex_t lock; /* all below */
    pthread_cond_t cond;
    bool closing, kicked, full;
    uint64_t begun; /* rounds */
    /* The thread's, and the loop's while `full`. */
    struct item *items, **items_end;
    size_t bytes;
    uint64_t at, event_at;
    bool is_anew, events_lost;
    struct server_follow_anew anew;
};

static void free_items(struct server_follow *f);

/* ---- the thread ---- */

static struct store_text copy_text(char **to, struct store_text from)
{
    struct store_text text = {*to, from.len_bytes};
    if (from.len_bytes)
        memcpy(*to, from.data, from.len_bytes);
    *to += from.len_bytes;
    return text;
}

static void append(struct server_follow *f, struct item *i, size_t bytes)
{
    i->next = NULL;
    *f->items_end = i;
    f->items_end = &i->next;
    f->bytes += bytes;
}

static int copy_record(struct server_follow *f, const struct store_record *r)
{
    size_t bytes = r->name.len_bytes + r->body.len_bytes;
    struct item *i = malloc(sizeof(*i) + bytes);
    if (!i)
        return -ENOMEM;
    char *text = i->text;
    i->is_event = false;
    i->record = *r;
    i->record.name = copy_text(&text, r->name);
    i->record.body = copy_text(&text, r->body);
    append(f, i, bytes);
    return 0;
}

static int take_record(const struct store_record *r, void *ctx)
{
    struct server_follow *f = ctx;
    int ret = copy_record(f, r);
    if (ret)
        return ret;
    f->at = r->seq;
    return f->bytes > ROUND_BYTES; /* the rest comes next time */
}

static int take_living(const struct store_record *r, void *ctx)
{
    struct server_follow *f = ctx;
    bool is_object = r->type == STORE_OBJECT && r->kind < CATALOG_KINDS;
    int ret = is_object ? server_follow_anew_note(&f->anew, r) : 0;
    return ret || r->seq <= f->at ? ret : copy_record(f, r);
}

static int take_event(const struct store_row *row, void *ctx)
{
    struct server_follow *f = ctx;
    if (row->position > f->at)
        return 1;
    size_t bytes = row->name.len_bytes + row->body.len_bytes;
    struct item *i = malloc(sizeof(*i) + bytes);
    if (!i)
        return -ENOMEM;
    char *text = i->text;
    i->is_event = true;
    i->row = *row;
    i->row.name = copy_text(&text, row->name);
    i->row.body = copy_text(&text, row->body);
    append(f, i, bytes);
    f->event_at = row->position;
    return 0;
}

static int read_events(struct server_follow *f, struct err *err)
{
    uint64_t before;
    int r;
    do {
        before = f->event_at;
        r = store_rows(f->s->store, STORE_EVENTS, f->event_at, EVENTS_MAX, take_event, f, err);
        if (r == -ESTALE) { /* what is left of them */
            f->events_lost = true;
            f->event_at = 0;
            r = 0;
        }
    } while (!r && f->event_at != before && f->bytes < 2 * ROUND_BYTES);
    return r > 0 ? 0 : r;
}

static int read_anew(struct server_follow *f, struct err *err)
{
    uint64_t at = 0;
    int r = store_load(f->s->store, &at, take_living, f, err);
    if (r) {
        free_items(f);
        server_follow_anew_fini(&f->anew);
        return r;
    }
    f->at = at;
    f->is_anew = true;
    log_line(LOG_WARN, "server",
             "this server was away from its store for so long that it missed deletions");
    return 0;
}

static int read_round(struct server_follow *f, struct err *err)
{
    uint64_t at = f->at;
    int r = store_follow(f->s->store, &at, take_record, f, err);
    if (r == -ESTALE)
        r = read_anew(f, err);
    else if (r >= 0)
        f->at = r ? f->at : at;
    return r < 0 ? r : read_events(f, err);
}

/* Waits for `ms`, or until it is asked to hurry. The lock is held. */
static void sleep_ms(struct server_follow *f, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!f->closing && !f->kicked)
        if (pthread_cond_timedwait(&f->cond, &f->lock, &until) == ETIMEDOUT)
            break;
    f->kicked = false;
}

static void *follow_thread(void *arg)
{
    struct server_follow *f = arg;
    bool well = true;
    pthread_mutex_lock(&f->lock);
    while (!f->closing) {
        f->begun++;
        pthread_mutex_unlock(&f->lock);
        struct err err = {0};
        int r = read_round(f, &err);
        if (r && well)
            log_line(LOG_WARN, "server", "other servers' commits cannot be read: %s", err.msg);
        well = !r;
        pthread_mutex_lock(&f->lock);
        f->full = true;
        web_loop_post(f->s->loop, &f->post);
        while (f->full && !f->closing)
            pthread_cond_wait(&f->cond, &f->lock);
        sleep_ms(f, r ? FAILED_MS : f->ms);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- the loop ---- */

static void free_items(struct server_follow *f)
{
    while (f->items) {
        struct item *i = f->items;
        f->items = i->next;
        free(i);
    }
    f->items_end = &f->items;
    f->bytes = 0;
}

static const struct item *first_event(const struct server_follow *f)
{
    const struct item *i = f->items;
    while (i && !i->is_event)
        i = i->next;
    return i;
}

static void show_item(struct server_follow *f, const struct item *i)
{
    struct err err = {0};
    (void)fault_point("server_follow.round.item");
    if (i->is_event)
        server_event_publish(f->s, &i->row);
    else if (server_follow_record(f->s, &i->record, &err))
        log_line(LOG_ERROR, "server", "what another server wrote is not shown: %s", err.msg);
}

static void show(struct server_follow *f)
{
    size_t gone = 0;
    server_link_gather(f->s);
    if (f->is_anew)
        gone = server_follow_anew_remove(&f->anew, f->s, f->at, false);
    if (f->events_lost)
        server_events_lost(f->s, first_event(f) ? first_event(f)->row.position - 1 : f->at);
    for (unsigned claims = 0; claims < 2; claims++) /* of hosts: these first */
        for (const struct item *i = f->items; i; i = i->next)
            if ((!i->is_event && i->record.type == STORE_CLAIM) == claims)
                show_item(f, i);
    if (f->is_anew) {
        gone += server_follow_anew_remove(&f->anew, f->s, f->at, true);
        log_line(LOG_INFO, "server", "all was loaded anew objects=%zu removed=%zu seq=%llu",
                 f->anew.n, gone, (unsigned long long)f->at);
        server_follow_anew_fini(&f->anew);
    }
    f->is_anew = f->events_lost = false;
    server_link_tell(f->s);
}

static void run_awaiting(struct server_follow *f, uint64_t round, int64_t now_ns)
{
    struct awaiting **at = &f->awaiting, *due = NULL, **due_end = &due;
    while (*at) {
        struct awaiting *a = *at;
        if ((a->seq ? f->shown >= a->seq : round >= a->round) || now_ns >= a->until_ns) {
            *at = a->next;
            *due_end = a;
            due_end = &a->next;
            f->n_awaiting--;
        } else {
            at = &a->next;
        }
    }
    f->awaiting_end = at;
    *due_end = NULL;
    while (due) {
        struct awaiting *a = due;
        due = a->next;
        if (a->seq && f->shown < a->seq) {
            a->c->refusal.retry_after_s = 1;
            api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "Virga-Seq %llu is not known here yet, only %llu: try again",
                            (unsigned long long)a->seq, (unsigned long long)f->shown);
            server_call_refuse(a->c);
        } else if (a->seq) {
            server_call_go_on(a->c);
        } else {
            server_call_run(a->c);
        }
        free(a);
    }
    if (f->awaiting)
        web_timer_arm(f->timer, 100000);
}

static void posted(struct web_post *p)
{
    struct server_follow *f = container_of(p, struct server_follow, post);
    pthread_mutex_lock(&f->lock);
    bool full = f->full;
    uint64_t round = f->begun;
    pthread_mutex_unlock(&f->lock);
    if (!full || f->ended)
        return;
    show(f);
    free_items(f);
    f->shown = f->at;
    f->s->seq = MAX(f->s->seq, f->shown);
    pthread_mutex_lock(&f->lock);
    f->full = false;
    pthread_cond_signal(&f->cond);
    pthread_mutex_unlock(&f->lock);
    run_awaiting(f, round, clock_now_ns());
}

static void timed_out(void *ctx)
{
    run_awaiting(ctx, 0, clock_now_ns());
}

struct server_follow *server_follow_create(struct server *s, uint64_t seq, unsigned ms,
                                           struct err *err)
{
    struct server_follow *f = calloc(1, sizeof(*f));
    if (!f) {
        err_set(err, ENOMEM, "no memory for a server");
        return NULL;
    }
    f->s = s;
    f->ms = ms;
    f->at = f->event_at = f->shown = seq;
    f->items_end = &f->items;
    f->awaiting_end = &f->awaiting;
    f->post.run = posted;
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->cond, &attr);
    pthread_condattr_destroy(&attr);
    f->timer = web_timer_create(s->loop, timed_out, f);
    int code = f->timer ? thread_start(&f->thread, follow_thread, f) : ENOMEM;
    f->started = !code;
    if (!code)
        return f;
    err_sys(err, code, "cannot start the thread that follows other servers");
    server_follow_end(f);
    server_follow_destroy(f);
    return NULL;
}

void server_follow_end(struct server_follow *f)
{
    if (!f)
        return;
    f->ended = true;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
    if (f->started)
        pthread_join(f->thread, NULL);
    f->started = false;
    while (f->awaiting) {
        struct awaiting *a = f->awaiting;
        f->awaiting = a->next;
        api_problem_set(&a->c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "the server ends: try again");
        server_call_refuse(a->c);
        free(a);
    }
    web_timer_destroy(steal_ptr(&f->timer));
}

void server_follow_destroy(struct server_follow *f)
{
    if (!f)
        return;
    free_items(f);
    server_follow_anew_fini(&f->anew);
    pthread_cond_destroy(&f->cond);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

uint64_t server_follow_seq(const struct server *s)
{
    return s->follow ? s->follow->shown : s->seq;
}

static bool await(struct server_follow *f, struct server_call *c, uint64_t seq, uint64_t round)
{
    struct awaiting *a = f->ended || f->n_awaiting >= AWAITING_MAX ? NULL : calloc(1, sizeof(*a));
    if (!a)
        return false;
    *a = (struct awaiting){.c = c, .seq = seq, .round = round};
    a->until_ns = clock_now_ns() + AWAIT_NS;
    *f->awaiting_end = a;
    f->awaiting_end = &a->next;
    f->n_awaiting++;
    web_timer_arm(f->timer, 100000);
    return true;
}

static uint64_t kick(struct server_follow *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t round = f->begun + 1;
    f->kicked = true;
    pthread_cond_signal(&f->cond);
    pthread_mutex_unlock(&f->lock);
    return round;
}

bool server_follow_await(struct server_call *c, uint64_t seq)
{
    struct server_follow *f = c->s->follow;
    if (!f || seq <= f->shown)
        return false;
    kick(f);
    return await(f, c, seq, 0);
}

bool server_follow_again(struct server_call *c)
{
    struct server_follow *f = c->s->follow;
    return f && await(f, c, 0, kick(f));
}
