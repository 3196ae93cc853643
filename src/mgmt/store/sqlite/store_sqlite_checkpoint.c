/* Checkpoints: the log's pages move into the file on a thread of their own.
 *
 * Commits append to the log meanwhile, so a checkpoint never catches up by itself and the log would
 * grow for ever. Hence two steps: as often as it helps, a passive checkpoint beside the commits;
 * then, with little left, one that holds the commits off (`writing`) until the log is empty and can
 * begin anew. The first takes the time of writing the pages; what the second takes every commit
 * waits for, so the first is done again and again until what is left comes from the last one.
 *
 * The log is as large as it gets from the start: here an append with fdatasync costs many times an
 * overwrite, because the file system must commit the new size too. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

#define PASSIVE_ROUNDS_MAX 12
#define LITTLE_LEFT_PAGES  96

/* Zeroes after the frames are no frames: recovery stops at the first that has no valid checksum.
 * A failure only costs speed. */
void store_sqlite_preallocate(struct store_sqlite *q)
{
    static const char zeroes[64 * 1024];
    CLEANUP_CLOSE int fd = open(q->wal_path, O_WRONLY | O_CLOEXEC);
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb) < 0)
        return;
    for (uint64_t at = (uint64_t)sb.st_size; at < q->options.wal_bytes;) {
        size_t len = (size_t)MIN(sizeof(zeroes), q->options.wal_bytes - at);
        if (pwrite(fd, zeroes, len, (off_t)at) != (ssize_t)len)
            break;
        at += len;
    }
    fsync(fd);
}

/* Called by SQLite after each commit, in the commit thread, with the pages in the log. */
static int after_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct store_sqlite *q = ctx;
    store_sqlite_log_committed(q, pages);
    atomic_store(&q->log_pages, pages);
    if ((unsigned)pages < q->options.checkpoint_pages)
        return SQLITE_OK;
    pthread_mutex_lock(&q->checkpoint_lock);
    if (!q->checkpoint_wanted) {
        q->checkpoint_wanted = true;
        pthread_cond_signal(&q->checkpoint_work);
    }
    pthread_mutex_unlock(&q->checkpoint_lock);
    return SQLITE_OK;
}

/* A failure leaves the pages in the log, where they are safe; the next commit asks again. */
static void checkpoint(struct store_sqlite *q)
{
    int in_log, moved; /* of the log as it was when the round began */
    for (unsigned i = 0; i < PASSIVE_ROUNDS_MAX; i++) {
        if (sqlite3_wal_checkpoint_v2(q->checkpoint_db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
                                      &moved) != SQLITE_OK)
            return;
        if (atomic_load(&q->log_pages) - moved < LITTLE_LEFT_PAGES)
            break;
    }
    store_sqlite_lock(q);
    sqlite3_wal_checkpoint_v2(q->checkpoint_db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    pthread_mutex_unlock(&q->writing);
}

static void *checkpoint_thread(void *arg)
{
    struct store_sqlite *q = arg;
    pthread_mutex_lock(&q->checkpoint_lock);
    while (!q->checkpoint_closing) {
        if (!q->checkpoint_wanted) {
            pthread_cond_wait(&q->checkpoint_work, &q->checkpoint_lock);
            continue;
        }
        pthread_mutex_unlock(&q->checkpoint_lock);
        checkpoint(q);
        pthread_mutex_lock(&q->checkpoint_lock);
        q->checkpoint_wanted = false;
    }
    pthread_mutex_unlock(&q->checkpoint_lock);
    return NULL;
}

int store_sqlite_checkpoint_start(struct store_sqlite *q, struct err *err)
{
    int e = thread_start(&q->checkpoint_thread, checkpoint_thread, q);
    if (e)
        return err_sys(err, e, "could not start the store's checkpoint thread");
    q->checkpoint_started = true;
    q->log_end = -1;
    sqlite3_wal_hook(q->db, after_commit, q);
    return 0;
}

void store_sqlite_checkpoint_stop(struct store_sqlite *q)
{
    if (!q->checkpoint_started)
        return;
    pthread_mutex_lock(&q->checkpoint_lock);
    q->checkpoint_closing = true;
    pthread_cond_signal(&q->checkpoint_work);
    pthread_mutex_unlock(&q->checkpoint_lock);
    pthread_join(q->checkpoint_thread, NULL);
    q->checkpoint_started = false;
}
