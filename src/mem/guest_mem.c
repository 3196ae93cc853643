#include "mem/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

#define GUARD_BYTES   (64 * KIB)
#define HUGE_BYTES    (2 * MIB)
#define BITS_PER_WORD 64

/* Maps one region at a 2 MiB-aligned address inside a reservation of its own, so that an access
 * just outside of it faults instead of meeting a neighbour. */
static int region_map(struct guest_mem *m, struct guest_mem_region *r, unsigned flags,
                      struct err *err)
{
    uint64_t span = r->size_bytes + HUGE_BYTES + 2 * GUARD_BYTES;
    uint8_t *space =
        mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        return err_sys(err, errno, "could not reserve address space for %llu bytes of guest RAM",
                       (unsigned long long)r->size_bytes);
    uint8_t *at = (uint8_t *)align_up((uintptr_t)space + GUARD_BYTES, HUGE_BYTES);
    int map_flags = MAP_FIXED | MAP_NORESERVE;
    if (m->fd >= 0)
        map_flags |= MAP_SHARED;
    else
        map_flags |= MAP_PRIVATE | MAP_ANONYMOUS | (flags & GUEST_MEM_HUGEPAGES ? MAP_HUGETLB : 0);
    if (flags & GUEST_MEM_PREALLOC)
        map_flags |= MAP_POPULATE;
    void *p = mmap(at, r->size_bytes, PROT_READ | PROT_WRITE, map_flags, m->fd,
                   m->fd >= 0 ? (off_t)r->fd_offset : 0);
    if (p == MAP_FAILED) {
        int e = errno;
        munmap(space, span);
        return err_sys(err, e, "could not map %llu bytes of guest RAM%s",
                       (unsigned long long)r->size_bytes,
                       flags & GUEST_MEM_HUGEPAGES ? " with huge pages (see vm.nr_hugepages)" : "");
    }
    /* The unused ends of the reservation go back, but for a guard on each side. */
    if (at - GUARD_BYTES > space)
        munmap(space, (size_t)(at - GUARD_BYTES - space));
    uint8_t *end = at + align_up(r->size_bytes, GUEST_MEM_PAGE_BYTES) + GUARD_BYTES;
    if (end < space + span)
        munmap(end, (size_t)(space + span - end));
    r->hva = at;
    if (!(flags & GUEST_MEM_HUGEPAGES))
        madvise(at, r->size_bytes, MADV_HUGEPAGE);
    madvise(at, r->size_bytes, MADV_DONTDUMP);
    return 0;
}

static int open_memfd(struct guest_mem *m, unsigned flags, struct err *err)
{
    m->fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING |
                                          (flags & GUEST_MEM_HUGEPAGES ? MFD_HUGETLB : 0));
    if (m->fd < 0)
        return err_sys(err, errno, "could not create a memfd for guest RAM");
    if (ftruncate(m->fd, (off_t)m->total_bytes) < 0)
        return err_sys(err, errno, "could not size the guest RAM memfd to %llu bytes",
                       (unsigned long long)m->total_bytes);
    /* Nobody who gets this descriptor can kill the others that map it by making it shorter. */
    if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_sys(err, errno, "could not seal the guest RAM memfd");
    return 0;
}

int guest_mem_init(struct guest_mem *m, uint64_t size_bytes, unsigned flags, struct err *err)
{
    memset(m, 0, sizeof(*m));
    m->fd = -1;
    uint64_t unit = flags & GUEST_MEM_HUGEPAGES ? HUGE_BYTES : GUEST_MEM_PAGE_BYTES;
    if (!size_bytes || size_bytes % unit || size_bytes > (UINT64_C(1) << 40))
        return err_set(err, EINVAL,
                       "memory size %llu is not a multiple of %llu bytes between that and 1 TiB",
                       (unsigned long long)size_bytes, (unsigned long long)unit);
    m->total_bytes = size_bytes;
    int ret = flags & GUEST_MEM_SHARED ? open_memfd(m, flags, err) : 0;
    uint64_t low = MIN(size_bytes, GUEST_MEM_HOLE_START);
    const struct guest_mem_region layout[] = {
        {.gpa = 0, .size_bytes = low, .fd_offset = 0},
        {.gpa = GUEST_MEM_HIGH_START, .size_bytes = size_bytes - low, .fd_offset = low},
    };
    for (unsigned i = 0; !ret && i < ARRAY_LEN(layout) && layout[i].size_bytes; i++) {
        struct guest_mem_region *r = &m->regions[i];
        *r = layout[i];
        ret = region_map(m, r, flags, err);
        if (!ret)
            m->n_regions++;
    }
    if (ret)
        guest_mem_fini(m);
    return ret;
}

void guest_mem_fini(struct guest_mem *m)
{
    for (unsigned i = 0; i < m->n_regions; i++) {
        struct guest_mem_region *r = &m->regions[i];
        munmap(r->hva - GUARD_BYTES,
               align_up(r->size_bytes, GUEST_MEM_PAGE_BYTES) + 2 * GUARD_BYTES);
    }
    if (m->fd >= 0)
        close(m->fd);
    free(m->dirty_storage);
    memset(m, 0, sizeof(*m));
    m->fd = -1;
}

static const struct guest_mem_region *find(const struct guest_mem *m, uint64_t gpa)
{
    for (unsigned i = 0; i < m->n_regions; i++)
        if (gpa - m->regions[i].gpa < m->regions[i].size_bytes)
            return &m->regions[i];
    return NULL;
}

void *guest_mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
    const struct guest_mem_region *r = find(m, gpa);
    if (!r || !range_within(gpa - r->gpa, len, r->size_bytes))
        return NULL;
    return r->hva + (gpa - r->gpa);
}

uint64_t guest_mem_contiguous(const struct guest_mem *m, uint64_t gpa)
{
    const struct guest_mem_region *r = find(m, gpa);
    return r ? r->size_bytes - (gpa - r->gpa) : 0;
}

/* Whether all of [gpa, gpa+len) is RAM, be it of several adjacent regions. */
static bool all_ram(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
    while (len) {
        uint64_t n = MIN(guest_mem_contiguous(m, gpa), len);
        if (!n)
            return false;
        gpa += n;
        len -= n;
    }
    return true;
}

int guest_mem_read(const struct guest_mem *m, uint64_t gpa, void *buf, uint64_t len)
{
    if (!all_ram(m, gpa, len))
        return -EFAULT;
    for (uint8_t *to = buf; len;) {
        uint64_t n = MIN(guest_mem_contiguous(m, gpa), len);
        memcpy(to, guest_mem_ptr(m, gpa, n), n);
        to += n;
        gpa += n;
        len -= n;
    }
    return 0;
}

int guest_mem_write(struct guest_mem *m, uint64_t gpa, const void *buf, uint64_t len)
{
    if (!all_ram(m, gpa, len))
        return -EFAULT;
    for (const uint8_t *from = buf; len;) {
        uint64_t n = MIN(guest_mem_contiguous(m, gpa), len);
        memcpy(guest_mem_ptr(m, gpa, n), from, n);
        guest_mem_mark_dirty(m, gpa, n);
        from += n;
        gpa += n;
        len -= n;
    }
    return 0;
}

/* Index of the first bitmap word of a region: each region starts on a word of its own. */
static uint64_t first_word(const struct guest_mem *m, unsigned region)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < region; i++)
        word += align_up(m->regions[i].size_bytes / GUEST_MEM_PAGE_BYTES, BITS_PER_WORD) /
                BITS_PER_WORD;
    return word;
}

void guest_mem_mark_dirty(struct guest_mem *m, uint64_t gpa, uint64_t len)
{
    _Atomic(uint64_t) *bits = atomic_load_explicit(&m->dirty, memory_order_acquire);
    const struct guest_mem_region *r = (bits || m->written) && len ? find(m, gpa) : NULL;
    if (!r)
        return;
    uint64_t off = gpa - r->gpa;
    if (m->written)
        m->written(m->written_opaque, r->hva + off, MIN(len, r->size_bytes - off));
    if (!bits)
        return;
    bits += first_word(m, (unsigned)(r - m->regions));
    uint64_t last = MIN(off + (len - 1), r->size_bytes - 1) / GUEST_MEM_PAGE_BYTES;
    for (uint64_t page = off / GUEST_MEM_PAGE_BYTES; page <= last; page++)
        atomic_fetch_or_explicit(&bits[page / BITS_PER_WORD], UINT64_C(1) << (page % BITS_PER_WORD),
                                 memory_order_release);
}

int guest_mem_discard(struct guest_mem *m, uint64_t gpa, uint64_t len)
{
    const struct guest_mem_region *r = find(m, gpa);
    if (!r || !range_within(gpa - r->gpa, len, r->size_bytes))
        return -EFAULT;
    /* MADV_REMOVE punches a hole into the memfd, for every process that maps it. */
    if (madvise(r->hva + (gpa - r->gpa), len, m->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED))
        return -errno;
    guest_mem_mark_dirty(m, gpa, len);
    return 0;
}

int guest_mem_populate(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
    uint8_t *begin = guest_mem_ptr(m, gpa, len);
    if (!begin)
        return -EFAULT;
    uintptr_t from = (uintptr_t)begin & ~(uintptr_t)(GUEST_MEM_PAGE_BYTES - 1);
    return madvise((void *)from, (uintptr_t)begin + len - from, MADV_POPULATE_WRITE) ? -errno : 0;
}

void guest_mem_advise_huge(struct guest_mem *m, bool on)
{
    for (unsigned i = 0; i < m->n_regions;
         i++) /* refused for hugetlb pages, which have no choice */
        madvise(m->regions[i].hva, m->regions[i].size_bytes, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

int guest_mem_dirty_start(struct guest_mem *m, struct err *err)
{
    uint64_t words = first_word(m, m->n_regions);
    _Atomic(uint64_t) *bits = calloc(words, sizeof(*bits));
    if (!bits)
        return err_set(err, ENOMEM, "could not allocate a dirty bitmap of %llu bytes",
                       (unsigned long long)(words * sizeof(*bits)));
    free(m->dirty_storage);
    m->dirty_storage = bits;
    atomic_store_explicit(&m->dirty, bits, memory_order_release);
    return 0;
}

void guest_mem_dirty_stop(struct guest_mem *m)
{
    atomic_store(&m->dirty, NULL);
    free(m->dirty_storage);
    m->dirty_storage = NULL;
}

void guest_mem_dirty_take(struct guest_mem *m, unsigned region, uint64_t *bitmap)
{
    if (!m->dirty_storage || region >= m->n_regions)
        return;
    _Atomic(uint64_t) *bits = m->dirty_storage + first_word(m, region);
    uint64_t words = first_word(m, region + 1) - first_word(m, region);
    for (uint64_t i = 0; i < words; i++)
        bitmap[i] |= atomic_exchange(&bits[i], 0);
}
