/* Pages of L2 tables and refcount blocks. A page is at most 4 KiB, so that a cache of a given size
 * covers as many places of a large image as possible (a whole L2 table is 64 KiB by default). */
#include <errno.h>

#include "blk/qcow2_internal.h"

#define CACHE_BYTES_DEFAULT MIB
#define PAGES_MIN           64u
#define PAGES_MAX           65536u

static struct qcow2_page **bucket_of(struct qcow2 *q, uint64_t offset)
{
    return &q->buckets[(offset / q->page_bytes) * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

int qcow2_cache_init(struct qcow2 *q, size_t cache_bytes, struct err *err)
{
    uint64_t n = (cache_bytes ? cache_bytes : CACHE_BYTES_DEFAULT) / q->page_bytes;
    q->n_pages = (unsigned)MIN(MAX(n, PAGES_MIN), PAGES_MAX);
    q->pages = calloc(q->n_pages, sizeof(*q->pages));
    if (!q->pages)
        return err_set(err, ENOMEM, "could not allocate the table cache of qcow2 image %s",
                       q->name);
    return 0;
}

void qcow2_cache_fini(struct qcow2 *q)
{
    for (unsigned i = 0; q->pages && i < q->n_pages; i++)
        free(q->pages[i].data);
    free(q->pages);
}

static void unhash(struct qcow2 *q, struct qcow2_page *page)
{
    for (struct qcow2_page **at = bucket_of(q, page->offset); *at; at = &(*at)->bucket_next) {
        if (*at == page) {
            *at = page->bucket_next;
            break;
        }
    }
    page->state = QCOW2_PAGE_EMPTY;
}

static bool evictable(const struct qcow2_page *page)
{
    return !page->pins && !page->dirty && !page->in_flush && page->state != QCOW2_PAGE_LOADING;
}

/* The slot to use for a new page: an empty one, or the least recently used. */
static struct qcow2_page *find_slot(struct qcow2 *q)
{
    struct qcow2_page *best = NULL;
    for (unsigned i = 0; i < q->n_pages; i++) {
        struct qcow2_page *page = &q->pages[i];
        if (page->state == QCOW2_PAGE_EMPTY)
            return page;
        if (evictable(page) && (!best || page->used < best->used))
            best = page;
    }
    if (best)
        unhash(q, best);
    return best;
}

/* Every slot is dirty or in use: write back, unless that failed since this operation waits. */
static int wait_for_slot(struct qcow2 *q, struct qcow2_op *op)
{
    if (op && op->slot_waiting && q->flush.failures != op->slot_failures) {
        op->slot_waiting = false;
        return q->flush.failed_result;
    }
    if (op && !op->slot_waiting) {
        op->slot_waiting = true;
        op->slot_failures = q->flush.failures;
    }
    if (op || !q->flush.result) /* nobody's errand does not repeat what fails */
        qcow2_flush_start(q);
    return -EAGAIN;
}

static void loaded(struct blk_request *io, int result)
{
    struct qcow2_page *page = container_of(io, struct qcow2_page, io);
    page->state = result < 0 ? QCOW2_PAGE_FAILED : QCOW2_PAGE_VALID;
    page->error = result;
    qcow2_wake(page->q);
    qcow2_kick(page->q);
}

static int load(struct qcow2 *q, struct qcow2_op *op, uint64_t offset, bool is_refcount,
                struct qcow2_page **out)
{
    struct qcow2_page *page = find_slot(q);
    if (!page)
        return wait_for_slot(q, op);
    if (op)
        op->slot_waiting = false;
    if (!page->data && posix_memalign((void **)&page->data, 4096, q->page_bytes)) {
        page->data = NULL;
        return -ENOMEM;
    }
    struct qcow2_page **bucket = bucket_of(q, offset);
    uint8_t *data = page->data;
    *page = (struct qcow2_page){
        .q = q,
        .offset = offset,
        .state = QCOW2_PAGE_LOADING,
        .is_refcount = is_refcount,
        .used = ++q->use_counter,
        .data = data,
        .bucket_next = *bucket,
        .iov = {data, q->page_bytes},
    };
    *bucket = page;
    page->io = (struct blk_request){.op = BLK_READ,
                                    .offset = offset,
                                    .len_bytes = q->page_bytes,
                                    .iov = &page->iov,
                                    .n_iov = 1,
                                    .done = loaded};
    blk_submit(q->file, &page->io);
    *out = page;
    return 0;
}

int qcow2_cache_get(struct qcow2 *q, struct qcow2_op *op, uint64_t offset, bool is_refcount,
                    struct qcow2_page **out)
{
    struct qcow2_page *page = *bucket_of(q, offset);
    while (page && page->offset != offset)
        page = page->bucket_next;
    if (!page) {
        int r = load(q, op, offset, is_refcount, &page);
        if (r < 0)
            return r;
    }
    if (page->state == QCOW2_PAGE_LOADING)
        return -EAGAIN;
    if (page->state == QCOW2_PAGE_FAILED) {
        unhash(q, page);
        return page->error;
    }
    if (page->is_refcount != is_refcount)
        return qcow2_set_corrupt(q,
                                 "the cluster at 0x%llx is both a refcount block and an L2 table",
                                 (unsigned long long)offset);
    page->used = ++q->use_counter;
    *out = page;
    return 0;
}

int qcow2_cache_drop(struct qcow2 *q, uint64_t offset, uint64_t len)
{
    for (uint64_t at = offset; at < offset + len; at += q->page_bytes) {
        struct qcow2_page *page = *bucket_of(q, at);
        while (page && page->offset != at)
            page = page->bucket_next;
        if (page && !evictable(page))
            return qcow2_set_corrupt(q, "the cluster at 0x%llx is free and in use",
                                     (unsigned long long)at);
        if (page)
            unhash(q, page);
    }
    return 0;
}
