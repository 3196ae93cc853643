/* The thread that reads and writes files for a loop, so that a slow disk does not hold the loop's
 * other connections. It takes one transfer after the other, a chunk or what waits at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/thread.h"
#include "base/util.h"
#include "web/web_internal.h"

struct web_files {
    struct web_loop *loop;
    struct web_transfer *transfers; /* the loop's */
    unsigned round;                 /* the loop's: of telling news */
    struct web_post post;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of what follows, and of each transfer's part */
    pthread_cond_t wake;
    struct web_transfer *queue, **queue_end;
    bool ending;
};

/* ---- the queue; the lock is held ---- */

static void enqueue(struct web_transfer *t)
{
    struct web_files *f = t->files;
    if (t->queued)
        return;
    t->queued = true;
    t->next_queued = NULL;
    *f->queue_end = t;
    f->queue_end = &t->next_queued;
    pthread_cond_signal(&f->wake);
}

static void dequeue(struct web_transfer *t)
{
    struct web_files *f = t->files;
    struct web_transfer **p = &f->queue;
    if (!t->queued)
        return;
    while (*p != t)
        p = &(*p)->next_queued;
    *p = t->next_queued;
    if (!t->next_queued)
        f->queue_end = p;
    t->queued = false;
}

static void add_chunk(struct web_transfer *t, struct web_chunk *c)
{
    c->next = NULL;
    *t->chunks_end = c;
    t->chunks_end = &c->next;
    t->waiting_bytes += c->bytes;
}

static struct web_chunk *take_chunks(struct web_transfer *t)
{
    struct web_chunk *c = t->chunks;
    t->chunks = NULL;
    t->chunks_end = &t->chunks;
    return c;
}

/* ---- the thread ---- */

static int write_chunk(struct web_transfer *t, const struct web_chunk *c)
{
    int ret = fault_point("web.upload.write");
    if (ret)
        return -ret;
    for (size_t at = 0; at < c->bytes;) {
        ssize_t n = pwrite(t->fd, c->data + at, c->bytes - at, (off_t)t->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? errno : ENOSPC;
        at += (size_t)n;
        t->offset += (uint64_t)n;
    }
    return t->digest && EVP_DigestUpdate(t->digest, c->data, c->bytes) != 1 ? EIO : 0;
}

static void write_some(struct web_files *f, struct web_transfer *t)
{
    struct web_chunk *c = take_chunks(t);
    int code = t->stop ? ECANCELED : t->code;
    size_t bytes = 0;
    pthread_mutex_unlock(&f->lock);
    while (c) {
        struct web_chunk *next = c->next;
        if (!code)
            code = write_chunk(t, c);
        bytes += c->bytes;
        free(c);
        c = next;
    }
    pthread_mutex_lock(&f->lock);
    t->waiting_bytes -= bytes;
    if (!t->code)
        t->code = code;
}

static void read_some(struct web_files *f, struct web_transfer *t)
{
    if (t->stop || t->code || !t->left || t->waiting_bytes >= WEB_TRANSFER_MAX_BYTES)
        return;
    pthread_mutex_unlock(&f->lock);
    struct web_chunk *c = malloc(sizeof(*c));
    ssize_t n = -1;
    int code = c ? -fault_point("web.download.read") : ENOMEM;
    if (!code) {
        do
            n = pread(t->fd, c->data, MIN(t->left, (uint64_t)sizeof(c->data)), (off_t)t->offset);
        while (n < 0 && errno == EINTR);
        code = n < 0 ? errno : n ? 0 : EIO; /* it is shorter than was said */
    }
    pthread_mutex_lock(&f->lock);
    if (code) {
        t->code = code;
        free(c);
        return;
    }
    c->bytes = (size_t)n;
    c->used = 0;
    t->offset += (uint64_t)n;
    t->left -= (uint64_t)n;
    add_chunk(t, c);
    if (t->left && t->waiting_bytes < WEB_TRANSFER_MAX_BYTES)
        enqueue(t);
}

static void *work(void *arg)
{
    struct web_files *f = arg;
    pthread_mutex_lock(&f->lock);
    while (!f->ending) {
        struct web_transfer *t = f->queue;
        if (!t) {
            pthread_cond_wait(&f->wake, &f->lock);
            continue;
        }
        dequeue(t);
        t->busy = true;
        if (t->writes)
            write_some(f, t);
        else
            read_some(f, t);
        t->busy = false;
        pthread_mutex_unlock(&f->lock);
        web_loop_post(f->loop, &f->post);
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- the loop's side ---- */

static void release(struct web_transfer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    web_timer_destroy(t->timer);
    web_timer_destroy(t->after);
    t->release(t);
    for (struct web_chunk *c = take_chunks(t); c;) {
        struct web_chunk *next = c->next;
        free(c);
        c = next;
    }
    EVP_MD_CTX_free(t->digest);
    free(t);
}

static bool is_idle(struct web_transfer *t)
{
    pthread_mutex_lock(&t->files->lock);
    bool idle = !t->busy;
    pthread_mutex_unlock(&t->files->lock);
    return idle;
}

/* What is told may end other transfers, so each time the search begins anew. */
static void tell_news(struct web_post *p)
{
    struct web_files *f = container_of(p, struct web_files, post);
    unsigned round = ++f->round;
    for (struct web_transfer *t = f->transfers; t;) {
        if (t->seen == round) {
            t = t->next;
            continue;
        }
        t->seen = round;
        if (t->request)
            t->news(t);
        else if (is_idle(t))
            release(t);
        t = f->transfers;
    }
}

static struct web_files *files_of(struct web_loop *l)
{
    if (l->files)
        return l->files;
    struct web_files *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->loop = l;
    f->post.run = tell_news;
    f->queue_end = &f->queue;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    f->started = thread_start(&f->thread, work, f) == 0;
    if (!f->started) {
        web_files_destroy(f);
        return NULL;
    }
    l->files = f;
    return f;
}

struct web_transfer *web_files_begin(struct web_loop *l, bool writes, int fd, uint64_t offset,
                                     uint64_t bytes)
{
    struct web_files *f = files_of(l);
    struct web_transfer *t = f ? calloc(1, sizeof(*t)) : NULL;
    if (!t)
        return NULL;
    t->files = f;
    t->writes = writes;
    t->fd = fd;
    t->offset = offset;
    t->left = writes ? 0 : bytes;
    t->chunks_end = &t->chunks;
    t->next = f->transfers;
    t->link = &f->transfers;
    if (t->next)
        t->next->link = &t->next;
    f->transfers = t;
    if (t->left) {
        pthread_mutex_lock(&f->lock);
        enqueue(t);
        pthread_mutex_unlock(&f->lock);
    }
    return t;
}

int web_files_put(struct web_transfer *t, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    int ret = 0;
    pthread_mutex_lock(&t->files->lock);
    while (bytes && !ret) {
        struct web_chunk *c =
            t->chunks ? container_of(t->chunks_end, struct web_chunk, next) : NULL;
        if (!c || c->bytes == sizeof(c->data)) {
            c = malloc(sizeof(*c));
            if (c)
                c->bytes = 0;
            ret = c ? 0 : -ENOMEM;
            if (c)
                add_chunk(t, c);
            continue;
        }
        size_t n = MIN(bytes, sizeof(c->data) - c->bytes);
        memcpy(c->data + c->bytes, p, n);
        c->bytes += n;
        t->waiting_bytes += n;
        p += n;
        bytes -= n;
    }
    enqueue(t);
    pthread_mutex_unlock(&t->files->lock);
    return ret;
}

size_t web_files_take(struct web_transfer *t, void *data, size_t bytes)
{
    size_t n = 0;
    pthread_mutex_lock(&t->files->lock);
    struct web_chunk *c = t->chunks;
    if (c) {
        n = MIN(bytes, c->bytes - c->used);
        memcpy(data, c->data + c->used, n);
        c->used += n;
        t->waiting_bytes -= n;
    }
    if (c && c->used == c->bytes) {
        t->chunks = c->next;
        if (!t->chunks)
            t->chunks_end = &t->chunks;
        free(c);
    }
    if (t->left && t->waiting_bytes < WEB_TRANSFER_MAX_BYTES)
        enqueue(t);
    pthread_mutex_unlock(&t->files->lock);
    return n;
}

size_t web_files_look(struct web_transfer *t, int *code, bool *busy)
{
    pthread_mutex_lock(&t->files->lock);
    size_t n = t->waiting_bytes;
    *code = t->code;
    *busy = t->busy || t->queued;
    pthread_mutex_unlock(&t->files->lock);
    return n;
}

void web_files_drop(struct web_transfer *t)
{
    pthread_mutex_lock(&t->files->lock);
    t->stop = true;
    dequeue(t);
    bool idle = !t->busy;
    pthread_mutex_unlock(&t->files->lock);
    t->request = NULL;
    if (idle)
        release(t);
}

void web_files_stop(struct web_files *f)
{
    if (!f || !f->started)
        return;
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->started = false;
    for (struct web_transfer *t = f->transfers; t; t = t->next) {
        web_timer_destroy(t->timer);
        web_timer_destroy(t->after);
        t->timer = t->after = NULL;
    }
}

void web_files_destroy(struct web_files *f)
{
    if (!f)
        return;
    while (f->transfers) {
        f->transfers->request = NULL;
        release(f->transfers);
    }
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
