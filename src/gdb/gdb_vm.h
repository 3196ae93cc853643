/* A VM as gdb's target: breakpoints in guest memory and in debug registers, on either engine. */
#ifndef GDB_GDB_VM_H
#define GDB_GDB_VM_H

#include "gdb/gdb_server.h"
#include "machine/machine.h"

struct gdb_vm;

/* Serves a debugger of `m` on `listen_fd`, which it takes over. `kill` is called when the debugger
 * asks for the VM's end. Owns: gdb_vm_destroy(), before the machine's. */
struct gdb_vm *gdb_vm_create(struct machine *m, struct loop *loop, int listen_fd,
                             void (*kill)(void *opaque), void *opaque, struct err *err);
void gdb_vm_destroy(struct gdb_vm *g);
/* The VM has ended: tells the debugger. */
void gdb_vm_ended(struct gdb_vm *g);

#endif
