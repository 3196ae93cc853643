/* A named thread that runs an event loop: where a disk's or a NIC's work is done. */
#ifndef IO_IOTHREAD_H
#define IO_IOTHREAD_H

#include "base/err.h"
#include "io/loop.h"

struct iothread;

/* What the program wants done first in each new thread (a seccomp filter, an affinity). A failure
 * there fails the creation. */
struct iothread_setup {
    int (*enter)(void *opaque, const char *thread_name, struct err *err);
    void *opaque;
};

/* Starts the thread and waits until its loop runs. `name` is at most 15 bytes; `setup` may be NULL.
 */
struct iothread *iothread_create(const char *name, const struct iothread_setup *setup,
                                 struct err *err);
/* Stops the loop, joins the thread, frees. NULL is allowed. */
void iothread_destroy(struct iothread *t);
struct loop *iothread_loop(struct iothread *t);

#endif
