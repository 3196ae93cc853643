#include "cli/cloud/cloud_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

static int path_of(const struct cloud_daemon *d, const char *end, char *path)
{
    int n = snprintf(path, CLOUD_DAEMON_PATH_BYTES, "%s/%s.%s", d->state, d->name, end);
    return n < CLOUD_DAEMON_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int cloud_daemon_program(const char *name, char path[CLOUD_DAEMON_PATH_BYTES], struct err *err)
{
    char self[CLOUD_DAEMON_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return err_sys(err, errno, "cannot find this program's folder");
    self[n] = 0;
    int folder = (int)(strrchr(self, '/') - self);
    /* Beside it in a build; installed, it is in libexec/virga and they are in bin. */
    static const char *const places[] = {"", "/../../bin", "/../../sbin"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        int bytes =
            snprintf(path, CLOUD_DAEMON_PATH_BYTES, "%.*s%s/%s", folder, self, places[i], name);
        if (bytes < CLOUD_DAEMON_PATH_BYTES && !access(path, X_OK))
            return 0;
    }
    return err_set(err, ENOENT, "%s is not installed beside this program (%.*s)", name, folder,
                   self);
}

/* When a process began, in clock ticks since boot; 0: there is none. */
static unsigned long long began(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = 0;
    /* The name may hold blanks and brackets: fields are counted from its last bracket. */
    char *at = strrchr(text, ')');
    unsigned long long value = 0;
    char state = 0;
    if (!at || sscanf(at + 1, " %c", &state) != 1 || state == 'Z')
        return 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        value = strtoull(at, NULL, 10);
    return value;
}

pid_t cloud_daemon_pid(const struct cloud_daemon *d)
{
    char path[CLOUD_DAEMON_PATH_BYTES];
    int pid;
    unsigned long long when;
    FILE *f = path_of(d, "pid", path) ? NULL : fopen(path, "re");
    if (!f)
        return 0;
    int n = fscanf(f, "%d %llu", &pid, &when);
    fclose(f);
    return n == 2 && pid > 1 && began(pid) == when ? pid : 0;
}

/* In the child: never returns. */
static void become(const char *program, const char *const *argv, int log)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0)
        execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int remember(const struct cloud_daemon *d, pid_t pid, struct err *err)
{
    char path[CLOUD_DAEMON_PATH_BYTES], next[CLOUD_DAEMON_PATH_BYTES + 8];
    if (path_of(d, "pid", path))
        return err_set(err, ENAMETOOLONG, "the path %s is too long", d->state);
    snprintf(next, sizeof(next), "%s.new", path);
    FILE *f = fopen(next, "we");
    if (!f)
        return err_sys(err, errno, "cannot write %s", next);
    fprintf(f, "%d %llu\n", (int)pid, began(pid));
    if (fclose(f) || rename(next, path))
        return err_sys(err, errno, "cannot write %s", path);
    return 0;
}

int cloud_daemon_start(const struct cloud_daemon *d, const char *const *argv, struct err *err)
{
    char program[CLOUD_DAEMON_PATH_BYTES], log[CLOUD_DAEMON_PATH_BYTES];
    if (cloud_daemon_pid(d))
        return 0;
    int r = cloud_daemon_program(d->name, program, err);
    if (r)
        return r;
    if (path_of(d, "log", log))
        return err_set(err, ENAMETOOLONG, "the path %s is too long", d->state);
    CLEANUP_CLOSE int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "cannot write %s", log);
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(err, errno, "cannot start %s", d->name);
    if (!pid)
        become(program, argv, fd);
    return remember(d, pid, err);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

int cloud_daemon_stop(const struct cloud_daemon *d, int timeout_ms, struct err *err)
{
    pid_t pid = cloud_daemon_pid(d);
    int64_t end_ns = clock_now_ns() + (int64_t)timeout_ms * 1000000;
    if (!pid)
        return 0;
    if (kill(pid, SIGTERM))
        return err_sys(err, errno, "cannot end %s (process %d)", d->name, (int)pid);
    while (cloud_daemon_pid(d) == pid) {
        if (clock_now_ns() > end_ns)
            return err_set(err, ETIMEDOUT, "%s (process %d) does not end: see %s/%s.log", d->name,
                           (int)pid, d->state, d->name);
        (void)waitpid(pid, NULL, WNOHANG);
        nap();
    }
    return 0;
}

void cloud_daemon_last_words(const struct cloud_daemon *d, char *text, size_t bytes)
{
    char path[CLOUD_DAEMON_PATH_BYTES], line[512];
    text[0] = 0;
    FILE *f = path_of(d, "log", path) ? NULL : fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        snprintf(text, bytes, "%s", line);
    }
    if (f)
        fclose(f);
}
