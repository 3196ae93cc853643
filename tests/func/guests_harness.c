#include "guests_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/util.h"
#include "x86/cpuid.h"

#define PORT_TRACE 0xe0
#define PORT_ASK   0xe8
#define PORT_EXIT  0xf4

enum { PML4 = 0x1000, PDPT = 0x2000, PDS = 0x3000, GDT = 0x7000, STACK_TOP = 0x9000 };

static const struct engine *the_engine;
static const char *the_dir;

void pc_setup(const struct engine *engine, const char *guest_dir)
{
    the_engine = engine;
    the_dir = guest_dir;
}

void pc_use(const struct engine *engine)
{
    the_engine = engine;
}

/* ---- test device ---- */

static uint64_t all_ones_read(void *opaque, uint64_t offset, unsigned size)
{
    return UINT64_MAX;
}

static void exit_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc *pc = opaque;
    pc->ended = true;
    pc->verdict = (unsigned)value;
    engine_vcpu_kick(pc->vcpus[0]);
}

static void trace_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc *pc = opaque;
    if (pc->n_trace < TRACE_MAX)
        pc->trace[pc->n_trace++] = (uint32_t)value;
    if (pc->traced)
        pc->traced(pc);
}

static void ask_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pc *pc = opaque;
    if (pc->asked)
        pc->asked(pc, (unsigned)value);
}

static void note(struct pc *pc, struct access a)
{
    if (pc->n_accesses < ACCESSES_MAX)
        pc->accesses[pc->n_accesses++] = a;
}

static uint64_t device_read(struct pc *pc, bool mmio, uint64_t offset, unsigned size)
{
    uint64_t value = ++pc->reads * UINT64_C(0x0101010101010101);
    if (size < 8)
        value &= (UINT64_C(1) << (8 * size)) - 1;
    note(pc, (struct access){mmio, false, offset, size, value});
    return value;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    return device_read(opaque, false, 0x300 + offset, size);
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    note(opaque, (struct access){false, true, 0x300 + offset, size, value});
}

static uint64_t mem_read(void *opaque, uint64_t offset, unsigned size)
{
    return device_read(opaque, true, offset, size);
}

static void mem_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    note(opaque, (struct access){true, true, offset, size, value});
}

static const struct bus_region_ops exit_ops = {all_ones_read, exit_write};
static const struct bus_region_ops trace_ops = {all_ones_read, trace_write};
static const struct bus_region_ops ask_ops = {all_ones_read, ask_write};
static const struct bus_region_ops ports_ops = {ports_read, ports_write};
static const struct bus_region_ops mem_ops = {mem_read, mem_write};

static void add_devices(struct pc *pc)
{
    pc->exit_port = (struct bus_region){"exit", PORT_EXIT, 1, &exit_ops, pc, true};
    pc->trace_port = (struct bus_region){"trace", PORT_TRACE, 4, &trace_ops, pc, false};
    pc->ask_port = (struct bus_region){"ask", PORT_ASK, 1, &ask_ops, pc, true};
    pc->device_ports = (struct bus_region){"test ports", 0x300, 0x20, &ports_ops, pc, false};
    pc->device_mem = (struct bus_region){"test memory", GUEST_MMIO, 0x2000, &mem_ops, pc, false};
    if (bus_add(&pc->bus, BUS_PIO, &pc->exit_port, NULL) ||
        bus_add(&pc->bus, BUS_PIO, &pc->trace_port, NULL) ||
        bus_add(&pc->bus, BUS_PIO, &pc->ask_port, NULL) ||
        bus_add(&pc->bus, BUS_PIO, &pc->device_ports, NULL) ||
        bus_add(&pc->bus, BUS_MMIO, &pc->device_mem, NULL))
        abort();
}

/* ---- the machine ---- */

static void set_ioapic(void *opaque, const struct bus_ioapic_pin *pins)
{
    struct pc *pc = opaque;
    engine_vm_set_ioapic(pc->vm, pins);
}

static void extint(void *opaque)
{
    struct pc *pc = opaque;
    engine_vm_extint(pc->vm);
}

static const struct irqchip_ops chip_ops = {set_ioapic, extint};
static const struct engine_irqchip_ops engine_ops = {
    irqchip_eoi,
    irqchip_extint_pending,
    irqchip_extint_acknowledge,
};

static int create_vcpus(struct pc *pc, struct err *err)
{
    static const struct engine_probe_input in = {.kvm_fd = -1};
    struct kvm_cpuid_entry2 host[ENGINE_CPUID_MAX], cpuid[ENGINE_CPUID_MAX];
    int n_host = engine_supported_cpuid(pc->engine, &in, host, err);
    if (n_host < 0)
        return n_host;
    for (unsigned i = 0; i < pc->n_vcpus; i++) {
        unsigned n = (unsigned)n_host;
        memcpy(cpuid, host, n * sizeof(host[0]));
        int ret = cpuid_build(cpuid, &n, ENGINE_CPUID_MAX, "host", i, pc->n_vcpus, err);
        if (!ret)
            ret = engine_vcpu_create(pc->vm, i, &pc->vcpus[i], err);
        if (!ret)
            ret = engine_vcpu_set_cpuid(pc->vcpus[i], cpuid, n, err);
        if (ret)
            return ret;
    }
    return 0;
}

const char *pc_open(struct pc *pc, unsigned n_vcpus)
{
    static char why[ERR_MSG_BYTES];
    static const struct engine_probe_input in = {.kvm_fd = -1};
    struct err err = {0};
    memset(pc, 0, sizeof(*pc));
    pc->engine = the_engine;
    pc->n_vcpus = n_vcpus;
    bus_init(&pc->bus);
    pc->main_loop = iothread_create("main-loop", NULL, &err);
    if (!pc->main_loop || guest_mem_init(&pc->mem, GUEST_RAM_BYTES, 0, &err))
        abort();
    const struct engine_vm_config config = {
        .n_vcpus = n_vcpus,
        .mem = &pc->mem,
        .bus = &pc->bus,
        .irqchip = &engine_ops,
        .irqchip_opaque = &pc->chip,
    };
    if (engine_vm_create(pc->engine, &in, &config, &pc->vm, &err) == 0) {
        bus_set_engine(&pc->bus, engine_vm_bus_ops(pc->vm), pc->vm);
        if (irqchip_init(&pc->chip, &pc->bus, iothread_loop(pc->main_loop), &chip_ops, pc, &err))
            abort();
        add_devices(pc);
        if (create_vcpus(pc, &err) == 0)
            return NULL;
    }
    snprintf(why, sizeof(why), "%s", err.msg);
    pc_close(pc);
    return why;
}

void pc_close(struct pc *pc)
{
    irqchip_fini(&pc->chip);
    for (unsigned i = 0; i < pc->n_vcpus; i++)
        engine_vcpu_destroy(pc->vcpus[i]);
    engine_vm_destroy(pc->vm);
    iothread_destroy(pc->main_loop);
    guest_mem_fini(&pc->mem);
    bus_fini(&pc->bus);
}

/* ---- loading ---- */

static void build_tables(struct pc *pc)
{
    uint8_t *mem = guest_mem_ptr(&pc->mem, 0, GUEST_RAM_BYTES);
    le64_write(mem + PML4, PDPT | 3);
    for (unsigned i = 0; i < 4; i++)
        le64_write(mem + PDPT + 8 * i, (PDS + 0x1000 * i) | 3);
    for (uint64_t i = 0; i < 4 * 512; i++)
        le64_write(mem + PDS + 8 * i, i << 21 | 0x83);
    le64_write(mem + GDT + 8, UINT64_C(0x00af9b000000ffff));
    le64_write(mem + GDT + 16, UINT64_C(0x00cf93000000ffff));
    le64_write(mem + GDT + 24, UINT64_C(0x00cf9b000000ffff));
}

void pc_enter(struct pc *pc, enum guest_mode mode)
{
    struct kvm_regs r;
    struct kvm_sregs s;
    if (engine_vcpu_get_regs(pc->vcpus[0], &r, &s, NULL))
        abort();
    r = (struct kvm_regs){.rip = GUEST_BASE, .rsp = STACK_TOP, .rflags = 2};
    const struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    if (mode == GUEST_REAL) {
        r.rip = 0;
        s.cs.selector = GUEST_BASE >> 4;
        s.cs.base = GUEST_BASE;
    } else {
        s.cs = (struct kvm_segment){.limit = 0xffffffff, .type = 11, .present = 1, .s = 1, .g = 1};
        s.cs.l = mode == GUEST_LONG;
        s.cs.db = mode == GUEST_PROTECTED;
        s.cs.selector = mode == GUEST_LONG ? 8 : 24;
        s.ds = s.es = s.fs = s.gs = s.ss = data;
        s.gdt = (struct kvm_dtable){.base = GDT, .limit = 31};
        s.cr0 |= 0x31; /* NE, ET, PE */
    }
    if (mode == GUEST_LONG) {
        s.cr3 = PML4;
        s.cr4 |= 0x620; /* OSXMMEXCPT, OSFXSR, PAE */
        s.cr0 |= 0x80000002;
        s.cr0 &= ~UINT64_C(0xc); /* no EM, no TS */
        s.efer |= 0x500;         /* LMA, LME */
    }
    if (engine_vcpu_set_regs(pc->vcpus[0], &r, &s, NULL))
        abort();
}

void pc_put(struct pc *pc, const void *code, size_t bytes, enum guest_mode mode)
{
    if (guest_mem_write(&pc->mem, GUEST_BASE, code, bytes))
        abort();
    build_tables(pc);
    pc_enter(pc, mode);
}

void pc_load(struct pc *pc, const char *name, enum guest_mode mode)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.bin", the_dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, guest_mem_ptr(&pc->mem, GUEST_BASE, 0x10000), 0x10000) <= 0) {
        fprintf(stderr, "could not read %s: %s\n", path, strerror(errno));
        abort();
    }
    close(fd);
    build_tables(pc);
    pc_enter(pc, mode);
}

/* ---- running ---- */

struct watchdog {
    struct pc *pc;
    struct loop_timer timer;
    bool fired;
};

static void on_limit(struct loop_timer *t)
{
    struct watchdog *w = t->opaque;
    w->fired = true;
    engine_vcpu_kick(w->pc->vcpus[0]);
}

static unsigned limit_of(const struct pc *pc)
{
    return pc->limit_s ? pc->limit_s : LIMIT_S;
}

static void start_watchdog(void *arg)
{
    struct watchdog *w = arg;
    struct loop *loop = iothread_loop(w->pc->main_loop);
    loop_timer_arm(loop, &w->timer, loop_now_ns(loop) + limit_of(w->pc) * INT64_C(1000000000));
}

static void stop_watchdog(void *arg)
{
    struct watchdog *w = arg;
    loop_timer_cancel(iothread_loop(w->pc->main_loop), &w->timer);
}

static uint32_t lapic_register(const struct engine_vcpu_state *s, unsigned offset)
{
    uint32_t v;
    memcpy(&v, s->lapic.regs + offset, sizeof(v));
    return v;
}

/* Whether its APIC's timer counts: asked twice. */
static void print_timer(struct pc *pc, struct engine_vcpu_state *s)
{
    for (int i = 0; i < 2 && !engine_vcpu_get_state(pc->vcpus[0], s, NULL); i++) {
        printf("# APIC spurious 0x%x timer 0x%x divide 0x%x initial 0x%x current 0x%x\n",
               lapic_register(s, 0xf0), lapic_register(s, 0x320), lapic_register(s, 0x3e0),
               lapic_register(s, 0x380), lapic_register(s, 0x390));
        usleep(100000);
    }
}

/* Where a guest that did not end was: on a machine that is not at hand that is all there will be.
 */
static void print_where(struct pc *pc)
{
    struct engine_vcpu_state *s = calloc(1, sizeof(*s));
    if (s && !engine_vcpu_get_state(pc->vcpus[0], s, NULL)) {
        printf("# rip %llx rflags %llx rax %llx rcx %llx r12 %llx r13 %llx mp_state %u\n",
               s->regs.rip, s->regs.rflags, s->regs.rax, s->regs.rcx, s->regs.r12, s->regs.r13,
               s->mp_state.mp_state);
        for (unsigned i = 0; i < 8; i++) {
            uint32_t isr = lapic_register(s, 0x100 + 16 * i);
            uint32_t irr = lapic_register(s, 0x200 + 16 * i);
            if (isr || irr)
                printf("# vectors from 0x%x: in service 0x%x, requested 0x%x\n", 32 * i, isr, irr);
        }
        print_timer(pc, s);
    }
    free(s);
}

struct engine_exit_info pc_run(struct pc *pc)
{
    struct engine_exit_info info;
    struct watchdog w = {.pc = pc, .timer = {.expired = on_limit}};
    w.timer.opaque = &w;
    loop_call(iothread_loop(pc->main_loop), start_watchdog, &w);
    engine_vcpu_run(pc->vcpus[0], &info);
    loop_call(iothread_loop(pc->main_loop), stop_watchdog, &w);
    pc->timed_out |= w.fired;
    if (w.fired) {
        printf("# the guest did not end within %u s\n", limit_of(pc));
        print_where(pc);
    }
    if (info.reason == ENGINE_EXIT_ERROR)
        printf("# %s\n", info.err.msg);
    return info;
}
