/* What is not a function of the state that a case sets, so that two CPUs need not agree: random
 * numbers, time, CPUID, XGETBV, what UMIP guards. Here each CPU by itself is held to the rules that
 * the manuals give. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "conform.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };

#define GP          13
#define CF          UINT64_C(1)
#define FLAGS_ARITH 0x8d5
#define FCW_INIT    0x37f
#define MXCSR_INIT  0x1f80

#define CR4_TSD  (UINT64_C(1) << 2)
#define CR4_UMIP (UINT64_C(1) << 11)

/* A CPU that is looked at, its last case and what came of it. */
struct subject {
    const struct conform_executor *e;
    struct conform_case *c;
    struct conform_result *r;
    struct conform_rng rng;
    unsigned wrong;
};

static void rule(struct subject *s, bool holds, const char *what)
{
    if (holds)
        return;
    s->wrong++;
    printf("#   %s: %s\n", s->e->name, what);
    printf("#    ");
    for (unsigned i = 0; i < s->c->code_bytes; i++)
        printf(" %02x", s->c->mem[CONFORM_PAGE_CODE][CONFORM_START - CONFORM_CODE + i]);
    printf("  rax %llx rcx %llx rdx %llx rflags %llx vector %d\n",
           (unsigned long long)s->r->out.r[RAX], (unsigned long long)s->r->out.r[RCX],
           (unsigned long long)s->r->out.r[RDX], (unsigned long long)s->r->out.rflags,
           s->r->vector);
}

/* A case of this code with random registers. */
static void make(struct subject *s, const void *code, unsigned n)
{
    struct conform_case *c = s->c;
    uint32_t mxcsr = MXCSR_INIT;
    uint16_t fcw = FCW_INIT, fsw = 0;
    c->mode = X86_CODE64;
    c->program = c->segments = false;
    c->insn = (struct x86_insn){.id = X86_INVALID};
    conform_random_state(&s->rng, c);
    memcpy(c->in.xsave + 24, &mxcsr, 4);
    memcpy(c->in.xsave, &fcw, 2);
    memcpy(c->in.xsave + 2, &fsw, 2);
    c->in.r[RSP] = CONFORM_STACK + 2048;
    c->in.r[RBP] = CONFORM_DATA;
    memset(c->mem[CONFORM_PAGE_CODE], CONFORM_FILL, 4096);
    memcpy(c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE), code, n);
    c->code_bytes = n;
}
#define MAKE(s, ...) make(s, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Runs the case; false: it has faulted. */
static bool run(struct subject *s)
{
    s->e->run(s->e->self, s->c, s->r, 1);
    rule(s, s->r->ran, "comes back");
    return s->r->ran && s->r->vector == CONFORM_NO_FAULT;
}

static bool faults(struct subject *s)
{
    return !run(s) && s->r->vector == GP && s->r->error == 0 && s->r->out.rip == CONFORM_START;
}

/* Registers that are not named in `changed` stay. */
static bool others_stay(const struct subject *s, unsigned changed)
{
    for (unsigned i = 0; i < 16; i++)
        if (!(changed >> i & 1) && s->c->in.r[i] != s->r->out.r[i])
            return false;
    return true;
}

static bool wide(uint64_t v)
{
    return v >> 32;
}

/* ---- rdrand, rdseed ---- */

static void random_number(struct subject *s, bool seed, unsigned size, unsigned reg)
{
    uint8_t code[5], rex = (uint8_t)(0x40 | (size == 8) << 3 | reg >> 3);
    unsigned n = 0;
    if (size == 2)
        code[n++] = 0x66;
    code[n++] = rex;
    code[n++] = 0x0f;
    code[n++] = 0xc7;
    code[n++] = (uint8_t)((seed ? 0xf8 : 0xf0) | (reg & 7));
    make(s, code, n);
    if (!run(s)) {
        rule(s, false, "a random number comes");
        return;
    }
    uint64_t before = s->c->in.r[reg], v = s->r->out.r[reg], flags = s->r->out.rflags & FLAGS_ARITH;
    rule(s, !(flags & ~CF), "flags but CF are clear after a random number");
    rule(s, size != 2 || !((before ^ v) >> 16), "16 bits leave the others");
    rule(s, size != 4 || !wide(v), "32 bits clear the upper half");
    rule(s, flags & CF || !(size == 2 ? (uint16_t)v : v), "there is 0 where there is no number");
    rule(s, others_stay(s, 1u << reg), "other registers stay");
}

static void random_numbers(struct subject *s, uint64_t features)
{
    static const uint8_t sizes[] = {2, 4, 8}, regs[] = {RCX, R10};
    static const uint8_t needs[] = {X86_FEATURE_RDRAND, X86_FEATURE_RDSEED};
    for (unsigned i = 0; i < 10 * 2 * ARRAY_LEN(sizes) * ARRAY_LEN(regs); i++) {
        bool seed = i & 1;
        if (features >> needs[seed] & 1)
            random_number(s, seed, sizes[i / 2 % 3], regs[i / 6 % 2]);
    }
}

/* ---- cpuid ---- */

struct regs {
    uint32_t a, b, c, d;
};

static struct regs cpuid(struct subject *s, uint32_t leaf, uint32_t sub)
{
    uint64_t noise = conform_random(&s->rng) << 32;
    MAKE(s, 0x0f, 0xa2);
    s->c->in.r[RAX] = leaf | noise;
    s->c->in.r[RCX] = sub | noise;
    rule(s, run(s), "CPUID is there");
    const uint64_t *r = s->r->out.r;
    rule(s, !wide(r[RAX]) && !wide(r[RBX]) && !wide(r[RCX]) && !wide(r[RDX]),
         "CPUID clears upper halves");
    rule(s, others_stay(s, 1u << RAX | 1u << RBX | 1u << RCX | 1u << RDX), "other registers stay");
    rule(s, (s->r->out.rflags ^ s->c->in.rflags) == 0, "CPUID leaves the flags");
    return (struct regs){(uint32_t)r[RAX], (uint32_t)r[RBX], (uint32_t)r[RCX], (uint32_t)r[RDX]};
}

/* Features that are nothing without others: bits of leaf 1's ECX. */
static void implied(struct subject *s, uint32_t ecx)
{
    static const struct {
        uint8_t what, needs;
        const char *text;
    } pairs[] = {
        {9, 0, "SSSE3 needs SSE3"},     {19, 9, "SSE4.1 needs SSSE3"},
        {20, 19, "SSE4.2 needs 4.1"},   {28, 26, "AVX needs XSAVE"},
        {12, 28, "FMA needs AVX"},      {29, 28, "F16C needs AVX"},
        {27, 26, "OSXSAVE is XSAVE's"}, {26, 27, "CR4.OSXSAVE is seen where there is XSAVE"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(pairs); i++)
        rule(s, !(ecx >> pairs[i].what & 1) || ecx >> pairs[i].needs & 1, pairs[i].text);
}

static void states(struct subject *s, uint32_t max)
{
    if (max < 0xd)
        return;
    struct regs d = cpuid(s, 0xd, 0);
    if (!(d.a & 4))
        return;
    rule(s, (d.a & 7) == 7, "AVX's state is not without those of SSE and x87");
    rule(s, d.b >= 0x340 && d.b <= d.c, "leaf 0dh: the area in use is within the largest");
    d = cpuid(s, 0xd, 2);
    rule(s, d.a == 256 && d.b == 576, "leaf 0dh: 256 bytes of AVX at 576");
}

static void cpuid_leaves(struct subject *s, bool amd)
{
    struct regs zero = cpuid(s, 0, 0), one = cpuid(s, 1, 0), ext = cpuid(s, 0x80000000, 0);
    implied(s, one.c);
    rule(s, zero.a >= 7 && zero.a < 0x100, "there are basic leaves");
    rule(s, (one.b >> 8 & 0xff) * 8 == 64, "CLFLUSH takes 64 bytes");
    rule(s, (one.d & 0x07808111) == 0x07808111, "what every CPU of 64 bits has");
    rule(s, ext.a >= 0x80000008 && ext.a < 0x80000100, "there are extended leaves");
    struct regs more = cpuid(s, 0x80000001, 0), sizes = cpuid(s, 0x80000008, 0);
    rule(s, (more.d & 0x20100800) == 0x20100800, "SYSCALL, NX and long mode");
    rule(s, (sizes.a >> 8 & 0xff) >= 48 && (sizes.a & 0xff) >= 36 && (sizes.a & 0xff) <= 52,
         "sizes of addresses");
    states(s, zero.a);
    struct regs seven = cpuid(s, 7, 0);
    rule(s, !(seven.b >> 5 & 1) || one.c >> 28 & 1, "AVX2 needs AVX");
    if (one.c >> 31) {
        struct regs h = cpuid(s, 0x40000000, 0);
        rule(s, h.a == 0 || h.a >= 0x40000000, "a hypervisor's leaves");
    }
    if (!amd)
        return;
    rule(s, ext.b == zero.b && ext.c == zero.c && ext.d == zero.d, "one vendor in both leaves");
    rule(s, !((one.d ^ more.d) & 0x0183f3ff), "leaf 80000001h has copies of leaf 1");
    struct regs none = cpuid(s, zero.a + 0x1000, 0);
    rule(s, !(none.a | none.b | none.c | none.d), "a leaf that is not there is zero");
}

/* ---- time ---- */

static void clocks(struct subject *s)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < 20; i++) {
        /* rdtsc; mov r8, rax; mov r9, rdx; rdtsc */
        MAKE(s, 0x0f, 0x31, 0x49, 0x89, 0xc0, 0x49, 0x89, 0xd1, 0x0f, 0x31);
        rule(s, run(s), "RDTSC is there");
        const uint64_t *r = s->r->out.r;
        uint64_t first = r[R8] | r[R9] << 32, second = r[RAX] | r[RDX] << 32;
        rule(s, !wide(r[RAX]) && !wide(r[RDX]) && !wide(r[R8]) && !wide(r[R9]),
             "RDTSC clears upper halves");
        rule(s, first > last && second > first, "time goes on");
        last = second;
    }
}

/* The number of the CPU by both ways, between which the system may have moved the process. */
static void number(struct subject *s)
{
    for (unsigned tries = 0; tries < 4; tries++) {
        /* rdtscp; rdpid r11; mov r10, rcx */
        MAKE(s, 0x0f, 0x01, 0xf9, 0xf3, 0x41, 0x0f, 0xc7, 0xfb, 0x49, 0x89, 0xca);
        bool good = run(s);
        if (good && s->r->out.r[R10] == s->r->out.r[R11])
            return;
    }
    rule(s, false, "RDPID and RDTSCP tell the same number");
}

/* ---- xgetbv ---- */

static void xgetbv(struct subject *s, bool in_use)
{
    static const uint32_t bad[] = {2, 3, 0x80000000, 0xffffffff};
    MAKE(s, 0x0f, 0x01, 0xd0);
    s->c->in.r[RCX] = conform_random(&s->rng) << 32;
    rule(s, run(s) && (s->r->out.r[RAX] & 3) == 3, "XCR0 can be read");
    rule(s, !wide(s->r->out.r[RAX]) && !wide(s->r->out.r[RDX]), "XGETBV clears upper halves");
    rule(s, others_stay(s, 1u << RAX | 1u << RDX), "other registers stay");
    uint64_t xcr0 = s->r->out.r[RAX];
    s->c->in.r[RCX] = 1;
    if (in_use)
        rule(s, run(s) && !(s->r->out.r[RAX] & ~xcr0), "what is in use is part of XCR0");
    else
        rule(s, faults(s), "XGETBV of 1 is #GP where it is not offered");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        s->c->in.r[RCX] = bad[i];
        rule(s, faults(s), "XGETBV of what is not there is #GP");
    }
}

/* ---- what UMIP guards ---- */

enum { SGDT, SIDT, SLDT, STR, SMSW, GUARDED };

static void make_guarded(struct subject *s, unsigned which, bool mem, unsigned size)
{
    static const uint8_t opcode[] = {1, 1, 0, 0, 1}, reg[] = {0, 1, 0, 1, 4};
    uint8_t code[] = {size == 2 ? 0x66 : 0x40 | (size == 8) << 3, 0x0f, opcode[which],
                      (uint8_t)((mem ? 0x45 : 0xc1) | reg[which] << 3), 16};
    make(s, code, mem ? 5 : 4); /* [rbp + 16], or rcx */
}

static bool unchanged(const struct subject *s)
{
    return !s->r->changed && others_stay(s, 0);
}

static void guarded(struct subject *s)
{
    for (unsigned i = 0; i < GUARDED; i++) {
        make_guarded(s, i, true, 8);
        rule(s, faults(s) && unchanged(s), "UMIP guards it");
        if (i < SLDT)
            continue;
        make_guarded(s, i, false, 8);
        rule(s, faults(s) && unchanged(s), "UMIP guards it");
    }
}

/* Bytes at [rbp + 16] that have changed all lie within the first n. */
static bool stored(const struct subject *s, unsigned n)
{
    const uint8_t *was = s->c->mem[CONFORM_PAGE_DATA0], *is = s->r->mem[CONFORM_PAGE_DATA0];
    return s->r->changed == 1u << CONFORM_PAGE_DATA0 && !memcmp(was, is, 16) &&
           !memcmp(was + 16 + n, is + 16 + n, 4096 - 16 - n);
}

static void not_guarded(struct subject *s)
{
    static const uint64_t values[] = {[SLDT] = 0x50, [STR] = 0x40, [SMSW] = 0x80050033};
    for (unsigned i = 0; i < GUARDED; i++) {
        make_guarded(s, i, true, 8);
        rule(s, run(s) && stored(s, i < SLDT ? 10 : 2), "it stores 10 bytes, or 2");
        for (unsigned size = 2; i >= SLDT && size <= 8; size *= 2) {
            make_guarded(s, i, false, size);
            bool good = run(s);
            uint64_t v = s->r->out.r[RCX], before = s->c->in.r[RCX];
            rule(s, good && others_stay(s, 1u << RCX), "it is allowed");
            if (size == 2)
                rule(s, v == ((before & ~UINT64_C(0xffff)) | (values[i] & 0xffff)), "16 bits");
            else
                rule(s, v == values[i], "a register's upper bits");
        }
    }
}

/* ---- all of them ---- */

unsigned conform_by_rule(const struct conform_executor *e, struct conform_batch *batch,
                         uint64_t features, const struct conform_cpu_facts *facts)
{
    struct subject s = {.e = e, .c = &batch->cases[0], .r = &batch->results[0], .rng = {1}};
    random_numbers(&s, features);
    cpuid_leaves(&s, facts->amd);
    clocks(&s);
    if (features >> X86_FEATURE_RDPID & features >> X86_FEATURE_RDTSCP & 1)
        number(&s);
    if (features >> X86_FEATURE_XSAVE & 1)
        xgetbv(&s, facts->xgetbv1);
    if (!facts->ours)
        return s.wrong;
    not_guarded(&s);
    conform_soft_set_cr4(CR4_UMIP | CR4_TSD, 0);
    guarded(&s);
    MAKE(&s, 0x0f, 0x31);
    rule(&s, faults(&s), "RDTSC is #GP with CR4.TSD");
    if (features >> X86_FEATURE_RDTSCP & 1) {
        MAKE(&s, 0x0f, 0x01, 0xf9);
        rule(&s, faults(&s), "RDTSCP is #GP with CR4.TSD");
    }
    conform_soft_set_cr4(0, CR4_UMIP | CR4_TSD);
    return s.wrong;
}
