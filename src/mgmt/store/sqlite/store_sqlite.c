#include "mgmt/store/sqlite/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

#define GROUP_BEST        256
#define WAL_BYTES_DEFAULT (64 * MIB)
#define WAL_BYTES_MIN     (64 * KIB)
#define FRAME_BYTES       (4096 + 24)

static void close_sqlite(struct store *s)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    store_sqlite_checkpoint_stop(q);
    sqlite3_close(q->checkpoint_db);
    store_sqlite_disconnect(&q->read_db, q->read_stmts, READ_COUNT);
    store_sqlite_disconnect(&q->db, q->stmts, STMT_COUNT); /* the last: checkpoints, ends the log */
    store_sqlite_vfs_remove(q);
    if (q->data_fd >= 0)
        close(q->data_fd);
    store_sqlite_hot_free(q);
    pthread_mutex_destroy(&q->writing);
    pthread_mutex_destroy(&q->turn);
    pthread_mutex_destroy(&q->reading);
    pthread_mutex_destroy(&q->checkpoint_lock);
    pthread_cond_destroy(&q->checkpoint_work);
    if (q->lock_fd >= 0)
        close(q->lock_fd);
    free(q->digests);
    free(q->wal_path);
    free(q->path);
    free(q);
}

static const struct store_ops sqlite_ops = {
    .commit = store_sqlite_commit,
    .resolve = store_sqlite_resolve,
    .read = store_sqlite_read,
    .rows = store_sqlite_rows,
    .key_get = store_sqlite_key_get,
    .links = store_sqlite_links,
    .backup = store_sqlite_backup,
    .close = close_sqlite,
};

/* A file of its own: closing any descriptor of the database in this process would drop the locks
 * that SQLite has on it. It stays behind; that it exists means nothing. */
static int lock(struct store_sqlite *q, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    if (asprintf(&path, "%s-lock", q->path) < 0) {
        path = NULL;
        return err_set(err, ENOMEM, "could not allocate for a path");
    }
    q->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (q->lock_fd < 0)
        return err_sys(err, errno, "could not open %s", path);
    if (flock(q->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, EBUSY, "another server has %s open", q->path);
        return err_sys(err, errno, "could not lock %s", path);
    }
    return 0;
}

/* Nobody else reads what tenants keep secret: the mode that SQLite then gives the log too. It stays
 * open until SQLite has closed the file: closing any descriptor of it drops SQLite's locks. */
static int make_private(struct store_sqlite *q, struct err *err)
{
    q->data_fd = open(q->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return q->data_fd < 0 ? err_sys(err, errno, "could not open %s", q->path) : 0;
}

static int read_state(struct store_sqlite *q, struct err *err)
{
    sqlite3_stmt *st = q->read_stmts[READ_STATE];
    if (sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_reset(st);
        return store_sqlite_error(q->read_db, err, "could not read the store's state");
    }
    q->state.seq = (uint64_t)sqlite3_column_int64(st, 0);
    q->state.tombstone_horizon = (uint64_t)sqlite3_column_int64(st, 1);
    q->state.event_horizon = (uint64_t)sqlite3_column_int64(st, 2);
    sqlite3_reset(st);
    q->store.seq = q->state.seq;
    st = NULL;
    if (sqlite3_prepare_v2(q->read_db,
                           "SELECT number, hash FROM links WHERE server = ?1 "
                           "ORDER BY number DESC LIMIT 1",
                           -1, &st, NULL) != SQLITE_OK)
        return store_sqlite_error(q->read_db, err, "could not read the audit chain");
    store_sqlite_bind_id(st, 1, &q->store.config.server);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 1) == STORE_HASH_BYTES) {
        q->state.chain.number = (uint64_t)sqlite3_column_int64(st, 0);
        memcpy(q->state.chain.hash, sqlite3_column_blob(st, 1), STORE_HASH_BYTES);
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return store_sqlite_error(q->read_db, err, "could not read the audit chain");
    return 0;
}

static int open_all(struct store_sqlite *q, struct err *err)
{
    int r = lock(q, err);
    if (!r && store_sqlite_vfs_add(q) != SQLITE_OK)
        r = err_set(err, EINVAL, "SQLite has no VFS called %s", q->options.vfs);
    if (!r)
        r = make_private(q, err);
    if (!r)
        r = store_sqlite_connect(q, &q->db, err);
    if (!r)
        r = store_sqlite_schema(q->db, q->path, err);
    if (!r)
        r = store_sqlite_connect(q, &q->read_db, err);
    if (!r)
        r = store_sqlite_connect(q, &q->checkpoint_db, err);
    if (!r)
        r = store_sqlite_prepare(q->db, q->stmts, store_sqlite_write_sql, STMT_COUNT, err);
    if (!r)
        r = store_sqlite_prepare(q->read_db, q->read_stmts, store_sqlite_read_sql, READ_COUNT, err);
    if (!r)
        r = read_state(q, err);
    if (r)
        return r;
    store_sqlite_hot_clear(q);
    store_sqlite_preallocate(q);
    r = store_sqlite_checkpoint_start(q, err);
    return r ? r : store_start(&q->store, err);
}

struct store *store_sqlite_open(const char *path, const struct store_sqlite_options *options,
                                const struct store_config *config, struct err *err)
{
    struct store_sqlite *q = calloc(1, sizeof(*q));
    if (!q) {
        err_set(err, ENOMEM, "could not allocate a store");
        return NULL;
    }
    /* Savepoints keep the pages that a transaction changes in memory, not in a temporary file;
     * allocations are not counted. Has no effect (and does no harm) once SQLite is in use. */
    sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    store_init(&q->store, &sqlite_ops, config, GROUP_BEST);
    pthread_mutex_init(&q->turn, NULL);
    pthread_mutex_init(&q->writing, NULL);
    pthread_mutex_init(&q->reading, NULL);
    pthread_mutex_init(&q->checkpoint_lock, NULL);
    pthread_cond_init(&q->checkpoint_work, NULL);
    q->lock_fd = -1;
    q->data_fd = -1;
    if (options)
        q->options = *options;
    if (!q->options.wal_bytes)
        q->options.wal_bytes = WAL_BYTES_DEFAULT;
    q->options.wal_bytes = MAX(q->options.wal_bytes, WAL_BYTES_MIN);
    if (!q->options.checkpoint_pages)
        q->options.checkpoint_pages = (unsigned)(q->options.wal_bytes / FRAME_BYTES / 4 * 3);
    q->path = strdup(path);
    if (!q->path || asprintf(&q->wal_path, "%s-wal", path) < 0) {
        q->wal_path = NULL;
        err_set(err, ENOMEM, "could not allocate a store");
    } else if (!open_all(q, err)) {
        return &q->store;
    }
    store_close(&q->store);
    return NULL;
}
