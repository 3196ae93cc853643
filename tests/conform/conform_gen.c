/* Cases of one instruction: an encoding of a form with random prefixes, operands and immediates,
 * and a random state. */
#include <string.h>

#include "base/util.h"
#include "conform.h"

uint64_t conform_random(struct conform_rng *rng)
{
    uint64_t z = rng->s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t conform_number(struct conform_rng *rng)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff,
                                     0xfffffffffffffffe};
    uint64_t v = conform_random(rng);
    switch (conform_below(rng, 8)) {
    case 0:
    case 1:
        return edges[conform_below(rng, ARRAY_LEN(edges))];
    case 2:
        return v & 0xff;
    case 3:
        return (uint64_t)((int64_t)v >> (v & 63));
    case 4:
        return UINT64_C(1) << (v & 63);
    case 5:
        return v & 0xffffffff;
    default:
        return v;
    }
}

/* ---- state ---- */

/* Floating-point numbers that matter, in both widths; the rest of what is compared are random bits,
 * which as numbers are mostly of absurd size. */
static uint64_t float_bits(struct conform_rng *rng)
{
    static const uint64_t doubles[] = {
        0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000,
        0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
        0xfff8000000000123, 0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000,
        0x7fefffffffffffff, 0x3fd5555555555555, 0x4059000000000000, 0xc1e0000000000000,
        0x41dfffffffc00000, 0x43e0000000000000, 0x3fe0000000000000, 0x4000000000000000,
        0x3ff8000000000000, 0x4330000000000001};
    static const uint32_t floats[] = {
        0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
        0x7f800001, 0xffc00123, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0x3eaaaaab,
        0x42c80000, 0xcf000000, 0x4effffff, 0x3f000000, 0x40000000, 0x3fc00000, 0x4b000001};
    if (conform_chance(rng, 50))
        return doubles[conform_below(rng, ARRAY_LEN(doubles))];
    return floats[conform_below(rng, ARRAY_LEN(floats))] |
           (uint64_t)floats[conform_below(rng, ARRAY_LEN(floats))] << 32;
}

static uint64_t vector_bits(struct conform_rng *rng)
{
    switch (conform_below(rng, 6)) {
    case 0:
    case 1:
    case 2:
        return float_bits(rng);
    case 3:
        return conform_number(rng);
    case 4: /* moderate doubles */
        return (conform_random(rng) & 0x800fffffffffffff) | (1023 - 20 + conform_below(rng, 40))
                                                                << 52;
    default:
        return conform_random(rng);
    }
}

static void random_x87(struct conform_rng *rng, uint8_t *xsave)
{
    static const uint16_t exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff};
    uint16_t fcw = 0x37f, fsw = 0;
    fcw = (uint16_t)((fcw & ~0xf00) | conform_below(rng, 16) << 8);
    if (conform_chance(rng, 15)) /* some exceptions are not masked */
        fcw = (uint16_t)((fcw & ~0x3f) | conform_below(rng, 64));
    fsw = (uint16_t)(conform_below(rng, 8) << 11 | (conform_random(rng) & 0x4700));
    if (conform_chance(rng, 20))
        fsw |= (uint16_t)(conform_random(rng) & 0x7f);
    if (fsw & ~fcw & 0x3f) /* a pending exception has its summary bits */
        fsw |= 0x8080;
    uint8_t ftw = (uint8_t)(conform_chance(rng, 60) ? 0xff : conform_random(rng));
    memcpy(xsave, &fcw, 2);
    memcpy(xsave + 2, &fsw, 2);
    xsave[4] = ftw;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mantissa = conform_random(rng);
        uint16_t se = exponents[conform_below(rng, ARRAY_LEN(exponents))];
        if (conform_chance(rng, 50))
            se = (uint16_t)(0x3fff - 20 + conform_below(rng, 40));
        if (conform_chance(rng, 25))
            mantissa = conform_number(rng);
        if (se && conform_chance(rng, 95)) /* else an encoding that numbers do not have */
            mantissa |= UINT64_C(1) << 63;
        se |= (uint16_t)(conform_below(rng, 2) << 15);
        memcpy(xsave + 32 + 16 * i, &mantissa, 8);
        memcpy(xsave + 32 + 16 * i + 8, &se, 2);
    }
}

static void random_fpu(struct conform_rng *rng, uint8_t *xsave)
{
    uint32_t mxcsr = 0x1f80, mask = 0xffff;
    memset(xsave, 0, CONFORM_XSAVE_BYTES);
    random_x87(rng, xsave);
    mxcsr |= (uint32_t)conform_below(rng, 4) << 13;
    if (conform_chance(rng, 20))
        mxcsr |= 1u << 15; /* FZ */
    if (conform_chance(rng, 20))
        mxcsr |= 1u << 6;        /* DAZ */
    if (conform_chance(rng, 15)) /* some exceptions are not masked */
        mxcsr &= ~(0x3fu << 7) | (uint32_t)conform_below(rng, 64) << 7;
    if (conform_chance(rng, 20))
        mxcsr |= (uint32_t)conform_below(rng, 64);
    memcpy(xsave + 24, &mxcsr, 4);
    memcpy(xsave + 28, &mask, 4);
    for (unsigned i = 0; i < 32; i++) {
        uint64_t v = vector_bits(rng);
        memcpy(xsave + 160 + 8 * i, &v, 8);
        v = vector_bits(rng);
        memcpy(xsave + 576 + 8 * i, &v, 8);
    }
    xsave[512] = 7;
}

void conform_random_state(struct conform_rng *rng, struct conform_case *c)
{
    for (unsigned i = 0; i < 16; i++)
        c->in.r[i] = conform_number(rng);
    conform_narrow_registers(c);
    c->in.rip = CONFORM_START;
    c->in.rflags = 0x202 | (conform_random(rng) & 0x8d5); /* IF, and the arithmetic flags */
    if (conform_chance(rng, 20))
        c->in.rflags |= 0x400; /* DF */
    random_fpu(rng, c->in.xsave);
    for (unsigned p = 0; p < CONFORM_PAGE_CODE; p++) {
        uint64_t *words = (uint64_t *)c->mem[p];
        /* A pattern repeats, so that the state of 64 words is paid for once. */
        for (unsigned i = 0; i < 64; i++)
            words[i] = vector_bits(rng);
        for (unsigned i = 64; i < 512; i++)
            words[i] = words[i - 64] + (i & 7 ? 0 : i);
    }
}

void conform_fill_read_only(uint8_t page[4096])
{
    struct conform_rng rng = {1};
    for (unsigned i = 0; i < 4096; i += 8) {
        uint64_t v = vector_bits(&rng);
        memcpy(page + i, &v, 8);
    }
}

/* ---- encoding ---- */

struct encoder {
    struct conform_rng *rng;
    enum x86_code_mode mode;
    bool plain; /* no segment and lock prefixes, memory is [rbp + disp32] or [r13 + disp32] */
    uint8_t bytes[32];
    unsigned n;
};

static void put(struct encoder *e, unsigned byte)
{
    e->bytes[e->n++] = (uint8_t)byte;
}

static bool is_string(const struct x86_form *form)
{
    return form->flags & X86_FLAG_STRING;
}

static void put_prefixes(struct encoder *e, const struct x86_form *form)
{
    struct conform_rng *rng = e->rng;
    if (conform_chance(rng, 8) && !(e->plain && e->mode != X86_CODE64))
        put(e, 0x67);
    if (!e->plain && e->mode == X86_CODE64 && conform_chance(rng, 5))
        put(e, 0x65); /* gs */
    if (!e->plain && conform_chance(rng, 4))
        put(e, 0x26 | (unsigned)conform_below(rng, 4) << 3); /* es cs ss ds */
    if (form->vex)
        return;
    if (!e->plain && conform_chance(rng, 6))
        put(e, 0xf0); /* lock */
    if (form->mandatory) {
        put(e, form->mandatory);
        if (form->mandatory != 0x66 && conform_chance(rng, 10))
            put(e, 0x66);
        return;
    }
    if (conform_chance(rng, form->map == 0 ? 25 : 10))
        put(e, 0x66);
    if (conform_chance(rng, is_string(form) ? 60 : form->map == 0 ? 3 : 0))
        put(e, conform_chance(rng, 50) ? 0xf2 : 0xf3);
}

static void put_opcode(struct encoder *e, const struct x86_form *form)
{
    static const uint8_t second[4] = {0, 0, 0x38, 0x3a};
    struct conform_rng *rng = e->rng;
    uint64_t random = conform_random(rng);
    if (!form->vex) {
        if (e->mode == X86_CODE64 && conform_chance(rng, 60))
            put(e, 0x40 | (random & 15));
        if (form->map)
            put(e, 0x0f);
        if (form->map > 1)
            put(e, second[form->map]);
        put(e, form->opcode);
        return;
    }
    static const uint8_t pp_of[] = {[0] = 0, [0x66] = 1, [0xf3] = 2, [0xf2] = 3};
    unsigned pp = pp_of[form->mandatory];
    unsigned w = form->vex_w >= 0 ? (unsigned)form->vex_w : random & 1;
    unsigned l = form->vex_l >= 0 ? (unsigned)form->vex_l : random >> 1 & 1;
    unsigned vvvv = conform_chance(rng, 50) ? random >> 4 & 15 : 0;
    unsigned rxb = random >> 8 & 7; /* inverted in the encoding */
    if (e->mode != X86_CODE64) {    /* else it is lds or les */
        rxb |= 6;
        vvvv &= 7;
    }
    if (form->map == 1 && !w && (rxb & 3) == 3 && conform_chance(rng, 80)) {
        put(e, 0xc5);
        put(e, (rxb & 4) << 5 | (~vvvv & 15) << 3 | l << 2 | pp);
    } else {
        put(e, 0xc4);
        put(e, rxb << 5 | form->map);
        put(e, w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
    }
    put(e, form->opcode);
}

static void put_modrm(struct encoder *e, const struct x86_form *form)
{
    struct conform_rng *rng = e->rng;
    if (!form->modrm)
        return;
    bool memory = form->modrm == 3 || (form->modrm == 1 && conform_chance(rng, 50));
    unsigned mod = memory ? (unsigned)conform_below(rng, 3) : 3;
    unsigned reg = form->reg >= 0 ? (unsigned)form->reg : (unsigned)conform_below(rng, 8);
    unsigned rm = form->rm >= 0 ? (unsigned)form->rm : (unsigned)conform_below(rng, 8);
    if (e->plain && memory) {
        mod = 2;
        rm = 5;
    }
    put(e, mod << 6 | reg << 3 | rm);
}

/* What follows: SIB, displacement, immediate. The decoder takes as much of it as it needs. */
static void put_tail(struct encoder *e)
{
    bool edge = conform_chance(e->rng, 30);
    while (e->n < X86_INSN_MAX_BYTES)
        put(e, edge ? (unsigned)conform_number(e->rng) & 0xff : (unsigned)conform_random(e->rng));
}

/* Whether an encoding that the decoder refuses may be tried on the real CPU: only where it cannot
 * be an instruction that the decoder does not know. */
static bool surely_undefined(const struct x86_form *form, const struct encoder *e, unsigned opcode)
{
    if (form->vex)
        return form->flags & (X86_FLAG_VEX | X86_FLAG_VEX_GPR);
    return form->map == 0 && memchr(e->bytes, 0xf0, opcode) && form->opcode < 0xd0;
}

/* Encodes into e->bytes; returns where the opcode ends. */
static unsigned encode(struct encoder *e, const struct x86_form *form)
{
    put_prefixes(e, form);
    put_opcode(e, form);
    unsigned opcode = e->n;
    put_modrm(e, form);
    put_tail(e);
    return opcode;
}

bool conform_encode_plain(struct conform_rng *rng, const struct x86_form *form,
                          enum x86_code_mode mode, uint8_t *code, struct x86_insn *insn)
{
    struct encoder e = {.rng = rng, .mode = mode, .plain = true};
    encode(&e, form);
    memcpy(code, e.bytes, X86_INSN_MAX_BYTES);
    return decode_insn(code, X86_INSN_MAX_BYTES, mode, insn) == X86_DECODE_OK;
}

bool conform_generate(const struct x86_form *form, enum x86_code_mode mode, uint64_t seed,
                      unsigned index, struct conform_case *c)
{
    uint64_t mixed = seed ^ (uint64_t)form->id << 48 ^ (uint64_t)form->opcode << 40 ^
                     (uint64_t)form->map << 38 ^ (uint64_t)form->vex << 37 ^
                     (uint64_t)(uint8_t)form->reg << 29 ^ index;
    struct conform_rng rng = {mixed};
    conform_random(&rng);
    c->mode = mode;
    c->program = c->segments = false;
    for (unsigned tries = 0; tries < 20; tries++) {
        struct encoder e = {.rng = &rng, .mode = mode};
        unsigned opcode = encode(&e, form);
        enum x86_decode_result r = decode_insn(e.bytes, X86_INSN_MAX_BYTES, mode, &c->insn);
        if (r == X86_DECODE_UNDEFINED) {
            if (conform_chance(&rng, 80) || !surely_undefined(form, &e, opcode))
                continue;
            c->insn.id = X86_INVALID;
            c->insn.length = (uint8_t)X86_INSN_MAX_BYTES;
        } else if (r != X86_DECODE_OK) {
            continue;
        }
        memset(c->mem[CONFORM_PAGE_CODE], CONFORM_FILL, 4096);
        memcpy(c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE), e.bytes, c->insn.length);
        c->code_bytes = c->insn.length;
        conform_random_state(&rng, c);
        if (c->insn.id == X86_INVALID || conform_place(&rng, c))
            return true;
    }
    return false;
}
