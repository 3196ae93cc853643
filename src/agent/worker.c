#include "agent/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/thread.h"
#include "base/util.h"

#define THREADS_MAX 16

struct queue {
    struct work *first, **end;
};

struct worker_pool {
    struct loop *loop;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct queue todo, done;
    bool ending;

    struct loop_post finished;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
};

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void queue_put(struct queue *q, struct work *w)
{
    w->next = NULL;
    *q->end = w;
    q->end = &w->next;
}

static struct work *queue_take(struct queue *q)
{
    struct work *w = q->first;
    if (w) {
        q->first = w->next;
        if (!q->first)
            q->end = &q->first;
    }
    return w;
}

static void *work_on(void *arg)
{
    struct worker_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct work *w = queue_take(&p->todo);
        if (!w) {
            pthread_cond_wait(&p->wake, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        w->run(w);
        w->ran = true;
        pthread_mutex_lock(&p->lock);
        queue_put(&p->done, w);
        loop_post(p->loop, &p->finished);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void tell(struct worker_pool *p)
{
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct work *w = queue_take(&p->done);
        pthread_mutex_unlock(&p->lock);
        if (!w)
            return;
        w->done(w);
    }
}

static void on_finished(struct loop_post *post)
{
    tell(container_of(post, struct worker_pool, finished));
}

struct worker_pool *worker_pool_create(struct loop *loop, unsigned threads, struct err *err)
{
    struct worker_pool *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(err, ENOMEM, "could not allocate workers");
        return NULL;
    }
    p->loop = loop;
    p->finished.run = on_finished;
    queue_init(&p->todo);
    queue_init(&p->done);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    while (p->n_threads < MIN(threads, (unsigned)THREADS_MAX)) {
        int ret = thread_start(&p->threads[p->n_threads], work_on, p);
        if (ret) {
            err_sys(err, ret, "could not start a worker");
            worker_pool_destroy(p);
            return NULL;
        }
        p->n_threads++;
    }
    return p;
}

void worker_pool_destroy(struct worker_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    loop_post_cancel(p->loop, &p->finished);
    tell(p);
    for (struct work *w; (w = queue_take(&p->todo));)
        w->done(w);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void worker_submit(struct worker_pool *p, struct work *w)
{
    w->ran = false;
    pthread_mutex_lock(&p->lock);
    queue_put(&p->todo, w);
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}
