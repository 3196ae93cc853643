#include "dev/chipset/reset_ports.h"

#include <string.h>

#include "base/util.h"
#include "bus/memory_map.h"

#define I8042_CMD_READ_CONFIG  0x20
#define I8042_CMD_WRITE_CONFIG 0x60
#define I8042_CMD_SELF_TEST    0xaa
#define I8042_CMD_KBD_TEST     0xab
#define I8042_CMD_READ_OUTPUT  0xd0
#define I8042_CMD_WRITE_OUTPUT 0xd1
#define I8042_CMD_PULSE        0xf0 /* low four bits: output lines not to pulse */
#define I8042_STATUS_OBF       0x01
#define I8042_STATUS_SYSTEM    0x04
#define I8042_CONFIG           0x34 /* self-test passed, both ports disabled */
#define I8042_OUTPUT           0xcf /* what the output port reads: reset line high, A20 on */
#define I8042_OUTPUT_RESET     0x01 /* low resets */
#define PORT_A_FAST_RESET      0x01
#define PORT_A_A20             0x02
#define CONTROL_RESET          0x04 /* RST_CPU: going from 0 to 1 resets */
#define CONTROL_WRITABLE       0x0e

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    p->output_full = false;
    return p->output;
}

static void data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct reset_ports *p = opaque;
    uint8_t command = p->command;
    p->command = 0;
    if (command == I8042_CMD_WRITE_OUTPUT && !(value & I8042_OUTPUT_RESET))
        p->reset(p->opaque);
    /* Everything else is for a keyboard that is not there. */
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    return I8042_STATUS_SYSTEM | (p->output_full ? I8042_STATUS_OBF : 0);
}

static void answer(struct reset_ports *p, uint8_t byte)
{
    p->output = byte;
    p->output_full = true;
}

static void command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct reset_ports *p = opaque;
    p->command = 0;
    switch (value) {
    case I8042_CMD_READ_CONFIG:
        answer(p, I8042_CONFIG);
        break;
    case I8042_CMD_SELF_TEST:
        answer(p, 0x55);
        break;
    case I8042_CMD_KBD_TEST:
        answer(p, 0x01); /* the clock line is stuck: nothing is plugged in */
        break;
    case I8042_CMD_READ_OUTPUT:
        answer(p, I8042_OUTPUT);
        break;
    case I8042_CMD_WRITE_CONFIG:
    case I8042_CMD_WRITE_OUTPUT:
        p->command = (uint8_t)value;
        break;
    default:
        if ((value & 0xf0) == I8042_CMD_PULSE && !(value & I8042_OUTPUT_RESET))
            p->reset(p->opaque);
        break;
    }
}

static uint64_t port_a_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    return p->port_a_bits;
}

static void port_a_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct reset_ports *p = opaque;
    p->port_a_bits = (uint8_t)(value & ~(uint64_t)PORT_A_FAST_RESET);
    if (value & PORT_A_FAST_RESET)
        p->reset(p->opaque);
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    return p->control_bits;
}

static void control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct reset_ports *p = opaque;
    bool rises = (value & CONTROL_RESET) && !(p->control_bits & CONTROL_RESET);
    p->control_bits = value & CONTROL_WRITABLE;
    if (rises)
        p->reset(p->opaque);
}

static const struct bus_region_ops data_ops = {.read = data_read, .write = data_write};
static const struct bus_region_ops command_ops = {.read = command_read, .write = command_write};
static const struct bus_region_ops port_a_ops = {.read = port_a_read, .write = port_a_write};
static const struct bus_region_ops control_ops = {.read = control_read, .write = control_write};

int reset_ports_init(struct reset_ports *p, struct bus *bus, void (*reset)(void *opaque),
                     void *opaque, struct err *err)
{
    memset(p, 0, sizeof(*p));
    p->bus = bus;
    p->reset = reset;
    p->opaque = opaque;
    reset_ports_reset(p);
    p->i8042_data = (struct bus_region){"i8042-data", 0x60, 1, &data_ops, p, true};
    p->i8042_command =
        (struct bus_region){"i8042-command", MEMORY_MAP_RESET_PORT, 1, &command_ops, p, true};
    p->port_a = (struct bus_region){"port-a", 0x92, 1, &port_a_ops, p, true};
    p->control = (struct bus_region){"reset-control", 0xcf9, 1, &control_ops, p, true};
    const struct bus_region *regions[] = {&p->i8042_data, &p->i8042_command, &p->port_a};
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++) {
        int ret = bus_add(bus, BUS_PIO, regions[i], err);
        if (ret) {
            reset_ports_fini(p);
            return ret;
        }
    }
    return 0;
}

void reset_ports_fini(struct reset_ports *p)
{
    if (!p->bus)
        return;
    bus_remove(p->bus, BUS_PIO, &p->i8042_data);
    bus_remove(p->bus, BUS_PIO, &p->i8042_command);
    bus_remove(p->bus, BUS_PIO, &p->port_a);
    p->bus = NULL;
}

void reset_ports_reset(struct reset_ports *p)
{
    p->output = p->command = p->control_bits = 0;
    p->output_full = false;
    p->port_a_bits = PORT_A_A20;
}

#define STATE_VERSION 1

void reset_ports_save(const struct reset_ports *p, struct state_writer *w)
{
    state_begin(w, "reset-ports", 0, STATE_VERSION);
    state_put_u8(w, p->output);
    state_put_u8(w, p->output_full);
    state_put_u8(w, p->command);
    state_put_u8(w, p->port_a_bits);
    state_put_u8(w, p->control_bits);
    state_end(w);
}

int reset_ports_load(struct reset_ports *p, struct state_reader *r)
{
    if (state_open(r, "reset-ports", 0, STATE_VERSION) < 0)
        return -r->err.code;
    p->output = state_get_u8(r);
    p->output_full = state_get_u8(r) & 1;
    p->command = state_get_u8(r);
    p->port_a_bits = state_get_u8(r);
    p->control_bits = state_get_u8(r) & CONTROL_WRITABLE;
    return state_close(r);
}
