/* What the guest sees of its CPU. It is part of a saved VM: a guest looks once and for all whether
 * there is AVX or an invariant TSC, so it may only go on where it would see the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "machine/machine_internal.h"
#include "x86/cpuid.h"

int machine_cpuid_init(struct machine *m, struct machine_files *files, struct err *err)
{
    struct kvm_cpuid_entry2 supported[ENGINE_CPUID_MAX], entries[ENGINE_CPUID_MAX];
    struct engine_probe_input in = {.kvm_fd = files->kvm_fd};
    const struct vm_config *c = m->config;
    int n_supported = engine_supported_cpuid(m->engine, &in, supported, err);
    int ret = MIN(n_supported, 0);
    for (unsigned i = c->cpus.count; !ret && i-- > 0;) {
        unsigned n = (unsigned)n_supported;
        memcpy(entries, supported, n * sizeof(entries[0]));
        ret = cpuid_build(entries, &n, ENGINE_CPUID_MAX, c->cpus.model, i, c->cpus.count, err);
        if (!ret)
            ret = engine_vcpu_set_cpuid(m->vcpus.v[i].vcpu, entries, n, err);
        m->n_cpuid = n;
    }
    if (ret)
        return ret;
    m->cpuid = malloc(m->n_cpuid * sizeof(entries[0]));
    if (!m->cpuid)
        return err_set(err, ENOMEM, "could not allocate the CPUID table");
    memcpy(m->cpuid, entries, m->n_cpuid * sizeof(entries[0]));
    return 0;
}

void machine_cpuid_save(const struct machine *m, struct state_writer *w)
{
    state_begin(w, "cpuid", 0, 1);
    state_put_u32(w, m->n_cpuid);
    for (unsigned i = 0; i < m->n_cpuid; i++) {
        const struct kvm_cpuid_entry2 *e = &m->cpuid[i];
        const uint32_t words[] = {e->function, e->index, e->flags, e->eax, e->ebx, e->ecx, e->edx};
        for (unsigned k = 0; k < ARRAY_LEN(words); k++)
            state_put_u32(w, words[k]);
    }
    state_end(w);
}

static int differs(struct state_reader *r, uint32_t leaf, uint32_t sub, const char *reg,
                   uint32_t here, uint32_t saved)
{
    return state_invalid(
        r,
        "CPUID leaf 0x%x.%u %s is 0x%x here, the saved VM's is 0x%x: give both the "
        "same --cpu-model, one that is not \"host\"",
        leaf, sub, reg, here, saved);
}

/* A leaf that is not in the table reads as zeroes, as it does for the guest. */
static int check_entry(const struct machine *m, struct state_reader *r,
                       const struct kvm_cpuid_entry2 *saved)
{
    static const struct kvm_cpuid_entry2 none;
    static const char *const names[] = {"eax", "ebx", "ecx", "edx"};
    const struct kvm_cpuid_entry2 *here =
        cpuid_find(m->cpuid, m->n_cpuid, saved->function, saved->index);
    here = here ? here : &none;
    const uint32_t a[] = {here->eax, here->ebx, here->ecx, here->edx};
    const uint32_t b[] = {saved->eax, saved->ebx, saved->ecx, saved->edx};
    for (unsigned i = 0; i < ARRAY_LEN(a); i++)
        if (a[i] != b[i])
            return differs(r, saved->function, saved->index, names[i], a[i], b[i]);
    return 0;
}

int machine_cpuid_check(const struct machine *m, struct state_reader *r)
{
    struct kvm_cpuid_entry2 saved[ENGINE_CPUID_MAX];
    static const struct kvm_cpuid_entry2 none;
    int ret = state_open(r, "cpuid", 0, 1);
    if (ret < 0)
        return ret;
    uint32_t n = state_get_u32(r);
    if (n > ENGINE_CPUID_MAX)
        return state_invalid(r, "%u CPUID entries are more than %d", n, ENGINE_CPUID_MAX);
    for (unsigned i = 0; i < n; i++) {
        struct kvm_cpuid_entry2 e = {.function = state_get_u32(r)};
        e.index = state_get_u32(r);
        e.flags = state_get_u32(r);
        e.eax = state_get_u32(r);
        e.ebx = state_get_u32(r);
        e.ecx = state_get_u32(r);
        e.edx = state_get_u32(r);
        saved[i] = e;
        if (!r->err.code && check_entry(m, r, &e))
            return -r->err.code;
    }
    for (unsigned i = 0; !r->err.code && i < m->n_cpuid; i++) {
        const struct kvm_cpuid_entry2 *e = &m->cpuid[i];
        bool empty = !(e->eax | e->ebx | e->ecx | e->edx);
        if (!empty && !cpuid_find(saved, n, e->function, e->index))
            return differs(r, e->function, e->index, "eax", e->eax, none.eax);
    }
    return state_close(r);
}
