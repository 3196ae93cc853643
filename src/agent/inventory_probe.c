/* What the monitor says of this host: it is asked, and not guessed at, because it is what will run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/inventory_internal.h"
#include "base/clock.h"
#include "base/util.h"

#define LIMIT_NS (INT64_C(10) * 1000000000)

static _Noreturn void become(const char *path, const char *flag, const char *value, int out)
{
    const char *argv[] = {path, flag, value, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(out, 1) >= 0 && dup2(null, 2) >= 0)
        execv(path, (char *const *)argv);
    _exit(127);
}

/* All that it writes until it closes its output or the time is over. */
static void collect(int fd, char *text, size_t size)
{
    int64_t end_ns = clock_now_ns() + LIMIT_NS;
    size_t used = 0;
    for (int64_t left = LIMIT_NS; left > 0 && used < size - 1; left = end_ns - clock_now_ns()) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
            continue;
        ssize_t n = read(fd, text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = 0;
}

/* Runs the monitor; its exit status, 128: it did not end, or -errno. */
static int ask(const char *path, const char *flag, const char *value, char *text, size_t size)
{
    int out[2], status;
    text[0] = 0;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        become(path, flag, value, out[1]);
    close(out[1]);
    if (pid > 0)
        collect(out[0], text, size);
    close(out[0]);
    if (pid < 0)
        return -EAGAIN;
    kill(pid, SIGKILL); /* what has closed its output has ended, or will not */
    if (waitpid(pid, &status, 0) < 0)
        return -errno;
    text[strcspn(text, "\n")] = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int probe_engine(const char *path, const char *name, struct api_arena *arena,
                        struct link_engine *out)
{
    char text[512];
    int status = ask(path, "--probe", name, text, sizeof(text));
    out->name = (struct api_text){API_VALUE, name};
    out->usable = (struct api_bool){API_VALUE, status == 0};
    if (!status)
        return 0;
    if (status < 0 || status >= 126 || !text[0])
        snprintf(text, sizeof(text), "%.400s did not say whether it can run guests (%d)", path,
                 status);
    char *copy = api_arena_text(arena, text, strlen(text));
    if (!copy)
        return -ENOMEM;
    out->reason = (struct api_text){API_VALUE, copy};
    return 0;
}

int inventory_probe(const char *vmm_path, struct api_arena *arena, struct link_inventory *out,
                    struct err *err)
{
    static const char *const NAMES[] = {"kvm", "soft"};
    char text[512];
    struct link_engine *engines = api_arena_array(arena, ARRAY_LEN(NAMES), sizeof(*engines));
    if (!engines)
        return inventory_full(err);
    for (unsigned i = 0; i < ARRAY_LEN(NAMES); i++)
        if (probe_engine(vmm_path, NAMES[i], arena, &engines[i]))
            return inventory_full(err);
    out->engines.is = API_VALUE;
    out->engines.n = ARRAY_LEN(NAMES);
    out->engines.v = engines;
    if (!ask(vmm_path, "--version", NULL, text, sizeof(text)) && strchr(text, ' ')) {
        const char *version = strchr(text, ' ') + 1;
        char *copy = api_arena_text(arena, version, MIN(strlen(version), 63));
        if (!copy)
            return inventory_full(err);
        out->vmm_version = (struct api_text){API_VALUE, copy};
    }
    return 0;
}
