/* Instructions of the operating system that are not about its registers (op_control.c): interrupt
 * flag, halting, MSRs, CPUID, time, bases of FS and GS, XCR0, software interrupts, hypercalls.
 * Spec: SDM volume 2, the instructions; volume 3, 2.5. */
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

#define CR4_TSD     (UINT64_C(1) << 2)
#define CR4_FSGS    (UINT64_C(1) << 16)
#define CR4_OSXSAVE (UINT64_C(1) << 18)

/* ---- the interrupt flag and halting ---- */

static bool may_change_if(const struct soft_cpu *cpu)
{
    return cpu->cpl <= (cpu->rflags >> 12 & 3);
}

static const struct soft_op *cli_(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (!may_change_if(cpu))
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->rflags &= ~(uint64_t)SOFT_RFLAGS_IF;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *sti_(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (!may_change_if(cpu))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (!(cpu->rflags & SOFT_RFLAGS_IF))
        cpu->shadow = true;
    cpu->rflags |= SOFT_RFLAGS_IF;
    return soft_continue(cpu, op);
}

static const struct soft_op *hlt_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    cpu->in_guest_wait = true;
    return soft_continue(cpu, op);
}

static const struct soft_op *set_ac(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (cpu->cpl)
        soft_raise(cpu, SOFT_UD);
    cpu->rflags = op->imm ? cpu->rflags | SOFT_RFLAGS_AC : cpu->rflags & ~(uint64_t)SOFT_RFLAGS_AC;
    soft_update_mode(cpu);
    SOFT_NEXT(cpu, op);
}

/* ---- MSRs, CPUID, time ---- */

static const struct soft_op *rdmsr_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint64_t v = soft_msr_read(cpu, (uint32_t)cpu->r[SOFT_RCX]);
    cpu->r[SOFT_RAX] = (uint32_t)v;
    cpu->r[SOFT_RDX] = v >> 32;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *wrmsr_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    soft_msr_write(cpu, (uint32_t)cpu->r[SOFT_RCX],
                   (uint32_t)cpu->r[SOFT_RAX] | cpu->r[SOFT_RDX] << 32);
    return soft_continue(cpu, op);
}

/* What a leaf that is not there answers: zeroes, or, on Intel, the highest basic leaf. */
static const struct soft_op *cpuid_(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint32_t leaf = (uint32_t)cpu->r[SOFT_RAX], sub = (uint32_t)cpu->r[SOFT_RCX];
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, leaf, sub);
    struct kvm_cpuid_entry2 none = {0};
    if (!e)
        e = &none;
    uint32_t ecx = e->ecx, ebx = e->ebx;
    if (leaf == 1)
        ecx = (ecx & ~(1u << 27)) | (cpu->cr4 & CR4_OSXSAVE ? 1u << 27 : 0);
    if (leaf == 0xd && sub == 0 && cpu->xcr0)
        ebx = cpu->xcr0 & 4 ? 0x340 : 0x240;
    cpu->r[SOFT_RAX] = e->eax;
    cpu->r[SOFT_RBX] = ebx;
    cpu->r[SOFT_RCX] = ecx;
    cpu->r[SOFT_RDX] = e->edx;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *rdtsc_(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (cpu->cr4 & CR4_TSD && cpu->cpl)
        soft_raise_error(cpu, SOFT_GP, 0);
    uint64_t v = soft_tsc(cpu);
    cpu->r[SOFT_RAX] = (uint32_t)v;
    cpu->r[SOFT_RDX] = v >> 32;
    if (op->imm)
        cpu->r[SOFT_RCX] = (uint32_t)cpu->msr.tsc_aux;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *swapgs_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint64_t base = cpu->seg[X86_GS].base;
    cpu->seg[X86_GS].base = cpu->seg_base[X86_GS] = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
    SOFT_NEXT(cpu, op);
}

static void need_fsgsbase(struct soft_cpu *cpu)
{
    if (!(cpu->cr4 & CR4_FSGS))
        soft_raise(cpu, SOFT_UD);
}

static const struct soft_op *rdbase(struct soft_cpu *cpu, const struct soft_op *op)
{
    need_fsgsbase(cpu);
    uint64_t v = cpu->seg[op->c].base;
    *soft_r64(cpu, op->a) = op->size == 8 ? v : (uint32_t)v;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *wrbase(struct soft_cpu *cpu, const struct soft_op *op)
{
    need_fsgsbase(cpu);
    uint64_t v = op->size == 8 ? *soft_r64(cpu, op->a) : *soft_r32(cpu, op->a);
    if (!soft_canonical(v))
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->seg[op->c].base = cpu->seg_base[op->c] = v;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *xgetbv_(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint32_t which = (uint32_t)cpu->r[SOFT_RCX];
    if (!(cpu->cr4 & CR4_OSXSAVE))
        soft_raise(cpu, SOFT_UD);
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 0xd, 1);
    if (which && !(which == 1 && e && e->eax >> 2 & 1))
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->r[SOFT_RAX] = (uint32_t)cpu->xcr0;
    cpu->r[SOFT_RDX] = cpu->xcr0 >> 32;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *xsetbv_(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (!(cpu->cr4 & CR4_OSXSAVE))
        soft_raise(cpu, SOFT_UD);
    soft_need_ring0(cpu);
    uint64_t v = (uint32_t)cpu->r[SOFT_RAX] | cpu->r[SOFT_RDX] << 32;
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 0xd, 0);
    uint64_t can = e ? e->eax | (uint64_t)e->edx << 32 : 3;
    if ((uint32_t)cpu->r[SOFT_RCX] || !(v & 1) || v & ~can || (v & 6) == 4)
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->xcr0 = v;
    soft_fpu_update_access(cpu);
    return soft_continue(cpu, op);
}

/* ---- software interrupts ---- */

static const struct soft_op *interrupt(struct soft_cpu *cpu, const struct soft_op *op)
{
    bool vm86 = cpu->mode & SOFT_MODE_VM86;
    if (op->b && vm86 && (cpu->rflags >> 12 & 3) != 3)
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->pending = (struct soft_pending){.there = true,
                                         .vector = (uint8_t)op->imm,
                                         .trap = true,
                                         .software = op->imm != SOFT_DB || op->b};
    return soft_continue(cpu, op);
}

static const struct soft_op *into_(struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->fl & SOFT_FL_OF ? interrupt(cpu, op) : soft_continue(cpu, op);
}

static const struct soft_op *privileged_fault(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_raise_error(cpu, SOFT_GP, 0);
}

/* A hypercall of KVM's: none is offered, so each answers "no such call". */
static const struct soft_op *vmcall_(struct soft_cpu *cpu, const struct soft_op *op)
{
    enum { KVM_NO_SUCH_CALL = 1000 };
    soft_need_ring0(cpu);
    cpu->r[SOFT_RAX] = (uint64_t)-KVM_NO_SUCH_CALL;
    return soft_continue(cpu, op);
}

/* ---- binding ---- */

static enum soft_bound bind_base(const struct x86_insn *in, struct soft_op *op)
{
    bool fs = in->id == X86_RDFSBASE || in->id == X86_WRFSBASE;
    op->c = fs ? X86_FS : X86_GS;
    op->a = SOFT_OFFSET(in->operands[0].reg);
    op->size = in->rex & 8 ? 8 : 4;
    return soft_bind_next(op, in->id == X86_RDFSBASE || in->id == X86_RDGSBASE ? rdbase : wrbase);
}

static enum soft_bound bind_interrupt(const struct x86_insn *in, struct soft_op *op)
{
    static const uint8_t vectors[] = {[0] = SOFT_BP, [1] = SOFT_OF, [2] = SOFT_DB};
    op->b = in->id == X86_INT;
    if (in->id != X86_INT)
        op->imm = vectors[in->id == X86_INT3 ? 0 : in->id == X86_INTO ? 1 : 2];
    return soft_bind_end(op, in->id == X86_INTO ? into_ : interrupt);
}

enum soft_bound soft_bind_system(struct soft_cpu *cpu, const struct x86_insn *in,
                                 struct soft_op *op)
{
    switch (in->id) {
    case X86_CLI:
        return soft_bind_next(op, cli_);
    case X86_STI:
        return soft_bind_end(op, sti_);
    case X86_HLT:
        return soft_bind_end(op, hlt_);
    case X86_CLAC:
    case X86_STAC:
        op->imm = in->id == X86_STAC;
        return soft_bind_next(op, set_ac);
    case X86_RDMSR:
        return soft_bind_next(op, rdmsr_);
    case X86_WRMSR:
        return soft_bind_end(op, wrmsr_);
    case X86_CPUID:
        return soft_bind_next(op, cpuid_);
    case X86_RDTSC:
    case X86_RDTSCP:
        op->imm = in->id == X86_RDTSCP;
        return soft_bind_next(op, rdtsc_);
    case X86_RDPMC:
        return soft_bind_end(op, privileged_fault);
    case X86_SWAPGS:
        return soft_bind_next(op, swapgs_);
    case X86_RDFSBASE:
    case X86_RDGSBASE:
    case X86_WRFSBASE:
    case X86_WRGSBASE:
        return bind_base(in, op);
    case X86_XGETBV:
        return soft_bind_next(op, xgetbv_);
    case X86_XSETBV:
        return soft_bind_end(op, xsetbv_);
    case X86_INT:
    case X86_INT3:
    case X86_INTO:
    case X86_INT1:
        return bind_interrupt(in, op);
    case X86_VMCALL:
    case X86_VMMCALL:
        return soft_bind_end(op, vmcall_);
    default:
        return SOFT_UNBOUND;
    }
}
