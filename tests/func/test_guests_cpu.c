/* What an operating system relies on: rings, faults and their codes, tables, system calls, debug
 * registers. Each guest traces what happened; the tables here are what the manuals say (Intel SDM
 * volume 3, AMD APM volume 2), in the guest's order. */
#include "guests_expect.h"

/* Vector << 16 | error code. */
#define NONE 0xff0000
#define DE   0x000000
#define DB   0x010000
#define BP   0x030000
#define UD   0x060000
#define DF   0x080000
#define TS   0x0a0000
#define NP   0x0b0000
#define SS   0x0c0000
#define GP   0x0d0000
#define PF   0x0e0000

static void ring_3_is_entered_by_iretq_and_left_by_faults(void)
{
    static const uint32_t want[] = {
        /* vector, rip, cs, ss, rflags with RF, rsp; frame, the handler's ss, IF and TF */
        UD,         0,      0x33, 0x2b,  0x10a03,
        0xe000,     0x87d8, 0,    0, /* interrupt gate */
        UD,         0,      0x33, 0x2b,  0x10a03,
        0xe000,     0x87d8, 0,    0x200, /* trap gate */
        UD,         0,      0x33, 0x2b,  0x10a03,
        0xe000,     0xefd8, 0,    0, /* IST */
        UD,         0,      0x08, 0x10,  0x10000,
        0x9000,     0xefd8, 0x10, 0, /* IST, ring 0 */
        UD,         0,      0x08, 0x10,  0x10000,
        0x8707,     0x86d8, 0x10, 0, /* ring 0 */
        0x11223343, 0x23,            /* compatibility mode */
        GP,         GP,     GP,   GP,    GP,
        GP,         GP,     GP,   GP,        /* what ring 3 may not do */
        UD,         0,      0x77, UD,        /* IOPL 3 */
        GP,         0x77,   UD,   GP,    GP, /* the bitmap */
    };
    EXPECT_UNLESS("ring3", GUEST_LONG, want, 56, GP, "does not know IOPL");
}

static void faults_have_the_error_codes_of_the_manual(void)
{
    static const uint32_t want[] = {
        PF | 9,    PF | 0, /* without NXE */
        NONE,      PF | 0x11, PF | 0x10, PF | 0,    PF | 2,    0x203ffe,  PF | 2,
        0x203000,  NONE,      PF | 3,    PF | 3,    PF | 9,    PF | 0xb,  PF | 0x19, /* ring 0 */
        UD,        PF | 5,    PF | 7,    PF | 7,    PF | 4,    PF | 6,    PF | 0x15,
        PF | 0x15, PF | 0x14, PF | 0xd,  PF | 0xf,  PF | 0x1d, /* ring 3 */
        GP | 0x78, GP | 0x0c, GP | 0x38, NP | 0x48, SS | 0x48, GP | 0x08, GP | 0x28,
        NONE,      GP,        GP | 0x10, GP,        UD, /* segment registers */
        NP | 0x50, GP | 0x10, GP,        NONE,          /* far returns */
        GP,        SS,        GP,                       /* addresses that are not canonical */
    };
    EXPECT("errors", GUEST_LONG, want);
}

static void faults_on_the_way_to_a_handler_combine(void)
{
    static const uint32_t want[] = {
        NP | 0x33, GP | 0x33,  GP | 0x33, GP | 0x11, GP | 0x19, NP | 0x51, GP | 1,
        PF | 2,    0xffffffff, DF,        DF,        PF | 2,    DF,        DF,
    };
    struct pc pc;
    RUN(pc, "doublefault", GUEST_LONG, ENGINE_EXIT_SHUTDOWN);
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void a_short_tss_is_an_invalid_tss(void)
{
    static const uint32_t want[] = {0x8b00,    GP | 0x38, GP | 0x08, NP | 0x38,
                                    TS | 0x39, TS | 0x39, UD};
    EXPECT_UNLESS("tss", GUEST_LONG, want, 4, DF, "makes a double fault of #TS");
}

static void tables_and_descriptors_show_what_was_used(void)
{
    static const uint32_t want[] = {
        0,      0,    0x20, 0x20, 0x20, 0x20, 0x60, 0x20, /* read, then written */
        0x60,   0x60, 0x20,       /* locked OR of zero, CMPXCHG that fails, a call */
        PF | 3, 0,    UD,   0x60, /* refused; from ring 3 */
        0x20,   0x20, 0x60,       /* after INVLPG; 2 MiB */
        UD,     0x60,             /* a frame */
        0x92,   0x93, 0x9a, 0x9b, UD,   0x9b, UD,   0xf3, 0xfb, /* descriptors */
    };
    EXPECT_UNLESS("pagebits", GUEST_LONG, want, 25, 0x9a, "does not mark descriptors");
}

static void pages_of_1_gib_are_mapped(void)
{
    static const uint32_t want[] = {0x12345678, 0xa3, 0x55aa, 0xe3, PF | 9, PF | 0};
    struct pc pc;
    RUN(pc, "hugepage", GUEST_LONG, ENGINE_EXIT_KICKED);
    if (!pc.n_trace)
        SKIP("this CPU has no pages of 1 GiB");
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void syscall_and_sysret_go_to_ring_0_and_back(void)
{
    static const uint32_t want[] = {
        UD,   UD,    GP,                           /* without SCE; in ring 3 */
        7,    0xe03, 0x803, 0xc777, 0x08,  0x10,   /* rcx, r11, rflags, rsp, cs, ss */
        UD,   0,     0x33,  0x2b,   0xa43, 0xc777, /* back */
        UD,   0x10,  0x23,  0x2b,                  /* to 32-bit code */
        0x08, UD,                                  /* from ring 0 */
        UD,   0x08,  DB,    0,      0x33,          /* with TF */
    };
    EXPECT_UNLESS("syscall", GUEST_LONG, want, 3, GP, "stays in ring 3 at SYSCALL");
}

static void system_calls_are_those_of_the_cpus_manufacturer(void)
{
    static const uint32_t amd[] = {'u', UD, 2, 0x08, UD, UD, 0x33, 0x2b};
    static const uint32_t intel[] = {'e', UD, 0, 0x23, GP, 3, 0x8600, 0x08, 0x10, UD, 0x2b, 0x33};
    struct pc pc;
    RUN(pc, "compat_syscall", GUEST_LONG, ENGINE_EXIT_KICKED);
    if (expect_is_kvm(&pc) && pc.trace[0] == 'e' && pc.trace[4] == UD)
        SKIP("this host's KVM has no SYSENTER");
    if (pc.trace[0] == 'e')
        check_trace(&pc, intel, ARRAY_LEN(intel));
    else
        check_trace(&pc, amd, ARRAY_LEN(amd));
}

static void debug_registers_and_single_steps_trap(void)
{
    static const uint32_t want[] = {
        /* vector, DR6, rip, RF and TF */
        DB,   1,      0,  0,       UD,         0,      1,  0x10000, /* code, and past it by RF */
        DB,   2,      10, 0,       DB,         2,      7,  0,
        DB,   2,      1,  0, /* data: write, read, push */
        DB,   0x4000, 1,  0x100,   DB,         0x4002, 11, 0x100,
        UD,   0,      0,  0x10100,        /* steps */
        DB,   0x4000, 3,  0x100,          /* MOV SS and the next */
        DB,   0x2000, 0,  0,       0x400, /* general detect */
        DB,   2,      0,  0,       6,     /* after a round of REP STOS */
        DB,   0x4000, 1,  0x100,          /* ring 3 */
        NONE, UD,     GP, GP,      0xffff0ff0, 0x400,
    };
    EXPECT_UNLESS("debug", GUEST_LONG, want, 8, UD, "has no data breakpoints");
}

static void software_interrupts_go_where_gates_let_them(void)
{
    static const uint32_t want[] = {
        GP | 0x102, 0, GP | 0x1a,  0, GP | 0x302, 0, /* DPL 0, and no gate */
        0x200000,   2, BP,         1, BP,         2, GP | 0x72, 0,
        0x200000,   2, NP | 0x102, 0, 0x200000,   2, 0x300,     0x200, /* with TF */
        DB,         1, GP | 0x10a, 0,
    };
    EXPECT_UNLESS("ints", GUEST_LONG, want, 0, UD, "has no INT n");
}

static int run_all(void)
{
    TAP_RUN(ring_3_is_entered_by_iretq_and_left_by_faults);
    TAP_RUN(faults_have_the_error_codes_of_the_manual);
    TAP_RUN(faults_on_the_way_to_a_handler_combine);
    TAP_RUN(a_short_tss_is_an_invalid_tss);
    TAP_RUN(tables_and_descriptors_show_what_was_used);
    TAP_RUN(pages_of_1_gib_are_mapped);
    TAP_RUN(syscall_and_sysret_go_to_ring_0_and_back);
    TAP_RUN(system_calls_are_those_of_the_cpus_manufacturer);
    TAP_RUN(debug_registers_and_single_steps_trap);
    TAP_RUN(software_interrupts_go_where_gates_let_them);
    return tap_done();
}

int main(int argc, char **argv)
{
    return pc_from_args(argc, argv) ? run_all() : 2;
}
