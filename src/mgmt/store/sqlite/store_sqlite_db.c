/* Connections and statements. */
#include <errno.h>

#include "mgmt/store/sqlite/store_sqlite_internal.h"

#define ROW_COLUMNS "position, at_ms, project, object, actor, kind, name, body"
#define ROW_VALUES  "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"

const char *const store_sqlite_write_sql[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_SAVEPOINT] = "SAVEPOINT txn",
    [STMT_RELEASE] = "RELEASE txn",
    [STMT_ROLLBACK_TO] = "ROLLBACK TO txn",
    [STMT_OBJECT_FIND] = "SELECT rowid, seq, gone_ms, project = ?3 AND name = ?4 FROM objects "
                         "WHERE kind = ?1 AND id = ?2",
    [STMT_OBJECT_INSERT] = "INSERT INTO objects(kind, id, project, seq, gone_ms, name, body) "
                           "VALUES(?1, ?2, ?3, ?4, NULL, ?5, ?6)",
    /* Names no column of the two unique indexes, so that neither is touched. */
    [STMT_OBJECT_BODY] = "UPDATE objects SET seq = ?2, body = ?3 WHERE rowid = ?1",
    [STMT_OBJECT_ALL] = "UPDATE objects SET seq = ?2, body = ?3, project = ?4, name = ?5, "
                        "gone_ms = NULL WHERE rowid = ?1",
    [STMT_OBJECT_BURY] =
        "UPDATE objects SET seq = ?2, gone_ms = ?3, name = NULL, body = NULL WHERE rowid = ?1",
    [STMT_NAME_HOLDER] = "SELECT seq FROM objects WHERE kind = ?1 AND project = ?2 AND name = ?3 "
                         "AND gone_ms IS NULL",
    [STMT_CLAIM_FIND] = "SELECT generation, seq FROM claims WHERE host = ?1",
    [STMT_CLAIM_SET] = "INSERT INTO claims VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
                       "generation = excluded.generation, seq = excluded.seq",
    [STMT_COUNTER_FIND] = "SELECT value, seq FROM counters WHERE owner = ?1 AND name = ?2",
    [STMT_COUNTER_SET] = "INSERT INTO counters VALUES(?1, ?4, ?2, ?3) ON CONFLICT DO UPDATE SET "
                         "value = excluded.value, seq = excluded.seq",
    [STMT_EVENT] = "INSERT INTO events(" ROW_COLUMNS ") VALUES(" ROW_VALUES ")",
    [STMT_AUDIT] =
        "INSERT INTO audit(" ROW_COLUMNS ", server, link) VALUES(" ROW_VALUES ", ?9, ?10)",
    [STMT_USAGE] =
        "INSERT INTO usage(" ROW_COLUMNS ", epoch, number) VALUES(" ROW_VALUES ", ?9, ?10)",
    [STMT_SOURCE_FIND] = "SELECT epoch, number FROM sources WHERE source = ?1",
    [STMT_SOURCE_SET] = "INSERT INTO sources VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
                        "epoch = excluded.epoch, number = excluded.number",
    [STMT_KEY_FIND] = "SELECT expires_ms, seq FROM keys WHERE principal = ?1 AND key = ?2",
    [STMT_KEY_INSERT] = "INSERT INTO keys(principal, key, hash, expires_ms, seq, answer) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [STMT_KEY_RENEW] = "UPDATE keys SET hash = ?3, expires_ms = ?4, seq = ?5, answer = ?6 "
                       "WHERE principal = ?1 AND key = ?2",
    [STMT_KEYS_EXPIRE] = "DELETE FROM keys WHERE seq IN (SELECT seq FROM keys "
                         "WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)",
    [STMT_TOMBSTONES_LAST] = "SELECT max(seq) FROM (SELECT seq FROM objects WHERE gone_ms IS NOT "
                             "NULL AND gone_ms <= ?1 ORDER BY seq LIMIT ?2)",
    [STMT_TOMBSTONES_EXPIRE] =
        "DELETE FROM objects WHERE gone_ms IS NOT NULL AND gone_ms <= ?1 AND seq <= ?2",
    [STMT_EVENTS_OLD] = "SELECT position, at_ms FROM events ORDER BY position LIMIT ?1",
    [STMT_EVENTS_EXPIRE] = "DELETE FROM events WHERE position <= ?1",
    [STMT_LINK] = "INSERT INTO links VALUES(?1, ?2, ?3)",
    [STMT_STATE] = "UPDATE state SET seq = ?1, tombstone_horizon = ?2, event_horizon = ?3",
    [STMT_REPAIR] = "UPDATE state SET repairs = repairs + 1",
};

const char *const store_sqlite_read_sql[READ_COUNT] = {
    [READ_BEGIN] = "BEGIN",
    [READ_END] = "ROLLBACK",
    [READ_STATE] = "SELECT seq, tombstone_horizon, event_horizon FROM state",
    /* Bodies are fetched one by one, so that sorting does not hold them all. */
    [READ_RECORDS] =
        "SELECT CASE WHEN gone_ms IS NULL THEN 0 ELSE 1 END, seq, kind, id, project, name, 0, "
        "rowid FROM objects WHERE seq > ?1 AND (?2 = 0 OR gone_ms IS NULL) "
        "UNION ALL SELECT 2, seq, 0, host, NULL, NULL, generation, 0 FROM claims WHERE seq > ?1 "
        "UNION ALL SELECT 3, seq, 0, owner, NULL, name, value, 0 FROM counters WHERE seq > ?1 "
        "ORDER BY 2",
    [READ_BODY] = "SELECT body FROM objects WHERE rowid = ?1",
    [READ_EVENTS] = "SELECT " ROW_COLUMNS ", NULL, 0 FROM events WHERE position > ?1 "
                    "ORDER BY position LIMIT ?2",
    [READ_AUDIT] = "SELECT " ROW_COLUMNS ", server, link FROM audit WHERE position > ?1 "
                   "ORDER BY position LIMIT ?2",
    [READ_USAGE] = "SELECT " ROW_COLUMNS ", epoch, number FROM usage WHERE position > ?1 "
                   "ORDER BY position LIMIT ?2",
    [READ_KEY] = "SELECT hash, expires_ms, answer FROM keys WHERE principal = ?1 AND key = ?2",
    [READ_LINKS] = "SELECT server, number, hash FROM links ORDER BY server, number",
};

int store_sqlite_error(sqlite3 *db, struct err *err, const char *what)
{
    return err_set(err, EAGAIN, "%s: %s (SQLite code %d)", what, sqlite3_errmsg(db),
                   sqlite3_extended_errcode(db));
}

int store_sqlite_exec(sqlite3 *db, const char *sql, struct err *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_sqlite_error(db, err, sql);
    return 0;
}

/* mmap_size stays 0: a read error on a mapped page is a SIGBUS that would end the server, and what
 * is read often is in the page cache of the connection anyway. The journal_size_limit is where a
 * log that grew beyond its size is cut to when it begins anew. */
int store_sqlite_connect(struct store_sqlite *q, sqlite3 **db, struct err *err)
{
    char limit[80];
    sqlite3_snprintf(sizeof(limit), limit, "PRAGMA journal_size_limit=%lld",
                     (long long)q->options.wal_bytes);
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(q->path, db, flags, q->vfs_name) != SQLITE_OK)
        return err_set(err, EAGAIN, "could not open %s: %s", q->path,
                       *db ? sqlite3_errmsg(*db) : "no memory");
    sqlite3_busy_timeout(*db, 5000);
    static const char *const pragmas[] = {
        "PRAGMA journal_mode=WAL",   "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
        "PRAGMA temp_store=MEMORY",  "PRAGMA mmap_size=0",      "PRAGMA cache_size=-65536",
        "PRAGMA trusted_schema=OFF",
    };
    int r = 0;
    for (unsigned i = 0; !r && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
        r = store_sqlite_exec(*db, pragmas[i], err);
    if (!r)
        r = store_sqlite_exec(*db, limit, err);
    return r;
}

int store_sqlite_prepare(sqlite3 *db, sqlite3_stmt **stmts, const char *const *sql, unsigned n,
                         struct err *err)
{
    for (unsigned i = 0; i < n; i++)
        if (sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &stmts[i], NULL) !=
            SQLITE_OK)
            return store_sqlite_error(db, err, sql[i]);
    return 0;
}

void store_sqlite_disconnect(sqlite3 **db, sqlite3_stmt **stmts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sqlite3_finalize(stmts[i]);
    sqlite3_close(*db);
    *db = NULL;
}

int store_sqlite_step_done(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    int reset = sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset ? reset : rc;
}

void store_sqlite_bind_id(sqlite3_stmt *st, int at, const struct store_id *id)
{
    sqlite3_bind_blob(st, at, id->bytes, STORE_ID_BYTES, SQLITE_STATIC);
}

void store_sqlite_bind_text(sqlite3_stmt *st, int at, struct store_text t)
{
    sqlite3_bind_text(st, at, t.len_bytes ? t.data : "", (int)t.len_bytes, SQLITE_STATIC);
}

void store_sqlite_column_id(sqlite3_stmt *st, int at, struct store_id *id)
{
    *id = (struct store_id){{0}};
    if (sqlite3_column_bytes(st, at) == STORE_ID_BYTES)
        __builtin_memcpy(id->bytes, sqlite3_column_blob(st, at), STORE_ID_BYTES);
}

struct store_text store_sqlite_column_text(sqlite3_stmt *st, int at)
{
    const char *p = (const char *)sqlite3_column_text(st, at);
    return (struct store_text){p ? p : "", p ? (size_t)sqlite3_column_bytes(st, at) : 0};
}
