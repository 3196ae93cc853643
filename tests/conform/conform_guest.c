/* The tables of the guest. Descriptors, and the rights of gates, are those of Linux. */
#include "conform_guest.h"

#include <string.h>

#include "base/util.h"
#include "engine/soft/soft_engine.h"
#include "engine/soft/soft_segment.h"

#define RAM_BYTES (UINT64_C(2) << 20)

/* Guest-physical layout: page tables, what the system owns, then pages. */
#define PML4_AT        UINT64_C(0x1000)
#define PDPT_AT        UINT64_C(0x2000)
#define PD_AT          UINT64_C(0x3000)
#define TABLES_AT      UINT64_C(0x4000) /* one for the code's 2 MiB, one for the data's */
#define SYSTEM_PDPT_AT UINT64_C(0x6000)
#define SYSTEM_PD_AT   UINT64_C(0x7000)
#define SYSTEM_PT_AT   UINT64_C(0x8000)
#define FILL_AT        UINT64_C(0x10000)
#define RO_AT          UINT64_C(0x11000)
#define PAGES_AT       UINT64_C(0x12000)
#define SYSTEM_AT      UINT64_C(0x20000)

/* The system's pages, one behind the other from SYSTEM_AT, and their linear addresses. */
enum { GDT, LDT, IDT, TSS, HANDLERS, KERNEL_STACK, SYSTEM_PAGES };
#define SYSTEM_LINEAR   UINT64_C(0xffffffff80000000)
#define LINEAR_OF(page) (SYSTEM_LINEAR + 4096 * (page))

#define PTE_PRESENT  1
#define PTE_WRITE    2
#define PTE_USER     4
#define PTE_ACCESSED 0x20
#define PTE_DIRTY    0x40
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

#define CR0  UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR4  UINT64_C(0x506a0)    /* OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PGE PAE */
#define EFER UINT64_C(0xd01)      /* NXE LMA LME SCE */

#define KERNEL_CS     0x10
#define TSS_SEL       0x40
#define LDT_SEL       0x50
#define TSS_LIMIT     0x67
#define RSP0_AT       4   /* in the TSS */
#define PORTS_AT      102 /* in the TSS: where the map of ports begins */
#define GDT_BYTES     128
#define LDT_LIMIT     (8 * CONFORM_LDT_ENTRIES - 1)
#define IDT_BYTES     (32 * 16) /* of the others INT n raises #GP as it does with a gate of DPL 0 */
#define GATE          UINT64_C(0x8e00)
#define GATE_OF_USERS UINT64_C(0xee00)

static const uint64_t gdt[GDT_BYTES / 8] = {
    [1] = 0x00cf9b000000ffff, /* the kernel's: code, code of 64 bits, data */
    [2] = 0x00af9b000000ffff,  [3] = 0x00cf93000000ffff,
    [4] = 0x00cffb000000ffff, /* the user's */
    [5] = 0x00cff3000000ffff,  [6] = 0x00affb000000ffff,
    [15] = 0x0040f50000000001, /* the number of the CPU, as a limit */
};

static void set64(struct conform_guest *g, uint64_t table, unsigned index, uint64_t value)
{
    *(uint64_t *)guest_mem_ptr(&g->mem, table + 8 * index, 8) = value;
}

/* ---- page tables ---- */

static void map(struct conform_guest *g, uint64_t linear, uint64_t phys, bool writable)
{
    uint64_t table = TABLES_AT + (linear >= CONFORM_DATA ? 4096 : 0);
    set64(g, PD_AT, linear >> 21 & 511, table | PTE_TABLE);
    set64(g, table, linear >> 12 & 511,
          phys | PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY | (writable ? PTE_WRITE : 0));
}

static void map_system(struct conform_guest *g)
{
    set64(g, PML4_AT, 511, SYSTEM_PDPT_AT | PTE_TABLE);
    set64(g, SYSTEM_PDPT_AT, SYSTEM_LINEAR >> 30 & 511, SYSTEM_PD_AT | PTE_TABLE);
    set64(g, SYSTEM_PD_AT, 0, SYSTEM_PT_AT | PTE_TABLE);
    for (unsigned i = 0; i < SYSTEM_PAGES; i++)
        set64(g, SYSTEM_PT_AT, i,
              (SYSTEM_AT + 4096 * i) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
}

static void make_page_tables(struct conform_guest *g)
{
    set64(g, PML4_AT, 0, PDPT_AT | PTE_TABLE);
    set64(g, PDPT_AT, 0, PD_AT | PTE_TABLE);
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        map(g, conform_page_at(i), PAGES_AT + 4096 * i, true);
    memset(guest_mem_ptr(&g->mem, FILL_AT, 4096), CONFORM_FILL, 4096);
    map(g, CONFORM_CODE - 4096, FILL_AT, false);
    map(g, CONFORM_CODE + 4096, FILL_AT, false);
    conform_fill_read_only(guest_mem_ptr(&g->mem, RO_AT, 4096));
    map(g, CONFORM_DATA + 8192, RO_AT, false);
    map_system(g);
}

/* ---- descriptors and gates ---- */

static void set_system_descriptor(struct conform_guest *g, unsigned sel, uint64_t type,
                                  uint64_t base, uint64_t limit)
{
    set64(g, SYSTEM_AT + 4096 * GDT, sel / 8,
          limit | (base & 0xffffff) << 16 | (type | 0x80) << 40 | (base >> 24 & 0xff) << 56);
    set64(g, SYSTEM_AT + 4096 * GDT, sel / 8 + 1, base >> 32);
}

static void make_tables(struct conform_guest *g)
{
    uint64_t stack = LINEAR_OF(KERNEL_STACK) + 4096;
    for (unsigned i = 0; i < ARRAY_LEN(gdt); i++)
        set64(g, SYSTEM_AT + 4096 * GDT, i, gdt[i]);
    set_system_descriptor(g, TSS_SEL, SOFT_TYPE_TSS_BUSY, LINEAR_OF(TSS), TSS_LIMIT);
    if (conform_has_ldt())
        set_system_descriptor(g, LDT_SEL, SOFT_TYPE_LDT, LINEAR_OF(LDT), LDT_LIMIT);
    for (unsigned i = 0; i < CONFORM_LDT_ENTRIES; i++)
        set64(g, SYSTEM_AT + 4096 * LDT, i, conform_ldt_descriptor(&conform_ldt[i]));
    memcpy(guest_mem_ptr(&g->mem, SYSTEM_AT + 4096 * TSS + RSP0_AT, 8), &stack, 8);
    memset(guest_mem_ptr(&g->mem, SYSTEM_AT + 4096 * TSS + PORTS_AT, 2), 0xff, 2); /* none */
    for (unsigned v = 0; v < IDT_BYTES / 16; v++) {
        uint64_t at = LINEAR_OF(HANDLERS) + v;
        uint64_t rights = v == SOFT_BP || v == SOFT_OF ? GATE_OF_USERS : GATE;
        set64(g, SYSTEM_AT + 4096 * IDT, 2 * v,
              (at & 0xffff) | KERNEL_CS << 16 | rights << 32 | (at >> 16 & 0xffff) << 48);
        set64(g, SYSTEM_AT + 4096 * IDT, 2 * v + 1, at >> 32);
    }
    memset(guest_mem_ptr(&g->mem, SYSTEM_AT + 4096 * HANDLERS, 4096), CONFORM_FILL, 4096);
}

static void set_segment(struct soft_cpu *cpu, unsigned seg, uint16_t sel)
{
    soft_segment_unpack(&cpu->seg[seg], sel, gdt[sel >> 3]);
    cpu->seg[seg].unusable = sel == 0;
}

void conform_guest_enter(struct conform_guest *g, enum x86_code_mode mode)
{
    struct soft_cpu *cpu = g->cpu;
    cpu->cpl = 3;
    set_segment(cpu, X86_CS, mode == X86_CODE64 ? CONFORM_CS64 : CONFORM_CS32);
    set_segment(cpu, X86_SS, CONFORM_SS);
    set_segment(cpu, X86_DS, CONFORM_SS);
    set_segment(cpu, X86_ES, CONFORM_SS);
    set_segment(cpu, X86_FS, 0);
    set_segment(cpu, X86_GS, 0);
    cpu->seg[X86_FS].base = CONFORM_FS_BASE;
    cpu->seg[X86_GS].base = CONFORM_GS_BASE;
    soft_update_mode(cpu);
}

static void set_system_state(struct conform_guest *g)
{
    struct soft_cpu *cpu = g->cpu;
    cpu->cr0 = CR0;
    cpu->cr4 = CR4;
    cpu->cr3 = PML4_AT;
    cpu->efer = EFER;
    cpu->xcr0 = 7;
    cpu->tr = (struct soft_seg){
        .sel = TSS_SEL, .base = LINEAR_OF(TSS), .limit = TSS_LIMIT, .type = 11, .present = 1};
    cpu->gdt_base = LINEAR_OF(GDT);
    cpu->gdt_limit = GDT_BYTES - 1;
    cpu->idt_base = LINEAR_OF(IDT);
    cpu->idt_limit = IDT_BYTES - 1;
    cpu->ldtr = (struct soft_seg){.unusable = !conform_has_ldt(),
                                  .sel = LDT_SEL,
                                  .base = LINEAR_OF(LDT),
                                  .limit = LDT_LIMIT,
                                  .type = SOFT_TYPE_LDT,
                                  .present = 1};
    cpu->msr.tsc_aux = 5;
    cpu->features = conform_host_features();
    conform_guest_enter(g, X86_CODE64);
    soft_tlb_flush(cpu);
}

/* ---- the whole ---- */

uint8_t *conform_guest_page(struct conform_guest *g, unsigned page)
{
    return guest_mem_ptr(&g->mem, PAGES_AT + 4096 * page, 4096);
}

bool conform_guest_caught(struct conform_guest *g, struct conform_result *r)
{
    struct soft_cpu *cpu = g->cpu;
    if (cpu->cpl)
        return false;
    uint64_t sp = SYSTEM_AT + (cpu->r[SOFT_RSP] - SYSTEM_LINEAR);
    r->vector = (int)(cpu->rip - LINEAR_OF(HANDLERS));
    bool has_error = cpu->r[SOFT_RSP] % 16 == 0; /* six words below the top of the stack, or five */
    const uint64_t *frame = (const uint64_t *)guest_mem_ptr(&g->mem, sp, 48) + has_error;
    r->error = has_error ? (uint32_t)frame[-1] : 0;
    r->cr2 = cpu->cr2;
    cpu->rip = frame[0];
    cpu->seg[X86_CS].sel = (uint16_t)frame[1];
    cpu->seg[X86_SS].sel = (uint16_t)frame[4];
    soft_rflags_set(cpu, frame[2] & ~(uint64_t)SOFT_RFLAGS_RF);
    cpu->r[SOFT_RSP] = frame[3];
    return true;
}

bool conform_guest_create(struct conform_guest *g)
{
    struct err err;
    struct engine_probe_input in = {.kvm_fd = -1};
    struct kvm_cpuid_entry2 entries[ENGINE_CPUID_MAX];
    bus_init(&g->bus);
    struct engine_vm_config config = {.n_vcpus = 1, .mem = &g->mem, .bus = &g->bus};
    if (guest_mem_init(&g->mem, RAM_BYTES, GUEST_MEM_PREALLOC, &err) < 0 ||
        engine_vm_create(&soft_engine, &in, &config, &g->vm, &err) < 0 ||
        engine_vcpu_create(g->vm, 0, &g->vcpu, &err) < 0)
        return false;
    int n = engine_supported_cpuid(&soft_engine, &in, entries, &err);
    if (n < 0 || engine_vcpu_set_cpuid(g->vcpu, entries, (unsigned)n, &err) < 0)
        return false;
    g->cpu = &container_of(g->vcpu, struct soft_vcpu, base)->cpu;
    make_page_tables(g);
    make_tables(g);
    set_system_state(g);
    return true;
}
