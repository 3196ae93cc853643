#include "apic/i8254.h"

#include <string.h>

#include "base/util.h"

#define NS_PER_S      UINT64_C(1000000000)
#define CONTROL_LATCH 0
#define PORT61_GATE2  0x01
#define PORT61_KEPT   0x0f
#define PORT61_TOGGLE 0x10
#define PORT61_OUT2   0x20
#define TOGGLE_NS     15085
/* A guest that programs a shorter period gets ticks no faster than this, so that it cannot keep
 * the main loop busy. */
#define MIN_PERIOD_NS 100000
#define ELAPSED_MAX   (UINT64_C(1) << 61)
#define STATE_VERSION 1

static uint64_t ticks_at(int64_t ns)
{
    return (uint64_t)((unsigned __int128)(uint64_t)ns * I8254_HZ / NS_PER_S);
}

static uint64_t now_ticks(const struct i8254 *p)
{
    return ticks_at(loop_now_ns(p->loop));
}

/* The first nanosecond of a tick. */
static int64_t ns_at(uint64_t ticks)
{
    return (int64_t)(((unsigned __int128)ticks * NS_PER_S + I8254_HZ - 1) / I8254_HZ);
}

static void drive(struct i8254 *p, bool level)
{
    if (p->irq != level) {
        p->irq = level;
        p->set_irq(p->opaque, level);
    }
}

/* Sets the alarm for counter 0's next rise. Device lock held. */
static void arm(struct i8254 *p, uint64_t now)
{
    p->next_rise = i8254_counter_next_rise(&p->counters[0], now);
    if (p->next_rise == I8254_COUNTER_NEVER) {
        alarm_set(&p->alarm, ALARM_OFF);
        return;
    }
    int64_t soonest_ns = loop_now_ns(p->loop) + MIN_PERIOD_NS;
    alarm_set(&p->alarm, MAX(ns_at(p->next_rise), soonest_ns));
}

/* Makes line and alarm agree with counter 0. Device lock held. */
static void update(struct i8254 *p, uint64_t now)
{
    drive(p, i8254_counter_output(&p->counters[0], now));
    arm(p, now);
}

/* Main loop: the output has risen. A loop that was late sends one edge for all it missed. */
static void on_alarm(struct alarm *a)
{
    struct i8254 *p = a->opaque;
    bus_lock(p->bus);
    uint64_t now = now_ticks(p);
    if (p->next_rise != I8254_COUNTER_NEVER && now >= p->next_rise) {
        drive(p, false);
        drive(p, true);
    }
    update(p, now);
    bus_unlock(p->bus);
}

/* ---- registers ---- */

static void read_back(struct i8254 *p, uint8_t word, uint64_t now)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(word & (2u << i)))
            continue;
        if (!(word & 0x20))
            i8254_counter_latch(&p->counters[i], now);
        if (!(word & 0x10))
            i8254_counter_latch_status(&p->counters[i], now);
    }
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *p = opaque;
    if (offset == 3) /* the control word cannot be read */
        return 0xff;
    return i8254_counter_read(&p->counters[offset], now_ticks(p));
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *p = opaque;
    uint64_t now = now_ticks(p);
    uint8_t byte = (uint8_t)value;
    unsigned i = offset == 3 ? byte >> 6 : (unsigned)offset;
    if (i == 3) {
        read_back(p, byte, now);
        return;
    }
    if (offset < 3)
        i8254_counter_write(&p->counters[i], now, byte);
    else if (((byte >> 4) & 3) == CONTROL_LATCH)
        i8254_counter_latch(&p->counters[i], now);
    else
        i8254_counter_control(&p->counters[i], byte);
    if (i == 0)
        update(p, now);
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *p = opaque;
    int64_t now_ns = loop_now_ns(p->loop);
    return (uint64_t)(p->port61 | (now_ns / TOGGLE_NS & 1 ? PORT61_TOGGLE : 0) |
                      (i8254_counter_output(&p->counters[2], ticks_at(now_ns)) ? PORT61_OUT2 : 0));
}

static void port61_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8254 *p = opaque;
    p->port61 = value & PORT61_KEPT;
    i8254_counter_set_gate(&p->counters[2], now_ticks(p), value & PORT61_GATE2);
}

static const struct bus_region_ops port_ops = {.read = port_read, .write = port_write};
static const struct bus_region_ops port61_ops = {.read = port61_read, .write = port61_write};

static void power_on(struct i8254 *p)
{
    i8254_counter_init(&p->counters[0], true);
    i8254_counter_init(&p->counters[1], true);
    i8254_counter_init(&p->counters[2], false);
    p->port61 = 0;
    p->next_rise = I8254_COUNTER_NEVER;
}

int i8254_init(struct i8254 *p, struct bus *bus, struct loop *loop,
               void (*set_irq)(void *opaque, bool level), void *opaque, struct err *err)
{
    memset(p, 0, sizeof(*p));
    p->loop = loop;
    p->set_irq = set_irq;
    p->opaque = opaque;
    p->ports = (struct bus_region){
        .name = "i8254", .base = 0x40, .size = 4, .ops = &port_ops, .opaque = p, .bytewise = true};
    p->port61_region = (struct bus_region){.name = "port61",
                                           .base = 0x61,
                                           .size = 1,
                                           .ops = &port61_ops,
                                           .opaque = p,
                                           .bytewise = true};
    power_on(p);
    int ret = bus_add(bus, BUS_PIO, &p->ports, err);
    if (ret)
        return ret;
    ret = bus_add(bus, BUS_PIO, &p->port61_region, err);
    if (ret) {
        bus_remove(bus, BUS_PIO, &p->ports);
        return ret;
    }
    p->bus = bus;
    alarm_init(&p->alarm, loop, on_alarm, p);
    return 0;
}

void i8254_fini(struct i8254 *p)
{
    if (!p->bus)
        return;
    alarm_fini(&p->alarm);
    bus_remove(p->bus, BUS_PIO, &p->ports);
    bus_remove(p->bus, BUS_PIO, &p->port61_region);
    p->bus = NULL;
}

void i8254_reset(struct i8254 *p)
{
    power_on(p);
    update(p, now_ticks(p));
}

/* ---- state ---- */

static void save_counter(const struct i8254_counter *c, uint64_t now, struct state_writer *w)
{
    const uint8_t bytes[] = {
        c->mode,
        c->access,
        c->bcd,
        c->gate,
        c->armed,
        c->triggered,
        c->write_high_next,
        c->read_high_next,
        c->written_low,
        c->latched_bytes,
        c->status_latched,
        c->status,
    };
    state_put_bytes(w, bytes, sizeof(bytes));
    state_put_u16(w, c->latch);
    state_put_u32(w, c->count);
    state_put_u64(w, MIN(i8254_counter_elapsed(c, now), ELAPSED_MAX));
}

void i8254_save(const struct i8254 *p, struct state_writer *w)
{
    uint64_t now = now_ticks(p);
    state_begin(w, "i8254", 0, STATE_VERSION);
    /* A rise that the main loop has not got round to is still to come after loading. */
    save_counter(&p->counters[0], MIN(now, p->next_rise - 1), w);
    save_counter(&p->counters[1], now, w);
    save_counter(&p->counters[2], now, w);
    state_put_u8(w, p->port61);
    state_put_u8(w, p->irq);
    state_end(w);
}

static int load_counter(struct i8254_counter *c, uint64_t now, struct state_reader *r)
{
    uint8_t b[12];
    state_get_bytes(r, b, sizeof(b));
    *c = (struct i8254_counter){
        .mode = b[0],
        .access = b[1],
        .bcd = b[2],
        .gate = b[3],
        .armed = b[4],
        .triggered = b[5],
        .write_high_next = b[6],
        .read_high_next = b[7],
        .written_low = b[8],
        .latched_bytes = b[9],
        .status_latched = b[10],
        .status = b[11],
    };
    c->latch = state_get_u16(r);
    c->count = state_get_u32(r);
    c->base = state_get_u64(r);
    c->since = now;
    if (c->mode > 5 || c->access < I8254_LOW || c->access > I8254_BOTH || c->latched_bytes > 2 ||
        !c->count || c->count > 0x10000 || c->base > ELAPSED_MAX)
        return state_invalid(r, "i8254: mode %u, access %u, count %u", c->mode, c->access,
                             c->count);
    return 0;
}

int i8254_load(struct i8254 *p, struct state_reader *r)
{
    int version = state_open(r, "i8254", 0, STATE_VERSION);
    if (version < 0)
        return version;
    uint64_t now = now_ticks(p);
    struct i8254_counter counters[3];
    for (unsigned i = 0; i < 3; i++) {
        int ret = load_counter(&counters[i], now, r);
        if (ret)
            return ret;
    }
    uint8_t port61 = state_get_u8(r) & PORT61_KEPT;
    bool irq = state_get_u8(r);
    int ret = state_close(r);
    if (ret)
        return ret;
    memcpy(p->counters, counters, sizeof(counters));
    p->port61 = port61;
    p->irq = irq; /* the controllers, loaded too, have the line as it was */
    arm(p, now);
    return 0;
}
