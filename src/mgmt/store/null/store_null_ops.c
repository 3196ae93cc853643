/* The operations, one function each; everything under the store's lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/null/store_null_internal.h"

static struct store_null_cell *object_cell(struct store_null *n, const struct store_object *o)
{
    return store_null_cell(n, CELL_OBJECT,
                           &(struct store_null_cell_key){.id = &o->id, .kind = o->kind});
}

static struct store_null_cell *name_cell(struct store_null *n, uint8_t kind,
                                         const struct store_id *project, struct store_text name)
{
    return store_null_cell(
        n, CELL_NAME, &(struct store_null_cell_key){.id = project, .kind = kind, .text = name});
}

/* The seq of a living object; 0: absent. */
static uint64_t living_seq(const struct store_null_cell *c)
{
    return c->value.there && !c->value.deleted ? c->value.seq : 0;
}

/* Gives up the name that a living object has. */
static int release_name(struct store_null *n, const struct store_null_value *v)
{
    struct store_null_cell *c =
        name_cell(n, v->kind, &v->project, (struct store_text){v->name, v->name_bytes});
    return c ? store_null_set(n, c, &(struct store_null_value){.there = false}) : -EAGAIN;
}

static int put(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_object *o = &op->object;
    struct store_null_cell *cell = object_cell(n, o);
    struct store_null_cell *name = name_cell(n, o->kind, &o->project, o->name);
    if (!cell || !name)
        return -EAGAIN;
    uint64_t seq = living_seq(cell);
    if (o->when == STORE_IF_ABSENT && seq)
        return store_refuse(txn, index, -EEXIST, (int64_t)seq);
    if (o->when == STORE_IF_SEQ && (!seq || seq != o->seq))
        return store_refuse(txn, index, -ESTALE, (int64_t)seq);
    if (name->value.there && memcmp(&name->value.id, &o->id, sizeof(o->id)) != 0) {
        struct store_null_cell *holder = store_null_cell(
            n, CELL_OBJECT, &(struct store_null_cell_key){.id = &name->value.id, .kind = o->kind});
        return store_refuse(txn, index, -ENOTUNIQ, holder ? (int64_t)holder->value.seq : 0);
    }
    int r = seq ? release_name(n, &cell->value) : 0;
    if (!r)
        r = store_null_set(n, name, &(struct store_null_value){.there = true, .id = o->id});
    if (r)
        return r;
    struct store_null_value v = {
        .there = true,
        .seq = op->seq = ++n->seq,
        .id = o->id,
        .project = o->project,
        .kind = o->kind,
        .name = store_null_copy(o->name),
        .name_bytes = o->name.len_bytes,
        .body = store_null_copy(o->body),
        .body_bytes = o->body.len_bytes,
    };
    if (!v.name || !v.body) {
        free(v.name);
        free(v.body);
        return -EAGAIN;
    }
    return store_null_set(n, cell, &v);
}

static int bury(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_object *o = &op->object;
    struct store_null_cell *cell = object_cell(n, o);
    if (!cell)
        return -EAGAIN;
    uint64_t seq = living_seq(cell);
    if (o->when == STORE_IF_SEQ && seq && seq != o->seq)
        return store_refuse(txn, index, -ESTALE, (int64_t)seq);
    if (!seq)
        return store_refuse(txn, index, -ENOENT, 0);
    int r = release_name(n, &cell->value);
    if (r)
        return r;
    op->seq = ++n->seq;
    return store_null_set(n, cell,
                          &(struct store_null_value){.there = true,
                                                     .deleted = true,
                                                     .seq = op->seq,
                                                     .id = o->id,
                                                     .kind = o->kind,
                                                     .project = cell->value.project,
                                                     .time_ms = o->at_ms});
}

static int raise_claim(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    struct store_null_cell *c =
        store_null_cell(n, CELL_CLAIM, &(struct store_null_cell_key){.id = &op->raise.host});
    if (!c)
        return -EAGAIN;
    if ((uint64_t)c->value.number != op->raise.expected)
        return store_refuse(txn, index, -ESTALE, c->value.number);
    op->value = c->value.number + 1;
    op->seq = ++n->seq;
    return store_null_set(
        n, c,
        &(struct store_null_value){
            .there = true, .seq = op->seq, .id = op->raise.host, .number = op->value});
}

static int add(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_add *a = &op->add;
    struct store_null_cell *c = store_null_cell(
        n, CELL_COUNTER, &(struct store_null_cell_key){.id = &a->owner, .text = a->name});
    if (!c)
        return -EAGAIN;
    int64_t sum;
    if (__builtin_add_overflow(c->value.number, a->delta, &sum) ||
        (a->delta > 0 && a->limit >= 0 && sum > a->limit))
        return store_refuse(txn, index, -EDQUOT, c->value.number);
    if (sum < 0)
        return store_refuse(txn, index, -ERANGE, c->value.number);
    char *name = store_null_copy(a->name);
    if (!name)
        return -EAGAIN;
    op->value = sum;
    op->seq = ++n->seq;
    return store_null_set(n, c,
                          &(struct store_null_value){.there = true,
                                                     .seq = op->seq,
                                                     .id = a->owner,
                                                     .name = name,
                                                     .name_bytes = a->name.len_bytes,
                                                     .number = sum});
}

static int append(struct store_null *n, struct store_op *op, enum store_table table)
{
    struct store_row row = op->row;
    row.position = op->seq = ++n->seq;
    row.server = (struct store_id){{0}};
    row.link = 0;
    if (table != STORE_USAGE_ROWS)
        row.epoch = row.number = 0;
    if (table == STORE_AUDIT_TRAIL) {
        row.server = n->store.config.server;
        row.link = n->chain.number + 1;
        if (n->n_digests == n->digests_room) {
            unsigned room = n->digests_room ? 2 * n->digests_room : 64;
            void *p = reallocarray(n->digests, room, STORE_HASH_BYTES);
            if (!p)
                return -EAGAIN;
            n->digests = p;
            n->digests_room = room;
        }
        store_audit_digest(&row, n->digests + (size_t)n->n_digests++ * STORE_HASH_BYTES);
    }
    return store_null_append(n, table, &row);
}

static int usage(struct store_null *n, struct store_txn *txn, unsigned index)
{
    const struct store_row *row = &txn->ops[index].row;
    struct store_null_cell *c =
        store_null_cell(n, CELL_SOURCE, &(struct store_null_cell_key){.id = &row->actor});
    if (!c)
        return -EAGAIN;
    const struct store_null_value *v = &c->value;
    if (v->there && ((int64_t)row->epoch < v->epoch ||
                     ((int64_t)row->epoch == v->epoch && (int64_t)row->number <= v->number)))
        return store_refuse(txn, index, -EALREADY, v->number);
    int r = store_null_set(n, c,
                           &(struct store_null_value){.there = true,
                                                      .number = (int64_t)row->number,
                                                      .epoch = (int64_t)row->epoch});
    return r ? r : append(n, &txn->ops[index], STORE_USAGE_ROWS);
}

static int put_key(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_key *k = &op->key;
    struct store_null_cell *c = store_null_cell(
        n, CELL_KEY, &(struct store_null_cell_key){.id = &k->principal, .text = k->key});
    if (!c)
        return -EAGAIN;
    if (c->value.there && c->value.time_ms > k->at_ms)
        return store_refuse(txn, index, -EEXIST, (int64_t)c->value.seq);
    struct store_null_value v = {
        .there = true,
        .seq = op->seq = ++n->seq,
        .body = store_null_copy(k->answer),
        .body_bytes = k->answer.len_bytes,
        .time_ms = k->expires_ms,
    };
    memcpy(v.hash, k->hash, sizeof(v.hash));
    return v.body ? store_null_set(n, c, &v) : -EAGAIN;
}

static bool has_expired(const struct store_null_cell *c, const struct store_expire *e)
{
    const struct store_null_value *v = &c->value;
    if (!v->there || v->time_ms > e->before_ms)
        return false;
    return e->what == STORE_OLD_KEYS ? c->type == CELL_KEY : c->type == CELL_OBJECT && v->deleted;
}

/* The oldest cell that has expired: keys by their time, tombstones by seq. */
static struct store_null_cell *oldest(struct store_null *n, const struct store_expire *e)
{
    struct store_null_cell *best = NULL;
    for (size_t i = 0; i < n->n_buckets; i++)
        for (struct store_null_cell *c = n->buckets[i]; c; c = c->next)
            if (has_expired(c, e) &&
                (!best || (c->type == CELL_KEY ? c->value.time_ms < best->value.time_ms
                                               : c->value.seq < best->value.seq)))
                best = c;
    return best;
}

static int expire_events(struct store_null *n, struct store_op *op)
{
    struct store_null_lines *t = &n->tables[STORE_EVENTS];
    for (size_t i = 0; i < t->n && op->value < op->expire.max_rows; i++) {
        if (t->lines[i].removed)
            continue;
        if (t->lines[i].row.at_ms > op->expire.before_ms)
            break;
        int r = store_null_remove(n, STORE_EVENTS, i);
        if (r)
            return r;
        n->event_horizon = t->lines[i].row.position > n->event_horizon ? t->lines[i].row.position
                                                                       : n->event_horizon;
        op->value++;
    }
    return 0;
}

static int expire(struct store_null *n, struct store_op *op)
{
    op->value = 0;
    op->seq = 0;
    if (op->expire.what == STORE_OLD_EVENTS)
        return expire_events(n, op);
    struct store_null_cell *c;
    while (op->value < op->expire.max_rows && (c = oldest(n, &op->expire))) {
        if (c->type == CELL_OBJECT && c->value.seq > n->tombstone_horizon)
            n->tombstone_horizon = c->value.seq;
        int r = store_null_set(n, c, &(struct store_null_value){.there = false});
        if (r)
            return r;
        op->value++;
    }
    return 0;
}

int store_null_apply(struct store_null *n, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    switch (op->type) {
    case STORE_PUT:
        return put(n, txn, index);
    case STORE_DELETE:
        return bury(n, txn, index);
    case STORE_RAISE:
        return raise_claim(n, txn, index);
    case STORE_ADD:
        return add(n, txn, index);
    case STORE_EVENT:
        return append(n, op, STORE_EVENTS);
    case STORE_AUDIT:
        return append(n, op, STORE_AUDIT_TRAIL);
    case STORE_USAGE:
        return usage(n, txn, index);
    case STORE_KEY:
        return put_key(n, txn, index);
    case STORE_EXPIRE:
        return expire(n, op);
    case STORE_OP_TYPES:
        break;
    }
    return -EAGAIN;
}
