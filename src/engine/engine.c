#include "engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "engine/engine_provider.h"

/* ---- choosing one ---- */

/* Appends to a message, as much as fits. */
static void append_text(struct err *e, const char *text)
{
    size_t len = strlen(e->msg);
    size_t n = MIN(strlen(text), sizeof(e->msg) - len - 1);
    memcpy(e->msg + len, text, n);
    e->msg[len + n] = '\0';
}

static void append(struct err *e, const char *separator, const char *text)
{
    if (e->msg[0])
        append_text(e, separator);
    append_text(e, text);
}

const struct engine *engine_select(const struct engine *const *engines, const char *name,
                                   const struct engine_probe_input *in, struct err *why)
{
    bool any = strcmp(name, "auto") == 0;
    struct err names = {0}, refused = {0};
    for (; *engines; engines++) {
        const struct engine *e = *engines;
        append(&names, ", ", e->name);
        if (any ? e->by_name_only : strcmp(name, e->name) != 0)
            continue;
        if (!any)
            return e;
        struct err err = {0};
        if (engine_probe(e, in, &err) == 0) {
            if (why) {
                why->code = 0;
                memcpy(why->msg, refused.msg, sizeof(why->msg));
            }
            return e;
        }
        append(&refused, "; ", err.msg);
    }
    if (!any)
        err_set(why, ENOENT, "no engine is called '%s': this program has %s", name, names.msg);
    else
        err_set(why, ENODEV, "%s", refused.msg[0] ? refused.msg : "this program has no engine");
    return NULL;
}

int engine_probe(const struct engine *e, const struct engine_probe_input *in, struct err *err)
{
    return e->probe(in, err);
}

const char *engine_name(const struct engine *e)
{
    return e->name;
}

/* ---- the VM ---- */

int engine_vm_create(const struct engine *e, const struct engine_probe_input *in,
                     const struct engine_vm_config *config, struct engine_vm **vm, struct err *err)
{
    if (!config->n_vcpus || config->n_vcpus > ENGINE_VCPUS_MAX)
        return err_set(err, EINVAL, "a VM has 1 to %d vCPUs, not %u", ENGINE_VCPUS_MAX,
                       config->n_vcpus);
    struct engine_vm *made;
    int ret = e->vm_create(in, config, &made, err);
    if (ret)
        return ret;
    made->engine = e;
    made->config = *config;
    *vm = made;
    return 0;
}

void engine_vm_destroy(struct engine_vm *vm)
{
    if (vm)
        vm->engine->vm_destroy(vm);
}

const struct bus_engine_ops *engine_vm_bus_ops(struct engine_vm *vm)
{
    return vm->engine->bus_ops;
}

int engine_vm_set_ioapic(struct engine_vm *vm, const struct bus_ioapic_pin *pins)
{
    return vm->engine->set_ioapic(vm, pins);
}

void engine_vm_extint(struct engine_vm *vm)
{
    vm->engine->extint(vm);
}

int engine_vm_dirty_start(struct engine_vm *vm, struct err *err)
{
    return vm->engine->dirty_start(vm, err);
}

int engine_vm_dirty_take(struct engine_vm *vm, unsigned region, uint64_t *bitmap, struct err *err)
{
    if (region >= vm->config.mem->n_regions)
        return err_set(err, EINVAL, "no memory region %u", region);
    return vm->engine->dirty_take(vm, region, bitmap, err);
}

void engine_vm_dirty_stop(struct engine_vm *vm)
{
    vm->engine->dirty_stop(vm);
}

int engine_vm_get_clock(struct engine_vm *vm, struct kvm_clock_data *clock, struct err *err)
{
    return vm->engine->get_clock(vm, clock, err);
}

int engine_vm_set_clock(struct engine_vm *vm, const struct kvm_clock_data *clock, struct err *err)
{
    return vm->engine->set_clock(vm, clock, err);
}

int engine_supported_cpuid(const struct engine *e, const struct engine_probe_input *in,
                           struct kvm_cpuid_entry2 *entries, struct err *err)
{
    return e->supported_cpuid(in, entries, err);
}

/* ---- vCPUs ---- */

int engine_vcpu_create(struct engine_vm *vm, unsigned index, struct engine_vcpu **vcpu,
                       struct err *err)
{
    if (index >= vm->config.n_vcpus)
        return err_set(err, EINVAL, "the VM has %u vCPUs, there is no vCPU %u", vm->config.n_vcpus,
                       index);
    struct engine_vcpu *made;
    int ret = vm->engine->vcpu_create(vm, index, &made, err);
    if (ret)
        return ret;
    made->vm = vm;
    made->index = index;
    *vcpu = made;
    return 0;
}

void engine_vcpu_destroy(struct engine_vcpu *vcpu)
{
    if (vcpu)
        vcpu->vm->engine->vcpu_destroy(vcpu);
}

int engine_vcpu_set_cpuid(struct engine_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries,
                          unsigned n, struct err *err)
{
    if (n > ENGINE_CPUID_MAX)
        return err_set(err, EINVAL, "%u CPUID entries are more than the %d an engine takes", n,
                       ENGINE_CPUID_MAX);
    return vcpu->vm->engine->set_cpuid(vcpu, entries, n, err);
}

void engine_vcpu_run(struct engine_vcpu *vcpu, struct engine_exit_info *info)
{
    memset(info, 0, sizeof(*info));
    vcpu->vm->engine->run(vcpu, info);
}

void engine_vcpu_kick(struct engine_vcpu *vcpu)
{
    vcpu->vm->engine->kick(vcpu);
}

void engine_vcpu_nmi(struct engine_vcpu *vcpu)
{
    vcpu->vm->engine->nmi(vcpu);
}

uint64_t engine_vcpu_insns(struct engine_vcpu *vcpu)
{
    return vcpu->vm->engine->insns ? vcpu->vm->engine->insns(vcpu) : 0;
}

void engine_vcpu_paused(struct engine_vcpu *vcpu)
{
    if (vcpu->vm->engine->paused)
        vcpu->vm->engine->paused(vcpu);
}

int engine_vcpu_get_state(struct engine_vcpu *vcpu, struct engine_vcpu_state *state,
                          struct err *err)
{
    memset(state, 0, sizeof(*state));
    return vcpu->vm->engine->get_state(vcpu, state, err);
}

int engine_vcpu_set_state(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state,
                          struct err *err)
{
    if (state->n_msrs > ENGINE_MSRS_MAX)
        return err_set(err, EINVAL, "a vCPU state with %u MSRs is not valid", state->n_msrs);
    return vcpu->vm->engine->set_state(vcpu, state, err);
}

int engine_vcpu_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                         struct err *err)
{
    return vcpu->vm->engine->get_regs(vcpu, regs, sregs, err);
}

int engine_vcpu_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                         const struct kvm_sregs *sregs, struct err *err)
{
    return vcpu->vm->engine->set_regs(vcpu, regs, sregs, err);
}

int engine_vcpu_set_debug(struct engine_vcpu *vcpu, const struct kvm_guest_debug *debug,
                          struct err *err)
{
    return vcpu->vm->engine->set_debug(vcpu, debug, err);
}

/* ---- state ---- */

/* Layout 1 of the section: each struct as its size (u32) and its bytes, then tsc_khz, n_msrs and
 * the MSRs as index (u32) and value (u64). KVM's structs are a stable little-endian ABI of x86;
 * the sizes are stored so that a header that grew one is told from a damaged stream. */
struct part {
    size_t offset, size;
    const char *name;
};
#define PART(member)                                                                               \
    {                                                                                              \
        offsetof(struct engine_vcpu_state, member),                                                \
            sizeof(((struct engine_vcpu_state *)0)->member), #member                               \
    }
static const struct part parts[] = {
    PART(regs),      PART(sregs), PART(xsave),  PART(xcrs),
    PART(debugregs), PART(lapic), PART(events), PART(mp_state),
};
#define VCPU_STATE_VERSION 1

static_assert(sizeof(struct kvm_regs) == 144 && sizeof(struct kvm_sregs) == 312 &&
                  sizeof(struct kvm_xsave) == 4096 && sizeof(struct kvm_xcrs) == 392 &&
                  sizeof(struct kvm_debugregs) == 128 && sizeof(struct kvm_lapic_state) == 1024 &&
                  sizeof(struct kvm_vcpu_events) == 64 && sizeof(struct kvm_mp_state) == 4,
              "section vcpu, version 1, stores these sizes");

void engine_vcpu_state_save(const struct engine_vcpu_state *state, struct state_writer *w,
                            unsigned index)
{
    state_begin(w, "vcpu", index, VCPU_STATE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        state_put_u32(w, (uint32_t)parts[i].size);
        state_put_bytes(w, (const char *)state + parts[i].offset, parts[i].size);
    }
    state_put_u32(w, state->tsc_khz);
    state_put_u32(w, state->n_msrs);
    for (unsigned i = 0; i < state->n_msrs && i < ENGINE_MSRS_MAX; i++) {
        state_put_u32(w, state->msrs[i].index);
        state_put_u64(w, state->msrs[i].data);
    }
    state_end(w);
}

int engine_vcpu_state_load(struct engine_vcpu_state *state, struct state_reader *r, unsigned index)
{
    int version = state_open(r, "vcpu", index, VCPU_STATE_VERSION);
    if (version < 0)
        return version;
    memset(state, 0, sizeof(*state));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint32_t size = state_get_u32(r);
        if (size != parts[i].size)
            return state_invalid(r, "vcpu %u: %s has %u bytes instead of %zu", index, parts[i].name,
                                 size, parts[i].size);
        state_get_bytes(r, (char *)state + parts[i].offset, parts[i].size);
    }
    state->tsc_khz = state_get_u32(r);
    uint32_t n_msrs = state_get_u32(r);
    if (n_msrs > ENGINE_MSRS_MAX)
        return state_invalid(r, "vcpu %u: %u MSRs are more than %d", index, n_msrs,
                             ENGINE_MSRS_MAX);
    state->n_msrs = n_msrs;
    for (unsigned i = 0; i < n_msrs; i++) {
        state->msrs[i].index = state_get_u32(r);
        state->msrs[i].data = state_get_u64(r);
    }
    return state_close(r);
}

/* ---- for implementers ---- */

void engine_mmio(struct bus *bus, uint64_t gpa, void *data, unsigned len, bool is_write)
{
    uint8_t *p = data;
    while (len) {
        unsigned n = len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
        if (is_write)
            bus_access_write(bus, BUS_MMIO, gpa, p, n);
        else
            bus_access_read(bus, BUS_MMIO, gpa, p, n);
        gpa += n;
        p += n;
        len -= n;
    }
}
