/* What the tests of qcow2 share: images made and checked by qemu-img, and a model of a disk in
 * memory against which random operations are compared, up to 32 of them in flight. */
#ifndef TESTS_UNIT_BLK_QCOW2_RIG_H
#define TESTS_UNIT_BLK_QCOW2_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "blk/aio.h"
#include "blk/image.h"
#include "blk/qcow2.h"
#include "tap.h"

#define RIG_SLOTS 32

struct rig {
    char dir[64];
    struct loop *loop;
    struct aio *aio;
    struct blk *blk;
    uint64_t size;
    uint8_t *model;
    unsigned seed;
};

static inline bool rig_have_qemu_img(void)
{
    static int have = -1;
    if (have < 0)
        have = system("qemu-img --version >/dev/null 2>&1") == 0;
    return have;
}

/* Runs a shell command in the rig's directory; returns its exit status. */
__attribute__((format(printf, 2, 3))) static inline int rig_sh(struct rig *r, const char *fmt, ...)
{
    char cmd[2048];
    int n = snprintf(cmd, sizeof(cmd), "cd %s && ", r->dir);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
    va_end(ap);
    int status = system(cmd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void rig_init(struct rig *r, uint64_t size)
{
    memset(r, 0, sizeof(*r));
    snprintf(r->dir, sizeof(r->dir), "/var/tmp/virga-qcow2-XXXXXX");
    if (!mkdtemp(r->dir))
        abort();
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    r->aio = aio_create(r->loop, NULL, NULL);
    r->size = size;
    r->model = calloc(1, size + 1);
    r->seed = 1;
}

static inline void rig_fini(struct rig *r)
{
    blk_close(r->blk);
    aio_destroy(r->aio);
    loop_destroy(r->loop);
    free(r->model);
    if (rig_sh(r, "rm -rf '%s'", r->dir))
        abort();
}

static inline int rig_open(struct rig *r, const char *name, const struct image_options *options,
                           struct err *err)
{
    char path[512];
    struct image_fds fds;
    struct err local = {0};
    err = err ? err : &local;
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    int ret = image_open(path, options, &fds, err);
    if (ret < 0)
        return ret;
    r->blk = image_create(r->aio, r->loop, &fds, err);
    return r->blk ? 0 : -err->code;
}

static inline void rig_close(struct rig *r)
{
    blk_close(r->blk);
    r->blk = NULL;
}

static inline unsigned rig_rand(struct rig *r)
{
    r->seed = r->seed * 1103515245 + 12345;
    return r->seed >> 8;
}

struct rig_slot {
    struct blk_request req;
    struct iovec iov[3];
    uint8_t *buf;
    struct rig *rig;
    bool busy;
};

/* A read is compared when it completes: nothing that overlaps it is in flight then. */
static inline void rig_slot_done(struct blk_request *req, int result)
{
    struct rig_slot *s = req->opaque;
    s->busy = false;
    CHECK_EQ(result, 0);
    if (req->op == BLK_READ && result == 0)
        CHECK(memcmp(s->buf, s->rig->model + req->offset, req->len_bytes) == 0);
}

static inline bool rig_overlaps(const struct rig_slot *slots, uint64_t off, uint64_t len)
{
    for (unsigned i = 0; i < RIG_SLOTS; i++)
        if (slots[i].busy && off < slots[i].req.offset + slots[i].req.len_bytes &&
            slots[i].req.offset < off + len)
            return true;
    return false;
}

static inline void rig_begin(struct rig *r, struct rig_slot *s, uint64_t off, uint64_t len,
                             unsigned mix)
{
    unsigned what = rig_rand(r) % 10;
    s->req = (struct blk_request){.offset = off,
                                  .len_bytes = len,
                                  .iov = s->iov,
                                  .n_iov = 3,
                                  .done = rig_slot_done,
                                  .opaque = s};
    uint64_t a = len / 3, b = len / 4;
    s->iov[0] = (struct iovec){s->buf, a};
    s->iov[1] = (struct iovec){s->buf + a, b};
    s->iov[2] = (struct iovec){s->buf + a + b, len - a - b};
    s->busy = true;
    s->rig = r;
    if (what < 3) {
        s->req.op = BLK_READ;
    } else if (what < 8 || !mix) {
        s->req.op = BLK_WRITE;
        memset(s->buf, (int)rig_rand(r) % 255 + 1, len);
        memcpy(r->model + off, s->buf, len);
    } else {
        s->req.op = BLK_WRITE_ZEROES;
        s->req.flags = what == 8 ? BLK_MAY_UNMAP : 0;
        memset(r->model + off, 0, len);
    }
    blk_submit(r->blk, &s->req);
}

/* `n` operations of up to `max_len` bytes at multiples of `grain`, some of them flushes. Ranges in
 * flight do not overlap (they may share clusters). */
static inline void rig_random(struct rig *r, unsigned n, uint64_t grain, uint64_t max_len,
                              unsigned mix)
{
    struct rig_slot *slots = calloc(RIG_SLOTS, sizeof(*slots));
    for (unsigned i = 0; i < RIG_SLOTS; i++)
        slots[i].buf = aligned_alloc(4096, align_up(max_len + grain, 4096));
    for (unsigned i = 0; i < n && !tap_case_failures; i++) {
        struct rig_slot *s = &slots[rig_rand(r) % RIG_SLOTS];
        uint64_t off = (rig_rand(r) * UINT64_C(977)) % r->size / grain * grain;
        uint64_t len = (rig_rand(r) % max_len / grain + 1) * grain;
        len = MIN(len, r->size - off);
        while (s->busy || rig_overlaps(slots, off, len))
            loop_run_once(r->loop, 100);
        rig_begin(r, s, off, len, mix);
        if (i % 50 == 49)
            CHECK_EQ(blk_op_sync(r->blk, BLK_FLUSH, 0, 0, 0), 0);
    }
    blk_drain(r->blk);
    for (unsigned i = 0; i < RIG_SLOTS; i++)
        free(slots[i].buf);
    free(slots);
}

/* Writes the model to a file and has qemu-img check the image and compare the two. */
static inline void rig_verify(struct rig *r, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/model.raw", r->dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK_EQ(write(fd, r->model, r->size), (ssize_t)r->size);
    close(fd);
    CHECK_EQ(rig_sh(r,
                    "qemu-img check -q %s >check.log 2>&1 || { sed 's/^/# /' check.log | head -20; "
                    "false; }",
                    name),
             0);
    CHECK_EQ(rig_sh(r,
                    "qemu-img compare -q -f raw model.raw %s || { qemu-img compare -f raw "
                    "model.raw %s | sed 's/^/# /'; false; }",
                    name, name),
             0);
}

#endif
