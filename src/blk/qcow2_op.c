/* Operations: one a request, run by run, step by step; reading (see qcow2_internal.h). */
#include <errno.h>

#include "blk/qcow2_internal.h"

void qcow2_op_put(struct qcow2_op_list *list, struct qcow2_op *op)
{
    op->next = NULL;
    *list->last = op;
    list->last = &op->next;
}

/* ---- requests below ---- */

static void child_done(struct blk_request *child, int result)
{
    struct qcow2_op *op = container_of(child, struct qcow2_op, child);
    op->result = result;
    qcow2_op_put(&op->q->ready, op);
    qcow2_kick(op->q);
}

int qcow2_op_reserve_iov(struct qcow2_op *op, unsigned n)
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

int qcow2_op_submit(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset,
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

int qcow2_op_transfer(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset)
{
    struct blk_request *req = op->req;
    int r = qcow2_op_reserve_iov(op, req->n_iov);
    if (r < 0)
        return r;
    unsigned n = blk_iov_slice(req->iov, req->n_iov, op->pos, op->len, op->iov, op->iov_cap);
    qcow2_claim_start_shared(op);
    return qcow2_op_submit(op, b, code, offset, op->len, n, QCOW2_TRANSFER);
}

int qcow2_op_run_done(struct qcow2_op *op)
{
    qcow2_claim_drop(op);
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
        return qcow2_op_transfer(op, q->file, BLK_READ, op->ext.host + in_cluster);
    case QCOW2_COMPRESSED:
        r = qcow2_unpack_get(q, op->ext.entry, &data);
        if (r < 0)
            return r;
        blk_iov_from_buf(req->iov, req->n_iov, op->pos, data + in_cluster, op->len);
        return qcow2_op_run_done(op);
    case QCOW2_UNALLOCATED:
        if (q->backing && guest < q->backing->info.size_bytes) {
            op->len = MIN(op->len, q->backing->info.size_bytes - guest);
            return qcow2_op_transfer(op, q->backing, BLK_READ, guest);
        }
        break;
    default:
        break;
    }
    blk_iov_zero(req->iov, req->n_iov, op->pos, op->len);
    return qcow2_op_run_done(op);
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
    qcow2_claim_set(op, first, n);
    if (qcow2_claim_conflicts(op))
        return -EAGAIN;
    int r = qcow2_map_lookup(q, op, guest, n, &op->ext, &page);
    if (r < 0)
        return r;
    qcow2_claim_set(op, first, op->ext.n_clusters);
    op->len = MIN(left, op->ext.n_clusters * cs - in_cluster);
    if (req->op == BLK_READ)
        return begin_read(op, guest, in_cluster);
    if (req->op == BLK_WRITE)
        return qcow2_write_begin(op, guest, in_cluster, page);
    return qcow2_write_begin_zero(op, guest, in_cluster, page);
}

static int transferred(struct qcow2_op *op)
{
    return op->result < 0 ? op->result : qcow2_op_run_done(op);
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
    qcow2_write_release(op);
    qcow2_claim_drop(op);
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
        [QCOW2_COW_READ] = qcow2_write_cow_read,
        [QCOW2_COW_WRITE] = qcow2_write_cow,
        [QCOW2_WRITTEN] = qcow2_write_done,
        [QCOW2_LINK] = qcow2_write_link,
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
