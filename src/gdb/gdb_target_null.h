/* A target that is not there: 256 bytes of memory at address 0, two threads, one register block, no
 * breakpoints but those it is told. For tests and fuzzing. */
#ifndef GDB_GDB_TARGET_NULL_H
#define GDB_GDB_TARGET_NULL_H

#include "gdb/gdb_regs.h"
#include "gdb/gdb_target.h"

struct gdb_target_null {
    bool running, attached, killed;
    uint8_t regs[GDB_REGS_BYTES];
    uint8_t memory[256];
    unsigned breaks, resets, steps;
    unsigned stepped; /* the thread of the last step */
};

extern const struct gdb_target_ops gdb_target_null_ops;

#endif
