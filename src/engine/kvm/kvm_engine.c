#include "engine/kvm/kvm_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/kvm/kvm_internal.h"

/* What a VM of ours cannot do without. */
static const struct {
    int cap;
    const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP"},
    {KVM_CAP_X2APIC_API, "KVM_CAP_X2APIC_API"},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
    {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
    {KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_USER_NMI, "KVM_CAP_USER_NMI"},
    {KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK"},
    {KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ"},
    {KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
};

int kvm_open(const struct engine_probe_input *in, struct err *err)
{
    CLEANUP_CLOSE int fd = in->kvm_fd >= 0 ? fcntl(in->kvm_fd, F_DUPFD_CLOEXEC, 0)
                                           : open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int code = errno;
        if (code == ENOENT)
            return err_set(err, code,
                           "there is no /dev/kvm: hardware virtualization is switched "
                           "off, or the kernel module is not loaded");
        if (code == EACCES || code == EPERM)
            return err_set(err, code,
                           "/dev/kvm may not be opened by this user: add it to the "
                           "group kvm");
        return err_sys(err, code, "could not open /dev/kvm");
    }
    int version = kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
    if (version != KVM_API_VERSION)
        return err_set(err, ENODEV, "/dev/kvm has API version %d instead of %d", version,
                       KVM_API_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (kvm_ioctl(fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)needed[i].cap) <= 0)
            return err_set(err, ENODEV, "this kernel's KVM lacks %s", needed[i].name);
    return steal_fd(&fd);
}

int kvm_read_cpuid(int kvm_fd, struct kvm_cpuid2 *c, struct err *err)
{
    c->nent = ENGINE_CPUID_MAX;
    int ret = kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c);
    return ret < 0 ? err_sys(err, -ret, "could not read what CPUID this KVM supports") : 0;
}

static int supported_cpuid(const struct engine_probe_input *in, struct kvm_cpuid_entry2 *entries,
                           struct err *err)
{
    CLEANUP_CLOSE int fd = kvm_open(in, err);
    if (fd < 0)
        return fd;
    CLEANUP_FREE struct kvm_cpuid2 *c =
        calloc(1, sizeof(*c) + ENGINE_CPUID_MAX * sizeof(c->entries[0]));
    if (!c)
        return err_set(err, ENOMEM, "could not allocate a CPUID table");
    int ret = kvm_read_cpuid(fd, c, err);
    if (ret)
        return ret;
    memcpy(entries, c->entries, c->nent * sizeof(entries[0]));
    return (int)c->nent;
}

const struct engine kvm_engine = {
    .name = "kvm",
    .probe = kvm_probe,
    .supported_cpuid = supported_cpuid,
    .vm_create = kvm_vm_create,
    .vm_destroy = kvm_vm_destroy,
    .bus_ops = &kvm_irq_bus_ops,
    .set_ioapic = kvm_irq_set_ioapic,
    .extint = kvm_vcpu_extint,
    .dirty_start = kvm_vm_dirty_start,
    .dirty_take = kvm_vm_dirty_take,
    .dirty_stop = kvm_vm_dirty_stop,
    .get_clock = kvm_vm_get_clock,
    .set_clock = kvm_vm_set_clock,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .set_cpuid = kvm_vcpu_set_cpuid,
    .run = kvm_vcpu_run,
    .kick = kvm_vcpu_kick,
    .nmi = kvm_vcpu_nmi,
    .paused = kvm_vcpu_paused,
    .get_state = kvm_state_get,
    .set_state = kvm_state_set,
    .get_regs = kvm_state_get_regs,
    .set_regs = kvm_state_set_regs,
    .set_debug = kvm_vcpu_set_debug,
};
