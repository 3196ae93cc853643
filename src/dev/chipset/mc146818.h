/* The real-time clock and CMOS RAM, an MC146818A behind I/O ports 0x70 (index) and 0x71 (data).
 * Source: Motorola MC146818A data sheet; the CMOS bytes of PCs as the ACPI and Linux headers name
 * them. The clock runs at the host's wall clock plus an offset, so it never drifts from it. */
#ifndef DEV_CHIPSET_MC146818_H
#define DEV_CHIPSET_MC146818_H

#include <stdint.h>

#include "bus/bus.h"
#include "io/alarm.h"
#include "state/state.h"

#define MC146818_RAM_BYTES 128
#define MC146818_FIELDS    8 /* seconds to century, in binary */

struct mc146818 {
    struct bus *bus;
    struct loop *loop;
    struct bus_region region;
    int64_t (*wall_clock_ns)(void *opaque); /* UTC since 1970 */
    void *clock_opaque;
    int64_t offset_ns; /* guest's clock minus the wall clock */
    /* While register B has SET the registers hold still and take any values, in any order; only
     * together do they make a date. */
    bool held;
    uint8_t held_fields[MC146818_FIELDS];
    uint8_t index;
    uint8_t ram[MC146818_RAM_BYTES];
    int64_t next_periodic_ns; /* loop time; ALARM_OFF when off */
    int64_t next_second_ns;   /* loop time of the next update cycle that anyone waits for */
    struct alarm alarm;
};

/* Puts the chip on the bus. `wall_clock_ns` NULL: CLOCK_REALTIME. Errors: those of bus_add(). */
int mc146818_init(struct mc146818 *rtc, struct bus *bus, struct loop *loop,
                  int64_t (*wall_clock_ns)(void *opaque), void *clock_opaque, struct err *err);
/* Call without the device lock. Safe on a zeroed object. */
void mc146818_fini(struct mc146818 *rtc);
/* The time and the CMOS RAM survive a reset; interrupts are switched off (section "RESET"). */
void mc146818_reset(struct mc146818 *rtc);
/* Says in CMOS RAM, for firmware, how much RAM lies below the PCI hole and above 4 GiB. */
void mc146818_set_memory(struct mc146818 *rtc, uint64_t low_bytes, uint64_t high_bytes);

void mc146818_save(const struct mc146818 *rtc, struct state_writer *w);
int mc146818_load(struct mc146818 *rtc, struct state_reader *r);

#endif
