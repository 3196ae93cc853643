/* For those who implement a CPU engine: the ops that engine.h dispatches to, slot by slot, and what
 * every engine embeds in its own structs.
 *
 * An engine is a const struct engine; a program lists the ones it has in a const table and gives
 * the table to engine_select(). engine.h says what users may rely on; this header says what the
 * slots are given and must do.
 *
 * Locks. The slots that engine.h marks "any thread" are called with or without the device lock and
 * with interrupt controller locks held (msi_signal comes from inside the IOAPIC's): what an engine
 * locks there must be leaves. The irqchip callbacks (engine_irqchip_ops) take the controllers'
 * locks and come back through msi_signal and set_ioapic: call them with none of those held. */
#ifndef ENGINE_ENGINE_PROVIDER_H
#define ENGINE_ENGINE_PROVIDER_H

#include "engine/engine.h"

/* First member of an engine's own VM. engine_vm_create() fills it in before and after vm_create. */
struct engine_vm {
    const struct engine *engine;
    struct engine_vm_config config; /* a copy; what it points to outlives the VM */
};

/* First member of an engine's own vCPU; filled in by engine_vcpu_create() likewise. */
struct engine_vcpu {
    struct engine_vm *vm;
    unsigned index;
};

struct engine {
    const char *name;
    bool by_name_only; /* "auto" passes it over: it runs no guests */

    /* 0, or a reason in one sentence. Leaves nothing behind; must return within about a second
     * even when the host's virtualization hangs. No threads: the caller may be about to fork. */
    int (*probe)(const struct engine_probe_input *in, struct err *err);
    /* As engine_supported_cpuid(). */
    int (*supported_cpuid)(const struct engine_probe_input *in, struct kvm_cpuid_entry2 *entries,
                           struct err *err);

    /* Allocates the engine's VM and maps config->mem. The engine_vm members are set on return.
     * in->kvm_fd stays the caller's and may be closed afterwards. */
    int (*vm_create)(const struct engine_probe_input *in, const struct engine_vm_config *config,
                     struct engine_vm **vm, struct err *err);
    /* All vCPUs are gone, and no other thread uses the VM's routes any more. */
    void (*vm_destroy)(struct engine_vm *vm);

    /* The bus seam; the `engine` argument of its slots is the struct engine_vm. */
    const struct bus_engine_ops *bus_ops;

    /* See engine.h; dirty_take ORs into a bitmap that is as long as the region needs. */
    int (*set_ioapic)(struct engine_vm *vm, const struct bus_ioapic_pin *pins);
    void (*extint)(struct engine_vm *vm);
    int (*dirty_start)(struct engine_vm *vm, struct err *err);
    int (*dirty_take)(struct engine_vm *vm, unsigned region, uint64_t *bitmap, struct err *err);
    void (*dirty_stop)(struct engine_vm *vm);
    int (*get_clock)(struct engine_vm *vm, struct kvm_clock_data *clock, struct err *err);
    int (*set_clock)(struct engine_vm *vm, const struct kvm_clock_data *clock, struct err *err);

    /* `index` is below config.n_vcpus and not in use (engine.c checks both). */
    int (*vcpu_create)(struct engine_vm *vm, unsigned index, struct engine_vcpu **vcpu,
                       struct err *err);
    void (*vcpu_destroy)(struct engine_vcpu *vcpu);
    int (*set_cpuid)(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, unsigned n,
                     struct err *err);

    /* Runs until one of enum engine_exit. *info is zeroed before. I/O goes to config.bus by
     * bus_access_*() or engine_mmio(), without any lock held. A kick that arrives at any moment
     * before the return is either reported by this return or by the next. */
    void (*run)(struct engine_vcpu *vcpu, struct engine_exit_info *info);
    void (*kick)(struct engine_vcpu *vcpu);
    void (*nmi)(struct engine_vcpu *vcpu);
    /* Optional (NULL). */
    void (*paused)(struct engine_vcpu *vcpu);
    /* Optional: see engine_vcpu_insns(). */
    uint64_t (*insns)(struct engine_vcpu *vcpu);

    int (*get_state)(struct engine_vcpu *vcpu, struct engine_vcpu_state *state, struct err *err);
    int (*set_state)(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state,
                     struct err *err);
    int (*get_regs)(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                    struct err *err);
    int (*set_regs)(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                    const struct kvm_sregs *sregs, struct err *err);
    int (*set_debug)(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                     struct err *err);
};

/* One MMIO access of an engine, of any length from 1 to 8: the bus takes powers of two, so what an
 * unaligned access leaves on one side of a page is cut into those, lowest address first. */
void engine_mmio(struct bus *bus, uint64_t gpa, void *data, unsigned len, bool is_write);

#endif
