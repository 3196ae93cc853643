/* Descriptors and segment registers, and the checks of segmented addresses.
 * Spec: SDM volume 3, chapters 3 and 5. */
#include "engine/soft/soft_segment.h"

uint64_t soft_linear_segmented(struct soft_cpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                               enum soft_access access)
{
    const struct soft_seg *s = &cpu->seg[seg];
    unsigned fault = seg == X86_SS ? SOFT_SS : SOFT_GP;
    if (cpu->mode & SOFT_MODE_PROTECTED) {
        bool code = s->type & 8;
        if (unlikely(s->unusable))
            soft_raise_error(cpu, SOFT_GP, 0);
        if (unlikely(access == SOFT_WRITE ? code || !(s->type & 2) : code && !(s->type & 2)))
            soft_raise_error(cpu, SOFT_GP, 0);
    }
    uint64_t last = (uint32_t)offset + (uint64_t)size - 1;
    bool expand_down = !(s->type & 8) && s->type & 4 && cpu->mode & SOFT_MODE_PROTECTED;
    if (unlikely(expand_down)) {
        if (offset <= s->limit || last > (s->db ? 0xffffffffu : 0xffffu))
            soft_raise_error(cpu, fault, 0);
    } else if (unlikely(last > s->limit)) {
        soft_raise_error(cpu, fault, 0);
    }
    return (uint32_t)(s->base + offset);
}

void soft_segment_unpack(struct soft_seg *s, uint16_t sel, uint64_t d)
{
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
    *s = (struct soft_seg){
        .base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
        .sel = sel,
        .type = d >> 40 & 15,
        .s = d >> 44 & 1,
        .dpl = d >> 45 & 3,
        .present = d >> 47 & 1,
        .avl = d >> 52 & 1,
        .l = d >> 53 & 1,
        .db = d >> 54 & 1,
        .g = d >> 55 & 1,
    };
    s->limit = s->g ? limit << 12 | 0xfff : limit;
}

/* Where a selector's descriptor is; false: beyond its table. */
static bool place(const struct soft_cpu *cpu, uint16_t sel, uint64_t *linear, unsigned bytes)
{
    bool local = sel & 4;
    uint32_t limit = local ? (cpu->ldtr.unusable ? 0 : cpu->ldtr.limit) : cpu->gdt_limit;
    if (local && cpu->ldtr.unusable)
        return false;
    if ((sel & ~7u) + bytes - 1 > limit)
        return false;
    *linear = (local ? cpu->ldtr.base : cpu->gdt_base) + (sel & ~7u);
    return true;
}

bool soft_segment_read(struct soft_cpu *cpu, uint16_t sel, uint64_t *descriptor)
{
    uint64_t at;
    if (!place(cpu, sel, &at, 8))
        return false;
    *descriptor = soft_load_system(cpu, at, 8);
    return true;
}

bool soft_segment_read_system(struct soft_cpu *cpu, uint16_t sel, uint64_t *low, uint64_t *high)
{
    uint64_t at;
    bool wide = cpu->mode & SOFT_MODE_LONG;
    if (!place(cpu, sel, &at, wide ? 16 : 8))
        return false;
    *low = soft_load_system(cpu, at, 8);
    *high = wide ? soft_load_system(cpu, at + 8, 8) : 0;
    return true;
}

void soft_segment_set_accessed(struct soft_cpu *cpu, struct soft_seg *s)
{
    uint64_t at;
    if (likely(s->type & 1) || !place(cpu, s->sel, &at, 8))
        return;
    s->type |= 1;
    soft_store_system(cpu, at + 5, s->type | 1u << 4 | s->dpl << 5 | 1u << 7, 1);
}

void soft_set_segment_real(struct soft_cpu *cpu, enum x86_segment seg, uint16_t sel)
{
    struct soft_seg *s = &cpu->seg[seg];
    bool vm86 = cpu->mode & SOFT_MODE_VM86;
    s->sel = sel;
    s->base = (uint64_t)sel << 4;
    s->unusable = 0;
    if (vm86)
        s->limit = 0xffff; /* real mode keeps what it has */
    if (vm86 || seg == X86_CS) {
        s->type = 3;
        s->s = s->present = 1;
        s->dpl = vm86 ? 3 : 0;
        s->l = s->db = s->g = 0;
    }
    soft_update_mode(cpu);
}

static void load_null(struct soft_cpu *cpu, enum x86_segment seg, uint16_t sel)
{
    struct soft_seg *s = &cpu->seg[seg];
    bool long_ss = seg == X86_SS;
    if (long_ss && !((cpu->mode & SOFT_MODE_CODE_MASK) == SOFT_MODE_CODE64 && cpu->cpl != 3 &&
                     (sel & 3) == cpu->cpl))
        soft_raise_error(cpu, SOFT_GP, 0);
    /* FS and GS keep their base in 64-bit mode on AMD, lose it on Intel; zero is what Linux expects
     * of either. */
    *s = (struct soft_seg){.sel = sel, .unusable = 1, .dpl = long_ss ? cpu->cpl : 0};
    soft_update_mode(cpu);
}

void soft_load_segment(struct soft_cpu *cpu, enum x86_segment seg, uint16_t sel)
{
    struct soft_seg s;
    uint64_t d;
    unsigned rpl = sel & 3;
    if (!(cpu->mode & SOFT_MODE_PROTECTED)) {
        soft_set_segment_real(cpu, seg, sel);
        return;
    }
    if (!(sel & ~3u)) {
        load_null(cpu, seg, sel);
        return;
    }
    if (!soft_segment_read(cpu, sel, &d))
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    soft_segment_unpack(&s, sel, d);
    bool code = s.type & 8;
    bool bad;
    if (seg == X86_SS)
        bad = !s.s || code || !(s.type & 2) || rpl != cpu->cpl || s.dpl != cpu->cpl;
    else
        bad = !s.s || (code && !(s.type & 2)) ||
              (!(code && s.type & 4) && (rpl > s.dpl || cpu->cpl > s.dpl));
    if (bad)
        soft_raise_error(cpu, SOFT_GP, sel & ~3u);
    if (!s.present)
        soft_raise_error(cpu, seg == X86_SS ? SOFT_SS : SOFT_NP, sel & ~3u);
    soft_segment_set_accessed(cpu, &s);
    cpu->seg[seg] = s;
    soft_update_mode(cpu);
}

/* Segments that a less privileged code may not keep (SDM volume 2, RET). */
void soft_segment_drop_privileged(struct soft_cpu *cpu)
{
    static const uint8_t which[] = {X86_ES, X86_DS, X86_FS, X86_GS};
    for (unsigned i = 0; i < ARRAY_LEN(which); i++) {
        struct soft_seg *s = &cpu->seg[which[i]];
        bool conforming = (s->type & 12) == 12;
        if (!s->unusable && !conforming && s->dpl < cpu->cpl)
            *s = (struct soft_seg){.unusable = 1};
    }
}

void soft_segment_load_cs(struct soft_cpu *cpu, const struct soft_seg *cs, uint16_t sel,
                          unsigned cpl)
{
    cpu->seg[X86_CS] = *cs;
    cpu->seg[X86_CS].sel = (uint16_t)((sel & ~3u) | cpl);
    cpu->seg[X86_CS].type |= 1;
    cpu->cpl = (uint8_t)cpl;
    /* In compatibility mode the stack pointer is ESP: what is above it does not come back. */
    if (cpu->mode & SOFT_MODE_LONG && !cs->l)
        cpu->r[SOFT_RSP] = (uint32_t)cpu->r[SOFT_RSP];
    soft_update_mode(cpu);
}
