/* Model-specific registers, and paravirtual time. Spec: SDM volume 4; AMD APM volume 2, appendix A;
 * Linux Documentation/virt/kvm/x86/msr.rst. */
#include <time.h>

#include "base/clock.h"
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"
#include "x86/msr.h"
#include "x86/pvclock.h"

#define EFER_KNOWN          UINT64_C(0xd01) /* SCE LME LMA NXE */
#define EFER_AUTOIBRS       (UINT64_C(1) << 21)
#define EFER_LME            (UINT64_C(1) << 8)
#define EFER_LMA            (UINT64_C(1) << 10)
#define MSR_UCODE           0x8bu
#define MSR_PRED_CMD        0x49u
#define MSR_PLATFORM_INFO   0xceu
#define MSR_MCG_CAP         0x179u
#define MSR_KVM_WALL_CLOCK  0x11u
#define MSR_KVM_SYSTEM_TIME 0x12u
#define MSR_SYSCFG          0xc0010010u
#define MSR_DE_CFG          0xc0011029u

uint64_t soft_tsc_scaled(const struct soft_cpu *cpu, uint64_t host_tsc)
{
    if (likely(!cpu->tsc_scale))
        return host_tsc;
    return (uint64_t)((unsigned __int128)host_tsc * cpu->tsc_scale >> 32);
}

uint64_t soft_tsc(const struct soft_cpu *cpu)
{
    return soft_tsc_scaled(cpu, __builtin_ia32_rdtsc()) + cpu->tsc_offset;
}

void soft_tsc_set_khz(struct soft_cpu *cpu, uint32_t khz)
{
    uint32_t host_khz = soft_vm_tsc_khz(cpu->vm);
    uint64_t now = soft_tsc(cpu);
    cpu->tsc_khz = khz;
    cpu->tsc_scale = khz == host_khz ? 0 : ((uint64_t)khz << 32) / host_khz;
    cpu->tsc_offset += now - soft_tsc(cpu);
    lapic_set_tsc_khz(cpu->lapic, khz);
}

/* ---- paravirtual time ---- */

static void *guest_record(struct soft_cpu *cpu, uint64_t gpa, unsigned bytes)
{
    return guest_mem_ptr(cpu->vm->config.mem, gpa, bytes);
}

static void write_clock(struct soft_cpu *cpu, uint8_t flags)
{
    uint64_t msr = cpu->msr.kvm_system_time;
    struct pvclock_vcpu_time_info *to;
    if (!(msr & 1) || !(to = guest_record(cpu, msr & ~UINT64_C(1), sizeof(*to))))
        return;
    struct pvclock_vcpu_time_info t = {.flags = PVCLOCK_TSC_STABLE | flags};
    pvclock_scale(cpu->tsc_khz, &t.tsc_to_system_mul, &t.tsc_shift);
    soft_vm_clock_pair(cpu->vm, &t.tsc_timestamp, &t.system_time);
    t.tsc_timestamp = soft_tsc_scaled(cpu, t.tsc_timestamp) + cpu->tsc_offset;
    pvclock_write(to, &t);
    guest_mem_mark_dirty(cpu->vm->config.mem, msr & ~UINT64_C(1), sizeof(*to));
}

void soft_msr_clock_update(struct soft_cpu *cpu)
{
    write_clock(cpu, 0);
}

void soft_msr_clock_paused(struct soft_cpu *cpu)
{
    write_clock(cpu, PVCLOCK_GUEST_STOPPED);
}

static void write_wall_clock(struct soft_cpu *cpu, uint64_t gpa)
{
    struct timespec now;
    struct pvclock_wall_clock *to = guest_record(cpu, gpa, sizeof(*to));
    if (!to)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    pvclock_write_wall(to, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec -
                               (uint64_t)soft_vm_clock_ns(cpu->vm));
    guest_mem_mark_dirty(cpu->vm->config.mem, gpa, sizeof(*to));
}

/* ---- plain ones: a place each ---- */

static uint64_t *plain(struct soft_cpu *cpu, uint32_t msr)
{
    switch (msr) {
    case X86_MSR_STAR:
        return &cpu->msr.star;
    case X86_MSR_SFMASK:
        return &cpu->msr.sfmask;
    case X86_MSR_TSC_AUX:
        return &cpu->msr.tsc_aux;
    case X86_MSR_SYSENTER_CS:
        return &cpu->msr.sysenter_cs;
    case X86_MSR_MISC_ENABLE:
        return &cpu->msr.misc_enable;
    case X86_MSR_MCG_STATUS:
        return &cpu->msr.mcg_status;
    case X86_MSR_MTRR_DEF_TYPE:
        return &cpu->msr.mtrr_def_type;
    case X86_MSR_MTRR_FIX64K:
        return &cpu->msr.mtrr_fixed[0];
    case X86_MSR_KVM_POLL_CONTROL:
        return &cpu->msr.kvm_poll_control;
    default:
        break;
    }
    if (msr >= X86_MSR_MTRR_FIX16K(0) && msr <= X86_MSR_MTRR_FIX16K(1))
        return &cpu->msr.mtrr_fixed[1 + msr - X86_MSR_MTRR_FIX16K(0)];
    if (msr >= X86_MSR_MTRR_FIX4K(0) && msr <= X86_MSR_MTRR_FIX4K(7))
        return &cpu->msr.mtrr_fixed[3 + msr - X86_MSR_MTRR_FIX4K(0)];
    if (msr >= X86_MSR_MTRR_PHYS(0) && msr <= X86_MSR_MTRR_PHYS(15))
        return &cpu->msr.mtrr_phys[msr - X86_MSR_MTRR_PHYS(0)];
    return NULL;
}

/* Those that hold an address, which must be canonical. */
static uint64_t *address(struct soft_cpu *cpu, uint32_t msr)
{
    switch (msr) {
    case X86_MSR_LSTAR:
        return &cpu->msr.lstar;
    case X86_MSR_CSTAR:
        return &cpu->msr.cstar;
    case X86_MSR_SYSENTER_ESP:
        return &cpu->msr.sysenter_esp;
    case X86_MSR_SYSENTER_EIP:
        return &cpu->msr.sysenter_eip;
    case X86_MSR_FS_BASE:
        return &cpu->seg[X86_FS].base;
    case X86_MSR_GS_BASE:
        return &cpu->seg[X86_GS].base;
    case X86_MSR_KERNEL_GS_BASE:
        return &cpu->msr.kernel_gs_base;
    default:
        return NULL;
    }
}

/* Read-only, or without effect: what reading gives. */
static bool constant(uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_UCODE:
        *value = UINT64_C(0x1000065);
        return true;
    case X86_MSR_MTRR_CAP:
        *value = 0x508; /* eight variable ranges, fixed ranges, write-combining */
        return true;
    case MSR_PLATFORM_INFO:
    case MSR_MCG_CAP:
    case X86_MSR_FEATURE_CONTROL:
    case X86_MSR_SMBASE:
    case MSR_SYSCFG:
    case X86_MSR_KVM_ASYNC_PF_EN:
    case X86_MSR_KVM_ASYNC_PF_INT:
    case X86_MSR_KVM_PV_EOI_EN:
        *value = 0;
        return true;
    case X86_MSR_HWCR:
        *value = 1u << 24; /* the TSC counts at the frequency of P0 */
        return true;
    case MSR_DE_CFG:
        *value = 2; /* LFENCE serializes */
        return true;
    default:
        return false;
    }
}

bool soft_msr_get(struct soft_cpu *cpu, uint32_t msr, uint64_t *value)
{
    uint64_t *p = plain(cpu, msr);
    if (!p)
        p = address(cpu, msr);
    if (p) {
        *value = *p;
        return true;
    }
    switch (msr) {
    case X86_MSR_TSC:
        *value = soft_tsc(cpu);
        return true;
    case X86_MSR_TSC_ADJUST:
        *value = cpu->msr.tsc_adjust;
        return true;
    case X86_MSR_KVM_STEAL_TIME:
        *value = cpu->msr.kvm_steal_time;
        return true;
    case X86_MSR_APIC_BASE:
        *value = cpu->lapic->base;
        return true;
    case X86_MSR_TSC_DEADLINE:
        *value = lapic_tsc_deadline(cpu->lapic);
        return true;
    case X86_MSR_PAT:
        *value = cpu->msr.pat;
        return true;
    case X86_MSR_EFER:
        *value = cpu->efer;
        return true;
    case X86_MSR_KVM_SYSTEM_TIME_NEW:
    case MSR_KVM_SYSTEM_TIME:
        *value = cpu->msr.kvm_system_time;
        return true;
    case X86_MSR_KVM_WALL_CLOCK_NEW:
    case MSR_KVM_WALL_CLOCK:
        *value = cpu->msr.kvm_wall_clock;
        return true;
    default:
        break;
    }
    if (msr >= 0x800 && msr <= 0x8ff)
        return lapic_msr_read(cpu->lapic, msr, value, soft_tsc(cpu));
    return constant(msr, value);
}

static bool valid_pat(uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        if ((v >> (8 * i) & 0xff) > 7 || (v >> (8 * i) & 0xfe) == 2)
            return false;
    return true;
}

/* What EFER can hold, from what CPUID offers. */
static uint64_t efer_known(const struct soft_cpu *cpu)
{
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 0x80000021, 0);
    return EFER_KNOWN | (e && e->eax >> 8 & 1 ? EFER_AUTOIBRS : 0);
}

static bool set_efer(struct soft_cpu *cpu, uint64_t v)
{
    if (v & ~efer_known(cpu) || ((v ^ cpu->efer) & EFER_LME && cpu->cr0 >> 31 & 1))
        return false;
    uint64_t new = (v & ~EFER_LMA) | (cpu->efer & EFER_LMA);
    if (new != cpu->efer)
        soft_tlb_flush(cpu);
    cpu->efer = new;
    soft_update_mode(cpu);
    return true;
}

static void move_tsc(struct soft_cpu *cpu, uint64_t by)
{
    uint64_t now = soft_tsc(cpu);
    cpu->tsc_offset += by;
    cpu->msr.tsc_adjust += by;
    lapic_tsc_moved(cpu->lapic, now, now + by);
}

void soft_tsc_restore(struct soft_cpu *cpu, uint64_t value)
{
    const struct soft_vcpu *first = atomic_load(&cpu->vm->vcpus[0]);
    int64_t off = first ? (int64_t)(value - soft_tsc(&first->cpu)) : INT64_MAX;
    bool one = first && &first->cpu != cpu && first->cpu.tsc_khz == cpu->tsc_khz &&
               off < (int64_t)cpu->tsc_khz * 1000 && off > -(int64_t)cpu->tsc_khz * 1000;
    move_tsc(cpu, one ? first->cpu.tsc_offset - cpu->tsc_offset : value - soft_tsc(cpu));
    cpu->countdown = -1;
}

static bool set_time(struct soft_cpu *cpu, uint32_t msr, uint64_t v)
{
    switch (msr) {
    case X86_MSR_TSC:
        move_tsc(cpu, v - soft_tsc(cpu));
        break;
    case X86_MSR_TSC_ADJUST:
        move_tsc(cpu, v - cpu->msr.tsc_adjust);
        break;
    case X86_MSR_TSC_DEADLINE:
        lapic_set_tsc_deadline(cpu->lapic, v, soft_tsc(cpu));
        break;
    case X86_MSR_KVM_SYSTEM_TIME_NEW:
    case MSR_KVM_SYSTEM_TIME:
        cpu->msr.kvm_system_time = v;
        soft_msr_clock_update(cpu);
        break;
    case X86_MSR_KVM_WALL_CLOCK_NEW:
    case MSR_KVM_WALL_CLOCK:
        cpu->msr.kvm_wall_clock = v;
        write_wall_clock(cpu, v);
        break;
    default:
        return false;
    }
    cpu->countdown = -1;
    return true;
}

bool soft_msr_set(struct soft_cpu *cpu, uint32_t msr, uint64_t v)
{
    uint64_t ignored, *p = plain(cpu, msr);
    if (p) {
        *p = v;
        return true;
    }
    p = address(cpu, msr);
    if (p) {
        if (!soft_canonical(v))
            return false;
        *p = v;
        if (msr == X86_MSR_FS_BASE || msr == X86_MSR_GS_BASE)
            soft_update_mode(cpu);
        return true;
    }
    switch (msr) {
    case X86_MSR_EFER:
        return set_efer(cpu, v);
    case X86_MSR_PAT:
        if (!valid_pat(v))
            return false;
        cpu->msr.pat = v;
        return true;
    case X86_MSR_APIC_BASE:
        if (!lapic_set_base(cpu->lapic, v))
            return false;
        cpu->apic_base = v;
        soft_tlb_flush(cpu);
        return true;
    case MSR_PRED_CMD:
        return true;
    case X86_MSR_KVM_STEAL_TIME:
        return soft_steal_set(cpu, v);
    case X86_MSR_KVM_ASYNC_PF_EN:
    case X86_MSR_KVM_PV_EOI_EN:
        return !(v & 1);
    default:
        break;
    }
    if (set_time(cpu, msr, v))
        return true;
    if (msr >= 0x800 && msr <= 0x8ff) {
        cpu->countdown = -1;
        return lapic_msr_write(cpu->lapic, msr, v, soft_tsc(cpu));
    }
    return msr != X86_MSR_MTRR_CAP && constant(msr, &ignored);
}

uint64_t soft_msr_read(struct soft_cpu *cpu, uint32_t msr)
{
    uint64_t v;
    if (!soft_msr_get(cpu, msr, &v))
        soft_raise_error(cpu, SOFT_GP, 0);
    return v;
}

void soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value)
{
    if (!soft_msr_set(cpu, msr, value))
        soft_raise_error(cpu, SOFT_GP, 0);
}
