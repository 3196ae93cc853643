/* A bus with a fake clock and recorded interrupt lines, for the tests of the chip set. */
#ifndef TESTS_UNIT_DEV_CHIPSET_CHIPSET_FIXTURE_H
#define TESTS_UNIT_DEV_CHIPSET_CHIPSET_FIXTURE_H

#include "base/util.h"
#include "bus/bus.h"
#include "bus/memory_map.h"
#include "io/loop.h"
#include "state/state.h"

#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

struct fixture {
    struct bus bus;
    struct loop *loop;
    bool level[MEMORY_MAP_IOAPIC_PINS];
    unsigned rises[MEMORY_MAP_IOAPIC_PINS];
};

static inline void fixture_irq(void *opaque, unsigned gsi, bool level)
{
    struct fixture *f = opaque;
    f->rises[gsi] += level && !f->level[gsi];
    f->level[gsi] = level;
}

static inline void fixture_init(struct fixture *f)
{
    static const struct bus_irq_ops ops = {.set = fixture_irq};
    memset(f, 0, sizeof(*f));
    bus_init(&f->bus);
    bus_set_irq(&f->bus, &ops, f);
    f->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
}

static inline void fixture_fini(struct fixture *f)
{
    loop_destroy(f->loop);
    bus_fini(&f->bus);
}

static inline uint32_t in(struct fixture *f, uint16_t port, unsigned size)
{
    uint8_t b[4] = {0};
    bus_access_read(&f->bus, BUS_PIO, port, b, size);
    return le32_read(b);
}

static inline void out(struct fixture *f, uint16_t port, unsigned size, uint32_t value)
{
    uint8_t b[4];
    le32_write(b, value);
    bus_access_write(&f->bus, BUS_PIO, port, b, size);
}

/* Every width at every offset of a register block, reads and writes of several patterns: what must
 * not crash, and must not reach a neighbour. */
static inline void fixture_touch_all(struct fixture *f, uint16_t port, unsigned bytes)
{
    static const uint32_t patterns[] = {0, 0xffffffff, 0xa5a5a5a5, 0x01020304};
    for (unsigned p = 0; p < ARRAY_LEN(patterns); p++)
        for (unsigned size = 1; size <= 4; size *= 2)
            for (unsigned at = 0; at < bytes; at++) {
                out(f, (uint16_t)(port + at), size, patterns[p]);
                in(f, (uint16_t)(port + at), size);
            }
}

#endif
