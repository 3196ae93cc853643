#include "blk/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "blk/aio.h"
#include "tap.h"

struct rig {
    struct loop *loop;
    struct aio *aio;
    struct blk *blk;
    char path[64];
    int fd; /* a second descriptor of the file, to look at it from outside */
};

/* A file of `bytes` whose every 512-byte sector is filled with its number. */
static void setup(struct rig *r, enum aio_kind kind, uint64_t bytes, int open_flags,
                  const struct raw_config *config)
{
    struct aio_config aio_config = {.kind = kind, .threads_max = 2};
    snprintf(r->path, sizeof(r->path), "/var/tmp/virga-raw-XXXXXX");
    r->fd = mkstemp(r->path);
    for (uint64_t at = 0; at < bytes; at += 512) {
        static uint8_t sector[512];
        memset(sector, (int)(at / 512), sizeof(sector));
        uint64_t n = MIN(512, bytes - at);
        if (pwrite(r->fd, sector, n, (off_t)at) != (ssize_t)n)
            abort();
    }
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    r->aio = aio_create(r->loop, &aio_config, NULL);
    struct err err = {0};
    int fd = open(r->path, open_flags | O_CLOEXEC);
    r->blk = fd < 0 ? NULL : raw_create(r->aio, r->loop, fd, r->path, config, &err);
    if (!r->blk) {
        printf("# %s\n", err.msg);
        if (fd >= 0)
            close(fd);
    }
}

static void teardown(struct rig *r)
{
    blk_close(r->blk);
    aio_destroy(r->aio);
    loop_destroy(r->loop);
    close(r->fd);
    unlink(r->path);
}

static const struct raw_config writable;

/* A model of the file in memory against the backend, over random operations. */
static void random_ops_match_a_model(enum aio_kind kind, int open_flags, unsigned grain)
{
    enum { SIZE = 1 << 20 };
    struct rig r;
    setup(&r, kind, SIZE, open_flags, &writable);
    REQUIRE(r.blk);
    uint8_t *model = malloc(SIZE), *buf = aligned_alloc(4096, SIZE + 4096);
    REQUIRE(blk_read_sync(r.blk, 0, model, SIZE) == 0);
    CHECK_EQ(model[1024], 2);
    unsigned seed = 1;
    for (int i = 0; i < 400; i++) {
        uint64_t off = (unsigned)rand_r(&seed) % SIZE / grain * grain;
        uint64_t len = ((unsigned)rand_r(&seed) % 70000 / grain + 1) * grain;
        len = MIN(len, SIZE - off);
        uint8_t *at = buf + (grain == 1 ? (unsigned)rand_r(&seed) % 4096 : 0);
        switch (rand_r(&seed) % 4) {
        case 0:
            CHECK_EQ(blk_read_sync(r.blk, off, at, len), 0);
            CHECK(memcmp(at, model + off, len) == 0);
            break;
        case 1:
            memset(at, i, len);
            memset(model + off, i, len);
            CHECK_EQ(blk_write_sync(r.blk, off, at, len), 0);
            break;
        case 2:
            memset(model + off, 0, len);
            CHECK_EQ(blk_op_sync(r.blk, BLK_WRITE_ZEROES, i & 1 ? BLK_MAY_UNMAP : 0, off, len), 0);
            break;
        default:
            CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), 0);
        }
    }
    CHECK_EQ(pread(r.fd, buf, SIZE, 0), SIZE);
    CHECK(memcmp(buf, model, SIZE) == 0);
    struct stat st;
    CHECK_EQ(fstat(r.fd, &st), 0);
    CHECK_EQ(st.st_size, SIZE);
    free(model);
    free(buf);
    teardown(&r);
}

static void random_operations_through_the_ring(void)
{
    random_ops_match_a_model(AIO_URING, O_RDWR, 1);
}

static void random_operations_through_the_threads(void)
{
    random_ops_match_a_model(AIO_THREADS, O_RDWR, 1);
}

static void direct_io_takes_any_alignment(void)
{
    random_ops_match_a_model(AIO_AUTO, O_RDWR | O_DIRECT, 1);
}

static void direct_io_takes_sectors(void)
{
    random_ops_match_a_model(AIO_AUTO, O_RDWR | O_DIRECT, 512);
}

struct many {
    struct blk_request req[300];
    struct iovec iov[300];
    uint8_t data[300][512];
    unsigned finished;
    int worst;
};

static void many_done(struct blk_request *req, int result)
{
    struct many *m = req->opaque;
    m->finished++;
    m->worst = MIN(m->worst, result);
}

/* More than the submission queue holds, of which some overlap with unaligned direct writes. */
static void many_requests_in_flight(enum aio_kind kind, int open_flags)
{
    struct rig r;
    struct many *m = calloc(1, sizeof(*m));
    setup(&r, kind, 300 * 512, open_flags, &writable);
    REQUIRE(r.blk);
    for (unsigned i = 0; i < 300; i++) {
        unsigned len = i % 7 == 3 ? 500 : 512;
        memset(m->data[i], 0xa0 + (int)(i % 16), 512);
        m->iov[i] = (struct iovec){m->data[i], len};
        m->req[i] = (struct blk_request){.op = i % 3 ? BLK_WRITE : BLK_READ,
                                         .offset = i * 512,
                                         .len_bytes = len,
                                         .iov = &m->iov[i],
                                         .n_iov = 1,
                                         .done = many_done,
                                         .opaque = m};
        blk_submit(r.blk, &m->req[i]);
    }
    CHECK(blk_in_flight(r.blk) > 0);
    while (m->finished < 300)
        loop_run_once(r.loop, 1000);
    CHECK_EQ(m->worst, 0);
    for (unsigned i = 0; i < 300; i++) {
        uint8_t sector[512];
        unsigned len = i % 7 == 3 ? 500 : 512;
        CHECK_EQ(pread(r.fd, sector, 512, i * 512), 512);
        uint8_t old = (uint8_t)i, want = i % 3 ? (uint8_t)(0xa0 + i % 16) : old;
        CHECK_EQ(sector[0], want);
        CHECK_EQ(sector[len - 1], want);
        if (len < 512)
            CHECK_EQ(sector[511], old);
        if (i % 3 == 0)
            CHECK_EQ(m->data[i][0], old);
    }
    teardown(&r);
    free(m);
}

static void three_hundred_requests_at_once(void)
{
    many_requests_in_flight(AIO_URING, O_RDWR);
    many_requests_in_flight(AIO_THREADS, O_RDWR);
    many_requests_in_flight(AIO_AUTO, O_RDWR | O_DIRECT);
}

static void drain_waits_for_all(void)
{
    struct rig r;
    struct many *m = calloc(1, sizeof(*m));
    setup(&r, AIO_THREADS, 1 << 16, O_RDWR, &writable);
    for (unsigned i = 0; i < 50; i++) {
        m->req[i] = (struct blk_request){.op = BLK_FLUSH, .done = many_done, .opaque = m};
        blk_submit(r.blk, &m->req[i]);
    }
    blk_drain(r.blk);
    CHECK_EQ(m->finished, 50);
    CHECK_EQ(blk_in_flight(r.blk), 0);
    teardown(&r);
    free(m);
}

static void refuses_what_lies_outside(void)
{
    struct rig r;
    uint8_t buf[1024];
    setup(&r, AIO_AUTO, 4096, O_RDWR, &writable);
    CHECK_EQ(blk_read_sync(r.blk, 4096, buf, 1), -EINVAL);
    CHECK_EQ(blk_read_sync(r.blk, 3584, buf, 1024), -EINVAL);
    CHECK_EQ(blk_read_sync(r.blk, UINT64_MAX - 511, buf, 512), -EINVAL);
    CHECK_EQ(blk_write_sync(r.blk, 4096, buf, 512), -EINVAL);
    CHECK_EQ(blk_op_sync(r.blk, BLK_WRITE_ZEROES, 0, 0, UINT64_MAX), -EINVAL);
    CHECK_EQ(blk_op_sync(r.blk, BLK_DISCARD, 0, 0, 4096), 0);
    teardown(&r);
}

static void read_only_is_kept(void)
{
    struct rig r;
    uint8_t buf[512] = {0};
    struct raw_config ro = {.read_only = true};
    setup(&r, AIO_AUTO, 4096, O_RDWR, &ro);
    CHECK_EQ(blk_write_sync(r.blk, 0, buf, 512), -EROFS);
    CHECK_EQ(blk_op_sync(r.blk, BLK_WRITE_ZEROES, 0, 0, 512), -EROFS);
    CHECK_EQ(blk_op_sync(r.blk, BLK_DISCARD, 0, 0, 512), -EROFS);
    CHECK_EQ(blk_op_sync(r.blk, BLK_FLUSH, 0, 0, 0), 0);
    teardown(&r);
}

static void a_read_only_descriptor_cannot_back_a_writable_disk(void)
{
    struct rig r;
    setup(&r, AIO_AUTO, 4096, O_RDONLY, &writable);
    CHECK(!r.blk);
    teardown(&r);
}

static void an_image_cut_short_under_us_is_an_error(void)
{
    struct rig r;
    uint8_t *buf = aligned_alloc(4096, 8192);
    for (int i = 0; i < 4; i++) {
        setup(&r, i & 1 ? AIO_THREADS : AIO_URING, 8192, i & 2 ? O_RDWR | O_DIRECT : O_RDWR,
              &writable);
        CHECK_EQ(ftruncate(r.fd, 6144), 0);
        CHECK_EQ(blk_read_sync(r.blk, 0, buf, 8192), -EIO);
        CHECK_EQ(blk_read_sync(r.blk, 0, buf + 1, 8000), -EIO);
        CHECK_EQ(blk_read_sync(r.blk, 0, buf, 6144), 0);
        teardown(&r);
    }
    free(buf);
}

static void a_growable_file_reads_zeroes_past_its_end_and_grows(void)
{
    struct rig r;
    uint8_t buf[8192];
    struct raw_config growable = {.growable = true};
    setup(&r, AIO_AUTO, 4096, O_RDWR, &growable);
    memset(buf, 0xff, sizeof(buf));
    CHECK_EQ(blk_read_sync(r.blk, 3584, buf, 8192), 0);
    CHECK_EQ(buf[0], 7);
    CHECK_EQ(buf[512], 0);
    CHECK_EQ(buf[8191], 0);
    CHECK_EQ(blk_write_sync(r.blk, 65536, "x", 1), 0);
    CHECK_EQ(blk_info(r.blk)->size_bytes, 65537);
    teardown(&r);
}

static void refresh_sees_a_grown_image(void)
{
    struct rig r;
    setup(&r, AIO_AUTO, 4096, O_RDWR, &writable);
    CHECK_EQ(ftruncate(r.fd, 8192), 0);
    CHECK_EQ(blk_refresh(r.blk, NULL), 0);
    CHECK_EQ(blk_info(r.blk)->size_bytes, 8192);
    teardown(&r);
}

int main(void)
{
    TAP_RUN(random_operations_through_the_ring);
    TAP_RUN(random_operations_through_the_threads);
    TAP_RUN(direct_io_takes_any_alignment);
    TAP_RUN(direct_io_takes_sectors);
    TAP_RUN(three_hundred_requests_at_once);
    TAP_RUN(drain_waits_for_all);
    TAP_RUN(refuses_what_lies_outside);
    TAP_RUN(read_only_is_kept);
    TAP_RUN(a_read_only_descriptor_cannot_back_a_writable_disk);
    TAP_RUN(an_image_cut_short_under_us_is_an_error);
    TAP_RUN(a_growable_file_reads_zeroes_past_its_end_and_grows);
    TAP_RUN(refresh_sees_a_grown_image);
    return tap_done();
}
