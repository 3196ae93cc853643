/* The schema, as steps: a new version appends one and never changes those before it.
 *
 * No index on seq: only servers that share a store follow it, and this one has a single server,
 * which loads once. Each index is a page more to write with every put. */
#include <errno.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

#define APPLICATION_ID 0x56697267 /* "Virg": tells our files from others' */

/* The columns that are compared come before the body, which may lie on pages of its own. Keys are
 * random: their rows go to one end of the table and only the small index is written all over. */
static const char step_1[] =
    "CREATE TABLE objects(kind INTEGER NOT NULL, id BLOB NOT NULL, project BLOB NOT NULL,"
    "  seq INTEGER NOT NULL, gone_ms INTEGER, name TEXT, body TEXT);"
    "CREATE UNIQUE INDEX objects_id ON objects(kind, id);"
    "CREATE UNIQUE INDEX objects_name ON objects(kind, project, name) WHERE gone_ms IS NULL;"
    "CREATE INDEX objects_gone ON objects(seq) WHERE gone_ms IS NOT NULL;"
    "CREATE TABLE claims(host BLOB PRIMARY KEY, generation INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE counters(owner BLOB NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL, PRIMARY KEY(owner, name)) WITHOUT ROWID;"
    "CREATE TABLE events(position INTEGER PRIMARY KEY, at_ms INTEGER, project BLOB, object BLOB,"
    "  actor BLOB, kind INTEGER, name TEXT, body TEXT);"
    "CREATE TABLE audit(position INTEGER PRIMARY KEY, at_ms INTEGER, project BLOB, object BLOB,"
    "  actor BLOB, kind INTEGER, name TEXT, body TEXT, server BLOB, link INTEGER);"
    "CREATE TABLE usage(position INTEGER PRIMARY KEY, at_ms INTEGER, project BLOB, object BLOB,"
    "  actor BLOB, kind INTEGER, name TEXT, body TEXT, epoch INTEGER, number INTEGER);"
    "CREATE TABLE sources(source BLOB PRIMARY KEY, epoch INTEGER NOT NULL,"
    "  number INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE keys(seq INTEGER PRIMARY KEY, principal BLOB NOT NULL, key TEXT NOT NULL,"
    "  hash BLOB NOT NULL, expires_ms INTEGER NOT NULL, answer TEXT NOT NULL);"
    "CREATE UNIQUE INDEX keys_key ON keys(principal, key);"
    "CREATE INDEX keys_expiry ON keys(expires_ms);"
    "CREATE TABLE links(server BLOB NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,"
    "  PRIMARY KEY(server, number)) WITHOUT ROWID;"
    "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL,"
    "  tombstone_horizon INTEGER NOT NULL, event_horizon INTEGER NOT NULL,"
    "  repairs INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, 0, 0, 0, 0);";

static const struct store_sqlite_step steps[] = {
    {1, step_1},
};

static int pragma_int(sqlite3 *db, const char *sql, int *value, struct err *err)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_finalize(st);
        return store_sqlite_error(db, err, "could not read the schema's version");
    }
    *value = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return 0;
}

/* A step and its version are one transaction: a crash leaves the version before or after. */
static int apply_step(sqlite3 *db, const struct store_sqlite_step *step, struct err *err)
{
    char version[64];
    sqlite3_snprintf(sizeof(version), version, "PRAGMA user_version=%d", step->version);
    int r = store_sqlite_exec(db, "BEGIN IMMEDIATE", err);
    if (r)
        return r;
    r = store_sqlite_exec(db, step->sql, err);
    if (!r)
        r = store_sqlite_exec(db, version, err);
    if (!r)
        r = store_sqlite_exec(db, "COMMIT", err);
    if (r && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (r)
        err_wrap(err, "schema version %d", step->version);
    return r;
}

int store_sqlite_upgrade(sqlite3 *db, const char *path, const struct store_sqlite_step *table,
                         unsigned n, struct err *err)
{
    int id, version, tables;
    int r = pragma_int(db, "PRAGMA application_id", &id, err);
    if (!r)
        r = pragma_int(db, "PRAGMA user_version", &version, err);
    if (!r)
        r = pragma_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (r)
        return r;
    if (id != APPLICATION_ID && (id || tables))
        return err_set(err, EINVAL, "%s is an SQLite file of another program", path);
    int newest = table[n - 1].version;
    if (version > newest)
        return err_set(err, EPROTO,
                       "%s has schema version %d and this program knows %d: start a newer program "
                       "or restore a backup",
                       path, version, newest);
    if (id != APPLICATION_ID) {
        char sql[64];
        sqlite3_snprintf(sizeof(sql), sql, "PRAGMA application_id=%d", APPLICATION_ID);
        r = store_sqlite_exec(db, sql, err);
    }
    for (unsigned i = 0; !r && i < n; i++)
        if (table[i].version > version)
            r = apply_step(db, &table[i], err);
    return r;
}

int store_sqlite_schema(sqlite3 *db, const char *path, struct err *err)
{
    return store_sqlite_upgrade(db, path, steps, ARRAY_LEN(steps), err);
}
