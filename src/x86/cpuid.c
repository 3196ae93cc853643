#include "x86/cpuid.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "x86/cpuid_internal.h"

#define VENDOR_AUTH    0x68747541u /* "Auth" of AuthenticAMD */
#define VENDOR_HYGO    0x6f677948u /* "Hygo" of HygonGenuine */
#define PHYSICAL_BITS  40
#define LINEAR_BITS    48
#define XCR0_V3        0x7u /* x87, SSE, AVX */
#define XSAVE_BYTES_V3 (576 + 256)

static const struct cpuid_template templates[] = {
    {"host", 0, false, 0, 0, 0, ""},
    {"x86-64-v2", 2, false, 0xb, 0x000106a5, 0x00600f12, "Virga x86-64-v2 Processor"},
    {"x86-64-v3", 3, false, 0xd, 0x000306c4, 0x00800f12, "Virga x86-64-v3 Processor"},
    {"rig-v1", 3, true, 0xd, 0, 0x00800f12, "Virga rig-v1 Processor"},
};

/* ---- entries ---- */

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_entry2 *entries, unsigned n, uint32_t function,
                                    uint32_t sub)
{
    for (unsigned i = 0; i < n; i++)
        if (entries[i].function == function &&
            (entries[i].index == sub || !(entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
            return &entries[i];
    return NULL;
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

static void remove_if(struct cpuid_table *t,
                      bool (*unwanted)(const struct kvm_cpuid_entry2 *e, uint32_t arg),
                      uint32_t arg)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->n; i++)
        if (!unwanted(&t->entries[i], arg))
            t->entries[kept++] = t->entries[i];
    t->n = kept;
}

struct kvm_cpuid_entry2 *cpuid_table_find(struct cpuid_table *t, uint32_t function, uint32_t sub)
{
    return cpuid_find(t->entries, t->n, function, sub);
}

int cpuid_table_add(struct cpuid_table *t, struct kvm_cpuid_entry2 e, struct err *err)
{
    if (t->n == t->max)
        return err_set(err, ENOSPC, "the CPUID table holds at most %u entries", t->max);
    t->entries[t->n++] = e;
    return 0;
}

bool cpuid_table_is_amd(struct cpuid_table *t)
{
    const struct kvm_cpuid_entry2 *e = cpuid_table_find(t, 0, 0);
    return e && (e->ebx == VENDOR_AUTH || e->ebx == VENDOR_HYGO);
}

/* ---- the named templates' fixed values ---- */

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

static int put_brand(struct cpuid_table *t, const struct cpuid_template *tpl, struct err *err)
{
    int ret = 0;
    for (uint32_t i = 0; !ret && i < 3; i++) {
        const char *p = tpl->brand + 16 * i;
        ret = cpuid_table_add(t,
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
static int put_caches(struct cpuid_table *t, bool amd, struct err *err)
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
        ret = cpuid_table_add(t, e, err);
    }
    if (!ret && amd)
        ret = cpuid_table_add(t,
                              (struct kvm_cpuid_entry2){.function = 0x80000005,
                                                        .ecx = 32u << 24 | 8u << 16 | 1u << 8 | 64,
                                                        .edx = 32u << 24 | 8u << 16 | 1u << 8 | 64},
                              err);
    if (!ret && amd) /* 6 and 8: 8 and 16 ways; the third in units of 512 KiB */
        ret = cpuid_table_add(t,
                              (struct kvm_cpuid_entry2){.function = 0x80000006,
                                                        .ecx = 512u << 16 | 6u << 12 | 1u << 8 | 64,
                                                        .edx = 32u << 18 | 8u << 12 | 1u << 8 | 64},
                              err);
    return ret;
}

static void set_xsave(struct cpuid_table *t)
{
    struct kvm_cpuid_entry2 *e = cpuid_table_find(t, 0xd, 0);
    if (e) {
        e->eax = XCR0_V3;
        e->ebx = XSAVE_BYTES_V3; /* KVM follows XCR0 with it */
        e->ecx = XSAVE_BYTES_V3;
        e->edx = 0;
    }
    e = cpuid_table_find(t, 0xd, 1);
    if (e)
        e->ebx = e->ecx = e->edx = 0; /* no supervisor states */
}

static int fix_template(struct cpuid_table *t, const struct cpuid_template *tpl, struct err *err)
{
    int ret = cpuid_features_check(t, tpl, err);
    if (ret)
        return ret;
    bool amd = cpuid_table_is_amd(t);
    if (tpl->exact && !amd)
        return err_set(err, ENOTSUP,
                       "the CPU template %s is AMD's, this host's CPU is not; choose x86-64-v3 or "
                       "\"host\"",
                       tpl->name);
    remove_if(t, beyond_template, tpl->max_basic);
    struct kvm_cpuid_entry2 *e = cpuid_table_find(t, 0, 0);
    e->eax = tpl->max_basic;
    e = cpuid_table_find(t, 0x80000000, 0);
    if (e)
        e->eax = amd && !tpl->exact ? 0x8000001e : 0x80000008;
    e = cpuid_table_find(t, 1, 0);
    e->eax = amd ? tpl->signature_amd : tpl->signature_intel;
    e->ebx = 8u << 8; /* CLFLUSH line: 64 bytes */
    e = cpuid_table_find(t, 6, 0);
    if (e) {
        e->eax &= 1u << 2; /* the APIC timer runs in all C-states */
        e->ebx = e->ecx = e->edx = 0;
    }
    e = cpuid_table_find(t, 7, 0);
    if (e)
        e->eax = e->ecx = 0;
    e = cpuid_table_find(t, 0x80000001, 0);
    e->eax = amd ? tpl->signature_amd : 0;
    e->ebx = 0;
    e = cpuid_table_find(t, 0x80000008, 0);
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

/* ---- all of it ---- */

static const struct cpuid_template *find_template(const char *name)
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
    const struct cpuid_template *tpl = find_template(template_name);
    struct cpuid_table t = {.entries = entries, .n = *n, .max = max};
    if (!tpl)
        return err_set(
            err, EINVAL,
            "no CPU template is called '%s': there are host, x86-64-v2, x86-64-v3, rig-v1",
            template_name);
    if (!n_vcpus || n_vcpus > 255 || index >= n_vcpus)
        return err_set(err, EINVAL, "vCPU %u of %u has no CPUID", index, n_vcpus);
    remove_if(&t, never_offered, 0);
    struct kvm_cpuid_entry2 *e = cpuid_table_find(&t, 0, 0);
    if (!e)
        return err_set(err, EINVAL, "the engine offers no CPUID leaf 0");
    if (!tpl->level)
        e->eax = MAX(e->eax, 0xb);
    int ret = tpl->level ? fix_template(&t, tpl, err) : 0;
    for (unsigned i = 0; !ret && i < t.n; i++)
        for (unsigned reg = CPUID_EAX; reg <= CPUID_EDX; reg++)
            cpuid_features_mask(&t.entries[i], (enum cpuid_register)reg, tpl);
    if (!ret)
        ret = cpuid_topology_set(&t, index, n_vcpus, err);
    if (!ret)
        *n = t.n;
    return ret;
}
