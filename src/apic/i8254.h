/* The 8254 interval timer of a PC at ports 0x40 to 0x43, and port 0x61 (speaker, refresh toggle).
 * Counter 0 is IRQ 0, counter 2 the speaker and what kernels measure the TSC against.
 * Spec: Intel 8254 datasheet (231164); port 0x61: Intel ICH9 datasheet 13.7.1. */
#ifndef APIC_I8254_H
#define APIC_I8254_H

#include "apic/i8254_counter.h"
#include "bus/bus.h"
#include "io/alarm.h"
#include "state/state.h"

#define I8254_HZ 1193182

struct i8254 {
    struct bus *bus;
    struct loop *loop;
    struct bus_region ports, port61_region;
    struct i8254_counter counters[3];
    uint8_t port61; /* bits 0..3: gate of counter 2, speaker, two NMI enables */
    /* Counter 0's output. May be called with the device lock held. */
    void (*set_irq)(void *opaque, bool level);
    void *opaque;
    bool irq;
    uint64_t next_rise; /* ticks; when the alarm is due */
    struct alarm alarm;
};

/* Puts the chip on the bus. Errors: those of bus_add(). */
int i8254_init(struct i8254 *p, struct bus *bus, struct loop *loop,
               void (*set_irq)(void *opaque, bool level), void *opaque, struct err *err);
/* Call without the device lock. Safe on a zeroed object. */
void i8254_fini(struct i8254 *p);

/* With the device lock held, or before vCPUs run. Section "i8254". */
void i8254_reset(struct i8254 *p);
void i8254_save(const struct i8254 *p, struct state_writer *w);
int i8254_load(struct i8254 *p, struct state_reader *r);

#endif
