#include "engine/soft/soft_engine.h"

#include <errno.h>

#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_state.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"

static int probe(const struct engine_probe_input *in, struct err *err)
{
    if (!__builtin_cpu_supports("sse4.2"))
        return err_set(
            err, ENODEV,
            "the soft engine needs a host CPU with SSE4.2 (x86-64-v2), this one lacks it");
    return 0;
}

static int supported_cpuid(const struct engine_probe_input *in, struct kvm_cpuid_entry2 *entries,
                           struct err *err)
{
    return soft_cpuid_supported(entries, ENGINE_CPUID_MAX, err);
}

const struct engine soft_engine = {
    .name = "soft",
    .probe = probe,
    .supported_cpuid = supported_cpuid,
    .vm_create = soft_vm_create,
    .vm_destroy = soft_vm_destroy,
    .bus_ops = &soft_irq_bus_ops,
    .set_ioapic = soft_irq_set_ioapic,
    .extint = soft_irq_extint,
    .dirty_start = soft_vm_dirty_start,
    .dirty_take = soft_vm_dirty_take,
    .dirty_stop = soft_vm_dirty_stop,
    .get_clock = soft_vm_get_clock,
    .set_clock = soft_vm_set_clock,
    .vcpu_create = soft_vcpu_create,
    .vcpu_destroy = soft_vcpu_destroy,
    .set_cpuid = soft_vcpu_set_cpuid,
    .run = soft_vcpu_run,
    .kick = soft_vcpu_kick,
    .nmi = soft_vcpu_nmi,
    .paused = soft_vcpu_paused,
    .insns = soft_vcpu_insns,
    .get_state = soft_state_get,
    .set_state = soft_state_set,
    .get_regs = soft_state_get_regs,
    .set_regs = soft_state_set_regs,
    .set_debug = soft_vcpu_set_debug,
};
