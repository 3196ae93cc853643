/* The modes in which kernels want to find their CPU. Spec: Intel SDM volume 3, 3.4.5 (segment
 * descriptors) and 4.5 (4-level paging). */
#include <string.h>

#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"

/* Selectors that the Linux boot protocol prescribes; multiboot and PVH leave them open. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS  0x20

#define TYPE_CODE 0x0b /* execute, read, accessed */
#define TYPE_DATA 0x03 /* read, write, accessed */
#define TYPE_TSS  0x0b /* busy, 32 or 64 bit */

#define CR0_PE        0x00000001
#define CR0_ET        0x00000010
#define CR0_NE        0x00000020
#define CR0_PG        0x80000000
#define CR4_PAE       0x00000020
#define EFER_LME      0x00000100
#define EFER_LMA      0x00000400
#define RFLAGS_FIXED  0x00000002
#define APIC_BASE_BSP 0x00000100
#define APIC_BASE_ON  0x00000800

#define PTE_PRESENT  0x01
#define PTE_WRITABLE 0x02
#define PTE_LARGE    0x80
#define PT_ENTRIES   512
#define PD_PAGES     4 /* four page directories of 2 MiB pages: 4 GiB */

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
    bool code = selector == SEL_CODE;
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .db = !(code && long_mode),
                                .s = 1,
                                .l = code && long_mode,
                                .g = 1};
}

/* The descriptor as it stands in the GDT (figure 3-8). */
static uint64_t descriptor(const struct kvm_segment *s)
{
    uint64_t limit = s->g ? s->limit >> 12 : s->limit;
    uint64_t d = (limit & 0xffff) | (limit & 0xf0000) << 32;
    d |= (s->base & 0xffffff) << 16 | (s->base & 0xff000000) << 32;
    d |= (uint64_t)s->type << 40 | (uint64_t)s->s << 44 | (uint64_t)s->dpl << 45;
    d |= (uint64_t)s->present << 47 | (uint64_t)s->l << 53 | (uint64_t)s->db << 54;
    return d | (uint64_t)s->g << 55;
}

static int put_segments(struct boot *b, bool long_mode)
{
    struct kvm_sregs *s = &b->result.sregs;
    s->cs = flat_segment(SEL_CODE, TYPE_CODE, long_mode);
    s->ds = flat_segment(SEL_DATA, TYPE_DATA, long_mode);
    s->es = s->fs = s->gs = s->ss = s->ds;
    s->tr =
        (struct kvm_segment){.limit = 0x67, .selector = SEL_TSS, .type = TYPE_TSS, .present = 1};
    s->ldt = (struct kvm_segment){.limit = 0xffff, .type = 2, .present = 1};
    /* A 64-bit TSS descriptor takes two entries, the second one zero here. */
    const uint64_t gdt[] = {
        0, 0, htole64(descriptor(&s->cs)), htole64(descriptor(&s->ds)), htole64(descriptor(&s->tr)),
        0};
    s->gdt.base = BOOT_LAYOUT_GDT;
    s->gdt.limit = sizeof(gdt) - 1;
    s->apic_base = MEMORY_MAP_LAPIC_BASE | APIC_BASE_ON | APIC_BASE_BSP;
    return guest_mem_write(b->mem, BOOT_LAYOUT_GDT, gdt, sizeof(gdt));
}

static int put_page_tables(struct boot *b)
{
    const uint64_t pml4 = BOOT_LAYOUT_PAGE_TABLES, page = GUEST_MEM_PAGE_BYTES;
    uint64_t table[PT_ENTRIES] = {htole64((pml4 + page) | PTE_PRESENT | PTE_WRITABLE)};
    int ret = guest_mem_write(b->mem, pml4, table, sizeof(table));
    for (unsigned i = 0; i < PD_PAGES; i++)
        table[i] = htole64((pml4 + (2 + i) * page) | PTE_PRESENT | PTE_WRITABLE);
    ret = ret ? ret : guest_mem_write(b->mem, pml4 + page, table, sizeof(table));
    for (unsigned i = 0; !ret && i < PD_PAGES; i++) {
        for (uint64_t j = 0; j < PT_ENTRIES; j++)
            table[j] =
                htole64((i * PT_ENTRIES + j) * 2 * MIB | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE);
        ret = guest_mem_write(b->mem, pml4 + (2 + i) * page, table, sizeof(table));
    }
    b->result.sregs.cr3 = pml4;
    return ret;
}

int boot_enter_long_mode(struct boot *b, uint64_t entry, struct err *err)
{
    int ret = put_segments(b, true);
    ret = ret ? ret : put_page_tables(b);
    if (ret)
        return err_set(err, -ret, "no guest RAM for page tables at 0x%x", BOOT_LAYOUT_PAGE_TABLES);
    b->result.sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
    b->result.sregs.cr4 = CR4_PAE;
    b->result.sregs.efer = EFER_LME | EFER_LMA;
    b->result.regs.rip = entry;
    b->result.regs.rsp = BOOT_LAYOUT_STACK_TOP;
    b->result.regs.rflags = RFLAGS_FIXED;
    return 0;
}

int boot_enter_protected_mode(struct boot *b, uint32_t entry, struct err *err)
{
    int ret = put_segments(b, false);
    if (ret)
        return err_set(err, -ret, "no guest RAM for a GDT at 0x%x", BOOT_LAYOUT_GDT);
    b->result.sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
    b->result.regs.rip = entry;
    b->result.regs.rsp = BOOT_LAYOUT_STACK_TOP;
    b->result.regs.rflags = RFLAGS_FIXED;
    return 0;
}
