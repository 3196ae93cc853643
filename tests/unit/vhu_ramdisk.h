/* A virtio-blk back end over vhost-user for tests: a disk in memory, in a thread of its own, that
 * can be held (it takes requests and does not answer), killed and started again.
 *
 *   struct ramdisk d;
 *   ramdisk_init(&d, flags);
 *   int fd = ramdisk_connect(&d);      a new back end on a new connection; the front end's socket
 *   ramdisk_kill(&d);                  as if its process had died: nothing is answered or flushed
 *   ramdisk_fini(&d); */
#ifndef TESTS_UNIT_VHU_RAMDISK_H
#define TESTS_UNIT_VHU_RAMDISK_H

#include <assert.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/util.h"
#include "io/iothread.h"
#include "vhu/vhu_backend.h"

#define RAMDISK_BYTES   (256 * 1024)
#define RAMDISK_CONFIG  60
#define RAMDISK_HELD    64
#define RAMDISK_QUEUES  4
#define RAMDISK_IOV_MAX 16

struct ramdisk_req {
    unsigned ring;
    struct virtq_chain chain;
    struct iovec iov[RAMDISK_IOV_MAX];
    uint64_t in_gpa[RAMDISK_IOV_MAX];
};

struct ramdisk {
    struct iothread *thread;
    struct vhu_backend *backend; /* the thread's; NULL: none lives */
    _Atomic bool alive;
    unsigned flags; /* enum vhu_backend_flags */
    _Atomic uint64_t features;
    uint8_t bytes[RAMDISK_BYTES];
    uint8_t config[RAMDISK_CONFIG];
    _Atomic bool hold;
    _Atomic unsigned n_held, n_done, n_closed, n_starts, n_stops, n_config_writes;
    struct ramdisk_req held[RAMDISK_HELD];
    struct err why;
    int fd; /* argument of calls into the thread */
};

static inline void ramdisk_config_read(void *opaque, uint32_t off, void *buf, uint32_t len)
{
    memcpy(buf, ((struct ramdisk *)opaque)->config + off, len);
}

static inline int ramdisk_config_write(void *opaque, uint32_t off, const void *buf, uint32_t len)
{
    struct ramdisk *d = opaque;
    if (off != offsetof(struct virtio_blk_config, wce) || len != 1)
        return -EROFS;
    d->config[off] = *(const uint8_t *)buf;
    atomic_fetch_add(&d->n_config_writes, 1);
    return 0;
}

/* Moves the data of one request. Returns the bytes written to guest memory. */
static inline uint32_t ramdisk_do(struct ramdisk *d, struct virtq_chain *c)
{
    struct virtio_blk_outhdr hdr;
    uint32_t written = 0;
    uint8_t status = VIRTIO_BLK_S_OK;
    if (!c->n_out || c->iov[0].iov_len < sizeof(hdr) || !c->n_in)
        return 0;
    memcpy(&hdr, c->iov[0].iov_base, sizeof(hdr));
    uint64_t at = hdr.sector * 512;
    for (unsigned i = 1; hdr.type == VIRTIO_BLK_T_OUT && i < c->n_out; i++) {
        if (!range_within(at, c->iov[i].iov_len, RAMDISK_BYTES)) {
            status = VIRTIO_BLK_S_IOERR;
            break;
        }
        memcpy(d->bytes + at, c->iov[i].iov_base, c->iov[i].iov_len);
        at += c->iov[i].iov_len;
    }
    for (unsigned i = c->n_out; hdr.type == VIRTIO_BLK_T_IN && i + 1 < c->n_out + c->n_in; i++) {
        if (!range_within(at, c->iov[i].iov_len, RAMDISK_BYTES)) {
            status = VIRTIO_BLK_S_IOERR;
            break;
        }
        memcpy(c->iov[i].iov_base, d->bytes + at, c->iov[i].iov_len);
        at += c->iov[i].iov_len;
        written += (uint32_t)c->iov[i].iov_len;
    }
    *(uint8_t *)c->iov[c->n_out + c->n_in - 1].iov_base = status;
    return written + 1;
}

static inline void ramdisk_complete(struct ramdisk *d, struct ramdisk_req *r)
{
    uint32_t written = ramdisk_do(d, &r->chain);
    atomic_fetch_add(&d->n_done, 1); /* before whoever polls the ring can see the answer */
    vhu_backend_push(d->backend, r->ring, &r->chain, written);
    vhu_backend_flush(d->backend, r->ring);
}

static inline void ramdisk_kick(void *opaque, unsigned ring)
{
    struct ramdisk *d = opaque;
    struct ramdisk_req now;
    for (;;) {
        unsigned n = atomic_load(&d->n_held);
        bool hold = atomic_load(&d->hold) && n < RAMDISK_HELD;
        struct ramdisk_req *r = hold ? &d->held[n] : &now;
        r->ring = ring;
        r->chain =
            (struct virtq_chain){.iov = r->iov, .in_gpa = r->in_gpa, .iov_max = RAMDISK_IOV_MAX};
        if (!vhu_backend_pop(d->backend, ring, &r->chain)) {
            if (!vhu_backend_ring_live(d->backend, ring) ||
                !virtq_enable_kicks(vhu_backend_vq(d->backend, ring)))
                return;
        } else if (hold) {
            atomic_fetch_add(&d->n_held, 1);
        } else {
            ramdisk_complete(d, r);
        }
    }
}

static inline int ramdisk_start(void *opaque, unsigned ring, struct err *err)
{
    atomic_fetch_add(&((struct ramdisk *)opaque)->n_starts, 1);
    return 0;
}

static inline void ramdisk_stop(void *opaque, unsigned ring)
{
    atomic_fetch_add(&((struct ramdisk *)opaque)->n_stops, 1);
}

static inline void ramdisk_closed(void *opaque, const struct err *why)
{
    struct ramdisk *d = opaque;
    d->why = *why;
    vhu_backend_destroy(d->backend);
    d->backend = NULL;
    atomic_store(&d->alive, false);
    atomic_fetch_add(&d->n_closed, 1);
}

static inline void ramdisk_init(struct ramdisk *d, unsigned flags)
{
    struct err err = {0};
    memset(d, 0, sizeof(*d));
    memset(d->bytes, 0x5a, sizeof(d->bytes));
    d->flags = flags;
    d->features = UINT64_C(1) << 32 | UINT64_C(1) << 29 | UINT64_C(1) << 28 |
                  UINT64_C(1) << VIRTIO_BLK_F_FLUSH | UINT64_C(1) << VIRTIO_BLK_F_MQ |
                  UINT64_C(1) << VIRTIO_BLK_F_CONFIG_WCE;
    le64_write(d->config, RAMDISK_BYTES / 512);
    d->thread = iothread_create("ramdisk", NULL, &err);
    assert(d->thread);
}

static inline void ramdisk_create_in_loop(void *arg)
{
    static const struct vhu_backend_ops ops = {
        .config_read = ramdisk_config_read,
        .config_write = ramdisk_config_write,
        .ring_start = ramdisk_start,
        .ring_stop = ramdisk_stop,
        .ring_kick = ramdisk_kick,
        .closed = ramdisk_closed,
    };
    struct ramdisk *d = arg;
    struct vhu_backend_config config = {.ops = &ops,
                                        .opaque = d,
                                        .features = d->features,
                                        .n_rings = RAMDISK_QUEUES,
                                        .config_bytes = RAMDISK_CONFIG,
                                        .flags = d->flags};
    d->backend = vhu_backend_create(iothread_loop(d->thread), d->fd, &config, NULL);
    atomic_store(&d->alive, d->backend != NULL);
}

static inline int ramdisk_connect(struct ramdisk *d)
{
    int pair[2];
    int ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    assert(!ret && !atomic_load(&d->alive));
    (void)ret;
    d->fd = pair[0];
    loop_call(iothread_loop(d->thread), ramdisk_create_in_loop, d);
    assert(atomic_load(&d->alive));
    return pair[1];
}

static inline void ramdisk_kill_in_loop(void *arg)
{
    struct ramdisk *d = arg;
    vhu_backend_destroy(d->backend);
    d->backend = NULL;
    atomic_store(&d->alive, false);
    atomic_store(&d->n_held, 0);
}

static inline void ramdisk_kill(struct ramdisk *d)
{
    loop_call(iothread_loop(d->thread), ramdisk_kill_in_loop, d);
}

/* Completes held request `i`, or all of them (-1), newest first. */
static inline void ramdisk_release_in_loop(void *arg)
{
    struct ramdisk *d = arg;
    for (unsigned i = atomic_load(&d->n_held); i--;)
        ramdisk_complete(d, &d->held[i]);
    atomic_store(&d->n_held, 0);
}

static inline void ramdisk_release(struct ramdisk *d)
{
    atomic_store(&d->hold, false);
    loop_call(iothread_loop(d->thread), ramdisk_release_in_loop, d);
}

/* Completes the newest held request only. */
static inline void ramdisk_release_newest_in_loop(void *arg)
{
    struct ramdisk *d = arg;
    unsigned n = atomic_load(&d->n_held);
    ramdisk_complete(d, &d->held[n - 1]);
    atomic_store(&d->n_held, n - 1);
}

static inline void ramdisk_config_changed_in_loop(void *arg)
{
    vhu_backend_config_changed(((struct ramdisk *)arg)->backend);
}

static inline void ramdisk_fini(struct ramdisk *d)
{
    ramdisk_kill(d);
    iothread_destroy(d->thread);
}

#endif
