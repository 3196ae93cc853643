#include "agent/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"

static int write_all(int fd, const char *text, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, text, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        text += n;
        bytes -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* The name is in the directory, and that has to be durable too. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    CLEANUP_CLOSE int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int state_file_write(const char *path, const char *text, size_t bytes, struct err *err)
{
    char made[PATH_MAX];
    if (snprintf(made, sizeof(made), "%s.new", path) >= (int)sizeof(made))
        return err_set(err, ENAMETOOLONG, "the path %.80s... is too long", path);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "could not create %s", made);
    int ret = write_all(fd, text, bytes);
    if (!ret)
        ret = fault_point("state_file.write.made");
    if (!ret && rename(made, path) < 0)
        ret = -errno;
    close(fd);
    if (!ret)
        ret = sync_folder(path);
    if (!ret)
        return fault_point("state_file.write.done");
    unlink(made);
    return err_sys(err, -ret, "could not write %s", path);
}

char *state_file_read(const char *path, size_t *bytes, struct err *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_sys(err, errno, "could not open %s", path);
        return NULL;
    }
    if (st.st_size > (off_t)STATE_FILE_MAX_BYTES) {
        err_set(err, E2BIG, "%s has %lld bytes: at most %u are read", path, (long long)st.st_size,
                STATE_FILE_MAX_BYTES);
        return NULL;
    }
    size_t size = (size_t)st.st_size, used = 0;
    char *text = malloc(size + 1);
    ssize_t n = text ? 0 : -1;
    while (text && used < size && (n = read(fd, text + used, size - used)) > 0)
        used += (size_t)n;
    if (n < 0) {
        err_sys(err, text ? errno : ENOMEM, "could not read %s", path);
        free(text);
        return NULL;
    }
    text[used] = 0;
    *bytes = used;
    return text;
}
