/* What a power failure leaves of a qcow2 image. A backend below the image logs every write and
 * flush. From the log come the states that the file may be in at a moment: all that a flush
 * covered, and of each later write any set of its sectors. qemu-img must find no more than leaks in
 * any of them, and what the guest had flushed must be there. */
#include "blk/blk_provider.h"
#include "blk/null.h"
#include "qcow2_rig.h"

#define DISK_BYTES  (UINT64_C(3) << 20)
#define IMAGE_BYTES (UINT64_C(24) << 20)
#define LOG_MAX     60000

enum entry_kind { WRITE, FLUSH, FLUSH_DONE, GUEST_FLUSH };

struct entry {
    enum entry_kind kind;
    uint64_t offset, len;
    uint8_t *data;
    unsigned completed; /* WRITE: log position of its completion */
    unsigned submitted; /* FLUSH_DONE: log position of its submission */
    uint8_t *model;     /* GUEST_FLUSH: the disk as the guest had flushed it */
};

struct logger {
    struct blk blk;
    struct blk *below;
    struct entry log[LOG_MAX];
    unsigned n;
};

struct pending {
    struct blk_request child;
    struct blk_request *parent;
    struct logger *logger;
    unsigned position;
};

static void logged_done(struct blk_request *child, int result)
{
    struct pending *p = child->opaque;
    struct logger *l = p->logger;
    struct blk_request *parent = p->parent;
    if (parent->op == BLK_FLUSH)
        l->log[l->n++] = (struct entry){.kind = FLUSH_DONE, .submitted = p->position};
    else if (parent->op != BLK_READ)
        l->log[p->position].completed = l->n;
    free(p);
    blk_complete(&l->blk, parent, result);
}

static void logged_submit(struct blk *b, struct blk_request *req)
{
    struct logger *l = (struct logger *)b;
    struct pending *p = calloc(1, sizeof(*p));
    p->logger = l;
    p->parent = req;
    p->position = l->n;
    if (req->op == BLK_FLUSH)
        l->log[l->n++] = (struct entry){.kind = FLUSH};
    if (l->n >= LOG_MAX - 1)
        abort();
    if (req->op != BLK_READ && req->op != BLK_FLUSH) {
        struct entry *e = &l->log[l->n++];
        *e = (struct entry){.kind = WRITE,
                            .offset = req->offset,
                            .len = req->len_bytes,
                            .data = calloc(1, req->len_bytes),
                            .completed = UINT32_MAX};
        if (req->op == BLK_WRITE)
            blk_iov_to_buf(req->iov, req->n_iov, 0, e->data, req->len_bytes);
    }
    p->child = (struct blk_request){.op = req->op,
                                    .flags = req->flags,
                                    .offset = req->offset,
                                    .len_bytes = req->len_bytes,
                                    .iov = req->iov,
                                    .n_iov = req->n_iov,
                                    .done = logged_done,
                                    .opaque = p};
    blk_submit(l->below, &p->child);
}

static void logged_poll(struct blk *b)
{
    struct logger *l = (struct logger *)b;
    l->below->ops->poll(l->below);
}

static void logged_close(struct blk *b)
{
    blk_close(((struct logger *)b)->below);
}

static const struct blk_ops logger_ops = {
    .submit = logged_submit, .poll = logged_poll, .close = logged_close};

/* ---- states after a crash ---- */

/* The image at log position `at`: `chance` of 100 that a sector no flush covered is there. */
static void build_state(struct rig *r, const struct logger *l, unsigned at, unsigned chance,
                        const uint8_t *base, uint8_t *image)
{
    unsigned covered = 0;
    for (unsigned i = 0; i < at; i++)
        if (l->log[i].kind == FLUSH_DONE)
            covered = MAX(covered, l->log[i].submitted);
    memcpy(image, base, IMAGE_BYTES);
    for (unsigned i = 0; i < at; i++) {
        const struct entry *e = &l->log[i];
        bool durable = e->kind == WRITE && e->completed <= covered;
        for (uint64_t s = 0; e->kind == WRITE && s < e->len;) {
            uint64_t n = MIN(512 - (e->offset + s) % 512, e->len - s);
            if (durable || rig_rand(r) % 100 < chance)
                memcpy(image + e->offset + s, e->data + s, n);
            s += n;
        }
    }
}

static void write_file(struct rig *r, const char *name, const uint8_t *bytes)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    uint64_t end = IMAGE_BYTES;
    while (end > 512 && !bytes[end - 1])
        end--;
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (write(fd, bytes, align_up(end, 65536)) < 0)
        abort();
    close(fd);
}

/* Sectors that the guest flushed and did not write since must have kept their contents. */
static void check_flushed_data(struct rig *r, const struct logger *l, unsigned at,
                               const uint8_t *touched_since)
{
    const struct entry *last = NULL;
    for (unsigned i = 0; i < at; i++)
        if (l->log[i].kind == GUEST_FLUSH)
            last = &l->log[i];
    if (!last)
        return;
    struct image_options o = {.format = IMAGE_QCOW2, .read_only = true};
    struct blk *was = r->blk;
    uint8_t *disk = malloc(DISK_BYTES);
    CHECK_EQ(rig_open(r, "crash.qcow2", &o, NULL), 0);
    if (r->blk != was) {
        CHECK_EQ(blk_read_sync(r->blk, 0, disk, DISK_BYTES), 0);
        for (uint64_t s = 0; s < DISK_BYTES; s += 512) {
            bool same = memcmp(disk + s, last->model + s, 512) == 0;
            if (!same && touched_since[s / 512] <= 1)
                CHECK(same);
        }
        rig_close(r);
    }
    r->blk = was;
    free(disk);
}

struct session {
    struct rig r;
    struct logger *l;
    uint8_t *base, *image;
    uint8_t *touched; /* [log position of a guest flush is implied]: sectors written since it */
};

/* One request of the guest, several in flight; the model is kept in r.model. */
struct guest_op {
    struct blk_request req;
    struct iovec iov;
    uint8_t buf[40000];
    bool busy;
};

static void guest_done(struct blk_request *req, int result)
{
    struct guest_op *g = req->opaque;
    CHECK_EQ(result, 0);
    g->busy = false;
}

static void guest_begin(struct session *s, struct guest_op *g, unsigned i,
                        const struct guest_op *other)
{
    struct rig *r = &s->r;
    uint64_t off, len;
    do { /* requests that overlap in flight may take effect in any order */
        off = rig_rand(r) % (DISK_BYTES / 512) * 512;
        len = (rig_rand(r) % 30 + 1) * 512;
        len = MIN(len, DISK_BYTES - off);
    } while (other && off < other->req.offset + other->req.len_bytes &&
             other->req.offset < off + len);
    unsigned what = rig_rand(r) % 8;
    g->iov = (struct iovec){g->buf, len};
    g->req = (struct blk_request){.op = BLK_WRITE,
                                  .offset = off,
                                  .len_bytes = len,
                                  .iov = &g->iov,
                                  .n_iov = 1,
                                  .done = guest_done,
                                  .opaque = g};
    memset(g->buf, (int)(i % 250) + 1, len);
    if (what == 0 || what == 1) {
        g->req.op = BLK_WRITE_ZEROES;
        g->req.flags = what ? BLK_MAY_UNMAP : 0;
        memset(g->buf, 0, len);
    }
    g->busy = true;
    memcpy(r->model + off, g->buf, len);
    memset(s->touched + off / 512, 2, len / 512);
    blk_submit(r->blk, &g->req);
}

/* Runs the guest. At each of its flushes a few crashes are tried, at moments from the flush before
 * to the end of this one; then it is remembered what must survive from here on. */
static void run_guest(struct session *s, unsigned n_ops)
{
    struct rig *r = &s->r;
    struct guest_op *ops = calloc(4, sizeof(*ops));
    unsigned from = 0;
    for (unsigned i = 0; i < n_ops && !tap_case_failures; i++) {
        struct guest_op *g = &ops[i % 4];
        guest_begin(s, g, i, NULL);
        guest_begin(s, &ops[(i + 1) % 4], i + 100, g);
        blk_drain(r->blk);
        if (i % 12 != 11)
            continue;
        unsigned before_flush = s->l->n;
        guest_begin(s, &ops[0], i + 7, NULL); /* in flight beside the flush: covered or not */
        guest_begin(s, &ops[1], i + 8, &ops[0]);
        CHECK_EQ(blk_op_sync(r->blk, BLK_FLUSH, 0, 0, 0), 0);
        blk_drain(r->blk);
        for (unsigned k = 0; k < 6 && !tap_case_failures; k++) {
            static const unsigned chances[] = {50, 100, 0, 10, 90, 50};
            unsigned since = k % 3 ? before_flush : from; /* most are in the midst of the flush */
            unsigned at = since + rig_rand(r) % (s->l->n - since + 1);
            build_state(r, s->l, at, chances[k], s->base, s->image);
            write_file(r, "crash.qcow2", s->image);
            int e = rig_sh(r, "qemu-img check -q -f qcow2 crash.qcow2 >check.log 2>&1");
            CHECK(e == 0 || e == 3); /* 3: leaks only */
            if (e != 0 && e != 3) {
                printf("# crash at %u of %u, chance %u\n", at, s->l->n, chances[k]);
                rig_sh(r, "sed 's/^/# /' check.log | head -8");
            }
            check_flushed_data(r, s->l, at, s->touched);
        }
        struct entry *e = &s->l->log[s->l->n++];
        *e = (struct entry){.kind = GUEST_FLUSH, .model = malloc(DISK_BYTES)};
        memcpy(e->model, r->model, DISK_BYTES);
        memset(s->touched, 0, DISK_BYTES / 512);
        for (unsigned k = 0; k < 2; k++)
            memset(s->touched + ops[k].req.offset / 512, 2, ops[k].req.len_bytes / 512);
        from = s->l->n;
    }
    free(ops);
}

static void crash_anywhere(const char *create)
{
    struct session s = {0};
    struct rig *r = &s.r;
    char path[512];
    rig_init(r, DISK_BYTES);
    s.base = calloc(1, IMAGE_BYTES);
    s.image = calloc(1, IMAGE_BYTES);
    s.touched = calloc(1, DISK_BYTES / 512);
    s.l = calloc(1, sizeof(*s.l));
    CHECK_EQ(rig_sh(r, "%s", create), 0);
    snprintf(path, sizeof(path), "%s/a.qcow2", r->dir);
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, s.base, IMAGE_BYTES);
    close(fd);
    REQUIRE(len > 0);
    struct null_config nc = {.size_bytes = (uint64_t)len,
                             .keep = true,
                             .growable = true,
                             .max_bytes = IMAGE_BYTES,
                             .deferred = true};
    blk_init(&s.l->blk, &logger_ops, r->loop);
    s.l->below = null_create(r->loop, &nc, NULL);
    memcpy(null_bytes(s.l->below), s.base, (size_t)len);
    s.l->blk.info = *blk_info(s.l->below);
    r->blk = qcow2_open(&s.l->blk, NULL, &(struct qcow2_options){.name = "crash"}, NULL);
    REQUIRE(r->blk);
    CHECK_EQ(blk_read_sync(r->blk, 0, r->model, DISK_BYTES), 0);
    s.l->log[s.l->n++] = (struct entry){.kind = FLUSH_DONE};
    run_guest(&s, 84);
    rig_close(r);
    build_state(r, s.l, s.l->n, 100, s.base, s.image);
    write_file(r, "crash.qcow2", s.image);
    CHECK_EQ(rig_sh(r, "qemu-img check -q -f qcow2 crash.qcow2"), 0); /* closed: no leaks either */
    if (tap_case_failures)
        printf("# with %s\n", create);
    for (unsigned i = 0; i < s.l->n; i++) {
        free(s.l->log[i].data);
        free(s.l->log[i].model);
    }
    free(s.l);
    free(s.base);
    free(s.image);
    free(s.touched);
    rig_fini(r);
}

static void leaks_at_worst_after_a_crash_anywhere(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    crash_anywhere("qemu-img create -q -f qcow2 -o cluster_size=4k a.qcow2 3M");
    crash_anywhere("qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 a.qcow2 3M");
    crash_anywhere("qemu-img create -q -f qcow2 -o compat=0.10,cluster_size=1k a.qcow2 3M");
}

static void shared_and_compressed_clusters_survive_a_crash(void)
{
    if (!rig_have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    crash_anywhere("qemu-img create -q -f qcow2 -o cluster_size=2k a.qcow2 3M && "
                   "qemu-io -f qcow2 -c 'write -P 7 0 3M' a.qcow2 >/dev/null && "
                   "qemu-img snapshot -c one a.qcow2");
    crash_anywhere(
        "qemu-img create -q -f raw p 3M && qemu-io -f raw -c 'write -P 9 0 2M' p "
        ">/dev/null && qemu-img convert -f raw -c -O qcow2 -o cluster_size=4k p a.qcow2");
}

int main(void)
{
    TAP_RUN(leaks_at_worst_after_a_crash_anywhere);
    TAP_RUN(shared_and_compressed_clusters_survive_a_crash);
    return tap_done();
}
