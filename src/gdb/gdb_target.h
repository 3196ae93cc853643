/* What a debugger debugs: the seam between the protocol (gdb_server.h) and a VM (gdb_vm.h). Threads
 * are vCPUs, by index. gdb_target_null.h is the one for tests. */
#ifndef GDB_GDB_TARGET_H
#define GDB_GDB_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gdb_break_kind {
    GDB_BREAK_SOFT,  /* an int3 in memory */
    GDB_BREAK_HARD,  /* a debug register */
    GDB_WATCH_WRITE, /* a debug register, as the next */
    GDB_WATCH_READ,  /* x86 has none: targets refuse it */
    GDB_WATCH_ACCESS,
};

/* Why the target stopped. */
enum gdb_stop_kind {
    GDB_STOP_PAUSED, /* asked to, or from the start */
    GDB_STOP_STEP,
    GDB_STOP_BREAK_SOFT,
    GDB_STOP_BREAK_HARD,
    GDB_STOP_WATCH_WRITE,
    GDB_STOP_WATCH_ACCESS,
    GDB_STOP_GONE, /* the VM has ended */
};
struct gdb_stop {
    enum gdb_stop_kind kind;
    unsigned thread;
    uint64_t address; /* of a watchpoint */
};

/* All slots run in the main thread; those that return int return 0 or -errno. Except where it says
 * so they are called while the target is stopped. */
struct gdb_target_ops {
    unsigned (*n_threads)(void *target);
    /* Whether the target must be left alone: it runs (an API request may have changed that) or is
     * being saved. Any time. */
    bool (*running)(void *target);
    /* The register block of gdb_regs.h. Writing takes what can be written of it and leaves the
     * rest. */
    int (*read_regs)(void *target, unsigned thread, uint8_t *block);
    int (*write_regs)(void *target, unsigned thread, const uint8_t *block);
    /* Guest memory, virtual as the thread sees it, or physical. -EFAULT: not all of it is there;
     * nothing was written then. Breakpoints are not seen. */
    int (*read_memory)(void *target, unsigned thread, bool physical, uint64_t at, void *bytes,
                       size_t n);
    int (*write_memory)(void *target, unsigned thread, bool physical, uint64_t at,
                        const void *bytes, size_t n);
    /* `n`: bytes that a watchpoint covers: 1, 2, 4 or 8, aligned. -ENOTSUP: no such kind, -ENOSPC:
     * all in use. */
    int (*insert)(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n);
    int (*remove)(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n);
    /* Everything goes on, or one vCPU does one instruction. The end comes by gdb_server_stopped().
     */
    int (*resume)(void *target);
    int (*step)(void *target, unsigned thread);
    /* Stops what runs; at once, without gdb_server_stopped(). While running. */
    int (*interrupt)(void *target);
    /* As the reset button. */
    int (*reset)(void *target);
    /* A debugger comes (the target stops) and goes (its breakpoints vanish; the target goes on
     * unless it was stopped before the debugger came). Any time. */
    void (*attach)(void *target);
    void (*detach)(void *target);
    /* The debugger asks for the VM's end. Any time. */
    void (*kill)(void *target);
};

#endif
