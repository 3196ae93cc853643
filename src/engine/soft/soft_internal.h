/* What the files of engine/soft share. docs/arch/10-soft-engine.md explains the whole.
 *
 *   soft_cpu.h      the vCPU: registers, flags, system state
 *   soft_code.h     decoded operations, blocks, binders
 *   soft_mem.h      guest memory for handlers
 *   this one        the three, the VM, and the functions between the files:
 *
 *   soft_engine.c   the table of slots
 *   soft_vm.c       VM: page flags, dirty log, clock
 *   soft_irq.c      MSI routes, and the eventfds that other processes signal
 *   soft_vcpu.c     vCPU: create, kick, halt, interrupts and timers between blocks
 *   soft_run.c      the run loop, finding the next block
 *   soft_block.c    decoded blocks: making, caching, dropping them
 *   soft_bind.c     from a decoded instruction to the handler that executes it
 *   soft_thunk.c    host code for vector, MMX and x87 instructions
 *   soft_tlb.c      the tables that remember translations
 *   soft_mem.c      guest memory behind the soft TLB: slow paths, MMIO, self-modifying code
 *   soft_mmu.c      page walks
 *   soft_exception.c  faults, traps and interrupts: delivery through IVT and IDT
 *   soft_segment.c  descriptors, segment registers
 *   soft_mode.c     RFLAGS; what follows from the system's registers: mode, bases, TLB set
 *   soft_msr.c      MSRs and the guest's clocks; soft_steal.c: stolen time
 *   soft_fpu.c      x87, SSE and AVX state
 *   soft_state.c    architectural state in and out
 *   soft_cpuid.c    what the engine offers in CPUID
 *   op_*.c          handlers, one file an instruction family, each with its binder
 *
 * Rules for handlers. A handler checks everything that can fault before it changes any register or
 * flag. Faults do not return (soft_raise_*() and the memory functions jump back to the run loop,
 * which finds the faulting instruction in cpu->op). So handlers hold no locks and own nothing. */
#ifndef ENGINE_SOFT_SOFT_INTERNAL_H
#define ENGINE_SOFT_SOFT_INTERNAL_H

#include <errno.h>
#include <pthread.h>

#include "engine/soft/soft_code.h"
#include "engine/soft/soft_cpu.h"
#include "engine/soft/soft_mem.h"

/* ---- faults ---- */

/* None of these returns. The state of the guest is that before the instruction in cpu->op. */
_Noreturn void soft_raise(struct soft_cpu *cpu, unsigned vector);
_Noreturn void soft_raise_error(struct soft_cpu *cpu, unsigned vector, uint32_t error);
_Noreturn void soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error);
/* Ends the run: ENGINE_EXIT_ERROR with this text. For what the engine cannot do. */
_Noreturn void soft_fail(struct soft_cpu *cpu, const char *what);
/* Whether an exception during the delivery of another is a double fault (SDM volume 3, table 6-5).
 */
bool soft_exception_combine(const struct soft_pending *first, const struct soft_pending *second);
/* Whether DR7 enables a breakpoint on instructions. */
static inline bool soft_has_code_breakpoints(uint64_t dr7)
{
    for (unsigned i = 0; i < 4; i++)
        if (dr7 >> (2 * i) & 3 && !(dr7 >> (16 + 4 * i) & 3))
            return true;
    return false;
}
/* Recomputes the watch_* members from DR7 and from the debugger's breakpoints. */
void soft_update_watchpoints(struct soft_cpu *cpu);

/* ---- going on ---- */

/* Continues at rip (an offset in CS; truncated to the code size outside 64-bit mode). Raises #GP if
 * it is not canonical or beyond CS's limit: call before committing anything. */
void soft_check_target(struct soft_cpu *cpu, uint64_t rip);
/* Raises #GP if a byte of an instruction, at rip, is beyond CS's limit. */
void soft_check_fetch(struct soft_cpu *cpu, uint64_t rip);
const struct soft_op *soft_goto(struct soft_cpu *cpu, uint64_t rip);
/* The same for a branch whose target is always the same: remembers the block in op->p. */
const struct soft_op *soft_goto_linked(struct soft_cpu *cpu, const struct soft_op *op,
                                       uint64_t rip);
/* Continues behind this instruction in a new block: after a change of mode, flags or memory map. */
const struct soft_op *soft_continue(struct soft_cpu *cpu, const struct soft_op *op);
/* Back to the run loop, which goes on at rip. */
static inline const struct soft_op *soft_stop(struct soft_cpu *cpu, uint64_t rip)
{
    cpu->rip = rip;
    return NULL;
}

/* Executes the one instruction at cpu->rip and delivers nothing: true, or false with the exception
 * that it raised (registers as before it). For tests and for comparing executors. */
bool soft_step(struct soft_cpu *cpu, struct soft_pending *exception);

/* Runs guest code until something needs the caller, as engine_vcpu_run(). */
void soft_run(struct soft_cpu *cpu, struct engine_exit_info *info);
/* Whether a halted guest has something to wake up for. */
bool soft_run_has_work(struct soft_cpu *cpu);

/* ---- segments, far transfers, events (soft_segment.c, soft_exception.c) ---- */

/* Loads a segment register with all checks, as MOV and POP do (not CS). */
void soft_load_segment(struct soft_cpu *cpu, enum x86_segment seg, uint16_t sel);
/* Real and virtual-8086 mode, or values that were checked. */
void soft_set_segment_real(struct soft_cpu *cpu, enum x86_segment seg, uint16_t sel);
/* Delivers an exception, software interrupt or external interrupt through IVT or IDT: pushes the
 * frame and sets CS:rip. rip to return to is in cpu->rip. May raise (nested) faults. */
void soft_deliver(struct soft_cpu *cpu, const struct soft_pending *event);

/* ---- stack, for handlers ---- */
void soft_push(struct soft_cpu *cpu, uint64_t value, unsigned size);
/* Raises the fault that soft_push() would raise; otherwise does nothing. */
void soft_check_push(struct soft_cpu *cpu, unsigned size);
/* Reads the datum at the top of the stack + `skip` bytes; the caller moves rSP by soft_pop_done().
 */
uint64_t soft_peek_stack(struct soft_cpu *cpu, unsigned skip, unsigned size);
void soft_pop_done(struct soft_cpu *cpu, unsigned bytes);

/* ---- system registers (op_system.c, soft_msr.c) ---- */
/* Raise #GP or #UD as the instruction would. */
uint64_t soft_msr_read(struct soft_cpu *cpu, uint32_t msr);
void soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value);
/* Without checks of the caller's right; false: no such MSR or value. For state exchange too. */
bool soft_msr_get(struct soft_cpu *cpu, uint32_t msr, uint64_t *value);
bool soft_msr_set(struct soft_cpu *cpu, uint32_t msr, uint64_t value);
uint64_t soft_tsc(const struct soft_cpu *cpu);
/* The host's TSC at the guest's frequency: what the offset is added to. */
uint64_t soft_tsc_scaled(const struct soft_cpu *cpu, uint64_t host_tsc);
/* The guest's TSC counts at this frequency from now on; its value does not change. */
void soft_tsc_set_khz(struct soft_cpu *cpu, uint32_t khz);
/* Its value from a saved state. vCPUs were read one after the other and are set one after the
 * other: a TSC within a second of vCPU 0's, at the same frequency, is the same TSC, as KVM has it.
 */
void soft_tsc_restore(struct soft_cpu *cpu, uint64_t value);
/* Steal time: the MSR as the guest sets it (false: #GP); the vCPU begins to run; it has run. */
bool soft_steal_set(struct soft_cpu *cpu, uint64_t v);
void soft_steal_begin(struct soft_cpu *cpu);
void soft_steal_update(struct soft_cpu *cpu);
/* Writes the guest's kvmclock page anew; notes in it that the vCPU was paused. */
void soft_msr_clock_update(struct soft_cpu *cpu);
void soft_msr_clock_paused(struct soft_cpu *cpu);
/* Registers after power-on, and after INIT. */
void soft_state_power_on(struct soft_cpu *cpu);
void soft_state_init(struct soft_cpu *cpu);
/* soft_cpu.features of a CPUID table. */
uint64_t soft_cpuid_features(const struct kvm_cpuid_entry2 *entries, unsigned n);
/* What the engine offers here. Returns the count or -errno. */
int soft_cpuid_supported(struct kvm_cpuid_entry2 *entries, unsigned max, struct err *err);
const struct kvm_cpuid_entry2 *soft_cpuid_find(const struct soft_cpu *cpu, uint32_t leaf,
                                               uint32_t sub);

/* ---- x87, SSE, AVX (op_x87.c, op_vector.c, op_xsave.c) ---- */
int soft_fpu_init(struct soft_cpu *cpu, struct err *err); /* makes the thunks' memory */
void soft_fpu_fini(struct soft_cpu *cpu);
void soft_fpu_reset(struct soft_cpu *cpu);
/* Recomputes sse_fault, avx_fault and x87_fault from CR0, CR4, XCR0 and the mode. */
void soft_fpu_update_access(struct soft_cpu *cpu);
/* Brings the x87 state from the host's registers into fpu.legacy. Called when the run loop is left
 * and before anything reads it. */
void soft_fpu_unload(struct soft_cpu *cpu);
/* The same with MXCSR and fpu.mxcsr: before either is read or written, and when the run loop is
 * left. Loading one whose flags differ costs tens of nanoseconds on some CPUs, so it stays. */
void soft_fpu_unload_mxcsr(struct soft_cpu *cpu);
/* After a guest has loaded the saved x87 state: reserved bits of FCW, and ES and B of FSW, which
 * follow from exceptions and masks. */
void soft_fpu_normalize(struct soft_cpu *cpu);
/* While the x87 state is saved: where MMn is (the image is in the order of the stack), and a new
 * top of the stack, with every register staying what it is. */
uint8_t *soft_fpu_mmx(struct soft_cpu *cpu, unsigned reg);
void soft_fpu_set_top(struct soft_cpu *cpu, unsigned top);
void soft_fpu_to_xsave(struct soft_cpu *cpu, struct kvm_xsave *xsave);
int soft_fpu_from_xsave(struct soft_cpu *cpu, const struct kvm_xsave *xsave);

/* ---- the VM ---- */

/* Bits of soft_vm.page_flags. A page is indexed by (host address >> 12) & page_mask: two pages may
 * share a slot, which costs time and nothing else. */
enum soft_page_flags {
    SOFT_PAGE_CODE = 1 << 0,  /* blocks were made of its bytes: see code_lines */
    SOFT_PAGE_CLEAN = 1 << 1, /* not written since the dirty log was taken */
    SOFT_PAGE_MIXED = 1 << 2, /* its code was written before: mark exactly what blocks use */
};

/* The host's TSC at a time of CLOCK_MONOTONIC_RAW, give or take half the gap. */
struct soft_tsc_sample {
    uint64_t tsc;
    int64_t raw_ns, gap_ns;
};

struct soft_vm {
    struct engine_vm base;
    struct engine_vm_config config; /* the same as base.config, there from the start */
    uint64_t page_mask;
    _Atomic uint8_t *page_flags;
    _Atomic uint64_t *code_lines; /* one bit for each 64 bytes that a block was made of */
    uint32_t *gens;               /* raised when a page's code was written */
    bool log_shared_slots;        /* some page shares its slot: CLEAN stays set, all writes log */
    bool foreign_writers; /* RAM is shared with other processes: blocks compare their bytes */
    struct lapic_bus *lapics;
    struct soft_irq *irq; /* soft_irq.c */
    struct soft_vcpu *_Atomic vcpus[ENGINE_VCPUS_MAX];
    pthread_mutex_t split_lock;             /* LOCKed accesses that cross a page or reach MMIO */
    pthread_mutex_t lock;                   /* what follows; a leaf */
    uint64_t *dirty[GUEST_MEM_REGIONS_MAX]; /* NULL until the log is first switched on */
    bool logging;
    int64_t clock_offset_ns;      /* kvmclock = CLOCK_MONOTONIC + this */
    struct soft_tsc_sample start; /* when the VM was made */
    void *tables;                 /* the mapping that holds page_flags, code_lines and gens */
    size_t tables_bytes;
    uint32_t host_tsc_khz;
};

/* Bytes of RAM were written, by a vCPU or by a device: the dirty log, code. True if code was hit.
 * Threads: any. */
bool soft_vm_written(struct soft_vm *vm, const void *host, unsigned size);
/* guest_mem's hook for what devices write; only code is of interest. */
void soft_vm_dma_written(void *opaque, const uint8_t *host, uint64_t size);

struct soft_vcpu {
    struct engine_vcpu base;
    struct soft_cpu cpu;
    _Atomic bool kicked;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* out of a halt */
    _Atomic bool waiting;
};

/* Why cpu->attention is raised. */
enum soft_attention {
    SOFT_ATTENTION_KICK = 1 << 0,
    SOFT_ATTENTION_APIC = 1 << 1,   /* the local APIC may have something */
    SOFT_ATTENTION_EXTINT = 1 << 2, /* the 8259 */
    SOFT_ATTENTION_FLUSH = 1 << 3,  /* forget translations */
    SOFT_ATTENTION_CLOCK = 1 << 4,  /* write the kvmclock page anew */
};

#endif
