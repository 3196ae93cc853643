/* The SQLite store on a disk that fails, is full, or loses power: what was acknowledged is there,
 * what was said not to have happened is not, and nothing is there by half. */
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>

#include "faulty_vfs.h"
#include "mgmt/store/sqlite/store_sqlite.h"
#include "store_files.h"
#include "tap.h"

#define TXNS_MAX 4000

static const struct store_sqlite_options options = {
    .vfs = "faulty", .wal_bytes = 1 << 16, .checkpoint_pages = 24};

enum outcome { NOT_TRIED, DONE, NOTHING, UNKNOWN };
static enum outcome outcomes[TXNS_MAX];
static unsigned body_bytes = 300;

static struct store *open_faulty(void)
{
    struct store_config config = rig_config(77);
    struct err err = {.code = 0};
    return store_sqlite_open(files_path, &options, &config, &err);
}

/* What is in flight when the power goes stays with the store until that is closed. */
static struct {
    struct store_txn txn;
    struct store_op ops[4];
    char name[16], body[4000];
    _Atomic bool done;
} flight;

static void landed(struct store_txn *txn, void *ctx)
{
    flight.done = true;
}

/* An object, an event, an audit row and a count of one: all there, or none. */
static void write_one(struct store *s, unsigned i)
{
    snprintf(flight.name, sizeof(flight.name), "n%u", i * 7919 % 10007);
    memset(flight.body, 'x', body_bytes);
    flight.ops[0] = rig_put(1, i, 5, flight.name, "", STORE_IF_ABSENT, 0);
    flight.ops[0].object.body = (struct store_text){flight.body, body_bytes};
    flight.ops[1] = rig_row(STORE_EVENT, flight.name, "", 1);
    flight.ops[2] = rig_row(STORE_AUDIT, flight.name, "", 1);
    flight.ops[3] = rig_add(5, "n", 1, -1);
    flight.txn = (struct store_txn){.ops = flight.ops, .n_ops = 4};
    flight.done = false;
    int r = store_submit(s, &flight.txn, landed, NULL);
    while (!r && !flight.done && !faulty_is_dead())
        sched_yield();
    if (!r)
        r = flight.done ? flight.txn.result : -EINPROGRESS;
    outcomes[i] = r == 0 ? DONE : r == -EAGAIN ? NOTHING : UNKNOWN;
}

struct seen {
    bool object[TXNS_MAX];
    unsigned objects, rows;
    int64_t count;
};

static int see_record(const struct store_record *r, void *ctx)
{
    struct seen *seen = ctx;
    if (r->type == STORE_COUNTER)
        seen->count = r->value;
    if (r->type != STORE_OBJECT || rig_number(&r->id) >= TXNS_MAX)
        return 0;
    seen->object[rig_number(&r->id)] = true;
    seen->objects++;
    return 0;
}

static int see_row(const struct store_row *row, void *ctx)
{
    struct seen *seen = ctx;
    seen->rows++;
    return 0;
}

/* Whether what is there is what was answered. */
static bool agrees(struct store *s, unsigned n)
{
    static struct seen seen;
    struct err err = {.code = 0};
    uint64_t seq;
    memset(&seen, 0, sizeof(seen));
    bool ok = !store_load(s, &seq, see_record, &seen, &err) &&
              !store_rows(s, STORE_EVENTS, 0, 1000000, see_row, &seen, &err) &&
              !store_rows(s, STORE_AUDIT_TRAIL, 0, 1000000, see_row, &seen, &err) &&
              !store_audit_verify(s, &err);
    if (err.code)
        printf("# %s\n", err.msg);
    for (unsigned i = 0; i < n; i++) {
        if ((outcomes[i] == DONE && !seen.object[i]) ||
            (outcomes[i] == NOTHING && seen.object[i])) {
            printf("# transaction %u: answered %d, there %d\n", i, outcomes[i], seen.object[i]);
            ok = false;
        }
    }
    if (seen.rows != 2 * seen.objects || seen.count != seen.objects) {
        printf("# half a transaction: %u objects, %u rows, count %" PRId64 "\n", seen.objects,
               seen.rows, seen.count);
        ok = false;
    }
    return ok;
}

static uint64_t rng = 88172645463325252u;

/* One life: opens (a fault may prevent it), writes, loses power, and is looked at afterwards.
 * Returns whether all is well; *reached: whether the fault was met. */
static bool life(enum faulty_kind kind, long at, bool stop_at_failure, unsigned keep_of_8,
                 bool *reached)
{
    enum { N = 30 };
    files_remove();
    memset(outcomes, 0, sizeof(outcomes));
    faulty_arm(kind, at);
    struct store *s = open_faulty();
    bool ok = true, failed = false;
    for (unsigned i = 0; s && i < N && !(failed && stop_at_failure) && !faulty_is_dead(); i++) {
        write_one(s, i);
        failed |= outcomes[i] != DONE;
    }
    *reached = faulty_has_fired();
    faulty_cut_power();
    store_close(s);
    faulty_power_on(files_path, &rng, keep_of_8);
    s = open_faulty();
    ok = s && agrees(s, N);
    if (s) { /* and it works on */
        write_one(s, N);
        ok = ok && outcomes[N] == DONE && agrees(s, N + 1);
    }
    store_close(s);
    if (!ok)
        printf("# fault %d at I/O %ld, stop %d, keeping %u of 8\n", kind, at, stop_at_failure,
               keep_of_8);
    return ok;
}

static void each_place(enum faulty_kind kind)
{
    bool reached = true;
    unsigned wrong = 0;
    long step = rig_long() ? 1 : 31;
    for (long at = 1; reached && wrong < 3; at += 1 + rig_random(&rng) % step) {
        static const unsigned keep[] = {0, 8, 4};
        bool stop = rig_random(&rng) % 2;
        wrong += !life(kind, at, stop, keep[rig_random(&rng) % 3], &reached);
    }
    CHECK_EQ(wrong, 0);
}

static void survives_a_write_that_fails(void)
{
    each_place(FAULTY_WRITE);
}

static void survives_a_write_that_is_cut_short(void)
{
    each_place(FAULTY_SHORT);
}

static void survives_a_disk_that_is_full_once(void)
{
    each_place(FAULTY_FULL);
}

static void survives_a_sync_that_fails(void)
{
    each_place(FAULTY_SYNC);
}

static void survives_a_loss_of_power(void)
{
    each_place(FAULTY_POWER);
}

/* The frames of a commit whose fsync failed are in the file, whole: a crash right after it was
 * called off must not bring it back. */
static void what_was_called_off_does_not_come_back(void)
{
    bool reached = true;
    unsigned wrong = 0;
    for (long at = 1; reached && wrong < 3; at += rig_long() ? 1 : 11)
        wrong += !life(FAULTY_SYNC, at, true, 8, &reached);
    CHECK_EQ(wrong, 0);
}

/* So may the half of a page that still had room, where the other half in the log is the same from
 * before. */
static void what_was_cut_short_does_not_come_back(void)
{
    bool reached = true;
    unsigned wrong = 0;
    for (long at = 1; reached && wrong < 3; at += rig_long() ? 1 : 11)
        wrong += !life(FAULTY_FULL, at, true, 8, &reached);
    CHECK_EQ(wrong, 0);
}

static void fails_while_the_disk_is_full_and_goes_on_after(void)
{
    files_remove();
    memset(outcomes, 0, sizeof(outcomes));
    faulty_arm(FAULTY_WRITE, 0);
    struct store *s = open_faulty();
    REQUIRE(s);
    body_bytes = 3000;
    unsigned i = 0, failures = 0;
    for (; i < 20; i++)
        write_one(s, i);
    faulty_set_full(true);
    for (; i < 400 && failures < 5; i++) {
        write_one(s, i);
        failures += outcomes[i] == NOTHING;
    }
    CHECK_EQ(failures, 5);
    struct store_status st;
    store_status(s, &st);
    CHECK(strstr(st.last.msg, "full"));
    faulty_set_full(false);
    for (unsigned end = i + 20; i < end; i++) {
        write_one(s, i);
        CHECK_EQ(outcomes[i], DONE);
    }
    CHECK(agrees(s, i));
    body_bytes = 300;
    store_close(s);
}

int main(void)
{
    files_begin(true);
    faulty_register();
    TAP_RUN(survives_a_write_that_fails);
    TAP_RUN(survives_a_write_that_is_cut_short);
    TAP_RUN(survives_a_disk_that_is_full_once);
    TAP_RUN(survives_a_sync_that_fails);
    TAP_RUN(survives_a_loss_of_power);
    TAP_RUN(what_was_called_off_does_not_come_back);
    TAP_RUN(what_was_cut_short_does_not_come_back);
    TAP_RUN(fails_while_the_disk_is_full_and_goes_on_after);
    return tap_done();
}
