/* Guest memory behind the soft TLB: filling it, accesses that cross a page, MMIO, and what a store
 * must tell others (the dirty log, blocks made of the bytes it overwrote).
 *
 * Theory of operation. An entry is filled by a page walk; its read tag means "readable by this
 * set", its write tag "writable, and dirty already". Everything that needs a look at each access
 * has no tag: MMIO, pages with a watchpoint. So whatever misses comes here, is checked again, and
 * is done piece by piece. Nothing is written before all pages of an access were checked. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "engine/soft/soft_block.h"
#include "engine/soft/soft_internal.h"

#define CR4_SMAP (UINT64_C(1) << 21)

/* Where an access lands: RAM at `host`, or the bus at `phys`. */
struct place {
    uint8_t *host;
    uint64_t phys;
};

static bool paging(const struct soft_cpu *cpu)
{
    return cpu->cr0 >> 31 & 1;
}

static _Noreturn void raise_non_canonical(struct soft_cpu *cpu)
{
    bool stack = cpu->op && (cpu->op->seg == SOFT_SEG_FLAT_STACK || cpu->op->seg == X86_SS);
    soft_raise_error(cpu, stack ? SOFT_SS : SOFT_GP, 0);
}

/* Whether a watchpoint of the guest or of a debugger lies on this page. */
static bool watched(const struct soft_cpu *cpu, uint64_t linear)
{
    for (unsigned i = 0; cpu->watching && i < 4; i++)
        if (cpu->watching >> i & 1 && cpu->watch_at[i] >> 12 == linear >> 12)
            return true;
    return false;
}

static void note_watch(struct soft_cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    for (unsigned i = 0; i < 4; i++) {
        bool on = cpu->watching >> i & 1 && (write || cpu->watch_reads >> i & 1);
        if (on && linear < cpu->watch_at[i] + cpu->watch_bytes[i] &&
            cpu->watch_at[i] < linear + size)
            cpu->watch_hit |= 1u << i;
    }
    if (cpu->watch_hit) {
        soft_break_block(cpu);
        cpu->countdown = -1; /* nor does another block follow */
    }
}

/* Translates one access within a page and fills the TLB where it may. */
static struct place resolve(struct soft_cpu *cpu, uint64_t linear, enum soft_access access,
                            enum soft_tlb_set set)
{
    struct soft_translation t = {.page_bytes = 4096, .writable = true};
    if (!(cpu->mode & SOFT_MODE_LONG))
        linear = (uint32_t)linear;
    else if (unlikely(!soft_canonical(linear)))
        raise_non_canonical(cpu);
    if (!paging(cpu)) {
        t.phys = linear;
    } else {
        uint32_t fault = soft_mmu_walk(cpu, linear, access, set, &t);
        if (unlikely(fault & SOFT_MMU_FAULT))
            soft_raise_page_fault(cpu, linear, fault & ~SOFT_MMU_FAULT);
    }
    uint8_t *page = guest_mem_ptr(cpu->vm->config.mem, t.phys & ~UINT64_C(4095), 4096);
    if (page && set != SOFT_TLB_CHECKED && !watched(cpu, linear))
        soft_tlb_fill(cpu, set, linear, &t, page);
    return (struct place){page ? page + (t.phys & 4095) : NULL, t.phys};
}

static void lapic_mmio(struct soft_cpu *cpu, unsigned offset, void *buf, unsigned size, bool write)
{
    uint32_t value;
    unsigned at = offset & 3;
    if (write) {
        if (at || size < 4)
            return; /* registers take whole words */
        memcpy(&value, buf, 4);
        lapic_mmio_write(cpu->lapic, offset, value, soft_tsc(cpu));
        cpu->countdown = -1; /* the timer may have changed */
        return;
    }
    memset(buf, 0, size);
    value = lapic_mmio_read(cpu->lapic, offset & ~3u, soft_tsc(cpu)) >> (8 * at);
    memcpy(buf, &value, MIN(size, 4 - at));
}

static enum soft_tlb_set current_set(const struct soft_cpu *cpu)
{
    return (enum soft_tlb_set)((size_t)(cpu->tlb - cpu->tlbs->entries[0]) / SOFT_TLB_ENTRIES);
}

/* ---- what is not RAM ---- */

static bool is_lapic(const struct soft_cpu *cpu, uint64_t phys)
{
    return (phys & ~UINT64_C(4095)) == (cpu->apic_base & ~UINT64_C(4095)) && cpu->lapic &&
           lapic_mmio_enabled(cpu->lapic);
}

static void mmio(struct soft_cpu *cpu, uint64_t phys, void *buf, unsigned size, bool write)
{
    if (unlikely(is_lapic(cpu, phys))) {
        lapic_mmio(cpu, (unsigned)(phys & 4095), buf, size, write);
        return;
    }
    for (unsigned at = 0; at < size; at += 8)
        engine_mmio(cpu->vm->config.bus, phys + at, (uint8_t *)buf + at, MIN(size - at, 8u), write);
}

/* ---- accesses of any kind ---- */

/* One access of up to 64 bytes, cut at the page boundary. */
struct pieces {
    struct place place[2];
    unsigned size[2];
};

static void resolve_all(struct soft_cpu *cpu, uint64_t linear, unsigned size,
                        enum soft_access access, enum soft_tlb_set set, struct pieces *p)
{
    unsigned first = 4096 - (unsigned)(linear & 4095);
    p->size[0] = MIN(size, first);
    p->size[1] = size - p->size[0];
    p->place[0] = resolve(cpu, linear, access, set);
    if (p->size[1])
        p->place[1] = resolve(cpu, linear + first, access, set);
}

static void read_pieces(struct soft_cpu *cpu, struct pieces *p, void *buf)
{
    for (unsigned i = 0; i < 2 && p->size[i]; i++) {
        void *to = (uint8_t *)buf + (i ? p->size[0] : 0);
        if (p->place[i].host)
            memcpy(to, p->place[i].host, p->size[i]);
        else
            mmio(cpu, p->place[i].phys, to, p->size[i], false);
    }
}

static void write_pieces(struct soft_cpu *cpu, struct pieces *p, const void *buf)
{
    for (unsigned i = 0; i < 2 && p->size[i]; i++) {
        const void *from = (const uint8_t *)buf + (i ? p->size[0] : 0);
        uint8_t *host = p->place[i].host;
        if (!host) {
            mmio(cpu, p->place[i].phys, (void *)(uintptr_t)from, p->size[i], true);
            continue;
        }
        memcpy(host, from, p->size[i]);
        if (cpu->page_flags[((uintptr_t)host >> 12) & cpu->page_mask])
            soft_written(cpu, host, p->size[i]);
    }
}

static void load(struct soft_cpu *cpu, uint64_t linear, void *buf, unsigned size,
                 enum soft_tlb_set set)
{
    struct pieces p;
    resolve_all(cpu, linear, size, SOFT_READ, set, &p);
    if (unlikely(cpu->watching))
        note_watch(cpu, linear, size, false);
    read_pieces(cpu, &p, buf);
}

static void store(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size,
                  enum soft_tlb_set set)
{
    struct pieces p;
    resolve_all(cpu, linear, size, SOFT_WRITE, set, &p);
    if (unlikely(cpu->watching))
        note_watch(cpu, linear, size, true);
    write_pieces(cpu, &p, buf);
}

uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    uint64_t value = 0;
    soft_check_alignment(cpu, linear, size);
    load(cpu, linear, &value, size, current_set(cpu));
    return value;
}

void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size)
{
    soft_check_alignment(cpu, linear, size);
    store(cpu, linear, &value, size, current_set(cpu));
}

void soft_load_bytes(struct soft_cpu *cpu, uint64_t linear, void *buf, unsigned size)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    if (likely((linear ^ e->read) <= 4096 - size))
        memcpy(buf, (const void *)(linear + e->addend), size);
    else
        load(cpu, linear, buf, size, current_set(cpu));
}

void soft_store_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    if (likely((linear ^ e->write) <= 4096 - size)) {
        void *p = (void *)(linear + e->addend);
        memcpy(p, buf, size);
        if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))
            soft_written(cpu, p, size);
    } else {
        store(cpu, linear, buf, size, current_set(cpu));
    }
}

void soft_check_store(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    struct pieces p;
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    if (unlikely((linear ^ e->write) > 4096 - size))
        resolve_all(cpu, linear, size, SOFT_WRITE, current_set(cpu), &p);
}

void *soft_rmw_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    struct pieces p;
    soft_check_alignment(cpu, linear, size);
    resolve_all(cpu, linear, size, SOFT_WRITE, current_set(cpu), &p);
    if (unlikely(cpu->watching))
        note_watch(cpu, linear, size, true);
    if (!p.size[1] && p.place[0].host)
        return p.place[0].host;
    read_pieces(cpu, &p, cpu->bounce);
    return cpu->bounce;
}

void soft_rmw_end_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    store(cpu, linear, cpu->bounce, size, current_set(cpu));
}

unsigned soft_span(struct soft_cpu *cpu, uint64_t linear, enum soft_access access, uint8_t **host)
{
    struct place p = resolve(cpu, linear, access, current_set(cpu));
    *host = NULL;
    if (!p.host || watched(cpu, linear))
        return 0;
    *host = p.host;
    return 4096 - (unsigned)(linear & 4095);
}

/* SMAP holds for accesses to the system's own tables whatever EFLAGS.AC says. */
static enum soft_tlb_set system_set(const struct soft_cpu *cpu)
{
    return cpu->cr4 & CR4_SMAP ? SOFT_TLB_SUPERVISOR_SMAP : SOFT_TLB_SUPERVISOR;
}

uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    uint64_t value = 0;
    load(cpu, linear, &value, size, system_set(cpu));
    return value;
}

void soft_store_system(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size)
{
    store(cpu, linear, &value, size, system_set(cpu));
}

void soft_store_system_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size)
{
    store(cpu, linear, buf, size, system_set(cpu));
}

/* ---- after a write ---- */

static uint64_t line_bits(uintptr_t at, unsigned size)
{
    unsigned first = (unsigned)(at & 4095) / 64;
    unsigned last = MIN((unsigned)((at & 4095) + size - 1) / 64, 63u);
    return (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

/* Notes a page in the dirty log. */
static void log_page(struct soft_vm *vm, const uint8_t *host)
{
    const struct guest_mem *mem = vm->config.mem;
    for (unsigned i = 0; i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        uint64_t *bitmap = __atomic_load_n(&vm->dirty[i], __ATOMIC_ACQUIRE);
        if (!bitmap || host < r->hva || host >= r->hva + r->size_bytes)
            continue;
        uint64_t page = (uint64_t)(host - r->hva) / GUEST_MEM_PAGE_BYTES;
        __atomic_fetch_or(&bitmap[page / 64], UINT64_C(1) << (page % 64), __ATOMIC_SEQ_CST);
    }
}

/* Drops what blocks were made of these bytes. Order matters: marks go before the generation, see
 * soft_block.c. True if there were any. */
static bool drop_code(struct soft_vm *vm, uint64_t slot, uintptr_t at, unsigned size)
{
    if (!(atomic_load_explicit(&vm->code_lines[slot], memory_order_relaxed) & line_bits(at, size)))
        return false;
    atomic_store(&vm->code_lines[slot], 0);
    atomic_fetch_and(&vm->page_flags[slot], (uint8_t)~SOFT_PAGE_CODE);
    atomic_fetch_or(&vm->page_flags[slot], SOFT_PAGE_MIXED);
    __atomic_fetch_add(&vm->gens[slot], 1, __ATOMIC_SEQ_CST);
    return true;
}

bool soft_vm_written(struct soft_vm *vm, const void *host, unsigned size)
{
    uint64_t slot = ((uintptr_t)host >> 12) & vm->page_mask;
    uint8_t flags = atomic_load_explicit(&vm->page_flags[slot], memory_order_relaxed);
    if (flags & SOFT_PAGE_CLEAN) {
        /* The flag before the bit: a take in between then finds neither, and reports the page next
         * time. The other way round it would take the bit and leave a page whose writes nobody
         * notes. */
        if (!vm->log_shared_slots)
            atomic_fetch_and(&vm->page_flags[slot], (uint8_t)~SOFT_PAGE_CLEAN);
        log_page(vm, host);
    }
    return flags & SOFT_PAGE_CODE && drop_code(vm, slot, (uintptr_t)host, size);
}

void soft_written(struct soft_cpu *cpu, const void *host, unsigned size)
{
    if (soft_vm_written(cpu->vm, host, size) && cpu->block &&
        cpu->block->gen != __atomic_load_n(cpu->block->gen_now, __ATOMIC_RELAXED))
        soft_break_block(cpu);
}

void soft_vm_dma_written(void *opaque, const uint8_t *host, uint64_t size)
{
    struct soft_vm *vm = opaque;
    while (size) {
        unsigned n = (unsigned)MIN(size, 4096 - ((uintptr_t)host & 4095));
        if (atomic_load_explicit(&vm->page_flags[((uintptr_t)host >> 12) & vm->page_mask],
                                 memory_order_relaxed) &
            SOFT_PAGE_CODE)
            soft_vm_written(vm, host, n);
        host += n;
        size -= n;
    }
}
