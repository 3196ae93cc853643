/* Port accesses: rights and the bus. For IN, OUT and their string forms. */
#ifndef ENGINE_SOFT_SOFT_IO_H
#define ENGINE_SOFT_SOFT_IO_H

#include "engine/soft/soft_internal.h"

/* Raises #GP if this code may not touch the `size` ports from `port` on (IOPL, TSS bitmap). */
void soft_io_check(struct soft_cpu *cpu, uint16_t port, unsigned size);

/* One access of 1, 2 or 4 bytes, without checks. */
uint32_t soft_io_read(struct soft_cpu *cpu, uint16_t port, unsigned size);
void soft_io_write(struct soft_cpu *cpu, uint16_t port, uint32_t value, unsigned size);

#endif
