/* The FPU's state: power-on values, access rights, and to and from KVM's XSAVE image.
 * Spec: SDM volume 1, chapters 8, 10 and 13. */
#include "engine/soft/soft_internal.h"

/* Offsets in an XSAVE image. */
enum {
    XSAVE_MXCSR = 24,
    XSAVE_XMM = 160,
    XSAVE_HEADER = 512,
    XSAVE_AVX = 576,
};

void soft_fpu_reset(struct soft_cpu *cpu)
{
    struct soft_fpu *f = &cpu->fpu;
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    memset(f, 0, sizeof(*f));
    f->mxcsr = 0x1f80;
    le16_write(f->legacy, 0x40); /* power-on FCW; FNINIT's is 37fh */
    le16_write(f->legacy + 4, 0);
}

void soft_fpu_unload_mxcsr(struct soft_cpu *cpu)
{
    if (likely(!cpu->fpu.mxcsr_live))
        return;
    cpu->fpu.mxcsr = __builtin_ia32_stmxcsr();
    cpu->fpu.mxcsr_live = false;
    __builtin_ia32_ldmxcsr(0x1f80);
}

/* Spec: SDM volume 3, table 2-2 and 13.1; volume 1, 14.3 for VEX. */
void soft_fpu_update_access(struct soft_cpu *cpu)
{
    bool em = cpu->cr0 >> 2 & 1, ts = cpu->cr0 >> 3 & 1;
    bool osfxsr = cpu->cr4 >> 9 & 1, osxsave = cpu->cr4 >> 18 & 1;
    bool protected = cpu->mode & SOFT_MODE_PROTECTED;
    cpu->x87_fault = em || ts ? SOFT_NM : 0xff;
    cpu->mmx_fault = em ? SOFT_UD : ts ? SOFT_NM : 0xff;
    cpu->sse_fault = em || !osfxsr ? SOFT_UD : ts ? SOFT_NM : 0xff;
    cpu->avx_fault = !osxsave || (cpu->xcr0 & 6) != 6 || !protected ? SOFT_UD : ts ? SOFT_NM : 0xff;
}

void soft_fpu_normalize(struct soft_cpu *cpu)
{
    uint8_t *legacy = cpu->fpu.legacy;
    unsigned fcw = (le16_read(legacy) & 0x1f7fu) | 0x40, fsw = le16_read(legacy + 2) & 0x7f7fu;
    if (fsw & ~fcw & 0x3f)
        fsw |= 0x8080;
    le16_write(legacy, (uint16_t)fcw);
    le16_write(legacy + 2, (uint16_t)fsw);
}

uint8_t *soft_fpu_mmx(struct soft_cpu *cpu, unsigned reg)
{
    unsigned top = le16_read(cpu->fpu.legacy + 2) >> 11 & 7;
    return cpu->fpu.legacy + 32 + 16 * ((reg - top) & 7);
}

void soft_fpu_set_top(struct soft_cpu *cpu, unsigned top)
{
    uint8_t *legacy = cpu->fpu.legacy, st[128];
    unsigned fsw = le16_read(legacy + 2), by = (top - (fsw >> 11)) & 7;
    le16_write(legacy + 2, (uint16_t)((fsw & ~0x3800u) | top << 11));
    if (!by)
        return;
    memcpy(st, legacy + 32, sizeof(st));
    for (unsigned i = 0; i < 8; i++)
        memcpy(legacy + 32 + 16 * i, st + 16 * ((i + by) & 7), 16);
}

void soft_fpu_to_xsave(struct soft_cpu *cpu, struct kvm_xsave *xsave)
{
    uint8_t *x = (uint8_t *)xsave->region;
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    memset(xsave->region, 0, sizeof(xsave->region));
    memcpy(x, cpu->fpu.legacy, XSAVE_XMM);
    le32_write(x + XSAVE_MXCSR, cpu->fpu.mxcsr);
    le32_write(x + XSAVE_MXCSR + 4, 0xffff);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(x + XSAVE_XMM + 16 * i, cpu->fpu.ymm[i], 16);
        memcpy(x + XSAVE_AVX + 16 * i, cpu->fpu.ymm[i] + 16, 16);
    }
    le64_write(x + XSAVE_HEADER, 7);
}

int soft_fpu_from_xsave(struct soft_cpu *cpu, const struct kvm_xsave *xsave)
{
    const uint8_t *x = (const uint8_t *)xsave->region;
    uint64_t bv = le64_read(x + XSAVE_HEADER);
    uint32_t mxcsr = le32_read(x + XSAVE_MXCSR);
    if (mxcsr & ~0xffffu)
        return -EINVAL;
    soft_fpu_unload(cpu);
    soft_fpu_unload_mxcsr(cpu);
    memset(cpu->fpu.ymm, 0, sizeof(cpu->fpu.ymm));
    memset(cpu->fpu.legacy, 0, sizeof(cpu->fpu.legacy));
    cpu->fpu.mxcsr = bv & 6 ? mxcsr : 0x1f80;
    if (bv & 1) {
        memcpy(cpu->fpu.legacy, x, XSAVE_XMM);
        soft_fpu_normalize(cpu);
        cpu->fpu.fop = le16_read(x + 6);
        cpu->fpu.fip = le64_read(x + 8);
        cpu->fpu.fdp = le64_read(x + 16);
    } else {
        le16_write(cpu->fpu.legacy, 0x37f);
        cpu->fpu.fop = 0;
        cpu->fpu.fip = cpu->fpu.fdp = 0;
    }
    for (unsigned i = 0; i < 16; i++) {
        if (bv & 2)
            memcpy(cpu->fpu.ymm[i], x + XSAVE_XMM + 16 * i, 16);
        if (bv & 4)
            memcpy(cpu->fpu.ymm[i] + 16, x + XSAVE_AVX + 16 * i, 16);
    }
    return 0;
}
