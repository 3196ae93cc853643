/* Near branches: Jcc, JMP, CALL, RET, LOOPcc, JrCXZ.
 *
 * Targets are checked before anything is committed. A direct branch whose op->p is set was followed
 * before, to its own page: in 64-bit code its target needs no check then, since canonical form is
 * a matter of pages.
 *
 * A conditional branch that is not taken goes on to the operation behind it, in the same block.
 * 64-bit code has handlers of its own; the others truncate rip to the operand size. */
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

/* ---- 64-bit code ---- */

static inline const struct soft_op *take64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = soft_next_rip(cpu, op) + (uint64_t)op->imm;
    if (unlikely(!op->p) && unlikely(!soft_canonical(target)))
        soft_raise_error(cpu, SOFT_GP, 0);
    return soft_goto_linked(cpu, op, target);
}

#define JCC(cc, condition)                                                                         \
    static const struct soft_op *j##cc##_64(struct soft_cpu *cpu, const struct soft_op *op)        \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        if (condition)                                                                             \
            return take64(cpu, op);                                                                \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define SIGN_IS_NOT_OVERFLOW(fl) (((fl) >> 15 ^ (fl)) & 1)
JCC(o, fl &SOFT_FL_OF)
JCC(no, !(fl & SOFT_FL_OF))
JCC(b, fl &SOFT_FL_CF)
JCC(ae, !(fl & SOFT_FL_CF))
JCC(e, fl &SOFT_FL_ZF)
JCC(ne, !(fl & SOFT_FL_ZF))
JCC(be, fl &(SOFT_FL_CF | SOFT_FL_ZF))
JCC(a, !(fl & (SOFT_FL_CF | SOFT_FL_ZF)))
JCC(s, fl &SOFT_FL_SF)
JCC(ns, !(fl & SOFT_FL_SF))
JCC(p, fl &SOFT_FL_PF)
JCC(np, !(fl & SOFT_FL_PF))
JCC(l, SIGN_IS_NOT_OVERFLOW(fl))
JCC(ge, !SIGN_IS_NOT_OVERFLOW(fl))
JCC(le, SIGN_IS_NOT_OVERFLOW(fl) || (fl & SOFT_FL_ZF))
JCC(g, !SIGN_IS_NOT_OVERFLOW(fl) && !(fl & SOFT_FL_ZF))

static soft_fn *const jcc64[16] = {jo_64, jno_64, jb_64, jae_64, je_64, jne_64, jbe_64, ja_64,
                                   js_64, jns_64, jp_64, jnp_64, jl_64, jge_64, jle_64, jg_64};

static const struct soft_op *jmp64(struct soft_cpu *cpu, const struct soft_op *op)
{
    return take64(cpu, op);
}

static const struct soft_op *jmp_reg64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = *soft_r64(cpu, op->a);
    if (unlikely(!soft_canonical(target)))
        soft_raise_error(cpu, SOFT_GP, 0);
    return soft_goto(cpu, target);
}

static const struct soft_op *jmp_mem64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = soft_load64(cpu, soft_address(cpu, op, 8, SOFT_READ));
    if (unlikely(!soft_canonical(target)))
        soft_raise_error(cpu, SOFT_GP, 0);
    return soft_goto(cpu, target);
}

/* Pushes the address of the next instruction. */
static inline void push_return64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RSP] - 8;
    soft_store64(cpu, at, soft_next_rip(cpu, op));
    cpu->r[SOFT_RSP] = at;
}

static const struct soft_op *call64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = soft_next_rip(cpu, op) + (uint64_t)op->imm;
    if (unlikely(!op->p) && unlikely(!soft_canonical(target)))
        soft_raise_error(cpu, SOFT_GP, 0);
    push_return64(cpu, op);
    return soft_goto_linked(cpu, op, target);
}

/* An indirect call's stack is checked before its target, as on AMD's CPUs. */
static void check_call_target(struct soft_cpu *cpu, uint64_t target)
{
    if (likely(soft_canonical(target)))
        return;
    soft_check_push(cpu, 8);
    soft_raise_error(cpu, SOFT_GP, 0);
}

static const struct soft_op *call_reg64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = *soft_r64(cpu, op->a);
    check_call_target(cpu, target);
    push_return64(cpu, op);
    return soft_goto(cpu, target);
}

static const struct soft_op *call_mem64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = soft_load64(cpu, soft_address(cpu, op, 8, SOFT_READ));
    check_call_target(cpu, target);
    soft_push(cpu, soft_next_rip(cpu, op), 8);
    return soft_goto(cpu, target);
}

static const struct soft_op *ret64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RSP];
    uint64_t target = soft_load64(cpu, at);
    if (unlikely(!soft_canonical(target)))
        soft_raise_error(cpu, SOFT_GP, 0);
    cpu->r[SOFT_RSP] = at + 8 + (uint64_t)op->imm;
    return soft_goto(cpu, target);
}

/* ---- every mode ---- */

/* A target as the operand size truncates it. */
static inline uint64_t truncated(const struct soft_op *op, uint64_t rip)
{
    return op->size == 8 ? rip : op->size == 4 ? (uint32_t)rip : (uint16_t)rip;
}

static uint64_t relative(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = truncated(op, soft_next_rip(cpu, op) + (uint64_t)op->imm);
    soft_check_target(cpu, target);
    return target;
}

static uint64_t load_target(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = soft_address(cpu, op, op->size, SOFT_READ);
    uint64_t target = op->size == 8   ? soft_load64(cpu, at)
                      : op->size == 4 ? soft_load32(cpu, at)
                                      : soft_load16(cpu, at);
    soft_check_target(cpu, target);
    return target;
}

static const struct soft_op *jcc(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (!soft_condition(cpu->fl, op->c))
        SOFT_NEXT(cpu, op);
    return soft_goto_linked(cpu, op, relative(cpu, op));
}

static const struct soft_op *jmp(struct soft_cpu *cpu, const struct soft_op *op)
{
    return soft_goto_linked(cpu, op, relative(cpu, op));
}

static const struct soft_op *jmp_reg(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = truncated(op, *soft_r64(cpu, op->a));
    soft_check_target(cpu, target);
    return soft_goto(cpu, target);
}

static const struct soft_op *jmp_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    return soft_goto(cpu, load_target(cpu, op));
}

static const struct soft_op *call(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = relative(cpu, op);
    soft_push(cpu, soft_next_rip(cpu, op), op->size);
    return soft_goto_linked(cpu, op, target);
}

static const struct soft_op *call_reg(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = truncated(op, *soft_r64(cpu, op->a));
    soft_check_target(cpu, target);
    soft_push(cpu, soft_next_rip(cpu, op), op->size);
    return soft_goto(cpu, target);
}

static const struct soft_op *call_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = load_target(cpu, op);
    soft_push(cpu, soft_next_rip(cpu, op), op->size);
    return soft_goto(cpu, target);
}

static const struct soft_op *ret(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t target = soft_peek_stack(cpu, 0, op->size);
    soft_check_target(cpu, target);
    soft_pop_done(cpu, op->size + (unsigned)op->imm);
    return soft_goto(cpu, target);
}

/* The counter of LOOP and JrCXZ: of the address size, in op->c. */
static uint64_t counter(const struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t v = cpu->r[SOFT_RCX];
    return op->c == 8 ? v : op->c == 4 ? (uint32_t)v : (uint16_t)v;
}

static void set_counter(struct soft_cpu *cpu, const struct soft_op *op, uint64_t value)
{
    if (op->c == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RCX)) = (uint16_t)value;
    else
        cpu->r[SOFT_RCX] = op->c == 4 ? (uint32_t)value : value;
}

static inline const struct soft_op *loop_if(struct soft_cpu *cpu, const struct soft_op *op,
                                            bool condition)
{
    uint64_t value = counter(cpu, op) - 1;
    bool again = (op->c == 8 ? value : op->c == 4 ? (uint32_t)value : (uint16_t)value) != 0;
    if (!again || !condition) {
        set_counter(cpu, op, value);
        SOFT_NEXT(cpu, op);
    }
    uint64_t target = relative(cpu, op);
    set_counter(cpu, op, value);
    return soft_goto_linked(cpu, op, target);
}

static const struct soft_op *loop(struct soft_cpu *cpu, const struct soft_op *op)
{
    return loop_if(cpu, op, true);
}

static const struct soft_op *loope(struct soft_cpu *cpu, const struct soft_op *op)
{
    return loop_if(cpu, op, cpu->fl & SOFT_FL_ZF);
}

static const struct soft_op *loopne(struct soft_cpu *cpu, const struct soft_op *op)
{
    return loop_if(cpu, op, !(cpu->fl & SOFT_FL_ZF));
}

static const struct soft_op *jrcxz(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (counter(cpu, op))
        SOFT_NEXT(cpu, op);
    return soft_goto_linked(cpu, op, relative(cpu, op));
}

/* ---- binding ---- */

struct branch_handlers {
    soft_fn *direct, *reg, *mem;
};

static enum soft_bound bind_target(const struct x86_insn *insn, struct soft_op *op,
                                   const struct branch_handlers *h)
{
    switch (insn->operands[0].kind) {
    case X86_OPERAND_REL:
        op->fn = h->direct;
        break;
    case X86_OPERAND_GPR:
        op->a = SOFT_OFFSET(insn->operands[0].reg);
        op->fn = h->reg;
        break;
    default:
        op->fn = h->mem;
        break;
    }
    return SOFT_BOUND_END;
}

static enum soft_bound bind_loop(const struct x86_insn *insn, struct soft_op *op)
{
    op->c = insn->adsize;
    op->fn = insn->opcode == 0xe0 ? loopne : insn->opcode == 0xe1 ? loope : loop;
    return SOFT_BOUND_END;
}

enum soft_bound soft_bind_branch(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op)
{
    static const struct branch_handlers jumps[2] = {{jmp, jmp_reg, jmp_mem},
                                                    {jmp64, jmp_reg64, jmp_mem64}};
    static const struct branch_handlers calls[2] = {{call, call_reg, call_mem},
                                                    {call64, call_reg64, call_mem64}};
    bool wide = insn->mode == X86_CODE64;
    switch (insn->id) {
    case X86_JCC:
        op->c = insn->opcode & 15;
        op->fn = wide ? jcc64[op->c] : jcc;
        return SOFT_BOUND_END;
    case X86_JMP_NEAR:
        return bind_target(insn, op, &jumps[wide]);
    case X86_CALL_NEAR:
        return bind_target(insn, op, &calls[wide]);
    case X86_RET_NEAR:
        op->fn = wide ? ret64 : ret;
        return SOFT_BOUND_END;
    case X86_LOOPCC:
        return bind_loop(insn, op);
    case X86_JRCXZ:
        op->c = insn->adsize;
        op->fn = jrcxz;
        return SOFT_BOUND_END;
    default:
        return SOFT_UNBOUND;
    }
}
