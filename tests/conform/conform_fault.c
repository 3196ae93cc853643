/* Pieces of programs that are meant to fault: a wrong operand, a place that is not there, an
 * instruction that user code may not use or nobody knows, the end of a page in the middle of a
 * string. About half of them go well, so that faults come anywhere in a program. */
#include <string.h>

#include "base/util.h"
#include "conform_program.h"

#define MXCSR_MASKS  0x1f80
#define FCW_INIT     0x37f
#define SYSTEM_CALL  0x80 /* the vector of Linux's */
#define NO_EXCEPTION 22   /* the first vector below 32 that is none */

/* Of instructions that have registers of the width of the mode. */
static void emit_rex_w(struct program *p)
{
    if (program_wide(p))
        EMIT(p, 0x48);
}

/* A short branch over what follows, taken or not as the flags have it; and its end. */
static unsigned begin_maybe(struct program *p)
{
    EMIT(p, 0x70 | (uint8_t)conform_below(p->rng, 16), 0);
    return p->n;
}

static void end_maybe(struct program *p, unsigned from)
{
    p->code[from - 1] = (uint8_t)(p->n - from);
}

/* ---- operands ---- */

static void emit_division(struct program *p)
{
    static const uint32_t divisors[] = {0, 1, 7, 0xffffffff, 0x80000000};
    struct conform_rng *rng = p->rng;
    uint32_t by = conform_chance(rng, 60) ? divisors[conform_below(rng, ARRAY_LEN(divisors))]
                                          : (uint32_t)conform_random(rng);
    EMIT(p, 0xb9); /* mov ecx, */
    program_emit32(p, by);
    if (conform_chance(rng, 60)) {
        EMIT(p, 0xba); /* mov edx, */
        program_emit32(p, (uint32_t)conform_below(rng, 8));
    }
    if (conform_chance(rng, 20))
        EMIT(p, 0x66);
    if (conform_chance(rng, 40))
        emit_rex_w(p);
    EMIT(p, 0xf6 | (uint8_t)conform_below(rng, 2), conform_chance(rng, 50) ? 0xf1 : 0xf9);
}

static void emit_unmask(struct program *p)
{
    struct conform_rng *rng = p->rng;
    if (conform_chance(rng, 30)) {
        uint32_t fcw = (FCW_INIT & ~0x3fu) | (uint32_t)conform_below(rng, 64);
        EMIT(p, 0xc7, 0x44, 0x24, 0xc0); /* mov dword [rsp - 64], */
        program_emit32(p, fcw);
        EMIT(p, 0xd9, 0x6c, 0x24, 0xc0); /* fldcw [rsp - 64] */
        return;
    }
    uint32_t mxcsr = ((uint32_t)conform_random(rng) & MXCSR_MASKS) | (uint32_t)conform_below(rng, 4)
                                                                         << 13;
    EMIT(p, 0xc7, 0x44, 0x24, 0xc0);
    program_emit32(p, mxcsr);
    EMIT(p, 0x0f, 0xae, 0x54, 0x24, 0xc0); /* ldmxcsr [rsp - 64] */
}

/* ---- instructions ---- */

static const uint8_t *const undefined[] = {
    (const uint8_t *)"\x02\x0f\x0b",     (const uint8_t *)"\x03\x0f\xb9\xc0",
    (const uint8_t *)"\x02\xf0\x90",     (const uint8_t *)"\x03\xf0\x01\xc8",
    (const uint8_t *)"\x03\xf0\x8b\xc0", (const uint8_t *)"\x02\x0f\x04",
};
/* The same where there is 64-bit code. */
static const uint8_t undefined64[] = {0x06, 0x0e, 0x16, 0x1e, 0x27, 0x2f, 0x37,
                                      0x3f, 0x60, 0x61, 0xce, 0xd6, 0xd4, 0xd5};

static const uint8_t *const privileged[] = {
    (const uint8_t *)"\x01\xf4",         (const uint8_t *)"\x01\xfa",
    (const uint8_t *)"\x01\xfb",         (const uint8_t *)"\x01\xec",
    (const uint8_t *)"\x01\xee",         (const uint8_t *)"\x02\xe4\x60",
    (const uint8_t *)"\x01\x6c",         (const uint8_t *)"\x01\x6f",
    (const uint8_t *)"\x02\x0f\x32",     (const uint8_t *)"\x02\x0f\x30",
    (const uint8_t *)"\x03\x0f\x20\xc0", (const uint8_t *)"\x03\x0f\x22\xd8",
    (const uint8_t *)"\x03\x0f\x23\xf8", (const uint8_t *)"\x03\x0f\x21\xc0",
    (const uint8_t *)"\x02\x0f\x06",     (const uint8_t *)"\x02\x0f\x09",
    (const uint8_t *)"\x03\x0f\x00\xd0", (const uint8_t *)"\x03\x0f\x00\xd8",
    (const uint8_t *)"\x03\x0f\x01\xca", (const uint8_t *)"\x03\x0f\x01\xf0",
};

static void emit_forbidden(struct program *p)
{
    struct conform_rng *rng = p->rng;
    const uint8_t *what = privileged[conform_below(rng, ARRAY_LEN(privileged))];
    unsigned from = begin_maybe(p);
    if (conform_chance(rng, 40))
        what = undefined[conform_below(rng, ARRAY_LEN(undefined))];
    if (program_wide(p) && conform_chance(rng, 20))
        EMIT(p, undefined64[conform_below(rng, ARRAY_LEN(undefined64))]);
    else
        program_emit(p, what + 1, what[0]);
    end_maybe(p, from);
}

/* INT n: 3 and 4 are for users, the others do not exist for them. Left out are INT1 (where a
 * hypervisor takes #DB, its rip is that of a fault) and the vectors that no exception has yet: KVM
 * without VT-x or AMD-V takes some of them (23, 25 to 27) for itself. */
static void emit_interrupt(struct program *p)
{
    struct conform_rng *rng = p->rng;
    unsigned from = begin_maybe(p);
    uint8_t vector = (uint8_t)conform_random(rng);
    if (conform_chance(rng, 50))
        vector = (uint8_t)(2 + conform_below(rng, 4));
    if (vector == SYSTEM_CALL)
        vector++;
    if (vector >= NO_EXCEPTION && vector < 32)
        vector += 32 - NO_EXCEPTION;
    if (conform_chance(rng, 30))
        EMIT(p, program_wide(p) ? 0xcc : 0xce); /* int3, into */
    else
        EMIT(p, 0xcd, vector);
    end_maybe(p, from);
}

/* ---- memory ---- */

static void emit_memory(struct program *p)
{
    uint64_t at = conform_target(p->rng);
    program_emit_insn(p, &at);
}

/* Where a string may begin, to run into the end of what is there. */
static uint64_t string_target(struct conform_rng *rng)
{
    static const uint64_t ends[] = {CONFORM_DATA,         CONFORM_DATA + 4096,
                                    CONFORM_DATA + 8192,  CONFORM_DATA + 12288,
                                    CONFORM_STACK + 4096, CONFORM_DATA + 2048};
    return ends[conform_below(rng, ARRAY_LEN(ends))] + conform_below(rng, 512) - 256;
}

static void emit_string(struct program *p)
{
    static const uint8_t ops[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    struct conform_rng *rng = p->rng;
    uint64_t from = string_target(rng), to = string_target(rng);
    if (conform_chance(rng, 30))
        to = from + conform_below(rng, 64) - 32;
    program_emit_load(p, RSI, from);
    program_emit_load(p, RDI, to);
    program_emit_load(p, RCX, conform_below(rng, 300));
    if (conform_chance(rng, 40)) { /* equal strings go on */
        EMIT(p, 0x89, 0xf0);       /* mov eax, esi */
        EMIT(p, 0x89, 0xf7);       /* mov edi, esi */
    }
    EMIT(p, conform_chance(rng, 30) ? 0xfd : 0xfc); /* std, cld */
    EMIT(p, conform_chance(rng, 30) ? 0xf2 : 0xf3);
    if (conform_chance(rng, 40))
        EMIT(p, program_wide(p) ? 0x48 : 0x66);
    EMIT(p, ops[conform_below(rng, sizeof(ops))]);
}

/* What pushes and pops, where the stack ends. */
static void emit_stack(struct program *p)
{
    static const uint8_t *const ops[] = {
        (const uint8_t *)"\x01\x50",                 /* push rax */
        (const uint8_t *)"\x01\x5a",                 /* pop rdx */
        (const uint8_t *)"\x02\x6a\x81",             /* push -127 */
        (const uint8_t *)"\x02\x66\x53",             /* push bx */
        (const uint8_t *)"\x01\x9c",                 /* pushf */
        (const uint8_t *)"\x04\xc8\x20\x00\x02",     /* enter 32, 2 */
        (const uint8_t *)"\x05\xe8\x00\x00\x00\x00", /* call the next one */
        (const uint8_t *)"\x03\xff\x75\x10",         /* push [rbp + 16] */
        (const uint8_t *)"\x03\x8f\x45\x20",         /* pop [rbp + 32] */
    };
    struct conform_rng *rng = p->rng;
    uint64_t at = conform_chance(rng, 50)
                      ? conform_target(rng)
                      : CONFORM_STACK + 4096 * conform_below(rng, 2) + conform_below(rng, 32) - 16;
    if (!conform_safe(program_wide(p) ? at : (uint32_t)at))
        return;
    const uint8_t *op = ops[conform_below(rng, ARRAY_LEN(ops))];
    program_emit_load(p, RSP, at);
    program_emit(p, op + 1, op[0]);
    program_emit_load(p, RSP, CONFORM_STACK + 2048);
    program_emit_load(p, RBP, CONFORM_DATA);
}

/* To an address that is not canonical. */
static void emit_jump(struct program *p)
{
    unsigned from = begin_maybe(p);
    program_emit_load(p, RAX, UINT64_C(0x800000000000) << conform_below(p->rng, 16));
    EMIT(p, 0xff, conform_chance(p->rng, 50) ? 0xe0 : 0xd0); /* jmp, call rax */
    end_maybe(p, from);
}

void program_emit_fault(struct program *p)
{
    switch (conform_below(p->rng, 12)) {
    case 0:
    case 1:
        emit_division(p);
        break;
    case 2:
        emit_unmask(p);
        break;
    case 3:
        emit_forbidden(p);
        break;
    case 4:
        emit_interrupt(p);
        break;
    case 5:
    case 6:
        emit_string(p);
        break;
    case 7:
        emit_stack(p);
        break;
    case 8:
        if (program_wide(p))
            emit_jump(p);
        break;
    default:
        emit_memory(p);
        break;
    }
}
