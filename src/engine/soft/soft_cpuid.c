/* What the engine offers in CPUID: what it implements, less what this host's CPU lacks, because a
 * guest's vector and bit instructions run on the host's own.
 *
 * The model is an AMD of family 12h. Kernels take it to be free of Meltdown, MDS, L1TF, Retbleed
 * and SRSO, and with automatic IBRS it needs no retpolines: so they stay off paths that are slow to
 * emulate. Not offered: LA57, protection keys, CET, TSX, MONITOR,
 * AVX-512, AMX, performance counters, nested virtualization. Spec: AMD APM volume 3, appendix E. */
#include <cpuid.h>

#include "engine/soft/soft_internal.h"

struct table {
    struct kvm_cpuid_entry2 *entries;
    unsigned n;
};

static struct kvm_cpuid_entry2 *add(struct table *t, uint32_t leaf, int sub)
{
    struct kvm_cpuid_entry2 *e = &t->entries[t->n++];
    *e = (struct kvm_cpuid_entry2){.function = leaf};
    if (sub >= 0) {
        e->index = (uint32_t)sub;
        e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    }
    return e;
}

static bool host_has(const struct x86_feature_bit *f)
{
    unsigned r[4] = {0};
    if (f->reg < 0)
        return true;
    if (!__get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]))
        return false;
    return r[f->reg] >> f->bit & 1;
}

/* Features that execute on the host as they are. */
static const uint8_t passed[] = {
    X86_FEATURE_SSE3,   X86_FEATURE_SSSE3, X86_FEATURE_SSE41,  X86_FEATURE_SSE42,
    X86_FEATURE_POPCNT, X86_FEATURE_CX16,  X86_FEATURE_MOVBE,  X86_FEATURE_AES,
    X86_FEATURE_PCLMUL, X86_FEATURE_SHA,   X86_FEATURE_BMI1,   X86_FEATURE_BMI2,
    X86_FEATURE_LZCNT,  X86_FEATURE_ADX,   X86_FEATURE_RDRAND, X86_FEATURE_RDSEED,
    X86_FEATURE_AVX,    X86_FEATURE_AVX2,  X86_FEATURE_FMA,    X86_FEATURE_F16C,
    X86_FEATURE_XSAVE,
};
/* Features that need nothing of the host. */
static const uint8_t made[] = {
    X86_FEATURE_FSGSBASE,  X86_FEATURE_RDTSCP,     X86_FEATURE_LAHF64,
    X86_FEATURE_PREFETCHW, X86_FEATURE_CLFLUSHOPT, X86_FEATURE_CLWB,
    X86_FEATURE_RDPID,     X86_FEATURE_INVPCID,    X86_FEATURE_SMAP,
};

static bool vector_state(uint8_t f)
{
    return f == X86_FEATURE_AVX || f == X86_FEATURE_AVX2 || f == X86_FEATURE_FMA ||
           f == X86_FEATURE_F16C || f == X86_FEATURE_XSAVE;
}

/* The operating system must have switched the host's AVX state on. */
static bool host_os_has_avx(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1))
        return false;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
}

static void set_feature(struct table *t, uint8_t feature)
{
    const struct x86_feature_bit *f = &decode_feature_bits[feature];
    for (unsigned i = 0; i < t->n; i++) {
        struct kvm_cpuid_entry2 *e = &t->entries[i];
        uint32_t *const regs[4] = {&e->eax, &e->ebx, &e->ecx, &e->edx};
        if (e->function == f->leaf && e->index == f->subleaf)
            *regs[f->reg] |= 1u << f->bit;
    }
}

static void add_basic(struct table *t)
{
    struct kvm_cpuid_entry2 *e = add(t, 0, -1);
    e->eax = 0xd;
    e->ebx = 0x68747541; /* AuthenticAMD */
    e->edx = 0x69746e65;
    e->ecx = 0x444d4163;
    e = add(t, 1, -1);
    e->eax = SOFT_CPUID_SIGNATURE;
    e->ebx = 0x00000800;                                /* CLFLUSH of 64 bytes */
    e->ecx = 1u << 17 | 1u << 21 | 1u << 24 | 1u << 31; /* PCID, x2APIC, TSC deadline, hypervisor */
    /* FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2
     */
    e->edx = 0x078bfbfd;
    add(t, 6, -1)->eax = 4; /* the APIC timer always runs */
    e = add(t, 7, 0);
    e->ebx = 1u << 1 | 1u << 7 | 1u << 9; /* TSC_ADJUST, SMEP, ERMS */
    e->ecx = 1u << 2;                     /* UMIP */
    e->edx = 1u << 4;                     /* FSRM */
}

static void add_xsave(struct table *t, bool avx)
{
    struct kvm_cpuid_entry2 *e = add(t, 0xd, 0);
    e->eax = avx ? 7 : 3;
    e->ebx = 0x240;
    e->ecx = avx ? 0x340 : 0x240;
    e = add(t, 0xd, 1);
    if (avx) {
        e = add(t, 0xd, 2);
        e->eax = 0x100;
        e->ebx = 0x240;
    }
}

static void add_hypervisor(struct table *t)
{
    struct kvm_cpuid_entry2 *e = add(t, 0x40000000, -1);
    e->eax = 0x40000001;
    e->ebx = 0x4b4d564b; /* KVMKVMKVM */
    e->ecx = 0x564b4d56;
    e->edx = 0x4d;
    /* Clock sources, both sets of MSRs, with a stable TSC; no delay after port I/O; steal time. */
    add(t, 0x40000001, -1)->eax = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 24;
}

static void add_extended(struct table *t)
{
    static const char brand[48] = "Virga soft-v1";
    struct kvm_cpuid_entry2 *e = add(t, 0x80000000, -1);
    e->eax = 0x80000021;
    e->ebx = 0x68747541;
    e->edx = 0x69746e65;
    e->ecx = 0x444d4163;
    e = add(t, 0x80000001, -1);
    e->eax = SOFT_CPUID_SIGNATURE;
    /* SYSCALL NX 1-GiB pages LM, and the copies of leaf 1 that AMD has */
    e->edx = 1u << 11 | 1u << 20 | 1u << 26 | 1u << 29 | (0x078bfbfd & 0x0183f3fd);
    for (unsigned i = 0; i < 3; i++) {
        e = add(t, 0x80000002 + i, -1);
        e->eax = le32_read(brand + 16 * i);
        e->ebx = le32_read(brand + 16 * i + 4);
        e->ecx = le32_read(brand + 16 * i + 8);
        e->edx = le32_read(brand + 16 * i + 12);
    }
    e = add(t, 0x80000005, -1); /* caches and TLBs of level 1 */
    e->eax = e->ebx = 0x40ff40ff;
    e->ecx = e->edx = 0x20080140;
    e = add(t, 0x80000006, -1);
    e->ecx = 0x02008140;
    add(t, 0x80000007, -1)->edx = 1u << 8;                     /* invariant TSC */
    add(t, 0x80000008, -1)->eax = 0x302e;                      /* 46 physical, 48 linear bits */
    add(t, 0x80000021, -1)->eax = 1u << 2 | 1u << 6 | 1u << 8; /* LFENCE serializes; null selectors
                                                                  clear; automatic IBRS */
}

int soft_cpuid_supported(struct kvm_cpuid_entry2 *entries, unsigned max, struct err *err)
{
    enum { MOST = 32 };
    struct table t = {.entries = entries};
    if (max < MOST)
        return err_set(err, ENOSPC, "%u CPUID entries are not enough", max);
    bool avx = host_os_has_avx() && host_has(&decode_feature_bits[X86_FEATURE_AVX]);
    add_basic(&t);
    add_xsave(&t, avx);
    add_hypervisor(&t);
    add_extended(&t);
    for (unsigned i = 0; i < ARRAY_LEN(passed); i++)
        if (host_has(&decode_feature_bits[passed[i]]) && (avx || !vector_state(passed[i])))
            set_feature(&t, passed[i]);
    for (unsigned i = 0; i < ARRAY_LEN(made); i++)
        set_feature(&t, made[i]);
    return (int)t.n;
}

uint64_t soft_cpuid_features(const struct kvm_cpuid_entry2 *entries, unsigned n)
{
    uint64_t features = 1;
    for (unsigned f = 1; f < X86_N_FEATURES; f++) {
        const struct x86_feature_bit *b = &decode_feature_bits[f];
        for (unsigned i = 0; i < n; i++) {
            const struct kvm_cpuid_entry2 *e = &entries[i];
            const uint32_t regs[4] = {e->eax, e->ebx, e->ecx, e->edx};
            if (e->function == b->leaf && e->index == b->subleaf && regs[b->reg] >> b->bit & 1)
                features |= UINT64_C(1) << f;
        }
    }
    return features;
}

const struct kvm_cpuid_entry2 *soft_cpuid_find(const struct soft_cpu *cpu, uint32_t leaf,
                                               uint32_t sub)
{
    for (unsigned i = 0; i < cpu->n_cpuid; i++) {
        const struct kvm_cpuid_entry2 *e = &cpu->cpuid[i];
        if (e->function == leaf &&
            (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == sub))
            return e;
    }
    return NULL;
}
