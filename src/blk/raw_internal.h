/* What raw.c and raw_bounce.c share. */
#ifndef BLK_RAW_INTERNAL_H
#define BLK_RAW_INTERNAL_H

#include <assert.h>
#include <limits.h>
#include <stdio.h>

#include "blk/aio.h"
#include "blk/blk_provider.h"

#define RAW_BOUNCE_BYTES (UINT64_C(256) << 10)
#define RAW_ZERO_BYTES   (UINT64_C(64) << 10)
#define RAW_ZERO_IOVS    16

struct raw_list {
    struct blk_request *first, **last;
};

struct raw {
    struct blk blk;
    struct aio *aio;
    int fd;
    char name[256];
    bool is_blkdev, direct, no_flush;
    bool no_punch, no_zero_range; /* tried and refused */
    uint32_t align_bytes, mem_align_bytes;
    unsigned writes_in_flight;
    struct iovec zero_iov[RAW_ZERO_IOVS]; /* one read-only mapping of zeroes, again and again */

    /* The bounce lane: one request at a time, one buffer. */
    struct raw_list waiting;
    struct blk_request *bouncing;
    uint64_t bounced_bytes; /* of `bouncing` that are finished */
    void *bounce_buf;
    struct aio_op bounce_op;
    struct iovec bounce_iov;
    bool bounce_busy; /* an operation of the lane is in flight */
    bool exclusive;   /* a read-modify-write runs or waits: writes are held */
    struct raw_list held;
};

struct raw_request {
    struct aio_op op;
    struct raw *raw;
    struct blk_request *req;
    uint64_t progress;
    struct iovec saved;
    unsigned saved_index;
    bool altered;
};
static_assert(sizeof(struct raw_request) <= sizeof(((struct blk_request *)0)->scratch),
              "a raw request lives in its blk_request");

static inline struct raw_request *raw_request(struct blk_request *req)
{
    return (struct raw_request *)(void *)req->scratch;
}

static inline bool raw_changes(const struct blk_request *req)
{
    return req->op != BLK_READ && req->op != BLK_FLUSH;
}

static inline bool raw_aligned(const struct raw *raw, uint64_t v)
{
    return !(v & (raw->align_bytes - 1));
}

void raw_start(struct raw *raw, struct blk_request *req);
void raw_write_zeroes(struct raw *raw, struct blk_request *req);
int raw_end_of_file(struct raw *raw, struct blk_request *req, size_t progress);

void raw_bounce_init(struct raw *raw);
void raw_bounce_fini(struct raw *raw);
void raw_bounce_add(struct raw *raw, struct blk_request *req);
void raw_bounce_hold(struct raw *raw, struct blk_request *req);
/* Lets the lane go on if what it waited for has happened. */
void raw_bounce_run(struct raw *raw);

#endif
