/* What the files of CPUID share: cpuid.c (the entries, the templates and their fixed values),
 * cpuid_features.c (which feature bits a template has), cpuid_topology.c (which vCPU of how many).
 */
#ifndef X86_CPUID_INTERNAL_H
#define X86_CPUID_INTERNAL_H

#include "x86/cpuid.h"

/* What one name stands for. */
struct cpuid_template {
    const char *name;
    unsigned level; /* 0: the host's own */
    bool exact; /* nothing in it depends on the host: what may be there is not, or is required */
    uint32_t max_basic;
    uint32_t signature_intel, signature_amd; /* leaf 1, EAX */
    char brand[48];
};

/* The entries under way: the caller's, with room for `max`. */
struct cpuid_table {
    struct kvm_cpuid_entry2 *entries;
    unsigned n, max;
};

/* ---- cpuid.c ---- */

struct kvm_cpuid_entry2 *cpuid_table_find(struct cpuid_table *t, uint32_t function, uint32_t sub);
/* Errors: ENOSPC. */
int cpuid_table_add(struct cpuid_table *t, struct kvm_cpuid_entry2 e, struct err *err);
/* Whether its vendor is AMD or one that follows it. */
bool cpuid_table_is_amd(struct cpuid_table *t);

/* ---- cpuid_features.c ---- */

/* Refuses a host that lacks what the template demands. Errors: ENOTSUP. */
int cpuid_features_check(struct cpuid_table *t, const struct cpuid_template *tpl, struct err *err);
/* Reduces one register to what the template has of it. Registers without any row are untouched. */
void cpuid_features_mask(struct kvm_cpuid_entry2 *e, enum cpuid_register reg,
                         const struct cpuid_template *tpl);

/* ---- cpuid_topology.c ---- */

/* APIC ids, cores and who shares which cache, for vCPU `index`. Errors: EINVAL, ENOSPC. */
int cpuid_topology_set(struct cpuid_table *t, uint32_t index, uint32_t n_vcpus, struct err *err);

#endif
