/* The cage, tried from inside: each case launches a monitor that checks what it can still do. */
#include "sandbox/sandbox.h"

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

static void refuse_unshare(void)
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

static void launcher(const struct options *o, monitor_fn *fn)
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
static pid_t start(const struct options *o, monitor_fn *fn, int *said)
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

static void finish(pid_t pid, int said, struct run *r)
{
    size_t n = 0;
    ssize_t got;
    while (n < sizeof(r->said) - 1 && (got = read(said, r->said + n, sizeof(r->said) - 1 - n)) > 0)
        n += (size_t)got;
    r->said[n] = '\0';
    close(said);
    waitpid(pid, &r->status, 0);
}

static struct run run(const struct options *o, monitor_fn *fn)
{
    struct run r = {.status = -1};
    int said;
    pid_t pid = start(o, fn, &said);
    if (pid > 0)
        finish(pid, said, &r);
    return r;
}

static bool ended_with(const struct run *r, int status)
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

static bool no_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {{0}};
    if (syscall(SYS_capget, &header, d))
        return false;
    for (int i = 0; i < 2; i++)
        if (d[i].effective || d[i].permitted || d[i].inheritable)
            return false;
    return prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0 ||
           !(d[0].effective | d[0].permitted);
}

static int has_nothing_left(struct sandbox *s)
{
    struct rlimit core;
    HOLDS(2, geteuid() != 0 && getuid() == geteuid());
    HOLDS(3, no_capabilities());
    HOLDS(4, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    HOLDS(5, open("/etc/passwd", O_RDONLY) < 0);
    HOLDS(6, open("/", O_RDONLY | O_DIRECTORY) < 0);
    HOLDS(7, open("/x", O_WRONLY | O_CREAT, 0600) < 0);
    HOLDS(8, mkdir("/d", 0700) < 0);
    HOLDS(9, !getrlimit(RLIMIT_CORE, &core) && core.rlim_max == 0);
    HOLDS(10, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    HOLDS(11, getgroups(0, NULL) == 0 || !(sandbox_active(s) & SANDBOX_UID) || getuid() == 65534);
    HOLDS(12, setresuid(0, 0, 0) < 0);
    return 0;
}

static int sees_no_other_process(struct sandbox *s)
{
    struct sockaddr_in_like {
        sa_family_t family;
        uint8_t bytes[14];
    } loopback = {AF_INET, {0, 80, 127, 0, 0, 1}};
    HOLDS(2, getpid() == 1 && getppid() == 0);
    HOLDS(3, kill(2, 0) < 0 && errno == ESRCH);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    HOLDS(4, fd < 0 || connect(fd, (struct sockaddr *)&loopback, sizeof(loopback)) < 0);
    HOLDS(5, access("/proc/self", F_OK) < 0);
    HOLDS(6, sandbox_active(s) & SANDBOX_NET_NS);
    return has_nothing_left(s);
}

static void as_root_the_monitor_has_nothing_left(void)
{
    if (geteuid())
        SKIP("needs root");
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r = run(&o, has_nothing_left);
    CHECK(ended_with(&r, 0));
    CHECK(strstr(r.said, "uid"));
}

static void as_root_in_namespaces_it_sees_nobody_else(void)
{
    if (geteuid())
        SKIP("needs root");
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r = run(&o, sees_no_other_process);
    if (strstr(r.said, "namespaces refused"))
        SKIP("this kernel refuses namespaces");
    CHECK(ended_with(&r, 0));
}

static void as_an_ordinary_user_it_is_caged_too(void)
{
    struct options o = {.mode = SANDBOX_AUTO, .as_nobody = geteuid() == 0};
    struct run r = run(&o, sees_no_other_process);
    if (strstr(r.said, "namespaces refused"))
        SKIP("this kernel refuses namespaces to ordinary users");
    CHECK(ended_with(&r, 0));
}

static void goes_on_without_namespaces_and_says_so(void)
{
    struct options o = {.mode = SANDBOX_AUTO, .no_namespaces = true};
    struct run r = run(&o, has_nothing_left);
    CHECK(strstr(r.said, "missing: user-ns mount-ns pid-ns net-ns ipc-ns"));
    CHECK(strstr(r.said, "Operation not permitted"));
    CHECK(ended_with(&r, 0));
}

static int never_runs(struct sandbox *s)
{
    return 3;
}

static void require_refuses_what_is_not_whole(void)
{
    struct options o = {.mode = SANDBOX_REQUIRE, .no_namespaces = true};
    struct run r = run(&o, never_runs);
    CHECK(ended_with(&r, LAUNCH_FAILED));
    CHECK(strstr(r.said, "cannot have the whole sandbox"));
    CHECK(strstr(r.said, "--sandbox auto"));
}

static int exits_with_42(struct sandbox *s)
{
    return 42;
}

static int kills_itself(struct sandbox *s)
{
    __builtin_trap();
}

static void the_launcher_ends_as_the_monitor_did(void)
{
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r = run(&o, exits_with_42);
    CHECK(ended_with(&r, 42));
    r = run(&o, kills_itself);
    CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) != 0);
}

static volatile sig_atomic_t told;

static void on_term(int sig)
{
    told = 1;
}

static int waits_for_term(struct sandbox *s)
{
    sigset_t term, old;
    struct sigaction sa = {.sa_handler = on_term};
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &old);
    sigaction(SIGTERM, &sa, NULL);
    dprintf(2, "ready\n");
    while (!told)
        sigsuspend(&old);
    return 7;
}

static bool wait_for_line(int said)
{
    char line[16] = "";
    return read(said, line, sizeof(line) - 1) > 0 && strstr(line, "ready");
}

static void a_signal_to_the_launcher_reaches_the_monitor(void)
{
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r;
    int said;
    pid_t pid = start(&o, waits_for_term, &said);
    REQUIRE(pid > 0 && wait_for_line(said));
    kill(pid, SIGTERM);
    finish(pid, said, &r);
    CHECK(ended_with(&r, 7));
}

static void the_monitor_does_not_outlive_its_launcher(void)
{
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r;
    int said;
    pid_t pid = start(&o, waits_for_term, &said);
    REQUIRE(pid > 0 && wait_for_line(said));
    kill(pid, SIGKILL);
    /* The pipe closes only when the monitor, its other writer, is gone as well. */
    struct pollfd p = {.fd = said, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 10000), 1);
    finish(pid, said, &r);
    CHECK(WIFSIGNALED(r.status));
}

static char dir[] = "/tmp/test-sandbox-XXXXXX";
static char allowed[64], numbered[64], listed_number[72], unlisted[64];

static int talk(int fd)
{
    char c = 0;
    if (fd < 0)
        return fd;
    int r = read(fd, &c, 1) == 1 && c == 'v' ? 0 : -EIO;
    close(fd);
    return r;
}

static int connects_through_the_broker(struct sandbox *s)
{
    HOLDS(2, talk(sandbox_connect(s, allowed)) == 0);
    HOLDS(3, talk(sandbox_connect(s, listed_number)) == 0);
    HOLDS(4, sandbox_connect(s, unlisted) == -EACCES);
    HOLDS(5, sandbox_connect(s, numbered) == -EACCES);
    HOLDS(6, sandbox_connect(s, "") == -EACCES);
    char sneaky[160];
    snprintf(sneaky, sizeof(sneaky), "%s1/../x", numbered);
    HOLDS(7, sandbox_connect(s, sneaky) == -EACCES);
    memset(sneaky, 'a', sizeof(sneaky) - 1);
    sneaky[sizeof(sneaky) - 1] = '\0';
    HOLDS(8, sandbox_connect(s, sneaky) == -ENAMETOOLONG);
    return 0;
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4))
        return -1;
    return fd;
}

static void the_broker_connects_what_is_on_its_list_and_nothing_else(void)
{
    REQUIRE(mkdtemp(dir));
    chmod(dir, 0755);
    snprintf(allowed, sizeof(allowed), "%s/peer", dir);
    snprintf(unlisted, sizeof(unlisted), "%s/other", dir);
    snprintf(numbered, sizeof(numbered), "%s/vm_", dir);
    snprintf(listed_number, sizeof(listed_number), "%s1024", numbered);
    int listeners[] = {listen_at(allowed), listen_at(listed_number), listen_at(unlisted)};
    struct options o = {
        .mode = SANDBOX_AUTO, .allow = allowed, .allow_numbered = numbered, .remove = unlisted};
    struct run r;
    int said;
    pid_t pid = start(&o, connects_through_the_broker, &said);
    for (int i = 0; i < 2; i++) {
        struct pollfd p = {.fd = listeners[i], .events = POLLIN};
        REQUIRE(poll(&p, 1, 10000) == 1);
        int fd = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC);
        CHECK_EQ(write(fd, "v", 1), 1);
        close(fd);
    }
    finish(pid, said, &r);
    CHECK(ended_with(&r, 0));
    CHECK(access(unlisted, F_OK) < 0); /* removed at the end */
    unlink(allowed);
    unlink(listed_number);
    rmdir(dir);
    for (size_t i = 0; i < ARRAY_LEN(listeners); i++)
        close(listeners[i]);
}

static int opens_and_forks_freely(struct sandbox *s)
{
    HOLDS(2, sandbox_active(s) == 0);
    HOLDS(3, open("/etc/passwd", O_RDONLY) >= 0);
    struct err err = {0};
    HOLDS(4, sandbox_enter_thread(s, SANDBOX_THREAD_VCPU, &err) == 0);
    HOLDS(5, socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    return 0;
}

static void off_is_off(void)
{
    struct options o = {.mode = SANDBOX_OFF};
    struct run r = run(&o, opens_and_forks_freely);
    CHECK(ended_with(&r, 0));
    CHECK(strstr(r.said, "cage: off"));
}

/* The call that a filter must end, by number, and the kind whose filter it is. */
static long forbidden_nr, forbidden_args[3];
static enum sandbox_thread forbidden_kind;

static int makes_a_forbidden_call(struct sandbox *s)
{
    struct err err = {0};
    if (!(sandbox_active(s) & SANDBOX_SECCOMP))
        return 78;
    HOLDS(2, sandbox_enter_thread(s, forbidden_kind, &err) == 0);
    syscall(forbidden_nr, forbidden_args[0], forbidden_args[1], forbidden_args[2]);
    return 3;
}

static void every_filter_ends_what_no_thread_may_do(void)
{
    static const struct {
        long nr;
        long args[3];
        const char *name;
    } calls[] = {
        {SYS_open, {0}, "name=open "},
        {SYS_execve, {0}, "name=execve "},
        {SYS_socket, {AF_INET, SOCK_STREAM, 0}, "name=socket "},
        {SYS_ptrace, {PTRACE_TRACEME, 0, 0}, "name=ptrace "},
        {SYS_fork, {0}, "name=fork "},
        {SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}, "name=mmap "},
        {SYS_mprotect, {0, 0, PROT_EXEC}, "name=mprotect "},
        {SYS_ioctl, {0, 0x5412, 0}, "name=ioctl "}, /* TIOCSTI: types into the user's terminal */
        {SYS_kill, {0x7ffffffe, 0, 0}, "name=kill "},
        {SYS_unshare, {0}, "name=unshare "},
        {SYS_bpf, {0}, "name=bpf "},
        {SYS_process_vm_readv, {0}, "name=process_vm_readv "},
    };
    for (int kind = 0; kind < SANDBOX_N_THREADS; kind++)
        for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
            struct options o = {.mode = SANDBOX_AUTO};
            forbidden_nr = calls[i].nr;
            memcpy(forbidden_args, calls[i].args, sizeof(forbidden_args));
            forbidden_kind = (enum sandbox_thread)kind;
            struct run r = run(&o, makes_a_forbidden_call);
            if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 78)
                SKIP("no filters in a build with sanitizers");
            CHECK(ended_with(&r, 128 + SIGSYS));
            CHECK(strstr(r.said, calls[i].name));
        }
}

static int opens_a_file(struct sandbox *s)
{
    struct err err = {0};
    if (!(sandbox_active(s) & SANDBOX_SECCOMP))
        return 78;
    HOLDS(2, sandbox_enter_thread(s, forbidden_kind, &err) == 0);
    HOLDS(3, open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
    return 0;
}

static void a_file_cannot_be_opened_and_the_library_that_asks_goes_on(void)
{
    for (int kind = 0; kind < SANDBOX_N_THREADS; kind++) {
        struct options o = {.mode = SANDBOX_AUTO, .no_namespaces = true};
        forbidden_kind = (enum sandbox_thread)kind;
        struct run r = run(&o, opens_a_file);
        if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 78)
            SKIP("no filters in a build with sanitizers");
        CHECK(ended_with(&r, 0));
    }
}

static int writes_to_a_console(struct sandbox *s)
{
    struct err err = {0};
    char byte = 0;
    int fd = memfd_create("console", MFD_CLOEXEC);
    HOLDS(2, sandbox_enter_thread(s, forbidden_kind, &err) == 0);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    HOLDS(3, poll(&p, 1, 0) == 1);
    HOLDS(4, write(fd, &byte, 1) == 1 && pwrite(fd, &byte, 1, 1) == 1);
    HOLDS(5, pread(fd, &byte, 1, 0) == 1 && ftruncate(fd, 1) == 0);
    return 0;
}

/* A terminal, a socket or a file with a bound: machine/serial_port.c. */
static void the_threads_that_write_to_consoles_may(void)
{
    static const enum sandbox_thread kinds[] = {SANDBOX_THREAD_MAIN, SANDBOX_THREAD_VCPU,
                                                SANDBOX_THREAD_NET};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct options o = {.mode = SANDBOX_AUTO, .no_namespaces = true};
        forbidden_kind = kinds[i];
        struct run r = run(&o, writes_to_a_console);
        CHECK(ended_with(&r, 0));
    }
}

static void *a_disk_thread(void *arg)
{
    struct err err = {0};
    pthread_setname_np(pthread_self(), "disk0");
    int r = sandbox_enter_named_thread(arg, "disk0", &err);
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return r == 0 && p != MAP_FAILED ? arg : NULL;
}

static void *nothing(void *arg)
{
    return arg;
}

static int starts_a_thread_under_its_filter(struct sandbox *s)
{
    struct err err = {0};
    pthread_t first; /* the C library sets its signals up with the first thread of all */
    HOLDS(6, !pthread_create(&first, NULL, nothing, NULL) && !pthread_join(first, NULL));
    if (!(sandbox_active(s) & SANDBOX_SECCOMP))
        return 78;
    HOLDS(2, sandbox_enter_thread(s, SANDBOX_THREAD_MAIN, &err) == 0);
    pthread_t t;
    void *result = NULL;
    HOLDS(3, pthread_create(&t, NULL, a_disk_thread, s) == 0);
    HOLDS(4, pthread_join(t, &result) == 0 && result == s);
    HOLDS(5, sandbox_enter_named_thread(s, "mystery", &err) == -EINVAL);
    return 0;
}

static void the_main_thread_can_still_start_others(void)
{
    struct options o = {.mode = SANDBOX_AUTO};
    struct run r = run(&o, starts_a_thread_under_its_filter);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 78)
        SKIP("no filters in a build with sanitizers");
    CHECK(ended_with(&r, 0));
}

int main(void)
{
    TAP_RUN(as_root_the_monitor_has_nothing_left);
    TAP_RUN(as_root_in_namespaces_it_sees_nobody_else);
    TAP_RUN(as_an_ordinary_user_it_is_caged_too);
    TAP_RUN(goes_on_without_namespaces_and_says_so);
    TAP_RUN(require_refuses_what_is_not_whole);
    TAP_RUN(the_launcher_ends_as_the_monitor_did);
    TAP_RUN(a_signal_to_the_launcher_reaches_the_monitor);
    TAP_RUN(the_monitor_does_not_outlive_its_launcher);
    TAP_RUN(the_broker_connects_what_is_on_its_list_and_nothing_else);
    TAP_RUN(off_is_off);
    TAP_RUN(every_filter_ends_what_no_thread_may_do);
    TAP_RUN(the_threads_that_write_to_consoles_may);
    TAP_RUN(a_file_cannot_be_opened_and_the_library_that_asks_goes_on);
    TAP_RUN(the_main_thread_can_still_start_others);
    return tap_done();
}
