/* What the monitor may do as a process: its uid, capabilities, limits and Landlock. No library:
 * these are a dozen system calls, and what the monitor does not link it cannot be made to run. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/sandbox_internal.h"

/* Uids that no distribution gives out: systemd's table of uid ranges has 1879048192 to 2147352575
 * unused. 2^27 of them, chosen by the VM's uuid, so that two VMs practically never share one. */
#define UID_BASE 0x70000000u
#define UID_MASK 0x07ffffffu
#define NOBODY   65534u

#define NOFILE_MAX 4096

/* Whether this process's user namespace has a number for `uid`: in a container it may not. */
static bool uid_is_mapped(uid_t uid)
{
    FILE *f = fopen("/proc/self/uid_map", "re");
    if (!f)
        return false;
    unsigned inside, outside, count;
    bool found = false;
    while (!found && fscanf(f, "%u %u %u", &inside, &outside, &count) == 3)
        found = uid >= inside && uid - inside < count;
    fclose(f);
    return found;
}

void sandbox_choose_identity(const struct sandbox_config *config, struct sandbox_identity *id)
{
    id->was_root = geteuid() == 0;
    id->uid = config->uid;
    id->gid = config->gid;
    if (!id->was_root) {
        id->uid = geteuid();
        id->gid = getegid();
    } else if (!id->uid) {
        uint32_t h = 2166136261u; /* FNV-1a */
        for (int i = 0; i < 16; i++)
            h = (h ^ config->uuid[i]) * 16777619u;
        id->uid = UID_BASE + (h & UID_MASK);
        if (!uid_is_mapped(id->uid))
            id->uid = NOBODY;
    }
    if (id->was_root && !id->gid)
        id->gid = id->uid;
}

int sandbox_drop_bounding_set(struct err *err)
{
    for (int cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
            break; /* past the last one that this kernel knows */
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
            return err_sys(err, errno, "could not drop capability %d from the bounding set", cap);
    }
    return 0;
}

int sandbox_drop_uid(const struct sandbox_identity *id, struct err *err)
{
    /* An ordinary user's groups cannot be given up: its namespace denies setgroups(2). */
    if (id->was_root && setgroups(0, NULL))
        return err_sys(err, errno, "could not drop the supplementary groups");
    if (setresgid(id->gid, id->gid, id->gid))
        return err_sys(err, errno, "could not become gid %u", id->gid);
    if (setresuid(id->uid, id->uid, id->uid))
        return err_sys(err, errno, "could not become uid %u", id->uid);
    return 0;
}

int sandbox_drop_caps(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        return err_sys(err, errno, "could not clear the ambient capabilities");
    if (syscall(SYS_capset, &header, none))
        return err_sys(err, errno, "could not drop the capabilities");
    return 0;
}

static int lower(int what, const char *name, rlim_t limit, struct err *err)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)what, &r))
        return err_sys(err, errno, "could not read the limit %s", name);
    r.rlim_max = MIN(r.rlim_max, limit);
    r.rlim_cur = r.rlim_max;
    if (setrlimit((__rlimit_resource_t)what, &r))
        return err_sys(err, errno, "could not lower the limit %s", name);
    return 0;
}

/* Not FSIZE (images are large), AS or NPROC (guest RAM and threads are the machine's to decide, the
 * filters let no process be made), nor MEMLOCK (io_uring and prealloc need what there is). */
int sandbox_set_rlimits(struct err *err)
{
    int r = lower(RLIMIT_CORE, "core", 0, err); /* a core would hold the guest's memory */
    if (!r)
        r = lower(RLIMIT_NOFILE, "nofile", NOFILE_MAX, err);
    if (!r)
        r = lower(RLIMIT_MSGQUEUE, "msgqueue", 0, err);
    return r;
}

/* Landlock by the kernel's numbers: the headers of the distributions that we build on know ABI 2,
 * kernels ABI 7. Source: Documentation/userspace-api/landlock.rst. */
struct landlock_ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
#define LANDLOCK_VERSION_FLAG 1u

/* All rights of an ABI: handled, with no rule that grants any. */
static const struct {
    uint64_t fs, net, scoped;
} landlock_abi[] = {
    {0, 0, 0},          {0x1fff, 0, 0}, /* 1: 13 rights */
    {0x3fff, 0, 0},                     /* 2: refer */
    {0x7fff, 0, 0},                     /* 3: truncate */
    {0x7fff, 0x3, 0},                   /* 4: TCP bind and connect */
    {0xffff, 0x3, 0},                   /* 5: ioctl on devices opened later */
    {0xffff, 0x3, 0x3},                 /* 6: abstract unix sockets, signals */
};

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self  446
#endif

int sandbox_landlock(struct err *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
    if (abi < 1)
        return err_sys(err, errno, "this kernel has no Landlock");
    size_t known = MIN((size_t)abi, ARRAY_LEN(landlock_abi) - 1);
    struct landlock_ruleset set = {landlock_abi[known].fs, landlock_abi[known].net,
                                   landlock_abi[known].scoped};
    size_t bytes = set.scoped ? sizeof(set) : set.handled_access_net ? 16 : 8;
    CLEANUP_CLOSE int fd = (int)syscall(SYS_landlock_create_ruleset, &set, bytes, 0);
    if (fd < 0)
        return err_sys(err, errno, "could not make a Landlock ruleset (ABI %ld)", abi);
    if (syscall(SYS_landlock_restrict_self, fd, 0))
        return err_sys(err, errno, "could not enter Landlock");
    return 0;
}
