/* The decoder's tables for those who list or name what is in them. */
#include "base/util.h"
#include "x86/decode_internal.h"

const char *decode_insn_name(uint16_t id)
{
    static const char *const names[] = {"(bad)",
#define X86_INSN_NAME(name) #name,
                                        X86_INSN_LIST(X86_INSN_NAME)
#undef X86_INSN_NAME
    };
    return id < ARRAY_LEN(names) ? names[id] : names[0];
}

static uint8_t immediate_bytes(const struct decode_row *row)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(row->operand); i++) {
        switch (row->operand[i]) {
        case Ib:
        case sIb:
        case I2b:
        case Jb:
        case Lx:
            n += 1;
            break;
        case Iw:
            n += 2;
            break;
        case Iz:
        case Iv:
        case Jz:
            n += 4;
            break;
        case Ap:
            n += 6;
            break;
        default:
            break;
        }
    }
    return (uint8_t)n;
}

static void describe(const struct decode_row *row, uint8_t map, bool vex, struct x86_form *form)
{
    static const uint8_t prefixes[] = {
        [PP_66] = 0x66, [PP_F3] = 0xf3, [PP_F2] = 0xf2, [PP_NOREP] = 0};
    *form = (struct x86_form){
        .id = row->id,
        .feature = row->feature,
        .map = map,
        .opcode = row->opcode,
        .mandatory = prefixes[row->prefix],
        .reg = row->reg,
        .rm = row->rm,
        .modrm = row->mod,
        .vex = vex,
        .vex_w = row->attr & A_W0   ? 0
                 : row->attr & A_W1 ? 1
                                    : -1,
        .vex_l = row->attr & A_L0   ? 0
                 : row->attr & A_L1 ? 1
                                    : -1,
        .modes = (uint8_t)((row->attr & A_O64 ? 0 : 1) | (row->attr & A_I64 ? 0 : 2)),
        .imm_bytes = immediate_bytes(row),
        .flags = row->flags,
    };
}

bool decode_form_at(size_t i, struct x86_form *form)
{
    for (unsigned map = 0; map < 4; map++) {
        const struct decode_table *t = decode_tables_legacy[map];
        if (i < t->n_rows) {
            describe(&t->rows[i], (uint8_t)map, false, form);
            return true;
        }
        i -= t->n_rows;
    }
    if (i < decode_tables_x87.n_rows) {
        describe(&decode_tables_x87.rows[i], 0, false, form);
        return true;
    }
    i -= decode_tables_x87.n_rows;
    for (unsigned map = 1; map < 4; map++) {
        const struct decode_table *t = &decode_tables_vex[map];
        if (i < t->n_rows) {
            describe(&t->rows[i], (uint8_t)map, true, form);
            return true;
        }
        i -= t->n_rows;
    }
    return false;
}

/* Registers: 0 eax, 1 ebx, 2 ecx, 3 edx. Spec: SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */
const struct x86_feature_bit decode_feature_bits[X86_N_FEATURES] = {
    [X86_FEATURE_BASE] = {"base", 0, 0, -1, 0},
    [X86_FEATURE_SSE3] = {"pni", 1, 0, 2, 0},
    [X86_FEATURE_SSSE3] = {"ssse3", 1, 0, 2, 9},
    [X86_FEATURE_SSE41] = {"sse4_1", 1, 0, 2, 19},
    [X86_FEATURE_SSE42] = {"sse4_2", 1, 0, 2, 20},
    [X86_FEATURE_POPCNT] = {"popcnt", 1, 0, 2, 23},
    [X86_FEATURE_CX16] = {"cx16", 1, 0, 2, 13},
    [X86_FEATURE_MOVBE] = {"movbe", 1, 0, 2, 22},
    [X86_FEATURE_AES] = {"aes", 1, 0, 2, 25},
    [X86_FEATURE_PCLMUL] = {"pclmulqdq", 1, 0, 2, 1},
    [X86_FEATURE_SHA] = {"sha_ni", 7, 0, 1, 29},
    [X86_FEATURE_AVX] = {"avx", 1, 0, 2, 28},
    [X86_FEATURE_AVX2] = {"avx2", 7, 0, 1, 5},
    [X86_FEATURE_FMA] = {"fma", 1, 0, 2, 12},
    [X86_FEATURE_F16C] = {"f16c", 1, 0, 2, 29},
    [X86_FEATURE_VAES] = {"vaes", 7, 0, 2, 9},
    [X86_FEATURE_VPCLMUL] = {"vpclmulqdq", 7, 0, 2, 10},
    [X86_FEATURE_GFNI] = {"gfni", 7, 0, 2, 8},
    [X86_FEATURE_BMI1] = {"bmi1", 7, 0, 1, 3},
    [X86_FEATURE_BMI2] = {"bmi2", 7, 0, 1, 8},
    [X86_FEATURE_LZCNT] = {"abm", 0x80000001, 0, 2, 5},
    [X86_FEATURE_ADX] = {"adx", 7, 0, 1, 19},
    [X86_FEATURE_RDRAND] = {"rdrand", 1, 0, 2, 30},
    [X86_FEATURE_RDSEED] = {"rdseed", 7, 0, 1, 18},
    [X86_FEATURE_XSAVE] = {"xsave", 1, 0, 2, 26},
    [X86_FEATURE_XSAVEOPT] = {"xsaveopt", 0xd, 1, 0, 0},
    [X86_FEATURE_XSAVEC] = {"xsavec", 0xd, 1, 0, 1},
    [X86_FEATURE_FSGSBASE] = {"fsgsbase", 7, 0, 1, 0},
    [X86_FEATURE_RDTSCP] = {"rdtscp", 0x80000001, 0, 3, 27},
    [X86_FEATURE_RDPID] = {"rdpid", 7, 0, 2, 22},
    [X86_FEATURE_INVPCID] = {"invpcid", 7, 0, 1, 10},
    [X86_FEATURE_SMAP] = {"smap", 7, 0, 1, 20},
    [X86_FEATURE_LAHF64] = {"lahf_lm", 0x80000001, 0, 2, 0},
    [X86_FEATURE_PREFETCHW] = {"3dnowprefetch", 0x80000001, 0, 2, 8},
    [X86_FEATURE_CLFLUSHOPT] = {"clflushopt", 7, 0, 1, 23},
    [X86_FEATURE_CLWB] = {"clwb", 7, 0, 1, 24},
    [X86_FEATURE_WBNOINVD] = {"wbnoinvd", 0x80000008, 0, 1, 9},
    [X86_FEATURE_SSE4A] = {"sse4a", 0x80000001, 0, 2, 6},
};
