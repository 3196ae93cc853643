/* The pool: for kernels that refuse io_uring, and for the operations it has not. Threads are made
 * as requests find none idle, up to the limit, and then stay. Finished operations go on a list
 * that one post to the loop empties. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"
#include "blk/aio_internal.h"

static int run(const struct aio_op *op)
{
    ssize_t n = -1;
    uint64_t range[2] = {op->offset, op->len_bytes};
    switch (op->code) {
    case AIO_READV:
        n = preadv(op->fd, op->iov, (int)op->n_iov, (off_t)op->offset);
        break;
    case AIO_WRITEV:
        n = pwritev(op->fd, op->iov, (int)op->n_iov, (off_t)op->offset);
        break;
    case AIO_FDATASYNC:
        n = fdatasync(op->fd);
        break;
    case AIO_FALLOCATE:
        n = fallocate(op->fd, op->mode, (off_t)op->offset, (off_t)op->len_bytes);
        break;
    case AIO_BLKDISCARD:
        n = ioctl(op->fd, BLKDISCARD, range);
        break;
    }
    return n < 0 ? -errno : (int)n;
}

static void post_reap(struct loop_post *post)
{
    aio_pool_reap(post->opaque);
}

void aio_pool_init(struct aio_pool *p, struct loop *loop, const struct aio_config *config)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);
    p->todo_tail = &p->todo;
    p->done_tail = &p->done;
    p->threads_max = config->threads_max ? MIN(config->threads_max, AIO_POOL_THREADS_MAX) : 8;
    p->loop = loop;
    p->setup = config->thread_setup;
    p->post = (struct loop_post){.run = post_reap, .opaque = p};
}

void aio_pool_fini(struct aio_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    loop_post_cancel(p->loop, &p->post);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
}

/* Takes work until told to stop; lock held on entry and exit. */
static void serve(struct aio_pool *p, bool refuse)
{
    for (;;) {
        while (!p->todo && !p->stop) {
            p->idle++;
            pthread_cond_wait(&p->work, &p->lock);
            p->idle--;
        }
        if (!p->todo)
            return;
        struct aio_op *op = p->todo;
        p->todo = op->next;
        if (!p->todo)
            p->todo_tail = &p->todo;
        pthread_mutex_unlock(&p->lock);
        op->result = refuse ? -EPERM : run(op);
        op->next = NULL;
        pthread_mutex_lock(&p->lock);
        *p->done_tail = op;
        p->done_tail = &op->next;
        pthread_cond_signal(&p->finished);
        loop_post(p->loop, &p->post);
    }
}

static void *thread_main(void *arg)
{
    struct aio_pool *p = arg;
    struct err err = {0};
    pthread_setname_np(pthread_self(), "blk-worker");
    bool refuse =
        p->setup && p->setup->enter && p->setup->enter(p->setup->opaque, "blk-worker", &err) < 0;
    if (refuse) /* requests must be answered, but not by a thread outside its sandbox */
        log_line(LOG_ERROR, "blk", "disk thread refuses to work: %s", err.msg);
    pthread_mutex_lock(&p->lock);
    serve(p, refuse);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static bool start_thread(struct aio_pool *p)
{
    if (thread_start(&p->threads[p->n_threads], thread_main, p))
        return false;
    p->n_threads++;
    return true;
}

void aio_pool_queue(struct aio_pool *p, struct aio_op *op)
{
    pthread_mutex_lock(&p->lock);
    p->in_flight++;
    *p->todo_tail = op;
    p->todo_tail = &op->next;
    bool wants_thread = !p->idle && p->n_threads < p->threads_max;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (!wants_thread || start_thread(p) || p->n_threads)
        return;
    /* Not even one thread: answered from here. Nobody else takes from the list. */
    LOG_LIMITED(LOG_ERROR, "blk", "could not start a thread for disk I/O max=%u", p->threads_max);
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    serve(p, false);
    p->stop = false;
    pthread_mutex_unlock(&p->lock);
}

bool aio_pool_reap(struct aio_pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct aio_op *list = p->done;
    p->done = NULL;
    p->done_tail = &p->done;
    pthread_mutex_unlock(&p->lock);
    bool any = list;
    while (list) {
        struct aio_op *op = list;
        list = op->next;
        p->in_flight--;
        op->done(op, op->result);
    }
    return any;
}

void aio_pool_wait(struct aio_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->done)
        pthread_cond_wait(&p->finished, &p->lock);
    pthread_mutex_unlock(&p->lock);
    aio_pool_reap(p);
}
