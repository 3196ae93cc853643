/* The CPU engine seam: what executes guest instructions. `kvm` with hardware help, `soft` by
 * interpretation or translation, `null` for tests that drive devices with no guest at all.
 *
 * An engine runs vCPUs and calls the bus (bus/bus.h) for every port and MMIO access; it delivers
 * MSIs to local APICs (its own or the kernel's). The IOAPIC, 8259 and 8254 are user-space devices
 * (apic/), the same for every engine: they reach the CPU as MSIs and through ExtINT below.
 *
 * State travels in Linux's own KVM structs, so that a vCPU saved under one engine loads under
 * another. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "mem/guest_mem.h"
#include "state/state.h"
#include "x86/msr.h"

struct engine;      /* a kind of engine: see engine_provider.h for its ops */
struct engine_vm;   /* one VM on it */
struct engine_vcpu; /* one vCPU of a VM */

/* What a probe and a VM start from: a sandboxed process was given its /dev/kvm. */
struct engine_probe_input {
    int kvm_fd; /* an open /dev/kvm, or -1 to open it by path */
};

#define ENGINE_CPUID_MAX 256
#define ENGINE_MSRS_MAX  X86_SAVED_MSRS_MAX
#define ENGINE_VCPUS_MAX 64

/* What the interrupt controllers offer to an engine. Called from vCPU threads without the device
 * lock. */
struct engine_irqchip_ops {
    /* A level-triggered vector was acknowledged by the guest: IOAPIC pins may fire again. */
    void (*eoi)(void *opaque, uint8_t vector);
    /* Whether the 8259 asserts INTR, and the acknowledge cycle that takes its vector (-1: gone). */
    bool (*extint_pending)(void *opaque);
    int (*extint_acknowledge)(void *opaque);
};

struct engine_vm_config {
    unsigned n_vcpus;
    struct guest_mem *mem;
    struct bus *bus;
    const struct engine_irqchip_ops *irqchip;
    void *irqchip_opaque;
    /* What the program wants done first in each thread that the engine itself starts (a seccomp
     * filter); NULL: nothing. vCPU threads are the machine's. */
    int (*thread_enter)(void *opaque, const char *thread_name, struct err *err);
    void *thread_opaque;
};

enum engine_exit {
    ENGINE_EXIT_KICKED,   /* engine_vcpu_kick() or a signal */
    ENGINE_EXIT_SHUTDOWN, /* triple fault */
    ENGINE_EXIT_HALTED,   /* hlt with nothing that can wake it (engines that handle hlt inside never
                             return it) */
    ENGINE_EXIT_DEBUG,    /* breakpoint or single step asked for by engine_vcpu_set_debug() */
    ENGINE_EXIT_ERROR,    /* the engine cannot go on: see engine_exit_info.err */
};

struct engine_exit_info {
    enum engine_exit reason;
    struct kvm_debug_exit_arch debug; /* with ENGINE_EXIT_DEBUG */
    struct err err;                   /* with ENGINE_EXIT_ERROR: what, at which rip, which bytes */
};

/* All architectural state of a vCPU. */
struct engine_vcpu_state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    struct kvm_mp_state mp_state;
    uint32_t tsc_khz;
    uint32_t n_msrs;
    struct kvm_msr_entry msrs[ENGINE_MSRS_MAX];
};

/* Looks for an engine of this name among `engines` (NULL-terminated, a const table of the
 * program). A name is taken at its word: creating a VM tells whether it works here. "auto" returns
 * the first whose probe passes; *why receives one sentence for each that was refused on the way.
 * Errors: ENOENT (no such name, list given), ENODEV (all refused, why). */
const struct engine *engine_select(const struct engine *const *engines, const char *name,
                                   const struct engine_probe_input *in, struct err *why);

/* One clear sentence in `err` if this host cannot run guests with the engine. Takes at most about
 * a second. */
int engine_probe(const struct engine *e, const struct engine_probe_input *in, struct err *err);
const char *engine_name(const struct engine *e);

/* Creates a VM and registers its RAM. Wire the bus with engine_vm_bus_ops() afterwards.
 * Owns: engine_vm_destroy(), after its vCPUs. */
int engine_vm_create(const struct engine *e, const struct engine_probe_input *in,
                     const struct engine_vm_config *config, struct engine_vm **vm, struct err *err);
void engine_vm_destroy(struct engine_vm *vm);
/* The bus seam of this VM; `engine` argument of its slots is the engine_vm. */
const struct bus_engine_ops *engine_vm_bus_ops(struct engine_vm *vm);

/* Tells the engine what the IOAPIC's pins send, so that it reports the EOI of level-triggered
 * ones. `pins` has MEMORY_MAP_IOAPIC_PINS entries; those for which no EOI can come have address 0.
 * Cheap when nothing that matters changed. Threads: any. */
int engine_vm_set_ioapic(struct engine_vm *vm, const struct bus_ioapic_pin *pins);

/* The 8259's INTR line changed: vCPU 0 looks at extint_pending(). Threads: any. */
void engine_vm_extint(struct engine_vm *vm);

/* Pages the guest wrote since the last call, region by region of guest_mem (bitmap as in
 * KVM_GET_DIRTY_LOG, one bit a page, in whole 64-bit words; ORed into what is there); each take
 * clears. Superset allowed, omissions never. */
int engine_vm_dirty_start(struct engine_vm *vm, struct err *err);
int engine_vm_dirty_take(struct engine_vm *vm, unsigned region, uint64_t *bitmap, struct err *err);
void engine_vm_dirty_stop(struct engine_vm *vm);

/* Time: kvmclock. Get while paused; set before vCPUs run again. */
int engine_vm_get_clock(struct engine_vm *vm, struct kvm_clock_data *clock, struct err *err);
int engine_vm_set_clock(struct engine_vm *vm, const struct kvm_clock_data *clock, struct err *err);

/* What CPUID the engine can offer on this host (host values where it passes them through).
 * `entries` holds ENGINE_CPUID_MAX. Returns the count or -errno. */
int engine_supported_cpuid(const struct engine *e, const struct engine_probe_input *in,
                           struct kvm_cpuid_entry2 *entries, struct err *err);

/* Creates vCPU `index` (= APIC id), in the wait-for-SIPI state unless index is 0. */
int engine_vcpu_create(struct engine_vm *vm, unsigned index, struct engine_vcpu **vcpu,
                       struct err *err);
void engine_vcpu_destroy(struct engine_vcpu *vcpu);
int engine_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries,
                          unsigned n, struct err *err);

/* Runs guest code until something needs the caller. Only the vCPU's own thread. */
void engine_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info);
/* Makes the current or the next engine_vcpu_run() return KICKED soon. Threads: any. */
void engine_vcpu_kick(struct engine_vcpu *vcpu);
void engine_vcpu_nmi(struct engine_vcpu *vcpu);

/* Tells the guest's own watchdogs that this vCPU was stopped on purpose (kvmclock's flag), so that
 * a long pause is not reported as a soft lockup. Call for each vCPU once it has left
 * engine_vcpu_run() for a pause. */
void engine_vcpu_paused(struct engine_vcpu *vcpu);
/* Instructions that it has executed, about; 0 where the engine does not count them. While it is not
 * inside engine_vcpu_run(). */
uint64_t engine_vcpu_insns(struct engine_vcpu *vcpu);

/* Only while the vCPU is not inside engine_vcpu_run(); any thread then. After a KICKED exit every
 * I/O instruction that had begun is complete, so what is read is a state between instructions.
 * Loading takes the CPUID the vCPU already has: engine_vcpu_set_cpuid() comes first.
 * Errors of set: ENOTSUP names the MSR or the struct that this host refuses. */
int engine_vcpu_get_state(struct engine_vcpu *vcpu, struct engine_vcpu_state *state,
                          struct err *err);
int engine_vcpu_set_state(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state,
                          struct err *err);
int engine_vcpu_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                         struct err *err);
int engine_vcpu_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                         const struct kvm_sregs *sregs, struct err *err);
int engine_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                          struct err *err);

/* Section "vcpu": encode and decode, the same on every engine. */
void engine_vcpu_state_save(const struct engine_vcpu_state *state, struct state_writer *w,
                            unsigned index);
int engine_vcpu_state_load(struct engine_vcpu_state *state, struct state_reader *r, unsigned index);

#endif
