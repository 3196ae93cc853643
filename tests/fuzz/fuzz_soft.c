/* A hostile guest on the software engine: any bytes as kernel code, in every mode. It must neither
 * crash nor hang the engine, nor write outside of guest RAM (which lies between guard pages).
 *
 *   OFFSET  SIZE  MEANING
 *   0       1     bits 0 to 2: enum shape; bit 3: ring 3; bit 4: faults and interrupts have
 *                 handlers, in the code itself
 *   1       7     seeds of the registers
 *   8       ...   code */
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

/* What the code is run as. */
enum shape {
    REAL,
    PROTECTED_16,
    PROTECTED_32,
    PAGED_32, /* 4 MiB pages */
    PAGED_PAE,
    COMPATIBILITY,
    LONG,
    LONG_PCID,
};

#define USER     8
#define HANDLERS 16

/* Beside the tables that pc_put() builds. */
enum { PD_32 = 0xa000, PDPT_PAE = 0xb000, IDT = 0xc000, TSS = 0xd000, RING_0_STACK = 0xf000 };

static enum guest_mode mode_of(enum shape shape)
{
    if (shape == REAL)
        return GUEST_REAL;
    return shape >= COMPATIBILITY ? GUEST_LONG : GUEST_PROTECTED;
}

/* Every page is the user's too, so that ring 3 gets somewhere. */
static void open_pages(uint8_t *mem, enum shape shape)
{
    for (unsigned at = 0x1000; at < 0x7000; at += 8)
        mem[at] |= mem[at] ? 4 : 0;
    for (uint32_t i = 0; i < 1024 && shape == PAGED_32; i++)
        le32_write(mem + PD_32 + 4 * i, i << 22 | 0x87);
    for (unsigned i = 0; i < 4 && shape == PAGED_PAE; i++)
        le64_write(mem + PDPT_PAE + 8 * i, 0x3001 + 0x1000 * i);
}

/* Gates of the widest kind that the mode has, to one place in the code, and the stack of ring 0. */
static void make_handlers(uint8_t *mem, struct kvm_sregs *s, enum shape shape, unsigned at)
{
    bool is_long = shape >= COMPATIBILITY;
    unsigned bytes = is_long ? 16 : shape == REAL ? 4 : 8;
    uint32_t to = GUEST_BASE + at;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t *gate = mem + IDT + v * bytes;
        if (shape == REAL) {
            le32_write(gate, (GUEST_BASE >> 4) << 16 | at);
            continue;
        }
        le32_write(gate, (is_long ? 0x08u : 0x18u) << 16 | (to & 0xffff));
        le32_write(gate + 4, (to & 0xffff0000) | 0xee00);
    }
    /* RSP0 of the long form, ESP0 and SS0 of the short one. */
    le64_write(mem + TSS + 4, is_long ? RING_0_STACK : RING_0_STACK | UINT64_C(0x10) << 32);
    s->idt = (struct kvm_dtable){.base = IDT, .limit = (uint16_t)(256 * bytes - 1)};
    s->tr = (struct kvm_segment){
        .base = TSS, .limit = 0x67, .selector = 0x20, .type = 11, .present = 1};
}

static void set_shape(struct kvm_sregs *s, enum shape shape)
{
    if (shape == PROTECTED_16)
        s->cs.db = s->ss.db = 0;
    if (shape == COMPATIBILITY) {
        s->cs.l = 0;
        s->cs.db = 1;
    }
    if (shape == PAGED_32 || shape == PAGED_PAE) {
        s->cr3 = shape == PAGED_32 ? PD_32 : PDPT_PAE;
        s->cr4 |= shape == PAGED_32 ? 0x10 : 0x20;
        s->cr0 |= 0x80010000;
    }
    if (shape == LONG_PCID)
        s->cr4 |= 0x20080; /* PCIDE, PGE */
}

static void set_registers(const uint8_t *data, enum shape shape)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    uint8_t *mem = guest_mem_ptr(&pc.mem, 0, GUEST_RAM_BYTES);
    if (engine_vcpu_get_regs(pc.vcpus[0], &r, &s, NULL))
        abort();
    r.rax = data[1] * UINT64_C(0x0101010101);
    r.rcx = data[2];
    r.rdx = (uint64_t)(int8_t)data[3];
    r.rbx = GUEST_BASE + data[4] * 16u;
    r.rsi = data[5] << 12;
    r.rdi = (uint64_t)(int64_t)(int8_t)data[6] << 40;
    r.rbp = data[7] * 257u;
    open_pages(mem, shape);
    set_shape(&s, shape);
    if (data[0] & HANDLERS)
        make_handlers(mem, &s, shape, data[4] * 16u);
    if (data[0] & USER && shape != REAL) {
        s.cs.dpl = s.ss.dpl = 3;
        s.cs.selector |= 3;
        s.ss.selector |= 3;
    }
    if (engine_vcpu_set_regs(pc.vcpus[0], &r, &s, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
           mode_of(data[0] & 7));
    set_registers(data, data[0] & 7);
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
