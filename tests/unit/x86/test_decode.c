/* The decoder against its specification's awkward corners, and against Zydis (packaged, used by
 * tests alone) over random encodings of every form and over random bytes. VIRGA_DECODE_CASES sets
 * how many. */
#include "x86/decode.h"

#include <ctype.h>
#include <stdint.h>

#include "tap.h"

#if HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

static struct x86_insn in;

static enum x86_decode_result decode(enum x86_code_mode mode, const char *bytes, size_t n)
{
    return decode_insn((const uint8_t *)bytes, n, mode, &in);
}
#define DECODE(mode, bytes) decode(mode, bytes, sizeof(bytes) - 1)

static void bytes_registers_follow_the_rex_prefix(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x88\xe0"), X86_DECODE_OK); /* mov al, ah */
    CHECK_EQ(in.operands[1].kind, X86_OPERAND_GPR8H);
    CHECK_EQ(in.operands[1].reg, 0);
    CHECK_EQ(DECODE(X86_CODE64, "\x40\x88\xe0"), X86_DECODE_OK); /* mov al, spl */
    CHECK_EQ(in.operands[1].kind, X86_OPERAND_GPR);
    CHECK_EQ(in.operands[1].reg, 4);
}

static void a_rex_prefix_counts_only_before_the_opcode(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x48\x66\x01\xc0"), X86_DECODE_OK);
    CHECK_EQ(in.opsize, 2);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\x48\x01\xc0"), X86_DECODE_OK);
    CHECK_EQ(in.opsize, 8);
    CHECK_EQ(DECODE(X86_CODE32, "\x48"), X86_DECODE_OK); /* dec eax */
    CHECK_EQ(in.id, X86_DEC);
}

static void nop_pause_and_exchange_share_an_opcode(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x90"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_NOP);
    CHECK_EQ(DECODE(X86_CODE64, "\xf3\x90"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_PAUSE);
    CHECK_EQ(DECODE(X86_CODE64, "\x41\x90"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_XCHG);
    CHECK_EQ(in.operands[0].reg, 8);
}

static void lock_is_for_memory_destinations_of_some(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\xf0\x01\x00"), X86_DECODE_OK);
    CHECK_EQ(DECODE(X86_CODE64, "\xf0\x01\xc0"), X86_DECODE_UNDEFINED);
    CHECK_EQ(DECODE(X86_CODE64, "\xf0\x03\x00"), X86_DECODE_UNDEFINED);
    CHECK_EQ(DECODE(X86_CODE64, "\xf0\x89\x00"), X86_DECODE_UNDEFINED);
}

static void vex_refuses_legacy_prefixes_and_is_les_elsewhere(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\xc5\xf8\x77"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_VZEROUPPER);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\xc5\xf8\x77"), X86_DECODE_UNDEFINED);
    CHECK_EQ(DECODE(X86_CODE64, "\x48\xc5\xf8\x77"), X86_DECODE_UNDEFINED);
    CHECK_EQ(DECODE(X86_CODE64, "\xc5\xf0\x77"), X86_DECODE_UNDEFINED); /* vvvv unused */
    CHECK_EQ(DECODE(X86_CODE32, "\xc5\x00"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_LDS);
    CHECK_EQ(DECODE(X86_CODE32, "\xc5\xf8\x77"), X86_DECODE_OK);
    CHECK_EQ(in.id, X86_VZEROUPPER);
}

static void addresses_are_made_of_what_is_encoded(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x8b\x05\x10\x00\x00\x00"), X86_DECODE_OK);
    CHECK_EQ(in.mem_base, X86_RIP);
    CHECK_EQ(in.mem_disp, 16);
    CHECK_EQ(DECODE(X86_CODE64, "\x8b\x44\xe5\xf8"), X86_DECODE_OK); /* [rbp - 8], no index */
    CHECK_EQ(in.mem_base, 5);
    CHECK_EQ(in.mem_index, X86_NO_REG);
    CHECK_EQ(in.mem_segment, X86_SS);
    CHECK_EQ(in.mem_disp, -8);
    CHECK_EQ(DECODE(X86_CODE64, "\x64\x42\x8b\x04\xe0"), X86_DECODE_OK); /* fs:[rax + r12 * 8] */
    CHECK_EQ(in.mem_index, 12);
    CHECK_EQ(in.mem_scale, 3);
    CHECK_EQ(in.mem_segment, X86_FS);
    CHECK_EQ(DECODE(X86_CODE16, "\x8b\x42\x7f"), X86_DECODE_OK); /* [bp + si + 127] */
    CHECK_EQ(in.mem_base, 5);
    CHECK_EQ(in.mem_index, 6);
    CHECK_EQ(in.mem_segment, X86_SS);
}

static void instructions_end_at_fifteen_bytes_or_where_the_bytes_do(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x48\xb8\x01\x02\x03"), X86_DECODE_TRUNCATED);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x01\xc0"),
             X86_DECODE_OK);
    CHECK_EQ(in.length, 15);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x01\xc0"),
             X86_DECODE_TOO_LONG);
}

static void near_branches_and_the_stack_are_64_bits_wide_by_default(void)
{
    CHECK_EQ(DECODE(X86_CODE64, "\x50"), X86_DECODE_OK);
    CHECK_EQ(in.opsize, 8);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\x50"), X86_DECODE_OK);
    CHECK_EQ(in.opsize, 2);
    CHECK_EQ(DECODE(X86_CODE64, "\x66\xe8\x01\x00\x00\x00"), X86_DECODE_OK);
    CHECK_EQ(in.opsize, 8);
    CHECK_EQ(in.length, 6);
    CHECK_EQ(DECODE(X86_CODE64, "\x06"), X86_DECODE_UNDEFINED); /* push es */
    CHECK_EQ(DECODE(X86_CODE32, "\x06"), X86_DECODE_OK);
}

/* ---- against Zydis ---- */

#if HAVE_ZYDIS

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t rnd(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static ZydisDecoder decoders[3];

/* What our tables leave out on purpose, by Zydis' names: extensions that the engines do not offer.
 */
static bool left_out(const ZydisDecodedInstruction *z)
{
    static const ZydisISAExt ours[] = {
        ZYDIS_ISA_EXT_BASE, ZYDIS_ISA_EXT_LONGMODE,   ZYDIS_ISA_EXT_X87,       ZYDIS_ISA_EXT_MMX,
        ZYDIS_ISA_EXT_SSE,  ZYDIS_ISA_EXT_SSE2,       ZYDIS_ISA_EXT_SSE3,      ZYDIS_ISA_EXT_SSSE3,
        ZYDIS_ISA_EXT_SSE4, ZYDIS_ISA_EXT_AES,        ZYDIS_ISA_EXT_PCLMULQDQ, ZYDIS_ISA_EXT_AVX,
        ZYDIS_ISA_EXT_AVX2, ZYDIS_ISA_EXT_AVX2GATHER, ZYDIS_ISA_EXT_FMA,       ZYDIS_ISA_EXT_F16C,
        ZYDIS_ISA_EXT_BMI1, ZYDIS_ISA_EXT_BMI2,       ZYDIS_ISA_EXT_LZCNT,     ZYDIS_ISA_EXT_MOVBE,
        ZYDIS_ISA_EXT_SHA,  ZYDIS_ISA_EXT_ADOX_ADCX,  ZYDIS_ISA_EXT_RDRAND,    ZYDIS_ISA_EXT_RDSEED,
    };
    /* Single instructions of those extensions that CPUs of today do not have, or that always fault.
     */
    static const ZydisMnemonic also[] = {
        ZYDIS_MNEMONIC_UD0,           ZYDIS_MNEMONIC_UD1,          ZYDIS_MNEMONIC_UD2,
        ZYDIS_MNEMONIC_SALC,          ZYDIS_MNEMONIC_RSM,          ZYDIS_MNEMONIC_GETSEC,
        ZYDIS_MNEMONIC_FDISI8087_NOP, ZYDIS_MNEMONIC_FENI8087_NOP, ZYDIS_MNEMONIC_FSETPM287_NOP,
        ZYDIS_MNEMONIC_PREFETCHWT1,   ZYDIS_MNEMONIC_FEMMS,
    };
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        z->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return true;
    /* Aliases of x87 instructions that no manual lists. */
    unsigned reg = z->raw.modrm.reg;
    if (z->meta.isa_ext == ZYDIS_ISA_EXT_X87 && z->raw.modrm.mod == 3 &&
        ((z->opcode == 0xd9 && reg == 3) || (z->opcode == 0xdc && (reg == 2 || reg == 3)) ||
         (z->opcode == 0xdd && reg == 1) || (z->opcode == 0xde && reg == 2) ||
         (z->opcode == 0xdf && reg >= 1 && reg < 4)))
        return true;
    for (size_t i = 0; i < sizeof(also) / sizeof(also[0]); i++)
        if (z->mnemonic == also[i])
            return true;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (z->meta.isa_ext == ours[i])
            return false;
    return true;
}

static void fail(const char *what, enum x86_code_mode mode, const uint8_t *b,
                 const ZydisDecodedInstruction *z, bool good)
{
    CHECK(!"the decoders differ");
    printf("# %s: mode %d, ours %s length %u, Zydis %s length %u:", what, (int)mode,
           decode_insn_name(in.id), in.length, good ? ZydisMnemonicGetString(z->mnemonic) : "-",
           good ? z->length : 0);
    for (unsigned i = 0; i < 15; i++)
        printf(" %02x", b[i]);
    printf("\n");
}

/* Base, index, scale, displacement and segment of the memory operand. */
static bool same_memory(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o)
{
    for (unsigned i = 0; i < z->operand_count_visible; i++) {
        const ZydisDecodedOperandMem *m = &o[i].mem;
        if (o[i].type != ZYDIS_OPERAND_TYPE_MEMORY || m->type == ZYDIS_MEMOP_TYPE_MIB)
            continue;
        bool flat = in.mode == X86_CODE64;
        int base = m->base == ZYDIS_REGISTER_NONE ? X86_NO_REG
                   : m->base == ZYDIS_REGISTER_RIP || m->base == ZYDIS_REGISTER_EIP
                       ? X86_RIP
                       : ZydisRegisterGetId(m->base);
        int index = m->index == ZYDIS_REGISTER_NONE ? X86_NO_REG : ZydisRegisterGetId(m->index);
        int segment = ZydisRegisterGetId(m->segment);
        if (in.flags & X86_FLAG_STRING || in.id == X86_XLAT)
            return true;
        /* Zydis 4.0 names R13 where REX.B meets "no base, 32-bit displacement". */
        if (z->raw.modrm.mod == 0 && z->raw.modrm.rm == 4 && z->raw.sib.base == 5)
            return true;
        /* Zydis sign-extends what stands alone as an address. */
        uint64_t mask = in.adsize == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * in.adsize) - 1;
        if (base != in.mem_base || index != in.mem_index ||
            (m->index != ZYDIS_REGISTER_NONE && m->scale != 1 << in.mem_scale) ||
            (m->disp.has_displacement && (uint64_t)(m->disp.value ^ in.mem_disp) & mask))
            return false;
        /* 3e before an indirect branch is NOTRACK to Zydis, and DS to CPUs without CET. */
        bool branch = in.id == X86_CALL_NEAR || in.id == X86_JMP_NEAR;
        return segment == in.mem_segment || flat || branch || in.id == X86_LEA;
    }
    return true;
}

static bool same_vector(const struct x86_operand *a, const ZydisDecodedOperand *z)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(z->reg.value);
    ZydisRegisterClass want = a->kind == X86_OPERAND_YMM ? ZYDIS_REGCLASS_YMM : ZYDIS_REGCLASS_XMM;
    return z->type == ZYDIS_OPERAND_TYPE_REGISTER && class == want &&
           ZydisRegisterGetId(z->reg.value) == a->reg;
}

static bool same_access(const struct x86_operand *a, const ZydisDecodedOperand *z)
{
    bool reads = z->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    bool writes = z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    /* Zydis counts the header, which XSAVE reads and writes. */
    bool image = in.id == X86_XSAVE || in.id == X86_XSAVEOPT;
    if (a->access == X86_ACCESS_NONE || !z->size || image)
        return true;
    return reads == !!(a->access & X86_ACCESS_READ) && writes == !!(a->access & X86_ACCESS_WRITE);
}

/* Vector registers, size and direction of memory accesses. */
static bool same_operands(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *o)
{
    unsigned k = 0;
    if (in.id == X86_MOV && in.map == 0 && in.opcode >= 0xa0 && in.opcode <= 0xa3)
        return true; /* one operand is implied to us, none to Zydis */
    if (in.id == X86_CLFLUSH || in.id == X86_CLFLUSHOPT || in.id == X86_CLWB)
        return true; /* a byte to us, which is what is checked, a line to Zydis */
    for (unsigned i = 0; i < in.n_operands; i++) {
        const struct x86_operand *a = &in.operands[i];
        if (a->implicit || k == z->operand_count_visible)
            continue;
        const ZydisDecodedOperand *b = &o[k++];
        if ((a->kind == X86_OPERAND_XMM || a->kind == X86_OPERAND_YMM) && !same_vector(a, b))
            return false;
        if (a->kind == X86_OPERAND_MEM &&
            ((a->size_bytes && a->access && b->size != 8u * a->size_bytes) || !same_access(a, b)))
            return false;
    }
    return true;
}

static void compare(enum x86_code_mode mode, const uint8_t *b)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    bool good = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[mode], b, 15, &z, o));
    bool ours = decode_insn(b, 15, mode, &in) == X86_DECODE_OK;
    /* 0f 1a and 0f 1b are MPX to Zydis, with forms that it refuses, and no-operations elsewhere. */
    if (ours && in.id == X86_NOP && in.map == 1 && (in.opcode == 0x1a || in.opcode == 0x1b))
        return;
    if (ours != good) {
        if (!ours && left_out(&z))
            return;
        fail("validity", mode, b, &z, good);
    } else if (ours && in.length != z.length) {
        fail("length", mode, b, &z, good);
    } else if (ours && !same_memory(&z, o)) {
        fail("memory operand", mode, b, &z, good);
    } else if (ours && !same_operands(&z, o)) {
        fail("operands", mode, b, &z, good);
    }
}

/* A random encoding of a form. */
static void encode(const struct x86_form *f, enum x86_code_mode mode, uint8_t b[15])
{
    unsigned n = 0;
    for (unsigned i = 0; i < 15; i++)
        b[i] = (uint8_t)rnd();
    if (f->vex) {
        static const uint8_t pp[256] = {[0x66] = 1, [0xf3] = 2, [0xf2] = 3};
        b[n++] = 0xc4;
        b[n++] = (uint8_t)((rnd() & 0xe0) | f->map);
        b[n] = (uint8_t)((rnd() & 0xf8) | pp[f->mandatory]);
        if (rnd() & 1)
            b[n] |= 0x78;
        b[n] |= (uint8_t)((f->vex_l < 0 ? rnd() & 1 : (unsigned)f->vex_l) << 2);
        if (f->vex_w >= 0)
            b[n] = (uint8_t)((b[n] & 0x7f) | f->vex_w << 7);
        n++;
    } else {
        static const uint8_t extra[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x64, 0xf0, 0x3e};
        while (!(rnd() & 3) && n < 3)
            b[n++] = extra[rnd() & 7];
        if (f->mandatory)
            b[n++] = f->mandatory;
        if (mode == X86_CODE64 && (rnd() & 1))
            b[n++] = (uint8_t)(0x40 | (rnd() & 15));
        if (f->map)
            b[n++] = 0x0f;
        if (f->map > 1)
            b[n++] = f->map == 2 ? 0x38 : 0x3a;
    }
    b[n++] = f->opcode;
    if (f->modrm) {
        if (f->modrm == 2 || (f->modrm == 1 && (rnd() & 1)))
            b[n] |= 0xc0;
        if (f->reg >= 0)
            b[n] = (uint8_t)((b[n] & 0xc7) | f->reg << 3);
        if (f->rm >= 0)
            b[n] = (uint8_t)((b[n] & 0xf8) | f->rm);
    }
}

static unsigned cases(void)
{
    const char *s = getenv("VIRGA_DECODE_CASES");
    return s ? (unsigned)strtoul(s, NULL, 0) : 60;
}

static void start(void)
{
    ZydisDecoderInit(&decoders[X86_CODE16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    ZydisDecoderInit(&decoders[X86_CODE32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisDecoderInit(&decoders[X86_CODE64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

static void every_form_decodes_as_zydis_says(void)
{
    struct x86_form f;
    uint8_t b[15];
    start();
    for (size_t i = 0; decode_form_at(i, &f) && tap_case_failures < 20; i++)
        for (unsigned n = 0; n < cases(); n++) {
            enum x86_code_mode mode = (enum x86_code_mode)(n % 3);
            encode(&f, mode, b);
            compare(mode, b);
        }
}

static void random_bytes_decode_as_zydis_says(void)
{
    uint8_t b[15];
    start();
    for (unsigned n = 0; n < 2000 * cases() && tap_case_failures < 20; n++) {
        for (unsigned i = 0; i < 15; i++)
            b[i] = (uint8_t)rnd();
        compare((enum x86_code_mode)(n % 3), b);
    }
}

#else

static void every_form_decodes_as_zydis_says(void)
{
    SKIP("Zydis is not installed (package libzydis-dev)");
}

static void random_bytes_decode_as_zydis_says(void)
{
    SKIP("Zydis is not installed (package libzydis-dev)");
}

#endif

int main(void)
{
    TAP_RUN(bytes_registers_follow_the_rex_prefix);
    TAP_RUN(a_rex_prefix_counts_only_before_the_opcode);
    TAP_RUN(nop_pause_and_exchange_share_an_opcode);
    TAP_RUN(lock_is_for_memory_destinations_of_some);
    TAP_RUN(vex_refuses_legacy_prefixes_and_is_les_elsewhere);
    TAP_RUN(addresses_are_made_of_what_is_encoded);
    TAP_RUN(instructions_end_at_fifteen_bytes_or_where_the_bytes_do);
    TAP_RUN(near_branches_and_the_stack_are_64_bits_wide_by_default);
    TAP_RUN(every_form_decodes_as_zydis_says);
    TAP_RUN(random_bytes_decode_as_zydis_says);
    return tap_done();
}
