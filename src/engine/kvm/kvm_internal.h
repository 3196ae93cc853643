/* What the files of engine/kvm share.
 *
 *   kvm_engine.c  the table of slots, opening and checking /dev/kvm
 *   kvm_vm.c      VM, memory slots, dirty log, clock
 *   kvm_irq.c     MSI, routes and irqfds, IOAPIC pins, ioeventfds
 *   kvm_vcpu.c    vCPUs: the run loop and its exits, kicks, ExtINT
 *   kvm_state.c   architectural state in and out
 *   kvm_probe.c   whether this host's KVM really runs guests (probe_guest.S)
 *
 * Locks: kvm_vm.routes_lock, then msi_route.lock; both are leaves for everybody else. */
#ifndef ENGINE_KVM_KVM_INTERNAL_H
#define ENGINE_KVM_KVM_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "bus/memory_map.h"
#include "engine/engine_provider.h"

#define KVM_PINS MEMORY_MAP_IOAPIC_PINS

struct kvm_vm {
    struct engine_vm base;
    struct engine_vm_config config; /* the same as base.config, there from the start */
    int fd;
    int run_bytes; /* size of a vCPU's struct kvm_run mapping */
    bool has_xcrs, has_tsc_control;
    uint32_t n_msrs; /* what of our list of MSRs this KVM knows */
    uint32_t msrs[ENGINE_MSRS_MAX];

    uint64_t *dirty_scratch; /* while the dirty log is on; as long as the largest region needs */

    _Atomic(struct kvm_vcpu *) boot_vcpu; /* takes ExtINT */

    pthread_mutex_t routes_lock;
    struct msi_route *routes; /* those that have a GSI */
    unsigned n_routes, max_routes;
    struct bus_ioapic_pin pins[KVM_PINS]; /* as in the kernel's table now */
    struct kvm_irq_routing *table;        /* scratch for KVM_SET_GSI_ROUTING */
};

struct kvm_vcpu {
    struct engine_vcpu base;
    struct kvm_vm *vm;
    unsigned index;
    int fd;
    struct kvm_run *run;
    _Atomic bool kicked; /* a kick that no engine_vcpu_run() has reported yet */
    _Atomic int tid;     /* the thread inside run(), 0 when none is */
    int extint_vector;   /* taken from the 8259 and not yet accepted by KVM, or -1 */
};

/* ioctl(2) that returns -errno. */
static inline int kvm_ioctl(int fd, unsigned long request, const void *arg)
{
    int ret;
    do
        ret = ioctl(fd, request, arg);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

/* An open, checked /dev/kvm: a duplicate of in->kvm_fd, or opened by path. Errors: one sentence. */
int kvm_open(const struct engine_probe_input *in, struct err *err);
/* Reads the host's supported CPUID. `c` has room for ENGINE_CPUID_MAX entries. */
int kvm_read_cpuid(int kvm_fd, struct kvm_cpuid2 *c, struct err *err);

int kvm_probe(const struct engine_probe_input *in, struct err *err);

int kvm_vm_create(const struct engine_probe_input *in, const struct engine_vm_config *config,
                  struct engine_vm **vm, struct err *err);
void kvm_vm_destroy(struct engine_vm *vm);
int kvm_vm_dirty_start(struct engine_vm *vm, struct err *err);
int kvm_vm_dirty_take(struct engine_vm *vm, unsigned region, uint64_t *bitmap, struct err *err);
void kvm_vm_dirty_stop(struct engine_vm *vm);
int kvm_vm_get_clock(struct engine_vm *vm, struct kvm_clock_data *clock, struct err *err);
int kvm_vm_set_clock(struct engine_vm *vm, const struct kvm_clock_data *clock, struct err *err);

extern const struct bus_engine_ops kvm_irq_bus_ops;
int kvm_irq_init(struct kvm_vm *vm, int kvm_fd, struct err *err);
void kvm_irq_fini(struct kvm_vm *vm);
int kvm_irq_set_ioapic(struct engine_vm *vm, const struct bus_ioapic_pin *pins);

int kvm_vcpu_create(struct engine_vm *vm, unsigned index, struct engine_vcpu **vcpu,
                    struct err *err);
void kvm_vcpu_destroy(struct engine_vcpu *vcpu);
int kvm_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, unsigned n,
                       struct err *err);
void kvm_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info);
void kvm_vcpu_kick(struct engine_vcpu *vcpu);
void kvm_vcpu_nmi(struct engine_vcpu *vcpu);
void kvm_vcpu_paused(struct engine_vcpu *vcpu);
void kvm_vcpu_extint(struct engine_vm *vm);
int kvm_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                       struct err *err);
/* Installs the handler of the kick signal. */
int kvm_vcpu_prepare_signal(struct err *err);

/* Fills vm->msrs. */
int kvm_state_list_msrs(struct kvm_vm *vm, int kvm_fd, struct err *err);
int kvm_state_get(struct engine_vcpu *vcpu, struct engine_vcpu_state *state, struct err *err);
int kvm_state_set(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state, struct err *err);
int kvm_state_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                       struct err *err);
int kvm_state_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                       const struct kvm_sregs *sregs, struct err *err);

#endif
