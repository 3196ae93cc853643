/* A request becomes one aio operation, kept in the request's own scratch space. Three cases take
 * more than one: a short transfer is continued; zeroes that the file system cannot make are
 * written; and with O_DIRECT, what is not aligned goes through the bounce lane (raw_bounce.c). */
#include "blk/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "blk/image.h"
#include "blk/raw_internal.h"

static void finish(struct raw *raw, struct blk_request *req, int result)
{
    if (raw_changes(req))
        raw->writes_in_flight--;
    blk_complete(&raw->blk, req, result);
    raw_bounce_run(raw); /* a read-modify-write may be waiting for the last write */
}

/* ---- reads and writes ---- */

static void transfer_done(struct aio_op *op, int result);

static void transfer_start(struct raw *raw, struct blk_request *req)
{
    struct raw_request *rr = raw_request(req);
    rr->raw = raw;
    rr->req = req;
    rr->op = (struct aio_op){
        .code = req->op == BLK_READ ? AIO_READV : AIO_WRITEV,
        .fd = raw->fd,
        .iov = req->iov,
        .n_iov = req->n_iov,
        .offset = req->offset,
        .done = transfer_done,
    };
    rr->progress = 0;
    rr->altered = false;
    aio_submit(raw->aio, &rr->op);
}

/* Goes on after a short transfer: the entry in which it ended is altered until the next one. */
static void transfer_continue(struct raw_request *rr)
{
    struct blk_request *req = rr->req;
    size_t skip = rr->progress;
    unsigned i = 0;
    while (skip >= req->iov[i].iov_len)
        skip -= req->iov[i++].iov_len;
    rr->saved = req->iov[i];
    rr->saved_index = i;
    rr->altered = true;
    req->iov[i].iov_base = (char *)req->iov[i].iov_base + skip;
    req->iov[i].iov_len -= skip;
    rr->op.iov = req->iov + i;
    rr->op.n_iov = req->n_iov - i;
    rr->op.offset = req->offset + rr->progress;
    aio_submit(rr->raw->aio, &rr->op);
}

static void transfer_done(struct aio_op *op, int result)
{
    struct raw_request *rr = container_of(op, struct raw_request, op);
    struct raw *raw = rr->raw;
    struct blk_request *req = rr->req;
    if (rr->altered)
        req->iov[rr->saved_index] = rr->saved;
    rr->altered = false;
    if (result == -EINTR || result == -EAGAIN)
        result = 0;
    else if (result < 0)
        return finish(raw, req, result);
    else if (result == 0)
        return finish(raw, req, raw_end_of_file(raw, req, rr->progress));
    rr->progress += (size_t)result;
    if (rr->progress >= req->len_bytes)
        return finish(raw, req, 0);
    if (raw->direct && !raw_aligned(raw, req->offset + rr->progress))
        return finish(raw, req, raw_end_of_file(raw, req, rr->progress));
    transfer_continue(rr);
}

/* What a read found no bytes for: zeroes in a format's file; anywhere else the image was cut short
 * under us. */
int raw_end_of_file(struct raw *raw, struct blk_request *req, size_t progress)
{
    if (req->op != BLK_READ || !raw->blk.info.growable)
        return -EIO;
    blk_iov_zero(req->iov, req->n_iov, progress, req->len_bytes - progress);
    return 0;
}

static bool needs_bounce(const struct raw *raw, const struct blk_request *req)
{
    if (!raw->direct)
        return false;
    if (!raw_aligned(raw, req->offset) || !raw_aligned(raw, req->len_bytes))
        return true;
    for (unsigned i = 0; i < req->n_iov; i++)
        if (((uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len) & (raw->mem_align_bytes - 1))
            return true;
    return false;
}

/* ---- flush, discard, zeroes ---- */

static void plain_done(struct aio_op *op, int result)
{
    struct raw_request *rr = container_of(op, struct raw_request, op);
    bool unsupported = result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY;
    if (rr->req->op == BLK_DISCARD && (unsupported || result == -EINVAL)) {
        rr->raw->no_punch = true; /* advice that cannot be taken is not an error */
        result = 0;
    }
    finish(rr->raw, rr->req, result);
}

static void plain_start(struct raw *raw, struct blk_request *req, enum aio_code code, int mode,
                        void (*done)(struct aio_op *op, int result))
{
    struct raw_request *rr = raw_request(req);
    rr->raw = raw;
    rr->req = req;
    rr->op = (struct aio_op){.code = code,
                             .fd = raw->fd,
                             .mode = mode,
                             .done = done,
                             .offset = req->offset,
                             .len_bytes = req->len_bytes};
    aio_submit(raw->aio, &rr->op);
}

static void zeroes_written(struct aio_op *op, int result);

/* Writes the next up to RAW_ZERO_IOVS * RAW_ZERO_BYTES of zeroes. */
static void zeroes_write(struct raw_request *rr)
{
    struct raw *raw = rr->raw;
    uint64_t rest = rr->req->len_bytes - rr->progress;
    unsigned n = (unsigned)MIN(rest / RAW_ZERO_BYTES, RAW_ZERO_IOVS);
    rr->op.code = AIO_WRITEV;
    rr->op.done = zeroes_written;
    rr->op.offset = rr->req->offset + rr->progress;
    rr->op.iov = raw->zero_iov;
    rr->op.n_iov = n;
    if (n == 0) {
        rr->saved = (struct iovec){raw->zero_iov[0].iov_base, rest};
        rr->op.iov = &rr->saved;
        rr->op.n_iov = 1;
    }
    aio_submit(raw->aio, &rr->op);
}

static void zeroes_written(struct aio_op *op, int result)
{
    struct raw_request *rr = container_of(op, struct raw_request, op);
    if (result < 0 && result != -EINTR && result != -EAGAIN)
        return finish(rr->raw, rr->req, result);
    rr->progress += (uint64_t)MAX(result, 0);
    if (result == 0 || rr->progress >= rr->req->len_bytes)
        return finish(rr->raw, rr->req, result == 0 ? -EIO : 0);
    zeroes_write(rr);
}

static void zeroes_fallback(struct raw *raw, struct blk_request *req)
{
    struct raw_request *rr = raw_request(req);
    rr->raw = raw;
    rr->req = req;
    rr->progress = 0;
    rr->op = (struct aio_op){.fd = raw->fd};
    if (!raw->zero_iov[0].iov_base) {
        void *zeroes = mmap(NULL, RAW_ZERO_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (zeroes == MAP_FAILED)
            return finish(raw, req, -ENOMEM);
        for (unsigned i = 0; i < RAW_ZERO_IOVS; i++)
            raw->zero_iov[i] = (struct iovec){zeroes, RAW_ZERO_BYTES};
    }
    zeroes_write(rr);
}

static void zeroes_done(struct aio_op *op, int result)
{
    struct raw_request *rr = container_of(op, struct raw_request, op);
    struct raw *raw = rr->raw;
    if (result != -EOPNOTSUPP && result != -EINVAL && result != -ENOSYS)
        return finish(raw, rr->req, result);
    if (rr->op.mode & FALLOC_FL_PUNCH_HOLE)
        raw->no_punch = true;
    else
        raw->no_zero_range = true;
    raw_write_zeroes(raw, rr->req);
}

void raw_write_zeroes(struct raw *raw, struct blk_request *req)
{
    if ((req->flags & BLK_MAY_UNMAP) && !raw->no_punch)
        plain_start(raw, req, AIO_FALLOCATE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    zeroes_done);
    else if (!raw->no_zero_range)
        plain_start(raw, req, AIO_FALLOCATE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                    zeroes_done);
    else
        zeroes_fallback(raw, req);
}

/* ---- the seam ---- */

void raw_start(struct raw *raw, struct blk_request *req)
{
    if (raw_changes(req))
        raw->writes_in_flight++;
    switch (req->op) {
    case BLK_READ:
    case BLK_WRITE:
        transfer_start(raw, req);
        break;
    case BLK_FLUSH:
        if (raw->blk.info.read_only || raw->no_flush)
            blk_complete(&raw->blk, req, 0);
        else
            plain_start(raw, req, AIO_FDATASYNC, 0, plain_done);
        break;
    case BLK_DISCARD:
        if (raw->no_punch)
            finish(raw, req, 0);
        else if (raw->is_blkdev)
            plain_start(raw, req, AIO_BLKDISCARD, 0, plain_done);
        else
            plain_start(raw, req, AIO_FALLOCATE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        plain_done);
        break;
    default:
        raw_write_zeroes(raw, req);
        break;
    }
}

static void submit(struct blk *b, struct blk_request *req)
{
    struct raw *raw = (struct raw *)b;
    bool transfer = req->op == BLK_READ || req->op == BLK_WRITE;
    bool misaligned = raw->direct && !(raw_aligned(raw, req->offset | req->len_bytes));
    if ((transfer && needs_bounce(raw, req)) || (req->op == BLK_WRITE_ZEROES && misaligned))
        raw_bounce_add(raw, req);
    else if (raw->exclusive && raw_changes(req))
        raw_bounce_hold(raw, req);
    else
        raw_start(raw, req);
}

static void poll_aio(struct blk *b)
{
    aio_poll(((struct raw *)b)->aio);
}

static int size_of(struct raw *raw, uint64_t *size_bytes, struct err *err)
{
    struct stat st;
    if (fstat(raw->fd, &st) < 0)
        return err_sys(err, errno, "could not stat disk image %s", raw->name);
    raw->is_blkdev = S_ISBLK(st.st_mode);
    if (raw->is_blkdev) {
        if (ioctl(raw->fd, BLKGETSIZE64, size_bytes) < 0)
            return err_sys(err, errno, "could not read the size of block device %s", raw->name);
        return 0;
    }
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "disk image %s is neither a file nor a block device",
                       raw->name);
    *size_bytes = (uint64_t)st.st_size;
    return 0;
}

static int refresh(struct blk *b, struct err *err)
{
    struct raw *raw = (struct raw *)b;
    uint64_t size_bytes = 0;
    int r = size_of(raw, &size_bytes, err);
    if (r < 0)
        return r;
    if (raw->direct && !b->info.read_only && !b->info.growable && !raw_aligned(raw, size_bytes)) {
        log_line(LOG_WARN, "blk",
                 "image size is no multiple of its block, the rest is unused "
                 "path=%s bytes=%llu block=%u",
                 raw->name, (unsigned long long)size_bytes, raw->align_bytes);
        size_bytes &= ~(uint64_t)(raw->align_bytes - 1);
    }
    b->info.size_bytes = MIN(size_bytes, INT64_MAX);
    return 0;
}

static void close_raw(struct blk *b)
{
    struct raw *raw = (struct raw *)b;
    if (raw->zero_iov[0].iov_base)
        munmap(raw->zero_iov[0].iov_base, RAW_ZERO_BYTES);
    raw_bounce_fini(raw);
    image_unlock(raw->fd);
    close(raw->fd);
    free(raw);
}

static const struct blk_ops raw_ops = {
    .submit = submit,
    .poll = poll_aio,
    .refresh = refresh,
    .close = close_raw,
};

/* What O_DIRECT wants of offsets and of memory; where the kernel cannot say, found by trying. */
static void probe_alignment(struct raw *raw)
{
    raw->align_bytes = BLK_SECTOR_BYTES;
    raw->mem_align_bytes = BLK_SECTOR_BYTES;
    if (!raw->direct)
        return;
#ifdef STATX_DIOALIGN
    struct statx sx;
    if (statx(raw->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
        (sx.stx_mask & STATX_DIOALIGN) && is_pow2(sx.stx_dio_offset_align) &&
        is_pow2(sx.stx_dio_mem_align)) {
        raw->align_bytes = MAX(sx.stx_dio_offset_align, BLK_SECTOR_BYTES);
        raw->mem_align_bytes = sx.stx_dio_mem_align;
        return;
    }
#endif
    void *buf;
    if (posix_memalign(&buf, 4096, 4096))
        return;
    if (pread(raw->fd, (char *)buf + 512, 512, 512) < 0)
        raw->align_bytes = raw->mem_align_bytes = 4096;
    free(buf);
}

struct blk *raw_create(struct aio *aio, struct loop *loop, int fd, const char *name,
                       const struct raw_config *config, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        err_sys(err, errno, "disk image %s is not open", name);
        return NULL;
    }
    if (!config->read_only && (flags & O_ACCMODE) != O_RDWR) {
        err_set(err, EACCES, "disk image %s is opened read-only; attach it with 'readonly'", name);
        return NULL;
    }
    struct raw *raw = calloc(1, sizeof(*raw));
    if (!raw) {
        err_set(err, ENOMEM, "could not allocate the state of disk image %s", name);
        return NULL;
    }
    blk_init(&raw->blk, &raw_ops, loop);
    raw->aio = aio;
    raw->fd = fd;
    snprintf(raw->name, sizeof(raw->name), "%s", name);
    raw->direct = flags & O_DIRECT;
    raw->blk.info.read_only = config->read_only;
    raw->no_flush = config->no_flush;
    raw->blk.info.growable = config->growable;
    raw_bounce_init(raw);
    probe_alignment(raw);
    if (refresh(&raw->blk, err) < 0) {
        free(raw);
        return NULL;
    }
    raw->blk.info.block_bytes = raw->align_bytes;
    if (!config->read_only)
        raw->blk.info.discard_granularity_bytes = MAX(raw->align_bytes, 4096);
    return &raw->blk;
}
