#include "agent/image_import.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/image_import_internal.h"
#include "base/fault.h"
#include "base/util.h"
#include "base/uuid.h"

/* Uids that no distribution gives out, beside those that monitors have: from systemd's table of
 * uid ranges, which has 1879048192 to 2147352575 unused. */
#define UID_BASE   UINT32_C(0x78000000)
#define UID_MASK   UINT32_C(0x03ffffff)
#define UID_NOBODY 65534

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    if (type == FTW_DP || type == FTW_D)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int sweep(const struct image_import *im, struct err *err)
{
    char path[IMAGE_IMPORT_PATH_BYTES + NAME_MAX + 1];
    DIR *dir = opendir(im->dir);
    if (!dir)
        return err_sys(err, errno, "could not read %s", im->dir);
    for (struct dirent *e; (e = readdir(dir));) {
        uint8_t id[16];
        if (uuid_parse(e->d_name, id))
            continue; /* not of ours */
        snprintf(path, sizeof(path), "%s/%s", im->dir, e->d_name);
        remove_tree(path);
    }
    closedir(dir);
    return 0;
}

struct image_import *image_import_open(const struct image_import_config *config, struct err *err)
{
    struct image_import *im = calloc(1, sizeof(*im));
    CLEANUP_FREE char *absolute = NULL;
    if (!im || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(im);
        err_set(err, ENOMEM, "could not allocate an importer");
        return NULL;
    }
    im->config = *config;
    im->config.proxy = config->proxy ? strdup(config->proxy) : NULL;
    if ((mkdir(config->dir, 0711) < 0 && errno != EEXIST) ||
        !(absolute = realpath(config->dir, NULL)))
        err_sys(err, errno, "could not make %s", config->dir);
    else if (strlen(absolute) >= sizeof(im->dir))
        err_set(err, ENAMETOOLONG, "the path %s is longer than %zu bytes", absolute,
                sizeof(im->dir) - 1);
    else if (config->proxy && !im->config.proxy)
        err_set(err, ENOMEM, "could not allocate an importer");
    else {
        strcpy(im->dir, absolute);
        if (!sweep(im, err))
            return im;
    }
    image_import_close(im);
    return NULL;
}

void image_import_close(struct image_import *im)
{
    if (!im)
        return;
    free((char *)im->config.proxy);
    free(im);
    curl_global_cleanup();
}

/* ---- one import ---- */

/* In a container a uid of the range may have no number. */
static int give_directory(struct image_import_job *j, struct err *err)
{
    uint32_t h = 2166136261u;
    for (unsigned i = 0; i < 16; i++)
        h = (h ^ j->request->id[i]) * 16777619u;
    j->uid = UID_BASE + (h & UID_MASK);
    if (geteuid() != 0 || fchown(j->dir_fd, j->uid, j->uid) == 0)
        return 0;
    j->uid = UID_NOBODY;
    if (fchown(j->dir_fd, j->uid, j->uid) == 0)
        return 0;
    return err_sys(err, errno, "could not give %s to a uid of its own", j->dir);
}

static int begin(struct image_import_job *j, struct err *err)
{
    char id[UUID_TEXT_BYTES];
    uuid_format(j->request->id, id);
    snprintf(j->dir, sizeof(j->dir), "%s/%s", j->im->dir, id);
    remove_tree(j->dir);
    if (mkdir(j->dir, 0700) < 0 ||
        (j->dir_fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return err_sys(err, errno, "could not make %s", j->dir);
    return give_directory(j, err);
}

static void end(struct image_import_job *j)
{
    const int fds[] = {j->dir_fd, j->source, j->unpacked};
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    remove_tree(j->dir);
}

static int step(const char *point, struct err *err)
{
    int ret = fault_point(point);
    return ret ? err_sys(err, -ret, "could not go on") : 0;
}

static bool is_packed(enum image_probe_format format)
{
    return format == IMAGE_PROBE_GZIP || format == IMAGE_PROBE_ZSTD || format == IMAGE_PROBE_XZ;
}

static int check_expected(const struct image_import_job *j, const struct image_probe *p,
                          struct err *err)
{
    const struct image_import_request *r = j->request;
    if (is_packed(p->format))
        return err_set(err, ENOTSUP, "the image is compressed twice: unpack it first");
    if (r->expects && r->format != p->format)
        return err_set(err, EINVAL, "the image is %s, not %s as was said",
                       image_probe_name(p->format), image_probe_name(r->format));
    if (p->size_bytes > j->im->config.max_disk_bytes)
        return err_set(err, E2BIG, "the image's disk has %llu bytes, more than the %llu allowed",
                       (unsigned long long)p->size_bytes,
                       (unsigned long long)j->im->config.max_disk_bytes);
    return 0;
}

/* Fetches and finds out what it is. *name: where in the directory. */
static int bring(struct image_import_job *j, struct image_probe *p, const char **name,
                 struct err *err)
{
    int ret = image_import_fetch(j, err);
    if (!ret)
        ret = step("image_import.fetched", err);
    if (!ret)
        ret = image_probe_file(j->source, p, err);
    *name = IMAGE_IMPORT_SOURCE;
    if (!ret && is_packed(p->format)) {
        ret = image_import_unpack(j, p->format, err);
        if (!ret)
            ret = step("image_import.unpacked", err);
        if (!ret)
            ret = image_probe_file(j->source, p, err);
        *name = IMAGE_IMPORT_UNPACKED;
    }
    return ret ? ret : check_expected(j, p, err);
}

/* Makes of it what the driver takes: raw or qcow2. */
static int make_native(struct image_import_job *j, struct image_probe *p, const char **name,
                       struct err *err)
{
    int ret;
    if (p->format == IMAGE_PROBE_RAW)
        return 0;
    if (p->format == IMAGE_PROBE_QCOW2)
        return image_import_check_qcow2(j, *name, err);
    ret = image_import_convert(j, *name, p, err);
    if (!ret)
        ret = step("image_import.converted", err);
    if (!ret)
        ret = image_probe_file(j->source, p, err);
    if (!ret && p->format != IMAGE_PROBE_QCOW2)
        ret = err_set(err, EIO, "what qemu-img made is not a qcow2 image");
    *name = IMAGE_IMPORT_CONVERTED;
    if (!ret && p->size_bytes > j->im->config.max_disk_bytes)
        ret = err_set(err, E2BIG, "the image's disk has %llu bytes, more than the %llu allowed",
                      (unsigned long long)p->size_bytes,
                      (unsigned long long)j->im->config.max_disk_bytes);
    return ret;
}

static int store(struct image_import_job *j, const struct image_probe *p, const char *name,
                 struct err *err)
{
    char path[IMAGE_IMPORT_PATH_BYTES + 16];
    struct volume_driver *d = j->request->pool ? j->request->pool : j->im->config.driver;
    if (j->request->stop && atomic_load(j->request->stop))
        return err_set(err, ECANCELED, "canceled");
    image_import_tell(j, IMAGE_IMPORT_STORE, 0, 0);
    snprintf(path, sizeof(path), "%s/%s", j->dir, name);
    int ret = d->ops->import(d, j->request->id, path,
                             p->format == IMAGE_PROBE_RAW ? VOLUME_RAW : VOLUME_QCOW2, err);
    if (!ret)
        ret = step("image_import.stored", err);
    if (!ret)
        image_import_tell(j, IMAGE_IMPORT_STORE, 1, 1);
    return ret;
}

int image_import_run(struct image_import *im, const struct image_import_request *request,
                     struct image_import_result *result, struct err *err)
{
    struct image_import_job j = {
        .im = im, .request = request, .dir_fd = -1, .source = -1, .unpacked = -1};
    struct volume_driver *d = im->config.driver;
    struct image_probe p = {0};
    struct volume_info info;
    const char *name = NULL;
    if (!d->ops->info(d, VOLUME_IMAGE, request->id, &info, NULL)) {
        *result = (struct image_import_result){.size_bytes = info.size_bytes, .was_there = true};
        return 0;
    }
    int ret = begin(&j, err);
    if (!ret)
        ret = step("image_import.begun", err);
    if (!ret)
        ret = bring(&j, &p, &name, err);
    j.result.format = p.format;
    if (!ret)
        ret = make_native(&j, &p, &name, err);
    if (!ret)
        ret = store(&j, &p, name, err);
    end(&j);
    if (ret == -EBADMSG)
        *result = j.result;
    if (ret)
        return ret;
    j.result.size_bytes = align_up(p.size_bytes, 512);
    *result = j.result;
    return 0;
}
