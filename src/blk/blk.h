/* The back-end seam of disks: what a virtio-blk device (or a filter, or another format) asks of a
 * raw file, a qcow2 image, a volume. Implementers: blk/blk_provider.h.
 *
 * A backend belongs to one loop. Every function here runs in that loop's thread, or anywhere while
 * no thread runs the loop; completions come in the same thread. Backends stack: a format owns the
 * backends below it and closes them.
 *
 * Requests may complete in any order, and those that overlap in flight may take effect in any
 * order. A flush covers the writes that had completed when it was submitted. */
#ifndef BLK_BLK_H
#define BLK_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "io/loop.h"

#define BLK_SECTOR_BYTES  512
#define BLK_SCRATCH_WORDS 18

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES, BLK_OPS_COUNT };

enum blk_request_flags {
    BLK_MAY_UNMAP = 1 << 0, /* WRITE_ZEROES: the space may be given back */
};

/* One request, in its submitter's memory; no allocation is made for it on the way. */
struct blk_request {
    enum blk_op op;
    unsigned flags;
    uint64_t offset, len_bytes; /* FLUSH: ignored */
    /* READ and WRITE: len_bytes in all. A backend may alter entries while it has the request and
     * has put them back when it calls done. */
    struct iovec *iov;
    unsigned n_iov;
    /* Called exactly once, possibly before blk_submit() returns. `result`: 0 or -errno. */
    void (*done)(struct blk_request *req, int result);
    void *opaque;

    /* The backend's, from blk_submit() to done. */
    struct blk_request *next;
    uint64_t scratch[BLK_SCRATCH_WORDS];
};

struct blk_info {
    uint64_t size_bytes;
    bool read_only;
    uint32_t block_bytes;               /* requests aligned to this are fast; a power of two */
    uint32_t discard_granularity_bytes; /* smaller discards do nothing; 0: no discard */
    bool growable; /* for formats' files: writes extend it, reads past the end give zeroes */
};

struct blk;

/* Hands a request to the backend. A request outside [0, size) (unless growable) completes with
 * -EINVAL, one that changes a read-only backend with -EROFS, a discard where there is none with
 * -EOPNOTSUPP. */
void blk_submit(struct blk *b, struct blk_request *req);

/* Borrowed; changes only by blk_refresh(), and by writes to a growable backend. */
const struct blk_info *blk_info(const struct blk *b);

/* Looks again how large the image is (it was grown outside). Blocks. */
int blk_refresh(struct blk *b, struct err *err);

/* Waits until nothing is in flight. Other backends of the same loop may complete meanwhile. Blocks.
 */
void blk_drain(struct blk *b);
unsigned blk_in_flight(const struct blk *b);

/* Drains, writes back what is cached, closes the descriptors and the backends below, frees. NULL is
 * allowed. Blocks. */
void blk_close(struct blk *b);

/* One request, waited for: for opening, tests and tools. Returns 0 or -errno. Blocks. */
int blk_read_sync(struct blk *b, uint64_t offset, void *buf, size_t len);
int blk_write_sync(struct blk *b, uint64_t offset, const void *buf, size_t len);
int blk_op_sync(struct blk *b, enum blk_op op, unsigned flags, uint64_t offset, uint64_t len);

/* Copies between a request's iov, from `skip` bytes on, and a buffer. */
void blk_iov_to_buf(const struct iovec *iov, unsigned n_iov, size_t skip, void *buf, size_t len);
void blk_iov_from_buf(const struct iovec *iov, unsigned n_iov, size_t skip, const void *buf,
                      size_t len);
void blk_iov_zero(const struct iovec *iov, unsigned n_iov, size_t skip, size_t len);
/* Makes `out` cover [skip, skip+len) of iov. Returns the entries used, at most n_iov; 0 when
 * `out_max` is too small. */
unsigned blk_iov_slice(const struct iovec *iov, unsigned n_iov, size_t skip, size_t len,
                       struct iovec *out, unsigned out_max);

#endif
