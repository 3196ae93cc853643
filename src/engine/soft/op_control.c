/* Instructions on the operating system's registers: control and debug registers, descriptor tables,
 * translations and caches. Spec: SDM volume 2, the instructions; volume 3, 2.5. */
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

/* ---- binding ---- */

static enum soft_bound bind_cr_dr(const struct x86_insn *in, struct soft_op *op)
{
    bool cr = in->id == X86_MOV_CR;
    bool to = in->operands[0].kind != X86_OPERAND_GPR;
    op->c = in->operands[to ? 0 : 1].reg;
    op->a = op->b = SOFT_OFFSET(in->operands[to ? 1 : 0].reg);
    if (to)
        return soft_bind_end(op, cr ? mov_to_cr : mov_to_dr);
    return soft_bind_next(op, cr ? mov_from_cr : mov_from_dr);
}

static enum soft_bound bind_word(const struct x86_insn *in, struct soft_op *op)
{
    op->c = in->has_mem;
    op->imm = in->id;
    if (!op->c)
        op->a = SOFT_OFFSET(in->operands[0].reg);
    return in->id == X86_LMSW ? soft_bind_end(op, lmsw_) : soft_bind_next(op, store_word);
}

enum soft_bound soft_bind_control(struct soft_cpu *cpu, const struct x86_insn *in,
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
        return soft_bind_next(op, clts_);
    case X86_SGDT:
    case X86_SIDT:
        op->imm = in->id == X86_SIDT;
        return soft_bind_next(op, store_table);
    case X86_LGDT:
    case X86_LIDT:
        op->imm = in->id == X86_LIDT;
        return soft_bind_next(op, load_table);
    case X86_INVLPG:
        return soft_bind_end(op, invlpg_);
    case X86_INVPCID:
        op->a = SOFT_OFFSET(in->operands[0].reg);
        return soft_bind_end(op, invpcid_);
    case X86_INVD:
    case X86_WBINVD:
        return soft_bind_next(op, ring0_nop);
    default:
        return SOFT_UNBOUND;
    }
}
