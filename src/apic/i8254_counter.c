#include "apic/i8254_counter.h"

#include <string.h>

#define STATUS_OUT  0x80
#define STATUS_NULL 0x40

void i8254_counter_init(struct i8254_counter *c, bool gate)
{
    memset(c, 0, sizeof(*c));
    c->access = I8254_BOTH;
    c->count = 0x10000;
    c->gate = gate;
}

/* Modes that the gate stops and lets go on; in 2 and 3 its rise starts the period anew, in 1 and 5
 * it is the trigger and its fall does nothing. */
static bool gate_stops(const struct i8254_counter *c)
{
    return c->mode != 1 && c->mode != 5;
}

static bool counting(const struct i8254_counter *c)
{
    return c->armed && (gate_stops(c) ? c->gate : c->triggered);
}

uint64_t i8254_counter_elapsed(const struct i8254_counter *c, uint64_t now)
{
    return counting(c) && now > c->since ? c->base + (now - c->since) : c->base;
}

static void restart(struct i8254_counter *c, uint64_t now)
{
    c->base = 0;
    c->since = now;
}

/* The period of modes 2 and 3, where a count of 1 is not allowed. */
static uint64_t period(const struct i8254_counter *c)
{
    return c->count < 2 ? 2 : c->count;
}

bool i8254_counter_output(const struct i8254_counter *c, uint64_t now)
{
    uint64_t e = i8254_counter_elapsed(c, now);
    if (!c->armed)
        return c->mode != 0;
    switch (c->mode) {
    case 0:
        return e >= c->count;
    case 1:
        return !c->triggered || e >= c->count;
    case 2:
        return !c->gate || e % period(c) != period(c) - 1;
    case 3:
        return !c->gate || e % period(c) < (period(c) + 1) / 2;
    case 4:
        return e != c->count;
    default:
        return !c->triggered || e != c->count;
    }
}

uint64_t i8254_counter_next_rise(const struct i8254_counter *c, uint64_t now)
{
    uint64_t e = i8254_counter_elapsed(c, now), at;
    if (!counting(c))
        return I8254_COUNTER_NEVER;
    switch (c->mode) {
    case 0:
    case 1:
        at = c->count;
        break;
    case 2:
    case 3:
        at = (e / period(c) + 1) * period(c);
        break;
    default: /* one tick low at the end */
        at = c->count + UINT64_C(1);
        break;
    }
    return at > e ? c->since + (at - c->base) : I8254_COUNTER_NEVER;
}

/* The counting element, as it is read: 16 bits, binary or four BCD digits. */
static uint16_t current_count(const struct i8254_counter *c, uint64_t now)
{
    uint64_t e = i8254_counter_elapsed(c, now), modulus = c->bcd ? 10000 : 0x10000, v, p;
    switch (c->mode) {
    case 2:
        v = period(c) - e % period(c);
        break;
    case 3: /* counts down by two, twice a period */
        p = e % period(c);
        v = (period(c) & ~UINT64_C(1)) -
            2 * (p < (period(c) + 1) / 2 ? p : p - (period(c) + 1) / 2);
        break;
    default: /* goes on below zero */
        v = c->count + modulus - e % modulus;
        break;
    }
    v %= modulus;
    if (!c->bcd)
        return (uint16_t)v;
    return (uint16_t)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

/* ---- what the guest does ---- */

void i8254_counter_control(struct i8254_counter *c, uint8_t word)
{
    c->access = (word >> 4) & 3;
    c->mode = (word >> 1) & 7;
    if (c->mode > 5) /* the top bit is "don't care" in modes 2 and 3 */
        c->mode &= 3;
    c->bcd = word & 1;
    c->armed = false;
    c->triggered = false;
    c->base = 0;
    c->write_high_next = false;
    c->read_high_next = false;
    c->latched_bytes = 0;
    c->status_latched = false;
}

void i8254_counter_latch(struct i8254_counter *c, uint64_t now)
{
    if (c->latched_bytes) /* a second latch command is ignored until the first was read */
        return;
    c->latch = current_count(c, now);
    c->latched_bytes = c->access == I8254_BOTH ? 2 : 1;
}

void i8254_counter_latch_status(struct i8254_counter *c, uint64_t now)
{
    if (c->status_latched)
        return;
    c->status_latched = true;
    c->status = (uint8_t)((i8254_counter_output(c, now) ? STATUS_OUT : 0) |
                          (c->armed ? 0 : STATUS_NULL) | c->access << 4 | c->mode << 1 | c->bcd);
}

/* Which byte of a 16-bit value comes next. */
static bool high_byte(const struct i8254_counter *c, bool *next)
{
    if (c->access != I8254_BOTH)
        return c->access == I8254_HIGH;
    bool high = *next;
    *next = !high;
    return high;
}

uint8_t i8254_counter_read(struct i8254_counter *c, uint64_t now)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t v = c->latch;
    if (c->latched_bytes)
        c->latched_bytes--;
    else
        v = current_count(c, now);
    return (uint8_t)(high_byte(c, &c->read_high_next) ? v >> 8 : v);
}

static void load(struct i8254_counter *c, uint64_t now, uint16_t v)
{
    if (c->bcd) {
        uint32_t n = (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
        c->count = n % 10000 ? n % 10000 : 10000;
    } else {
        c->count = v ? v : 0x10000;
    }
    bool was_armed = c->armed;
    c->armed = true;
    /* A one-shot that is running goes on; it takes the count at its next trigger. Here it changes
     * the end of the current one, like every new count. */
    if (gate_stops(c) || !was_armed)
        restart(c, now);
}

void i8254_counter_write(struct i8254_counter *c, uint64_t now, uint8_t value)
{
    bool both = c->access == I8254_BOTH;
    if (!high_byte(c, &c->write_high_next)) {
        c->written_low = value;
        if (!both)
            load(c, now, value);
        else if (c->mode == 0) /* the first byte of two stops mode 0 */
            c->armed = false;
    } else {
        load(c, now, (uint16_t)(value << 8 | (both ? c->written_low : 0)));
    }
}

void i8254_counter_set_gate(struct i8254_counter *c, uint64_t now, bool gate)
{
    if (gate == c->gate)
        return;
    c->base = i8254_counter_elapsed(c, now);
    c->since = now;
    c->gate = gate;
    if (gate && (c->mode == 2 || c->mode == 3)) {
        restart(c, now);
    } else if (gate && !gate_stops(c) && c->armed) {
        c->triggered = true;
        restart(c, now);
    }
}
