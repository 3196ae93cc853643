#include "cli/cli_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/util.h"

int cli_spawn_find(const char *program, const char *variable, char *path, size_t path_bytes,
                   struct err *err)
{
    static const char *const places[] = {"", "../libexec/virga/"};
    const char *given = getenv(variable);
    if (given && *given) {
        snprintf(path, path_bytes, "%s", given);
        return access(path, X_OK) ? err_sys(err, errno, "%s names \"%.200s\", which cannot be run",
                                            variable, given)
                                  : 0;
    }
    char dir[4096];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    if (n <= 0)
        return err_sys(err, errno, "could not find out where this program is");
    dir[n] = '\0';
    *(strrchr(dir, '/') + 1) = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        int len = snprintf(path, path_bytes, "%s%s%s", dir, places[i], program);
        if (len > 0 && (size_t)len < path_bytes && !access(path, X_OK))
            return 0;
    }
    return err_set(err, ENOENT,
                   "there is no %s in \"%.150s\" or \"%.150s../libexec/virga\": "
                   "install it, or name it in %s",
                   program, dir, dir, variable);
}

/* How many words the flag takes here: 0 when argv[0] is another one. */
static int words_of(char *const argv[], const char *flag)
{
    size_t n = strlen(flag);
    if (strncmp(argv[0], flag, n) != 0)
        return 0;
    if (argv[0][n] == '=')
        return 1;
    return argv[0][n] ? 0 : argv[1] ? 2 : 1;
}

/* The monitor's own argv; the flags of consoles that we stand in for are replaced. */
static char **build_argv(const char *path, char *const argv[], const char *console,
                         const char *virtio_console)
{
    size_t n = 0;
    while (argv[n])
        n++;
    char **out = calloc(n + 6, sizeof(*out));
    if (!out)
        return NULL;
    size_t k = 0;
    out[k++] = (char *)path;
    while (*argv) {
        int skip = console[0] ? words_of(argv, "--console") : 0;
        if (!skip && virtio_console[0])
            skip = words_of(argv, "--virtio-console");
        argv += skip;
        if (!skip)
            out[k++] = *argv++;
    }
    if (console[0]) {
        out[k++] = "--console";
        out[k++] = (char *)console;
    }
    if (virtio_console[0]) {
        out[k++] = "--virtio-console";
        out[k++] = (char *)virtio_console;
    }
    return out;
}

static void keep_over_exec(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

static _Noreturn void become(const char *path, char **argv, int fd1, int fd2, pid_t parent)
{
    sigset_t none;
    /* A VM in the foreground ends with whoever runs it, also if that is killed. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) || getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (fd1 >= 0 || fd2 >= 0) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0)
            dup2(null, STDIN_FILENO);
    }
    keep_over_exec(fd1);
    keep_over_exec(fd2);
    execv(path, argv);
    dprintf(STDERR_FILENO, "virga run: could not start \"%s\": %s\n", path, strerror(errno));
    _exit(127);
}

int cli_spawn(const char *path, char *const argv[], int console_fd, int virtio_console_fd,
              pid_t *pid, struct err *err)
{
    char console[24] = "", virtio_console[24] = "";
    if (console_fd >= 0)
        snprintf(console, sizeof(console), "fd:%d", console_fd);
    if (virtio_console_fd >= 0)
        snprintf(virtio_console, sizeof(virtio_console), "fd:%d", virtio_console_fd);
    CLEANUP_FREE char **args = build_argv(path, argv, console, virtio_console);
    if (!args)
        return err_set(err, ENOMEM, "no memory to start the monitor");
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        return err_sys(err, errno, "could not fork the monitor");
    if (child == 0)
        become(path, args, console_fd, virtio_console_fd, parent);
    *pid = child;
    return 0;
}
