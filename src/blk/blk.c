#include "blk/blk.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "blk/blk_provider.h"

void blk_init(struct blk *b, const struct blk_ops *ops, struct loop *loop)
{
    b->ops = ops;
    b->loop = loop;
}

static int check(const struct blk *b, const struct blk_request *req)
{
    const struct blk_info *info = &b->info;
    if (req->op == BLK_FLUSH)
        return 0;
    if (req->op >= BLK_OPS_COUNT)
        return -EOPNOTSUPP;
    if (req->op != BLK_READ && info->read_only)
        return -EROFS;
    if (req->op == BLK_DISCARD && !info->discard_granularity_bytes)
        return -EOPNOTSUPP;
    if (req->offset > INT64_MAX || req->len_bytes > INT64_MAX - req->offset)
        return -EINVAL;
    if (!info->growable && !range_within(req->offset, req->len_bytes, info->size_bytes))
        return -EINVAL;
    return 0;
}

void blk_submit(struct blk *b, struct blk_request *req)
{
    int r = check(b, req);
    b->in_flight++;
    if (r < 0 || (req->op != BLK_FLUSH && !req->len_bytes))
        blk_complete(b, req, r);
    else
        b->ops->submit(b, req);
}

void blk_complete(struct blk *b, struct blk_request *req, int result)
{
    if (!result && b->info.growable && (req->op == BLK_WRITE || req->op == BLK_WRITE_ZEROES))
        b->info.size_bytes = MAX(b->info.size_bytes, req->offset + req->len_bytes);
    b->in_flight--;
    req->done(req, result);
}

const struct blk_info *blk_info(const struct blk *b)
{
    return &b->info;
}

int blk_refresh(struct blk *b, struct err *err)
{
    return b->ops->refresh ? b->ops->refresh(b, err) : 0;
}

void blk_drain(struct blk *b)
{
    while (b->in_flight)
        b->ops->poll(b);
}

unsigned blk_in_flight(const struct blk *b)
{
    return b->in_flight;
}

void blk_close(struct blk *b)
{
    if (!b)
        return;
    blk_drain(b);
    b->ops->close(b);
}

/* ---- one request, waited for ---- */

struct sync_request {
    struct blk_request req;
    bool finished;
    int result;
};

static void sync_done(struct blk_request *req, int result)
{
    struct sync_request *s = req->opaque;
    s->finished = true;
    s->result = result;
}

static int run_sync(struct blk *b, struct sync_request *s)
{
    s->req.done = sync_done;
    s->req.opaque = s;
    blk_submit(b, &s->req);
    while (!s->finished)
        b->ops->poll(b);
    return s->result;
}

int blk_read_sync(struct blk *b, uint64_t offset, void *buf, size_t len)
{
    struct iovec iov = {buf, len};
    struct sync_request s = {.req = {BLK_READ, 0, offset, len, &iov, 1}};
    return run_sync(b, &s);
}

int blk_write_sync(struct blk *b, uint64_t offset, const void *buf, size_t len)
{
    struct iovec iov = {.iov_len = len};
    memcpy(&iov.iov_base, &buf, sizeof(buf)); /* only read from */
    struct sync_request s = {.req = {BLK_WRITE, 0, offset, len, &iov, 1}};
    return run_sync(b, &s);
}

int blk_op_sync(struct blk *b, enum blk_op op, unsigned flags, uint64_t offset, uint64_t len)
{
    struct sync_request s = {.req = {op, flags, offset, len}};
    return run_sync(b, &s);
}

/* ---- scatter lists ---- */

unsigned blk_iov_slice(const struct iovec *iov, unsigned n_iov, size_t skip, size_t len,
                       struct iovec *out, unsigned out_max)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_iov && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        if (n == out_max)
            return 0;
        size_t part = MIN(iov[i].iov_len - skip, len);
        out[n++] = (struct iovec){(char *)iov[i].iov_base + skip, part};
        len -= part;
        skip = 0;
    }
    return n;
}

enum copy_kind { TO_BUF, FROM_BUF, ZERO };

static void walk(const struct iovec *iov, unsigned n_iov, size_t skip, char *buf, size_t len,
                 enum copy_kind kind)
{
    for (unsigned i = 0; i < n_iov && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        size_t part = MIN(iov[i].iov_len - skip, len);
        char *at = (char *)iov[i].iov_base + skip;
        if (kind == TO_BUF)
            memcpy(buf, at, part);
        else if (kind == FROM_BUF)
            memcpy(at, buf, part);
        else
            memset(at, 0, part);
        buf = buf ? buf + part : NULL;
        len -= part;
        skip = 0;
    }
}

void blk_iov_to_buf(const struct iovec *iov, unsigned n_iov, size_t skip, void *buf, size_t len)
{
    walk(iov, n_iov, skip, buf, len, TO_BUF);
}

void blk_iov_from_buf(const struct iovec *iov, unsigned n_iov, size_t skip, const void *buf,
                      size_t len)
{
    char *from;
    memcpy(&from, &buf, sizeof(from)); /* only read from */
    walk(iov, n_iov, skip, from, len, FROM_BUF);
}

void blk_iov_zero(const struct iovec *iov, unsigned n_iov, size_t skip, size_t len)
{
    walk(iov, n_iov, skip, NULL, len, ZERO);
}
