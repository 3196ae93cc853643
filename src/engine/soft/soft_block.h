/* Decoded blocks: finding, making and dropping them. */
#ifndef ENGINE_SOFT_SOFT_BLOCK_H
#define ENGINE_SOFT_SOFT_BLOCK_H

#include "engine/soft/soft_internal.h"

#define SOFT_BLOCK_INSNS_MAX 64
#define SOFT_BLOCK_BYTES_MAX 512

/* A vCPU's cache of blocks, jumps and instruction translations. `bytes` bounds it.
 * Errors: ENOMEM. Owns: soft_blocks_fini(). */
int soft_blocks_init(struct soft_cpu *cpu, size_t bytes, struct err *err);
void soft_blocks_fini(struct soft_cpu *cpu);

/* Drops every block of this vCPU. Not while an operation is under way that will be returned to. */
void soft_blocks_flush(struct soft_cpu *cpu);
/* How often that has happened. */
uint64_t soft_blocks_flushes(const struct soft_cpu *cpu);

/* The block at rip in the mode of this moment. Raises the faults of instruction fetch, with
 * cpu->rip = rip as the place. */
struct soft_block *soft_block_find(struct soft_cpu *cpu, uint64_t rip);

/* The current block ends after the operation under way. */
void soft_break_block(struct soft_cpu *cpu);

static inline bool soft_block_good(const struct soft_block *b)
{
    return __atomic_load_n(b->gen_now, __ATOMIC_RELAXED) == b->gen;
}

/* Makes b the current block. */
static inline const struct soft_op *soft_block_enter(struct soft_cpu *cpu, struct soft_block *b,
                                                     uint64_t rip)
{
    cpu->r[SOFT_BLOCK_RIP] = rip;
    cpu->block = b;
    return b->ops;
}

#endif
