/* Which runs may be active at once: the claims on guest clusters (see qcow2_internal.h). */
#include <errno.h>

#include "blk/qcow2_internal.h"

void qcow2_claim_set(struct qcow2_op *op, uint64_t first, uint64_t n)
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

void qcow2_claim_drop(struct qcow2_op *op)
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

bool qcow2_claim_conflicts(const struct qcow2_op *op)
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

int qcow2_claim_want_exclusive(struct qcow2_op *op)
{
    struct qcow2 *q = op->q;
    op->exclusive = true;
    if (q->corrupt)
        return -EIO;
    if (qcow2_claim_conflicts(op) || q->n_exclusive >= QCOW2_EXCLUSIVE_MAX)
        return -EAGAIN;
    return 0;
}

void qcow2_claim_start_shared(struct qcow2_op *op)
{
    op->running = true;
    op->exclusive = false;
}

void qcow2_claim_start_exclusive(struct qcow2_op *op, struct qcow2_page *page)
{
    op->running = true;
    op->q->n_exclusive++;
    op->page = page;
    page->pins++;
}
