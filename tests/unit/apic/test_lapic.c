#include "apic/lapic.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

#define TSC_KHZ 2000000 /* two ticks a nanosecond */

static struct {
    _Atomic unsigned wakes[LAPIC_MAX];
    unsigned n_eois;
    uint8_t eoi;
} seen;

static void wake(void *opaque, unsigned index)
{
    seen.wakes[index]++;
}

static void eoi(void *opaque, uint8_t vector)
{
    seen.n_eois++;
    seen.eoi = vector;
}

static const struct lapic_ops ops = {wake, eoi};
static struct lapic_bus bus;

static struct lapic *start(unsigned n)
{
    memset(&seen, 0, sizeof(seen));
    lapic_bus_init(&bus, n, &ops, NULL);
    for (unsigned i = 0; i < n; i++) {
        lapic_set_tsc_khz(lapic_bus_apic(&bus, i), TSC_KHZ);
        lapic_mmio_write(lapic_bus_apic(&bus, i), 0xf0, 0x1ff, 0);
    }
    return lapic_bus_apic(&bus, 0);
}

static int send(uint64_t address, uint32_t data)
{
    const struct msi_message msg = {address, data};
    return lapic_bus_msi(&bus, &msg);
}

static void to_x2apic(struct lapic *a)
{
    CHECK(lapic_set_base(a, a->base | LAPIC_BASE_X2APIC));
}

static void higher_vectors_come_first_and_lower_ones_wait(void)
{
    struct lapic *a = start(1);
    unsigned woken = seen.wakes[0];
    lapic_post(a, 0x41, false);
    lapic_post(a, 0x52, false);
    CHECK_EQ(seen.wakes[0], woken + 2);
    CHECK_EQ(lapic_pending_vector(a), 0x52);
    lapic_acknowledge(a, 0x52);
    CHECK_EQ(lapic_pending_vector(a), -1); /* 0x41 is of a lower class */
    lapic_post(a, 0x5f, false);
    CHECK_EQ(lapic_pending_vector(a), -1); /* the same class does not interrupt */
    lapic_post(a, 0x61, false);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    lapic_acknowledge(a, 0x61);
    lapic_mmio_write(a, 0xb0, 0, 0);
    lapic_acknowledge(a, 0x5f);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(lapic_pending_vector(a), 0x41);
}

static void the_task_priority_holds_classes_back(void)
{
    struct lapic *a = start(1);
    lapic_post(a, 0x41, false);
    lapic_set_tpr(a, 0x40);
    CHECK_EQ(lapic_pending_vector(a), -1);
    CHECK_EQ(lapic_mmio_read(a, 0xa0, 0), 0x40);
    lapic_set_tpr(a, 0x3f);
    CHECK_EQ(lapic_pending_vector(a), 0x41);
}

static void the_end_of_a_level_interrupt_is_reported_and_of_an_edge_not(void)
{
    struct lapic *a = start(1);
    send(0xfee00000, 0x8041);
    lapic_acknowledge(a, 0x41);
    CHECK_EQ(lapic_mmio_read(a, 0x180 + 0x20, 0), 2);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.n_eois, 1);
    CHECK_EQ(seen.eoi, 0x41);
    send(0xfee00000, 0x0041);
    lapic_acknowledge(a, 0x41);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.n_eois, 1);
}

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

static void x2apic_has_wide_ids_and_faults_on_what_is_reserved(void)
{
    struct lapic *a = start(20);
    uint64_t v = 0;
    CHECK(!lapic_msr_read(a, 0x802, &v, 0)); /* not in that mode yet */
    for (unsigned i = 0; i < 20; i++)
        to_x2apic(&bus.apics[i]);
    CHECK(!lapic_mmio_enabled(a));
    CHECK(lapic_msr_read(&bus.apics[18], 0x802, &v, 0));
    CHECK_EQ(v, 18);
    CHECK(lapic_msr_read(&bus.apics[18], 0x80d, &v, 0));
    CHECK_EQ(v, 0x10004);
    CHECK(lapic_msr_write(a, 0x830, UINT64_C(0x0001000c00000841), 0)); /* logical: 18 and 19 */
    CHECK_EQ(lapic_pending_vector(&bus.apics[18]), 0x41);
    CHECK_EQ(lapic_pending_vector(&bus.apics[19]), 0x41);
    CHECK_EQ(lapic_pending_vector(&bus.apics[17]), -1);
    CHECK(lapic_msr_write(a, 0x83f, 0x55, 0));
    CHECK_EQ(lapic_pending_vector(a), 0x55);
    CHECK(!lapic_msr_write(a, 0x83f, 0x155, 0));
    CHECK(!lapic_msr_write(a, 0x802, 1, 0)); /* read-only */
    CHECK(!lapic_msr_write(a, 0x80b, 1, 0)); /* EOI takes zero */
    CHECK(!lapic_msr_write(a, 0x808, UINT64_C(1) << 32, 0));
    CHECK(!lapic_msr_read(a, 0x80e, &v, 0)); /* no DFR here */
    CHECK(!lapic_msr_read(a, 0x831, &v, 0)); /* no ICR high */
}

static void the_mode_changes_only_where_the_manual_allows(void)
{
    struct lapic *a = start(1);
    uint64_t base = LAPIC_BASE_ADDRESS | LAPIC_BASE_BSP;
    CHECK(!lapic_set_base(a, base | LAPIC_BASE_X2APIC));
    CHECK(!lapic_set_base(a, base | LAPIC_BASE_ENABLE | UINT64_C(0x1000)));
    CHECK(lapic_set_base(a, base | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC));
    CHECK(!lapic_set_base(a, base | LAPIC_BASE_ENABLE)); /* not back */
    CHECK(lapic_set_base(a, base));
    CHECK(!lapic_set_base(a, base | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC));
    CHECK(lapic_set_base(a, base | LAPIC_BASE_ENABLE));
    CHECK(lapic_mmio_enabled(a));
}

static void a_disabled_apic_takes_nothing_and_lets_the_8259_through(void)
{
    struct lapic *a = start(2);
    CHECK(lapic_accepts_extint(a)); /* virtual wire at power-on */
    lapic_mmio_write(a, 0x350, 0x10700, 0);
    CHECK(!lapic_accepts_extint(a));
    lapic_mmio_write(a, 0xf0, 0xff, 0);
    send(0xfee00000, 0x41);
    CHECK_EQ(lapic_pending_vector(a), -1);
    CHECK_EQ(lapic_mmio_read(a, 0x320, 0) >> 16 & 1, 1); /* its entries are masked */
    CHECK(lapic_set_base(a, LAPIC_BASE_ADDRESS | LAPIC_BASE_BSP));
    CHECK(lapic_accepts_extint(a));
    CHECK_EQ(send(0xfee00000, 0x41), -ESRCH);
}

static void state_goes_out_and_in_and_the_timer_goes_on(void)
{
    struct lapic *a = start(2);
    struct kvm_lapic_state s, t;
    lapic_mmio_write(a, 0x320, 0x20061, 0);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);
    lapic_mmio_write(a, 0x380, 1000, 0);
    lapic_post(a, 0x71, true);
    lapic_post(a, 0x45, false);
    lapic_acknowledge(a, 0x71);
    lapic_set_tpr(a, 0x20);
    lapic_get_state(a, &s, 500); /* a quarter of the period has passed */
    lapic_reset(a, true);
    lapic_set_state(a, &s, 10000);
    lapic_get_state(a, &t, 10000);
    CHECK(memcmp(&s, &t, sizeof(s)) == 0);
    CHECK_EQ(lapic_next_deadline(a), 11500);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.n_eois, 1); /* it knew that 0x71 was level-triggered */
    CHECK_EQ(lapic_pending_vector(a), 0x45);
}

static void *post_many(void *arg)
{
    for (unsigned i = 0; i < 20000; i++)
        lapic_post(arg, (uint8_t)(0x20 + i % 200), false);
    atomic_fetch_or(&((struct lapic *)arg)->events, LAPIC_EVENT_NMI);
    return NULL;
}

static void what_is_posted_from_another_thread_is_never_lost(void)
{
    struct lapic *a = start(1);
    pthread_t thread;
    unsigned taken = 0;
    bool over = false, had[256] = {false};
    REQUIRE(pthread_create(&thread, NULL, post_many, a) == 0);
    for (;;) {
        int v = lapic_pending_vector(a);
        if (v < 0 && over)
            break;
        over = over || lapic_take_nmi(a);
        if (v < 0)
            continue;
        lapic_acknowledge(a, v);
        had[v] = true;
        taken++;
        lapic_mmio_write(a, 0xb0, 0, 0);
    }
    pthread_join(thread, NULL);
    CHECK(taken >= 200);
    for (unsigned v = 0x20; v < 0x20 + 200; v++)
        CHECK(had[v]);
}

int main(void)
{
    TAP_RUN(higher_vectors_come_first_and_lower_ones_wait);
    TAP_RUN(the_task_priority_holds_classes_back);
    TAP_RUN(the_end_of_a_level_interrupt_is_reported_and_of_an_edge_not);
    TAP_RUN(messages_find_physical_logical_and_all_destinations);
    TAP_RUN(lowest_priority_goes_to_one_of_them_in_turn);
    TAP_RUN(init_and_sipi_are_events_with_a_vector);
    TAP_RUN(a_one_shot_timer_fires_once_at_its_time);
    TAP_RUN(a_periodic_timer_makes_one_interrupt_of_periods_that_were_missed);
    TAP_RUN(a_tsc_deadline_fires_and_is_disarmed_by_zero_and_by_another_mode);
    TAP_RUN(a_masked_timer_entry_makes_no_interrupt);
    TAP_RUN(x2apic_has_wide_ids_and_faults_on_what_is_reserved);
    TAP_RUN(the_mode_changes_only_where_the_manual_allows);
    TAP_RUN(a_disabled_apic_takes_nothing_and_lets_the_8259_through);
    TAP_RUN(state_goes_out_and_in_and_the_timer_goes_on);
    TAP_RUN(what_is_posted_from_another_thread_is_never_lost);
    return tap_done();
}
