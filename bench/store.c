/* Transactions of eight rows a second, by the number of submitters that wait for their answers,
 * with group commit and, in turns in the same run, with one transaction a commit.
 *
 * A transaction is what a created VM writes: the VM, its operation, a port; the host's claim; a
 * quota; an event, an audit row, an idempotency key. Usage:
 *   bench-store [-s SECONDS] [-d FOLDER] [-p CONNINFO] [-r ROUNDS] */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
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

struct submitter {
    pthread_t thread;
    struct store *store;
    unsigned index;
    uint64_t done;
    float *ms; /* latencies, the last SAMPLES of them */
};

static _Atomic bool stop;
static _Atomic uint64_t next_id;
static const char *folder = "/var/tmp";
static const char *conninfo;
static double seconds = 3;
static unsigned rounds = 3;
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

static void fill(struct store_op *ops, unsigned submitter, uint64_t n, uint64_t *generation,
                 char names[4][40])
{
    unsigned project = submitter % 16, host = submitter;
    static const char *const what[] = {"vm", "op", "port", "key"};
    for (unsigned i = 0; i < 4; i++)
        snprintf(names[i], 40, "%s-%u-%08" PRIx64, what[i], submitter,
                 (n * 2654435761u) & 0xffffffff);
    ops[0] = put(1, project, names[0]);
    ops[1] = put(2, project, names[1]);
    ops[2] = put(3, project, names[2]);
    ops[3] = (struct store_op){.type = STORE_RAISE,
                               .raise = {.host = small_id(host), .expected = *generation}};
    ops[4] = (struct store_op){.type = STORE_ADD,
                               .add = {.owner = small_id(project),
                                       .name = store_text_of("vcpus"),
                                       .delta = 1,
                                       .limit = INT64_MAX}};
    ops[5] = row(STORE_EVENT, project, ops[0].object.id);
    ops[6] = row(STORE_AUDIT, project, ops[0].object.id);
    ops[7] = (struct store_op){.type = STORE_KEY,
                               .key = {.principal = small_id(project),
                                       .key = store_text_of(names[3]),
                                       .answer = {body, 300},
                                       .expires_ms = 2000}};
}

static void *submit(void *arg)
{
    struct submitter *u = arg;
    struct store_op ops[ROWS];
    char names[4][40];
    uint64_t generation = 0;
    for (uint64_t n = 0; !stop; n++) {
        fill(ops, u->index, n, &generation, names);
        struct store_txn txn = {.ops = ops, .n_ops = ROWS};
        int64_t begin = clock_now_ns();
        int r = store_submit_wait(u->store, &txn);
        if (r == -ESTALE) { /* the host was claimed in the run before */
            generation = (uint64_t)txn.current;
            continue;
        }
        if (r) {
            struct store_status st;
            store_status(u->store, &st);
            fprintf(stderr, "bench-store: %s: operation %u: %s\n", strerror(-r), txn.failed_op,
                    st.last.msg);
            exit(1);
        }
        generation = (uint64_t)ops[3].value;
        u->ms[u->done++ % SAMPLES] = (float)(clock_now_ns() - begin) / 1e6f;
    }
    return NULL;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

struct figures {
    double per_s, p50_ms, p99_ms, txns_per_commit, cpu_us;
};

static struct store *open_store(bool pgsql, unsigned group_max)
{
    struct err err;
    struct store_config config = {.server = small_id(7), .group_max = group_max};
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
    static float all[MAX_WAITING * SAMPLES];
    struct submitter u[MAX_WAITING];
    struct store *s = open_store(pgsql, group_max);
    stop = false;
    int64_t begin = clock_now_ns(), cpu = clock_process_cpu_ns();
    for (unsigned i = 0; i < waiting; i++) {
        u[i] = (struct submitter){.store = s, .index = i, .ms = calloc(SAMPLES, sizeof(float))};
        if (!u[i].ms || pthread_create(&u[i].thread, NULL, submit, &u[i]))
            exit(1);
    }
    usleep((useconds_t)(seconds * 1e6));
    stop = true;
    uint64_t done = 0;
    size_t n = 0;
    for (unsigned i = 0; i < waiting; i++) {
        pthread_join(u[i].thread, NULL);
        size_t have = MIN(u[i].done, (uint64_t)SAMPLES);
        memcpy(all + n, u[i].ms, have * sizeof(float));
        n += have;
        done += u[i].done;
        free(u[i].ms);
    }
    double s_taken = (double)(clock_now_ns() - begin) / 1e9;
    double cpu_us = (double)(clock_process_cpu_ns() - cpu) / 1e3;
    struct store_status st;
    store_status(s, &st);
    store_close(s);
    qsort(all, n, sizeof(float), compare_floats);
    return (struct figures){.per_s = (double)done / s_taken,
                            .p50_ms = n ? (double)all[n / 2] : 0,
                            .p99_ms = n ? (double)all[n * 99 / 100] : 0,
                            .txns_per_commit = (double)done / (double)MAX(st.groups, 1u),
                            .cpu_us = cpu_us / (double)MAX(done, 1u)};
}

static int compare_figures(const void *a, const void *b)
{
    const struct figures *x = a, *y = b;
    return (x->per_s > y->per_s) - (x->per_s < y->per_s);
}

static void table(const char *title, bool pgsql)
{
    printf("%s\n%8s %10s | %9s %8s %8s %11s %10s\n", title, "waiting", "commit", "txn/s", "p50 ms",
           "p99 ms", "txn/commit", "us CPU/txn");
    static const unsigned waiting[] = {1, 4, 16, 64};
    for (unsigned i = 0; i < ARRAY_LEN(waiting); i++) {
        struct figures f[2][MAX_ROUNDS];
        for (unsigned r = 0; r < rounds; r++)
            for (unsigned naive = 0; naive < 2; naive++)
                f[naive][r] = measure(pgsql, naive ? 1 : 0, waiting[i]);
        for (unsigned naive = 0; naive < 2; naive++) {
            qsort(f[naive], rounds, sizeof(f[naive][0]), compare_figures);
            const struct figures *m = &f[naive][rounds / 2];
            printf("%8u %10s | %9.0f %8.2f %8.2f %11.1f %10.0f\n", waiting[i],
                   naive ? "each" : "group", m->per_s, m->p50_ms, m->p99_ms, m->txns_per_commit,
                   m->cpu_us);
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "s:d:p:r:")) != -1) {
        if (c == 's')
            seconds = atof(optarg);
        else if (c == 'd')
            folder = optarg;
        else if (c == 'p')
            conninfo = optarg;
        else if (c == 'r')
            rounds = (unsigned)atoi(optarg);
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
