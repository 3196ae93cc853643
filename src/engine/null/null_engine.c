#include "engine/null/null_engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/null/null_engine_internal.h"

struct null_vcpu {
    struct engine_vcpu base;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool kicked, has_exit;
    enum engine_exit exit;
    struct engine_vcpu_state state;
    struct kvm_guest_debug debug;
};

static struct null_vcpu *to_vcpu(struct engine_vcpu *vcpu)
{
    return container_of(vcpu, struct null_vcpu, base);
}

/* ---- the VM ---- */

static int probe(const struct engine_probe_input *in, struct err *err)
{
    return 0;
}

/* A small CPU with the features that every template needs, so that CPUID code can be tested. */
static int supported_cpuid(const struct engine_probe_input *in, struct kvm_cpuid_entry2 *entries,
                           struct err *err)
{
    static const struct kvm_cpuid_entry2 cpu[] = {
        {.function = 0, .eax = 7, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e},
        {.function = 1, .eax = 0x306c4, .ebx = 0x00000800, .ecx = 0x81b82201, .edx = 0x0f8bfbff},
        {.function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX},
        {.function = 0x80000000, .eax = 0x80000008},
        {.function = 0x80000001, .ecx = 0x00000001, .edx = 0x20100800},
        {.function = 0x80000008, .eax = 0x00003028},
    };
    memcpy(entries, cpu, sizeof(cpu));
    return ARRAY_LEN(cpu);
}

static int vm_create(const struct engine_probe_input *in, const struct engine_vm_config *config,
                     struct engine_vm **out, struct err *err)
{
    struct null_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_set(err, ENOMEM, "could not allocate a VM");
    pthread_mutex_init(&vm->lock, NULL);
    *out = &vm->base;
    return 0;
}

static void dirty_stop(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    pthread_mutex_lock(&vm->lock);
    for (unsigned i = 0; i < GUEST_MEM_REGIONS_MAX; i++) {
        free(vm->dirty[i]);
        vm->dirty[i] = NULL;
    }
    pthread_mutex_unlock(&vm->lock);
}

static void vm_destroy(struct engine_vm *base)
{
    struct null_vm *vm = null_engine_vm(base);
    dirty_stop(base);
    null_engine_routes_close(vm);
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

static uint64_t bitmap_words(const struct guest_mem_region *r)
{
    return align_up(r->size_bytes / GUEST_MEM_PAGE_BYTES, 64) / 64;
}

static int dirty_start(struct engine_vm *base, struct err *err)
{
    struct null_vm *vm = null_engine_vm(base);
    const struct guest_mem *mem = base->config.mem;
    int ret = 0;
    dirty_stop(base);
    pthread_mutex_lock(&vm->lock);
    for (unsigned i = 0; !ret && i < mem->n_regions; i++) {
        vm->dirty[i] = calloc(bitmap_words(&mem->regions[i]), sizeof(uint64_t));
        if (!vm->dirty[i])
            ret = err_set(err, ENOMEM, "could not allocate a dirty bitmap");
    }
    pthread_mutex_unlock(&vm->lock);
    return ret;
}

static int dirty_take(struct engine_vm *base, unsigned region, uint64_t *bitmap, struct err *err)
{
    struct null_vm *vm = null_engine_vm(base);
    int ret = 0;
    pthread_mutex_lock(&vm->lock);
    uint64_t words = bitmap_words(&base->config.mem->regions[region]);
    if (!vm->dirty[region])
        ret = err_set(err, EINVAL, "the dirty log is not on");
    for (uint64_t i = 0; !ret && i < words; i++) {
        bitmap[i] |= vm->dirty[region][i];
        vm->dirty[region][i] = 0;
    }
    pthread_mutex_unlock(&vm->lock);
    return ret;
}

static int get_clock(struct engine_vm *base, struct kvm_clock_data *clock, struct err *err)
{
    *clock = null_engine_vm(base)->clock;
    return 0;
}

static int set_clock(struct engine_vm *base, const struct kvm_clock_data *clock, struct err *err)
{
    null_engine_vm(base)->clock = *clock;
    return 0;
}

/* ---- vCPUs ---- */

static int vcpu_create(struct engine_vm *vm, unsigned index, struct engine_vcpu **out,
                       struct err *err)
{
    struct null_vcpu *v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(err, ENOMEM, "could not allocate vCPU %u", index);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->wake, NULL);
    v->state.mp_state.mp_state = index ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
    v->state.regs.rip = 0xfff0;
    v->state.regs.rflags = 2;
    *out = &v->base;
    return 0;
}

static void vcpu_destroy(struct engine_vcpu *vcpu)
{
    struct null_vcpu *v = to_vcpu(vcpu);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

static int set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, unsigned n,
                     struct err *err)
{
    return 0;
}

static void run(struct engine_vcpu *vcpu, struct engine_exit_info *info)
{
    struct null_vcpu *v = to_vcpu(vcpu);
    pthread_mutex_lock(&v->lock);
    while (!v->kicked && !v->has_exit)
        pthread_cond_wait(&v->wake, &v->lock);
    if (v->has_exit) {
        v->has_exit = false;
        info->reason = v->exit;
        if (v->exit == ENGINE_EXIT_ERROR)
            err_set(&info->err, EIO, "vCPU %u stopped because a test asked for it", vcpu->index);
    } else {
        v->kicked = false;
        info->reason = ENGINE_EXIT_KICKED;
    }
    pthread_mutex_unlock(&v->lock);
}

static void kick(struct engine_vcpu *vcpu)
{
    struct null_vcpu *v = to_vcpu(vcpu);
    pthread_mutex_lock(&v->lock);
    v->kicked = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

static void nmi(struct engine_vcpu *vcpu)
{
}

static int get_state(struct engine_vcpu *vcpu, struct engine_vcpu_state *state, struct err *err)
{
    *state = to_vcpu(vcpu)->state;
    return 0;
}

static int set_state(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state,
                     struct err *err)
{
    to_vcpu(vcpu)->state = *state;
    return 0;
}

static int get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                    struct err *err)
{
    *regs = to_vcpu(vcpu)->state.regs;
    *sregs = to_vcpu(vcpu)->state.sregs;
    return 0;
}

static int set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                    const struct kvm_sregs *sregs, struct err *err)
{
    to_vcpu(vcpu)->state.regs = *regs;
    to_vcpu(vcpu)->state.sregs = *sregs;
    return 0;
}

static int set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug, struct err *err)
{
    to_vcpu(vcpu)->debug = *debug;
    return 0;
}

const struct engine null_engine = {
    .name = "null",
    .by_name_only = true,
    .probe = probe,
    .supported_cpuid = supported_cpuid,
    .vm_create = vm_create,
    .vm_destroy = vm_destroy,
    .bus_ops = &null_engine_bus_ops,
    .set_ioapic = null_engine_set_ioapic,
    .extint = null_engine_extint,
    .dirty_start = dirty_start,
    .dirty_take = dirty_take,
    .dirty_stop = dirty_stop,
    .get_clock = get_clock,
    .set_clock = set_clock,
    .vcpu_create = vcpu_create,
    .vcpu_destroy = vcpu_destroy,
    .set_cpuid = set_cpuid,
    .run = run,
    .kick = kick,
    .nmi = nmi,
    .get_state = get_state,
    .set_state = set_state,
    .get_regs = get_regs,
    .set_regs = set_regs,
    .set_debug = set_debug,
};

void null_engine_exit(struct engine_vcpu *vcpu, enum engine_exit reason)
{
    struct null_vcpu *v = to_vcpu(vcpu);
    pthread_mutex_lock(&v->lock);
    v->has_exit = true;
    v->exit = reason;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}
