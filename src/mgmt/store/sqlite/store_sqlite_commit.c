/* One group: BEGIN IMMEDIATE, its transactions, the hot rows, the audit link, COMMIT.
 *
 * A transaction that is refused is undone alone, for which SQLite keeps a copy of each page that it
 * changes, from a savepoint on. That is rare: so a group is first tried without savepoints, and
 * where one is refused, undone and done again with them.
 *
 * When COMMIT fails the group did not happen for SQLite, but its frames may lie in the log,
 * complete and with the commit's mark: an fsync that failed came after the write. A crash before
 * anything overwrites them would make them true at the next start, after their submitters were told
 * that nothing happened. So such a group is in doubt until another, empty commit (a repair) has
 * been made durable over the same place; only then is it said to have failed. On a full disk there
 * is no room for one, and a write that was cut short there can be whole with what the log held
 * before in its place: what it left is cut off instead (store_sqlite_log.c). */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

/* Returns 0, what refused one of its operations, or -EAGAIN. */
static int apply_ops(struct store_sqlite *q, struct store_txn *txn)
{
    int r = 0;
    q->hots.n_undo = 0;
    for (unsigned i = 0; i < txn->n_ops && !r; i++)
        r = store_sqlite_apply(q, txn, i);
    return r;
}

/* Runs a transaction under a savepoint. Returns 0 (its result says more) or -EAGAIN. */
static int apply_txn(struct store_sqlite *q, struct store_txn *txn)
{
    if (store_sqlite_step_done(q->stmts[STMT_SAVEPOINT]) != SQLITE_OK)
        return -EAGAIN;
    struct store_sqlite_state before = q->state;
    unsigned n_digests = q->n_digests;
    int r = apply_ops(q, txn);
    if (r == -EAGAIN)
        return r;
    if (r) {
        if (store_sqlite_step_done(q->stmts[STMT_ROLLBACK_TO]) != SQLITE_OK)
            return -EAGAIN;
        store_sqlite_hot_roll_back(q, 0);
        q->state = before;
        q->n_digests = n_digests;
    }
    return store_sqlite_step_done(q->stmts[STMT_RELEASE]) == SQLITE_OK ? 0 : -EAGAIN;
}

static int add_link(struct store_sqlite *q)
{
    if (!q->n_digests)
        return 0;
    const struct store_id *server = &q->store.config.server;
    store_audit_extend(&q->state.chain, server, q->digests, q->n_digests);
    sqlite3_stmt *st = q->stmts[STMT_LINK];
    store_sqlite_bind_id(st, 1, server);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)q->state.chain.number);
    sqlite3_bind_blob(st, 3, q->state.chain.hash, STORE_HASH_BYTES, SQLITE_STATIC);
    return store_sqlite_step_done(st) == SQLITE_OK ? 0 : -EAGAIN;
}

static int write_state(struct store_sqlite *q)
{
    sqlite3_stmt *st = q->stmts[STMT_STATE];
    sqlite3_bind_int64(st, 1, (sqlite3_int64)q->state.seq);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)q->state.tombstone_horizon);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)q->state.event_horizon);
    return store_sqlite_step_done(st) == SQLITE_OK ? 0 : -EAGAIN;
}

static int begin(struct store_sqlite *q)
{
    store_sqlite_hot_clear(q);
    q->n_digests = 0;
    return store_sqlite_step_done(q->stmts[STMT_BEGIN]) == SQLITE_OK ? 0 : -EAGAIN;
}

/* Does each without savepoints; where one is refused, each with its own. */
static int apply_group(struct store_sqlite *q, struct store_txn **txns, unsigned n)
{
    struct store_sqlite_state before = q->state;
    int r = begin(q);
    (void)fault_point("store_sqlite.group.begun");
    for (unsigned i = 0; i < n && !r; i++)
        r = apply_ops(q, txns[i]);
    if (!r || r == -EAGAIN)
        return r;
    q->state = before;
    if (store_sqlite_step_done(q->stmts[STMT_ROLLBACK]) != SQLITE_OK)
        return -EAGAIN;
    r = begin(q);
    for (unsigned i = 0; i < n && !r; i++) {
        txns[i]->result = 0;
        r = apply_txn(q, txns[i]);
    }
    return r;
}

static int fill_group(struct store_sqlite *q, struct store_txn **txns, unsigned n)
{
    int r = apply_group(q, txns, n);
    if (r)
        return r;
    if (store_sqlite_hot_flush(q) != SQLITE_OK)
        return -EAGAIN;
    r = add_link(q);
    return r ? r : write_state(q);
}

static void roll_back(struct store_sqlite *q)
{
    if (!sqlite3_get_autocommit(q->db))
        store_sqlite_step_done(q->stmts[STMT_ROLLBACK]);
}

/* Overwrites what a failed commit may have left in the log. */
static int repair(struct store_sqlite *q, struct err *err)
{
    if (store_sqlite_step_done(q->stmts[STMT_BEGIN]) == SQLITE_OK &&
        store_sqlite_step_done(q->stmts[STMT_REPAIR]) == SQLITE_OK &&
        store_sqlite_step_done(q->stmts[STMT_COMMIT]) == SQLITE_OK) {
        q->must_repair = false;
        return 0;
    }
    store_sqlite_error(q->db, err, "could not write to the store after a failed commit");
    roll_back(q);
    return -EINPROGRESS;
}

static int commit_group(struct store_sqlite *q, struct store_txn **txns, unsigned n,
                        struct err *err)
{
    int r = fill_group(q, txns, n);
    if (r) {
        store_sqlite_error(q->db, err, "could not write to the store");
        roll_back(q);
        return r;
    }
    (void)fault_point("store_sqlite.group.filled");
    int rc = store_sqlite_step_done(q->stmts[STMT_COMMIT]);
    (void)fault_point("store_sqlite.group.committed");
    if (rc == SQLITE_OK)
        return 0;
    store_sqlite_error(q->db, err, "could not commit to the store");
    roll_back(q);
    if (rc == SQLITE_FULL && !store_sqlite_log_cut(q))
        return -EAGAIN;
    q->must_repair = true;
    return repair(q, err) ? -EINPROGRESS : -EAGAIN;
}

int store_sqlite_commit(struct store *s, struct store_txn **txns, unsigned n, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    store_sqlite_lock(q);
    struct store_sqlite_state before = q->state;
    int r = commit_group(q, txns, n, err);
    if (r)
        q->state = before;
    s->seq = q->state.seq;
    pthread_mutex_unlock(&q->writing);
    return r;
}

int store_sqlite_resolve(struct store *s, struct store_txn **txns, unsigned n, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    store_sqlite_lock(q);
    int r = q->must_repair ? repair(q, err) : 0;
    pthread_mutex_unlock(&q->writing);
    return r ? r : -EAGAIN;
}
