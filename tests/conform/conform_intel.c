/* What Intel's CPUs do otherwise than the engine's model, which is AMD's: not compared where the
 * host is Intel's. Both makers' manuals leave these open, or describe only their own. */
#include <cpuid.h>

#include "conform.h"

#define SS         12
#define GP         13
#define PF         14
#define VECTOR_XM  19
#define FCW_AT     0
#define FCW_MASKS  0x3f
#define FLAGS_ALL  0x8d5 /* OF SF ZF AF PF CF */
#define RFLAGS_OF  0x800
#define REP_EITHER (X86_PREFIX_REP | X86_PREFIX_REPNE)

bool conform_host_is_intel(void)
{
    static int known = -1;
    unsigned a, b = 0, c, d;
    if (known < 0)
        known = __get_cpuid(0, &a, &b, &c, &d) && b == 0x756e6547; /* "Genu" */
    return known;
}

bool conform_intel_flags_differ(const struct x86_insn *insn)
{
    /* OF after a rotation by an immediate other than 1. */
    return (insn->id == X86_ROL || insn->id == X86_ROR) && (insn->opcode & 0xfe) == 0xc0;
}

bool conform_intel_differs(const struct x86_insn *insn)
{
    /* F3 makes a PAUSE even of the exchange with R8. */
    return insn->id == X86_XCHG && insn->opcode == 0x90 && insn->prefixes & X86_PREFIX_REP;
}

static bool faulted(const struct conform_result *r)
{
    return r->vector != CONFORM_NO_FAULT;
}

/* Whether the first has seen an exception of the operation where the second has seen that its
 * result has no place. */
static bool x87_came_first(const struct conform_case *c, const struct conform_result *a,
                           const struct conform_result *b)
{
    return c->insn.flags & (X86_FLAG_X87 | X86_FLAG_X87_NOWAIT) && c->insn.has_mem && !faulted(a) &&
           faulted(b) && (c->in.xsave[FCW_AT] & FCW_MASKS) != FCW_MASKS;
}

/* Whether the access wraps around at 4 GiB, which a flat segment's limit forbids or not. */
static bool wraps(const struct conform_case *c, const struct conform_result *a,
                  const struct conform_result *b)
{
    return c->mode == X86_CODE32 && a->vector == PF && a->cr2 >= 0xffffff00u &&
           (b->vector == SS || b->vector == GP);
}

void conform_intel_masks(const struct conform_case *c, const struct conform_result *a,
                         const struct conform_result *b, struct conform_masks *m)
{
    const struct x86_insn *insn = &c->insn;
    if (x87_came_first(c, a, b) || wraps(c, a, b))
        m->all = true;
    if (conform_intel_flags_differ(insn))
        m->flags |= RFLAGS_OF;
    if (insn->flags & X86_FLAG_STRING && insn->prefixes & REP_EITHER && insn->adsize == 4)
        m->high_halves = true; /* of counter and pointers that did not change */
    /* A store that faults has made the x87 stack that of MMX all the same. */
    m->x87 |= insn->flags & X86_FLAG_MMX && insn->has_mem && faulted(a);
    switch (insn->id) {
    case X86_CMPS:
    case X86_SCAS: /* a fault between two repetitions takes the flags back to before the first */
        if (insn->prefixes & REP_EITHER && faulted(a))
            m->flags |= FLAGS_ALL;
        break;
    case X86_CALL_NEAR: /* pushes before it looks at the target */
        if (faulted(a)) {
            m->memory[0].at = c->in.r[4] - 8;
            m->memory[0].bytes = 8;
        }
        break;
    case X86_PUSH: /* writes the 16 bits of a selector alone */
        if (insn->operands[0].kind == X86_OPERAND_SEG && c->mode == X86_CODE32) {
            m->memory[0].at = (uint32_t)(c->in.r[4] - 2);
            m->memory[0].bytes = 2;
            m->all |= !faulted(a) && faulted(b); /* and needs no room for more */
        }
        break;
    case X86_FBSTP: /* in pieces, of which the first may be written when the second faults */
        if (faulted(a)) {
            m->memory[0].at = conform_effective(c);
            m->memory[0].bytes = 10;
        }
        break;
    case X86_MOVSXD: /* reads 16 bits where it writes no more, AMD's CPUs 32 */
        m->all |= insn->opsize == 2 && !faulted(a) && faulted(b);
        break;
    case X86_VMASKMOVPS:
    case X86_VMASKMOVPD:
    case X86_VPMASKMOVD:
    case X86_VPMASKMOVQ: /* which element is reported */
        m->cr2_low |= 4095;
        break;
    case X86_VCVTPS2PH: /* its exceptions, and their flags, are there although the store faults */
        m->mxcsr |= faulted(a);
        m->all |= a->vector == VECTOR_XM && faulted(b);
        break;
    default:
        break;
    }
}
