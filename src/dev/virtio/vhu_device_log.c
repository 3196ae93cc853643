/* The dirty log of a vhost-user device: pages that the back end writes, one bit each from guest
 * address 0, in shared memory of ours. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/util.h"
#include "dev/virtio/vhu_device_internal.h"

#define PAGES_PER_WORD 64

static struct vhu_device *of(struct virtio_device *dev)
{
    return container_of(dev, struct vhu_device, dev);
}

static uint64_t bytes_needed(const struct guest_mem *mem)
{
    const struct guest_mem_region *last = &mem->regions[mem->n_regions - 1];
    uint64_t pages = (last->gpa + last->size_bytes) / VHU_LOG_PAGE;
    return align_up(pages / 8 + 1, GUEST_MEM_PAGE_BYTES);
}

int vhu_device_log_tell(struct vhu_device *vd, struct err *err)
{
    return vhu_front_set_log(&vd->front, vd->log_fd, vd->log_bytes, err);
}

/* Switches logging on or off in a back end that runs. */
static void switch_in_loop(void *arg)
{
    struct vhu_device *vd = arg;
    struct err err = {0};
    if (!vd->running)
        return; /* vhu_device_start() tells all of it */
    bool on = vd->log != NULL;
    vhu_front_deadline(&vd->front, vd->timeout_ms);
    int ret = on ? vhu_device_log_tell(vd, &err) : 0;
    if (!ret)
        ret = vhu_front_set_features(
            &vd->front, (vd->run_features & vd->front.features) | (on ? VHU_F_LOG_ALL : 0), &err);
    for (unsigned i = 0; !ret && i < vd->n_remote; i++) {
        struct vhu_device_ring *r = &vd->rings[i];
        r->front.log = on;
        if (r->started)
            ret = vhu_front_ring_addr(&vd->front, &r->front, &err);
    }
    if (ret)
        vhu_device_lost(vd, &err);
}

struct log_start {
    struct vhu_device *vd;
    int fd;
    void *map;
    uint64_t bytes;
    bool able;
};

static void start_in_loop(void *arg)
{
    struct log_start *s = arg;
    struct vhu_device *vd = s->vd;
    /* A device without a back end just now writes nothing; the next one must be able. */
    s->able = vd->front.fd < 0 || ((vd->front.features & VHU_F_LOG_ALL) &&
                                   (vd->front.protocol_features & VHU_PF_LOG_SHMFD));
    if (!s->able)
        return;
    vd->log_fd = s->fd;
    vd->log = s->map;
    vd->log_bytes = s->bytes;
    switch_in_loop(vd);
}

int vhu_device_log_start(struct virtio_device *dev, struct err *err)
{
    struct vhu_device *vd = of(dev);
    struct log_start s = {.vd = vd, .bytes = bytes_needed(dev->mem)};
    if (vd->log)
        return 0;
    CLEANUP_CLOSE int fd = memfd_create("vhost-user-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)s.bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_sys(err, errno, "could not make a dirty log for %s", dev->ops->name);
    s.fd = fd;
    s.map = mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s.map == MAP_FAILED)
        return err_sys(err, errno, "could not map the dirty log of %s", dev->ops->name);
    loop_call(vd->loop, start_in_loop, &s);
    if (!s.able) {
        munmap(s.map, s.bytes);
        return err_set(err, ENOTSUP, "the back end of %s cannot log what it writes",
                       dev->ops->name);
    }
    steal_fd(&fd);
    return 0;
}

void vhu_device_log_sync(struct virtio_device *dev)
{
    struct vhu_device *vd = of(dev);
    for (uint64_t i = 0; vd->log && i < vd->log_bytes / sizeof(uint64_t); i++) {
        if (!atomic_load_explicit(&vd->log[i], memory_order_relaxed))
            continue;
        uint64_t bits = atomic_exchange(&vd->log[i], 0);
        for (; bits; bits &= bits - 1) {
            uint64_t page = i * PAGES_PER_WORD + (unsigned)__builtin_ctzll(bits);
            guest_mem_mark_dirty(dev->mem, page * VHU_LOG_PAGE, VHU_LOG_PAGE);
        }
    }
}

static void stop_in_loop(void *arg)
{
    struct vhu_device *vd = arg;
    void *map = (void *)vd->log;
    vd->log = NULL;
    switch_in_loop(vd);
    munmap(map, vd->log_bytes);
    close(steal_fd(&vd->log_fd));
}

void vhu_device_log_stop(struct virtio_device *dev)
{
    struct vhu_device *vd = of(dev);
    if (vd->log)
        loop_call(vd->loop, stop_in_loop, vd);
}
