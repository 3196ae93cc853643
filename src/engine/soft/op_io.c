/* IN and OUT. Spec: Intel SDM volume 1, chapter 19 (I/O permission bit map: 19.5.2). */
#include "engine/soft/soft_io.h"
#include "engine/soft/soft_op.h"

/* TSS types with a 32-bit layout (64-bit ones have the bit map's offset at the same place). */
#define TSS_AVAILABLE 9
#define TSS_BUSY      11
#define TSS_IO_MAP_AT 102
#define TSS_MIN_LIMIT 103

/* Whether the TSS's bit map lets the current task at all of these ports. */
static bool bitmap_allows(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
    const struct soft_seg *tr = &cpu->tr;
    bool wide = tr->type == TSS_AVAILABLE || tr->type == TSS_BUSY;
    if (!wide || !tr->present || tr->unusable || tr->limit < TSS_MIN_LIMIT)
        return false;
    uint64_t at = soft_load_system(cpu, tr->base + TSS_IO_MAP_AT, 2) + port / 8;
    /* Two bytes are always read, so that a wide access may have its bits in both. */
    if (at + 1 > tr->limit)
        return false;
    uint64_t bits = soft_load_system(cpu, tr->base + at, 2) >> (port & 7);
    return !(bits & ((1u << size) - 1));
}

void soft_io_check(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
    unsigned iopl = (unsigned)(cpu->rflags & SOFT_RFLAGS_IOPL) >> 12;
    bool ask = cpu->mode & SOFT_MODE_VM86 || (cpu->mode & SOFT_MODE_PROTECTED && cpu->cpl > iopl);
    if (ask && !bitmap_allows(cpu, port, size))
        soft_raise_error(cpu, SOFT_GP, 0);
}

uint32_t soft_io_read(struct soft_cpu *cpu, uint16_t port, unsigned size)
{
    uint32_t value = 0;
    bus_access_read(cpu->vm->config.bus, BUS_PIO, port, &value, size);
    return value;
}

void soft_io_write(struct soft_cpu *cpu, uint16_t port, uint32_t value, unsigned size)
{
    bus_access_write(cpu->vm->config.bus, BUS_PIO, port, &value, size);
}

static inline const struct soft_op *in(struct soft_cpu *cpu, const struct soft_op *op,
                                       uint16_t port)
{
    soft_io_check(cpu, port, op->size);
    uint32_t value = soft_io_read(cpu, port, op->size);
    if (op->size == 1)
        *soft_r8(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint8_t)value;
    else if (op->size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint16_t)value;
    else
        cpu->r[SOFT_RAX] = value;
    SOFT_NEXT(cpu, op);
}

static inline const struct soft_op *out(struct soft_cpu *cpu, const struct soft_op *op,
                                        uint16_t port)
{
    soft_io_check(cpu, port, op->size);
    soft_io_write(cpu, port, (uint32_t)cpu->r[SOFT_RAX], op->size);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *in_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
    return in(cpu, op, (uint8_t)op->imm);
}

static const struct soft_op *in_dx(struct soft_cpu *cpu, const struct soft_op *op)
{
    return in(cpu, op, (uint16_t)cpu->r[SOFT_RDX]);
}

static const struct soft_op *out_imm(struct soft_cpu *cpu, const struct soft_op *op)
{
    return out(cpu, op, (uint8_t)op->imm);
}

static const struct soft_op *out_dx(struct soft_cpu *cpu, const struct soft_op *op)
{
    return out(cpu, op, (uint16_t)cpu->r[SOFT_RDX]);
}

enum soft_bound soft_bind_io(struct soft_cpu *cpu, const struct x86_insn *insn, struct soft_op *op)
{
    bool immediate = !(insn->opcode & 8); /* e4..e7, else ec..ef */
    if (insn->id != X86_IN && insn->id != X86_OUT)
        return SOFT_UNBOUND;
    op->size = !(insn->opcode & 1) ? 1 : insn->opsize == 2 ? 2 : 4;
    if (insn->id == X86_IN)
        op->fn = immediate ? in_imm : in_dx;
    else
        op->fn = immediate ? out_imm : out_dx;
    return SOFT_BOUND;
}
