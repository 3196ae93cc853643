/* Page walks: 4-level (long mode), PAE and 32-bit paging, with accessed and dirty bits.
 * Spec: SDM volume 3, chapter 4. */
#include "engine/soft/soft_internal.h"

enum {
    PTE_P = 1 << 0,
    PTE_W = 1 << 1,
    PTE_U = 1 << 2,
    PTE_A = 1 << 5,
    PTE_D = 1 << 6,
    PTE_PS = 1 << 7,
    PTE_G = 1 << 8,
};
#define PTE_NX       (UINT64_C(1) << 63)
#define PTE_ADDRESS  UINT64_C(0x000ffffffffff000)
#define PTE_RESERVED (PTE_ADDRESS & ~((UINT64_C(1) << SOFT_PHYS_BITS) - 1))
/* With PAE outside long mode the bits above are reserved as well, and more of a PDPTE (4.4.2). */
#define PAE_RESERVED   UINT64_C(0x7ff0000000000000)
#define PDPTE_RESERVED (PTE_RESERVED | PAE_RESERVED | PTE_NX | 0x1e6)

enum { ERR_P = 1 << 0, ERR_W = 1 << 1, ERR_U = 1 << 2, ERR_RSVD = 1 << 3, ERR_I = 1 << 4 };

#define CR0_WP   (UINT64_C(1) << 16)
#define CR4_PSE  (UINT64_C(1) << 4)
#define CR4_PAE  (UINT64_C(1) << 5)
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_PGE  (UINT64_C(1) << 7)
#define EFER_NXE (UINT64_C(1) << 11)

/* The entries that a walk went through; rights gather on the way. */
struct walk {
    void *entry[4];    /* in guest RAM */
    uint64_t value[4]; /* of each, as the walk read it */
    unsigned n;
    bool wide; /* entries of 8 bytes */
    bool writable, user, nx;
    uint64_t phys;       /* of the byte */
    uint64_t page_bytes; /* of the page */
    uint32_t fault;      /* ERR_P, ERR_RSVD where it ended early, else 0 with done */
    bool done;
};

static uint64_t read_entry(const struct walk *w, const void *p)
{
    return w->wide ? __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED)
                   : __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
}

/* Reads the entry at `phys` and adds its rights. False: the walk ends in a fault. */
static bool step(const struct soft_cpu *cpu, struct walk *w, uint64_t phys, uint64_t reserved,
                 uint64_t *entry)
{
    void *p = guest_mem_ptr(cpu->vm->config.mem, phys, w->wide ? 8 : 4);
    *entry = p ? read_entry(w, p) : 0;
    if (!(*entry & PTE_P))
        return false;
    if (!(cpu->efer & EFER_NXE))
        reserved |= PTE_NX;
    if (w->wide && *entry & (reserved | PTE_RESERVED)) {
        w->fault = ERR_P | ERR_RSVD;
        return false;
    }
    w->entry[w->n] = p;
    w->value[w->n++] = *entry;
    w->writable &= *entry >> 1 & 1;
    w->user &= *entry >> 2 & 1;
    w->nx |= w->wide && *entry & PTE_NX;
    return true;
}

static void walk_long(const struct soft_cpu *cpu, struct walk *w, uint64_t linear)
{
    uint64_t entry, table = cpu->cr3 & PTE_ADDRESS;
    for (unsigned level = 4; level >= 1; level--) {
        unsigned shift = 3 + 9 * level;
        uint64_t reserved = level == 4 ? PTE_PS : 0;
        if (!step(cpu, w, table + (linear >> shift & 511) * 8, reserved, &entry))
            return;
        uint64_t offset = (UINT64_C(1) << shift) - 1;
        if (level == 1 || (level <= 3 && entry & PTE_PS)) {
            if (level > 1 && entry & PTE_ADDRESS & offset & ~UINT64_C(0x1000)) {
                w->fault = ERR_P | ERR_RSVD;
                return;
            }
            w->phys = (entry & PTE_ADDRESS & ~offset) | (linear & offset);
            w->page_bytes = offset + 1;
            w->done = true;
            return;
        }
        table = entry & PTE_ADDRESS;
    }
}

static void walk_pae(const struct soft_cpu *cpu, struct walk *w, uint64_t linear)
{
    uint64_t entry;
    void *p =
        guest_mem_ptr(cpu->vm->config.mem, (cpu->cr3 & 0xffffffe0u) + (linear >> 30 & 3) * 8, 8);
    uint64_t pdpte = p ? read_entry(w, p) : 0;
    if (!(pdpte & PTE_P))
        return;
    if (pdpte & PDPTE_RESERVED) { /* AMD's CPUs look when they walk, Intel's when CR3 is loaded */
        w->fault = ERR_P | ERR_RSVD;
        return;
    }
    if (!step(cpu, w, (pdpte & PTE_ADDRESS) + (linear >> 21 & 511) * 8, PAE_RESERVED, &entry))
        return;
    if (entry & PTE_PS) {
        if (entry & UINT64_C(0x1fe000)) {
            w->fault = ERR_P | ERR_RSVD;
            return;
        }
        w->phys = (entry & PTE_ADDRESS & ~UINT64_C(0x1fffff)) | (linear & 0x1fffff);
        w->page_bytes = 0x200000;
        w->done = true;
        return;
    }
    if (!step(cpu, w, (entry & PTE_ADDRESS) + (linear >> 12 & 511) * 8, PAE_RESERVED, &entry))
        return;
    w->phys = (entry & PTE_ADDRESS) | (linear & 4095);
    w->done = true;
}

static void walk_32(const struct soft_cpu *cpu, struct walk *w, uint64_t linear)
{
    uint64_t entry;
    if (!step(cpu, w, (cpu->cr3 & 0xfffff000u) + (linear >> 22 & 1023) * 4, 0, &entry))
        return;
    if (entry & PTE_PS && cpu->cr4 & CR4_PSE) {
        if (entry & 1u << 21) {
            w->fault = ERR_P | ERR_RSVD;
            return;
        }
        /* PSE-36: bits 20..13 are the address's bits 39..32. */
        w->phys = (entry & 0xffc00000u) | (entry >> 13 & 0xff) << 32 | (linear & 0x3fffff);
        w->page_bytes = 0x400000;
        w->done = true;
        return;
    }
    if (!step(cpu, w, (entry & 0xfffff000u) + (linear >> 12 & 1023) * 4, 0, &entry))
        return;
    w->phys = (entry & 0xfffff000u) | (linear & 4095);
    w->done = true;
}

static void walk(const struct soft_cpu *cpu, struct walk *w, uint64_t linear)
{
    *w = (struct walk){
        .writable = true, .user = true, .wide = cpu->cr4 & CR4_PAE, .page_bytes = 4096};
    if (cpu->mode & SOFT_MODE_LONG)
        walk_long(cpu, w, linear);
    else if (w->wide)
        walk_pae(cpu, w, linear);
    else
        walk_32(cpu, w, linear);
}

/* Whether the access is allowed (4.6.1). */
static bool allowed(const struct soft_cpu *cpu, const struct walk *w, enum soft_access access,
                    enum soft_tlb_set set)
{
    bool user = soft_tlb_set_is_user(set);
    if (access == SOFT_FETCH)
        return !w->nx && (user ? w->user : !(w->user && cpu->cr4 & CR4_SMEP));
    if (user)
        return w->user && (access == SOFT_READ || w->writable);
    if (w->user && set == SOFT_TLB_SUPERVISOR_SMAP)
        return false;
    return access == SOFT_READ || w->writable || !(cpu->cr0 & CR0_WP);
}

/* Sets bits in an entry as the CPU does: in one step, seen by the dirty log, and only in the entry
 * that was walked. False: another CPU has changed it meanwhile. */
static bool set_bits(struct soft_cpu *cpu, struct walk *w, unsigned i, uint32_t bits)
{
    uint64_t was = w->value[i];
    if ((was & bits) == bits)
        return true;
    void *p = w->entry[i];
    w->value[i] = was | bits;
    bool same;
    if (w->wide) {
        same = __atomic_compare_exchange_n((uint64_t *)p, &was, was | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    } else {
        uint32_t narrow = (uint32_t)was;
        same = __atomic_compare_exchange_n((uint32_t *)p, &narrow, narrow | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    if (same && cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask])
        soft_written(cpu, p, 4);
    return same;
}

/* Accessed bits on the way, and the page's own together with its dirty bit. */
static bool mark(struct soft_cpu *cpu, struct walk *w, enum soft_access access)
{
    unsigned last = w->n - 1;
    for (unsigned i = 0; i < last; i++)
        if (!set_bits(cpu, w, i, PTE_A))
            return false;
    return set_bits(cpu, w, last, access == SOFT_WRITE ? PTE_A | PTE_D : PTE_A);
}

uint32_t soft_mmu_walk(struct soft_cpu *cpu, uint64_t linear, enum soft_access access,
                       enum soft_tlb_set set, struct soft_translation *t)
{
    struct walk w;
    bool user = soft_tlb_set_is_user(set);
    do {
        walk(cpu, &w, linear);
        if (unlikely(!w.done || !allowed(cpu, &w, access, set))) {
            uint32_t error = w.done ? ERR_P : w.fault;
            bool nx = cpu->efer & EFER_NXE && w.wide;
            return SOFT_MMU_FAULT | error | (access == SOFT_WRITE ? ERR_W : 0) |
                   (user ? ERR_U : 0) |
                   (access == SOFT_FETCH && (nx || cpu->cr4 & CR4_SMEP) ? ERR_I : 0);
        }
    } while (unlikely(!mark(cpu, &w, access)));
    uint64_t leaf = w.value[w.n - 1];
    *t = (struct soft_translation){
        .phys = w.phys,
        .page_bytes = w.page_bytes,
        .writable = leaf & PTE_D && (w.writable || (!user && !(cpu->cr0 & CR0_WP))),
        .global = leaf & PTE_G && cpu->cr4 & CR4_PGE,
    };
    return 0;
}

bool soft_mmu_peek(const struct soft_cpu *cpu, uint64_t linear, uint64_t *phys)
{
    struct walk w;
    if (!(cpu->cr0 >> 31 & 1)) {
        *phys = linear;
        return true;
    }
    if (cpu->mode & SOFT_MODE_LONG && !soft_canonical(linear))
        return false;
    walk(cpu, &w, linear);
    *phys = w.phys;
    return w.done;
}
