/* A VFS over another one (https://www.sqlite.org/vfs.html) that changes how two files are written.
 *
 * The log in large pieces: SQLite writes two for each page of a commit, a head of 24 bytes and the
 * page, and then syncs. Here what follows on what was written before waits in memory until the
 * sync, or until anything else is asked of the file. Other connections look at frames only once the
 * shared index names them, which is after the sync (synchronous=FULL). What could not be written is
 * dropped, and the sync says so: the commit fails, as it would have.
 *
 * The database a little at a time: a checkpoint writes thousands of pages, and what syncs the log
 * meanwhile waits behind all that the disk has been given. So after each piece the checkpoint
 * itself waits until the disk has it. The file grows in large steps, so that most checkpoints need
 * not make a new size durable too; each step is zeroes, written in the same way.
 *
 * A file is the other VFS's own, with some of its methods replaced; what these need follows it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

/* SQLite's own VFS writes at most 128 KiB - 1 at once. */
#define WAITING_BYTES (124 * KIB)
#define PIECE_BYTES   (128 * KIB)

struct our_file {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *below;
    /* The log. */
    uint8_t *waiting; /* NULL: none yet, or no memory: written at once */
    int n;
    sqlite3_int64 at; /* where in the file the waiting bytes go */
    /* The database. */
    int fd;             /* store_sqlite.data_fd */
    size_t given_size;  /* bytes that the disk may not have yet */
    sqlite3_int64 step; /* by which it grows */
};

static struct our_file *ours(sqlite3_file *file)
{
    return container_of(file->pMethods, struct our_file, methods);
}

static int flush(sqlite3_file *file)
{
    struct our_file *f = ours(file);
    int n = f->n;
    f->n = 0;
    return n ? f->below->xWrite(file, f->waiting, n, f->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    struct our_file *f = ours(file);
    if (!f->waiting)
        f->waiting = malloc(WAITING_BYTES);
    if (!f->waiting || n > (int)WAITING_BYTES - f->n || at != f->at + f->n) {
        int rc = flush(file);
        if (rc != SQLITE_OK)
            return rc;
        f->at = at;
    }
    if (!f->waiting || n > (int)WAITING_BYTES)
        return f->below->xWrite(file, data, n, at);
    memcpy(f->waiting + f->n, data, (size_t)n);
    f->n += n;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : ours(file)->below->xRead(file, data, n, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : ours(file)->below->xTruncate(file, size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : ours(file)->below->xSync(file, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int rc = flush(file);
    return rc != SQLITE_OK ? rc : ours(file)->below->xFileSize(file, size);
}

static int log_close(sqlite3_file *file)
{
    struct our_file *f = ours(file);
    int rc = flush(file);
    int closed = f->below->xClose(file);
    free(f->waiting);
    return rc != SQLITE_OK ? rc : closed;
}

/* An error of sync_file_range() is one of the disk, which the checkpoint's sync finds too. */
static int data_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
    struct our_file *f = ours(file);
    int rc = f->below->xWrite(file, data, n, at);
    f->given_size += (size_t)n;
    if (f->given_size >= PIECE_BYTES) {
        f->given_size = 0;
        (void)sync_file_range(f->fd, 0, 0,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
    }
    return rc;
}

/* Where there is no room for all of it, the pages themselves may still have room. */
static int grow(sqlite3_file *file, sqlite3_int64 needed)
{
    static const uint8_t zeroes[64 * KIB];
    struct our_file *f = ours(file);
    sqlite3_int64 at;
    if (f->below->xFileSize(file, &at) != SQLITE_OK || at >= needed)
        return SQLITE_OK;
    for (sqlite3_int64 end = (needed + f->step - 1) / f->step * f->step; at < end;) {
        int n = (int)MIN(end - at, (sqlite3_int64)sizeof(zeroes));
        if (data_write(file, zeroes, n, at) != SQLITE_OK)
            break;
        at += n;
    }
    return SQLITE_OK;
}

static int data_control(sqlite3_file *file, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT)
        return grow(file, *(sqlite3_int64 *)arg);
    return ours(file)->below->xFileControl(file, op, arg);
}

static struct store_sqlite *store_of(sqlite3_vfs *vfs)
{
    return container_of(vfs, struct store_sqlite, vfs);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *parent = vfs->pAppData;
    int rc = parent->xOpen(parent, name, file, flags, out);
    if (rc != SQLITE_OK || !(flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)))
        return rc;
    struct our_file *f = (struct our_file *)((char *)file + (vfs->szOsFile - (int)sizeof(*f)));
    const struct store_sqlite *q = store_of(vfs);
    *f = (struct our_file){.methods = *file->pMethods,
                           .below = file->pMethods,
                           .fd = q->data_fd,
                           .step = (sqlite3_int64)(q->options.wal_bytes / 4)};
    if (flags & SQLITE_OPEN_WAL) {
        f->methods.xWrite = log_write;
        f->methods.xRead = log_read;
        f->methods.xTruncate = log_truncate;
        f->methods.xSync = log_sync;
        f->methods.xFileSize = log_size;
        f->methods.xClose = log_close;
    } else {
        f->methods.xWrite = data_write;
        f->methods.xFileControl = data_control;
    }
    file->pMethods = &f->methods;
    return SQLITE_OK;
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
    q->vfs.szOsFile = (parent->szOsFile + 15) / 16 * 16 + (int)sizeof(struct our_file);
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
