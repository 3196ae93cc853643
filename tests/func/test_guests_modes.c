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
