#include "agent/worker.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

struct job {
    struct work work;
    unsigned times;
    _Atomic unsigned runs;
    unsigned dones, not_run;
    struct worker_pool *pool;
};

static void run(struct work *w)
{
    container_of(w, struct job, work)->runs++;
}

static void done(struct work *w)
{
    struct job *j = container_of(w, struct job, work);
    j->dones++;
    j->not_run += !w->ran;
    if (w->ran && j->dones < j->times)
        worker_submit(j->pool, w);
}

static void all_work_is_run_once_and_its_end_told_in_the_loop(void)
{
    static struct job jobs[50];
    struct loop *loop = loop_create(0, NULL);
    struct worker_pool *p = worker_pool_create(loop, 3, NULL);
    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = (struct job){.work = {.run = run, .done = done}, .times = 1 + i % 3, .pool = p};
        worker_submit(p, &jobs[i].work);
    }
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++)
        while (jobs[i].dones < jobs[i].times)
            loop_run_once(loop, 1000);
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        CHECK_EQ(jobs[i].runs, jobs[i].times);
        CHECK_EQ(jobs[i].not_run, 0);
    }
    worker_pool_destroy(p);
    loop_destroy(loop);
}

static void run_slowly(struct work *w)
{
    usleep(20000);
    run(w);
}

static void work_that_had_not_begun_when_the_pool_ends_is_told_as_not_run(void)
{
    static struct job jobs[20];
    struct loop *loop = loop_create(0, NULL);
    struct worker_pool *p = worker_pool_create(loop, 1, NULL);
    unsigned told = 0, runs = 0, not_run = 0;
    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i].work.run = run_slowly;
        jobs[i].work.done = done;
        worker_submit(p, &jobs[i].work);
    }
    worker_pool_destroy(p);
    for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
        told += jobs[i].dones;
        runs += jobs[i].runs;
        not_run += jobs[i].not_run;
    }
    CHECK_EQ(told, ARRAY_LEN(jobs));
    CHECK_EQ(runs + not_run, ARRAY_LEN(jobs));
    CHECK(not_run > 0);
    loop_destroy(loop);
}

int main(void)
{
    TAP_RUN(all_work_is_run_once_and_its_end_told_in_the_loop);
    TAP_RUN(work_that_had_not_begun_when_the_pool_ends_is_told_as_not_run);
    return tap_done();
}
