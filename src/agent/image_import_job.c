/* The steps of an import that bring bytes or change them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/image_child.h"
#include "agent/image_fetch_internal.h"
#include "agent/image_import_internal.h"
#include "base/util.h"

#define MEMORY_MAX_BYTES (2 * GIB)
#define TOLD_EVERY_BYTES (8 * MIB)

/* How far the whole has come when a stage begins. */
static const unsigned BEGINS[] = {
    [IMAGE_IMPORT_FETCH] = 0,  [IMAGE_IMPORT_UNPACK] = 50,     [IMAGE_IMPORT_CONVERT] = 70,
    [IMAGE_IMPORT_STORE] = 90, [IMAGE_IMPORT_STORE + 1] = 100,
};

void image_import_tell(struct image_import_job *j, enum image_import_stage stage, uint64_t done,
                       uint64_t total)
{
    const struct image_import_request *r = j->request;
    unsigned begin = BEGINS[stage], percent = begin;
    if (total)
        percent +=
            (unsigned)((unsigned __int128)MIN(done, total) * (BEGINS[stage + 1] - begin) / total);
    percent = MAX(percent, j->percent);
    if (stage == IMAGE_IMPORT_FETCH)
        j->result.received_bytes = done;
    if (stage == j->stage && percent == j->percent &&
        j->result.received_bytes < j->told_bytes + TOLD_EVERY_BYTES)
        return;
    j->stage = stage;
    j->percent = percent;
    j->told_bytes = j->result.received_bytes;
    if (r->progress)
        r->progress(r->ctx, stage, percent, j->result.received_bytes);
}

/* ---- fetching ---- */

static void fetched(void *ctx, uint64_t received, uint64_t total)
{
    image_import_tell(ctx, IMAGE_IMPORT_FETCH, received, total);
}

static int create(struct image_import_job *j, const char *name, struct err *err)
{
    int fd = openat(j->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? err_sys(err, errno, "could not create %s/%s", j->dir, name) : fd;
}

/* A file of the host into ours; an upload is ours already, and is only linked where that is
 * possible. */
static int fetch_path(struct image_import_job *j, const struct image_fetch *f,
                      struct image_fetch_result *got, struct err *err)
{
    const char *path = j->request->source;
    CLEANUP_CLOSE int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0)
        return err_sys(err, errno, "could not open %s", path);
    if (j->request->kind == IMAGE_IMPORT_UPLOAD &&
        linkat(AT_FDCWD, path, j->dir_fd, IMAGE_IMPORT_SOURCE, 0) == 0) {
        j->source = openat(j->dir_fd, IMAGE_IMPORT_SOURCE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (j->source < 0)
            return err_sys(err, errno, "could not open %s", path);
        return image_fetch_file(f, j->source, -1, got, err);
    }
    j->source = create(j, IMAGE_IMPORT_SOURCE, err);
    if (j->source < 0)
        return j->source;
    return image_fetch_file(f, from, j->source, got, err);
}

int image_import_fetch(struct image_import_job *j, struct err *err)
{
    const struct image_import_config *c = &j->im->config;
    const struct image_fetch f = {.max_bytes = c->max_bytes,
                                  .refuse_private = c->refuse_private,
                                  .max_redirects = c->max_redirects,
                                  .stall_s = c->stall_s,
                                  .proxy = c->proxy,
                                  .progress = fetched,
                                  .ctx = j,
                                  .stop = j->request->stop};
    struct image_fetch_result got = {0};
    const char *from = j->request->source;
    bool remote = j->request->kind == IMAGE_IMPORT_URL || j->request->kind == IMAGE_IMPORT_SERVER;
    int ret = 0;
    if (j->request->kind == IMAGE_IMPORT_SERVER && !c->server)
        return err_set(err, ENOTSUP, "this host has no server to fetch %.200s from", from);
    if (remote)
        j->source = ret = create(j, IMAGE_IMPORT_SOURCE, err);
    if (ret < 0)
        return ret;
    if (j->request->kind == IMAGE_IMPORT_URL)
        ret = image_fetch_url(&f, from, j->source, &got, err);
    else if (remote)
        ret = image_fetch_server(&f, c->server, from, j->source, &got, err);
    else
        ret = fetch_path(j, &f, &got, err);
    if (ret)
        return ret;
    j->result.received_bytes = got.bytes;
    memcpy(j->result.sha256, got.sha256, sizeof(got.sha256));
    if (j->request->sha256 && memcmp(got.sha256, j->request->sha256, sizeof(got.sha256)) != 0)
        return err_set(err, EBADMSG,
                       "the image's SHA-256 is not the one that was given: it is "
                       "another file, or was damaged on its way");
    return 0;
}

/* ---- programs ---- */

static struct image_child child_of(struct image_import_job *j, const char *const *argv)
{
    const struct image_import_config *c = &j->im->config;
    unsigned time_s = c->time_max_s ? c->time_max_s : 3600;
    return (struct image_child){.argv = argv,
                                .dir = j->dir,
                                .confined = true,
                                .uid = j->uid,
                                /* qcow2's own tables come on top of the disk */
                                .file_max_bytes = c->max_disk_bytes + c->max_disk_bytes / 64 + MIB,
                                .memory_max_bytes = MEMORY_MAX_BYTES,
                                .cpu_max_s = time_s,
                                .time_max_s = time_s,
                                .stdin_fd = -1,
                                .ctx = j,
                                .stop = j->request->stop};
}

/* The program's uid may read it. */
static int give(struct image_import_job *j, struct err *err)
{
    if (geteuid() == 0 && fchown(j->source, j->uid, j->uid) < 0)
        return err_sys(err, errno, "could not give the image to uid %u", j->uid);
    return 0;
}

static int take_unpacked(void *ctx, const char *data, size_t bytes, struct err *err)
{
    struct image_import_job *j = ctx;
    uint64_t max = j->im->config.max_disk_bytes;
    if (bytes > max - MIN(j->written_bytes, max))
        return err_set(err, E2BIG, "the image has more than the %llu bytes allowed once unpacked",
                       (unsigned long long)max);
    /* The program reads by our descriptor, so where it is can be seen. */
    off_t at = lseek(j->source, 0, SEEK_CUR);
    image_import_tell(j, IMAGE_IMPORT_UNPACK, at > 0 ? (uint64_t)at : 0, j->result.received_bytes);
    int ret = image_fetch_write_sparse(j->unpacked, j->written_bytes, data, bytes, err);
    j->written_bytes += ret ? 0 : bytes;
    return ret;
}

int image_import_unpack(struct image_import_job *j, enum image_probe_format format, struct err *err)
{
    static const char *const gzip[] = {"gzip", "-dcq", NULL},
                             *const zstd[] = {"zstd", "-dcq", NULL},
                             *const xz[] = {"xz", "-dcq", NULL};
    struct image_child c = child_of(j, format == IMAGE_PROBE_GZIP   ? gzip
                                       : format == IMAGE_PROBE_ZSTD ? zstd
                                                                    : xz);
    int ret = give(j, err);
    j->unpacked = ret ? -1 : create(j, IMAGE_IMPORT_UNPACKED, err);
    if (j->unpacked < 0)
        return ret ? ret : j->unpacked;
    c.stdin_fd = j->source;
    c.out = take_unpacked;
    if (lseek(j->source, 0, SEEK_SET) < 0)
        return err_sys(err, errno, "could not read the image");
    ret = image_child_run(&c, NULL, err);
    if (!ret && ftruncate(j->unpacked, (off_t)j->written_bytes) < 0)
        ret = err_sys(err, errno, "could not write the unpacked image");
    if (ret)
        return ret;
    close(j->source);
    unlinkat(j->dir_fd, IMAGE_IMPORT_SOURCE, 0);
    j->source = j->unpacked;
    j->unpacked = -1;
    return 0;
}

int image_import_check_qcow2(struct image_import_job *j, const char *name, struct err *err)
{
    const char *const argv[] = {"qemu-img", "check", "-q", "-f", "qcow2", name, NULL};
    const struct image_child c = child_of(j, argv);
    int code = 0, ret = give(j, err);
    image_import_tell(j, IMAGE_IMPORT_CONVERT, 0, 0);
    if (!ret)
        ret = image_child_run(&c, &code, err);
    /* 3: clusters that nobody uses, which takes room and harms nobody. */
    if (!ret && code && code != 3)
        ret = err_set(err, EINVAL, "the qcow2 image is damaged: qemu-img check ends with %d", code);
    return ret;
}

/* "    (12.34/100%)\r" */
static int take_percent(void *ctx, const char *data, size_t bytes, struct err *err)
{
    struct image_import_job *j = ctx;
    for (size_t i = 0; i < bytes; i++) {
        double percent;
        if (data[i] == '(')
            j->line_bytes = 0;
        if (j->line_bytes + 1 < sizeof(j->line))
            j->line[j->line_bytes++] = data[i];
        if (data[i] != ')')
            continue;
        j->line[j->line_bytes] = 0;
        if (sscanf(j->line, "(%lf/100%%)", &percent) == 1 && percent >= 0 && percent <= 100)
            image_import_tell(j, IMAGE_IMPORT_CONVERT, (uint64_t)(percent * 100), 10000);
    }
    return 0;
}

/* What the program left must be a plain file of its own: it may have been taken over. */
static int open_converted(struct image_import_job *j, struct err *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd =
        openat(j->dir_fd, IMAGE_IMPORT_CONVERTED, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, errno, "could not open what qemu-img made");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (geteuid() == 0 && st.st_uid != j->uid))
        return err_set(err, EPERM, "what qemu-img made is not a file of its own");
    return steal_fd(&fd);
}

int image_import_convert(struct image_import_job *j, const char *name,
                         const struct image_probe *probe, struct err *err)
{
    char source[256];
    bool ova = probe->format == IMAGE_PROBE_OVA;
    if (ova)
        snprintf(source, sizeof(source),
                 "driver=vmdk,file.driver=raw,file.offset=%llu,file.size=%llu,"
                 "file.file.driver=file,file.file.filename=%s",
                 (unsigned long long)probe->disk_offset, (unsigned long long)probe->disk_bytes,
                 name);
    else
        snprintf(source, sizeof(source), "driver=%s,file.driver=file,file.filename=%s",
                 image_probe_name(probe->format), name);
    const char *const argv[] = {"qemu-img", "convert",      "-p",   "-O",
                                "qcow2",    "--image-opts", source, IMAGE_IMPORT_CONVERTED,
                                NULL};
    struct image_child c = child_of(j, argv);
    c.out = take_percent;
    int ret = give(j, err);
    image_import_tell(j, IMAGE_IMPORT_CONVERT, 0, 0);
    if (!ret)
        ret = image_child_run(&c, NULL, err);
    int fd = ret ? -1 : open_converted(j, err);
    if (fd < 0)
        return ret ? ret : fd;
    close(j->source);
    j->source = fd;
    return 0;
}
