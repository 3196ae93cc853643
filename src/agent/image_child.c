#include "agent/image_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/image_child_internal.h"
#include "base/util.h"

#define LOOK_MS    100 /* how often the stop and the time are looked at */
#define GRACE_MS   5000
#define TAIL_BYTES 240

struct run {
    const struct image_child *c;
    pid_t pid;
    int pid_fd, out, errors, failure; /* our ends */
    char tail[TAIL_BYTES + 1];        /* of standard error */
    size_t tail_bytes;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void keep_tail(struct run *r, const char *data, size_t n)
{
    if (n > TAIL_BYTES) {
        data += n - TAIL_BYTES;
        n = TAIL_BYTES;
    }
    size_t kept = MIN(r->tail_bytes, TAIL_BYTES - n);
    memmove(r->tail, r->tail + r->tail_bytes - kept, kept);
    memcpy(r->tail + kept, data, n);
    r->tail_bytes = kept + n;
}

/* The last line of it, in printable letters. */
static const char *last_words(struct run *r)
{
    while (r->tail_bytes && (unsigned char)r->tail[r->tail_bytes - 1] <= ' ')
        r->tail_bytes--;
    r->tail[r->tail_bytes] = 0;
    for (size_t i = 0; i < r->tail_bytes; i++)
        if ((unsigned char)r->tail[i] < ' ' || (unsigned char)r->tail[i] >= 0x7f)
            r->tail[i] = r->tail[i] == '\n' ? '\n' : '?';
    const char *line = strrchr(r->tail, '\n');
    return line ? line + 1 : r->tail;
}

/* ---- starting ---- */

static int start_failed(const struct image_child *c, const struct image_child_failure *f,
                        struct err *err)
{
    static const char *const steps[] = {"its working directory", "its limits", "its uid",
                                        "Landlock"};
    if (f->step == IMAGE_CHILD_EXEC)
        return f->code == ENOENT ? err_set(err, ENOENT, "%s is not installed", c->argv[0])
                                 : err_sys(err, f->code, "could not start %s", c->argv[0]);
    return err_sys(err, f->step == IMAGE_CHILD_FILES ? f->code : EPERM,
                   "could not confine %s: %s (%s)", c->argv[0], steps[f->step], strerror(f->code));
}

/* Confined: an empty network, in which not even the loopback is up, and processes that end with the
 * first. Without root that takes a user namespace. */
static pid_t start(struct run *r, int fds[3], int failure)
{
    unsigned long flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | SIGCHLD;
    if (geteuid() != 0)
        flags |= CLONE_NEWUSER;
    pid_t pid = r->c->confined ? (pid_t)syscall(SYS_clone, flags, 0, NULL, NULL, 0) : fork();
    if (pid == 0) {
        struct image_child_failure f = image_child_begin(r->c, fds);
        (void)!write(failure, &f, sizeof(f));
        _exit(127);
    }
    return pid;
}

/* Makes the pipes and the process. */
static int spawn(struct run *r, struct err *err)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1}, failure[2] = {-1, -1}, ret = 0;
    CLEANUP_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0 ||
        pipe2(failure, O_CLOEXEC) < 0)
        ret = err_sys(err, errno, "could not make pipes for %s", r->c->argv[0]);
    if (!ret) {
        int fds[3] = {r->c->stdin_fd >= 0 ? r->c->stdin_fd : null, out[1], errors[1]};
        r->pid = start(r, fds, failure[1]);
        if (r->pid < 0)
            ret =
                r->c->confined && errno == EPERM
                    ? err_set(err, EPERM,
                              "could not confine %s: this kernel gives us no namespaces; the agent "
                              "needs root, or user namespaces",
                              r->c->argv[0])
                    : err_sys(err, errno, "could not start %s", r->c->argv[0]);
    }
    r->out = out[0];
    r->errors = errors[0];
    r->failure = failure[0];
    for (unsigned i = 0; i < 3; i++) {
        int end = i == 0 ? out[1] : i == 1 ? errors[1] : failure[1];
        if (end >= 0)
            close(end);
    }
    if (ret)
        return ret;
    fcntl(r->out, F_SETFL, O_NONBLOCK);
    fcntl(r->errors, F_SETFL, O_NONBLOCK);
    r->pid_fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    return r->pid_fd < 0 ? err_sys(err, errno, "could not watch %s", r->c->argv[0]) : 0;
}

/* ---- running ---- */

/* Reads what is there. Returns 1 once there will be no more. */
static int drain(struct run *r, int fd, image_child_output *take, bool errors, struct err *err)
{
    char buf[65536];
    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : err_sys(err, errno, "could not read from a child");
        if (n == 0)
            return 1;
        if (errors)
            keep_tail(r, buf, (size_t)n);
        int ret = take ? take(r->c->ctx, buf, (size_t)n, err) : 0;
        if (ret)
            return ret;
    }
}

static int check_limits(const struct run *r, int64_t begin_ms, struct err *err)
{
    const struct image_child *c = r->c;
    if (c->stop && atomic_load(c->stop))
        return err_set(err, ECANCELED, "canceled");
    if (c->time_max_s && now_ms() - begin_ms > (int64_t)c->time_max_s * 1000)
        return err_set(err, ETIMEDOUT, "%s took more than %u s", c->argv[0], c->time_max_s);
    return 0;
}

/* Until the process has ended and what it wrote has been read: what its own children still hold
 * open does not count. */
static int attend(struct run *r, struct err *err)
{
    int64_t begin = now_ms();
    bool out_open = true, errors_open = true, ended = false;
    int ret = 0;
    while (!ret && !ended) {
        struct pollfd p[3] = {{r->pid_fd, POLLIN, 0},
                              {out_open ? r->out : -1, POLLIN, 0},
                              {errors_open ? r->errors : -1, POLLIN, 0}};
        if (poll(p, 3, LOOK_MS) < 0 && errno != EINTR)
            return err_sys(err, errno, "could not wait for %s", r->c->argv[0]);
        ended = p[0].revents & POLLIN;
        if (p[1].revents || (ended && out_open)) {
            ret = drain(r, r->out, r->c->out, false, err);
            out_open = ret != 1;
        }
        if (ret >= 0 && (p[2].revents || (ended && errors_open))) {
            ret = drain(r, r->errors, r->c->errors, true, err);
            errors_open = ret != 1;
        }
        ret = ret > 0 ? 0 : ret;
        if (!ret && !ended)
            ret = check_limits(r, begin, err);
    }
    return ret;
}

/* Ends what is left of its process group. The unconfined one may have something to clean up. */
static void end(struct run *r, bool early)
{
    if (early && !r->c->confined) {
        struct pollfd p = {r->pid_fd, POLLIN, 0};
        kill(-r->pid, SIGTERM);
        if (r->pid_fd >= 0)
            (void)poll(&p, 1, GRACE_MS);
    }
    kill(-r->pid, SIGKILL);
    kill(r->pid, SIGKILL); /* where it has not made its group yet */
}

static int judge(struct run *r, int status, int *exit_code, struct err *err)
{
    const char *name = r->c->argv[0];
    struct image_child_failure f;
    if (read(r->failure, &f, sizeof(f)) == sizeof(f))
        return start_failed(r->c, &f, err);
    if (WIFEXITED(status) && exit_code) {
        *exit_code = WEXITSTATUS(status);
        return 0;
    }
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && r->c->cpu_max_s && r->c->confined)
        return err_set(err, ETIMEDOUT, "%s took more than %u s of CPU, or the machine's memory",
                       name, r->c->cpu_max_s);
    if (WIFSIGNALED(status))
        return err_set(err, EIO, "%s was ended by signal %d", name, WTERMSIG(status));
    return err_set(err, EIO, "%s failed: %s", name,
                   r->tail_bytes ? last_words(r) : "it did not say why");
}

int image_child_run(const struct image_child *c, int *exit_code, struct err *err)
{
    struct run r = {.c = c, .pid = -1, .pid_fd = -1, .out = -1, .errors = -1, .failure = -1};
    int status = 0, ret = spawn(&r, err);
    if (!ret)
        ret = attend(&r, err);
    if (r.pid > 0) {
        end(&r, ret != 0);
        while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (!ret)
        ret = judge(&r, status, exit_code, err);
    const int fds[] = {r.pid_fd, r.out, r.errors, r.failure};
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return ret;
}
