/* virtio-blk with a guest's driver, over a disk in memory that can be told to fail. */
#ifndef TESTS_UNIT_BLK_FIXTURE_H
#define TESTS_UNIT_BLK_FIXTURE_H

#include <errno.h>
#include <linux/virtio_blk.h>

#include "../virtio_driver.h"
#include "blk/faulty.h"
#include "blk/null.h"
#include "dev/virtio/virtio_blk.h"
#include "tap.h"

#define MS        INT64_C(1000000)
#define DISK_SIZE (UINT64_C(1) << 20)

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct blk *disk, *faulty;
    struct vdrv d;
    struct virtio_blk_error last;
    unsigned n_errors;
};

static inline void io_error(void *opaque, const struct virtio_blk_error *e)
{
    struct rig *r = opaque;
    r->last = *e;
    r->n_errors++;
}

static inline struct virtio_device *make(struct rig *r, const struct virtio_blk_options *options,
                                         bool read_only)
{
    struct null_config nc = {
        .size_bytes = DISK_SIZE, .keep = true, .read_only = read_only, .deferred = true};
    struct virtio_blk_options o = *options;
    r->disk = null_create(r->loop, &nc, NULL);
    r->faulty = faulty_create(r->disk, NULL);
    o.loop = r->loop;
    o.io_error = io_error;
    o.opaque = r;
    return virtio_blk_create(&r->mem, r->faulty, &o, NULL);
}

static inline void open_rig(struct rig *r, const struct virtio_blk_options *options, unsigned flags)
{
    memset(r, 0, sizeof(*r));
    if (guest_mem_init(&r->mem, 8 << 20, 0, NULL))
        abort();
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_device *dev = make(r, options, false);
    if (!dev || !vdrv_open(&r->d, &r->mem, dev, flags))
        abort();
}

static inline void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
}

struct wire_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* Adds a request; returns where its status byte will be. `data` is filled with `fill` when the
 * device is to read it. */
static inline uint8_t *add(struct rig *r, unsigned queue, uint32_t type, uint64_t sector,
                           const void *out, uint32_t out_len, void **in, uint32_t in_len)
{
    struct vdrv_buf bufs[4];
    unsigned n_out = 1, n_in = 1, n = 1;
    struct wire_header *h;
    void *host;
    bufs[0] = (struct vdrv_buf){vdrv_alloc(&r->d, sizeof(*h), (void **)&h), sizeof(*h)};
    *h = (struct wire_header){.type = type, .sector = sector};
    if (out_len) {
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, out_len, &host), out_len};
        memcpy(host, out, out_len);
        n_out++;
    }
    if (in_len) {
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, in_len, in), in_len};
        n_in++;
    }
    bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, 1, &host), 1};
    *(uint8_t *)host = 0xee;
    if (vdrv_add(&r->d, queue, bufs, n_out, n_in, 0) < 0)
        abort();
    vdrv_kick(&r->d, queue);
    return host;
}

static inline uint8_t run(struct rig *r, uint32_t type, uint64_t sector, const void *out,
                          uint32_t out_len, void *in, uint32_t in_len)
{
    void *host = NULL;
    uintptr_t cookie;
    uint32_t len;
    uint8_t *status = add(r, 0, type, sector, out, out_len, &host, in_len);
    if (!vdrv_wait_used(&r->d, 0, r->loop, 2000, &cookie, &len))
        return 0xff;
    if (in_len)
        memcpy(in, host, in_len);
    return *status;
}

static inline void spin(struct rig *r, int rounds)
{
    while (rounds--)
        loop_run_once(r->loop, 0);
}

static const struct virtio_blk_options plain = {.serial = "disk-number-one"};

#endif
