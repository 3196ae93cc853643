/* Comparing executors of x86 code: the same code on the same state and memory, on the real CPU and
 * on ours, must leave the same state and memory or raise the same fault.
 *
 * A case is a page of code, a few pages of data and the registers at its start. The code runs until
 * rip arrives at an int3 (with which the code pages are filled) or outside of the code page, or
 * until it faults; where it arrives nothing is executed.
 *
 *   conform_native.c   an executor: the real CPU, in a child process
 *   conform_soft.c     executors: the interpreter, by single steps and by its run loop
 *   conform_guest.c    the guest that the interpreter runs: tables, descriptors, handlers
 *   conform_gen.c      makes cases of one instruction from the decoder's table of forms
 *   conform_place.c    gives a case registers and memory so that its operands exist
 *   conform_program.c  makes programs of several instructions
 *   conform_fault.c    pieces of programs that are meant to fault
 *   conform_far.c      makes programs about segments
 *   conform_ldt.c      the segments that they use besides the kernel's
 *   conform_rules.c    what is not compared, and why
 *   conform_intel.c    what is not compared with an Intel CPU besides
 *   conform_byrule.c   what is held to rules instead
 *   conform_compare.c  says where two results differ
 *   test_conform.c     the program */
#ifndef TESTS_CONFORM_H
#define TESTS_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/ldt.h>

#include "x86/decode.h"

/* Linear addresses, the same in every executor. Nothing else is mapped between CONFORM_LOW and
 * CONFORM_HIGH. The code page lies between two pages of int3. */
#define CONFORM_LOW     UINT64_C(0x0f000000)
#define CONFORM_HIGH    UINT64_C(0x22000000)
#define CONFORM_CODE    UINT64_C(0x10001000)
#define CONFORM_START   (CONFORM_CODE + 0x800)
#define CONFORM_DATA    UINT64_C(0x20000000) /* two pages, and a third that is read-only */
#define CONFORM_STACK   UINT64_C(0x20008000) /* one page */
#define CONFORM_FS_BASE UINT64_C(0x5000)
#define CONFORM_GS_BASE UINT64_C(0x3000)

#define CONFORM_FILL 0xcc /* int3 */

/* Selectors as Linux gives them to user code; DS and ES are SS. */
#define CONFORM_CS64 0x33
#define CONFORM_CS32 0x23
#define CONFORM_SS   0x2b

enum conform_page {
    CONFORM_PAGE_DATA0,
    CONFORM_PAGE_DATA1,
    CONFORM_PAGE_STACK,
    CONFORM_PAGE_CODE,
    CONFORM_PAGES
};

/* Linear address of a page of a case. */
static inline uint64_t conform_page_at(unsigned page)
{
    static const uint64_t at[CONFORM_PAGES] = {CONFORM_DATA, CONFORM_DATA + 4096, CONFORM_STACK,
                                               CONFORM_CODE};
    return at[page];
}

/* The read-only page, the same in all cases. */
void conform_fill_read_only(uint8_t page[4096]);

/* An XSAVE image (standard form) of x87, SSE and AVX. */
#define CONFORM_XSAVE_BYTES 832

struct conform_state {
    uint64_t r[16]; /* in the order of their numbers */
    uint64_t rip, rflags;
    _Alignas(64) uint8_t xsave[CONFORM_XSAVE_BYTES];
};

struct conform_case {
    struct conform_state in;
    uint8_t mem[CONFORM_PAGES][4096];
    unsigned code_bytes;     /* from CONFORM_START on, for printing */
    bool program;            /* of several instructions */
    bool segments;           /* which load segment registers: they are compared */
    enum x86_code_mode mode; /* 64 or 32; 32-bit code is in a flat segment */
    struct x86_insn insn; /* of the single instruction; id X86_INVALID for one that must be #UD */
};

#define CONFORM_NO_FAULT (-1)

struct conform_result {
    bool ran;   /* false: the executor could not; the case is no evidence */
    int vector; /* of the fault, or CONFORM_NO_FAULT; rip is then where it arrived */
    uint32_t error;
    uint64_t cr2; /* with #PF */
    struct conform_state out;
    uint32_t changed;                 /* bit n: page n differs from the case's */
    uint8_t mem[CONFORM_PAGES][4096]; /* valid for changed pages */
    /* Where the case is about segments. */
    uint16_t selectors[X86_N_SEGMENTS];
    bool has_bases; /* of FS and GS: only where they can be read */
    uint64_t bases[2];
};

/* An executor. */
struct conform_executor {
    const char *name;
    /* Runs n cases, at most CONFORM_BATCH. */
    void (*run)(void *self, const struct conform_case *cases, struct conform_result *results,
                unsigned n);
    void *self;
};

#define CONFORM_BATCH 64

/* Where an executor's cases and results lie: memory that a child process shares. Never freed. */
struct conform_batch {
    struct conform_case cases[CONFORM_BATCH];
    struct conform_result results[CONFORM_BATCH];
};
struct conform_batch *conform_batch_create(void);

/* The real CPU. The cases must lie in `batch`, and so do the results. NULL: it cannot. */
const struct conform_executor *conform_native(struct conform_batch *batch);
/* The interpreter: one instruction at a time, or whole blocks through its run loop. */
const struct conform_executor *conform_soft_step(void);
const struct conform_executor *conform_soft_run(void);
/* Bits of the guest's CR4. */
void conform_soft_set_cr4(uint64_t set, uint64_t clear);
/* Bit n: enum x86_feature n, as this host has it. */
uint64_t conform_host_features(void);
/* Whether CONFORM_CS32 is a segment of 32-bit code: a kernel in KVM's paravirtual guest has none.
 */
bool conform_host_runs_32_bit(void);

/* ---- random numbers ---- */

struct conform_rng {
    uint64_t s;
};
uint64_t conform_random(struct conform_rng *rng);
static inline uint64_t conform_below(struct conform_rng *rng, uint64_t n)
{
    return conform_random(rng) % n;
}
static inline bool conform_chance(struct conform_rng *rng, unsigned percent)
{
    return conform_below(rng, 100) < percent;
}
/* A number that instructions find interesting. */
uint64_t conform_number(struct conform_rng *rng);

/* ---- cases ---- */

/* Makes case number `index` of a form in 64- or 32-bit code. False: none can be made with this
 * number. */
bool conform_generate(const struct x86_form *form, enum x86_code_mode mode, uint64_t seed,
                      unsigned index, struct conform_case *c);
/* Registers, vector and x87 state and memory at random. */
void conform_random_state(struct conform_rng *rng, struct conform_case *c);
/* Arranges registers, memory and displacement so that the instruction's operands lie in mapped
 * memory, mostly. May rewrite displacements in c->mem. False: it cannot be arranged safely. */
bool conform_place(struct conform_rng *rng, struct conform_case *c);
/* In 32-bit code the upper halves of registers are zero. */
void conform_narrow_registers(struct conform_case *c);
/* Linear address of the memory operand. */
uint64_t conform_effective(const struct conform_case *c);
/* A random encoding of a form whose memory operand, if it has one, is [rbp + disp32] or
 * [r13 + disp32]. Writes X86_INSN_MAX_BYTES to `code`. False: what came out is undefined. */
bool conform_encode_plain(struct conform_rng *rng, const struct x86_form *form,
                          enum x86_code_mode mode, uint8_t *code, struct x86_insn *insn);
/* Where a memory operand may lie: mostly in the data, sometimes where it faults; and whether an
 * access near there finds the same on the real CPU and in the guest. */
uint64_t conform_target(struct conform_rng *rng);
bool conform_safe(uint64_t linear);
bool conform_must_align(const struct x86_insn *insn);
/* A random program: straight code of instructions that this CPU has (`features`), branches, loops,
 * calls, strings, and code that overwrites itself; with `faults` also what is meant to fault. */
void conform_generate_program(uint64_t seed, unsigned index, uint64_t features,
                              enum x86_code_mode mode, bool faults, struct conform_case *c);

/* A random program in 64- and 32-bit code about segments: loads of segment registers, far jumps,
 * calls and returns between the two, IRET, and what asks about descriptors. */
void conform_generate_far(uint64_t seed, unsigned index, enum x86_code_mode mode,
                          struct conform_case *c);

/* ---- the local descriptor table, of segments that Linux's global one has not ---- */

/* Whether the kernel lets a process have one. */
bool conform_has_ldt(void);
#define CONFORM_LDT_ENTRIES 13
#define CONFORM_LDT_BASED   12 /* code whose base is CONFORM_CODE */
extern const struct user_desc conform_ldt[CONFORM_LDT_ENTRIES];
/* As the kernel makes a descriptor of it. */
uint64_t conform_ldt_descriptor(const struct user_desc *d);
static inline uint16_t conform_ldt_selector(unsigned entry)
{
    return (uint16_t)(entry << 3 | 7);
}

/* ---- rules ---- */

enum conform_rule {
    CONFORM_COMPARE,
    CONFORM_SKIP,       /* its result is not a function of the state, or it would end the test */
    CONFORM_PRIVILEGED, /* not run natively: must be #GP or #UD */
};
enum conform_rule conform_rule_of(const struct x86_insn *insn);
/* What is not compared of two results. */
struct conform_masks {
    bool all; /* nothing is */
    struct {
        uint64_t at; /* memory from here on */
        unsigned bytes;
    } memory[2];
    uint64_t cr2_low; /* bits of CR2 */
    uint32_t faults;  /* bits of vectors that count as one fault */
    bool vectors;     /* vector registers */
    bool mxcsr;
    uint64_t flags;   /* bits of RFLAGS */
    bool registers;   /* general registers */
    bool high_halves; /* upper halves of RCX, RSI, RDI */
    bool x87;         /* the x87 stack, its tags and status word */
};
struct conform_masks conform_masks_of(const struct conform_case *c,
                                      const struct conform_result *cpu,
                                      const struct conform_result *ours);

/* conform_byrule.c: what is not a function of the state, on one executor's CPU. Prints the rules
 * that do not hold there and returns how many. */
struct conform_cpu_facts {
    bool ours; /* the guest's */
    bool amd;
    bool xgetbv1; /* XGETBV knows what is in use */
};
unsigned conform_by_rule(const struct conform_executor *e, struct conform_batch *batch,
                         uint64_t features, const struct conform_cpu_facts *facts);

/* conform_intel.c. `differs`: not compared at all; `flags_differ`: may leave other flags. */
bool conform_host_is_intel(void);
bool conform_intel_differs(const struct x86_insn *insn);
bool conform_intel_flags_differ(const struct x86_insn *insn);
void conform_intel_masks(const struct conform_case *c, const struct conform_result *cpu,
                         const struct conform_result *ours, struct conform_masks *m);

/* Prints the differences to stdout; returns their number. */
unsigned conform_compare(const struct conform_case *c, const char *name_a,
                         const struct conform_result *a, const char *name_b,
                         const struct conform_result *b, bool print);
void conform_print_case(const struct conform_case *c);

#endif
