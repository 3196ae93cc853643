/* The launch itself: who does which step when, and what is said about it. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "sandbox/sandbox_internal.h"

static const struct {
    unsigned bit;
    const char *name;
} protection_names[] = {
    {SANDBOX_USER_NS, "user-ns"},   {SANDBOX_MOUNT_NS, "mount-ns"},
    {SANDBOX_PID_NS, "pid-ns"},     {SANDBOX_NET_NS, "net-ns"},
    {SANDBOX_IPC_NS, "ipc-ns"},     {SANDBOX_UID, "uid"},
    {SANDBOX_NO_CAPS, "no-caps"},   {SANDBOX_NO_NEW_PRIVS, "no-new-privs"},
    {SANDBOX_LANDLOCK, "landlock"}, {SANDBOX_RLIMITS, "rlimits"},
    {SANDBOX_SECCOMP, "seccomp"},
};
#define ALL_NS                                                                                     \
    (SANDBOX_USER_NS | SANDBOX_MOUNT_NS | SANDBOX_PID_NS | SANDBOX_NET_NS | SANDBOX_IPC_NS)

/* Records that protections hold, or are missing because of `why`. */
static void note(struct sandbox *s, unsigned protections, int result, const char *why)
{
    if (result == 0) {
        s->active |= protections;
        return;
    }
    if (!s->missing)
        snprintf(s->reason, sizeof(s->reason), "%.*s", SANDBOX_REASON_BYTES - 1, why);
    s->missing |= protections;
    s->active &= ~protections;
}

static size_t list_names(char *out, size_t bytes, unsigned bits)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(protection_names); i++)
        if (bits & protection_names[i].bit && n < bytes)
            n += (size_t)snprintf(out + n, bytes - n, "%s%s", n ? " " : "",
                                  protection_names[i].name);
    return MIN(n, bytes - 1);
}

static void compose_description(struct sandbox *s)
{
    size_t n = list_names(s->describe, sizeof(s->describe), s->active);
    if (!s->missing)
        return;
    n += (size_t)snprintf(s->describe + n, sizeof(s->describe) - n, "%smissing: ", n ? "; " : "");
    n += list_names(s->describe + n, sizeof(s->describe) - n, s->missing);
    snprintf(s->describe + n, sizeof(s->describe) - n, " (%s)", s->reason);
}

/* Theory of operation. A pid namespace is entered by the next child, and glibc must know of every
 * fork, so the launch takes two:
 *
 *   launcher ---fork---> middle: unshare(), says hello
 *      maps the ids, says go ---> fork ---> monitor: waits
 *      reaps the middle, adopts the monitor (a subreaper), closes `ended` ---> cages itself,
 * reports
 *
 * Messages go through the pipe `up` in this order: hello and born from the middle, report from the
 * monitor. */
struct hello {
    unsigned granted;
    int ns_errno;
};

struct born {
    pid_t pid;
};

struct report {
    int code; /* 0: caged */
    char msg[ERR_MSG_BYTES];
};

struct launch {
    const struct sandbox_config *config;
    struct sandbox_identity id;
    struct hello hello;
    uint8_t mapped;
    int go[2];     /* launcher to middle: whether the ids are mapped */
    int up[2];     /* to the launcher */
    int ended[2];  /* the launcher closes its end when it has reaped the middle */
    int broker[2]; /* [0] the launcher's, [1] the monitor's */
    sigset_t old_mask;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_channels(struct launch *l)
{
    int *pairs[] = {l->go, l->up, l->ended, l->broker};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        close_end(&pairs[i][0]);
        close_end(&pairs[i][1]);
    }
}

static struct sandbox *new_sandbox(enum sandbox_mode mode, struct err *err)
{
    struct sandbox *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, ENOMEM, "no memory for the sandbox");
        return NULL;
    }
    s->mode = mode;
    s->broker_fd = -1;
    pthread_mutex_init(&s->broker_lock, NULL);
    return s;
}

void sandbox_destroy(struct sandbox *s)
{
    if (!s)
        return;
    if (s->broker_fd >= 0)
        close(s->broker_fd);
    pthread_mutex_destroy(&s->broker_lock);
    free(s);
}

unsigned sandbox_active(const struct sandbox *s)
{
    return s->active;
}

const char *sandbox_describe(const struct sandbox *s)
{
    return s->describe;
}

/* A step that may fail; the result is noted, and with SANDBOX_REQUIRE looked at by the caller. */
static void step(struct sandbox *s, unsigned protection, int result, const struct err *err)
{
    note(s, protection, result, result ? err->msg : "");
}

static void confine(struct sandbox *s, struct launch *l)
{
    struct err err = {0};
    bool in_user_ns = s->active & SANDBOX_USER_NS;
    if (s->active & SANDBOX_MOUNT_NS)
        step(s, SANDBOX_MOUNT_NS, sandbox_empty_root(&err), &err);
    step(s, SANDBOX_RLIMITS, sandbox_set_rlimits(&err), &err);
    int caps = 0;
    if (l->id.was_root || in_user_ns)
        caps = sandbox_drop_bounding_set(&err);
    step(s, SANDBOX_NO_CAPS, caps, &err);
    step(s, SANDBOX_UID, sandbox_drop_uid(&l->id, &err), &err);
    step(s, SANDBOX_NO_CAPS, caps ? caps : sandbox_drop_caps(&err), &err);
    /* After the change of uid, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int nnp = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                  ? err_sys(&err, errno, "could not set no_new_privs")
                  : 0;
    step(s, SANDBOX_NO_NEW_PRIVS, nnp, &err);
    step(s, SANDBOX_LANDLOCK, sandbox_landlock(&err), &err);
    step(s, SANDBOX_SECCOMP, sandbox_install_handler(&err), &err);
}

static void note_namespaces(struct sandbox *s, const struct launch *l)
{
    unsigned refused = ALL_NS & ~l->hello.granted;
    note(s, l->hello.granted, 0, "");
    if (refused) {
        char why[SANDBOX_REASON_BYTES];
        snprintf(why, sizeof(why), "namespaces refused: %.50s", strerror(l->hello.ns_errno));
        note(s, refused, -1, why);
    }
    if (!l->mapped)
        note(s, SANDBOX_USER_NS, -1, "could not map the uid");
}

/* The monitor's part. Returns when it is caged; otherwise ends the process. */
static void become_monitor(struct launch *l, struct sandbox *s)
{
    uint8_t nothing;
    close_end(&l->up[0]);
    close_end(&l->broker[0]);
    /* Until then the middle is the parent whose death PR_SET_PDEATHSIG would announce. */
    (void)!read(l->ended[0], &nothing, 1);
    s->launched = true;
    s->broker_fd = l->broker[1];
    l->broker[1] = -1;
    note_namespaces(s, l);
    confine(s, l);
    compose_description(s);
    struct report report = {0};
    if (s->missing && s->mode == SANDBOX_REQUIRE) {
        report.code = EPERM;
        snprintf(report.msg, sizeof(report.msg),
                 "cannot have the whole sandbox (%.300s): use --sandbox auto to go on without",
                 s->describe);
    }
    if (write(l->up[1], &report, sizeof(report)) != sizeof(report) || report.code)
        _exit(1);
    close_channels(l);
    pthread_sigmask(SIG_SETMASK, &l->old_mask, NULL);
}

/* The middle's part: it returns only in the monitor, its child. */
static void become_middle(struct launch *l, struct sandbox *s)
{
    close_end(&l->go[1]);
    close_end(&l->ended[1]);
    l->hello.ns_errno = sandbox_unshare(l->id.was_root, &l->hello.granted);
    if (write(l->up[1], &l->hello, sizeof(l->hello)) != sizeof(l->hello) ||
        read(l->go[0], &l->mapped, 1) != 1)
        _exit(1); /* the launcher is gone */
    close_end(&l->go[0]);
    struct born born = {.pid = fork()};
    if (born.pid == 0) {
        become_monitor(l, s);
        return;
    }
    _exit(write(l->up[1], &born, sizeof(born)) != sizeof(born));
}

/* All that the monitor uses is its own from here on: a descriptor that stayed open here would keep
 * image locks and its peers' connections alive after it let go of them. */
static void close_all_but(int a, int b, int c)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int limit = (int)sysconf(_SC_OPEN_MAX);
    int keep[] = {2, a, b, c};
    int from = 0;
    for (;;) { /* closes the gaps between the kept ones, in order */
        int next = limit;
        for (size_t i = 0; i < ARRAY_LEN(keep); i++)
            if (keep[i] >= from && keep[i] < next)
                next = keep[i];
        if (null >= from && null < next)
            next = null;
        if (next > from)
            syscall(SYS_close_range, (unsigned)from, (unsigned)next - 1, 0);
        if (next == limit)
            break;
        from = next + 1;
    }
    if (null > 1) {
        dup2(null, 0);
        dup2(null, 1);
    }
}

/* The launcher sleeps for as long as the VM lives: the pages of its program and libraries, which
 * the monitor has mapped too, come back as they are needed. Only code is clean for certain. */
static void let_go_of_code(void)
{
    char line[512], perms[5];
    unsigned long begin, end;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, perms) == 3 && strcmp(perms, "r-xp") == 0 &&
            strchr(line, '/'))
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    if (maps)
        fclose(maps);
}

/* Sees the monitor through its birth; *monitor is set as soon as there is one. */
static int await_monitor(struct launch *l, pid_t middle, pid_t *monitor, struct err *err)
{
    struct err map_err = {0};
    struct born born = {.pid = -1};
    struct report report = {.code = EIO, .msg = "the monitor ended while it was being caged"};
    if (read(l->up[0], &l->hello, sizeof(l->hello)) == sizeof(l->hello)) {
        l->mapped = 1;
        if (l->hello.granted & SANDBOX_USER_NS && sandbox_map_ids(middle, &l->id, &map_err)) {
            log_line(LOG_WARN, "sandbox", "%s", map_err.msg);
            l->mapped = 0;
        }
        if (write(l->go[1], &l->mapped, 1) == 1 &&
            read(l->up[0], &born, sizeof(born)) == sizeof(born) && born.pid > 0)
            *monitor = born.pid;
    }
    close_end(&l->go[1]);
    waitpid(middle, NULL, 0);
    close_end(&l->ended[1]);
    if (*monitor > 0)
        (void)!read(l->up[0], &report, sizeof(report));
    return report.code ? err_set(err, report.code, "%s", report.msg) : 0;
}

static int watch(struct launch *l, struct sandbox_broker *b, struct err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGQUIT);
    b->child_pidfd = (int)syscall(SYS_pidfd_open, b->child, 0);
    b->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (b->child_pidfd < 0 || b->signal_fd < 0)
        return err_sys(err, errno, "could not watch the monitor");
    return 0;
}

/* The launcher's part. Returns only when the launch failed. */
static int become_broker(struct launch *l, pid_t middle, struct err *err)
{
    close_end(&l->go[0]);
    close_end(&l->up[1]);
    close_end(&l->ended[0]);
    close_end(&l->broker[1]);
    struct sandbox_broker broker = {.fd = l->broker[0], .config = l->config, .child = -1};
    int r = await_monitor(l, middle, &broker.child, err);
    if (!r)
        r = watch(l, &broker, err);
    if (r) {
        if (broker.child > 0) {
            kill(broker.child, SIGKILL);
            waitpid(broker.child, NULL, 0);
        }
        return r;
    }
    close_all_but(broker.fd, broker.child_pidfd, broker.signal_fd);
    let_go_of_code();
    _exit(sandbox_broker_run(&broker));
}

static int open_channels(struct launch *l, struct err *err)
{
    memset(l->go, -1, sizeof(l->go));
    memset(l->up, -1, sizeof(l->up));
    memset(l->ended, -1, sizeof(l->ended));
    memset(l->broker, -1, sizeof(l->broker));
    if (pipe2(l->go, O_CLOEXEC) || pipe2(l->up, O_CLOEXEC) || pipe2(l->ended, O_CLOEXEC) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, l->broker))
        return err_sys(err, errno, "could not make the launcher's channels");
    return 0;
}

static int launch(struct launch *l, struct sandbox *s, struct err *err)
{
    int r = open_channels(l, err);
    if (r)
        return r;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &l->old_mask);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        r = err_sys(err, errno, "could not become a subreaper");
    pid_t middle = r ? -1 : fork();
    if (!r && middle < 0)
        r = err_sys(err, errno, "could not fork the monitor");
    if (middle == 0) {
        become_middle(l, s);
        return 0;
    }
    if (!r)
        r = become_broker(l, middle, err);
    pthread_sigmask(SIG_SETMASK, &l->old_mask, NULL);
    return r;
}

int sandbox_launch(const struct sandbox_config *config, struct sandbox **sandbox, struct err *err)
{
    struct sandbox *s = new_sandbox(config->mode, err);
    if (!s)
        return -ENOMEM;
    if (config->mode == SANDBOX_OFF) {
        snprintf(s->describe, sizeof(s->describe), "off");
        *sandbox = s;
        return 0;
    }
    struct launch l = {.config = config};
    sandbox_choose_identity(config, &l.id);
    int r = launch(&l, s, err);
    if (r) {
        close_channels(&l);
        sandbox_destroy(s);
        return r;
    }
    *sandbox = s;
    return 0;
}
