/* Threads for what blocks: reads of the store, files. Jobs are handed back to the loop. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"
#include "base/util.h"
#include "mgmt/server/server_internal.h"

#define JOBS_MAX 1024

struct server_workers {
    struct web_loop *loop;
    struct web_post post;
    unsigned n;
    pthread_t *threads;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    bool closing;
    unsigned n_jobs;
    struct server_job *jobs, **jobs_end, *finished, **finished_end;
};

static void *worker(void *arg)
{
    struct server_workers *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->jobs && !w->closing)
            pthread_cond_wait(&w->work, &w->lock);
        if (w->closing)
            break;
        struct server_job *j = w->jobs;
        w->jobs = j->next;
        if (!w->jobs)
            w->jobs_end = &w->jobs;
        pthread_mutex_unlock(&w->lock);
        j->work(j);
        pthread_mutex_lock(&w->lock);
        j->next = NULL;
        *w->finished_end = j;
        w->finished_end = &j->next;
        web_loop_post(w->loop, &w->post);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void hand_back(struct server_workers *w)
{
    pthread_mutex_lock(&w->lock);
    struct server_job *j = w->finished, *next;
    w->finished = NULL;
    w->finished_end = &w->finished;
    for (struct server_job *k = j; k; k = k->next)
        w->n_jobs--;
    pthread_mutex_unlock(&w->lock);
    for (; j; j = next) {
        next = j->next;
        j->done(j);
    }
}

static void posted(struct web_post *p)
{
    hand_back(container_of(p, struct server_workers, post));
}

struct server_workers *server_workers_create(struct server *s, unsigned n, struct err *err)
{
    struct server_workers *w = calloc(1, sizeof(*w));
    if (w)
        w->threads = calloc(n, sizeof(*w->threads));
    if (!w || !w->threads) {
        free(w);
        err_set(err, ENOMEM, "no memory for workers");
        return NULL;
    }
    w->loop = s->loop;
    w->post.run = posted;
    w->jobs_end = &w->jobs;
    w->finished_end = &w->finished;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    for (; w->n < n; w->n++) {
        int code = thread_start(&w->threads[w->n], worker, w);
        if (code) {
            err_sys(err, code, "cannot start a worker thread");
            server_workers_destroy(w);
            return NULL;
        }
    }
    return w;
}

void server_workers_destroy(struct server_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n; i++)
        pthread_join(w->threads[i], NULL);
    *w->finished_end = w->jobs;
    w->jobs = NULL;
    hand_back(w);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w);
}

int server_workers_submit(struct server_workers *w, struct server_job *j)
{
    int r = 0;
    if (!w)
        return -EAGAIN; /* the server ends */
    pthread_mutex_lock(&w->lock);
    if (w->n_jobs >= JOBS_MAX || w->closing) {
        r = -EAGAIN;
    } else {
        w->n_jobs++;
        j->next = NULL;
        *w->jobs_end = j;
        w->jobs_end = &j->next;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}
