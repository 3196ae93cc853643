/* Which host clusters are in use. */
#include <errno.h>

#include "base/log.h"
#include "blk/qcow2_internal.h"

#define SCAN_PAGES 64 /* looked through in one go */
#define LEAKED_MAX (UINT64_C(1) << 20)

static uint64_t read_count(const uint8_t *block, uint64_t index, unsigned order)
{
    switch (order) {
    case 3:
        return block[index];
    case 4:
        return (uint64_t)block[2 * index] << 8 | block[2 * index + 1];
    case 5:
        return qcow2_be32(block + 4 * index);
    case 6:
        return qcow2_be64(block + 8 * index);
    default: { /* less than a byte: the first is in the lowest bits */
        unsigned bits = 1u << order, per_byte = 8 / bits;
        return block[index / per_byte] >> (index % per_byte * bits) & ((1u << bits) - 1);
    }
    }
}

void qcow2_refcount_put(uint8_t *block, uint64_t index, unsigned order, uint64_t value)
{
    switch (order) {
    case 3:
        block[index] = (uint8_t)value;
        break;
    case 4:
        block[2 * index] = (uint8_t)(value >> 8);
        block[2 * index + 1] = (uint8_t)value;
        break;
    case 5:
        qcow2_put_be32(block + 4 * index, (uint32_t)value);
        break;
    case 6:
        qcow2_put_be64(block + 8 * index, value);
        break;
    default: {
        unsigned bits = 1u << order, per_byte = 8 / bits, shift = index % per_byte * bits;
        unsigned mask = ((1u << bits) - 1) << shift;
        uint8_t *byte = &block[index / per_byte];
        *byte = (uint8_t)((*byte & ~mask) | (value << shift & mask));
    }
    }
}

/* The page that holds the refcount of `cluster`, and its index in there. -ENOENT: there is no
 * refcount block yet; -ERANGE: nor a place for it in the refcount table. */
static int page_of(struct qcow2 *q, struct qcow2_op *op, uint64_t cluster, struct qcow2_page **page,
                   uint64_t *index)
{
    uint64_t block = cluster / q->refblock_entries;
    if (block >= q->reftable.entries)
        return -ERANGE;
    uint64_t host = qcow2_table_get(&q->reftable, block);
    if (!host)
        return -ENOENT;
    if (!qcow2_host_is_data(q, host, q->cluster_bytes) || host % q->cluster_bytes)
        return qcow2_set_corrupt(q,
                                 "refcount table entry %llu is 0x%llx, not the offset of a "
                                 "cluster inside the file",
                                 (unsigned long long)block, (unsigned long long)host);
    uint64_t per_page = (uint64_t)q->page_bytes * 8 >> q->h.refcount_order;
    uint64_t in_block = cluster % q->refblock_entries;
    *index = in_block % per_page;
    return qcow2_cache_get(q, op, host + in_block / per_page * q->page_bytes, true, page);
}

int qcow2_refcount_check_unused(struct qcow2 *q, uint64_t host, uint64_t len)
{
    bool used = host == 0 || (host < q->l1.offset + q->l1.bytes && q->l1.offset < host + len) ||
                (host < q->reftable.offset + q->reftable.bytes && q->reftable.offset < host + len);
    for (uint64_t i = 0; i < q->reftable.entries && !used; i++) {
        uint64_t v = qcow2_table_get(&q->reftable, i);
        used = v && v >= host && v < host + len;
    }
    for (uint64_t i = 0; i < q->l1.entries && !used; i++) {
        uint64_t v = qcow2_table_get(&q->l1, i) & QCOW2_WIRE_OFFSET;
        used = v && v >= host && v < host + len;
    }
    if (used)
        return qcow2_set_corrupt(q, "the cluster at 0x%llx is free and holds a table",
                                 (unsigned long long)host);
    return qcow2_cache_drop(q, host, len);
}

static int find_free(struct qcow2 *q, struct qcow2_op *op, struct qcow2_page **page,
                     uint64_t *cluster, uint64_t *index)
{
    uint64_t per_page = (uint64_t)q->page_bytes * 8 >> q->h.refcount_order;
    uint64_t file_clusters = q->file->info.size_bytes >> q->h.cluster_bits;
    for (unsigned budget = SCAN_PAGES; budget; budget--) {
        int r = page_of(q, op, q->alloc_hint, page, index);
        if (r == -ERANGE)
            return qcow2_lane_grow_reftable(q, op);
        if (r == -ENOENT)
            return qcow2_lane_new_refblock(q, op, q->alloc_hint / q->refblock_entries,
                                           q->alloc_hint);
        if (r < 0)
            return r;
        uint64_t i = *index;
        while (i < per_page && read_count((*page)->data, i, q->h.refcount_order))
            i++;
        /* All below is in use: the hint moves on, also for the next who ask. */
        q->alloc_hint += i - *index;
        if (i < per_page) {
            *cluster = q->alloc_hint;
            *index = i;
            return 0;
        }
        if (q->alloc_hint > file_clusters + LEAKED_MAX)
            return qcow2_set_corrupt(q,
                                     "refcounts say that %llu clusters past the end of the file "
                                     "are in use",
                                     (unsigned long long)(q->alloc_hint - file_clusters));
    }
    loop_post(q->blk.loop, &q->again); /* let the rest of the loop run before going on */
    return -EAGAIN;
}

int qcow2_refcount_alloc(struct qcow2 *q, struct qcow2_op *op, uint64_t max_clusters,
                         uint64_t *host, uint64_t *n_clusters)
{
    struct qcow2_page *page;
    uint64_t cluster = 0, index = 0, n = 1;
    int r = find_free(q, op, &page, &cluster, &index);
    if (r < 0)
        return r;
    uint64_t per_page = (uint64_t)q->page_bytes * 8 >> q->h.refcount_order;
    while (n < max_clusters && index + n < per_page &&
           !read_count(page->data, index + n, q->h.refcount_order))
        n++;
    if ((cluster + n) > (QCOW2_WIRE_OFFSET >> q->h.cluster_bits))
        return -EFBIG;
    page->pins++; /* not to be dropped as one of the clusters' own pages */
    r = qcow2_refcount_check_unused(q, cluster << q->h.cluster_bits, n << q->h.cluster_bits);
    page->pins--;
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < n; i++)
        qcow2_refcount_put(page->data, index + i, q->h.refcount_order, 1);
    page->dirty = true;
    q->alloc_hint = cluster + n;
    *host = cluster << q->h.cluster_bits;
    *n_clusters = n;
    return 0;
}

/* ---- giving back ---- */

void qcow2_refcount_free(struct qcow2 *q, uint64_t host, uint64_t bytes, bool discard)
{
    uint64_t first = host >> q->h.cluster_bits;
    uint64_t n = ((host + bytes - 1) >> q->h.cluster_bits) - first + 1;
    if (q->n_frees > q->n_ready) { /* grow the last one, unless it is being worked on */
        struct qcow2_free *last = &q->frees[(q->frees_head + q->n_frees - 1) % QCOW2_FREES_MAX];
        if (last->cluster + last->n_clusters == first && last->discard == discard) {
            last->n_clusters += n;
            return;
        }
    }
    if (q->n_frees == QCOW2_FREES_MAX) {
        LOG_LIMITED(LOG_WARN, "qcow2", "clusters are leaked image=%s clusters=%llu", q->name,
                    (unsigned long long)n);
        return;
    }
    q->frees[(q->frees_head + q->n_frees++) % QCOW2_FREES_MAX] =
        (struct qcow2_free){first, n, discard};
}

static void discarded(struct blk_request *io, int result)
{
    struct qcow2 *q = io->opaque;
    q->free_discarding = false;
    q->frees[q->frees_head].discard = false; /* advice: an error changes nothing */
    qcow2_wake(q);
    qcow2_kick(q);
}

/* Lowers the refcount of one cluster. */
static int lower(struct qcow2 *q, uint64_t cluster)
{
    struct qcow2_page *page;
    uint64_t index;
    int r = page_of(q, NULL, cluster, &page, &index);
    if (r < 0)
        return r;
    uint64_t count = read_count(page->data, index, q->h.refcount_order);
    if (!count)
        return qcow2_set_corrupt(q, "the refcount of the cluster at 0x%llx is 0 while it is in use",
                                 (unsigned long long)(cluster << q->h.cluster_bits));
    qcow2_refcount_put(page->data, index, q->h.refcount_order, count - 1);
    page->dirty = true;
    if (count == 1)
        q->alloc_hint = MIN(q->alloc_hint, cluster);
    return 0;
}

/* Works off those that the last flush covered: discard first, so that a cluster is not in new use
 * while its old contents are thrown away. A shared cluster is not discarded. */
void qcow2_refcount_run_frees(struct qcow2 *q)
{
    while (q->n_ready && !q->free_discarding) {
        struct qcow2_free *f = &q->frees[q->frees_head];
        if (q->corrupt)
            f->n_clusters = 0;
        if (f->n_clusters && f->discard && q->file->info.discard_granularity_bytes) {
            q->free_discarding = true;
            q->free_io = (struct blk_request){.op = BLK_DISCARD,
                                              .offset = f->cluster << q->h.cluster_bits,
                                              .len_bytes = f->n_clusters << q->h.cluster_bits,
                                              .done = discarded,
                                              .opaque = q};
            blk_submit(q->file, &q->free_io);
            continue;
        }
        while (f->n_clusters) {
            int r = lower(q, f->cluster);
            if (r == -EAGAIN)
                return;
            f->cluster++; /* on an error: leaked */
            f->n_clusters--;
        }
        q->frees_head = (q->frees_head + 1) % QCOW2_FREES_MAX;
        q->n_frees--;
        q->n_ready--;
        if (qcow2_flushing(q))
            q->flush.frees--;
        qcow2_wake(q);
    }
}
