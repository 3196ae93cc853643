/* Gives the operands of a case's instruction a place: where memory operands lie, where the stack
 * is, where branches lead.
 *
 * Most accesses fall into the data pages; some cross into the read-only page, some into nothing,
 * some are not canonical. None may reach anything else, because there the real CPU finds the test
 * program's own memory. */
#include <string.h>

#include "base/util.h"
#include "conform.h"

#define RSP 4

static uint8_t *code_of(struct conform_case *c)
{
    return c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE);
}

/* The bytes at a linear address of a writable page, or NULL if they are not all there. */
static uint8_t *bytes_at(struct conform_case *c, uint64_t linear, unsigned n)
{
    for (unsigned i = 0; i < CONFORM_PAGE_CODE; i++)
        if (linear - conform_page_at(i) <= 4096 - n)
            return c->mem[i] + (linear - conform_page_at(i));
    return NULL;
}

static void poke(struct conform_case *c, uint64_t linear, uint64_t value, unsigned n)
{
    uint8_t *p = bytes_at(c, linear, n);
    if (p)
        memcpy(p, &value, n);
}

uint64_t conform_target(struct conform_rng *rng)
{
    unsigned kind = (unsigned)conform_below(rng, 100);
    uint64_t near = conform_below(rng, 64);
    if (kind < 40)
        return CONFORM_DATA + (conform_below(rng, 8192 - 128) & ~UINT64_C(31));
    if (kind < 76)
        return CONFORM_DATA + conform_below(rng, 8192 - 128);
    if (kind < 84) /* across the two pages */
        return CONFORM_DATA + 4096 - near;
    if (kind < 88) /* into the read-only page */
        return CONFORM_DATA + 8192 - near;
    if (kind < 92)
        return CONFORM_DATA + 8192 + conform_below(rng, 4096 - 64);
    if (kind < 95) /* out of it */
        return CONFORM_DATA + 12288 - near;
    if (kind < 97) /* nothing, into the first page */
        return CONFORM_DATA - near;
    if (kind < 98)
        return CONFORM_DATA + 16384 + near;
    return UINT64_C(0x7ffffffffff0) * 2 + near * 16; /* mostly not canonical */
}

/* An address that code may be led to. */
static uint64_t code_target(struct conform_rng *rng)
{
    switch (conform_below(rng, 8)) {
    case 0:
        return CONFORM_CODE - 4096 + conform_below(rng, 4096);
    case 1:
        return CONFORM_CODE + 4096 + conform_below(rng, 4096);
    case 2: /* nothing there */
        return CONFORM_CODE + 8192 + conform_below(rng, 4096);
    case 3:
        return UINT64_C(0x800000000000) << conform_below(rng, 16);
    default:
        return CONFORM_START + X86_INSN_MAX_BYTES + conform_below(rng, 1024);
    }
}

/* ---- memory operands ---- */

static bool wide_index(const struct x86_insn *in)
{
    return in->id == X86_VPGATHERQD || in->id == X86_VPGATHERQQ || in->id == X86_VGATHERQPS ||
           in->id == X86_VGATHERQPD;
}

/* Small numbers in every lane of a gather's index. */
static void small_index(struct conform_rng *rng, struct conform_case *c)
{
    unsigned reg = c->insn.mem_index;
    uint8_t *lanes[2] = {c->in.xsave + 160 + 16 * reg, c->in.xsave + 576 + 16 * reg};
    for (unsigned i = 0; i < 4; i++) {
        uint64_t low = conform_below(rng, 128) - 64, high = conform_below(rng, 128) - 64;
        uint64_t v = wide_index(&c->insn) ? low : (low & UINT32_MAX) | high << 32;
        memcpy(lanes[i / 2] + 8 * (i % 2), &v, 8);
    }
}

static void patch(struct conform_case *c, uint64_t disp)
{
    memcpy(code_of(c) + c->insn.disp_offset, &disp, c->insn.disp_bytes);
}

static uint64_t segment_base(const struct x86_insn *in)
{
    return in->mem_segment == X86_GS ? CONFORM_GS_BASE : 0;
}

/* Makes the operand's offset `offset`, by its base register or by its displacement. */
static void aim(struct conform_rng *rng, struct conform_case *c, uint64_t offset)
{
    struct x86_insn *in = &c->insn;
    uint64_t index = 0;
    if (in->adsize == 2) /* reaches nothing, whatever the registers are */
        return;
    if (in->mem_vsib) {
        small_index(rng, c);
    } else if (in->mem_index != X86_NO_REG) {
        if (in->mem_base == X86_NO_REG)
            c->in.r[in->mem_index] = conform_below(rng, 256);
        index = c->in.r[in->mem_index] << in->mem_scale;
    }
    if (in->mem_base == X86_RIP) {
        patch(c, offset - (CONFORM_START + in->length));
    } else if (in->mem_base == X86_NO_REG) {
        patch(c, offset - index);
    } else if (in->mem_base == in->mem_index && !in->mem_vsib) {
        c->in.r[in->mem_base] =
            (offset - (uint64_t)in->mem_disp) / (1 + (UINT64_C(1) << in->mem_scale));
    } else {
        c->in.r[in->mem_base] = offset - index - (uint64_t)in->mem_disp;
        if (in->adsize == 4) /* the upper half does not count */
            c->in.r[in->mem_base] ^= conform_random(rng) << 32;
    }
}

/* A gather's indices are left out. */
uint64_t conform_effective(const struct conform_case *c)
{
    const struct x86_insn *in = &c->insn;
    uint64_t at = (uint64_t)in->mem_disp;
    if (in->mem_base == X86_RIP)
        at += CONFORM_START + in->length;
    else if (in->mem_base != X86_NO_REG)
        at += c->in.r[in->mem_base];
    if (in->mem_index != X86_NO_REG && !in->mem_vsib)
        at += c->in.r[in->mem_index] << in->mem_scale;
    if (in->adsize != 8)
        at = in->adsize == 4 ? (uint32_t)at : (uint16_t)at;
    return at + segment_base(in);
}

/* The same when a displacement may have been patched. */
static uint64_t effective(struct conform_case *c)
{
    decode_insn(code_of(c), X86_INSN_MAX_BYTES, c->mode, &c->insn);
    return conform_effective(c);
}

bool conform_safe(uint64_t linear)
{
    bool canonical = (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
    bool nothing = linear < 65536 || (linear >= 0xffff0000 && linear < 0x100010000);
    return (linear >= CONFORM_LOW + 65536 && linear < CONFORM_HIGH - 65536) || nothing ||
           !canonical;
}

/* BT and its like address bits around their operand. */
static bool bit_offset(const struct x86_insn *in)
{
    return (in->id == X86_BT || in->id == X86_BTS || in->id == X86_BTR || in->id == X86_BTC) &&
           in->operands[1].kind == X86_OPERAND_GPR;
}

/* AMD's CPUs take SHA instructions' operands at any address, Intel's only aligned ones. */
bool conform_must_align(const struct x86_insn *in)
{
    return in->map >= 2 && in->flags & X86_FLAG_SSE && in->feature == X86_FEATURE_SHA;
}

static bool by_element(const struct x86_insn *in)
{
    return in->id == X86_VMASKMOVPS || in->id == X86_VMASKMOVPD || in->id == X86_VPMASKMOVD ||
           in->id == X86_VPMASKMOVQ;
}

static bool place_memory(struct conform_rng *rng, struct conform_case *c)
{
    struct x86_insn *in = &c->insn;
    if (by_element(in) && in->adsize == 2) /* may wrap within the operand or not */
        return false;
    if (bit_offset(in))
        c->in.r[in->operands[1].reg] = conform_below(rng, 4096) - 2048;
    uint64_t at = conform_target(rng);
    if (conform_must_align(in))
        at = CONFORM_DATA + (conform_below(rng, 8192) & ~UINT64_C(15));
    aim(rng, c, at - segment_base(in));
    if (conform_must_align(in) && effective(c) & 15)
        return false;
    if (!conform_safe(effective(c)) && in->id != X86_LEA)
        return false;
    if (!bit_offset(in))
        return true;
    return c->in.r[in->operands[1].reg] + 4096 < 8192 || in->opsize == 2;
}

/* ---- strings, stack, branches ---- */

static uint64_t string_target(struct conform_rng *rng, struct conform_case *c)
{
    uint64_t at = conform_target(rng);
    if (conform_chance(rng, 30))
        at = CONFORM_DATA + 4096 - 64 + conform_below(rng, 128);
    if (c->insn.adsize == 4)
        at = (uint32_t)at | conform_random(rng) << 32;
    return at;
}

static bool place_strings(struct conform_rng *rng, struct conform_case *c)
{
    struct x86_insn *in = &c->insn;
    uint64_t upper = in->adsize == 4 ? conform_random(rng) << 32 : 0;
    c->in.r[6] = string_target(rng, c) - segment_base(in);
    c->in.r[7] =
        conform_chance(rng, 30) ? c->in.r[6] + conform_below(rng, 32) - 16 : string_target(rng, c);
    c->in.r[1] = upper | conform_below(rng, conform_chance(rng, 80) ? 40 : 2000);
    if (conform_chance(rng, 10)) { /* equal strings */
        memset(c->mem[CONFORM_PAGE_DATA0], 0x5a, 4096);
        memset(c->mem[CONFORM_PAGE_DATA1], 0x5a, 4096);
        c->in.r[0] = UINT64_C(0x5a5a5a5a5a5a5a5a);
    }
    uint64_t mask = in->adsize == 2 ? UINT16_MAX : in->adsize == 4 ? UINT32_MAX : UINT64_MAX;
    return conform_safe((c->in.r[6] & mask) + segment_base(in)) && conform_safe(c->in.r[7] & mask);
}

static bool uses_stack(const struct x86_insn *in)
{
    switch (in->id) {
    case X86_PUSH:
    case X86_POP:
    case X86_PUSHA:
    case X86_POPA:
    case X86_PUSHF:
    case X86_POPF:
    case X86_ENTER:
    case X86_LEAVE:
    case X86_CALL_NEAR:
    case X86_RET_NEAR:
        return true;
    default:
        return false;
    }
}

static uint64_t stack_target(struct conform_rng *rng)
{
    if (conform_chance(rng, 6))
        return CONFORM_STACK + conform_below(rng, 16) - 8;
    if (conform_chance(rng, 6))
        return CONFORM_STACK + 4096 + conform_below(rng, 16) - 8;
    if (conform_chance(rng, 3))
        return UINT64_C(0x900000000000) + conform_below(rng, 16);
    if (conform_chance(rng, 80))
        return CONFORM_STACK + (conform_below(rng, 4096 - 64) & ~UINT64_C(7));
    return CONFORM_STACK + conform_below(rng, 4096);
}

static bool stack_is_safe(const struct conform_case *c)
{
    uint64_t mask = c->mode == X86_CODE64 ? UINT64_MAX : UINT32_MAX;
    return conform_safe(c->in.r[RSP] & mask) && conform_safe((c->in.r[RSP] - 65536 + 4096) & mask);
}

/* Where the branch is to go is a number in a register, in memory or in the code. */
static void place_branch(struct conform_rng *rng, struct conform_case *c)
{
    struct x86_insn *in = &c->insn;
    uint64_t to = code_target(rng), next = CONFORM_START + in->length;
    switch (in->operands[0].kind) {
    case X86_OPERAND_REL:
        if (in->imm_bytes == 1 || conform_chance(rng, 20))
            to = next + (uint64_t)in->imm;
        /* Into itself it would not end, and the data is not code. */
        if (to - CONFORM_START < X86_INSN_MAX_BYTES || to - CONFORM_DATA < 65536)
            to = next + 100;
        to -= next;
        memcpy(code_of(c) + in->imm_offset, &to, in->imm_bytes);
        break;
    case X86_OPERAND_GPR:
        c->in.r[in->operands[0].reg] = to;
        break;
    case X86_OPERAND_MEM:
        poke(c, effective(c), to, 8);
        break;
    default:
        poke(c, c->in.r[RSP], to, 8);
        break;
    }
}

/* An area of FXSAVE or XSAVE, with a header that is mostly good. */
static bool place_image(struct conform_rng *rng, struct conform_case *c)
{
    bool fx = c->insn.id == X86_FXSAVE || c->insn.id == X86_FXRSTOR;
    uint64_t at = CONFORM_DATA + (conform_below(rng, 8192 - 1024) & ~UINT64_C(63));
    if (conform_chance(rng, 10))
        at = fx ? at + 16 : at + 32;
    uint64_t others = fx ? 0 : UINT32_MAX & ~UINT64_C(7); /* components that the host may have */
    c->in.r[0] &= ~others;
    c->in.r[2] &= fx ? UINT64_MAX : ~UINT64_C(0xffffffff);
    aim(rng, c, at - segment_base(&c->insn));
    if (effective(c) != at || c->in.r[0] & others || (!fx && (uint32_t)c->in.r[2]))
        return false;
    poke(c, at + 24, conform_random(rng) & 0xffff, 4);
    if (fx)
        return true;
    poke(c, at + 512, conform_random(rng) & 7, 8);
    poke(c, at + 520, 0, 8);
    for (unsigned i = 16; i < 64; i += 8)
        poke(c, at + 512 + i, 0, 8);
    if (conform_chance(rng, 10)) {
        uint64_t byte = conform_below(rng, 64);
        /* In XSTATE_BV a bit that no CPU has: 3 (MPX, which no kernel enables any more) and so on.
         */
        poke(c, at + 512 + byte, byte < 8 ? 0x08 : 1u << conform_below(rng, 8), 1);
    }
    return true;
}

/* Operands that the mnemonic implies. */
static bool place_implied(struct conform_rng *rng, struct conform_case *c)
{
    struct x86_insn *in = &c->insn;
    uint64_t frame;
    switch (in->id) {
    case X86_XLAT:
        c->in.r[3] = conform_target(rng) - (c->in.r[0] & 0xff) - segment_base(in);
        return conform_safe(in->adsize == 4 ? (uint32_t)c->in.r[3] : c->in.r[3]);
    case X86_MASKMOVQ:
    case X86_MASKMOVDQU:
    case X86_VMASKMOVDQU: /* which bytes fault, and whether those that the mask leaves out do, is
                             up to the CPU: within the writable pages */
        c->in.r[7] = CONFORM_DATA + conform_below(rng, 8192 - 16) - segment_base(in);
        return in->adsize != 2 && in->mem_segment != X86_CS;
    case X86_ENTER: /* mostly a frame that fits */
        frame = conform_below(rng, 256) | conform_below(rng, 10) << 16;
        if (conform_chance(rng, 80))
            memcpy(code_of(c) + in->imm_offset, &frame, 3);
        c->in.r[5] = stack_target(rng);
        return conform_safe(c->in.r[5]);
    case X86_LEAVE:
        c->in.r[5] = stack_target(rng);
        return conform_safe(c->in.r[5]);
    case X86_LOOPCC:
    case X86_JRCXZ:
        if (conform_chance(rng, 60))
            c->in.r[1] =
                conform_below(rng, 3) | (conform_random(rng) << 32 & -conform_below(rng, 2));
        return true;
    case X86_LDMXCSR:
    case X86_VLDMXCSR:
        /* AMD's CPUs have a bit 17, which ours refuses. */
        poke(c, effective(c),
             conform_random(rng) & (conform_chance(rng, 80) ? 0xffff : ~UINT64_C(0x20000)), 4);
        return true;
    case X86_FXSAVE:
    case X86_FXRSTOR:
    case X86_XSAVE:
    case X86_XSAVEOPT:
    case X86_XSAVEC:
    case X86_XRSTOR:
        return place_image(rng, c);
    case X86_FNSAVE:
    case X86_FRSTOR: /* across the end of a segment: how much of it is done first is up to the CPU
                      */
    case X86_FNSTENV:
    case X86_FLDENV:
        return in->mode == X86_CODE64 || (uint32_t)effective(c) < 0xffffff00;
    case X86_POPF: /* a trap flag would be for the test's own debugger */
        poke(c, c->in.r[RSP], conform_random(rng) & ~UINT64_C(0x100), 8);
        return bytes_at(c, c->in.r[RSP], 8) != NULL;
    default:
        return true;
    }
}

static bool place(struct conform_rng *rng, struct conform_case *c)
{
    struct x86_insn *in = &c->insn;
    if (uses_stack(in))
        c->in.r[RSP] = stack_target(rng);
    if ((in->id == X86_DIV || in->id == X86_IDIV) && conform_chance(rng, 70)) /* no overflow */
        c->in.r[2] = conform_chance(rng, 50) ? 0 : conform_below(rng, 256);
    if (in->flags & X86_FLAG_STRING) {
        if (!place_strings(rng, c))
            return false;
    } else if (in->has_mem && in->id != X86_XLAT && !place_memory(rng, c)) {
        return false;
    }
    if (!place_implied(rng, c))
        return false;
    if (in->flags & X86_FLAG_BRANCH)
        place_branch(rng, c);
    return !uses_stack(in) || stack_is_safe(c);
}

void conform_narrow_registers(struct conform_case *c)
{
    for (unsigned i = 0; i < 8 && c->mode != X86_CODE64; i++)
        c->in.r[i] = (uint32_t)c->in.r[i];
}

bool conform_place(struct conform_rng *rng, struct conform_case *c)
{
    bool good = place(rng, c);
    conform_narrow_registers(c);
    return good;
}
