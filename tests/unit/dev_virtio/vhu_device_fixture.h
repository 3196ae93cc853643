/* A disk in memory that another process could serve: the tests' own back end, a device in front of
 * it, and a guest's driver. */
#ifndef TESTS_UNIT_VHU_DEVICE_FIXTURE_H
#define TESTS_UNIT_VHU_DEVICE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>

#include "dev/virtio/vhu_blk.h"
#include "dev/virtio/vhu_device.h"
#include "tap.h"
#include "vhu_ramdisk.h"
#include "virtio_driver.h"

static struct ramdisk disk;
static struct guest_mem mem;
static struct iothread *thread;
static struct virtio_device *dev;
static struct vdrv drv;
static struct err err;
static _Atomic unsigned n_connects;
static _Atomic bool refuse_connects;

static inline int connect_again(void *opaque, struct err *e)
{
    if (atomic_load(&refuse_connects) || atomic_load(&disk.alive))
        return -EAGAIN;
    atomic_fetch_add(&n_connects, 1);
    return ramdisk_connect(opaque);
}

static const struct vhu_connector connector = {connect_again, &disk};

static inline void begin(unsigned flags)
{
    ramdisk_init(&disk, flags);
    thread = iothread_create("vhu", NULL, &err);
    if (!thread || guest_mem_init(&mem, 4 * MIB, GUEST_MEM_SHARED, &err))
        abort();
    atomic_store(&n_connects, 0);
    atomic_store(&refuse_connects, false);
}

static inline struct vhu_device_options options(unsigned timeout_ms)
{
    return (struct vhu_device_options){.loop = iothread_loop(thread),
                                       .fd = ramdisk_connect(&disk),
                                       .connector = &connector,
                                       .timeout_ms = timeout_ms};
}

static inline void begin_disk(unsigned flags)
{
    begin(flags);
    struct vhu_device_options o = options(0);
    dev = vhu_blk_create(&mem, 2, &o, &err);
    if (!dev || !vdrv_open(&drv, &mem, dev, VDRV_INDIRECT))
        abort();
}

static inline void end(void)
{
    vdrv_close(&drv);
    iothread_destroy(thread);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
}

static void *last_data;

/* Adds a read of one sector; its status byte is returned. */
static inline uint8_t *add_read(unsigned queue, uint64_t sector, uintptr_t n)
{
    void *hdr, *status;
    struct vdrv_buf bufs[3] = {{vdrv_alloc(&drv, 16, &hdr), 16},
                               {vdrv_alloc(&drv, 512, &last_data), 512},
                               {vdrv_alloc(&drv, 1, &status), 1}};
    *(struct virtio_blk_outhdr *)hdr =
        (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = sector};
    *(uint8_t *)status = 0xff;
    if (vdrv_add(&drv, queue, bufs, 1, 2, n) < 0)
        abort();
    vdrv_kick(&drv, queue);
    return status;
}

static inline bool read_works(unsigned queue)
{
    uintptr_t n;
    uint32_t len;
    uint8_t *status = add_read(queue, 1, 42);
    return vdrv_wait_used(&drv, queue, NULL, 5000, &n, &len) && n == 42 && *status == 0 &&
           len == 513 && ((uint8_t *)last_data)[511] == 0x5a;
}

static inline void wait_for(_Atomic unsigned *n, unsigned value)
{
    for (int ms = 0; ms < 5000 && atomic_load(n) < value; ms++)
        usleep(1000);
}

static inline bool wait_broken(void)
{
    for (int ms = 0; ms < 5000 && !virtio_device_is_broken(dev); ms++)
        usleep(1000);
    return virtio_device_is_broken(dev);
}

#endif
