#include "io/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "tap.h"

static struct loop *loop;

static void begin(unsigned flags)
{
    struct err err;
    loop = loop_create(flags, &err);
    if (!loop)
        abort();
}

/* ---- descriptors ---- */

struct watched {
    struct loop_fd w;
    int fd, ran;
    struct watched *victim;
    bool readd;
};

static void ready(struct loop_fd *w, uint32_t events)
{
    struct watched *x = w->opaque;
    x->ran++;
    if (x->victim)
        loop_fd_remove(&x->victim->w);
    if (x->readd) {
        loop_fd_remove(&x->w);
        loop_fd_add(loop, &x->w, x->fd, EPOLLIN);
    }
}

static void watch(struct watched *x, uint32_t events)
{
    *x = (struct watched){.w = {.ready = ready, .opaque = x},
                          .fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (loop_fd_add(loop, &x->w, x->fd, events))
        abort();
}

static void unwatch(struct watched *x)
{
    loop_fd_remove(&x->w);
    close(x->fd);
}

static void a_readable_descriptor_is_handled(void)
{
    struct watched a;
    begin(0);
    watch(&a, EPOLLIN);
    CHECK_EQ(loop_fd_add(loop, &a.w, a.fd, EPOLLIN), -EEXIST);
    CHECK_EQ(loop_run_once(loop, 0), 1);
    CHECK_EQ(a.ran, 1);
    CHECK_EQ(loop_fd_modify(&a.w, 0), 0);
    CHECK_EQ(loop_run_once(loop, 0), 0);
    CHECK_EQ(loop_fd_modify(&a.w, EPOLLIN), 0);
    CHECK_EQ(loop_run_once(loop, 0), 1);
    unwatch(&a);
    loop_fd_remove(&a.w); /* again does nothing */
    CHECK_EQ(loop_fd_modify(&a.w, EPOLLIN), -ENOENT);
    CHECK_EQ(loop_run_once(loop, 0), 0);
    loop_destroy(loop);
}

static void a_watcher_removed_by_another_of_the_same_batch_does_not_run(void)
{
    struct watched a, b;
    begin(0);
    watch(&a, EPOLLIN);
    watch(&b, EPOLLIN);
    a.victim = &b;
    b.victim = &a;
    loop_run_once(loop, 0);
    CHECK_EQ(a.ran + b.ran, 1);
    unwatch(&a);
    unwatch(&b);
    loop_destroy(loop);
}

static void a_watcher_may_leave_and_come_back_inside_its_callback(void)
{
    struct watched a;
    begin(0);
    watch(&a, EPOLLIN);
    a.readd = true;
    CHECK_EQ(loop_run_once(loop, 0), 1);
    CHECK_EQ(loop_run_once(loop, 0), 1);
    CHECK_EQ(a.ran, 2);
    unwatch(&a);
    loop_destroy(loop);
}

static void a_descriptor_that_cannot_be_watched_is_refused(void)
{
    struct loop_fd w = {.ready = ready};
    begin(0);
    CHECK_EQ(loop_fd_add(loop, &w, -1, EPOLLIN), -EBADF);
    CHECK(!w.loop);
    loop_destroy(loop);
}

/* ---- timers ---- */

#define TIMERS 200

static struct model {
    struct loop_timer t;
    int64_t due; /* 0: not armed */
    unsigned fired;
} model[TIMERS];

static int64_t last_fired;
static unsigned out_of_order, too_early;

static void expired(struct loop_timer *t)
{
    struct model *m = t->opaque;
    m->fired++;
    if (m->due < last_fired)
        out_of_order++;
    if (!m->due || loop_now_ns(loop) < m->due)
        too_early++;
    last_fired = m->due;
    m->due = 0;
}

static uint32_t rnd(uint32_t below)
{
    static uint64_t s = 88172645463325252u;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return (uint32_t)((s >> 20) % below);
}

/* Random arming, re-arming, cancelling and passing of time against a plain array. */
static void timers_fire_in_order_when_due_and_only_then(void)
{
    unsigned wrong = 0, fired = 0;
    begin(LOOP_FAKE_CLOCK);
    memset(model, 0, sizeof(model));
    for (int i = 0; i < TIMERS; i++)
        model[i].t = (struct loop_timer){.expired = expired, .opaque = &model[i]};
    for (int step = 0; step < 20000; step++) {
        struct model *m = &model[rnd(TIMERS)];
        switch (rnd(8)) {
        case 0:
            loop_timer_cancel(loop, &m->t);
            m->due = 0;
            break;
        case 1:
            last_fired = 0;
            loop_advance_ns(loop, rnd(500));
            for (int i = 0; i < TIMERS; i++)
                wrong += model[i].due && model[i].due <= loop_now_ns(loop);
            break;
        default:
            m->due = loop_now_ns(loop) + 1 + rnd(2000);
            wrong += loop_timer_arm(loop, &m->t, m->due) != 0;
        }
        wrong += loop_timer_armed(&m->t) != (m->due != 0);
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(out_of_order, 0);
    CHECK_EQ(too_early, 0);
    for (int i = 0; i < TIMERS; i++) {
        fired += model[i].fired;
        loop_timer_cancel(loop, &model[i].t);
    }
    CHECK(fired > 1000);
    loop_destroy(loop);
}

static int rounds;

static void rearm(struct loop_timer *t)
{
    rounds++;
    loop_timer_arm(loop, t, 0);
}

static void a_timer_that_rearms_itself_for_the_past_does_not_starve_the_loop(void)
{
    struct loop_timer t = {.expired = rearm};
    begin(0);
    loop_timer_arm(loop, &t, 1);
    loop_run_once(loop, -1);
    CHECK_EQ(rounds, 1);
    loop_run_once(loop, -1);
    CHECK_EQ(rounds, 2);
    loop_timer_cancel(loop, &t);
    loop_destroy(loop);
}

static void note_time(struct loop_timer *t)
{
    *(int64_t *)t->opaque = clock_now_ns();
}

/* No more is asked than that it is never early: how late it is, is the machine's business. */
static void a_real_timer_is_never_early(void)
{
    int64_t at = 0;
    struct loop_timer t = {.expired = note_time, .opaque = &at};
    begin(0);
    for (int i = 1; i <= 20; i++) {
        int64_t due = clock_now_ns() + i * 37123;
        at = 0;
        loop_timer_arm(loop, &t, due);
        while (!at)
            loop_run_once(loop, -1);
        CHECK(at >= due);
    }
    loop_destroy(loop);
}

/* ---- posts ---- */

static int order[8], n_order;

static void note_order(struct loop_post *p)
{
    order[n_order++] = (int)(intptr_t)p->opaque;
}

static void posts_run_in_order_and_once(void)
{
    struct loop_post p[4];
    begin(0);
    n_order = 0;
    for (int i = 0; i < 4; i++) {
        p[i] = (struct loop_post){.run = note_order, .opaque = (void *)(intptr_t)i};
        loop_post(loop, &p[i]);
        loop_post(loop, &p[i]);
    }
    loop_post_cancel(loop, &p[2]);
    loop_post_cancel(loop, &p[2]);
    CHECK_EQ(loop_run_once(loop, 0), 3);
    CHECK(order[0] == 0 && order[1] == 1 && order[2] == 3);
    loop_post(loop, &p[2]);
    CHECK_EQ(loop_run_once(loop, 0), 1);
    CHECK_EQ(loop_run_once(loop, 0), 0);
    loop_destroy(loop);
}

#define THREADS 4
#define ROUNDS  2000

static unsigned calls, posts_run; /* touched in the loop's thread only */
static _Atomic unsigned finished;

static void count_call(void *arg)
{
    calls++;
    (*(unsigned *)arg)++;
}

static void count_post(struct loop_post *p)
{
    posts_run++;
}

static void *pester(void *arg)
{
    struct loop_post p = {.run = count_post};
    unsigned mine = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        loop_post(loop, &p);
        loop_call(loop, count_call, &mine);
        if (mine != i + 1)
            abort(); /* the call had not run when loop_call() returned */
    }
    if (atomic_fetch_add(&finished, 1) == THREADS - 1)
        loop_stop(loop);
    return NULL;
}

static void *run_it(void *arg)
{
    loop_run(loop);
    return NULL;
}

static void note_running(struct loop_post *p)
{
    atomic_store((_Atomic bool *)p->opaque, true);
}

static void calls_and_posts_from_many_threads_all_run(void)
{
    pthread_t runner, t[THREADS];
    _Atomic bool running = false;
    struct loop_post p = {.run = note_running, .opaque = &running};
    begin(0);
    loop_post(loop, &p);
    if (pthread_create(&runner, NULL, run_it, NULL))
        abort();
    while (!atomic_load(&running))
        usleep(100);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, pester, NULL))
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    pthread_join(runner, NULL);
    CHECK_EQ(calls, THREADS * ROUNDS);
    CHECK(posts_run >= 1 && posts_run <= THREADS * ROUNDS);
    loop_destroy(loop);
}

static void a_call_is_made_at_once_where_nobody_runs_the_loop(void)
{
    unsigned n = 0;
    begin(0);
    CHECK(loop_in_thread(loop));
    loop_call(loop, count_call, &n);
    CHECK_EQ(n, 1);
    loop_destroy(loop);
}

/* ---- prepare ---- */

struct hook {
    struct loop_prepare p;
    int left, ran;
};

static bool prepare(struct loop_prepare *p)
{
    struct hook *h = p->opaque;
    h->ran++;
    return h->left-- > 0;
}

static void a_prepare_hook_with_work_left_keeps_the_loop_awake(void)
{
    struct hook h = {.p = {.prepare = prepare, .opaque = &h}, .left = 2};
    begin(0);
    loop_prepare_add(loop, &h.p);
    loop_run_once(loop, -1); /* would hang if it slept */
    loop_run_once(loop, -1);
    loop_run_once(loop, 0);
    CHECK_EQ(h.ran, 3);
    loop_prepare_remove(loop, &h.p);
    loop_run_once(loop, 0);
    CHECK_EQ(h.ran, 3);
    loop_destroy(loop);
}

int main(void)
{
    TAP_RUN(a_readable_descriptor_is_handled);
    TAP_RUN(a_watcher_removed_by_another_of_the_same_batch_does_not_run);
    TAP_RUN(a_watcher_may_leave_and_come_back_inside_its_callback);
    TAP_RUN(a_descriptor_that_cannot_be_watched_is_refused);
    TAP_RUN(timers_fire_in_order_when_due_and_only_then);
    TAP_RUN(a_timer_that_rearms_itself_for_the_past_does_not_starve_the_loop);
    TAP_RUN(a_real_timer_is_never_early);
    TAP_RUN(posts_run_in_order_and_once);
    TAP_RUN(calls_and_posts_from_many_threads_all_run);
    TAP_RUN(a_call_is_made_at_once_where_nobody_runs_the_loop);
    TAP_RUN(a_prepare_hook_with_work_left_keeps_the_loop_awake);
    return tap_done();
}
