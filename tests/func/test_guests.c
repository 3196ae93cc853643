/* Runs the tiny guests of guest/ on one engine: `guests ENGINE GUEST-DIR`. The same list for every
 * engine; what a host cannot run is skipped with the reason. */
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "../unit/tap.h"
#include "base/util.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/soft/soft_engine.h"
#include "guests_harness.h"
#include "x86/msr.h"

/* Runs one guest that ends by itself, in a machine that the caller closes. */
#define OPEN(pc, n_vcpus)                                                                          \
    do {                                                                                           \
        const char *why_not = pc_open(&(pc), n_vcpus);                                             \
        if (why_not)                                                                               \
            SKIP(why_not);                                                                         \
    } while (0)

static const struct engine *engine; /* the one under test */

static bool ran_well(struct pc *pc)
{
    struct engine_exit_info info = pc_run(pc);
    return info.reason == ENGINE_EXIT_KICKED && pc->ended && pc->verdict == 0;
}

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

/* ---- dirty log ---- */

static uint64_t dirty_taken[2][GUEST_RAM_BYTES / 4096 / 64];

static void take_dirty(struct pc *pc, unsigned what)
{
    static uint64_t discarded[GUEST_RAM_BYTES / 4096 / 64];
    engine_vm_dirty_take(pc->vm, 0, what == 1 ? discarded : dirty_taken[0], NULL);
}

static bool is_dirty(const uint64_t *bitmap, unsigned page)
{
    return bitmap[page / 64] >> (page % 64) & 1;
}

static void the_dirty_log_has_what_was_written_since_it_was_taken(void)
{
    struct pc pc;
    OPEN(pc, 1);
    memset(dirty_taken, 0, sizeof(dirty_taken));
    pc.asked = take_dirty;
    pc_load(&pc, "dirty", GUEST_LONG);
    REQUIRE(engine_vm_dirty_start(pc.vm, NULL) == 0);
    CHECK(ran_well(&pc));
    CHECK_EQ(engine_vm_dirty_take(pc.vm, 0, dirty_taken[1], NULL), 0);
    CHECK(is_dirty(dirty_taken[0], 0x40) && is_dirty(dirty_taken[0], 0x42) &&
          is_dirty(dirty_taken[0], 0x80));
    CHECK(is_dirty(dirty_taken[1], 0x42));
    unsigned n = 0;
    for (unsigned page = 0; page < GUEST_RAM_BYTES / 4096; page++)
        n += is_dirty(dirty_taken[1], page);
    CHECK(n < 64); /* a superset is allowed, "everything" is no log */
    engine_vm_dirty_stop(pc.vm);
    CHECK(engine_vm_dirty_take(pc.vm, 0, dirty_taken[1], NULL) < 0);
    pc_close(&pc);
}

/* ---- kicks ---- */

struct kicker {
    struct pc *pc;
    _Atomic unsigned returned;
    unsigned kicks;
};

static void *kick_many_times(void *arg)
{
    struct kicker *k = arg;
    unsigned seed = 1;
    for (unsigned i = 0; i < k->kicks; i++) {
        engine_vcpu_kick(k->pc->vcpus[0]);
        while (atomic_load(&k->returned) <= i)
            sched_yield();
        /* Another moment each time: before, during and after the entry. */
        seed = seed * 1103515245 + 12345;
        for (volatile unsigned spin = seed >> 16 & 0x3fff; spin; spin--)
            ;
    }
    return NULL;
}

static void no_kick_is_lost(void)
{
    struct pc pc;
    struct kicker k = {.pc = &pc, .kicks = 500};
    pthread_t thread;
    OPEN(pc, 1);
    pc_load(&pc, "spin", GUEST_LONG);
    engine_vcpu_kick(pc.vcpus[0]); /* before it runs at all */
    CHECK_EQ(pc_run(&pc).reason, ENGINE_EXIT_KICKED);
    REQUIRE(pthread_create(&thread, NULL, kick_many_times, &k) == 0);
    for (unsigned i = 0; i < k.kicks; i++) {
        if (pc_run(&pc).reason != ENGINE_EXIT_KICKED)
            break;
        atomic_fetch_add(&k.returned, 1);
    }
    pthread_join(thread, NULL);
    CHECK(!pc.timed_out); /* a lost kick would have needed the watchdog's */
    CHECK_EQ(atomic_load(&k.returned), k.kicks);
    pc_close(&pc);
}

/* ---- state ---- */

static void a_kick_between_an_io_exit_and_the_next_instruction_completes_the_io(void)
{
    struct pc pc;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    OPEN(pc, 1);
    pc_load(&pc, "real", GUEST_REAL);
    CHECK(ran_well(&pc)); /* ends by a kick from inside its last out */
    REQUIRE(engine_vcpu_get_regs(pc.vcpus[0], &regs, &sregs, NULL) == 0);
    const uint8_t *code = guest_mem_ptr(&pc.mem, GUEST_BASE + regs.rip, 2);
    CHECK(code[0] == 0xeb && code[1] == 0xfe); /* the jmp behind it */
    pc_close(&pc);
}

static void local_apic_state_comes_out_and_goes_back(void)
{
    struct pc pc;
    struct engine_vcpu_state a, b;
    OPEN(pc, 1);
    pc_load(&pc, "lapic", GUEST_LONG);
    CHECK(ran_well(&pc));
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &a, NULL) == 0);
    CHECK_EQ(le32_read(&a.lapic.regs[0x80]), 0x30);
    CHECK_EQ(le32_read(&a.lapic.regs[0xd0]), 0x02000000);
    CHECK_EQ(le32_read(&a.lapic.regs[0xf0]), 0x1ff);
    CHECK_EQ(le32_read(&a.lapic.regs[0x320]), 0x10061);
    CHECK_EQ(le32_read(&a.lapic.regs[0x360]), 0x10400);
    CHECK_EQ(a.regs.r12, 0);
    CHECK(a.n_msrs > 10);
    REQUIRE(engine_vcpu_set_state(pc.vcpus[0], &a, NULL) == 0);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &b, NULL) == 0);
    CHECK(memcmp(&a.lapic, &b.lapic, sizeof(a.lapic)) == 0);
    CHECK(memcmp(&a.regs, &b.regs, sizeof(a.regs)) == 0);
    CHECK(memcmp(&a.sregs, &b.sregs, sizeof(a.sregs)) == 0);
    CHECK(memcmp(&a.xsave, &b.xsave, sizeof(a.xsave)) == 0);
    CHECK_EQ(a.n_msrs, b.n_msrs);
    pc_close(&pc);
}

static void stop_at_7(struct pc *pc)
{
    if (pc->trace[pc->n_trace - 1] == 7)
        engine_vcpu_kick(pc->vcpus[0]);
}

static int save_all(struct pc *pc, struct state_writer *w)
{
    struct engine_vcpu_state s;
    struct err err = {0};
    if (engine_vcpu_get_state(pc->vcpus[0], &s, &err)) {
        printf("# %s\n", err.msg);
        return -1;
    }
    engine_vcpu_state_save(&s, w, 0);
    irqchip_save(&pc->chip, w);
    return w->error;
}

static int load_all(struct pc *pc, struct state_reader *r)
{
    struct engine_vcpu_state s, first;
    struct err err = {0};
    if (engine_vcpu_state_load(&s, r, 0) || irqchip_load(&pc->chip, r)) {
        printf("# %s\n", r->err.msg);
        return -1;
    }
    if (engine_vcpu_get_state(pc->vcpus[0], &first, &err)) {
        printf("# %s\n", err.msg);
        return -1;
    }
    /* It is the same TSC, but each engine measured it for itself, on an emulated host to a
     * thousandth or so. */
    if (llabs((int64_t)s.tsc_khz - first.tsc_khz) * 100 < first.tsc_khz)
        s.tsc_khz = first.tsc_khz;
    if (engine_vcpu_set_state(pc->vcpus[0], &s, &err)) {
        printf("# %s\n", err.msg);
        return -1;
    }
    return 0;
}

/* What a VM leaves behind. */
struct saved {
    struct state_writer state;
    struct kvm_clock_data clock;
    uint8_t ram[GUEST_RAM_BYTES];
};

/* Runs a guest until it has traced a 7, saves it, and closes its machine. */
static void run_to_7_and_save(struct pc *pc, const char *name, struct saved *to)
{
    pc->traced = stop_at_7;
    pc_load(pc, name, GUEST_LONG);
    CHECK_EQ(pc_run(pc).reason, ENGINE_EXIT_KICKED);
    CHECK(!pc->timed_out && pc->n_trace && pc->trace[pc->n_trace - 1] == 7);
    engine_vcpu_paused(pc->vcpus[0]);
    state_writer_init(&to->state);
    CHECK_EQ(save_all(pc, &to->state), 0);
    CHECK_EQ(engine_vm_get_clock(pc->vm, &to->clock, NULL), 0);
    to->clock.flags = 0;
    memcpy(to->ram, guest_mem_ptr(&pc->mem, 0, GUEST_RAM_BYTES), GUEST_RAM_BYTES);
    pc_close(pc);
}

/* The guest goes on in `pc`, which is open and new, and ends. */
static void load_and_run(struct pc *pc, struct saved *from)
{
    struct state_reader r;
    memcpy(guest_mem_ptr(&pc->mem, 0, GUEST_RAM_BYTES), from->ram, GUEST_RAM_BYTES);
    state_reader_init(&r, from->state.data, from->state.len_bytes);
    CHECK_EQ(load_all(pc, &r), 0);
    CHECK_EQ(engine_vm_set_clock(pc->vm, &from->clock, NULL), 0);
    CHECK(ran_well(pc));
    state_writer_fini(&from->state);
}

/* Runs a guest to its seventh step in `a` (open, and closed here), the rest in a new VM of `to`. */
static void saves_and_goes_on(struct pc *a, const struct engine *to)
{
    static struct saved saved;
    struct pc b;
    run_to_7_and_save(a, "count", &saved);
    pc_use(to);
    OPEN(b, 1);
    load_and_run(&b, &saved);
    CHECK_EQ(b.n_trace, 13);
    CHECK_EQ(b.trace[0], 8);
    CHECK_EQ(b.trace[12], 20);
    pc_close(&b);
}

/* Runs step.S in one piece: how many traps it saw, and how many DR6 told apart. */
static void count_traps(struct pc *pc, uint32_t traps[2])
{
    pc_load(pc, "step", GUEST_LONG);
    CHECK(ran_well(pc));
    CHECK_EQ(pc->n_trace, 3);
    traps[0] = pc->trace[1];
    traps[1] = pc->trace[2];
    pc_close(pc);
}

static void single_steps_trap_after_each_instruction(void)
{
    struct pc pc;
    uint32_t traps[2];
    OPEN(pc, 1);
    count_traps(&pc, traps);
    if (engine == &kvm_engine && traps[0] == 4)
        SKIP("this host's KVM forgets the trap after an OUT that it emulates");
    CHECK_EQ(traps[0], 5);
    CHECK_EQ(traps[1], 5);
}

/* The guest's OUT is single-stepped and ends in a kick: both are due at once. */
static void a_trap_that_is_due_when_a_vm_is_saved_keeps_its_details(void)
{
    static struct saved saved;
    struct pc a, b;
    uint32_t traps[2];
    OPEN(a, 1);
    count_traps(&a, traps);
    OPEN(a, 1);
    run_to_7_and_save(&a, "step", &saved);
    OPEN(b, 1);
    load_and_run(&b, &saved);
    CHECK_EQ(b.n_trace, 2);
    CHECK_EQ(b.trace[0], traps[0]);
    CHECK_EQ(b.trace[1], traps[1]);
    pc_close(&b);
}

/* clflush (%rbx) at a device's memory: it has no cache lines to flush. */
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

static void a_saved_guest_goes_on_in_a_new_vm(void)
{
    struct pc a;
    OPEN(a, 1);
    saves_and_goes_on(&a, engine);
}

static void a_guest_saved_under_another_engine_goes_on_here(void)
{
    struct pc a;
    for (unsigned i = 0; pc_engines[i]; i++) {
        if (pc_engines[i] == engine)
            continue;
        pc_use(pc_engines[i]);
        const char *why = pc_open(&a, 1);
        pc_use(engine);
        if (why)
            SKIP(why);
        saves_and_goes_on(&a, engine);
    }
}

static uint64_t tsc_of(const struct engine_vcpu_state *s)
{
    for (unsigned i = 0; i < s->n_msrs; i++)
        if (s->msrs[i].index == X86_MSR_TSC)
            return s->msrs[i].data;
    return 0;
}

/* Their states are read and set one after the other, with any time in between. */
static void two_vcpus_still_have_one_tsc_after_a_load(void)
{
    struct pc pc;
    struct engine_vcpu_state first, second, before, after;
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    OPEN(pc, 2);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &first, NULL) == 0);
    nanosleep(&pause, NULL);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[1], &second, NULL) == 0);
    REQUIRE(engine_vcpu_set_state(pc.vcpus[0], &first, NULL) == 0);
    REQUIRE(engine_vcpu_set_state(pc.vcpus[1], &second, NULL) == 0);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &before, NULL) == 0);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[1], &second, NULL) == 0);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &after, NULL) == 0);
    CHECK(tsc_of(&before) <= tsc_of(&second) && tsc_of(&second) <= tsc_of(&after));
    pc_close(&pc);
}

static void setting_the_first_state_again_is_a_reset(void)
{
    struct pc pc;
    struct engine_vcpu_state first;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    OPEN(pc, 1);
    REQUIRE(engine_vcpu_get_state(pc.vcpus[0], &first, NULL) == 0);
    CHECK_EQ(first.regs.rip, 0xfff0);
    CHECK_EQ(first.sregs.cs.base, 0xffff0000);
    pc_load(&pc, "lapic", GUEST_LONG);
    CHECK(ran_well(&pc));
    struct err err = {0};
    CHECK_EQ(engine_vcpu_set_state(pc.vcpus[0], &first, &err), 0);
    CHECK_STR(err.msg, "");
    REQUIRE(engine_vcpu_get_regs(pc.vcpus[0], &regs, &sregs, NULL) == 0);
    CHECK_EQ(regs.rip, 0xfff0);
    CHECK_EQ(sregs.cr0 & 0x80000001, 0);
    pc.ended = false;
    pc.n_trace = 0;
    pc_load(&pc, "count", GUEST_LONG);
    CHECK(ran_well(&pc));
    CHECK_EQ(pc.n_trace, 20);
    pc_close(&pc);
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
    TAP_RUN(the_dirty_log_has_what_was_written_since_it_was_taken);
    TAP_RUN(no_kick_is_lost);
    TAP_RUN(a_kick_between_an_io_exit_and_the_next_instruction_completes_the_io);
    TAP_RUN(local_apic_state_comes_out_and_goes_back);
    TAP_RUN(a_saved_guest_goes_on_in_a_new_vm);
    TAP_RUN(single_steps_trap_after_each_instruction);
    TAP_RUN(a_trap_that_is_due_when_a_vm_is_saved_keeps_its_details);
    TAP_RUN(a_guest_saved_under_another_engine_goes_on_here);
    TAP_RUN(two_vcpus_still_have_one_tsc_after_a_load);
    TAP_RUN(setting_the_first_state_again_is_a_reset);
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
