/* The server takes a listening socket (--fd) and serves the first connection. The socket gets an
 * abstract name chosen by the kernel and we connect to it before the server exists, so no path, no
 * lock file and no run-time directory is needed, and nobody can come in between. */
#include "vhu/virtiofsd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/util.h"

#define STOP_MS 1000

/* A listening socket and a connection to it. */
static int make_connection(int *listen_fd, int *fd, struct err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(addr);
    CLEANUP_CLOSE int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_CLOSE int c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l < 0 || c < 0 || bind(l, (struct sockaddr *)&addr, sizeof(sa_family_t)) < 0 ||
        listen(l, 1) < 0 || getsockname(l, (struct sockaddr *)&addr, &len) < 0 ||
        connect(c, (struct sockaddr *)&addr, len) < 0)
        return err_sys(err, errno, "could not make a socket for virtiofsd");
    *listen_fd = steal_fd(&l);
    *fd = steal_fd(&c);
    return 0;
}

/* "source=DIR" as the option parser wants it: with its separators escaped. */
static char *source_option(const char *dir)
{
    char *s = malloc(sizeof("source=") + 2 * strlen(dir));
    char *to = s ? stpcpy(s, "source=") : NULL;
    for (const char *from = dir; s && *from; from++) {
        if (*from == ',' || *from == '\\')
            *to++ = '\\';
        *to++ = *from;
    }
    if (s)
        *to = '\0';
    return s;
}

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, text, strlen(text)) : -1;
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return n < 0 ? -1 : 0;
}

struct child {
    const char *program;
    char *argv[8];
    int listen_fd, report_fd;
    bool user_namespace, read_only;
    char uid_map[32], gid_map[32];
};

/* From here on all mounts are read-only, those below others too. */
static bool lose_write_access(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) == 0;
}

/* Between fork and exec: system calls only. */
static _Noreturn void run_child(const struct child *c)
{
    bool ok = fcntl(c->listen_fd, F_SETFD, 0) == 0;
    if (ok && c->user_namespace)
        ok = unshare(CLONE_NEWUSER) == 0 && put("/proc/self/setgroups", "deny") == 0 &&
             put("/proc/self/uid_map", c->uid_map) == 0 &&
             put("/proc/self/gid_map", c->gid_map) == 0;
    if (ok && c->read_only)
        ok = lose_write_access();
    if (ok)
        execv(c->program, c->argv);
    int e = errno;
    ssize_t ignored = write(c->report_fd, &e, sizeof(e));
    (void)ignored;
    _exit(127);
}

static int fork_child(struct child *c, pid_t *pid, struct err *err)
{
    int report[2], e = 0;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(err, errno, "could not make a pipe for virtiofsd");
    c->report_fd = report[1];
    *pid = fork();
    if (*pid == 0)
        run_child(c);
    e = *pid < 0 ? errno : 0;
    close(report[1]);
    if (!e && read(report[0], &e, sizeof(e)) == sizeof(e))
        waitpid(*pid, NULL, 0);
    else if (*pid > 0)
        e = 0;
    close(report[0]);
    if (e)
        return err_sys(err, e, "could not start '%s'%s", c->program,
                       c->user_namespace ? " in a user namespace" : "");
    return 0;
}

int virtiofsd_spawn(struct virtiofsd *s, const char *program, const char *dir, bool read_only,
                    struct err *err)
{
    struct stat st;
    char fd_option[24];
    CLEANUP_FREE char *source = source_option(dir);
    CLEANUP_CLOSE int listen_fd = -1;
    CLEANUP_CLOSE int fd = -1;
    if (!source)
        return err_set(err, ENOMEM, "could not allocate the options of virtiofsd");
    if (stat(dir, &st) < 0)
        return err_sys(err, errno, "cannot share '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "cannot share '%s': it is not a directory", dir);
    int ret = make_connection(&listen_fd, &fd, err);
    if (ret)
        return ret;
    struct child c = {.program = program ? program : VIRTIOFSD_PROGRAM,
                      .listen_fd = listen_fd,
                      .user_namespace = geteuid() != 0,
                      .read_only = read_only};
    snprintf(fd_option, sizeof(fd_option), "--fd=%d", listen_fd);
    snprintf(c.uid_map, sizeof(c.uid_map), "0 %u 1", (unsigned)geteuid());
    snprintf(c.gid_map, sizeof(c.gid_map), "0 %u 1", (unsigned)getegid());
    char *argv[] = {(char *)c.program, "-f", fd_option, "-o", source, "-o", "log_level=warn", NULL};
    static_assert(sizeof(argv) == sizeof(c.argv), "all arguments fit");
    memcpy(c.argv, argv, sizeof(argv));
    ret = fork_child(&c, &s->pid, err);
    if (!ret)
        s->fd = steal_fd(&fd);
    return ret;
}

void virtiofsd_stop(struct virtiofsd *s)
{
    if (s->fd >= 0)
        close(steal_fd(&s->fd));
    const struct timespec tick = {0, 5000000};
    for (int ms = 0; ms < STOP_MS; ms += 5) {
        if (waitpid(s->pid, NULL, WNOHANG))
            return;
        nanosleep(&tick, NULL);
    }
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}
