#include "dev/chipset/mc146818.h"

#include "chipset_fixture.h"
#include "tap.h"

#define IRQ 8

enum {
    SEC,
    SEC_A,
    MIN_,
    MIN_A,
    HOUR,
    HOUR_A,
    WDAY,
    DAY,
    MON,
    YEAR,
    RA,
    RB,
    RC,
    RD,
    CENTURY = 0x32
};

/* 2026-11-21 08:33:41.25 UTC, a Saturday. */
#define NOW (INT64_C(1795250021) * S + 250 * MS)

struct rtc_test {
    struct fixture f;
    struct mc146818 rtc;
    int64_t base_ns;
};

static int64_t wall(void *opaque)
{
    struct rtc_test *t = opaque;
    return t->base_ns + loop_now_ns(t->f.loop);
}

static void begin(struct rtc_test *t)
{
    memset(t, 0, sizeof(*t));
    fixture_init(&t->f);
    t->base_ns = NOW - loop_now_ns(t->f.loop);
    CHECK_EQ(mc146818_init(&t->rtc, &t->f.bus, t->f.loop, wall, t, NULL), 0);
}

static void end(struct rtc_test *t)
{
    mc146818_fini(&t->rtc);
    fixture_fini(&t->f);
}

static uint8_t rd(struct rtc_test *t, unsigned reg)
{
    out(&t->f, 0x70, 1, reg);
    return (uint8_t)in(&t->f, 0x71, 1);
}

static void wr(struct rtc_test *t, unsigned reg, uint8_t v)
{
    out(&t->f, 0x70, 1, reg);
    out(&t->f, 0x71, 1, v);
}

static void tells_the_hosts_time_in_bcd_and_binary(void)
{
    static const uint8_t bcd[][2] = {{SEC, 0x41}, {MIN_, 0x33}, {HOUR, 0x08}, {WDAY, 7},
                                     {DAY, 0x21}, {MON, 0x11},  {YEAR, 0x26}, {CENTURY, 0x20}};
    struct rtc_test t;
    begin(&t);
    for (unsigned i = 0; i < ARRAY_LEN(bcd); i++)
        CHECK_EQ(rd(&t, bcd[i][0]), bcd[i][1]);
    wr(&t, RB, 0x06);
    CHECK_EQ(rd(&t, SEC), 41);
    CHECK_EQ(rd(&t, YEAR), 26);
    loop_advance_ns(t.f.loop, 12 * 3600 * S);
    wr(&t, RB, 0x04); /* 12-hour mode: 20:33 is 8 p.m. */
    CHECK_EQ(rd(&t, HOUR), 0x88);
    CHECK_EQ(rd(&t, RD), 0x80);
    end(&t);
}

static void keeps_a_time_that_is_set_and_goes_on_from_it(void)
{
    static const uint8_t set[][2] = {{SEC, 0x58}, {MIN_, 0x59}, {HOUR, 0x23},   {DAY, 0x31},
                                     {MON, 0x12}, {YEAR, 0x99}, {CENTURY, 0x20}};
    struct rtc_test t;
    begin(&t);
    wr(&t, RB, 0x82);
    for (unsigned i = 0; i < ARRAY_LEN(set); i++)
        wr(&t, set[i][0], set[i][1]);
    loop_advance_ns(t.f.loop, 10 * S);
    CHECK_EQ(rd(&t, SEC), 0x58); /* stands still while SET is on */
    wr(&t, RB, 0x02);
    loop_advance_ns(t.f.loop, 3 * S);
    CHECK_EQ(rd(&t, SEC), 0x01);
    CHECK_EQ(rd(&t, MON), 0x01);
    CHECK_EQ(rd(&t, YEAR), 0x00);
    CHECK_EQ(rd(&t, CENTURY), 0x21);
    end(&t);
}

static void interrupts_at_the_alarm_once_a_day(void)
{
    struct rtc_test t;
    begin(&t);
    wr(&t, SEC_A, 0x45);
    wr(&t, MIN_A, 0x33);
    wr(&t, HOUR_A, 0x08);
    wr(&t, RB, 0x22);
    loop_advance_ns(t.f.loop, 3500 * MS);
    CHECK(!t.f.level[IRQ]);
    loop_advance_ns(t.f.loop, 500 * MS);
    CHECK(t.f.level[IRQ]);
    CHECK_EQ(rd(&t, RC) & 0xa0, 0xa0);
    CHECK(!t.f.level[IRQ]); /* reading C acknowledges */
    CHECK_EQ(rd(&t, RC), 0);
    loop_advance_ns(t.f.loop, 60 * S);
    CHECK_EQ(t.f.rises[IRQ], 1);
    end(&t);
}

static void takes_dont_care_in_the_alarm(void)
{
    struct rtc_test t;
    begin(&t);
    wr(&t, SEC_A, 0xff);
    wr(&t, MIN_A, 0xc0);
    wr(&t, HOUR_A, 0xff);
    wr(&t, RB, 0x22);
    for (unsigned i = 0; i < 5; i++) {
        loop_advance_ns(t.f.loop, S);
        CHECK_EQ(rd(&t, RC) & 0x20, 0x20);
    }
    end(&t);
}

static void interrupts_after_each_update(void)
{
    struct rtc_test t;
    begin(&t);
    wr(&t, RB, 0x12);
    loop_advance_ns(t.f.loop, 749 * MS);
    CHECK(!t.f.level[IRQ]);
    loop_advance_ns(t.f.loop, 1 * MS);
    CHECK(t.f.level[IRQ]);
    CHECK_EQ(rd(&t, SEC), 0x42);
    rd(&t, RC);
    loop_advance_ns(t.f.loop, S);
    CHECK_EQ(t.f.rises[IRQ], 2);
    wr(&t, RB, 0x92); /* SET switches update interrupts off */
    CHECK_EQ(rd(&t, RB), 0x82);
    end(&t);
}

static void interrupts_periodically_and_drops_what_nobody_took(void)
{
    struct rtc_test t;
    begin(&t);
    wr(&t, RA, 0x2a); /* 64 Hz */
    wr(&t, RB, 0x42);
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++) {
        loop_advance_ns(t.f.loop, 1 * MS);
        n += (rd(&t, RC) & 0x40) != 0;
    }
    CHECK_EQ(n, 64);
    loop_advance_ns(t.f.loop, S);
    CHECK(rd(&t, RC) & 0x40);
    CHECK_EQ(rd(&t, RC), 0);
    wr(&t, RA, 0x20); /* rate 0: none */
    loop_advance_ns(t.f.loop, S);
    CHECK_EQ(rd(&t, RC), 0);
    end(&t);
}

static void shows_an_update_in_progress_just_before_the_second(void)
{
    struct rtc_test t;
    begin(&t);
    CHECK_EQ(rd(&t, RA) & 0x80, 0);
    loop_advance_ns(t.f.loop, 749 * MS + 900000);
    CHECK_EQ(rd(&t, RA) & 0x80, 0x80);
    loop_advance_ns(t.f.loop, 100000);
    CHECK_EQ(rd(&t, RA) & 0x80, 0);
    end(&t);
}

static void has_cmos_ram_with_the_memory_sizes(void)
{
    struct rtc_test t;
    begin(&t);
    mc146818_set_memory(&t.rtc, 3 * GIB, 5 * GIB);
    CHECK_EQ(rd(&t, 0x15) | rd(&t, 0x16) << 8, 640);
    CHECK_EQ(rd(&t, 0x30) | rd(&t, 0x31) << 8, 63 * 1024);
    CHECK_EQ(rd(&t, 0x34) | rd(&t, 0x35) << 8, (3 * GIB - 16 * MIB) / (64 * KIB));
    CHECK_EQ(rd(&t, 0x5b) | rd(&t, 0x5c) << 8 | rd(&t, 0x5d) << 16, 5 * GIB / (64 * KIB));
    wr(&t, 0x7f, 0x5a);
    CHECK_EQ(rd(&t, 0x7f), 0x5a);
    mc146818_reset(&t.rtc);
    CHECK_EQ(rd(&t, 0x7f), 0x5a);
    end(&t);
}

static void takes_any_width_at_any_offset(void)
{
    struct rtc_test t;
    begin(&t);
    for (unsigned index = 0; index < 256; index++) {
        out(&t.f, 0x70, 1, index);
        fixture_touch_all(&t.f, 0x70, 2);
        out(&t.f, 0x70, 1, index);
        out(&t.f, 0x71, 1, 0xff);
        in(&t.f, 0x71, 1);
        loop_advance_ns(t.f.loop, 100 * MS);
    }
    end(&t);
}

static void saves_and_loads_time_and_ram(void)
{
    struct rtc_test a, b;
    struct state_writer w;
    struct state_reader r;
    begin(&a);
    begin(&b);
    wr(&a, YEAR, 0x30);
    wr(&a, 0x40, 0x99);
    wr(&a, RA, 0x2a);
    wr(&a, RB, 0x42);
    loop_advance_ns(a.f.loop, S);
    loop_advance_ns(b.f.loop, S);
    state_writer_init(&w);
    mc146818_save(&a.rtc, &w);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(mc146818_load(&b.rtc, &r), 0);
    CHECK_EQ(rd(&b, YEAR), 0x30);
    CHECK_EQ(rd(&b, 0x40), 0x99);
    CHECK(b.f.level[IRQ]);
    rd(&b, RC);
    loop_advance_ns(b.f.loop, 20 * MS);
    CHECK_EQ(rd(&b, RC) & 0x40, 0x40); /* the period goes on */
    /* A clock beyond all dates is refused. */
    memset(w.data + 32 + 1 + MC146818_RAM_BYTES, 0x7f, 8); /* offset_ns */
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(mc146818_load(&b.rtc, &r) < 0);
    state_writer_fini(&w);
    end(&a);
    end(&b);
}

int main(void)
{
    TAP_RUN(tells_the_hosts_time_in_bcd_and_binary);
    TAP_RUN(keeps_a_time_that_is_set_and_goes_on_from_it);
    TAP_RUN(interrupts_at_the_alarm_once_a_day);
    TAP_RUN(takes_dont_care_in_the_alarm);
    TAP_RUN(interrupts_after_each_update);
    TAP_RUN(interrupts_periodically_and_drops_what_nobody_took);
    TAP_RUN(shows_an_update_in_progress_just_before_the_second);
    TAP_RUN(has_cmos_ram_with_the_memory_sizes);
    TAP_RUN(takes_any_width_at_any_offset);
    TAP_RUN(saves_and_loads_time_and_ram);
    return tap_done();
}
