/* The disk served by an I/O thread, from a raw file through the ring and through the pool, while
 * this thread pauses, resumes, changes limits and reads the configuration. Meant for
 * ThreadSanitizer as much as for its own checks. */
#include <linux/virtio_blk.h>

#include "../virtio_driver.h"
#include "blk/aio.h"
#include "blk/raw.h"
#include "dev/virtio/virtio_blk.h"
#include "io/iothread.h"
#include "tap.h"

#include <fcntl.h>

#define SECTORS 256

struct rig {
    struct guest_mem mem;
    struct iothread *thread;
    struct aio *aio;
    struct vdrv d;
    char path[64];
};

static void make_aio(void *arg)
{
    struct rig *r = arg;
    r->aio = aio_create(iothread_loop(r->thread), NULL, NULL);
}

static void make_pool(void *arg)
{
    struct rig *r = arg;
    struct aio_config config = {.kind = AIO_THREADS, .threads_max = 3};
    r->aio = aio_create(iothread_loop(r->thread), &config, NULL);
}

static void end_aio(void *arg)
{
    struct rig *r = arg;
    aio_destroy(r->aio);
}

static void open_rig(struct rig *r, void (*make)(void *))
{
    memset(r, 0, sizeof(*r));
    snprintf(r->path, sizeof(r->path), "/var/tmp/virga-vblk-XXXXXX");
    int fd = mkstemp(r->path);
    if (fd < 0 || ftruncate(fd, SECTORS * 512) || guest_mem_init(&r->mem, 8 << 20, 0, NULL))
        abort();
    r->thread = iothread_create("disk", NULL, NULL);
    loop_call(iothread_loop(r->thread), make, r);
    struct virtio_blk_options o = {.loop = iothread_loop(r->thread), .n_queues = 2};
    struct blk *b = raw_create(r->aio, o.loop, fd, r->path, &(struct raw_config){0}, NULL);
    struct virtio_device *dev = virtio_blk_create(&r->mem, b, &o, NULL);
    if (!dev || !vdrv_open(&r->d, &r->mem, dev, 0))
        abort();
}

static void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_call(iothread_loop(r->thread), end_aio, r);
    iothread_destroy(r->thread);
    guest_mem_fini(&r->mem);
    unlink(r->path);
}

struct wire {
    uint32_t type, reserved;
    uint64_t sector;
};

static uint8_t *add(struct rig *r, unsigned queue, uint32_t type, uint64_t sector, uint8_t fill,
                    uint8_t **data)
{
    struct wire *h;
    void *status, *buf;
    struct vdrv_buf bufs[3] = {{vdrv_alloc(&r->d, 16, (void **)&h), 16},
                               {vdrv_alloc(&r->d, 512, &buf), 512},
                               {vdrv_alloc(&r->d, 1, &status), 1}};
    *h = (struct wire){.type = type, .sector = sector};
    memset(buf, fill, 512);
    *(uint8_t *)status = 0xee;
    bool out = type == VIRTIO_BLK_T_OUT;
    if (vdrv_add(&r->d, queue, bufs, out ? 2 : 1, out ? 1 : 2, 0) < 0)
        abort();
    vdrv_kick(&r->d, queue);
    *data = buf;
    return status;
}

static void work(struct rig *r)
{
    uint8_t *data;
    uintptr_t cookie;
    uint32_t len;
    for (unsigned round = 0; round < 20; round++) {
        uint8_t *status[16];
        for (unsigned i = 0; i < 16; i++)
            status[i] = add(r, i % 2, VIRTIO_BLK_T_OUT, i, (uint8_t)(round + i), &data);
        if (round % 4 == 1) {
            virtio_device_pause(r->d.dev);
            CHECK_EQ(r->d.dev->queues[0].vq.in_flight, 0);
            virtio_device_resume(r->d.dev);
        }
        if (round % 4 == 2)
            virtio_blk_set_limit(r->d.dev, &(struct rate_limit){.ops_per_s = 20000});
        uint64_t capacity, size;
        virtio_transport_config_read(r->d.dev, 0, &capacity, sizeof(capacity));
        CHECK_EQ(capacity, SECTORS);
        CHECK_EQ(virtio_blk_refresh(r->d.dev, &size, NULL), 0);
        for (unsigned i = 0; i < 16; i++)
            REQUIRE(vdrv_wait_used(&r->d, i % 2, NULL, 5000, &cookie, &len));
        for (unsigned i = 0; i < 16; i++)
            CHECK_EQ(*status[i], VIRTIO_BLK_S_OK);
        uint8_t *ok = add(r, 0, VIRTIO_BLK_T_IN, 5, 0, &data);
        REQUIRE(vdrv_wait_used(&r->d, 0, NULL, 5000, &cookie, &len));
        CHECK_EQ(*ok, VIRTIO_BLK_S_OK);
        CHECK_EQ(data[511], round + 5);
    }
    CHECK(virtio_blk_counters(r->d.dev)->writes >= 320);
    add(r, 1, VIRTIO_BLK_T_OUT, 7, 1, &data); /* in flight when the device goes */
}

static void an_io_thread_serves_through_the_ring(void)
{
    struct rig r;
    open_rig(&r, make_aio);
    work(&r);
    close_rig(&r);
}

static void an_io_thread_serves_through_the_pool(void)
{
    struct rig r;
    open_rig(&r, make_pool);
    work(&r);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(an_io_thread_serves_through_the_ring);
    TAP_RUN(an_io_thread_serves_through_the_pool);
    return tap_done();
}
