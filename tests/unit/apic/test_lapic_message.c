/* Messages to local APICs: destinations, MSIs, IPIs, INIT and SIPI. */
#include "apic/lapic.h"

#include "lapic_fixture.h"

static void messages_find_physical_logical_and_all_destinations(void)
{
    start(4);
    CHECK_EQ(send(0xfee00000 | 2 << 12, 0x31), 0);
    CHECK_EQ(lapic_pending_vector(&bus.apics[2]), 0x31);
    CHECK_EQ(lapic_pending_vector(&bus.apics[1]), -1);
    CHECK_EQ(send(0xfee00000 | 9 << 12, 0x31), -ESRCH);
    for (unsigned i = 0; i < 4; i++) {
        lapic_mmio_write(&bus.apics[i], 0xd0, 1u << (24 + i), 0);
        lapic_mmio_write(&bus.apics[i], 0xe0, UINT32_MAX, 0);
    }
    CHECK_EQ(send(0xfee00004 | 0xa << 12, 0x42), 0); /* flat: 1 and 3 */
    CHECK_EQ(lapic_pending_vector(&bus.apics[0]), -1);
    CHECK_EQ(lapic_pending_vector(&bus.apics[1]), 0x42);
    CHECK_EQ(lapic_pending_vector(&bus.apics[3]), 0x42);
    for (unsigned i = 0; i < 4; i++) {
        lapic_mmio_write(&bus.apics[i], 0xe0, 0x0fffffff, 0);
        lapic_mmio_write(&bus.apics[i], 0xd0, (i / 2) << 28 | 1u << (24 + i % 2), 0);
    }
    CHECK_EQ(send(0xfee00004 | 0x13 << 12, 0x53), 0); /* cluster 1: 2 and 3 */
    CHECK_EQ(lapic_pending_vector(&bus.apics[1]), 0x42);
    CHECK_EQ(lapic_pending_vector(&bus.apics[2]), 0x53);
    CHECK_EQ(lapic_pending_vector(&bus.apics[3]), 0x53);
    CHECK_EQ(send(0xfee00000 | 0xff << 12, 0x64), 0);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(lapic_pending_vector(&bus.apics[i]), 0x64);
}

static void lowest_priority_goes_to_one_of_them_in_turn(void)
{
    start(3);
    unsigned got = 0;
    for (unsigned n = 0; n < 3; n++) {
        CHECK_EQ(send(0xfee00000 | 0xff << 12, 0x140 + n), 0);
        for (unsigned i = 0; i < 3; i++)
            if (lapic_pending_vector(&bus.apics[i]) == (int)(0x40 + n))
                got |= 1u << i;
    }
    CHECK_EQ(got, 7);
}

static void init_and_sipi_are_events_with_a_vector(void)
{
    struct lapic *a = start(2);
    uint8_t vector = 0;
    lapic_mmio_write(a, 0x310, 1u << 24, 0);
    lapic_mmio_write(a, 0x300, 0x4500, 0);
    CHECK(lapic_take_init(&bus.apics[1]));
    CHECK(!lapic_take_init(&bus.apics[1]));
    lapic_mmio_write(a, 0x300, 0x8500, 0); /* level, de-assert: nothing */
    CHECK(!lapic_take_init(&bus.apics[1]));
    lapic_mmio_write(a, 0x300, 0x4699, 0);
    CHECK(lapic_take_sipi(&bus.apics[1], &vector));
    CHECK_EQ(vector, 0x99);
    CHECK(!lapic_take_sipi(&bus.apics[1], &vector));
    lapic_mmio_write(a, 0x300, 0x000c4400, 0); /* NMI to all but self */
    CHECK(lapic_take_nmi(&bus.apics[1]));
    CHECK(!lapic_take_nmi(a));
    lapic_mmio_write(a, 0x300, 0x00044041, 0); /* self */
    CHECK_EQ(lapic_pending_vector(a), 0x41);
}

/* ---- what is rarer ---- */

static void an_init_cancels_the_sipi_before_it_and_comes_before_the_next(void)
{
    struct lapic *a = start(2), *b = lapic_bus_apic(&bus, 1);
    uint8_t vector = 0;
    lapic_mmio_write(a, 0x310, 1u << 24, 0);
    lapic_mmio_write(a, 0x300, 0x4612, 0);
    lapic_mmio_write(a, 0x300, 0x4500, 0);
    CHECK(!lapic_take_sipi(b, &vector));
    CHECK(lapic_take_init(b));
    CHECK(!lapic_take_sipi(b, &vector));
    lapic_mmio_write(a, 0x300, 0x4500, 0);
    lapic_mmio_write(a, 0x300, 0x4634, 0);
    lapic_post_nmi(b);
    CHECK(!lapic_take_sipi(b, &vector)); /* the INIT is first */
    CHECK(lapic_take_init(b));
    CHECK(lapic_take_sipi(b, &vector));
    CHECK_EQ(vector, 0x34);
    CHECK(lapic_take_nmi(b));
    CHECK_EQ(atomic_load(&b->events), 0);
}

static void shorthands_reach_self_all_and_the_others(void)
{
    struct lapic *a = start(3);
    lapic_mmio_write(a, 0x300, 0x00084041, 0); /* all */
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(lapic_pending_vector(&bus.apics[i]), 0x41);
    lapic_mmio_write(a, 0x300, 0x000c4052, 0); /* the others */
    CHECK_EQ(lapic_pending_vector(a), 0x41);
    CHECK_EQ(lapic_pending_vector(&bus.apics[1]), 0x52);
    CHECK_EQ(lapic_pending_vector(&bus.apics[2]), 0x52);
    lapic_mmio_write(a, 0x300, 0x00044500, 0); /* INIT to oneself does not exist */
    lapic_mmio_write(a, 0x300, 0x00084500, 0);
    lapic_mmio_write(a, 0x300, 0x00084610, 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(atomic_load(&bus.apics[i].events), 0);
    lapic_mmio_write(a, 0x300, 0x000c4500, 0);
    CHECK(!lapic_take_init(a));
    CHECK(lapic_take_init(&bus.apics[1]));
    CHECK(lapic_take_init(&bus.apics[2]));
    lapic_mmio_write(a, 0x300, 0x000c4200, 0); /* SMI: nothing */
    CHECK_EQ(atomic_load(&bus.apics[1].events), 0);
    CHECK_EQ(lapic_mmio_read(a, 0x300, 0) & 0x1000, 0);
}

static void an_ipi_is_edge_triggered_whatever_it_says(void)
{
    struct lapic *a = start(1);
    lapic_mmio_write(a, 0x300, 0x0004c041, 0);
    lapic_acknowledge(a, 0x41);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.n_eois, 0);
}

static void messages_may_be_redirected_or_none(void)
{
    struct lapic *a = start(3);
    for (unsigned i = 0; i < 3; i++)
        lapic_mmio_write(&bus.apics[i], 0xd0, 1u << (24 + i), 0);
    CHECK_EQ(send(0xfee0000c | 7 << 12, 0x41), 0); /* the hint: one of three */
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++)
        n += lapic_pending_vector(&bus.apics[i]) == 0x41;
    CHECK_EQ(n, 1);
    CHECK_EQ(send(0xfed00000, 0x55), -ESRCH);   /* not the window of messages */
    CHECK_EQ(send(0xfee00000, 0x0655), -ESRCH); /* SIPI and ExtINT are none */
    CHECK_EQ(send(0xfee00000, 0x0755), -ESRCH);
    CHECK_EQ(send(0xfee00000, 0x0255), -ESRCH);
    CHECK_EQ(atomic_load(&a->events), 0);
    lapic_mmio_write(a, 0xe0, 0x7fffffff, 0); /* neither flat nor cluster */
    CHECK_EQ(send(0xfee00004 | 1 << 12, 0x55), -ESRCH);
}

static void x2apics_take_wide_messages_and_the_wide_broadcast(void)
{
    start(20);
    for (unsigned i = 0; i < 20; i++)
        to_x2apic(&bus.apics[i]);
    CHECK_EQ(send(UINT64_C(0xfee00000) | 0xff << 12, 0x41), -ESRCH); /* an id like any other */
    CHECK_EQ(send(UINT64_C(0xffffff00fee00000) | 0xff << 12, 0x41), 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(lapic_pending_vector(&bus.apics[i]), 0x41);
    CHECK_EQ(send(UINT64_C(0x00010000fee00004) | 3 << 12, 0x52), 0); /* cluster 1: 16 and 17 */
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(lapic_pending_vector(&bus.apics[i]), i == 16 || i == 17 ? 0x52 : 0x41);
    CHECK_EQ(send(UINT64_C(0x00000100fee00000), 0x63), -ESRCH); /* id 256 */
}

int main(void)
{
    TAP_RUN(messages_find_physical_logical_and_all_destinations);
    TAP_RUN(lowest_priority_goes_to_one_of_them_in_turn);
    TAP_RUN(init_and_sipi_are_events_with_a_vector);
    TAP_RUN(an_init_cancels_the_sipi_before_it_and_comes_before_the_next);
    TAP_RUN(shorthands_reach_self_all_and_the_others);
    TAP_RUN(an_ipi_is_edge_triggered_whatever_it_says);
    TAP_RUN(messages_may_be_redirected_or_none);
    TAP_RUN(x2apics_take_wide_messages_and_the_wide_broadcast);
    return tap_done();
}
