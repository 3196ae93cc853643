/* Namespaces: what the monitor can see of the host, which is nothing. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/sandbox_internal.h"

#define INNER (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static unsigned protections_of(int flags)
{
    return (flags & CLONE_NEWUSER ? SANDBOX_USER_NS : 0) |
           (flags & CLONE_NEWNS ? SANDBOX_MOUNT_NS : 0) |
           (flags & CLONE_NEWPID ? SANDBOX_PID_NS : 0) |
           (flags & CLONE_NEWNET ? SANDBOX_NET_NS : 0) |
           (flags & CLONE_NEWIPC ? SANDBOX_IPC_NS : 0);
}

int sandbox_unshare(bool was_root, unsigned *granted)
{
    static const int tries[] = {
        CLONE_NEWUSER | INNER,
        CLONE_NEWUSER | (INNER & ~CLONE_NEWNET),
        INNER, /* root where user namespaces are switched off */
        INNER & ~CLONE_NEWNET,
        CLONE_NEWUSER,
    };
    int first_errno = 0;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        if (!(tries[i] & CLONE_NEWUSER) && !was_root)
            continue;
        if (!unshare(tries[i])) {
            *granted = protections_of(tries[i]);
            return first_errno;
        }
        if (!first_errno)
            first_errno = errno;
    }
    *granted = 0;
    return first_errno;
}

static int write_file(pid_t child, const char *name, const char *text, struct err *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "could not open %s", path);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return err_sys(err, errno, "could not write \"%s\" to %s", text, path);
    return 0;
}

int sandbox_map_ids(pid_t child, const struct sandbox_identity *id, struct err *err)
{
    char text[64];
    snprintf(text, sizeof(text), "%u %u 1", id->uid, id->uid);
    int r = write_file(child, "uid_map", text, err);
    /* Spec: user_namespaces(7): without privilege the gid map needs setgroups(2) denied first. */
    if (!r && !id->was_root)
        r = write_file(child, "setgroups", "deny", err);
    snprintf(text, sizeof(text), "%u %u 1", id->gid, id->gid);
    return r ? r : write_file(child, "gid_map", text, err);
}

int sandbox_empty_root(struct err *err)
{
    static const char *const places[] = {"/tmp", "/run", "/var", "/proc", "/dev"};
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return err_sys(err, errno, "could not make the mounts private");
    size_t i = 0;
    while (i < ARRAY_LEN(places) &&
           mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                 "size=4k,nr_inodes=1,mode=0555"))
        i++;
    if (i == ARRAY_LEN(places))
        return err_sys(err, errno, "could not mount an empty root on any of /tmp to /dev");
    if (chdir(places[i]))
        return err_sys(err, errno, "could not enter the empty root");
    /* pivot_root(".", ".") puts the old root on top of the new one; pivot_root(2), NOTES. */
    if (syscall(SYS_pivot_root, ".", "."))
        return err_sys(err, errno, "could not change the root");
    if (umount2(".", MNT_DETACH))
        return err_sys(err, errno, "could not let go of the old root");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL))
        return err_sys(err, errno, "could not make the empty root read-only");
    if (chdir("/"))
        return err_sys(err, errno, "could not enter the new root");
    return 0;
}
