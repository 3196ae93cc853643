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

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    if (f)
        fclose(f);
}

/* In a process of its own: that it reads files cannot be taken back. */
static int armed_by_a_file(const char *dir, const char *armed)
{
    setenv("VIRGA_FAULT", dir, 1);
    if (fault_setup_from_env(NULL) || fault_point("a.b.c"))
        return 1;
    write_text(armed, "a.b.c:2:fail");
    if (fault_point("a.b.c") || fault_point("a.b.d") || fault_point("a.b.c") != -EIO)
        return 2;
    if (!access(armed, F_OK) || fault_point("a.b.c"))
        return 3;
    write_text(armed, "a.b.c:2:kill");
    if (fault_point("a.b.c"))
        return 4;
    fault_point("a.b.c");
    return 5;
}

static void a_file_arms_a_program_that_runs(void)
{
    char dir[] = "@/tmp/virga-fault-XXXXXX", armed[64], passed[64], line[96];
    unsigned lines = 0;
    int status;
    CHECK(mkdtemp(dir + 1));
    snprintf(armed, sizeof(armed), "%s/armed", dir + 1);
    snprintf(passed, sizeof(passed), "%s/passed", dir + 1);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(armed_by_a_file(dir, armed));
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    FILE *f = fopen(passed, "r");
    while (f && fgets(line, sizeof(line), f))
        lines += strstr(line, " a.b.") != NULL;
    if (f)
        fclose(f);
    CHECK_EQ(lines, 7);
    CHECK_EQ(access(armed, F_OK), -1);
    unlink(passed);
    rmdir(dir + 1);
}

int main(void)
{
    TAP_RUN(a_point_that_is_not_armed_does_nothing);
    TAP_RUN(an_armed_point_fails_once_at_the_nth_passing);
    TAP_RUN(points_are_told_as_they_are_passed);
    TAP_RUN(the_environment_names_a_point_at_which_to_die);
    TAP_RUN(a_file_arms_a_program_that_runs);
    TAP_RUN(what_is_no_fault_is_refused);
    return tap_done();
}
