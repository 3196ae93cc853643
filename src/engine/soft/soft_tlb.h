/* The tables that remember translations: for data, and for instruction fetch. They may hold less
 * than they were given at any time, and never what a flush has taken.
 *
 * A vCPU has one TLB for each set of rights, direct-mapped, whose entries turn a linear address
 * into the host's with one addition. Most of them are empty most of the time, and kernels write CR3
 * often, so what was filled is on record: in one log what a write of CR3 ends, in the other what
 * outlives it (global pages). A log that has overflowed stands for "anything". */
#ifndef ENGINE_SOFT_SOFT_TLB_H
#define ENGINE_SOFT_SOFT_TLB_H

#include <stdbool.h>
#include <stdint.h>

#define SOFT_TLB_ENTRIES 1024

/* Tags are linear page addresses; an entry that holds nothing has the tag of another index, so that
 * no address can match it. host = linear + addend. The write tag is there only if a store needs
 * nothing but the bytes (present, writable, dirty bit set, no watchpoint). */
struct soft_tlb_entry {
    uint64_t read, write;
    uint64_t addend;
    uint64_t page_bytes; /* of the guest's page that this is (a piece of) */
};

/* Who may access what: one TLB each. */
enum soft_tlb_set {
    SOFT_TLB_USER,
    SOFT_TLB_SUPERVISOR,
    SOFT_TLB_SUPERVISOR_SMAP, /* CR4.SMAP and not EFLAGS.AC: user pages are out of reach */
    SOFT_TLB_CHECKED, /* CPL 3 with alignment checks: never filled, so that every access is seen */
    SOFT_TLB_SETS
};

static inline bool soft_tlb_set_is_user(enum soft_tlb_set set)
{
    return set == SOFT_TLB_USER || set == SOFT_TLB_CHECKED;
}

static inline unsigned soft_tlb_index(uint64_t linear)
{
    return (linear >> 12) & (SOFT_TLB_ENTRIES - 1);
}

#define SOFT_TLB_LOG 1024

struct soft_tlb_log {
    unsigned n;                /* SOFT_TLB_LOG: it has overflowed */
    uint16_t at[SOFT_TLB_LOG]; /* set * SOFT_TLB_ENTRIES + index */
};

struct soft_tlbs {
    struct soft_tlb_entry entries[SOFT_TLB_SETS][SOFT_TLB_ENTRIES];
    struct soft_tlb_log local, global;
    bool
        large[2]; /* the lower and the upper half of the address space have pieces of large pages */
};

#define SOFT_JUMP_ENTRIES 16384

/* Where recent branches led: linear rip and mode to block. Good while epoch is that of the address
 * and the block is good. */
struct soft_jump {
    uint64_t rip;
    uint32_t epoch, mode;
    struct soft_block *block;
};

#define SOFT_ITLB_ENTRIES 256

/* Translations for instruction fetch. Good while epoch is that of the address. */
struct soft_itlb_entry {
    uint64_t page; /* linear */
    uint32_t epoch;
    uint8_t user;
    uint64_t phys;
    const uint8_t *host; /* NULL: not RAM */
};

struct soft_cpu;
struct soft_translation;

/* NULL: no memory. */
struct soft_tlbs *soft_tlb_create(void);

/* Remembers a translation of data in RAM, whose page starts at `page`. */
void soft_tlb_fill(struct soft_cpu *cpu, enum soft_tlb_set set, uint64_t linear,
                   const struct soft_translation *t, const uint8_t *page);

/* Forgets translations: all, those that are not global, or those of the page that `linear` is in.
 */
void soft_tlb_flush(struct soft_cpu *cpu);
void soft_tlb_flush_local(struct soft_cpu *cpu);
void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t linear);
/* Forgets those for instruction fetch alone. */
void soft_fetch_flush(struct soft_cpu *cpu);

#endif
