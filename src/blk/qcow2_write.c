/* Operations that change the image: writes, in place or to new clusters with the old contents
 * around them, zeroes and discards, and the L2 entries that follow (see qcow2_internal.h). */
#include <errno.h>

#include "blk/qcow2_internal.h"

/* Whether the old contents of the run's clusters may be other than zero. */
static bool has_old_data(const struct qcow2_op *op, uint64_t guest)
{
    const struct qcow2 *q = op->q;
    if (op->ext.kind == QCOW2_UNALLOCATED)
        return q->backing && guest < q->backing->info.size_bytes;
    return op->ext.kind == QCOW2_NORMAL || op->ext.kind == QCOW2_COMPRESSED;
}

/* Whether what the active runs free can be noted. If not, a flush makes room. */
static int room_for_frees(struct qcow2 *q)
{
    if (q->n_frees + 2 * QCOW2_EXCLUSIVE_MAX < QCOW2_FREES_MAX)
        return 0;
    if (q->n_ready || qcow2_flushing(q))
        return -EAGAIN;
    if (q->flush.result < 0)
        return q->flush.result;
    qcow2_flush_start(q);
    return -EAGAIN;
}

/* Gets new clusters for the run and decides how they are filled. */
static int begin_allocating(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
                            struct qcow2_page *page)
{
    struct qcow2 *q = op->q;
    uint64_t cs = q->cluster_bytes;
    int r = qcow2_claim_want_exclusive(op);
    if (r < 0)
        return r;
    r = room_for_frees(q);
    if (r < 0)
        return r;
    bool partial = in_cluster || op->len < cs;
    bool old = partial && has_old_data(op, guest - in_cluster);
    if (partial)
        op->len = MIN(op->len, cs - in_cluster);
    else
        op->len -= op->len % cs;
    if (old && !op->buf && !(op->buf = qcow2_take_buffer(q)))
        return q->n_buffers ? -EAGAIN : -ENOMEM;
    op->reuses_host = op->ext.kind == QCOW2_ZERO_ALLOCATED && op->ext.copied;
    op->new_host = op->ext.host;
    op->n_new = 1;
    if (!op->reuses_host) {
        page->pins++; /* its slot is not to be taken for a refcount page */
        r = qcow2_refcount_alloc(q, op, partial ? 1 : op->len / cs, &op->new_host, &op->n_new);
        page->pins--;
        if (r < 0)
            return r;
    }
    if (!partial)
        op->len = op->n_new * cs;
    op->link_entry = op->new_host | QCOW2_WIRE_COPIED;
    qcow2_claim_set(op, guest >> q->h.cluster_bits, op->n_new);
    qcow2_claim_start_exclusive(op, page);
    op->step = old ? QCOW2_COW_READ : QCOW2_COW_WRITE;
    return 0;
}

int qcow2_write_begin(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
                      struct qcow2_page *page)
{
    struct qcow2 *q = op->q;
    if (q->corrupt)
        return -EIO;
    int r = qcow2_map_own_l2(q, op, guest);
    if (r < 0)
        return r;
    if (!page) /* the table was made since the look-up */
        return -EAGAIN;
    if (op->ext.kind == QCOW2_NORMAL && op->ext.copied) {
        if (op->req->op == BLK_WRITE)
            return qcow2_op_transfer(op, q->file, BLK_WRITE, op->ext.host + in_cluster);
        qcow2_claim_start_shared(op);
        return qcow2_op_submit(op, q->file, BLK_WRITE_ZEROES, op->ext.host + in_cluster, op->len, 0,
                               QCOW2_TRANSFER);
    }
    return begin_allocating(op, guest, in_cluster, page);
}

int qcow2_write_cow_read(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    uint64_t cs = q->cluster_bytes, guest = op->claim_first << q->h.cluster_bits;
    const uint8_t *data;
    struct blk *from = q->file;
    uint64_t at = op->ext.host, len = cs;
    if (op->ext.kind == QCOW2_COMPRESSED) {
        int r = qcow2_unpack_get(q, op->ext.entry, &data);
        if (r < 0)
            return r;
        memcpy(op->buf, data, cs);
        op->step = QCOW2_COW_WRITE;
        return 0;
    }
    if (op->ext.kind == QCOW2_UNALLOCATED) {
        from = q->backing;
        at = guest;
        len = MIN(cs, from->info.size_bytes - guest);
        memset(op->buf + len, 0, cs - len);
    }
    int r = qcow2_op_reserve_iov(op, 1);
    if (r < 0)
        return r;
    op->result = 0;
    op->iov[0] = (struct iovec){op->buf, len};
    return qcow2_op_submit(op, from, BLK_READ, at, len, 1, QCOW2_COW_WRITE);
}

/* Appends `len` zeroes to the list of `n` entries. */
static unsigned add_zeroes(struct qcow2_op *op, unsigned n, uint64_t len)
{
    while (len) {
        uint64_t part = MIN(len, QCOW2_ZERO_BYTES);
        op->iov[n++] = (struct iovec){op->q->zeroes, part};
        len -= part;
    }
    return n;
}

/* Writes the new clusters: old contents or zeroes around what the guest writes. What was never
 * written, past the end of the file, is zero already. */
int qcow2_write_cow(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    struct blk_request *req = op->req;
    if (op->result < 0)
        return op->result;
    uint64_t total = op->n_new * q->cluster_bytes;
    uint64_t before = (req->offset + op->pos) % q->cluster_bytes;
    uint64_t after = total - before - op->len;
    bool fresh = q->file->info.growable && !q->fresh_unknown && !op->buf &&
                 op->new_host >= q->file->info.size_bytes;
    if (fresh)
        before = after = 0;
    unsigned zero_iovs = (unsigned)(total / QCOW2_ZERO_BYTES + 3);
    int r = qcow2_op_reserve_iov(op, req->n_iov + zero_iovs);
    if (r < 0)
        return r;
    unsigned n = 0;
    if (op->buf && before)
        op->iov[n++] = (struct iovec){op->buf, before};
    else
        n = add_zeroes(op, 0, before);
    if (req->op == BLK_WRITE)
        n += blk_iov_slice(req->iov, req->n_iov, op->pos, op->len, op->iov + n, op->iov_cap - n);
    else
        n = add_zeroes(op, n, op->len);
    if (op->buf && after)
        op->iov[n++] = (struct iovec){op->buf + before + op->len, after};
    else
        n = add_zeroes(op, n, after);
    uint64_t at = op->new_host + (fresh ? (req->offset + op->pos) % q->cluster_bytes : 0);
    return qcow2_op_submit(op, q->file, BLK_WRITE, at, before + op->len + after, n, QCOW2_WRITTEN);
}

void qcow2_write_release(struct qcow2_op *op)
{
    if (op->page)
        op->page->pins--;
    op->page = NULL;
    if (op->buf)
        qcow2_give_buffer(op->q, op->buf);
    op->buf = NULL;
}

int qcow2_write_done(struct qcow2_op *op)
{
    if (op->result < 0) {
        op->q->fresh_unknown = true;
        return op->result;
    }
    op->step = QCOW2_LINK;
    return 0;
}

static void free_old(struct qcow2_op *op, uint64_t n)
{
    struct qcow2 *q = op->q;
    if (op->ext.kind == QCOW2_COMPRESSED) {
        uint64_t offset, bytes;
        qcow2_map_compressed(q, op->ext.entry, &offset, &bytes);
        qcow2_refcount_free(q, offset, bytes, false);
    } else if (op->ext.host) {
        bool discard = op->ext.copied && op->req->op != BLK_WRITE;
        qcow2_refcount_free(q, op->ext.host, n * q->cluster_bytes, discard);
    }
}

int qcow2_write_link(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    if (q->corrupt)
        return -EIO;
    if (qcow2_flushing(q))
        return -EAGAIN;
    uint64_t index = op->claim_first % q->l2_entries % (q->page_bytes / 8);
    uint64_t entry = op->link_entry;
    for (uint64_t i = 0; i < op->n_new; i++) {
        qcow2_put_be64(op->page->data + 8 * (index + i), entry);
        if (entry & QCOW2_WIRE_OFFSET)
            entry += q->cluster_bytes;
    }
    op->page->dirty = true;
    if ((op->link_entry & QCOW2_WIRE_OFFSET) != op->ext.host || !op->ext.host)
        free_old(op, op->n_new);
    op->new_host = 0;
    qcow2_write_release(op);
    return qcow2_op_run_done(op);
}

/* ---- zeroes and discard ---- */

/* What the L2 entries of whole clusters become. Returns false if they stay as they are. */
static bool zero_entry(const struct qcow2_op *op, uint64_t *entry)
{
    const struct qcow2 *q = op->q;
    bool drop = op->req->op == BLK_DISCARD || (op->req->flags & BLK_MAY_UNMAP);
    bool shows_backing = q->backing != NULL;
    switch (op->ext.kind) {
    case QCOW2_ZERO:
        return false;
    case QCOW2_UNALLOCATED:
        *entry = QCOW2_WIRE_ZERO;
        return shows_backing && op->req->op == BLK_WRITE_ZEROES && q->h.version >= 3;
    case QCOW2_ZERO_ALLOCATED:
        *entry = QCOW2_WIRE_ZERO;
        return drop;
    default:
        break;
    }
    if (q->h.version < 3) {
        *entry = 0;
        return drop && !shows_backing;
    }
    *entry = drop && !shows_backing ? 0 : QCOW2_WIRE_ZERO;
    if (!drop && op->ext.kind == QCOW2_NORMAL && op->ext.copied)
        *entry = op->ext.host | QCOW2_WIRE_COPIED | QCOW2_WIRE_ZERO;
    return true;
}

int qcow2_write_begin_zero(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
                           struct qcow2_page *page)
{
    struct qcow2 *q = op->q;
    uint64_t cs = q->cluster_bytes, entry;
    bool discard = op->req->op == BLK_DISCARD;
    bool at_end = guest + op->len == q->blk.info.size_bytes; /* the last cluster may be cut */
    bool partial = in_cluster || (op->len < cs && !at_end);
    bool reads_zero = !has_old_data(op, guest - in_cluster);
    if (partial) {
        op->len = MIN(op->len, cs - in_cluster);
        return discard || reads_zero ? qcow2_op_run_done(op)
                                     : qcow2_write_begin(op, guest, in_cluster, page);
    }
    if (!at_end)
        op->len -= op->len % cs;
    if (!zero_entry(op, &entry)) {
        bool untouched = discard || reads_zero;
        return untouched ? qcow2_op_run_done(op) : qcow2_write_begin(op, guest, 0, page);
    }
    int r = qcow2_map_own_l2(q, op, guest);
    if (r < 0)
        return r;
    if (!page)
        return -EAGAIN;
    r = qcow2_claim_want_exclusive(op);
    if (r == 0)
        r = room_for_frees(q);
    if (r < 0)
        return r;
    op->n_new = (op->len + cs - 1) / cs;
    op->link_entry = entry;
    qcow2_claim_set(op, guest >> q->h.cluster_bits, op->n_new);
    qcow2_claim_start_exclusive(op, page);
    op->step = QCOW2_LINK;
    return 0;
}
