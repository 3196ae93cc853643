/* What a debugger of the host asks of an engine: steps, breakpoints and watchpoints in a guest that
 * knows nothing of them. */
#include "../unit/tap.h"
#include "base/util.h"
#include "guests_harness.h"

#define DATA 0x20100

/* Where each instruction begins, from GUEST_BASE on. */
enum { STORE = 0, AFTER_STORE = 8, COUNT = 9, LOAD = 12, AFTER_LOAD = 20, LOOP = 21 };

static const uint8_t code[] = {
    0x48, 0x89, 0x04, 0x25, 0x00, 0x01, 0x02, 0x00, /* mov %rax, DATA */
    0x90,                                           /* nop */
    0x48, 0xff, 0xc0,                               /* inc %rax */
    0x48, 0x8b, 0x0c, 0x25, 0x00, 0x01, 0x02, 0x00, /* mov DATA, %rcx */
    0x90,                                           /* nop */
    0xeb, 0xe9,                                     /* jmp to the store */
};

#define INT3 0xcc

#define DR7_EXECUTE    UINT64_C(0x602)
#define DR7_WRITE_8    UINT64_C(0x90602)
#define DR7_READ_WRITE UINT64_C(0xb0602)
#define DR6_STEP       0x4000

static struct pc pc;
static bool is_partial; /* a KVM that is known not to debug all guests */

/* NULL, or why this host cannot. */
static const char *open_with(uint32_t control, uint64_t dr0, uint64_t dr7)
{
    const char *why = pc_open(&pc, 1);
    if (why)
        return why;
    pc_put(&pc, code, sizeof(code), GUEST_LONG);
    pc.limit_s = is_partial ? 2 : 30;
    const struct kvm_guest_debug d = {
        .control = KVM_GUESTDBG_ENABLE | control,
        .arch.debugreg = {[0] = dr0, [7] = dr7},
    };
    struct err err = {0};
    CHECK_EQ(engine_vcpu_set_debug(pc.vcpus[0], &d, &err), 0);
    return NULL;
}

/* Runs to the next stop, which must be at an instruction of the guest. False: this host's KVM has
 * none. */
static bool stops(unsigned at, unsigned vector, uint64_t dr6)
{
    struct engine_exit_info info = pc_run(&pc);
    if (is_partial && info.reason != ENGINE_EXIT_DEBUG)
        return false;
    CHECK_EQ(info.reason, ENGINE_EXIT_DEBUG);
    CHECK_EQ(info.debug.pc, GUEST_BASE + at);
    CHECK_EQ(info.debug.exception, vector);
    CHECK_EQ(info.debug.dr6 & dr6, dr6);
    return true;
}

#define STOPS(at, vector, dr6)                                                                     \
    do {                                                                                           \
        if (!stops(at, vector, dr6)) {                                                             \
            pc_close(&pc);                                                                         \
            SKIP("this host's KVM, without hardware support or emulated, does not stop there");    \
        }                                                                                          \
    } while (0)

static uint64_t guest_rax(void)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    CHECK_EQ(engine_vcpu_get_regs(pc.vcpus[0], &r, &s, NULL), 0);
    CHECK_EQ(r.rflags & 0x100, 0); /* the guest does not see TF */
    return r.rax;
}

#define OPEN(control, dr0, dr7)                                                                    \
    do {                                                                                           \
        const char *why_not = open_with(control, dr0, dr7);                                        \
        if (why_not)                                                                               \
            SKIP(why_not);                                                                         \
    } while (0)

static void each_step_is_one_instruction(void)
{
    static const unsigned ends[] = {AFTER_STORE, COUNT, LOAD, AFTER_LOAD, LOOP, STORE, AFTER_STORE};
    OPEN(KVM_GUESTDBG_SINGLESTEP, 0, 0);
    for (unsigned i = 0; i < ARRAY_LEN(ends); i++)
        STOPS(ends[i], 1, DR6_STEP);
    CHECK_EQ(guest_rax(), 1);
    pc_close(&pc);
}

static void an_int3_of_the_debugger_stops_where_it_is(void)
{
    OPEN(KVM_GUESTDBG_USE_SW_BP, 0, 0);
    uint8_t *at = guest_mem_ptr(&pc.mem, GUEST_BASE + COUNT, 1);
    uint8_t was = *at;
    *at = INT3;
    STOPS(COUNT, 3, 0);
    CHECK_EQ(guest_rax(), 0);
    *at = was;
    const struct kvm_guest_debug step = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
                                                    KVM_GUESTDBG_USE_SW_BP};
    CHECK_EQ(engine_vcpu_set_debug(pc.vcpus[0], &step, NULL), 0);
    STOPS(LOAD, 1, DR6_STEP);
    CHECK_EQ(guest_rax(), 1);
    pc_close(&pc);
}

static void a_hardware_breakpoint_stops_before_the_instruction(void)
{
    OPEN(KVM_GUESTDBG_USE_HW_BP, GUEST_BASE + COUNT, DR7_EXECUTE);
    STOPS(COUNT, 1, 1);
    CHECK_EQ(guest_rax(), 0);
    pc_close(&pc);
}

static void a_watchpoint_stops_after_the_store(void)
{
    OPEN(KVM_GUESTDBG_USE_HW_BP, DATA, DR7_WRITE_8);
    for (unsigned i = 0; i < 3; i++) {
        STOPS(AFTER_STORE, 1, 1);
        CHECK_EQ(guest_rax(), i);
    }
    pc_close(&pc);
}

static void an_access_watchpoint_stops_after_loads_too(void)
{
    OPEN(KVM_GUESTDBG_USE_HW_BP, DATA, DR7_READ_WRITE);
    STOPS(AFTER_STORE, 1, 1);
    STOPS(AFTER_LOAD, 1, 1);
    STOPS(AFTER_STORE, 1, 1);
    pc_close(&pc);
}

static int run_all(void)
{
    TAP_RUN(each_step_is_one_instruction);
    TAP_RUN(an_int3_of_the_debugger_stops_where_it_is);
    TAP_RUN(a_hardware_breakpoint_stops_before_the_instruction);
    TAP_RUN(a_watchpoint_stops_after_the_store);
    TAP_RUN(an_access_watchpoint_stops_after_loads_too);
    return tap_done();
}

int main(int argc, char **argv)
{
    static const struct engine_probe_input in = {.kvm_fd = -1};
    const struct engine *engine = pc_from_args(argc, argv);
    if (!engine)
        return 2;
    struct err err = {0};
    is_partial = engine_probe(engine, &in, &err) || getenv("VIRGA_RIG");
    return run_all();
}
