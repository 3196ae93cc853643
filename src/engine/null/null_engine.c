#include "engine/null/null_engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "bus/memory_map.h"
#include "engine/engine_provider.h"

struct null_vm {
    struct engine_vm base;
    pthread_mutex_t lock; /* everything below; a leaf */
    unsigned n_msis;
    struct msi_message msis[NULL_ENGINE_MSIS_KEPT];
    void (*hook)(void *opaque, const struct msi_message *msg);
    void *hook_opaque;
    struct bus_ioapic_pin pins[MEMORY_MAP_IOAPIC_PINS];
    unsigned n_extints;
    struct msi_route *routes;
    struct kvm_clock_data clock;
    uint64_t *dirty[GUEST_MEM_REGIONS_MAX]; /* NULL while the log is off */
};

struct msi_route {
    struct msi_message msg;
    bool masked;
    int fd;
    struct msi_route *next;
};

struct null_vcpu {
    struct engine_vcpu base;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool kicked, has_exit;
    enum engine_exit exit;
    struct engine_vcpu_state state;
    struct kvm_guest_debug debug;
};

static struct null_vm *to_null(void *engine)
{
    return container_of((struct engine_vm *)engine, struct null_vm, base);
}

static struct null_vcpu *to_vcpu(struct engine_vcpu *vcpu)
{
    return container_of(vcpu, struct null_vcpu, base);
}

/* ---- interrupts ---- */

/* With the lock held. */
static void deliver(struct null_vm *vm, const struct msi_message *msg)
{
    vm->msis[vm->n_msis++ % NULL_ENGINE_MSIS_KEPT] = *msg;
    if (vm->hook)
        vm->hook(vm->hook_opaque, msg);
}

/* Delivers what was signalled through the eventfds of unmasked routes. With the lock held. */
static void poll_routes(struct null_vm *vm)
{
    for (struct msi_route *r = vm->routes; r; r = r->next) {
        uint64_t count;
        if (r->fd >= 0 && !r->masked && read(r->fd, &count, sizeof(count)) == sizeof(count))
            deliver(vm, &r->msg);
    }
}

static int msi_signal(void *engine, const struct msi_message *msg)
{
    struct null_vm *vm = to_null(engine);
    pthread_mutex_lock(&vm->lock);
    deliver(vm, msg);
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

static int msi_route_create(void *engine, struct msi_route **route, struct err *err)
{
    struct null_vm *vm = to_null(engine);
    struct msi_route *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ENOMEM, "could not allocate an interrupt route");
    r->masked = true;
    r->fd = -1;
    pthread_mutex_lock(&vm->lock);
    r->next = vm->routes;
    vm->routes = r;
    pthread_mutex_unlock(&vm->lock);
    *route = r;
    return 0;
}

static void msi_route_destroy(void *engine, struct msi_route *r)
{
    struct null_vm *vm = to_null(engine);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    struct msi_route **at = &vm->routes;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    pthread_mutex_unlock(&vm->lock);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

static int msi_route_set(void *engine, struct msi_route *r, const struct msi_message *msg)
{
    struct null_vm *vm = to_null(engine);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    r->masked = !msg;
    if (msg)
        r->msg = *msg;
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

static void msi_route_signal(void *engine, struct msi_route *r)
{
    struct null_vm *vm = to_null(engine);
    pthread_mutex_lock(&vm->lock);
    if (!r->masked)
        deliver(vm, &r->msg);
    pthread_mutex_unlock(&vm->lock);
}

static int msi_route_fd(void *engine, struct msi_route *r)
{
    struct null_vm *vm = to_null(engine);
    pthread_mutex_lock(&vm->lock);
    if (r->fd < 0)
        r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = r->fd < 0 ? -errno : r->fd;
    pthread_mutex_unlock(&vm->lock);
    return fd;
}

/* No ioeventfd slots: the bus does them itself. */
static const struct bus_engine_ops bus_ops = {
    .msi_signal = msi_signal,
    .msi_route_create = msi_route_create,
    .msi_route_destroy = msi_route_destroy,
    .msi_route_set = msi_route_set,
    .msi_route_signal = msi_route_signal,
    .msi_route_fd = msi_route_fd,
};

static int set_ioapic(struct engine_vm *base, const struct bus_ioapic_pin *pins)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    memcpy(vm->pins, pins, sizeof(vm->pins));
    pthread_mutex_unlock(&vm->lock);
    return 0;
}

static void extint(struct engine_vm *base)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    vm->n_extints++;
    pthread_mutex_unlock(&vm->lock);
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
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    for (unsigned i = 0; i < GUEST_MEM_REGIONS_MAX; i++) {
        free(vm->dirty[i]);
        vm->dirty[i] = NULL;
    }
    pthread_mutex_unlock(&vm->lock);
}

static void vm_destroy(struct engine_vm *base)
{
    struct null_vm *vm = to_null(base);
    dirty_stop(base);
    while (vm->routes) {
        struct msi_route *r = vm->routes;
        vm->routes = r->next;
        if (r->fd >= 0)
            close(r->fd);
        free(r);
    }
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

static uint64_t bitmap_words(const struct guest_mem_region *r)
{
    return align_up(r->size_bytes / GUEST_MEM_PAGE_BYTES, 64) / 64;
}

static int dirty_start(struct engine_vm *base, struct err *err)
{
    struct null_vm *vm = to_null(base);
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
    struct null_vm *vm = to_null(base);
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
    *clock = to_null(base)->clock;
    return 0;
}

static int set_clock(struct engine_vm *base, const struct kvm_clock_data *clock, struct err *err)
{
    to_null(base)->clock = *clock;
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
    .bus_ops = &bus_ops,
    .set_ioapic = set_ioapic,
    .extint = extint,
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

/* ---- for tests ---- */

unsigned null_engine_msi_count(struct engine_vm *base)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    unsigned n = vm->n_msis;
    pthread_mutex_unlock(&vm->lock);
    return n;
}

bool null_engine_msi_at(struct engine_vm *base, unsigned i, struct msi_message *msg)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    bool there = i < vm->n_msis && vm->n_msis - i <= NULL_ENGINE_MSIS_KEPT;
    if (there)
        *msg = vm->msis[i % NULL_ENGINE_MSIS_KEPT];
    pthread_mutex_unlock(&vm->lock);
    return there;
}

unsigned null_engine_msi_count_data(struct engine_vm *base, uint32_t data)
{
    struct null_vm *vm = to_null(base);
    unsigned n = 0;
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    for (unsigned i = 0; i < MIN(vm->n_msis, NULL_ENGINE_MSIS_KEPT); i++)
        n += vm->msis[i].data == data;
    pthread_mutex_unlock(&vm->lock);
    return n;
}

void null_engine_msi_clear(struct engine_vm *base)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    poll_routes(vm);
    vm->n_msis = 0;
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_msi_hook(struct engine_vm *base,
                          void (*hook)(void *opaque, const struct msi_message *msg), void *opaque)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    vm->hook = hook;
    vm->hook_opaque = opaque;
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_ioapic(struct engine_vm *base, struct bus_ioapic_pin *pins)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    memcpy(pins, vm->pins, sizeof(vm->pins));
    pthread_mutex_unlock(&vm->lock);
}

unsigned null_engine_extints(struct engine_vm *base)
{
    struct null_vm *vm = to_null(base);
    pthread_mutex_lock(&vm->lock);
    unsigned n = vm->n_extints;
    pthread_mutex_unlock(&vm->lock);
    return n;
}

uint32_t null_engine_in(struct engine_vm *vm, uint16_t port, unsigned size)
{
    uint8_t data[4] = {0};
    bus_access_read(vm->config.bus, BUS_PIO, port, data, MIN(size, 4));
    return le32_read(data);
}

void null_engine_out(struct engine_vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    uint8_t data[4];
    le32_write(data, value);
    bus_access_write(vm->config.bus, BUS_PIO, port, data, MIN(size, 4));
}

uint64_t null_engine_read(struct engine_vm *vm, uint64_t gpa, unsigned size)
{
    uint8_t data[8] = {0};
    size = MIN(size, 8);
    if (guest_mem_read(vm->config.mem, gpa, data, size) < 0)
        engine_mmio(vm->config.bus, gpa, data, size, false);
    return le64_read(data);
}

/* Notes a guest write of at most 8 bytes. */
static void log_write(struct null_vm *vm, uint64_t gpa, unsigned size)
{
    const struct guest_mem *mem = vm->base.config.mem;
    pthread_mutex_lock(&vm->lock);
    for (unsigned i = 0; i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        for (uint64_t at = gpa; vm->dirty[i] && at < gpa + size; at++) {
            if (at - r->gpa >= r->size_bytes)
                continue;
            uint64_t page = (at - r->gpa) / GUEST_MEM_PAGE_BYTES;
            vm->dirty[i][page / 64] |= UINT64_C(1) << (page % 64);
        }
    }
    pthread_mutex_unlock(&vm->lock);
}

void null_engine_write(struct engine_vm *vm, uint64_t gpa, unsigned size, uint64_t value)
{
    uint8_t data[8];
    size = MIN(size, 8);
    le64_write(data, value);
    if (guest_mem_contiguous(vm->config.mem, gpa) >= size) {
        memcpy(guest_mem_ptr(vm->config.mem, gpa, size), data, size);
        log_write(to_null(vm), gpa, size);
    } else {
        engine_mmio(vm->config.bus, gpa, data, size, true);
    }
}

void null_engine_eoi(struct engine_vm *vm, uint8_t vector)
{
    if (vm->config.irqchip)
        vm->config.irqchip->eoi(vm->config.irqchip_opaque, vector);
}

void null_engine_exit(struct engine_vcpu *vcpu, enum engine_exit reason)
{
    struct null_vcpu *v = to_vcpu(vcpu);
    pthread_mutex_lock(&v->lock);
    v->has_exit = true;
    v->exit = reason;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}
