#include "agent/volume_pools.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* An id on which a worker is at work; on its stack. */
struct busy {
    const uint8_t *id;
    struct busy *next;
};

struct volume_pools {
    struct volume_driver driver;
    pthread_mutex_t lock; /* of `busy` */
    pthread_cond_t ended;
    struct busy *busy;
    unsigned n;
    struct {
        char name[VOLUME_DRIVER_POOL_BYTES];
        struct volume_driver *driver;
    } pools[VOLUME_POOLS_MAX];
};

static struct volume_pools *pools_of(struct volume_driver *d)
{
    return container_of(d, struct volume_pools, driver);
}

struct volume_driver *volume_pools_find(struct volume_driver *d, const char *name, struct err *err)
{
    struct volume_pools *p = pools_of(d);
    bool any = !name || !name[0];
    for (unsigned i = 0; i < p->n; i++)
        if (any || !strcmp(p->pools[i].name, name))
            return p->pools[i].driver;
    err_set(err, ENOENT, "this host has no pool%s%s", any ? "" : " ", any ? "" : name);
    return NULL;
}

static bool is_busy(const struct volume_pools *p, const uint8_t id[16])
{
    for (const struct busy *b = p->busy; b; b = b->next)
        if (!memcmp(b->id, id, 16))
            return true;
    return false;
}

/* A volume may be wanted by itself and as the disk of a VM: two workers then, and drivers are
 * called for one id at a time. */
static void begin(struct volume_pools *p, struct busy *b, const uint8_t id[16])
{
    pthread_mutex_lock(&p->lock);
    while (is_busy(p, id))
        pthread_cond_wait(&p->ended, &p->lock);
    *b = (struct busy){id, p->busy};
    p->busy = b;
    pthread_mutex_unlock(&p->lock);
}

static void end(struct volume_pools *p, struct busy *b)
{
    pthread_mutex_lock(&p->lock);
    struct busy **at = &p->busy;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    pthread_cond_broadcast(&p->ended);
    pthread_mutex_unlock(&p->lock);
}

/* The pool that has it. *info may be NULL. */
static int locate(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                  struct volume_driver **pool, struct volume_info *info, struct err *err)
{
    struct volume_pools *p = pools_of(d);
    for (unsigned i = 0; i < p->n; i++) {
        struct volume_info found;
        int ret = p->pools[i].driver->ops->info(p->pools[i].driver, kind, id, &found, NULL);
        if (ret == -ENOENT)
            continue;
        if (ret)
            return err_sys(err, -ret, "could not look into the pool %s", p->pools[i].name);
        *pool = p->pools[i].driver;
        memcpy(found.pool, p->pools[i].name, sizeof(found.pool));
        if (info)
            *info = found;
        return 0;
    }
    return err_set(err, ENOENT, "no pool of this host has it");
}

static int pools_create(struct volume_driver *d, const struct volume_spec *spec, struct err *err)
{
    struct volume_driver *pool = volume_pools_find(d, spec->pool, err);
    struct busy busy;
    if (!pool)
        return -ENOENT;
    begin(pools_of(d), &busy, spec->id);
    int ret = pool->ops->create(pool, spec, err);
    end(pools_of(d), &busy);
    return ret;
}

static int pools_remove(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                        struct err *err)
{
    struct volume_pools *p = pools_of(d);
    struct busy busy;
    int ret = 0;
    begin(p, &busy, id);
    for (unsigned i = 0; i < p->n && !ret; i++)
        ret = p->pools[i].driver->ops->remove(p->pools[i].driver, kind, id, err);
    end(p, &busy);
    return ret;
}

static int pools_grow(struct volume_driver *d, const uint8_t id[16], uint64_t size_bytes,
                      struct err *err)
{
    struct volume_driver *pool;
    struct busy busy;
    begin(pools_of(d), &busy, id);
    int ret = locate(d, VOLUME_VOLUME, id, &pool, NULL, err);
    if (!ret)
        ret = pool->ops->grow(pool, id, size_bytes, err);
    end(pools_of(d), &busy);
    return ret;
}

static int pools_snapshot(struct volume_driver *d, const uint8_t id[16], const uint8_t snapshot[16],
                          struct err *err)
{
    struct volume_driver *pool;
    struct busy busy;
    begin(pools_of(d), &busy, id);
    int ret = locate(d, VOLUME_VOLUME, id, &pool, NULL, err);
    if (!ret)
        ret = pool->ops->snapshot(pool, id, snapshot, err);
    end(pools_of(d), &busy);
    return ret;
}

/* Into the first; agents ask the pool that is meant. */
static int pools_import(struct volume_driver *d, const uint8_t id[16], const char *path,
                        enum volume_format format, struct err *err)
{
    struct volume_driver *pool = volume_pools_find(d, NULL, err);
    return pool ? pool->ops->import(pool, id, path, format, err) : -ENOENT;
}

static int pools_info(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                      struct volume_info *info, struct err *err)
{
    struct volume_driver *pool;
    return locate(d, kind, id, &pool, info, err);
}

struct listing {
    const char *name;
    bool (*each)(void *opaque, const struct volume_info *info);
    void *opaque;
    bool ended;
};

static bool list_named(void *opaque, const struct volume_info *info)
{
    struct listing *l = opaque;
    struct volume_info named = *info;
    snprintf(named.pool, sizeof(named.pool), "%s", l->name);
    l->ended = !l->each(l->opaque, &named);
    return !l->ended;
}

static int pools_list(struct volume_driver *d,
                      bool (*each)(void *opaque, const struct volume_info *info), void *opaque,
                      struct err *err)
{
    struct volume_pools *p = pools_of(d);
    struct listing l = {.each = each, .opaque = opaque};
    for (unsigned i = 0; i < p->n && !l.ended; i++) {
        l.name = p->pools[i].name;
        int ret = p->pools[i].driver->ops->list(p->pools[i].driver, list_named, &l, err);
        if (ret)
            return err_wrap(err, "pool %s", l.name);
    }
    return 0;
}

static void pools_close(struct volume_driver *d)
{
    struct volume_pools *p = pools_of(d);
    for (unsigned i = 0; i < p->n; i++)
        p->pools[i].driver->ops->close(p->pools[i].driver);
    pthread_cond_destroy(&p->ended);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static const struct volume_driver_ops OPS = {
    .name = "pools",
    .create = pools_create,
    .remove = pools_remove,
    .grow = pools_grow,
    .snapshot = pools_snapshot,
    .import = pools_import,
    .info = pools_info,
    .list = pools_list,
    .close = pools_close,
};

struct volume_driver *volume_pools_open(struct err *err)
{
    struct volume_pools *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(err, ENOMEM, "could not allocate the pools");
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->ended, NULL);
    p->driver.ops = &OPS;
    return &p->driver;
}

int volume_pools_add(struct volume_driver *d, const char *name, struct volume_driver *pool,
                     struct err *err)
{
    struct volume_pools *p = pools_of(d);
    int ret = 0;
    if (p->n == VOLUME_POOLS_MAX)
        ret = err_set(err, ENOSPC, "a host has at most %d pools", VOLUME_POOLS_MAX);
    else if (!name[0] || strlen(name) >= VOLUME_DRIVER_POOL_BYTES)
        ret = err_set(err, ENAMETOOLONG, "a pool's name has 1 to %d characters",
                      VOLUME_DRIVER_POOL_BYTES - 1);
    else if (volume_pools_find(d, name, NULL))
        ret = err_set(err, EEXIST, "there are two pools called %s", name);
    if (ret) {
        pool->ops->close(pool);
        return ret;
    }
    snprintf(p->pools[p->n].name, sizeof(p->pools[0].name), "%s", name);
    p->pools[p->n++].driver = pool;
    return 0;
}
