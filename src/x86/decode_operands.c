/* Operands: sizes, memory addresses, registers, immediates. */
#include "base/util.h"
#include "x86/decode_reader.h"

static int64_t sign_extend(uint64_t v, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return bytes ? (int64_t)(v << shift) >> shift : 0;
}

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
static void read_address16(struct decode_reader *r, struct x86_insn *in)
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
static void read_address32(struct decode_reader *r, struct x86_insn *in)
{
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7;
    in->disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    in->mem_base = (uint8_t)(rm | (in->rex & 1) << 3);
    if (rm == 4) {
        uint8_t sib = decode_byte(r);
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

static void read_memory(struct decode_reader *r, struct x86_insn *in,
                        const struct decode_prefixes *p)
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
        in->mem_disp = sign_extend(decode_bytes(r, in->disp_bytes), in->disp_bytes);
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
    case SZ_VV:
        return (uint8_t)(2 * in->opsize);
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

static void read_immediate(struct decode_reader *r, struct x86_insn *in, unsigned bytes,
                           bool is_signed)
{
    if (!in->imm_bytes)
        in->imm_offset = (uint8_t)r->at;
    in->imm_bytes = (uint8_t)(in->imm_bytes + bytes);
    uint64_t v = decode_bytes(r, bytes);
    in->imm = is_signed ? sign_extend(v, bytes) : (int64_t)v;
}

static void string_operand(struct x86_insn *in, struct x86_operand *o,
                           const struct decode_prefixes *p, bool source)
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

static void moffs(struct decode_reader *r, struct x86_insn *in, struct x86_operand *o,
                  const struct decode_prefixes *p)
{
    o->kind = X86_OPERAND_MEM;
    in->has_mem = true;
    in->mem_base = in->mem_index = X86_NO_REG;
    in->mem_segment = p->segment >= 0 ? (uint8_t)p->segment : X86_DS;
    in->disp_offset = (uint8_t)r->at;
    in->disp_bytes = in->adsize;
    in->mem_disp = (int64_t)decode_bytes(r, in->adsize);
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

/* The operand that ModRM.reg names. */
static void reg_operand(const struct x86_insn *in, struct x86_operand *o, enum decode_source source)
{
    unsigned reg = (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
    switch (source) {
    case SRC_REG_GPR:
        set_gpr(in, o, reg);
        break;
    case SRC_REG_XMM:
        set_vector(o, reg);
        break;
    case SRC_REG_MMX:
        o->kind = X86_OPERAND_MMX;
        o->reg = reg & 7;
        break;
    case SRC_REG_SEG:
        o->kind = X86_OPERAND_SEG;
        o->reg = reg & 7;
        break;
    default: /* SRC_REG_CR, SRC_REG_DR */
        o->kind = source == SRC_REG_CR ? X86_OPERAND_CR : X86_OPERAND_DR;
        o->reg = (uint8_t)reg;
        break;
    }
}

/* The operand that ModRM.rm and mod name. */
static void rm_operand(const struct x86_insn *in, struct x86_operand *o, enum decode_source source)
{
    unsigned rm = (in->modrm & 7) | (in->rex & 1) << 3;
    bool mem = in->modrm < 0xc0;
    switch (source) {
    case SRC_RM_GPR:
    case SRC_RM_GPR_ONLY:
        if (mem && source == SRC_RM_GPR)
            o->kind = X86_OPERAND_MEM;
        else
            set_gpr(in, o, rm);
        break;
    case SRC_RM_XMM:
    case SRC_RM_XMM_ONLY:
        if (mem && source == SRC_RM_XMM)
            o->kind = X86_OPERAND_MEM;
        else
            set_vector(o, rm);
        break;
    case SRC_RM_MMX:
    case SRC_RM_MMX_ONLY:
        o->kind = mem ? X86_OPERAND_MEM : X86_OPERAND_MMX;
        o->reg = rm & 7;
        break;
    case SRC_RM_ST:
        o->kind = X86_OPERAND_ST;
        o->reg = rm & 7;
        break;
    default: /* SRC_RM_MEM, SRC_VSIB */
        o->kind = X86_OPERAND_MEM;
        break;
    }
}

/* An operand whose value is in the instruction. Returns false if it is not one. */
static bool value_operand(struct decode_reader *r, struct x86_insn *in, struct x86_operand *o,
                          enum decode_source source)
{
    switch (source) {
    case SRC_IMM:
        o->kind = X86_OPERAND_IMM;
        read_immediate(r, in, o->size_bytes, false);
        return true;
    case SRC_IMM_SIGNED:
        o->kind = X86_OPERAND_IMM;
        read_immediate(r, in, o->size_bytes, true);
        o->size_bytes = in->opsize;
        return true;
    case SRC_IMM2:
        o->kind = X86_OPERAND_IMM2;
        in->imm_bytes++;
        in->imm2 = decode_byte(r);
        return true;
    case SRC_REL:
        o->kind = X86_OPERAND_REL;
        read_immediate(r, in, o->size_bytes, true);
        return true;
    case SRC_FAR:
        o->kind = X86_OPERAND_FAR;
        read_immediate(r, in, in->opsize, false);
        in->imm_bytes = (uint8_t)(in->imm_bytes + 2);
        in->imm2 = (int64_t)decode_bytes(r, 2);
        return true;
    case SRC_ONE:
        o->kind = X86_OPERAND_IMM;
        o->implicit = true;
        in->imm = 1;
        return true;
    default:
        return false;
    }
}

/* An operand that the opcode alone names, or memory without ModRM. `which` is what the size field
 * holds. */
static void opcode_operand(struct decode_reader *r, struct x86_insn *in, struct x86_operand *o,
                           enum decode_source source, unsigned which,
                           const struct decode_prefixes *p)
{
    switch (source) {
    case SRC_MOFFS:
        moffs(r, in, o, p);
        break;
    case SRC_STRING_SRC:
    case SRC_STRING_DST:
        string_operand(in, o, p, source == SRC_STRING_SRC);
        break;
    case SRC_FIXED_GPR:
        fixed_gpr(in, o, which);
        break;
    case SRC_FIXED_SEG:
        o->kind = X86_OPERAND_SEG;
        o->reg = (uint8_t)which;
        o->size_bytes = 2;
        o->implicit = true;
        break;
    case SRC_ST0:
        o->kind = X86_OPERAND_ST;
        break;
    case SRC_XMM0:
        set_vector(o, 0);
        o->implicit = true;
        break;
    default: /* SRC_NONE */
        break;
    }
}

/* Fills one operand from its code. Memory was read before, immediates are read here in order. */
static void read_operand(struct decode_reader *r, struct x86_insn *in, struct x86_operand *o,
                         unsigned code, const struct decode_prefixes *p)
{
    enum decode_source source = (enum decode_source)(code >> 5);
    unsigned size = code & 31;
    o->size_bytes = datum_bytes(in, size);
    o->place = place_of(source);
    switch ((enum x86_operand_place)o->place) {
    case X86_PLACE_REG:
        reg_operand(in, o, source);
        break;
    case X86_PLACE_RM:
        rm_operand(in, o, source);
        break;
    case X86_PLACE_VVVV:
        if (source == SRC_VVVV_GPR)
            set_gpr(in, o, in->vex_vvvv);
        else
            set_vector(o, in->vex_vvvv);
        break;
    case X86_PLACE_IS4:
        read_immediate(r, in, 1, false);
        set_vector(o, in->imm >> 4 & (in->mode == X86_CODE64 ? 15 : 7));
        break;
    case X86_PLACE_OPCODE:
        set_gpr(in, o, (in->opcode & 7) | (in->rex & 1) << 3);
        break;
    case X86_PLACE_NONE:
        if (!value_operand(r, in, o, source))
            opcode_operand(r, in, o, source, size, p);
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

static void read_operands(struct decode_reader *r, struct x86_insn *in,
                          const struct decode_row *row, const struct decode_prefixes *p)
{
    for (unsigned i = 0; i < ARRAY_LEN(row->operand) && row->operand[i] != NO; i++) {
        struct x86_operand *o = &in->operands[i];
        read_operand(r, in, o, row->operand[i], p);
        o->access = access_of(row, i);
        in->n_operands = (uint8_t)(i + 1);
    }
}

void decode_operands(struct decode_reader *r, struct x86_insn *in, const struct decode_row *row,
                     const struct decode_prefixes *p)
{
    set_sizes(in, row);
    if (in->has_modrm && in->modrm < 0xc0)
        read_memory(r, in, p);
    read_operands(r, in, row, p);
}
