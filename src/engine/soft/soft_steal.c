/* Steal time (MSR_KVM_STEAL_TIME): what passed while the guest wanted to run, less what its thread
 * got of a host CPU. KVM takes it from the scheduler; without privileges it is the difference of
 * two clocks, and what the thread waits for in devices counts too. */
#include "base/clock.h"
#include "engine/soft/soft_internal.h"
#include "x86/pvclock.h"

#define ENABLED  UINT64_C(1)
#define RESERVED UINT64_C(0x3e)

/* The guest sees it a thousand times a second at most: reading a thread's clock is a system call.
 */
#define MIN_NS 1000000

bool soft_steal_set(struct soft_cpu *cpu, uint64_t v)
{
    if (v & RESERVED)
        return false;
    cpu->msr.kvm_steal_time = v;
    soft_steal_begin(cpu);
    return true;
}

void soft_steal_begin(struct soft_cpu *cpu)
{
    if (!(cpu->msr.kvm_steal_time & ENABLED))
        return;
    cpu->steal_from_ns = clock_now_ns();
    cpu->steal_from_cpu_ns = clock_thread_cpu_ns();
}

void soft_steal_update(struct soft_cpu *cpu)
{
    uint64_t msr = cpu->msr.kvm_steal_time;
    if (!(msr & ENABLED))
        return;
    int64_t passed = clock_now_ns() - cpu->steal_from_ns;
    if (passed < MIN_NS)
        return;
    int64_t stolen = passed - (clock_thread_cpu_ns() - cpu->steal_from_cpu_ns);
    uint64_t gpa = msr & ~(RESERVED | ENABLED);
    struct pvclock_steal_time *to =
        guest_mem_ptr(cpu->vm->config.mem, gpa, sizeof(struct pvclock_steal_time));
    soft_steal_begin(cpu);
    if (!to || stolen <= 0)
        return;
    pvclock_write_steal(to, le64_read(&to->steal) + (uint64_t)stolen, false);
    guest_mem_mark_dirty(cpu->vm->config.mem, gpa, sizeof(*to));
}
