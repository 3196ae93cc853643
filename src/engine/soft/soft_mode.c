/* What follows from the system registers: the mode of decoding, segment bases, the TLB set. And
 * RFLAGS in its two parts. */
#include "engine/soft/soft_internal.h"

#define CR0_PE   (UINT64_C(1) << 0)
#define CR4_SMAP (UINT64_C(1) << 21)
#define EFER_LMA (UINT64_C(1) << 10)

uint32_t soft_fl_from_rflags(uint64_t f)
{
    return (uint32_t)((f & 0xd5) << 8 | (f >> 11 & 1));
}

uint64_t soft_fl_to_rflags(uint32_t fl)
{
    return (fl >> 8 & 0xd5) | (uint64_t)(fl & 1) << 11;
}

uint64_t soft_rflags_get(const struct soft_cpu *cpu)
{
    return (cpu->rflags & ~SOFT_RFLAGS_ARITH) | soft_fl_to_rflags(cpu->fl) | 2;
}

void soft_rflags_set(struct soft_cpu *cpu, uint64_t rflags)
{
    uint64_t old = cpu->rflags;
    cpu->fl = soft_fl_from_rflags(rflags);
    cpu->rflags = (rflags & ~SOFT_RFLAGS_ARITH & UINT64_C(0x3f7fd7)) | 2;
    if ((old ^ cpu->rflags) & (SOFT_RFLAGS_VM | SOFT_RFLAGS_AC))
        soft_update_mode(cpu);
}

static void update_segments(struct soft_cpu *cpu)
{
    bool flat = (cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64;
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        cpu->seg_base[i] = flat && i < X86_FS ? 0 : cpu->seg[i].base;
}

void soft_update_mode(struct soft_cpu *cpu)
{
    const struct soft_seg *cs = &cpu->seg[X86_CS];
    bool protected = cpu->cr0 & CR0_PE, vm86 = protected && cpu->rflags & SOFT_RFLAGS_VM;
    bool lma = cpu->efer & EFER_LMA;
    uint32_t mode = cpu->mode & SOFT_MODE_SINGLE;
    if (lma && cs->l)
        mode |= SOFT_MODE_CODE64;
    else
        mode |= (protected && !vm86 && cs->db ? SOFT_MODE_CODE32 : SOFT_MODE_CODE16) |
                (cpu->seg[X86_SS].db ? SOFT_MODE_STACK32 : 0);
    if (protected && !vm86)
        mode |= SOFT_MODE_PROTECTED;
    if (vm86)
        mode |= SOFT_MODE_VM86;
    if (lma)
        mode |= SOFT_MODE_LONG;
    if (!protected)
        cpu->cpl = 0;
    if (vm86)
        cpu->cpl = 3;
    if (cpu->cpl == 3)
        mode |= SOFT_MODE_USER;
    if ((cpu->mode ^ mode) & SOFT_MODE_LONG)
        soft_fetch_flush(cpu);
    cpu->mode = mode;
    bool smap = cpu->cr4 & CR4_SMAP && !(cpu->rflags & SOFT_RFLAGS_AC);
    cpu->aligned = cpu->cpl == 3 && cpu->cr0 >> 18 & 1 && cpu->rflags & SOFT_RFLAGS_AC;
    cpu->tlb = cpu->tlbs->entries[cpu->aligned    ? SOFT_TLB_CHECKED
                                  : cpu->cpl == 3 ? SOFT_TLB_USER
                                  : smap          ? SOFT_TLB_SUPERVISOR_SMAP
                                                  : SOFT_TLB_SUPERVISOR];
    update_segments(cpu);
    soft_fpu_update_access(cpu);
}

void soft_check_alignment(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    if (unlikely(cpu->aligned && linear & (size - 1) && is_pow2(size)))
        soft_raise_error(cpu, SOFT_AC, 0);
}
