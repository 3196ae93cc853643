/* Bytes of a disk, or of a part of one, for the parsers that look for a kernel in it (boot/gpt.h,
 * boot/ext4.h, boot/disk_kernel.h). What lies there was written by the guest: every read is checked
 * against the part's bounds, and all reads of one search count against one budget, so that no
 * contents of a disk can make a search go on without end. */
#ifndef BOOT_DISK_READER_H
#define BOOT_DISK_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct disk_reader {
    /* Fills `buf` with [offset, offset + bytes) of the disk, which lies within it. Returns 0 or
     * -errno. */
    int (*read)(void *ctx, uint64_t offset, void *buf, size_t bytes);
    void *ctx;
    uint64_t offset_bytes, size_bytes; /* the part; of the whole disk: 0 and its size */
    uint64_t *reads_left;              /* the budget; NULL: none */
};

/* Reads within the part. `what` begins the message. Units: bytes from the part's beginning.
 * Errors: EINVAL (not within the part), E2BIG (the budget is used up), those of the callback. */
int disk_reader_read(const struct disk_reader *r, const char *what, uint64_t offset, void *buf,
                     size_t bytes, struct err *err);

/* A reader of [offset, offset + bytes) of `r`, cut where `r` ends. */
struct disk_reader disk_reader_part(const struct disk_reader *r, uint64_t offset, uint64_t bytes);

#endif
