/* A qcow2 image that says anything, opened, read and written. Input: byte 0 the number of
 * operations (n % 64), then 4 bytes each, then the image. op      % 8: 0 to 2 read, 3 and 4 write,
 * 5 zeroes, 6 discard, 7 flush where   16 bits, in units of 1/65536 of the disk length  1 + n * n /
 * 2 sectors' worth, cut at the end Up to four are in flight at once. What is written is kept in
 * memory, 8 MiB at most. */
#include <errno.h>

#include "base/log.h"
#include "base/util.h"
#include "blk/null.h"
#include "blk/qcow2.h"

#define FILE_MAX  (8 * MIB)
#define IN_FLIGHT 4
#define LEN_MAX   (40 * KIB)

struct op {
    struct blk_request req;
    struct iovec iov;
    uint8_t buf[LEN_MAX];
    bool busy;
};

static void done(struct blk_request *req, int result)
{
    ((struct op *)req->opaque)->busy = false;
}

static void begin(struct blk *b, struct op *op, const uint8_t *say)
{
    static const enum blk_op ops[] = {BLK_READ,  BLK_READ,         BLK_READ,    BLK_WRITE,
                                      BLK_WRITE, BLK_WRITE_ZEROES, BLK_DISCARD, BLK_FLUSH};
    uint64_t size = blk_info(b)->size_bytes;
    uint64_t at = (uint64_t)((unsigned __int128)le16_read(say + 1) * size >> 16) & ~UINT64_C(511);
    uint64_t len = 512 + (uint64_t)say[3] * say[3] / 2 / 512 * 512;
    len = MIN(len, LEN_MAX);
    op->busy = true;
    op->iov = (struct iovec){op->buf, len};
    op->req = (struct blk_request){.op = ops[say[0] % 8],
                                   .flags = say[0] & 8 ? BLK_MAY_UNMAP : 0,
                                   .offset = at,
                                   .len_bytes = MIN(len, size - at),
                                   .iov = &op->iov,
                                   .n_iov = 1,
                                   .done = done,
                                   .opaque = op};
    op->iov.iov_len = op->req.len_bytes;
    blk_submit(b, &op->req);
}

static void drive(struct blk *b, const uint8_t *script, unsigned n)
{
    struct op *ops = calloc(IN_FLIGHT, sizeof(*ops));
    for (unsigned i = 0; ops && i < n; i++) {
        struct op *op = &ops[i % IN_FLIGHT];
        if (op->busy)
            blk_drain(b);
        begin(b, op, script + 4 * i);
    }
    blk_drain(b);
    free(ops);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned n = size ? data[0] % 64 : 0;
    if (size < 1 + 4 * n || size > FILE_MAX)
        return 0;
    const uint8_t *image = data + 1 + 4 * n;
    size_t image_len = size - 1 - 4 * n;
    log_setup(-1, LOG_ERROR, NULL);
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct null_config nc = {.size_bytes = image_len,
                             .keep = true,
                             .growable = true,
                             .max_bytes = FILE_MAX,
                             .deferred = true};
    struct null_config bc = {.size_bytes = 100000};
    struct blk *file = null_create(loop, &nc, NULL);
    struct blk *backing = n & 1 ? null_create(loop, &bc, NULL) : NULL;
    memcpy(null_bytes(file), image, image_len);
    struct qcow2_options o = {.name = "fuzz", .cache_bytes = 1, .read_only = n % 16 == 7};
    struct blk *b = qcow2_open(file, backing, &o, NULL);
    if (b) {
        drive(b, data + 1, n);
        blk_close(b);
    } else {
        blk_close(file);
        blk_close(backing);
    }
    struct qcow2_backing name;
    qcow2_read_backing(image, image_len, "fuzz", &name, NULL);
    loop_destroy(loop);
    return 0;
}
