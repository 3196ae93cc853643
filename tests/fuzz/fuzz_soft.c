/* A hostile guest on the software engine: any bytes as kernel code, in every mode. It must neither
 * crash nor hang the engine, nor write outside of guest RAM (which lies between guard pages).
 *   OFFSET  SIZE  MEANING
 *   0       1     mode: bits 0..1 real, protected, long, long with other registers; bit 2: user
 * mode 1       7     seeds of the registers 8       ...   code */
#include <time.h>

#include "base/util.h"
#include "engine/soft/soft_engine.h"
#include "guests_harness.h"

#define HEADER_BYTES      8
#define CODE_MAX          8192
#define BUDGET_US         500
#define BUDGETS_PER_INPUT 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct pc pc;
static struct engine_vcpu_state first;

/* An endless loop is ended by kicks. */
static void *kick_for_ever(void *arg)
{
    const struct timespec t = {.tv_nsec = BUDGET_US * 1000};
    for (;;) {
        nanosleep(&t, NULL);
        engine_vcpu_kick(pc.vcpus[0]);
    }
    return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    pthread_t thread;
    pc_setup(&soft_engine, ".");
    const char *why = pc_open(&pc, 1);
    if (why || engine_vcpu_get_state(pc.vcpus[0], &first, NULL) ||
        pthread_create(&thread, NULL, kick_for_ever, NULL))
        abort();
    return 0;
}

static void set_registers(const uint8_t *data, unsigned mode)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    if (engine_vcpu_get_regs(pc.vcpus[0], &r, &s, NULL))
        abort();
    r.rax = data[1] * UINT64_C(0x0101010101);
    r.rcx = data[2];
    r.rdx = (uint64_t)(int8_t)data[3];
    r.rbx = GUEST_BASE + data[4] * 16u;
    r.rsi = data[5] << 12;
    r.rdi = (uint64_t)(int64_t)(int8_t)data[6] << 40;
    r.rbp = data[7] * 257u;
    if (mode & 4 && s.cr0 & 1) {
        s.cs.dpl = s.ss.dpl = 3;
        s.cs.selector |= 3;
        s.ss.selector |= 3;
    }
    engine_vcpu_set_regs(pc.vcpus[0], &r, &s, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum guest_mode modes[] = {GUEST_REAL, GUEST_PROTECTED, GUEST_LONG, GUEST_LONG};
    if (size <= HEADER_BYTES)
        return 0;
    memset(guest_mem_ptr(&pc.mem, 0, GUEST_RAM_BYTES), 0, 0x40000);
    bus_lock(&pc.bus);
    irqchip_reset(&pc.chip);
    bus_unlock(&pc.bus);
    if (engine_vcpu_set_state(pc.vcpus[0], &first, NULL))
        abort();
    pc.n_trace = pc.n_accesses = 0;
    pc_put(&pc, data + HEADER_BYTES, MIN(size - HEADER_BYTES, (size_t)CODE_MAX),
           modes[data[0] & 3]);
    set_registers(data, data[0]);
    for (unsigned i = 0; i < BUDGETS_PER_INPUT; i++) {
        struct engine_exit_info info = {0};
        engine_vcpu_run(pc.vcpus[0], &info);
        if (info.reason != ENGINE_EXIT_KICKED)
            break;
    }
    /* The guest's x87 and SSE control must not stay behind in the host's registers. */
    uint16_t fcw, fsw;
    uint32_t mxcsr;
    __asm__ volatile("fnstcw %0\n\tfnstsw %1\n\tstmxcsr %2" : "=m"(fcw), "=m"(fsw), "=m"(mxcsr));
    if (fcw != 0x37f || fsw & 0x80 || (mxcsr & 0xffc0) != 0x1f80)
        abort();
    /* What came of it must be a state that can be saved and loaded. */
    static struct engine_vcpu_state after;
    if (engine_vcpu_get_state(pc.vcpus[0], &after, NULL))
        abort();
    engine_vcpu_set_state(pc.vcpus[0], &after, NULL);
    return 0;
}
