/* State of the process, as the log's is: which point is armed concerns all its threads. */
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Atomic bool fault_watched;

static struct {
    const char *name;
    _Atomic unsigned left;
    enum fault_how how;
    void (*passed)(void *arg, const char *name);
    void *arg;
    const char *dir; /* of `armed` and `passed` */
    pthread_mutex_t lock;
    char text[96]; /* what `armed` said last, and how often its point was passed since */
    unsigned n;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int parse(const char *text, char name[64], unsigned *n, enum fault_how *how);

static void look(void)
{
    atomic_store(&fault_watched, atomic_load(&fault.left) || fault.passed || fault.dir);
}

void fault_arm(const char *name, unsigned n, enum fault_how how)
{
    fault.name = name;
    fault.how = how;
    atomic_store(&fault.left, n);
    look();
}

void fault_tell(void (*passed)(void *arg, const char *name), void *arg)
{
    fault.passed = passed;
    fault.arg = arg;
    look();
}

static int happens(enum fault_how how)
{
    if (how == FAULT_FAIL)
        return -EIO;
    kill(getpid(), SIGKILL);
    pause();
    return -EIO;
}

/* ---- armed by a file ---- */

static void write_down(const char *name)
{
    char path[512], line[96];
    snprintf(path, sizeof(path), "%s/passed", fault.dir);
    int bytes = snprintf(line, sizeof(line), "%d %s\n", (int)getpid(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    (void)!write(fd, line, (size_t)bytes);
    close(fd);
}

/* Whether it is time, by the file; the file goes then. */
static bool is_time(const char *name, enum fault_how *how)
{
    char path[512], text[sizeof(fault.text)] = "", armed[64];
    unsigned n;
    snprintf(path, sizeof(path), "%s/armed", fault.dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fault.text[0] = 0;
        return false;
    }
    (void)!read(fd, text, sizeof(text) - 1);
    close(fd);
    if (strcmp(text, fault.text) != 0) {
        snprintf(fault.text, sizeof(fault.text), "%s", text);
        fault.n = 0;
    }
    if (parse(text, armed, &n, how) || strcmp(armed, name) != 0 || ++fault.n < n)
        return false;
    return unlink(path) == 0; /* of two programs one */
}

static int passed_by_file(const char *name)
{
    enum fault_how how = FAULT_KILL;
    pthread_mutex_lock(&fault.lock);
    write_down(name);
    bool now = is_time(name, &how);
    int ret = now ? happens(how) : 0;
    pthread_mutex_unlock(&fault.lock);
    return ret;
}

/* ---- points ---- */

int fault_passed(const char *name)
{
    if (fault.passed)
        fault.passed(fault.arg, name);
    if (fault.dir)
        return passed_by_file(name);
    if (!atomic_load(&fault.left) || strcmp(fault.name, name) != 0 ||
        atomic_fetch_sub(&fault.left, 1) != 1)
        return 0;
    return happens(fault.how);
}

/* NAME[:N[:HOW]] */
static int parse(const char *text, char name[64], unsigned *n, enum fault_how *how)
{
    char word[8] = "kill", rest;
    *n = 1;
    int fields = sscanf(text, "%63[a-z0-9._-]:%u:%7[a-z]%c", name, n, word, &rest);
    bool fails = !strcmp(word, "fail");
    int colons = 0;
    for (const char *c = text; *c; c++)
        colons += *c == ':';
    if (fields < 1 || fields > 3 || colons != fields - 1 || !*n ||
        (!fails && strcmp(word, "kill") != 0))
        return -EINVAL;
    *how = fails ? FAULT_FAIL : FAULT_KILL;
    return 0;
}

int fault_setup_from_env(struct err *err)
{
    static char name[64];
    const char *text = getenv("VIRGA_FAULT");
    enum fault_how how;
    unsigned n;
    if (!text || !*text)
        return 0;
    if (text[0] == '@' && text[1]) {
        fault.dir = text + 1;
        look();
        return 0;
    }
    if (parse(text, name, &n, &how))
        return err_set(err, EINVAL,
                       "VIRGA_FAULT is \"%.80s\"; it must be NAME[:N[:kill|fail]] or @DIR", text);
    fault_arm(name, n, how);
    return 0;
}
