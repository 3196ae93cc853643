/* One counter of an 8254 as a pure function of time: what it was told, and how many clock ticks it
 * has counted since; output, count and next edge follow from those. The caller turns time into
 * ticks. Spec: Intel 8254 datasheet (231164), "mode definitions".
 *
 * Against the datasheet: a new count takes effect at once (there: at the next tick, or in modes 2
 * and 3 at the end of the period). */
#ifndef APIC_I8254_COUNTER_H
#define APIC_I8254_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#define I8254_COUNTER_NEVER UINT64_MAX

enum i8254_access { I8254_LOW = 1, I8254_HIGH = 2, I8254_BOTH = 3 };

struct i8254_counter {
    uint8_t mode, access;
    bool bcd;
    bool gate;
    bool armed;     /* a count has been written since the mode */
    bool triggered; /* modes 1 and 5: the gate has risen since */
    uint32_t count; /* 1 to 0x10000 (10000 in BCD) */
    uint64_t base;  /* ticks counted before `since` */
    uint64_t since; /* the caller's clock, in ticks, when counting last began or went on */

    bool write_high_next, read_high_next;
    uint8_t written_low;
    uint8_t latched_bytes; /* of `latch` still to be read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

/* As after power-on, before any control word (the datasheet leaves it undefined). */
void i8254_counter_init(struct i8254_counter *c, bool gate);

/* A control word for this counter: mode (0 to 7), access and BCD from its bits. */
void i8254_counter_control(struct i8254_counter *c, uint8_t word);
void i8254_counter_latch(struct i8254_counter *c, uint64_t now);
void i8254_counter_latch_status(struct i8254_counter *c, uint64_t now);
uint8_t i8254_counter_read(struct i8254_counter *c, uint64_t now);
void i8254_counter_write(struct i8254_counter *c, uint64_t now, uint8_t value);
void i8254_counter_set_gate(struct i8254_counter *c, uint64_t now, bool gate);

bool i8254_counter_output(const struct i8254_counter *c, uint64_t now);
/* When the output next rises, on the caller's clock; I8254_COUNTER_NEVER if it does not by itself.
 */
uint64_t i8254_counter_next_rise(const struct i8254_counter *c, uint64_t now);
/* Ticks counted so far, what a saved state keeps instead of `base` and `since`. */
uint64_t i8254_counter_elapsed(const struct i8254_counter *c, uint64_t now);

#endif
