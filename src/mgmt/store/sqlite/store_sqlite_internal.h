/* Inside the SQLite store: three connections to one file (the commit thread's, the checkpoint
 * thread's, one for reads), prepared statements, and the rows that a group keeps in memory. */
#ifndef MGMT_STORE_SQLITE_STORE_SQLITE_INTERNAL_H
#define MGMT_STORE_SQLITE_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "mgmt/store/sqlite/store_sqlite.h"
#include "mgmt/store/store_provider.h"

/* The writer's statements. */
enum {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_SAVEPOINT,
    STMT_RELEASE,
    STMT_ROLLBACK_TO,
    STMT_OBJECT_FIND,
    STMT_OBJECT_INSERT,
    STMT_OBJECT_BODY,
    STMT_OBJECT_ALL,
    STMT_OBJECT_BURY,
    STMT_NAME_HOLDER,
    STMT_CLAIM_FIND,
    STMT_CLAIM_SET,
    STMT_COUNTER_FIND,
    STMT_COUNTER_SET,
    STMT_EVENT,
    STMT_AUDIT,
    STMT_USAGE,
    STMT_SOURCE_FIND,
    STMT_SOURCE_SET,
    STMT_KEY_FIND,
    STMT_KEY_INSERT,
    STMT_KEY_RENEW,
    STMT_KEYS_EXPIRE,
    STMT_TOMBSTONES_LAST,
    STMT_TOMBSTONES_EXPIRE,
    STMT_EVENTS_OLD,
    STMT_EVENTS_EXPIRE,
    STMT_LINK,
    STMT_STATE,
    STMT_REPAIR,
    STMT_COUNT
};

/* The reader's. */
enum {
    READ_BEGIN,
    READ_END,
    READ_STATE,
    READ_RECORDS,
    READ_BODY,
    READ_EVENTS,
    READ_AUDIT,
    READ_USAGE,
    READ_KEY,
    READ_LINKS,
    READ_COUNT
};

/* A counter or a claim that a group touched: read once, written once, whatever the number of
 * transactions that added to it. */
struct store_sqlite_hot {
    bool counter, dirty;
    struct store_id id;
    char name[STORE_NAME_MAX];
    size_t name_bytes;
    int64_t value;
    uint64_t seq;
    int next; /* in its bucket; -1: the last */
};

#define STORE_SQLITE_HOT_BUCKETS 256

/* What a transaction did to a hot row, to be put back. */
struct store_sqlite_hot_undo {
    int index;
    int64_t value;
    uint64_t seq;
    bool dirty;
};

struct store_sqlite_hots {
    struct store_sqlite_hot *rows;
    int n, room;
    int buckets[STORE_SQLITE_HOT_BUCKETS];
    struct store_sqlite_hot_undo *undo;
    int n_undo, undo_room;
};

/* What is in the one row of table state, and what a failed group must not change. */
struct store_sqlite_state {
    uint64_t seq, tombstone_horizon, event_horizon;
    struct store_chain chain;
};

struct store_sqlite {
    struct store store;
    struct store_sqlite_options options;
    sqlite3_vfs vfs;
    char vfs_name[32];
    char *path, *wal_path;
    int lock_fd;
    int data_fd; /* the database, closed after SQLite has closed it (make_private()) */

    /* The commit thread's, and the checkpoint thread's last step: under `writing`. */
    pthread_mutex_t turn, writing;
    sqlite3 *db;
    sqlite3_stmt *stmts[STMT_COUNT];
    struct store_sqlite_state state;
    struct store_sqlite_hots hots;
    uint8_t *digests; /* of the group's audit rows so far */
    unsigned n_digests, digests_room;
    bool must_repair; /* see store_sqlite_commit.c */
    int64_t log_end;  /* in bytes, where the next frame goes; -1: not known */
    uint8_t log_salt[8];

    pthread_mutex_t reading; /* the reader's connection */
    sqlite3 *read_db;
    sqlite3_stmt *read_stmts[READ_COUNT];

    /* The checkpoint thread. */
    sqlite3 *checkpoint_db;
    pthread_t checkpoint_thread;
    bool checkpoint_started;
    pthread_mutex_t checkpoint_lock; /* a leaf: the two below */
    pthread_cond_t checkpoint_work;
    bool checkpoint_wanted, checkpoint_closing;
    _Atomic int log_pages; /* in the log after the last commit */
};

/* Locks `writing`, in the order in which it was asked for: a thread that locks it again and again
 * leaves no moment in which another one is quick enough. */
static inline void store_sqlite_lock(struct store_sqlite *q)
{
    pthread_mutex_lock(&q->turn);
    pthread_mutex_lock(&q->writing);
    pthread_mutex_unlock(&q->turn);
}

/* store_sqlite_log.c; the caller holds `writing` */
void store_sqlite_log_committed(struct store_sqlite *q, int pages);
/* 0: what lies behind the last commit in the log is not there after a crash either. */
int store_sqlite_log_cut(struct store_sqlite *q);

/* store_sqlite_vfs.c: the VFS of this store's connections, on options.vfs. Returns SQLite's code.
 */
int store_sqlite_vfs_add(struct store_sqlite *q);
/* After the last connection was closed. */
void store_sqlite_vfs_remove(struct store_sqlite *q);

/* store_sqlite_db.c */
int store_sqlite_connect(struct store_sqlite *q, sqlite3 **db, struct err *err);
int store_sqlite_prepare(sqlite3 *db, sqlite3_stmt **stmts, const char *const *sql, unsigned n,
                         struct err *err);
void store_sqlite_disconnect(sqlite3 **db, sqlite3_stmt **stmts, unsigned n);
/* Says what SQLite said; returns -EAGAIN. */
int store_sqlite_error(sqlite3 *db, struct err *err, const char *what);
int store_sqlite_exec(sqlite3 *db, const char *sql, struct err *err);
/* Steps a statement that returns no rows, and resets it. Returns SQLite's (extended) code. */
int store_sqlite_step_done(sqlite3_stmt *st);
void store_sqlite_bind_id(sqlite3_stmt *st, int at, const struct store_id *id);
void store_sqlite_bind_text(sqlite3_stmt *st, int at, struct store_text t);
void store_sqlite_column_id(sqlite3_stmt *st, int at, struct store_id *id);
/* Borrowed until the statement is stepped or reset. */
struct store_text store_sqlite_column_text(sqlite3_stmt *st, int at);
extern const char *const store_sqlite_write_sql[STMT_COUNT];
extern const char *const store_sqlite_read_sql[READ_COUNT];

/* store_sqlite_schema.c: a step brings the schema from version - 1 to its version. */
struct store_sqlite_step {
    int version;
    const char *sql;
};
int store_sqlite_upgrade(sqlite3 *db, const char *path, const struct store_sqlite_step *steps,
                         unsigned n, struct err *err);
int store_sqlite_schema(sqlite3 *db, const char *path, struct err *err);

/* store_sqlite_hot.c */
/* Finds or reads a row. NULL: SQLite failed, or no memory. Borrowed until the next call. */
struct store_sqlite_hot *store_sqlite_hot_get(struct store_sqlite *q, bool counter,
                                              const struct store_id *id, struct store_text name);
int store_sqlite_hot_set(struct store_sqlite *q, struct store_sqlite_hot *h, int64_t value,
                         uint64_t seq);
void store_sqlite_hot_roll_back(struct store_sqlite *q, int keep);
/* Writes what is dirty. Returns SQLite's code. */
int store_sqlite_hot_flush(struct store_sqlite *q);
void store_sqlite_hot_clear(struct store_sqlite *q);
void store_sqlite_hot_free(struct store_sqlite *q);

/* store_sqlite_ops.c: returns 0, what store_refuse() returned, or -EAGAIN (q->db has the error). */
int store_sqlite_apply(struct store_sqlite *q, struct store_txn *txn, unsigned index);

/* store_sqlite_commit.c */
int store_sqlite_commit(struct store *s, struct store_txn **txns, unsigned n, struct err *err);
int store_sqlite_resolve(struct store *s, struct store_txn **txns, unsigned n, struct err *err);

/* store_sqlite_read.c */
int store_sqlite_read(struct store *s, bool everything, uint64_t *seq, store_each_record *each,
                      void *ctx, struct err *err);
int store_sqlite_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                      store_each_row *each, void *ctx, struct err *err);
int store_sqlite_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                         uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                         int64_t *expires_ms, struct err *err);
int store_sqlite_links(struct store *s, store_each_link *each, void *ctx, struct err *err);
int store_sqlite_backup(struct store *s, const char *path, struct err *err);

/* store_sqlite_checkpoint.c */
int store_sqlite_checkpoint_start(struct store_sqlite *q, struct err *err);
void store_sqlite_checkpoint_stop(struct store_sqlite *q);
/* Makes the log as large as it will be, so that commits overwrite instead of appending. */
void store_sqlite_preallocate(struct store_sqlite *q);

#endif
