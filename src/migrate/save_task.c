#include "migrate/save_task.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/saved_vm.h"

struct save_task {
    struct save_task_config config;
    struct state_writer state;
    int fd;
    struct iothread *thread;
    struct loop_post work, finished;
    _Atomic bool cancel;
    struct err err; /* the thread's, until it has posted `finished` */
};

static void write_file(struct loop_post *p)
{
    struct save_task *t = p->opaque;
    int ret = t->config.flush ? t->config.flush(t->config.opaque, &t->err) : 0;
    if (!ret)
        saved_vm_write(t->fd, t->config.mem, t->config.uuid, t->state.data, t->state.len_bytes,
                       &t->cancel, &t->err);
    loop_post(t->config.loop, &t->finished);
}

static void tell(struct loop_post *p)
{
    struct save_task *t = p->opaque;
    struct err err = t->err;
    t->config.done(t->config.opaque, &err);
}

struct save_task *save_task_start(const struct save_task_config *config, struct state_writer *state,
                                  int fd, struct err *err)
{
    struct save_task *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(err, ENOMEM, "could not allocate what saving the VM takes");
        state_writer_fini(state);
        close(fd);
        return NULL;
    }
    t->config = *config;
    t->state = *state;
    state_writer_init(state);
    t->fd = fd;
    t->work = (struct loop_post){.run = write_file, .opaque = t};
    t->finished = (struct loop_post){.run = tell, .opaque = t};
    /* Named for its system call filter: it does what a disk's thread does. */
    t->thread = iothread_create("disk-save", config->thread_setup, err);
    if (!t->thread) {
        save_task_destroy(t);
        return NULL;
    }
    loop_post(iothread_loop(t->thread), &t->work);
    return t;
}

void save_task_destroy(struct save_task *t)
{
    if (!t)
        return;
    atomic_store(&t->cancel, true);
    iothread_destroy(t->thread);
    loop_post_cancel(t->config.loop, &t->finished);
    state_writer_fini(&t->state);
    close(t->fd);
    free(t);
}
