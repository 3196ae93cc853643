/* Programs: 5 to 40 pieces, most of them one instruction of any form, between them loops, forward
 * branches, calls, strings, and stores into the program's own code; and pieces that fault
 * (conform_fault.c), where they are asked for.
 *
 * RBP and R13 point to the data and R15 counts loops, in 32-bit code a word of the stack's page:
 * what would write them is not chosen. */
#include "conform_program.h"

#include <string.h>

#include "base/util.h"

#define MAX_BYTES  1600 /* of code from CONFORM_START on */
#define MXCSR_AT   24
#define MXCSR_INIT 0x1f80
#define FCW_INIT   0x37f
#define COUNTER_AT ((uint32_t)CONFORM_STACK + 4096 - 64)

void program_emit(struct program *p, const uint8_t *bytes, unsigned n)
{
    memcpy(p->code + p->n, bytes, n);
    p->n += n;
}

void program_emit32(struct program *p, uint32_t v)
{
    program_emit(p, (const uint8_t *)&v, 4);
}

void program_emit_load(struct program *p, unsigned reg, uint64_t value)
{
    if (program_wide(p))
        EMIT(p, 0x48 | reg >> 3);
    EMIT(p, 0xb8 | (reg & 7));
    program_emit(p, (const uint8_t *)&value, program_wide(p) ? 8 : 4);
}

/* ---- straight code ---- */

static bool reserved(unsigned reg)
{
    return reg == RSP || reg == RBP || reg == R13 || reg == R15;
}

static bool writes_reserved(const struct x86_insn *in)
{
    for (unsigned i = 0; i < in->n_operands; i++) {
        const struct x86_operand *o = &in->operands[i];
        if (o->kind == X86_OPERAND_GPR && o->access & X86_ACCESS_WRITE && reserved(o->reg))
            return true;
    }
    return false;
}

static bool unfit(const struct x86_insn *in)
{
    if (conform_host_is_intel() && conform_intel_flags_differ(in))
        return true;
    switch (in->id) {
    case X86_DIV: /* may fault */
    case X86_IDIV:
    case X86_XLAT: /* have addresses of their own */
    case X86_MASKMOVQ:
    case X86_MASKMOVDQU:
    case X86_VMASKMOVDQU:
    case X86_PUSH:
    case X86_POP:
    case X86_PUSHF:
    case X86_POPF:
    case X86_ENTER:
    case X86_LEAVE:
    case X86_LDMXCSR: /* may unmask exceptions */
    case X86_VLDMXCSR:
    case X86_FLDCW:
    case X86_FLDENV:
    case X86_FRSTOR:
    case X86_FNSAVE: /* hold pointers to code and data, see conform_rules.c */
    case X86_FNSTENV:
    case X86_FXSAVE:
    case X86_FXRSTOR:
    case X86_XSAVE:
    case X86_XSAVEOPT:
    case X86_XSAVEC:
    case X86_XRSTOR:
    case X86_PUSHA:
    case X86_POPA:
    case X86_DAA: /* leave flags that are not the host's, see conform_rules.c */
    case X86_DAS:
    case X86_AAA:
    case X86_AAS:
    case X86_AAM:
    case X86_AAD:
    case X86_BOUND: /* may fault */
        return true;
    case X86_BT:
    case X86_BTS:
    case X86_BTR:
    case X86_BTC:
        return in->has_mem && in->operands[1].kind == X86_OPERAND_GPR;
    default:
        return in->mem_vsib || in->flags & (X86_FLAG_BRANCH | X86_FLAG_STRING);
    }
}

static bool offered(const struct program *p, unsigned feature)
{
    return feature == X86_FEATURE_BASE || (p->features >> feature & 1);
}

static void choose_insn(struct program *p, uint8_t bytes[X86_INSN_MAX_BYTES], struct x86_insn *in)
{
    struct x86_form form;
    do {
        decode_form_at(conform_below(p->rng, p->n_forms), &form);
        if (!(form.modes & (program_wide(p) ? 2 : 1)) ||
            !conform_encode_plain(p->rng, &form, p->mode, bytes, in))
            in->id = X86_INVALID;
    } while (in->id == X86_INVALID || !offered(p, in->feature) ||
             conform_rule_of(in) != CONFORM_COMPARE || unfit(in) || writes_reserved(in));
}

/* Bases that lead the operand to `at`; false: it would reach something else. */
static bool emit_bases(struct program *p, const struct x86_insn *in, uint64_t at, uint32_t disp)
{
    uint64_t base = at - (uint64_t)(int32_t)disp;
    if (in->adsize == 4)
        at = (uint32_t)at;
    if (!conform_safe(at))
        return false;
    program_emit_load(p, RBP, base);
    if (program_wide(p))
        program_emit_load(p, R13, base);
    return true;
}

void program_emit_insn(struct program *p, const uint64_t *at)
{
    struct x86_insn in;
    uint8_t bytes[X86_INSN_MAX_BYTES];
    bool moved = false;
    choose_insn(p, bytes, &in);
    uint32_t disp = (uint32_t)conform_below(p->rng, 8192 - 128) & ~31u;
    if (in.has_mem && in.mem_base != X86_NO_REG && in.disp_bytes == 4) {
        if (at)
            moved = emit_bases(p, &in, conform_must_align(&in) ? *at & ~UINT64_C(15) : *at, disp);
        memcpy(bytes + in.disp_offset, &disp, 4);
    }
    /* A moffs has a target of its own: give it one. */
    if (in.has_mem && in.mem_base == X86_NO_REG) {
        uint64_t to = CONFORM_DATA + conform_below(p->rng, 8000);
        memcpy(bytes + in.disp_offset, &to, in.disp_bytes);
    }
    program_emit(p, bytes, in.length);
    if (moved && program_wide(p))
        program_emit_load(p, R13, CONFORM_DATA);
    if (moved)
        program_emit_load(p, RBP, CONFORM_DATA);
}

static void emit_insn(struct program *p)
{
    program_emit_insn(p, NULL);
}

static void emit_straight(struct program *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        emit_insn(p);
}

/* ---- pieces ---- */

/* A branch over a few instructions. */
static void emit_skip(struct program *p)
{
    uint8_t cc = (uint8_t)conform_below(p->rng, 16);
    EMIT(p, 0x0f, 0x80 | cc, 0, 0, 0, 0);
    unsigned from = p->n;
    emit_straight(p, 1 + (unsigned)conform_below(p->rng, 4));
    uint32_t rel = p->n - from;
    memcpy(p->code + from - 4, &rel, 4);
}

static void emit_loop_end(struct program *p, unsigned top)
{
    if (program_wide(p)) {
        EMIT(p, 0x49, 0xff, 0xcf); /* dec r15 */
    } else {
        EMIT(p, 0xff, 0x0d); /* dec dword [ */
        program_emit32(p, COUNTER_AT);
    }
    EMIT(p, 0x0f, 0x85); /* jnz */
    program_emit32(p, top - (p->n + 4));
}

static void emit_loop_begin(struct program *p)
{
    if (program_wide(p)) {
        EMIT(p, 0x41, 0xbf); /* mov r15d, */
    } else {
        EMIT(p, 0xc7, 0x05); /* mov dword [ */
        program_emit32(p, COUNTER_AT);
    }
    program_emit32(p, 2 + (uint32_t)conform_below(p->rng, 20));
}

static void emit_loop(struct program *p)
{
    emit_loop_begin(p);
    unsigned top = p->n;
    emit_straight(p, 1 + (unsigned)conform_below(p->rng, 5));
    emit_loop_end(p, top);
}

/* A call of a few instructions that lie behind a jump over them. */
static void emit_call(struct program *p)
{
    EMIT(p, 0xe9, 0, 0, 0, 0); /* jmp */
    unsigned from = p->n;
    emit_straight(p, 1 + (unsigned)conform_below(p->rng, 3));
    EMIT(p, 0xc3); /* ret */
    uint32_t over = p->n - from;
    memcpy(p->code + from - 4, &over, 4);
    EMIT(p, 0xe8); /* call */
    program_emit32(p, from - (p->n + 4));
}

static void emit_string(struct program *p)
{
    static const uint8_t ops[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    uint32_t near = (uint32_t)conform_below(p->rng, 64);
    if (program_wide(p))
        EMIT(p, 0x48);
    EMIT(p, 0x8d, 0xb5); /* lea rsi, [rbp + */
    program_emit32(p, 2048 + (uint32_t)conform_below(p->rng, 4096));
    if (program_wide(p))
        EMIT(p, 0x48);
    if (conform_chance(p->rng, 40)) {
        EMIT(p, 0x8d, 0x7e, (uint8_t)(near - 32)); /* lea rdi, [rsi + */
    } else {
        EMIT(p, 0x8d, 0xbd); /* lea rdi, [rbp + */
        program_emit32(p, 2048 + (uint32_t)conform_below(p->rng, 4096));
    }
    EMIT(p, 0xb9); /* mov ecx, */
    program_emit32(p, (uint32_t)conform_below(p->rng, 200));
    EMIT(p, conform_chance(p->rng, 30) ? 0xfd : 0xfc); /* std, cld */
    EMIT(p, conform_chance(p->rng, 50) ? 0xf2 : 0xf3);
    if (conform_chance(p->rng, 30))
        EMIT(p, program_wide(p) ? 0x48 : 0x66);
    EMIT(p, ops[conform_below(p->rng, sizeof(ops))]);
}

static void emit_stack(struct program *p)
{
    uint8_t reg = (uint8_t)conform_below(p->rng, 4), to = (uint8_t)conform_below(p->rng, 4);
    EMIT(p, 0x50 | reg);
    emit_straight(p, (unsigned)conform_below(p->rng, 2));
    EMIT(p, 0x58 | to);
}

/* A loop that adds to the immediate of one of its own instructions, before or behind it. */
static void emit_self_modifying(struct program *p)
{
    bool behind = conform_chance(p->rng, 50);
    emit_loop_begin(p);
    unsigned top = p->n, imm = 0;
    if (!behind) {
        EMIT(p, 0xb8 | (uint8_t)conform_below(p->rng, 4)); /* mov reg, */
        imm = p->n;
        program_emit32(p, (uint32_t)conform_random(p->rng));
    }
    emit_straight(p, (unsigned)conform_below(p->rng, 3));
    EMIT(p, 0x80, 0x05); /* add byte [rip +, or [ */
    unsigned disp = p->n;
    program_emit32(p, 0);
    EMIT(p, (uint8_t)conform_random(p->rng));
    unsigned next = p->n;
    emit_straight(p, (unsigned)conform_below(p->rng, 2));
    if (behind) {
        EMIT(p, 0xb8 | (uint8_t)conform_below(p->rng, 4));
        imm = p->n;
        program_emit32(p, (uint32_t)conform_random(p->rng));
    }
    uint32_t rel = imm + (uint32_t)conform_below(p->rng, 4) - next;
    if (!program_wide(p))
        rel += (uint32_t)CONFORM_START + next;
    memcpy(p->code + disp, &rel, 4);
    emit_loop_end(p, top);
}

/* ---- the whole ---- */

static void set_registers(struct program *p, struct conform_case *c)
{
    struct conform_rng *rng = p->rng;
    uint32_t mxcsr = MXCSR_INIT | (uint32_t)conform_below(rng, 4) << 13;
    uint16_t fcw = FCW_INIT, fsw = 0;
    memcpy(c->in.xsave + MXCSR_AT, &mxcsr, 4);
    memcpy(c->in.xsave, &fcw, 2);
    memcpy(c->in.xsave + 2, &fsw, 2);
    c->in.r[RBP] = CONFORM_DATA;
    if (program_wide(p))
        c->in.r[R13] = CONFORM_DATA;
    c->in.r[RSP] = CONFORM_STACK + 2048;
}

static void emit_piece(struct program *p)
{
    typedef void piece_fn(struct program * p);
    static piece_fn *const pieces[] = {emit_skip,   emit_loop,  emit_call,
                                       emit_string, emit_stack, emit_self_modifying};
    if (p->faults && conform_chance(p->rng, 15))
        program_emit_fault(p);
    else if (conform_chance(p->rng, 70))
        emit_insn(p);
    else
        pieces[conform_below(p->rng, ARRAY_LEN(pieces))](p);
}

void conform_generate_program(uint64_t seed, unsigned index, uint64_t features,
                              enum x86_code_mode mode, bool faults, struct conform_case *c)
{
    struct conform_rng rng = {seed ^ (uint64_t)index << 20};
    struct x86_form form;
    conform_random(&rng);
    memset(c->mem[CONFORM_PAGE_CODE], CONFORM_FILL, 4096);
    struct program p = {.rng = &rng,
                        .mode = mode,
                        .features = features,
                        .faults = faults,
                        .code = c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE)};
    while (decode_form_at(p.n_forms, &form))
        p.n_forms++;
    c->mode = mode;
    c->program = true;
    c->segments = false;
    conform_random_state(&rng, c);
    set_registers(&p, c);
    unsigned n = 5 + (unsigned)conform_below(&rng, 36);
    for (unsigned i = 0; i < n && p.n < MAX_BYTES; i++)
        emit_piece(&p);
    c->code_bytes = p.n;
    c->insn = (struct x86_insn){.id = X86_INVALID};
}
