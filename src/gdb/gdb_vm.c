/* Theory of operation. A software breakpoint is an int3 in guest RAM, at the physical address that
 * it had when it was set: user space of another process that shares the page meets it too, as with
 * every debugger that has no notion of processes. What gdb reads and writes goes around it. Debug
 * registers hold the others, the same in every vCPU. A step lets one vCPU run alone with interrupts
 * held off, so that it ends at the next instruction and not in a handler. */
#include "gdb/gdb_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "gdb/gdb_regs.h"
#include "x86/page_walk.h"

#define SOFT_MAX 256
#define HARD_MAX 4
#define INT3     0xcc

struct soft_break {
    uint64_t linear, phys;
    uint8_t was;
};
struct hard_break {
    bool used;
    enum gdb_break_kind kind;
    uint64_t linear;
    uint8_t bytes;
};

struct gdb_vm {
    struct machine *m;
    struct gdb_server *server;
    struct machine_debugger debugger;
    void (*kill)(void *opaque);
    void *opaque;
    bool attached, was_paused, stepping, no_block_irq;
    bool halted; /* what is stepped waits for an interrupt: none may be held off */
    unsigned step_vcpu;
    unsigned n_soft;
    struct soft_break soft[SOFT_MAX];
    struct hard_break hard[HARD_MAX];
    struct engine_vcpu_state state; /* scratch */
};

/* ---- what the engine is told ---- */

static uint32_t control_of(const struct gdb_vm *g, unsigned vcpu, bool hard)
{
    uint32_t c = KVM_GUESTDBG_ENABLE | (g->n_soft ? KVM_GUESTDBG_USE_SW_BP : 0) |
                 (hard ? KVM_GUESTDBG_USE_HW_BP : 0);
    if (g->stepping && vcpu == g->step_vcpu)
        c |= KVM_GUESTDBG_SINGLESTEP | (g->no_block_irq || g->halted ? 0 : KVM_GUESTDBG_BLOCKIRQ);
    return g->attached ? c : 0;
}

/* Length field of DR7: 1, 2, 8, 4 bytes. */
static unsigned len_field(unsigned bytes)
{
    return bytes == 8 ? 2 : bytes - 1;
}

static int tell_one(struct gdb_vm *g, unsigned vcpu)
{
    struct kvm_guest_debug d = {0};
    bool any = false;
    d.arch.debugreg[7] = 0x600;
    for (unsigned i = 0; i < HARD_MAX; i++) {
        const struct hard_break *h = &g->hard[i];
        if (!h->used)
            continue;
        unsigned type = h->kind == GDB_BREAK_HARD ? 0 : h->kind == GDB_WATCH_WRITE ? 1 : 3;
        any = true;
        d.arch.debugreg[i] = h->linear;
        d.arch.debugreg[7] |= 2u << (2 * i) | (uint64_t)type << (16 + 4 * i) |
                              (uint64_t)(type ? len_field(h->bytes) : 0) << (18 + 4 * i);
    }
    d.control = control_of(g, vcpu, any);
    struct err err = {0};
    int ret = engine_vcpu_set_debug(machine_vcpu(g->m, vcpu), &d, &err);
    if (ret && d.control & KVM_GUESTDBG_BLOCKIRQ && !g->no_block_irq) {
        g->no_block_irq = true; /* before Linux 5.16 */
        return tell_one(g, vcpu);
    }
    if (ret)
        log_line(LOG_WARN, "gdb", "%s", err.msg);
    return ret;
}

static int tell_engine(struct gdb_vm *g)
{
    int ret = 0;
    for (unsigned i = 0; !ret && i < machine_n_vcpus(g->m); i++)
        ret = tell_one(g, i);
    return ret;
}

/* ---- memory ---- */

static bool read_entry(void *opaque, uint64_t phys, void *entry, unsigned bytes)
{
    struct gdb_vm *g = opaque;
    return guest_mem_read(machine_mem(g->m), phys, entry, bytes) == 0;
}

/* The translation as a vCPU sees it; its registers are in g->state afterwards. */
static int load_sregs(struct gdb_vm *g, unsigned thread)
{
    return engine_vcpu_get_regs(machine_vcpu(g->m, thread), &g->state.regs, &g->state.sregs, NULL);
}

static bool translate(struct gdb_vm *g, bool physical, uint64_t at, uint64_t *phys)
{
    *phys = at;
    return physical || page_walk(&g->state.sregs, at, read_entry, g, phys);
}

/* Whether the int3 is still there: a reset and the guest itself may have written over it. */
static bool stands(struct gdb_vm *g, const struct soft_break *b)
{
    uint8_t byte = 0;
    return guest_mem_read(machine_mem(g->m), b->phys, &byte, 1) == 0 && byte == INT3;
}

/* Our int3s in [phys, phys + n) of what was read, as the guest wrote them. */
static void hide_breaks(const struct gdb_vm *g, uint64_t phys, uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < g->n_soft; i++)
        if (g->soft[i].phys - phys < n && bytes[g->soft[i].phys - phys] == INT3)
            bytes[g->soft[i].phys - phys] = g->soft[i].was;
}

/* New bytes under an int3 of ours go behind it. */
static void keep_breaks(struct gdb_vm *g, uint64_t phys, uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < g->n_soft; i++) {
        uint64_t off = g->soft[i].phys - phys;
        if (off >= n || !stands(g, &g->soft[i]))
            continue;
        g->soft[i].was = bytes[off];
        bytes[off] = INT3;
    }
}

static int read_memory(void *target, unsigned thread, bool physical, uint64_t at, void *bytes,
                       size_t n)
{
    struct gdb_vm *g = target;
    int ret = physical ? 0 : load_sregs(g, thread);
    for (size_t done = 0; !ret && done < n;) {
        uint64_t phys, step = MIN(n - done, 4096 - ((at + done) & 4095));
        uint8_t *to = (uint8_t *)bytes + done;
        if (!translate(g, physical, at + done, &phys) ||
            guest_mem_read(machine_mem(g->m), phys, to, step) < 0)
            return -EFAULT;
        hide_breaks(g, phys, to, step);
        done += step;
    }
    return ret;
}

static int write_memory(void *target, unsigned thread, bool physical, uint64_t at,
                        const void *bytes, size_t n)
{
    struct gdb_vm *g = target;
    uint8_t page[4096];
    int ret = physical ? 0 : load_sregs(g, thread);
    /* All of it must be there before any of it is written. */
    for (int pass = 0; !ret && pass < 2; pass++) {
        for (size_t done = 0; done < n;) {
            uint64_t phys, step = MIN(n - done, 4096 - ((at + done) & 4095));
            if (!translate(g, physical, at + done, &phys) ||
                !guest_mem_ptr(machine_mem(g->m), phys, step))
                return -EFAULT;
            memcpy(page, (const uint8_t *)bytes + done, step);
            if (pass) {
                keep_breaks(g, phys, page, step);
                guest_mem_write(machine_mem(g->m), phys, page, step);
            }
            done += step;
        }
    }
    return ret;
}

/* ---- breakpoints ---- */

static int insert_soft(struct gdb_vm *g, uint64_t at)
{
    static const uint8_t int3 = INT3;
    struct soft_break b = {.linear = at};
    for (unsigned i = 0; i < g->n_soft; i++)
        if (g->soft[i].linear == at)
            return 0;
    if (g->n_soft == SOFT_MAX)
        return -ENOSPC;
    int ret = load_sregs(g, 0);
    if (ret || !translate(g, false, at, &b.phys) ||
        guest_mem_read(machine_mem(g->m), b.phys, &b.was, 1) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < g->n_soft; i++)
        if (g->soft[i].phys == b.phys) /* another name of the same byte */
            b.was = g->soft[i].was;
    guest_mem_write(machine_mem(g->m), b.phys, &int3, 1);
    g->soft[g->n_soft++] = b;
    return 0;
}

/* Takes entry i out; its byte comes back when no other name of it is left. */
static void drop_soft(struct gdb_vm *g, unsigned i)
{
    struct soft_break b = g->soft[i];
    bool shared = false;
    g->soft[i] = g->soft[--g->n_soft];
    for (unsigned k = 0; k < g->n_soft; k++)
        shared |= g->soft[k].phys == b.phys;
    if (!shared && stands(g, &b))
        guest_mem_write(machine_mem(g->m), b.phys, &b.was, 1);
}

static int remove_soft(struct gdb_vm *g, uint64_t at)
{
    for (unsigned i = 0; i < g->n_soft; i++)
        if (g->soft[i].linear == at) {
            drop_soft(g, i);
            return 0;
        }
    return -ENOENT;
}

static int insert_hard(struct gdb_vm *g, enum gdb_break_kind kind, uint64_t at, unsigned n)
{
    bool size_good =
        kind == GDB_BREAK_HARD || ((n == 1 || n == 2 || n == 4 || n == 8) && !(at & (n - 1)));
    if (!size_good)
        return -EINVAL;
    for (unsigned i = 0; i < HARD_MAX; i++) {
        if (g->hard[i].used)
            continue;
        g->hard[i] = (struct hard_break){true, kind, at, (uint8_t)n};
        return 0;
    }
    return -ENOSPC;
}

static int remove_hard(struct gdb_vm *g, enum gdb_break_kind kind, uint64_t at)
{
    for (unsigned i = 0; i < HARD_MAX; i++)
        if (g->hard[i].used && g->hard[i].kind == kind && g->hard[i].linear == at) {
            g->hard[i].used = false;
            return 0;
        }
    return -ENOENT;
}

static int insert(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n)
{
    struct gdb_vm *g = target;
    if (kind == GDB_WATCH_READ)
        return -ENOTSUP;
    int ret = kind == GDB_BREAK_SOFT ? insert_soft(g, at) : insert_hard(g, kind, at, n);
    return ret ? ret : tell_engine(g);
}

static int remove_break(void *target, enum gdb_break_kind kind, uint64_t at, unsigned n)
{
    struct gdb_vm *g = target;
    int ret = kind == GDB_BREAK_SOFT ? remove_soft(g, at) : remove_hard(g, kind, at);
    return ret ? ret : tell_engine(g);
}

/* ---- registers ---- */

static int read_regs(void *target, unsigned thread, uint8_t *block)
{
    struct gdb_vm *g = target;
    int ret = engine_vcpu_get_state(machine_vcpu(g->m, thread), &g->state, NULL);
    if (!ret)
        gdb_regs_read(&g->state, block);
    return ret;
}

static int write_regs(void *target, unsigned thread, const uint8_t *block)
{
    struct gdb_vm *g = target;
    int ret = load_sregs(g, thread);
    if (ret)
        return ret;
    gdb_regs_write(block, &g->state.regs, &g->state.sregs);
    return engine_vcpu_set_regs(machine_vcpu(g->m, thread), &g->state.regs, &g->state.sregs, NULL);
}

/* ---- running ---- */

static unsigned n_threads(void *target)
{
    return machine_n_vcpus(((struct gdb_vm *)target)->m);
}

static bool running(void *target)
{
    const struct gdb_vm *g = target;
    return machine_state(g->m) == MACHINE_RUNNING || machine_held(g->m);
}

static int resume(void *target)
{
    struct gdb_vm *g = target;
    g->stepping = false;
    g->was_paused = false; /* whoever says "continue" wants it to run */
    int ret = tell_engine(g);
    if (ret)
        return ret;
    return machine_state(g->m) == MACHINE_CREATED ? machine_boot(g->m, NULL)
                                                  : machine_resume(g->m, NULL);
}

static int step(void *target, unsigned thread)
{
    struct gdb_vm *g = target;
    int ret = engine_vcpu_get_state(machine_vcpu(g->m, thread), &g->state, NULL);
    if (ret)
        return ret;
    g->halted = g->state.mp_state.mp_state == KVM_MP_STATE_HALTED;
    g->stepping = true;
    g->step_vcpu = thread;
    ret = tell_engine(g);
    return ret ? ret : machine_resume_one(g->m, thread, NULL);
}

static int interrupt(void *target)
{
    return machine_pause(((struct gdb_vm *)target)->m, NULL);
}

static int reset(void *target)
{
    return machine_reset(((struct gdb_vm *)target)->m, NULL);
}

static void kill_vm(void *target)
{
    struct gdb_vm *g = target;
    g->kill(g->opaque);
}

/* What the exit of a vCPU means to gdb. */
static struct gdb_stop stop_of(const struct gdb_vm *g, unsigned index,
                               const struct kvm_debug_exit_arch *why)
{
    struct gdb_stop stop = {.kind = GDB_STOP_STEP, .thread = index};
    if (why->exception == 3)
        stop.kind = GDB_STOP_BREAK_SOFT;
    for (unsigned i = 0; why->exception == 1 && i < HARD_MAX; i++) {
        const struct hard_break *h = &g->hard[i];
        if (!(why->dr6 >> i & 1) || !h->used)
            continue;
        stop.kind = h->kind == GDB_BREAK_HARD    ? GDB_STOP_BREAK_HARD
                    : h->kind == GDB_WATCH_WRITE ? GDB_STOP_WATCH_WRITE
                                                 : GDB_STOP_WATCH_ACCESS;
        stop.address = h->linear;
    }
    return stop;
}

static void stopped(void *opaque, unsigned index, const struct kvm_debug_exit_arch *why)
{
    struct gdb_vm *g = opaque;
    struct gdb_stop stop = stop_of(g, index, why);
    gdb_server_stopped(g->server, &stop);
}

static void attach(void *target)
{
    struct gdb_vm *g = target;
    g->attached = true;
    g->was_paused = machine_state(g->m) != MACHINE_RUNNING;
    machine_set_debugger(g->m, &g->debugger);
    if (!g->was_paused)
        machine_pause(g->m, NULL);
    tell_engine(g);
}

static void detach(void *target)
{
    struct gdb_vm *g = target;
    bool stopped_vm = machine_state(g->m) == MACHINE_STOPPED;
    if (machine_state(g->m) == MACHINE_RUNNING)
        machine_pause(g->m, NULL);
    while (g->n_soft)
        drop_soft(g, g->n_soft - 1);
    memset(g->hard, 0, sizeof(g->hard));
    g->attached = g->stepping = false;
    tell_engine(g);
    machine_set_debugger(g->m, NULL);
    if (!stopped_vm && !g->was_paused)
        machine_resume(g->m, NULL);
}

static const struct gdb_target_ops ops = {
    .n_threads = n_threads,
    .running = running,
    .read_regs = read_regs,
    .write_regs = write_regs,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .insert = insert,
    .remove = remove_break,
    .resume = resume,
    .step = step,
    .interrupt = interrupt,
    .reset = reset,
    .attach = attach,
    .detach = detach,
    .kill = kill_vm,
};

struct gdb_vm *gdb_vm_create(struct machine *m, struct loop *loop, int listen_fd,
                             void (*kill)(void *opaque), void *opaque, struct err *err)
{
    struct gdb_vm *g = calloc(1, sizeof(*g));
    if (!g) {
        err_set(err, ENOMEM, "could not allocate the gdb server");
        return NULL;
    }
    *g = (struct gdb_vm){
        .m = m, .kill = kill, .opaque = opaque, .debugger = {.stopped = stopped, .opaque = g}};
    g->server = gdb_server_create(loop, listen_fd, &ops, g, err);
    if (!g->server) {
        free(g);
        return NULL;
    }
    return g;
}

void gdb_vm_destroy(struct gdb_vm *g)
{
    if (!g)
        return;
    gdb_server_destroy(g->server);
    free(g);
}

void gdb_vm_ended(struct gdb_vm *g)
{
    const struct gdb_stop gone = {.kind = GDB_STOP_GONE};
    gdb_server_stopped(g->server, &gone);
}
