/* Runs a tiny guest to its end and compares what it traced with a table: what test_guests_cpu.c and
 * its neighbours share. Each table is what the manuals say, in the guest's order. */
#ifndef TESTS_FUNC_GUESTS_EXPECT_H
#define TESTS_FUNC_GUESTS_EXPECT_H

#include "../unit/tap.h"
#include "base/util.h"
#include "guests_harness.h"

/* Opens a machine that the case closes. */
#define OPEN(pc, n_vcpus)                                                                          \
    do {                                                                                           \
        const char *why_not = pc_open(&(pc), n_vcpus);                                             \
        if (why_not)                                                                               \
            SKIP(why_not);                                                                         \
    } while (0)

/* Runs a guest that ends by itself. */
static inline bool ran_well(struct pc *pc)
{
    struct engine_exit_info info = pc_run(pc);
    return info.reason == ENGINE_EXIT_KICKED && pc->ended && pc->verdict == 0;
}

static inline bool expect_is_kvm(const struct pc *pc)
{
    return strcmp(engine_name(pc->engine), "kvm") == 0;
}

struct expect_second {
    struct pc *pc;
    struct engine_exit_info info;
};

static inline void *expect_run_second(void *arg)
{
    struct expect_second *s = arg;
    engine_vcpu_run(s->pc->vcpus[1], &s->info);
    if (s->info.reason != ENGINE_EXIT_KICKED) {
        printf("# vCPU 1 ended: reason %d %s\n", (int)s->info.reason, s->info.err.msg);
        engine_vcpu_kick(s->pc->vcpus[0]); /* which may be waiting for it */
    }
    return NULL;
}

static inline bool expect_kvm_failed(const struct engine_exit_info *info)
{
    return info->reason == ENGINE_EXIT_ERROR && strstr(info->err.msg, "KVM");
}

/* Runs a guest in a new machine, which is closed again. NULL, or why this host cannot. */
static inline const char *expect_run(struct pc *pc, const char *guest, enum guest_mode mode,
                                     unsigned n_vcpus, enum engine_exit end,
                                     void (*asked)(struct pc *pc, unsigned what))
{
    struct expect_second second = {.pc = pc};
    pthread_t thread;
    const char *why = pc_open(pc, n_vcpus);
    if (why)
        return why;
    pc->asked = asked;
    pc_load(pc, guest, mode);
    if (n_vcpus > 1 && pthread_create(&thread, NULL, expect_run_second, &second))
        abort();
    struct engine_exit_info info = pc_run(pc);
    if (n_vcpus > 1) {
        engine_vcpu_kick(pc->vcpus[1]);
        pthread_join(thread, NULL);
    }
    bool ended = end != ENGINE_EXIT_KICKED || (pc->ended && pc->verdict == 0);
    pc_close(pc);
    if (expect_kvm_failed(&info) || expect_kvm_failed(&second.info))
        return "this host's KVM does not run all of the guest's instructions";
    CHECK_EQ(info.reason, end);
    CHECK(ended);
    return NULL;
}

static inline void check_trace(const struct pc *pc, const uint32_t *want, unsigned n)
{
    CHECK_EQ(pc->n_trace, n);
    for (unsigned i = 0; i < MIN(n, pc->n_trace); i++) {
        if (pc->trace[i] == want[i])
            continue;
        tap_case_failures++;
        printf("# trace %u: 0x%x, expected 0x%x\n", i, pc->trace[i], want[i]);
    }
}

#define RUN_N(pc, guest, mode, n_vcpus, end)                                                       \
    do {                                                                                           \
        const char *why_not = expect_run(&(pc), guest, mode, n_vcpus, end, NULL);                  \
        if (why_not)                                                                               \
            SKIP(why_not);                                                                         \
    } while (0)
#define RUN(pc, guest, mode, end) RUN_N(pc, guest, mode, 1, end)

#define EXPECT_N(guest, mode, n_vcpus, want)                                                       \
    do {                                                                                           \
        struct pc expect_pc;                                                                       \
        RUN_N(expect_pc, guest, mode, n_vcpus, ENGINE_EXIT_KICKED);                                \
        check_trace(&expect_pc, want, ARRAY_LEN(want));                                            \
    } while (0)
#define EXPECT(guest, mode, want) EXPECT_N(guest, mode, 1, want)

/* The same but for a KVM without hardware support that is known to be wrong in one place, told by
 * what it left there. */
#define EXPECT_UNLESS(guest, mode, want, index, wrong, reason)                                     \
    do {                                                                                           \
        struct pc expect_pc;                                                                       \
        RUN(expect_pc, guest, mode, ENGINE_EXIT_KICKED);                                           \
        if (expect_is_kvm(&expect_pc) && expect_pc.n_trace > (index) &&                            \
            expect_pc.trace[index] == (wrong))                                                     \
            SKIP("this host's KVM " reason);                                                       \
        check_trace(&expect_pc, want, ARRAY_LEN(want));                                            \
    } while (0)

#endif
