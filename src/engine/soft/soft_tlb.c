#include "engine/soft/soft_tlb.h"

#include <stdlib.h>
#include <string.h>

#include "engine/soft/soft_internal.h"

static void clear(struct soft_tlbs *t, unsigned at)
{
    unsigned index = at % SOFT_TLB_ENTRIES;
    struct soft_tlb_entry *e = &t->entries[at / SOFT_TLB_ENTRIES][index];
    /* A page of another index: no address that is looked up here can match it. */
    e->read = e->write = (uint64_t)(index ^ 1) << 12;
}

static void clear_all(struct soft_tlbs *t)
{
    for (unsigned at = 0; at < SOFT_TLB_SETS * SOFT_TLB_ENTRIES; at++)
        clear(t, at);
    t->local.n = t->global.n = 0;
    t->large[0] = t->large[1] = false;
}

static void clear_logged(struct soft_tlbs *t, struct soft_tlb_log *log)
{
    for (unsigned i = 0; i < log->n; i++)
        clear(t, log->at[i]);
    log->n = 0;
}

struct soft_tlbs *soft_tlb_create(void)
{
    struct soft_tlbs *t = aligned_alloc(64, align_up(sizeof(*t), 64));
    if (!t)
        return NULL;
    memset(t, 0, sizeof(*t));
    clear_all(t);
    return t;
}

void soft_fetch_flush(struct soft_cpu *cpu)
{
    cpu->epochs[0]++;
    cpu->epochs[1]++;
    cpu->fetched_local_high = false;
}

void soft_tlb_flush(struct soft_cpu *cpu)
{
    struct soft_tlbs *t = cpu->tlbs;
    if (t->local.n == SOFT_TLB_LOG || t->global.n == SOFT_TLB_LOG) {
        clear_all(t);
    } else {
        clear_logged(t, &t->local);
        clear_logged(t, &t->global);
        t->large[0] = t->large[1] = false;
    }
    soft_fetch_flush(cpu);
}

void soft_tlb_flush_local(struct soft_cpu *cpu)
{
    struct soft_tlbs *t = cpu->tlbs;
    if (t->local.n == SOFT_TLB_LOG)
        clear_all(t);
    else
        clear_logged(t, &t->local);
    cpu->epochs[0]++;
    if (cpu->fetched_local_high) /* kernels map their code as global */
        cpu->epochs[1]++;
    cpu->fetched_local_high = false;
}

static void clear_if_in_page(struct soft_tlbs *t, unsigned at, uint64_t linear)
{
    const struct soft_tlb_entry *e = &t->entries[at / SOFT_TLB_ENTRIES][at % SOFT_TLB_ENTRIES];
    if (!((e->read ^ linear) & ~(e->page_bytes - 1)))
        clear(t, at);
}

/* Of a large page all pieces go, wherever they are. */
static void flush_large(struct soft_tlbs *t, uint64_t linear)
{
    if (t->local.n == SOFT_TLB_LOG || t->global.n == SOFT_TLB_LOG) {
        for (unsigned at = 0; at < SOFT_TLB_SETS * SOFT_TLB_ENTRIES; at++)
            clear_if_in_page(t, at, linear);
        return;
    }
    for (unsigned i = 0; i < t->local.n; i++)
        clear_if_in_page(t, t->local.at[i], linear);
    for (unsigned i = 0; i < t->global.n; i++)
        clear_if_in_page(t, t->global.at[i], linear);
}

void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t linear)
{
    for (unsigned set = 0; set < SOFT_TLB_SETS; set++)
        clear(cpu->tlbs, set * SOFT_TLB_ENTRIES + soft_tlb_index(linear));
    if (cpu->tlbs->large[linear >> 63])
        flush_large(cpu->tlbs, linear);
    cpu->epochs[linear >> 63]++;
}

static void note(struct soft_tlb_log *log, unsigned at)
{
    if (log->n < SOFT_TLB_LOG)
        log->at[log->n++] = (uint16_t)at;
}

void soft_tlb_fill(struct soft_cpu *cpu, enum soft_tlb_set set, uint64_t linear,
                   const struct soft_translation *t, const uint8_t *page)
{
    unsigned index = soft_tlb_index(linear), at = set * SOFT_TLB_ENTRIES + index;
    struct soft_tlb_entry *e = &cpu->tlbs->entries[set][index];
    uint64_t tag = linear & ~UINT64_C(4095);
    if (e->read != tag)
        clear(cpu->tlbs, at);
    e->read = tag;
    if (t->writable)
        e->write = tag;
    e->addend = (uintptr_t)page - tag;
    e->page_bytes = t->page_bytes;
    if (t->page_bytes > 4096)
        cpu->tlbs->large[tag >> 63] = true;
    note(t->global ? &cpu->tlbs->global : &cpu->tlbs->local, at);
}
