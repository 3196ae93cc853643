/* The operations, inside an open transaction and savepoint of the writer's connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/sqlite/store_sqlite_internal.h"

/* An object as the file has it. */
struct found {
    bool row, living, same_name;
    int64_t rowid;
    uint64_t seq;
};

static int find(struct store_sqlite *q, const struct store_object *o, struct found *f)
{
    sqlite3_stmt *st = q->stmts[STMT_OBJECT_FIND];
    sqlite3_bind_int(st, 1, o->kind);
    store_sqlite_bind_id(st, 2, &o->id);
    store_sqlite_bind_id(st, 3, &o->project);
    store_sqlite_bind_text(st, 4, o->name);
    *f = (struct found){.row = false};
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        f->row = true;
        f->rowid = sqlite3_column_int64(st, 0);
        f->seq = (uint64_t)sqlite3_column_int64(st, 1);
        f->living = sqlite3_column_type(st, 2) == SQLITE_NULL;
        f->same_name = sqlite3_column_int(st, 3);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EAGAIN;
}

/* The name is taken: by whom? */
static int refuse_name(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    const struct store_object *o = &txn->ops[index].object;
    sqlite3_stmt *st = q->stmts[STMT_NAME_HOLDER];
    sqlite3_bind_int(st, 1, o->kind);
    store_sqlite_bind_id(st, 2, &o->project);
    store_sqlite_bind_text(st, 3, o->name);
    int rc = sqlite3_step(st);
    int64_t seq = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? store_refuse(txn, index, -ENOTUNIQ, seq) : -EAGAIN;
}

static int write_object(struct store_sqlite *q, const struct store_object *o, const struct found *f,
                        uint64_t seq)
{
    bool same = f->row && f->living && f->same_name;
    sqlite3_stmt *st = q->stmts[!f->row ? STMT_OBJECT_INSERT
                                : same  ? STMT_OBJECT_BODY
                                        : STMT_OBJECT_ALL];
    if (!f->row) {
        sqlite3_bind_int(st, 1, o->kind);
        store_sqlite_bind_id(st, 2, &o->id);
        store_sqlite_bind_id(st, 3, &o->project);
        sqlite3_bind_int64(st, 4, (sqlite3_int64)seq);
        store_sqlite_bind_text(st, 5, o->name);
        store_sqlite_bind_text(st, 6, o->body);
    } else {
        sqlite3_bind_int64(st, 1, f->rowid);
        sqlite3_bind_int64(st, 2, (sqlite3_int64)seq);
        store_sqlite_bind_text(st, 3, o->body);
    }
    if (f->row && !same) {
        store_sqlite_bind_id(st, 4, &o->project);
        store_sqlite_bind_text(st, 5, o->name);
    }
    return store_sqlite_step_done(st);
}

static int put(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_object *o = &op->object;
    struct found f = {.row = false};
    int rc = SQLITE_CONSTRAINT_UNIQUE;
    if (o->when == STORE_IF_ABSENT) /* the usual case needs no look before */
        rc = write_object(q, o, &f, q->state.seq + 1);
    if (rc == SQLITE_OK) {
        op->seq = ++q->state.seq;
        return 0;
    }
    if (rc != SQLITE_CONSTRAINT_UNIQUE || find(q, o, &f))
        return -EAGAIN;
    uint64_t seq = f.row && f.living ? f.seq : 0;
    if (o->when == STORE_IF_ABSENT && seq)
        return store_refuse(txn, index, -EEXIST, (int64_t)seq);
    if (o->when == STORE_IF_SEQ && (!seq || seq != o->seq))
        return store_refuse(txn, index, -ESTALE, (int64_t)seq);
    rc = write_object(q, o, &f, q->state.seq + 1);
    if (rc == SQLITE_CONSTRAINT_UNIQUE)
        return refuse_name(q, txn, index);
    if (rc != SQLITE_OK)
        return -EAGAIN;
    op->seq = ++q->state.seq;
    return 0;
}

static int bury(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_object *o = &op->object;
    struct found f;
    int r = find(q, o, &f);
    if (r)
        return r;
    if (!f.row || !f.living)
        return store_refuse(txn, index, -ENOENT, 0);
    if (o->when == STORE_IF_SEQ && f.seq != o->seq)
        return store_refuse(txn, index, -ESTALE, (int64_t)f.seq);
    sqlite3_stmt *st = q->stmts[STMT_OBJECT_BURY];
    sqlite3_bind_int64(st, 1, f.rowid);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)q->state.seq + 1);
    sqlite3_bind_int64(st, 3, o->at_ms);
    if (store_sqlite_step_done(st) != SQLITE_OK)
        return -EAGAIN;
    op->seq = ++q->state.seq;
    return 0;
}

static int raise_claim(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    struct store_sqlite_hot *h =
        store_sqlite_hot_get(q, false, &op->raise.host, (struct store_text){"", 0});
    if (!h)
        return -EAGAIN;
    if ((uint64_t)h->value != op->raise.expected)
        return store_refuse(txn, index, -ESTALE, h->value);
    op->value = h->value + 1;
    op->seq = ++q->state.seq;
    return store_sqlite_hot_set(q, h, op->value, op->seq);
}

static int add(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_add *a = &op->add;
    struct store_sqlite_hot *h = store_sqlite_hot_get(q, true, &a->owner, a->name);
    if (!h)
        return -EAGAIN;
    int64_t sum;
    if (__builtin_add_overflow(h->value, a->delta, &sum) ||
        (a->delta > 0 && a->limit >= 0 && sum > a->limit))
        return store_refuse(txn, index, -EDQUOT, h->value);
    if (sum < 0)
        return store_refuse(txn, index, -ERANGE, h->value);
    op->value = sum;
    op->seq = ++q->state.seq;
    return store_sqlite_hot_set(q, h, sum, op->seq);
}

static int note_digest(struct store_sqlite *q, const struct store_row *row)
{
    if (q->n_digests == q->digests_room) {
        unsigned room = q->digests_room ? 2 * q->digests_room : 64;
        void *p = reallocarray(q->digests, room, STORE_HASH_BYTES);
        if (!p)
            return -EAGAIN;
        q->digests = p;
        q->digests_room = room;
    }
    store_audit_digest(row, q->digests + (size_t)q->n_digests++ * STORE_HASH_BYTES);
    return 0;
}

static int append(struct store_sqlite *q, struct store_op *op)
{
    const struct store_row *row = &op->row;
    sqlite3_stmt *st = q->stmts[op->type == STORE_EVENT   ? STMT_EVENT
                                : op->type == STORE_AUDIT ? STMT_AUDIT
                                                          : STMT_USAGE];
    if (op->type == STORE_AUDIT && note_digest(q, row))
        return -EAGAIN;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)q->state.seq + 1);
    sqlite3_bind_int64(st, 2, row->at_ms);
    store_sqlite_bind_id(st, 3, &row->project);
    store_sqlite_bind_id(st, 4, &row->object);
    store_sqlite_bind_id(st, 5, &row->actor);
    sqlite3_bind_int(st, 6, row->kind);
    store_sqlite_bind_text(st, 7, row->name);
    store_sqlite_bind_text(st, 8, row->body);
    if (op->type == STORE_AUDIT) {
        store_sqlite_bind_id(st, 9, &q->store.config.server);
        sqlite3_bind_int64(st, 10, (sqlite3_int64)q->state.chain.number + 1);
    } else if (op->type == STORE_USAGE) {
        sqlite3_bind_int64(st, 9, (sqlite3_int64)row->epoch);
        sqlite3_bind_int64(st, 10, (sqlite3_int64)row->number);
    }
    if (store_sqlite_step_done(st) != SQLITE_OK)
        return -EAGAIN;
    op->seq = ++q->state.seq;
    return 0;
}

static int usage(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    const struct store_row *row = &txn->ops[index].row;
    sqlite3_stmt *st = q->stmts[STMT_SOURCE_FIND];
    store_sqlite_bind_id(st, 1, &row->actor);
    int rc = sqlite3_step(st);
    bool there = rc == SQLITE_ROW;
    int64_t epoch = there ? sqlite3_column_int64(st, 0) : 0;
    int64_t number = there ? sqlite3_column_int64(st, 1) : 0;
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return -EAGAIN;
    if (there && ((int64_t)row->epoch < epoch ||
                  ((int64_t)row->epoch == epoch && (int64_t)row->number <= number)))
        return store_refuse(txn, index, -EALREADY, number);
    st = q->stmts[STMT_SOURCE_SET];
    store_sqlite_bind_id(st, 1, &row->actor);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)row->epoch);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)row->number);
    if (store_sqlite_step_done(st) != SQLITE_OK)
        return -EAGAIN;
    return append(q, &txn->ops[index]);
}

/* Returns SQLite's code. */
static int write_key(struct store_sqlite *q, int stmt, const struct store_key *k)
{
    sqlite3_stmt *st = q->stmts[stmt];
    store_sqlite_bind_id(st, 1, &k->principal);
    store_sqlite_bind_text(st, 2, k->key);
    sqlite3_bind_blob(st, 3, k->hash, STORE_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, k->expires_ms);
    sqlite3_bind_int64(st, 5, (sqlite3_int64)q->state.seq + 1);
    store_sqlite_bind_text(st, 6, k->answer);
    return store_sqlite_step_done(st);
}

static int put_key(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    const struct store_key *k = &op->key;
    int rc = write_key(q, STMT_KEY_INSERT, k);
    if (rc == SQLITE_CONSTRAINT_UNIQUE) {
        sqlite3_stmt *st = q->stmts[STMT_KEY_FIND];
        store_sqlite_bind_id(st, 1, &k->principal);
        store_sqlite_bind_text(st, 2, k->key);
        if (sqlite3_step(st) != SQLITE_ROW) {
            sqlite3_reset(st);
            return -EAGAIN;
        }
        bool valid = sqlite3_column_int64(st, 0) > k->at_ms;
        int64_t seq = sqlite3_column_int64(st, 1);
        sqlite3_reset(st);
        if (valid)
            return store_refuse(txn, index, -EEXIST, seq);
        rc = write_key(q, STMT_KEY_RENEW, k);
    }
    if (rc != SQLITE_OK)
        return -EAGAIN;
    op->seq = ++q->state.seq;
    return 0;
}

/* Deletes up to a number; the statement's parameters have been bound. */
static int delete_rows(struct store_sqlite *q, struct store_op *op, int stmt)
{
    if (store_sqlite_step_done(q->stmts[stmt]) != SQLITE_OK)
        return -EAGAIN;
    op->value = sqlite3_changes(q->db);
    return 0;
}

static int expire_keys(struct store_sqlite *q, struct store_op *op)
{
    sqlite3_bind_int64(q->stmts[STMT_KEYS_EXPIRE], 1, op->expire.before_ms);
    sqlite3_bind_int64(q->stmts[STMT_KEYS_EXPIRE], 2, op->expire.max_rows);
    return delete_rows(q, op, STMT_KEYS_EXPIRE);
}

static int expire_tombstones(struct store_sqlite *q, struct store_op *op)
{
    sqlite3_stmt *st = q->stmts[STMT_TOMBSTONES_LAST];
    sqlite3_bind_int64(st, 1, op->expire.before_ms);
    sqlite3_bind_int64(st, 2, op->expire.max_rows);
    int rc = sqlite3_step(st);
    int64_t last = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (rc != SQLITE_ROW)
        return -EAGAIN;
    if (!last)
        return 0;
    sqlite3_bind_int64(q->stmts[STMT_TOMBSTONES_EXPIRE], 1, op->expire.before_ms);
    sqlite3_bind_int64(q->stmts[STMT_TOMBSTONES_EXPIRE], 2, last);
    if ((uint64_t)last > q->state.tombstone_horizon)
        q->state.tombstone_horizon = (uint64_t)last;
    return delete_rows(q, op, STMT_TOMBSTONES_EXPIRE);
}

static int expire_events(struct store_sqlite *q, struct store_op *op)
{
    sqlite3_stmt *st = q->stmts[STMT_EVENTS_OLD];
    sqlite3_bind_int64(st, 1, op->expire.max_rows);
    int64_t last = 0;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW &&
           sqlite3_column_int64(st, 1) <= op->expire.before_ms)
        last = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return -EAGAIN;
    if (!last)
        return 0;
    sqlite3_bind_int64(q->stmts[STMT_EVENTS_EXPIRE], 1, last);
    if ((uint64_t)last > q->state.event_horizon)
        q->state.event_horizon = (uint64_t)last;
    return delete_rows(q, op, STMT_EVENTS_EXPIRE);
}

static int expire(struct store_sqlite *q, struct store_op *op)
{
    op->seq = 0;
    op->value = 0;
    switch (op->expire.what) {
    case STORE_OLD_KEYS:
        return expire_keys(q, op);
    case STORE_OLD_TOMBSTONES:
        return expire_tombstones(q, op);
    case STORE_OLD_EVENTS:
        return expire_events(q, op);
    }
    return 0;
}

int store_sqlite_apply(struct store_sqlite *q, struct store_txn *txn, unsigned index)
{
    struct store_op *op = &txn->ops[index];
    switch (op->type) {
    case STORE_PUT:
        return put(q, txn, index);
    case STORE_DELETE:
        return bury(q, txn, index);
    case STORE_RAISE:
        return raise_claim(q, txn, index);
    case STORE_ADD:
        return add(q, txn, index);
    case STORE_EVENT:
    case STORE_AUDIT:
        return append(q, op);
    case STORE_USAGE:
        return usage(q, txn, index);
    case STORE_KEY:
        return put_key(q, txn, index);
    case STORE_EXPIRE:
        return expire(q, op);
    case STORE_OP_TYPES:
        break;
    }
    return -EAGAIN;
}
