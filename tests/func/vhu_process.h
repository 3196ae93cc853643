/* For functional tests with other people's back ends: start a program, wait for its socket,
 * connect, end it. All files are in a directory of the test's own. */
#ifndef TESTS_FUNC_VHU_PROCESS_H
#define TESTS_FUNC_VHU_PROCESS_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "vhu/vhu_socket.h"

static char process_dir[64];

/* Full path of a name in the test's directory; one of four static buffers. */
static inline char *process_path(const char *name)
{
    static char buf[4][128];
    static unsigned next;
    char *p = buf[next++ % 4];
    snprintf(p, sizeof(buf[0]), "%s/%s", process_dir, name);
    return p;
}

static inline void process_make_dir(void)
{
    snprintf(process_dir, sizeof(process_dir), "/tmp/virga-vhu.XXXXXX");
    if (!mkdtemp(process_dir))
        abort();
}

static inline void process_remove_dir(void)
{
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", process_dir);
    if (system(cmd))
        fprintf(stderr, "could not remove %s\n", process_dir);
}

/* First of the program names that can be executed, or NULL. */
static inline const char *process_find(const char *name)
{
    static const char *const dirs[] = {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/",
                                       "/usr/lib/qemu/"};
    static char path[128];
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        snprintf(path, sizeof(path), "%s%s", dirs[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* Starts a program with its output in the file `log`; it dies with us. */
static inline pid_t process_start(char *const argv[], const char *log)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(argv[0], argv);
    _exit(127);
}

static inline void process_kill(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

/* Connects to a socket that will be there soon. */
static inline int process_connect(const char *path, pid_t pid)
{
    struct err err;
    for (int ms = 0; ms < 20000; ms += 10) {
        int fd = vhu_socket_connect(path, &err);
        if (fd >= 0)
            return fd;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            break;
        usleep(10000);
    }
    printf("# %s\n", err.msg);
    return -1;
}

static inline void process_show(const char *log)
{
    char line[512];
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof(line), f))
        printf("# | %s", line);
    if (f)
        fclose(f);
}

#endif
