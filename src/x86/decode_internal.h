/* The decoder's tables: how a row is written. decode_table_*.c hold the rows, one a form, sorted
 * by opcode; decode.c reads them. The operand codes are those of the opcode maps of the SDM (volume
 * 2, appendix A.2), in the spelling of enum decode_operand. */
#ifndef X86_DECODE_INTERNAL_H
#define X86_DECODE_INTERNAL_H

#include "x86/decode.h"

/* Where an operand is encoded, in the high bits, and how large it is, in the low five. */
enum decode_size {
    SZ_NONE,
    SZ_B,
    SZ_W,
    SZ_D,
    SZ_Q,
    SZ_T /* 10 */,
    SZ_DQ,
    SZ_QQ,
    SZ_V,  /* operand size */
    SZ_Z,  /* operand size, at most 4 */
    SZ_Y,  /* 8 with REX.W (in 64-bit mode), else 4 */
    SZ_S,  /* 64-bit mode: 8, else 4 (control registers) */
    SZ_P,  /* far pointer: 2 + operand size */
    SZ_VV, /* twice the operand size */
    SZ_A,  /* descriptor-table register: 6 or 10 */
    SZ_X,  /* vector length: 16 or 32 */
    SZ_XH,
    SZ_XQ,
    SZ_XO,  /* a half, a quarter, an eighth of it */
    SZ_K64, /* 64-bit mode: 8, else operand size: stack and near branches */
    SZ_28,
    SZ_108, /* x87 environments: made from the operand size, see datum_bytes() */
};

enum decode_source {
    SRC_NONE,
    SRC_RM_GPR,
    SRC_RM_MEM,
    SRC_RM_GPR_ONLY,
    SRC_REG_GPR,
    SRC_OPCODE_GPR,
    SRC_VVVV_GPR,
    SRC_REG_XMM,
    SRC_RM_XMM,
    SRC_RM_XMM_ONLY,
    SRC_VVVV_XMM,
    SRC_IS4_XMM,
    SRC_REG_MMX,
    SRC_RM_MMX,
    SRC_RM_MMX_ONLY,
    SRC_REG_SEG,
    SRC_REG_CR,
    SRC_REG_DR,
    SRC_RM_ST,
    SRC_ST0,
    SRC_IMM,
    SRC_IMM_SIGNED,
    SRC_IMM2,
    SRC_REL,
    SRC_FAR,
    SRC_MOFFS,
    SRC_STRING_SRC,
    SRC_STRING_DST,
    SRC_FIXED_GPR, /* register in the size field's place: see FIXED() */
    SRC_FIXED_SEG,
    SRC_ONE,
    SRC_XMM0,
    SRC_VSIB,
};

#define CODE(src, size) ((uint16_t)((src) << 5 | (size)))

enum decode_operand {
    NO = 0,
    Eb = CODE(SRC_RM_GPR, SZ_B),
    Ew = CODE(SRC_RM_GPR, SZ_W),
    Ed = CODE(SRC_RM_GPR, SZ_D),
    Ev = CODE(SRC_RM_GPR, SZ_V),
    Ey = CODE(SRC_RM_GPR, SZ_Y),
    Ek = CODE(SRC_RM_GPR, SZ_K64),
    Eq = CODE(SRC_RM_GPR, SZ_Q),
    Es = CODE(SRC_RM_GPR, SZ_S),
    Gb = CODE(SRC_REG_GPR, SZ_B),
    Gw = CODE(SRC_REG_GPR, SZ_W),
    Gd = CODE(SRC_REG_GPR, SZ_D),
    Gv = CODE(SRC_REG_GPR, SZ_V),
    Gy = CODE(SRC_REG_GPR, SZ_Y),
    Gs = CODE(SRC_REG_GPR, SZ_S),
    By = CODE(SRC_VVVV_GPR, SZ_Y),
    M_ = CODE(SRC_RM_MEM, SZ_NONE),
    Mb = CODE(SRC_RM_MEM, SZ_B),
    Mw = CODE(SRC_RM_MEM, SZ_W),
    Md = CODE(SRC_RM_MEM, SZ_D),
    Mq = CODE(SRC_RM_MEM, SZ_Q),
    Mt = CODE(SRC_RM_MEM, SZ_T),
    Mdq = CODE(SRC_RM_MEM, SZ_DQ),
    Mqq = CODE(SRC_RM_MEM, SZ_QQ),
    Mv = CODE(SRC_RM_MEM, SZ_V),
    My = CODE(SRC_RM_MEM, SZ_Y),
    Mx = CODE(SRC_RM_MEM, SZ_X),
    Mp = CODE(SRC_RM_MEM, SZ_P),
    Mvv = CODE(SRC_RM_MEM, SZ_VV),
    Ma = CODE(SRC_RM_MEM, SZ_A),
    Menv = CODE(SRC_RM_MEM, SZ_28),
    Msav = CODE(SRC_RM_MEM, SZ_108),
    Rb = CODE(SRC_RM_GPR_ONLY, SZ_B),
    Rw = CODE(SRC_RM_GPR_ONLY, SZ_W),
    Rd = CODE(SRC_RM_GPR_ONLY, SZ_D),
    Rv = CODE(SRC_RM_GPR_ONLY, SZ_V),
    Ry = CODE(SRC_RM_GPR_ONLY, SZ_Y),
    Rs = CODE(SRC_RM_GPR_ONLY, SZ_S),
    Zb = CODE(SRC_OPCODE_GPR, SZ_B),
    Zv = CODE(SRC_OPCODE_GPR, SZ_V),
    Zk = CODE(SRC_OPCODE_GPR, SZ_K64),
    Zy = CODE(SRC_OPCODE_GPR, SZ_Y),
    Vx = CODE(SRC_REG_XMM, SZ_X),
    Vdq = CODE(SRC_REG_XMM, SZ_DQ),
    Vq = CODE(SRC_REG_XMM, SZ_Q),
    Vd = CODE(SRC_REG_XMM, SZ_D),
    Vqq = CODE(SRC_REG_XMM, SZ_QQ),
    Vxh = CODE(SRC_REG_XMM, SZ_XH),
    Wx = CODE(SRC_RM_XMM, SZ_X),
    Wdq = CODE(SRC_RM_XMM, SZ_DQ),
    Wq = CODE(SRC_RM_XMM, SZ_Q),
    Wd = CODE(SRC_RM_XMM, SZ_D),
    Ww = CODE(SRC_RM_XMM, SZ_W),
    Wb = CODE(SRC_RM_XMM, SZ_B),
    Wqq = CODE(SRC_RM_XMM, SZ_QQ),
    Wxh = CODE(SRC_RM_XMM, SZ_XH),
    Wxq = CODE(SRC_RM_XMM, SZ_XQ),
    Wxo = CODE(SRC_RM_XMM, SZ_XO),
    Ux = CODE(SRC_RM_XMM_ONLY, SZ_X),
    Udq = CODE(SRC_RM_XMM_ONLY, SZ_DQ),
    Uq = CODE(SRC_RM_XMM_ONLY, SZ_Q),
    Hx = CODE(SRC_VVVV_XMM, SZ_X),
    Hdq = CODE(SRC_VVVV_XMM, SZ_DQ),
    Hq = CODE(SRC_VVVV_XMM, SZ_Q),
    Hd = CODE(SRC_VVVV_XMM, SZ_D),
    Hqq = CODE(SRC_VVVV_XMM, SZ_QQ),
    Hxh = CODE(SRC_VVVV_XMM, SZ_XH),
    Lx = CODE(SRC_IS4_XMM, SZ_X),
    Pq = CODE(SRC_REG_MMX, SZ_Q),
    Pd = CODE(SRC_REG_MMX, SZ_D),
    Qq = CODE(SRC_RM_MMX, SZ_Q),
    Qd = CODE(SRC_RM_MMX, SZ_D),
    Nq = CODE(SRC_RM_MMX_ONLY, SZ_Q),
    Sw = CODE(SRC_REG_SEG, SZ_W),
    Cs = CODE(SRC_REG_CR, SZ_S),
    Ds = CODE(SRC_REG_DR, SZ_S),
    STi = CODE(SRC_RM_ST, SZ_T),
    ST0 = CODE(SRC_ST0, SZ_T),
    Ib = CODE(SRC_IMM, SZ_B),
    Iw = CODE(SRC_IMM, SZ_W),
    Iz = CODE(SRC_IMM_SIGNED, SZ_Z),
    Iv = CODE(SRC_IMM, SZ_V),
    sIb = CODE(SRC_IMM_SIGNED, SZ_B),
    I2b = CODE(SRC_IMM2, SZ_B),
    Jb = CODE(SRC_REL, SZ_B),
    Jz = CODE(SRC_REL, SZ_Z),
    Ap = CODE(SRC_FAR, SZ_P),
    Ob = CODE(SRC_MOFFS, SZ_B),
    Ov = CODE(SRC_MOFFS, SZ_V),
    Xb = CODE(SRC_STRING_SRC, SZ_B),
    Xv = CODE(SRC_STRING_SRC, SZ_V),
    Xz = CODE(SRC_STRING_SRC, SZ_Z),
    Yb = CODE(SRC_STRING_DST, SZ_B),
    Yv = CODE(SRC_STRING_DST, SZ_V),
    Yz = CODE(SRC_STRING_DST, SZ_Z),
    ONE = CODE(SRC_ONE, SZ_B),
    X0 = CODE(SRC_XMM0, SZ_DQ),
    VSd = CODE(SRC_VSIB, SZ_D),
    VSq = CODE(SRC_VSIB, SZ_Q),
    /* Registers that the opcode names: SRC_FIXED_GPR + register * 4 + size class. */
    AL = CODE(SRC_FIXED_GPR, 0),
    AX = CODE(SRC_FIXED_GPR, 1),
    rAX = CODE(SRC_FIXED_GPR, 2),
    CL = CODE(SRC_FIXED_GPR, 4),
    DX = CODE(SRC_FIXED_GPR, 9),
    zAX = CODE(SRC_FIXED_GPR, 3),
    fES = CODE(SRC_FIXED_SEG, 0),
    fCS = CODE(SRC_FIXED_SEG, 1),
    fSS = CODE(SRC_FIXED_SEG, 2),
    fDS = CODE(SRC_FIXED_SEG, 3),
    fFS = CODE(SRC_FIXED_SEG, 4),
    fGS = CODE(SRC_FIXED_SEG, 5),
};

/* Which prefix chooses the row. */
enum decode_prefix {
    PP_ANY, /* none does: 66, f2 and f3 keep their meaning */
    PP_NO,  /* no 66, f2, f3 */
    PP_66,
    PP_F3,
    PP_F2,
    PP_NOREP, /* 66 or nothing (the operand size), no f2 or f3 */
};

enum decode_mod { MOD_NONE, MOD_BOTH, MOD_REG, MOD_MEM };

/* Row attributes that only the decoder needs. */
enum decode_attr {
    A_LOCK = 1 << 0, /* LOCK is allowed with a memory destination */
    A_I64 = 1 << 1,  /* invalid in 64-bit mode */
    A_O64 = 1 << 2,  /* only in 64-bit mode */
    A_D64 = 1 << 3,  /* 64-bit mode: operand size 8 (2 with 66) */
    A_F64 = 1 << 4,  /* 64-bit mode: operand size 8 whatever the prefixes */
    A_RO = 1 << 5,   /* the first operand is only read (cmp, test, push ...) */
    A_WO = 1 << 6,   /* the first operand is only written (mov, lea ...) */
    A_RW2 = 1 << 7,  /* the second operand is written too (xchg, xadd) */
    A_W0 = 1 << 9,
    A_W1 = 1 << 10, /* VEX.W, or for legacy rows REX.W */
    A_L0 = 1 << 11,
    A_L1 = 1 << 12,
    A_AVX2_256 = 1 << 13, /* 256-bit form needs AVX2 where the 128-bit form needs AVX */
    A_NOADDR = 1 << 14,   /* the memory operand is an address, no access */
};

struct decode_row {
    uint16_t id;
    uint8_t opcode;
    uint8_t prefix;  /* enum decode_prefix */
    uint8_t mod;     /* enum decode_mod */
    int8_t reg, rm;  /* opcode extension, or -1 */
    uint8_t feature; /* enum x86_feature */
    uint16_t operand[4];
    uint16_t attr;  /* enum decode_attr */
    uint32_t flags; /* enum x86_insn_flags */
};

struct decode_table {
    const struct decode_row *rows;
    size_t n_rows;
};

/* Maps 0 (one byte), 1 (0f), 2 (0f38), 3 (0f3a), legacy encodings; the same under VEX; x87. */
extern const struct decode_table decode_table_one_byte, decode_table_0f, decode_table_0f38,
    decode_table_0f3a;
extern const struct decode_table *const decode_tables_legacy[4];
extern const struct decode_table decode_tables_vex[4];
extern const struct decode_table decode_tables_x87;

#endif
