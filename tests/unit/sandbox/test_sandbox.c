/* The cage as a whole: what is left to a monitor, how launcher and monitor end, what the broker
 * opens. */
#include "sandbox/sandbox.h"

#include "sandbox_fixture.h"

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
    int said = -1;
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
    int said = -1;
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
    int said = -1;
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
    return tap_done();
}
