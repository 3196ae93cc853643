/* What a monitor does with a guest from outside, on each engine: the dirty log, kicks, state out of
 * a VM and into another. */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/kvm/kvm_engine.h"
#include "guests_expect.h"
#include "x86/msr.h"

static const struct engine *engine; /* the one under test */

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

static int run_all(void)
{
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
    return tap_done();
}

int main(int argc, char **argv)
{
    engine = pc_from_args(argc, argv);
    return engine ? run_all() : 2;
}
