/* The fast system calls. Spec: SDM volume 2; AMD APM volume 3 where they differ (SYSRET). */
#include "engine/soft/soft_op.h"
#include "engine/soft/soft_segment.h"

#define EFER_SCE UINT64_C(1)

static struct soft_seg flat_code(unsigned dpl, bool wide)
{
    return (struct soft_seg){.limit = UINT32_MAX,
                             .type = 11,
                             .s = 1,
                             .dpl = (uint8_t)dpl,
                             .present = 1,
                             .l = wide,
                             .db = !wide,
                             .g = 1};
}

static struct soft_seg flat_data(uint16_t sel, unsigned dpl)
{
    return (struct soft_seg){.limit = UINT32_MAX,
                             .sel = sel,
                             .type = 3,
                             .s = 1,
                             .dpl = (uint8_t)dpl,
                             .present = 1,
                             .db = 1,
                             .g = 1};
}

/* The manufacturers differ: Intel's SYSCALL is for 64-bit code alone, and SYSENTER for all of long
 * mode; AMD's the other way round. */
static bool is_intel(const struct soft_cpu *cpu)
{
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 0, 0);
    return e && e->ebx == 0x756e6547; /* Genu */
}

static void need_syscall(struct soft_cpu *cpu)
{
    if (!(cpu->efer & EFER_SCE) || !(cpu->mode & SOFT_MODE_PROTECTED) ||
        (!soft_in_code64(cpu) && is_intel(cpu)))
        soft_raise(cpu, SOFT_UD);
}

static void need_sysenter(struct soft_cpu *cpu)
{
    if (soft_in_long(cpu) && !is_intel(cpu))
        soft_raise(cpu, SOFT_UD);
}

static const struct soft_op *syscall_(struct soft_cpu *cpu, const struct soft_op *op)
{
    need_syscall(cpu);
    uint16_t sel = (uint16_t)(cpu->msr.star >> 32);
    uint64_t target, next = soft_next_rip(cpu, op);
    if (soft_in_long(cpu)) {
        cpu->r[SOFT_RCX] = next;
        cpu->r[11] = soft_rflags_get(cpu) & ~(uint64_t)SOFT_RFLAGS_RF;
        target = soft_in_code64(cpu) ? cpu->msr.lstar : cpu->msr.cstar;
        soft_rflags_set(cpu, soft_rflags_get(cpu) & ~(cpu->msr.sfmask | SOFT_RFLAGS_RF));
    } else {
        cpu->r[SOFT_RCX] = (uint32_t)next;
        target = (uint32_t)cpu->msr.star;
        soft_rflags_set(cpu, soft_rflags_get(cpu) &
                                 ~(uint64_t)(SOFT_RFLAGS_IF | SOFT_RFLAGS_VM | SOFT_RFLAGS_RF));
    }
    const struct soft_seg cs = flat_code(0, soft_in_long(cpu));
    cpu->seg[X86_SS] = flat_data((uint16_t)((sel & ~3u) + 8), 0);
    soft_segment_load_cs(cpu, &cs, sel & 0xfffc, 0);
    /* A step ends where it leaves TF set, and not where SFMASK clears it. */
    cpu->step_guest = cpu->rflags & SOFT_RFLAGS_TF;
    return soft_goto(cpu, target);
}

static const struct soft_op *sysret_(struct soft_cpu *cpu, const struct soft_op *op)
{
    bool wide = op->size == 8;
    need_syscall(cpu);
    if (cpu->cpl)
        soft_raise_error(cpu, SOFT_GP, 0);
    /* Not checked: where the address is not canonical, an AMD CPU's next fetch faults, in ring 3.
     */
    uint64_t rip = wide ? cpu->r[SOFT_RCX] : (uint32_t)cpu->r[SOFT_RCX];
    uint16_t base = (uint16_t)(cpu->msr.star >> 48);
    const struct soft_seg cs = flat_code(3, wide);
    cpu->seg[X86_SS] = flat_data((uint16_t)((base + 8) | 3), 3);
    soft_segment_load_cs(cpu, &cs, (uint16_t)(base + (wide ? 16 : 0)), 3);
    if (soft_in_long(cpu))
        soft_rflags_set(cpu, cpu->r[11] & ~(uint64_t)(SOFT_RFLAGS_RF | SOFT_RFLAGS_VM));
    else
        soft_rflags_set(cpu, soft_rflags_get(cpu) | SOFT_RFLAGS_IF);
    cpu->step_guest = cpu->rflags & SOFT_RFLAGS_TF; /* as if SYSCALL had just ended */
    return soft_stop(cpu, rip);
}

static const struct soft_op *sysenter_(struct soft_cpu *cpu, const struct soft_op *op)
{
    need_sysenter(cpu);
    if (!(cpu->mode & (SOFT_MODE_PROTECTED | SOFT_MODE_VM86)) || !(cpu->msr.sysenter_cs & 0xfffc))
        soft_raise_error(cpu, SOFT_GP, 0);
    uint16_t sel = (uint16_t)cpu->msr.sysenter_cs & 0xfffc;
    const struct soft_seg cs = flat_code(0, soft_in_long(cpu));
    soft_rflags_set(cpu, soft_rflags_get(cpu) & ~(uint64_t)(SOFT_RFLAGS_IF | SOFT_RFLAGS_VM));
    cpu->seg[X86_SS] = flat_data((uint16_t)(sel + 8), 0);
    soft_segment_load_cs(cpu, &cs, sel, 0);
    cpu->r[SOFT_RSP] = soft_in_long(cpu) ? cpu->msr.sysenter_esp : (uint32_t)cpu->msr.sysenter_esp;
    return soft_goto(cpu,
                     soft_in_long(cpu) ? cpu->msr.sysenter_eip : (uint32_t)cpu->msr.sysenter_eip);
}

static const struct soft_op *sysexit_(struct soft_cpu *cpu, const struct soft_op *op)
{
    bool wide = op->size == 8;
    need_sysenter(cpu);
    if (!(cpu->mode & SOFT_MODE_PROTECTED) || cpu->cpl || !(cpu->msr.sysenter_cs & 0xfffc))
        soft_raise_error(cpu, SOFT_GP, 0);
    uint64_t rip = wide ? cpu->r[SOFT_RDX] : (uint32_t)cpu->r[SOFT_RDX];
    uint64_t rsp = wide ? cpu->r[SOFT_RCX] : (uint32_t)cpu->r[SOFT_RCX];
    if (wide && (!soft_canonical(rip) || !soft_canonical(rsp)))
        soft_raise_error(cpu, SOFT_GP, 0);
    uint16_t sel = (uint16_t)((cpu->msr.sysenter_cs + (wide ? 32 : 16)) | 3);
    const struct soft_seg cs = flat_code(3, wide);
    cpu->seg[X86_SS] = flat_data((uint16_t)(sel + 8), 3);
    soft_segment_load_cs(cpu, &cs, sel, 3);
    cpu->r[SOFT_RSP] = rsp;
    return soft_stop(cpu, rip);
}

enum soft_bound soft_bind_syscall(struct soft_cpu *cpu, const struct x86_insn *in,
                                  struct soft_op *op)
{
    switch (in->id) {
    case X86_SYSCALL:
        return soft_bind_end(op, syscall_);
    case X86_SYSRET:
        return soft_bind_end(op, sysret_);
    case X86_SYSENTER:
        return soft_bind_end(op, sysenter_);
    case X86_SYSEXIT:
        return soft_bind_end(op, sysexit_);
    default:
        return SOFT_UNBOUND;
    }
}
