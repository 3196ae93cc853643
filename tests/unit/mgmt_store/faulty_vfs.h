/* An SQLite VFS over the real one that fails on demand and that can lose power: every write since a
 * file's last sync is remembered with what it replaced, and may be taken back.
 *
 * Real syncs are left out: what they would do is simulated. -shm files are passed through; a power
 * loss removes them. One mutex around everything; the store uses it from three threads. */
#ifndef TESTS_UNIT_MGMT_STORE_FAULTY_VFS_H
#define TESTS_UNIT_MGMT_STORE_FAULTY_VFS_H

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_rig.h"

enum faulty_kind {
    FAULTY_WRITE, /* writes nothing, EIO */
    FAULTY_SHORT, /* writes half, EIO */
    FAULTY_FULL,  /* writes half, ENOSPC */
    FAULTY_SYNC,  /* what was written stays in the cache, EIO */
    FAULTY_POWER, /* power is lost: nothing works any more */
    FAULTY_KINDS
};

struct faulty_undo {
    char path[128];
    int64_t offset, old_size;
    int bytes; /* of old contents that were replaced; the rest lay beyond the end */
    uint8_t *old;
    struct faulty_undo *next;
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs *real;
    long ios;     /* writes, syncs and truncations so far */
    long fail_at; /* the first at or after this number that fits `kind` fails; 0: none */
    enum faulty_kind kind;
    bool fired, dead;
    bool full;                /* files cannot grow */
    struct faulty_undo *undo; /* newest first */
} faulty = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct faulty_file {
    sqlite3_file base;
    char path[128];
    sqlite3_file *real;
};

static inline sqlite3_file *faulty_real(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

static inline bool faulty_due(bool sync)
{
    faulty.ios++;
    bool fits = faulty.kind == FAULTY_POWER || (faulty.kind == FAULTY_SYNC) == sync;
    if (!faulty.fail_at || faulty.fired || !fits || faulty.ios < faulty.fail_at)
        return false;
    faulty.fired = true;
    faulty.dead |= faulty.kind == FAULTY_POWER;
    return true;
}

static inline void faulty_note(struct faulty_file *f, int64_t offset, int bytes)
{
    struct faulty_undo *u = calloc(1, sizeof(*u));
    sqlite3_int64 size = 0;
    f->real->pMethods->xFileSize(f->real, &size);
    memcpy(u->path, f->path, sizeof(u->path));
    u->offset = offset;
    u->old_size = size;
    u->bytes = offset >= size ? 0 : (int)(size - offset < bytes ? size - offset : bytes);
    u->old = malloc((size_t)bytes + 1);
    if (u->bytes)
        f->real->pMethods->xRead(f->real, u->old, u->bytes, offset);
    u->next = faulty.undo;
    faulty.undo = u;
}

static inline int faulty_write_locked(struct faulty_file *f, const void *data, int n, int64_t at)
{
    if (faulty.dead)
        return SQLITE_IOERR_WRITE;
    sqlite3_int64 size = 0;
    f->real->pMethods->xFileSize(f->real, &size);
    if (faulty.full && at + n > size) {
        faulty.ios++;
        return SQLITE_FULL;
    }
    int rc = SQLITE_OK;
    if (faulty_due(false)) {
        rc = faulty.kind == FAULTY_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        n = faulty.kind == FAULTY_SHORT || faulty.kind == FAULTY_FULL ? n / 2 : 0;
    }
    if (n) {
        faulty_note(f, at, n);
        int wrote = f->real->pMethods->xWrite(f->real, data, n, at);
        rc = rc ? rc : wrote;
    }
    return rc;
}

static inline int faulty_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    pthread_mutex_lock(&faulty.lock);
    int rc = faulty_write_locked((struct faulty_file *)file, data, n, at);
    pthread_mutex_unlock(&faulty.lock);
    return rc;
}

static inline int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct faulty_file *f = (struct faulty_file *)file;
    pthread_mutex_lock(&faulty.lock);
    int rc = SQLITE_IOERR_TRUNCATE;
    if (!faulty.dead && !faulty_due(false)) {
        sqlite3_int64 old = 0;
        f->real->pMethods->xFileSize(f->real, &old);
        if (size < old)
            faulty_note(f, size, (int)(old - size));
        rc = f->real->pMethods->xTruncate(f->real, size);
    }
    pthread_mutex_unlock(&faulty.lock);
    return rc;
}

static inline int faulty_sync(sqlite3_file *file, int flags)
{
    struct faulty_file *f = (struct faulty_file *)file;
    pthread_mutex_lock(&faulty.lock);
    int rc = SQLITE_IOERR_FSYNC;
    if (!faulty.dead && !faulty_due(true)) {
        rc = SQLITE_OK;
        for (struct faulty_undo **p = &faulty.undo; *p;) {
            struct faulty_undo *u = *p;
            if (strcmp(u->path, f->path) != 0) {
                p = &u->next;
                continue;
            }
            *p = u->next;
            free(u->old);
            free(u);
        }
    }
    pthread_mutex_unlock(&faulty.lock);
    return rc;
}

static inline int faulty_close(sqlite3_file *f)
{
    int rc = faulty_real(f)->pMethods->xClose(faulty_real(f));
    free(faulty_real(f));
    return rc;
}
static inline int faulty_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    return faulty_real(f)->pMethods->xRead(faulty_real(f), data, n, at);
}
static inline int faulty_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return faulty_real(f)->pMethods->xFileSize(faulty_real(f), size);
}
static inline int faulty_lock(sqlite3_file *f, int level)
{
    return faulty_real(f)->pMethods->xLock(faulty_real(f), level);
}
static inline int faulty_unlock(sqlite3_file *f, int level)
{
    return faulty_real(f)->pMethods->xUnlock(faulty_real(f), level);
}
static inline int faulty_check_reserved(sqlite3_file *f, int *out)
{
    return faulty_real(f)->pMethods->xCheckReservedLock(faulty_real(f), out);
}
static inline int faulty_control(sqlite3_file *f, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK; /* would write behind our back */
    return faulty_real(f)->pMethods->xFileControl(faulty_real(f), op, arg);
}
static inline int faulty_sector(sqlite3_file *f)
{
    return faulty_real(f)->pMethods->xSectorSize(faulty_real(f));
}
static inline int faulty_traits(sqlite3_file *f)
{
    return faulty_real(f)->pMethods->xDeviceCharacteristics(faulty_real(f));
}
static inline int faulty_shm_map(sqlite3_file *f, int page, int size, int extend,
                                 void volatile **out)
{
    return faulty_real(f)->pMethods->xShmMap(faulty_real(f), page, size, extend, out);
}
static inline int faulty_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return faulty_real(f)->pMethods->xShmLock(faulty_real(f), at, n, flags);
}
static inline void faulty_shm_barrier(sqlite3_file *f)
{
    faulty_real(f)->pMethods->xShmBarrier(faulty_real(f));
}
static inline int faulty_shm_unmap(sqlite3_file *f, int delete_it)
{
    return faulty_real(f)->pMethods->xShmUnmap(faulty_real(f), delete_it);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_traits,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                              int *out)
{
    struct faulty_file *f = (struct faulty_file *)file;
    memset(f, 0, sizeof(*f));
    f->real = calloc(1, (size_t)faulty.real->szOsFile);
    int rc = faulty.real->xOpen(faulty.real, name, f->real, flags, out);
    if (rc != SQLITE_OK) {
        free(f->real);
        return rc;
    }
    snprintf(f->path, sizeof(f->path), "%s", name ? name : "");
    f->base.pMethods = &faulty_methods;
    return SQLITE_OK;
}

static inline int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    pthread_mutex_lock(&faulty.lock);
    bool dead = faulty.dead;
    pthread_mutex_unlock(&faulty.lock);
    return dead ? SQLITE_IOERR_DELETE : faulty.real->xDelete(faulty.real, name, sync);
}

static inline void faulty_register(void)
{
    static sqlite3_vfs vfs;
    faulty.real = sqlite3_vfs_find(NULL);
    vfs = *faulty.real;
    vfs.szOsFile = sizeof(struct faulty_file);
    vfs.zName = "faulty";
    vfs.pNext = NULL;
    vfs.xOpen = faulty_open;
    vfs.xDelete = faulty_delete;
    sqlite3_vfs_register(&vfs, 0);
}

static inline void faulty_arm(enum faulty_kind kind, long at)
{
    pthread_mutex_lock(&faulty.lock);
    faulty.ios = 0;
    faulty.fired = false;
    faulty.kind = kind;
    faulty.fail_at = at;
    pthread_mutex_unlock(&faulty.lock);
}

static inline void faulty_set_full(bool full)
{
    pthread_mutex_lock(&faulty.lock);
    faulty.full = full;
    pthread_mutex_unlock(&faulty.lock);
}

static inline void faulty_cut_power(void)
{
    pthread_mutex_lock(&faulty.lock);
    faulty.dead = true;
    pthread_mutex_unlock(&faulty.lock);
}

/* The checkpoint's thread may be at it this moment. */
static inline bool faulty_has_fired(void)
{
    pthread_mutex_lock(&faulty.lock);
    bool fired = faulty.fired;
    pthread_mutex_unlock(&faulty.lock);
    return fired;
}

static inline bool faulty_is_dead(void)
{
    pthread_mutex_lock(&faulty.lock);
    bool dead = faulty.dead;
    pthread_mutex_unlock(&faulty.lock);
    return dead;
}

/* After the store is closed: of the writes that were not synced, a random part is lost. keep_of_8:
 * how many of 8 stay (8: all, as when only the process died). */
static inline void faulty_power_on(const char *path, uint64_t *rng, unsigned keep_of_8)
{
    char shm[160];
    while (faulty.undo) {
        struct faulty_undo *u = faulty.undo;
        faulty.undo = u->next;
        int fd = rig_random(rng) % 8 < keep_of_8 ? -1 : open(u->path, O_RDWR);
        if (fd >= 0) {
            struct stat st;
            if (u->bytes && pwrite(fd, u->old, (size_t)u->bytes, u->offset) != u->bytes)
                abort();
            if (!fstat(fd, &st) && st.st_size > u->old_size && ftruncate(fd, u->old_size))
                abort();
            close(fd);
        }
        free(u->old);
        free(u);
    }
    snprintf(shm, sizeof(shm), "%s-shm", path);
    unlink(shm);
    faulty.dead = false;
    faulty.full = false;
    faulty.fail_at = 0;
}

#endif
