#include "dev/chipset/debug_exit.h"

#include "bus/memory_map.h"

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debug_exit *d = opaque;
    d->exit(d->opaque, (int)((value & 0x7f) << 1 | 1));
}

static const struct bus_region_ops region_ops = {.read = reg_read, .write = reg_write};

int debug_exit_init(struct debug_exit *d, struct bus *bus, void (*exit)(void *opaque, int code),
                    void *opaque, struct err *err)
{
    *d = (struct debug_exit){.exit = exit, .opaque = opaque};
    d->region = (struct bus_region){.name = "isa-debug-exit",
                                    .base = MEMORY_MAP_DEBUG_EXIT,
                                    .size = 4,
                                    .ops = &region_ops,
                                    .opaque = d};
    int ret = bus_add(bus, BUS_PIO, &d->region, err);
    if (!ret)
        d->bus = bus;
    return ret;
}

void debug_exit_fini(struct debug_exit *d)
{
    if (!d->bus)
        return;
    bus_remove(d->bus, BUS_PIO, &d->region);
    d->bus = NULL;
}
