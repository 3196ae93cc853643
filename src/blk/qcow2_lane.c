/* The lane: changes of the image's structure, one at a time, each a few steps.
 *
 *   new L2 table       write zeroes, or a copy of the shared one, to a new cluster; then L1
 *   new refcount block write it, describing itself, to the first cluster it covers; then its place
 *                      in the refcount table
 *   longer refcount    write the blocks that cover it and the table behind everything the old one
 *   table              could describe; flush; the header; flush; then use it
 *
 * What is new is written before anything points to it; the flush machine puts a flush between. The
 * last step changes what that machine writes, so it waits while the machine runs. */
#include <errno.h>

#include "blk/qcow2_internal.h"

static void io_done(struct blk_request *io, int result);

static void io(struct qcow2 *q, enum blk_op op, uint64_t offset, uint8_t *buf, uint64_t len)
{
    struct qcow2_lane *lane = &q->lane;
    lane->step++;
    lane->result = -EINPROGRESS;
    lane->iov = (struct iovec){buf, len};
    lane->io = (struct blk_request){.op = op,
                                    .offset = offset,
                                    .len_bytes = len,
                                    .iov = &lane->iov,
                                    .n_iov = 1,
                                    .done = io_done,
                                    .opaque = q};
    blk_submit(q->file, &lane->io);
}

static void io_done(struct blk_request *req, int result)
{
    struct qcow2 *q = req->opaque;
    q->lane.result = result;
    qcow2_wake(q);
    qcow2_kick(q);
}

static int begin(struct qcow2 *q, struct qcow2_op *op, enum qcow2_lane_kind kind,
                 uint64_t buf_bytes)
{
    struct qcow2_lane *lane = &q->lane;
    uint8_t *buf;
    if (posix_memalign((void **)&buf, 4096, buf_bytes))
        return -ENOMEM;
    memset(buf, 0, buf_bytes);
    *lane = (struct qcow2_lane){.kind = kind, .owner = op, .buf = buf, .buf_bytes = buf_bytes};
    return 0;
}

static void end(struct qcow2 *q, int result)
{
    struct qcow2_lane *lane = &q->lane;
    if (result < 0 && lane->owner)
        lane->owner->lane_error = result;
    if (result < 0 && lane->kind == QCOW2_LANE_L2)
        qcow2_refcount_free(q, lane->host, q->cluster_bytes, false);
    free(lane->buf);
    *lane = (struct qcow2_lane){.kind = QCOW2_LANE_IDLE};
    qcow2_wake(q);
}

/* ---- a new L2 table ---- */

int qcow2_lane_new_l2(struct qcow2 *q, struct qcow2_op *op, uint64_t l1_index)
{
    struct qcow2_lane *lane = &q->lane;
    uint64_t host, n;
    if (lane->kind != QCOW2_LANE_IDLE)
        return -EAGAIN;
    int r = qcow2_refcount_alloc(q, op, 1, &host, &n);
    if (r < 0)
        return r;
    r = begin(q, op, QCOW2_LANE_L2, q->cluster_bytes);
    if (r < 0) {
        qcow2_refcount_free(q, host, q->cluster_bytes, false);
        return r;
    }
    lane->index = l1_index;
    lane->host = host;
    lane->old_host = qcow2_table_get(&q->l1, l1_index) & QCOW2_WIRE_OFFSET;
    if (lane->old_host)
        io(q, BLK_READ, lane->old_host, lane->buf, q->cluster_bytes);
    else
        io(q, BLK_WRITE, lane->host, lane->buf, q->cluster_bytes);
    return -EAGAIN;
}

static void run_l2(struct qcow2 *q)
{
    struct qcow2_lane *lane = &q->lane;
    if (lane->io.op == BLK_READ) {
        io(q, BLK_WRITE, lane->host, lane->buf, q->cluster_bytes);
    } else if (!qcow2_flushing(q)) {
        qcow2_table_set(&q->l1, lane->index, lane->host | QCOW2_WIRE_COPIED);
        if (lane->old_host)
            qcow2_refcount_free(q, lane->old_host, q->cluster_bytes, false);
        end(q, 0);
    }
}

/* ---- a new refcount block ---- */

int qcow2_lane_new_refblock(struct qcow2 *q, struct qcow2_op *op, uint64_t index, uint64_t cluster)
{
    struct qcow2_lane *lane = &q->lane;
    if (lane->kind != QCOW2_LANE_IDLE)
        return -EAGAIN;
    if (cluster > (QCOW2_WIRE_OFFSET >> q->h.cluster_bits))
        return -EFBIG;
    int r = qcow2_refcount_check_unused(q, cluster << q->h.cluster_bits, q->cluster_bytes);
    if (r == 0)
        r = begin(q, op, QCOW2_LANE_REFBLOCK, q->cluster_bytes);
    if (r < 0)
        return r;
    lane->index = index;
    lane->host = cluster << q->h.cluster_bits;
    qcow2_refcount_put(lane->buf, cluster % q->refblock_entries, q->h.refcount_order, 1);
    io(q, BLK_WRITE, lane->host, lane->buf, q->cluster_bytes);
    return -EAGAIN;
}

static void run_refblock(struct qcow2 *q)
{
    if (qcow2_flushing(q))
        return;
    qcow2_table_set(&q->reftable, q->lane.index, q->lane.host);
    end(q, 0);
}

/* ---- a longer refcount table ---- */

int qcow2_lane_grow_reftable(struct qcow2 *q, struct qcow2_op *op)
{
    struct qcow2_lane *lane = &q->lane;
    if (lane->kind != QCOW2_LANE_IDLE)
        return -EAGAIN;
    uint64_t cs = q->cluster_bytes, first = q->reftable.entries * q->refblock_entries;
    uint64_t table = 2 * q->reftable.bytes / cs, blocks = 1;
    while (blocks * q->refblock_entries < table + blocks)
        blocks++;
    if (table * cs > QCOW2_REFTABLE_MAX ||
        first + blocks + table > (QCOW2_WIRE_OFFSET >> q->h.cluster_bits))
        return -EFBIG;
    int r = begin(q, op, QCOW2_LANE_REFTABLE, (blocks + table) * cs);
    if (r < 0)
        return r;
    lane->host = first << q->h.cluster_bits;
    lane->n_blocks = blocks;
    lane->new_clusters = table;
    for (uint64_t i = 0; i < blocks + table; i++)
        qcow2_refcount_put(lane->buf, i, q->h.refcount_order, 1);
    uint8_t *new_table = lane->buf + blocks * cs;
    memcpy(new_table, q->reftable.data, q->reftable.bytes);
    for (uint64_t i = 0; i < blocks; i++)
        qcow2_put_be64(new_table + 8 * (q->reftable.entries + i), lane->host + i * cs);
    io(q, BLK_WRITE, lane->host, lane->buf, lane->buf_bytes);
    return -EAGAIN;
}

/* Puts the new table to use in memory: the header on disk points to it already. */
static void use_new_table(struct qcow2 *q)
{
    struct qcow2_lane *lane = &q->lane;
    uint64_t bytes = lane->new_clusters * q->cluster_bytes;
    struct qcow2_table t = {
        .offset = lane->host + lane->n_blocks * q->cluster_bytes,
        .entries = bytes / 8,
        .bytes = bytes,
        .dirty = calloc(1, bytes / QCOW2_PAGE_BYTES_MAX + 1),
    };
    if (!t.dirty || posix_memalign((void **)&t.data, 4096, align_up(bytes, QCOW2_PAGE_BYTES_MAX))) {
        free(t.dirty);
        q->corrupt = true; /* the old table may not be written any more, the new one cannot be */
        end(q, -ENOMEM);
        return;
    }
    memcpy(t.data, lane->buf + lane->n_blocks * q->cluster_bytes, bytes);
    qcow2_refcount_free(q, q->reftable.offset, q->reftable.bytes, false);
    free(q->reftable.data);
    free(q->reftable.dirty);
    q->reftable = t;
    end(q, 0);
}

static void run_reftable(struct qcow2 *q)
{
    struct qcow2_lane *lane = &q->lane;
    uint8_t *fields = lane->buf; /* the blocks are written: their memory is free */
    switch (lane->step) {
    case 1:
        io(q, BLK_FLUSH, 0, NULL, 0);
        break;
    case 2: {
        uint64_t offset = lane->host + lane->n_blocks * q->cluster_bytes;
        qcow2_put_be64(fields, offset);
        qcow2_put_be32(fields + 8, (uint32_t)lane->new_clusters);
        io(q, BLK_WRITE, QCOW2_WIRE_REFTABLE_AT, fields, 12);
        break;
    }
    case 3:
        io(q, BLK_FLUSH, 0, NULL, 0);
        break;
    default:
        if (!qcow2_flushing(q))
            use_new_table(q);
    }
}

void qcow2_lane_run(struct qcow2 *q)
{
    struct qcow2_lane *lane = &q->lane;
    if (lane->kind == QCOW2_LANE_IDLE || lane->result == -EINPROGRESS)
        return;
    if (lane->result < 0)
        end(q, lane->result);
    else if (lane->kind == QCOW2_LANE_L2)
        run_l2(q);
    else if (lane->kind == QCOW2_LANE_REFBLOCK)
        run_refblock(q);
    else
        run_reftable(q);
}
