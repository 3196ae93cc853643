/* The group commit: a queue, one thread that commits all that waits in it, and a list of what is
 * completed for whoever delivers it.
 *
 * Theory of operation. While a group is being made durable the next one gathers by itself: the
 * thread never waits for company. One transaction alone is a group of one and pays one disk write;
 * under load a group is as large as what arrived during the write before it. One exception: what is
 * submitted while completions are delivered is taken when that has ended, or the first answer's
 * successor would be a group of its own and all others would wait for it.
 *
 * A commit whose outcome is unknown (a broken connection, a failed fsync) puts the store in doubt:
 * what waits and what comes is refused with -EAGAIN, since a caller would rather hear that at once,
 * and the provider is asked again and again, less and less often, until it knows. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/thread.h"
#include "mgmt/store/store_internal.h"
#include "mgmt/store/store_provider.h"

#define QUEUE_DEFAULT 4096
#define GROUP_LIMIT   1024
#define GROUP_BYTES_MAX                                                                            \
    (8u * 1024 * 1024) /* of documents: bounds one commit's time and log space */
#define DOUBT_FIRST_MS 10
#define DOUBT_LAST_MS  1000

void store_init(struct store *s, const struct store_ops *ops, const struct store_config *config,
                unsigned group_best)
{
    s->ops = ops;
    s->config = *config;
    if (!s->config.queue_max)
        s->config.queue_max = QUEUE_DEFAULT;
    if (!s->config.group_max)
        s->config.group_max = group_best;
    if (s->config.group_max > GROUP_LIMIT)
        s->config.group_max = GROUP_LIMIT;
    s->queue_tail = &s->queue;
    s->completed_tail = &s->completed;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &attr);
    pthread_condattr_destroy(&attr);
}

int store_enqueue(struct store *s, struct store_txn *txn,
                  void (*done)(struct store_txn *txn, void *ctx), void *ctx, bool direct)
{
    if (!store_txn_is_valid(txn))
        return -EINVAL;
    txn->done = done;
    txn->ctx = ctx;
    txn->direct = direct;
    txn->next = NULL;
    txn->result = 0;
    txn->failed_op = 0;
    txn->current = 0;
    int r = 0;
    pthread_mutex_lock(&s->lock);
    if (s->closing) {
        r = -ESHUTDOWN;
    } else if (s->in_doubt || s->queued >= s->config.queue_max) {
        r = -EAGAIN;
    } else {
        *s->queue_tail = txn;
        s->queue_tail = &txn->next;
        if (s->queued++ == 0 && !s->delivering)
            pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

int store_submit(struct store *s, struct store_txn *txn,
                 void (*done)(struct store_txn *txn, void *ctx), void *ctx)
{
    return store_enqueue(s, txn, done, ctx, false);
}

static size_t txn_bytes(const struct store_txn *txn)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < txn->n_ops; i++) {
        const struct store_op *op = &txn->ops[i];
        if (op->type == STORE_PUT)
            bytes += op->object.body.len_bytes;
        else if (op->type == STORE_EVENT || op->type == STORE_AUDIT || op->type == STORE_USAGE)
            bytes += op->row.body.len_bytes;
        else if (op->type == STORE_KEY)
            bytes += op->key.answer.len_bytes;
    }
    return bytes;
}

/* Takes the next group, waiting for its first. Returns 0 when closing and nothing waits. */
static unsigned take_group(struct store *s, struct store_txn **group)
{
    unsigned n = 0;
    size_t bytes = 0;
    pthread_mutex_lock(&s->lock);
    while ((!s->queue || s->delivering) && !s->closing)
        pthread_cond_wait(&s->work, &s->lock);
    while (s->queue && n < s->config.group_max) {
        bytes += txn_bytes(s->queue);
        if (n && bytes > GROUP_BYTES_MAX)
            break;
        group[n++] = s->queue;
        s->queue = s->queue->next;
        s->queued--;
    }
    if (!s->queue)
        s->queue_tail = &s->queue;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void count(struct store *s, const struct store_txn *txn)
{
    if (!txn->result)
        s->counts.done++;
    else if (txn->result == -EAGAIN || txn->result == -EINPROGRESS)
        s->counts.failed++;
    else
        s->counts.refused++;
}

static void complete(struct store *s, struct store_txn **group, unsigned n, const struct err *err)
{
    bool wake = false;
    pthread_mutex_lock(&s->lock);
    s->counts.groups++;
    s->counts.last = *err;
    for (unsigned i = 0; i < n; i++) {
        struct store_txn *txn = group[i];
        count(s, txn);
        if (!s->config.wake || txn->direct)
            continue;
        txn->next = NULL;
        *s->completed_tail = txn;
        s->completed_tail = &txn->next;
        group[i] = NULL;
        if (!s->woken)
            wake = s->woken = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (wake)
        s->config.wake(s->config.wake_ctx);
    for (unsigned i = 0; i < n; i++)
        if (group[i])
            group[i]->done(group[i], group[i]->ctx);
}

static void fail_all(struct store_txn **group, unsigned n, int result)
{
    for (unsigned i = 0; i < n; i++)
        store_refuse(group[i], 0, result, 0);
}

/* Fails all that waits: while in doubt nobody can say when its turn would come. */
static void fail_waiting(struct store *s, struct store_txn **scratch, const struct err *err)
{
    for (;;) {
        unsigned n = 0;
        pthread_mutex_lock(&s->lock);
        for (; s->queue && n < s->config.group_max; s->queued--) {
            scratch[n++] = s->queue;
            s->queue = s->queue->next;
        }
        if (!s->queue)
            s->queue_tail = &s->queue;
        pthread_mutex_unlock(&s->lock);
        if (!n)
            return;
        fail_all(scratch, n, -EAGAIN);
        complete(s, scratch, n, err);
    }
}

/* Waits `ms`, or until the store is closed; returns whether it is. */
static bool closed_within(struct store *s, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&s->lock);
    int r = 0;
    while (!s->closing && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&s->work, &s->lock, &until);
    bool closing = s->closing;
    pthread_mutex_unlock(&s->lock);
    return closing;
}

static void set_doubt(struct store *s, bool in_doubt)
{
    pthread_mutex_lock(&s->lock);
    s->in_doubt = in_doubt;
    pthread_mutex_unlock(&s->lock);
}

static int find_out(struct store *s, struct store_txn **group, unsigned n, struct err *err)
{
    struct store_txn *waiting[GROUP_LIMIT];
    set_doubt(s, true);
    fail_waiting(s, waiting, err);
    unsigned ms = DOUBT_FIRST_MS;
    int r = -EINPROGRESS;
    for (bool last = false; r == -EINPROGRESS && !last;) {
        last = closed_within(s, ms);
        ms = ms * 2 > DOUBT_LAST_MS ? DOUBT_LAST_MS : ms * 2;
        r = s->ops->resolve(s, group, n, err);
    }
    set_doubt(s, false);
    return r;
}

static void *commit_thread(void *arg)
{
    struct store *s = arg;
    struct store_txn *group[GROUP_LIMIT];
    unsigned n;
    while ((n = take_group(s, group))) {
        struct err err = {.code = 0};
        int r = s->ops->commit(s, group, n, &err);
        if (r == -EINPROGRESS)
            r = find_out(s, group, n, &err);
        if (r)
            fail_all(group, n, r);
        else
            err = (struct err){.code = 0};
        complete(s, group, n, &err);
    }
    return NULL;
}

int store_start(struct store *s, struct err *err)
{
    int e = thread_start(&s->thread, commit_thread, s);
    if (e)
        return err_sys(err, e, "could not start the store's thread");
    s->started = true;
    return 0;
}

unsigned store_deliver(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct store_txn *list = s->completed;
    s->completed = NULL;
    s->completed_tail = &s->completed;
    s->woken = false;
    s->delivering = true;
    pthread_mutex_unlock(&s->lock);
    unsigned n = 0;
    while (list) {
        struct store_txn *txn = list;
        list = txn->next;
        txn->done(txn, txn->ctx);
        n++;
    }
    pthread_mutex_lock(&s->lock);
    s->delivering = false;
    if (s->queue)
        pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    return n;
}

void store_status(struct store *s, struct store_status *status)
{
    pthread_mutex_lock(&s->lock);
    *status = s->counts;
    status->queued = s->queued;
    status->in_doubt = s->in_doubt;
    pthread_mutex_unlock(&s->lock);
    status->seq = s->seq;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->closing = true;
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        while (store_deliver(s))
            ;
    }
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    s->ops->close(s);
}
