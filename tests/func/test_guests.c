/* Runs the tiny guests of guest/ on one engine: `guests ENGINE GUEST-DIR`. The same list for every
 * engine; what a host cannot run is skipped with the reason. Here: buses, interrupts, faults, ends.
 * test_guests_state.c: dirty log, kicks, state. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/kvm/kvm_engine.h"
#include "guests_expect.h"

static const struct engine *engine; /* the one under test */

static bool access_is(const struct pc *pc, unsigned i, struct access want)
{
    const struct access *a = &pc->accesses[i];
    if (i < pc->n_accesses && a->mmio == want.mmio && a->is_write == want.is_write &&
        a->offset == want.offset && a->size == want.size && a->value == want.value)
        return true;
    printf("# access %u: %s %s 0x%llx size %u value 0x%llx\n", i, a->mmio ? "memory" : "port",
           a->is_write ? "write" : "read", (unsigned long long)a->offset, a->size,
           (unsigned long long)a->value);
    return false;
}

static void ports_see_every_width_and_string_instructions(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "pio", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_accesses, 16);
    CHECK(access_is(&pc, 0, (struct access){false, true, 0x300, 1, 0x11}));
    CHECK(access_is(&pc, 1, (struct access){false, true, 0x300, 2, 0x2222}));
    CHECK(access_is(&pc, 2, (struct access){false, true, 0x300, 4, 0x33333333}));
    CHECK_EQ(pc.trace[0], 0x01);
    CHECK_EQ(pc.trace[1], 0x0202);
    CHECK_EQ(pc.trace[2], 0x03030303);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t value = (4 + i) * 0x0101;
        CHECK(access_is(&pc, 6 + i, (struct access){false, false, 0x300, 2, value}));
        CHECK(access_is(&pc, 11 + i, (struct access){false, true, 0x300, 2, value}));
    }
    CHECK_EQ(pc.trace[3], 0xffffffff);
    pc_close(&pc);
}

static void memory_devices_see_every_width_and_alignment(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "mmio", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK(access_is(&pc, 0, (struct access){true, true, 0, 1, 0x11}));
    CHECK(access_is(&pc, 1, (struct access){true, true, 2, 2, 0x2222}));
    CHECK(access_is(&pc, 2, (struct access){true, true, 4, 4, 0x33333333}));
    CHECK(access_is(&pc, 3, (struct access){true, true, 8, 8, UINT64_C(0x4444444455555555)}));
    CHECK(access_is(&pc, 4, (struct access){true, true, 0x11, 4, 0x66778899}));
    CHECK_EQ(pc.trace[0], 0x01);
    CHECK_EQ(pc.trace[1], 0x0202);
    CHECK_EQ(pc.trace[2], 0x03030303);
    CHECK_EQ(pc.trace[3], 0x04040404);
    CHECK_EQ(pc.trace[4], 0x04040404);
    CHECK_EQ(pc.trace[5], 0xffffffff);
    /* The access across the page: whatever the pieces, these bytes. */
    uint8_t bytes[8] = {0};
    for (unsigned i = 9; i < pc.n_accesses; i++)
        for (unsigned b = 0; b < pc.accesses[i].size; b++)
            bytes[(pc.accesses[i].offset - 0xffd + b) & 7] =
                (uint8_t)(pc.accesses[i].value >> (8 * b));
    CHECK(memcmp(bytes, "\4\4\4\4\0\0\0\0", 8) == 0);
    pc_close(&pc);
}

static void real_mode_runs(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "real", GUEST_REAL);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_trace, 3);
    CHECK_EQ(pc.trace[0], 0xbeef);
    CHECK_EQ(pc.trace[1], 0x1000);
    CHECK_EQ(pc.trace[2], 0x1234);
    CHECK_EQ(le16_read(guest_mem_ptr(&pc.mem, 0x20010, 2)), 0xbeef);
    pc_close(&pc);
}

static void a_large_page_leaves_the_tlb_as_a_whole(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "invlpg", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_trace, 3);
    CHECK_EQ(pc.trace[0], 0x1111);
    CHECK_EQ(pc.trace[1], 0x2222);
    CHECK_EQ(pc.trace[2], 0x3003);
    pc_close(&pc);
}

static void user_pages_and_pcids_are_kept_from_the_supervisor(void)
{
    /* rights.S, in its order */
    static const uint32_t want[] = {15, 0,    0x11, 0, 1, 3, 0, 0x11, 0,
                                    3,  0x1d, 0,    0, 5, 0, 0, 0x1d, 0x1d};
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "rights", GUEST_LONG);
    CHECK(ran_well(&pc));
    if (pc.n_trace == 1) {
        pc_close(&pc);
        SKIP("this CPU lacks one of SMEP, SMAP, PCID and INVPCID");
    }
    CHECK_EQ(pc.n_trace, ARRAY_LEN(want));
    for (unsigned i = 0; i < ARRAY_LEN(want); i++)
        CHECK_EQ(pc.trace[i], want[i]);
    pc_close(&pc);
}

static void protected_mode_runs(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "protected", GUEST_PROTECTED);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 0xcafef00d);
    CHECK_EQ(pc.trace[1], 0x77);
    CHECK(access_is(&pc, 0, (struct access){true, true, 0, 4, 5}));
    pc_close(&pc);
}

static uint64_t drain(int fd)
{
    uint64_t n = 0;
    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void doorbells_signal_eventfds_and_only_what_matches(void)
{
    struct pc pc;
    int fds[3];
    OPEN(pc, 1);
    for (int i = 0; i < 3; i++)
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const struct bus_ioeventfd bells[] = {
        {.space = BUS_PIO, .addr = 0x310, .size = 2, .match_data = true, .data = 7, .fd = fds[0]},
        {.space = BUS_MMIO, .addr = GUEST_MMIO + 0x1000, .fd = fds[1]},
        {.space = BUS_MMIO,
         .addr = GUEST_MMIO + 0x1004,
         .size = 4,
         .match_data = true,
         .data = 3,
         .fd = fds[2]},
    };
    for (int i = 0; i < 3; i++)
        CHECK_EQ(bus_ioeventfd_add(&pc.bus, &bells[i], NULL), 0);
    pc_load(&pc, "doorbell", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(drain(fds[0]), 1);
    CHECK_EQ(drain(fds[1]), 2);
    CHECK_EQ(drain(fds[2]), 1);
    CHECK_EQ(pc.n_accesses, 2);
    CHECK(access_is(&pc, 0, (struct access){false, true, 0x310, 2, 8}));
    CHECK(access_is(&pc, 1, (struct access){true, true, 0x1004, 4, 4}));
    /* Without them the same writes all reach the device. */
    for (int i = 0; i < 3; i++)
        bus_ioeventfd_remove(&pc.bus, &bells[i]);
    pc.n_accesses = 0;
    pc_enter(&pc, GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_accesses, 6);
    pc_close(&pc);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

struct ponger {
    struct pc *pc;
    struct msi_route *route;
    int bell, route_fd; /* route_fd < 0: signalled by call */
    struct loop_fd watch;
};

static void pong(struct loop_fd *w, uint32_t events)
{
    struct ponger *p = w->opaque;
    uint64_t one = 1;
    drain(p->bell);
    if (p->route_fd < 0)
        bus_msi_route_signal(&p->pc->bus, p->route);
    else if (write(p->route_fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

static void watch_bell(void *arg)
{
    struct ponger *p = arg;
    p->watch.ready = pong;
    p->watch.opaque = p;
    if (loop_fd_add(iothread_loop(p->pc->main_loop), &p->watch, p->bell, EPOLLIN))
        abort();
}

static void unwatch_bell(void *arg)
{
    struct ponger *p = arg;
    loop_fd_remove(&p->watch);
}

static void ping_pong(bool by_eventfd)
{
    struct pc pc;
    struct ponger p = {.pc = &pc, .route_fd = -1};
    const struct msi_message msg = {.address = 0xfee00000, .data = 0x41};
    OPEN(pc, 1);
    p.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const struct bus_ioeventfd bell = {
        .space = BUS_MMIO, .addr = GUEST_MMIO + 0x1000, .fd = p.bell};
    CHECK_EQ(bus_ioeventfd_add(&pc.bus, &bell, NULL), 0);
    REQUIRE(bus_msi_route_create(&pc.bus, &p.route, NULL) == 0);
    CHECK_EQ(bus_msi_route_set(&pc.bus, p.route, &msg), 0);
    if (by_eventfd)
        p.route_fd = bus_msi_route_fd(&pc.bus, p.route);
    CHECK(!by_eventfd || p.route_fd >= 0);
    loop_call(iothread_loop(pc.main_loop), watch_bell, &p);
    pc_load(&pc, "pingpong", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 100);
    loop_call(iothread_loop(pc.main_loop), unwatch_bell, &p);
    bus_msi_route_destroy(&pc.bus, p.route);
    pc_close(&pc);
    close(p.bell);
}

static void a_doorbell_and_an_msi_go_back_and_forth(void)
{
    ping_pong(false);
}

static void a_doorbell_and_an_irqfd_go_back_and_forth(void)
{
    ping_pong(true);
}

static void what_is_signalled_while_masked_arrives_when_unmasked(void)
{
    struct pc pc;
    struct msi_route *route;
    const struct msi_message msg = {.address = 0xfee00000, .data = 0x50};
    uint64_t one = 1;
    OPEN(pc, 1);
    REQUIRE(bus_msi_route_create(&pc.bus, &route, NULL) == 0);
    int fd = bus_msi_route_fd(&pc.bus, route);
    REQUIRE(fd >= 0);
    CHECK_EQ(bus_msi_route_set(&pc.bus, route, &msg), 0);
    CHECK_EQ(bus_msi_route_set(&pc.bus, route, NULL), 0);
    /* The guest of the local APIC timer waits for vector 0x50: here it comes from the route, and
     * the eventfd was written while nothing was attached to it. */
    CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
    pc_load(&pc, "timer", GUEST_LONG);
    CHECK_EQ(bus_msi_route_set(&pc.bus, route, &msg), 0);
    CHECK(ran_well(&pc));
    bus_msi_route_destroy(&pc.bus, route);
    pc_close(&pc);
}

static void drive_line_17(struct pc *pc, unsigned what)
{
    bus_irq_set(&pc->bus, 17, what == 1);
}

static void a_level_pin_interrupts_until_its_line_falls(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc.asked = drive_line_17;
    pc_load(&pc, "ioapic", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_trace, 2);
    CHECK_EQ(pc.trace[0], 3);
    CHECK_EQ(pc.trace[1], 0x8045);
    pc_close(&pc);
}

static void the_8254_ticks_through_the_8259_as_extint(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "extint", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 10);
    pc_close(&pc);
}

static void the_local_apic_timer_fires(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "timer", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 1);
    pc_close(&pc);
}

static void flushing_a_line_of_a_device_is_no_access(void)
{
    static const uint8_t code[] = {0xbb, 0x00, 0x00, 0x00, 0xd0, 0x0f, 0xae,
                                   0x3b, 0xb0, 0x00, 0xe6, 0xf4, 0xeb, 0xfe};
    struct pc pc;
    OPEN(pc, 1);
    pc_put(&pc, code, sizeof(code), GUEST_LONG);
    CHECK(ran_well(&pc));
    unsigned n = pc.n_accesses;
    pc_close(&pc);
    if (engine == &kvm_engine && n)
        SKIP("this host's KVM emulates a clflush as a load");
    CHECK_EQ(n, 0);
}

/* ---- faults, ends, other processors ---- */

static void faults_reach_their_handlers_with_error_codes(void)
{
    static const uint32_t want[] = {0, 6, 13, 0x58, 14, 2, 0x14000000};
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "faults", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_trace, ARRAY_LEN(want));
    for (unsigned i = 0; i < ARRAY_LEN(want); i++)
        CHECK_EQ(pc.trace[i], want[i]);
    pc_close(&pc);
}

/* Its pending exception must reach neither the guest, which has replaced it, nor the monitor. */
static void a_replaced_fpu_state_takes_its_exceptions_along(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "fpu", GUEST_LONG);
    struct engine_exit_info info = pc_run(&pc);
    if (engine == &kvm_engine && info.reason == ENGINE_EXIT_ERROR) {
        pc_close(&pc);
        SKIP("this host's KVM does not run x87 in a guest's ring 0");
    }
    CHECK(info.reason == ENGINE_EXIT_KICKED && pc.ended && pc.verdict == 0);
    CHECK_EQ(pc.n_trace, 2);
    CHECK_EQ(pc.trace[0] & 0x84, 0x84); /* ES and ZE */
    CHECK_EQ(pc.trace[1], 0x2468);
    pc_close(&pc);
}

static void a_triple_fault_is_a_shutdown(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "triple", GUEST_LONG);
    CHECK_EQ(pc_run(&pc).reason, ENGINE_EXIT_SHUTDOWN);
    pc_close(&pc);
}

static void code_where_no_memory_is_stops_with_the_place(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc_load(&pc, "nowhere", GUEST_LONG);
    struct engine_exit_info info = pc_run(&pc);
    CHECK_EQ(info.reason, ENGINE_EXIT_ERROR);
    CHECK(strstr(info.err.msg, "vCPU 0") && strstr(info.err.msg, "rip 0xd0000000"));
    pc_close(&pc);
}

static void send_nmi(struct pc *pc, unsigned what)
{
    engine_vcpu_nmi(pc->vcpus[0]);
}

static void an_nmi_arrives(void)
{
    struct pc pc;
    OPEN(pc, 1);
    pc.asked = send_nmi;
    pc_load(&pc, "nmi", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 1);
    pc_close(&pc);
}

static void *run_second(void *arg)
{
    struct pc *pc = arg;
    struct engine_exit_info info;
    engine_vcpu_run(pc->vcpus[1], &info);
    return (void *)(uintptr_t)info.reason;
}

static void a_second_processor_starts_by_sipi(void)
{
    struct pc pc;
    pthread_t thread;
    void *reason;
    OPEN(pc, 2);
    pc_load(&pc, "smp", GUEST_LONG);
    REQUIRE(pthread_create(&thread, NULL, run_second, &pc) == 0);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.trace[0], 0x600d);
    engine_vcpu_kick(pc.vcpus[1]); /* out of its hlt */
    pthread_join(thread, &reason);
    CHECK_EQ((uintptr_t)reason, ENGINE_EXIT_KICKED);
    pc_close(&pc);
}

static int run_all(void)
{
    TAP_RUN(ports_see_every_width_and_string_instructions);
    TAP_RUN(memory_devices_see_every_width_and_alignment);
    TAP_RUN(flushing_a_line_of_a_device_is_no_access);
    TAP_RUN(real_mode_runs);
    TAP_RUN(user_pages_and_pcids_are_kept_from_the_supervisor);
    TAP_RUN(protected_mode_runs);
    TAP_RUN(a_large_page_leaves_the_tlb_as_a_whole);
    TAP_RUN(doorbells_signal_eventfds_and_only_what_matches);
    TAP_RUN(a_doorbell_and_an_msi_go_back_and_forth);
    TAP_RUN(a_doorbell_and_an_irqfd_go_back_and_forth);
    TAP_RUN(what_is_signalled_while_masked_arrives_when_unmasked);
    TAP_RUN(a_level_pin_interrupts_until_its_line_falls);
    TAP_RUN(the_8254_ticks_through_the_8259_as_extint);
    TAP_RUN(the_local_apic_timer_fires);
    TAP_RUN(faults_reach_their_handlers_with_error_codes);
    TAP_RUN(a_replaced_fpu_state_takes_its_exceptions_along);
    TAP_RUN(a_triple_fault_is_a_shutdown);
    TAP_RUN(code_where_no_memory_is_stops_with_the_place);
    TAP_RUN(an_nmi_arrives);
    TAP_RUN(a_second_processor_starts_by_sipi);
    return tap_done();
}

int main(int argc, char **argv)
{
    engine = pc_from_args(argc, argv);
    return engine ? run_all() : 2;
}
