#include "x86/cpuid.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

#define MAX_ENTRIES 64

struct cpu {
    struct kvm_cpuid_entry2 e[MAX_ENTRIES];
    unsigned n;
};

/* A host of this vendor that has every feature there is. */
static struct cpu everything(bool amd)
{
    static const uint32_t plain[] = {0,          1,          2,          6,          0xa,
                                     0x40000000, 0x40000001, 0x80000000, 0x80000001, 0x80000007,
                                     0x80000008, 0x8000000a, 0x8000001e};
    static const uint32_t subs[][2] = {{4, 0},   {4, 3},    {7, 0},    {7, 1},
                                       {0xb, 0}, {0xd, 0},  {0xd, 1},  {0xd, 2},
                                       {0xd, 9}, {0x14, 0}, {0x1f, 0}, {0x8000001d, 3}};
    struct cpu c = {.n = 0};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        c.e[c.n++] = (struct kvm_cpuid_entry2){.function = plain[i],
                                               .eax = 0xffffffff,
                                               .ebx = 0xffffffff,
                                               .ecx = 0xffffffff,
                                               .edx = 0xffffffff};
    for (size_t i = 0; i < ARRAY_LEN(subs); i++)
        c.e[c.n++] = (struct kvm_cpuid_entry2){.function = subs[i][0],
                                               .index = subs[i][1],
                                               .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                               .eax = 0xffffffff,
                                               .ebx = 0xffffffff,
                                               .ecx = 0xffffffff,
                                               .edx = 0xffffffff};
    struct kvm_cpuid_entry2 *zero = cpuid_find(c.e, c.n, 0, 0);
    zero->eax = 0x1f;
    zero->ebx = amd ? 0x68747541 : 0x756e6547;
    cpuid_find(c.e, c.n, 4, 0)->eax = 0xfc000121;
    cpuid_find(c.e, c.n, 4, 3)->eax = 0xfc000163;
    cpuid_find(c.e, c.n, 0x8000001d, 3)->eax = 0xfc000163;
    return c;
}

static int build(struct cpu *c, const char *name, unsigned index, unsigned n, struct err *err)
{
    return cpuid_build(c->e, &c->n, MAX_ENTRIES, name, index, n, err);
}

static uint32_t value(struct cpu *c, uint32_t function, uint32_t sub, enum cpuid_register reg)
{
    struct kvm_cpuid_entry2 *e = cpuid_find(c->e, c->n, function, sub);
    return e ? *cpuid_reg(e, reg) : 0;
}

/* The tables of the psABI, 3.1.1: feature, where CPUID says it. OSFXSR and OSXSAVE are the guest's
 * own CR4 bits; FXSR and XSAVE stand for them. */
struct row {
    const char *name;
    uint32_t function, sub;
    enum cpuid_register reg;
    unsigned bit;
};

static const struct row baseline[] = {
    {"CMOV", 1, 0, CPUID_EDX, 15},        {"CX8", 1, 0, CPUID_EDX, 8},
    {"FPU", 1, 0, CPUID_EDX, 0},          {"FXSR", 1, 0, CPUID_EDX, 24},
    {"MMX", 1, 0, CPUID_EDX, 23},         {"SSE", 1, 0, CPUID_EDX, 25},
    {"SSE2", 1, 0, CPUID_EDX, 26},        {"SCE", 0x80000001, 0, CPUID_EDX, 11},
    {"LM", 0x80000001, 0, CPUID_EDX, 29},
};
static const struct row v2[] = {
    {"CMPXCHG16B", 1, 0, CPUID_ECX, 13}, {"LAHF-SAHF", 0x80000001, 0, CPUID_ECX, 0},
    {"POPCNT", 1, 0, CPUID_ECX, 23},     {"SSE3", 1, 0, CPUID_ECX, 0},
    {"SSE4_1", 1, 0, CPUID_ECX, 19},     {"SSE4_2", 1, 0, CPUID_ECX, 20},
    {"SSSE3", 1, 0, CPUID_ECX, 9},
};
static const struct row v3[] = {
    {"AVX", 1, 0, CPUID_ECX, 28},           {"AVX2", 7, 0, CPUID_EBX, 5},
    {"BMI1", 7, 0, CPUID_EBX, 3},           {"BMI2", 7, 0, CPUID_EBX, 8},
    {"F16C", 1, 0, CPUID_ECX, 29},          {"FMA", 1, 0, CPUID_ECX, 12},
    {"LZCNT", 0x80000001, 0, CPUID_ECX, 5}, {"MOVBE", 1, 0, CPUID_ECX, 22},
    {"XSAVE", 1, 0, CPUID_ECX, 26},
};
/* Of the next level: in none of ours. */
static const struct row v4[] = {
    {"AVX512F", 7, 0, CPUID_EBX, 16},  {"AVX512BW", 7, 0, CPUID_EBX, 30},
    {"AVX512CD", 7, 0, CPUID_EBX, 28}, {"AVX512DQ", 7, 0, CPUID_EBX, 17},
    {"AVX512VL", 7, 0, CPUID_EBX, 31},
};

static void check_rows(struct cpu *c, const struct row *rows, size_t n, bool want)
{
    for (size_t i = 0; i < n; i++) {
        bool have = value(c, rows[i].function, rows[i].sub, rows[i].reg) >> rows[i].bit & 1;
        if (have != want)
            printf("# %s\n", rows[i].name);
        CHECK(have == want);
    }
}

static void the_levels_have_what_the_psabi_says_and_nothing_of_the_next(void)
{
    for (int amd = 0; amd < 2; amd++) {
        struct cpu c = everything(amd);
        REQUIRE(build(&c, "x86-64-v2", 0, 1, NULL) == 0);
        check_rows(&c, baseline, ARRAY_LEN(baseline), true);
        check_rows(&c, v2, ARRAY_LEN(v2), true);
        check_rows(&c, v3, ARRAY_LEN(v3), false);
        c = everything(amd);
        REQUIRE(build(&c, "x86-64-v3", 0, 1, NULL) == 0);
        check_rows(&c, baseline, ARRAY_LEN(baseline), true);
        check_rows(&c, v2, ARRAY_LEN(v2), true);
        check_rows(&c, v3, ARRAY_LEN(v3), true);
        check_rows(&c, v4, ARRAY_LEN(v4), false);
    }
}

static void each_missing_feature_refuses_the_template(void)
{
    for (size_t i = 0; i < ARRAY_LEN(v3); i++) {
        struct cpu c = everything(false);
        struct err err = {0};
        *cpuid_reg(cpuid_find(c.e, c.n, v3[i].function, v3[i].sub), v3[i].reg) &=
            ~(1u << v3[i].bit);
        CHECK_EQ(build(&c, "x86-64-v3", 0, 1, &err), -ENOTSUP);
        CHECK(strstr(err.msg, "x86-64-v3"));
        c = everything(false);
        *cpuid_reg(cpuid_find(c.e, c.n, v3[i].function, v3[i].sub), v3[i].reg) &=
            ~(1u << v3[i].bit);
        CHECK_EQ(build(&c, "x86-64-v2", 0, 1, NULL), 0);
    }
    struct cpu c = everything(false);
    struct err err = {0};
    cpuid_find(c.e, c.n, 1, 0)->ecx &= ~(1u << 13);
    CHECK_EQ(build(&c, "x86-64-v2", 0, 1, &err), -ENOTSUP);
    CHECK(strstr(err.msg, "cmpxchg16b"));
}

static void unlike_hosts_give_the_same_guest_but_for_the_listed_features(void)
{
    struct cpu a = everything(false), b = everything(false);
    cpuid_find(b.e, b.n, 1, 0)->eax = 0x000906e9;
    cpuid_find(b.e, b.n, 0, 0)->eax = 0x16;
    cpuid_find(b.e, b.n, 7, 0)->ebx = 0x219c07ab; /* no AVX-512 */
    cpuid_find(b.e, b.n, 4, 3)->ecx = 0x33fff;
    cpuid_find(b.e, b.n, 6, 0)->eax = 4;
    cpuid_find(b.e, b.n, 0x80000001, 0)->eax = 0;
    REQUIRE(build(&a, "x86-64-v3", 1, 4, NULL) == 0);
    REQUIRE(build(&b, "x86-64-v3", 1, 4, NULL) == 0);
    CHECK_EQ(a.n, b.n);
    CHECK(memcmp(a.e, b.e, a.n * sizeof(a.e[0])) == 0);
    char brand[49] = {0};
    for (uint32_t i = 0; i < 3; i++)
        memcpy(brand + 16 * i, &cpuid_find(a.e, a.n, 0x80000002 + i, 0)->eax, 16);
    CHECK_STR(brand, "Virga x86-64-v3 Processor");
}

static void the_host_template_loses_what_no_state_can_carry(void)
{
    struct cpu c = everything(true);
    REQUIRE(build(&c, "host", 0, 1, NULL) == 0);
    CHECK_EQ(value(&c, 1, 0, CPUID_ECX) >> 5 & 1, 0);          /* vmx */
    CHECK_EQ(value(&c, 0x80000001, 0, CPUID_ECX) >> 2 & 1, 0); /* svm */
    CHECK(!cpuid_find(c.e, c.n, 0xa, 0));
    CHECK(!cpuid_find(c.e, c.n, 0x14, 0));
    CHECK_EQ(value(&c, 7, 0, CPUID_EBX), 0xffffffff);
    CHECK_EQ(value(&c, 0x40000001, 0, CPUID_EAX) >> 15 & 1, 0);
}

static void every_vcpu_finds_itself_in_the_topology(void)
{
    struct cpu c = everything(false);
    REQUIRE(build(&c, "host", 5, 6, NULL) == 0);
    CHECK_EQ(value(&c, 1, 0, CPUID_EBX) >> 24, 5);
    CHECK_EQ(value(&c, 1, 0, CPUID_EBX) >> 16 & 0xff, 6);
    CHECK_EQ(value(&c, 1, 0, CPUID_EDX) >> 28 & 1, 1);
    CHECK_EQ(value(&c, 0xb, 0, CPUID_EAX), 0);
    CHECK_EQ(value(&c, 0xb, 1, CPUID_EAX), 3);
    CHECK_EQ(value(&c, 0xb, 1, CPUID_EBX), 6);
    CHECK_EQ(value(&c, 0xb, 1, CPUID_ECX), 0x201);
    CHECK_EQ(value(&c, 0xb, 1, CPUID_EDX), 5);
    CHECK_EQ(value(&c, 0xb, 2, CPUID_EBX), 0);
    CHECK_EQ(value(&c, 4, 0, CPUID_EAX) >> 14 & 0xfff, 0); /* own L1 */
    CHECK_EQ(value(&c, 4, 3, CPUID_EAX) >> 14 & 0xfff, 7); /* shared L3, rounded up */
    CHECK_EQ(value(&c, 4, 3, CPUID_EAX) >> 26, 7);
    CHECK(!cpuid_find(c.e, c.n, 0x1f, 0));
    c = everything(true);
    REQUIRE(build(&c, "host", 2, 4, NULL) == 0);
    CHECK_EQ(value(&c, 0x8000001e, 0, CPUID_EAX), 2);
    CHECK_EQ(value(&c, 0x8000001e, 0, CPUID_EBX), 2);
    CHECK_EQ(value(&c, 0x80000008, 0, CPUID_ECX), 0x2003);
    c = everything(false);
    REQUIRE(build(&c, "host", 0, 1, NULL) == 0);
    CHECK_EQ(value(&c, 1, 0, CPUID_EDX) >> 28 & 1, 0);
    CHECK_EQ(value(&c, 0xb, 1, CPUID_EAX), 0);
}

/* Two hosts that differ in all that may differ give one CPU. */
static void rig_v1_is_the_same_on_every_host_that_can_have_it(void)
{
    static const struct {
        uint32_t function, sub;
        enum cpuid_register reg;
        uint32_t bits;
    } optional[] = {
        {1, 0, CPUID_ECX, 1u << 17},                       /* pcid */
        {1, 0, CPUID_EDX, 1u << 1},                        /* vme */
        {7, 0, CPUID_EBX, 1u << 10 | 1u << 16 | 1u << 29}, /* invpcid, avx512f, sha */
        {7, 0, CPUID_EDX, 0xffffffff},
        {0xd, 1, CPUID_EAX, 0xf},
        {0x80000001, 0, CPUID_ECX, 1u << 22}, /* topoext */
        {0x80000008, 0, CPUID_EBX, 0xffffffff},
        {0x40000001, 0, CPUID_EAX, 1u << 5 | 1u << 11 | 1u << 14},
    };
    struct cpu a = everything(true), b = everything(true);
    for (size_t i = 0; i < ARRAY_LEN(optional); i++)
        *cpuid_reg(cpuid_find(b.e, b.n, optional[i].function, optional[i].sub), optional[i].reg) &=
            ~optional[i].bits;
    REQUIRE(build(&a, "rig-v1", 1, 2, NULL) == 0);
    REQUIRE(build(&b, "rig-v1", 1, 2, NULL) == 0);
    CHECK_EQ(a.n, b.n);
    CHECK(memcmp(a.e, b.e, a.n * sizeof(a.e[0])) == 0);
    check_rows(&a, v3, ARRAY_LEN(v3), true);
    CHECK(!cpuid_find(a.e, a.n, 0x8000001e, 0));
}

static void rig_v1_is_refused_where_it_cannot_be_had(void)
{
    struct err err = {0};
    struct cpu c = everything(false);
    CHECK_EQ(build(&c, "rig-v1", 0, 1, &err), -ENOTSUP);
    CHECK(strstr(err.msg, "AMD"));
    c = everything(true);
    cpuid_find(c.e, c.n, 0x80000001, 0)->edx &= ~(1u << 27);
    CHECK_EQ(build(&c, "rig-v1", 0, 1, &err), -ENOTSUP);
    CHECK(strstr(err.msg, "rdtscp"));
}

static void what_every_guest_relies_on_is_always_there(void)
{
    static const char *const names[] = {"host", "x86-64-v2", "x86-64-v3"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct cpu c = everything(false);
        cpuid_find(c.e, c.n, 1, 0)->ecx &= ~((1u << 31) | (1u << 24) | (1u << 21));
        REQUIRE(build(&c, names[i], 0, 1, NULL) == 0);
        uint32_t ecx = value(&c, 1, 0, CPUID_ECX);
        CHECK(ecx >> 31 & ecx >> 24 & ecx >> 21 & 1);
        CHECK(!(ecx >> 27 & 1)); /* OSXSAVE follows the guest's CR4 */
        CHECK(cpuid_find(c.e, c.n, 0x40000000, 0));
        CHECK(cpuid_template_exists(names[i]));
    }
}

static void refuses_unknown_names_and_full_tables(void)
{
    struct cpu c = everything(false);
    struct err err = {0};
    CHECK_EQ(build(&c, "pentium", 0, 1, &err), -EINVAL);
    CHECK(strstr(err.msg, "'pentium'") && strstr(err.msg, "x86-64-v3"));
    CHECK(!cpuid_template_exists("pentium"));
    CHECK_EQ(build(&c, "host", 3, 3, &err), -EINVAL);
    unsigned n = 2; /* leaves 0 and 1, and no room for more */
    CHECK_EQ(cpuid_build(c.e, &n, 2, "host", 0, 1, &err), -ENOSPC);
    n = 0;
    CHECK_EQ(cpuid_build(c.e, &n, MAX_ENTRIES, "host", 0, 1, &err), -EINVAL);
}

int main(void)
{
    TAP_RUN(the_levels_have_what_the_psabi_says_and_nothing_of_the_next);
    TAP_RUN(each_missing_feature_refuses_the_template);
    TAP_RUN(unlike_hosts_give_the_same_guest_but_for_the_listed_features);
    TAP_RUN(the_host_template_loses_what_no_state_can_carry);
    TAP_RUN(every_vcpu_finds_itself_in_the_topology);
    TAP_RUN(rig_v1_is_the_same_on_every_host_that_can_have_it);
    TAP_RUN(rig_v1_is_refused_where_it_cannot_be_had);
    TAP_RUN(what_every_guest_relies_on_is_always_there);
    TAP_RUN(refuses_unknown_names_and_full_tables);
    return tap_done();
}
