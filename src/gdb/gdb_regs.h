/* The registers as gdb sees them: a block of bytes, little-endian, in the order of the target
 * description. */
#ifndef GDB_GDB_REGS_H
#define GDB_GDB_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

/* Of the whole block. */
#define GDB_REGS_BYTES 856

/* The description (target.xml); *len receives its length. Made at the first call, borrowed for
 * good. */
const char *gdb_regs_xml(size_t *len);
/* Where register `number` lies in the block. False: there is none of that number. */
bool gdb_regs_place(unsigned number, unsigned *offset, unsigned *bytes);

void gdb_regs_read(const struct engine_vcpu_state *s, uint8_t block[GDB_REGS_BYTES]);
/* Takes general registers, rip, flags, and the bases of FS and GS into *regs and *sregs; what else
 * there is in the block is left out. */
void gdb_regs_write(const uint8_t block[GDB_REGS_BYTES], struct kvm_regs *regs,
                    struct kvm_sregs *sregs);

#endif
