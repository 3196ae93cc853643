#include "agent/volume_null.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct entry {
    struct entry *next;
    struct volume_info info;
    bool from_source;
    enum volume_kind source_kind;
    uint8_t source[16];
};

struct volume_null {
    struct volume_driver driver;
    struct entry *first;
    int fail;
};

static struct volume_null *null_of(struct volume_driver *d)
{
    return container_of(d, struct volume_null, driver);
}

static struct entry **find(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16])
{
    struct entry **e = &null_of(d)->first;
    while (*e && ((*e)->info.kind != kind || memcmp((*e)->info.id, id, 16) != 0))
        e = &(*e)->next;
    return e;
}

static int check(struct volume_driver *d, struct err *err)
{
    int code = null_of(d)->fail;
    null_of(d)->fail = 0;
    return code ? err_set(err, code, "the null driver was told to fail") : 0;
}

static int add(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16], uint64_t size,
               struct entry **made, struct err *err)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return err_set(err, ENOMEM, "could not allocate a volume");
    e->info.kind = kind;
    memcpy(e->info.id, id, 16);
    e->info.size_bytes = size;
    e->next = null_of(d)->first;
    null_of(d)->first = e;
    *made = e;
    return 0;
}

static int null_create(struct volume_driver *d, const struct volume_spec *spec, struct err *err)
{
    int ret = check(d, err);
    struct entry *e = *find(d, VOLUME_VOLUME, spec->id);
    if (ret)
        return ret;
    if (e)
        return e->info.size_bytes >= spec->size_bytes
                   ? 0
                   : err_set(err, EEXIST, "the volume is there, and smaller");
    if (spec->must_exist)
        return err_set(err, ENOENT, "the volume was here and is gone");
    if (!spec->size_bytes || spec->size_bytes % 512)
        return err_set(err, EINVAL, "a volume has a multiple of 512 bytes, not %llu",
                       (unsigned long long)spec->size_bytes);
    if (spec->from_source) {
        struct entry *source = *find(d, spec->source_kind, spec->source);
        if (!source)
            return err_set(err, ENOENT, "what the volume is to be made of is not there");
        if (source->info.size_bytes > spec->size_bytes)
            return err_set(err, EINVAL, "the volume is too small for what it is made of");
    }
    ret = add(d, VOLUME_VOLUME, spec->id, spec->size_bytes, &e, err);
    if (!ret && spec->from_source) {
        e->from_source = true;
        e->source_kind = spec->source_kind;
        memcpy(e->source, spec->source, 16);
    }
    return ret;
}

static int null_remove(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                       struct err *err)
{
    int ret = check(d, err);
    if (ret)
        return ret;
    struct entry **at = find(d, kind, id), *e = *at;
    if (!e)
        return 0;
    for (struct entry *o = null_of(d)->first; o; o = o->next)
        if (o->from_source && o->source_kind == kind && !memcmp(o->source, id, 16))
            return err_set(err, EBUSY, "a volume is made of it");
    *at = e->next;
    free(e);
    return 0;
}

static int null_grow(struct volume_driver *d, const uint8_t id[16], uint64_t size_bytes,
                     struct err *err)
{
    int ret = check(d, err);
    if (ret)
        return ret;
    struct entry *e = *find(d, VOLUME_VOLUME, id);
    if (!e)
        return err_set(err, ENOENT, "there is no such volume");
    if (size_bytes % 512)
        return err_set(err, EINVAL, "a volume has a multiple of 512 bytes");
    e->info.size_bytes = MAX(e->info.size_bytes, size_bytes);
    return 0;
}

static int null_snapshot(struct volume_driver *d, const uint8_t id[16], const uint8_t snapshot[16],
                         struct err *err)
{
    struct entry *made;
    int ret = check(d, err);
    if (ret)
        return ret;
    struct entry *e = *find(d, VOLUME_VOLUME, id);
    if (!e)
        return err_set(err, ENOENT, "there is no such volume");
    if (*find(d, VOLUME_SNAPSHOT, snapshot))
        return 0;
    return add(d, VOLUME_SNAPSHOT, snapshot, e->info.size_bytes, &made, err);
}

/* An image of 1 MiB, whatever the file. */
static int null_import(struct volume_driver *d, const uint8_t id[16], const char *path,
                       enum volume_format format, struct err *err)
{
    struct entry *made;
    (void)path;
    (void)format;
    int ret = check(d, err);
    if (ret || *find(d, VOLUME_IMAGE, id))
        return ret;
    return add(d, VOLUME_IMAGE, id, MIB, &made, err);
}

static int null_info(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                     struct volume_info *info, struct err *err)
{
    struct entry *e = *find(d, kind, id);
    if (!e)
        return err_set(err, ENOENT, "there is no such volume");
    *info = e->info;
    return 0;
}

static int null_list(struct volume_driver *d,
                     bool (*each)(void *opaque, const struct volume_info *info), void *opaque,
                     struct err *err)
{
    (void)err;
    for (struct entry *e = null_of(d)->first; e && each(opaque, &e->info); e = e->next)
        ;
    return 0;
}

static void null_close(struct volume_driver *d)
{
    struct volume_null *v = null_of(d);
    while (v->first) {
        struct entry *e = v->first;
        v->first = e->next;
        free(e);
    }
    free(v);
}

static const struct volume_driver_ops OPS = {
    .name = "null",
    .create = null_create,
    .remove = null_remove,
    .grow = null_grow,
    .snapshot = null_snapshot,
    .import = null_import,
    .info = null_info,
    .list = null_list,
    .close = null_close,
};

struct volume_driver *volume_null_open(struct err *err)
{
    struct volume_null *v = calloc(1, sizeof(*v));
    if (!v) {
        err_set(err, ENOMEM, "could not allocate a driver");
        return NULL;
    }
    v->driver.ops = &OPS;
    return &v->driver;
}

void volume_null_fail(struct volume_driver *d, int code)
{
    null_of(d)->fail = code;
}
