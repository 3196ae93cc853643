/* Read-modify-write with LOCK, XCHG with memory, CMPXCHG, XADD, CMPXCHG8B and 16B.
 *
 * They are the host's own instructions on the datum in guest RAM, so vCPUs and devices see one
 * order. Arithmetic flags go through `lahf; seto`, and in the same way where an instruction reads
 * or keeps some of them.
 *
 * A datum that crosses a page or is not RAM cannot be changed in one piece. Those accesses exclude
 * one another by a lock of the VM, and nothing else: an ordinary access at the same time may see
 * half of one. Under the lock the datum is read again, and that may fault when another vCPU has
 * changed the page tables meanwhile; the fault gives the lock back on its way out.
 * Spec: Intel SDM volume 3, 9.1 (locked atomic operations). */
#include <string.h>

#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_op.h"

/* Changes the datum at p and sets registers and flags. Raises nothing. */
typedef void modify_fn(struct soft_cpu *cpu, const struct soft_op *op, void *p);

static __attribute__((noinline)) void modify_split(struct soft_cpu *cpu, const struct soft_op *op,
                                                   uint64_t linear, unsigned size,
                                                   modify_fn *modify)
{
    pthread_mutex_t *lock = &cpu->vm->split_lock;
    jmp_buf here, *outer = cpu->fault;
    uint64_t r[SOFT_N_REGS];
    uint32_t fl = cpu->fl;
    memcpy(r, cpu->r, sizeof(r));
    pthread_mutex_lock(lock);
    cpu->fault = &here;
    if (setjmp(here)) {
        pthread_mutex_unlock(lock);
        memcpy(cpu->r, r, sizeof(r));
        cpu->fl = fl;
        cpu->fault = outer;
        longjmp(*outer, 1);
    }
    void *p = soft_rmw_begin(cpu, linear, size);
    modify(cpu, op, p);
    soft_rmw_end(cpu, p, linear, size);
    cpu->fault = outer;
    pthread_mutex_unlock(lock);
}

static inline __attribute__((always_inline)) void modify_at(struct soft_cpu *cpu,
                                                            const struct soft_op *op,
                                                            uint64_t linear, unsigned size,
                                                            modify_fn *modify)
{
    void *p = soft_rmw_begin(cpu, linear, size);
    if (unlikely(p == cpu->bounce)) {
        modify_split(cpu, op, linear, size, modify);
        return;
    }
    modify(cpu, op, p);
    soft_rmw_end(cpu, p, linear, size);
}

#define HANDLER(name, size)                                                                        \
    static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)              \
    {                                                                                              \
        modify_at(cpu, op, soft_address(cpu, op, size, SOFT_WRITE), size, name##_modify);          \
        SOFT_NEXT(cpu, op);                                                                        \
    }

/* For each operand size: bits, suffix, constraint of a register operand. */
#define SIZES(X)                                                                                   \
    X(8, "b", "q")                                                                                 \
    X(16, "w", "r")                                                                                \
    X(32, "l", "r")                                                                                \
    X(64, "q", "r")

/* ---- add and its like: [mem] op= register or immediate ---- */

/* One of the two is zero. */
#define SECOND(cpu, op, bits) ((uint##bits##_t)(*soft_r##bits(cpu, (op)->a) + (uint64_t)(op)->imm))

#define ALU(name, bits, suffix, reg)                                                               \
    static void name##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint##bits##_t v = SECOND(cpu, op, bits);                                                  \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__ volatile("bt $8, %0; lock " #name suffix " %2, %1; lahf; seto %%al"                \
                         : "+a"(fl), "+m"(*(uint##bits##_t *)p)                                    \
                         : reg(v)                                                                  \
                         : "cc", "memory");                                                        \
        cpu->fl = fl;                                                                              \
    }                                                                                              \
    HANDLER(name##bits, bits / 8)
#define ALU_ALL(bits, suffix, reg)                                                                 \
    ALU(add, bits, suffix, reg)                                                                    \
    ALU(or, bits, suffix, reg)                                                                     \
    ALU(adc, bits, suffix, reg)                                                                    \
    ALU(sbb, bits, suffix, reg)                                                                    \
    ALU(and, bits, suffix, reg)                                                                    \
    ALU(sub, bits, suffix, reg)                                                                    \
    ALU(xor, bits, suffix, reg)
SIZES(ALU_ALL)

/* ---- inc, dec, neg, not ---- */

/* INC and DEC keep CF. */
#define UNARY(name, bits, suffix)                                                                  \
    static void name##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint32_t fl = cpu->fl;                                                                     \
        __asm__ volatile("bt $8, %0; lock " #name suffix " %1; lahf; seto %%al"                    \
                         : "+a"(fl), "+m"(*(uint##bits##_t *)p)                                    \
                         :                                                                         \
                         : "cc", "memory");                                                        \
        cpu->fl = fl;                                                                              \
    }                                                                                              \
    HANDLER(name##bits, bits / 8)
#define UNARY_ALL(bits, suffix, reg)                                                               \
    UNARY(inc, bits, suffix)                                                                       \
    UNARY(dec, bits, suffix)                                                                       \
    UNARY(neg, bits, suffix)                                                                       \
    static void complement##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p) \
    {                                                                                              \
        __asm__ volatile("lock not" suffix " %0" : "+m"(*(uint##bits##_t *)p) : : "memory");       \
    }                                                                                              \
    HANDLER(complement##bits, bits / 8)
SIZES(UNARY_ALL)

/* ---- bits ---- */

/* The bit number within the datum; the part of a register operand above it moves the address. */
#define BIT(name, bits, suffix)                                                                    \
    static void name##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint##bits##_t bit = SECOND(cpu, op, bits) & (bits - 1);                                   \
        uint8_t carry;                                                                             \
        __asm__ volatile("lock " #name suffix " %2, %0; setc %1"                                   \
                         : "+m"(*(uint##bits##_t *)p), "=q"(carry)                                 \
                         : "r"(bit)                                                                \
                         : "cc", "memory");                                                        \
        cpu->fl = (cpu->fl & ~(uint32_t)SOFT_FL_CF) | (carry ? SOFT_FL_CF : 0);                    \
    }                                                                                              \
    static const struct soft_op *name##bits(struct soft_cpu *cpu, const struct soft_op *op)        \
    {                                                                                              \
        int64_t bit = (int##bits##_t) * soft_r##bits(cpu, op->a);                                  \
        uint64_t at = bit_address(cpu, op, (uint64_t)(bit >> BIT_LOG(bits)) * (bits / 8));         \
        modify_at(cpu, op, at, bits / 8, name##bits##_modify);                                     \
        SOFT_NEXT(cpu, op);                                                                        \
    }
#define BIT_LOG(bits) ((bits) == 16 ? 4 : (bits) == 32 ? 5 : 6)

static uint64_t bit_address(struct soft_cpu *cpu, const struct soft_op *op, uint64_t skip)
{
    uint64_t at = soft_offset(cpu, op) + skip;
    if (op->ea & SOFT_EA_16)
        at = (uint16_t)at;
    else if (op->ea & SOFT_EA_32)
        at = (uint32_t)at;
    if (op->ea & SOFT_EA_SEGMENTED)
        return soft_linear_segmented(cpu, op->seg, at, op->size, SOFT_WRITE);
    return at + cpu->seg_base[op->seg];
}

#define BIT_ALL(bits, suffix)                                                                      \
    BIT(bts, bits, suffix)                                                                         \
    BIT(btr, bits, suffix)                                                                         \
    BIT(btc, bits, suffix)
BIT_ALL(16, "w")
BIT_ALL(32, "l")
BIT_ALL(64, "q")

/* ---- xchg, xadd, cmpxchg ---- */

/* Writes a register the way an operand of this width does. */
#define SET8(cpu, at, v)  (*soft_r8(cpu, at) = (v))
#define SET16(cpu, at, v) (*soft_r16(cpu, at) = (v))
#define SET32(cpu, at, v) (*soft_r64(cpu, at) = (v))
#define SET64(cpu, at, v) (*soft_r64(cpu, at) = (v))

#define XCHG(bits, suffix, reg)                                                                    \
    static void xchg##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        __asm__ volatile("xchg" suffix " %0, %1"                                                   \
                         : "+" reg(v), "+m"(*(uint##bits##_t *)p)                                  \
                         :                                                                         \
                         : "memory");                                                              \
        SET##bits(cpu, op->a, v);                                                                  \
    }                                                                                              \
    HANDLER(xchg##bits, bits / 8)
SIZES(XCHG)

#define XADD(name, lock, bits, suffix, reg)                                                        \
    static void name##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a);                                              \
        uint32_t fl;                                                                               \
        __asm__ volatile(lock "xadd" suffix " %0, %1; lahf; seto %%al"                             \
                         : "+" reg(v), "+m"(*(uint##bits##_t *)p), "=&a"(fl)                       \
                         :                                                                         \
                         : "cc", "memory");                                                        \
        SET##bits(cpu, op->a, v);                                                                  \
        cpu->fl = fl;                                                                              \
    }                                                                                              \
    HANDLER(name##bits, bits / 8)

/* The destination is written either way, with its old value if it was not the expected one. */
#define CMPXCHG(name, lock, bits, suffix, reg)                                                     \
    static void name##bits##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)       \
    {                                                                                              \
        uint##bits##_t v = *soft_r##bits(cpu, op->a), old;                                         \
        uint64_t fl = cpu->r[SOFT_RAX];                                                            \
        __asm__ volatile(lock "cmpxchg" suffix " %3, %1; mov" suffix " " ACCUMULATOR##bits         \
                         ", %2; lahf; seto %%al"                                                   \
                         : "+a"(fl), "+m"(*(uint##bits##_t *)p), "=&" reg(old)                     \
                         : reg(v)                                                                  \
                         : "cc", "memory");                                                        \
        cpu->fl = (uint32_t)fl;                                                                    \
        if (!(fl & SOFT_FL_ZF))                                                                    \
            SET##bits(cpu, SOFT_OFFSET(SOFT_RAX), old);                                            \
    }                                                                                              \
    HANDLER(name##bits, bits / 8)
#define ACCUMULATOR8  "%%al"
#define ACCUMULATOR16 "%%ax"
#define ACCUMULATOR32 "%%eax"
#define ACCUMULATOR64 "%%rax"

#define EXCHANGES(bits, suffix, reg)                                                               \
    XADD(xadd, "", bits, suffix, reg)                                                              \
    XADD(locked_xadd, "lock ", bits, suffix, reg)                                                  \
    CMPXCHG(cmpxchg, "", bits, suffix, reg)                                                        \
    CMPXCHG(locked_cmpxchg, "lock ", bits, suffix, reg)
SIZES(EXCHANGES)

/* With a register as the destination (op->b). */
#define TO_REGISTER(bits, suffix, reg)                                                             \
    static const struct soft_op *xadd_reg##bits(struct soft_cpu *cpu, const struct soft_op *op)    \
    {                                                                                              \
        uint##bits##_t d = *soft_r##bits(cpu, op->b);                                              \
        xadd##bits##_modify(cpu, op, &d);                                                          \
        SET##bits(cpu, op->b, d);                                                                  \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *cmpxchg_reg##bits(struct soft_cpu *cpu, const struct soft_op *op) \
    {                                                                                              \
        uint##bits##_t d = *soft_r##bits(cpu, op->b);                                              \
        cmpxchg##bits##_modify(cpu, op, &d);                                                       \
        if (cpu->fl & SOFT_FL_ZF)                                                                  \
            SET##bits(cpu, op->b, d);                                                              \
        SOFT_NEXT(cpu, op);                                                                        \
    }
SIZES(TO_REGISTER)

/* ---- cmpxchg8b and cmpxchg16b: only ZF changes ---- */

static inline void note_zf(struct soft_cpu *cpu, bool equal)
{
    cpu->fl = (cpu->fl & ~(uint32_t)SOFT_FL_ZF) | (equal ? SOFT_FL_ZF : 0);
}

#define PAIR(name, lock, insn, word)                                                               \
    static void name##_modify(struct soft_cpu *cpu, const struct soft_op *op, void *p)             \
    {                                                                                              \
        word low = (word)cpu->r[SOFT_RAX], high = (word)cpu->r[SOFT_RDX];                          \
        bool equal;                                                                                \
        __asm__ volatile(lock insn " %0; sete %1"                                                  \
                         : "+m"(*(word(*)[2])p), "=q"(equal), "+a"(low), "+d"(high)                \
                         : "b"((word)cpu->r[SOFT_RBX]), "c"((word)cpu->r[SOFT_RCX])                \
                         : "cc", "memory");                                                        \
        if (!equal) {                                                                              \
            cpu->r[SOFT_RAX] = low;                                                                \
            cpu->r[SOFT_RDX] = high;                                                               \
        }                                                                                          \
        note_zf(cpu, equal);                                                                       \
    }                                                                                              \
    static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)              \
    {                                                                                              \
        uint64_t at = soft_address(cpu, op, 2 * sizeof(word), SOFT_WRITE);                         \
        if (sizeof(word) == 8 && unlikely(at & 15))                                                \
            soft_raise_error(cpu, SOFT_GP, 0);                                                     \
        modify_at(cpu, op, at, 2 * sizeof(word), name##_modify);                                   \
        SOFT_NEXT(cpu, op);                                                                        \
    }
PAIR(cmpxchg8b, "", "cmpxchg8b", uint32_t)
PAIR(locked_cmpxchg8b, "lock ", "cmpxchg8b", uint32_t)
PAIR(cmpxchg16b, "", "cmpxchg16b", uint64_t)
PAIR(locked_cmpxchg16b, "lock ", "cmpxchg16b", uint64_t)

/* ---- binding ---- */

#define FOUR(name)                                                                                 \
    {                                                                                              \
        name##8, name##16, name##32, name##64                                                      \
    }

static unsigned size_index(unsigned bytes)
{
    return (unsigned)__builtin_ctz(bytes);
}

/* Instructions that are here only with LOCK. */
static soft_fn *locked_handler(uint16_t id, unsigned bytes)
{
    static const struct {
        uint16_t id;
        soft_fn *fn[4];
    } rows[] = {
        {X86_ADD, FOUR(add)},
        {X86_OR, FOUR(or)},
        {X86_ADC, FOUR(adc)},
        {X86_SBB, FOUR(sbb)},
        {X86_AND, FOUR(and)},
        {X86_SUB, FOUR(sub)},
        {X86_XOR, FOUR(xor)},
        {X86_INC, FOUR(inc)},
        {X86_DEC, FOUR(dec)},
        {X86_NEG, FOUR(neg)},
        {X86_NOT, FOUR(complement)},
        {X86_BTS, {NULL, bts16, bts32, bts64}},
        {X86_BTR, {NULL, btr16, btr32, btr64}},
        {X86_BTC, {NULL, btc16, btc32, btc64}},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].id == id)
            return rows[i].fn[size_index(bytes)];
    return NULL;
}

static uint8_t register_offset(const struct x86_operand *o)
{
    return (uint8_t)(SOFT_OFFSET(o->reg) + (o->kind == X86_OPERAND_GPR8H));
}

static enum soft_bound bind_locked(const struct x86_insn *insn, struct soft_op *op)
{
    const struct x86_operand *second = &insn->operands[1];
    bool from_register = second->kind == X86_OPERAND_GPR || second->kind == X86_OPERAND_GPR8H;
    op->size = insn->operands[0].size_bytes;
    op->fn = locked_handler(insn->id, op->size);
    if (!op->fn)
        return SOFT_UNBOUND;
    op->a = SOFT_OFFSET(SOFT_ZERO);
    if (insn->n_operands > 1 && from_register) {
        op->a = register_offset(second);
        op->imm = 0;
    }
    return SOFT_BOUND;
}

/* CMPXCHG and XADD. */
static enum soft_bound bind_exchange(const struct x86_insn *insn, struct soft_op *op)
{
    static soft_fn *const handlers[2][3][4] = {
        {FOUR(xadd), FOUR(locked_xadd), FOUR(xadd_reg)},
        {FOUR(cmpxchg), FOUR(locked_cmpxchg), FOUR(cmpxchg_reg)},
    };
    const struct x86_operand *to = &insn->operands[0];
    unsigned kind = to->kind != X86_OPERAND_MEM ? 2 : insn->prefixes & X86_PREFIX_LOCK ? 1 : 0;
    op->size = to->size_bytes;
    op->a = register_offset(&insn->operands[1]);
    if (kind == 2)
        op->b = register_offset(to);
    op->fn = handlers[insn->id == X86_CMPXCHG][kind][size_index(op->size)];
    return SOFT_BOUND;
}

/* Only with memory; between registers it is a move. */
static enum soft_bound bind_xchg(const struct x86_insn *insn, struct soft_op *op)
{
    static soft_fn *const handlers[4] = FOUR(xchg);
    if (insn->operands[0].kind != X86_OPERAND_MEM)
        return SOFT_UNBOUND;
    op->size = insn->operands[0].size_bytes;
    op->a = register_offset(&insn->operands[1]);
    op->fn = handlers[size_index(op->size)];
    return SOFT_BOUND;
}

enum soft_bound soft_bind_atomic(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op)
{
    bool lock = insn->prefixes & X86_PREFIX_LOCK;
    switch (insn->id) {
    case X86_XCHG:
        return bind_xchg(insn, op);
    case X86_XADD:
    case X86_CMPXCHG:
        return bind_exchange(insn, op);
    case X86_CMPXCHG8B:
        op->fn = lock ? locked_cmpxchg8b : cmpxchg8b;
        return SOFT_BOUND;
    case X86_CMPXCHG16B:
        op->fn = lock ? locked_cmpxchg16b : cmpxchg16b;
        return SOFT_BOUND;
    default:
        return lock ? bind_locked(insn, op) : SOFT_UNBOUND;
    }
}
