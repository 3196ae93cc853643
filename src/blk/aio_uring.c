/* The ring. Completions are reaped in two places: in the loop's prepare hook right after
 * submission (page-cache hits complete inside io_uring_enter), and when the eventfd that the loop
 * watches says that some came. (Watching the ring's own descriptor looks simpler, but with
 * DEFER_TASKRUN it misses requests that a kernel worker finishes: seen on 6.18.) The eventfd is
 * watched edge-triggered and never read; it is enabled only while the loop may sleep, so that
 * completions that are reaped on the spot cost no wake-up. With DEFER_TASKRUN the kernel finishes
 * requests only when this thread asks for events: no interruption of the thread in between.
 *
 * The ring is restricted to the operations below before it is enabled, because what goes through
 * it passes no seccomp filter. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "blk/aio_internal.h"

#define ENTRIES    128
#define CQ_ENTRIES 1024

static const uint8_t allowed_ops[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ,
                                      IORING_OP_WRITE, IORING_OP_FSYNC,  IORING_OP_FALLOCATE};

static int restrict_ops(struct io_uring *ring)
{
    struct io_uring_restriction res[ARRAY_LEN(allowed_ops) + 1];
    memset(res, 0, sizeof(res));
    for (unsigned i = 0; i < ARRAY_LEN(allowed_ops); i++) {
        res[i].opcode = IORING_RESTRICTION_SQE_OP;
        res[i].sqe_op = allowed_ops[i];
    }
    res[ARRAY_LEN(allowed_ops)].opcode = IORING_RESTRICTION_REGISTER_OP;
    res[ARRAY_LEN(allowed_ops)].register_op = IORING_REGISTER_ENABLE_RINGS;
    /* liburing 2.3 declares functions for these two and does not export them. */
    if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, res,
                ARRAY_LEN(res)) < 0 ||
        syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    return 0;
}

static void ready(struct loop_fd *w, uint32_t events)
{
    struct aio_uring *u = w->opaque;
    io_uring_cq_eventfd_toggle(&u->ring, false);
    io_uring_get_events(&u->ring);
    aio_uring_flush(u);
}

int aio_uring_open(struct aio_uring *u, struct loop *loop)
{
    /* From what new kernels do best to what 5.11 knows. */
    static const unsigned tries[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int r = -EINVAL;
    for (unsigned i = 0; i < ARRAY_LEN(tries) && r == -EINVAL; i++) {
        struct io_uring_params p = {
            .flags = tries[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = CQ_ENTRIES,
        };
        r = io_uring_queue_init_params(ENTRIES, &u->ring, &p);
    }
    if (r < 0)
        return r;
    u->backlog_tail = &u->backlog;
    u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = u->event_fd < 0 ? -errno : io_uring_register_eventfd(&u->ring, u->event_fd);
    if (r == 0)
        r = restrict_ops(&u->ring);
    if (r == 0) {
        u->watch = (struct loop_fd){.ready = ready, .opaque = u};
        r = loop_fd_add(loop, &u->watch, u->event_fd, EPOLLIN | EPOLLET);
    }
    if (r < 0)
        aio_uring_close(u);
    return r;
}

void aio_uring_close(struct aio_uring *u)
{
    loop_fd_remove(&u->watch);
    io_uring_queue_exit(&u->ring);
    if (u->event_fd >= 0)
        close(u->event_fd);
}

static void fill(struct io_uring_sqe *sqe, struct aio_op *op)
{
    switch (op->code) {
    case AIO_READV:
        if (op->n_iov == 1)
            io_uring_prep_read(sqe, op->fd, op->iov->iov_base,
                               (unsigned)MIN(op->iov->iov_len, INT32_MAX & ~4095), op->offset);
        else
            io_uring_prep_readv(sqe, op->fd, op->iov, op->n_iov, op->offset);
        break;
    case AIO_WRITEV:
        if (op->n_iov == 1)
            io_uring_prep_write(sqe, op->fd, op->iov->iov_base,
                                (unsigned)MIN(op->iov->iov_len, INT32_MAX & ~4095), op->offset);
        else
            io_uring_prep_writev(sqe, op->fd, op->iov, op->n_iov, op->offset);
        break;
    case AIO_FDATASYNC:
        io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
        break;
    case AIO_FALLOCATE:
        /* liburing 2.3 declares offset and length as off_t, which is 64 bits here. */
        io_uring_prep_fallocate(sqe, op->fd, op->mode, (off_t)op->offset, (off_t)op->len_bytes);
        break;
    case AIO_BLKDISCARD:
        break;
    }
    io_uring_sqe_set_data(sqe, op);
}

static struct io_uring_sqe *get_sqe(struct aio_uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe && io_uring_submit(&u->ring) > 0)
        sqe = io_uring_get_sqe(&u->ring);
    return sqe;
}

void aio_uring_queue(struct aio_uring *u, struct aio_op *op)
{
    u->in_flight++;
    struct io_uring_sqe *sqe = u->backlog ? NULL : get_sqe(u);
    if (sqe) {
        fill(sqe, op);
        return;
    }
    *u->backlog_tail = op;
    u->backlog_tail = &op->next;
}

static void queue_backlog(struct aio_uring *u)
{
    struct io_uring_sqe *sqe;
    while (u->backlog && (sqe = get_sqe(u))) {
        struct aio_op *op = u->backlog;
        u->backlog = op->next;
        if (!u->backlog)
            u->backlog_tail = &u->backlog;
        fill(sqe, op);
    }
}

/* What is in the completion queue now; more than one queue's worth waits for the next round, so
 * that completions that submit anew cannot keep the loop here. */
static bool reap(struct aio_uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned budget = CQ_ENTRIES;
    bool any = false;
    while (budget-- && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        struct aio_op *op = io_uring_cqe_get_data(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(&u->ring, cqe);
        u->in_flight--;
        op->done(op, result);
        any = true;
    }
    return any;
}

bool aio_uring_flush(struct aio_uring *u)
{
    queue_backlog(u);
    if (io_uring_sq_ready(&u->ring)) {
        io_uring_cq_eventfd_toggle(&u->ring, false);
        int r = io_uring_submit_and_get_events(&u->ring);
        if (r < 0 && r != -EAGAIN && r != -EBUSY && r != -EINTR)
            LOG_LIMITED(LOG_ERROR, "blk", "io_uring_enter failed errno=%d", -r);
    }
    bool any = reap(u);
    return any || io_uring_sq_ready(&u->ring) || u->backlog;
}

bool aio_uring_before_sleep(struct aio_uring *u)
{
    if (aio_uring_flush(u))
        return true;
    if (!u->in_flight || io_uring_cq_eventfd_enabled(&u->ring))
        return false;
    io_uring_cq_eventfd_toggle(&u->ring, true);
    atomic_thread_fence(memory_order_seq_cst);
    /* What finished before the eventfd was enabled has raised the flag, and is fetched here. */
    if (!(IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_TASKRUN) &&
        !io_uring_cq_ready(&u->ring))
        return false;
    io_uring_get_events(&u->ring);
    return reap(u);
}

void aio_uring_wait(struct aio_uring *u, unsigned timeout_ms)
{
    struct io_uring_cqe *cqe;
    if (timeout_ms) {
        struct pollfd p = {.fd = u->ring.ring_fd, .events = POLLIN};
        poll(&p, 1, (int)timeout_ms);
        io_uring_get_events(&u->ring);
    } else {
        io_uring_wait_cqe(&u->ring, &cqe);
    }
    reap(u);
}
