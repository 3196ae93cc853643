/* A VM: its memory slots, dirty log and clock. One slot a region of guest RAM, with the region's
 * index as its number. */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/kvm/kvm_internal.h"

/* Newer than Debian 12's headers: do not offer the guest to suppress EOI broadcasts, so that the
 * EOI exits do not depend on what it chose. */
#ifndef KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST
#define KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST (1u << 3)
#endif

static struct kvm_vm *to_kvm(struct engine_vm *vm)
{
    return container_of(vm, struct kvm_vm, base);
}

/* (Re)registers one region, with or without a dirty log. */
static int set_slot(struct kvm_vm *vm, unsigned i, bool log, struct err *err)
{
    const struct guest_mem_region *r = &vm->config.mem->regions[i];
    const struct kvm_userspace_memory_region slot = {
        .slot = i,
        .flags = log ? KVM_MEM_LOG_DIRTY_PAGES : 0,
        .guest_phys_addr = r->gpa,
        .memory_size = r->size_bytes,
        .userspace_addr = (uintptr_t)r->hva,
    };
    int ret = kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
    if (ret < 0)
        return err_sys(err, -ret, "could not give KVM %llu bytes of guest RAM at 0x%llx",
                       (unsigned long long)r->size_bytes, (unsigned long long)r->gpa);
    return 0;
}

static int enable_cap(struct kvm_vm *vm, uint32_t cap, uint64_t arg, const char *name,
                      struct err *err)
{
    const struct kvm_enable_cap c = {.cap = cap, .args = {arg}};
    int ret = kvm_ioctl(vm->fd, KVM_ENABLE_CAP, &c);
    return ret < 0 ? err_sys(err, -ret, "could not enable %s", name) : 0;
}

/* In the order the kernel wants: addresses before vCPUs, irqchip before routes. */
static int set_up(struct kvm_vm *vm, int kvm_fd, struct err *err)
{
    uint64_t identity = MEMORY_MAP_KVM_IDENTITY;
    int ret = kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (ret < 0)
        return err_sys(err, -ret, "could not place KVM's identity map");
    ret = kvm_ioctl(vm->fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)MEMORY_MAP_KVM_TSS_BASE);
    if (ret < 0)
        return err_sys(err, -ret, "could not place KVM's task state segment");
    ret = enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, KVM_PINS, "KVM_CAP_SPLIT_IRQCHIP", err);
    if (ret)
        return ret;
    uint64_t offered =
        (uint64_t)kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_X2APIC_API);
    uint64_t wanted = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK |
                      KVM_X2APIC_DISABLE_SUPPRESS_EOI_BROADCAST;
    ret = enable_cap(vm, KVM_CAP_X2APIC_API, wanted & offered, "KVM_CAP_X2APIC_API", err);
    for (unsigned i = 0; !ret && i < vm->config.mem->n_regions; i++)
        ret = set_slot(vm, i, false, err);
    return ret;
}

static int read_limits(struct kvm_vm *vm, int kvm_fd, struct err *err)
{
    int max = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_MAX_VCPUS);
    if ((int)vm->config.n_vcpus > max)
        return err_set(err, EINVAL, "this host's KVM takes at most %d vCPUs a VM, not %u", max,
                       vm->config.n_vcpus);
    vm->run_bytes = kvm_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (vm->run_bytes < (int)sizeof(struct kvm_run))
        return err_set(err, ENODEV, "KVM's vCPU page has %d bytes instead of at least %zu",
                       vm->run_bytes, sizeof(struct kvm_run));
    vm->has_xcrs = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_XCRS) > 0;
    vm->has_tsc_control =
        kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_TSC_CONTROL) > 0;
    return kvm_state_list_msrs(vm, kvm_fd, err);
}

int kvm_vm_create(const struct engine_probe_input *in, const struct engine_vm_config *config,
                  struct engine_vm **out, struct err *err)
{
    CLEANUP_CLOSE int kvm_fd = kvm_open(in, err);
    if (kvm_fd < 0)
        return kvm_fd;
    struct kvm_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_set(err, ENOMEM, "could not allocate a VM");
    vm->config = *config;
    pthread_mutex_init(&vm->routes_lock, NULL);
    /* KVM_CREATE_VM may be interrupted: kvm_ioctl() tries again. */
    vm->fd = kvm_ioctl(kvm_fd, KVM_CREATE_VM, NULL);
    int ret = vm->fd < 0 ? err_sys(err, -vm->fd, "KVM could not create a VM") : 0;
    if (!ret)
        ret = read_limits(vm, kvm_fd, err);
    if (!ret)
        ret = set_up(vm, kvm_fd, err);
    if (!ret)
        ret = kvm_irq_init(vm, kvm_fd, err);
    if (!ret)
        ret = kvm_vcpu_prepare_signal(err);
    if (ret) {
        kvm_vm_destroy(&vm->base);
        return ret;
    }
    *out = &vm->base;
    return 0;
}

void kvm_vm_destroy(struct engine_vm *base)
{
    struct kvm_vm *vm = to_kvm(base);
    kvm_irq_fini(vm);
    free(vm->dirty_scratch);
    if (vm->fd >= 0)
        close(vm->fd);
    pthread_mutex_destroy(&vm->routes_lock);
    free(vm);
}

/* ---- dirty log ---- */

/* 64-bit words in the bitmap of a region. */
static uint64_t bitmap_words(const struct guest_mem_region *r)
{
    return align_up(r->size_bytes / GUEST_MEM_PAGE_BYTES, 64) / 64;
}

int kvm_vm_dirty_start(struct engine_vm *base, struct err *err)
{
    struct kvm_vm *vm = to_kvm(base);
    const struct guest_mem *mem = vm->config.mem;
    uint64_t words = 0;
    for (unsigned i = 0; i < mem->n_regions; i++)
        words = MAX(words, bitmap_words(&mem->regions[i]));
    if (!vm->dirty_scratch)
        vm->dirty_scratch = calloc(words, sizeof(uint64_t));
    if (!vm->dirty_scratch)
        return err_set(err, ENOMEM, "could not allocate a dirty bitmap of %llu bytes",
                       (unsigned long long)(words * sizeof(uint64_t)));
    for (unsigned i = 0; i < mem->n_regions; i++) {
        int ret = set_slot(vm, i, true, err);
        if (ret) {
            kvm_vm_dirty_stop(base);
            return ret;
        }
    }
    return 0;
}

int kvm_vm_dirty_take(struct engine_vm *base, unsigned region, uint64_t *bitmap, struct err *err)
{
    struct kvm_vm *vm = to_kvm(base);
    if (!vm->dirty_scratch)
        return err_set(err, EINVAL, "the dirty log is not on");
    const struct kvm_dirty_log log = {.slot = region, .dirty_bitmap = vm->dirty_scratch};
    int ret = kvm_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
    if (ret < 0)
        return err_sys(err, -ret, "could not read the dirty log of memory region %u", region);
    uint64_t words = bitmap_words(&vm->config.mem->regions[region]);
    for (uint64_t i = 0; i < words; i++)
        bitmap[i] |= vm->dirty_scratch[i];
    return 0;
}

void kvm_vm_dirty_stop(struct engine_vm *base)
{
    struct kvm_vm *vm = to_kvm(base);
    if (!vm->dirty_scratch)
        return;
    for (unsigned i = 0; i < vm->config.mem->n_regions; i++)
        set_slot(vm, i, false, NULL);
    free(vm->dirty_scratch);
    vm->dirty_scratch = NULL;
}

/* ---- time ---- */

int kvm_vm_get_clock(struct engine_vm *base, struct kvm_clock_data *clock, struct err *err)
{
    struct kvm_clock_data now = {0};
    int ret = kvm_ioctl(to_kvm(base)->fd, KVM_GET_CLOCK, &now);
    if (ret < 0)
        return err_sys(err, -ret, "could not read the VM's clock");
    *clock = now;
    return 0;
}

int kvm_vm_set_clock(struct engine_vm *base, const struct kvm_clock_data *clock, struct err *err)
{
    /* Of what KVM_GET_CLOCK reports, only this flag may be given back: it asks that the time
     * between saving and loading be added. The caller leaves or clears it. */
    struct kvm_clock_data set = *clock;
    set.flags &= KVM_CLOCK_REALTIME;
    int ret = kvm_ioctl(to_kvm(base)->fd, KVM_SET_CLOCK, &set);
    return ret < 0 ? err_sys(err, -ret, "could not set the VM's clock") : 0;
}
