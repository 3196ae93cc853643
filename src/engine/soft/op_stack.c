/* Stack instructions: PUSH, POP and their kin, ENTER and LEAVE, and the stack helpers of other
 * handlers.
 *
 * The width of the stack pointer is that of the mode: 64-bit code 64, else SS.B chooses 32 or 16.
 * Spec: Intel SDM volume 1, chapter 6; volume 2, the instructions. */
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

/* ---- the stack pointer ---- */

static inline bool code64(const struct soft_cpu *cpu)
{
    return (cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64;
}

static inline uint64_t stack_mask(const struct soft_cpu *cpu)
{
    if (code64(cpu))
        return UINT64_MAX;
    return cpu->mode & SOFT_MODE_STACK32 ? UINT32_MAX : UINT16_MAX;
}

/* rSP or rBP as an offset in SS. */
static inline uint64_t stack_get(const struct soft_cpu *cpu, unsigned reg)
{
    return cpu->r[reg] & stack_mask(cpu);
}

static inline void stack_set(struct soft_cpu *cpu, unsigned reg, uint64_t value, uint64_t mask)
{
    if (mask == UINT16_MAX)
        *soft_r16(cpu, SOFT_OFFSET(reg)) = (uint16_t)value;
    else
        cpu->r[reg] = value & mask;
}

/* Linear address of [SS:offset]. A bad one is #SS, whatever memory operand the instruction has. */
static uint64_t stack_linear(struct soft_cpu *cpu, uint64_t offset, unsigned size,
                             enum soft_access access)
{
    if (code64(cpu)) {
        if (unlikely(!soft_canonical(offset) || !soft_canonical(offset + size - 1)))
            soft_raise_error(cpu, SOFT_SS, 0);
        return offset;
    }
    return soft_linear_segmented(cpu, X86_SS, offset, size, access);
}

static void store_sized(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size)
{
    if (size == 8)
        soft_store64(cpu, linear, value);
    else if (size == 4)
        soft_store32(cpu, linear, (uint32_t)value);
    else
        soft_store16(cpu, linear, (uint16_t)value);
}

static uint64_t load_sized(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    return size == 8   ? soft_load64(cpu, linear)
           : size == 4 ? soft_load32(cpu, linear)
                       : soft_load16(cpu, linear);
}

/* Writes below the stack pointer at `at`, which it returns moved; registers stay. */
static uint64_t push_at(struct soft_cpu *cpu, uint64_t at, uint64_t value, unsigned size)
{
    at = (at - size) & stack_mask(cpu);
    store_sized(cpu, stack_linear(cpu, at, size, SOFT_WRITE), value, size);
    return at;
}

void soft_push(struct soft_cpu *cpu, uint64_t value, unsigned size)
{
    uint64_t at = push_at(cpu, stack_get(cpu, SOFT_RSP), value, size);
    stack_set(cpu, SOFT_RSP, at, stack_mask(cpu));
}

void soft_check_push(struct soft_cpu *cpu, unsigned size)
{
    uint64_t at = (cpu->r[SOFT_RSP] - size) & stack_mask(cpu);
    soft_check_store(cpu, stack_linear(cpu, at, size, SOFT_WRITE), size);
}

static uint64_t load_at(struct soft_cpu *cpu, uint64_t at, unsigned size)
{
    return load_sized(cpu, stack_linear(cpu, at & stack_mask(cpu), size, SOFT_READ), size);
}

uint64_t soft_peek_stack(struct soft_cpu *cpu, unsigned skip, unsigned size)
{
    return load_at(cpu, cpu->r[SOFT_RSP] + skip, size);
}

void soft_pop_done(struct soft_cpu *cpu, unsigned bytes)
{
    stack_set(cpu, SOFT_RSP, cpu->r[SOFT_RSP] + bytes, stack_mask(cpu));
}

/* ---- push ---- */

static const struct soft_op *push_reg64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RSP] - 8;
    soft_store64(cpu, at, *soft_r64(cpu, op->a));
    cpu->r[SOFT_RSP] = at;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *push_imm64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RSP] - 8;
    soft_store64(cpu, at, (uint64_t)op->imm);
    cpu->r[SOFT_RSP] = at;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *push_reg(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_push(cpu, *soft_r64(cpu, op->a), op->size);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *push_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_push(cpu, (uint64_t)op->imm, op->size);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *push_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = soft_address(cpu, op, op->size, SOFT_READ);
    soft_push(cpu, load_sized(cpu, at, op->size), op->size);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *push_seg(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_push(cpu, cpu->seg[op->a].sel, op->size);
    SOFT_NEXT(cpu, op);
}

/* ---- pop ---- */

static const struct soft_op *pop_reg64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RSP];
    uint64_t value = soft_load64(cpu, at);
    cpu->r[SOFT_RSP] = at + 8;
    *soft_r64(cpu, op->a) = value; /* last: it may be RSP */
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *pop_reg(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t value = soft_peek_stack(cpu, 0, op->size);
    soft_pop_done(cpu, op->size);
    if (op->size == 2)
        *soft_r16(cpu, op->a) = (uint16_t)value;
    else
        *soft_r64(cpu, op->a) = value;
    SOFT_NEXT(cpu, op);
}

/* An address made from rSP uses it after the increment. */
static const struct soft_op *pop_mem(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t value = soft_peek_stack(cpu, 0, op->size);
    uint64_t before = cpu->r[SOFT_RSP];
    soft_pop_done(cpu, op->size);
    uint64_t after = cpu->r[SOFT_RSP];
    uint64_t at = soft_offset(cpu, op);
    cpu->r[SOFT_RSP] = before; /* what follows may fault */
    if (op->ea & SOFT_EA_SEGMENTED)
        at = soft_linear_segmented(cpu, op->seg, at, op->size, SOFT_WRITE);
    else
        at += cpu->seg_base[op->seg];
    store_sized(cpu, at, value, op->size);
    cpu->r[SOFT_RSP] = after;
    SOFT_NEXT(cpu, op);
}

static void pop_segment(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint16_t sel = (uint16_t)soft_peek_stack(cpu, 0, op->size);
    uint64_t mask = stack_mask(cpu); /* loading SS may change it */
    uint64_t after = cpu->r[SOFT_RSP] + op->size;
    soft_load_segment(cpu, (enum x86_segment)op->a, sel);
    stack_set(cpu, SOFT_RSP, after, mask);
}

static const struct soft_op *pop_seg(struct soft_cpu *cpu, const struct soft_op *op)
{
    pop_segment(cpu, op);
    SOFT_NEXT(cpu, op);
}

/* The next instruction runs before any interrupt, so that it can load rSP. */
static const struct soft_op *pop_ss(struct soft_cpu *cpu, const struct soft_op *op)
{
    pop_segment(cpu, op);
    soft_shadow_ss(cpu);
    return soft_continue(cpu, op);
}

/* ---- pusha and popa ---- */

static const struct soft_op *pusha(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = stack_get(cpu, SOFT_RSP);
    for (unsigned reg = SOFT_RAX; reg <= SOFT_RDI; reg++)
        at = push_at(cpu, at, cpu->r[reg], op->size);
    stack_set(cpu, SOFT_RSP, at, stack_mask(cpu));
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *popa(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t value[8];
    for (unsigned i = 0; i < 8; i++)
        value[i] = soft_peek_stack(cpu, i * op->size, op->size);
    for (unsigned i = 0; i < 8; i++) {
        unsigned reg = SOFT_RDI - i;
        if (reg == SOFT_RSP)
            continue;
        if (op->size == 2)
            *soft_r16(cpu, SOFT_OFFSET(reg)) = (uint16_t)value[i];
        else
            cpu->r[reg] = value[i];
    }
    soft_pop_done(cpu, 8u * op->size);
    SOFT_NEXT(cpu, op);
}

/* ---- flags ---- */

static void check_vm86_iopl(struct soft_cpu *cpu)
{
    if (cpu->mode & SOFT_MODE_VM86 && (cpu->rflags & SOFT_RFLAGS_IOPL) != SOFT_RFLAGS_IOPL)
        soft_raise_error(cpu, SOFT_GP, 0);
}

static const struct soft_op *pushf(struct soft_cpu *cpu, const struct soft_op *op)
{
    check_vm86_iopl(cpu);
    uint64_t flags = soft_rflags_get(cpu) & ~(uint64_t)(SOFT_RFLAGS_VM | SOFT_RFLAGS_RF);
    soft_push(cpu, flags, op->size);
    SOFT_NEXT(cpu, op);
}

/* What POPF may change at this privilege level. */
static uint64_t popf_mask(const struct soft_cpu *cpu, unsigned size)
{
    uint64_t mask = SOFT_RFLAGS_ARITH | SOFT_RFLAGS_TF | SOFT_RFLAGS_DF | SOFT_RFLAGS_NT |
                    SOFT_RFLAGS_AC | SOFT_RFLAGS_ID;
    unsigned iopl = (unsigned)(cpu->rflags & SOFT_RFLAGS_IOPL) >> 12;
    bool protected = cpu->mode & SOFT_MODE_PROTECTED;
    if (!protected || cpu->cpl <= iopl)
        mask |= SOFT_RFLAGS_IF;
    if (!(cpu->mode & SOFT_MODE_VM86) && (!protected || cpu->cpl == 0))
        mask |= SOFT_RFLAGS_IOPL;
    return size == 2 ? mask & UINT16_MAX : mask;
}

static const struct soft_op *popf(struct soft_cpu *cpu, const struct soft_op *op)
{
    check_vm86_iopl(cpu);
    uint64_t value = soft_peek_stack(cpu, 0, op->size);
    uint64_t mask = popf_mask(cpu, op->size);
    uint64_t old = soft_rflags_get(cpu);
    uint64_t flags = (old & ~mask) | (value & mask);
    soft_pop_done(cpu, op->size);
    /* Most of the time nothing changes that decides how the guest goes on. */
    if (likely(!((flags ^ old) & ~(SOFT_RFLAGS_ARITH | SOFT_RFLAGS_DF | SOFT_RFLAGS_NT)))) {
        cpu->fl = soft_fl_from_rflags(flags);
        cpu->rflags = flags & ~SOFT_RFLAGS_ARITH;
        return soft_goto_linked(cpu, op, soft_next_rip(cpu, op));
    }
    soft_rflags_set(cpu, flags);
    return soft_continue(cpu, op);
}

/* ---- enter and leave ---- */

static const struct soft_op *enter(struct soft_cpu *cpu, const struct soft_op *op)
{
    unsigned level = op->c & 31, size = op->size;
    uint64_t mask = stack_mask(cpu);
    uint64_t bp = stack_get(cpu, SOFT_RBP);
    uint64_t at = push_at(cpu, stack_get(cpu, SOFT_RSP), cpu->r[SOFT_RBP], size);
    uint64_t frame = at;
    for (unsigned i = 1; i < level; i++) {
        bp = (bp - size) & mask;
        at = push_at(cpu, at, load_at(cpu, bp, size), size);
    }
    if (level)
        at = push_at(cpu, at, frame, size);
    at = (at - (uint64_t)op->imm) & mask;
    /* The new top of the stack must be writable, although nothing is written. */
    soft_check_store(cpu, stack_linear(cpu, at, size, SOFT_WRITE), size);
    if (size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RBP)) = (uint16_t)frame;
    else
        cpu->r[SOFT_RBP] = size == 4 ? (uint32_t)frame : frame;
    stack_set(cpu, SOFT_RSP, at, mask);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *leave64(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = cpu->r[SOFT_RBP];
    cpu->r[SOFT_RBP] = soft_load64(cpu, at);
    cpu->r[SOFT_RSP] = at + 8;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *leave(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t at = stack_get(cpu, SOFT_RBP);
    uint64_t value = load_at(cpu, at, op->size);
    if (op->size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RBP)) = (uint16_t)value;
    else
        cpu->r[SOFT_RBP] = value;
    stack_set(cpu, SOFT_RSP, at + op->size, stack_mask(cpu));
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static enum soft_bound bind_push(const struct x86_insn *insn, struct soft_op *op)
{
    const struct x86_operand *o = &insn->operands[0];
    bool flat = insn->mode == X86_CODE64 && op->size == 8;
    switch (o->kind) {
    case X86_OPERAND_GPR:
        op->a = SOFT_OFFSET(o->reg);
        op->fn = flat ? push_reg64 : push_reg;
        return SOFT_BOUND;
    case X86_OPERAND_IMM:
        op->fn = flat ? push_imm64 : push_imm;
        return SOFT_BOUND;
    case X86_OPERAND_SEG:
        op->a = o->reg;
        op->fn = push_seg;
        return SOFT_BOUND;
    default:
        op->fn = push_mem;
        return SOFT_BOUND;
    }
}

static enum soft_bound bind_pop(const struct x86_insn *insn, struct soft_op *op)
{
    const struct x86_operand *o = &insn->operands[0];
    switch (o->kind) {
    case X86_OPERAND_GPR:
        op->a = SOFT_OFFSET(o->reg);
        op->fn = insn->mode == X86_CODE64 && op->size == 8 ? pop_reg64 : pop_reg;
        return SOFT_BOUND;
    case X86_OPERAND_SEG:
        op->a = o->reg;
        op->fn = o->reg == X86_SS ? pop_ss : pop_seg;
        return o->reg == X86_SS ? SOFT_BOUND_END : SOFT_BOUND;
    default:
        op->fn = pop_mem;
        return SOFT_BOUND;
    }
}

enum soft_bound soft_bind_stack(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op)
{
    switch (insn->id) {
    case X86_PUSH:
        return bind_push(insn, op);
    case X86_POP:
        return bind_pop(insn, op);
    case X86_PUSHA:
        op->fn = pusha;
        return SOFT_BOUND;
    case X86_POPA:
        op->fn = popa;
        return SOFT_BOUND;
    case X86_PUSHF:
        op->fn = pushf;
        return SOFT_BOUND;
    case X86_POPF:
        op->fn = popf;
        return SOFT_BOUND_END;
    case X86_ENTER:
        op->c = (uint8_t)insn->imm2;
        op->fn = enter;
        return SOFT_BOUND;
    case X86_LEAVE:
        op->fn = insn->mode == X86_CODE64 && op->size == 8 ? leave64 : leave;
        return SOFT_BOUND;
    default:
        return SOFT_UNBOUND;
    }
}
