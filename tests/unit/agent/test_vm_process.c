/* Processes in run directories. The monitor here is a script that listens as one does. */
#include "agent/vm_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/vm_client.h"
#include "base/util.h"
#include "tap.h"

#define LIMIT_MS 20000

static char DIR_[64], VMM[128], RUN[128], API[VM_PROCESS_PATH_BYTES];

/* exec'd as the monitor: argv is --config FILE. */
static int be_a_monitor(const char *config)
{
    char text[100] = "";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    FILE *f = fopen(config, "r");
    if (!f || !fgets(text, sizeof(text), f))
        return 3;
    fclose(f);
    printf("starting with %s\n", text);
    if (!strcmp(text, "fail"))
        return 7;
    if (!strcmp(text, "hang"))
        pause();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", text);
    unlink(text);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
        return 4;
    for (;;)
        close(accept(fd, NULL, NULL));
}

static void set_up(const char *self)
{
    char real[4096];
    strcpy(DIR_, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(RUN, sizeof(RUN), "%s/run", DIR_);
    snprintf(VMM, sizeof(VMM), "%s/vmm", DIR_);
    CHECK(realpath(self, real));
    CHECK_EQ(symlink(real, VMM), 0);
    CHECK_EQ(vm_process_path(RUN, "api", API, NULL), 0);
}

static bool ended(int pidfd, int limit_ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, limit_ms) == 1;
}

static void wait_for_api(void)
{
    pid_t pid;
    for (unsigned i = 0; i < LIMIT_MS && vm_client_pid(API, &pid); i++)
        usleep(1000);
}

static void kill_and_reap(int pidfd)
{
    CHECK_EQ(vm_process_kill(pidfd, NULL), 0);
    CHECK(ended(pidfd, LIMIT_MS));
    CHECK_EQ(vm_process_reap(pidfd), 128 + SIGKILL);
    CHECK_EQ(vm_process_kill(pidfd, NULL), 0); /* again */
    close(pidfd);
}

static void a_monitor_is_started_found_and_killed(void)
{
    struct err err = {0};
    int pidfd = -1, found = -1;
    CHECK_EQ(vm_process_find(RUN, &found, &err), -ESRCH);
    CHECK_EQ(vm_process_start(VMM, RUN, API, &pidfd, &err), 0);
    wait_for_api();
    CHECK_EQ(vm_process_find(RUN, &found, &err), 0);
    CHECK(!ended(found, 0));
    CHECK_EQ(vm_process_start(VMM, RUN, API, &pidfd, &err), -EEXIST);
    CHECK(strstr(err.msg, "runs in"));
    CHECK_EQ(vm_process_remove(RUN, &err), -EBUSY);
    kill_and_reap(pidfd);
    CHECK(ended(found, LIMIT_MS));
    close(found);
    CHECK_EQ(vm_process_find(RUN, &found, &err), -ESRCH); /* although the socket's name is there */
    CHECK_EQ(access(API, F_OK), 0);
    CHECK_EQ(vm_process_start(VMM, RUN, API, &pidfd, &err), 0); /* and may start again */
    wait_for_api();
    kill_and_reap(pidfd);
    CHECK_EQ(vm_process_remove(RUN, &err), 0);
    CHECK(access(RUN, F_OK) < 0);
}

static void a_monitor_outlives_who_started_it(void)
{
    int pidfd = -1, status;
    fflush(stdout);
    pid_t agent = fork();
    if (agent == 0) {
        int ret = vm_process_start(VMM, RUN, API, &pidfd, NULL);
        wait_for_api();
        kill(getpid(), SIGKILL);
        _exit(ret);
    }
    waitpid(agent, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(vm_process_find(RUN, &pidfd, NULL), 0);
    CHECK_EQ(vm_process_kill(pidfd, NULL), 0);
    CHECK(ended(pidfd, LIMIT_MS));
    CHECK_EQ(vm_process_reap(pidfd), -1); /* init's child */
    close(pidfd);
    CHECK_EQ(vm_process_remove(RUN, NULL), 0);
}

static void a_monitor_that_cannot_start_says_why(void)
{
    struct err err = {0};
    char log[VM_PROCESS_PATH_BYTES], text[256] = "";
    int pidfd = -1;
    CHECK_EQ(vm_process_start("/no/such/vmm", RUN, API, &pidfd, &err), -ENOENT);
    CHECK(strstr(err.msg, "/no/such/vmm"));
    CHECK_EQ(pidfd, -1);
    CHECK_EQ(vm_process_start(VMM, RUN, "fail", &pidfd, &err), 0);
    CHECK(ended(pidfd, LIMIT_MS));
    CHECK_EQ(vm_process_reap(pidfd), 7);
    close(pidfd);
    vm_process_path(RUN, "log", log, NULL);
    FILE *f = fopen(log, "r");
    CHECK(f && fgets(text, sizeof(text), f));
    if (f)
        fclose(f);
    CHECK_STR(text, "starting with fail\n");
    CHECK_EQ(vm_process_remove(RUN, NULL), 0);
}

static void nobody_else_can_read_what_a_vm_was_started_with(void)
{
    char config[VM_PROCESS_PATH_BYTES];
    struct stat st;
    int pidfd = -1;
    mode_t old = umask(0);
    CHECK_EQ(vm_process_start(VMM, RUN, API, &pidfd, NULL), 0);
    umask(old);
    CHECK_EQ(stat(RUN, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0700);
    vm_process_path(RUN, "config.json", config, NULL);
    CHECK_EQ(stat(config, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    wait_for_api();
    kill_and_reap(pidfd);
    CHECK_EQ(vm_process_remove(RUN, NULL), 0);
}

static void a_path_too_long_for_a_socket_is_refused(void)
{
    char path[VM_PROCESS_PATH_BYTES], dir[VM_PROCESS_PATH_BYTES + 1];
    struct err err = {0};
    memset(dir, 'd', sizeof(dir));
    dir[VM_PROCESS_PATH_BYTES - 5] = 0;
    CHECK_EQ(vm_process_path(dir, "api", path, &err), 0);
    CHECK_EQ(strlen(path), VM_PROCESS_PATH_BYTES - 1);
    dir[VM_PROCESS_PATH_BYTES - 5] = 'd';
    dir[VM_PROCESS_PATH_BYTES - 4] = 0;
    CHECK_EQ(vm_process_path(dir, "api", path, &err), -ENAMETOOLONG);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--config"))
        return be_a_monitor(argv[2]);
    set_up("/proc/self/exe");
    TAP_RUN(a_monitor_is_started_found_and_killed);
    TAP_RUN(a_monitor_outlives_who_started_it);
    TAP_RUN(a_monitor_that_cannot_start_says_why);
    TAP_RUN(nobody_else_can_read_what_a_vm_was_started_with);
    TAP_RUN(a_path_too_long_for_a_socket_is_refused);
    unlink(VMM);
    rmdir(DIR_);
    return tap_done();
}
