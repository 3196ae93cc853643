/* Image locks as QEMU takes them, so that qemu-img, another QEMU and we see each other. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/util.h"
#include "blk/image.h"

#define PERM_BASE   100 /* byte PERM_BASE + n is locked by who does n */
#define SHARED_BASE 200 /* byte SHARED_BASE + n is locked by who lets nobody else do n */

enum { PERM_READ, PERM_WRITE, PERM_WRITE_UNCHANGED, PERM_RESIZE, PERMS };

static const unsigned writer_does = 1 << PERM_READ | 1 << PERM_WRITE | 1 << PERM_RESIZE;
static const unsigned reader_does = 1 << PERM_READ;
/* A writer lets others only write what is there already; so does a reader. */
static const unsigned forbids = 1 << PERM_WRITE | 1 << PERM_RESIZE;

static int lock_byte(int fd, off_t at, short type)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

static int set_locks(int fd, unsigned does, short type)
{
    for (unsigned i = 0; i < PERMS; i++) {
        int r = does & 1u << i ? lock_byte(fd, PERM_BASE + i, type) : 0;
        if (r == 0 && forbids & 1u << i)
            r = lock_byte(fd, SHARED_BASE + i, type);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether another open file description holds a lock that excludes ours. */
static bool excluded(int fd, unsigned does)
{
    for (unsigned i = 0; i < PERMS; i++) {
        for (unsigned both = 0; both < 2; both++) {
            if (!((both ? forbids : does) & 1u << i))
                continue;
            struct flock fl = {.l_type = F_WRLCK,
                               .l_whence = SEEK_SET,
                               .l_len = 1,
                               .l_start = (both ? PERM_BASE : SHARED_BASE) + (off_t)i};
            if (fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK)
                return true;
        }
    }
    return false;
}

static bool process_has(const char *pid, const struct stat *image, char *name, size_t size)
{
    char path[300];
    struct dirent *e;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *dir = opendir(path);
    while (dir && !found && (e = readdir(dir))) {
        struct stat st;
        found = isdigit((unsigned char)e->d_name[0]) &&
                fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && st.st_dev == image->st_dev &&
                st.st_ino == image->st_ino;
    }
    if (dir)
        closedir(dir);
    if (!found)
        return false;
    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, size - 1);
    name[MAX(n, 0)] = 0;
    name[strcspn(name, "\n")] = 0;
    return true;
}

/* Best effort: " (process 123, qemu-img)", or nothing. Locks of this kind name no process. */
static void find_holder(int fd, char *out, size_t size)
{
    struct stat image;
    struct dirent *e;
    out[0] = 0;
    DIR *proc = fstat(fd, &image) == 0 ? opendir("/proc") : NULL;
    while (proc && (e = readdir(proc))) {
        char name[32];
        if (!isdigit((unsigned char)e->d_name[0]) || atol(e->d_name) == getpid() ||
            !process_has(e->d_name, &image, name, sizeof(name)))
            continue;
        snprintf(out, size, " (process %.20s, %s)", e->d_name, name);
        break;
    }
    if (proc)
        closedir(proc);
}

int image_lock(int fd, const char *name, bool read_only, bool look, struct err *err)
{
    unsigned does = read_only ? reader_does : writer_does;
    int r = set_locks(fd, does, F_RDLCK);
    if (r < 0 && r != -EAGAIN && r != -EACCES) {
        log_line(LOG_WARN, "blk",
                 "the file system cannot lock, nothing keeps others from writing "
                 "to the image path=%s errno=%d",
                 name, -r);
        return 0;
    }
    if (r == 0 && !excluded(fd, does))
        return 0;
    char holder[80] = "";
    if (look)
        find_holder(fd, holder, sizeof(holder));
    set_locks(fd, does, F_UNLCK);
    return err_set(err, EBUSY, "disk image %s is in use by another VM or tool%s%s", name, holder,
                   read_only ? "; it can be read only while nobody writes to it: stop that first"
                             : "; stop that first, or attach the image to both with 'readonly'");
}

void image_unlock(int fd)
{
    set_locks(fd, writer_does | reader_does, F_UNLCK);
}
