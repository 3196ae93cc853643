/* qcow2 images, versions 2 and 3, read and written. Compressed clusters (zlib, zstd) are read;
 * internal snapshots are preserved (shared clusters are copied on write); encryption, external data
 * files and extended L2 entries are refused by name.
 * Spec: QEMU's docs/interop/qcow2.txt. */
#ifndef BLK_QCOW2_H
#define BLK_QCOW2_H

#include "blk/blk.h"

#define QCOW2_BACKING_NAME_MAX 1023
#define QCOW2_PROBE_BYTES      (UINT32_C(64) << 10)

struct qcow2_options {
    bool read_only;
    const char *name;   /* for messages */
    size_t cache_bytes; /* of tables; 0: 1 MiB */
};

/* Opens the image in `file` (growable unless read-only) over `backing` (read-only; NULL for none,
 * also when the image names one and the caller wants it ignored). Owns both when it succeeds.
 * Refuses to write to an image that is marked corrupt or dirty.
 * Errors: EINVAL (a field, named, makes no sense), ENOTSUP (a feature, named). Blocks.
 * Threads: the loop's, or any while no thread runs it. */
struct blk *qcow2_open(struct blk *file, struct blk *backing, const struct qcow2_options *options,
                       struct err *err);

struct qcow2_backing {
    char name[QCOW2_BACKING_NAME_MAX + 1]; /* as the image has it; empty: none */
    char format[16];                       /* empty: not said */
};

/* Reads what an opener must know from the first bytes of an image (QCOW2_PROBE_BYTES, or the whole
 * file if it is shorter). Errors: as qcow2_open(). */
int qcow2_read_backing(const void *head, size_t len, const char *name, struct qcow2_backing *out,
                       struct err *err);
/* Whether the bytes begin as a qcow2 image does. */
bool qcow2_probe(const void *head, size_t len);

#endif
