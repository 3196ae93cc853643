/* Asynchronous file I/O for the backends of one loop: one io_uring, made at the first request, or
 * a pool of threads where the kernel refuses one.
 *
 * Why one ring a loop and not one a disk: rings are cheap to make here (10 us) but have cost others
 * 40 to 110 ms a disk at boot on hosts where memory cgroups or RCU are slow; and a loop that serves
 * several disks submits for all of them with one system call. */
#ifndef BLK_AIO_H
#define BLK_AIO_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "io/iothread.h"
#include "io/loop.h"

enum aio_kind { AIO_AUTO, AIO_URING, AIO_THREADS };

struct aio_config {
    enum aio_kind kind;
    unsigned threads_max;                      /* of the pool; 0: 8 */
    const struct iothread_setup *thread_setup; /* run first in each pool thread; may be NULL */
};

enum aio_code {
    AIO_READV,
    AIO_WRITEV,
    AIO_FDATASYNC,
    AIO_FALLOCATE,
    AIO_BLKDISCARD, /* the ioctl; always in the pool */
};

/* One operation, embedded in its user. */
struct aio_op {
    enum aio_code code;
    int fd;
    int mode; /* of fallocate(2) */
    unsigned n_iov;
    const struct iovec *iov;
    uint64_t offset, len_bytes; /* len: fallocate and discard only */
    /* Bytes transferred or 0; -errno. Never called from within aio_submit(). */
    void (*done)(struct aio_op *op, int result);
    struct aio_op *next; /* aio's, while in flight */
    int result;          /* aio's */
};

struct aio;

/* Nothing but memory is taken before the first request. `config` may be NULL (AIO_AUTO).
 * With AIO_URING a kernel that refuses fails the requests instead. Owns: aio_destroy() frees;
 * nothing may be in flight then. Threads: the loop's, or any while no thread runs it. */
struct aio *aio_create(struct loop *loop, const struct aio_config *config, struct err *err);
void aio_destroy(struct aio *aio);

/* Queues an operation; the loop's prepare hook passes all that were queued to the kernel at once.
 */
void aio_submit(struct aio *aio, struct aio_op *op);
/* Runs the completions that are there, after waiting for one if there is none. Only while an
 * operation is in flight. Blocks. */
void aio_poll(struct aio *aio);

#endif
