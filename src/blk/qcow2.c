#include "blk/qcow2.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/log.h"
#include "blk/qcow2_internal.h"

/* ---- scheduling ---- */

static struct qcow2_op *take(struct qcow2_op_list *list)
{
    struct qcow2_op *op = list->first;
    if (!op)
        return NULL;
    list->first = op->next;
    if (!list->first)
        list->last = &list->first;
    return op;
}

static void move_waiting(struct qcow2 *q)
{
    if (!q->waiting.first)
        return;
    *q->ready.last = q->waiting.first;
    q->ready.last = q->waiting.last;
    q->waiting.first = NULL;
    q->waiting.last = &q->waiting.first;
}

/* Runs all that can run. Called again from inside (a request below that completes at once), it
 * leaves the work to the outer call. */
void qcow2_kick(struct qcow2 *q)
{
    struct qcow2_op *op;
    if (q->running)
        return;
    q->running = true;
    do {
        while ((op = take(&q->ready)))
            qcow2_op_run(op);
        if (q->rerun) {
            q->rerun = false;
            qcow2_lane_run(q);
            qcow2_refcount_run_frees(q);
            move_waiting(q);
        }
    } while (q->ready.first || q->rerun);
    q->running = false;
}

static void run_again(struct loop_post *p)
{
    struct qcow2 *q = p->opaque;
    qcow2_wake(q);
    qcow2_kick(q);
}

static struct qcow2_op *new_op(struct qcow2 *q)
{
    struct qcow2_op *op = q->free_ops;
    struct iovec *iov = NULL;
    unsigned iov_cap = 0;
    if (op) {
        q->free_ops = op->next;
        iov = op->iov;
        iov_cap = op->iov_cap;
    } else if (!(op = malloc(sizeof(*op)))) {
        return NULL;
    }
    *op = (struct qcow2_op){.q = q, .iov = iov, .iov_cap = iov_cap};
    return op;
}

static void submit(struct blk *b, struct blk_request *req)
{
    struct qcow2 *q = (struct qcow2 *)b;
    if (req->op == BLK_FLUSH && b->info.read_only) {
        blk_complete(b, req, 0);
        return;
    }
    struct qcow2_op *op = new_op(q);
    if (!op) {
        blk_complete(b, req, -ENOMEM);
        return;
    }
    op->req = req;
    op->step = req->op == BLK_FLUSH ? QCOW2_FLUSH_WAIT : QCOW2_MAP;
    qcow2_op_put(&q->ready, op);
    qcow2_kick(q);
}

static void poll_below(struct blk *b)
{
    struct qcow2 *q = (struct qcow2 *)b;
    if (q->file->in_flight)
        q->file->ops->poll(q->file);
    else if (q->backing && q->backing->in_flight)
        q->backing->ops->poll(q->backing);
    qcow2_wake(q);
    qcow2_kick(q);
}

/* ---- errors ---- */

static void marked(struct blk_request *io, int result)
{
}

/* Sets the corrupt bit in the header, so that others refuse to write to the image, too. */
static void mark_corrupt(struct qcow2 *q)
{
    if (q->blk.info.read_only || q->h.version < 3 || !q->corrupt_sector)
        return;
    qcow2_put_be64(q->corrupt_sector, q->h.incompatible | QCOW2_WIRE_CORRUPT);
    q->corrupt_iov = (struct iovec){q->corrupt_sector, 8};
    q->corrupt_io = (struct blk_request){.op = BLK_WRITE,
                                         .offset = QCOW2_WIRE_INCOMPAT_AT,
                                         .len_bytes = 8,
                                         .iov = &q->corrupt_iov,
                                         .n_iov = 1,
                                         .done = marked,
                                         .opaque = q};
    blk_submit(q->file, &q->corrupt_io);
}

int qcow2_set_corrupt(struct qcow2 *q, const char *fmt, ...)
{
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    LOG_LIMITED(LOG_ERROR, "qcow2",
                "the image is corrupt: %s; check it with 'qemu-img check' "
                "image=%s",
                what, q->name);
    if (!q->corrupt && !q->blk.info.read_only) {
        q->corrupt = true;
        mark_corrupt(q);
        qcow2_wake(q);
    }
    return -EIO;
}

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a < b + b_len && b < a + a_len;
}

bool qcow2_host_is_data(const struct qcow2 *q, uint64_t host, uint64_t len)
{
    return host >= q->cluster_bytes && !overlaps(host, len, q->l1.offset, q->l1.bytes) &&
           !overlaps(host, len, q->reftable.offset, q->reftable.bytes) &&
           range_within(host, len, align_up(q->file->info.size_bytes, q->cluster_bytes));
}

int qcow2_check_host(struct qcow2 *q, const char *what, uint64_t host, uint64_t len)
{
    if (host % q->cluster_bytes == 0 && qcow2_host_is_data(q, host, len))
        return 0;
    return qcow2_set_corrupt(q,
                             "%s is said to be at 0x%llx, which is outside the file (0x%llx "
                             "bytes), not aligned or over a table",
                             what, (unsigned long long)host,
                             (unsigned long long)q->file->info.size_bytes);
}

/* ---- buffers ---- */

uint8_t *qcow2_take_buffer(struct qcow2 *q)
{
    uint8_t *buf = q->free_buffers;
    if (buf) {
        memcpy(&q->free_buffers, buf, sizeof(q->free_buffers));
        return buf;
    }
    if (q->n_buffers == q->n_buffers_max || posix_memalign((void **)&buf, 4096, q->cluster_bytes))
        return NULL;
    q->n_buffers++;
    return buf;
}

void qcow2_give_buffer(struct qcow2 *q, uint8_t *buf)
{
    memcpy(buf, &q->free_buffers, sizeof(q->free_buffers));
    q->free_buffers = buf;
    qcow2_wake(q);
}

/* ---- opening and closing ---- */

static void destroy(struct qcow2 *q)
{
    loop_post_cancel(q->blk.loop, &q->again);
    while (q->free_ops) {
        struct qcow2_op *op = q->free_ops;
        q->free_ops = op->next;
        free(op->iov);
        free(op);
    }
    while (q->free_buffers)
        free(qcow2_take_buffer(q));
    qcow2_cache_fini(q);
    qcow2_unpack_fini(q);
    free(q->lane.buf);
    free(q->l1.data);
    free(q->l1.dirty);
    free(q->reftable.data);
    free(q->reftable.dirty);
    free(q->corrupt_sector);
    if (q->zeroes)
        munmap(q->zeroes, QCOW2_ZERO_BYTES);
    free(q);
}

static bool internal_work(const struct qcow2 *q)
{
    return q->file->in_flight || (q->backing && q->backing->in_flight) || qcow2_flushing(q);
}

static void close_qcow2(struct blk *b)
{
    struct qcow2 *q = (struct qcow2 *)b;
    /* Twice: the first flush gives clusters back, the second writes that. */
    for (int i = 0; i < 3 && !b->info.read_only && !q->corrupt && qcow2_flush_needed(q); i++) {
        qcow2_flush_start(q);
        while (internal_work(q) || (q->n_ready && !q->corrupt && !q->flush.result))
            poll_below(b);
        if (q->flush.result < 0) {
            log_line(LOG_ERROR, "qcow2", "could not write the tables back: %s image=%s",
                     strerror(-q->flush.result), q->name);
            break;
        }
    }
    while (internal_work(q))
        poll_below(b);
    struct blk *file = q->file, *backing = q->backing;
    destroy(q);
    blk_close(file);
    blk_close(backing);
}

static const struct blk_ops qcow2_ops = {
    .submit = submit,
    .poll = poll_below,
    .close = close_qcow2,
};

static int load_table(struct qcow2 *q, struct qcow2_table *t, const char *what, uint64_t offset,
                      uint64_t entries, struct err *err)
{
    t->offset = offset;
    t->entries = entries;
    t->bytes = align_up(entries * 8, q->cluster_bytes);
    if (!range_within(offset, entries * 8, q->file->info.size_bytes))
        return err_set(err, EINVAL,
                       "qcow2 image %s: its %s of %llu entries at 0x%llx is outside "
                       "the file",
                       q->name, what, (unsigned long long)entries, (unsigned long long)offset);
    t->dirty = calloc(1, t->bytes / QCOW2_PAGE_BYTES_MAX + 1);
    uint64_t room = MAX(align_up(t->bytes, QCOW2_PAGE_BYTES_MAX), QCOW2_PAGE_BYTES_MAX);
    if (!t->dirty || posix_memalign((void **)&t->data, 4096, room)) {
        t->data = NULL;
        return err_set(err, ENOMEM, "could not allocate the %s of qcow2 image %s", what, q->name);
    }
    memset(t->data, 0, room);
    int r = entries ? blk_read_sync(q->file, offset, t->data, t->bytes) : 0;
    return r < 0 ? err_sys(err, -r, "could not read the %s of qcow2 image %s", what, q->name) : 0;
}

static int check_tables(struct qcow2 *q, struct err *err)
{
    const struct qcow2_table *l1 = &q->l1, *rt = &q->reftable;
    if ((l1->entries && l1->offset < q->cluster_bytes) || rt->offset < q->cluster_bytes ||
        overlaps(l1->offset, l1->bytes, rt->offset, rt->bytes))
        return err_set(err, EINVAL,
                       "qcow2 image %s: its L1 table at 0x%llx, its refcount table at "
                       "0x%llx and its header overlap",
                       q->name, (unsigned long long)l1->offset, (unsigned long long)rt->offset);
    return 0;
}

/* What others left that must not be written over, or must be said to be no longer true. */
static int prepare_writing(struct qcow2 *q, struct err *err)
{
    if (q->h.incompatible & QCOW2_WIRE_CORRUPT)
        return err_set(err, EROFS,
                       "qcow2 image %s is marked corrupt; repair it with 'qemu-img "
                       "check -r all', or attach it with 'readonly'",
                       q->name);
    if (q->h.incompatible & QCOW2_WIRE_DIRTY)
        return err_set(err, EROFS,
                       "qcow2 image %s was not closed and its refcounts are stale; "
                       "repair it with 'qemu-img check -r all', or attach it with 'readonly'",
                       q->name);
    if (!q->h.autoclear)
        return 0;
    uint64_t zero = 0; /* features that we do not keep up, such as bitmaps */
    int r = blk_write_sync(q->file, QCOW2_WIRE_AUTOCLEAR_AT, &zero, sizeof(zero));
    if (r == 0)
        r = blk_op_sync(q->file, BLK_FLUSH, 0, 0, 0);
    return r < 0 ? err_sys(err, -r, "could not write the header of qcow2 image %s", q->name) : 0;
}

static int read_header(struct qcow2 *q, struct err *err)
{
    uint8_t *head = malloc(QCOW2_WIRE_HEADER_V3 + 8);
    uint64_t size = q->file->info.size_bytes, len = MIN(size, QCOW2_WIRE_HEADER_V3 + 8);
    if (!head)
        return err_set(err, ENOMEM, "could not allocate the header of qcow2 image %s", q->name);
    int r = blk_read_sync(q->file, 0, head, len);
    if (r < 0)
        err_sys(err, -r, "could not read the header of qcow2 image %s", q->name);
    else
        r = qcow2_header_parse(head, len, q->name, &q->h, err);
    free(head);
    return r;
}

static int init(struct qcow2 *q, const struct qcow2_options *options, struct err *err)
{
    int r = read_header(q, err);
    if (r < 0)
        return r;
    q->cluster_bytes = UINT64_C(1) << q->h.cluster_bits;
    q->page_bytes = (uint32_t)MIN(q->cluster_bytes, QCOW2_PAGE_BYTES_MAX);
    q->l2_entries = (uint32_t)(q->cluster_bytes / 8);
    q->refblock_entries = q->cluster_bytes * 8 >> q->h.refcount_order;
    q->n_buffers_max = (unsigned)MAX(QCOW2_BUFFERS_BYTES / q->cluster_bytes, 2);
    q->n_buffers_max = MIN(q->n_buffers_max, QCOW2_EXCLUSIVE_MAX);
    q->zeroes = mmap(NULL, QCOW2_ZERO_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (q->zeroes == MAP_FAILED || posix_memalign((void **)&q->corrupt_sector, 4096, 512)) {
        q->zeroes = q->zeroes == MAP_FAILED ? NULL : q->zeroes;
        return err_set(err, ENOMEM, "could not allocate the state of qcow2 image %s", q->name);
    }
    r = load_table(q, &q->l1, "L1 table", q->h.l1_offset, q->h.l1_entries, err);
    if (r == 0)
        r = load_table(q, &q->reftable, "refcount table", q->h.reftable_offset,
                       q->h.reftable_clusters * q->cluster_bytes / 8, err);
    if (r == 0)
        r = check_tables(q, err);
    if (r == 0)
        r = qcow2_cache_init(q, options->cache_bytes, err);
    if (r == 0 && !options->read_only)
        r = prepare_writing(q, err);
    return r;
}

struct blk *qcow2_open(struct blk *file, struct blk *backing, const struct qcow2_options *options,
                       struct err *err)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    if (!q) {
        err_set(err, ENOMEM, "could not allocate the state of a qcow2 image");
        return NULL;
    }
    blk_init(&q->blk, &qcow2_ops, file->loop);
    q->file = file;
    q->backing = backing;
    snprintf(q->name, sizeof(q->name), "%s", options->name ? options->name : "(unnamed)");
    q->ready.last = &q->ready.first;
    q->waiting.last = &q->waiting.first;
    q->claims_last = &q->claims;
    q->again = (struct loop_post){.run = run_again, .opaque = q};
    if (init(q, options, err) < 0) {
        destroy(q);
        return NULL;
    }
    q->blk.info = (struct blk_info){
        .size_bytes = q->h.size_bytes,
        .read_only = options->read_only,
        .block_bytes = file->info.block_bytes,
        .discard_granularity_bytes = options->read_only ? 0 : (uint32_t)q->cluster_bytes,
    };
    return &q->blk;
}
