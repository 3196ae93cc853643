/* Host code for instructions that run as themselves: the guest's own vector, MMX or x87
 * instruction, re-encoded on fixed registers, between loads of its operands and stores of its
 * results.
 *
 * SIMD floating point runs under the host's MXCSR as it stands: whoever calls has loaded the
 * guest's. Where the guest has unmasked exceptions, soft_thunk_try() lets the host raise them.
 *
 * The memory is mapped twice, writable and executable, and never both at one address; the mappings
 * are made when the vCPU is, so that filling them needs no system call. */
#ifndef ENGINE_SOFT_SOFT_THUNK_H
#define ENGINE_SOFT_SOFT_THUNK_H

#include "engine/soft/soft_internal.h"

/* What a thunk reads and writes besides vector registers. Offsets are known to soft_thunk.c. */
struct soft_thunk_io {
    uint64_t rax, rdx, rcx;
    uint64_t fl;    /* as soft_cpu.fl */
    void *implicit; /* XMM0, or the register in an immediate */
};

/* reg, rm, vvvv: where those operands are (a register's bytes, or the memory operand's). */
typedef void soft_thunk_fn(void *reg, void *rm, uint64_t, uint64_t, void *vvvv,
                           struct soft_thunk_io *io);

/* The thunk of an instruction; NULL: the memory is full, soft_thunks_flush() and try again. */
soft_thunk_fn *soft_thunk_get(struct soft_cpu *cpu, const struct x86_insn *insn);

/* An x87 instruction that works on the host's live x87 registers: `flags_in` and `flags_out` for
 * those that read or write EFLAGS. */
soft_thunk_fn *soft_thunk_get_x87(struct soft_cpu *cpu, const struct x86_insn *insn);

/* Runs a thunk under *mxcsr, whatever that unmasks, and leaves in it what became of it. False: the
 * instruction has raised a SIMD exception, and no operand was written; the thunk's end, with its
 * EMMS or VZEROUPPER, is missing. */
bool soft_thunk_try(soft_thunk_fn *thunk, void *reg, void *rm, void *vvvv, struct soft_thunk_io *io,
                    uint32_t *mxcsr);

/* Forgets all thunks and with them all blocks. */
void soft_thunks_flush(struct soft_cpu *cpu);

#endif
