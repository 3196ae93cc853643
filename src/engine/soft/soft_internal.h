/* What the files of engine/soft share: the vCPU as the interpreter sees it, decoded operations, and
 * the functions between the files. docs/arch/10-soft-engine.md explains the whole.
 *
 *   soft_engine.c   the table of slots
 *   soft_vm.c       VM: page flags, dirty log, clock, MSI routes
 *   soft_vcpu.c     vCPU: create, kick, halt, interrupts and timers between blocks
 *   soft_run.c      the run loop, finding the next block
 *   soft_block.c    decoded blocks: making, caching, dropping them
 *   soft_bind.c     from a decoded instruction to the handler that executes it
 *   soft_mem.c      guest memory behind the soft TLB: slow paths, MMIO, self-modifying code
 *   soft_mmu.c      page walks
 *   soft_exception.c  faults, traps and interrupts: delivery through IVT and IDT
 *   soft_segment.c  descriptors, far transfers, iret
 *   soft_state.c    architectural state in and out
 *   soft_cpuid.c    what the engine offers in CPUID
 *   op_*.c          handlers, one file an instruction family, each with its binder
 *
 * Rules for handlers. A handler checks everything that can fault before it changes any register or
 * flag. Faults do not return (soft_raise_*() and the memory functions jump back to the run loop,
 * which finds the faulting instruction in cpu->op). So handlers hold no locks and own nothing. */
#ifndef ENGINE_SOFT_SOFT_INTERNAL_H
#define ENGINE_SOFT_SOFT_INTERNAL_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "apic/lapic.h"
#include "base/util.h"
#include "engine/engine_provider.h"
#include "engine/soft/soft_tlb.h"
#include "x86/decode.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct soft_cpu;
struct soft_op;
struct soft_block;
struct soft_vm;

/* ---- decoded operations ---- */

/* Executes one operation and returns the next one: op + 1, the first of another block
 * (soft_goto*()), or NULL to go back to the run loop, with cpu->rip set (soft_stop()). */
typedef const struct soft_op *soft_fn(struct soft_cpu *cpu, const struct soft_op *op);

/* Names of slots in soft_cpu.r. Operations hold byte offsets into r (SOFT_OFFSET), so that AH is
 * the offset of RAX plus one and an absent base register is a slot that is always zero. */
enum soft_reg {
    SOFT_RAX,
    SOFT_RCX,
    SOFT_RDX,
    SOFT_RBX,
    SOFT_RSP,
    SOFT_RBP,
    SOFT_RSI,
    SOFT_RDI,
    SOFT_ZERO = 16,      /* always 0 */
    SOFT_BLOCK_RIP = 17, /* rip (not linear) of the first instruction of the current block */
    SOFT_N_REGS = 18,
};
#define SOFT_OFFSET(reg) ((uint8_t)((reg)*8))

/* Bits of soft_op.ea: how the effective address is made, beyond base + index << scale + disp. */
enum soft_ea {
    SOFT_EA_16 = 1 << 0,        /* truncated to 16 bits */
    SOFT_EA_32 = 1 << 1,        /* truncated to 32 bits */
    SOFT_EA_SEGMENTED = 1 << 2, /* not 64-bit code: limit and type are checked, linear is 32 bits */
};

struct soft_op {
    soft_fn *fn;
    int64_t imm;  /* immediate, or displacement of a branch from the next instruction */
    int32_t disp; /* of the memory operand */
    uint8_t base, index, scale; /* byte offsets into r; log2 */
    uint8_t seg;                /* of the memory operand: enum x86_segment, or SOFT_SEG_FLAT */
    uint8_t a, b; /* register operands: byte offsets into r for GPRs, else plain numbers */
    uint8_t ea;   /* enum soft_ea */
    uint8_t size; /* operand size in bytes */
    uint8_t len;  /* of the instruction */
    uint8_t c;    /* for the binder's use */
    uint16_t off; /* of the instruction from the block's first byte */
    void *p;      /* for the binder's use: a thunk, a linked block, a decoded instruction */
};
static_assert(sizeof(struct soft_op) == 40, "operations stay compact");

/* What a binder answers. */
enum soft_bound {
    SOFT_UNBOUND = 0,   /* not of this family */
    SOFT_BOUND = 1,     /* op is filled in; the next instruction follows in the same block */
    SOFT_BOUND_END = 2, /* filled in, and the block ends here: the handler returns soft_goto*(),
                           soft_continue() or soft_stop(), never op + 1 */
};

/* Each family's binder. On entry the op is zeroed except len, off, imm, size (= insn->opsize) and,
 * if there is a memory operand, base, index, scale, disp, seg, ea. It sets fn and what fn needs.
 * CPUID was checked: the guest's CPU has the instruction's feature. insn lives only during the
 * call; soft_keep_insn() makes a copy that lives as long as the block. */
enum soft_bound soft_bind_alu(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_mov(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_shift(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
enum soft_bound soft_bind_bit(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_mul(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_stack(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
enum soft_bound soft_bind_branch(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_string(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_atomic(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_misc(struct soft_cpu *cpu, const struct x86_insn *insn,
                               struct soft_op *op);
enum soft_bound soft_bind_io(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op);
enum soft_bound soft_bind_far(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_syscall(struct soft_cpu *cpu, const struct x86_insn *insn,
                                  struct soft_op *op);
enum soft_bound soft_bind_selector(struct soft_cpu *cpu, const struct x86_insn *insn,
                                   struct soft_op *op);
enum soft_bound soft_bind_system(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_vector(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op);
enum soft_bound soft_bind_x87(struct soft_cpu *cpu, const struct x86_insn *insn,
                              struct soft_op *op);
enum soft_bound soft_bind_xsave(struct soft_cpu *cpu, const struct x86_insn *insn,
                                struct soft_op *op);
/* Tries them all; what nobody takes becomes #UD. */
enum soft_bound soft_bind(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op);
/* A copy of insn in the block cache's memory. */
const struct x86_insn *soft_keep_insn(struct soft_cpu *cpu, const struct x86_insn *insn);
/* The same for anything small (at most 128 bytes). */
void *soft_keep(struct soft_cpu *cpu, const void *what, size_t bytes);

/* A run of instructions on one page (the last may be alone on two), made for one mode. */
struct soft_block {
    uint64_t phys; /* guest-physical address of the first byte */
    uint32_t mode; /* soft_cpu.mode it was made for */
    uint32_t gen;  /* *gen_now when its bytes were read: it is good while they are equal */
    const uint32_t *gen_now;
    struct soft_block *next; /* in its hash chain */
    const uint8_t *bytes;    /* a copy of its code where RAM has foreign writers, else NULL */
    uint16_t n_insns, n_bytes;
    struct soft_op ops[]; /* ends in an operation that leaves the block */
};

/* ---- the CPU ---- */

/* Segment registers. The cached part as the descriptor has it. */
struct soft_seg {
    uint64_t base;
    uint32_t limit; /* in bytes, inclusive */
    uint16_t sel;
    uint8_t
        type; /* 4 bits; with s = 1: accessed, writable/readable, expand-down/conforming, code */
    uint8_t s, dpl, present, avl, l, db, g;
    uint8_t unusable; /* a null selector was loaded */
};

/* Bits of soft_cpu.mode: everything that decides how bytes decode and bind. Two values differ only
 * if the same bytes may need other operations. */
enum soft_mode {
    SOFT_MODE_CODE16 = X86_CODE16, /* bits 0..1: enum x86_code_mode */
    SOFT_MODE_CODE32 = X86_CODE32,
    SOFT_MODE_CODE64 = X86_CODE64,
    SOFT_MODE_CODE_MASK = 3,
    SOFT_MODE_USER = 1 << 2,      /* CPL 3 */
    SOFT_MODE_PROTECTED = 1 << 3, /* CR0.PE and not virtual-8086 */
    SOFT_MODE_VM86 = 1 << 4,
    SOFT_MODE_STACK32 = 1 << 5, /* SS.B; 64-bit code: not set */
    SOFT_MODE_SINGLE = 1 << 6,  /* blocks of one instruction, then back to the run loop */
    SOFT_MODE_LONG = 1 << 7,    /* EFER.LMA */
};

/* Segment number of memory operands whose segment has no base (64-bit code, all but FS and GS). */
#define SOFT_SEG_FLAT 6
/* The same where a bad address is the stack's fault (#SS): base RSP or RBP, and operations without
 * a memory operand, whose accesses are the stack's. */
#define SOFT_SEG_FLAT_STACK 7

enum soft_access { SOFT_READ, SOFT_WRITE, SOFT_FETCH };

/* RFLAGS is kept in two parts: the arithmetic flags as `lahf; seto %al` leaves them in AX, and the
 * rest in its architectural place. */
enum soft_arith_flags {
    SOFT_FL_OF = 1 << 0,
    SOFT_FL_CF = 1 << 8,
    SOFT_FL_PF = 1 << 10,
    SOFT_FL_AF = 1 << 12,
    SOFT_FL_ZF = 1 << 14,
    SOFT_FL_SF = 1 << 15,
};
#define SOFT_RFLAGS_ARITH UINT64_C(0x8d5)
enum soft_rflags {
    SOFT_RFLAGS_CF = 1 << 0,
    SOFT_RFLAGS_PF = 1 << 2,
    SOFT_RFLAGS_AF = 1 << 4,
    SOFT_RFLAGS_ZF = 1 << 6,
    SOFT_RFLAGS_SF = 1 << 7,
    SOFT_RFLAGS_TF = 1 << 8,
    SOFT_RFLAGS_IF = 1 << 9,
    SOFT_RFLAGS_DF = 1 << 10,
    SOFT_RFLAGS_OF = 1 << 11,
    SOFT_RFLAGS_IOPL = 3 << 12,
    SOFT_RFLAGS_NT = 1 << 14,
    SOFT_RFLAGS_RF = 1 << 16,
    SOFT_RFLAGS_VM = 1 << 17,
    SOFT_RFLAGS_AC = 1 << 18,
    SOFT_RFLAGS_VIF = 1 << 19,
    SOFT_RFLAGS_VIP = 1 << 20,
    SOFT_RFLAGS_ID = 1 << 21,
};

enum soft_vector {
    SOFT_DE = 0,
    SOFT_DB = 1,
    SOFT_NMI = 2,
    SOFT_BP = 3,
    SOFT_OF = 4,
    SOFT_BR = 5,
    SOFT_UD = 6,
    SOFT_NM = 7,
    SOFT_DF = 8,
    SOFT_TS = 10,
    SOFT_NP = 11,
    SOFT_SS = 12,
    SOFT_GP = 13,
    SOFT_PF = 14,
    SOFT_MF = 16,
    SOFT_AC = 17,
    SOFT_MC = 18,
    SOFT_XM = 19,
};

/* An exception on its way to the guest. */
struct soft_pending {
    bool there;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t address; /* CR2, or DR6 bits with #DB */
    bool trap;        /* rip is already that of the next instruction (#DB traps, int n, int3) */
    bool software;    /* int n, int3, into: the gate's DPL is checked */
    bool external;    /* an interrupt of a device: faults of its delivery have the EXT bit */
};

/* x87, SSE and AVX. op_x87.c and op_vector*.c own the details. */
struct soft_fpu {
    _Alignas(64) uint8_t ymm[16][32];
    _Alignas(
        16) uint8_t legacy[512]; /* x87 and MMX as FXSAVE64 lays them out (its XMM part unused) */
    uint32_t mxcsr;              /* while it is live: all but the flags */
    bool mxcsr_live; /* the guest's MXCSR is in the host's own; all exceptions are masked then */
    bool x87_live;   /* the x87 state is in the host's own registers and not in `legacy` */
    /* The last x87 instruction, in guest terms: the host's own pointers are never shown. */
    uint16_t fop, fcs, fds;
    uint64_t fip, fdp;
};

#define SOFT_CPUID_MAX ENGINE_CPUID_MAX

#define SOFT_CPUID_SIGNATURE 0x00300f10 /* family 12h, model 1, stepping 0 */
#define SOFT_PHYS_BITS       46         /* of physical addresses: CPUID 80000008h */

struct soft_cpu {
    /* What every instruction touches. */
    uint64_t r[SOFT_N_REGS];
    uint64_t seg_base[8];       /* enum x86_segment; [SOFT_SEG_FLAT] is always 0 */
    uint32_t fl;                /* enum soft_arith_flags; other bits are noise */
    uint32_t mode;              /* enum soft_mode */
    const struct soft_op *op;   /* the operation under way: set before each call of a handler */
    struct soft_block *block;   /* the current one */
    struct soft_tlb_entry *tlb; /* the set of this moment */
    const uint8_t *page_flags;  /* soft_vm.page_flags */
    uint64_t page_mask;
    uint64_t rip;               /* between blocks */
    uint64_t rflags;            /* all but SOFT_RFLAGS_ARITH */
    _Atomic uint32_t attention; /* nonzero: go back to the run loop before the next block */
    int32_t countdown;          /* blocks until the run loop looks at the time */
    uint32_t epochs[2]; /* of the lower and the upper half of the address space: raised when a
                           translation for instruction fetch may have changed */
    uint8_t cpl;
    bool aligned; /* CPL 3 with alignment checks on */
    uint8_t sse_fault, avx_fault, x87_fault,
        mmx_fault;      /* vector that such an instruction raises, 0xff: none */
    bool shadow;        /* interrupts wait for one more instruction (STI, MOV SS) */
    bool in_guest_wait; /* HLT */
    uint64_t n_insns;   /* executed, about: counted when a block is left */
    /* Watchpoints: of the guest (DR7) or of a debugger. Bits are breakpoint numbers. */
    uint8_t watching, watch_reads, watch_hit;
    uint8_t watch_bytes[4];
    uint64_t watch_at[4];

    struct soft_fpu fpu;

    /* System state. */
    struct soft_seg seg[X86_N_SEGMENTS];
    struct soft_seg ldtr, tr;
    uint64_t gdt_base, idt_base;
    uint16_t gdt_limit, idt_limit;
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer, apic_base;
    uint64_t dr[4], dr6, dr7;
    struct {
        uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, pat;
        uint64_t sysenter_cs, sysenter_esp, sysenter_eip, misc_enable, tsc_adjust, spec_ctrl;
        uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_phys[16], mcg_status;
        uint64_t kvm_system_time, kvm_wall_clock, kvm_steal_time, kvm_poll_control, kvm_pv_eoi,
            kvm_async_pf[2];
    } msr;
    int64_t steal_from_ns, steal_from_cpu_ns; /* since when steal time counts, by both clocks */
    uint64_t tsc_offset;                      /* guest TSC = host TSC, scaled, + offset */
    uint64_t tsc_scale; /* guest's frequency in the host's, times 2^32; 0: the same */
    uint32_t tsc_khz;

    /* Events. */
    struct soft_pending pending;    /* an exception that is not delivered yet */
    struct soft_pending delivering; /* the event under way in soft_deliver() */
    const char *failure;            /* soft_fail()'s text, until the run loop reports it */
    bool triple_fault;
    bool step_guest;            /* the instruction just executed had TF set */
    bool debug_stepped;         /* it was a debugger's single step */
    uint64_t passed_breakpoint; /* linear rip + 1 of a debugger's breakpoint already reported */
    bool nmi_blocked, nmi_pending;
    int injected_vector; /* an external interrupt taken and not delivered, or -1 */
    bool wait_for_sipi;
    bool init_received;           /* it waits because of an INIT, not since power-on */
    struct kvm_guest_debug debug; /* of the host's debugger */

    /* The engine's own. */
    struct soft_vm *vm;
    struct engine_vcpu *vcpu;
    struct lapic *lapic;
    jmp_buf *fault; /* where the run loop catches faults */
    struct soft_tlbs *tlbs;
    bool fetched_local_high; /* the upper half's epoch has translations that are not global */
    struct soft_itlb_entry *itlb;
    struct soft_jump *jumps;
    struct soft_blocks *blocks;      /* soft_block.c */
    struct soft_thunks *thunks;      /* soft_thunk.c: host code for vector and x87 instructions */
    _Alignas(64) uint8_t bounce[64]; /* data of an access that cannot be made in place */
    unsigned n_cpuid;
    struct kvm_cpuid_entry2 cpuid[SOFT_CPUID_MAX];
    uint64_t features; /* bit n: enum x86_feature n is offered to the guest */
};

/* ---- registers and flags ---- */

static inline uint64_t *soft_r64(struct soft_cpu *cpu, unsigned offset)
{
    return (uint64_t *)((uint8_t *)cpu->r + offset);
}
static inline uint32_t *soft_r32(struct soft_cpu *cpu, unsigned offset)
{
    return (uint32_t *)((uint8_t *)cpu->r + offset);
}
static inline uint16_t *soft_r16(struct soft_cpu *cpu, unsigned offset)
{
    return (uint16_t *)((uint8_t *)cpu->r + offset);
}
static inline uint8_t *soft_r8(struct soft_cpu *cpu, unsigned offset)
{
    return (uint8_t *)cpu->r + offset;
}

/* rip (not linear) of this instruction, and of the one behind it. In 16- and 32-bit code the next
 * rip is truncated by whoever makes it current. */
static inline uint64_t soft_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->r[SOFT_BLOCK_RIP] + op->off;
}
static inline uint64_t soft_next_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->r[SOFT_BLOCK_RIP] + op->off + op->len;
}

/* RFLAGS whole, and back (VM, IF, IOPL and all: the caller has masked what may not change). Setting
 * updates mode, TLB set and attention as needed; end the block afterwards. */
uint64_t soft_rflags_get(const struct soft_cpu *cpu);
void soft_rflags_set(struct soft_cpu *cpu, uint64_t rflags);
/* Only the arithmetic flags, between the architectural place and cpu->fl. */
uint32_t soft_fl_from_rflags(uint64_t rflags);
uint64_t soft_fl_to_rflags(uint32_t fl);

/* Whether condition cc (0..15, as in Jcc) holds. */
static inline bool soft_condition(uint32_t fl, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0:
        r = fl & SOFT_FL_OF;
        break;
    case 1:
        r = fl & SOFT_FL_CF;
        break;
    case 2:
        r = fl & SOFT_FL_ZF;
        break;
    case 3:
        r = fl & (SOFT_FL_CF | SOFT_FL_ZF);
        break;
    case 4:
        r = fl & SOFT_FL_SF;
        break;
    case 5:
        r = fl & SOFT_FL_PF;
        break;
    case 6:
        r = ((fl >> 15) ^ fl) & 1;
        break;
    default:
        r = (((fl >> 15) ^ fl) & 1) || (fl & SOFT_FL_ZF);
        break;
    }
    return r ^ (cc & 1);
}

/* Recomputes mode, seg_base and tlb from CS, SS, CPL, CR0, CR4, EFER and RFLAGS. Call after any of
 * them changed. Raises no fault. */
void soft_update_mode(struct soft_cpu *cpu);

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

/* ---- memory ---- */

uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size);
/* The guest wrote [host, host + size) and the page has a flag: notes dirty pages, drops blocks made
 * of these bytes, and makes the current block end after this instruction if it was hit. */
void soft_written(struct soft_cpu *cpu, const void *host, unsigned size);

static inline struct soft_tlb_entry *soft_tlb_at(struct soft_cpu *cpu, uint64_t linear)
{
    return &cpu->tlb[soft_tlb_index(linear)];
}

/* Loads and stores of guest data at linear addresses, with the rights of this moment. They raise
 * #PF, #GP and #SS (non-canonical), reach MMIO, and may be unaligned and cross pages. */
#define SOFT_ACCESSORS(bits)                                                                       \
    static inline uint##bits##_t soft_load##bits(struct soft_cpu *cpu, uint64_t linear)            \
    {                                                                                              \
        const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);                                 \
        if (likely((linear ^ e->read) <= 4096 - bits / 8))                                         \
            return *(const uint##bits##_t *)(linear + e->addend);                                  \
        return (uint##bits##_t)soft_load_slow(cpu, linear, bits / 8);                              \
    }                                                                                              \
    static inline void soft_store##bits(struct soft_cpu *cpu, uint64_t linear, uint##bits##_t v)   \
    {                                                                                              \
        const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);                                 \
        if (likely((linear ^ e->write) <= 4096 - bits / 8)) {                                      \
            uint##bits##_t *p = (uint##bits##_t *)(linear + e->addend);                            \
            *p = v;                                                                                \
            if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))                  \
                soft_written(cpu, p, bits / 8);                                                    \
        } else {                                                                                   \
            soft_store_slow(cpu, linear, v, bits / 8);                                             \
        }                                                                                          \
    }
SOFT_ACCESSORS(8)
SOFT_ACCESSORS(16)
SOFT_ACCESSORS(32)
SOFT_ACCESSORS(64)

/* Any size from 1 to 64 bytes (xmm, ymm, descriptors): all of it or a fault before any of it. */
void soft_load_bytes(struct soft_cpu *cpu, uint64_t linear, void *buf, unsigned size);
void soft_store_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size);
/* Raises the fault that a store there would raise; otherwise does nothing. */
void soft_check_store(struct soft_cpu *cpu, uint64_t linear, unsigned size);

/* Read-modify-write. begin() checks that all of [linear, linear + size) may be read and written and
 * returns where the datum is: in guest RAM, or in cpu->bounce if it is MMIO or crosses a page.
 * end() with the same arguments makes the change visible. Nothing faults after begin(). */
void *soft_rmw_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_rmw_end_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size);

static inline void *soft_rmw_begin(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    if (likely((linear ^ e->write) <= 4096 - size))
        return (void *)(linear + e->addend);
    return soft_rmw_slow(cpu, linear, size);
}

static inline void soft_rmw_end(struct soft_cpu *cpu, void *p, uint64_t linear, unsigned size)
{
    if (unlikely(p == cpu->bounce))
        soft_rmw_end_slow(cpu, linear, size);
    else if (unlikely(cpu->page_flags[((uintptr_t)p >> 12) & cpu->page_mask]))
        soft_written(cpu, p, size);
}

/* #AC where CR0.AM, EFLAGS.AC and CPL 3 ask for it. */
void soft_check_alignment(struct soft_cpu *cpu, uint64_t linear, unsigned size);

/* For REP strings: how many bytes from `linear` on lie in one page of RAM that may be accessed so,
 * and where; 0 (and *host NULL) where only the functions above work. Raises faults. */
unsigned soft_span(struct soft_cpu *cpu, uint64_t linear, enum soft_access access, uint8_t **host);

/* The same loads with supervisor rights whatever CPL is: descriptor tables, TSS, IDT. */
uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size);
void soft_store_system(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size);
void soft_store_system_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buf, unsigned size);

/* Effective address of op's memory operand (offset within its segment), and the linear address for
 * an access of `size` bytes: in 16- and 32-bit code with the checks of limit and type. */
static inline uint64_t soft_offset(const struct soft_cpu *cpu, const struct soft_op *op)
{
    const uint8_t *r = (const uint8_t *)cpu->r;
    uint64_t at = *(const uint64_t *)(r + op->base) +
                  (*(const uint64_t *)(r + op->index) << op->scale) + (uint64_t)(int64_t)op->disp;
    if (unlikely(op->ea & (SOFT_EA_16 | SOFT_EA_32)))
        at = op->ea & SOFT_EA_16 ? (uint16_t)at : (uint32_t)at;
    return at;
}
/* Linear address of [seg:offset] outside 64-bit code. Raises #GP or #SS. */
uint64_t soft_linear_segmented(struct soft_cpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                               enum soft_access access);
static inline uint64_t soft_address(struct soft_cpu *cpu, const struct soft_op *op, unsigned size,
                                    enum soft_access access)
{
    uint64_t at = soft_offset(cpu, op);
    if (unlikely(op->ea & SOFT_EA_SEGMENTED))
        return soft_linear_segmented(cpu, op->seg, at, size, access);
    return at + cpu->seg_base[op->seg];
}
/* The same for [seg:offset] that a handler made itself (strings, stack). */
static inline uint64_t soft_linear(struct soft_cpu *cpu, unsigned seg, uint64_t offset,
                                   unsigned size, enum soft_access access)
{
    if ((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64)
        return seg >= X86_FS && seg <= X86_GS ? offset + cpu->seg_base[seg] : offset;
    return soft_linear_segmented(cpu, seg, offset, size, access);
}

/* What a page walk found. */
struct soft_translation {
    uint64_t phys;       /* of the byte */
    uint64_t page_bytes; /* size of the guest's page: 4 KiB to 1 GiB */
    bool writable;       /* a later write needs no walk */
    bool global;         /* outlives a write of CR3 */
};

/* A page walk for a linear address with the rights of `set`. Sets accessed and dirty bits. Returns
 * 0 or the #PF error code with bit 31 set (SOFT_MMU_FAULT). Does not look at canonical form. */
#define SOFT_MMU_FAULT (UINT32_C(1) << 31)
uint32_t soft_mmu_walk(struct soft_cpu *cpu, uint64_t linear, enum soft_access access,
                       enum soft_tlb_set set, struct soft_translation *t);
/* For debuggers: no bits set, no rights needed. False: not mapped. */
bool soft_mmu_peek(const struct soft_cpu *cpu, uint64_t linear, uint64_t *phys);
static inline bool soft_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* ---- going on ---- */

/* Continues at rip (an offset in CS; truncated to the code size outside 64-bit mode). Raises #GP if
 * it is not canonical or beyond CS's limit: call before committing anything. */
void soft_check_target(struct soft_cpu *cpu, uint64_t rip);
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

/* One access of the local APIC's page. */
void soft_lapic_mmio(struct soft_cpu *cpu, unsigned offset, void *buf, unsigned size, bool write);

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
