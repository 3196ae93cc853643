/* Theory of operation. One epoll instance; its events carry the address of a loop_fd. A callback
 * may remove any watcher, also one whose event was fetched in the same epoll_wait(): removal
 * therefore clears matching entries of the batch that is being worked through. Timers are a binary
 * heap ordered by deadline. Posts are a lock-free stack that is taken whole and reversed. */
#include "io/loop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

#define BATCH        64
#define SLEEP_MAX_NS INT64_C(3600000000000)

struct loop {
    int epoll_fd;
    int wake_fd;
    bool fake;
    bool coarse; /* no epoll_pwait2(2) here */
    _Atomic int64_t fake_now_ns;
    _Atomic bool stop;
    _Atomic bool running; /* a thread is inside loop_run() or loop_run_once() */
    _Atomic uintptr_t owner;
    _Atomic(struct loop_post *) posts;
    struct loop_post *taken; /* posts in order, taken off the stack and not yet run */
    struct deadlines timers;
    struct loop_prepare *prepares;
    struct epoll_event batch[BATCH];
    int batch_len;
};

struct loop *loop_create(unsigned flags, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop) {
        err_set(err, ENOMEM, "could not allocate an event loop");
        return NULL;
    }
    loop->fake = flags & LOOP_FAKE_CLOCK;
    atomic_store(&loop->owner, (uintptr_t)pthread_self());
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0) {
        err_sys(err, errno, "could not create an event loop");
        loop_destroy(loop);
        return NULL;
    }
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    deadlines_fini(&loop->timers);
    free(loop);
}

bool loop_in_thread(const struct loop *loop)
{
    return atomic_load(&loop->owner) == (uintptr_t)pthread_self();
}

int64_t loop_now_ns(const struct loop *loop)
{
    return loop->fake ? atomic_load(&loop->fake_now_ns) : clock_now_ns();
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));
    (void)ignored;
}

/* ---- timers ---- */

void loop_timer_cancel(struct loop *loop, struct loop_timer *t)
{
    deadlines_remove(&loop->timers, &t->due);
}

int loop_timer_arm(struct loop *loop, struct loop_timer *t, int64_t deadline_ns)
{
    return deadlines_put(&loop->timers, &t->due, deadline_ns);
}

/* Runs timers due at `now`; one that re-arms itself for the past runs once a round. */
static int run_timers(struct loop *loop, int64_t now)
{
    int ran = 0;
    for (unsigned budget = loop->timers.n; budget && loop->timers.n; budget--) {
        struct deadline *due = deadlines_first(&loop->timers);
        if (due->at > now)
            break;
        deadlines_remove(&loop->timers, due);
        struct loop_timer *t = container_of(due, struct loop_timer, due);
        t->expired(t);
        ran++;
    }
    return ran;
}

void loop_advance_ns(struct loop *loop, int64_t ns)
{
    int64_t end = atomic_load(&loop->fake_now_ns) + ns;
    while (loop_next_deadline_ns(loop) <= end) {
        int64_t due = loop_next_deadline_ns(loop);
        if (due > atomic_load(&loop->fake_now_ns))
            atomic_store(&loop->fake_now_ns, due);
        run_timers(loop, due);
    }
    atomic_store(&loop->fake_now_ns, end);
}

int64_t loop_next_deadline_ns(const struct loop *loop)
{
    const struct deadline *first = deadlines_first(&loop->timers);
    return first ? first->at : INT64_MAX;
}

/* ---- descriptors ---- */

int loop_fd_add(struct loop *loop, struct loop_fd *w, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (w->loop)
        return -EEXIST;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    w->fd = fd;
    w->events = events;
    w->loop = loop;
    return 0;
}

int loop_fd_modify(struct loop_fd *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (!w->loop)
        return -ENOENT;
    if (events == w->events)
        return 0;
    if (epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0)
        return -errno;
    w->events = events;
    return 0;
}

void loop_fd_remove(struct loop_fd *w)
{
    struct loop *loop = w->loop;
    if (!loop)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = 0; i < loop->batch_len; i++)
        if (loop->batch[i].data.ptr == w)
            loop->batch[i].events = 0;
    w->loop = NULL;
}

/* ---- posts ---- */

void loop_post(struct loop *loop, struct loop_post *p)
{
    if (atomic_exchange(&p->queued, true))
        return;
    p->next = atomic_load(&loop->posts);
    while (!atomic_compare_exchange_weak(&loop->posts, &p->next, p))
        ;
    wake(loop);
}

/* Moves the stack of new posts behind those already taken, oldest first. */
static void take_posts(struct loop *loop)
{
    struct loop_post *stack = atomic_exchange(&loop->posts, NULL);
    struct loop_post *in_order = NULL;
    while (stack) {
        struct loop_post *next = stack->next;
        stack->next = in_order;
        in_order = stack;
        stack = next;
    }
    struct loop_post **tail = &loop->taken;
    while (*tail)
        tail = &(*tail)->next;
    *tail = in_order;
}

static int run_posts(struct loop *loop)
{
    int ran = 0;
    take_posts(loop);
    while (loop->taken) {
        struct loop_post *p = loop->taken;
        loop->taken = p->next;
        atomic_store(&p->queued, false);
        p->run(p);
        ran++;
    }
    return ran;
}

void loop_post_cancel(struct loop *loop, struct loop_post *p)
{
    take_posts(loop);
    for (struct loop_post **at = &loop->taken; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            atomic_store(&p->queued, false);
            break;
        }
    }
    if (loop->taken)
        wake(loop);
}

struct call {
    struct loop_post post;
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static void run_call(struct loop_post *p)
{
    struct call *call = p->opaque;
    call->fn(call->arg);
    sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    if (!atomic_load(&loop->running) || atomic_load(&loop->owner) == (uintptr_t)pthread_self()) {
        fn(arg);
        return;
    }
    struct call call = {.post = {.run = run_call}, .fn = fn, .arg = arg};
    call.post.opaque = &call;
    sem_init(&call.done, 0, 0);
    loop_post(loop, &call.post);
    while (sem_wait(&call.done) < 0 && errno == EINTR)
        ;
    sem_destroy(&call.done);
}

/* ---- running ---- */

void loop_prepare_add(struct loop *loop, struct loop_prepare *p)
{
    struct loop_prepare **tail = &loop->prepares;
    while (*tail)
        tail = &(*tail)->next;
    p->next = NULL;
    *tail = p;
}

void loop_prepare_remove(struct loop *loop, struct loop_prepare *p)
{
    for (struct loop_prepare **at = &loop->prepares; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            return;
        }
    }
}

/* How long epoll may sleep: until the first timer, and not at all if a prepare hook has more to do.
 * Units: ns; -1 for ever. */
static int64_t sleep_ns(struct loop *loop, int timeout_ms)
{
    int64_t sleep = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000;
    for (struct loop_prepare *p = loop->prepares, *next; p; p = next) {
        next = p->next;
        if (p->prepare(p))
            sleep = 0;
    }
    if (loop->timers.n && !loop->fake) {
        int64_t left = MAX(deadlines_first(&loop->timers)->at - clock_now_ns(), 0);
        if (sleep < 0 || left < sleep)
            sleep = MIN(left, SLEEP_MAX_NS);
    }
    return sleep;
}

/* epoll_wait(2) counts in milliseconds, so a timer would be up to one late; since Linux 5.11 there
 * is a call that counts in nanoseconds. */
static int wait_events(struct loop *loop, int64_t ns)
{
    if (ns > 0 && !loop->coarse) {
        struct timespec ts = {ns / 1000000000, ns % 1000000000};
        int n = epoll_pwait2(loop->epoll_fd, loop->batch, BATCH, &ts, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        loop->coarse = true; /* an old kernel, or a filter made before this call was known */
    }
    int ms = ns < 0 ? -1 : (int)((ns + 999999) / 1000000);
    return epoll_wait(loop->epoll_fd, loop->batch, BATCH, ms);
}

static int run_ready(struct loop *loop)
{
    int ran = 0;
    for (int i = 0; i < loop->batch_len; i++) {
        uint32_t events = loop->batch[i].events;
        struct loop_fd *w = loop->batch[i].data.ptr;
        if (!events)
            continue;
        if (!w) {
            uint64_t drained;
            ssize_t ignored = read(loop->wake_fd, &drained, sizeof(drained));
            (void)ignored;
            continue;
        }
        w->ready(w, events);
        ran++;
    }
    loop->batch_len = 0;
    return ran;
}

int loop_run_once(struct loop *loop, int timeout_ms)
{
    bool was_running = atomic_load(&loop->running);
    atomic_store(&loop->owner, (uintptr_t)pthread_self());
    atomic_store(&loop->running, true);
    int n = wait_events(loop, sleep_ns(loop, timeout_ms));
    loop->batch_len = MAX(n, 0);
    int ran = run_ready(loop);
    ran += run_posts(loop);
    if (!loop->fake)
        ran += run_timers(loop, clock_now_ns());
    atomic_store(&loop->running, was_running);
    return ran;
}

void loop_run(struct loop *loop)
{
    atomic_store(&loop->owner, (uintptr_t)pthread_self());
    atomic_store(&loop->running, true);
    while (!atomic_load(&loop->stop))
        loop_run_once(loop, -1);
    atomic_store(&loop->stop, false);
    atomic_store(&loop->running, false);
    run_posts(loop); /* a loop_call() that raced with the stop still returns */
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}
