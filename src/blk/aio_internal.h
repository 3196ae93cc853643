/* What aio.c, aio_uring.c and aio_pool.c share. */
#ifndef BLK_AIO_INTERNAL_H
#define BLK_AIO_INTERNAL_H

#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>

#include "blk/aio.h"

#define AIO_POOL_THREADS_MAX 64

struct aio_uring {
    struct io_uring ring;
    int event_fd;
    struct loop_fd watch;
    unsigned in_flight;                     /* queued or in the kernel */
    struct aio_op *backlog, **backlog_tail; /* while the submission queue is full */
};

/* Under `lock`: the two lists and the counters of idle threads. The rest is the loop's. */
struct aio_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    struct aio_op *todo, **todo_tail;
    struct aio_op *done, **done_tail;
    unsigned idle, in_flight;
    bool stop;
    unsigned n_threads, threads_max;
    pthread_t threads[AIO_POOL_THREADS_MAX];
    struct loop_post post;
    struct loop *loop;
    const struct iothread_setup *setup;
};

struct aio {
    struct loop *loop;
    struct aio_config config;
    enum aio_kind kind;
    struct loop_prepare prepare;
    struct aio_uring uring;
    struct aio_pool pool;
};

/* 0, or -errno when the kernel has no ring for us. */
int aio_uring_open(struct aio_uring *u, struct loop *loop);
void aio_uring_close(struct aio_uring *u);
void aio_uring_queue(struct aio_uring *u, struct aio_op *op);
/* Passes the queue to the kernel and runs completions; true if any ran. */
bool aio_uring_flush(struct aio_uring *u);
/* The same, and sees to it that what completes later wakes the loop. */
bool aio_uring_before_sleep(struct aio_uring *u);
void aio_uring_wait(struct aio_uring *u, unsigned timeout_ms);

void aio_pool_init(struct aio_pool *p, struct loop *loop, const struct aio_config *config);
void aio_pool_fini(struct aio_pool *p);
void aio_pool_queue(struct aio_pool *p, struct aio_op *op);
bool aio_pool_reap(struct aio_pool *p);
void aio_pool_wait(struct aio_pool *p);

#endif
