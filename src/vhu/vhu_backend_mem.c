/* The peer's memory in the back end: guest RAM and the dirty log, mapped from its descriptors. */
#include "vhu/vhu_backend_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"

#define REGION_MAX_BYTES (UINT64_C(1) << 40)
#define LOG_MAX_BYTES    (UINT64_C(64) << 20)

/* Maps [offset, offset+size) of a peer's descriptor. A file that is or may become shorter would
 * kill us by SIGBUS. */
static int map_fd(const struct vhu_backend *b, int fd, uint64_t offset, uint64_t size, void **map,
                  const char *what, struct err *err)
{
    struct stat st;
    if (fd < 0)
        return err_set(err, EINVAL, "%s comes without a descriptor", what);
    if (fstat(fd, &st) < 0 || !range_within(offset, size, (uint64_t)st.st_size))
        return err_set(err, EINVAL, "%s: %llu bytes at %llu are not within its file", what,
                       (unsigned long long)size, (unsigned long long)offset);
    if (b->config.flags & VHU_BACKEND_DEMAND_SEALS) {
        int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || !(seals & F_SEAL_SHRINK))
            return err_set(err, EPERM, "%s: its memfd is not sealed against shrinking", what);
    }
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
    if (p == MAP_FAILED)
        return err_sys(err, errno, "could not map %s of %llu bytes", what,
                       (unsigned long long)size);
    *map = p;
    return 0;
}

static bool overlap(uint64_t a, uint64_t b, uint64_t a_size, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static int check_table(const struct vhu_msg *msg, struct err *err)
{
    const struct vhu_mem_table *t = &msg->payload.mem;
    if (!t->n_regions || t->n_regions > VHU_REGIONS_MAX || t->n_regions != msg->n_fds ||
        msg->hdr.size < VHU_MEM_TABLE_HEADER + t->n_regions * sizeof(t->regions[0]))
        return err_set(err, EINVAL,
                       "a memory table of %u regions in %u bytes with %u descriptors (1 to %d "
                       "regions, a descriptor each)",
                       t->n_regions, msg->hdr.size, msg->n_fds, VHU_REGIONS_MAX);
    for (unsigned i = 0; i < t->n_regions; i++) {
        const struct vhu_mem_region *r = &t->regions[i];
        if (!r->size_bytes || r->size_bytes > REGION_MAX_BYTES ||
            !range_within(r->guest_addr, r->size_bytes, UINT64_MAX) ||
            !range_within(r->user_addr, r->size_bytes, UINT64_MAX))
            return err_set(err, EINVAL,
                           "memory region %u of %llu bytes at 0x%llx wraps or is over "
                           "1 TiB",
                           i, (unsigned long long)r->size_bytes, (unsigned long long)r->guest_addr);
        for (unsigned j = 0; j < i; j++)
            if (overlap(r->guest_addr, t->regions[j].guest_addr, r->size_bytes,
                        t->regions[j].size_bytes))
                return err_set(err, EINVAL, "memory regions %u and %u overlap", j, i);
    }
    return 0;
}

int vhu_backend_mem_set(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_mem_table *t = &msg->payload.mem;
    int ret = check_table(msg, err);
    if (ret)
        return ret;
    vhu_backend_mem_drop(b);
    for (unsigned i = 0; i < t->n_regions; i++) {
        const struct vhu_mem_region *r = &t->regions[i];
        void *map;
        ret = map_fd(b, msg->fds[i], r->mmap_offset, r->size_bytes, &map, "a memory region", err);
        if (ret) {
            vhu_backend_mem_drop(b);
            return ret;
        }
        b->mappings[i] = (struct vhu_mapping){r->user_addr, map, r->size_bytes};
        b->xlate.regions[i] = (struct virtq_region){r->guest_addr, r->size_bytes, map};
        b->xlate.n_regions = i + 1;
    }
    return 0;
}

void vhu_backend_mem_drop(struct vhu_backend *b)
{
    for (unsigned i = 0; i < b->xlate.n_regions; i++)
        munmap(b->mappings[i].map, b->mappings[i].map_bytes);
    b->xlate.n_regions = 0;
}

int vhu_backend_mem_gpa(const struct vhu_backend *b, uint64_t user_addr, uint64_t *gpa)
{
    for (unsigned i = 0; i < b->xlate.n_regions; i++) {
        uint64_t off = user_addr - b->mappings[i].user_addr;
        if (off < b->xlate.regions[i].size_bytes) {
            *gpa = b->xlate.regions[i].gpa + off;
            return 0;
        }
    }
    return -EFAULT;
}

/* Sets the bits of the pages that the device wrote; what lies beyond the log is not logged. */
static void mark_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
    struct vhu_backend *b = opaque;
    if (!b->log || !len || !(b->features & VHU_F_LOG_ALL))
        return;
    uint64_t last = (gpa + (len - 1)) / VHU_LOG_PAGE;
    for (uint64_t page = gpa / VHU_LOG_PAGE; page <= last && page / 8 < b->log_bytes; page++)
        atomic_fetch_or_explicit(&b->log[page / 8], (uint8_t)(1u << (page % 8)),
                                 memory_order_release);
}

int vhu_backend_log_set(struct vhu_backend *b, struct vhu_msg *msg, struct err *err)
{
    const struct vhu_log *log = &msg->payload.log;
    void *map;
    if (msg->hdr.size != sizeof(*log) || !log->size_bytes || log->size_bytes > LOG_MAX_BYTES ||
        log->offset % (uint64_t)sysconf(_SC_PAGESIZE))
        return err_set(err, EINVAL,
                       "a dirty log of %llu bytes at %llu (1 byte to 64 MiB, on a page)",
                       (unsigned long long)log->size_bytes, (unsigned long long)log->offset);
    int ret = map_fd(b, msg->n_fds ? msg->fds[0] : -1, log->offset, log->size_bytes, &map,
                     "a dirty log", err);
    if (ret)
        return ret;
    vhu_backend_log_drop(b);
    b->log = map;
    b->log_bytes = log->size_bytes;
    b->xlate.opaque = b;
    b->xlate.mark_dirty = mark_dirty;
    return 0;
}

void vhu_backend_log_drop(struct vhu_backend *b)
{
    if (b->log)
        munmap((void *)b->log, b->log_bytes);
    b->log = NULL;
}
