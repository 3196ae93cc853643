#include "io/alarm.h"

#include <pthread.h>

#include "tap.h"

static void count(struct alarm *a)
{
    (*(int *)a->opaque)++;
}

static void fires_once_for_each_time_it_is_set(void)
{
    int n = 0;
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct alarm a;
    alarm_init(&a, loop, count, &n);
    alarm_set(&a, 100);
    loop_advance_ns(loop, 99);
    CHECK_EQ(n, 0);
    loop_advance_ns(loop, 1);
    CHECK_EQ(n, 1);
    loop_advance_ns(loop, 1000);
    CHECK_EQ(n, 1);
    alarm_set(&a, 2000);
    alarm_set(&a, ALARM_OFF);
    loop_advance_ns(loop, 5000);
    CHECK_EQ(n, 1);
    alarm_fini(&a);
    loop_destroy(loop);
}

static void *set_it(void *arg)
{
    struct alarm *a = arg;
    alarm_set(a, 50);
    return NULL;
}

static void may_be_set_from_a_thread_that_is_not_the_loops(void)
{
    int n = 0;
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct alarm a;
    pthread_t thread;
    alarm_init(&a, loop, count, &n);
    REQUIRE(pthread_create(&thread, NULL, set_it, &a) == 0);
    pthread_join(thread, NULL);
    loop_run_once(loop, 0);
    loop_advance_ns(loop, 50);
    CHECK_EQ(n, 1);
    alarm_fini(&a);
    loop_destroy(loop);
}

static void ends_with_a_setting_still_on_its_way(void)
{
    int n = 0;
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct alarm *a = malloc(sizeof(*a));
    pthread_t thread;
    alarm_init(a, loop, count, &n);
    REQUIRE(pthread_create(&thread, NULL, set_it, a) == 0);
    pthread_join(thread, NULL);
    alarm_fini(a);
    free(a);
    loop_run_once(loop, 0);
    loop_advance_ns(loop, 100);
    CHECK_EQ(n, 0);
    loop_destroy(loop);
}

int main(void)
{
    TAP_RUN(fires_once_for_each_time_it_is_set);
    TAP_RUN(may_be_set_from_a_thread_that_is_not_the_loops);
    TAP_RUN(ends_with_a_setting_still_on_its_way);
    return tap_done();
}
