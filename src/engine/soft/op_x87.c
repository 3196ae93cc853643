/* x87. The guest's x87 registers live in the host's while the interpreter runs (our own code uses
 * none): loaded when first needed, brought back by soft_fpu_unload(). Each instruction runs as
 * itself.
 *
 * The host must never see a pending exception: a waiting instruction looks at the status word first
 * and raises #MF itself. Pointers to the last instruction are kept by us. Spec: SDM volume 1,
 * chapter 8. */
#include "engine/soft/soft_op.h"
#include "engine/soft/soft_thunk.h"

enum { OFF_FSW = 2, OFF_FTW = 4, OFF_MXCSR = 24, OFF_ST = 32 };
#define FSW_ES 0x80

/* ---- live and saved ---- */

static void load(struct soft_cpu *cpu)
{
    if (likely(cpu->fpu.x87_live))
        return;
    /* FXRSTOR takes MXCSR and XMM too: give it what is there, C code has nothing in XMM here. */
    le32_write(cpu->fpu.legacy + OFF_MXCSR, __builtin_ia32_stmxcsr());
    __asm__ volatile("fxrstor64 %0"
                     :
                     : "m"(cpu->fpu.legacy)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    cpu->fpu.x87_live = true;
}

void soft_fpu_unload(struct soft_cpu *cpu)
{
    static const struct {
        uint16_t fcw;
    } ours = {0x37f};
    if (likely(!cpu->fpu.x87_live))
        return;
    __asm__ volatile("fxsave64 %0" : "=m"(cpu->fpu.legacy));
    __asm__ volatile("fninit\n\tfldcw %0" : : "m"(ours.fcw));
    cpu->fpu.x87_live = false;
    memset(cpu->fpu.legacy + 6, 0, 18); /* the host's pointers */
}

/* ---- running one ---- */

struct x87 {
    soft_thunk_fn *thunk;
    uint8_t mem_bytes, mem_access;
    bool nowait, control, flags_out;
    uint16_t fop;
};

static void check(struct soft_cpu *cpu, bool nowait)
{
    if (unlikely(cpu->x87_fault != 0xff))
        soft_raise(cpu, cpu->x87_fault);
    load(cpu);
    if (nowait)
        return;
    uint16_t fsw;
    __asm__ volatile("fnstsw %0" : "=a"(fsw));
    if (likely(!(fsw & FSW_ES)))
        return;
    /* Without CR0.NE the error goes to the outside as IRQ 13 (FERR#). */
    if (!(cpu->cr0 >> 5 & 1))
        bus_irq_set(cpu->vm->config.bus, 13, true);
    soft_raise(cpu, SOFT_MF);
}

static const struct soft_op *run_x87(struct soft_cpu *cpu, const struct soft_op *op)
{
    const struct x87 *x = op->p;
    struct soft_thunk_io io = {.fl = cpu->fl};
    uint64_t at = 0;
    check(cpu, x->nowait);
    if (x->mem_bytes) {
        bool write = x->mem_access & X86_ACCESS_WRITE;
        at = soft_address(cpu, op, x->mem_bytes, write ? SOFT_WRITE : SOFT_READ);
        if (write)
            soft_check_store(cpu, at, x->mem_bytes);
        /* A store starts with what is there: an unmasked exception may leave it alone. */
        soft_load_bytes(cpu, at, cpu->bounce, x->mem_bytes);
    }
    if (!x->control) {
        cpu->fpu.fop = x->fop;
        cpu->fpu.fip = soft_rip(cpu, op);
        cpu->fpu.fcs = cpu->seg[X86_CS].sel;
        if (x->mem_bytes) {
            cpu->fpu.fdp = soft_offset(cpu, op);
            cpu->fpu.fds = op->seg < X86_N_SEGMENTS ? cpu->seg[op->seg].sel : 0;
        }
    }
    x->thunk(NULL, cpu->bounce, 0, 0, NULL, &io);
    if (x->mem_access & X86_ACCESS_WRITE)
        soft_store_bytes(cpu, at, cpu->bounce, x->mem_bytes);
    if (x->flags_out)
        cpu->fl = (uint32_t)io.fl;
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *full(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t rip = soft_rip(cpu, op);
    soft_thunks_flush(cpu);
    return soft_stop(cpu, rip);
}

/* fwait also faults with MP and TS, and not with EM. */
static const struct soft_op *fwait(struct soft_cpu *cpu, const struct soft_op *op)
{
    if ((cpu->cr0 & 0xa) == 0xa)
        soft_raise(cpu, SOFT_NM);
    if (cpu->x87_fault == 0xff)
        check(cpu, false);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *fnstsw_ax(struct soft_cpu *cpu, const struct soft_op *op)
{
    check(cpu, true);
    uint16_t fsw;
    __asm__ volatile("fnstsw %0" : "=a"(fsw));
    *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = fsw;
    SOFT_NEXT(cpu, op);
}

static void reset_pointers(struct soft_cpu *cpu)
{
    cpu->fpu.fop = cpu->fpu.fcs = cpu->fpu.fds = 0;
    cpu->fpu.fip = cpu->fpu.fdp = 0;
}

static const struct soft_op *fninit(struct soft_cpu *cpu, const struct soft_op *op)
{
    check(cpu, true);
    __asm__ volatile("fninit");
    reset_pointers(cpu);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *fnclex(struct soft_cpu *cpu, const struct soft_op *op)
{
    check(cpu, true);
    __asm__ volatile("fnclex");
    SOFT_NEXT(cpu, op);
}

/* ---- environments: fnstenv, fldenv, fnsave, frstor ---- */

/* The two-bit tag of a register with this content. */
static unsigned tag_of(const uint8_t *st)
{
    uint64_t mantissa = le64_read(st);
    unsigned exponent = le16_read(st + 8) & 0x7fff;
    if (exponent == 0x7fff)
        return 2;
    if (exponent == 0)
        return mantissa ? 2 : 1;
    return mantissa >> 63 ? 0 : 2;
}

static uint16_t full_tags(const uint8_t *legacy)
{
    unsigned top = le16_read(legacy + OFF_FSW) >> 11 & 7, tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *st = legacy + OFF_ST + 16 * ((i - top) & 7);
        unsigned tag = legacy[OFF_FTW] >> i & 1 ? tag_of(st) : 3;
        tags |= tag << (2 * i);
    }
    return (uint16_t)tags;
}

static bool real_format(const struct soft_cpu *cpu)
{
    return !(cpu->mode & SOFT_MODE_PROTECTED);
}

/* Spec: SDM volume 1, figures 8-9 to 8-12. */
static unsigned put_env(struct soft_cpu *cpu, uint8_t *to, unsigned size)
{
    const struct soft_fpu *f = &cpu->fpu;
    uint32_t fip = (uint32_t)f->fip, fdp = (uint32_t)f->fdp;
    if (real_format(cpu)) {
        fip = (uint32_t)(f->fcs * 16u + f->fip);
        fdp = (uint32_t)(f->fds * 16u + f->fdp);
    }
    if (size == 2) {
        le16_write(to, le16_read(f->legacy));
        le16_write(to + 2, le16_read(f->legacy + OFF_FSW));
        le16_write(to + 4, full_tags(f->legacy));
        le16_write(to + 6, (uint16_t)fip);
        le16_write(to + 10, (uint16_t)fdp);
        le16_write(to + 8,
                   real_format(cpu) ? (uint16_t)((fip >> 4 & 0xf000) | (f->fop & 0x7ff)) : f->fcs);
        le16_write(to + 12, real_format(cpu) ? (uint16_t)(fdp >> 4 & 0xf000) : f->fds);
        return 14;
    }
    le32_write(to, 0xffff0000u | le16_read(f->legacy));
    le32_write(to + 4, 0xffff0000u | le16_read(f->legacy + OFF_FSW));
    le32_write(to + 8, 0xffff0000u | full_tags(f->legacy));
    if (real_format(cpu)) {
        le32_write(to + 12, 0xffff0000u | (fip & 0xffff));
        le32_write(to + 16, (fip >> 4 & 0x0ffff000u) | (f->fop & 0x7ff));
        le32_write(to + 20, 0xffff0000u | (fdp & 0xffff));
        le32_write(to + 24, fdp >> 4 & 0x0ffff000u);
    } else {
        le32_write(to + 12, fip);
        le32_write(to + 16, (uint32_t)(f->fop & 0x7ff) << 16 | f->fcs);
        le32_write(to + 20, fdp);
        le32_write(to + 24, 0xffff0000u | f->fds);
    }
    return 28;
}

static unsigned get_env(struct soft_cpu *cpu, const uint8_t *from, unsigned size)
{
    struct soft_fpu *f = &cpu->fpu;
    unsigned step = size == 2 ? 2 : 4;
    uint16_t tags = le16_read(from + 2 * step);
    le16_write(f->legacy, le16_read(from));
    soft_fpu_set_top(cpu, le16_read(from + step) >> 11 & 7);
    le16_write(f->legacy + OFF_FSW, le16_read(from + step));
    f->legacy[OFF_FTW] = 0;
    for (unsigned i = 0; i < 8; i++)
        if ((tags >> (2 * i) & 3) != 3)
            f->legacy[OFF_FTW] |= (uint8_t)(1u << i);
    soft_fpu_normalize(cpu);
    reset_pointers(cpu);
    if (size == 2) {
        f->fip = le16_read(from + 6);
        f->fdp = le16_read(from + 10);
        if (!real_format(cpu)) {
            f->fcs = le16_read(from + 8);
            f->fds = le16_read(from + 12);
        }
        return 14;
    }
    f->fip = le32_read(from + 12);
    f->fdp = le32_read(from + 20);
    if (!real_format(cpu)) {
        f->fcs = le16_read(from + 16);
        f->fop = le16_read(from + 18) & 0x7ff;
        f->fds = le16_read(from + 24);
    }
    return 28;
}

static void store_area(struct soft_cpu *cpu, uint64_t at, const uint8_t *buf, unsigned n)
{
    for (unsigned i = 0; i < n; i += 64)
        soft_check_store(cpu, at + i, MIN(n - i, 64u));
    for (unsigned i = 0; i < n; i += 64)
        soft_store_bytes(cpu, at + i, buf + i, MIN(n - i, 64u));
}

static void load_area(struct soft_cpu *cpu, uint64_t at, uint8_t *buf, unsigned n)
{
    for (unsigned i = 0; i < n; i += 64)
        soft_load_bytes(cpu, at + i, buf + i, MIN(n - i, 64u));
}

/* op->c: with the registers (fnsave). */
static const struct soft_op *store_env(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[108];
    unsigned size = op->size == 2 ? 2 : 4, total = (size == 2 ? 14u : 28u) + (op->c ? 80 : 0);
    memset(image, 0, sizeof(image));
    check(cpu, true);
    uint64_t at = soft_address(cpu, op, total, SOFT_WRITE);
    soft_fpu_unload(cpu);
    unsigned n = put_env(cpu, image, size);
    for (unsigned i = 0; op->c && i < 8; i++)
        memcpy(image + n + 10 * i, cpu->fpu.legacy + OFF_ST + 16 * i, 10);
    store_area(cpu, at, image, total);
    if (op->c) {
        soft_fpu_set_top(cpu, 0); /* as FNINIT: the registers are empty, not cleared */
        memset(cpu->fpu.legacy, 0, 32);
        le16_write(cpu->fpu.legacy, 0x37f);
        reset_pointers(cpu);
    } else {
        le16_write(cpu->fpu.legacy, le16_read(cpu->fpu.legacy) | 0x3f); /* all masked */
        soft_fpu_normalize(cpu);
    }
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *load_env(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[108];
    unsigned size = op->size == 2 ? 2 : 4, total = (size == 2 ? 14u : 28u) + (op->c ? 80 : 0);
    check(cpu, false);
    load_area(cpu, soft_address(cpu, op, total, SOFT_READ), image, total);
    soft_fpu_unload(cpu);
    unsigned n = get_env(cpu, image, size);
    for (unsigned i = 0; op->c && i < 8; i++)
        memcpy(cpu->fpu.legacy + OFF_ST + 16 * i, image + n + 10 * i, 10);
    SOFT_NEXT(cpu, op);
}

/* ---- binding ---- */

static bool is_control(uint16_t id)
{
    return id == X86_FLDCW || id == X86_FNSTCW || id == X86_FNSTSW || id == X86_FNCLEX ||
           id == X86_FNINIT;
}

static enum soft_bound bind_thunk(struct soft_cpu *cpu, const struct x86_insn *in,
                                  struct soft_op *op)
{
    struct x87 x = {
        .thunk = soft_thunk_get_x87(cpu, in),
        .nowait = in->flags & X86_FLAG_X87_NOWAIT,
        .control = is_control(in->id),
        .flags_out = in->flags & X86_FLAG_WRITES_FLAGS,
        .fop = (uint16_t)((in->opcode & 7) << 8 | in->modrm),
    };
    if (!x.thunk) {
        op->fn = full;
        return SOFT_BOUND_END;
    }
    if (in->has_mem) {
        x.mem_bytes = in->operands[0].size_bytes;
        x.mem_access = in->operands[0].access;
    }
    op->p = soft_keep(cpu, &x, sizeof(x));
    return soft_bind_next(op, run_x87);
}

enum soft_bound soft_bind_x87(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    if (!(in->flags & X86_FLAG_X87))
        return SOFT_UNBOUND;
    switch (in->id) {
    case X86_FWAIT:
        return soft_bind_next(op, fwait);
    case X86_FNINIT:
        return soft_bind_next(op, fninit);
    case X86_FNCLEX:
        return soft_bind_next(op, fnclex);
    case X86_FNSTENV:
    case X86_FNSAVE:
        op->c = in->id == X86_FNSAVE;
        return soft_bind_next(op, store_env);
    case X86_FLDENV:
    case X86_FRSTOR:
        op->c = in->id == X86_FRSTOR;
        return soft_bind_next(op, load_env);
    case X86_FNSTSW:
        if (!in->has_mem)
            return soft_bind_next(op, fnstsw_ax);
        break;
    default:
        break;
    }
    return bind_thunk(cpu, in, op);
}
