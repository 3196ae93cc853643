/* The interpreter as two executors: by soft_step(), which takes every instruction alone, and by
 * soft_run(), which runs blocks. Both on one vCPU in 64-bit user mode whose page tables map the
 * pages of a case at their addresses. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "conform.h"
#include "engine/soft/soft_engine.h"
#include "engine/soft/soft_internal.h"

#define RAM_BYTES (UINT64_C(2) << 20)

/* Guest-physical layout: page tables, then pages. */
#define PML4_AT   UINT64_C(0x1000)
#define PDPT_AT   UINT64_C(0x2000)
#define PD_AT     UINT64_C(0x3000)
#define TABLES_AT UINT64_C(0x4000) /* one for the code's 2 MiB, one for the data's */
#define FILL_AT   UINT64_C(0x10000)
#define RO_AT     UINT64_C(0x11000)
#define PAGES_AT  UINT64_C(0x12000)

#define PTE_PRESENT  1
#define PTE_WRITE    2
#define PTE_USER     4
#define PTE_ACCESSED 0x20
#define PTE_DIRTY    0x40
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

#define CR0  UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR4  UINT64_C(0x506a0)    /* OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PGE PAE */
#define EFER UINT64_C(0xd01)      /* NXE LMA LME SCE */

/* More instructions than any case needs. */
#define STEPS_MAX 100000

struct soft {
    struct conform_executor step, run;
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    struct engine_vcpu *vcpu;
    struct soft_cpu *cpu;
    uint64_t features;
};

/* ---- the guest ---- */

static void set_entry(struct soft *s, uint64_t table, unsigned index, uint64_t value)
{
    *(uint64_t *)guest_mem_ptr(&s->mem, table + 8 * index, 8) = value;
}

static void map(struct soft *s, uint64_t linear, uint64_t phys, bool writable)
{
    uint64_t table = TABLES_AT + (linear >= CONFORM_DATA ? 4096 : 0);
    set_entry(s, PD_AT, linear >> 21 & 511, table | PTE_TABLE);
    set_entry(s, table, linear >> 12 & 511,
              phys | PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY |
                  (writable ? PTE_WRITE : 0));
}

static void make_tables(struct soft *s)
{
    set_entry(s, PML4_AT, 0, PDPT_AT | PTE_TABLE);
    set_entry(s, PDPT_AT, 0, PD_AT | PTE_TABLE);
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        map(s, conform_page_at(i), PAGES_AT + 4096 * i, true);
    memset(guest_mem_ptr(&s->mem, FILL_AT, 4096), CONFORM_FILL, 4096);
    map(s, CONFORM_CODE - 4096, FILL_AT, false);
    map(s, CONFORM_CODE + 4096, FILL_AT, false);
    conform_fill_read_only(guest_mem_ptr(&s->mem, RO_AT, 4096));
    map(s, CONFORM_DATA + 8192, RO_AT, false);
}

#define TYPE_CODE 11
#define TYPE_DATA 3

static void set_segment(struct soft_cpu *cpu, unsigned seg, uint16_t sel, unsigned type, bool wide)
{
    cpu->seg[seg] = (struct soft_seg){.limit = UINT32_MAX,
                                      .sel = sel,
                                      .type = (uint8_t)type,
                                      .s = 1,
                                      .dpl = 3,
                                      .present = 1,
                                      .l = wide,
                                      .db = !wide,
                                      .g = 1,
                                      .unusable = sel == 0};
}

static void set_code_size(struct soft_cpu *cpu, enum x86_code_mode mode)
{
    bool wide = mode == X86_CODE64;
    set_segment(cpu, X86_CS, wide ? CONFORM_CS64 : CONFORM_CS32, TYPE_CODE, wide);
    soft_update_mode(cpu);
}

static void set_system_state(struct soft *s)
{
    struct soft_cpu *cpu = s->cpu;
    cpu->cr0 = CR0;
    cpu->cr4 = CR4;
    cpu->cr3 = PML4_AT;
    cpu->efer = EFER;
    cpu->xcr0 = 7;
    cpu->cpl = 3;
    cpu->tr = (struct soft_seg){.type = 11, .present = 1}; /* no ports for user code */
    cpu->idt_limit = 0; /* any fault under soft_run() ends in a shutdown */
    set_segment(cpu, X86_SS, CONFORM_SS, TYPE_DATA, false);
    set_segment(cpu, X86_DS, CONFORM_SS, TYPE_DATA, false);
    set_segment(cpu, X86_ES, CONFORM_SS, TYPE_DATA, false);
    set_segment(cpu, X86_FS, 0, TYPE_DATA, false);
    set_segment(cpu, X86_GS, 0, TYPE_DATA, false);
    cpu->seg[X86_GS].base = CONFORM_GS_BASE;
    cpu->features = s->features;
    set_code_size(cpu, X86_CODE64);
    soft_tlb_flush(cpu);
}

/* ---- one case ---- */

static uint8_t *page_of(struct soft *s, unsigned page)
{
    return guest_mem_ptr(&s->mem, PAGES_AT + 4096 * page, 4096);
}

static void load(struct soft *s, const struct conform_case *c)
{
    struct soft_cpu *cpu = s->cpu;
    struct kvm_xsave xsave = {0};
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        memcpy(page_of(s, i), c->mem[i], 4096);
    guest_mem_mark_dirty(&s->mem, PAGES_AT + 4096 * CONFORM_PAGE_CODE, 4096);
    soft_vm_dma_written(cpu->vm, page_of(s, CONFORM_PAGE_CODE), 4096);
    if ((cpu->mode & SOFT_MODE_CODE_MASK) != (uint32_t)c->mode)
        set_code_size(cpu, c->mode);
    memcpy(cpu->r, c->in.r, sizeof(c->in.r));
    cpu->rip = c->in.rip;
    soft_rflags_set(cpu, c->in.rflags);
    memcpy(xsave.region, c->in.xsave, CONFORM_XSAVE_BYTES);
    soft_fpu_from_xsave(cpu, &xsave);
    cpu->op = NULL;
    cpu->pending.there = false;
    cpu->shadow = false;
}

static void store(struct soft *s, const struct conform_case *c, struct conform_result *r)
{
    struct soft_cpu *cpu = s->cpu;
    struct kvm_xsave xsave = {0};
    memcpy(r->out.r, cpu->r, sizeof(r->out.r));
    r->out.rip = cpu->rip;
    r->out.rflags = soft_rflags_get(cpu);
    soft_fpu_to_xsave(cpu, &xsave);
    memcpy(r->out.xsave, xsave.region, CONFORM_XSAVE_BYTES);
    r->changed = 0;
    for (unsigned i = 0; i < CONFORM_PAGES; i++) {
        if (memcmp(page_of(s, i), c->mem[i], 4096) == 0)
            continue;
        r->changed |= 1u << i;
        memcpy(r->mem[i], page_of(s, i), 4096);
    }
}

static bool arrived(struct soft *s, uint64_t rip)
{
    return rip - CONFORM_CODE >= 4096 ||
           page_of(s, CONFORM_PAGE_CODE)[rip - CONFORM_CODE] == CONFORM_FILL;
}

static void step_case(struct soft *s, struct conform_result *r)
{
    struct soft_pending fault;
    for (unsigned n = 0; n < STEPS_MAX; n++) {
        if (!soft_step(s->cpu, &fault)) {
            r->ran = true;
            r->vector = fault.vector;
            r->error = fault.error;
            r->cr2 = fault.address;
            return;
        }
        if (arrived(s, s->cpu->rip)) {
            r->ran = true;
            return;
        }
    }
}

static void run_case(struct soft *s, struct conform_result *r)
{
    struct engine_exit_info info = {0};
    s->cpu->debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    soft_run(s->cpu, &info);
    s->cpu->debug.control = 0;
    r->ran = info.reason == ENGINE_EXIT_DEBUG || info.reason == ENGINE_EXIT_SHUTDOWN;
    if (info.reason == ENGINE_EXIT_SHUTDOWN) {
        r->vector = CONFORM_SOME_FAULT;
        r->cr2 = s->cpu->cr2;
    }
}

static void run_all(struct soft *s, const struct conform_case *cases,
                    struct conform_result *results, unsigned n, bool by_steps)
{
    for (unsigned i = 0; i < n; i++) {
        struct conform_result *r = &results[i];
        r->ran = false;
        r->vector = CONFORM_NO_FAULT;
        load(s, &cases[i]);
        if (by_steps)
            step_case(s, r);
        else
            run_case(s, r);
        store(s, &cases[i], r);
    }
}

static void soft_run_steps(void *self, const struct conform_case *cases,
                           struct conform_result *results, unsigned n)
{
    run_all(self, cases, results, n, true);
}

static void soft_run_blocks(void *self, const struct conform_case *cases,
                            struct conform_result *results, unsigned n)
{
    run_all(self, cases, results, n, false);
}

/* ---- making the vCPU ---- */

static bool create(struct soft *s)
{
    struct err err;
    struct engine_probe_input in = {.kvm_fd = -1};
    struct kvm_cpuid_entry2 entries[ENGINE_CPUID_MAX];
    bus_init(&s->bus);
    struct engine_vm_config config = {.n_vcpus = 1, .mem = &s->mem, .bus = &s->bus};
    if (guest_mem_init(&s->mem, RAM_BYTES, GUEST_MEM_PREALLOC, &err) < 0 ||
        engine_vm_create(&soft_engine, &in, &config, &s->vm, &err) < 0 ||
        engine_vcpu_create(s->vm, 0, &s->vcpu, &err) < 0)
        return false;
    int n = engine_supported_cpuid(&soft_engine, &in, entries, &err);
    if (n < 0 || engine_vcpu_set_cpuid(s->vcpu, entries, (unsigned)n, &err) < 0)
        return false;
    s->cpu = &container_of(s->vcpu, struct soft_vcpu, base)->cpu;
    s->features = conform_host_features();
    make_tables(s);
    set_system_state(s);
    return true;
}

static struct soft *the_one(void)
{
    static struct soft *made;
    if (made)
        return made;
    struct soft *s = calloc(1, sizeof(*s));
    if (!s || !create(s))
        return NULL;
    s->step = (struct conform_executor){"soft", soft_run_steps, s};
    s->run = (struct conform_executor){"soft blocks", soft_run_blocks, s};
    made = s;
    return s;
}

const struct conform_executor *conform_soft_step(void)
{
    struct soft *s = the_one();
    return s ? &s->step : NULL;
}

const struct conform_executor *conform_soft_run(void)
{
    struct soft *s = the_one();
    return s ? &s->run : NULL;
}
