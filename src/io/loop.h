/* One event loop: file descriptors (epoll), timers and posts from other threads. A loop belongs to
 * the thread that runs it; only loop_post(), loop_call() and loop_stop() may be used from others.
 *
 * Why not libuv: the monitor's threads need epoll, a timer heap and a post, 300 lines; a loop of
 * our own keeps its resident memory and the set of system calls its filter must allow small, and a
 * test can turn the clock by hand (LOOP_FAKE_CLOCK). */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadlines.h"
#include "base/err.h"

struct loop;

enum loop_flags { LOOP_FAKE_CLOCK = 1 << 0 };

/* Owns: loop_destroy() frees; watchers and timers must have been removed. */
struct loop *loop_create(unsigned flags, struct err *err);
void loop_destroy(struct loop *loop);

/* Runs until loop_stop(). loop_run_once() waits at most `timeout_ms` (-1: for ever, 0: not at
 * all), handles what is due, and returns how many callbacks ran. */
void loop_run(struct loop *loop);
int loop_run_once(struct loop *loop, int timeout_ms);
/* Makes loop_run() return after the current callback. Threads: any. */
void loop_stop(struct loop *loop);

/* Whether the caller is the thread the loop belongs to: the one that runs it, or that created it
 * while none has run it yet. Threads: any. */
bool loop_in_thread(const struct loop *loop);

/* Now, by the loop's clock. Units: ns. Read anew at each call. Threads: any. */
int64_t loop_now_ns(const struct loop *loop);
/* Moves a fake clock forward and runs the timers that fall due, in order. */
void loop_advance_ns(struct loop *loop, int64_t ns);

/* When the first armed timer falls due; INT64_MAX if none is armed. The loop's thread. */
int64_t loop_next_deadline_ns(const struct loop *loop);

/* A watched descriptor, embedded in its user. Zero-initialise. */
struct loop_fd {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT, EPOLLET ... */
    void (*ready)(struct loop_fd *w, uint32_t events);
    void *opaque;
    struct loop *loop; /* NULL while not watched */
};

/* Sets w->ready before. Errors: those of epoll_ctl(2), EEXIST. */
int loop_fd_add(struct loop *loop, struct loop_fd *w, int fd, uint32_t events);
int loop_fd_modify(struct loop_fd *w, uint32_t events);
/* Safe when not watched, and inside any callback of the loop. Does not close the descriptor. */
void loop_fd_remove(struct loop_fd *w);

/* A timer, embedded in its user. Zero-initialise. */
struct loop_timer {
    void (*expired)(struct loop_timer *t);
    void *opaque;
    struct deadline due; /* ns */
};

static inline bool loop_timer_armed(const struct loop_timer *t)
{
    return t->due.index != 0;
}

/* Arms or re-arms for an absolute loop_now_ns() time. Errors: ENOMEM only when the number of
 * armed timers reaches a new maximum. */
int loop_timer_arm(struct loop *loop, struct loop_timer *t, int64_t deadline_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *t);

/* A function to run in the loop's thread, embedded in its user; no allocation. May be posted again
 * once it has begun to run; posting one that is still queued does nothing. Threads: any. */
struct loop_post {
    void (*run)(struct loop_post *p);
    void *opaque;
    struct loop_post *next;
    _Atomic bool queued;
};
void loop_post(struct loop *loop, struct loop_post *p);
/* Takes a post that has not begun to run back out of the queue; harmless when it is not queued.
 * Threads: the loop's, or any while no thread runs the loop. */
void loop_post_cancel(struct loop *loop, struct loop_post *p);

/* Runs fn(arg) in the loop's thread and waits for it; directly when called from that thread or
 * when no thread runs the loop. Blocks. */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Called each time before the loop would sleep (io_uring users submit their batch here), in the
 * order in which they were added, with the loop's thread; may be NULL. A return of true asks to
 * look again without sleeping. */
struct loop_prepare {
    bool (*prepare)(struct loop_prepare *p);
    void *opaque;
    struct loop_prepare *next;
};
void loop_prepare_add(struct loop *loop, struct loop_prepare *p);
void loop_prepare_remove(struct loop *loop, struct loop_prepare *p);

#endif
