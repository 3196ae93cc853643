/* Local APICs on a bus of their own: what they wake and which ends they report is noted. */
#ifndef TESTS_UNIT_LAPIC_FIXTURE_H
#define TESTS_UNIT_LAPIC_FIXTURE_H

#include <errno.h>

#include "apic/lapic.h"
#include "base/util.h"
#include "tap.h"

#define TSC_KHZ 2000000 /* two ticks a nanosecond */

static struct {
    _Atomic unsigned wakes[LAPIC_MAX];
    unsigned n_eois;
    uint8_t eoi;
} seen;

static inline void wake(void *opaque, unsigned index)
{
    seen.wakes[index]++;
}

static inline void eoi(void *opaque, uint8_t vector)
{
    seen.n_eois++;
    seen.eoi = vector;
}

static const struct lapic_ops ops = {wake, eoi};
static struct lapic_bus bus;

static inline struct lapic *start(unsigned n)
{
    memset(&seen, 0, sizeof(seen));
    lapic_bus_init(&bus, n, &ops, NULL);
    for (unsigned i = 0; i < n; i++) {
        lapic_set_tsc_khz(lapic_bus_apic(&bus, i), TSC_KHZ);
        lapic_mmio_write(lapic_bus_apic(&bus, i), 0xf0, 0x1ff, 0);
    }
    return lapic_bus_apic(&bus, 0);
}

static inline int send(uint64_t address, uint32_t data)
{
    const struct msi_message msg = {address, data};
    return lapic_bus_msi(&bus, &msg);
}

static inline void to_x2apic(struct lapic *a)
{
    CHECK(lapic_set_base(a, a->base | LAPIC_BASE_X2APIC));
}

#endif
