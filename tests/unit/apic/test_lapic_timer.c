/* The local APIC's timer: one-shot, periodic, TSC deadline. */
#include "apic/lapic.h"

#include "lapic_fixture.h"

static void a_one_shot_timer_fires_once_at_its_time(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x61, 0);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);   /* divide by 1 */
    lapic_mmio_write(a, 0x380, 1000, 50); /* 1000 ns = 2000 ticks of the TSC */
    CHECK_EQ(lapic_next_deadline(a), 2050);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 1050), 500);
    lapic_timer_look(a, 2049);
    CHECK_EQ(lapic_pending_vector(a), -1);
    lapic_timer_look(a, 2050);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 9999), 0);
}

static void a_periodic_timer_makes_one_interrupt_of_periods_that_were_missed(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x20061, 0);
    lapic_mmio_write(a, 0x3e0, 0, 0); /* divide by 2 */
    lapic_mmio_write(a, 0x380, 100, 0);
    CHECK_EQ(lapic_next_deadline(a), 400);
    lapic_timer_look(a, 2100); /* five periods late */
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    lapic_acknowledge(a, 0x61);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(lapic_pending_vector(a), -1);
    CHECK_EQ(lapic_next_deadline(a), 2400);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 2100), 75);
}

static void a_tsc_deadline_fires_and_is_disarmed_by_zero_and_by_another_mode(void)
{
    struct lapic *a = start(1);
    lapic_set_tsc_deadline(a, 500, 0); /* not in that mode: ignored */
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    lapic_mmio_write(a, 0x320, 0x40061, 0);
    lapic_set_tsc_deadline(a, 500, 0);
    CHECK_EQ(lapic_next_deadline(a), 500);
    lapic_set_tsc_deadline(a, 0, 10);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    lapic_set_tsc_deadline(a, 5, 10); /* past: at once */
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    CHECK_EQ(lapic_tsc_deadline(a), 0);
    lapic_set_tsc_deadline(a, 500, 10);
    lapic_mmio_write(a, 0x320, 0x61, 10);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
}

static void a_masked_timer_entry_makes_no_interrupt(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x10061, 0);
    lapic_mmio_write(a, 0x380, 1, 0);
    lapic_timer_look(a, 100);
    CHECK_EQ(lapic_pending_vector(a), -1);
}

/* ---- the timer's corners ---- */

static void every_divider_divides(void)
{
    static const unsigned by[] = {2, 4, 8, 16, 32, 64, 128, 1};
    struct lapic *a = start(1);
    for (unsigned i = 0; i < 8; i++) {
        lapic_mmio_write(a, 0x3e0, (i & 3) | (i & 4) << 1, 0);
        lapic_mmio_write(a, 0x380, 10, 0);
        CHECK_EQ(lapic_next_deadline(a), 10 * 2 * by[i]);
        CHECK_EQ(lapic_mmio_read(a, 0x390, 2 * by[i]), 9);
    }
    lapic_mmio_write(a, 0x380, 0, 0);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
}

static void another_divider_keeps_what_is_left(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);
    lapic_mmio_write(a, 0x380, 1000, 0);
    lapic_mmio_write(a, 0x3e0, 0, 1200); /* 400 are left, and last twice as long */
    CHECK_EQ(lapic_mmio_read(a, 0x390, 1200), 400);
    CHECK_EQ(lapic_next_deadline(a), 1200 + 400 * 4);
}

static void a_count_goes_on_from_one_shot_to_periodic_but_does_not_come_back(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);
    lapic_mmio_write(a, 0x380, 1000, 0);
    lapic_mmio_write(a, 0x320, 0x20061, 500);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 500), 750);
    CHECK_EQ(lapic_next_deadline(a), 2000);
    lapic_mmio_write(a, 0x320, 0x61, 600);
    lapic_timer_look(a, 2000);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    lapic_mmio_write(a, 0x320, 0x20061, 2100); /* it has fired */
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 2500), 0);
}

static void the_reserved_mode_never_fires(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x60061, 0);
    lapic_mmio_write(a, 0x380, 1, 0);
    lapic_set_tsc_deadline(a, 1, 100);
    lapic_timer_look(a, 10000);
    CHECK_EQ(lapic_pending_vector(a), -1);
}

static void what_ran_out_while_masked_does_not_fire_when_unmasked(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x10061, 0);
    lapic_mmio_write(a, 0x380, 100, 0);
    lapic_mmio_write(a, 0x320, 0x61, 1000);
    lapic_timer_look(a, 2000);
    CHECK_EQ(lapic_pending_vector(a), -1);
}

static void what_ran_out_unseen_fires_before_the_timer_is_changed(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x61, 0);
    lapic_mmio_write(a, 0x380, 100, 0);
    lapic_mmio_write(a, 0x320, 0x10061, 1000);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
}

static void a_jump_of_the_tsc_moves_counts_but_not_the_deadline(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x320, 0x20061, 0);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);
    lapic_mmio_write(a, 0x380, 1000, 1000000);
    lapic_tsc_moved(a, 1000500, 100); /* the count began before the new zero */
    CHECK_EQ(lapic_next_deadline(a), 1600);
    CHECK_EQ(lapic_mmio_read(a, 0x390, 100), 750);
    lapic_timer_look(a, 1600);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    CHECK_EQ(lapic_next_deadline(a), 3600);
    lapic_mmio_write(a, 0x320, 0x40061, 1600);
    lapic_set_tsc_deadline(a, 5000, 1600);
    lapic_tsc_moved(a, 1600, 4000);
    CHECK_EQ(lapic_next_deadline(a), 5000);
}

static void a_tsc_near_its_end_does_not_make_a_storm(void)
{
    struct lapic *a = start(1);
    uint64_t end = UINT64_MAX - 10;
    lapic_mmio_write(a, 0x320, 0x20061, 0);
    lapic_mmio_write(a, 0x380, 1000, end);
    lapic_timer_look(a, end);
    CHECK_EQ(lapic_pending_vector(a), -1);
    CHECK(lapic_next_deadline(a) > end);
    lapic_mmio_write(a, 0x380, 1000, 5000);
    lapic_tsc_moved(a, 5000, end);
    CHECK(lapic_next_deadline(a) > end);
}

int main(void)
{
    TAP_RUN(a_one_shot_timer_fires_once_at_its_time);
    TAP_RUN(a_periodic_timer_makes_one_interrupt_of_periods_that_were_missed);
    TAP_RUN(a_tsc_deadline_fires_and_is_disarmed_by_zero_and_by_another_mode);
    TAP_RUN(a_masked_timer_entry_makes_no_interrupt);
    TAP_RUN(every_divider_divides);
    TAP_RUN(another_divider_keeps_what_is_left);
    TAP_RUN(a_count_goes_on_from_one_shot_to_periodic_but_does_not_come_back);
    TAP_RUN(the_reserved_mode_never_fires);
    TAP_RUN(what_ran_out_while_masked_does_not_fire_when_unmasked);
    TAP_RUN(what_ran_out_unseen_fires_before_the_timer_is_changed);
    TAP_RUN(a_jump_of_the_tsc_moves_counts_but_not_the_deadline);
    TAP_RUN(a_tsc_near_its_end_does_not_make_a_storm);
    return tap_done();
}
