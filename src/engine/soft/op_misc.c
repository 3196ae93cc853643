/* What fits nowhere else: flags by themselves, nops and fences, random numbers, crc32, bound, arpl.
 */
#include "engine/soft/soft_op.h"

static const struct soft_op *nop(struct soft_cpu *cpu, const struct soft_op *op)
{
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *fence(struct soft_cpu *cpu, const struct soft_op *op)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    SOFT_NEXT(cpu, op);
}

/* clflush and its like are checked as a byte load is, and read nothing: a device would notice. */
static const struct soft_op *touch(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t *host;
    soft_span(cpu, soft_address(cpu, op, 1, SOFT_READ), SOFT_READ, &host);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *set_flag(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->fl |= (uint32_t)op->imm;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *clear_flag(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->fl &= ~(uint32_t)op->imm;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *flip_flag(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->fl ^= (uint32_t)op->imm;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *cld_std(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->rflags = op->imm ? cpu->rflags | SOFT_RFLAGS_DF : cpu->rflags & ~(uint64_t)SOFT_RFLAGS_DF;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *lahf(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r8(cpu, SOFT_OFFSET(SOFT_RAX) + 1) = (uint8_t)soft_rflags_get(cpu);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *sahf(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint32_t ah = *soft_r8(cpu, SOFT_OFFSET(SOFT_RAX) + 1);
    cpu->fl = (cpu->fl & SOFT_FL_OF) | (ah & 0xd5) << 8;
    SOFT_NEXT(cpu, op);
}

/* ---- crc32: the destination is 32 or 64 bits, the source 1 to 8 bytes ---- */

static const struct soft_op *crc32(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t s = 0;
    unsigned n = op->size;
    if (op->c)
        soft_load_bytes(cpu, soft_address(cpu, op, n, SOFT_READ), &s, n);
    else
        memcpy(&s, soft_r8(cpu, op->b), n);
    uint64_t v = (uint32_t)cpu->r[op->a / 8];
    switch (n) {
    case 1:
        __asm__("crc32b %b1, %k0" : "+r"(v) : "q"(s));
        break;
    case 2:
        __asm__("crc32w %w1, %k0" : "+r"(v) : "r"(s));
        break;
    case 4:
        __asm__("crc32l %k1, %k0" : "+r"(v) : "r"(s));
        break;
    default:
        __asm__("crc32q %1, %0" : "+r"(v) : "r"(s));
        break;
    }
    cpu->r[op->a / 8] = (uint32_t)v;
    SOFT_NEXT(cpu, op);
}

/* ---- rdrand, rdseed ---- */

static bool random_number(bool seed, uint64_t *v)
{
    bool ok;
    if (seed)
        __asm__("rdseed %0" : "=r"(*v), "=@ccc"(ok));
    else
        __asm__("rdrand %0" : "=r"(*v), "=@ccc"(ok));
    return ok;
}

static const struct soft_op *rdrand(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t v;
    bool ok = random_number(op->c, &v);
    for (unsigned i = 0; !ok && i < 10; i++)
        ok = random_number(op->c, &v);
    if (!ok)
        v = 0;
    if (op->size == 2)
        *soft_r16(cpu, op->a) = (uint16_t)v;
    else
        *soft_r64(cpu, op->a) = op->size == 8 ? v : (uint32_t)v;
    cpu->fl = ok ? SOFT_FL_CF : 0;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *rdpid(struct soft_cpu *cpu, const struct soft_op *op)
{
    *soft_r64(cpu, op->a) = (uint32_t)cpu->msr.tsc_aux;
    SOFT_NEXT(cpu, op);
}

/* ---- 16- and 32-bit code only ---- */

static const struct soft_op *bound(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned n = op->size;
    uint64_t at = soft_address(cpu, op, 2 * n, SOFT_READ);
    int64_t low, high, i;
    if (n == 2) {
        low = (int16_t)soft_load16(cpu, at);
        high = (int16_t)soft_load16(cpu, (uint32_t)(at + 2));
        i = (int16_t)*soft_r16(cpu, op->a);
    } else {
        low = (int32_t)soft_load32(cpu, at);
        high = (int32_t)soft_load32(cpu, (uint32_t)(at + 4));
        i = (int32_t)*soft_r32(cpu, op->a);
    }
    if (i < low || i > high)
        soft_raise(cpu, SOFT_BR);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *arpl(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (!(cpu->mode & SOFT_MODE_PROTECTED))
        soft_raise(cpu, SOFT_UD);
    uint16_t rpl = *soft_r16(cpu, op->b) & 3, sel = *soft_r16(cpu, op->a);
    uint64_t at = 0;
    if (op->c) {
        at = soft_address(cpu, op, 2, SOFT_READ);
        sel = soft_load16(cpu, at);
    }
    bool less = (sel & 3) < rpl; /* only then memory is written */
    sel = (uint16_t)((sel & ~3u) | rpl);
    if (less && op->c)
        soft_store16(cpu, soft_address(cpu, op, 2, SOFT_WRITE), sel);
    else if (less)
        *soft_r16(cpu, op->a) = sel;
    cpu->fl = less ? cpu->fl | SOFT_FL_ZF : cpu->fl & ~(uint32_t)SOFT_FL_ZF;
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static enum soft_bound with(struct soft_op *op, soft_fn *fn, int64_t imm)
{
    op->fn = fn;
    op->imm = imm;
    return SOFT_BOUND;
}

static enum soft_bound bind_crc32(const struct x86_insn *in, struct soft_op *op)
{
    const struct x86_operand *s = &in->operands[1];
    op->a = soft_op_gpr(&in->operands[0]);
    op->c = s->kind == X86_OPERAND_MEM;
    if (!op->c)
        op->b = soft_op_gpr(s);
    op->size = s->size_bytes;
    return with(op, crc32, 0);
}

static enum soft_bound bind_arpl(const struct x86_insn *in, struct soft_op *op)
{
    op->c = in->has_mem;
    if (!op->c)
        op->a = soft_op_gpr(&in->operands[0]);
    op->b = soft_op_gpr(&in->operands[1]);
    return with(op, arpl, 0);
}

static enum soft_bound bind_random(const struct x86_insn *in, struct soft_op *op)
{
    op->a = soft_op_gpr(&in->operands[0]);
    op->c = in->id == X86_RDSEED;
    return with(op, in->id == X86_RDPID ? rdpid : rdrand, 0);
}

enum soft_bound soft_bind_misc(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    switch (in->id) {
    case X86_NOP:
    case X86_PAUSE:
    case X86_PREFETCH:
    case X86_LFENCE:
    case X86_SFENCE:
        return with(op, nop, 0);
    case X86_MFENCE:
        return with(op, fence, 0);
    case X86_CLFLUSH:
    case X86_CLFLUSHOPT:
    case X86_CLWB:
        return with(op, touch, 0);
    case X86_CLC:
        return with(op, clear_flag, SOFT_FL_CF);
    case X86_STC:
        return with(op, set_flag, SOFT_FL_CF);
    case X86_CMC:
        return with(op, flip_flag, SOFT_FL_CF);
    case X86_CLD:
    case X86_STD:
        return with(op, cld_std, in->id == X86_STD);
    case X86_LAHF:
        return with(op, lahf, 0);
    case X86_SAHF:
        return with(op, sahf, 0);
    case X86_CRC32:
        return bind_crc32(in, op);
    case X86_RDRAND:
    case X86_RDSEED:
    case X86_RDPID:
        return bind_random(in, op);
    case X86_BOUND:
        op->a = soft_op_gpr(&in->operands[0]);
        return with(op, bound, 0);
    case X86_ARPL:
        return bind_arpl(in, op);
    default:
        return SOFT_UNBOUND;
    }
}
