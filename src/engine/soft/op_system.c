/* Instructions of the operating system: control and debug registers, descriptor tables, MSRs,
 * CPUID, time, interrupt flag, halting. Spec: SDM volume 2, the instructions; volume 3, 2.5. */
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

#define CR0_PE    UINT64_C(1)
#define CR0_TS    UINT64_C(8)
#define CR0_ET    UINT64_C(0x10)
#define CR0_NW    (UINT64_C(1) << 29)
#define CR0_CD    (UINT64_C(1) << 30)
#define CR0_PG    (UINT64_C(1) << 31)
#define CR0_KNOWN UINT64_C(0xe005003f)

#define CR4_TSD     (UINT64_C(1) << 2)
#define CR4_DE      (UINT64_C(1) << 3)
#define CR4_PAE     (UINT64_C(1) << 5)
#define CR4_UMIP    (UINT64_C(1) << 11)
#define CR4_FSGS    (UINT64_C(1) << 16)
#define CR4_PCIDE   (UINT64_C(1) << 17)
#define CR4_OSXSAVE (UINT64_C(1) << 18)
#define CR4_SMEP    (UINT64_C(1) << 20)
#define CR4_SMAP    (UINT64_C(1) << 21)

#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)

/* ---- control registers ---- */

static void set_cr0(struct soft_cpu *cpu, uint64_t v)
{
    uint64_t old = cpu->cr0;
    v = (v & CR0_KNOWN) | CR0_ET;
    if ((v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD)))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (v & CR0_PG && !(old & CR0_PG) && cpu->efer & EFER_LME) {
        if (!(cpu->cr4 & CR4_PAE) || cpu->seg[X86_CS].l)
            soft_raise_error(cpu, SOFT_GP, 0);
        cpu->efer |= EFER_LMA;
    }
    if (!(v & CR0_PG) && old & CR0_PG) {
        if (soft_in_code64(cpu) || cpu->cr4 & CR4_PCIDE)
            soft_raise_error(cpu, SOFT_GP, 0);
        cpu->efer &= ~EFER_LMA;
    }
    cpu->cr0 = v;
    if ((v ^ old) & (CR0_PG | CR0_PE | 1u << 16))
        soft_tlb_flush(cpu);
    soft_update_mode(cpu);
}

/* What CR4 can hold, from what CPUID offers. */
static uint64_t cr4_known(const struct soft_cpu *cpu)
{
    uint64_t known = 0x7fc; /* TSD to OSXMMEXCPT: no virtual-8086 extensions, no VMX */
    if (cpu->features >> X86_FEATURE_FSGSBASE & 1)
        known |= CR4_FSGS;
    if (cpu->features >> X86_FEATURE_XSAVE & 1)
        known |= CR4_OSXSAVE;
    if (cpu->features >> X86_FEATURE_SMAP & 1)
        known |= CR4_SMAP;
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 7, 0);
    if (e && e->ebx >> 7 & 1)
        known |= CR4_SMEP;
    if (e && e->ecx >> 2 & 1)
        known |= CR4_UMIP;
    e = soft_cpuid_find(cpu, 1, 0);
    if (e && e->ecx >> 17 & 1)
        known |= CR4_PCIDE;
    return known;
}

static void set_cr4(struct soft_cpu *cpu, uint64_t v)
{
    uint64_t old = cpu->cr4;
    if (v & ~cr4_known(cpu) || (cpu->efer & EFER_LMA && !(v & CR4_PAE)))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (v & CR4_PCIDE && !(old & CR4_PCIDE) && (!(cpu->efer & EFER_LMA) || cpu->cr3 & 0xfff))
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->cr4 = v;
    if ((old ^ v) & ~(CR4_TSD | CR4_DE | CR4_FSGS | CR4_OSXSAVE | 0x700))
        soft_tlb_flush(cpu);
    soft_update_mode(cpu);
}

static void set_cr3(struct soft_cpu *cpu, uint64_t v)
{
    if (cpu->mode & SOFT_MODE_LONG) {
        if (cpu->cr4 & CR4_PCIDE) /* "keep the translations": here they are never kept */
            v &= ~(UINT64_C(1) << 63);
        if (v >> SOFT_PHYS_BITS)
            soft_raise_error(cpu, SOFT_GP, 0);
    }
    cpu->cr3 = v;
    soft_tlb_flush_local(cpu);
}

static const struct soft_op *mov_to_cr(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint64_t v = soft_in_code64(cpu) ? *soft_r64(cpu, op->b) : *soft_r32(cpu, op->b);
    switch (op->c) {
    case 0:
        if (v >> 32)
            soft_raise_error(cpu, SOFT_GP, 0);
        set_cr0(cpu, v);
        break;
    case 2:
        cpu->cr2 = v;
        break;
    case 3:
        set_cr3(cpu, v);
        break;
    case 4:
        set_cr4(cpu, v);
        break;
    default:
        if (v & ~UINT64_C(15))
            soft_raise_error(cpu, SOFT_GP, 0);
        lapic_set_tpr(cpu->lapic, (uint32_t)v << 4);
        break;
    }
    return soft_continue(cpu, op);
}

static const struct soft_op *mov_from_cr(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint64_t v = op->c == 0   ? cpu->cr0
                 : op->c == 2 ? cpu->cr2
                 : op->c == 3 ? cpu->cr3
                 : op->c == 4 ? cpu->cr4
                              : lapic_tpr(cpu->lapic) >> 4;
    *soft_r64(cpu, op->a) = soft_in_code64(cpu) ? v : (uint32_t)v;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *clts_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    cpu->cr0 &= ~CR0_TS;
    soft_fpu_update_access(cpu);
    SOFT_NEXT(cpu, op);
}

static void need_no_umip(struct soft_cpu *cpu)
{
    if (cpu->cr4 & CR4_UMIP && cpu->cpl)
        soft_raise_error(cpu, SOFT_GP, 0);
}

/* smsw, sldt, str: 16 bits to memory, the operand size to a register. */
static const struct soft_op *store_word(struct soft_cpu *cpu, const struct soft_op *op)
{
    need_no_umip(cpu);
    if (op->imm != X86_SMSW && !(cpu->mode & SOFT_MODE_PROTECTED))
        soft_raise(cpu, SOFT_UD);
    uint64_t v = op->imm == X86_SMSW ? cpu->cr0 : op->imm == X86_SLDT ? cpu->ldtr.sel : cpu->tr.sel;
    if (op->c)
        soft_store16(cpu, soft_address(cpu, op, 2, SOFT_WRITE), (uint16_t)v);
    else if (op->size == 2)
        *soft_r16(cpu, op->a) = (uint16_t)v;
    else
        *soft_r64(cpu, op->a) = op->size == 4 ? (uint32_t)v : v;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *lmsw_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint16_t v =
        op->c ? soft_load16(cpu, soft_address(cpu, op, 2, SOFT_READ)) : *soft_r16(cpu, op->a);
    uint64_t keep_pe = cpu->cr0 & CR0_PE;
    set_cr0(cpu, (cpu->cr0 & ~UINT64_C(15)) | (v & 15) | keep_pe);
    return soft_continue(cpu, op);
}

/* ---- debug registers ---- */

static void check_dr(struct soft_cpu *cpu)
{
    soft_need_ring0(cpu);
    if (cpu->dr7 >> 13 & 1) {
        cpu->dr6 |= 1u << 13;
        soft_raise(cpu, SOFT_DB);
    }
}

static unsigned dr_number(struct soft_cpu *cpu, unsigned n)
{
    if (n == 4 || n == 5) {
        if (cpu->cr4 & CR4_DE)
            soft_raise(cpu, SOFT_UD);
        n += 2;
    }
    return n;
}

static const struct soft_op *mov_to_dr(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned n = dr_number(cpu, op->c);
    check_dr(cpu);
    uint64_t v = soft_in_code64(cpu) ? *soft_r64(cpu, op->b) : *soft_r32(cpu, op->b);
    if (n >= 6 && v >> 32)
        soft_raise_error(cpu, SOFT_GP, 0);
    if (n < 4)
        cpu->dr[n] = v;
    else if (n == 6)
        cpu->dr6 = (v & 0xe00f) | 0xffff0ff0;
    else
        cpu->dr7 = (v & 0xffff2fff) | 0x400;
    soft_update_watchpoints(cpu);
    soft_tlb_flush(cpu);
    return soft_continue(cpu, op);
}

static const struct soft_op *mov_from_dr(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned n = dr_number(cpu, op->c);
    check_dr(cpu);
    uint64_t v = n < 4 ? cpu->dr[n] : n == 6 ? cpu->dr6 : cpu->dr7;
    *soft_r64(cpu, op->a) = soft_in_code64(cpu) ? v : (uint32_t)v;
    SOFT_NEXT(cpu, op);
}

/* ---- descriptor tables ---- */

static const struct soft_op *store_table(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t bytes[10];
    unsigned n = soft_in_code64(cpu) ? 10 : 6;
    need_no_umip(cpu);
    le16_write(bytes, op->imm ? cpu->idt_limit : cpu->gdt_limit);
    le64_write(bytes + 2, op->imm ? cpu->idt_base : cpu->gdt_base);
    soft_store_bytes(cpu, soft_address(cpu, op, n, SOFT_WRITE), bytes, n);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *load_table(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t bytes[10] = {0};
    unsigned n = soft_in_code64(cpu) ? 10 : 6;
    soft_need_ring0(cpu);
    soft_load_bytes(cpu, soft_address(cpu, op, n, SOFT_READ), bytes, n);
    uint64_t base = le64_read(bytes + 2);
    if (!soft_in_code64(cpu))
        base &= op->size == 2 ? 0xffffff : 0xffffffff;
    if (!soft_canonical(base))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (op->imm) {
        cpu->idt_base = base;
        cpu->idt_limit = le16_read(bytes);
    } else {
        cpu->gdt_base = base;
        cpu->gdt_limit = le16_read(bytes);
    }
    SOFT_NEXT(cpu, op);
}

/* ---- translations and caches ---- */

static const struct soft_op *invlpg_(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    uint64_t at = soft_offset(cpu, op) + cpu->seg_base[op->seg];
    soft_tlb_flush_page(cpu, at);
    return soft_continue(cpu, op);
}

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_NON_GLOBAL };

static const struct soft_op *invpcid_(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t bytes[16];
    soft_need_ring0(cpu);
    uint64_t type = soft_in_code64(cpu) ? *soft_r64(cpu, op->a) : *soft_r32(cpu, op->a);
    soft_load_bytes(cpu, soft_address(cpu, op, 16, SOFT_READ), bytes, 16);
    uint64_t pcid = le64_read(bytes), linear = le64_read(bytes + 8);
    if (type > INVPCID_NON_GLOBAL || pcid >> 12 ||
        (type <= INVPCID_CONTEXT && pcid && !(cpu->cr4 & CR4_PCIDE)) ||
        (type == INVPCID_ADDRESS && !soft_canonical(linear)))
        soft_raise_error(cpu, SOFT_GP, 0);
    if (type == INVPCID_ADDRESS)
        soft_tlb_flush_page(cpu, linear);
    else if (type == INVPCID_ALL)
        soft_tlb_flush(cpu);
    else
        soft_tlb_flush_local(cpu);
    return soft_continue(cpu, op);
}

/* wbinvd, invd: guest RAM is coherent. */
static const struct soft_op *ring0_nop(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_need_ring0(cpu);
    SOFT_NEXT(cpu, op);
}

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

static enum soft_bound straight(struct soft_op *op, soft_fn *fn)
{
    op->fn = fn;
    return SOFT_BOUND;
}

static enum soft_bound ending(struct soft_op *op, soft_fn *fn)
{
    op->fn = fn;
    return SOFT_BOUND_END;
}

static enum soft_bound bind_cr_dr(const struct x86_insn *in, struct soft_op *op)
{
    bool cr = in->id == X86_MOV_CR;
    bool to = in->operands[0].kind != X86_OPERAND_GPR;
    op->c = in->operands[to ? 0 : 1].reg;
    op->a = op->b = SOFT_OFFSET(in->operands[to ? 1 : 0].reg);
    if (to)
        return ending(op, cr ? mov_to_cr : mov_to_dr);
    return straight(op, cr ? mov_from_cr : mov_from_dr);
}

static enum soft_bound bind_word(const struct x86_insn *in, struct soft_op *op)
{
    op->c = in->has_mem;
    op->imm = in->id;
    if (!op->c)
        op->a = SOFT_OFFSET(in->operands[0].reg);
    return in->id == X86_LMSW ? ending(op, lmsw_) : straight(op, store_word);
}

static enum soft_bound bind_base(const struct x86_insn *in, struct soft_op *op)
{
    bool fs = in->id == X86_RDFSBASE || in->id == X86_WRFSBASE;
    op->c = fs ? X86_FS : X86_GS;
    op->a = SOFT_OFFSET(in->operands[0].reg);
    op->size = in->rex & 8 ? 8 : 4;
    return straight(op, in->id == X86_RDFSBASE || in->id == X86_RDGSBASE ? rdbase : wrbase);
}

static enum soft_bound bind_interrupt(const struct x86_insn *in, struct soft_op *op)
{
    static const uint8_t vectors[] = {[0] = SOFT_BP, [1] = SOFT_OF, [2] = SOFT_DB};
    op->b = in->id == X86_INT;
    if (in->id != X86_INT)
        op->imm = vectors[in->id == X86_INT3 ? 0 : in->id == X86_INTO ? 1 : 2];
    return ending(op, in->id == X86_INTO ? into_ : interrupt);
}

enum soft_bound soft_bind_system(struct soft_cpu *cpu, const struct x86_insn *in,
                                 struct soft_op *op)
{
    switch (in->id) {
    case X86_MOV_CR:
    case X86_MOV_DR:
        return bind_cr_dr(in, op);
    case X86_SMSW:
    case X86_SLDT:
    case X86_STR:
    case X86_LMSW:
        return bind_word(in, op);
    case X86_CLTS:
        return straight(op, clts_);
    case X86_SGDT:
    case X86_SIDT:
        op->imm = in->id == X86_SIDT;
        return straight(op, store_table);
    case X86_LGDT:
    case X86_LIDT:
        op->imm = in->id == X86_LIDT;
        return straight(op, load_table);
    case X86_INVLPG:
        return ending(op, invlpg_);
    case X86_INVPCID:
        op->a = SOFT_OFFSET(in->operands[0].reg);
        return ending(op, invpcid_);
    case X86_INVD:
    case X86_WBINVD:
        return straight(op, ring0_nop);
    case X86_CLI:
        return straight(op, cli_);
    case X86_STI:
        return ending(op, sti_);
    case X86_HLT:
        return ending(op, hlt_);
    case X86_CLAC:
    case X86_STAC:
        op->imm = in->id == X86_STAC;
        return straight(op, set_ac);
    case X86_RDMSR:
        return straight(op, rdmsr_);
    case X86_WRMSR:
        return ending(op, wrmsr_);
    case X86_CPUID:
        return straight(op, cpuid_);
    case X86_RDTSC:
    case X86_RDTSCP:
        op->imm = in->id == X86_RDTSCP;
        return straight(op, rdtsc_);
    case X86_RDPMC:
        return ending(op, privileged_fault);
    case X86_SWAPGS:
        return straight(op, swapgs_);
    case X86_RDFSBASE:
    case X86_RDGSBASE:
    case X86_WRFSBASE:
    case X86_WRGSBASE:
        return bind_base(in, op);
    case X86_XGETBV:
        return straight(op, xgetbv_);
    case X86_XSETBV:
        return ending(op, xsetbv_);
    case X86_INT:
    case X86_INT3:
    case X86_INTO:
    case X86_INT1:
        return bind_interrupt(in, op);
    case X86_VMCALL:
    case X86_VMMCALL:
        return ending(op, vmcall_);
    default:
        return SOFT_UNBOUND;
    }
}
