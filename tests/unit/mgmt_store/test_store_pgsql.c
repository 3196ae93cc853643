/* The store in PostgreSQL: the conformance suite, two servers on one database, duties, connections
 * that break. */
#include "mgmt/store/pgsql/store_pgsql.h"

#include <libpq-fe.h>
#include <stdatomic.h>

#include "pg_cluster.h"
#include "store_suite.h"

static bool raw_exec(const char *sql)
{
    PGconn *conn = PQconnectdb(pg.conninfo);
    PGresult *r = PQexec(conn, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK;
    if (!ok)
        printf("# %s\n", PQerrorMessage(conn));
    PQclear(r);
    PQfinish(conn);
    return ok;
}

static struct store *reopen_pgsql(const struct store_config *config)
{
    struct err err = {.code = 0};
    struct store *s = store_pgsql_open(pg.conninfo, config, &err);
    if (!s)
        printf("# %s\n", err.msg);
    return s;
}

static struct store *open_pgsql(const struct store_config *config)
{
    raw_exec("SET client_min_messages = error; DROP SCHEMA IF EXISTS virga CASCADE");
    return reopen_pgsql(config);
}

/* One row, so that a session that terminates others does not depend on their order. */
#define TERMINATE                                                                                  \
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "                               \
    "WHERE application_name = 'virgad'"

static void two_servers_see_each_other_and_conflict(void)
{
    SUITE_OPEN(s);
    struct err err;
    struct store_config other = rig_config(78);
    struct store *b = reopen_pgsql(&other);
    REQUIRE(b);
    struct store_txn txn;
    CHECK_EQ(rig_one(s, rig_put(1, 10, 5, "a", "x", STORE_IF_ABSENT, 0)), 0);
    struct store_op op = rig_put(1, 10, 5, "a", "y", STORE_IF_SEQ, 1);
    CHECK_EQ(rig_run(b, &op, 1, &txn), 0);
    CHECK_EQ(op.seq, 2);
    op = rig_put(1, 10, 5, "a", "z", STORE_IF_SEQ, 1);
    CHECK_EQ(rig_run(s, &op, 1, &txn), -ESTALE);
    CHECK_EQ(txn.current, 2);
    CHECK_EQ(rig_one(s, rig_raise(40, 0)), 0);
    op = rig_raise(40, 0);
    CHECK_EQ(rig_run(b, &op, 1, &txn), -ESTALE);
    CHECK_EQ(txn.current, 1);
    CHECK_EQ(rig_one(b, rig_put(1, 11, 5, "a", "", STORE_ALWAYS, 0)), -ENOTUNIQ);
    uint64_t seq = 1;
    struct rig_text t = {.text = NULL};
    CHECK_EQ(store_follow(s, &seq, rig_add_record, &t, &err), 0);
    CHECK_STR(rig_str(&t), "2 object 1/10 of 5 a=y\n3 claim 40=1\n");
    rig_text_free(&t);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "s", "", 1)), 0);
    CHECK_EQ(rig_one(b, rig_row(STORE_AUDIT, "b", "", 1)), 0);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "s", "", 1)), 0);
    CHECK_EQ(store_audit_verify(b, &err), 0);
    CHECK(raw_exec("UPDATE virga.audit SET body = 'x' WHERE link = 2"));
    CHECK_EQ(store_audit_verify(b, &err), -EBADMSG);
    store_close(b);
    store_close(s);
}

struct contender {
    pthread_t thread;
    struct store *store;
    unsigned base, done;
};

static void *contend(void *arg)
{
    struct contender *c = arg;
    uint64_t generation = 0;
    for (unsigned i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", c->base + i);
        struct store_op ops[3] = {rig_raise(1, generation), rig_add(1, "all", 1, -1),
                                  rig_put(1, c->base + i, 5, name, "", STORE_IF_ABSENT, 0)};
        struct store_txn txn;
        int r = rig_run(c->store, ops, 3, &txn);
        if (r == 0) {
            c->done++;
            generation++;
        } else if (r == -ESTALE) {
            generation = (uint64_t)txn.current;
        } else {
            printf("# contend: %d\n", r);
        }
    }
    return NULL;
}

static void two_servers_claim_one_host_each_generation_once(void)
{
    SUITE_OPEN(s);
    struct store_config other = rig_config(78);
    struct store *b = reopen_pgsql(&other);
    REQUIRE(b);
    struct contender c[4];
    unsigned done = 0;
    for (unsigned i = 0; i < 4; i++) {
        c[i] = (struct contender){.store = i % 2 ? s : b, .base = 1000 * i};
        REQUIRE(pthread_create(&c[i].thread, NULL, contend, &c[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(c[i].thread, NULL);
        done += c[i].done;
    }
    int64_t found[3] = {0, 0, 0};
    uint64_t seq;
    struct err err;
    CHECK_EQ(store_load(s, &seq, suite_find_sum, found, &err), 0);
    CHECK_EQ(found[0], done);
    CHECK_EQ(found[1], done);
    CHECK_EQ(found[2], done);
    CHECK_EQ(seq, 3 * done);
    store_close(b);
    store_close(s);
}

static void a_duty_is_led_by_one_and_passes_on(void)
{
    SUITE_OPEN(s);
    struct store_config other = rig_config(78);
    struct store *b = reopen_pgsql(&other);
    REQUIRE(b);
    CHECK(store_lead(s, 1));
    CHECK(store_lead(s, 1));
    CHECK(!store_lead(b, 1));
    CHECK(store_lead(b, 2));
    CHECK(!store_lead(s, 2));
    store_unlead(s, 1);
    CHECK(store_lead(b, 1));
    CHECK(!store_lead(s, 1));
    store_close(b); /* its session ends a moment after its connection */
    bool leads = false;
    for (unsigned i = 0; i < 5000 && !leads; i++) {
        leads = store_lead(s, 1);
        if (!leads)
            usleep(1000);
    }
    CHECK(leads);
    store_close(s);
}

static void connects_again_by_itself(void)
{
    SUITE_OPEN(s);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    CHECK(raw_exec(TERMINATE));
    /* Whether the break is noticed before or after the call was sent, it is not counted twice. */
    int r = rig_one(s, rig_add(1, "n", 1, -1));
    CHECK(r == 0 || r == -EAGAIN);
    if (r)
        CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    struct rig_text t = rig_load(s, NULL);
    CHECK_STR(rig_str(&t), "2 counter 1.n=2\n");
    rig_text_free(&t);
    CHECK(store_lead(s, 1));
    store_close(s);
}

static _Atomic bool stop_terminating;

static void *terminate_often(void *arg)
{
    _Atomic unsigned *times = arg;
    PGconn *conn = PQconnectdb(pg.conninfo);
    while (!stop_terminating) {
        PGresult *r = PQexec(conn, TERMINATE);
        *times += PQresultStatus(r) == PGRES_TUPLES_OK && strcmp(PQgetvalue(r, 0, 0), "0") != 0;
        PQclear(r);
        usleep(40000); /* long enough to connect and commit some */
    }
    PQfinish(conn);
    return NULL;
}

static void a_broken_commit_is_answered_truly(void)
{
    enum { N = 20000 };
    SUITE_OPEN(s);
    static int answers[N];
    static unsigned char there[N];
    _Atomic unsigned times = 0;
    unsigned tried = 0, done = 0, lost = 0, revived = 0, enough = rig_long() ? 500 : 25;
    pthread_t thread;
    stop_terminating = false;
    REQUIRE(pthread_create(&thread, NULL, terminate_often, &times) == 0);
    for (unsigned i = 0; i < N && times < enough; i++) {
        char name[16];
        tried++;
        snprintf(name, sizeof(name), "n%u", i);
        struct store_op ops[2] = {rig_put(1, i, 5, name, "", STORE_IF_ABSENT, 0),
                                  rig_row(STORE_AUDIT, name, "", 1)};
        answers[i] = rig_run(s, ops, 2, NULL);
        done += answers[i] == 0;
        CHECK(answers[i] == 0 || answers[i] == -EAGAIN);
    }
    stop_terminating = true;
    pthread_join(thread, NULL);
    struct rig_text t = {.text = NULL};
    struct err err;
    uint64_t seq;
    int r = -EAGAIN;
    for (unsigned i = 0; i < 3 && r; i++) {
        rig_text_free(&t);
        r = store_load(s, &seq, rig_add_record, &t, &err);
    }
    CHECK_EQ(r, 0);
    char *save = NULL;
    for (char *l = strtok_r(t.text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        unsigned id = N;
        if (sscanf(l, "%*u object 1/%u", &id) == 1 && id < N)
            there[id] = 1;
    }
    for (unsigned i = 0; i < tried; i++) {
        lost += answers[i] == 0 && !there[i];
        revived += answers[i] != 0 && there[i];
    }
    rig_text_free(&t);
    printf("# %u of %u committed over %u broken connections\n", done, tried, times);
    CHECK_EQ(lost, 0);
    CHECK_EQ(revived, 0);
    CHECK(times > 0 && done > 0);
    CHECK_EQ(store_audit_verify(s, &err), 0);
    store_close(s);
}

static void note_result(struct store_txn *txn, void *ctx)
{
    *(_Atomic int *)ctx = txn->result;
}

static void outlives_a_crash_of_the_database(void)
{
    SUITE_OPEN(s);
    char stop[128], start[512];
    snprintf(stop, sizeof(stop), "pg_ctl -D %s/data -m immediate -w stop", pg.dir);
    pg_start_command(start, sizeof(start));
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    CHECK_EQ(pg_run(stop), 0);
    /* Sent into a dead connection or not sent: answered when the database can be asked. */
    _Atomic int result = 1;
    struct store_op op = rig_add(1, "n", 1, -1);
    struct store_txn txn = {.ops = &op, .n_ops = 1};
    int r = store_submit(s, &txn, note_result, &result);
    CHECK_EQ(r, 0);
    uint64_t seq = 0;
    CHECK_EQ(store_follow(s, &seq, rig_add_record, NULL, NULL), -EAGAIN);
    CHECK(!store_lead(s, 1));
    CHECK_EQ(pg_run(start), 0);
    while (!r && result == 1)
        usleep(1000);
    CHECK(result == 0 || result == -EAGAIN);
    int64_t sum = 1 + (result == 0);
    do {
        op = rig_add(1, "n", 1, -1);
        r = rig_run(s, &op, 1, &txn);
    } while (r == -EAGAIN);
    CHECK_EQ(r, 0);
    CHECK_EQ(op.value, sum + 1);
    CHECK(store_lead(s, 1));
    store_close(s);
}

static void refuses_a_newer_schema_and_a_stolen_id(void)
{
    SUITE_OPEN(s);
    struct err err;
    struct store *twin = reopen_pgsql(&config);
    REQUIRE(twin);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), -EAGAIN);
    struct store_status st;
    store_status(s, &st);
    CHECK(strstr(st.last.msg, "another process writes with this server's id"));
    CHECK_EQ(rig_one(twin, rig_add(1, "n", 1, -1)), 0);
    store_close(twin);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0); /* the twin is gone, the id is ours again */
    store_close(s);
    CHECK(raw_exec("UPDATE virga.version SET version = 99"));
    CHECK(!store_pgsql_open(pg.conninfo, &config, &err));
    CHECK_EQ(err.code, EPROTO);
    CHECK(!store_pgsql_open("host=/nowhere", &config, &err));
    CHECK_EQ(err.code, EAGAIN);
}

int main(void)
{
    const char *why = pg_begin();
    if (why) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    suite_open = open_pgsql;
    suite_reopen = reopen_pgsql;
    suite_model_txns = 400;
    suite_run();
    TAP_RUN(two_servers_see_each_other_and_conflict);
    TAP_RUN(two_servers_claim_one_host_each_generation_once);
    TAP_RUN(a_duty_is_led_by_one_and_passes_on);
    TAP_RUN(connects_again_by_itself);
    TAP_RUN(a_broken_commit_is_answered_truly);
    TAP_RUN(outlives_a_crash_of_the_database);
    TAP_RUN(refuses_a_newer_schema_and_a_stolen_id);
    return tap_done();
}
