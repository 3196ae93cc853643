/* Transactions of eight rows a second, by how many wait for their answers at a time, with group
 * commit and, in turns in the same run, with one transaction a commit.
 *
 * As in the server one thread submits and is woken to deliver; it keeps a number of transactions in
 * flight, each of which stands for a request. A transaction is what a created VM writes: the VM,
 * its operation, a port; the host's claim; a quota; an event, an audit row, an idempotency key. The
 * VM's name and the key are random, the other names rise with their ids. Usage: bench-store [-s
 * SECONDS] [-d FOLDER] [-p CONNINFO] [-r ROUNDS] [-w ONLY_SO_MANY_WAITING]
 *               [-g (group commit only)] */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "mgmt/store/pgsql/store_pgsql.h"
#include "mgmt/store/sqlite/store_sqlite.h"

#define ROWS        8
#define HOSTS       64
#define SAMPLES     (1 << 16)
#define MAX_WAITING 64
#define MAX_ROUNDS  9
#define BODY_BYTES  400

/* One that waits: a transaction in flight, again and again. */
struct waiter {
    struct store_txn txn;
    struct store_op ops[ROWS];
    char names[4][40];
    unsigned index;
    uint64_t n, generation;
    int64_t begin_ns;
    struct run *run;
};

struct run {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken; /* under `lock` */
    bool stop;
    unsigned in_flight;
    uint64_t done;
    float *ms; /* latencies, the last SAMPLES of them */
};

static uint64_t next_id;
static const char *folder = "/var/tmp";
static const char *conninfo;
static double seconds = 3;
static unsigned rounds = 3;
static unsigned only_waiting; /* 0: the whole table */
static bool group_only;
static char body[BODY_BYTES + 1];

/* Version 7 in spirit: ids that rise with time. */
static struct store_id new_id(void)
{
    struct store_id id = {{0}};
    uint64_t n = htobe64(++next_id);
    memcpy(id.bytes, &n, 8);
    return id;
}

static struct store_id small_id(unsigned n)
{
    struct store_id id = {{0}};
    id.bytes[15] = (uint8_t)n;
    id.bytes[14] = (uint8_t)(n >> 8);
    return id;
}

static struct store_op put(uint8_t kind, unsigned project, const char *name)
{
    return (struct store_op){.type = STORE_PUT,
                             .object = {.kind = kind,
                                        .id = new_id(),
                                        .project = small_id(project),
                                        .name = store_text_of(name),
                                        .body = store_text_of(body),
                                        .when = STORE_IF_ABSENT}};
}

static struct store_op row(enum store_op_type type, unsigned project, struct store_id object)
{
    return (struct store_op){.type = type,
                             .row = {.at_ms = 1000,
                                     .project = small_id(project),
                                     .object = object,
                                     .actor = small_id(1),
                                     .name = store_text_of("vm.create"),
                                     .body = {body, 200}}};
}

static void fill(struct waiter *w)
{
    unsigned project = w->index % 16;
    struct store_op *ops = w->ops;
    snprintf(w->names[0], 40, "vm-%08" PRIx64, (next_id * 2654435761u) & 0xffffffff);
    snprintf(w->names[1], 40, "op-%016" PRIx64, next_id + 1);
    snprintf(w->names[2], 40, "port-%016" PRIx64, next_id + 2);
    snprintf(w->names[3], 40, "%016" PRIx64, next_id * 11400714819323198485u);
    ops[0] = put(1, project, w->names[0]);
    ops[1] = put(2, project, w->names[1]);
    ops[2] = put(3, project, w->names[2]);
    ops[3] = (struct store_op){.type = STORE_RAISE,
                               .raise = {.host = small_id(w->index), .expected = w->generation}};
    ops[4] = (struct store_op){.type = STORE_ADD,
                               .add = {.owner = small_id(project),
                                       .name = store_text_of("vcpus"),
                                       .delta = 1,
                                       .limit = INT64_MAX}};
    ops[5] = row(STORE_EVENT, project, ops[0].object.id);
    ops[6] = row(STORE_AUDIT, project, ops[0].object.id);
    ops[7] = (struct store_op){.type = STORE_KEY,
                               .key = {.principal = small_id(project),
                                       .key = store_text_of(w->names[3]),
                                       .answer = {body, 300},
                                       .expires_ms = 2000}};
}

static void submit(struct waiter *w);

static void answered(struct store_txn *txn, void *ctx)
{
    struct waiter *w = ctx;
    struct run *run = w->run;
    run->in_flight--;
    if (txn->result == -ESTALE) { /* the host was claimed in a run before */
        w->generation = (uint64_t)txn->current;
    } else if (txn->result) {
        struct store_status st;
        store_status(run->store, &st);
        fprintf(stderr, "bench-store: %s: operation %u: %s\n", strerror(-txn->result),
                txn->failed_op, st.last.msg);
        exit(1);
    } else {
        w->generation = (uint64_t)w->ops[3].value;
        run->ms[run->done++ % SAMPLES] = (float)(clock_now_ns() - w->begin_ns) / 1e6f;
    }
    if (!run->stop)
        submit(w);
}

static void submit(struct waiter *w)
{
    fill(w);
    w->txn = (struct store_txn){.ops = w->ops, .n_ops = ROWS};
    w->begin_ns = clock_now_ns();
    if (store_submit(w->run->store, &w->txn, answered, w))
        exit(1);
    w->run->in_flight++;
}

static void wake(void *ctx)
{
    struct run *run = ctx;
    pthread_mutex_lock(&run->lock);
    run->woken = true;
    pthread_cond_signal(&run->cond);
    pthread_mutex_unlock(&run->lock);
}

static void wait_and_deliver(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    while (!run->woken)
        pthread_cond_wait(&run->cond, &run->lock);
    run->woken = false;
    pthread_mutex_unlock(&run->lock);
    store_deliver(run->store);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

struct figures {
    double per_s, p50_ms, p99_ms, txns_per_commit, cpu_us, starved;
};

/* Of the thread that ran most (the one that commits), the share of its time in which it could have
 * run and had no CPU: how far a machine that is shared holds the figures down. */
static double starved_share(int64_t wall_ns)
{
    DIR *d = opendir("/proc/self/task");
    unsigned long long most = 0, waited = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300];
        unsigned long long ran, wait;
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%llu %llu", &ran, &wait) == 2 && ran > most && e->d_name[0] != '.' &&
            atoi(e->d_name) != getpid()) {
            most = ran;
            waited = wait;
        }
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return (double)waited / (double)wall_ns;
}

static struct store *open_store(bool pgsql, unsigned group_max, struct run *run)
{
    struct err err;
    struct store_config config = {
        .server = small_id(7), .group_max = group_max, .wake = wake, .wake_ctx = run};
    struct store *s;
    if (pgsql) {
        s = store_pgsql_open(conninfo, &config, &err);
    } else {
        char path[512];
        static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
        for (unsigned i = 0; i < ARRAY_LEN(ends); i++) {
            snprintf(path, sizeof(path), "%s/bench-store.db%s", folder, ends[i]);
            unlink(path);
        }
        snprintf(path, sizeof(path), "%s/bench-store.db", folder);
        s = store_sqlite_open(path, NULL, &config, &err);
    }
    if (!s) {
        fprintf(stderr, "bench-store: %s\n", err.msg);
        exit(1);
    }
    return s;
}

static struct figures measure(bool pgsql, unsigned group_max, unsigned waiting)
{
    static float ms[SAMPLES];
    static struct waiter waiters[MAX_WAITING];
    struct run run = {.ms = ms};
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.cond, NULL);
    run.store = open_store(pgsql, group_max, &run);
    int64_t begin = clock_now_ns(), cpu = clock_process_cpu_ns();
    int64_t end = begin + (int64_t)(seconds * 1e9);
    for (unsigned i = 0; i < waiting; i++) {
        waiters[i] = (struct waiter){.index = i, .run = &run};
        submit(&waiters[i]);
    }
    while (run.in_flight) {
        wait_and_deliver(&run);
        run.stop = clock_now_ns() >= end;
    }
    double starved = starved_share(clock_now_ns() - begin);
    double s_taken = (double)(clock_now_ns() - begin) / 1e9;
    double cpu_us = (double)(clock_process_cpu_ns() - cpu) / 1e3;
    struct store_status st;
    store_status(run.store, &st);
    store_close(run.store);
    pthread_cond_destroy(&run.cond);
    pthread_mutex_destroy(&run.lock);
    size_t n = MIN(run.done, (uint64_t)SAMPLES);
    qsort(ms, n, sizeof(float), compare_floats);
    return (struct figures){.per_s = (double)run.done / s_taken,
                            .p50_ms = n ? (double)ms[n / 2] : 0,
                            .p99_ms = n ? (double)ms[n * 99 / 100] : 0,
                            .txns_per_commit = (double)run.done / (double)MAX(st.groups, 1u),
                            .starved = starved,
                            .cpu_us = cpu_us / (double)MAX(run.done, 1u)};
}

static int compare_figures(const void *a, const void *b)
{
    const struct figures *x = a, *y = b;
    return (x->per_s > y->per_s) - (x->per_s < y->per_s);
}

static void table(const char *title, bool pgsql)
{
    printf("%s\n%8s %10s | %9s %8s %8s %11s %10s %10s\n", title, "waiting", "commit", "txn/s",
           "p50 ms", "p99 ms", "txn/commit", "us CPU/txn", "% no CPU");
    static const unsigned waiting[] = {1, 4, 16, 64};
    for (unsigned i = 0; i < ARRAY_LEN(waiting); i++) {
        struct figures f[2][MAX_ROUNDS];
        if (only_waiting && waiting[i] != only_waiting)
            continue;
        for (unsigned r = 0; r < rounds; r++)
            for (unsigned naive = 0; naive < (group_only ? 1 : 2); naive++)
                f[naive][r] = measure(pgsql, naive ? 1 : 0, waiting[i]);
        for (unsigned naive = 0; naive < (group_only ? 1 : 2); naive++) {
            qsort(f[naive], rounds, sizeof(f[naive][0]), compare_figures);
            const struct figures *m = &f[naive][rounds / 2];
            printf("%8u %10s | %9.0f %8.2f %8.2f %11.1f %10.0f %10.0f\n", waiting[i],
                   naive ? "each" : "group", m->per_s, m->p50_ms, m->p99_ms, m->txns_per_commit,
                   m->cpu_us, 100 * m->starved);
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "s:d:p:r:w:g")) != -1) {
        if (c == 's')
            seconds = atof(optarg);
        else if (c == 'd')
            folder = optarg;
        else if (c == 'p')
            conninfo = optarg;
        else if (c == 'r')
            rounds = (unsigned)atoi(optarg);
        else if (c == 'w')
            only_waiting = (unsigned)atoi(optarg);
        else if (c == 'g')
            group_only = true;
        else
            return 2;
    }
    if (rounds < 1 || rounds > MAX_ROUNDS)
        return 2;
    memset(body, 'x', BODY_BYTES);
    char title[600];
    snprintf(title, sizeof(title), "sqlite, in %s, median of %u rounds of %.1f s", folder, rounds,
             seconds);
    table(title, false);
    if (conninfo)
        table("pgsql", true);
    return 0;
}
