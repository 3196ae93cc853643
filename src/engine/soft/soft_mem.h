/* Guest memory for handlers: loads, stores and read-modify-write through the soft TLB, effective
 * addresses, page walks. Part of soft_internal.h. */
#ifndef ENGINE_SOFT_SOFT_MEM_H
#define ENGINE_SOFT_SOFT_MEM_H

#include "engine/soft/soft_code.h"

uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size);
/* The guest wrote [host, host + size) and the page has a flag: notes dirty pages, drops blocks made
 * of these bytes, and makes the current block end after this instruction if it was hit. */
void soft_written(struct soft_cpu *cpu, const void *host, unsigned size);

static inline struct soft_tlb_entry *soft_tlb_at(struct soft_cpu *cpu, uint64_t linear)
{
    return &cpu->tlb[soft_tlb_index(linear)];
}

/* Loads and stores of guest data at linear addresses, with the rights of this moment. They raise
 * #PF, #GP and #SS (non-canonical), reach MMIO, and may be unaligned and cross pages. */
#define SOFT_ACCESSORS(bits)                                                                       \
    static inline uint##bits##_t soft_load##bits(struct soft_cpu *cpu, uint64_t linear)            \
    {                                                                                              \
        const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);                                 \
        if (likely((linear ^ e->read) <= 4096 - bits / 8))                                         \
            return *(const uint##bits##_t *)(linear + e->addend);                                  \
        return (uint##bits##_t)soft_load_slow(cpu, linear, bits / 8);                              \
    }                                                                                              \
    static inline void soft_store##bits(struct soft_cpu *cpu, uint64_t linear, uint##bits##_t v)   \
    {                                                                                              \
        const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);                                 \
        if (likely((linear ^ e->write) <= 4096 - bits / 8)) {                                      \
            uint##bits##_t *p = (uint##bits##_t *)(linear + e->addend);                            \
            *p = v;                                                                                \
            if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))                  \
                soft_written(cpu, p, bits / 8);                                                    \
        } else {                                                                                   \
            soft_store_slow(cpu, linear, v, bits / 8);                                             \
        }                                                                                          \
    }
SOFT_ACCESSORS(8)
SOFT_ACCESSORS(16)
SOFT_ACCESSORS(32)
SOFT_ACCESSORS(64)

/* Any size from 1 to 64 bytes (xmm, ymm, descriptors): all of it or a fault before any of it. */
void soft_load_bytes(struct soft_cpu *cpu, uint64_t linear, void *buf, unsigned size);
void soft_store_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size);
/* Raises the fault that a store there would raise; otherwise does nothing. */
void soft_check_store(struct soft_cpu *cpu, uint64_t linear, unsigned size);

/* Read-modify-write. begin() checks that all of [linear, linear + size) may be read and written and
 * returns where the datum is: in guest RAM, or in cpu->bounce if it is MMIO or crosses a page.
 * end() with the same arguments makes the change visible. Nothing faults after begin(). */
void *soft_rmw_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_rmw_end_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);

static inline void *soft_rmw_begin(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    if (likely((linear ^ e->write) <= 4096 - size))
        return (void *)(linear + e->addend);
    return soft_rmw_slow(cpu, linear, size);
}

static inline void soft_rmw_end(struct soft_cpu *cpu, void *p, uint64_t linear, unsigned size)
{
    if (unlikely(p == cpu->bounce))
        soft_rmw_end_slow(cpu, linear, size);
    else if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))
        soft_written(cpu, p, size);
}

/* #AC where CR0.AM, EFLAGS.AC and CPL 3 ask for it. */
void soft_check_alignment(struct soft_cpu *cpu, uint64_t linear, unsigned size);

/* For REP strings: how many bytes from `linear` on lie in one page of RAM that may be accessed so,
 * and where; 0 (and *host NULL) where only the functions above work. Raises faults. */
unsigned soft_span(struct soft_cpu *cpu, uint64_t linear, enum soft_access access, uint8_t **host);

/* The same loads with supervisor rights whatever CPL is: descriptor tables, TSS, IDT. */
uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_store_system(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size);
void soft_store_system_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size);

/* Effective address of op's memory operand (offset within its segment), and the linear address for
 * an access of `size` bytes: in 16- and 32-bit code with the checks of limit and type. */
static inline uint64_t soft_offset(const struct soft_cpu *cpu, const struct soft_op *op)
{
    const uint8_t *r = (const uint8_t *)cpu->r;
    uint64_t at = *(const uint64_t *)(r + op->base) +
                  (*(const uint64_t *)(r + op->index) << op->scale) + (uint64_t)(int64_t)op->disp;
    if (unlikely(op->ea & (SOFT_EA_16 | SOFT_EA_32)))
        at = op->ea & SOFT_EA_16 ? (uint16_t)at : (uint32_t)at;
    return at;
}
/* Linear address of [seg:offset] outside 64-bit code. Raises #GP or #SS. */
uint64_t soft_linear_segmented(struct soft_cpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                               enum soft_access access);
static inline uint64_t soft_address(struct soft_cpu *cpu, const struct soft_op *op, unsigned size,
                                    enum soft_access access)
{
    uint64_t at = soft_offset(cpu, op);
    if (unlikely(op->ea & SOFT_EA_SEGMENTED))
        return soft_linear_segmented(cpu, op->seg, at, size, access);
    return at + cpu->seg_base[op->seg];
}
/* The same for [seg:offset] that a handler made itself (strings, stack). */
static inline uint64_t soft_linear(struct soft_cpu *cpu, unsigned seg, uint64_t offset,
                                   unsigned size, enum soft_access access)
{
    if ((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64)
        return seg >= X86_FS && seg <= X86_GS ? offset + cpu->seg_base[seg] : offset;
    return soft_linear_segmented(cpu, seg, offset, size, access);
}

/* What a page walk found. */
struct soft_translation {
    uint64_t phys;       /* of the byte */
    uint64_t page_bytes; /* size of the guest's page: 4 KiB to 1 GiB */
    bool writable;       /* a later write needs no walk */
    bool global;         /* outlives a write of CR3 */
};

/* A page walk for a linear address with the rights of `set`. Sets accessed and dirty bits. Returns
 * 0 or the #PF error code with bit 31 set (SOFT_MMU_FAULT). Does not look at canonical form. */
#define SOFT_MMU_FAULT (UINT32_C(1) << 31)
uint32_t soft_mmu_walk(struct soft_cpu *cpu, uint64_t linear, enum soft_access access,
                       enum soft_tlb_set set, struct soft_translation *t);
/* For debuggers: no bits set, no rights needed. False: not mapped. */
bool soft_mmu_peek(const struct soft_cpu *cpu, uint64_t linear, uint64_t *phys);
static inline bool soft_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

#endif
