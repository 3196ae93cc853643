/* vCPUs: the run loop and what makes it return.
 *
 * Kicks. A kicker stores `kicked`, then struct kvm_run's immediate_exit, then signals the thread if
 * one is inside run(). The vCPU clears immediate_exit before it looks at `kicked`. So a kick that
 * comes before the look is seen by it; one that comes between the look and KVM_RUN makes that
 * return at once because of immediate_exit; one that comes later is a signal to a thread in KVM_RUN
 * or one about to check immediate_exit. None is lost and none needs the thread's signal mask.
 *
 * Every return goes through KVM_RUN once more after the last I/O exit: KVM finishes an I/O
 * instruction only when it is entered again (api.rst, 5. "The kvm_run structure"), and with
 * immediate_exit set it does that and nothing else. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/kvm/kvm_internal.h"

static struct kvm_vcpu *to_kvm(struct engine_vcpu *vcpu)
{
    return container_of(vcpu, struct kvm_vcpu, base);
}

/* ---- creation ---- */

static void on_kick_signal(int sig)
{
    /* Its arrival is all that is wanted: it takes the thread out of KVM_RUN. */
}

int kvm_vcpu_prepare_signal(struct err *err)
{
    struct sigaction sa = {.sa_handler = on_kick_signal};
    sigemptyset(&sa.sa_mask);
    if (sigaction(KVM_ENGINE_KICK_SIGNAL, &sa, NULL) < 0)
        return err_sys(err, errno, "could not install the handler of signal %d",
                       KVM_ENGINE_KICK_SIGNAL);
    return 0;
}

int kvm_vcpu_create(struct engine_vm *base, unsigned index, struct engine_vcpu **out,
                    struct err *err)
{
    struct kvm_vm *vm = container_of(base, struct kvm_vm, base);
    struct kvm_vcpu *v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(err, ENOMEM, "could not allocate vCPU %u", index);
    *v = (struct kvm_vcpu){.vm = vm, .index = index, .extint_vector = -1};
    v->fd = kvm_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
    if (v->fd < 0) {
        int ret = err_sys(err, -v->fd, "KVM could not create vCPU %u", index);
        free(v);
        return ret;
    }
    void *run = mmap(NULL, (size_t)vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED) {
        int ret = err_sys(err, errno, "could not map the run page of vCPU %u", index);
        close(v->fd);
        free(v);
        return ret;
    }
    v->run = run;
    if (index == 0)
        atomic_store(&vm->boot_vcpu, v);
    *out = &v->base;
    return 0;
}

void kvm_vcpu_destroy(struct engine_vcpu *vcpu)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    struct kvm_vcpu *self = v;
    atomic_compare_exchange_strong(&v->vm->boot_vcpu, &self, NULL);
    munmap(v->run, (size_t)v->vm->run_bytes);
    close(v->fd);
    free(v);
}

int kvm_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, unsigned n,
                       struct err *err)
{
    CLEANUP_FREE struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));
    if (!c)
        return err_set(err, ENOMEM, "could not allocate a CPUID table");
    c->nent = n;
    if (n)
        memcpy(c->entries, entries, n * sizeof(entries[0]));
    int ret = kvm_ioctl(to_kvm(vcpu)->fd, KVM_SET_CPUID2, c);
    return ret < 0 ? err_sys(err, -ret, "KVM refused the CPUID of vCPU %u", vcpu->index) : 0;
}

/* ---- being interrupted ---- */

static void poke(struct kvm_vcpu *v)
{
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    int tid = atomic_load(&v->tid);
    if (tid)
        syscall(SYS_tgkill, getpid(), tid, KVM_ENGINE_KICK_SIGNAL);
}

void kvm_vcpu_kick(struct engine_vcpu *vcpu)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    atomic_store(&v->kicked, true);
    poke(v);
}

void kvm_vcpu_nmi(struct engine_vcpu *vcpu)
{
    kvm_ioctl(to_kvm(vcpu)->fd, KVM_NMI, NULL);
}

void kvm_vcpu_paused(struct engine_vcpu *vcpu)
{
    /* EINVAL means that the guest does not use kvmclock. */
    kvm_ioctl(to_kvm(vcpu)->fd, KVM_KVMCLOCK_CTRL, NULL);
}

void kvm_vcpu_extint(struct engine_vm *base)
{
    struct kvm_vcpu *v = atomic_load(&container_of(base, struct kvm_vm, base)->boot_vcpu);
    if (v && atomic_load(&v->tid) != (int)gettid())
        poke(v);
}

int kvm_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                       struct err *err)
{
    int ret = kvm_ioctl(to_kvm(vcpu)->fd, KVM_SET_GUEST_DEBUG, debug);
    return ret < 0 ? err_sys(err, -ret, "KVM refused the breakpoints of vCPU %u", vcpu->index) : 0;
}

/* Gives the 8259's interrupt to the boot vCPU if it can take one, else asks KVM to exit as soon as
 * it can. What ready_for_interrupt_injection says is as of the last exit, and KVM does not count a
 * vector that it holds already: then it answers EEXIST and the vector waits here. */
static void offer_extint(struct kvm_vcpu *v)
{
    const struct engine_vm_config *c = &v->vm->config;
    v->run->request_interrupt_window = 0;
    if (!c->irqchip || (v->extint_vector < 0 && !c->irqchip->extint_pending(c->irqchip_opaque)))
        return;
    if (v->run->ready_for_interrupt_injection) {
        if (v->extint_vector < 0)
            v->extint_vector = c->irqchip->extint_acknowledge(c->irqchip_opaque);
        if (v->extint_vector >= 0) {
            const struct kvm_interrupt irq = {.irq = (uint32_t)v->extint_vector};
            if (kvm_ioctl(v->fd, KVM_INTERRUPT, &irq) >= 0) {
                v->extint_vector = -1;
                v->run->ready_for_interrupt_injection = 0;
            }
        }
    }
    if (v->extint_vector >= 0 || c->irqchip->extint_pending(c->irqchip_opaque))
        v->run->request_interrupt_window = 1;
}

/* ---- exits ---- */

static void exit_io(struct kvm_vcpu *v)
{
    struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_OUT)
            bus_access_write(v->vm->config.bus, BUS_PIO, run->io.port, data, run->io.size);
        else
            bus_access_read(v->vm->config.bus, BUS_PIO, run->io.port, data, run->io.size);
    }
}

static void exit_mmio(struct kvm_vcpu *v)
{
    struct kvm_run *run = v->run;
    engine_mmio(v->vm->config.bus, run->mmio.phys_addr, run->mmio.data,
                MIN(run->mmio.len, sizeof(run->mmio.data)), run->mmio.is_write);
}

/* The bytes at rip, as text, for a person who has to find out what stopped the guest. */
static void code_at_rip(struct kvm_vcpu *v, char *text, size_t text_bytes, uint64_t *rip)
{
    struct kvm_regs regs = {0};
    struct kvm_sregs sregs = {0};
    uint8_t code[15];
    unsigned n = 0;
    kvm_ioctl(v->fd, KVM_GET_REGS, &regs);
    kvm_ioctl(v->fd, KVM_GET_SREGS, &sregs);
    *rip = regs.rip;
    bool flat = (sregs.efer & (1u << 10)) && sregs.cs.l;
    for (; n < sizeof(code); n++) {
        struct kvm_translation t = {.linear_address = regs.rip + n + (flat ? 0 : sregs.cs.base)};
        if (kvm_ioctl(v->fd, KVM_TRANSLATE, &t) < 0 || !t.valid ||
            guest_mem_read(v->vm->config.mem, t.physical_address, &code[n], 1) < 0)
            break;
    }
    text[0] = '\0';
    for (unsigned i = 0, at = 0; i < n && at + 4 < text_bytes; i++, at += 3)
        snprintf(text + at, text_bytes - at, "%02x ", code[i]);
    if (n)
        text[strlen(text) - 1] = '\0';
    else
        snprintf(text, text_bytes, "unreadable");
}

static void fail(struct kvm_vcpu *v, struct engine_exit_info *info, const char *what)
{
    char code[64];
    uint64_t rip;
    code_at_rip(v, code, sizeof(code), &rip);
    info->reason = ENGINE_EXIT_ERROR;
    err_set(&info->err, EIO, "vCPU %u stopped: %s at rip 0x%llx, code %s", v->index, what,
            (unsigned long long)rip, code);
}

static void fail_internal(struct kvm_vcpu *v, struct engine_exit_info *info)
{
    char what[96];
    if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
        snprintf(what, sizeof(what), "KVM cannot emulate the instruction");
    else
        snprintf(what, sizeof(what), "KVM internal error %u (data 0x%llx)",
                 v->run->internal.suberror,
                 v->run->internal.ndata ? (unsigned long long)v->run->internal.data[0] : 0ULL);
    fail(v, info, what);
}

/* Handles what KVM_RUN returned with. False ends the run: *info is filled in. */
static bool handle_exit(struct kvm_vcpu *v, struct engine_exit_info *info)
{
    struct kvm_run *run = v->run;
    const struct engine_vm_config *c = &v->vm->config;
    char what[96];
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        exit_io(v);
        return true;
    case KVM_EXIT_MMIO:
        exit_mmio(v);
        return true;
    case KVM_EXIT_IOAPIC_EOI:
        if (c->irqchip)
            c->irqchip->eoi(c->irqchip_opaque, run->eoi.vector);
        return true;
    case KVM_EXIT_IRQ_WINDOW_OPEN: /* offer_extint() comes next */
    case KVM_EXIT_INTR:
    case KVM_EXIT_NMI: /* the host's, and already handled by it */
        return true;
    case KVM_EXIT_SHUTDOWN:
        info->reason = ENGINE_EXIT_SHUTDOWN;
        return false;
    case KVM_EXIT_SYSTEM_EVENT:
        if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ||
            run->system_event.type == KVM_SYSTEM_EVENT_RESET) {
            info->reason = ENGINE_EXIT_SHUTDOWN;
            return false;
        }
        snprintf(what, sizeof(what), "KVM system event %u", run->system_event.type);
        break;
    case KVM_EXIT_HLT: /* only without a local APIC in the kernel */
        info->reason = ENGINE_EXIT_HALTED;
        return false;
    case KVM_EXIT_DEBUG:
        info->reason = ENGINE_EXIT_DEBUG;
        info->debug = run->debug.arch;
        return false;
    case KVM_EXIT_INTERNAL_ERROR:
        fail_internal(v, info);
        return false;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(what, sizeof(what), "the host CPU refused the guest's state (reason 0x%llx)",
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
        break;
    default:
        snprintf(what, sizeof(what), "unexpected KVM exit %u", run->exit_reason);
        break;
    }
    fail(v, info, what);
    return false;
}

static void run_guest(struct kvm_vcpu *v, struct engine_exit_info *info)
{
    for (;;) {
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (atomic_load(&v->kicked))
            __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        else if (v->index == 0)
            offer_extint(v);
        int ret = ioctl(v->fd, KVM_RUN, NULL);
        if (ret < 0 && errno == EINTR) {
            if (atomic_exchange(&v->kicked, false)) {
                info->reason = ENGINE_EXIT_KICKED;
                return;
            }
        } else if (ret < 0 && errno != EAGAIN) { /* EAGAIN: a SIPI has just arrived */
            int code = errno;
            char what[96];
            snprintf(what, sizeof(what), "KVM_RUN failed with errno %d", code);
            fail(v, info, what);
            return;
        } else if (ret >= 0 && !handle_exit(v, info)) {
            return;
        }
    }
}

void kvm_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    sigset_t kick;
    sigemptyset(&kick);
    sigaddset(&kick, KVM_ENGINE_KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    atomic_store(&v->tid, (int)gettid());
    run_guest(v, info);
    atomic_store(&v->tid, 0);
}
