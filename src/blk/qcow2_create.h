/* Writes a new, empty qcow2 image (version 3, clusters of 64 KiB), over a backing file or none. It
 * is a header and three tables, so it takes no longer for a large disk than for a small one. */
#ifndef BLK_QCOW2_CREATE_H
#define BLK_QCOW2_CREATE_H

#include <stdint.h>

#include "base/err.h"

#define QCOW2_CREATE_MAX_BYTES (UINT64_C(1) << 50) /* 1 PiB */

struct qcow2_create_options {
    uint64_t size_bytes;        /* as the guest sees it; a multiple of 512 */
    const char *backing;        /* the backing file's name as it is to stand in the image; NULL */
    const char *backing_format; /* "raw" or "qcow2"; with `backing` */
};

/* Into an empty file, from its beginning. Does not sync. Errors: EINVAL (a size that is zero, odd
 * or too large, a name that is too long), those of pwrite(2). Blocks. */
int qcow2_create(int fd, const struct qcow2_create_options *options, struct err *err);

#endif
