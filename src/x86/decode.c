#include "x86/decode.h"

#include <string.h>

#include "base/util.h"
#include "x86/decode_internal.h"

/* Where the decoder is in the bytes. `failed` is sticky: reading on yields zeroes. */
struct reader {
    const uint8_t *code;
    size_t available, at;
    enum x86_decode_result failed;
};

static uint8_t peek_byte(struct reader *r)
{
    if (r->at >= X86_INSN_MAX_BYTES && !r->failed)
        r->failed = X86_DECODE_TOO_LONG;
    else if (r->at >= r->available && !r->failed)
        r->failed = X86_DECODE_TRUNCATED;
    return r->failed ? 0 : r->code[r->at];
}

static uint8_t next_byte(struct reader *r)
{
    uint8_t b = peek_byte(r);
    r->at += !r->failed;
    return b;
}

static uint64_t next_bytes(struct reader *r, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)next_byte(r) << (8 * i);
    return v;
}

static int64_t sign_extend(uint64_t v, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return bytes ? (int64_t)(v << shift) >> shift : 0;
}

/* ---- prefixes and opcode ---- */

struct prefixes {
    uint8_t rep; /* 0, 0xf2 or 0xf3: the last one */
    int segment; /* enum x86_segment or -1 */
    bool vex;
};

static int segment_prefix(uint8_t b, enum x86_code_mode mode)
{
    switch (b) {
    case 0x26:
        return mode == X86_CODE64 ? -2 : X86_ES;
    case 0x2e:
        return mode == X86_CODE64 ? -2 : X86_CS;
    case 0x36:
        return mode == X86_CODE64 ? -2 : X86_SS;
    case 0x3e:
        return mode == X86_CODE64 ? -2 : X86_DS;
    case 0x64:
        return X86_FS;
    case 0x65:
        return X86_GS;
    default:
        return -1;
    }
}

/* Legacy prefixes and REX. A REX byte counts only directly before the opcode. */
static void read_prefixes(struct reader *r, struct x86_insn *in, struct prefixes *p)
{
    p->segment = -1;
    for (;;) {
        uint8_t b = peek_byte(r);
        int segment = segment_prefix(b, (enum x86_code_mode)in->mode);
        if (r->failed)
            return;
        if (in->mode == X86_CODE64 && (b & 0xf0) == 0x40) {
            in->rex = b;
            next_byte(r);
            continue;
        }
        if (segment != -1) {
            /* 64-bit mode ignores the others, even after FS or GS (SDM volume 2, 2.2). */
            p->segment = segment >= 0 ? segment : p->segment;
            in->prefixes |= X86_PREFIX_SEGMENT;
        } else if (b == 0x66) {
            in->prefixes |= X86_PREFIX_OPSIZE;
        } else if (b == 0x67) {
            in->prefixes |= X86_PREFIX_ADSIZE;
        } else if (b == 0xf0) {
            in->prefixes |= X86_PREFIX_LOCK;
        } else if (b == 0xf2 || b == 0xf3) {
            p->rep = b;
        } else {
            break;
        }
        in->rex = 0;
        next_byte(r);
    }
    if (in->rex)
        in->prefixes |= X86_PREFIX_REX;
}

static bool starts_vex(struct reader *r, const struct x86_insn *in)
{
    uint8_t b = peek_byte(r);
    if (b != 0xc4 && b != 0xc5)
        return false;
    if (in->mode == X86_CODE64)
        return true;
    /* LES and LDS take a memory operand. */
    return r->at + 1 < r->available && r->at + 1 < X86_INSN_MAX_BYTES && r->code[r->at + 1] >= 0xc0;
}

/* False: #UD. Spec: SDM volume 2, 2.3. */
static bool read_vex(struct reader *r, struct x86_insn *in, struct prefixes *p)
{
    static const uint8_t mandatory[4] = {0, 0x66, 0xf3, 0xf2};
    bool bad = p->rep || in->rex ||
               (in->prefixes & (X86_PREFIX_OPSIZE | X86_PREFIX_LOCK | X86_PREFIX_REX));
    uint8_t first = next_byte(r), b = next_byte(r), w = 0;
    in->rex = (b & 0x80) ? 0 : 4;
    in->map = 1;
    if (first == 0xc4) {
        in->rex |= (b & 0x40 ? 0 : 2) | (b & 0x20 ? 0 : 1);
        in->map = b & 0x1f;
        b = next_byte(r);
        w = b >> 7;
    }
    if (in->mode != X86_CODE64)
        in->rex = 0;
    in->rex |= (uint8_t)(w << 3);
    in->vex_vvvv = ~b >> 3 & 15;
    in->vex_l = b >> 2 & 1;
    in->mandatory = mandatory[b & 3];
    in->prefixes |= X86_PREFIX_VEX;
    p->vex = true;
    return !bad && in->map >= 1 && in->map <= 3;
}

static void read_opcode(struct reader *r, struct x86_insn *in)
{
    in->opcode_offset = (uint8_t)r->at;
    in->opcode = next_byte(r);
    if (in->prefixes & X86_PREFIX_VEX)
        return;
    if (in->opcode == 0x0f) {
        in->map = 1;
        in->opcode_offset = (uint8_t)r->at;
        in->opcode = next_byte(r);
        if (in->opcode == 0x38 || in->opcode == 0x3a) {
            in->map = in->opcode == 0x38 ? 2 : 3;
            in->opcode_offset = (uint8_t)r->at;
            in->opcode = next_byte(r);
        }
    }
}

/* ---- the row ---- */

static bool prefix_fits(const struct decode_row *row, const struct x86_insn *in, uint8_t rep)
{
    bool vex = in->prefixes & X86_PREFIX_VEX;
    uint8_t pp = vex ? in->mandatory : (rep ? rep : in->prefixes & X86_PREFIX_OPSIZE ? 0x66 : 0);
    switch (row->prefix) {
    case PP_NO:
        return pp == 0;
    case PP_66:
        return pp == 0x66;
    case PP_F3:
        return pp == 0xf3;
    case PP_F2:
        return pp == 0xf2;
    case PP_NOREP:
        return pp == 0 || pp == 0x66;
    default:
        return true;
    }
}

static bool row_fits(const struct decode_row *row, const struct x86_insn *in, uint8_t rep)
{
    unsigned mod = in->modrm >> 6, reg = in->modrm >> 3 & 7, rm = in->modrm & 7;
    bool w = in->rex & 8;
    if (row->attr & (in->mode == X86_CODE64 ? A_I64 : A_O64))
        return false;
    if ((row->mod == MOD_REG && mod != 3) || (row->mod == MOD_MEM && mod == 3))
        return false;
    if ((row->reg >= 0 && row->reg != (int)reg) || (row->rm >= 0 && row->rm != (int)rm))
        return false;
    if (((row->attr & A_W0) && w) || ((row->attr & A_W1) && !w))
        return false;
    if (((row->attr & A_L0) && in->vex_l) || ((row->attr & A_L1) && !in->vex_l))
        return false;
    if (in->map == 0 && (row->id == X86_NOP || row->id == X86_PAUSE) && in->rex & 1)
        return false; /* 41 90 is xchg r8, rax */
    return prefix_fits(row, in, rep);
}

static const struct decode_table *table_of(const struct x86_insn *in)
{
    if (in->prefixes & X86_PREFIX_VEX)
        return &decode_tables_vex[in->map];
    if (in->map == 0 && in->opcode >= 0xd8 && in->opcode <= 0xdf)
        return &decode_tables_x87;
    return &decode_tables_legacy[in->map];
}

/* The first row of an opcode, NULL: none. */
static const struct decode_row *first_row(const struct decode_table *t, uint8_t opcode)
{
    size_t lo = 0, hi = t->n_rows;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (t->rows[mid].opcode < opcode)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n_rows && t->rows[lo].opcode == opcode ? &t->rows[lo] : NULL;
}

static const struct decode_row *find_row(const struct x86_insn *in, const struct decode_row *first,
                                         uint8_t rep)
{
    const struct decode_table *t = table_of(in);
    for (const struct decode_row *row = first;
         row < t->rows + t->n_rows && row->opcode == in->opcode; row++)
        if (row_fits(row, in, rep))
            return row;
    return NULL;
}

/* mov cr/dr takes the mod field as 3 whatever it is. */
static bool ignores_mod(const struct x86_insn *in)
{
    return in->map == 1 && !(in->prefixes & X86_PREFIX_VEX) && in->opcode >= 0x20 &&
           in->opcode <= 0x23;
}

/* ---- operands ---- */

static void set_sizes(struct x86_insn *in, const struct decode_row *row)
{
    bool p66 = (in->prefixes & X86_PREFIX_OPSIZE) && row->prefix != PP_66;
    bool p67 = in->prefixes & X86_PREFIX_ADSIZE;
    if (in->mode == X86_CODE64) {
        in->opsize = in->rex & 8 ? 8 : p66 ? 2 : 4;
        if (row->attr & A_F64)
            in->opsize = 8;
        if (row->attr & A_D64)
            in->opsize = p66 && !(in->rex & 8) ? 2 : 8;
        in->adsize = p67 ? 4 : 8;
    } else {
        bool wide = in->mode == X86_CODE32;
        in->opsize = wide != p66 ? 4 : 2;
        in->adsize = wide != p67 ? 4 : 2;
    }
}

/* Memory operand of ModRM with 16-bit addresses (SDM volume 2, table 2-1). */
static void read_address16(struct reader *r, struct x86_insn *in)
{
    static const uint8_t base[8] = {3, 3, 5, 5, X86_NO_REG, X86_NO_REG, 5, 3};
    static const uint8_t index[8] = {6, 7, 6, 7, 6, 7, X86_NO_REG, X86_NO_REG};
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7;
    in->mem_base = base[rm];
    in->mem_index = index[rm];
    if (rm == 4 || rm == 5) { /* [si], [di] */
        in->mem_base = in->mem_index;
        in->mem_index = X86_NO_REG;
    }
    in->disp_bytes = mod == 1 ? 1 : mod == 2 ? 2 : 0;
    if (mod == 0 && rm == 6) {
        in->mem_base = X86_NO_REG;
        in->disp_bytes = 2;
    }
    in->mem_segment = in->mem_base == 5 ? X86_SS : X86_DS;
}

/* With 32- and 64-bit addresses (tables 2-2 and 2-3; 2.2.1.6 for RIP). */
static void read_address32(struct reader *r, struct x86_insn *in)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7;
    in->disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    in->mem_base = (uint8_t)(rm | (in->rex & 1) << 3);
    if (rm == 4) {
        uint8_t sib = next_byte(r);
        in->mem_scale = sib >> 6;
        in->mem_index = (uint8_t)((sib >> 3 & 7) | (in->rex & 2) << 2);
        if (in->mem_index == 4 && !in->mem_vsib)
            in->mem_index = X86_NO_REG;
        in->mem_base = (uint8_t)((sib & 7) | (in->rex & 1) << 3);
        if ((sib & 7) == 5 && mod == 0) {
            in->mem_base = X86_NO_REG;
            in->disp_bytes = 4;
        }
    } else if (rm == 5 && mod == 0) {
        in->mem_base = in->mode == X86_CODE64 ? X86_RIP : X86_NO_REG;
        in->disp_bytes = 4;
    }
    in->mem_segment = in->mem_base == 4 || in->mem_base == 5 ? X86_SS : X86_DS;
}

static void read_memory(struct reader *r, struct x86_insn *in, const struct prefixes *p)
{
    in->has_mem = true;
    if (in->adsize == 2)
        read_address16(r, in);
    else
        read_address32(r, in);
    if (p->segment >= 0)
        in->mem_segment = (uint8_t)p->segment;
    if (in->disp_bytes) {
        in->disp_offset = (uint8_t)r->at;
        in->mem_disp = sign_extend(next_bytes(r, in->disp_bytes), in->disp_bytes);
    }
}

static uint8_t datum_bytes(const struct x86_insn *in, unsigned size)
{
    uint8_t vector = in->vex_l ? 32 : 16;
    bool long_mode = in->mode == X86_CODE64;
    switch ((enum decode_size)size) {
    case SZ_B:
        return 1;
    case SZ_W:
        return 2;
    case SZ_D:
        return 4;
    case SZ_Q:
        return 8;
    case SZ_T:
        return 10;
    case SZ_DQ:
        return 16;
    case SZ_QQ:
        return 32;
    case SZ_V:
    case SZ_K64:
        return in->opsize;
    case SZ_Z:
        return MIN(in->opsize, 4);
    case SZ_Y:
        return long_mode && in->rex & 8 ? 8 : 4;
    case SZ_S:
        return long_mode ? 8 : 4;
    case SZ_P:
        return (uint8_t)(2 + in->opsize);
    case SZ_A:
        return long_mode ? 10 : 6;
    case SZ_X:
        return vector;
    case SZ_XH:
        return vector / 2;
    case SZ_XQ:
        return vector / 4;
    case SZ_XO:
        return vector / 8;
    case SZ_28:
        return in->opsize == 2 ? 14 : 28;
    case SZ_108:
        return in->opsize == 2 ? 94 : 108;
    default:
        return 0;
    }
}

static void set_gpr(const struct x86_insn *in, struct x86_operand *o, unsigned reg)
{
    o->kind = X86_OPERAND_GPR;
    o->reg = (uint8_t)reg;
    if (o->size_bytes == 1 && !(in->prefixes & X86_PREFIX_REX) && reg >= 4 && reg < 8) {
        o->kind = X86_OPERAND_GPR8H;
        o->reg = (uint8_t)(reg - 4);
    }
}

static void set_vector(struct x86_operand *o, unsigned reg)
{
    o->kind = o->size_bytes == 32 ? X86_OPERAND_YMM : X86_OPERAND_XMM;
    o->reg = (uint8_t)reg;
}

static void read_immediate(struct reader *r, struct x86_insn *in, unsigned bytes, bool is_signed)
{
    if (!in->imm_bytes)
        in->imm_offset = (uint8_t)r->at;
    in->imm_bytes = (uint8_t)(in->imm_bytes + bytes);
    uint64_t v = next_bytes(r, bytes);
    in->imm = is_signed ? sign_extend(v, bytes) : (int64_t)v;
}

static void string_operand(struct x86_insn *in, struct x86_operand *o, const struct prefixes *p,
                           bool source)
{
    o->kind = source ? X86_OPERAND_STRING_SRC : X86_OPERAND_STRING_DST;
    in->has_mem = true;
    if (source)
        in->mem_segment = p->segment >= 0 ? (uint8_t)p->segment : X86_DS;
    else if (in->operands[0].kind != X86_OPERAND_STRING_SRC)
        in->mem_segment = in->mem_segment ? in->mem_segment : X86_ES;
    in->mem_base = in->mem_index = X86_NO_REG;
}

static void fixed_gpr(const struct x86_insn *in, struct x86_operand *o, unsigned code)
{
    static const uint8_t size_of[4] = {1, 2, 0, 0xff};
    uint8_t size = size_of[code & 3];
    o->implicit = true;
    o->kind = X86_OPERAND_GPR;
    o->reg = (uint8_t)(code >> 2);
    o->size_bytes = size == 0 ? in->opsize : size == 0xff ? (uint8_t)MIN(in->opsize, 4) : size;
}

static void moffs(struct reader *r, struct x86_insn *in, struct x86_operand *o,
                  const struct prefixes *p)
{
    o->kind = X86_OPERAND_MEM;
    in->has_mem = true;
    in->mem_base = in->mem_index = X86_NO_REG;
    in->mem_segment = p->segment >= 0 ? (uint8_t)p->segment : X86_DS;
    in->disp_offset = (uint8_t)r->at;
    in->disp_bytes = in->adsize;
    in->mem_disp = (int64_t)next_bytes(r, in->adsize);
}

static uint8_t place_of(enum decode_source source)
{
    switch (source) {
    case SRC_REG_GPR:
    case SRC_REG_XMM:
    case SRC_REG_MMX:
    case SRC_REG_SEG:
    case SRC_REG_CR:
    case SRC_REG_DR:
        return X86_PLACE_REG;
    case SRC_RM_GPR:
    case SRC_RM_MEM:
    case SRC_RM_GPR_ONLY:
    case SRC_RM_XMM:
    case SRC_RM_XMM_ONLY:
    case SRC_RM_MMX:
    case SRC_RM_MMX_ONLY:
    case SRC_RM_ST:
    case SRC_VSIB:
        return X86_PLACE_RM;
    case SRC_VVVV_GPR:
    case SRC_VVVV_XMM:
        return X86_PLACE_VVVV;
    case SRC_IS4_XMM:
        return X86_PLACE_IS4;
    case SRC_OPCODE_GPR:
        return X86_PLACE_OPCODE;
    default:
        return X86_PLACE_NONE;
    }
}

/* Fills one operand from its code. Memory was read before, immediates are read here in order. */
static void read_operand(struct reader *r, struct x86_insn *in, struct x86_operand *o,
                         unsigned code, const struct prefixes *p)
{
    unsigned reg = (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
    unsigned rm = (in->modrm & 7) | (in->rex & 1) << 3;
    bool mem = in->modrm < 0xc0;
    unsigned size = code & 31;
    o->size_bytes = datum_bytes(in, size);
    o->place = place_of((enum decode_source)(code >> 5));
    switch ((enum decode_source)(code >> 5)) {
    case SRC_NONE:
        break;
    case SRC_RM_GPR:
        if (mem)
            o->kind = X86_OPERAND_MEM;
        else
            set_gpr(in, o, rm);
        break;
    case SRC_RM_MEM:
    case SRC_VSIB:
        o->kind = X86_OPERAND_MEM;
        break;
    case SRC_RM_GPR_ONLY:
        set_gpr(in, o, rm);
        break;
    case SRC_REG_GPR:
        set_gpr(in, o, reg);
        break;
    case SRC_OPCODE_GPR:
        set_gpr(in, o, (in->opcode & 7) | (in->rex & 1) << 3);
        break;
    case SRC_VVVV_GPR:
        set_gpr(in, o, in->vex_vvvv);
        break;
    case SRC_REG_XMM:
        set_vector(o, reg);
        break;
    case SRC_RM_XMM:
        if (mem)
            o->kind = X86_OPERAND_MEM;
        else
            set_vector(o, rm);
        break;
    case SRC_RM_XMM_ONLY:
        set_vector(o, rm);
        break;
    case SRC_VVVV_XMM:
        set_vector(o, in->vex_vvvv);
        break;
    case SRC_IS4_XMM:
        read_immediate(r, in, 1, false);
        set_vector(o, in->imm >> 4 & (in->mode == X86_CODE64 ? 15 : 7));
        break;
    case SRC_REG_MMX:
        o->kind = X86_OPERAND_MMX;
        o->reg = reg & 7;
        break;
    case SRC_RM_MMX:
    case SRC_RM_MMX_ONLY:
        o->kind = mem ? X86_OPERAND_MEM : X86_OPERAND_MMX;
        o->reg = rm & 7;
        break;
    case SRC_REG_SEG:
        o->kind = X86_OPERAND_SEG;
        o->reg = reg & 7;
        break;
    case SRC_REG_CR:
        o->kind = X86_OPERAND_CR;
        o->reg = (uint8_t)reg;
        break;
    case SRC_REG_DR:
        o->kind = X86_OPERAND_DR;
        o->reg = (uint8_t)reg;
        break;
    case SRC_RM_ST:
        o->kind = X86_OPERAND_ST;
        o->reg = rm & 7;
        break;
    case SRC_ST0:
        o->kind = X86_OPERAND_ST;
        break;
    case SRC_IMM:
        o->kind = X86_OPERAND_IMM;
        read_immediate(r, in, o->size_bytes, false);
        break;
    case SRC_IMM_SIGNED:
        o->kind = X86_OPERAND_IMM;
        read_immediate(r, in, o->size_bytes, true);
        o->size_bytes = in->opsize;
        break;
    case SRC_IMM2:
        o->kind = X86_OPERAND_IMM2;
        in->imm_bytes++;
        in->imm2 = next_byte(r);
        break;
    case SRC_REL:
        o->kind = X86_OPERAND_REL;
        read_immediate(r, in, o->size_bytes, true);
        break;
    case SRC_FAR:
        o->kind = X86_OPERAND_FAR;
        read_immediate(r, in, in->opsize, false);
        in->imm_bytes = (uint8_t)(in->imm_bytes + 2);
        in->imm2 = (int64_t)next_bytes(r, 2);
        break;
    case SRC_MOFFS:
        moffs(r, in, o, p);
        break;
    case SRC_STRING_SRC:
        string_operand(in, o, p, true);
        break;
    case SRC_STRING_DST:
        string_operand(in, o, p, false);
        break;
    case SRC_FIXED_GPR:
        fixed_gpr(in, o, size);
        break;
    case SRC_FIXED_SEG:
        o->kind = X86_OPERAND_SEG;
        o->reg = (uint8_t)size;
        o->size_bytes = 2;
        o->implicit = true;
        break;
    case SRC_ONE:
        o->kind = X86_OPERAND_IMM;
        o->implicit = true;
        in->imm = 1;
        break;
    case SRC_XMM0:
        set_vector(o, 0);
        o->implicit = true;
        break;
    }
}

static uint8_t access_of(const struct decode_row *row, unsigned i)
{
    bool gather = row->operand[1] == VSd || row->operand[1] == VSq;
    if (row->attr & A_NOADDR || row->operand[i] == M_)
        return row->id == X86_LEA || row->attr & A_NOADDR ? X86_ACCESS_NONE
               : row->attr & A_WO                         ? X86_ACCESS_WRITE
                                                          : X86_ACCESS_READ;
    if (i == 0)
        return row->attr & A_RO   ? X86_ACCESS_READ
               : row->attr & A_WO ? X86_ACCESS_WRITE
                                  : X86_ACCESS_RW;
    if (i == 1 && row->attr & A_RW2)
        return row->attr & A_WO ? X86_ACCESS_WRITE : X86_ACCESS_RW;
    return i == 2 && gather ? X86_ACCESS_RW : X86_ACCESS_READ;
}

static void read_operands(struct reader *r, struct x86_insn *in, const struct decode_row *row,
                          const struct prefixes *p)
{
    for (unsigned i = 0; i < ARRAY_LEN(row->operand) && row->operand[i] != NO; i++) {
        struct x86_operand *o = &in->operands[i];
        read_operand(r, in, o, row->operand[i], p);
        o->access = access_of(row, i);
        in->n_operands = (uint8_t)(i + 1);
    }
}

/* ---- what is refused although a row fits ---- */

static bool uses_vvvv(const struct decode_row *row)
{
    for (unsigned i = 0; i < ARRAY_LEN(row->operand); i++)
        if (row->operand[i] >> 5 == SRC_VVVV_GPR || row->operand[i] >> 5 == SRC_VVVV_XMM)
            return true;
    return false;
}

/* Memory where the form has a register only. */
static bool bad_memory(const struct x86_insn *in, const struct decode_row *row)
{
    if (!in->has_modrm || in->modrm >= 0xc0)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(row->operand); i++) {
        unsigned source = row->operand[i] >> 5;
        if (source == SRC_RM_XMM_ONLY || source == SRC_RM_MMX_ONLY || source == SRC_RM_GPR_ONLY)
            return true;
    }
    return false;
}

/* A gather's destination, index and mask must be three registers, and its address a SIB. */
static bool bad_gather(const struct x86_insn *in)
{
    unsigned dst = in->operands[0].reg, mask = in->vex_vvvv;
    return in->adsize == 2 || (in->modrm & 7) != 4 || dst == mask || dst == in->mem_index ||
           mask == in->mem_index;
}

static bool refused(const struct x86_insn *in, const struct decode_row *row)
{
    unsigned cr = in->operands[in->operands[0].kind == X86_OPERAND_CR ? 0 : 1].reg;
    if (in->prefixes & X86_PREFIX_LOCK &&
        !(row->attr & A_LOCK && in->operands[0].kind == X86_OPERAND_MEM))
        return true;
    if (bad_memory(in, row))
        return true;
    if (in->mem_vsib && bad_gather(in))
        return true;
    switch (row->id) {
    case X86_MOV_CR:
        return cr == 1 || cr == 5 || cr == 6 || cr == 7 || cr > 8;
    case X86_MOV_DR:
        return ((in->modrm >> 3 & 7) | (in->rex & 4) << 1) > 7;
    case X86_MOV_SEG: /* there are six, and CS cannot be written */
        return (in->modrm >> 3 & 7) > 5 || (in->opcode == 0x8e && (in->modrm >> 3 & 7) == X86_CS);
    default:
        return false;
    }
}

/* An address that the mnemonic implies, [rBX + AL] or [rDI], may have a segment override too. */
static bool implies_memory(uint16_t id)
{
    return id == X86_XLAT || id == X86_MASKMOVQ || id == X86_MASKMOVDQU || id == X86_VMASKMOVDQU;
}

/* f2 and f3 that did not choose the row. */
static void note_rep(struct x86_insn *in, const struct decode_row *row, uint8_t rep)
{
    if (row->prefix == PP_F3 || row->prefix == PP_F2 || !rep)
        return;
    in->prefixes |= rep == 0xf3 ? X86_PREFIX_REP : X86_PREFIX_REPNE;
    if (row->id == X86_NOP && in->map == 0 && rep == 0xf3)
        in->id = X86_PAUSE;
}

static uint8_t mandatory_of(const struct decode_row *row, const struct x86_insn *in)
{
    static const uint8_t of[] = {[PP_66] = 0x66, [PP_F3] = 0xf3, [PP_F2] = 0xf2, [PP_NOREP] = 0};
    return in->prefixes & X86_PREFIX_VEX ? in->mandatory : of[row->prefix];
}

static enum x86_decode_result finish(struct reader *r, struct x86_insn *in,
                                     enum x86_decode_result result)
{
    in->length = (uint8_t)r->at;
    return r->failed ? r->failed : result;
}

enum x86_decode_result decode_insn(const uint8_t *code, size_t available, enum x86_code_mode mode,
                                   struct x86_insn *in)
{
    struct reader r = {.code = code, .available = available};
    struct prefixes p = {0};
    bool good = true;
    memset(in, 0, sizeof(*in));
    in->mode = (uint8_t)mode;
    in->mem_base = in->mem_index = X86_NO_REG;
    read_prefixes(&r, in, &p);
    if (starts_vex(&r, in))
        good = read_vex(&r, in, &p);
    read_opcode(&r, in);
    if (r.failed || !good)
        return finish(&r, in, X86_DECODE_UNDEFINED);
    const struct decode_row *row = first_row(table_of(in), in->opcode);
    if (!row)
        return finish(&r, in, X86_DECODE_UNDEFINED);
    /* All rows of an opcode agree on whether there is a ModRM byte, but for 90 (none has). */
    if (row->mod != MOD_NONE || (in->prefixes & X86_PREFIX_VEX && in->opcode != 0x77)) {
        in->has_modrm = true;
        in->modrm_offset = (uint8_t)r.at;
        in->modrm = next_byte(&r);
        if (ignores_mod(in))
            in->modrm |= 0xc0;
    }
    row = find_row(in, row, p.rep);
    if (!row || r.failed)
        return finish(&r, in, X86_DECODE_UNDEFINED);
    if (in->prefixes & X86_PREFIX_VEX && !uses_vvvv(row) && in->vex_vvvv)
        return finish(&r, in, X86_DECODE_UNDEFINED);
    if (mode != X86_CODE64) /* eight registers: the top bit is ignored, where there is an operand */
        in->vex_vvvv &= 7;
    in->id = row->id;
    in->feature = row->feature;
    /* There VEX.W, where it is the size of a general register, counts as 0. */
    if (mode != X86_CODE64 && !(row->attr & (A_W0 | A_W1)))
        in->rex &= (uint8_t)~8;
    if (row->attr & A_AVX2_256 && in->vex_l && row->feature == X86_FEATURE_AVX)
        in->feature = X86_FEATURE_AVX2;
    in->flags = row->flags;
    in->mandatory = mandatory_of(row, in);
    in->mem_vsib = row->operand[1] == VSd || row->operand[1] == VSq;
    note_rep(in, row, p.rep);
    set_sizes(in, row);
    if (in->has_modrm && in->modrm < 0xc0)
        read_memory(&r, in, &p);
    read_operands(&r, in, row, &p);
    if (implies_memory(row->id))
        in->mem_segment = p.segment >= 0 ? (uint8_t)p.segment : X86_DS;
    return finish(&r, in, refused(in, row) ? X86_DECODE_UNDEFINED : X86_DECODE_OK);
}
