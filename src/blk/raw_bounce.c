/* The bounce lane of O_DIRECT: requests whose offset, length or memory the kernel would refuse.
 * One at a time, through one buffer, in pieces. A piece whose edges are not aligned is read,
 * changed and written back; so that no other write to the same block is undone by that, writes
 * that come meanwhile are held, and it waits for those in flight. Rare and slow, and right. */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "blk/raw_internal.h"

static void put(struct raw_list *list, struct blk_request *req)
{
    req->next = NULL;
    *list->last = req;
    list->last = &req->next;
}

static struct blk_request *take(struct raw_list *list)
{
    struct blk_request *req = list->first;
    if (!req)
        return NULL;
    list->first = req->next;
    if (!list->first)
        list->last = &list->first;
    return req;
}

void raw_bounce_init(struct raw *raw)
{
    raw->waiting.last = &raw->waiting.first;
    raw->held.last = &raw->held.first;
}

void raw_bounce_fini(struct raw *raw)
{
    free(raw->bounce_buf);
}

void raw_bounce_add(struct raw *raw, struct blk_request *req)
{
    put(&raw->waiting, req);
    raw_bounce_run(raw);
}

void raw_bounce_hold(struct raw *raw, struct blk_request *req)
{
    put(&raw->held, req);
}

/* The piece to do next: [*start, *end) is what the request wants, the aligned range around it is
 * at most one buffer. */
static void piece(const struct raw *raw, uint64_t *start, uint64_t *end, uint64_t *low,
                  uint64_t *high)
{
    const struct blk_request *req = raw->bouncing;
    *start = req->offset + raw->bounced_bytes;
    *low = *start & ~(uint64_t)(raw->align_bytes - 1);
    *end = MIN(req->offset + req->len_bytes, *low + RAW_BOUNCE_BYTES);
    *high = align_up(*end, raw->align_bytes);
}

static void finish(struct raw *raw, int result)
{
    struct blk_request *req = raw->bouncing;
    raw->bouncing = NULL;
    raw->exclusive = false;
    blk_complete(&raw->blk, req, result);
    while (!raw->exclusive && (req = take(&raw->held)))
        raw_start(raw, req);
    raw_bounce_run(raw);
}

static void io(struct raw *raw, enum aio_code code, void (*done)(struct aio_op *op, int result))
{
    uint64_t start, end, low, high;
    piece(raw, &start, &end, &low, &high);
    raw->bounce_iov = (struct iovec){raw->bounce_buf, high - low};
    raw->bounce_op = (struct aio_op){.code = code,
                                     .fd = raw->fd,
                                     .iov = &raw->bounce_iov,
                                     .n_iov = 1,
                                     .offset = low,
                                     .done = done};
    raw->bounce_busy = true;
    aio_submit(raw->aio, &raw->bounce_op);
}

static void piece_finished(struct raw *raw, uint64_t bytes)
{
    raw->bounced_bytes += bytes;
    if (raw->bounced_bytes >= raw->bouncing->len_bytes)
        finish(raw, 0);
    else
        raw_bounce_run(raw);
}

static void written(struct aio_op *op, int result)
{
    struct raw *raw = container_of(op, struct raw, bounce_op);
    uint64_t start, end, low, high;
    raw->bounce_busy = false;
    piece(raw, &start, &end, &low, &high);
    if (result < 0 || (uint64_t)result < end - low)
        return finish(raw, result < 0 ? result : -EIO);
    piece_finished(raw, end - start);
}

static void fill_and_write(struct raw *raw)
{
    uint64_t start, end, low, high;
    struct blk_request *req = raw->bouncing;
    piece(raw, &start, &end, &low, &high);
    char *at = (char *)raw->bounce_buf + (start - low);
    if (req->op == BLK_WRITE)
        blk_iov_to_buf(req->iov, req->n_iov, raw->bounced_bytes, at, end - start);
    else
        memset(at, 0, end - start);
    io(raw, AIO_WRITEV, written);
}

static void was_read(struct aio_op *op, int result)
{
    struct raw *raw = container_of(op, struct raw, bounce_op);
    struct blk_request *req = raw->bouncing;
    uint64_t start, end, low, high;
    raw->bounce_busy = false;
    piece(raw, &start, &end, &low, &high);
    if (result < 0)
        return finish(raw, result);
    if ((uint64_t)result < high - low) /* the end of the file */
        memset((char *)raw->bounce_buf + result, 0, high - low - (uint64_t)result);
    if (req->op != BLK_READ)
        return fill_and_write(raw);
    if ((uint64_t)result < end - low && !raw->blk.info.growable)
        return finish(raw, -EIO);
    blk_iov_from_buf(req->iov, req->n_iov, raw->bounced_bytes,
                     (char *)raw->bounce_buf + (start - low), end - start);
    piece_finished(raw, end - start);
}

void raw_bounce_run(struct raw *raw)
{
    if (raw->bounce_busy)
        return;
    if (!raw->bouncing) {
        raw->bouncing = take(&raw->waiting);
        raw->bounced_bytes = 0;
        if (!raw->bouncing)
            return;
    }
    if (!raw->bounce_buf &&
        posix_memalign(&raw->bounce_buf, 4096, RAW_BOUNCE_BYTES + 2 * raw->align_bytes)) {
        raw->bounce_buf = NULL;
        return finish(raw, -ENOMEM);
    }
    uint64_t start, end, low, high;
    piece(raw, &start, &end, &low, &high);
    if (raw->bouncing->op == BLK_READ) {
        io(raw, AIO_READV, was_read);
    } else if (start == low && end == high) {
        fill_and_write(raw);
    } else {
        raw->exclusive = true;
        if (!raw->writes_in_flight)
            io(raw, AIO_READV, was_read);
    }
}
