/* The filters: installed in a thread for good; a refused call is named and ends the process. */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "sandbox/sandbox_internal.h"

/* The sanitizers' runtimes make calls of their own at any time; a build with them is a test of the
 * code, not of the filters. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define EXIT_STATUS (128 + SIGSYS)

/* Only write(2) and exit_group(2), which every filter allows, and no library that may lock. */
static size_t put(char *out, size_t at, size_t room, const char *text)
{
    while (*text && at < room)
        out[at++] = *text++;
    return at;
}

static size_t put_hex(char *out, size_t at, size_t room, unsigned long v)
{
    char digits[24];
    size_t n = sizeof(digits);
    digits[--n] = '\0';
    do
        digits[--n] = "0123456789abcdef"[v % 16];
    while (v /= 16);
    return put(out, put(out, at, room, " 0x"), room, digits + n);
}

static void on_refused(int sig, siginfo_t *info, void *context)
{
    static const int registers[] = {REG_RDI, REG_RSI, REG_RDX}; /* of the calling convention */
    char line[200];
    const ucontext_t *u = context;
    unsigned nr = (unsigned)info->si_syscall;
    const char *name = nr < SANDBOX_SYSCALLS ? sandbox_syscall_names[nr] : NULL;
    size_t n = put(line, 0, sizeof(line), "error sandbox: seccomp refused a system call name=");
    n = put(line, n, sizeof(line), name ? name : "unknown");
    n = put(line, n, sizeof(line), " number, arg0-2:");
    n = put_hex(line, n, sizeof(line), nr);
    for (size_t i = 0; i < ARRAY_LEN(registers); i++)
        n = put_hex(line, n, sizeof(line), (unsigned long)u->uc_mcontext.gregs[registers[i]]);
    n = put(line, n, sizeof(line), "\n");
    (void)!write(STDERR_FILENO, line, n);
    for (;;)
        syscall(SYS_exit_group, EXIT_STATUS);
}

int sandbox_install_handler(struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL))
        return err_sys(err, errno, "could not handle SIGSYS");
    if (SANITIZED)
        return err_set(err, ENOTSUP, "no filters in a build with sanitizers");
    return 0;
}

int sandbox_enter_thread(const struct sandbox *s, enum sandbox_thread kind, struct err *err)
{
    if (!(s->active & SANDBOX_SECCOMP))
        return 0;
    const struct sandbox_filter *f = &sandbox_filters[kind];
    struct sock_fprog program = {.len = f->n, .filter = (struct sock_filter *)f->code};
    sigset_t sigsys;
    sigemptyset(&sigsys);
    sigaddset(&sigsys, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &sigsys, NULL);
    if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        return 0;
    int r = err_sys(err, errno, "could not install the seccomp filter of a %s thread", f->name);
    if (s->mode == SANDBOX_REQUIRE)
        return r;
    LOG_LIMITED(LOG_WARN, "sandbox", "a thread runs without its seccomp filter kind=%s error=%s",
                f->name, strerror(-r));
    return 0;
}

int sandbox_enter_named_thread(void *sandbox, const char *thread_name, struct err *err)
{
    static const struct {
        const char *prefix;
        enum sandbox_thread kind;
    } kinds[] = {
        {"cpu", SANDBOX_THREAD_VCPU},    {"vcpu", SANDBOX_THREAD_VCPU},
        {"disk", SANDBOX_THREAD_DISK},   {"blk-worker", SANDBOX_THREAD_WORKER},
        {"blk", SANDBOX_THREAD_DISK},    {"net", SANDBOX_THREAD_NET},
        {"vsock", SANDBOX_THREAD_NET},   {"fs", SANDBOX_THREAD_NET},
        {"console", SANDBOX_THREAD_NET}, {"io", SANDBOX_THREAD_NET},
        {"rng", SANDBOX_THREAD_NET},     {"worker", SANDBOX_THREAD_WORKER},
        {"main", SANDBOX_THREAD_MAIN},
    };
    if (!sandbox)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strncmp(thread_name, kinds[i].prefix, strlen(kinds[i].prefix)))
            return sandbox_enter_thread(sandbox, kinds[i].kind, err);
    return err_set(err, EINVAL, "no filter is known for a thread named \"%s\"", thread_name);
}
