/* The filters of system calls: what each kind of thread may do, and what ends it. */
#include "sandbox/sandbox.h"

#include "sandbox_fixture.h"

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
    TAP_RUN(every_filter_ends_what_no_thread_may_do);
    TAP_RUN(the_threads_that_write_to_consoles_may);
    TAP_RUN(a_file_cannot_be_opened_and_the_library_that_asks_goes_on);
    TAP_RUN(the_main_thread_can_still_start_others);
    return tap_done();
}
