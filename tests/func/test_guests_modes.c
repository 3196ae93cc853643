/* The CPU in each of its modes, and code that changes. What each guest traces is in the tables
 * here, which are what the manuals say (Intel SDM volume 3, AMD APM volume 2), in the guest's
 * order. */
#include "guests_expect.h"

/* Vector << 16 | error code. */
#define NONE 0xff0000
#define BP   0x030000
#define OF   0x040000
#define BR   0x050000
#define UD   0x060000
#define TS   0x0a0000
#define NP   0x0b0000
#define SS   0x0c0000
#define GP   0x0d0000
#define PF   0x0e0000

static void device_writes_code(struct pc *pc, unsigned what)
{
    static const uint8_t immediate[4] = {0x99};
    if (guest_mem_write(&pc->mem, 0xb101, immediate, sizeof(immediate)))
        abort();
    guest_mem_mark_dirty(&pc->mem, 0xb101, sizeof(immediate));
}

static void code_that_changes_itself_runs_as_changed(void)
{
    static const uint32_t want[] = {
        0x11223344, 0x44,       0x11223344, 0x11223344, 0x11223344, 0x11223344,
        0x11223344, 0x11223344, 1,          0x11223344, 4,                /* the next instruction */
        8,                                                                /* itself */
        0,          0,          1029,       0x90,                         /* strings */
        0x12345678, 0x77,       0x12345678,                               /* across a line */
        0x12345678, 0x33345678, 0x33345644, 0x66666666, 0x55667788,       /* across a page */
        1,          2,          2,          3,                            /* other addresses */
        0,          0x10,       0x200007,   0x200027,   0x200067,   0x99, /* not by stores */
        12502500,
    };
    struct pc pc;
    const char *why =
        expect_run(&pc, "selfmod", GUEST_LONG, 1, ENGINE_EXIT_KICKED, device_writes_code);
    if (why)
        SKIP(why);
    check_trace(&pc, want, ARRAY_LEN(want));
}

static void code_that_another_processor_changes_is_old_or_new(void)
{
    static const uint32_t want[] = {1500, 0, 5500, 0};
    EXPECT_N("crossmod", GUEST_LONG, 2, want);
}

static void interrupts_of_real_mode_go_through_the_ivt(void)
{
    static const uint32_t want[] = {
        /* vector and ip; cs, flags, flags in the handler, sp */
        0x200002,   0x1000, 0x32c5,  0x30c5, 0,      0x200002, 0x1000, 0,    0,      0,
        BP | 1,     BP | 2, GP | 2,  0x1000, 0,      0,        0,      NONE, OF | 1, /* instructions
                                                                                      */
        0,          0,      UD,      0x1000, 0,      0,        0,      NONE, BR,     UD,
        UD,         UD,     UD,      UD,     1,      0, /* faults, TF */
        0x7cd7,     0xfff,  0x40002, 13,     0xfff4,    /* IRET */
        0xb4000087, 0x27,   0x20,    13,     0x21,      /* LIDT */
    };
    EXPECT("realints", GUEST_REAL, want);
}

static void segments_of_real_mode_end_at_64_kib(void)
{
    static const uint32_t want[] = {
        NONE,   GP,     GP,       NONE,   GP,       NONE,   GP,     SS,
        GP,     SS,     GP,       GP,     NONE,     2,      GP,     2, /* data */
        NONE,   0xfffe, NONE,     0,      NONE,     0,      SS | 5, 0xffff,
        SS | 5, 2,      NONE,     0,      SS | 5,   0xfffe, NONE,   2,
        NONE,   0xfff8, 0x200007, 0,      0x200007, 4, /* the stack */
        13,     0,      0,        13,     0,        0xfffe, GP,     GP,
        0x9000, GP,     GP | 12,  0x8ff8, /* code */
        0xfff,  0xffe,  0,        0x1000, /* far calls */
    };
    EXPECT("realsegs", GUEST_REAL, want);
}

static void limits_outlive_protected_mode(void)
{
    static const uint32_t want[] = {
        13,       8,          0x12345678, 0xff, 13, 0x12345678, 0x20, /* DS */
        0x200100, 0x11223344,                                         /* SS */
        0x5566,   0x12345678, 0x18,       13,   13, 0x20,       0,    0x1000,
    };
    EXPECT("unreal", GUEST_REAL, want);
}

static void gates_of_32_bits_change_rings_and_stacks(void)
{
    static const uint32_t want[] = {
        /* vector, cs, ss, esp; frame, IF, ss and ds in the handler */
        UD,         0x23,       0x2b,      0xe000,    0x87ec,    0,
        0x10,       0x2b, /* interrupt gate */
        UD,         0x23,       0x2b,      0xe000,    0x87ec,    0x200,
        0x10,       0x2b, /* trap gate */
        GP | 0x1c,  0x23,       0x2b,      0xe000,    0x87ec,    0,
        0x10,       0x2b,                                        /* error code */
        UD,         0x18,       0x86f4,    0x10,                 /* ring 0 */
        GP | 0x102, 0,          GP | 0x1a, UD,        GP | 0x22, /* DPL 0 */
        0x200000,   2,          BP,        1,         OF,        1,
        NP | 0x102, GP | 0x102, GP | 0x10, GP | 0x20, GP,        GP | 0x10,
        GP | 0xd0,  GP,         0x23,      UD,        0x53,      0xdff4, /* conforming */
        UD,         0x31,       0x39,      0xefec,                       /* ring 1 */
        TS,         TS | 1,     TS | 0x10, TS | 0x11, TS | 0x30, TS | 0x31,
        TS | 0xd0,  TS | 0xd1,  SS | 0x38, SS | 0x39, SS | 0x98, SS | 0x99, /* its stack */
        0,          0x23,       0x202,     0xe000,    0x2b,      0x87f6,
        0, /* 16 bits: interrupt, */
        0,          0x23,       0x202,     0xe000,    0x2b,      0x87f6,
        0x200,                                     /* trap, */
        0x1c,       0,          0x18,      0x86f8, /* error code */
        BR,         NONE,       NONE,      BR,        BR,        0,
    };
    EXPECT("gates32", GUEST_PROTECTED, want);
}

static void far_calls_and_returns_change_rings(void)
{
    static const uint32_t want[] = {
        /* esp, cs, parameters, esp and ss that were pushed, ss */
        0x87e8,    0x23,      0x2222,    0x1111,    0xdff8,    0x2b,      0x10,      UD,
        0x23,      0x2b,      0xe000,    0,         0x8ff0,    0x18,      0x2222,    0x1111,
        0,         0,         0x10,      NONE,      UD,        0x31,      0x39,      0xefe8,
        UD,        0x53,      0x2b,      0xdff0, /* ring 1, conforming */
        0x87f2,    0x23,      0x2222,    0,         0x1111,    0xdff8,    0x2b, /* 16 bits */
        GP | 0xa0, GP | 0xa0, NP | 0xa0, GP | 0xa0, GP,        GP | 0x10, GP | 0xd0, GP,
        GP | 0xa8, TS,        TS | 0x10, TS | 0x30, TS | 0xd0, SS | 0x98, SS | 0x38, /* ring 1's
                                                                                        stack */
        GP | 0x18, GP | 0x18, UD,        0x53,      0x2b,      0xdff8,    GP | 0x20, GP | 0x10,
        UD,        0x50,      GP,        GP,        GP | 0x18, UD,        UD,        0x53,
        0x2b,      0xe000, /* direct, jumps by gates */
        UD,        0x23,      0x2b,      0xe008,    0,         0,         0x50,      UD,
        0x39, /* returns */
        GP | 0x10, GP | 0x38, GP | 0x20, GP,        GP | 0x20, GP | 0x10, GP,        GP | 0x18,
        UD,        0x18,      UD,        0x31,      GP | 0x10, GP,        GP | 0x20, GP,
        GP,        GP | 0x18, UD,        0x08d7,    TS | 0x40, /* IRET */
    };
    EXPECT("farcalls", GUEST_PROTECTED, want);
}

static void segments_have_limits_and_kinds(void)
{
    static const uint32_t want[] = {
        NONE,      GP,        NONE,      GP,        GP,        GP,        GP,
        NONE,      GP,        GP, /* bytes, pages */
        NONE,      GP,        GP,        NONE,      NONE,      NONE,      GP,
        GP,                      /* expand-down */
        GP,        0x1000,    2, /* a string */
        NONE,      GP,        GP,        GP | 0x88, NP | 0x80, NONE,      GP,
        GP,        NONE,      GP | 0x40, GP | 0xd0, GP | 0x10, GP | 0x10, GP | 0x18,
        UD,                                                    /* kinds */
        GP | 0x28, GP | 0x78, GP | 0x18, GP,        GP | 0x10, /* of SS */
        NONE,      GP,        GP,        GP,        GP,        /* NULL */
        NP | 0x48, NONE,      0x48,      NONE,      1,         GP | 0x1c, GP | 4,
        UD,        0x14,      0x9b00,    GP | 0x10, GP | 0x0c, NONE,      GP | 0x0c,
        GP, /* LDT */
        GP,        0x1000,    GP,        0xffd,     GP,        0xff0,     GP,
        0xff0,     0x8ff4, /* the end of code */
        UD,        0x4c,      SS,        0x54,      SS,        SS,        UD,
        SS,        SS,        SS,        SS,        SS,        SS, /* of a stack */
    };
    EXPECT("segments", GUEST_PROTECTED, want);
}

static void paging_of_32_bits_maps_and_protects(void)
{
    static const uint32_t want[] = {
        0,      0x20,     0x20,     0x60,     0x20,       0x60,   0x33,
        0x33,   0x20,     0x60,     0x44,     0x55667788, /* A and D */
        PF | 0, 0x803000, PF | 2,   0x803005, PF | 0,     PF | 0, NONE,
        PF | 9, PF | 0xb, PF | 3,   PF | 3,   NONE,       PF | 3, 0x801000, /* ring 0 */
        UD,     UD,       PF | 7,   PF | 7,   UD,         PF | 5, PF | 7,
        PF | 5, PF | 4,   PF | 0xd,         /* ring 3 */
        0x1234, PF | 0,   0x1234,   0x1234, /* changes */
    };
    EXPECT("paging32", GUEST_PROTECTED, want);
}

static void pae_paging_has_nx_and_reserved_bits(void)
{
    enum { BAD_PDPTE = 33 }; /* the first of four */
    uint32_t want[] = {
        NONE,     PF | 9,    PF | 9,    PF | 0,    PF | 9,    PF | 0xb, /* without NXE */
        NONE,     PF | 0x11, NONE,      PF | 0x11, PF | 0x10, PF | 2,    PF | 9,
        PF | 0xb, PF | 0x19, PF | 9,    0xc3,                                /* ring 0 */
        UD,       PF | 0x15, PF | 0x15, PF | 7,    PF | 0xd,  PF | 0x15, UD, /* ring 3 */
        0,        0x20,      0x60,      0x20,      0,         0x60,          /* A and D */
        PF | 0,   NONE,      NONE,      GP,        GP,        GP,        GP,
        NONE,     NONE,      PF | 0, /* PDPTEs */
    };
    struct pc pc;
    RUN(pc, "pae", GUEST_PROTECTED, ENGINE_EXIT_KICKED);
    for (unsigned i = 0; i < 4 && pc.trace[BAD_PDPTE] == (PF | 9); i++)
        want[BAD_PDPTE + i] = PF | 9; /* as AMD has it */
    check_trace(&pc, want, ARRAY_LEN(want));
}

static int run_all(void)
{
    TAP_RUN(interrupts_of_real_mode_go_through_the_ivt);
    TAP_RUN(segments_of_real_mode_end_at_64_kib);
    TAP_RUN(limits_outlive_protected_mode);
    TAP_RUN(gates_of_32_bits_change_rings_and_stacks);
    TAP_RUN(far_calls_and_returns_change_rings);
    TAP_RUN(segments_have_limits_and_kinds);
    TAP_RUN(paging_of_32_bits_maps_and_protects);
    TAP_RUN(pae_paging_has_nx_and_reserved_bits);
    TAP_RUN(code_that_changes_itself_runs_as_changed);
    TAP_RUN(code_that_another_processor_changes_is_old_or_new);
    return tap_done();
}

int main(int argc, char **argv)
{
    return pc_from_args(argc, argv) ? run_all() : 2;
}
