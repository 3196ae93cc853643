/* Where the log ends, and how what a failed commit left behind its end is cut off without room for
 * a commit: zeroes over the head of the first frame there, at which recovery stops.
 *
 * The log's format: https://www.sqlite.org/fileformat2.html#walformat. A log that began anew has
 * another salt, and ends at its head until something is committed. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/sqlite/store_sqlite_internal.h"

#define LOG_HEAD_BYTES   32
#define FRAME_HEAD_BYTES 24
#define SALT_OFFSET      16
#define PAGE_SIZE_OFFSET 8

static sqlite3_file *log_file(struct store_sqlite *q)
{
    sqlite3_file *f = NULL;
    int rc = sqlite3_file_control(q->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);
    return rc == SQLITE_OK && f && f->pMethods ? f : NULL;
}

static int read_head(sqlite3_file *f, uint8_t head[LOG_HEAD_BYTES])
{
    return f->pMethods->xRead(f, head, LOG_HEAD_BYTES, 0) == SQLITE_OK ? 0 : -EIO;
}

void store_sqlite_log_committed(struct store_sqlite *q, int pages)
{
    sqlite3_file *f = log_file(q);
    uint8_t head[LOG_HEAD_BYTES];
    uint32_t page_bytes;
    q->log_end = -1;
    if (!f || read_head(f, head))
        return;
    memcpy(&page_bytes, head + PAGE_SIZE_OFFSET, sizeof(page_bytes));
    memcpy(q->log_salt, head + SALT_OFFSET, sizeof(q->log_salt));
    q->log_end = LOG_HEAD_BYTES + (int64_t)pages * (FRAME_HEAD_BYTES + be32toh(page_bytes));
}

int store_sqlite_log_cut(struct store_sqlite *q)
{
    static const uint8_t zeroes[FRAME_HEAD_BYTES];
    sqlite3_file *f = log_file(q);
    sqlite3_int64 size;
    uint8_t head[LOG_HEAD_BYTES];
    if (q->log_end < 0 || !f || read_head(f, head) || f->pMethods->xFileSize(f, &size) != SQLITE_OK)
        return -EIO;
    bool anew = memcmp(head + SALT_OFFSET, q->log_salt, sizeof(q->log_salt)) != 0;
    sqlite3_int64 end = anew ? LOG_HEAD_BYTES : q->log_end;
    int n = (int)MIN(size - end, (sqlite3_int64)sizeof(zeroes));
    if (n <= 0)
        return 0;
    return f->pMethods->xWrite(f, zeroes, n, end) == SQLITE_OK &&
                   f->pMethods->xSync(f, SQLITE_SYNC_NORMAL) == SQLITE_OK
               ? 0
               : -EIO;
}
