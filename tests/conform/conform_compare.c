/* Where two results differ. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "conform.h"

/* Flags that an instruction of user code can change, without those of tracing. */
#define FLAGS_COMPARED UINT64_C(0x244cd5) /* ID AC NT OF DF SF ZF AF PF CF */

/* Faults with an error code, as a bit mask. */
#define HAS_ERROR (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)
#define PF        14

#define PF_PRESENT 1 /* in an error code */

#define STRING_REGS (1u << 1 | 1u << 6 | 1u << 7) /* RCX RSI RDI */

/* Offsets in the XSAVE image. Spec: Intel SDM volume 1, table 10-2 and 13.4. */
#define FCW_AT       0
#define FSW_AT       2
#define FTW_AT       4
#define MXCSR_AT     24
#define ST_AT        32
#define XMM_AT       160
#define XSTATE_BV_AT 512
#define YMMH_AT      576

/* Differences that are printed of one case. */
#define PRINTED_MAX 12

/* One comparison: what is printed, and how much of it there was. */
struct diff {
    const char *a, *b; /* names of the two */
    unsigned n;
    bool print;
};

static void note(struct diff *d, const char *what, uint64_t a, uint64_t b, uint64_t before)
{
    d->n++;
    if (d->print && d->n <= PRINTED_MAX)
        printf("#     %-8s %s %016llx  %s %016llx  before %016llx\n", what, d->a,
               (unsigned long long)a, d->b, (unsigned long long)b, (unsigned long long)before);
}

static void note_bytes(struct diff *d, const char *what, const uint8_t *a, const uint8_t *b,
                       const uint8_t *before, unsigned n)
{
    const uint8_t *rows[3] = {a, b, before};
    const char *names[3] = {d->a, d->b, "before"};
    d->n++;
    if (!d->print || d->n > PRINTED_MAX)
        return;
    for (unsigned i = 0; i < 3; i++) {
        printf("#     %-8s %-7s", what, names[i]);
        for (unsigned j = 0; j < n; j++)
            printf(" %02x", rows[i][n - 1 - j]);
        printf("\n");
    }
}

static uint64_t field(const uint8_t *xsave, unsigned at, unsigned bytes)
{
    uint64_t v = 0;
    memcpy(&v, xsave + at, bytes);
    return v;
}

static void compare_field(struct diff *d, const char *what, const uint8_t *a, const uint8_t *b,
                          const uint8_t *in, unsigned at, unsigned bytes)
{
    if (memcmp(a + at, b + at, bytes))
        note(d, what, field(a, at, bytes), field(b, at, bytes), field(in, at, bytes));
}

/* A component that XSTATE_BV does not name is in its initial state: zero (AVX). */
static void upper_halves(const uint8_t *xsave, uint8_t out[256])
{
    memset(out, 0, 256);
    if (xsave[XSTATE_BV_AT] & 4)
        memcpy(out, xsave + YMMH_AT, 256);
}

static void compare_fpu(struct diff *d, const uint8_t *a, const uint8_t *b, const uint8_t *in,
                        const struct conform_masks *m)
{
    uint8_t high[3][256];
    char name[16];
    compare_field(d, "fcw", a, b, in, FCW_AT, 2);
    if (!m->x87)
        compare_field(d, "fsw", a, b, in, FSW_AT, 2);
    if (!m->x87)
        compare_field(d, "ftw", a, b, in, FTW_AT, 1);
    if (!m->mxcsr)
        compare_field(d, "mxcsr", a, b, in, MXCSR_AT, 4);
    upper_halves(a, high[0]);
    upper_halves(b, high[1]);
    upper_halves(in, high[2]);
    for (unsigned i = 0; !m->x87 && i < 8; i++) {
        unsigned at = ST_AT + 16 * i;
        snprintf(name, sizeof(name), "st%u", i);
        if (memcmp(a + at, b + at, 10))
            note_bytes(d, name, a + at, b + at, in + at, 10);
    }
    for (unsigned i = 0; !m->vectors && i < 16; i++) {
        unsigned at = XMM_AT + 16 * i;
        snprintf(name, sizeof(name), "xmm%u", i);
        if (memcmp(a + at, b + at, 16))
            note_bytes(d, name, a + at, b + at, in + at, 16);
        snprintf(name, sizeof(name), "ymmh%u", i);
        if (memcmp(high[0] + 16 * i, high[1] + 16 * i, 16))
            note_bytes(d, name, high[0] + 16 * i, high[1] + 16 * i, high[2] + 16 * i, 16);
    }
}

/* A null selector's RPL does not outlive the kernel: an IRET to an outer ring makes it zero. */
static uint16_t named(uint16_t selector)
{
    return selector & 0xfffc ? selector : 0;
}

static void compare_segments(struct diff *d, const struct conform_result *a,
                             const struct conform_result *b)
{
    static const char *const names[X86_N_SEGMENTS] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        if (named(a->selectors[i]) != named(b->selectors[i]))
            note(d, names[i], a->selectors[i], b->selectors[i], 0);
    if (!a->has_bases || !b->has_bases)
        return;
    if (a->bases[0] != b->bases[0])
        note(d, "fs base", a->bases[0], b->bases[0], CONFORM_FS_BASE);
    if (a->bases[1] != b->bases[1])
        note(d, "gs base", a->bases[1], b->bases[1], CONFORM_GS_BASE);
}

static bool masked(const struct conform_masks *m, uint64_t linear)
{
    for (unsigned i = 0; i < ARRAY_LEN(m->memory); i++)
        if (linear - m->memory[i].at < m->memory[i].bytes)
            return true;
    return false;
}

static void compare_memory(struct diff *d, const struct conform_case *c,
                           const struct conform_result *a, const struct conform_result *b,
                           const struct conform_masks *m)
{
    for (unsigned i = 0; i < CONFORM_PAGES; i++) {
        uint64_t page = conform_page_at(i);
        const uint8_t *x = a->changed >> i & 1 ? a->mem[i] : c->mem[i];
        const uint8_t *y = b->changed >> i & 1 ? b->mem[i] : c->mem[i];
        unsigned at = 0;
        char name[24];
        while (at < 4096 && (x[at] == y[at] || masked(m, page + at)))
            at++;
        if (at == 4096)
            continue;
        unsigned n = MIN(16u, 4096 - at);
        snprintf(name, sizeof(name), "[%llx]", (unsigned long long)page + at);
        note_bytes(d, name, x + at, y + at, c->mem[i] + at, n);
    }
}

static bool same_fault(const struct conform_result *a, const struct conform_result *b,
                       const struct conform_masks *m)
{
    /* Of its own addresses Linux says that a page is there. */
    uint32_t hidden = a->vector == PF && a->cr2 >> 63 ? PF_PRESENT : 0;
    if (a->vector != b->vector)
        return a->vector >= 0 && b->vector >= 0 &&
               m->faults >> a->vector & m->faults >> b->vector & 1;
    if (a->vector >= 0 && HAS_ERROR >> a->vector & 1 && (a->error | hidden) != (b->error | hidden))
        return false;
    return a->vector != PF || (a->cr2 | m->cr2_low) == (b->cr2 | m->cr2_low);
}

/* A program that has faulted is, as far as masks are concerned, the instruction that it ended with:
 * from the state that is left. */
static struct conform_masks masks_of(const struct conform_case *c, const struct conform_result *a,
                                     const struct conform_result *b)
{
    static struct conform_case last;
    if (!c->program || c->segments || a->vector == CONFORM_NO_FAULT ||
        a->out.rip - CONFORM_CODE >= 4096 - 16)
        return conform_masks_of(c, a, b);
    last = *c;
    last.in = a->out;
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        if (a->changed >> i & 1)
            memcpy(last.mem[i], a->mem[i], 4096);
    if (decode_insn(last.mem[CONFORM_PAGE_CODE] + (a->out.rip - CONFORM_CODE), X86_INSN_MAX_BYTES,
                    c->mode, &last.insn) != X86_DECODE_OK)
        last.insn = (struct x86_insn){.id = X86_INVALID};
    return conform_masks_of(&last, a, b);
}

/* Of a program: the code at which it has ended. */
static void print_end(const struct conform_case *c, const char *name,
                      const struct conform_result *r)
{
    const uint8_t *code =
        r->changed >> CONFORM_PAGE_CODE & 1 ? r->mem[CONFORM_PAGE_CODE] : c->mem[CONFORM_PAGE_CODE];
    uint64_t at = r->out.rip - CONFORM_CODE;
    if (!c->program || at >= 4096 - 12)
        return;
    printf("#     end      %s %llx:", name, (unsigned long long)r->out.rip);
    for (unsigned i = 0; i < 12; i++)
        printf(" %02x", code[at + i]);
    printf("\n");
}

static void print_fault(const char *name, const struct conform_result *r)
{
    if (r->vector == CONFORM_NO_FAULT)
        printf("#     fault    %s none\n", name);
    else
        printf("#     fault    %s vector %d error %x cr2 %llx\n", name, r->vector, r->error,
               r->vector == PF ? (unsigned long long)r->cr2 : 0);
}

unsigned conform_compare(const struct conform_case *c, const char *name_a,
                         const struct conform_result *a, const char *name_b,
                         const struct conform_result *b, bool print)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    struct diff d = {.a = name_a, .b = name_b, .print = print};
    struct conform_masks m = masks_of(c, a, b);
    if (m.all)
        return 0;
    if (print) {
        print_end(c, name_a, a);
        print_end(c, name_b, b);
    }
    if (!same_fault(a, b, &m)) {
        d.n++;
        if (print) {
            print_fault(name_a, a);
            print_fault(name_b, b);
        }
    }
    if (a->out.rip != b->out.rip)
        note(&d, "rip", a->out.rip, b->out.rip, c->in.rip);
    uint64_t flags = FLAGS_COMPARED & ~m.flags;
    if ((a->out.rflags ^ b->out.rflags) & flags)
        note(&d, "rflags", a->out.rflags & flags, b->out.rflags & flags, c->in.rflags);
    for (unsigned i = 0; !m.registers && i < 16; i++)
        if ((a->out.r[i] ^ b->out.r[i]) &
            (m.high_halves && STRING_REGS >> i & 1 ? UINT32_MAX : UINT64_MAX))
            note(&d, names[i], a->out.r[i], b->out.r[i], c->in.r[i]);
    compare_fpu(&d, a->out.xsave, b->out.xsave, c->in.xsave, &m);
    compare_memory(&d, c, a, b, &m);
    if (c->segments)
        compare_segments(&d, a, b);
    return d.n;
}

void conform_print_case(const struct conform_case *c)
{
    const uint8_t *code = c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE);
    printf("#   ");
    if (c->program)
        printf(" program:");
    for (unsigned i = 0; i < c->code_bytes; i++)
        printf(" %02x", code[i]);
    printf("  %s%s", c->mode == X86_CODE64 ? "" : "(32) ", decode_insn_name(c->insn.id));
    if (c->insn.has_mem)
        printf(" [%llx]", (unsigned long long)conform_effective(c));
    printf("  fcw %04x fsw %04x mxcsr %04x\n", (unsigned)field(c->in.xsave, FCW_AT, 2),
           (unsigned)field(c->in.xsave, FSW_AT, 2), (unsigned)field(c->in.xsave, MXCSR_AT, 4));
}
