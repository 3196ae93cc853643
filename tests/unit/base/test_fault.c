#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

static void a_point_that_is_not_armed_does_nothing(void)
{
    CHECK_EQ(fault_point("a.b.c"), 0);
    fault_arm("a.b.c", 1, FAULT_FAIL);
    CHECK_EQ(fault_point("a.b"), 0);
    CHECK_EQ(fault_point("a.b.cd"), 0);
    fault_arm("a.b.c", 0, FAULT_FAIL);
    CHECK_EQ(fault_point("a.b.c"), 0);
    CHECK(!fault_watched);
}

static void an_armed_point_fails_once_at_the_nth_passing(void)
{
    fault_arm("a.b.c", 3, FAULT_FAIL);
    CHECK_EQ(fault_point("a.b.c"), 0);
    CHECK_EQ(fault_point("a.b.c"), 0);
    CHECK_EQ(fault_point("a.b.c"), -EIO);
    CHECK_EQ(fault_point("a.b.c"), 0);
}

static void note(void *arg, const char *name)
{
    CHECK_STR(name, "a.b.c");
    ++*(unsigned *)arg;
}

static void points_are_told_as_they_are_passed(void)
{
    unsigned n = 0;
    fault_tell(note, &n);
    fault_point("a.b.c");
    fault_point("a.b.c");
    fault_tell(NULL, NULL);
    fault_point("a.b.c");
    CHECK_EQ(n, 2);
}

static void the_environment_names_a_point_at_which_to_die(void)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("VIRGA_FAULT", "a.b.c:2", 1);
        if (fault_setup_from_env(NULL) || fault_point("a.b.c"))
            _exit(1);
        fault_point("a.b.c");
        _exit(2);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void what_is_no_fault_is_refused(void)
{
    static const char *const BAD[] = {"A", "a.b:0", "a.b:x", "a.b:1:explode", "a.b:1:fail:more",
                                      ":"};
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++) {
        setenv("VIRGA_FAULT", BAD[i], 1);
        CHECK_EQ(fault_setup_from_env(NULL), -EINVAL);
    }
    setenv("VIRGA_FAULT", "a.b.c:1:fail", 1);
    CHECK_EQ(fault_setup_from_env(NULL), 0);
    CHECK_EQ(fault_point("a.b.c"), -EIO);
    unsetenv("VIRGA_FAULT");
    CHECK_EQ(fault_setup_from_env(NULL), 0);
}

int main(void)
{
    TAP_RUN(a_point_that_is_not_armed_does_nothing);
    TAP_RUN(an_armed_point_fails_once_at_the_nth_passing);
    TAP_RUN(points_are_told_as_they_are_passed);
    TAP_RUN(the_environment_names_a_point_at_which_to_die);
    TAP_RUN(what_is_no_fault_is_refused);
    return tap_done();
}
