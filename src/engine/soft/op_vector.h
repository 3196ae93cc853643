/* Between the files of vector handlers. */
#ifndef ENGINE_SOFT_OP_VECTOR_H
#define ENGINE_SOFT_OP_VECTOR_H

#include "engine/soft/soft_internal.h"

/* Raises #UD or #NM where SSE (or, with vex, AVX) is not to be used now. */
void soft_vector_check(struct soft_cpu *cpu, bool vex);
/* Gathers and masked moves: op_gather.c. */
enum soft_bound soft_bind_gather(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);

#endif
