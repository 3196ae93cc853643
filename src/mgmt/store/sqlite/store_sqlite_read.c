/* Reads, on a connection of their own: SQLite gives each a snapshot, and commits go on. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

/* A snapshot begins, and says what table state has. */
static int begin(struct store_sqlite *q, struct store_sqlite_state *state, struct err *err)
{
    pthread_mutex_lock(&q->reading);
    sqlite3_stmt *st = q->read_stmts[READ_STATE];
    bool ok = store_sqlite_step_done(q->read_stmts[READ_BEGIN]) == SQLITE_OK &&
              sqlite3_step(st) == SQLITE_ROW;
    if (ok) {
        state->seq = (uint64_t)sqlite3_column_int64(st, 0);
        state->tombstone_horizon = (uint64_t)sqlite3_column_int64(st, 1);
        state->event_horizon = (uint64_t)sqlite3_column_int64(st, 2);
    }
    sqlite3_reset(st);
    return ok ? 0 : store_sqlite_error(q->read_db, err, "could not read the store");
}

static void end(struct store_sqlite *q)
{
    if (!sqlite3_get_autocommit(q->read_db))
        store_sqlite_step_done(q->read_stmts[READ_END]);
    pthread_mutex_unlock(&q->reading);
}

static int show_record(struct store_sqlite *q, sqlite3_stmt *st, store_each_record *each, void *ctx,
                       struct err *err)
{
    struct store_record r = {
        .type = (enum store_record_type)sqlite3_column_int(st, 0),
        .seq = (uint64_t)sqlite3_column_int64(st, 1),
        .kind = (uint8_t)sqlite3_column_int(st, 2),
        .name = store_sqlite_column_text(st, 5),
        .body = {"", 0},
        .value = sqlite3_column_int64(st, 6),
    };
    store_sqlite_column_id(st, 3, &r.id);
    store_sqlite_column_id(st, 4, &r.project);
    if (r.type != STORE_OBJECT)
        return each(&r, ctx);
    sqlite3_stmt *body = q->read_stmts[READ_BODY];
    sqlite3_bind_int64(body, 1, sqlite3_column_int64(st, 7));
    int result;
    if (sqlite3_step(body) == SQLITE_ROW) {
        r.body = store_sqlite_column_text(body, 0);
        result = each(&r, ctx);
    } else {
        result = store_sqlite_error(q->read_db, err, "could not read an object");
    }
    sqlite3_reset(body);
    return result;
}

int store_sqlite_read(struct store *s, bool everything, uint64_t *seq, store_each_record *each,
                      void *ctx, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    struct store_sqlite_state state;
    int r = begin(q, &state, err);
    if (!r && !everything && *seq < state.tombstone_horizon)
        r = err_set(err, ESTALE, "deletions after %llu are no longer known: load again",
                    (unsigned long long)*seq);
    if (!r && (everything || *seq < state.seq)) {
        sqlite3_stmt *st = q->read_stmts[READ_RECORDS];
        sqlite3_bind_int64(st, 1, (sqlite3_int64)*seq);
        sqlite3_bind_int(st, 2, everything);
        int rc;
        while (!r && (rc = sqlite3_step(st)) != SQLITE_DONE)
            r = rc == SQLITE_ROW ? show_record(q, st, each, ctx, err)
                                 : store_sqlite_error(q->read_db, err, "could not read the store");
        sqlite3_reset(st);
    }
    if (!r && (everything || state.seq > *seq))
        *seq = state.seq;
    end(q);
    return r;
}

static int show_row(sqlite3_stmt *st, enum store_table table, store_each_row *each, void *ctx)
{
    struct store_row row = {
        .position = (uint64_t)sqlite3_column_int64(st, 0),
        .at_ms = sqlite3_column_int64(st, 1),
        .kind = (uint8_t)sqlite3_column_int(st, 5),
        .name = store_sqlite_column_text(st, 6),
        .body = store_sqlite_column_text(st, 7),
    };
    store_sqlite_column_id(st, 2, &row.project);
    store_sqlite_column_id(st, 3, &row.object);
    store_sqlite_column_id(st, 4, &row.actor);
    if (table == STORE_AUDIT_TRAIL) {
        store_sqlite_column_id(st, 8, &row.server);
        row.link = (uint64_t)sqlite3_column_int64(st, 9);
    } else if (table == STORE_USAGE_ROWS) {
        row.epoch = (uint64_t)sqlite3_column_int64(st, 8);
        row.number = (uint64_t)sqlite3_column_int64(st, 9);
    }
    return each(&row, ctx);
}

int store_sqlite_rows(struct store *s, enum store_table table, uint64_t after, unsigned limit,
                      store_each_row *each, void *ctx, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    struct store_sqlite_state state;
    int r = begin(q, &state, err);
    if (!r && table == STORE_EVENTS && after && after < state.event_horizon)
        r = err_set(err, ESTALE, "events after %llu have expired", (unsigned long long)after);
    if (!r) {
        sqlite3_stmt *st = q->read_stmts[table == STORE_EVENTS        ? READ_EVENTS
                                         : table == STORE_AUDIT_TRAIL ? READ_AUDIT
                                                                      : READ_USAGE];
        sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
        sqlite3_bind_int64(st, 2, limit);
        int rc;
        while (!r && (rc = sqlite3_step(st)) != SQLITE_DONE)
            r = rc == SQLITE_ROW ? show_row(st, table, each, ctx)
                                 : store_sqlite_error(q->read_db, err, "could not read the store");
        sqlite3_reset(st);
    }
    end(q);
    return r;
}

static int take_key(sqlite3_stmt *st, uint8_t hash[STORE_HASH_BYTES], char **answer,
                    size_t *answer_bytes, int64_t *expires_ms, struct err *err)
{
    struct store_text text = store_sqlite_column_text(st, 2);
    char *copy = malloc(text.len_bytes + 1);
    if (!copy || sqlite3_column_bytes(st, 0) != STORE_HASH_BYTES) {
        free(copy);
        return err_set(err, EAGAIN, "could not read an idempotency key");
    }
    memcpy(copy, text.data, text.len_bytes);
    copy[text.len_bytes] = 0;
    memcpy(hash, sqlite3_column_blob(st, 0), STORE_HASH_BYTES);
    *expires_ms = sqlite3_column_int64(st, 1);
    *answer = copy;
    *answer_bytes = text.len_bytes;
    return 0;
}

int store_sqlite_key_get(struct store *s, const struct store_id *principal, struct store_text key,
                         uint8_t hash[STORE_HASH_BYTES], char **answer, size_t *answer_bytes,
                         int64_t *expires_ms, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    pthread_mutex_lock(&q->reading);
    sqlite3_stmt *st = q->read_stmts[READ_KEY];
    store_sqlite_bind_id(st, 1, principal);
    store_sqlite_bind_text(st, 2, key);
    int rc = sqlite3_step(st), r = -ENOENT;
    if (rc == SQLITE_ROW)
        r = take_key(st, hash, answer, answer_bytes, expires_ms, err);
    else if (rc != SQLITE_DONE)
        r = store_sqlite_error(q->read_db, err, "could not read an idempotency key");
    sqlite3_reset(st);
    pthread_mutex_unlock(&q->reading);
    return r;
}

int store_sqlite_links(struct store *s, store_each_link *each, void *ctx, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    pthread_mutex_lock(&q->reading);
    sqlite3_stmt *st = q->read_stmts[READ_LINKS];
    int rc, r = 0;
    while (!r && (rc = sqlite3_step(st)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW || sqlite3_column_bytes(st, 2) != STORE_HASH_BYTES) {
            r = store_sqlite_error(q->read_db, err, "could not read the audit chain");
            break;
        }
        struct store_link link = {.number = (uint64_t)sqlite3_column_int64(st, 1)};
        store_sqlite_column_id(st, 0, &link.server);
        memcpy(link.hash, sqlite3_column_blob(st, 2), STORE_HASH_BYTES);
        r = each(&link, ctx);
    }
    sqlite3_reset(st);
    pthread_mutex_unlock(&q->reading);
    return r;
}

static int sync_path(const char *path, int flags, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_sys(err, errno, "could not make %s durable", path);
    return 0;
}

/* The copy gets its name when it is durable, so that a backup with that name is a whole one. */
static int place(const char *partial, const char *path, struct err *err)
{
    int r = sync_path(partial, O_RDONLY, err);
    if (r)
        return r;
    if (link(partial, path) < 0)
        return err_sys(err, errno, "could not name the backup %s", path);
    CLEANUP_FREE char *copy = strdup(path);
    return copy ? sync_path(dirname(copy), O_RDONLY | O_DIRECTORY, err) : -ENOMEM;
}

int store_sqlite_backup(struct store *s, const char *path, struct err *err)
{
    struct store_sqlite *q = (struct store_sqlite *)s;
    CLEANUP_FREE char *partial = NULL;
    if (asprintf(&partial, "%s.partial", path) < 0) {
        partial = NULL;
        return err_set(err, ENOMEM, "could not allocate for a backup");
    }
    unlink(partial);
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "could not create %s", partial);
    close(fd);
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    /* A connection of its own: a backup takes long and other reads go on. */
    int r = store_sqlite_connect(q, &db, err);
    if (!r && sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &st, NULL) == SQLITE_OK)
        sqlite3_bind_text(st, 1, partial, -1, SQLITE_STATIC);
    if (!r && (!st || sqlite3_step(st) != SQLITE_DONE))
        r = store_sqlite_error(db, err, "could not write the backup");
    sqlite3_finalize(st);
    sqlite3_close(db);
    if (!r)
        r = place(partial, path, err);
    unlink(partial);
    return r;
}
