/* Backends without a file, for tests and fuzzers: one that keeps nothing (reads give zeroes) and
 * one that keeps its bytes in memory. Requests complete inside blk_submit(), unless deferred. */
#ifndef BLK_NULL_H
#define BLK_NULL_H

#include "blk/blk.h"

struct null_config {
    uint64_t size_bytes;
    bool keep;          /* in memory; at most max_bytes */
    bool growable;      /* up to max_bytes, beyond it -ENOSPC */
    uint64_t max_bytes; /* 0: size_bytes */
    bool read_only;
    bool deferred; /* complete in the loop's next round, as a file's requests would */
};

struct blk *null_create(struct loop *loop, const struct null_config *config, struct err *err);

/* The bytes of a backend that keeps them: size_bytes of blk_info(). Borrowed until the next
 * request. NULL if it keeps none. */
uint8_t *null_bytes(struct blk *b);

#endif
