#include "io/iothread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

struct iothread {
    pthread_t thread;
    struct loop *loop;
    char name[16];
    const struct iothread_setup *setup;
    sem_t started;
    struct err start_err;
    struct loop_post announce;
};

static void announce(struct loop_post *p)
{
    struct iothread *t = p->opaque;
    sem_post(&t->started);
}

static void *thread_main(void *arg)
{
    struct iothread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    if (t->setup && t->setup->enter && t->setup->enter(t->setup->opaque, t->name, &t->start_err)) {
        sem_post(&t->started);
        return NULL;
    }
    /* Announced from inside the loop, so that a loop_call() right after creation is queued to this
     * thread instead of being run by its caller. */
    t->announce = (struct loop_post){.run = announce, .opaque = t};
    loop_post(t->loop, &t->announce);
    loop_run(t->loop);
    return NULL;
}

struct iothread *iothread_create(const char *name, const struct iothread_setup *setup,
                                 struct err *err)
{
    struct iothread *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(err, ENOMEM, "could not allocate I/O thread '%s'", name);
        return NULL;
    }
    t->setup = setup;
    strncpy(t->name, name, sizeof(t->name) - 1);
    sem_init(&t->started, 0, 0);
    t->loop = loop_create(0, err);
    if (!t->loop)
        goto fail;
    int e = thread_start(&t->thread, thread_main, t);
    if (e) {
        err_sys(err, e, "could not start I/O thread '%s'", name);
        goto fail;
    }
    while (sem_wait(&t->started) < 0 && errno == EINTR)
        ;
    if (t->start_err.code) {
        pthread_join(t->thread, NULL);
        if (err)
            *err = t->start_err;
        goto fail;
    }
    return t;
fail:
    loop_destroy(t->loop);
    sem_destroy(&t->started);
    free(t);
    return NULL;
}

void iothread_destroy(struct iothread *t)
{
    if (!t)
        return;
    loop_stop(t->loop);
    pthread_join(t->thread, NULL);
    loop_destroy(t->loop);
    sem_destroy(&t->started);
    free(t);
}

struct loop *iothread_loop(struct iothread *t)
{
    return t->loop;
}
