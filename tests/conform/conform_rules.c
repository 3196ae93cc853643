/* What is not compared with the real CPU. */
#include "conform.h"

#define RFLAGS_CF 0x001
#define RFLAGS_PF 0x004
#define RFLAGS_AF 0x010
#define RFLAGS_ZF 0x040
#define RFLAGS_SF 0x080
#define RFLAGS_OF 0x800

#define VECTOR_GP 13
#define VECTOR_PF 14

enum { RSI = 6, RDI };

enum conform_rule conform_rule_of(const struct x86_insn *insn)
{
    if (conform_host_is_intel() && conform_intel_differs(insn))
        return CONFORM_SKIP;
    switch (insn->id) {
    /* Not a function of the state we set. */
    case X86_CPUID:
    case X86_RDTSC:
    case X86_RDTSCP:
    case X86_RDPMC:
    case X86_RDPID:
    case X86_RDRAND:
    case X86_RDSEED:
    case X86_XGETBV:
    /* Descriptor tables and segments are those of the kernel that runs the test; some of these are
     * emulated by it (UMIP). */
    case X86_SGDT:
    case X86_SIDT:
    case X86_SLDT:
    case X86_STR:
    case X86_SMSW:
    case X86_LAR:
    case X86_LSL:
    case X86_VERR:
    case X86_VERW:
    case X86_LSS:
    case X86_LDS:
    case X86_LES:
    case X86_LFS:
    case X86_LGS:
    case X86_CALL_FAR:
    case X86_JMP_FAR:
    case X86_RET_FAR:
    case X86_IRET:
    case X86_RDFSBASE:
    case X86_WRFSBASE: /* FS is the C library's own */
    case X86_WRGSBASE:
    /* Enter the kernel that runs the test, or the machine under it. */
    case X86_SYSCALL:
    case X86_SYSENTER:
    case X86_INT:
    case X86_INT1:
    case X86_INTO: /* has a trap's rip */
    case X86_INT3:
    case X86_VMCALL:
    case X86_VMMCALL:
    case X86_MONITOR:
    case X86_MWAIT:
        return CONFORM_SKIP;
    case X86_NOP: /* 0f 0d between registers: undefined on AMD's CPUs, nothing on Intel's */
        return insn->map == 1 && insn->opcode == 0x0d ? CONFORM_SKIP : CONFORM_COMPARE;
    case X86_VPEXTRD: /* with VEX.W in 32-bit code: undefined on AMD's CPUs, Intel ignores it */
    case X86_VPINSRD:
        return insn->mode == X86_CODE64 ? CONFORM_COMPARE : CONFORM_SKIP;
    case X86_MOV_SEG:
        return insn->opcode == 0x8e ? CONFORM_SKIP : CONFORM_COMPARE;
    case X86_POP:
        return insn->operands[0].kind == X86_OPERAND_SEG ? CONFORM_SKIP : CONFORM_COMPARE;
    /* Depend on IOPL and the TSS, which the kernel has set to forbid them. */
    case X86_IN:
    case X86_OUT:
    case X86_INS:
    case X86_OUTS:
    case X86_CLI:
    case X86_STI:
        return CONFORM_PRIVILEGED;
    /* AMD's CPUs let 66 make a near branch's target 16 bits wide, Intel's and ours do not. */
    case X86_JCC:
    case X86_JMP_NEAR:
    case X86_CALL_NEAR:
    case X86_RET_NEAR:
    case X86_LOOPCC: /* on AMD's CPUs F2 and F3 choose the condition of LOOPcc too */
    case X86_JRCXZ:
        return (insn->mode == X86_CODE64 && insn->prefixes & X86_PREFIX_OPSIZE) ||
                       (insn->id == X86_LOOPCC &&
                        insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE))
                   ? CONFORM_SKIP
                   : CONFORM_COMPARE;
    default:
        return insn->flags & X86_FLAG_PRIVILEGED ? CONFORM_PRIVILEGED : CONFORM_COMPARE;
    }
}

/* Images of the x87 environment hold the pointers of the last instruction, which AMD's CPUs store
 * as zero unless an exception is pending. */
static void mask_environment(const struct conform_case *c, struct conform_masks *m)
{
    bool narrow = c->insn.opsize == 2;
    m->memory[0].at = conform_effective(c) + (narrow ? 6 : 12);
    m->memory[0].bytes = narrow ? 8 : 16;
}

/* The same in the image of FXSAVE; and the mask of MXCSR, which has a bit 17 on AMD's CPUs. */
static void mask_image(const struct conform_case *c, struct conform_masks *m)
{
    m->memory[0].at = conform_effective(c) + 6;
    m->memory[0].bytes = 18;
    m->memory[1].at = conform_effective(c) + 28;
    m->memory[1].bytes = 4;
}

/* With four levels of page tables. */
static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

struct conform_masks conform_masks_of(const struct conform_case *c,
                                      const struct conform_result *cpu,
                                      const struct conform_result *ours)
{
    struct conform_masks m = {0};
    int vector = cpu->vector;
    switch (c->insn.id) {
    case X86_FNSTENV:
    case X86_FNSAVE:
        mask_environment(c, &m);
        m.cr2_low = 4095; /* the order of their accesses is the CPU's own */
        break;
    case X86_FXSAVE:
    case X86_XSAVE:
    case X86_XSAVEOPT:
    case X86_XSAVEC:
        mask_image(c, &m);
        m.cr2_low = 4095;
        break;
    /* These two rows cannot be run on a host in 64-bit mode, so their undefined flags are not its.
     */
    case X86_DAA:
    case X86_DAS:
        m.flags = RFLAGS_OF;
        break;
    case X86_AAA:
    case X86_AAS:
        m.flags = RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF;
        break;
    case X86_AAM:
    case X86_AAD:
        m.flags = RFLAGS_OF | RFLAGS_AF | RFLAGS_CF;
        break;
    case X86_CMPS: /* which operand is reported when neither is there is up to the CPU */
        m.cr2_low = UINT64_MAX;
        if (canonical(cpu->out.r[RSI]) != canonical(cpu->out.r[RDI]))
            m.faults = 1u << VECTOR_GP | 1u << VECTOR_PF;
        break;
    case X86_POPA: /* may have loaded some when it faults */
        m.registers = vector != CONFORM_NO_FAULT;
        break;
    case X86_FLDENV:
    case X86_FRSTOR:
    case X86_FXRSTOR:
    case X86_XRSTOR:
        m.cr2_low = 4095;
        break;
    default:
        break;
    }
    /* A gather that faults has done some of its elements; how many, and what is in the mask besides
     * the top bits, is the CPU's own. */
    m.vectors = c->insn.mem_vsib && vector != CONFORM_NO_FAULT;
    if (conform_host_is_intel())
        conform_intel_masks(c, cpu, ours, &m);
    return m;
}
