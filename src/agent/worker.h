/* Threads for what blocks (drivers, files), on behalf of one event loop. */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include <stdbool.h>

#include "base/err.h"
#include "io/loop.h"

struct worker_pool;

/* One piece of work, embedded in its user: run() on a worker, then done() in the loop's thread. */
struct work {
    void (*run)(struct work *w);
    void (*done)(struct work *w);
    bool ran; /* in done(): false when the pool ended first */
    struct work *next;
};

struct worker_pool *worker_pool_create(struct loop *loop, unsigned threads, struct err *err);
/* Waits for what runs; calls done() for all that was submitted: what had not begun is not run.
 * The loop's thread. NULL is allowed. Blocks. */
void worker_pool_destroy(struct worker_pool *p);
/* The loop's thread. */
void worker_submit(struct worker_pool *p, struct work *w);

#endif
