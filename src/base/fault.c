/* State of the process, as the log's is: which point is armed concerns all its threads. */
#include "base/fault.h"

#include <errno.h>
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
} fault;

static void look(void)
{
    atomic_store(&fault_watched, atomic_load(&fault.left) || fault.passed);
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

int fault_passed(const char *name)
{
    if (fault.passed)
        fault.passed(fault.arg, name);
    if (!atomic_load(&fault.left) || strcmp(fault.name, name) != 0 ||
        atomic_fetch_sub(&fault.left, 1) != 1)
        return 0;
    if (fault.how == FAULT_FAIL)
        return -EIO;
    kill(getpid(), SIGKILL);
    pause();
    return -EIO;
}

int fault_setup_from_env(struct err *err)
{
    static char name[64];
    const char *text = getenv("VIRGA_FAULT");
    unsigned n = 1;
    char how[8] = "kill", rest;
    if (!text || !*text)
        return 0;
    int fields = sscanf(text, "%63[a-z0-9._-]:%u:%7[a-z]%c", name, &n, how, &rest);
    bool fails = !strcmp(how, "fail");
    int colons = 0;
    for (const char *c = text; *c; c++)
        colons += *c == ':';
    if (fields < 1 || fields > 3 || colons != fields - 1 || !n ||
        (!fails && strcmp(how, "kill") != 0))
        return err_set(err, EINVAL, "VIRGA_FAULT is \"%.80s\"; it must be NAME[:N[:kill|fail]]",
                       text);
    fault_arm(name, n, fails ? FAULT_FAIL : FAULT_KILL);
    return 0;
}
