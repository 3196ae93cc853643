/* The run loop of a vCPU: events between blocks, operations in between, faults in a longjmp.
 *
 * Theory of operation. soft_run() alternates between two things. Between blocks (cpu->rip is where
 * the guest is) it delivers what is due: the exception that the last operation raised, traps of the
 * debug registers, NMIs, interrupts; it answers kicks and waits while the guest halts. Then it
 * finds a block and calls its operations one after the other until one returns NULL.
 *
 * A fault comes back through cpu->fault with cpu->pending filled in. Whose fault it is: of the
 * operation in cpu->op, whose rip is that of the block plus its offset; of the fetch at cpu->rip if
 * cpu->op is NULL; or of the delivery that was under way, which makes a double fault of some pairs
 * (SDM volume 3, table 6-5) and a shutdown of a double fault's own. */
#include <stdio.h>

#include "engine/soft/soft_block.h"
#include "engine/soft/soft_internal.h"
#include "engine/soft/soft_vcpu.h"

/* ---- going on, for handlers ---- */

/* Whether the next block may follow without the run loop. */
static inline bool may_chain(struct soft_cpu *cpu)
{
    return likely(--cpu->countdown >= 0) &&
           likely(!atomic_load_explicit(&cpu->attention, memory_order_relaxed)) &&
           likely(!(cpu->mode & SOFT_MODE_SINGLE));
}

static inline void count_insns(struct soft_cpu *cpu)
{
    cpu->n_insns += (uint64_t)(cpu->op - cpu->block->ops) + 1;
}

static inline uint64_t linear_rip(const struct soft_cpu *cpu, uint64_t rip)
{
    if ((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64)
        return rip;
    return (uint32_t)(rip + cpu->seg[X86_CS].base);
}

static struct soft_block *find(struct soft_cpu *cpu, uint64_t rip)
{
    uint64_t linear = linear_rip(cpu, rip);
    struct soft_jump *j = &cpu->jumps[(linear ^ linear >> 12) & (SOFT_JUMP_ENTRIES - 1)];
    if (likely(j->rip == linear && j->epoch == cpu->epochs[linear >> 63] && j->mode == cpu->mode &&
               soft_block_good(j->block)))
        return j->block;
    struct soft_block *b = soft_block_find(cpu, rip);
    if (!cpu->vm->foreign_writers && soft_block_good(b))
        *j = (struct soft_jump){linear, cpu->epochs[linear >> 63], cpu->mode, b};
    return b;
}

/* Whether a block at rip might go beyond the end of its code segment: instructions are looked at
 * one by one there. A segment of 4 GiB has no end. */
static inline bool near_end(const struct soft_cpu *cpu, uint64_t rip)
{
    uint32_t limit = cpu->seg[X86_CS].limit;
    return (cpu->mode & SOFT_MODE_CODE_MASK) != SOFT_MODE_CODE64 && limit != UINT32_MAX &&
           rip + SOFT_BLOCK_BYTES_MAX > limit;
}

const struct soft_op *soft_goto(struct soft_cpu *cpu, uint64_t rip)
{
    bool stop = false;
    if (unlikely((cpu->mode & SOFT_MODE_CODE_MASK) != SOFT_MODE_CODE64)) {
        rip = (uint32_t)rip;
        stop = near_end(cpu, rip);
    }
    if (cpu->block)
        count_insns(cpu);
    if (unlikely(!may_chain(cpu) || stop))
        return soft_stop(cpu, rip);
    return soft_block_enter(cpu, find(cpu, rip), rip);
}

const struct soft_op *soft_goto_linked(struct soft_cpu *cpu, const struct soft_op *op, uint64_t rip)
{
    struct soft_block *b = op->p;
    struct soft_block *from = cpu->block;
    if (likely(b && soft_block_good(b)) && may_chain(cpu)) {
        count_insns(cpu);
        if (unlikely((cpu->mode & SOFT_MODE_CODE_MASK) != SOFT_MODE_CODE64)) {
            rip = (uint32_t)rip;
            if (near_end(cpu, rip))
                return soft_stop(cpu, rip);
        }
        return soft_block_enter(cpu, b, rip);
    }
    uint64_t flushes = soft_blocks_flushes(cpu);
    const struct soft_op *next = soft_goto(cpu, rip);
    /* On the page of the block that the branch is in, the target is the same block as long as the
     * branch itself is found here. */
    if (next && from && soft_blocks_flushes(cpu) == flushes && !cpu->vm->foreign_writers &&
        cpu->block->mode == from->mode && soft_block_good(cpu->block) &&
        cpu->block->phys >> 12 == from->phys >> 12)
        ((struct soft_op *)(uintptr_t)op)->p = cpu->block;
    return next;
}

const struct soft_op *soft_continue(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (cpu->block)
        count_insns(cpu);
    uint64_t rip = soft_next_rip(cpu, op);
    if ((cpu->mode & SOFT_MODE_CODE_MASK) != SOFT_MODE_CODE64)
        rip = (uint32_t)rip;
    return soft_stop(cpu, rip);
}

void soft_check_target(struct soft_cpu *cpu, uint64_t rip)
{
    if ((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64) {
        if (unlikely(!soft_canonical(rip)))
            soft_raise_error(cpu, SOFT_GP, 0);
    } else if (unlikely(rip > cpu->seg[X86_CS].limit)) {
        soft_raise_error(cpu, SOFT_GP, 0);
    }
}

void soft_check_fetch(struct soft_cpu *cpu, uint64_t rip)
{
    if ((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64)
        return;
    uint32_t limit = cpu->seg[X86_CS].limit;
    if (unlikely(limit != UINT32_MAX && rip > limit))
        soft_raise_error(cpu, SOFT_GP, 0);
}

/* ---- faults ---- */

_Noreturn static void raise_event(struct soft_cpu *cpu, const struct soft_pending *event)
{
    cpu->pending = *event;
    longjmp(*cpu->fault, 1);
}

_Noreturn void soft_raise(struct soft_cpu *cpu, unsigned vector)
{
    raise_event(cpu, &(struct soft_pending){.there = true, .vector = (uint8_t)vector});
}

_Noreturn void soft_raise_error(struct soft_cpu *cpu, unsigned vector, uint32_t error)
{
    raise_event(cpu,
                &(struct soft_pending){
                    .there = true, .vector = (uint8_t)vector, .has_error = true, .error = error});
}

_Noreturn void soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error)
{
    raise_event(cpu, &(struct soft_pending){.there = true,
                                            .vector = SOFT_PF,
                                            .has_error = true,
                                            .error = error,
                                            .address = linear});
}

_Noreturn void soft_fail(struct soft_cpu *cpu, const char *what)
{
    cpu->failure = what;
    longjmp(*cpu->fault, 1);
}

/* ---- between blocks ---- */

static void report_failure(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    char code[64] = "unreadable";
    uint64_t linear = linear_rip(cpu, cpu->rip), phys;
    for (unsigned i = 0, at = 0; i < 15; i++) {
        uint8_t byte;
        if (!soft_mmu_peek(cpu, linear + i, &phys) ||
            guest_mem_read(cpu->vm->config.mem, phys, &byte, 1) < 0)
            break;
        at += (unsigned)snprintf(code + at, sizeof(code) - at, "%s%02x", i ? " " : "", byte);
    }
    info->reason = ENGINE_EXIT_ERROR;
    err_set(&info->err, EIO, "vCPU %u stopped: %s at rip 0x%llx, code %s", cpu->vcpu->index,
            cpu->failure, (unsigned long long)cpu->rip, code);
    cpu->failure = NULL;
}

/* The debug exception that the instruction just executed leaves behind, if any. */
static void trap_after_insn(struct soft_cpu *cpu)
{
    uint64_t dr6 = 0;
    if (cpu->step_guest)
        dr6 |= 1u << 14;
    if (cpu->watch_hit)
        dr6 |= cpu->watch_hit;
    cpu->watch_hit = 0;
    cpu->step_guest = false;
    if (dr6 && !cpu->pending.there)
        cpu->pending =
            (struct soft_pending){.there = true, .vector = SOFT_DB, .address = dr6, .trap = true};
}

/* An external interrupt that may be taken now, or -1. */
static int take_interrupt(struct soft_cpu *cpu)
{
    if (cpu->injected_vector >= 0) {
        int v = cpu->injected_vector;
        cpu->injected_vector = -1;
        return v;
    }
    int vector = lapic_pending_vector(cpu->lapic);
    if (vector >= 0) {
        lapic_acknowledge(cpu->lapic, vector);
        return vector;
    }
    const struct engine_vm_config *c = &cpu->vm->config;
    if (cpu->vcpu->index == 0 && c->irqchip && c->irqchip->extint_pending(c->irqchip_opaque) &&
        lapic_accepts_extint(cpu->lapic))
        return c->irqchip->extint_acknowledge(c->irqchip_opaque);
    return -1;
}

static void deliver(struct soft_cpu *cpu, struct soft_pending event)
{
    cpu->in_guest_wait = false;
    cpu->delivering = event;
    soft_deliver(cpu, &event);
    cpu->delivering.there = false;
    cpu->op = NULL;
}

static void deliver_exception(struct soft_cpu *cpu)
{
    struct soft_pending event = cpu->pending;
    cpu->pending.there = false;
    deliver(cpu, event);
}

/* Delivers an NMI or an interrupt if one may be taken now. */
static bool deliver_interrupt(struct soft_cpu *cpu)
{
    if (cpu->shadow)
        return false;
    if (cpu->nmi_pending && !cpu->nmi_blocked) {
        cpu->nmi_pending = false;
        cpu->nmi_blocked = true;
        deliver(cpu, (struct soft_pending){.there = true, .vector = SOFT_NMI});
        return true;
    }
    if (!(cpu->rflags & SOFT_RFLAGS_IF) || cpu->debug.control & KVM_GUESTDBG_BLOCKIRQ)
        return false;
    int vector = take_interrupt(cpu);
    if (vector < 0)
        return false;
    deliver(cpu, (struct soft_pending){.there = true, .vector = (uint8_t)vector, .external = true});
    return true;
}

/* Whether a halted guest has something to wake up for. */
bool soft_run_has_work(struct soft_cpu *cpu)
{
    if (cpu->pending.there || (cpu->nmi_pending && !cpu->nmi_blocked))
        return true;
    if (!(cpu->rflags & SOFT_RFLAGS_IF))
        return false;
    const struct engine_vm_config *c = &cpu->vm->config;
    return cpu->injected_vector >= 0 || lapic_pending_vector(cpu->lapic) >= 0 ||
           (cpu->vcpu->index == 0 && c->irqchip && c->irqchip->extint_pending(c->irqchip_opaque) &&
            lapic_accepts_extint(cpu->lapic));
}

/* A breakpoint of a debugger at rip: reported before the instruction runs. */
static bool debugger_stops(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    if (!(cpu->debug.control & KVM_GUESTDBG_USE_HW_BP))
        return false;
    uint64_t linear = linear_rip(cpu, cpu->rip), dr7 = cpu->debug.arch.debugreg[7];
    for (unsigned i = 0; i < 4; i++) {
        if (!(dr7 >> (2 * i) & 3) || dr7 >> (16 + 4 * i) & 3 ||
            cpu->debug.arch.debugreg[i] != linear || cpu->passed_breakpoint == linear + 1)
            continue;
        cpu->passed_breakpoint = linear + 1; /* the next run goes on behind it */
        info->reason = ENGINE_EXIT_DEBUG;
        info->debug = (struct kvm_debug_exit_arch){
            .exception = SOFT_DB, .pc = linear, .dr6 = 0xffff0ff0 | 1u << i, .dr7 = dr7};
        return true;
    }
    return false;
}

/* #DB and #BP that a debugger has asked for go to it instead of to the guest. */
static bool debugger_takes(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    const struct soft_pending *p = &cpu->pending;
    uint32_t control = cpu->debug.control;
    bool mine = p->there && (control & KVM_GUESTDBG_ENABLE) &&
                ((p->vector == SOFT_BP && (control & KVM_GUESTDBG_USE_SW_BP)) ||
                 (p->vector == SOFT_DB && (control & KVM_GUESTDBG_USE_HW_BP)));
    if (!mine)
        return false;
    if (p->vector == SOFT_BP && cpu->op)
        cpu->rip = soft_rip(cpu, cpu->op); /* of the int3 itself, as KVM reports it */
    info->reason = ENGINE_EXIT_DEBUG;
    info->debug = (struct kvm_debug_exit_arch){.exception = p->vector,
                                               .pc = linear_rip(cpu, cpu->rip),
                                               .dr6 = 0xffff0ff0 | p->address,
                                               .dr7 = cpu->debug.arch.debugreg[7]};
    cpu->pending.there = false;
    return true;
}

/* Guest code breakpoints (DR7) at rip raise #DB before the instruction, unless RF is set. */
static void guest_breakpoints(struct soft_cpu *cpu)
{
    if (!(cpu->dr7 & 0xff) || cpu->rflags & SOFT_RFLAGS_RF ||
        cpu->debug.control & KVM_GUESTDBG_USE_HW_BP) /* the registers are the debugger's */
        return;
    uint64_t linear = linear_rip(cpu, cpu->rip), hit = 0;
    for (unsigned i = 0; i < 4; i++)
        if (cpu->dr7 >> (2 * i) & 3 && !(cpu->dr7 >> (16 + 4 * i) & 3) && cpu->dr[i] == linear)
            hit |= 1u << i;
    if (hit)
        cpu->pending = (struct soft_pending){.there = true, .vector = SOFT_DB, .address = hit};
}

/* Whether this instruction must be alone in its block. */
static bool must_step(const struct soft_cpu *cpu)
{
    return cpu->shadow || near_end(cpu, cpu->rip) ||
           (cpu->rflags & (SOFT_RFLAGS_TF | SOFT_RFLAGS_RF)) ||
           (cpu->dr7 & 0xff && soft_has_code_breakpoints(cpu->dr7)) ||
           (cpu->debug.control & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP));
}

/* What stops the run before anything is delivered: failures, debuggers, shutdown. */
static bool ends(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    if (unlikely(cpu->failure)) {
        report_failure(cpu, info);
        return true;
    }
    if (unlikely(cpu->triple_fault)) {
        cpu->triple_fault = false;
        info->reason = ENGINE_EXIT_SHUTDOWN;
        return true;
    }
    if (likely(!cpu->debug.control))
        return false;
    if (debugger_takes(cpu, info))
        return true;
    if (cpu->debug_stepped && !cpu->pending.there) {
        cpu->debug_stepped = false;
        info->reason = ENGINE_EXIT_DEBUG;
        info->debug = (struct kvm_debug_exit_arch){.exception = SOFT_DB,
                                                   .pc = linear_rip(cpu, cpu->rip),
                                                   .dr6 = 0xffff0ff0 | 1u << 14,
                                                   .dr7 = cpu->debug.arch.debugreg[7]};
        return true;
    }
    return false;
}

/* False: the run ends, *info says why. The order is that of SDM volume 3, table 6-2: traps,
 * interrupts, breakpoints at the next instruction. */
static bool between_blocks(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    for (;;) {
        trap_after_insn(cpu);
        if (ends(cpu, info))
            return false;
        /* Before anybody may read the state: KVM's has no room for all that a pending exception
         * holds (DR6, CR2, whether it is a trap). */
        if (unlikely(cpu->pending.there)) {
            deliver_exception(cpu);
            if (cpu->debug.control & KVM_GUESTDBG_SINGLESTEP) { /* it ends at the handler */
                cpu->debug_stepped = true;
                continue;
            }
        }
        soft_vcpu_look(cpu);
        if (soft_vcpu_take_kick(cpu)) {
            info->reason = ENGINE_EXIT_KICKED;
            return false;
        }
        if (deliver_interrupt(cpu))
            continue;
        if (unlikely(cpu->in_guest_wait || cpu->wait_for_sipi)) {
            soft_vcpu_wait(cpu);
            continue;
        }
        guest_breakpoints(cpu);
        if (likely(!cpu->pending.there))
            return likely(!cpu->debug.control) || !debugger_stops(cpu, info);
    }
}

/* ---- running ---- */

static void run_operations(struct soft_cpu *cpu, const struct soft_op *op)
{
    do {
        cpu->op = op;
        op = op->fn(cpu, op);
    } while (op);
}

/* The block of one instruction at cpu->rip, which its code segment has as a whole. */
static struct soft_block *find_one(struct soft_cpu *cpu)
{
    cpu->op = NULL; /* faults from here on are those of the fetch */
    soft_check_fetch(cpu, cpu->rip);
    struct soft_block *b = find(cpu, cpu->rip);
    if (b->n_bytes)
        soft_check_fetch(cpu, cpu->rip + b->n_bytes - 1);
    return b;
}

static void execute(struct soft_cpu *cpu)
{
    cpu->mode &= ~(uint32_t)SOFT_MODE_SINGLE;
    if (likely(!must_step(cpu))) {
        run_operations(cpu, soft_block_enter(cpu, find(cpu, cpu->rip), cpu->rip));
        return;
    }
    bool trap = cpu->rflags & SOFT_RFLAGS_TF;
    cpu->mode |= SOFT_MODE_SINGLE;
    struct soft_block *b = find_one(cpu);
    cpu->shadow = false;
    cpu->rflags &= ~(uint64_t)SOFT_RFLAGS_RF;
    cpu->step_guest = trap; /* some instructions decide otherwise */
    run_operations(cpu, soft_block_enter(cpu, b, cpu->rip));
    cpu->passed_breakpoint = 0;
    cpu->debug_stepped = cpu->debug.control & KVM_GUESTDBG_SINGLESTEP;
}

/* A fault has come back: what it is the fault of, and what it becomes. */
static void caught(struct soft_cpu *cpu)
{
    if (!cpu->delivering.there) {
        cpu->step_guest = false;
        if (cpu->op)
            cpu->rip = soft_rip(cpu, cpu->op);
        cpu->op = NULL;
        return;
    }
    struct soft_pending first = cpu->delivering;
    cpu->delivering.there = false;
    if (first.software && cpu->op)
        cpu->rip =
            soft_rip(cpu, cpu->op); /* int n faults, it does not trap, when its gate is bad */
    cpu->op = NULL;
    if (cpu->failure)
        return;
    if (first.vector == SOFT_DF && !first.software && !first.external) { /* not an int 8 */
        cpu->pending.there = false;
        cpu->triple_fault = true;
    } else if (soft_exception_combine(&first, &cpu->pending)) {
        cpu->pending =
            (struct soft_pending){.there = true, .vector = SOFT_DF, .has_error = true, .error = 0};
    }
}

void soft_run(struct soft_cpu *cpu, struct engine_exit_info *info)
{
    jmp_buf fault;
    cpu->fault = &fault;
    soft_steal_begin(cpu);
    if (setjmp(fault))
        caught(cpu);
    while (between_blocks(cpu, info))
        execute(cpu);
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    cpu->fault = NULL;
}

bool soft_step(struct soft_cpu *cpu, struct soft_pending *exception)
{
    jmp_buf fault;
    cpu->fault = &fault;
    if (setjmp(fault)) {
        caught(cpu);
    } else {
        cpu->mode |= SOFT_MODE_SINGLE;
        struct soft_block *b = find_one(cpu);
        cpu->shadow = false;
        run_operations(cpu, soft_block_enter(cpu, b, cpu->rip));
    }
    cpu->mode &= ~(uint32_t)SOFT_MODE_SINGLE;
    cpu->fault = NULL;
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    *exception = cpu->pending;
    cpu->pending.there = false;
    return !exception->there;
}
