/* The ways in which PC software resets the machine: the i8042 keyboard controller (ports 0x60 and
 * 0x64: its pulse command, which is also what the FADT names, and its output port), fast reset in
 * system control port A (0x92), and the reset control register (0xcf9). There is no keyboard or
 * mouse behind the i8042. Spec: IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device
 * Controller"; Intel ICH9 datasheet, 13.7.1 (port 0x92) and 13.7.5 (port 0xcf9). */
#ifndef DEV_CHIPSET_RESET_PORTS_H
#define DEV_CHIPSET_RESET_PORTS_H

#include "bus/bus.h"
#include "state/state.h"

struct reset_ports {
    struct bus *bus;
    struct bus_region i8042_data, i8042_command, port_a;
    /* Not on the bus by itself: PCI configuration's address register covers its port and hands
     * byte accesses on, see pci_root_set_reset_control(). */
    struct bus_region control;
    uint8_t output; /* the i8042's answer to its last command */
    bool output_full;
    uint8_t command; /* whose parameter the next write to the data port is; 0: none */
    uint8_t port_a_bits, control_bits;
    void (*reset)(void *opaque); /* device lock held */
    void *opaque;
};

/* Errors: those of bus_add(). */
int reset_ports_init(struct reset_ports *p, struct bus *bus, void (*reset)(void *opaque),
                     void *opaque, struct err *err);
void reset_ports_fini(struct reset_ports *p);
void reset_ports_reset(struct reset_ports *p);

void reset_ports_save(const struct reset_ports *p, struct state_writer *w);
int reset_ports_load(struct reset_ports *p, struct state_reader *r);

#endif
