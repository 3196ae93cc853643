/* fxsave, fxrstor and the XSAVE family. Spec: SDM volume 1, 10.5 and chapter 13.
 *
 * The pointers in an image are the guest's (soft_fpu.fip ...), never the host's. A component counts
 * as in use unless it is in its initial state. */
#include "engine/soft/soft_op.h"

enum {
    OFF_FCW = 0,
    OFF_FSW = 2,
    OFF_FTW = 4,
    OFF_FOP = 6,
    OFF_FIP = 8,
    OFF_FDP = 16,
    OFF_MXCSR = 24,
    OFF_MASK = 28,
    OFF_ST = 32,
    OFF_XMM = 160,
    LEGACY_BYTES = 512,
    OFF_BV = 512,
    OFF_COMP = 520,
    OFF_AVX = 576,
    AVX_BYTES = 256,
};
enum { X87 = 1, SSE = 2, AVX = 4 };
#define COMPACT (UINT64_C(1) << 63)

static unsigned n_registers(const struct soft_cpu *cpu)
{
    return (cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64 ? 16 : 8;
}

/* The first 160 bytes, of which bytes 24..31 are MXCSR and its mask. op->c: 64-bit pointers. */
static void put_x87(struct soft_cpu *cpu, uint8_t *to, bool wide)
{
    const struct soft_fpu *f = &cpu->fpu;
    uint8_t sse[8];
    memcpy(sse, to + OFF_MXCSR, 8);
    memcpy(to, f->legacy, OFF_XMM);
    memcpy(to + OFF_MXCSR, sse, 8);
    to[OFF_FTW + 1] = 0;
    le16_write(to + OFF_FOP, f->fop & 0x7ff);
    le64_write(to + OFF_FIP, f->fip);
    le64_write(to + OFF_FDP, f->fdp);
    if (!wide) {
        le32_write(to + OFF_FIP + 4, f->fcs);
        le32_write(to + OFF_FDP + 4, f->fds);
    }
    for (unsigned i = 0; i < 8; i++)
        memset(to + OFF_ST + 16 * i + 10, 0, 6);
}

static void get_x87(struct soft_cpu *cpu, const uint8_t *from, bool wide)
{
    struct soft_fpu *f = &cpu->fpu;
    soft_fpu_unload(cpu); /* a pending exception must not stay behind in the host's registers */
    memcpy(f->legacy, from, OFF_XMM);
    soft_fpu_normalize(cpu);
    f->fop = le16_read(from + OFF_FOP) & 0x7ff;
    f->fip = wide ? le64_read(from + OFF_FIP) : le32_read(from + OFF_FIP);
    f->fdp = wide ? le64_read(from + OFF_FDP) : le32_read(from + OFF_FDP);
    f->fcs = wide ? 0 : le16_read(from + OFF_FIP + 4);
    f->fds = wide ? 0 : le16_read(from + OFF_FDP + 4);
}

static void init_x87(struct soft_cpu *cpu)
{
    struct soft_fpu *f = &cpu->fpu;
    soft_fpu_unload(cpu);
    memset(f->legacy, 0, sizeof(f->legacy));
    le16_write(f->legacy, 0x37f);
    f->fop = f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
}

static void put_mxcsr(struct soft_cpu *cpu, uint8_t *to)
{
    soft_fpu_unload_mxcsr(cpu);
    le32_write(to + OFF_MXCSR, cpu->fpu.mxcsr);
    le32_write(to + OFF_MASK, 0xffff);
}

static void set_mxcsr(struct soft_cpu *cpu, uint32_t v)
{
    soft_fpu_unload_mxcsr(cpu);
    cpu->fpu.mxcsr = v;
}

static void check_mxcsr(struct soft_cpu *cpu, const uint8_t *from)
{
    if (le32_read(from + OFF_MXCSR) & ~0xffffu)
        soft_raise_error(cpu, SOFT_GP, 0);
}

static void put_xmm(struct soft_cpu *cpu, uint8_t *to)
{
    for (unsigned i = 0; i < n_registers(cpu); i++)
        memcpy(to + OFF_XMM + 16 * i, cpu->fpu.ymm[i], 16);
}

static void get_xmm(struct soft_cpu *cpu, const uint8_t *from)
{
    for (unsigned i = 0; i < n_registers(cpu); i++)
        memcpy(cpu->fpu.ymm[i], from + OFF_XMM + 16 * i, 16);
}

/* Large accesses in pieces, checked as a whole before the first is made. */
static void load_area(struct soft_cpu *cpu, uint64_t at, uint8_t *buf, unsigned n)
{
    for (unsigned i = 0; i < n; i += 64)
        soft_load_bytes(cpu, at + i, buf + i, MIN(n - i, 64u));
}

static void check_area(struct soft_cpu *cpu, uint64_t at, unsigned n)
{
    for (unsigned i = 0; i < n; i += 64)
        soft_check_store(cpu, at + i, MIN(n - i, 64u));
}

static void store_area(struct soft_cpu *cpu, uint64_t at, const uint8_t *buf, unsigned n)
{
    for (unsigned i = 0; i < n; i += 64)
        soft_store_bytes(cpu, at + i, buf + i, MIN(n - i, 64u));
}

/* ---- fxsave, fxrstor ---- */

static void fx_check(struct soft_cpu *cpu, uint64_t at)
{
    if (cpu->x87_fault != 0xff) /* also #NM with EM, unlike SSE */
        soft_raise(cpu, cpu->x87_fault);
    if (at & 15)
        soft_raise_error(cpu, SOFT_GP, 0);
}

static bool osfxsr(const struct soft_cpu *cpu)
{
    return cpu->cr4 >> 9 & 1;
}

static const struct soft_op *fxsave(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[LEGACY_BYTES];
    uint64_t at = soft_address(cpu, op, LEGACY_BYTES, SOFT_WRITE);
    fx_check(cpu, at);
    check_area(cpu, at, 416);
    load_area(cpu, at, image, LEGACY_BYTES);
    soft_fpu_unload(cpu);
    put_x87(cpu, image, op->c);
    put_mxcsr(cpu, image);
    if (osfxsr(cpu))
        put_xmm(cpu, image);
    store_area(cpu, at, image, 416);
    SOFT_NEXT(cpu, op);
}

static const struct soft_op *fxrstor(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[LEGACY_BYTES];
    uint64_t at = soft_address(cpu, op, LEGACY_BYTES, SOFT_READ);
    fx_check(cpu, at);
    load_area(cpu, at, image, LEGACY_BYTES);
    check_mxcsr(cpu, image);
    get_x87(cpu, image, op->c);
    set_mxcsr(cpu, le32_read(image + OFF_MXCSR));
    if (osfxsr(cpu))
        get_xmm(cpu, image);
    SOFT_NEXT(cpu, op);
}

/* ---- xsave and its kin ---- */

static void xs_check(struct soft_cpu *cpu, uint64_t at)
{
    if (!(cpu->cr4 >> 18 & 1))
        soft_raise(cpu, SOFT_UD);
    if (cpu->cr0 >> 3 & 1)
        soft_raise(cpu, SOFT_NM);
    if (at & 63)
        soft_raise_error(cpu, SOFT_GP, 0);
}

static uint64_t requested(const struct soft_cpu *cpu)
{
    return ((uint32_t)cpu->r[SOFT_RAX] | cpu->r[SOFT_RDX] << 32) & cpu->xcr0;
}

static bool all_zero(const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Which components are not in their initial state (13.6). */
static uint64_t in_use(struct soft_cpu *cpu)
{
    const struct soft_fpu *f = &cpu->fpu;
    uint64_t bv = 0;
    bool x87_init = le16_read(f->legacy) == 0x37f && all_zero(f->legacy + 2, 3) && !f->fop &&
                    !f->fip && !f->fdp && all_zero(f->legacy + OFF_ST, 128);
    bv |= x87_init ? 0 : X87;
    for (unsigned i = 0; i < n_registers(cpu); i++) {
        bv |= all_zero(f->ymm[i], 16) ? 0 : SSE;
        bv |= all_zero(f->ymm[i] + 16, 16) ? 0 : AVX;
    }
    return bv;
}

/* op->imm: the instruction's id; op->c: 64-bit pointers. */
static const struct soft_op *xsave(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[OFF_AVX + AVX_BYTES];
    uint64_t at = soft_address(cpu, op, OFF_AVX, SOFT_WRITE);
    bool compact = op->imm == X86_XSAVEC, optimize = op->imm != X86_XSAVE;
    xs_check(cpu, at);
    uint64_t rfbm = requested(cpu);
    unsigned n = rfbm & AVX ? OFF_AVX + AVX_BYTES : OFF_AVX;
    check_area(cpu, at, n);
    load_area(cpu, at, image, n);
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    uint64_t use = in_use(cpu);
    if (compact && cpu->fpu.mxcsr != 0x1f80) /* there MXCSR counts as SSE's */
        use |= SSE;
    uint64_t write = optimize ? rfbm & use : rfbm;
    if (write & X87)
        put_x87(cpu, image, op->c);
    if (compact ? write & SSE : rfbm & (SSE | AVX))
        put_mxcsr(cpu, image);
    if (write & SSE)
        put_xmm(cpu, image);
    for (unsigned i = 0; write & AVX && i < n_registers(cpu); i++)
        memcpy(image + OFF_AVX + 16 * i, cpu->fpu.ymm[i] + 16, 16);
    if (compact) {
        le64_write(image + OFF_BV, rfbm & use);
        le64_write(image + OFF_COMP, rfbm | COMPACT);
    } else {
        uint64_t old = le64_read(image + OFF_BV);
        le64_write(image + OFF_BV, (old & ~rfbm) | (rfbm & use));
    }
    store_area(cpu, at, image, n);
    SOFT_NEXT(cpu, op);
}

static void check_header(struct soft_cpu *cpu, const uint8_t *image)
{
    uint64_t bv = le64_read(image + OFF_BV), comp = le64_read(image + OFF_COMP);
    bool bad;
    if (comp & COMPACT)
        bad = (comp & ~COMPACT) & ~cpu->xcr0 || bv & ~comp ||
              !(cpu->features >> X86_FEATURE_XSAVEC & 1) || !all_zero(image + OFF_COMP + 8, 48);
    else
        bad = bv & ~cpu->xcr0 || comp || !all_zero(image + OFF_COMP, 16);
    if (bad)
        soft_raise_error(cpu, SOFT_GP, 0);
}

static const struct soft_op *xrstor(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint8_t image[OFF_AVX + AVX_BYTES];
    uint64_t at = soft_address(cpu, op, OFF_AVX, SOFT_READ);
    xs_check(cpu, at);
    load_area(cpu, at, image, OFF_AVX);
    check_header(cpu, image);
    uint64_t rfbm = requested(cpu), bv = le64_read(image + OFF_BV);
    bool compact = le64_read(image + OFF_COMP) & COMPACT;
    if (rfbm & bv & AVX)
        load_area(cpu, at + OFF_AVX, image + OFF_AVX, AVX_BYTES);
    /* MXCSR comes with SSE or AVX in the standard format, with SSE in the compact one. */
    bool mxcsr = compact ? rfbm & bv & SSE : rfbm & (SSE | AVX);
    if (mxcsr)
        check_mxcsr(cpu, image);
    if (rfbm & X87) {
        if (bv & X87)
            get_x87(cpu, image, op->c);
        else
            init_x87(cpu);
    }
    if (mxcsr)
        set_mxcsr(cpu, le32_read(image + OFF_MXCSR));
    else if (compact && rfbm & SSE)
        set_mxcsr(cpu, 0x1f80);
    for (unsigned i = 0; i < n_registers(cpu); i++) {
        if (rfbm & SSE && bv & SSE)
            memcpy(cpu->fpu.ymm[i], image + OFF_XMM + 16 * i, 16);
        else if (rfbm & SSE)
            memset(cpu->fpu.ymm[i], 0, 16);
        if (rfbm & AVX && bv & AVX)
            memcpy(cpu->fpu.ymm[i] + 16, image + OFF_AVX + 16 * i, 16);
        else if (rfbm & AVX)
            memset(cpu->fpu.ymm[i] + 16, 0, 16);
    }
    SOFT_NEXT(cpu, op);
}

enum soft_bound soft_bind_xsave(struct soft_cpu *cpu, const struct x86_insn *in, struct soft_op *op)
{
    op->imm = in->id;
    switch (in->id) {
    case X86_FXSAVE:
        op->fn = fxsave;
        break;
    case X86_FXRSTOR:
        op->fn = fxrstor;
        break;
    case X86_XSAVE:
    case X86_XSAVEOPT:
    case X86_XSAVEC:
        op->fn = xsave;
        break;
    case X86_XRSTOR:
        op->fn = xrstor;
        break;
    default:
        return SOFT_UNBOUND;
    }
    op->c = (in->rex & 8) != 0;
    return SOFT_BOUND;
}
