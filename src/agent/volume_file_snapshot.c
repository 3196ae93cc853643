/* Snapshots, and what a crash in one leaves.
 *
 * With reflink a snapshot of a raw volume is a clone: one rename. Otherwise the volume's file
 * itself becomes the snapshot, and a new qcow2 over it the volume:
 *
 *   1  the file gets its second name, snapshots/S      a crash here: undone, S is removed
 *   2  volumes/V.qcow2, over S, takes the place of V   a crash here: finished
 *   3  (a raw V) volumes/V.raw is removed
 *
 * So a snapshot with two links is one that was interrupted: before 2 if the volume's newest file is
 * the same file, behind it if not. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/volume_file_internal.h"
#include "base/fault.h"

/* ---- what an interrupted one leaves ---- */

/* The name in volumes/ of the file with this inode, or "". */
static void find_twin(const struct volume_file *v, ino_t inode, char name[VOLUME_FILE_NAME_BYTES])
{
    int fd = openat(v->dir_fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    name[0] = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_ino == inode)
            snprintf(name, VOLUME_FILE_NAME_BYTES, "volumes/%.50s", e->d_name);
    if (dir)
        closedir(dir);
}

/* Finishes or undoes one snapshot, if it was interrupted. */
static void settle(const struct volume_file *v, const char *snapshot)
{
    char twin[VOLUME_FILE_NAME_BYTES], newer[VOLUME_FILE_NAME_BYTES];
    struct stat st;
    if (fstatat(v->dir_fd, snapshot, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink < 2)
        return;
    find_twin(v, st.st_ino, twin);
    if (!twin[0])
        return; /* somebody's hard link from outside */
    size_t n = strlen(twin);
    snprintf(newer, sizeof(newer), "%.*s.qcow2", (int)(n - 4), twin);
    bool replaced = !strcmp(twin + n - 4, ".raw") && faccessat(v->dir_fd, newer, F_OK, 0) == 0;
    unlinkat(v->dir_fd, replaced ? twin : snapshot, 0);
}

/* ---- taking one ---- */

static int clone_volume(struct volume_file *v, const struct volume_file_found *volume,
                        const uint8_t snapshot[16], struct err *err)
{
    char made[VOLUME_FILE_NAME_BYTES], name[VOLUME_FILE_NAME_BYTES];
    int fd, ret = volume_file_begin(v, snapshot, VOLUME_RAW, made, &fd, err);
    if (ret)
        return ret;
    ret = volume_file_clone(v, fd, volume->name, err);
    if (ret) {
        close(fd);
        unlinkat(v->dir_fd, made, 0);
        return ret;
    }
    volume_file_name(name, volume_file_dirs[VOLUME_SNAPSHOT], snapshot, VOLUME_RAW);
    return volume_file_publish(v, fd, made, name, "snapshot", err);
}

static int turn_into_snapshot(struct volume_file *v, const uint8_t id[16],
                              const struct volume_file_found *volume, const uint8_t snapshot[16],
                              struct err *err)
{
    char made[VOLUME_FILE_NAME_BYTES], name[VOLUME_FILE_NAME_BYTES];
    struct volume_file_found base = {.format = volume->format};
    uint64_t size;
    int fd, ret = volume_file_size(v, volume, &size, err);
    if (ret)
        return ret;
    volume_file_name(base.name, volume_file_dirs[VOLUME_SNAPSHOT], snapshot, volume->format);
    if (linkat(v->dir_fd, volume->name, v->dir_fd, base.name, 0) < 0)
        return err_sys(err, errno, "could not make %s/%s", v->dir, base.name);
    ret = fault_point("volume_file.snapshot.linked");
    if (!ret)
        ret = volume_file_sync_dir(v, volume_file_dirs[VOLUME_SNAPSHOT], err);
    if (!ret)
        ret = volume_file_begin(v, id, VOLUME_QCOW2, made, &fd, err);
    if (!ret) {
        ret = volume_file_overlay(fd, size, &base, err);
        if (ret) {
            close(fd);
            unlinkat(v->dir_fd, made, 0);
        }
    }
    if (!ret) {
        volume_file_name(name, volume_file_dirs[VOLUME_VOLUME], id, VOLUME_QCOW2);
        ret = volume_file_publish(v, fd, made, name, "snapshot_overlay", err);
    }
    if (!ret) {
        ret = fault_point("volume_file.snapshot.replaced");
        if (ret)
            err_sys(err, -ret, "could not finish %s/%s", v->dir, base.name);
    }
    if (ret) { /* as the next open would, but this one alone: others may be under way */
        settle(v, base.name);
        return ret;
    }
    if (volume->format == VOLUME_RAW)
        unlinkat(v->dir_fd, volume->name, 0);
    return volume_file_sync_dir(v, volume_file_dirs[VOLUME_VOLUME], err);
}

int volume_file_snapshot(struct volume_driver *d, const uint8_t id[16], const uint8_t snapshot[16],
                         struct err *err)
{
    struct volume_file *v = (struct volume_file *)d;
    struct volume_file_found volume, there;
    int lock, ret = volume_file_find(v, VOLUME_VOLUME, id, &volume, err);
    if (ret)
        return ret;
    if (!volume_file_find(v, VOLUME_SNAPSHOT, snapshot, &there, NULL))
        return 0;
    ret = volume_file_lock(v, volume.name, &lock, err);
    if (ret)
        return ret;
    ret =
        volume.format == VOLUME_RAW && !v->no_reflink ? clone_volume(v, &volume, snapshot, err) : 1;
    if (ret == 1)
        ret = turn_into_snapshot(v, id, &volume, snapshot, err);
    close(lock);
    return ret;
}

/* ---- after a crash ---- */

static int sweep_new(const struct volume_file *v, struct err *err)
{
    int fd = openat(v->dir_fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return err_sys(err, errno, "could not read %s/new", v->dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            unlinkat(fd, e->d_name, 0);
    closedir(dir);
    return 0;
}

int volume_file_recover(struct volume_file *v, struct err *err)
{
    int ret = sweep_new(v, err);
    int fd = openat(v->dir_fd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return ret ? ret : err_sys(err, errno, "could not read %s/snapshots", v->dir);
    for (struct dirent *e; !ret && (e = readdir(dir));) {
        char name[VOLUME_FILE_NAME_BYTES];
        snprintf(name, sizeof(name), "snapshots/%.50s", e->d_name);
        if (e->d_name[0] != '.')
            settle(v, name);
    }
    closedir(dir);
    return ret;
}
