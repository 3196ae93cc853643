/* Metering in a server that is killed again and again: every interval that was closed is a row,
 * once; what is open is open; counters' rows follow each other without a gap. */
#include "mgmt/server/server_usage.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage_row.h"
#include "mgmt/store/sqlite/store_sqlite.h"

#include "tap.h"

#define KILLS           25
#define STEPS_AT_LEAST  8 /* of which four close an interval */
#define COUNTS_AT_LEAST 2

static char dir[64], path[128];
static int begun[2]; /* a pipe: a process has done enough */

static struct store *open_store(void *ctx, const struct store_config *config, struct err *err)
{
    static const struct store_sqlite_options options = {.wal_bytes = 4u << 20};
    return store_sqlite_open(ctx, &options, config, err);
}

/* ---- the process that is killed ---- */

struct driver {
    struct server *s;
    struct web_timer *timer;
    struct store_id id;
    unsigned step, counts;
    bool writing, counting, told;
};

static void written(struct server_txn *t, int result)
{
    struct driver *d = t->ctx;
    if (result)
        _exit(3);
    d->writing = false;
    if (!d->told && d->step >= STEPS_AT_LEAST && d->counts >= COUNTS_AT_LEAST) {
        d->told = true;
        if (write(begun[1], "", 1) != 1)
            _exit(6);
    }
    web_timer_arm(d->timer, 0);
}

static void counted(void *ctx, int result)
{
    struct driver *d = ctx;
    if (result)
        _exit(4);
    d->counting = false;
    d->counts++;
    web_timer_arm(d->timer, 0);
}

/* A life: begun open, resized, closed, opened again, removed while it is open. */
static void change(struct driver *d)
{
    static const struct store_id project = {{1}};
    const struct server_usage_rate rates[] = {{API_USAGE_RECORD_METER_VCPU_TIME, d->step % 5 + 1}};
    struct server_txn *t = server_txn_begin(d->s, NULL);
    unsigned step = d->step++ % 5;
    if (!step)
        d->id = catalog_id(server_now_ms());
    struct catalog_slot *slot = catalog_find(d->s->catalog, CATALOG_VM, &d->id);
    d->writing = true;
    if (step == 4) {
        server_usage_end(t, slot->now);
        server_txn_remove(t, slot);
    } else {
        struct catalog_object *v =
            step ? catalog_copy(slot->now) : catalog_new(CATALOG_VM, &d->id, &project);
        if (step == 2)
            server_usage_close(t, v);
        else
            server_usage_open(t, v, rates, 1, NULL);
        server_txn_put(t, slot, v, false);
    }
    if (server_txn_commit(t, written, d))
        _exit(5);
}

static void go_on(void *ctx)
{
    struct driver *d = ctx;
    if (!d->counting) {
        /* Grows, also from process to process. */
        struct server_usage_counter c = {.object = {{7}},
                                         .meter = API_USAGE_RECORD_METER_EGRESS,
                                         .epoch = 1,
                                         .cumulative = (uint64_t)clock_now_ns()};
        d->counting = true;
        server_usage_count(d->s, &c, counted, d);
    }
    if (!d->writing)
        change(d);
}

static void run_server(void)
{
    const struct server_config config = {
        .open_store = open_store,
        .open_ctx = path,
        .id = {{5}},
        .address = "127.0.0.1",
        .password_cost = {.memory_kib = 64, .passes = 1, .lanes = 1},
        .state_dir = dir};
    struct err err = {0};
    struct driver d = {.s = server_create(&config, &err)};
    if (!d.s) {
        printf("# %s\n", err.msg);
        _exit(2);
    }
    d.timer = web_timer_create(d.s->loop, go_on, &d);
    web_timer_arm(d.timer, 0);
    server_run(d.s);
    _exit(1);
}

/* ---- what it leaves ---- */

struct seen {
    struct store_id id;
    uint64_t rows; /* and the last number */
    int64_t end_ms;
};

struct left {
    struct seen objects[20000];
    unsigned n, alive, open;
    uint64_t counter, counter_rows, intervals;
};

static struct seen *seen(struct left *l, const struct store_id *id)
{
    for (unsigned i = l->n; i > 0; i--)
        if (!memcmp(&l->objects[i - 1].id, id, sizeof(*id)))
            return &l->objects[i - 1];
    l->objects[l->n].id = *id;
    return &l->objects[l->n++];
}

static int look_row(const struct store_row *row, void *ctx)
{
    struct left *l = ctx;
    struct server_usage_row r;
    uint64_t cumulative, previous;
    if (row->name.len_bytes == 6) { /* egress */
        CHECK_EQ(server_usage_row_read_counter(row->body.data, row->body.len_bytes, &cumulative,
                                               &previous),
                 0);
        CHECK(cumulative > l->counter || !cumulative);
        CHECK_EQ(previous, l->counter);
        l->counter = cumulative;
        l->counter_rows++;
        return 0;
    }
    struct seen *s = seen(l, &row->object);
    CHECK_EQ(server_usage_row_read(row->body.data, row->body.len_bytes, &r), 0);
    CHECK_EQ(row->number, ++s->rows);
    CHECK(r.begin_ms >= s->end_ms && r.end_ms >= r.begin_ms);
    s->end_ms = r.end_ms;
    l->intervals++;
    return 0;
}

static int look_object(const struct store_record *record, void *ctx)
{
    struct left *l = ctx;
    struct err err = {0};
    if (record->type != STORE_OBJECT || record->kind != CATALOG_VM)
        return 0;
    struct catalog_object *v = catalog_parse(record, &err);
    CHECK(v);
    if (!v)
        return -1;
    struct seen *s = seen(l, &record->id);
    uint64_t number = v->own->usage_number.is == API_VALUE ? (uint64_t)v->own->usage_number.v : 0;
    CHECK_EQ(number, s->rows);
    l->alive++;
    l->open += v->own->usage.is == API_VALUE;
    catalog_unref(v);
    return 0;
}

static void inspect(struct left *l)
{
    const struct store_config config = {.server = {{6}}};
    struct err err = {0};
    struct store *s = open_store(path, &config, &err);
    uint64_t seq;
    memset(l, 0, sizeof(*l));
    REQUIRE(s);
    CHECK_EQ(store_rows(s, STORE_USAGE_ROWS, 0, 1000000, look_row, l, &err), 0);
    CHECK_EQ(store_load(s, &seq, look_object, l, &err), 0);
    store_close(s);
}

static void nothing_is_lost_or_counted_twice_across_kills(void)
{
    static struct left l;
    for (unsigned i = 0; i < KILLS && !tap_case_failures; i++) {
        char byte;
        REQUIRE(!pipe2(begun, O_CLOEXEC));
        fflush(stdout);
        pid_t pid = fork();
        if (!pid)
            run_server();
        close(begun[1]);
        CHECK_EQ(read(begun[0], &byte, 1), 1); /* then it dies somewhere in its steps */
        close(begun[0]);
        usleep(7919 * i % 20000);
        int status;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        inspect(&l);
    }
    printf("# %llu intervals, %llu rows of a counter, %u alive\n", (unsigned long long)l.intervals,
           (unsigned long long)l.counter_rows, l.alive);
    CHECK(l.intervals >= 4 * KILLS);
    CHECK(l.counter_rows >= COUNTS_AT_LEAST * KILLS);
    CHECK(l.alive >= 1);
}

int main(void)
{
    char line[128];
    snprintf(dir, sizeof(dir), "/tmp/virga-usage-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/virga.db", dir);
    TAP_RUN(nothing_is_lost_or_counted_twice_across_kills);
    snprintf(line, sizeof(line), "rm -rf %s", dir);
    return system(line) != 0 || tap_done();
}
