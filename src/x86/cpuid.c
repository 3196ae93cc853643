#include "x86/cpuid.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

/* ---- what the templates are made of ---- */

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

struct cpu_template {
    const char *name;
    unsigned level; /* 0: the host's own */
    bool exact; /* nothing in it depends on the host: what may be there is not, or is required */
    uint32_t max_basic;
    uint32_t signature_intel, signature_amd; /* leaf 1, EAX */
    char brand[48];
};

static const struct cpu_template templates[] = {
    {"host", 0, false, 0, 0, 0, ""},
    {"x86-64-v2", 2, false, 0xb, 0x000106a5, 0x00600f12, "Virga x86-64-v2 Processor"},
    {"x86-64-v3", 3, false, 0xd, 0x000306c4, 0x00800f12, "Virga x86-64-v3 Processor"},
    {"rig-v1", 3, true, 0xd, 0, 0x00800f12, "Virga rig-v1 Processor"},
};

#define VENDOR_AUTH        0x68747541u /* "Auth" of AuthenticAMD */
#define VENDOR_HYGO        0x6f677948u /* "Hygo" of HygonGenuine */
#define PHYSICAL_BITS      40
#define LINEAR_BITS        48
#define XCR0_V3            0x7u /* x87, SSE, AVX */
#define XSAVE_BYTES_V3     (576 + 256)
#define L1_ECX_HYPERVISOR  (1u << 31)
#define L1_ECX_OSXSAVE     (1u << 27)
#define L1_ECX_TSCDEADLINE (1u << 24)
#define L1_ECX_X2APIC      (1u << 21)
#define L1_EDX_HTT         (1u << 28)
#define E1_ECX_CMP_LEGACY  (1u << 1)

/* ---- entries ---- */

struct table {
    struct kvm_cpuid_entry2 *entries;
    unsigned n, max;
};

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_entry2 *entries, unsigned n, uint32_t function,
                                    uint32_t sub)
{
    for (unsigned i = 0; i < n; i++)
        if (entries[i].function == function &&
            (entries[i].index == sub || !(entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
            return &entries[i];
    return NULL;
}

static struct kvm_cpuid_entry2 *find(struct table *t, uint32_t function, uint32_t sub)
{
    return cpuid_find(t->entries, t->n, function, sub);
}

uint32_t *cpuid_reg(struct kvm_cpuid_entry2 *e, enum cpuid_register reg)
{
    switch (reg) {
    case CPUID_EAX:
        return &e->eax;
    case CPUID_EBX:
        return &e->ebx;
    case CPUID_ECX:
        return &e->ecx;
    default:
        return &e->edx;
    }
}

static void remove_if(struct table *t,
                      bool (*unwanted)(const struct kvm_cpuid_entry2 *e, uint32_t arg),
                      uint32_t arg)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->n; i++)
        if (!unwanted(&t->entries[i], arg))
            t->entries[kept++] = t->entries[i];
    t->n = kept;
}

static int add(struct table *t, struct kvm_cpuid_entry2 e, struct err *err)
{
    if (t->n == t->max)
        return err_set(err, ENOSPC, "the CPUID table holds at most %u entries", t->max);
    t->entries[t->n++] = e;
    return 0;
}

/* ---- features ---- */

static bool governs(const struct feature *f, const struct kvm_cpuid_entry2 *e,
                    enum cpuid_register reg)
{
    return f->function == e->function && f->sub == e->index && f->reg == reg;
}

static bool demands(const struct cpu_template *tpl, enum need need)
{
    if (tpl->exact && (need == V2_AND_RIG || need == V3_AND_RIG))
        return true;
    return need == V2 || (need == V3 && tpl->level == 3);
}

static bool allows(const struct cpu_template *tpl, enum need need)
{
    if (tpl->exact || need == NEVER)
        return demands(tpl, need);
    return tpl->level == 3 || need == V2 || need == V2_IF_THERE || need == V2_AND_RIG;
}

/* Reduces one register to what the template has of it. Registers without any row are untouched. */
static void mask_register(struct kvm_cpuid_entry2 *e, enum cpuid_register reg,
                          const struct cpu_template *tpl)
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

static int check_required(struct table *t, const struct cpu_template *tpl, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature *f = &features[i];
        if (!demands(tpl, f->need))
            continue;
        struct kvm_cpuid_entry2 *e = find(t, f->function, f->sub);
        if (!e || !(*cpuid_reg(e, f->reg) & (1u << f->bit)))
            return err_set(err, ENOTSUP,
                           "this host's CPU lacks %s, which the CPU template %s needs; choose a "
                           "lower one or \"host\"",
                           f->name, tpl->name);
    }
    return 0;
}

/* Leaves that nothing here could keep across a save (SGX, tracing, counters, AMX, nested SVM), and
 * the topology, which is built anew. */
static bool never_offered(const struct kvm_cpuid_entry2 *e, uint32_t unused)
{
    switch (e->function) {
    case 0xa:
    case 0xb:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x1b:
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x1f:
    case 0x8000000a:
    case 0x8000001b:
    case 0x8000001c:
    case 0x80000022:
    case 0x80000026:
        return true;
    default:
        return false;
    }
}

/* ---- the named templates' fixed values ---- */

static bool beyond_template(const struct kvm_cpuid_entry2 *e, uint32_t max_basic)
{
    if (e->function < 0x40000000)
        return e->function > max_basic || e->function == 2 || e->function == 4 ||
               e->function == 5 || (e->function == 7 && e->index > 0) ||
               (e->function == 0xd && e->index > 2);
    return e->function >= 0x80000000 && e->function != 0x80000000 && e->function != 0x80000001 &&
           e->function != 0x80000008 && e->function != 0x8000001d && e->function != 0x8000001e;
}

static bool is_topoext(const struct kvm_cpuid_entry2 *e, uint32_t unused)
{
    return e->function == 0x8000001d || e->function == 0x8000001e;
}

static bool is_amd(struct table *t)
{
    const struct kvm_cpuid_entry2 *e = find(t, 0, 0);
    return e && (e->ebx == VENDOR_AUTH || e->ebx == VENDOR_HYGO);
}

static int put_brand(struct table *t, const struct cpu_template *tpl, struct err *err)
{
    int ret = 0;
    for (uint32_t i = 0; !ret && i < 3; i++) {
        const char *p = tpl->brand + 16 * i;
        ret = add(t,
                  (struct kvm_cpuid_entry2){.function = 0x80000002 + i,
                                            .eax = le32_read(p),
                                            .ebx = le32_read(p + 4),
                                            .ecx = le32_read(p + 8),
                                            .edx = le32_read(p + 12)},
                  err);
    }
    return ret;
}

/* Leaf 4, and AMD's 0x8000001d in the same layout: a plain hierarchy of 64-byte lines. AMD's older
 * leaves say the same: kernels divide by what they find there. Spec: APM volume 3, E.4.4. */
static int put_caches(struct table *t, bool amd, struct err *err)
{
    static const struct {
        uint32_t type, level, ways, sets;
    } caches[] = {
        {1, 1, 8, 64},     /* 32 KiB data */
        {2, 1, 8, 64},     /* 32 KiB instructions */
        {3, 2, 8, 1024},   /* 512 KiB */
        {3, 3, 16, 16384}, /* 16 MiB */
        {0, 0, 1, 1},      /* end of the list */
    };
    int ret = 0;
    for (uint32_t i = 0; !ret && i < ARRAY_LEN(caches); i++) {
        struct kvm_cpuid_entry2 e = {
            .function = amd ? 0x8000001d : 4, .index = i, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
        if (caches[i].type) {
            e.eax = caches[i].type | caches[i].level << 5 | 1u << 8;
            e.ebx = (caches[i].ways - 1) << 22 | 63;
            e.ecx = caches[i].sets - 1;
        }
        ret = add(t, e, err);
    }
    if (!ret && amd)
        ret = add(t,
                  (struct kvm_cpuid_entry2){.function = 0x80000005,
                                            .ecx = 32u << 24 | 8u << 16 | 1u << 8 | 64,
                                            .edx = 32u << 24 | 8u << 16 | 1u << 8 | 64},
                  err);
    if (!ret && amd) /* 6 and 8: 8 and 16 ways; the third in units of 512 KiB */
        ret = add(t,
                  (struct kvm_cpuid_entry2){.function = 0x80000006,
                                            .ecx = 512u << 16 | 6u << 12 | 1u << 8 | 64,
                                            .edx = 32u << 18 | 8u << 12 | 1u << 8 | 64},
                  err);
    return ret;
}

static void set_xsave(struct table *t)
{
    struct kvm_cpuid_entry2 *e = find(t, 0xd, 0);
    if (e) {
        e->eax = XCR0_V3;
        e->ebx = XSAVE_BYTES_V3; /* KVM follows XCR0 with it */
        e->ecx = XSAVE_BYTES_V3;
        e->edx = 0;
    }
    e = find(t, 0xd, 1);
    if (e)
        e->ebx = e->ecx = e->edx = 0; /* no supervisor states */
}

static int fix_template(struct table *t, const struct cpu_template *tpl, struct err *err)
{
    int ret = check_required(t, tpl, err);
    if (ret)
        return ret;
    bool amd = is_amd(t);
    if (tpl->exact && !amd)
        return err_set(err, ENOTSUP,
                       "the CPU template %s is AMD's, this host's CPU is not; choose x86-64-v3 or "
                       "\"host\"",
                       tpl->name);
    remove_if(t, beyond_template, tpl->max_basic);
    struct kvm_cpuid_entry2 *e = find(t, 0, 0);
    e->eax = tpl->max_basic;
    e = find(t, 0x80000000, 0);
    if (e)
        e->eax = amd && !tpl->exact ? 0x8000001e : 0x80000008;
    e = find(t, 1, 0);
    e->eax = amd ? tpl->signature_amd : tpl->signature_intel;
    e->ebx = 8u << 8; /* CLFLUSH line: 64 bytes */
    e = find(t, 6, 0);
    if (e) {
        e->eax &= 1u << 2; /* the APIC timer runs in all C-states */
        e->ebx = e->ecx = e->edx = 0;
    }
    e = find(t, 7, 0);
    if (e)
        e->eax = e->ecx = 0;
    e = find(t, 0x80000001, 0);
    e->eax = amd ? tpl->signature_amd : 0;
    e->ebx = 0;
    e = find(t, 0x80000008, 0);
    if (e)
        e->eax = MIN(e->eax & 0xff, PHYSICAL_BITS) | LINEAR_BITS << 8;
    if (e)
        e->edx = 0;
    set_xsave(t);
    if (tpl->exact) /* they need topoext */
        remove_if(t, is_topoext, 0);
    else
        ret = put_caches(t, amd, err);
    return ret ? ret : put_brand(t, tpl, err);
}

/* ---- topology ---- */

static uint32_t log2_ceil(uint32_t v)
{
    uint32_t bits = 0;
    while ((1u << bits) < v)
        bits++;
    return bits;
}

/* Leaf 0xb: threads, cores, end (SDM volume 3, 9.9.1). */
static int put_extended_topology(struct table *t, uint32_t index, uint32_t n_vcpus, struct err *err)
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
        ret = add(t, e, err);
    }
    return ret;
}

/* Caches: level 3 belongs to all cores, the others to one. Leaf 4 also bounds the core ids. */
static void share_caches(struct table *t, uint32_t function, uint32_t n_vcpus)
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

static int set_topology(struct table *t, uint32_t index, uint32_t n_vcpus, struct err *err)
{
    struct kvm_cpuid_entry2 *e = find(t, 1, 0);
    if (!e)
        return err_set(err, EINVAL, "the engine offers no CPUID leaf 1");
    e->ebx = (e->ebx & 0xff00) | n_vcpus << 16 | index << 24;
    e->ecx |= L1_ECX_HYPERVISOR | L1_ECX_TSCDEADLINE | L1_ECX_X2APIC;
    e->ecx &= ~L1_ECX_OSXSAVE; /* follows CR4 */
    e->edx = n_vcpus > 1 ? e->edx | L1_EDX_HTT : e->edx & ~L1_EDX_HTT;
    share_caches(t, 4, n_vcpus);
    share_caches(t, 0x8000001d, n_vcpus);
    bool amd = is_amd(t);
    e = find(t, 0x80000001, 0);
    if (e && amd)
        e->ecx = n_vcpus > 1 ? e->ecx | E1_ECX_CMP_LEGACY : e->ecx & ~E1_ECX_CMP_LEGACY;
    e = find(t, 0x80000008, 0);
    if (e)
        e->ecx = amd ? (n_vcpus - 1) | log2_ceil(n_vcpus) << 12 : 0;
    e = find(t, 0x8000001e, 0);
    if (e) {
        e->eax = index;
        e->ebx = amd ? index : 0; /* one thread a core */
        e->ecx = 0;
    }
    return put_extended_topology(t, index, n_vcpus, err);
}

/* ---- all of it ---- */

static const struct cpu_template *find_template(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(templates); i++)
        if (strcmp(templates[i].name, name) == 0)
            return &templates[i];
    return NULL;
}

bool cpuid_template_exists(const char *template_name)
{
    return find_template(template_name);
}

int cpuid_build(struct kvm_cpuid_entry2 *entries, unsigned *n, unsigned max,
                const char *template_name, unsigned index, unsigned n_vcpus, struct err *err)
{
    const struct cpu_template *tpl = find_template(template_name);
    struct table t = {.entries = entries, .n = *n, .max = max};
    if (!tpl)
        return err_set(
            err, EINVAL,
            "no CPU template is called '%s': there are host, x86-64-v2, x86-64-v3, rig-v1",
            template_name);
    if (!n_vcpus || n_vcpus > 255 || index >= n_vcpus)
        return err_set(err, EINVAL, "vCPU %u of %u has no CPUID", index, n_vcpus);
    remove_if(&t, never_offered, 0);
    struct kvm_cpuid_entry2 *e = find(&t, 0, 0);
    if (!e)
        return err_set(err, EINVAL, "the engine offers no CPUID leaf 0");
    if (!tpl->level)
        e->eax = MAX(e->eax, 0xb);
    int ret = tpl->level ? fix_template(&t, tpl, err) : 0;
    for (unsigned i = 0; !ret && i < t.n; i++)
        for (unsigned reg = CPUID_EAX; reg <= CPUID_EDX; reg++)
            mask_register(&t.entries[i], (enum cpuid_register)reg, tpl);
    if (!ret)
        ret = set_topology(&t, index, n_vcpus, err);
    if (!ret)
        *n = t.n;
    return ret;
}
