/* A front end and a back end of vhost-user in one process, with a ring between them. */
#ifndef TESTS_UNIT_VHU_FIXTURE_H
#define TESTS_UNIT_VHU_FIXTURE_H

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "tap.h"
#include "vhu/vhu_backend.h"
#include "vhu/vhu_front.h"
#include "vhu_ramdisk.h"
#define VDRV_NO_DEVICE
#include "virtio_driver.h"

#define PF                                                                                         \
    (VHU_PF_MQ | VHU_PF_LOG_SHMFD | VHU_PF_REPLY_ACK | VHU_PF_BACKEND_REQ | VHU_PF_CONFIG |        \
     VHU_PF_INFLIGHT_SHMFD)
#define QUEUE_SIZE 32

static struct ramdisk disk;
static struct guest_mem mem;
static struct vhu_front front;
static struct vdrv_ring ring;
static uint64_t next_gpa;
static int kick_fd, call_fd;
static struct err err;

static inline void open_front(void)
{
    if (vhu_front_open(&front, ramdisk_connect(&disk), PF, 5000, &err))
        abort();
}

static inline void begin(unsigned flags)
{
    ramdisk_init(&disk, flags);
    if (guest_mem_init(&mem, 4 * MIB, GUEST_MEM_SHARED, &err))
        abort();
    next_gpa = 0x1000;
    vdrv_ring_init(&ring, &mem, &next_gpa,
                   (struct virtq_config){.size = QUEUE_SIZE, .event_idx = true, .indirect = true});
    kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    open_front();
}

static inline void end(void)
{
    vhu_front_close(&front);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
    close(kick_fd);
    close(call_fd);
}

static inline struct vhu_front_ring front_ring(uint32_t base)
{
    return (struct vhu_front_ring){.index = 1,
                                   .size = QUEUE_SIZE,
                                   .desc = ring.config.desc,
                                   .driver = ring.config.driver,
                                   .device = ring.config.device,
                                   .base = base,
                                   .kick_fd = kick_fd,
                                   .call_fd = call_fd};
}

static inline int share(uint64_t features)
{
    struct vhu_front_region r = {.gpa = 0, .size_bytes = mem.total_bytes, .fd = mem.fd};
    int ret = vhu_front_set_features(&front, features, &err);
    return ret ? ret : vhu_front_set_mem_table(&front, &r, 1, &err);
}

static inline int start(uint32_t base)
{
    struct vhu_front_ring r = front_ring(base);
    int ret = vhu_front_ring_start(&front, &r, &err);
    return ret ? ret : vhu_front_ring_enable(&front, 1, true, &err);
}

static inline void set_up(uint64_t extra)
{
    if (share((disk.features | extra) & ~(UINT64_C(1) << 30)) || start(0))
        abort();
}

static inline void kick(void)
{
    uint64_t one = 1;
    vdrv_ring_publish(&ring);
    if (write(kick_fd, &one, 8) != 8)
        abort();
}

/* Adds a request; `n` tells it from others. Its status byte is at the address returned. */
static inline uint8_t *add(uint32_t type, uint64_t sector, uint64_t data_gpa, uint32_t len,
                           uintptr_t n)
{
    uint64_t hdr = vdrv_take(&next_gpa, 16), status = vdrv_take(&next_gpa, 1);
    struct virtio_blk_outhdr *h = guest_mem_ptr(&mem, hdr, 16);
    *h = (struct virtio_blk_outhdr){.type = type, .sector = sector};
    uint8_t *s = guest_mem_ptr(&mem, status, 1);
    *s = 0xff;
    bool out = type == VIRTIO_BLK_T_OUT;
    struct vdrv_buf bufs[3] = {{hdr, 16}, {data_gpa, len}, {status, 1}};
    if (vdrv_ring_add(&ring, bufs, out ? 2 : 1, out ? 1 : 2, n % 2, n) < 0)
        abort();
    return s;
}

static inline bool wait_used(uintptr_t *cookie)
{
    int id;
    uint32_t len;
    for (int ms = 0; ms < 5000; ms++) {
        if (vdrv_ring_used(&ring, &id, cookie, &len))
            return id >= 0;
        usleep(1000);
    }
    return false;
}

static inline void wait_for(_Atomic unsigned *n, unsigned value)
{
    for (int ms = 0; ms < 5000 && atomic_load(n) < value; ms++)
        usleep(1000);
}

#endif
