/* SSE, AVX and MMX by thunks (soft_thunk.h), so that every one of them is executed by the host's
 * own instruction. Plain moves are in op_vector_move.c, irregular memory accesses in op_gather.c.
 *
 * MMX registers are those of the x87 state. A thunk of an MMX instruction works on the saved image
 * (soft_fpu_unload() comes first) and ends in EMMS, so the host's x87 registers are free again. */
#include "engine/soft/op_vector.h"

#include "engine/soft/soft_op.h"
#include "engine/soft/soft_thunk.h"

/* What a vector operation's handler needs; lives as long as its block. */
struct vector {
    soft_thunk_fn *thunk;
    uint8_t reg, rm, vvvv, implicit; /* register numbers */
    uint8_t reg_kind, rm_kind;       /* enum x86_operand_kind; 0: none */
    uint8_t reg_access, rm_access;
    uint8_t mem_bytes;
    bool mem, aligned, vex, sse, mmx, fp, flags_out, explicit_length, index_out, wide;
};

/* ---- thunks ---- */

static void *register_bytes(struct soft_cpu *cpu, unsigned kind, unsigned reg)
{
    return kind == X86_OPERAND_MMX ? soft_fpu_mmx(cpu, reg) : cpu->fpu.ymm[reg];
}

/* MMX writes leave ones above the 64 bits, tag everything valid and reset TOP. */
static void begin_mmx(struct soft_cpu *cpu)
{
    if (unlikely(cpu->mmx_fault != 0xff))
        soft_raise(cpu, cpu->mmx_fault);
    soft_fpu_unload(cpu);
    if (unlikely(le16_read(cpu->fpu.legacy + 2) & 0x80))
        soft_raise(cpu, SOFT_MF);
}

static void enter_mmx(struct soft_cpu *cpu)
{
    soft_fpu_set_top(cpu, 0);
    cpu->fpu.legacy[4] = 0xff;
}

static void end_mmx(struct soft_cpu *cpu, const struct vector *v)
{
    if (v->reg_kind == X86_OPERAND_MMX && v->reg_access & X86_ACCESS_WRITE)
        le16_write(soft_fpu_mmx(cpu, v->reg) + 8, 0xffff);
    if (v->rm_kind == X86_OPERAND_MMX && v->rm_access & X86_ACCESS_WRITE)
        le16_write(soft_fpu_mmx(cpu, v->rm) + 8, 0xffff);
    enter_mmx(cpu);
}

#define MXCSR_MASKS 0x1f80u

/* Makes the host's MXCSR the guest's. False: the guest has unmasked an exception. */
static inline bool load_mxcsr(struct soft_cpu *cpu)
{
    if (likely(cpu->fpu.mxcsr_live))
        return true;
    if (unlikely((cpu->fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS))
        return false;
    __builtin_ia32_ldmxcsr(cpu->fpu.mxcsr);
    cpu->fpu.mxcsr_live = true;
    return true;
}

/* Where the guest has unmasked SIMD exceptions, the host raises them: which ones there are, and
 * what flags they leave, depends on what is unmasked (SDM volume 1, 4.9.1.5 and 11.5.3). */
static void run_unmasked(struct soft_cpu *cpu, const struct vector *v, void *reg, void *rm,
                         void *vvvv, struct soft_thunk_io *io)
{
    if (soft_thunk_try(v->thunk, reg, rm, vvvv, io, &cpu->fpu.mxcsr))
        return;
    if (v->mmx) { /* the registers are MMX's already */
        __asm__ volatile("emms");
        enter_mmx(cpu);
    }
    if (v->vex)
        __asm__ volatile("vzeroupper");
    soft_raise(cpu, cpu->cr4 >> 10 & 1 ? SOFT_XM : SOFT_UD);
}

static const struct soft_op *run_vector(struct soft_cpu *cpu, const struct soft_op *op)
{
    const struct vector *v = op->p;
    struct soft_thunk_io io = {.implicit = cpu->fpu.ymm[v->implicit]};
    uint64_t at = 0;
    if (v->sse)
        soft_vector_check(cpu, v->vex);
    if (v->mmx)
        begin_mmx(cpu);
    void *reg = register_bytes(cpu, v->reg_kind, v->reg);
    void *rm = register_bytes(cpu, v->rm_kind, v->rm);
    if (v->mem) {
        bool write = v->rm_access & X86_ACCESS_WRITE;
        at = soft_vector_address(cpu, op, v->mem_bytes, write ? SOFT_WRITE : SOFT_READ, v->aligned);
        if (write)
            soft_check_store(cpu, at, v->mem_bytes); /* before MXCSR changes */
        if (v->rm_access & X86_ACCESS_READ)
            soft_load_bytes(cpu, at, cpu->bounce, v->mem_bytes);
        rm = cpu->bounce;
    }
    if (v->reg_kind == X86_OPERAND_GPR && v->reg_access & X86_ACCESS_READ)
        io.rax = cpu->r[v->reg];
    if (v->rm_kind == X86_OPERAND_GPR)
        io.rax = cpu->r[v->rm];
    if (v->explicit_length) {
        io.rax = cpu->r[SOFT_RAX];
        io.rdx = cpu->r[SOFT_RDX];
    }
    if (v->fp && !load_mxcsr(cpu))
        run_unmasked(cpu, v, reg, rm, cpu->fpu.ymm[v->vvvv], &io);
    else
        v->thunk(reg, rm, 0, 0, cpu->fpu.ymm[v->vvvv], &io);
    if (v->mem && v->rm_access & X86_ACCESS_WRITE)
        soft_store_bytes(cpu, at, cpu->bounce, v->mem_bytes);
    if (v->flags_out)
        cpu->fl = (uint32_t)io.fl;
    if (v->index_out)
        cpu->r[SOFT_RCX] = (uint32_t)io.rcx;
    if (v->reg_kind == X86_OPERAND_GPR && v->reg_access & X86_ACCESS_WRITE)
        cpu->r[v->reg] = v->wide ? io.rax : (uint32_t)io.rax;
    if (v->rm_kind == X86_OPERAND_GPR && v->rm_access & X86_ACCESS_WRITE)
        cpu->r[v->rm] = v->wide ? io.rax : (uint32_t)io.rax;
    if (v->mmx)
        end_mmx(cpu, v);
    SOFT_NEXT(cpu, op);
}

/* The common kinds: registers alone, or a memory operand that is only read, and no other results.
 */

static inline const struct soft_op *run_plain(struct soft_cpu *cpu, const struct soft_op *op,
                                              bool mem)
{
    const struct vector *v = op->p;
    struct soft_thunk_io io;
    if (v->fp && unlikely(!load_mxcsr(cpu)))
        return run_vector(cpu, op);
    soft_vector_check(cpu, v->vex);
    void *rm = cpu->fpu.ymm[v->rm];
    if (mem) {
        uint64_t at = soft_vector_address(cpu, op, v->mem_bytes, SOFT_READ, v->aligned);
        const struct soft_tlb_entry *e = soft_tlb_at(cpu, at);
        if (likely((at ^ e->read) <= 4096u - v->mem_bytes)) {
            rm = (void *)(at + e->addend);
        } else {
            soft_load_bytes(cpu, at, cpu->bounce, v->mem_bytes);
            rm = cpu->bounce;
        }
    }
    io.implicit = cpu->fpu.ymm[v->implicit];
    v->thunk(cpu->fpu.ymm[v->reg], rm, 0, 0, cpu->fpu.ymm[v->vvvv], &io);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *run_registers(struct soft_cpu *cpu, const struct soft_op *op)
{
    return run_plain(cpu, op, false);
}

static const struct soft_op *run_loading(struct soft_cpu *cpu, const struct soft_op *op)
{
    return run_plain(cpu, op, true);
}

static bool in_vector_registers(uint8_t kind)
{
    return kind == 0 || kind == X86_OPERAND_XMM || kind == X86_OPERAND_YMM;
}

/* Which of the handlers fits. */
static soft_fn *handler(const struct vector *v)
{
    bool plain = v->sse && !v->mmx && !v->flags_out && !v->explicit_length && !v->index_out &&
                 in_vector_registers(v->reg_kind);
    if (plain && !v->mem && in_vector_registers(v->rm_kind))
        return run_registers;
    if (plain && v->mem && v->rm_access == X86_ACCESS_READ)
        return run_loading;
    return run_vector;
}

static const struct soft_op *full(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t rip = soft_rip(cpu, op);
    soft_thunks_flush(cpu);
    return soft_stop(cpu, rip);
}

static const struct soft_op *emms(struct soft_cpu *cpu, const struct soft_op *op)
{
    begin_mmx(cpu);
    soft_fpu_set_top(cpu, 0);
    cpu->fpu.legacy[4] = 0;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *ldmxcsr(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    uint32_t v = soft_load32(cpu, soft_address(cpu, op, 4, SOFT_READ));
    if (v & ~0xffffu)
        soft_raise_error(cpu, SOFT_GP, 0);
    soft_fpu_unload_mxcsr(cpu);
    cpu->fpu.mxcsr = v;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *stmxcsr(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, op->c);
    soft_fpu_unload_mxcsr(cpu);
    soft_store32(cpu, soft_address(cpu, op, 4, SOFT_WRITE), cpu->fpu.mxcsr);
    SOFT_NEXT(cpu, op);
}

/* op->imm: also the lower halves. */
static const struct soft_op *vzero(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_vector_check(cpu, true);
    for (unsigned i = 0; i < (cpu->mode & SOFT_MODE_CODE64 ? 16u : 8u); i++) {
        if (op->imm)
            memset(cpu->fpu.ymm[i], 0, 16);
        soft_vector_clear_upper(cpu, i);
    }
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static void fill_places(const struct x86_insn *in, struct vector *v)
{
    for (unsigned i = 0; i < in->n_operands; i++) {
        const struct x86_operand *o = &in->operands[i];
        switch (o->place) {
        case X86_PLACE_REG:
            v->reg = o->reg;
            v->reg_kind = o->kind;
            v->reg_access = o->access;
            break;
        case X86_PLACE_RM:
            v->rm = o->kind == X86_OPERAND_MEM ? 0 : o->reg;
            v->rm_kind = o->kind;
            v->rm_access = o->access;
            v->mem_bytes = o->size_bytes;
            break;
        case X86_PLACE_VVVV:
            v->vvvv = o->reg;
            break;
        case X86_PLACE_IS4:
            v->implicit = o->reg;
            break;
        default:
            break;
        }
    }
}

static enum soft_bound bind_thunk(struct soft_cpu *cpu, const struct x86_insn *in,
                                  struct soft_op *op)
{
    struct vector v = {.thunk = soft_thunk_get(cpu, in)};
    if (!v.thunk) {
        op->fn = full;
        return SOFT_BOUND_END;
    }
    fill_places(in, &v);
    v.mem = in->has_mem;
    v.vex = in->prefixes & X86_PREFIX_VEX;
    v.aligned = in->has_mem && in->flags & X86_FLAG_ALIGNED && v.mem_bytes >= 16;
    v.sse = in->flags & (X86_FLAG_SSE | X86_FLAG_VEX);
    /* From memory these two leave the x87 state alone. */
    bool only_reads = in->has_mem && (in->id == X86_CVTPI2PS || in->id == X86_CVTPI2PD);
    v.mmx = in->flags & X86_FLAG_MMX && !only_reads;
    v.fp = in->flags & X86_FLAG_SSE_FP;
    v.flags_out = in->flags & X86_FLAG_WRITES_FLAGS;
    v.explicit_length = in->id == X86_PCMPESTRI || in->id == X86_PCMPESTRM ||
                        in->id == X86_VPCMPESTRI || in->id == X86_VPCMPESTRM;
    v.index_out = in->id == X86_PCMPESTRI || in->id == X86_PCMPISTRI || in->id == X86_VPCMPESTRI ||
                  in->id == X86_VPCMPISTRI;
    v.wide = in->rex & 8;
    op->p = soft_keep(cpu, &v, sizeof(v));
    return soft_bind_next(op, handler(&v));
}

enum soft_bound soft_bind_vector(struct soft_cpu *cpu, const struct x86_insn *in,
                                 struct soft_op *op)
{
    if (!(in->flags & (X86_FLAG_SSE | X86_FLAG_VEX | X86_FLAG_MMX)) && in->map < 2)
        return SOFT_UNBOUND;
    op->c = (in->prefixes & X86_PREFIX_VEX) != 0;
    switch (in->id) {
    case X86_EMMS:
        return soft_bind_next(op, emms);
    case X86_LDMXCSR:
    case X86_VLDMXCSR:
        return soft_bind_next(op, ldmxcsr);
    case X86_STMXCSR:
    case X86_VSTMXCSR:
        return soft_bind_next(op, stmxcsr);
    case X86_VZEROUPPER:
    case X86_VZEROALL:
        op->imm = in->id == X86_VZEROALL;
        return soft_bind_next(op, vzero);
    default:
        break;
    }
    enum soft_bound bound = soft_bind_gather(cpu, in, op);
    if (!bound)
        bound = soft_bind_vector_move(in, op);
    if (bound)
        return bound;
    if (!(in->flags & (X86_FLAG_SSE | X86_FLAG_VEX | X86_FLAG_MMX)))
        return SOFT_UNBOUND;
    return bind_thunk(cpu, in, op);
}
