/* Saving a paused VM in the background: a thread of its own writes the file while the main loop
 * goes on answering. Whoever starts one keeps the VM paused until `done`. */
#ifndef MIGRATE_SAVE_TASK_H
#define MIGRATE_SAVE_TASK_H

#include "base/err.h"
#include "io/iothread.h"
#include "mem/guest_mem.h"
#include "state/state.h"

struct save_task;

struct save_task_config {
    const struct guest_mem *mem; /* borrowed until done */
    uint8_t uuid[16];            /* the VM's */
    /* Called first, in the thread: what has to be on the disk before the file says so. May be NULL.
     */
    int (*flush)(void *opaque, struct err *err);
    const struct iothread_setup *thread_setup; /* may be NULL */
    struct loop *loop;                         /* where done() is called */
    /* Exactly once, unless save_task_destroy() comes first. err->code 0: the file is whole and on
     * the disk. May call save_task_destroy(). */
    void (*done)(void *opaque, const struct err *err);
    void *opaque;
};

/* Takes over `fd` and what `state` holds, also on errors. Owns: save_task_destroy(). */
struct save_task *save_task_start(const struct save_task_config *config, struct state_writer *state,
                                  int fd, struct err *err);
/* Cancels it if it still runs; the file is then one that saved_vm_read() refuses. NULL is allowed.
 */
void save_task_destroy(struct save_task *t);

#endif
