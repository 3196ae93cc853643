/* The flush machine: writes tables back in the order given in qcow2_internal.h. Each step submits
 * all it has and is over when the last of it is. */
#include <errno.h>

#include "blk/qcow2_internal.h"

static void advance(struct qcow2 *q);

void qcow2_table_set(struct qcow2_table *t, uint64_t index, uint64_t value)
{
    qcow2_put_be64(t->data + 8 * index, value);
    t->dirty[8 * index / QCOW2_PAGE_BYTES_MAX] = 1;
    t->any_dirty = true;
}

bool qcow2_flush_needed(const struct qcow2 *q)
{
    if (q->l1.any_dirty || q->reftable.any_dirty || q->n_frees)
        return true;
    for (unsigned i = 0; i < q->n_pages; i++)
        if (q->pages[i].state == QCOW2_PAGE_VALID && q->pages[i].dirty)
            return true;
    return false;
}

static void finished_one(struct qcow2 *q, int result)
{
    struct qcow2_flush *f = &q->flush;
    if (result < 0 && !f->result)
        f->result = result;
    f->in_flight--;
    advance(q);
}

static void page_written(struct blk_request *io, int result)
{
    struct qcow2_page *page = container_of(io, struct qcow2_page, io);
    finished_one(page->q, result);
}

static void io_finished(struct blk_request *io, int result)
{
    finished_one(io->opaque, result);
}

static void submit_pages(struct qcow2 *q, bool refcounts)
{
    for (unsigned i = 0; i < q->n_pages; i++) {
        struct qcow2_page *page = &q->pages[i];
        if (page->state != QCOW2_PAGE_VALID || !page->dirty || page->is_refcount != refcounts)
            continue;
        page->dirty = false; /* what changes from here on is for the next flush */
        page->in_flush = true;
        page->iov = (struct iovec){page->data, q->page_bytes};
        page->io = (struct blk_request){.op = BLK_WRITE,
                                        .offset = page->offset,
                                        .len_bytes = q->page_bytes,
                                        .iov = &page->iov,
                                        .n_iov = 1,
                                        .done = page_written};
        q->flush.in_flight++;
        q->flush.wrote_map |= !refcounts;
        blk_submit(q->file, &page->io);
    }
}

static void submit_sync(struct qcow2 *q)
{
    q->flush.io = (struct blk_request){.op = BLK_FLUSH, .done = io_finished, .opaque = q};
    q->flush.in_flight++;
    blk_submit(q->file, &q->flush.io);
}

/* The next dirty chunk of a table; false if there is none. The flag stays set until the whole flush
 * succeeds: value 2 means written. */
static bool submit_table(struct qcow2 *q, struct qcow2_table *t)
{
    uint64_t chunks = (t->bytes + QCOW2_PAGE_BYTES_MAX - 1) / QCOW2_PAGE_BYTES_MAX;
    for (uint64_t i = 0; t->any_dirty && i < chunks; i++) {
        if (t->dirty[i] != 1)
            continue;
        uint64_t at = i * QCOW2_PAGE_BYTES_MAX;
        struct qcow2_flush *f = &q->flush;
        t->dirty[i] = 2;
        f->iov = (struct iovec){t->data + at, MIN(t->bytes - at, QCOW2_PAGE_BYTES_MAX)};
        f->io = (struct blk_request){.op = BLK_WRITE,
                                     .offset = t->offset + at,
                                     .len_bytes = f->iov.iov_len,
                                     .iov = &f->iov,
                                     .n_iov = 1,
                                     .done = io_finished,
                                     .opaque = q};
        f->in_flight++;
        f->wrote_map |= t == &q->l1;
        blk_submit(q->file, &f->io);
        return true;
    }
    return false;
}

static void settle_table(struct qcow2_table *t, bool ok)
{
    uint64_t chunks = (t->bytes + QCOW2_PAGE_BYTES_MAX - 1) / QCOW2_PAGE_BYTES_MAX;
    bool any = false;
    for (uint64_t i = 0; t->any_dirty && i < chunks; i++) {
        if (t->dirty[i] == 2)
            t->dirty[i] = ok ? 0 : 1;
        any |= t->dirty[i];
    }
    t->any_dirty = any;
}

static void settle(struct qcow2 *q)
{
    struct qcow2_flush *f = &q->flush;
    bool ok = f->result == 0;
    for (unsigned i = 0; i < q->n_pages; i++) {
        struct qcow2_page *page = &q->pages[i];
        if (page->in_flush && !ok)
            page->dirty = true;
        page->in_flush = false;
    }
    settle_table(&q->l1, ok);
    settle_table(&q->reftable, ok);
    if (ok)
        q->n_ready = f->frees;
    if (!ok) {
        f->failures++;
        f->failed_seq = f->started;
        f->failed_result = f->result;
    }
    f->finished = f->started;
    f->step = QCOW2_FLUSH_IDLE;
    qcow2_wake(q);
    qcow2_kick(q);
}

/* Submits what a step has to do; nothing in flight afterwards means that it is over. */
static void do_step(struct qcow2 *q)
{
    switch (q->flush.step) {
    case QCOW2_FLUSH_REFCOUNTS:
        submit_pages(q, true);
        break;
    case QCOW2_FLUSH_REFCOUNTS_SYNC:
        if (q->reftable.any_dirty)
            submit_sync(q);
        break;
    case QCOW2_FLUSH_REFTABLE:
        if (q->reftable.any_dirty && submit_table(q, &q->reftable))
            q->flush.step--; /* once more: advance() moves on to this step again */
        break;
    case QCOW2_FLUSH_SYNC:
        submit_sync(q);
        break;
    case QCOW2_FLUSH_MAP:
        if (submit_table(q, &q->l1))
            q->flush.step--;
        else
            submit_pages(q, false);
        break;
    case QCOW2_FLUSH_MAP_SYNC:
        if (q->flush.wrote_map)
            submit_sync(q);
        break;
    default:
        break;
    }
}

static void advance(struct qcow2 *q)
{
    struct qcow2_flush *f = &q->flush;
    if (f->advancing) /* a request completed inside its submission */
        return;
    f->advancing = true;
    while (f->step != QCOW2_FLUSH_IDLE && !f->in_flight) {
        if (f->result < 0 || f->step == QCOW2_FLUSH_MAP_SYNC) {
            f->advancing = false;
            settle(q);
            return;
        }
        f->step++;
        do_step(q);
    }
    f->advancing = false;
}

void qcow2_flush_start(struct qcow2 *q)
{
    struct qcow2_flush *f = &q->flush;
    if (qcow2_flushing(q))
        return;
    f->started++;
    f->result = q->corrupt ? -EIO : 0;
    f->wrote_map = false;
    f->frees = q->n_frees;
    f->step = QCOW2_FLUSH_REFCOUNTS;
    f->advancing = true;
    if (!f->result)
        do_step(q);
    f->advancing = false;
    advance(q);
}
