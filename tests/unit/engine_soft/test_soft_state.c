/* State in KVM's structs: what has no bit of its own there must still come out right. */
#include "soft_vm_fixture.h"

#include <unistd.h>

#include "base/clock.h"
#include "x86/msr.h"
#include "x86/pvclock_wire.h"

static struct engine_vcpu_state *get(struct soft_fixture *f, unsigned index)
{
    static struct engine_vcpu_state state;
    CHECK_EQ(engine_vcpu_get_state(f->vcpus[index], &state, NULL), 0);
    return &state;
}

/* vCPU 0 sends an interprocessor interrupt to vCPU 1. */
static void send(struct soft_fixture *f, uint32_t command)
{
    lapic_mmio_write(f->cpus[0]->lapic, 0x310, 1 << 24, 0);
    lapic_mmio_write(f->cpus[0]->lapic, 0x300, command, 0);
}

static void a_processor_between_init_and_sipi_is_saved_as_such(void)
{
    struct soft_fixture f;
    REQUIRE(soft_fixture_open(&f, 2));
    CHECK_EQ(get(&f, 0)->mp_state.mp_state, KVM_MP_STATE_RUNNABLE);
    CHECK_EQ(get(&f, 1)->mp_state.mp_state, KVM_MP_STATE_UNINITIALIZED);
    send(&f, 5 << 8); /* INIT */
    struct engine_vcpu_state *s = get(&f, 1);
    CHECK_EQ(s->mp_state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
    CHECK_EQ(engine_vcpu_set_state(f.vcpus[1], s, NULL), 0);
    CHECK_EQ(get(&f, 1)->mp_state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
    send(&f, 6 << 8 | 0x9a); /* start-up */
    s = get(&f, 1);
    CHECK_EQ(s->mp_state.mp_state, KVM_MP_STATE_RUNNABLE);
    CHECK_EQ(s->sregs.cs.base, 0x9a000);
    CHECK_EQ(s->regs.rip, 0);
    soft_fixture_close(&f);
}

static void init_leaves_the_signature_of_cpuid_in_edx(void)
{
    struct soft_fixture f;
    REQUIRE(soft_fixture_open(&f, 2));
    f.cpus[1]->cpuid[1].eax = 0xabcde;
    REQUIRE(f.cpus[1]->cpuid[1].function == 1);
    send(&f, 5 << 8);
    CHECK_EQ(get(&f, 1)->regs.rdx, 0xabcde);
    soft_fixture_close(&f);
}

static void an_interrupted_software_interrupt_is_executed_again_and_not_injected(void)
{
    struct soft_fixture f;
    REQUIRE(soft_fixture_open(&f, 1));
    struct engine_vcpu_state *s = get(&f, 0);
    s->events.interrupt.injected = 1;
    s->events.interrupt.nr = 0x80;
    s->events.interrupt.soft = 1;
    CHECK_EQ(engine_vcpu_set_state(f.vcpus[0], s, NULL), 0);
    CHECK_EQ(get(&f, 0)->events.interrupt.injected, 0);
    s->events.interrupt.injected = 1;
    s->events.interrupt.nr = 0x30;
    s->events.interrupt.soft = 0;
    CHECK_EQ(engine_vcpu_set_state(f.vcpus[0], s, NULL), 0);
    CHECK_EQ(get(&f, 0)->events.interrupt.injected, 1);
    CHECK_EQ(get(&f, 0)->events.interrupt.nr, 0x30);
    soft_fixture_close(&f);
}

static void efer_holds_what_cpuid_offers_and_nothing_else(void)
{
    const uint64_t auto_ibrs = UINT64_C(1) << 21;
    struct soft_fixture f;
    uint64_t v;
    REQUIRE(soft_fixture_open(&f, 1));
    struct soft_cpu *cpu = f.cpus[0];
    const struct kvm_cpuid_entry2 *e = soft_cpuid_find(cpu, 0x80000021, 0);
    REQUIRE(e && e->eax >> 8 & 1);
    CHECK(soft_msr_set(cpu, X86_MSR_EFER, auto_ibrs | 1));
    CHECK(soft_msr_get(cpu, X86_MSR_EFER, &v) && v == (auto_ibrs | 1));
    CHECK(!soft_msr_set(cpu, X86_MSR_EFER, 1 << 12)); /* SVME */
    ((struct kvm_cpuid_entry2 *)e)->eax = 0;
    CHECK(!soft_msr_set(cpu, X86_MSR_EFER, auto_ibrs));
    soft_fixture_close(&f);
}

static uint64_t spin(int64_t ns)
{
    int64_t until = clock_thread_cpu_ns() + ns;
    uint64_t n = 0;
    while (clock_thread_cpu_ns() < until)
        n++;
    return n;
}

/* Sleeping stands for what another program took of the CPU. */
static void steal_time_is_what_passed_less_what_was_used(void)
{
    const uint64_t at = 0x3000;
    struct soft_fixture f;
    REQUIRE(soft_fixture_open(&f, 1));
    struct soft_cpu *cpu = f.cpus[0];
    struct pvclock_steal_time *told = guest_mem_ptr(&f.mem, at, sizeof(*told));
    CHECK(!soft_msr_set(cpu, X86_MSR_KVM_STEAL_TIME, at | 3));
    usleep(5000);
    soft_steal_update(cpu); /* not enabled: nothing is told */
    CHECK_EQ(told->version, 0);
    told->steal = 7; /* of before a save */
    CHECK(soft_msr_set(cpu, X86_MSR_KVM_STEAL_TIME, at | 1));
    usleep(20000);
    spin(2000000);
    soft_steal_update(cpu);
    CHECK(told->steal >= 20000000 + 7 - 1000000);
    CHECK(told->version && !(told->version & 1));
    soft_fixture_close(&f);
}

int main(void)
{
    TAP_RUN(a_processor_between_init_and_sipi_is_saved_as_such);
    TAP_RUN(init_leaves_the_signature_of_cpuid_in_edx);
    TAP_RUN(an_interrupted_software_interrupt_is_executed_again_and_not_injected);
    TAP_RUN(steal_time_is_what_passed_less_what_was_used);
    TAP_RUN(efer_holds_what_cpuid_offers_and_nothing_else);
    return tap_done();
}
