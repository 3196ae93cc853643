/* Which feature bits each template has, one row a bit. */
#include <errno.h>

#include "base/util.h"
#include "x86/cpuid_internal.h"

enum need {
    V2 = 1,      /* required from this level on: without it the template is refused */
    V3,          /*                                                                  */
    V2_IF_THERE, /* passed on from this level on where the host has it */
    V3_IF_THERE, /*                                                    */
    V2_AND_RIG,  /* the same, and required by rig-v1 */
    V3_AND_RIG,
    NEVER, /* in no template, not even "host" */
};

struct feature {
    uint32_t function, sub;
    enum cpuid_register reg;
    uint8_t bit, need;
    const char *name;
};

#define L1_ECX(bit, need, name)                                                                    \
    {                                                                                              \
        1, 0, CPUID_ECX, bit, need, name                                                           \
    }
#define L1_EDX(bit, need, name)                                                                    \
    {                                                                                              \
        1, 0, CPUID_EDX, bit, need, name                                                           \
    }
#define L7_EBX(bit, need, name)                                                                    \
    {                                                                                              \
        7, 0, CPUID_EBX, bit, need, name                                                           \
    }
#define L7_EDX(bit, need, name)                                                                    \
    {                                                                                              \
        7, 0, CPUID_EDX, bit, need, name                                                           \
    }
#define LD1_EAX(bit, need, name)                                                                   \
    {                                                                                              \
        0xd, 1, CPUID_EAX, bit, need, name                                                         \
    }
#define E1_ECX(bit, need, name)                                                                    \
    {                                                                                              \
        0x80000001, 0, CPUID_ECX, bit, need, name                                                  \
    }
#define E1_EDX(bit, need, name)                                                                    \
    {                                                                                              \
        0x80000001, 0, CPUID_EDX, bit, need, name                                                  \
    }
#define E8_EBX(bit, need, name)                                                                    \
    {                                                                                              \
        0x80000008, 0, CPUID_EBX, bit, need, name                                                  \
    }
#define KVM1_EAX(bit, need, name)                                                                  \
    {                                                                                              \
        0x40000001, 0, CPUID_EAX, bit, need, name                                                  \
    }

/* Named templates have the bits of this table and no others of these registers; "host" loses only
 * the NEVER ones. */
static const struct feature features[] = {
    L1_ECX(0, V2, "sse3"),
    L1_ECX(1, V3_AND_RIG, "pclmulqdq"),
    L1_ECX(5, NEVER, "vmx"),
    L1_ECX(9, V2, "ssse3"),
    L1_ECX(12, V3, "fma"),
    L1_ECX(13, V2, "cmpxchg16b"),
    L1_ECX(15, NEVER, "pdcm"),
    L1_ECX(17, V3_IF_THERE, "pcid"),
    L1_ECX(19, V2, "sse4.1"),
    L1_ECX(20, V2, "sse4.2"),
    L1_ECX(22, V3, "movbe"),
    L1_ECX(23, V2, "popcnt"),
    L1_ECX(25, V3_AND_RIG, "aes"),
    L1_ECX(26, V3, "xsave"),
    L1_ECX(28, V3, "avx"),
    L1_ECX(29, V3, "f16c"),
    L1_ECX(30, V3_AND_RIG, "rdrand"),
    L1_EDX(0, V2, "fpu"),
    L1_EDX(1, V2_IF_THERE, "vme"),
    L1_EDX(2, V2_AND_RIG, "de"),
    L1_EDX(3, V2_AND_RIG, "pse"),
    L1_EDX(4, V2, "tsc"),
    L1_EDX(5, V2, "msr"),
    L1_EDX(6, V2, "pae"),
    L1_EDX(7, V2_AND_RIG, "mce"),
    L1_EDX(8, V2, "cmpxchg8b"),
    L1_EDX(9, V2, "apic"),
    L1_EDX(11, V2_AND_RIG, "sep"),
    L1_EDX(12, V2_AND_RIG, "mtrr"),
    L1_EDX(13, V2_AND_RIG, "pge"),
    L1_EDX(14, V2_AND_RIG, "mca"),
    L1_EDX(15, V2, "cmov"),
    L1_EDX(16, V2_AND_RIG, "pat"),
    L1_EDX(17, V2_AND_RIG, "pse36"),
    L1_EDX(19, V2_AND_RIG, "clflush"),
    L1_EDX(23, V2, "mmx"),
    L1_EDX(24, V2, "fxsr"),
    L1_EDX(25, V2, "sse"),
    L1_EDX(26, V2, "sse2"),
    L7_EBX(0, V3_AND_RIG, "fsgsbase"),
    L7_EBX(3, V3, "bmi1"),
    L7_EBX(5, V3, "avx2"),
    L7_EBX(7, V3_AND_RIG, "smep"),
    L7_EBX(8, V3, "bmi2"),
    L7_EBX(9, V3_AND_RIG, "erms"),
    L7_EBX(10, V3_IF_THERE, "invpcid"),
    L7_EDX(10, V2_IF_THERE, "md-clear"),
    L7_EDX(26, V2_IF_THERE, "spec-ctrl"),
    L7_EDX(27, V2_IF_THERE, "stibp"),
    L7_EDX(28, V2_IF_THERE, "l1d-flush"),
    L7_EDX(29, V2_IF_THERE, "arch-capabilities"),
    L7_EDX(31, V2_IF_THERE, "ssbd"),
    LD1_EAX(0, V3_IF_THERE, "xsaveopt"),
    LD1_EAX(1, V3_IF_THERE, "xsavec"),
    E1_ECX(0, V2, "lahf"),
    E1_ECX(2, NEVER, "svm"),
    E1_ECX(5, V3, "lzcnt"),
    E1_ECX(22, V2_IF_THERE, "topoext"),
    E1_ECX(23, NEVER, "perfctr-core"),
    E1_ECX(24, NEVER, "perfctr-nb"),
    E1_ECX(28, NEVER, "perfctr-llc"),
    E1_EDX(11, V2, "syscall"),
    E1_EDX(20, V2, "nx"),
    E1_EDX(26, V3_AND_RIG, "pdpe1gb"),
    E1_EDX(27, V3_AND_RIG, "rdtscp"),
    E1_EDX(29, V2, "lm"),
    E8_EBX(12, V2_IF_THERE, "ibpb"),
    E8_EBX(14, V2_IF_THERE, "ibrs"),
    E8_EBX(15, V2_IF_THERE, "amd-stibp"),
    E8_EBX(24, V2_IF_THERE, "amd-ssbd"),
    E8_EBX(25, V2_IF_THERE, "virt-ssbd"),
    E8_EBX(26, V2_IF_THERE, "ssb-no"),
    KVM1_EAX(0, V2_AND_RIG, "kvmclock"),
    KVM1_EAX(1, V2_AND_RIG, "kvm-nopiodelay"),
    KVM1_EAX(3, V2_AND_RIG, "kvmclock2"),
    KVM1_EAX(4, V2_IF_THERE, "kvm-asyncpf"),
    KVM1_EAX(5, V2_IF_THERE, "kvm-steal-time"),
    KVM1_EAX(6, V2_IF_THERE, "kvm-pv-eoi"),
    KVM1_EAX(7, V2_IF_THERE, "kvm-pv-unhalt"),
    KVM1_EAX(9, V2_IF_THERE, "kvm-pv-tlb-flush"),
    KVM1_EAX(11, V2_IF_THERE, "kvm-pv-ipi"),
    KVM1_EAX(12, V2_IF_THERE, "kvm-poll-control"),
    KVM1_EAX(13, V2_IF_THERE, "kvm-pv-sched-yield"),
    KVM1_EAX(14, V2_IF_THERE, "kvm-asyncpf-int"),
    /* It promises that MSIs carry 15-bit APIC ids, which our IOAPIC does not. */
    KVM1_EAX(15, NEVER, "kvm-msi-ext-dest-id"),
    KVM1_EAX(17, NEVER, "kvm-migration-control"),
    KVM1_EAX(24, V2_AND_RIG, "kvmclock-stable"),
};

static bool governs(const struct feature *f, const struct kvm_cpuid_entry2 *e,
                    enum cpuid_register reg)
{
    return f->function == e->function && f->sub == e->index && f->reg == reg;
}

static bool demands(const struct cpuid_template *tpl, enum need need)
{
    if (tpl->exact && (need == V2_AND_RIG || need == V3_AND_RIG))
        return true;
    return need == V2 || (need == V3 && tpl->level == 3);
}

static bool allows(const struct cpuid_template *tpl, enum need need)
{
    if (tpl->exact || need == NEVER)
        return demands(tpl, need);
    return tpl->level == 3 || need == V2 || need == V2_IF_THERE || need == V2_AND_RIG;
}

void cpuid_features_mask(struct kvm_cpuid_entry2 *e, enum cpuid_register reg,
                         const struct cpuid_template *tpl)
{
    uint32_t allowed = 0, never = 0;
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature *f = &features[i];
        if (!governs(f, e, reg))
            continue;
        any = true;
        if (f->need == NEVER)
            never |= 1u << f->bit;
        else if (allows(tpl, f->need))
            allowed |= 1u << f->bit;
    }
    if (tpl->level && any)
        *cpuid_reg(e, reg) &= allowed;
    *cpuid_reg(e, reg) &= ~never;
}

int cpuid_features_check(struct cpuid_table *t, const struct cpuid_template *tpl, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature *f = &features[i];
        if (!demands(tpl, f->need))
            continue;
        struct kvm_cpuid_entry2 *e = cpuid_table_find(t, f->function, f->sub);
        if (!e || !(*cpuid_reg(e, f->reg) & (1u << f->bit)))
            return err_set(err, ENOTSUP,
                           "this host's CPU lacks %s, which the CPU template %s needs; choose a "
                           "lower one or \"host\"",
                           f->name, tpl->name);
    }
    return 0;
}
