#include "apic/lapic.h"

#include "lapic_fixture.h"

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

/* ---- what is rarer ---- */

static void the_end_of_an_interrupt_is_of_the_highest_in_service(void)
{
    struct lapic *a = start(1);
    lapic_post(a, 0x41, true);
    lapic_acknowledge(a, 0x41);
    lapic_post(a, 0x81, true);
    lapic_acknowledge(a, 0x81);
    CHECK_EQ(lapic_mmio_read(a, 0xa0, 0), 0x80);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.eoi, 0x81);
    CHECK_EQ(lapic_mmio_read(a, 0xa0, 0), 0x40);
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.eoi, 0x41);
    lapic_mmio_write(a, 0xb0, 0, 0); /* none in service */
    CHECK_EQ(seen.n_eois, 2);
}

static void a_lower_priority_wakes_the_vcpu_for_what_waited(void)
{
    struct lapic *a = start(1);
    lapic_set_tpr(a, 0x40);
    lapic_post(a, 0x31, false);
    unsigned before = seen.wakes[0];
    lapic_set_tpr(a, 0x38);
    CHECK_EQ(seen.wakes[0], before);
    lapic_set_tpr(a, 0x20);
    CHECK_EQ(seen.wakes[0], before + 1);
    lapic_acknowledge(a, 0x31);
    lapic_post(a, 0x30, false);
    before = seen.wakes[0];
    lapic_mmio_write(a, 0xb0, 0, 0);
    CHECK_EQ(seen.wakes[0], before + 1);
}

static void registers_are_at_multiples_of_16_only(void)
{
    struct lapic *a = start(1);
    lapic_post(a, 0x41, false);
    lapic_acknowledge(a, 0x41);
    lapic_mmio_write(a, 0xb4, 0, 0); /* no EOI */
    CHECK_EQ(lapic_mmio_read(a, 0xa0, 0), 0x40);
    CHECK_EQ(lapic_mmio_read(a, 0xa4, 0), 0);
    lapic_mmio_write(a, 0x30, 0, 0); /* read-only */
    CHECK_EQ(lapic_mmio_read(a, 0x30, 0), 0x00050014);
    CHECK_EQ(lapic_mmio_read(a, 0xff0, 0), 0);
    lapic_mmio_write(a, 0x350, UINT32_MAX, 0);
    CHECK_EQ(lapic_mmio_read(a, 0x350, 0), 0x1a7ff);
}

static void reserved_vectors_are_errors_that_interrupt_once(void)
{
    struct lapic *a = start(2);
    lapic_mmio_write(a, 0x370, 0xfe, 0);
    CHECK_EQ(send(0xfee00000, 0x0f), -ESRCH); /* received */
    CHECK_EQ(lapic_pending_vector(a), 0xfe);
    CHECK_EQ(lapic_mmio_read(a, 0x280, 0), 0); /* not before it is written */
    lapic_acknowledge(a, 0xfe);
    lapic_mmio_write(a, 0xb0, 0, 0);
    lapic_mmio_write(a, 0x300, 0x000c400f, 0); /* sent */
    CHECK_EQ(lapic_pending_vector(a), -1);     /* until ESR is written */
    CHECK_EQ(atomic_load(&bus.apics[1].esr_pending), 0);
    lapic_mmio_write(a, 0x280, 0, 0);
    CHECK_EQ(lapic_mmio_read(a, 0x280, 0), 0x60);
    lapic_mmio_write(a, 0x280, 0, 0);
    CHECK_EQ(lapic_mmio_read(a, 0x280, 0), 0);
    lapic_mmio_write(a, 0x300, 0x0004400f, 0);
    CHECK_EQ(lapic_pending_vector(a), 0xfe);
}

static void software_disabling_keeps_what_was_accepted_and_locks_the_masks(void)
{
    struct lapic *a = start(2);
    lapic_mmio_write(a, 0x320, 0x61, 0);
    lapic_post(a, 0x41, false);
    lapic_mmio_write(a, 0xf0, 0xff, 0);
    CHECK_EQ(lapic_pending_vector(a), 0x41);
    CHECK_EQ(send(0xfee00000, 0x8051), -ESRCH); /* or the IOAPIC would wait for an EOI */
    CHECK_EQ(send(0xfee00000, 0x0400), 0);      /* but NMIs come through */
    CHECK(lapic_take_nmi(a));
    lapic_mmio_write(a, 0x320, 0x61, 0);
    CHECK_EQ(lapic_mmio_read(a, 0x320, 0), 0x10061);
    lapic_mmio_write(a, 0xf0, 0x1ff, 0);
    lapic_mmio_write(a, 0x320, 0x61, 0);
    CHECK_EQ(lapic_mmio_read(a, 0x320, 0), 0x61);
    lapic_mmio_write(&bus.apics[1], 0xf0, 0xff, 0);
    for (unsigned n = 0; n < 4; n++) /* lowest priority passes the disabled one by */
        CHECK_EQ(send(0xfee00000 | 0xff << 12, 0x0171), 0);
    CHECK_EQ(lapic_pending_vector(&bus.apics[1]), -1);
}

static void x2apic_registers_fault_one_by_one(void)
{
    static const struct {
        uint32_t msr;
        uint64_t good, bad;
    } writable[] = {
        {0x808, 0xff, 0x100},
        {0x80b, 0, 1},
        {0x80f, 0x3ff, 0x1000},
        {0x828, 0, 1},
        {0x830, 0xc0841, 0x10841},
        {0x832, 0x50021, 0x60021},
        {0x833, 0x10200, 0x12000},
        {0x834, 0x10400, 0x18000},
        {0x835, 0x1f7ff, 0x20000},
        {0x836, 0x1f7ff, UINT64_C(1) << 32},
        {0x837, 0x110fe, 0x100fe + 0x100},
        {0x838, UINT32_MAX, UINT64_C(1) << 32},
        {0x83e, 0xb, 0x4},
        {0x83f, 0xff, 0x100},
    };
    static const uint32_t read_only[] = {0x802, 0x803, 0x80a, 0x80d, 0x810, 0x81f, 0x827, 0x839};
    static const uint32_t absent[] = {0x800, 0x801, 0x804, 0x809, 0x80c, 0x80e, 0x829,
                                      0x82f, 0x831, 0x83a, 0x83d, 0x840, 0x8ff};
    struct lapic *a = start(1);
    uint64_t v;
    to_x2apic(a);
    for (unsigned i = 0; i < ARRAY_LEN(writable); i++) {
        CHECK(lapic_msr_write(a, writable[i].msr, writable[i].good, 0));
        CHECK(!lapic_msr_write(a, writable[i].msr, writable[i].bad, 0));
        CHECK_EQ(lapic_msr_read(a, writable[i].msr, &v, 0),
                 writable[i].msr != 0x80b && writable[i].msr != 0x83f);
    }
    for (unsigned i = 0; i < ARRAY_LEN(read_only); i++) {
        CHECK(lapic_msr_read(a, read_only[i], &v, 0));
        CHECK(!lapic_msr_write(a, read_only[i], 0, 0));
    }
    for (unsigned i = 0; i < ARRAY_LEN(absent); i++) {
        v = 77;
        CHECK(!lapic_msr_read(a, absent[i], &v, 0));
        CHECK_EQ(v, 77);
        CHECK(!lapic_msr_write(a, absent[i], 0, 0));
    }
}

static void init_keeps_the_mode_and_the_id(void)
{
    start(20);
    struct lapic *a = lapic_bus_apic(&bus, 19);
    uint64_t v = 0;
    to_x2apic(a);
    CHECK(lapic_msr_write(a, 0x808, 0x50, 0));
    lapic_reset(a, false);
    CHECK(lapic_msr_read(a, 0x802, &v, 0));
    CHECK_EQ(v, 19);
    CHECK(lapic_msr_read(a, 0x80d, &v, 0));
    CHECK_EQ(v, 0x10008);
    CHECK_EQ(lapic_tpr(a), 0);
    CHECK(lapic_msr_read(a, 0x80f, &v, 0));
    CHECK_EQ(v, 0xff);
}

/* ---- state ---- */

static void a_tick_that_is_due_is_saved_as_an_interrupt(void)
{
    struct lapic *a = start(1);
    struct kvm_lapic_state s;
    lapic_mmio_write(a, 0x320, 0x61, 0);
    lapic_mmio_write(a, 0x380, 100, 0);
    lapic_get_state(a, &s, 1000);
    lapic_reset(a, true);
    lapic_set_state(a, &s, 5);
    CHECK_EQ(lapic_pending_vector(a), 0x61);
    CHECK(lapic_next_deadline(a) == UINT64_MAX); /* and does not come twice */
}

static void an_odd_frequency_does_not_turn_the_count_back(void)
{
    struct lapic *a = start(1);
    struct kvm_lapic_state s, t;
    lapic_set_tsc_khz(a, 2445404);
    lapic_mmio_write(a, 0x320, 0x20061, 0);
    lapic_mmio_write(a, 0x3e0, 0xb, 0);
    lapic_mmio_write(a, 0x380, 1000003, 0);
    for (uint64_t tsc = 1; tsc < 3000; tsc += 7) {
        lapic_get_state(a, &s, tsc);
        lapic_set_state(a, &s, tsc);
        lapic_get_state(a, &t, tsc);
        CHECK(memcmp(&s, &t, sizeof(s)) == 0);
    }
}

static void a_loaded_state_has_nothing_that_no_apic_has(void)
{
    struct lapic *a = start(2);
    struct kvm_lapic_state s;
    memset(&s, 0xff, sizeof(s));
    lapic_post_nmi(a);
    lapic_set_state(a, &s, 0);
    CHECK(!lapic_take_nmi(a)); /* of what was there before */
    CHECK_EQ(lapic_mmio_read(a, 0x20, 0), 0xff000000);
    CHECK_EQ(lapic_mmio_read(a, 0x80, 0), 0xff);
    CHECK_EQ(lapic_mmio_read(a, 0xf0, 0), 0x1ff);
    CHECK_EQ(lapic_mmio_read(a, 0x100, 0), 0xffff0000);
    CHECK_EQ(lapic_mmio_read(a, 0x200, 0), 0xffff0000);
    CHECK_EQ(lapic_mmio_read(a, 0x300, 0), 0xccfff & ~0x1000);
    CHECK_EQ(lapic_mmio_read(a, 0x370, 0), 0x100ff);
    CHECK_EQ(lapic_mmio_read(a, 0x3e0, 0), 0xb);
    CHECK(lapic_next_deadline(a) == UINT64_MAX);
    CHECK(!lapic_load_base(a, LAPIC_BASE_ADDRESS | LAPIC_BASE_X2APIC));
    CHECK(!lapic_load_base(a, LAPIC_BASE_ENABLE));
    CHECK(lapic_load_base(a, LAPIC_BASE_ADDRESS)); /* from any to any */
    CHECK(lapic_load_base(a, LAPIC_BASE_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC));
    lapic_set_state(a, &s, 0);
    CHECK_EQ(a->id, 0); /* what an x2APIC's index says */
    CHECK_EQ(a->ldr, 1);
    CHECK(lapic_load_base(a, LAPIC_BASE_ADDRESS | LAPIC_BASE_ENABLE));
}

/* ---- threads ---- */

struct poster {
    struct lapic *to;
    uint8_t first;
    _Atomic unsigned *over;
};

static void *post_range(void *arg)
{
    const struct poster *p = arg;
    for (unsigned i = 0; i < 10000; i++)
        send(0xfee00000, p->first + i % 100);
    lapic_post_nmi(p->to);
    atomic_fetch_add(p->over, 1);
    return NULL;
}

/* Both post into the same words, so that a lost update would show. */
static void two_posters_lose_nothing(void)
{
    struct lapic *a = start(1);
    _Atomic unsigned over = 0;
    struct poster posters[] = {{a, 0x20, &over}, {a, 0x21, &over}};
    pthread_t threads[2];
    bool had[256] = {false};
    for (unsigned i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, post_range, &posters[i]) == 0);
    for (bool last = false;;) {
        int v = lapic_pending_vector(a);
        if (v >= 0) {
            lapic_acknowledge(a, v);
            had[v] = true;
            lapic_mmio_write(a, 0xb0, 0, 0);
        } else if (last) {
            break;
        } else {
            last = atomic_load(&over) == 2; /* and once more after that */
        }
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (unsigned v = 0x20; v <= 0x21 + 99; v++)
        CHECK(had[v]);
    CHECK(lapic_take_nmi(a));
    CHECK_EQ(lapic_pending_vector(a), -1);
}

int main(void)
{
    TAP_RUN(higher_vectors_come_first_and_lower_ones_wait);
    TAP_RUN(the_task_priority_holds_classes_back);
    TAP_RUN(the_end_of_a_level_interrupt_is_reported_and_of_an_edge_not);
    TAP_RUN(x2apic_has_wide_ids_and_faults_on_what_is_reserved);
    TAP_RUN(the_mode_changes_only_where_the_manual_allows);
    TAP_RUN(a_disabled_apic_takes_nothing_and_lets_the_8259_through);
    TAP_RUN(state_goes_out_and_in_and_the_timer_goes_on);
    TAP_RUN(what_is_posted_from_another_thread_is_never_lost);
    TAP_RUN(the_end_of_an_interrupt_is_of_the_highest_in_service);
    TAP_RUN(a_lower_priority_wakes_the_vcpu_for_what_waited);
    TAP_RUN(registers_are_at_multiples_of_16_only);
    TAP_RUN(reserved_vectors_are_errors_that_interrupt_once);
    TAP_RUN(software_disabling_keeps_what_was_accepted_and_locks_the_masks);
    TAP_RUN(x2apic_registers_fault_one_by_one);
    TAP_RUN(init_keeps_the_mode_and_the_id);
    TAP_RUN(a_tick_that_is_due_is_saved_as_an_interrupt);
    TAP_RUN(an_odd_frequency_does_not_turn_the_count_back);
    TAP_RUN(a_loaded_state_has_nothing_that_no_apic_has);
    TAP_RUN(two_posters_lose_nothing);
    return tap_done();
}
