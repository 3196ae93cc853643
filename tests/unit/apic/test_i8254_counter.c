#include "apic/i8254_counter.h"

#include "tap.h"

static struct i8254_counter c;

static void program(uint8_t word, uint16_t count)
{
    i8254_counter_init(&c, true);
    i8254_counter_control(&c, word);
    i8254_counter_write(&c, 0, (uint8_t)count);
    i8254_counter_write(&c, 0, (uint8_t)(count >> 8));
}

static unsigned read16(uint64_t now)
{
    unsigned low = i8254_counter_read(&c, now);
    return low | (unsigned)i8254_counter_read(&c, now) << 8;
}

static void mode_0_rises_once_and_counts_on(void)
{
    program(0x30, 100);
    CHECK(!i8254_counter_output(&c, 0));
    CHECK(!i8254_counter_output(&c, 99));
    CHECK(i8254_counter_output(&c, 100));
    CHECK_EQ(i8254_counter_next_rise(&c, 10), 100);
    CHECK(i8254_counter_next_rise(&c, 100) == I8254_COUNTER_NEVER);
    CHECK_EQ(read16(40), 60);
    CHECK_EQ(read16(101), 0xffff);
    i8254_counter_write(&c, 200, 5); /* the first byte stops it and lowers the output */
    CHECK(!i8254_counter_output(&c, 5000));
    i8254_counter_write(&c, 5000, 0);
    CHECK(i8254_counter_output(&c, 5005));
}

static void mode_0_stands_still_while_the_gate_is_low(void)
{
    program(0x30, 100);
    i8254_counter_set_gate(&c, 30, false);
    CHECK_EQ(read16(1000), 70);
    CHECK(i8254_counter_next_rise(&c, 1000) == I8254_COUNTER_NEVER);
    i8254_counter_set_gate(&c, 1000, true);
    CHECK_EQ(i8254_counter_next_rise(&c, 1000), 1070);
}

static void mode_1_is_a_one_shot_that_the_gate_triggers(void)
{
    program(0x32, 10);
    CHECK(i8254_counter_output(&c, 5));
    i8254_counter_set_gate(&c, 20, false);
    i8254_counter_set_gate(&c, 30, true);
    CHECK(!i8254_counter_output(&c, 30));
    CHECK(!i8254_counter_output(&c, 39));
    CHECK(i8254_counter_output(&c, 40));
    CHECK_EQ(i8254_counter_next_rise(&c, 35), 40);
}

static void mode_2_is_low_for_the_last_tick_of_each_period(void)
{
    program(0x34, 1000);
    CHECK(i8254_counter_output(&c, 998));
    CHECK(!i8254_counter_output(&c, 999));
    CHECK(i8254_counter_output(&c, 1000));
    CHECK_EQ(i8254_counter_next_rise(&c, 0), 1000);
    CHECK_EQ(i8254_counter_next_rise(&c, 1000), 2000);
    CHECK_EQ(read16(0), 1000);
    CHECK_EQ(read16(999), 1);
    i8254_counter_set_gate(&c, 1500, false);
    CHECK(i8254_counter_output(&c, 1999));
    i8254_counter_set_gate(&c, 5000, true);
    CHECK_EQ(i8254_counter_next_rise(&c, 5000), 6000);
}

static void mode_3_is_a_square_wave(void)
{
    program(0x36, 9);
    CHECK(i8254_counter_output(&c, 4));
    CHECK(!i8254_counter_output(&c, 5));
    CHECK(!i8254_counter_output(&c, 8));
    CHECK(i8254_counter_output(&c, 9));
    program(0x3e, 0); /* mode 7 is mode 3; 0 is 65536 */
    CHECK_EQ(c.mode, 3);
    CHECK(i8254_counter_output(&c, 32767));
    CHECK(!i8254_counter_output(&c, 32768));
    CHECK_EQ(read16(16384), 32768);
}

static void modes_4_and_5_strobe_for_one_tick(void)
{
    program(0x38, 10);
    CHECK(i8254_counter_output(&c, 9) && !i8254_counter_output(&c, 10));
    CHECK(i8254_counter_output(&c, 11));
    CHECK_EQ(i8254_counter_next_rise(&c, 0), 11);
    program(0x3a, 10);
    CHECK(i8254_counter_next_rise(&c, 0) == I8254_COUNTER_NEVER);
    i8254_counter_set_gate(&c, 100, false);
    i8254_counter_set_gate(&c, 100, true);
    CHECK(!i8254_counter_output(&c, 110) && i8254_counter_output(&c, 111));
}

static void a_latched_count_and_status_are_read_first(void)
{
    program(0x34, 0x1234);
    i8254_counter_latch(&c, 0x34);
    i8254_counter_latch(&c, 0x100); /* ignored */
    i8254_counter_latch_status(&c, 0x100);
    CHECK_EQ(i8254_counter_read(&c, 0x200), 0xb4); /* OUT, both bytes, mode 2 */
    CHECK_EQ(i8254_counter_read(&c, 0x200), 0x00);
    CHECK_EQ(i8254_counter_read(&c, 0x200), 0x12);
    CHECK_EQ(read16(0x34), 0x1200);
    i8254_counter_control(&c, 0x34);
    i8254_counter_latch_status(&c, 0);
    CHECK_EQ(i8254_counter_read(&c, 0), 0xf4); /* null count */
}

static void single_byte_access_reads_and_writes_one_half(void)
{
    program(0x14, 0); /* low byte only, two writes: both are whole counts */
    i8254_counter_write(&c, 0, 200);
    CHECK_EQ(c.count, 200);
    CHECK_EQ(i8254_counter_read(&c, 50), 150);
    i8254_counter_control(&c, 0x24);
    i8254_counter_write(&c, 0, 0x12);
    CHECK_EQ(c.count, 0x1200);
    CHECK_EQ(i8254_counter_read(&c, 0x200), 0x10);
}

static void bcd_counts_in_decimal(void)
{
    program(0x35, 0x1000);
    CHECK_EQ(c.count, 1000);
    CHECK_EQ(read16(1), 0x0999);
    program(0x35, 0);
    CHECK_EQ(c.count, 10000);
    program(0x31, 0x0010);
    CHECK_EQ(read16(11), 0x9999);
}

int main(void)
{
    TAP_RUN(mode_0_rises_once_and_counts_on);
    TAP_RUN(mode_0_stands_still_while_the_gate_is_low);
    TAP_RUN(mode_1_is_a_one_shot_that_the_gate_triggers);
    TAP_RUN(mode_2_is_low_for_the_last_tick_of_each_period);
    TAP_RUN(mode_3_is_a_square_wave);
    TAP_RUN(modes_4_and_5_strobe_for_one_tick);
    TAP_RUN(a_latched_count_and_status_are_read_first);
    TAP_RUN(single_byte_access_reads_and_writes_one_half);
    TAP_RUN(bcd_counts_in_decimal);
    return tap_done();
}
