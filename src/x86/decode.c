#include "x86/decode.h"

#include <string.h>

#include "base/util.h"
#include "x86/decode_reader.h"

/* ---- prefixes and opcode ---- */

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
static void read_prefixes(struct decode_reader *r, struct x86_insn *in, struct decode_prefixes *p)
{
    p->segment = -1;
    for (;;) {
        uint8_t b = decode_peek(r);
        int segment = segment_prefix(b, (enum x86_code_mode)in->mode);
        if (r->failed)
            return;
        if (in->mode == X86_CODE64 && (b & 0xf0) == 0x40) {
            in->rex = b;
            decode_byte(r);
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
        decode_byte(r);
    }
    if (in->rex)
        in->prefixes |= X86_PREFIX_REX;
}

static bool starts_vex(struct decode_reader *r, const struct x86_insn *in)
{
    uint8_t b = decode_peek(r);
    if (b != 0xc4 && b != 0xc5)
        return false;
    if (in->mode == X86_CODE64)
        return true;
    /* LES and LDS take a memory operand. */
    return r->at + 1 < r->available && r->at + 1 < X86_INSN_MAX_BYTES && r->code[r->at + 1] >= 0xc0;
}

/* False: #UD. Spec: SDM volume 2, 2.3. */
static bool read_vex(struct decode_reader *r, struct x86_insn *in, struct decode_prefixes *p)
{
    static const uint8_t mandatory[4] = {0, 0x66, 0xf3, 0xf2};
    bool bad = p->rep || in->rex ||
               (in->prefixes & (X86_PREFIX_OPSIZE | X86_PREFIX_LOCK | X86_PREFIX_REX));
    uint8_t first = decode_byte(r), b = decode_byte(r), w = 0;
    in->rex = (b & 0x80) ? 0 : 4;
    in->map = 1;
    if (first == 0xc4) {
        in->rex |= (b & 0x40 ? 0 : 2) | (b & 0x20 ? 0 : 1);
        in->map = b & 0x1f;
        b = decode_byte(r);
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

static void read_opcode(struct decode_reader *r, struct x86_insn *in)
{
    in->opcode_offset = (uint8_t)r->at;
    in->opcode = decode_byte(r);
    if (in->prefixes & X86_PREFIX_VEX)
        return;
    if (in->opcode == 0x0f) {
        in->map = 1;
        in->opcode_offset = (uint8_t)r->at;
        in->opcode = decode_byte(r);
        if (in->opcode == 0x38 || in->opcode == 0x3a) {
            in->map = in->opcode == 0x38 ? 2 : 3;
            in->opcode_offset = (uint8_t)r->at;
            in->opcode = decode_byte(r);
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

const struct decode_table *const decode_tables_legacy[4] = {
    &decode_table_one_byte, &decode_table_0f, &decode_table_0f38, &decode_table_0f3a};

static const struct decode_table *table_of(const struct x86_insn *in)
{
    if (in->prefixes & X86_PREFIX_VEX)
        return &decode_tables_vex[in->map];
    if (in->map == 0 && in->opcode >= 0xd8 && in->opcode <= 0xdf)
        return &decode_tables_x87;
    return decode_tables_legacy[in->map];
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

static enum x86_decode_result finish(struct decode_reader *r, struct x86_insn *in,
                                     enum x86_decode_result result)
{
    in->length = (uint8_t)r->at;
    return r->failed ? r->failed : result;
}

enum x86_decode_result decode_insn(const uint8_t *code, size_t available, enum x86_code_mode mode,
                                   struct x86_insn *in)
{
    struct decode_reader r = {.code = code, .available = available};
    struct decode_prefixes p = {0};
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
        in->modrm = decode_byte(&r);
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
    decode_operands(&r, in, row, &p);
    if (implies_memory(row->id))
        in->mem_segment = p.segment >= 0 ? (uint8_t)p.segment : X86_DS;
    return finish(&r, in, refused(in, row) ? X86_DECODE_UNDEFINED : X86_DECODE_OK);
}
