#include "mgmt/auth/auth_hasher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "tap.h"

/* Cheap, so that tests do not take the machine. */
#define CHEAP                                                                                      \
    {                                                                                              \
        .memory_kib = 64, .passes = 1, .lanes = 1                                                  \
    }
static const struct auth_password_cost COST = CHEAP, DEARER = {256, 2, 1};
static const char GOOD[] = "correct horse";
#define GOOD_BYTES (sizeof(GOOD) - 1)

/* An event loop in small: an eventfd that `wake` writes. */
struct rig {
    int fd;
    struct auth_hasher *h;
    unsigned done;
};

static void wake(void *ctx)
{
    struct rig *rig = ctx;
    CHECK_EQ(eventfd_write(rig->fd, 1), 0);
}

static void begin(struct rig *rig, unsigned threads, unsigned queue_max)
{
    struct auth_hasher_config config = {
        .threads = threads, .queue_max = queue_max, .cost = CHEAP, .wake = wake, .wake_ctx = rig};
    *rig = (struct rig){.fd = eventfd(0, EFD_CLOEXEC)};
    rig->h = auth_hasher_create(&config, NULL);
    CHECK(rig->h != NULL);
}

static void end(struct rig *rig)
{
    auth_hasher_destroy(rig->h);
    close(rig->fd);
}

static void count_done(struct auth_hasher_job *job, void *ctx)
{
    struct rig *rig = ctx;
    rig->done++;
    for (unsigned i = 0; i < sizeof(job->password); i++)
        if (job->password[i]) {
            CHECK(!"the password was wiped");
            return;
        }
}

static void wait_for(struct rig *rig, unsigned n)
{
    eventfd_t value;
    while (rig->done < n && !eventfd_read(rig->fd, &value))
        auth_hasher_deliver(rig->h);
}

static void what_was_hashed_is_verified(void)
{
    struct rig rig;
    static struct auth_hasher_job job;
    char text[AUTH_PASSWORD_TEXT_BYTES];
    begin(&rig, 1, 4);
    CHECK_EQ(auth_hasher_hash(rig.h, &job, GOOD, GOOD_BYTES, count_done, &rig), 0);
    wait_for(&rig, 1);
    CHECK_EQ(job.result, 0);
    memcpy(text, job.text, sizeof(text));
    CHECK(!strncmp(text, "$argon2id$v=19$m=64,t=1,p=1$", 28));
    CHECK_EQ(auth_hasher_verify(rig.h, &job, GOOD, GOOD_BYTES, text, count_done, &rig), 0);
    wait_for(&rig, 2);
    CHECK_EQ(job.result, 0);
    CHECK_STR(job.text, ""); /* nothing to store */
    CHECK_EQ(auth_hasher_verify(rig.h, &job, "wrong horse", 11, text, count_done, &rig), 0);
    wait_for(&rig, 3);
    CHECK_EQ(job.result, -EACCES);
    CHECK_EQ(auth_hasher_verify(rig.h, &job, GOOD, GOOD_BYTES, NULL, count_done, &rig), 0);
    wait_for(&rig, 4);
    CHECK_EQ(job.result, -EACCES);
    end(&rig);
}

static void a_hash_of_another_cost_is_made_anew(void)
{
    struct rig rig;
    static struct auth_hasher_job job;
    char old[AUTH_PASSWORD_TEXT_BYTES];
    begin(&rig, 1, 4);
    REQUIRE(!auth_password_hash(GOOD, GOOD_BYTES, &DEARER, old, NULL));
    CHECK_EQ(auth_hasher_verify(rig.h, &job, "wrong horse", 11, old, count_done, &rig), 0);
    wait_for(&rig, 1);
    CHECK_EQ(job.result, -EACCES);
    CHECK_STR(job.text, "");
    CHECK_EQ(auth_hasher_verify(rig.h, &job, GOOD, GOOD_BYTES, old, count_done, &rig), 0);
    wait_for(&rig, 2);
    CHECK_EQ(job.result, 0);
    CHECK(!auth_password_is_stale(job.text, &COST));
    CHECK_EQ(auth_password_verify(GOOD, GOOD_BYTES, job.text, &COST), 0);
    end(&rig);
}

static void lengths_are_refused_at_once(void)
{
    struct rig rig;
    static struct auth_hasher_job job;
    char long_one[AUTH_PASSWORD_MAX_BYTES + 1];
    memset(long_one, 'x', sizeof(long_one));
    begin(&rig, 1, 4);
    CHECK_EQ(auth_hasher_hash(rig.h, &job, "short", 5, count_done, &rig), -ERANGE);
    CHECK_EQ(auth_hasher_hash(rig.h, &job, long_one, sizeof(long_one), count_done, &rig), -ERANGE);
    CHECK_EQ(auth_hasher_verify(rig.h, &job, long_one, sizeof(long_one), NULL, count_done, &rig),
             -ERANGE);
    CHECK_EQ(auth_hasher_verify(rig.h, &job, "short", 5, NULL, count_done, &rig), 0);
    wait_for(&rig, 1);
    CHECK_EQ(job.result, -EACCES);
    end(&rig);
    CHECK_EQ(rig.done, 1);
}

/* Holds its only thread in `wake` until it is let go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
};

static void wait_at_gate(void *ctx)
{
    struct gate *g = ctx;
    pthread_mutex_lock(&g->lock);
    g->inside = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void what_does_not_fit_is_refused_and_the_end_tells_everybody(void)
{
    static struct auth_hasher_job jobs[5];
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    struct auth_hasher_config config = {
        .threads = 1, .queue_max = 3, .cost = CHEAP, .wake = wait_at_gate, .wake_ctx = &g};
    struct rig rig = {.h = auth_hasher_create(&config, NULL)};
    REQUIRE(rig.h);
    CHECK_EQ(auth_hasher_verify(rig.h, &jobs[0], GOOD, GOOD_BYTES, NULL, count_done, &rig), 0);
    pthread_mutex_lock(&g.lock);
    while (!g.inside)
        pthread_cond_wait(&g.changed, &g.lock);
    pthread_mutex_unlock(&g.lock);
    for (unsigned i = 1; i < 4; i++)
        CHECK_EQ(auth_hasher_verify(rig.h, &jobs[i], GOOD, GOOD_BYTES, NULL, count_done, &rig), 0);
    CHECK_EQ(auth_hasher_verify(rig.h, &jobs[4], GOOD, GOOD_BYTES, NULL, count_done, &rig),
             -EAGAIN);
    CHECK_EQ(jobs[4].password[0], 0); /* nothing was kept of it */
    CHECK_EQ(auth_hasher_deliver(rig.h), 1);
    CHECK_EQ(jobs[0].result, -EACCES);
    pthread_mutex_lock(&g.lock);
    g.open = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    auth_hasher_destroy(rig.h);
    CHECK_EQ(rig.done, 4);
    for (unsigned i = 1; i < 4; i++)
        CHECK(jobs[i].result == -EACCES || jobs[i].result == -ECANCELED);
}

static void submit_again(struct auth_hasher_job *job, void *ctx)
{
    struct rig *rig = ctx;
    count_done(job, ctx);
    if (rig->done < 5)
        CHECK_EQ(auth_hasher_verify(rig->h, job, GOOD, GOOD_BYTES, NULL, submit_again, rig), 0);
}

static void a_done_may_submit_again(void)
{
    struct rig rig;
    static struct auth_hasher_job job;
    begin(&rig, 2, 1);
    CHECK_EQ(auth_hasher_verify(rig.h, &job, GOOD, GOOD_BYTES, NULL, submit_again, &rig), 0);
    wait_for(&rig, 5);
    CHECK_EQ(rig.done, 5);
    end(&rig);
}

/* Several submitters, several threads, one that delivers. */
enum { SUBMITTERS = 3, EACH = 40 };
static struct auth_hasher_job many[SUBMITTERS][EACH];
static char stored_text[AUTH_PASSWORD_TEXT_BYTES];
struct submitter {
    struct rig *rig;
    unsigned n;
};

static void *submit_many(void *arg)
{
    struct submitter *s = arg;
    for (unsigned i = 0; i < EACH; i++) {
        const char *password = i % 2 ? GOOD : "wrong horse 1";
        int r;
        do
            r = auth_hasher_verify(s->rig->h, &many[s->n][i], password, GOOD_BYTES, stored_text,
                                   count_done, s->rig);
        while (r == -EAGAIN);
        if (r)
            return NULL;
    }
    return s;
}

static void many_threads_lose_nothing(void)
{
    struct rig rig;
    pthread_t threads[SUBMITTERS];
    struct submitter submitters[SUBMITTERS];
    REQUIRE(!auth_password_hash(GOOD, GOOD_BYTES, &COST, stored_text, NULL));
    begin(&rig, 4, 8);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){&rig, i};
        REQUIRE(!pthread_create(&threads[i], NULL, submit_many, &submitters[i]));
    }
    wait_for(&rig, SUBMITTERS * EACH);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        CHECK(result != NULL);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++)
        for (unsigned j = 0; j < EACH; j++)
            CHECK_EQ(many[i][j].result, j % 2 ? 0 : -EACCES);
    CHECK_EQ(rig.done, SUBMITTERS * EACH);
    end(&rig);
}

static void it_has_threads_and_a_cost_that_can_be(void)
{
    struct err err;
    CHECK(!auth_hasher_create(&(struct auth_hasher_config){.threads = 17}, &err));
    CHECK_EQ(err.code, EINVAL);
    CHECK(!auth_hasher_create(&(struct auth_hasher_config){.cost = {1, 1, 1}}, &err));
    CHECK_EQ(err.code, EINVAL);
    auth_hasher_destroy(NULL);
    struct auth_hasher *h = auth_hasher_create(&(struct auth_hasher_config){0}, &err);
    CHECK(h != NULL);
    CHECK_EQ(h ? auth_hasher_deliver(h) : 1, 0);
    auth_hasher_destroy(h);
}

int main(void)
{
    TAP_RUN(what_was_hashed_is_verified);
    TAP_RUN(a_hash_of_another_cost_is_made_anew);
    TAP_RUN(lengths_are_refused_at_once);
    TAP_RUN(what_does_not_fit_is_refused_and_the_end_tells_everybody);
    TAP_RUN(a_done_may_submit_again);
    TAP_RUN(many_threads_lose_nothing);
    TAP_RUN(it_has_threads_and_a_cost_that_can_be);
    return tap_done();
}
