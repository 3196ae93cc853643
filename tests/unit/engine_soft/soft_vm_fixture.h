/* A VM of the soft engine whose vCPUs a test looks inside of. */
#ifndef TESTS_UNIT_ENGINE_SOFT_SOFT_VM_FIXTURE_H
#define TESTS_UNIT_ENGINE_SOFT_SOFT_VM_FIXTURE_H

#include "../tap.h"
#include "base/util.h"
#include "engine/soft/soft_engine.h"
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/soft_vm.h"

#define FIXTURE_RAM_BYTES (UINT64_C(2) << 20)
#define FIXTURE_VCPUS_MAX 2

struct soft_fixture {
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    unsigned n;
    struct engine_vcpu *vcpus[FIXTURE_VCPUS_MAX];
    struct soft_cpu *cpus[FIXTURE_VCPUS_MAX];
};

static bool soft_fixture_open(struct soft_fixture *f, unsigned n_vcpus)
{
    struct engine_probe_input in = {.kvm_fd = -1};
    static struct kvm_cpuid_entry2 entries[ENGINE_CPUID_MAX];
    memset(f, 0, sizeof(*f));
    bus_init(&f->bus);
    struct engine_vm_config config = {.n_vcpus = n_vcpus, .mem = &f->mem, .bus = &f->bus};
    if (guest_mem_init(&f->mem, FIXTURE_RAM_BYTES, 0, NULL) < 0 ||
        engine_vm_create(&soft_engine, &in, &config, &f->vm, NULL) < 0)
        return false;
    int n = engine_supported_cpuid(&soft_engine, &in, entries, NULL);
    for (; f->n < n_vcpus; f->n++) {
        if (engine_vcpu_create(f->vm, f->n, &f->vcpus[f->n], NULL) < 0 ||
            engine_vcpu_set_cpuid(f->vcpus[f->n], entries, (unsigned)n, NULL) < 0)
            return false;
        f->cpus[f->n] = &container_of(f->vcpus[f->n], struct soft_vcpu, base)->cpu;
    }
    return true;
}

static void soft_fixture_close(struct soft_fixture *f)
{
    for (unsigned i = 0; i < f->n; i++)
        engine_vcpu_destroy(f->vcpus[i]);
    engine_vm_destroy(f->vm);
    guest_mem_fini(&f->mem);
    bus_fini(&f->bus);
}

#endif
