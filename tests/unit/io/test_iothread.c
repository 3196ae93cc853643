#include "io/iothread.h"

#include <errno.h>
#include <pthread.h>

#include "tap.h"

static pthread_t main_thread;

static void look(void *arg)
{
    char *name = arg;
    if (!pthread_equal(pthread_self(), main_thread))
        pthread_getname_np(pthread_self(), name, 16);
}

static void a_call_runs_in_the_named_thread(void)
{
    char name[16] = "";
    struct err err;
    struct iothread *t = iothread_create("disk0", NULL, &err);
    REQUIRE(t);
    main_thread = pthread_self();
    CHECK(!loop_in_thread(iothread_loop(t)));
    loop_call(iothread_loop(t), look, name);
    CHECK_STR(name, "disk0");
    iothread_destroy(t);
}

static int enter(void *opaque, const char *name, struct err *err)
{
    pthread_t *seen = opaque;
    *seen = pthread_self();
    return 0;
}

static int fail(void *opaque, const char *name, struct err *err)
{
    return err_set(err, EPERM, "no filter for thread '%s'", name);
}

static void note_self(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static void set_up_runs_first_in_the_new_thread(void)
{
    struct err err;
    pthread_t seen = pthread_self(), worker;
    struct iothread_setup setup = {enter, &seen};
    struct iothread *t = iothread_create("net0", &setup, &err);
    REQUIRE(t);
    loop_call(iothread_loop(t), note_self, &worker);
    CHECK(pthread_equal(seen, worker));
    iothread_destroy(t);
}

static void a_failed_set_up_fails_the_creation(void)
{
    struct err err;
    struct iothread_setup setup = {fail, NULL};
    CHECK(!iothread_create("net0", &setup, &err));
    CHECK_EQ(err.code, EPERM);
    CHECK(strstr(err.msg, "no filter for thread 'net0'"));
}

static void threads_come_and_go(void)
{
    struct err err;
    for (int i = 0; i < 50; i++) {
        struct iothread *t = iothread_create("brief", NULL, &err);
        REQUIRE(t);
        iothread_destroy(t);
    }
    iothread_destroy(NULL);
    CHECK(true);
}

int main(void)
{
    TAP_RUN(a_call_runs_in_the_named_thread);
    TAP_RUN(set_up_runs_first_in_the_new_thread);
    TAP_RUN(a_failed_set_up_fails_the_creation);
    TAP_RUN(threads_come_and_go);
    return tap_done();
}
