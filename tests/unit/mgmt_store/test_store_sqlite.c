/* The store in an SQLite file: the conformance suite, the schema, the lock, backups. */
#include "mgmt/store/sqlite/store_sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "mgmt/store/sqlite/store_sqlite_internal.h"
#include "store_files.h"
#include "store_suite.h"

static const struct store_sqlite_options small = {.wal_bytes = 1 << 20, .checkpoint_pages = 64};

static struct store *reopen_sqlite(const struct store_config *config)
{
    struct err err;
    struct store *s = store_sqlite_open(files_path, &small, config, &err);
    if (!s)
        printf("# %s\n", err.msg);
    return s;
}

static struct store *open_sqlite(const struct store_config *config)
{
    files_remove();
    return reopen_sqlite(config);
}

static void keeps_a_second_server_out(void)
{
    SUITE_OPEN(s);
    struct err err;
    CHECK(!store_sqlite_open(files_path, &small, &config, &err));
    CHECK_EQ(err.code, EBUSY);
    store_close(s);
    s = reopen_sqlite(&config);
    CHECK(s);
    store_close(s);
}

static void is_its_owners_alone(void)
{
    SUITE_OPEN(s);
    static const char *const ends[] = {"", "-wal", "-shm", "-lock", "-copy"};
    char path[160];
    snprintf(path, sizeof(path), "%s-copy", files_path);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    CHECK_EQ(store_backup(s, path, NULL), 0);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct stat st;
        snprintf(path, sizeof(path), "%s%s", files_path, ends[i]);
        CHECK_EQ(stat(path, &st), 0);
        CHECK_EQ(st.st_mode & 0777, 0600);
    }
    store_close(s);
}

static int raw_exec(const char *sql)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open(files_path, &db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

static void refuses_a_newer_schema_and_foreign_files(void)
{
    SUITE_OPEN(s);
    struct err err;
    store_close(s);
    CHECK_EQ(raw_exec("PRAGMA user_version=99"), SQLITE_OK);
    CHECK(!store_sqlite_open(files_path, &small, &config, &err));
    CHECK_EQ(err.code, EPROTO);
    CHECK(strstr(err.msg, "schema version 99"));
    files_remove();
    CHECK_EQ(raw_exec("CREATE TABLE t(a)"), SQLITE_OK);
    CHECK(!store_sqlite_open(files_path, &small, &config, &err));
    CHECK_EQ(err.code, EINVAL);
}

static void upgrades_step_by_step_and_not_halfway(void)
{
    static const struct store_sqlite_step steps[] = {
        {1, "CREATE TABLE a(x)"},
        {2, "CREATE TABLE b(x); INSERT INTO b VALUES(1)"},
        {3, "CREATE TABLE c(x); INSERT INTO nowhere VALUES(1)"},
    };
    struct err err;
    files_remove();
    sqlite3 *db = NULL;
    REQUIRE(sqlite3_open(files_path, &db) == SQLITE_OK);
    CHECK_EQ(store_sqlite_upgrade(db, files_path, steps, 1, &err), 0);
    CHECK_EQ(store_sqlite_upgrade(db, files_path, steps, 2, &err), 0);
    CHECK_EQ(store_sqlite_upgrade(db, files_path, steps, 2, &err), 0);
    CHECK_EQ(store_sqlite_upgrade(db, files_path, steps, 3, &err), -EAGAIN);
    CHECK(strstr(err.msg, "schema version 3"));
    CHECK_EQ(sqlite3_exec(db, "SELECT x FROM b; SELECT x FROM a", NULL, NULL, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, "SELECT x FROM c", NULL, NULL, NULL), SQLITE_ERROR);
    CHECK_EQ(store_sqlite_upgrade(db, files_path, steps, 1, &err), -EPROTO);
    sqlite3_close(db);
}

static void backs_up_while_commits_go_on(void)
{
    SUITE_OPEN(s);
    struct err err;
    char copy[160];
    snprintf(copy, sizeof(copy), "%s-copy", files_path);
    for (unsigned i = 0; i < 50; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        CHECK_EQ(rig_one(s, rig_put(1, i, 5, name, "{}", STORE_ALWAYS, 0)), 0);
    }
    CHECK_EQ(store_backup(s, copy, &err), 0);
    CHECK_EQ(store_backup(s, copy, &err), -EEXIST);
    CHECK_EQ(rig_one(s, rig_put(1, 99, 5, "later", "{}", STORE_ALWAYS, 0)), 0);
    struct store *b = store_sqlite_open(copy, &small, &config, &err);
    REQUIRE(b);
    struct rig_text t = rig_load(b, NULL);
    CHECK_EQ(t.n, 50);
    rig_text_free(&t);
    store_close(b);
    store_close(s);
}

static void verifying_finds_what_was_done_to_the_trail(void)
{
    static const char add_a_row[] =
        "INSERT INTO audit SELECT 50, at_ms, project, object, actor, kind, name, body, server, 3 "
        "FROM audit WHERE link=3";
    static const char *const deeds[] = {
        "UPDATE audit SET body='{}' WHERE link=2",
        "DELETE FROM audit WHERE link=2",
        "DELETE FROM audit WHERE link=3",
        "DELETE FROM audit WHERE link=3; DELETE FROM links WHERE number=2",
        "UPDATE audit SET position=100 WHERE link=1",
        "UPDATE links SET hash=zeroblob(32) WHERE number=3",
        "DELETE FROM links WHERE number=1",
        add_a_row,
    };
    struct err err;
    for (unsigned d = 0; d < sizeof(deeds) / sizeof(deeds[0]); d++) {
        SUITE_OPEN(s);
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "vm.delete", "{\"vm\":1}", i)), 0);
        store_close(s);
        CHECK_EQ(raw_exec(deeds[d]), SQLITE_OK);
        s = reopen_sqlite(&config);
        REQUIRE(s);
        CHECK_EQ(store_audit_verify(s, &err), -EBADMSG);
        if (err.code != EBADMSG)
            printf("# not found: %s\n", deeds[d]);
        store_close(s);
    }
}

/* The log begins anew instead of growing, though commits never stop. */
static void the_log_stays_as_large_as_it_was_made(void)
{
    SUITE_OPEN(s);
    char wal[160], body[2000];
    snprintf(wal, sizeof(wal), "%s-wal", files_path);
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = 0;
    for (unsigned i = 0; i < 1500; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        CHECK_EQ(rig_one(s, rig_put(1, i, 5, name, body, STORE_ALWAYS, 0)), 0);
    }
    FILE *f = fopen(wal, "r");
    REQUIRE(f);
    fseek(f, 0, SEEK_END);
    long bytes = ftell(f);
    fclose(f);
    CHECK(bytes >= 1 << 20 && bytes <= 6 << 20);
    if (bytes > 6 << 20)
        printf("# the log has %ld bytes\n", bytes);
    store_close(s);
}

int main(void)
{
    files_begin(true);
    suite_open = open_sqlite;
    suite_reopen = reopen_sqlite;
    suite_run();
    TAP_RUN(keeps_a_second_server_out);
    TAP_RUN(is_its_owners_alone);
    TAP_RUN(refuses_a_newer_schema_and_foreign_files);
    TAP_RUN(upgrades_step_by_step_and_not_halfway);
    TAP_RUN(backs_up_while_commits_go_on);
    TAP_RUN(verifying_finds_what_was_done_to_the_trail);
    TAP_RUN(the_log_stays_as_large_as_it_was_made);
    return tap_done();
}
