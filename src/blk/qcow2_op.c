/* Operations: one a request, run by run, step by step (see qcow2_internal.h). */
#include <errno.h>

#include "blk/qcow2_internal.h"

void qcow2_op_put(struct qcow2_op_list *list, struct qcow2_op *op)
{
    op->next = NULL;
    *list->last = op;
    list->last = &op->next;
}

/* ---- claims ---- */

static void claim(struct qcow2_op *op, uint64_t first, uint64_t n)
{
    struct qcow2 *q = op->q;
    op->claim_first = first;
    op->claim_end = first + n;
    if (op->claimed)
        return;
    op->claimed = true;
    op->claim_next = NULL;
    op->claim_at = q->claims_last;
    *q->claims_last = op;
    q->claims_last = &op->claim_next;
}

static void unclaim(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    if (!op->claimed)
        return;
    *op->claim_at = op->claim_next;
    if (op->claim_next)
        op->claim_next->claim_at = op->claim_at;
    else
        q->claims_last = op->claim_at;
    if (op->exclusive && op->running)
        q->n_exclusive--;
    op->claimed = op->running = op->exclusive = false;
    if (q->waiting.first)
        qcow2_wake(q);
}

/* Whether a run that overlaps this one and is active, or waits since before it, forbids it. */
static bool conflicts(const struct qcow2_op *op)
{
    bool earlier = true;
    for (const struct qcow2_op *o = op->q->claims; o; o = o->claim_next) {
        if (o == op) {
            earlier = false;
            continue;
        }
        if ((o->running || earlier) && (o->exclusive || op->exclusive) &&
            o->claim_first < op->claim_end && op->claim_first < o->claim_end)
            return true;
    }
    return false;
}

/* Makes the claim exclusive and active. */
static int go_exclusive(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    op->exclusive = true;
    if (q->corrupt)
        return -EIO;
    if (conflicts(op) || q->n_exclusive >= QCOW2_EXCLUSIVE_MAX)
        return -EAGAIN;
    return 0;
}

/* Makes the claim active as a shared one: what it wanted to change, another has changed while it
 * waited. */
static void start_shared(struct qcow2_op *op)
{
    op->running = true;
    op->exclusive = false;
}

static void start_exclusive(struct qcow2_op *op, struct qcow2_page *page)
{
    op->running = true;
    op->q->n_exclusive++;
    op->page = page;
    page->pins++;
}

/* ---- requests below ---- */

static void child_done(struct blk_request *child, int result)
{
    struct qcow2_op *op = container_of(child, struct qcow2_op, child);
    op->result = result;
    qcow2_op_put(&op->q->ready, op);
    qcow2_kick(op->q);
}

static int reserve_iov(struct qcow2_op *op, unsigned n)
{
    if (n <= op->iov_cap)
        return 0;
    struct iovec *iov = realloc(op->iov, n * sizeof(*iov));
    if (!iov)
        return -ENOMEM;
    op->iov = iov;
    op->iov_cap = n;
    return 0;
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

static int submit(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset,
                  uint64_t len, unsigned n_iov, enum qcow2_step then)
{
    op->step = then;
    op->child = (struct blk_request){.op = code,
                                     .offset = offset,
                                     .len_bytes = len,
                                     .iov = op->iov,
                                     .n_iov = n_iov,
                                     .done = child_done};
    blk_submit(b, &op->child);
    return -EINPROGRESS;
}

/* Transfers the run's bytes of the guest between its buffers and `offset` of a backend below. */
static int transfer(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset)
{
    struct blk_request *req = op->req;
    int r = reserve_iov(op, req->n_iov);
    if (r < 0)
        return r;
    unsigned n = blk_iov_slice(req->iov, req->n_iov, op->pos, op->len, op->iov, op->iov_cap);
    start_shared(op);
    return submit(op, b, code, offset, op->len, n, QCOW2_TRANSFER);
}

/* The run is over. */
static int run_done(struct qcow2_op *op)
{
    unclaim(op);
    op->pos += op->len;
    op->step = QCOW2_MAP;
    return 0;
}

/* ---- reading ---- */

static int begin_read(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster)
{
    struct qcow2 *q = op->q;
    struct blk_request *req = op->req;
    const uint8_t *data;
    int r;
    switch (op->ext.kind) {
    case QCOW2_NORMAL:
        return transfer(op, q->file, BLK_READ, op->ext.host + in_cluster);
    case QCOW2_COMPRESSED:
        r = qcow2_unpack_get(q, op->ext.entry, &data);
        if (r < 0)
            return r;
        blk_iov_from_buf(req->iov, req->n_iov, op->pos, data + in_cluster, op->len);
        return run_done(op);
    case QCOW2_UNALLOCATED:
        if (q->backing && guest < q->backing->info.size_bytes) {
            op->len = MIN(op->len, q->backing->info.size_bytes - guest);
            return transfer(op, q->backing, BLK_READ, guest);
        }
        break;
    default:
        break;
    }
    blk_iov_zero(req->iov, req->n_iov, op->pos, op->len);
    return run_done(op);
}

/* ---- writing ---- */

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
    int r = go_exclusive(op);
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
    claim(op, guest >> q->h.cluster_bits, op->n_new);
    start_exclusive(op, page);
    op->step = old ? QCOW2_COW_READ : QCOW2_COW_WRITE;
    return 0;
}

static int begin_write(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
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
            return transfer(op, q->file, BLK_WRITE, op->ext.host + in_cluster);
        start_shared(op);
        return submit(op, q->file, BLK_WRITE_ZEROES, op->ext.host + in_cluster, op->len, 0,
                      QCOW2_TRANSFER);
    }
    return begin_allocating(op, guest, in_cluster, page);
}

/* Reads the whole old cluster into op->buf. */
static int cow_read(struct qcow2_op *op)
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
    int r = reserve_iov(op, 1);
    if (r < 0)
        return r;
    op->result = 0;
    op->iov[0] = (struct iovec){op->buf, len};
    return submit(op, from, BLK_READ, at, len, 1, QCOW2_COW_WRITE);
}

/* Writes the new clusters: old contents or zeroes around what the guest writes. What was never
 * written, past the end of the file, is zero already. */
static int cow_write(struct qcow2_op *op)
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
    int r = reserve_iov(op, req->n_iov + zero_iovs);
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
    return submit(op, q->file, BLK_WRITE, at, before + op->len + after, n, QCOW2_WRITTEN);
}

/* Gives back what the run held. */
static void release(struct qcow2_op *op)
{
    if (op->page)
        op->page->pins--;
    op->page = NULL;
    if (op->buf)
        qcow2_give_buffer(op->q, op->buf);
    op->buf = NULL;
}

static int written(struct qcow2_op *op)
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

static int link_entries(struct qcow2_op *op)
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
    release(op);
    return run_done(op);
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

static int begin_zero(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
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
        return discard || reads_zero ? run_done(op) : begin_write(op, guest, in_cluster, page);
    }
    if (!at_end)
        op->len -= op->len % cs;
    if (!zero_entry(op, &entry)) {
        bool untouched = discard || reads_zero;
        return untouched ? run_done(op) : begin_write(op, guest, 0, page);
    }
    int r = qcow2_map_own_l2(q, op, guest);
    if (r < 0)
        return r;
    if (!page)
        return -EAGAIN;
    r = go_exclusive(op);
    if (r == 0)
        r = room_for_frees(q);
    if (r < 0)
        return r;
    op->n_new = (op->len + cs - 1) / cs;
    op->link_entry = entry;
    claim(op, guest >> q->h.cluster_bits, op->n_new);
    start_exclusive(op, page);
    op->step = QCOW2_LINK;
    return 0;
}

/* ---- running ---- */

/* Finds the next run. */
static int map(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    struct blk_request *req = op->req;
    struct qcow2_page *page;
    if (op->lane_error) {
        int r = op->lane_error;
        op->lane_error = 0;
        return r;
    }
    uint64_t guest = req->offset + op->pos, left = req->len_bytes - op->pos;
    uint64_t cs = q->cluster_bytes, in_cluster = guest % cs;
    uint64_t per_page = q->page_bytes / 8, first = guest >> q->h.cluster_bits;
    uint64_t n = MIN((in_cluster + left + cs - 1) / cs, per_page - first % per_page);
    claim(op, first, n);
    if (conflicts(op))
        return -EAGAIN;
    int r = qcow2_map_lookup(q, op, guest, n, &op->ext, &page);
    if (r < 0)
        return r;
    claim(op, first, op->ext.n_clusters);
    op->len = MIN(left, op->ext.n_clusters * cs - in_cluster);
    if (req->op == BLK_READ)
        return begin_read(op, guest, in_cluster);
    if (req->op == BLK_WRITE)
        return begin_write(op, guest, in_cluster, page);
    return begin_zero(op, guest, in_cluster, page);
}

static int transferred(struct qcow2_op *op)
{
    return op->result < 0 ? op->result : run_done(op);
}

static int flush_wait(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    if (q->corrupt)
        return -EIO;
    if (!op->flush_seq) /* one that begins after this request came */
        op->flush_seq = q->flush.started + 1;
    if (q->flush.finished < op->flush_seq) {
        qcow2_flush_start(q);
        return -EAGAIN;
    }
    op->pos = 1;
    return q->flush.failed_seq >= op->flush_seq ? q->flush.failed_result : 0;
}

static void finish(struct qcow2_op *op, int result)
{
    struct qcow2 *q = op->q;
    struct blk_request *req = op->req;
    if (op->new_host && op->running && op->exclusive && result < 0 && !op->reuses_host)
        qcow2_refcount_free(q, op->new_host, op->n_new * q->cluster_bytes, false);
    release(op);
    unclaim(op);
    if (q->lane.owner == op)
        q->lane.owner = NULL;
    op->next = q->free_ops;
    q->free_ops = op;
    blk_complete(&q->blk, req, result);
}

static bool over(const struct qcow2_op *op)
{
    if (op->req->op == BLK_FLUSH)
        return op->pos;
    return op->step == QCOW2_MAP && op->pos >= op->req->len_bytes;
}

void qcow2_op_run(struct qcow2_op *op)
{
    static int (*const steps[])(struct qcow2_op *) = {
        [QCOW2_MAP] = map,
        [QCOW2_TRANSFER] = transferred,
        [QCOW2_COW_READ] = cow_read,
        [QCOW2_COW_WRITE] = cow_write,
        [QCOW2_WRITTEN] = written,
        [QCOW2_LINK] = link_entries,
        [QCOW2_FLUSH_WAIT] = flush_wait,
    };
    int r = 0;
    while (r == 0 && !over(op))
        r = steps[op->step](op);
    if (r == -EAGAIN)
        qcow2_op_put(&op->q->waiting, op);
    else if (r != -EINPROGRESS)
        finish(op, r);
}
