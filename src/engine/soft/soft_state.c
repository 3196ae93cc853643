#include "engine/soft/soft_state.h"

#include "engine/soft/soft_block.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"
#include "x86/msr.h"

static struct soft_cpu *to_cpu(struct engine_vcpu *vcpu)
{
    return &container_of(vcpu, struct soft_vcpu, base)->cpu;
}

/* ---- power-on and INIT (SDM volume 3, table 9-1) ---- */

static struct soft_seg real_segment(uint16_t sel, uint64_t base, uint8_t type)
{
    return (struct soft_seg){
        .sel = sel, .base = base, .limit = 0xffff, .type = type, .s = 1, .present = 1};
}

void soft_state_init(struct soft_cpu *cpu)
{
    memset(cpu->r, 0, sizeof(cpu->r));
    const struct kvm_cpuid_entry2 *signature = soft_cpuid_find(cpu, 1, 0);
    cpu->r[SOFT_RDX] = signature ? signature->eax : SOFT_CPUID_SIGNATURE;
    cpu->fl = 0;
    cpu->rflags = 2;
    cpu->rip = 0xfff0;
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        cpu->seg[i] = real_segment(0, 0, 3);
    cpu->seg[X86_CS] = real_segment(0xf000, 0xffff0000, 11);
    cpu->ldtr = (struct soft_seg){.limit = 0xffff, .type = 2, .present = 1};
    cpu->tr = (struct soft_seg){.limit = 0xffff, .type = 11, .present = 1};
    cpu->gdt_base = cpu->idt_base = 0;
    cpu->gdt_limit = cpu->idt_limit = 0xffff;
    cpu->cr0 = (cpu->cr0 & UINT64_C(0x60000000)) | 0x10;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr6 = 0xffff0ff0;
    cpu->dr7 = 0x400;
    cpu->cpl = 0;
    cpu->pending.there = false;
    cpu->injected_vector = -1;
    cpu->shadow = cpu->nmi_blocked = cpu->nmi_pending = cpu->in_guest_wait = false;
    lapic_reset(cpu->lapic, false);
    soft_update_watchpoints(cpu);
    soft_tlb_flush(cpu);
    soft_update_mode(cpu);
}

void soft_state_power_on(struct soft_cpu *cpu)
{
    cpu->cr0 = 0x60000010;
    cpu->xcr0 = 1;
    cpu->tsc_scale = 0;
    memset(&cpu->msr, 0, sizeof(cpu->msr));
    cpu->msr.pat = UINT64_C(0x0007040600070406);
    cpu->msr.misc_enable = 1;
    lapic_set_tsc_khz(cpu->lapic, cpu->tsc_khz);
    lapic_reset(cpu->lapic, true);
    cpu->apic_base = cpu->lapic->base;
    cpu->tsc_offset = -cpu->vm->start.tsc;
    soft_fpu_reset(cpu);
    soft_state_init(cpu);
    cpu->wait_for_sipi = cpu->vcpu->index != 0;
    cpu->init_received = false;
}

/* ---- registers ---- */

static struct kvm_segment segment_out(const struct soft_seg *s)
{
    return (struct kvm_segment){.base = s->base,
                                .limit = s->limit,
                                .selector = s->sel,
                                .type = s->type,
                                .present = s->present,
                                .dpl = s->dpl,
                                .db = s->db,
                                .s = s->s,
                                .l = s->l,
                                .g = s->g,
                                .avl = s->avl,
                                .unusable = s->unusable};
}

static struct soft_seg segment_in(const struct kvm_segment *s)
{
    return (struct soft_seg){.base = s->base,
                             .limit = s->limit,
                             .sel = s->selector,
                             .type = s->type & 15,
                             .present = s->present & 1,
                             .dpl = s->dpl & 3,
                             .db = s->db & 1,
                             .s = s->s & 1,
                             .l = s->l & 1,
                             .g = s->g & 1,
                             .avl = s->avl & 1,
                             .unusable = s->unusable || !s->present};
}

static void get_regs(const struct soft_cpu *cpu, struct kvm_regs *r)
{
    __u64 *const to[16] = {&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi,
                           &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15};
    for (unsigned i = 0; i < 16; i++)
        *to[i] = cpu->r[i];
    r->rip = cpu->rip;
    r->rflags = soft_rflags_get(cpu);
}

static void set_regs(struct soft_cpu *cpu, const struct kvm_regs *r)
{
    const uint64_t from[16] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
                               r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};
    memcpy(cpu->r, from, sizeof(from));
    cpu->rip = r->rip;
    cpu->pending.there = false;
    soft_rflags_set(cpu, r->rflags);
}

static void get_sregs(const struct soft_cpu *cpu, struct kvm_sregs *s)
{
    struct kvm_segment *const to[] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs};
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        *to[i] = segment_out(&cpu->seg[i]);
    s->ss.dpl = cpu->cpl;
    s->tr = segment_out(&cpu->tr);
    s->ldt = segment_out(&cpu->ldtr);
    s->gdt = (struct kvm_dtable){.base = cpu->gdt_base, .limit = cpu->gdt_limit};
    s->idt = (struct kvm_dtable){.base = cpu->idt_base, .limit = cpu->idt_limit};
    s->cr0 = cpu->cr0;
    s->cr2 = cpu->cr2;
    s->cr3 = cpu->cr3;
    s->cr4 = cpu->cr4;
    s->cr8 = lapic_tpr(cpu->lapic) >> 4;
    s->efer = cpu->efer;
    s->apic_base = cpu->lapic->base;
}

static int set_sregs(struct soft_cpu *cpu, const struct kvm_sregs *s, struct err *err)
{
    const struct kvm_segment *const from[] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs};
    uint64_t lma = UINT64_C(1) << 10, lme = UINT64_C(1) << 8;
    if (s->cr0 >> 31 & 1 && (!(s->cr0 & 1) || (s->efer & lme && !(s->efer & lma))))
        return err_set(err, EINVAL, "cr0 0x%llx with efer 0x%llx is not a state of any CPU",
                       (unsigned long long)s->cr0, (unsigned long long)s->efer);
    if (!lapic_load_base(cpu->lapic, s->apic_base))
        return err_set(err, EINVAL, "no APIC can have the base 0x%llx",
                       (unsigned long long)s->apic_base);
    cpu->cr0 = s->cr0 | 0x10;
    cpu->cr2 = s->cr2;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->efer = s->efer;
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        cpu->seg[i] = segment_in(from[i]);
    cpu->cpl = cpu->seg[X86_SS].dpl;
    cpu->tr = segment_in(&s->tr);
    cpu->ldtr = segment_in(&s->ldt);
    cpu->gdt_base = s->gdt.base;
    cpu->gdt_limit = s->gdt.limit;
    cpu->idt_base = s->idt.base;
    cpu->idt_limit = s->idt.limit;
    cpu->apic_base = s->apic_base;
    lapic_set_tpr(cpu->lapic, (uint32_t)s->cr8 << 4);
    cpu->injected_vector = -1;
    for (unsigned i = 0; i < 4; i++)
        if (s->interrupt_bitmap[i])
            cpu->injected_vector = (int)(i * 64) + __builtin_ctzll(s->interrupt_bitmap[i]);
    /* Whoever loads a state may have loaded memory too. */
    soft_blocks_flush(cpu);
    soft_tlb_flush(cpu);
    soft_update_mode(cpu);
    return 0;
}

/* ---- events ---- */

static void get_events(const struct soft_cpu *cpu, struct kvm_vcpu_events *e)
{
    const struct soft_pending *p = &cpu->pending;
    memset(e, 0, sizeof(*e));
    e->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    if (p->there) {
        e->exception.injected = 1;
        e->exception.nr = p->vector;
        e->exception.has_error_code = p->has_error;
        e->exception.error_code = p->error;
    }
    if (cpu->injected_vector >= 0) {
        e->interrupt.injected = 1;
        e->interrupt.nr = (uint8_t)cpu->injected_vector;
    }
    e->interrupt.shadow = cpu->shadow ? KVM_X86_SHADOW_INT_STI : 0;
    e->nmi.pending = cpu->nmi_pending;
    e->nmi.masked = cpu->nmi_blocked;
}

static void set_events(struct soft_cpu *cpu, const struct kvm_vcpu_events *e)
{
    cpu->pending = (struct soft_pending){.there = e->exception.injected,
                                         .vector = e->exception.nr,
                                         .has_error = e->exception.has_error_code,
                                         .error = e->exception.error_code,
                                         .address = cpu->cr2};
    if (cpu->pending.vector == SOFT_DB)
        cpu->pending.address = 0;
    /* A software interrupt that KVM was delivering is executed again: its rip is still there. */
    bool external = e->interrupt.injected && !e->interrupt.soft;
    cpu->injected_vector = external ? e->interrupt.nr : -1;
    if (e->flags & KVM_VCPUEVENT_VALID_SHADOW)
        cpu->shadow = e->interrupt.shadow;
    cpu->nmi_pending = e->nmi.pending || e->nmi.injected;
    cpu->nmi_blocked = e->nmi.masked && !e->nmi.injected;
}

static uint32_t mp_state(const struct soft_cpu *cpu)
{
    if (cpu->wait_for_sipi)
        return cpu->init_received ? KVM_MP_STATE_INIT_RECEIVED : KVM_MP_STATE_UNINITIALIZED;
    return cpu->in_guest_wait ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
}

/* ---- MSRs ---- */

static void get_msrs(struct soft_cpu *cpu, struct engine_vcpu_state *s)
{
    for (unsigned i = 0; i < msr_n_saved; i++) {
        uint32_t index = msr_saved[i];
        uint64_t v;
        /* HWCR is a constant here, with a bit (TSC at P0's frequency) that older KVMs refuse. */
        if (index != X86_MSR_HWCR && soft_msr_get(cpu, index, &v))
            s->msrs[s->n_msrs++] = (struct kvm_msr_entry){.index = index, .data = v};
    }
}

/* The deadline comes last: it needs the timer's mode and the TSC. The wall clock is not written
 * again, and the TSC moves TSC_ADJUST, so that comes after it. */
static int set_msrs(struct soft_cpu *cpu, const struct engine_vcpu_state *s, bool deadline,
                    struct err *err)
{
    for (unsigned i = 0; i < s->n_msrs; i++) {
        const struct kvm_msr_entry *m = &s->msrs[i];
        if ((m->index == X86_MSR_TSC_DEADLINE) != deadline)
            continue;
        if (m->index == X86_MSR_KVM_WALL_CLOCK_NEW) {
            cpu->msr.kvm_wall_clock = m->data;
        } else if (m->index == X86_MSR_TSC_ADJUST) {
            cpu->msr.tsc_adjust = m->data;
        } else if (m->index == X86_MSR_TSC) {
            soft_tsc_restore(cpu, m->data);
        } else if (!soft_msr_set(cpu, m->index, m->data) && m->data) {
            return err_set(err, ENOTSUP,
                           "the soft engine refuses MSR 0x%x = 0x%llx of vCPU %u: the state comes "
                           "from an unlike host or CPUID",
                           m->index, (unsigned long long)m->data, cpu->vcpu->index);
        }
    }
    return 0;
}

/* ---- all of it ---- */

int soft_state_get(struct engine_vcpu *vcpu, struct engine_vcpu_state *s, struct err *err)
{
    struct soft_cpu *cpu = to_cpu(vcpu);
    memset(s, 0, sizeof(*s));
    /* What was posted and not yet seen has no place in the state but its effect. */
    soft_vcpu_take_events(cpu);
    s->mp_state.mp_state = mp_state(cpu);
    get_events(cpu, &s->events);
    get_regs(cpu, &s->regs);
    get_sregs(cpu, &s->sregs);
    soft_fpu_to_xsave(cpu, &s->xsave);
    s->xcrs.nr_xcrs = 1;
    s->xcrs.xcrs[0].value = cpu->xcr0;
    for (unsigned i = 0; i < 4; i++)
        s->debugregs.db[i] = cpu->dr[i];
    s->debugregs.dr6 = cpu->dr6;
    s->debugregs.dr7 = cpu->dr7;
    lapic_get_state(cpu->lapic, &s->lapic, soft_tsc(cpu));
    get_msrs(cpu, s);
    s->tsc_khz = cpu->tsc_khz;
    return 0;
}

int soft_state_set(struct engine_vcpu *vcpu, const struct engine_vcpu_state *s, struct err *err)
{
    struct soft_cpu *cpu = to_cpu(vcpu);
    int ret = set_sregs(cpu, &s->sregs, err);
    if (ret)
        return ret;
    set_regs(cpu, &s->regs);
    if (s->tsc_khz)
        soft_tsc_set_khz(cpu, s->tsc_khz);
    if (s->xcrs.nr_xcrs)
        cpu->xcr0 = s->xcrs.xcrs[0].value;
    ret = soft_fpu_from_xsave(cpu, &s->xsave);
    if (ret)
        return err_set(err, EINVAL, "the FPU state of vCPU %u is not one of any CPU", vcpu->index);
    for (unsigned i = 0; i < 4; i++)
        cpu->dr[i] = s->debugregs.db[i];
    cpu->dr6 = s->debugregs.dr6;
    cpu->dr7 = s->debugregs.dr7;
    soft_update_watchpoints(cpu);
    ret = set_msrs(cpu, s, false, err);
    if (ret)
        return ret;
    lapic_set_state(cpu->lapic, &s->lapic, soft_tsc(cpu));
    set_events(cpu, &s->events);
    cpu->wait_for_sipi = s->mp_state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
                         s->mp_state.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    cpu->init_received = s->mp_state.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    cpu->in_guest_wait = s->mp_state.mp_state == KVM_MP_STATE_HALTED;
    cpu->countdown = -1;
    soft_update_mode(cpu);
    return set_msrs(cpu, s, true, err);
}

int soft_state_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                        struct err *err)
{
    get_regs(to_cpu(vcpu), regs);
    get_sregs(to_cpu(vcpu), sregs);
    return 0;
}

int soft_state_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                        const struct kvm_sregs *sregs, struct err *err)
{
    int ret = set_sregs(to_cpu(vcpu), sregs, err);
    if (!ret)
        set_regs(to_cpu(vcpu), regs);
    return ret;
}
