/* isa-debug-exit: a port on which a test guest reports its result. Writing v ends the VM with exit
 * code (v << 1) | 1, as QEMU's device of that name does. Only on machines configured with it. */
#ifndef DEV_CHIPSET_DEBUG_EXIT_H
#define DEV_CHIPSET_DEBUG_EXIT_H

#include "bus/bus.h"

struct debug_exit {
    struct bus *bus;
    struct bus_region region;
    void (*exit)(void *opaque, int code); /* device lock held */
    void *opaque;
};

/* Errors: those of bus_add(). */
int debug_exit_init(struct debug_exit *d, struct bus *bus, void (*exit)(void *opaque, int code),
                    void *opaque, struct err *err);
void debug_exit_fini(struct debug_exit *d);

#endif
