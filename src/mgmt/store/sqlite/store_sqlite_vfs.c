/* A VFS over another one (https://www.sqlite.org/vfs.html) that writes the log in large pieces.
 *
 * SQLite writes two pieces for each page of a commit, a head of 24 bytes and the page, and then
 * syncs: a hundred system calls and more for a group. Here what follows on what was written before
 * waits in memory until the sync, or until anything else is asked of the file. Other connections
 * look at frames only once the shared index names them, which is after the sync (synchronous=FULL).
 * What could not be written is dropped, and the sync says so: the commit fails, as it would have.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

/* SQLite's own VFS writes at most 128 KiB - 1 at once. */
#define WAITING_BYTES (124 * KIB)

struct log_file {
    sqlite3_file file;
    uint8_t *waiting; /* NULL: none yet, or no memory: written at once */
    int n;
    sqlite3_int64 at; /* where in the file the waiting bytes go */
    /* The file below follows. */
};

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)file;
}

static sqlite3_file *below(sqlite3_file *file)
{
    return (sqlite3_file *)(log_of(file) + 1);
}

static int flush(sqlite3_file *file)
{
    struct log_file *f = log_of(file);
    int n = f->n;
    f->n = 0;
    return n ? below(file)->pMethods->xWrite(below(file), f->waiting, n, f->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    struct log_file *f = log_of(file);
    if (!f->waiting)
        f->waiting = malloc(WAITING_BYTES);
    if (!f->waiting || n > (int)WAITING_BYTES - f->n || at != f->at + f->n) {
        int rc = flush(file);
        if (rc != SQLITE_OK)
            return rc;
        f->at = at;
    }
    if (!f->waiting || n > (int)WAITING_BYTES)
        return below(file)->pMethods->xWrite(below(file), data, n, at);
    memcpy(f->waiting + f->n, data, (size_t)n);
    f->n += n;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : below(file)->pMethods->xRead(below(file), data, n, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : below(file)->pMethods->xTruncate(below(file), size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : below(file)->pMethods->xSync(below(file), flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : below(file)->pMethods->xFileSize(below(file), size);
}

static int log_close(sqlite3_file *file)
{
    int rc = flush(file);
    int closed = below(file)->pMethods->xClose(below(file));
    free(log_of(file)->waiting);
    return rc != SQLITE_OK ? rc : closed;
}

static int log_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int log_check_lock(sqlite3_file *file, int *held)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), held);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
    return below(file)->pMethods->xFileControl(below(file), op, arg);
}

static int log_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int log_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *parent = vfs->pAppData;
    if (!(flags & SQLITE_OPEN_WAL))
        return parent->xOpen(parent, name, file, flags, out);
    *log_of(file) = (struct log_file){.waiting = NULL};
    int rc = parent->xOpen(parent, name, below(file), flags, out);
    if (rc == SQLITE_OK)
        file->pMethods = &log_methods;
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    sqlite3_vfs *parent = vfs->pAppData;
    return parent->xDelete(parent, name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    sqlite3_vfs *parent = vfs->pAppData;
    return parent->xAccess(parent, name, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    sqlite3_vfs *parent = vfs->pAppData;
    return parent->xFullPathname(parent, name, n, out);
}

int store_sqlite_vfs_add(struct store_sqlite *q)
{
    sqlite3_vfs *parent = sqlite3_vfs_find(q->options.vfs);
    if (!parent)
        return SQLITE_ERROR;
    sqlite3_snprintf(sizeof(q->vfs_name), q->vfs_name, "virga-%p", (void *)q);
    q->vfs = *parent;
    q->vfs.zName = q->vfs_name;
    q->vfs.pNext = NULL;
    q->vfs.pAppData = parent;
    q->vfs.szOsFile = (int)sizeof(struct log_file) + parent->szOsFile;
    q->vfs.xOpen = vfs_open;
    q->vfs.xDelete = vfs_delete;
    q->vfs.xAccess = vfs_access;
    q->vfs.xFullPathname = vfs_full_path;
    return sqlite3_vfs_register(&q->vfs, 0);
}

void store_sqlite_vfs_remove(struct store_sqlite *q)
{
    if (q->vfs.pAppData)
        sqlite3_vfs_unregister(&q->vfs);
}
