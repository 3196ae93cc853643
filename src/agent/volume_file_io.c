/* Files of the pool: names, locks, and how a new one comes to be. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/volume_file_internal.h"
#include "base/fault.h"
#include "base/uuid.h"
#include "blk/image.h"
#include "blk/qcow2_create.h"
#include "blk/qcow2_wire.h"

const char *const volume_file_dirs[] = {"volumes", "snapshots", "images"};
const char *const volume_file_endings[] = {"raw", "qcow2"};

void volume_file_name(char name[VOLUME_FILE_NAME_BYTES], const char *dir, const uint8_t id[16],
                      enum volume_format format)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(id, text);
    snprintf(name, VOLUME_FILE_NAME_BYTES, "%s/%s.%s", dir, text, volume_file_endings[format]);
}

int volume_file_find(const struct volume_file *v, enum volume_kind kind, const uint8_t id[16],
                     struct volume_file_found *found, struct err *err)
{
    /* qcow2 first: while a snapshot is taken there are both, and the raw file is the older one. */
    for (int format = VOLUME_QCOW2; format >= VOLUME_RAW; format--) {
        found->format = (enum volume_format)format;
        volume_file_name(found->name, volume_file_dirs[kind], id, found->format);
        if (faccessat(v->dir_fd, found->name, F_OK, 0) == 0)
            return 0;
        if (errno != ENOENT)
            return err_sys(err, errno, "could not look for %s/%s", v->dir, found->name);
    }
    return err_set(err, ENOENT, "there is no %s or .qcow2 in %s", found->name, v->dir);
}

int volume_file_lock(const struct volume_file *v, const char *name, int *fd, struct err *err)
{
    int f = openat(v->dir_fd, name, O_RDWR | O_CLOEXEC);
    if (f < 0)
        return err_sys(err, errno, "could not open %s/%s", v->dir, name);
    int ret = image_lock(f, name, false, true, err);
    if (ret) {
        close(f);
        return ret;
    }
    *fd = f;
    return 0;
}

int volume_file_size(const struct volume_file *v, const struct volume_file_found *found,
                     uint64_t *bytes, struct err *err)
{
    uint8_t head[QCOW2_WIRE_HEADER_V2];
    struct stat st;
    int fd = openat(v->dir_fd, found->name, O_RDONLY | O_CLOEXEC), ret = 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        ret = err_sys(err, errno, "could not open %s/%s", v->dir, found->name);
    else if (found->format == VOLUME_RAW)
        *bytes = (uint64_t)st.st_size;
    else if (pread(fd, head, sizeof(head), 0) != sizeof(head) ||
             qcow2_be32(head) != QCOW2_WIRE_MAGIC)
        ret = err_set(err, EINVAL, "%s/%s is not a qcow2 image", v->dir, found->name);
    else
        *bytes = qcow2_be64(head + 24);
    if (fd >= 0)
        close(fd);
    return ret;
}

int volume_file_begin(const struct volume_file *v, const uint8_t id[16], enum volume_format format,
                      char made[VOLUME_FILE_NAME_BYTES], int *fd, struct err *err)
{
    volume_file_name(made, "new", id, format);
    int f = openat(v->dir_fd, made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (f < 0)
        return err_sys(err, errno, "could not create %s/%s", v->dir, made);
    *fd = f;
    return 0;
}

int volume_file_sync_dir(const struct volume_file *v, const char *name, struct err *err)
{
    int fd = openat(v->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret =
        fd < 0 || fsync(fd) < 0 ? err_sys(err, errno, "could not sync %s/%s", v->dir, name) : 0;
    if (fd >= 0)
        close(fd);
    return ret;
}

int volume_file_publish(const struct volume_file *v, int fd, const char *made, const char *name,
                        const char *step, struct err *err)
{
    char point[64], dir[VOLUME_FILE_NAME_BYTES];
    snprintf(point, sizeof(point), "volume_file.%s.written", step);
    int ret = fault_point(point);
    if (!ret && fsync(fd) < 0)
        ret = -errno;
    snprintf(point, sizeof(point), "volume_file.%s.synced", step);
    if (!ret)
        ret = fault_point(point);
    if (!ret && renameat(v->dir_fd, made, v->dir_fd, name) < 0)
        ret = -errno;
    close(fd);
    if (ret) {
        unlinkat(v->dir_fd, made, 0);
        return err_sys(err, -ret, "could not make %s/%s", v->dir, name);
    }
    snprintf(point, sizeof(point), "volume_file.%s.named", step);
    ret = fault_point(point);
    snprintf(dir, sizeof(dir), "%.*s", (int)strcspn(name, "/"), name);
    return ret ? err_sys(err, -ret, "could not make %s/%s", v->dir, name)
               : volume_file_sync_dir(v, dir, err);
}

int volume_file_clone(struct volume_file *v, int fd, const char *source, struct err *err)
{
    int from = openat(v->dir_fd, source, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return err_sys(err, errno, "could not open %s/%s", v->dir, source);
    int ret = ioctl(fd, FICLONE, from) < 0 ? -errno : 0;
    close(from);
    if (!ret)
        return 0;
    if (ret == -EOPNOTSUPP || ret == -ENOTTY || ret == -EXDEV || ret == -EINVAL) {
        v->no_reflink = true;
        return 1;
    }
    return err_sys(err, -ret, "could not clone %s/%s", v->dir, source);
}

int volume_file_overlay(int fd, uint64_t size_bytes, const struct volume_file_found *base,
                        struct err *err)
{
    char backing[VOLUME_FILE_NAME_BYTES + 4];
    snprintf(backing, sizeof(backing), "../%s", base->name);
    const struct qcow2_create_options o = {.size_bytes = size_bytes,
                                           .backing = backing,
                                           .backing_format = volume_file_endings[base->format]};
    return qcow2_create(fd, &o, err);
}
