#include "agent/volume_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/volume_file_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"
#include "blk/image.h"
#include "blk/qcow2.h"

static struct volume_file *file_of(struct volume_driver *d)
{
    return container_of(d, struct volume_file, driver);
}

/* ---- making and removing ---- */

/* Fills the new file of a volume that is made of something. Returns its format. */
static int copy_source(struct volume_file *v, const struct volume_spec *spec, char *made, int *fd,
                       struct err *err)
{
    struct volume_file_found source;
    uint64_t size;
    int ret = volume_file_find(v, spec->source_kind, spec->source, &source, err);
    if (!ret)
        ret = volume_file_size(v, &source, &size, err);
    if (ret)
        return ret;
    if (size > spec->size_bytes)
        return err_set(err, EINVAL, "a volume of %llu bytes is too small for %s, which has %llu",
                       (unsigned long long)spec->size_bytes, source.name, (unsigned long long)size);
    if (source.format == VOLUME_RAW && !v->no_reflink) {
        ret = volume_file_begin(v, spec->id, VOLUME_RAW, made, fd, err);
        if (!ret)
            ret = volume_file_clone(v, *fd, source.name, err);
        if (!ret && ftruncate(*fd, (off_t)spec->size_bytes) < 0)
            ret = err_sys(err, errno, "could not make %s", made);
        if (ret <= 0)
            return ret ? ret : VOLUME_RAW;
        close(*fd);
        unlinkat(v->dir_fd, made, 0);
    }
    ret = volume_file_begin(v, spec->id, VOLUME_QCOW2, made, fd, err);
    if (!ret)
        ret = volume_file_overlay(*fd, spec->size_bytes, &source, err);
    return ret ? ret : VOLUME_QCOW2;
}

static int file_create(struct volume_driver *d, const struct volume_spec *spec, struct err *err)
{
    struct volume_file *v = file_of(d);
    struct volume_file_found there;
    char made[VOLUME_FILE_NAME_BYTES], name[VOLUME_FILE_NAME_BYTES];
    uint64_t size;
    int fd = -1, ret;
    if (!volume_file_find(v, VOLUME_VOLUME, spec->id, &there, NULL)) {
        ret = volume_file_size(v, &there, &size, err);
        return ret || size >= spec->size_bytes
                   ? ret
                   : err_set(err, EEXIST, "%s is there with %llu bytes, not the %llu asked for",
                             there.name, (unsigned long long)size,
                             (unsigned long long)spec->size_bytes);
    }
    if (spec->must_exist)
        return err_set(err, ENOENT,
                       "the volume was in this pool and its file is gone: put it back, or delete "
                       "the volume");
    if (!spec->size_bytes || spec->size_bytes % 512)
        return err_set(err, EINVAL, "a volume has a multiple of 512 bytes, not %llu",
                       (unsigned long long)spec->size_bytes);
    if (spec->from_source) {
        ret = copy_source(v, spec, made, &fd, err);
    } else {
        ret = volume_file_begin(v, spec->id, VOLUME_RAW, made, &fd, err);
        if (!ret && ftruncate(fd, (off_t)spec->size_bytes) < 0)
            ret = err_sys(err, errno, "could not make %s", made);
    }
    if (ret < 0) {
        if (fd >= 0) {
            close(fd);
            unlinkat(v->dir_fd, made, 0);
        }
        return ret;
    }
    volume_file_name(name, volume_file_dirs[VOLUME_VOLUME], spec->id, (enum volume_format)ret);
    return volume_file_publish(v, fd, made, name, "create", err);
}

/* Whether the image names the file: 1, 0, or -errno when that cannot be told. */
static int names_base(int dir_fd, const char *name, const char *base, uint8_t *head,
                      struct err *err)
{
    struct qcow2_backing backing;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, QCOW2_PROBE_BYTES, 0);
    int ret = n < 0 ? err_sys(err, errno, "could not read %s", name)
                    : qcow2_read_backing(head, (size_t)n, name, &backing, err);
    if (fd >= 0)
        close(fd);
    return ret ? ret : !strncmp(backing.name, "../", 3) && !strcmp(backing.name + 3, base);
}

/* Refuses if a qcow2 of `kind` is made of the file, or if one cannot be asked. */
static int check_unused(const struct volume_file *v, enum volume_kind kind, const char *base,
                        struct err *err)
{
    CLEANUP_FREE uint8_t *head = malloc(QCOW2_PROBE_BYTES);
    int fd = openat(v->dir_fd, volume_file_dirs[kind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int ret = head ? 0 : err_set(err, ENOMEM, "could not allocate a buffer");
    if (!dir)
        return err_sys(err, errno, "could not read %s/%s", v->dir, volume_file_dirs[kind]);
    while (!ret) {
        errno = 0;
        struct dirent *e = readdir(dir);
        if (!e && errno)
            ret = err_sys(err, errno, "could not read %s/%s", v->dir, volume_file_dirs[kind]);
        if (!e)
            break;
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 6, ".qcow2") != 0)
            continue;
        ret = names_base(fd, e->d_name, base, head, err);
        if (ret > 0)
            ret = err_set(err, EBUSY, "%s/%s is made of it", volume_file_dirs[kind], e->d_name);
    }
    closedir(dir);
    return ret;
}

static int file_remove(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                       struct err *err)
{
    struct volume_file *v = file_of(d);
    struct volume_file_found there;
    char going[VOLUME_FILE_NAME_BYTES];
    int fd, ret;
    if (volume_file_find(v, kind, id, &there, NULL))
        return 0;
    ret = kind == VOLUME_VOLUME ? 0 : check_unused(v, VOLUME_VOLUME, there.name, err);
    if (!ret && kind != VOLUME_VOLUME)
        ret = check_unused(v, VOLUME_SNAPSHOT, there.name, err);
    if (ret) {
        err_wrap(err, "cannot remove %s", there.name);
        return ret;
    }
    ret = volume_file_lock(v, there.name, &fd, err);
    if (ret)
        return ret;
    /* It is gone at once; giving back its space may take a while, and a crash then loses nothing.
     */
    volume_file_name(going, "new", id, there.format);
    ret = fault_point("volume_file.remove.begin");
    if (!ret && renameat(v->dir_fd, there.name, v->dir_fd, going) < 0)
        ret = -errno;
    if (!ret)
        ret = fault_point("volume_file.remove.moved");
    if (!ret)
        ret = volume_file_sync_dir(v, volume_file_dirs[kind], err);
    unlinkat(v->dir_fd, going, 0);
    close(fd);
    return ret ? err_sys(err, -ret, "could not remove %s", there.name) : 0;
}

/* ---- growing ---- */

static int run_qemu_img(const struct volume_file *v, const char *name, uint64_t size_bytes,
                        struct err *err)
{
    char path[VOLUME_DRIVER_PATH_BYTES], size[32];
    int status = 0;
    snprintf(path, sizeof(path), "%s/%s", v->dir, name);
    snprintf(size, sizeof(size), "%llu", (unsigned long long)size_bytes);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("qemu-img", "qemu-img", "resize", "-q", "-f", "qcow2", path, size, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return err_sys(err, errno, "could not start qemu-img");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(err, EIO, "qemu-img could not grow %s%s", path,
                   WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ": it is not installed" : "");
}

static int file_grow(struct volume_driver *d, const uint8_t id[16], uint64_t size_bytes,
                     struct err *err)
{
    struct volume_file *v = file_of(d);
    struct volume_file_found there;
    uint64_t now;
    int fd, ret = volume_file_find(v, VOLUME_VOLUME, id, &there, err);
    if (!ret)
        ret = volume_file_size(v, &there, &now, err);
    if (ret || now >= size_bytes)
        return ret;
    if (size_bytes % 512)
        return err_set(err, EINVAL, "a volume has a multiple of 512 bytes, not %llu",
                       (unsigned long long)size_bytes);
    ret = volume_file_lock(v, there.name, &fd, err);
    if (ret)
        return ret;
    if (there.format == VOLUME_QCOW2) {
        close(fd); /* qemu-img takes the same lock */
        return run_qemu_img(v, there.name, size_bytes, err);
    }
    if (ftruncate(fd, (off_t)size_bytes) < 0 || fsync(fd) < 0)
        ret = err_sys(err, errno, "could not grow %s", there.name);
    close(fd);
    return ret;
}

/* ---- images ---- */

static int check_image(int fd, const char *path, enum volume_format format, struct err *err)
{
    struct qcow2_backing backing;
    uint8_t *head = malloc(QCOW2_PROBE_BYTES);
    if (!head)
        return err_set(err, ENOMEM, "could not allocate a buffer");
    ssize_t n = pread(fd, head, QCOW2_PROBE_BYTES, 0);
    int ret = n < 0 ? err_sys(err, errno, "could not read %s", path) : 0;
    if (!ret && format == VOLUME_QCOW2)
        ret = qcow2_read_backing(head, (size_t)n, path, &backing, err);
    if (!ret && format == VOLUME_QCOW2 && backing.name[0])
        ret = err_set(err, EINVAL,
                      "%s names a backing file, \"%.100s\": make it whole by qemu-img convert",
                      path, backing.name);
    free(head);
    return ret;
}

/* Copies [at, end), which has no holes. */
static int copy_range(int from, int to, off_t at, off_t end)
{
    while (at < end) {
        off_t in = at, out = at;
        ssize_t n = copy_file_range(from, &in, to, &out, (size_t)MIN(end - at, 1 << 30), 0);
        if (n <= 0)
            return n ? -errno : -EIO;
        at += n;
    }
    return 0;
}

/* Shares the extents where the file system can; elsewhere copies what is there, and no holes. */
static int copy_file(int from, int to, const char *path, struct err *err)
{
    struct stat st;
    int ret = 0;
    if (fstat(from, &st) < 0)
        return err_sys(err, errno, "could not read %s", path);
    off_t end = ioctl(to, FICLONE, from) == 0 ? st.st_size : 0;
    while (!ret && end < st.st_size) {
        off_t at = lseek(from, end, SEEK_DATA);
        if (at < 0 && errno == ENXIO)
            break; /* a hole up to the end */
        end = at < 0 ? at : lseek(from, at, SEEK_HOLE);
        ret = end < 0 ? -errno : copy_range(from, to, at, MIN(end, st.st_size));
    }
    /* A raw image is whole sectors. */
    if (!ret && ftruncate(to, (st.st_size + 511) / 512 * 512) < 0)
        ret = -errno;
    return ret ? err_sys(err, -ret, "could not copy %s", path) : 0;
}

static int file_import(struct volume_driver *d, const uint8_t id[16], const char *path,
                       enum volume_format format, struct err *err)
{
    struct volume_file *v = file_of(d);
    struct volume_file_found there;
    char made[VOLUME_FILE_NAME_BYTES], name[VOLUME_FILE_NAME_BYTES];
    int to;
    if (!volume_file_find(v, VOLUME_IMAGE, id, &there, NULL))
        return 0;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return err_sys(err, errno, "could not open %s", path);
    int ret = check_image(from, path, format, err);
    if (!ret)
        ret = volume_file_begin(v, id, format, made, &to, err);
    if (!ret) {
        ret = copy_file(from, to, path, err);
        if (ret) {
            close(to);
            unlinkat(v->dir_fd, made, 0);
        }
    }
    close(from);
    if (ret)
        return ret;
    volume_file_name(name, volume_file_dirs[VOLUME_IMAGE], id, format);
    return volume_file_publish(v, to, made, name, "import", err);
}

/* ---- what is there ---- */

static int file_info(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                     struct volume_info *info, struct err *err)
{
    struct volume_file *v = file_of(d);
    struct volume_file_found there;
    struct stat st;
    struct volume_info i = {.kind = kind};
    int ret = volume_file_find(v, kind, id, &there, err);
    if (!ret)
        ret = volume_file_size(v, &there, &i.size_bytes, err);
    if (ret)
        return ret;
    if (fstatat(v->dir_fd, there.name, &st, 0) < 0)
        return err_sys(err, errno, "could not look at %s", there.name);
    memcpy(i.id, id, sizeof(i.id));
    i.used_bytes = (uint64_t)st.st_blocks * 512;
    i.format = there.format;
    snprintf(i.path, sizeof(i.path), "%s/%s", v->dir, there.name);
    *info = i;
    return 0;
}

static bool parse_name(const char *name, uint8_t id[16])
{
    char text[UUID_TEXT_BYTES];
    if (strlen(name) < UUID_TEXT_BYTES || name[UUID_TEXT_BYTES - 1] != '.')
        return false;
    memcpy(text, name, UUID_TEXT_BYTES - 1);
    text[UUID_TEXT_BYTES - 1] = 0;
    const char *ending = name + UUID_TEXT_BYTES;
    return !uuid_parse(text, id) && (!strcmp(ending, volume_file_endings[VOLUME_RAW]) ||
                                     !strcmp(ending, volume_file_endings[VOLUME_QCOW2]));
}

static int file_list(struct volume_driver *d,
                     bool (*each)(void *opaque, const struct volume_info *info), void *opaque,
                     struct err *err)
{
    struct volume_file *v = file_of(d);
    bool go_on = true;
    for (unsigned kind = VOLUME_VOLUME; kind <= VOLUME_IMAGE && go_on; kind++) {
        int fd = openat(v->dir_fd, volume_file_dirs[kind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
            return err_sys(err, errno, "could not read %s/%s", v->dir, volume_file_dirs[kind]);
        for (struct dirent *e; go_on && (e = readdir(dir));) {
            struct volume_info info;
            uint8_t id[16];
            if (parse_name(e->d_name, id) && !file_info(d, (enum volume_kind)kind, id, &info, NULL))
                go_on = each(opaque, &info);
        }
        closedir(dir);
    }
    return 0;
}

/* ---- the driver ---- */

static void file_close(struct volume_driver *d)
{
    struct volume_file *v = file_of(d);
    close(v->dir_fd);
    free(v);
}

static const struct volume_driver_ops OPS = {
    .name = "file",
    .create = file_create,
    .remove = file_remove,
    .grow = file_grow,
    .snapshot = volume_file_snapshot,
    .import = file_import,
    .info = file_info,
    .list = file_list,
    .close = file_close,
};

struct volume_driver *volume_file_open(const char *dir, struct err *err)
{
    static const char *const DIRS[] = {"volumes", "snapshots", "images", "new"};
    struct volume_file *v = calloc(1, sizeof(*v));
    char absolute[4096];
    if (!v) {
        err_set(err, ENOMEM, "could not allocate a driver");
        return NULL;
    }
    v->driver.ops = &OPS;
    v->dir_fd = -1;
    if ((mkdir(dir, 0700) < 0 && errno != EEXIST) || !realpath(dir, absolute) ||
        (v->dir_fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        err_sys(err, errno, "could not open the pool %s", dir);
    } else if (strlen(absolute) >= sizeof(v->dir)) {
        err_set(err, ENAMETOOLONG, "the pool's path %s is longer than %zu bytes", absolute,
                sizeof(v->dir) - 1);
    } else {
        int ret = 0;
        strcpy(v->dir, absolute);
        for (unsigned i = 0; i < ARRAY_LEN(DIRS) && !ret; i++)
            if (mkdirat(v->dir_fd, DIRS[i], 0700) < 0 && errno != EEXIST)
                ret = err_sys(err, errno, "could not make %s/%s", absolute, DIRS[i]);
        if (!ret && !volume_file_recover(v, err))
            return &v->driver;
    }
    if (v->dir_fd >= 0)
        close(v->dir_fd);
    free(v);
    return NULL;
}
