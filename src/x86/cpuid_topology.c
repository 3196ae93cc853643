/* Which vCPU of how many: APIC ids, and the caches that cores share. */
#include <errno.h>

#include "base/util.h"
#include "x86/cpuid_internal.h"

#define L1_ECX_HYPERVISOR  (1u << 31)
#define L1_ECX_OSXSAVE     (1u << 27)
#define L1_ECX_TSCDEADLINE (1u << 24)
#define L1_ECX_X2APIC      (1u << 21)
#define L1_EDX_HTT         (1u << 28)
#define E1_ECX_CMP_LEGACY  (1u << 1)

static uint32_t log2_ceil(uint32_t v)
{
    uint32_t bits = 0;
    while ((1u << bits) < v)
        bits++;
    return bits;
}

/* Leaf 0xb: threads, cores, end (SDM volume 3, 9.9.1). */
static int put_extended_topology(struct cpuid_table *t, uint32_t index, uint32_t n_vcpus,
                                 struct err *err)
{
    const struct kvm_cpuid_entry2 levels[] = {
        {.eax = 0, .ebx = 1, .ecx = 1u << 8},
        {.eax = log2_ceil(n_vcpus), .ebx = n_vcpus, .ecx = 2u << 8 | 1},
        {.ecx = 2},
    };
    int ret = 0;
    for (uint32_t i = 0; !ret && i < ARRAY_LEN(levels); i++) {
        struct kvm_cpuid_entry2 e = levels[i];
        e.function = 0xb;
        e.index = i;
        e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        e.edx = index;
        ret = cpuid_table_add(t, e, err);
    }
    return ret;
}

/* Caches: level 3 belongs to all cores, the others to one. Leaf 4 also bounds the core ids. */
static void share_caches(struct cpuid_table *t, uint32_t function, uint32_t n_vcpus)
{
    uint32_t ids = 1u << log2_ceil(n_vcpus);
    for (unsigned i = 0; i < t->n; i++) {
        struct kvm_cpuid_entry2 *e = &t->entries[i];
        if (e->function != function || !(e->eax & 0x1f))
            continue;
        uint32_t level = e->eax >> 5 & 7;
        e->eax &= 0x3fff;
        e->eax |= (level >= 3 ? ids - 1 : 0) << 14;
        if (function == 4)
            e->eax |= (MIN(ids, 64) - 1) << 26;
    }
}

int cpuid_topology_set(struct cpuid_table *t, uint32_t index, uint32_t n_vcpus, struct err *err)
{
    struct kvm_cpuid_entry2 *e = cpuid_table_find(t, 1, 0);
    if (!e)
        return err_set(err, EINVAL, "the engine offers no CPUID leaf 1");
    e->ebx = (e->ebx & 0xff00) | n_vcpus << 16 | index << 24;
    e->ecx |= L1_ECX_HYPERVISOR | L1_ECX_TSCDEADLINE | L1_ECX_X2APIC;
    e->ecx &= ~L1_ECX_OSXSAVE; /* follows CR4 */
    e->edx = n_vcpus > 1 ? e->edx | L1_EDX_HTT : e->edx & ~L1_EDX_HTT;
    share_caches(t, 4, n_vcpus);
    share_caches(t, 0x8000001d, n_vcpus);
    bool amd = cpuid_table_is_amd(t);
    e = cpuid_table_find(t, 0x80000001, 0);
    if (e && amd)
        e->ecx = n_vcpus > 1 ? e->ecx | E1_ECX_CMP_LEGACY : e->ecx & ~E1_ECX_CMP_LEGACY;
    e = cpuid_table_find(t, 0x80000008, 0);
    if (e)
        e->ecx = amd ? (n_vcpus - 1) | log2_ceil(n_vcpus) << 12 : 0;
    e = cpuid_table_find(t, 0x8000001e, 0);
    if (e) {
        e->eax = index;
        e->ebx = amd ? index : 0; /* one thread a core */
        e->ecx = 0;
    }
    return put_extended_topology(t, index, n_vcpus, err);
}
