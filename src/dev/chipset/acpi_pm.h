/* ACPI fixed hardware: the PM1a event and control blocks, the PM timer, and the GPE0 block, with
 * the SCI that they share. Spec: ACPI 6.4, 4.8 ("ACPI Register Model"). */
#ifndef DEV_CHIPSET_ACPI_PM_H
#define DEV_CHIPSET_ACPI_PM_H

#include <stdint.h>

#include "bus/bus.h"
#include "io/loop.h"
#include "state/state.h"

struct acpi_pm {
    struct bus *bus;
    struct loop *loop;
    struct bus_region pm1_evt, pm1_cnt, timer, gpe0;
    uint16_t pm1_status, pm1_enable, pm1_control;
    uint16_t gpe_status, gpe_enable;
    int64_t timer_base_ns;
    void (*power_off)(void *opaque); /* the guest entered S5; device lock held */
    void *opaque;
};

/* Puts the blocks on the bus at the ports of bus/memory_map.h. Errors: those of bus_add(). */
int acpi_pm_init(struct acpi_pm *pm, struct bus *bus, struct loop *loop,
                 void (*power_off)(void *opaque), void *opaque, struct err *err);
void acpi_pm_fini(struct acpi_pm *pm);
void acpi_pm_reset(struct acpi_pm *pm);

/* Presses the power button. Returns false, and does nothing, if the guest has not enabled the
 * event. Call with the device lock held. */
bool acpi_pm_press_power_button(struct acpi_pm *pm);
/* Raises general-purpose event `bit` (0..15). Call with the device lock held. */
void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned bit);

void acpi_pm_save(const struct acpi_pm *pm, struct state_writer *w);
int acpi_pm_load(struct acpi_pm *pm, struct state_reader *r);

#endif
