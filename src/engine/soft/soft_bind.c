/* From a decoded instruction to the handler that executes it: each family is asked in turn. */
#include "engine/soft/soft_internal.h"

static const struct soft_op *undefined(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_raise(cpu, SOFT_UD);
}

typedef enum soft_bound binder(struct soft_cpu *cpu, const struct x86_insn *insn,
                               struct soft_op *op);

/* Frequent families first. Locked forms go to soft_bind_atomic() before all. */
static binder *const binders[] = {
    soft_bind_mov,    soft_bind_alu, soft_bind_stack,   soft_bind_branch,   soft_bind_shift,
    soft_bind_bit,    soft_bind_mul, soft_bind_misc,    soft_bind_string,   soft_bind_atomic,
    soft_bind_io,     soft_bind_far, soft_bind_syscall, soft_bind_selector, soft_bind_control,
    soft_bind_system, soft_bind_x87, soft_bind_xsave,   soft_bind_vector,
};

enum soft_bound soft_bind(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op)
{
    enum soft_bound bound = SOFT_UNBOUND;
    if (insn->prefixes & X86_PREFIX_LOCK)
        bound = soft_bind_atomic(cpu, insn, op);
    for (unsigned i = 0; !bound && i < ARRAY_LEN(binders); i++)
        bound = binders[i](cpu, insn, op);
    if (!bound) {
        op->fn = undefined;
        bound = SOFT_BOUND_END;
    }
    return bound;
}
