/* Compressed clusters: read, unpacked and kept one at a time, which serves sequential readers. The
 * L2 entry is the key: it names the bytes, and nothing compressed is ever written by us. */
#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "blk/qcow2_internal.h"

static int unpack_zlib(struct qcow2 *q)
{
    struct qcow2_unpack *u = &q->unpack;
    z_stream z = {.next_in = u->in,
                  .avail_in = (unsigned)u->in_bytes,
                  .next_out = u->out,
                  .avail_out = (unsigned)q->cluster_bytes};
    if (inflateInit2(&z, -15) != Z_OK) /* raw deflate, any window */
        return -ENOMEM;
    int r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return (r == Z_STREAM_END || r == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
}

static int unpack_zstd(struct qcow2 *q)
{
    struct qcow2_unpack *u = &q->unpack;
    if (!u->zstd) {
        u->zstd = ZSTD_createDCtx();
        if (!u->zstd)
            return -ENOMEM;
        /* No larger window than a few clusters: the file decides how much we allocate. */
        ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, 23);
    }
    ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {u->in, u->in_bytes, 0};
    ZSTD_outBuffer out = {u->out, q->cluster_bytes, 0};
    while (out.pos < out.size) {
        size_t in_before = in.pos, out_before = out.pos;
        size_t r = ZSTD_decompressStream(u->zstd, &out, &in);
        if (ZSTD_isError(r) || (in.pos == in_before && out.pos == out_before))
            return -EIO;
    }
    return 0;
}

static void was_read(struct blk_request *io, int result)
{
    struct qcow2 *q = io->opaque;
    struct qcow2_unpack *u = &q->unpack;
    if (result == 0)
        result = q->h.compression ? unpack_zstd(q) : unpack_zlib(q);
    u->busy = false;
    u->entry = result < 0 ? 0 : u->loading;
    u->failed_entry = result < 0 ? u->loading : 0;
    u->error = result;
    qcow2_wake(q);
    qcow2_kick(q);
}

int qcow2_unpack_get(struct qcow2 *q, uint64_t entry, const uint8_t **data)
{
    struct qcow2_unpack *u = &q->unpack;
    if (u->entry == entry) {
        *data = u->out;
        return 0;
    }
    if (u->busy)
        return -EAGAIN;
    if (u->failed_entry == entry) {
        u->failed_entry = 0;
        return u->error;
    }
    uint64_t offset, bytes;
    qcow2_map_compressed(q, entry, &offset, &bytes);
    bytes = MIN(bytes, 2 * q->cluster_bytes);
    if (!u->in && posix_memalign((void **)&u->in, 4096, 2 * q->cluster_bytes))
        return -ENOMEM;
    if (!u->out && posix_memalign((void **)&u->out, 4096, q->cluster_bytes))
        return -ENOMEM;
    u->entry = 0;
    u->loading = entry;
    u->busy = true;
    u->in_bytes = bytes;
    u->iov = (struct iovec){u->in, bytes};
    u->io = (struct blk_request){.op = BLK_READ,
                                 .offset = offset,
                                 .len_bytes = bytes,
                                 .iov = &u->iov,
                                 .n_iov = 1,
                                 .done = was_read,
                                 .opaque = q};
    blk_submit(q->file, &u->io);
    return u->busy ? -EAGAIN : qcow2_unpack_get(q, entry, data);
}

void qcow2_unpack_fini(struct qcow2 *q)
{
    free(q->unpack.in);
    free(q->unpack.out);
    ZSTD_freeDCtx(q->unpack.zstd);
}
