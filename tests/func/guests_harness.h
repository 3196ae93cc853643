/* A small PC for the tiny guests of guest/: any engine, the interrupt controllers, a test device,
 * and a main loop on a thread of its own. */
#ifndef TESTS_FUNC_GUESTS_HARNESS_H
#define TESTS_FUNC_GUESTS_HARNESS_H

#include <pthread.h>

#include "apic/irqchip.h"
#include "engine/engine.h"
#include "io/iothread.h"

#define GUEST_BASE      0x10000
#define GUEST_RAM_BYTES (4 << 20)
#define GUEST_MMIO      UINT64_C(0xd0000000)
#define LIMIT_S         60
#define TRACE_MAX       128
#define ACCESSES_MAX    64

enum guest_mode { GUEST_REAL, GUEST_PROTECTED, GUEST_LONG };

struct access {
    bool mmio, is_write;
    uint64_t offset; /* port, or offset in the test device's memory */
    unsigned size;
    uint64_t value;
};

struct pc {
    const struct engine *engine;
    struct guest_mem mem;
    struct bus bus;
    struct iothread *main_loop;
    struct engine_vm *vm;
    struct irqchip chip;
    unsigned n_vcpus;
    struct engine_vcpu *vcpus[2];
    struct bus_region exit_port, trace_port, ask_port, device_ports, device_mem;

    /* What the guest did. */
    bool ended;
    bool timed_out;   /* some pc_run() ended by its time limit */
    unsigned limit_s; /* 0: LIMIT_S */
    unsigned verdict;
    unsigned n_trace;
    uint32_t trace[TRACE_MAX];
    unsigned n_accesses;
    struct access accesses[ACCESSES_MAX];
    uint64_t reads; /* the test device answers its n-th read with n in every byte */
    /* Called with the device lock held when the guest asks; may be NULL. */
    void (*asked)(struct pc *pc, unsigned what);
    void (*traced)(struct pc *pc);
    void *opaque;
};

/* Where the flat binaries are, and which engine runs them. */
void pc_setup(const struct engine *engine, const char *guest_dir);
/* Which engine runs the next machine. */
void pc_use(const struct engine *engine);

/* Creates the machine. Returns NULL, or why this host cannot run it. */
const char *pc_open(struct pc *pc, unsigned n_vcpus);
void pc_close(struct pc *pc);
/* Loads guest/<name>.S and sets vCPU 0 to enter it. Aborts if there is no such binary. */
void pc_load(struct pc *pc, const char *name, enum guest_mode mode);
/* The same with code that the caller has. */
void pc_put(struct pc *pc, const void *code, size_t bytes, enum guest_mode mode);
void pc_enter(struct pc *pc, enum guest_mode mode);
/* Runs vCPU 0 in this thread until the guest ends, the engine stops it, or its time is over (then
 * the reason is KICKED and `ended` false). */
struct engine_exit_info pc_run(struct pc *pc);

/* ---- guests_main.c ---- */

/* Ended by NULL. */
extern const struct engine *const pc_engines[];
/* Takes a program's arguments, `ENGINE GUEST-DIR`. NULL: they are wrong, and it has said so. */
const struct engine *pc_from_args(int argc, char **argv);

#endif
