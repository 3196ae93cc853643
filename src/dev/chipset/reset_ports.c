#include "dev/chipset/reset_ports.h"

#include <string.h>

#include "base/util.h"
#include "bus/memory_map.h"

#define I8042_CMD_READ_CTR    0x20
#define I8042_CMD_SELF_TEST   0xaa
#define I8042_CMD_KBD_TEST    0xab
#define I8042_STATUS_OBF      0x01
#define I8042_STATUS_SYSTEM   0x04
#define PORT_A_FAST_RESET     0x01

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    p->output_full = false;
    return p->output;
}

static void data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    /* Parameters of commands that have nothing to act on. */
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
    switch (value) {
    case MEMORY_MAP_RESET_VALUE:
        p->reset(p->opaque);
        break;
    case I8042_CMD_READ_CTR:
        answer(p, 0x34); /* both ports disabled */
        break;
    case I8042_CMD_SELF_TEST:
        answer(p, 0x55);
        break;
    case I8042_CMD_KBD_TEST:
        answer(p, 0x01); /* the clock line is stuck: nothing is plugged in */
        break;
    }
}

static uint64_t port_a_read(void *opaque, uint64_t offset, unsigned size)
{
    struct reset_ports *p = opaque;
    return p->a20;
}

static void port_a_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct reset_ports *p = opaque;
    p->a20 = value & (uint8_t)~PORT_A_FAST_RESET;
    if (value & PORT_A_FAST_RESET)
        p->reset(p->opaque);
}

static const struct bus_region_ops data_ops = {.read = data_read, .write = data_write};
static const struct bus_region_ops command_ops = {.read = command_read, .write = command_write};
static const struct bus_region_ops port_a_ops = {.read = port_a_read, .write = port_a_write};

int reset_ports_init(struct reset_ports *p, struct bus *bus, void (*reset)(void *opaque),
                     void *opaque, struct err *err)
{
    memset(p, 0, sizeof(*p));
    p->bus = bus;
    p->reset = reset;
    p->opaque = opaque;
    p->a20 = 0x02;
    p->i8042_data = (struct bus_region){"i8042-data", 0x60, 1, &data_ops, p, true};
    p->i8042_command = (struct bus_region){"i8042-command", MEMORY_MAP_RESET_PORT, 1, &command_ops, p, true};
    p->port_a = (struct bus_region){"port-a", 0x92, 1, &port_a_ops, p, true};
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
