#include "x86/page_walk.h"

#define PRESENT  1u
#define LARGE    (1u << 7)
#define ADDRESS  UINT64_C(0x000ffffffffff000)
#define CR0_PG   (UINT64_C(1) << 31)
#define CR4_PSE  (UINT64_C(1) << 4)
#define CR4_PAE  (UINT64_C(1) << 5)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LMA (UINT64_C(1) << 10)

struct walker {
    page_walk_read_fn *read;
    void *opaque;
};

/* Entries of 8 bytes from `level` (4: PML4, 5: PML5) down. */
static bool walk_wide(const struct walker *w, uint64_t table, unsigned level, uint64_t linear,
                      uint64_t *phys)
{
    for (; level; level--) {
        unsigned shift = 3 + 9 * level;
        uint64_t entry, offset = (UINT64_C(1) << shift) - 1;
        if (!w->read(w->opaque, table + (linear >> shift & 511) * 8, &entry, 8) ||
            !(entry & PRESENT))
            return false;
        if (level == 1 || (level <= 3 && entry & LARGE)) {
            *phys = (entry & ADDRESS & ~offset) | (linear & offset);
            return true;
        }
        table = entry & ADDRESS;
    }
    return false;
}

/* The four pointers of PAE paging have no rights and no large pages. */
static bool walk_pae(const struct walker *w, uint64_t cr3, uint64_t linear, uint64_t *phys)
{
    uint64_t entry;
    if (!w->read(w->opaque, (cr3 & 0xffffffe0u) + (linear >> 30 & 3) * 8, &entry, 8) ||
        !(entry & PRESENT))
        return false;
    return walk_wide(w, entry & ADDRESS, 2, linear, phys);
}

static bool walk_32(const struct walker *w, const struct kvm_sregs *s, uint64_t linear,
                    uint64_t *phys)
{
    uint32_t entry;
    if (!w->read(w->opaque, (s->cr3 & 0xfffff000u) + (linear >> 22 & 1023) * 4, &entry, 4) ||
        !(entry & PRESENT))
        return false;
    if (entry & LARGE && s->cr4 & CR4_PSE) {
        *phys = (entry & 0xffc00000u) | (uint64_t)(entry >> 13 & 0xff) << 32 | (linear & 0x3fffff);
        return true;
    }
    if (!w->read(w->opaque, (entry & 0xfffff000u) + (linear >> 12 & 1023) * 4, &entry, 4) ||
        !(entry & PRESENT))
        return false;
    *phys = (entry & 0xfffff000u) | (linear & 4095);
    return true;
}

bool page_walk(const struct kvm_sregs *s, uint64_t linear, page_walk_read_fn *read, void *opaque,
               uint64_t *phys)
{
    const struct walker w = {read, opaque};
    if (!(s->cr0 & CR0_PG)) {
        *phys = (uint32_t)linear;
        return true;
    }
    if (s->efer & EFER_LMA) {
        unsigned levels = s->cr4 & CR4_LA57 ? 5 : 4, unused = levels == 5 ? 7 : 16;
        bool canonical = (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
        return canonical && walk_wide(&w, s->cr3 & ADDRESS, levels, linear, phys);
    }
    linear = (uint32_t)linear;
    return s->cr4 & CR4_PAE ? walk_pae(&w, s->cr3, linear, phys) : walk_32(&w, s, linear, phys);
}
