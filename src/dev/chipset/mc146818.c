#include "dev/chipset/mc146818.h"

#include <string.h>
#include <time.h>

#include "base/util.h"
#include "bus/memory_map.h"

#define NS_PER_S   INT64_C(1000000000)
#define DATE_MAX_S INT64_C(7200000000) /* in the year 2198 */

enum {
    REG_SECONDS,
    REG_SECONDS_ALARM,
    REG_MINUTES,
    REG_MINUTES_ALARM,
    REG_HOURS,
    REG_HOURS_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_CENTURY = 0x32, /* where the FADT points */
};

#define A_UIP     0x80
#define A_RATE    0x0f
#define B_SET     0x80
#define B_PIE     0x40
#define B_AIE     0x20
#define B_UIE     0x10
#define B_BINARY  0x04
#define B_24H     0x02
#define C_IRQF    0x80
#define C_PF      0x40
#define C_AF      0x20
#define C_UF      0x10
#define D_VRT     0x80
#define ALARM_ANY 0xc0 /* two top bits set: matches any value */

/* CMOS bytes that say how much RAM there is, low byte first. */
enum {
    CMOS_BASE_KIB = 0x15,
    CMOS_EXTENDED_KIB = 0x17,   /* above 1 MiB, at most 63 MiB */
    CMOS_EXTENDED_KIB_2 = 0x30, /* the same, as found by the POST */
    CMOS_EXTENDED_64KIB = 0x34, /* above 16 MiB and below the PCI hole */
    CMOS_HIGH_64KIB = 0x5b,     /* three bytes: above 4 GiB */
};

static int64_t host_wall_clock_ns(void *opaque)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t guest_now_ns(const struct mc146818 *rtc)
{
    return MAX(rtc->wall_clock_ns(rtc->clock_opaque) + rtc->offset_ns, 0);
}

static uint8_t encode(const struct mc146818 *rtc, int v)
{
    return (uint8_t)(rtc->ram[REG_B] & B_BINARY ? v : (v / 10) << 4 | v % 10);
}

static int decode(const struct mc146818 *rtc, uint8_t v)
{
    return rtc->ram[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 0x0f);
}

static uint8_t encode_hour(const struct mc146818 *rtc, int hour)
{
    if (rtc->ram[REG_B] & B_24H)
        return encode(rtc, hour);
    return (uint8_t)(encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}

static int decode_hour(const struct mc146818 *rtc, uint8_t v)
{
    if (rtc->ram[REG_B] & B_24H)
        return decode(rtc, v);
    return decode(rtc, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* The parts of a date in mc146818.held_fields and below. */
enum { SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY };

/* Which part a register shows; -1: none. */
static int field_of(unsigned reg)
{
    switch (reg) {
    case REG_SECONDS:
        return SECOND;
    case REG_MINUTES:
        return MINUTE;
    case REG_HOURS:
        return HOUR;
    case REG_WEEKDAY:
        return WEEKDAY;
    case REG_DAY:
        return DAY;
    case REG_MONTH:
        return MONTH;
    case REG_YEAR:
        return YEAR;
    case REG_CENTURY:
        return CENTURY;
    default:
        return -1;
    }
}

static void get_fields(const struct mc146818 *rtc, uint8_t f[MC146818_FIELDS])
{
    struct tm tm;
    time_t t = (time_t)(guest_now_ns(rtc) / NS_PER_S);
    if (rtc->held) {
        memcpy(f, rtc->held_fields, MC146818_FIELDS);
        return;
    }
    gmtime_r(&t, &tm);
    f[SECOND] = (uint8_t)tm.tm_sec;
    f[MINUTE] = (uint8_t)tm.tm_min;
    f[HOUR] = (uint8_t)tm.tm_hour;
    f[WEEKDAY] = (uint8_t)(tm.tm_wday + 1);
    f[DAY] = (uint8_t)tm.tm_mday;
    f[MONTH] = (uint8_t)(tm.tm_mon + 1);
    f[YEAR] = (uint8_t)(tm.tm_year % 100);
    f[CENTURY] = (uint8_t)(19 + tm.tm_year / 100);
}

/* Sets the clock; parts out of range carry over, as timegm() does, and the day of the week follows
 * from the date. */
static void set_clock(struct mc146818 *rtc, const uint8_t f[MC146818_FIELDS])
{
    struct tm tm = {.tm_sec = f[SECOND],
                    .tm_min = f[MINUTE],
                    .tm_hour = f[HOUR],
                    .tm_mday = f[DAY],
                    .tm_mon = f[MONTH] - 1,
                    .tm_year = (f[CENTURY] - 19) * 100 + f[YEAR]};
    int64_t now = guest_now_ns(rtc);
    /* From 1970 to 2198: what 64-bit nanoseconds hold, with room for the offset. */
    int64_t seconds = MIN(MAX((int64_t)timegm(&tm), 0), DATE_MAX_S);
    rtc->offset_ns = seconds * NS_PER_S + now % NS_PER_S - rtc->wall_clock_ns(rtc->clock_opaque);
}

static uint8_t read_time(const struct mc146818 *rtc, unsigned reg)
{
    uint8_t f[MC146818_FIELDS];
    int field = field_of(reg);
    get_fields(rtc, f);
    return field == HOUR ? encode_hour(rtc, f[field]) : encode(rtc, f[field]);
}

static void write_time(struct mc146818 *rtc, unsigned reg, uint8_t value)
{
    uint8_t f[MC146818_FIELDS];
    int field = field_of(reg);
    get_fields(rtc, f);
    f[field] = (uint8_t)(field == HOUR ? decode_hour(rtc, value) : decode(rtc, value));
    if (rtc->held)
        memcpy(rtc->held_fields, f, sizeof(f));
    else
        set_clock(rtc, f);
}

static void update_irq(struct mc146818 *rtc)
{
    bool on = rtc->ram[REG_C] & rtc->ram[REG_B] & (C_PF | C_AF | C_UF);
    rtc->ram[REG_C] = (uint8_t)((rtc->ram[REG_C] & ~C_IRQF) | (on ? C_IRQF : 0));
    bus_irq_set(rtc->bus, MEMORY_MAP_IRQ_RTC, on);
}

/* The period of rate selector 1..15 at the 32,768 Hz time base (table 5); 0: none. */
static int64_t period_ns(const struct mc146818 *rtc)
{
    unsigned rate = rtc->ram[REG_A] & A_RATE;
    if (!rate)
        return 0;
    if (rate <= 2)
        rate += 7;
    return (NS_PER_S << (rate - 1)) / 32768;
}

/* Decides when the chip next has to do something by itself. Call with the device lock held. */
static void reschedule(struct mc146818 *rtc)
{
    int64_t now = loop_now_ns(rtc->loop), period = period_ns(rtc);
    uint8_t b = rtc->ram[REG_B];
    if (!(b & B_PIE) || !period)
        rtc->next_periodic_ns = ALARM_OFF;
    else if (rtc->next_periodic_ns == ALARM_OFF)
        rtc->next_periodic_ns = now + period;
    if (!(b & (B_AIE | B_UIE)) || (b & B_SET))
        rtc->next_second_ns = ALARM_OFF;
    else if (rtc->next_second_ns == ALARM_OFF)
        rtc->next_second_ns = now + NS_PER_S - guest_now_ns(rtc) % NS_PER_S;
    alarm_set(&rtc->alarm, MIN(rtc->next_periodic_ns, rtc->next_second_ns));
}

static bool alarm_matches(const struct mc146818 *rtc)
{
    static const unsigned regs[][2] = {{REG_SECONDS, REG_SECONDS_ALARM},
                                       {REG_MINUTES, REG_MINUTES_ALARM},
                                       {REG_HOURS, REG_HOURS_ALARM}};
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        uint8_t want = rtc->ram[regs[i][1]];
        if ((want & ALARM_ANY) != ALARM_ANY && want != read_time(rtc, regs[i][0]))
            return false;
    }
    return true;
}

static void alarm_fired(struct alarm *a)
{
    struct mc146818 *rtc = a->opaque;
    bus_lock(rtc->bus);
    int64_t now = loop_now_ns(rtc->loop);
    if (now >= rtc->next_periodic_ns) {
        int64_t period = period_ns(rtc);
        rtc->ram[REG_C] |= C_PF;
        /* Periods that were missed are dropped: a late guest gets one interrupt, not a storm. */
        rtc->next_periodic_ns =
            period ? rtc->next_periodic_ns + ((now - rtc->next_periodic_ns) / period + 1) * period
                   : ALARM_OFF;
    }
    if (now >= rtc->next_second_ns) {
        rtc->ram[REG_C] |= C_UF;
        if (alarm_matches(rtc))
            rtc->ram[REG_C] |= C_AF;
        rtc->next_second_ns = ALARM_OFF;
    }
    update_irq(rtc);
    reschedule(rtc);
    bus_unlock(rtc->bus);
}

static void write_b(struct mc146818 *rtc, uint8_t value)
{
    bool set = value & B_SET;
    if (set && !rtc->held) {
        get_fields(rtc, rtc->held_fields);
        rtc->held = true;
    } else if (!set && rtc->held) {
        rtc->held = false;
        set_clock(rtc, rtc->held_fields);
    }
    rtc->ram[REG_B] = set ? value & (uint8_t)~B_UIE : value;
}

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mc146818 *rtc = opaque;
    if (offset == 0)
        return rtc->index;
    unsigned reg = rtc->index;
    if (field_of(reg) >= 0)
        return read_time(rtc, reg);
    uint8_t value = rtc->ram[reg];
    if (reg == REG_A) {
        /* An update in progress is seen in the last 244 us of a second. */
        bool updating = !rtc->held && guest_now_ns(rtc) % NS_PER_S > NS_PER_S - 244000;
        value = (uint8_t)((value & ~A_UIP) | (updating ? A_UIP : 0));
    } else if (reg == REG_C) {
        rtc->ram[REG_C] = 0;
        update_irq(rtc);
    } else if (reg == REG_D) {
        value = D_VRT;
    }
    return value;
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct mc146818 *rtc = opaque;
    if (offset == 0) {
        rtc->index = value & 0x7f; /* bit 7 masks NMI on a PC; there is none */
        return;
    }
    unsigned reg = rtc->index;
    if (field_of(reg) >= 0) {
        write_time(rtc, reg, (uint8_t)value);
        rtc->next_second_ns = ALARM_OFF;
    } else if (reg == REG_A) {
        rtc->ram[REG_A] = value & (uint8_t)~A_UIP;
        rtc->next_periodic_ns = ALARM_OFF;
    } else if (reg == REG_B) {
        write_b(rtc, (uint8_t)value);
        update_irq(rtc);
    } else if (reg != REG_C && reg != REG_D) {
        rtc->ram[reg] = (uint8_t)value;
        return;
    }
    reschedule(rtc);
}

static const struct bus_region_ops region_ops = {.read = reg_read, .write = reg_write};

int mc146818_init(struct mc146818 *rtc, struct bus *bus, struct loop *loop,
                  int64_t (*wall_clock_ns)(void *opaque), void *clock_opaque, struct err *err)
{
    memset(rtc, 0, sizeof(*rtc));
    rtc->bus = bus;
    rtc->loop = loop;
    rtc->wall_clock_ns = wall_clock_ns ? wall_clock_ns : host_wall_clock_ns;
    rtc->clock_opaque = clock_opaque;
    rtc->next_periodic_ns = rtc->next_second_ns = ALARM_OFF;
    rtc->ram[REG_A] = 0x26; /* 32,768 Hz divider, 1,024 Hz rate */
    rtc->ram[REG_B] = B_24H;
    alarm_init(&rtc->alarm, loop, alarm_fired, rtc);
    rtc->region = (struct bus_region){.name = "mc146818",
                                      .base = MEMORY_MAP_RTC,
                                      .size = 2,
                                      .ops = &region_ops,
                                      .opaque = rtc,
                                      .bytewise = true};
    return bus_add(bus, BUS_PIO, &rtc->region, err);
}

void mc146818_fini(struct mc146818 *rtc)
{
    if (!rtc->bus)
        return;
    alarm_fini(&rtc->alarm);
    bus_remove(rtc->bus, BUS_PIO, &rtc->region);
    rtc->bus = NULL;
}

void mc146818_reset(struct mc146818 *rtc)
{
    rtc->ram[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE);
    rtc->ram[REG_C] = 0;
    rtc->index = 0;
    update_irq(rtc);
    reschedule(rtc);
}

static void put_size(struct mc146818 *rtc, unsigned reg, unsigned bytes, uint64_t units)
{
    uint64_t max = (UINT64_C(1) << (8 * bytes)) - 1;
    units = MIN(units, max);
    for (unsigned i = 0; i < bytes; i++)
        rtc->ram[reg + i] = (uint8_t)(units >> (8 * i));
}

void mc146818_set_memory(struct mc146818 *rtc, uint64_t low_bytes, uint64_t high_bytes)
{
    uint64_t above_1m = low_bytes > MIB ? low_bytes - MIB : 0;
    uint64_t above_16m = low_bytes > 16 * MIB ? low_bytes - 16 * MIB : 0;
    put_size(rtc, CMOS_BASE_KIB, 2, 640);
    put_size(rtc, CMOS_EXTENDED_KIB, 2, MIN(above_1m / KIB, 63 * KIB));
    put_size(rtc, CMOS_EXTENDED_KIB_2, 2, MIN(above_1m / KIB, 63 * KIB));
    put_size(rtc, CMOS_EXTENDED_64KIB, 2, above_16m / (64 * KIB));
    put_size(rtc, CMOS_HIGH_64KIB, 3, high_bytes / (64 * KIB));
}

#define STATE_VERSION 1

void mc146818_save(const struct mc146818 *rtc, struct state_writer *w)
{
    state_begin(w, "mc146818", 0, STATE_VERSION);
    state_put_u8(w, rtc->index);
    state_put_bytes(w, rtc->ram, sizeof(rtc->ram));
    state_put_u64(w, (uint64_t)rtc->offset_ns);
    state_put_u8(w, rtc->held);
    state_put_bytes(w, rtc->held_fields, sizeof(rtc->held_fields));
    state_end(w);
}

int mc146818_load(struct mc146818 *rtc, struct state_reader *r)
{
    uint8_t ram[MC146818_RAM_BYTES], fields[MC146818_FIELDS];
    if (state_open(r, "mc146818", 0, STATE_VERSION) < 0)
        return -r->err.code;
    uint8_t index = state_get_u8(r);
    state_get_bytes(r, ram, sizeof(ram));
    int64_t offset_ns = (int64_t)state_get_u64(r);
    bool held = state_get_u8(r);
    state_get_bytes(r, fields, sizeof(fields));
    if (index >= MC146818_RAM_BYTES)
        state_invalid(r, "mc146818 index is 0x%x", index);
    if (offset_ns > DATE_MAX_S * NS_PER_S || offset_ns < -DATE_MAX_S * NS_PER_S)
        state_invalid(r, "mc146818 has a clock beyond all dates");
    if (held != ((ram[REG_B] & B_SET) != 0))
        state_invalid(r, "mc146818 holds its registers against its SET bit");
    int ret = state_close(r);
    if (ret)
        return ret;
    rtc->index = index;
    memcpy(rtc->ram, ram, sizeof(ram));
    rtc->offset_ns = offset_ns;
    rtc->held = held;
    memcpy(rtc->held_fields, fields, sizeof(fields));
    rtc->next_periodic_ns = rtc->next_second_ns = ALARM_OFF;
    update_irq(rtc);
    reschedule(rtc);
    return 0;
}
