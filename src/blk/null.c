#include "blk/null.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/util.h"
#include "blk/blk_provider.h"

struct null {
    struct blk blk;
    struct null_config config;
    uint8_t *bytes;
    struct blk_request *queue, **tail;
    struct loop_post post;
};

static int perform(struct null *n, const struct blk_request *req)
{
    uint64_t end = req->offset + req->len_bytes;
    if (req->op == BLK_FLUSH)
        return 0;
    if (req->op != BLK_READ && end > n->config.max_bytes)
        return -ENOSPC;
    uint64_t have = !n->bytes || req->offset >= n->config.max_bytes
                        ? 0
                        : MIN(req->len_bytes, n->config.max_bytes - req->offset);
    if (req->op == BLK_READ) {
        if (have)
            blk_iov_from_buf(req->iov, req->n_iov, 0, n->bytes + req->offset, have);
        blk_iov_zero(req->iov, req->n_iov, have, req->len_bytes - have);
    } else if (n->bytes && req->op == BLK_WRITE) {
        blk_iov_to_buf(req->iov, req->n_iov, 0, n->bytes + req->offset, req->len_bytes);
    } else if (n->bytes) {
        memset(n->bytes + req->offset, 0, req->len_bytes);
    }
    return 0;
}

static void run_queue(struct null *n)
{
    struct blk_request *list = n->queue;
    n->queue = NULL;
    n->tail = &n->queue;
    while (list) {
        struct blk_request *req = list;
        list = req->next;
        blk_complete(&n->blk, req, perform(n, req));
    }
}

static void posted(struct loop_post *p)
{
    run_queue(p->opaque);
}

static void submit(struct blk *b, struct blk_request *req)
{
    struct null *n = (struct null *)b;
    if (!n->config.deferred) {
        blk_complete(b, req, perform(n, req));
        return;
    }
    req->next = NULL;
    *n->tail = req;
    n->tail = &req->next;
    loop_post(b->loop, &n->post);
}

static void poll_queue(struct blk *b)
{
    run_queue((struct null *)b);
}

static void close_null(struct blk *b)
{
    struct null *n = (struct null *)b;
    loop_post_cancel(b->loop, &n->post);
    if (n->bytes)
        munmap(n->bytes, n->config.max_bytes);
    free(n);
}

static const struct blk_ops null_ops = {
    .submit = submit,
    .poll = poll_queue,
    .close = close_null,
};

struct blk *null_create(struct loop *loop, const struct null_config *config, struct err *err)
{
    struct null *n = calloc(1, sizeof(*n));
    if (!n) {
        err_set(err, ENOMEM, "could not allocate a null disk");
        return NULL;
    }
    blk_init(&n->blk, &null_ops, loop);
    n->config = *config;
    n->config.max_bytes = MAX(config->max_bytes, config->size_bytes);
    n->tail = &n->queue;
    n->post = (struct loop_post){.run = posted, .opaque = n};
    if (config->keep && n->config.max_bytes) {
        n->bytes = mmap(NULL, n->config.max_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (n->bytes == MAP_FAILED) {
            err_sys(err, errno, "could not map %llu bytes for a null disk",
                    (unsigned long long)n->config.max_bytes);
            free(n);
            return NULL;
        }
    }
    n->blk.info = (struct blk_info){
        .size_bytes = config->size_bytes,
        .read_only = config->read_only,
        .growable = config->growable,
        .block_bytes = BLK_SECTOR_BYTES,
        .discard_granularity_bytes = config->read_only ? 0 : BLK_SECTOR_BYTES,
    };
    return &n->blk;
}

uint8_t *null_bytes(struct blk *b)
{
    return ((struct null *)b)->bytes;
}
