/* A process that commits is killed at any moment: what it had been told is there. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "mgmt/store/sqlite/store_sqlite.h"
#include "store_files.h"
#include "store_suite.h"

#define SLOTS 200000

static const struct store_sqlite_options options = {.wal_bytes = 1 << 20, .checkpoint_pages = 100};

/* Written by the child, read after its death. */
static struct shared {
    _Atomic unsigned next, acked;
    _Atomic unsigned char done[SLOTS];
} * shared;

static struct store *open_here(struct err *err)
{
    struct store_config config = rig_config(77);
    return store_sqlite_open(files_path, &options, &config, err);
}

static void *commit_for_ever(void *arg)
{
    for (;;) {
        unsigned i = shared->next++;
        char name[16];
        if (i >= SLOTS)
            return NULL;
        snprintf(name, sizeof(name), "n%u", i);
        struct store_op ops[3] = {rig_put(1, i, 5, name, "{}", STORE_IF_ABSENT, 0),
                                  rig_row(STORE_AUDIT, name, "", 1), rig_add(5, "n", 1, -1)};
        if (rig_run(arg, ops, 3, NULL))
            _exit(3);
        shared->done[i] = 1;
        shared->acked++;
    }
}

static void child(void)
{
    pthread_t threads[4];
    struct store *s = open_here(NULL);
    for (unsigned i = 0; s && i < 4; i++)
        pthread_create(&threads[i], NULL, commit_for_ever, s);
    for (unsigned i = 0; s && i < 4; i++)
        pthread_join(threads[i], NULL);
    _exit(4);
}

struct found {
    unsigned objects, missing;
    int64_t count;
    unsigned char there[SLOTS];
};

static int find(const struct store_record *r, void *ctx)
{
    struct found *f = ctx;
    f->objects += r->type == STORE_OBJECT;
    if (r->type == STORE_COUNTER)
        f->count = r->value;
    else if (rig_number(&r->id) < SLOTS)
        f->there[rig_number(&r->id)] = 1;
    return 0;
}

static void what_was_acknowledged_survives_kill_9(void)
{
    unsigned rounds = rig_long() ? 60 : 6;
    uint64_t rng = 88172645463325252u;
    struct found *f = calloc(1, sizeof(*f));
    REQUIRE(f);
    files_remove();
    for (unsigned round = 0; round < rounds; round++) {
        unsigned enough = shared->acked + 20 + rig_random(&rng) % 200;
        pid_t pid = fork();
        if (pid == 0)
            child();
        int status;
        /* Waits for commits, not for a time; then lets a random instant pass. */
        while (shared->acked < enough && waitpid(pid, &status, WNOHANG) == 0)
            nanosleep(&(struct timespec){.tv_nsec = 100000 + rig_random(&rng) % 400000}, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        CHECK(shared->acked >= enough);
        struct err err = {.code = 0};
        struct store *s = open_here(&err);
        if (!s)
            printf("# %s\n", err.msg);
        REQUIRE(s);
        memset(f, 0, sizeof(*f));
        uint64_t seq;
        CHECK_EQ(store_load(s, &seq, find, f, &err), 0);
        for (unsigned i = 0; i < SLOTS; i++)
            f->missing += shared->done[i] && !f->there[i];
        CHECK_EQ(f->missing, 0);
        CHECK_EQ(f->count, f->objects);
        CHECK_EQ(store_audit_verify(s, &err), 0);
        store_close(s);
    }
    free(f);
}

int main(void)
{
    files_begin(false);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    TAP_RUN(what_was_acknowledged_survives_kill_9);
    return tap_done();
}
