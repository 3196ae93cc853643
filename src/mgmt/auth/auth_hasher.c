#include "mgmt/auth/auth_hasher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/util.h"

#define THREADS_DEFAULT 2
#define THREADS_MAX     16
#define QUEUE_DEFAULT   64

struct queue {
    struct auth_hasher_job *first, **end;
};

struct auth_hasher {
    struct auth_hasher_config config;
    pthread_mutex_t lock; /* of what follows, up to the threads */
    pthread_cond_t work;
    struct queue waiting, completed;
    unsigned n_waiting;
    bool woken; /* `wake` was called, auth_hasher_deliver() not yet */
    bool ending;

    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
};

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void queue_put(struct queue *q, struct auth_hasher_job *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
}

static struct auth_hasher_job *queue_take(struct queue *q)
{
    struct auth_hasher_job *job = q->first;
    if (job) {
        q->first = job->next;
        if (!q->first)
            q->end = &q->first;
    }
    return job;
}

static void run(const struct auth_password_cost *cost, struct auth_hasher_job *job)
{
    const char *stored = job->known ? job->stored : NULL;
    if (!job->verify) {
        job->result = auth_password_hash(job->password, job->password_bytes, cost, job->text, NULL);
    } else {
        job->result = auth_password_verify(job->password, job->password_bytes, stored, cost);
        /* One that is too short for today's rules keeps its old hash. */
        if (!job->result && auth_password_is_stale(stored, cost))
            auth_password_hash(job->password, job->password_bytes, cost, job->text, NULL);
    }
    auth_password_wipe(job->password, sizeof(job->password));
}

static void *work_on(void *arg)
{
    struct auth_hasher *h = arg;
    pthread_mutex_lock(&h->lock);
    while (!h->ending) {
        struct auth_hasher_job *job = queue_take(&h->waiting);
        if (!job) {
            pthread_cond_wait(&h->work, &h->lock);
            continue;
        }
        h->n_waiting--;
        pthread_mutex_unlock(&h->lock);
        run(&h->config.cost, job);
        pthread_mutex_lock(&h->lock);
        queue_put(&h->completed, job);
        if (h->woken || !h->config.wake)
            continue;
        h->woken = true;
        pthread_mutex_unlock(&h->lock);
        h->config.wake(h->config.wake_ctx);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static bool cost_works(const struct auth_password_cost *cost)
{
    return cost->memory_kib >= 8 * (uint64_t)cost->lanes && cost->passes && cost->lanes;
}

struct auth_hasher *auth_hasher_create(const struct auth_hasher_config *config, struct err *err)
{
    struct auth_hasher *h = calloc(1, sizeof(*h));
    if (!h) {
        err_set(err, ENOMEM, "could not allocate a hasher of passwords");
        return NULL;
    }
    h->config = *config;
    if (!h->config.threads)
        h->config.threads = THREADS_DEFAULT;
    if (!h->config.queue_max)
        h->config.queue_max = QUEUE_DEFAULT;
    if (!h->config.cost.memory_kib && !h->config.cost.passes && !h->config.cost.lanes)
        h->config.cost = auth_password_cost_default;
    queue_init(&h->waiting);
    queue_init(&h->completed);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    if (h->config.threads > THREADS_MAX || !cost_works(&h->config.cost)) {
        err_set(err, EINVAL, "a hasher has 1 to %d threads (not %u) and a cost that works",
                THREADS_MAX, h->config.threads);
        auth_hasher_destroy(h);
        return NULL;
    }
    while (h->n_threads < h->config.threads) {
        int e = thread_start(&h->threads[h->n_threads], work_on, h);
        if (e) {
            err_sys(err, e, "could not start a thread that hashes passwords");
            auth_hasher_destroy(h);
            return NULL;
        }
        h->n_threads++;
    }
    return h;
}

void auth_hasher_destroy(struct auth_hasher *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < h->n_threads; i++)
        pthread_join(h->threads[i], NULL);
    while (auth_hasher_deliver(h))
        ;
    for (struct auth_hasher_job *job; (job = queue_take(&h->waiting));) {
        auth_password_wipe(job->password, sizeof(job->password));
        job->result = -ECANCELED;
        job->done(job, job->ctx);
    }
    pthread_cond_destroy(&h->work);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static int submit(struct auth_hasher *h, struct auth_hasher_job *job, const char *password,
                  size_t bytes, void (*done)(struct auth_hasher_job *job, void *ctx), void *ctx)
{
    int r = 0;
    job->result = 0;
    job->text[0] = '\0';
    job->done = done;
    job->ctx = ctx;
    job->password_bytes = bytes;
    pthread_mutex_lock(&h->lock);
    if (h->ending || h->n_waiting >= h->config.queue_max) {
        r = -EAGAIN;
    } else {
        memcpy(job->password, password, bytes);
        queue_put(&h->waiting, job);
        h->n_waiting++;
        pthread_cond_signal(&h->work);
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

int auth_hasher_hash(struct auth_hasher *h, struct auth_hasher_job *job, const char *password,
                     size_t bytes, void (*done)(struct auth_hasher_job *job, void *ctx), void *ctx)
{
    if (bytes < AUTH_PASSWORD_MIN_BYTES || bytes > AUTH_PASSWORD_MAX_BYTES)
        return -ERANGE;
    job->verify = false;
    job->known = false;
    return submit(h, job, password, bytes, done, ctx);
}

int auth_hasher_verify(struct auth_hasher *h, struct auth_hasher_job *job, const char *password,
                       size_t bytes, const char *stored,
                       void (*done)(struct auth_hasher_job *job, void *ctx), void *ctx)
{
    if (bytes > AUTH_PASSWORD_MAX_BYTES)
        return -ERANGE;
    job->verify = true;
    job->known = stored && strlen(stored) < sizeof(job->stored);
    if (job->known)
        memcpy(job->stored, stored, strlen(stored) + 1);
    return submit(h, job, password, bytes, done, ctx);
}

unsigned auth_hasher_deliver(struct auth_hasher *h)
{
    unsigned n = 0;
    pthread_mutex_lock(&h->lock);
    struct auth_hasher_job *list = h->completed.first;
    queue_init(&h->completed);
    h->woken = false;
    pthread_mutex_unlock(&h->lock);
    while (list) {
        struct auth_hasher_job *job = list;
        list = job->next;
        job->done(job, job->ctx);
        n++;
    }
    return n;
}
