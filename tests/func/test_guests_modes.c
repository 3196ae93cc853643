/* The CPU in each of its modes, and code that changes. What each guest traces is in the tables
 * here, which are what the manuals say (Intel SDM volume 3, AMD APM volume 2), in the guest's
 * order. */
#include "guests_expect.h"

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

static int run_all(void)
{
    TAP_RUN(code_that_changes_itself_runs_as_changed);
    TAP_RUN(code_that_another_processor_changes_is_old_or_new);
    return tap_done();
}

int main(int argc, char **argv)
{
    return pc_from_args(argc, argv) ? run_all() : 2;
}
