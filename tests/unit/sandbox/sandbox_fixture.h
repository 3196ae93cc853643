/* The cage, tried from inside: each case launches a monitor that checks what it can still do. */
#ifndef TESTS_UNIT_SANDBOX_FIXTURE_H
#define TESTS_UNIT_SANDBOX_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/util.h"
#include "sandbox/sandbox.h"
#include "tap.h"

/* A monitor of a test: returns what the process exits with. */
typedef int monitor_fn(struct sandbox *s);

#define LAUNCH_FAILED 77

struct run {
    int status;      /* as of waitpid() on the launcher */
    char said[2048]; /* what launcher and monitor wrote to stderr */
};

struct options {
    enum sandbox_mode mode;
    bool as_nobody;
    bool no_namespaces; /* unshare(2) answers EPERM */
    const char *allow, *allow_numbered, *remove;
};

static inline void refuse_unshare(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {ARRAY_LEN(code), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
}

static inline void launcher(const struct options *o, monitor_fn *fn)
{
    struct sandbox_config config = {
        .mode = o->mode,
        .uuid = {1, 2, 3},
        .allow_paths = &o->allow,
        .n_allow_paths = o->allow != NULL,
        .allow_numbered = &o->allow_numbered,
        .n_allow_numbered = o->allow_numbered != NULL,
        .remove_at_exit = &o->remove,
        .n_remove_at_exit = o->remove != NULL,
    };
    struct sandbox *s = NULL;
    struct err err = {0};
    if (o->as_nobody && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
        _exit(99);
    if (o->no_namespaces)
        refuse_unshare();
    if (sandbox_launch(&config, &s, &err)) {
        dprintf(2, "launch: %s\n", err.msg);
        _exit(LAUNCH_FAILED);
    }
    int status = fn(s);
    char line[400];
    int n = snprintf(line, sizeof(line), "cage: %s\n", sandbox_describe(s));
    _exit(write(2, line, (size_t)n) == n ? status : 98); /* dprintf() would make more calls */
}

/* Starts a launcher; its stderr comes through the returned descriptor. */
static inline pid_t start(const struct options *o, monitor_fn *fn, int *said)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC))
        return -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 2);
        launcher(o, fn);
    }
    close(p[1]);
    *said = p[0];
    return pid;
}

static inline void finish(pid_t pid, int said, struct run *r)
{
    size_t n = 0;
    ssize_t got;
    while (n < sizeof(r->said) - 1 && (got = read(said, r->said + n, sizeof(r->said) - 1 - n)) > 0)
        n += (size_t)got;
    r->said[n] = '\0';
    close(said);
    waitpid(pid, &r->status, 0);
}

static inline struct run run(const struct options *o, monitor_fn *fn)
{
    struct run r = {.status = -1};
    int said = -1;
    pid_t pid = start(o, fn, &said);
    if (pid > 0)
        finish(pid, said, &r);
    return r;
}

static inline bool ended_with(const struct run *r, int status)
{
    if (WIFEXITED(r->status) && WEXITSTATUS(r->status) == status)
        return true;
    printf("# status 0x%x, wanted exit %d; said: %s\n", r->status, status, r->said);
    return false;
}

/* In a monitor: the number of the first check that does not hold is the exit status. */
#define HOLDS(n, cond)                                                                             \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            dprintf(2, "does not hold: %s (errno %d)\n", #cond, errno);                            \
            return n;                                                                              \
        }                                                                                          \
    } while (0)

#endif
