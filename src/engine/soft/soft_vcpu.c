/* A vCPU: its life, and what happens between blocks: kicks, the APIC's timer, halting.
 *
 * Theory of operation. Whoever wants something of a vCPU (a kick, an interrupt) notes it where it
 * belongs, then ORs a bit into `attention` and, if the vCPU sleeps, wakes it. The vCPU looks at
 * `attention` before each block, clears it, and then looks at everything, so no order loses a wish.
 * A sleeping vCPU waits on a condition variable until the APIC timer's deadline at the latest. */
#include "engine/soft/soft_vcpu.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "engine/soft/soft_block.h"
#include "engine/soft/soft_vm.h"

/* Bound of a vCPU's block cache. */
#define BLOCK_CACHE_BYTES (32 * MIB)

static struct soft_vcpu *to_soft(struct engine_vcpu *vcpu)
{
    return container_of(vcpu, struct soft_vcpu, base);
}

static struct soft_vcpu *of_cpu(struct soft_cpu *cpu)
{
    return container_of(cpu, struct soft_vcpu, cpu);
}

/* ---- attention ---- */

void soft_vcpu_attend(struct soft_vcpu *v, uint32_t why)
{
    atomic_fetch_or(&v->cpu.attention, why);
    if (!atomic_load(&v->waiting))
        return;
    pthread_mutex_lock(&v->lock);
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

/* A local APIC has something for vCPU `index`. */
static void apic_wakes(void *opaque, unsigned index)
{
    struct soft_vm *vm = opaque;
    struct soft_vcpu *v = atomic_load(&vm->vcpus[index]);
    if (v)
        soft_vcpu_attend(v, SOFT_ATTENTION_APIC);
}

/* The APIC tells that the guest has ended a level-triggered interrupt. */
static void apic_eoi(void *opaque, uint8_t vector)
{
    struct soft_vm *vm = opaque;
    if (vm->config.irqchip)
        vm->config.irqchip->eoi(vm->config.irqchip_opaque, vector);
}

void soft_vm_clock_changed(struct soft_vm *vm)
{
    for (unsigned i = 0; i < vm->config.n_vcpus; i++) {
        struct soft_vcpu *v = atomic_load(&vm->vcpus[i]);
        if (v)
            soft_vcpu_attend(v, SOFT_ATTENTION_CLOCK);
    }
}

/* INIT and SIPI. Spec: SDM volume 3, section 9.4 (processor states after INIT, start-up). */
static void take_init(struct soft_cpu *cpu)
{
    uint8_t vector;
    if (lapic_take_init(cpu->lapic)) {
        soft_state_init(cpu);
        cpu->in_guest_wait = false;
        cpu->wait_for_sipi = cpu->init_received = cpu->vcpu->index != 0;
    }
    if (lapic_take_sipi(cpu->lapic, &vector) && cpu->wait_for_sipi) {
        soft_set_segment_real(cpu, X86_CS, (uint16_t)(vector << 8));
        cpu->rip = 0;
        cpu->wait_for_sipi = cpu->init_received = false;
        soft_update_mode(cpu);
    }
}

void soft_vcpu_take_events(struct soft_cpu *cpu)
{
    if (lapic_take_nmi(cpu->lapic))
        cpu->nmi_pending = true;
    take_init(cpu);
}

void soft_vcpu_look(struct soft_cpu *cpu)
{
    if (cpu->countdown < 0) {
        cpu->countdown = SOFT_VCPU_BLOCKS_PER_LOOK;
        lapic_timer_look(cpu->lapic, soft_tsc(cpu));
        soft_steal_update(cpu);
    }
    if (likely(!atomic_load_explicit(&cpu->attention, memory_order_relaxed)))
        return;
    uint32_t why = atomic_exchange(&cpu->attention, 0);
    if (why & SOFT_ATTENTION_FLUSH)
        soft_tlb_flush(cpu);
    if (why & SOFT_ATTENTION_CLOCK)
        soft_msr_clock_update(cpu);
    if (why & SOFT_ATTENTION_APIC)
        soft_vcpu_take_events(cpu);
}

bool soft_vcpu_take_kick(struct soft_cpu *cpu)
{
    struct soft_vcpu *v = of_cpu(cpu);
    return unlikely(atomic_load_explicit(&v->kicked, memory_order_relaxed)) &&
           atomic_exchange(&v->kicked, false);
}

/* When the APIC timer fires next, on the monotonic clock. False: never. */
static bool deadline(struct soft_cpu *cpu, struct timespec *at)
{
    uint64_t tsc = lapic_next_deadline(cpu->lapic), now = soft_tsc(cpu);
    if (tsc == UINT64_MAX)
        return false;
    uint64_t ns = 0;
    if (tsc > now)
        ns = (uint64_t)((unsigned __int128)MIN(tsc - now, UINT64_C(1) << 50) * 1000000 /
                        cpu->tsc_khz) +
             1;
    uint64_t when = (uint64_t)clock_now_ns() + ns;
    *at = (struct timespec){.tv_sec = (time_t)(when / 1000000000),
                            .tv_nsec = (long)(when % 1000000000)};
    return true;
}

void soft_vcpu_wait(struct soft_cpu *cpu)
{
    struct soft_vcpu *v = of_cpu(cpu);
    struct timespec at;
    int ret = 0;
    bool timed = !cpu->wait_for_sipi && deadline(cpu, &at);
    pthread_mutex_lock(&v->lock);
    atomic_store(&v->waiting, true);
    while (!ret && !atomic_load(&cpu->attention) && (cpu->wait_for_sipi || !soft_run_has_work(cpu)))
        ret = timed ? pthread_cond_timedwait(&v->wake, &v->lock, &at)
                    : pthread_cond_wait(&v->wake, &v->lock);
    atomic_store(&v->waiting, false);
    pthread_mutex_unlock(&v->lock);
    cpu->countdown = -1; /* time has passed */
    soft_steal_begin(cpu);
}

/* ---- life ---- */

static int init_cpu(struct soft_vcpu *v, struct soft_vm *vm, struct err *err)
{
    struct soft_cpu *cpu = &v->cpu;
    cpu->vm = vm;
    cpu->vcpu = &v->base;
    cpu->page_flags = (const uint8_t *)vm->page_flags;
    cpu->page_mask = vm->page_mask;
    cpu->lapic = lapic_bus_apic(vm->lapics, v->base.index);
    cpu->tsc_khz = soft_vm_tsc_khz(vm);
    cpu->tlbs = soft_tlb_create();
    if (!cpu->tlbs)
        return err_set(err, ENOMEM, "could not allocate the TLB of vCPU %u", v->base.index);
    cpu->tlb = cpu->tlbs->entries[0];
    int ret = soft_blocks_init(cpu, BLOCK_CACHE_BYTES, err);
    if (!ret)
        ret = soft_fpu_init(cpu, err);
    if (!ret)
        soft_state_power_on(cpu);
    return ret;
}

int soft_vcpu_create(struct engine_vm *base, unsigned index, struct engine_vcpu **out,
                     struct err *err)
{
    struct soft_vm *vm = container_of(base, struct soft_vm, base);
    struct soft_vcpu *v = aligned_alloc(64, align_up(sizeof(*v), 64));
    if (!v)
        return err_set(err, ENOMEM, "could not allocate vCPU %u", index);
    memset(v, 0, sizeof(*v));
    v->base = (struct engine_vcpu){.vm = base, .index = index};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&v->lock, NULL);
    int ret = init_cpu(v, vm, err);
    if (ret) {
        soft_vcpu_destroy(&v->base);
        return ret;
    }
    atomic_store(&vm->vcpus[index], v);
    *out = &v->base;
    return 0;
}

void soft_vcpu_destroy(struct engine_vcpu *vcpu)
{
    struct soft_vcpu *v = to_soft(vcpu);
    struct soft_vcpu *self = v;
    atomic_compare_exchange_strong(&v->cpu.vm->vcpus[vcpu->index], &self, NULL);
    soft_fpu_fini(&v->cpu);
    soft_blocks_fini(&v->cpu);
    free(v->cpu.tlbs);
    pthread_mutex_destroy(&v->lock);
    pthread_cond_destroy(&v->wake);
    free(v);
}

int soft_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries,
                        unsigned n, struct err *err)
{
    struct soft_cpu *cpu = &to_soft(vcpu)->cpu;
    if (n > SOFT_CPUID_MAX)
        return err_set(err, EINVAL, "vCPU %u cannot have %u CPUID entries: %u at most", vcpu->index,
                       n, SOFT_CPUID_MAX);
    if (n)
        memcpy(cpu->cpuid, entries, n * sizeof(entries[0]));
    cpu->n_cpuid = n;
    cpu->features = soft_cpuid_features(cpu->cpuid, n);
    soft_blocks_flush(cpu); /* they were bound for another CPU */
    return 0;
}

void soft_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info)
{
    soft_run(&to_soft(vcpu)->cpu, info);
}

void soft_vcpu_kick(struct engine_vcpu *vcpu)
{
    struct soft_vcpu *v = to_soft(vcpu);
    atomic_store(&v->kicked, true);
    soft_vcpu_attend(v, SOFT_ATTENTION_KICK);
}

void soft_vcpu_nmi(struct engine_vcpu *vcpu)
{
    lapic_post_nmi(to_soft(vcpu)->cpu.lapic);
}

uint64_t soft_vcpu_insns(struct engine_vcpu *vcpu)
{
    return to_soft(vcpu)->cpu.n_insns;
}

void soft_vcpu_paused(struct engine_vcpu *vcpu)
{
    soft_msr_clock_paused(&to_soft(vcpu)->cpu);
}

int soft_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                        struct err *err)
{
    struct soft_cpu *cpu = &to_soft(vcpu)->cpu;
    cpu->debug = *debug;
    soft_update_watchpoints(cpu);
    soft_tlb_flush(cpu); /* pages with watchpoints have no entries */
    return 0;
}

void soft_update_watchpoints(struct soft_cpu *cpu)
{
    bool mine = cpu->debug.control & KVM_GUESTDBG_USE_HW_BP;
    uint64_t dr7 = mine ? cpu->debug.arch.debugreg[7] : cpu->dr7;
    cpu->watching = cpu->watch_reads = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind = dr7 >> (16 + 4 * i) & 3, len = dr7 >> (18 + 4 * i) & 3;
        if (!(dr7 >> (2 * i) & 3) || kind == 0)
            continue;
        cpu->watching |= (uint8_t)(1u << i);
        if (kind == 3)
            cpu->watch_reads |= (uint8_t)(1u << i);
        cpu->watch_bytes[i] = len == 2 ? 8 : (uint8_t)(len + 1);
        cpu->watch_at[i] = (mine ? cpu->debug.arch.debugreg[i] : cpu->dr[i]) &
                           ~(uint64_t)(cpu->watch_bytes[i] - 1);
    }
}

void soft_vcpu_wire(struct soft_vm *vm)
{
    static const struct lapic_ops ops = {.wake = apic_wakes, .eoi = apic_eoi};
    lapic_bus_init(vm->lapics, vm->config.n_vcpus, &ops, vm);
}
