/* Instruction decoding: bytes of guest code to one struct x86_insn, in every mode a guest can be
 * in. Used by the software engine (interpreter now, translator later), by the debugger and by
 * tests. Facts only: nothing here executes.
 *
 * The decoder knows exactly the instructions of its tables (decode_table_*.c, one row a form):
 * whatever is not there is X86_DECODE_UNDEFINED, whatever the host could do with it.
 *
 * Spec: Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3, appendix A. */
#ifndef X86_DECODE_H
#define X86_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "x86/insn_ids.h" /* enum x86_insn_id: X86_ADD, X86_MOV ... one a mnemonic and meaning */

#define X86_INSN_MAX_BYTES 15

/* Code size of the segment that is executed. */
enum x86_code_mode { X86_CODE16, X86_CODE32, X86_CODE64 };

enum x86_segment { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_N_SEGMENTS };

enum x86_prefixes {
    X86_PREFIX_LOCK = 1 << 0,
    X86_PREFIX_REPNE = 1 << 1, /* f2, as a repeat (not where it selects the instruction) */
    X86_PREFIX_REP = 1 << 2,   /* f3, likewise */
    X86_PREFIX_OPSIZE = 1 << 3,
    X86_PREFIX_ADSIZE = 1 << 4,
    X86_PREFIX_SEGMENT = 1 << 5,
    X86_PREFIX_REX = 1 << 6,
    X86_PREFIX_VEX = 1 << 7,
};

enum x86_operand_kind {
    X86_OPERAND_NONE,
    X86_OPERAND_GPR,   /* reg 0..15; size 1 without REX: 4..7 are given as X86_OPERAND_GPR8H */
    X86_OPERAND_GPR8H, /* reg 0..3: AH CH DH BH */
    X86_OPERAND_SEG,
    X86_OPERAND_CR,
    X86_OPERAND_DR,
    X86_OPERAND_ST,  /* x87 stack register */
    X86_OPERAND_MMX, /* reg 0..7 */
    X86_OPERAND_XMM, /* reg 0..15, 16 bytes of register; size says what is used of it */
    X86_OPERAND_YMM,
    X86_OPERAND_MEM,        /* x86_insn.mem_* */
    X86_OPERAND_IMM,        /* x86_insn.imm, sign-extended to 64 bits where the form says so */
    X86_OPERAND_IMM2,       /* x86_insn.imm2: second immediate (enter) */
    X86_OPERAND_REL,        /* x86_insn.imm: signed displacement from the next instruction */
    X86_OPERAND_FAR,        /* x86_insn.imm: offset, imm2: selector */
    X86_OPERAND_STRING_SRC, /* [seg:rSI]; mem_segment says the segment */
    X86_OPERAND_STRING_DST, /* [ES:rDI] */
};

enum x86_operand_access {
    X86_ACCESS_NONE = 0, /* address only: lea, nop, prefetch, invlpg */
    X86_ACCESS_READ = 1,
    X86_ACCESS_WRITE = 2,
    X86_ACCESS_RW = 3,
};

struct x86_operand {
    uint8_t kind; /* enum x86_operand_kind */
    uint8_t reg;
    uint8_t access;     /* enum x86_operand_access */
    uint8_t size_bytes; /* of the datum: 1 2 4 6 8 10 16 28.. 32; 0: no datum, or varies (fxsave) */
    uint8_t place;      /* enum x86_operand_place */
    bool implicit;      /* not encoded: a register that the mnemonic implies (mul: rAX, rDX;
                           shifts by CL; pcmpistri: ECX; blendv: XMM0) */
};

/* x86_operand.place: where it is encoded. */
enum x86_operand_place {
    X86_PLACE_NONE, /* implied, immediate */
    X86_PLACE_REG,  /* ModRM.reg */
    X86_PLACE_RM,   /* ModRM.rm */
    X86_PLACE_VVVV, /* VEX.vvvv */
    X86_PLACE_IS4,  /* the high half of the immediate */
    X86_PLACE_OPCODE,
};

#define X86_OPERANDS_MAX 5

#define X86_NO_REG 0xff
#define X86_RIP    0x10 /* mem_base of a RIP-relative operand */

/* What CPUID bit an instruction needs; X86_FEATURE_BASE is what every x86-64 CPU has (including
 * x87, MMX, SSE, SSE2, CMOV, CX8, FXSR, CLFLUSH and SYSCALL). decode.c has the table of names and
 * CPUID positions. */
enum x86_feature {
    X86_FEATURE_BASE,
    X86_FEATURE_SSE3,
    X86_FEATURE_SSSE3,
    X86_FEATURE_SSE41,
    X86_FEATURE_SSE42,
    X86_FEATURE_POPCNT,
    X86_FEATURE_CX16,
    X86_FEATURE_MOVBE,
    X86_FEATURE_AES,
    X86_FEATURE_PCLMUL,
    X86_FEATURE_SHA,
    X86_FEATURE_AVX,
    X86_FEATURE_AVX2,
    X86_FEATURE_FMA,
    X86_FEATURE_F16C,
    X86_FEATURE_VAES,
    X86_FEATURE_VPCLMUL,
    X86_FEATURE_GFNI,
    X86_FEATURE_BMI1,
    X86_FEATURE_BMI2,
    X86_FEATURE_LZCNT,
    X86_FEATURE_ADX,
    X86_FEATURE_RDRAND,
    X86_FEATURE_RDSEED,
    X86_FEATURE_XSAVE,
    X86_FEATURE_XSAVEOPT,
    X86_FEATURE_XSAVEC,
    X86_FEATURE_FSGSBASE,
    X86_FEATURE_RDTSCP,
    X86_FEATURE_RDPID,
    X86_FEATURE_INVPCID,
    X86_FEATURE_SMAP,
    X86_FEATURE_LAHF64,
    X86_FEATURE_PREFETCHW,
    X86_FEATURE_CLFLUSHOPT,
    X86_FEATURE_CLWB,
    X86_FEATURE_WBNOINVD,
    X86_FEATURE_SSE4A,
    X86_N_FEATURES
};

/* Properties of a form that whoever executes it needs. */
enum x86_insn_flags {
    X86_FLAG_ALIGNED = 1 << 0, /* memory operand must be aligned to its size (legacy SSE, movdqa) */
    X86_FLAG_BRANCH = 1 << 1,  /* changes rip otherwise than to the next instruction */
    X86_FLAG_STRING = 1 << 2,  /* a string instruction, repeatable */
    X86_FLAG_SSE_FP = 1 << 3,  /* reads MXCSR and may raise SIMD FP exceptions */
    X86_FLAG_X87 = 1 << 4,     /* any x87 instruction */
    X86_FLAG_X87_NOWAIT = 1 << 5, /* x87, does not look for pending exceptions */
    X86_FLAG_MMX = 1 << 6,     /* uses MMX registers: #NM and #MF rules of x87, sets the tag word */
    X86_FLAG_SSE = 1 << 7,     /* needs CR4.OSFXSR (SSE and later on XMM, legacy encoding) */
    X86_FLAG_VEX = 1 << 8,     /* needs CR4.OSXSAVE and XCR0[2:1] = 3 (VEX on vector registers) */
    X86_FLAG_VEX_GPR = 1 << 9, /* VEX on general registers (BMI): no XCR0 check */
    X86_FLAG_PRIVILEGED = 1 << 10,   /* #GP unless CPL 0 (whatever other rules it has besides) */
    X86_FLAG_WRITES_FLAGS = 1 << 11, /* changes at least one of OF SF ZF AF PF CF */
    X86_FLAG_READS_FLAGS = 1 << 12,
};

struct x86_insn {
    uint16_t id;      /* enum x86_insn_id */
    uint8_t feature;  /* enum x86_feature */
    uint8_t length;   /* bytes */
    uint32_t flags;   /* enum x86_insn_flags */
    uint8_t mode;     /* enum x86_code_mode */
    uint8_t opsize;   /* effective operand size attribute: 2, 4 or 8 bytes */
    uint8_t adsize;   /* effective address size: 2, 4 or 8 bytes */
    uint8_t prefixes; /* enum x86_prefixes */

    uint8_t n_operands;
    struct x86_operand operands[X86_OPERANDS_MAX]; /* destination first, as Intel writes them;
                                                      implicit ones after the encoded ones */

    /* The memory operand, if there is one (also for moffs, lea, string operands). */
    bool has_mem;
    uint8_t mem_segment; /* enum x86_segment: the override, else the default of the base register.
                            Set without has_mem for xlat and maskmov*, whose address is implied */
    uint8_t mem_base;    /* GPR, X86_RIP or X86_NO_REG */
    uint8_t mem_index;   /* GPR or X86_NO_REG; with VSIB an XMM/YMM number */
    uint8_t mem_scale;   /* log2: 0..3 */
    bool mem_vsib;
    int64_t mem_disp; /* sign-extended; moffs: the address itself */

    int64_t imm, imm2;

    /* The encoding, for whoever re-encodes it (vector thunks, the translator). Offsets are from the
     * first byte; 0: not there. */
    uint8_t map; /* 0: one-byte, 1: 0f, 2: 0f38, 3: 0f3a */
    uint8_t opcode;
    uint8_t modrm; /* valid if has_modrm */
    bool has_modrm;
    uint8_t
        mandatory; /* 0, 0x66, 0xf3 or 0xf2: the prefix that is part of the opcode (VEX.pp too) */
    uint8_t rex;   /* 0, or the REX byte; for VEX: W R X B in the same places */
    uint8_t vex_l; /* 0: 128, 1: 256 */
    uint8_t vex_vvvv; /* register number 0..15 (not inverted) */
    uint8_t opcode_offset, modrm_offset, disp_offset, disp_bytes, imm_offset, imm_bytes;
};

enum x86_decode_result {
    X86_DECODE_OK = 0,
    X86_DECODE_UNDEFINED, /* #UD: not in the tables, LOCK where it may not be, bad VEX ... ; length
                             is valid as far as it was parsed */
    X86_DECODE_TOO_LONG,  /* #GP(0): more than 15 bytes */
    X86_DECODE_TRUNCATED, /* `available` ends inside the instruction */
};

/* Decodes the instruction at code[0..available). In X86_CODE64 operand and address sizes follow the
 * 64-bit rules, else `mode` gives the default of the code segment. Does not look at CPUID: callers
 * compare `feature`. Real mode and virtual-8086 restrictions (VEX, protected-mode-only
 * instructions) are the caller's. Threads: any (pure). */
enum x86_decode_result decode_insn(const uint8_t *code, size_t available, enum x86_code_mode mode,
                                   struct x86_insn *insn);

/* "ADD", "VPADDD": the mnemonic of an id, for traces. */
const char *decode_insn_name(uint16_t id);

/* ---- for tests and tools: what forms there are ---- */

/* One row of the tables, enough to make an encoding of it. */
struct x86_form {
    uint16_t id;
    uint8_t feature;
    uint8_t map, opcode, mandatory; /* as in struct x86_insn */
    int8_t reg;                     /* modrm.reg (opcode extension) or -1 */
    int8_t rm;                      /* modrm.rm that is part of the opcode, or -1 */
    uint8_t modrm;     /* 0: none, 1: register or memory, 2: register only, 3: memory only */
    uint8_t vex;       /* 0: legacy, 1: VEX */
    int8_t vex_w;      /* -1: ignored; 0, 1 */
    int8_t vex_l;      /* -1: ignored; 0, 1 */
    uint8_t modes;     /* bit 0: valid outside 64-bit mode, bit 1: valid in it */
    uint8_t imm_bytes; /* bytes of immediate with a 32-bit operand size; 0: none */
    uint32_t flags;
};

/* Forms by index until it returns false. */
bool decode_form_at(size_t i, struct x86_form *form);

/* Where CPUID says that a feature is there: leaf, sub-leaf, register (0 eax .. 3 edx), bit. BASE
 * has register -1. */
struct x86_feature_bit {
    const char *name; /* as in /proc/cpuinfo */
    uint32_t leaf, subleaf;
    int8_t reg;
    uint8_t bit;
};
extern const struct x86_feature_bit decode_feature_bits[X86_N_FEATURES];

#endif
