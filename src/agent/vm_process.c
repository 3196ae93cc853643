#include "agent/vm_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/vm_client.h"
#include "base/fault.h"
#include "base/util.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define FIND_TRIES 200 /* a millisecond each */
#define END_TRIES  500 /* ten milliseconds each */

int vm_process_path(const char *run_dir, const char *name, char path[VM_PROCESS_PATH_BYTES],
                    struct err *err)
{
    int n = snprintf(path, VM_PROCESS_PATH_BYTES, "%s/%s", run_dir, name);
    if (n < 0 || n >= VM_PROCESS_PATH_BYTES)
        return err_set(err, ENAMETOOLONG,
                       "the run directory %s is too long a path for a socket: at most %d bytes",
                       run_dir, VM_PROCESS_PATH_BYTES - 1 - (int)strlen(name));
    return 0;
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

/* The lock that a monitor inherits: held, so there is one, though it may not listen yet. */
static bool is_locked(const char *run_dir)
{
    char path[VM_PROCESS_PATH_BYTES];
    if (vm_process_path(run_dir, "lock", path, NULL))
        return false;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool locked = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}

/* Whether the process was started with this config: its second and third word say so. */
static bool was_started_with(const char *pid, const char *config)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    size_t bytes = (size_t)MAX(n, 0);
    text[bytes] = 0;
    size_t flag = strlen(text) + 1;
    if (flag >= bytes || strcmp(text + flag, "--config") != 0)
        return false;
    size_t value = flag + strlen(text + flag) + 1;
    return value < bytes && !strcmp(text + value, config);
}

/* A process that does not listen yet. */
static int find_unheard(const char *run_dir)
{
    char config[VM_PROCESS_PATH_BYTES];
    DIR *dir = opendir("/proc");
    int fd = -ESRCH;
    if (!dir || vm_process_path(run_dir, "config.json", config, NULL))
        fd = -EIO;
    for (struct dirent *e; fd == -ESRCH && (e = readdir(dir));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && was_started_with(e->d_name, config)) {
            fd = open_pidfd(atoi(e->d_name));
            if (fd >= 0 &&
                !was_started_with(e->d_name, config)) { /* the number is another's by now */
                close(fd);
                fd = -ESRCH;
            }
        }
    if (dir)
        closedir(dir);
    return fd;
}

/* By the socket. -ESRCH: nobody listens. */
static int find_listener(const char *run_dir)
{
    char api[VM_PROCESS_PATH_BYTES];
    pid_t pid, again;
    if (vm_process_path(run_dir, "api", api, NULL))
        return -ESRCH;
    /* By the time it is opened the number may be another's: then the socket names another, too. */
    for (unsigned i = 0; i < 10 && !vm_client_pid(api, &pid); i++) {
        int fd = open_pidfd(pid);
        if (fd >= 0 && !vm_client_pid(api, &again) && again == pid)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -ESRCH;
}

int vm_process_find(const char *run_dir, int *pidfd, struct err *err)
{
    for (unsigned i = 0; i < FIND_TRIES; i++) {
        int fd = find_listener(run_dir);
        if (fd < 0 && !is_locked(run_dir))
            break;
        if (fd < 0)
            fd = find_unheard(run_dir);
        if (fd >= 0) {
            *pidfd = fd;
            return 0;
        }
        usleep(1000); /* between fork and exec, or on its way out */
    }
    return err_set(err, ESRCH, "no monitor runs in %s", run_dir);
}

int vm_process_write(const char *run_dir, const char *name, const char *text, struct err *err)
{
    char path[VM_PROCESS_PATH_BYTES], made[VM_PROCESS_PATH_BYTES + 8];
    if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the run directory %s", run_dir);
    int ret = vm_process_path(run_dir, name, path, err);
    if (ret)
        return ret;
    snprintf(made, sizeof(made), "%s.new", path);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "could not create %s", made);
    size_t bytes = strlen(text);
    ssize_t n = write(fd, text, bytes);
    if (n < 0)
        ret = -errno;
    else if ((size_t)n < bytes) /* a full disk takes a part first */
        ret = -ENOSPC;
    else if (fsync(fd) < 0 || fault_point("vm_process.write.synced") || rename(made, path) < 0)
        ret = -errno;
    close(fd);
    if (!ret)
        return 0;
    unlink(made);
    return err_sys(err, -ret, "could not write %s", path);
}

static int open_in(const char *run_dir, const char *name, int flags, struct err *err)
{
    char path[VM_PROCESS_PATH_BYTES];
    int ret = vm_process_path(run_dir, name, path, err);
    if (ret)
        return ret;
    int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? err_sys(err, errno, "could not open %s", path) : fd;
}

/* Only what is safe between fork and exec. What fails is told through `report`, which exec closes.
 */
static _Noreturn void become(const char *vmm_path, const char *config, int log, int lock,
                             int report)
{
    const char *argv[] = {vmm_path, "--config", config, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0 &&
        fcntl(lock, F_SETFD, 0) == 0)
        execv(vmm_path, (char *const *)argv);
    int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(127);
}

static int fork_monitor(const char *vmm_path, const char *config, int log, int lock, int *pidfd,
                        struct err *err)
{
    int report[2], error = 0;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(err, errno, "could not make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        become(vmm_path, config, log, lock, report[1]);
    int forked = pid < 0 ? -errno : 0;
    close(report[1]);
    if (!forked && read(report[0], &error, sizeof(error)) == (ssize_t)sizeof(error))
        waitpid(pid, NULL, 0);
    close(report[0]);
    if (forked)
        return err_sys(err, -forked, "could not fork a monitor");
    if (error)
        return err_sys(err, error, "could not start %s", vmm_path);
    int fd = open_pidfd(pid);
    if (fd < 0)
        return err_sys(err, -fd, "could not watch the monitor");
    *pidfd = fd;
    return 0;
}

/* A monitor in a sandbox is several processes: the last of them, which has the lock too, may end a
 * moment after the one whose end was seen. One that listens, or will, is not waited for long. */
static void wait_for_end(const char *run_dir, const char *api)
{
    pid_t pid;
    for (unsigned i = 0; i < END_TRIES && is_locked(run_dir) && vm_client_pid(api, &pid); i++)
        usleep(10000);
}

int vm_process_start(const char *vmm_path, const char *run_dir, const char *config_json, int *pidfd,
                     struct err *err)
{
    char config[VM_PROCESS_PATH_BYTES], api[VM_PROCESS_PATH_BYTES];
    pid_t pid;
    int ret = vm_process_path(run_dir, "config.json", config, err);
    if (!ret)
        ret = vm_process_path(run_dir, "api", api, err);
    if (ret)
        return ret;
    if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the run directory %s", run_dir);
    int lock = open_in(run_dir, "lock", O_RDWR, err);
    if (lock < 0)
        return lock;
    int log = -1;
    wait_for_end(run_dir, api);
    if (flock(lock, LOCK_EX | LOCK_NB) < 0 || !vm_client_pid(api, &pid))
        ret = err_set(err, EEXIST, "a monitor runs in %s already", run_dir);
    else if (!(ret = vm_process_write(run_dir, "config.json", config_json, err)))
        log = open_in(run_dir, "log", O_WRONLY | O_APPEND, err);
    if (log >= 0) {
        (void)fault_point("vm_process.start.written");
        ret = fork_monitor(vmm_path, config, log, lock, pidfd, err);
        close(log);
    } else if (!ret) {
        ret = log;
    }
    close(lock); /* the monitor has it too */
    return ret;
}

int vm_process_kill(int pidfd, struct err *err)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return err_sys(err, errno, "could not kill a monitor");
}

int vm_process_reap(int pidfd)
{
    siginfo_t info = {0};
    if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
        return -1;
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

int vm_process_remove(const char *run_dir, struct err *err)
{
    char api[VM_PROCESS_PATH_BYTES];
    pid_t pid;
    int ret = vm_process_path(run_dir, "api", api, err);
    if (ret)
        return ret;
    wait_for_end(run_dir, api);
    if (is_locked(run_dir) || !vm_client_pid(api, &pid))
        return err_set(err, EBUSY, "a monitor runs in %s", run_dir);
    DIR *dir = opendir(run_dir);
    if (!dir)
        return errno == ENOENT ? 0 : err_sys(err, errno, "could not read %s", run_dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    (void)fault_point("vm_process.remove.emptied");
    if (rmdir(run_dir) < 0 && errno != ENOENT)
        return err_sys(err, errno, "could not remove %s", run_dir);
    return 0;
}
