/* The store in one SQLite file, for one server. Design: docs/arch/16-store.md. */
#ifndef MGMT_STORE_SQLITE_STORE_SQLITE_H
#define MGMT_STORE_SQLITE_STORE_SQLITE_H

#include "mgmt/store/store.h"

struct store_sqlite_options {
    const char *vfs;           /* SQLite's name of a VFS; NULL: the default. For fault injection */
    uint64_t wal_bytes;        /* the log is made this large at once and kept so; 0: 64 MiB */
    unsigned checkpoint_pages; /* so many in the log start a checkpoint; 0: 3/4 of wal_bytes */
};

/* Opens or creates; brings an older schema up to date. Beside the file lie <path>-wal, <path>-shm
 * and <path>-lock. `options` may be NULL.
 * Errors: -EBUSY: another process has it open; -EPROTO: written by a newer version; -EINVAL: a
 * file, but not one of ours; -EAGAIN: SQLite's errors. Owns: store_close() frees. Blocks. */
struct store *store_sqlite_open(const char *path, const struct store_sqlite_options *options,
                                const struct store_config *config, struct err *err);

#endif
