/* The ways in which PC software resets the machine: the i8042 keyboard controller's pulse command
 * (ports 0x60, 0x64), which is also what the FADT names, and fast reset in system control port A
 * (0x92). There is no keyboard or mouse behind the i8042. */
#ifndef DEV_CHIPSET_RESET_PORTS_H
#define DEV_CHIPSET_RESET_PORTS_H

#include "bus/bus.h"

struct reset_ports {
    struct bus *bus;
    struct bus_region i8042_data, i8042_command, port_a;
    uint8_t output; /* the i8042's answer to its last command */
    bool output_full;
    uint8_t a20;
    void (*reset)(void *opaque); /* device lock held */
    void *opaque;
};

/* Errors: those of bus_add(). */
int reset_ports_init(struct reset_ports *p, struct bus *bus, void (*reset)(void *opaque),
                     void *opaque, struct err *err);
void reset_ports_fini(struct reset_ports *p);

#endif
