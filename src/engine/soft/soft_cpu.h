/* The vCPU as the interpreter sees it: registers, flags, segments, system state, what is pending.
 * Part of soft_internal.h, which the files of engine/soft include. */
#ifndef ENGINE_SOFT_SOFT_CPU_H
#define ENGINE_SOFT_SOFT_CPU_H

#include <setjmp.h>
#include <stdatomic.h>

#include "apic/lapic.h"
#include "base/util.h"
#include "engine/engine_provider.h"
#include "engine/soft/soft_tlb.h"
#include "x86/decode.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct soft_op;
struct soft_block;
struct soft_vm;

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

#endif
