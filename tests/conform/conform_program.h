/* A program under construction: between conform_program.c and conform_fault.c. */
#ifndef TESTS_CONFORM_PROGRAM_H
#define TESTS_CONFORM_PROGRAM_H

#include "conform.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R13 = 13, R15 = 15 };

struct program {
    struct conform_rng *rng;
    enum x86_code_mode mode;
    uint64_t features;
    uint8_t *code;
    unsigned n;
    unsigned n_forms;
    bool faults;
};

static inline bool program_wide(const struct program *p)
{
    return p->mode == X86_CODE64;
}

void program_emit(struct program *p, const uint8_t *bytes, unsigned n);
#define EMIT(p, ...)                                                                               \
    do {                                                                                           \
        const uint8_t emit_bytes[] = {__VA_ARGS__};                                                \
        program_emit(p, emit_bytes, sizeof(emit_bytes));                                           \
    } while (0)
void program_emit32(struct program *p, uint32_t v);
/* mov reg, value, of the width of the mode. */
void program_emit_load(struct program *p, unsigned reg, uint64_t value);
/* An instruction of any form. With a memory operand it is that at [rbp + disp], which lies in the
 * data; `at` makes it lie there instead, and RBP and R13 what they were after it. */
void program_emit_insn(struct program *p, const uint64_t *at);

/* conform_fault.c: something that faults, or may. */
void program_emit_fault(struct program *p);

#endif
