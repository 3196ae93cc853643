/* Programs about segments, in 64- and 32-bit code: each is a few pieces, of which most go well. A
 * far transfer goes on right behind itself, in the code size of its selector, so one program is
 * often in both. Selectors are those that Linux gives to user code, of the local table of
 * conform_ldt.c, the kernel's own, null ones and some that do not exist.
 *
 * RBP points to the data, whose first bytes hold pointers and frames that pieces have put there. */
#include <string.h>

#include "base/util.h"
#include "conform_program.h"

#define MXCSR_INIT 0x1f80
#define FCW_INIT   0x37f
#define MAX_BYTES  1024

/* Linux's GDT: the number of the CPU is a limit there. */
#define CPU_NUMBER 0x7b

struct far {
    struct program p;
    struct conform_case *c;
    unsigned used; /* of the data */
};

/* ---- selectors ---- */

static uint16_t any_selector(struct conform_rng *rng)
{
    static const uint16_t selectors[] = {
        0,    1,    2,    3,    CONFORM_CS32, CONFORM_CS64, CONFORM_SS, CPU_NUMBER, 0x20, 0x28,
        0x31, 0x29, 0x08, 0x10, 0x18,         0x13,         0x40,       0x48,       0x53, 0x63,
        0x80, 0x8b, 7,    4,    0x2f,         0x33 | 4};
    switch (conform_below(rng, 8)) {
    case 0:
        return (uint16_t)conform_random(rng);
    case 1:
    case 2:
        return selectors[conform_below(rng, ARRAY_LEN(selectors))];
    case 3:
    case 4:
        return conform_ldt_selector((unsigned)conform_below(rng, CONFORM_LDT_ENTRIES + 2)) &
               (uint16_t)(conform_chance(rng, 10) ? 0xfffc : 0xffff);
    default:
        return CONFORM_SS;
    }
}

/* Of code: mostly the user's, of either size. */
static uint16_t code_selector(struct conform_rng *rng)
{
    if (conform_chance(rng, 15))
        return any_selector(rng);
    if (conform_chance(rng, 20))
        return conform_ldt_selector(5 + (unsigned)conform_below(rng, 8));
    uint16_t sel = conform_chance(rng, 50) ? CONFORM_CS64 : CONFORM_CS32;
    return conform_chance(rng, 10) ? sel & 0xfffc : sel; /* another RPL */
}

static bool is_code(uint16_t sel)
{
    return (sel | 3) == CONFORM_CS64 || (sel | 3) == CONFORM_CS32 ||
           sel == conform_ldt_selector(5) || sel == conform_ldt_selector(6) ||
           sel == conform_ldt_selector(10);
}

/* Code goes on in the size of this segment, if at all. */
static void enter(struct far *f, uint16_t sel)
{
    if (is_code(sel))
        f->p.mode = (sel | 3) == CONFORM_CS64 ? X86_CODE64 : X86_CODE32;
}

/* Where a transfer to the code behind it leads, `bytes` from here. */
static uint64_t target(struct far *f, uint16_t sel, unsigned bytes)
{
    if (sel == conform_ldt_selector(CONFORM_LDT_BASED)) /* no code there */
        return 0x100;
    if (conform_chance(f->p.rng, 3))
        return UINT64_C(0x800000000000) << conform_below(f->p.rng, 16);
    return CONFORM_START + f->p.n + bytes;
}

/* ---- operands ---- */

/* Puts bytes into the data; returns their displacement from RBP. */
static uint8_t put(struct far *f, const void *bytes, unsigned n)
{
    if (f->used + n > 112)
        f->used = 0;
    uint8_t at = (uint8_t)f->used;
    memcpy(f->c->mem[CONFORM_PAGE_DATA0] + at, bytes, n);
    f->used += n;
    return at;
}

/* A far pointer with an offset of `size` bytes. */
static uint8_t put_pointer(struct far *f, uint64_t offset, uint16_t sel, unsigned size)
{
    uint8_t bytes[10];
    memcpy(bytes, &offset, size);
    memcpy(bytes + size, &sel, 2);
    return put(f, bytes, size + 2);
}

static bool wide(const struct far *f)
{
    return f->p.mode == X86_CODE64;
}

/* An operand size. With REX.W the pointers of AMD's CPUs stay what they are, Intel's have an offset
 * of 8 bytes: not chosen there, and the engine's are AMD's. */
static unsigned emit_size(struct far *f, bool quad)
{
    struct conform_rng *rng = f->p.rng;
    if (conform_chance(rng, 8)) {
        EMIT(&f->p, 0x66);
        return 2;
    }
    if (!wide(f) || !quad || conform_chance(rng, 50))
        return 4;
    EMIT(&f->p, 0x48);
    return 8;
}

/* ---- pieces ---- */

/* mov to and from segment registers, push and pop of them. */
static void emit_load(struct far *f)
{
    static const uint8_t order[] = {X86_ES, X86_DS, X86_FS, X86_GS, X86_SS};
    struct program *p = &f->p;
    uint8_t seg = order[conform_below(p->rng, ARRAY_LEN(order))];
    uint16_t sel = any_selector(p->rng);
    EMIT(p, 0xb8); /* mov eax, */
    program_emit32(p, sel | (uint32_t)(conform_random(p->rng) << 16));
    switch (conform_below(p->rng, 4)) {
    case 0:
        EMIT(p, 0x8e, 0x45 | seg << 3, put(f, &sel, 2)); /* mov seg, [rbp + */
        break;
    case 1:
        EMIT(p, 0x50); /* push rax */
        if (conform_chance(p->rng, 10) && (seg >= X86_FS || !wide(f)))
            EMIT(p, 0x66);
        if (seg >= X86_FS)
            EMIT(p, 0x0f, 0x81 | seg << 3);
        else if (!wide(f))
            EMIT(p, 0x07 | seg << 3);
        break;
    default:
        EMIT(p, 0x8e, 0xc0 | seg << 3); /* mov seg, eax */
        break;
    }
}

/* lds, les, lss, lfs, lgs */
static void emit_pointer_load(struct far *f)
{
    static const uint8_t ops[] = {0xb2, 0xb4, 0xb5};
    struct program *p = &f->p;
    unsigned size = emit_size(f, !conform_host_is_intel());
    uint8_t at = put_pointer(f, conform_random(p->rng), any_selector(p->rng), size == 2 ? 2 : 4);
    if (!wide(f) && conform_chance(p->rng, 40))
        EMIT(p, 0xc4 | (uint8_t)conform_below(p->rng, 2), 0x45, at);
    else
        EMIT(p, 0x0f, ops[conform_below(p->rng, 3)], 0x45, at);
}

/* A segment register is stored; memory is reached through one. */
static void emit_use(struct far *f)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    struct program *p = &f->p;
    uint8_t seg = (uint8_t)conform_below(p->rng, 6);
    switch (conform_below(p->rng, 4)) {
    case 0:
        if (conform_chance(p->rng, 30))
            EMIT(p, wide(f) ? 0x48 : 0x66);
        EMIT(p, 0x8c, 0xc0 | seg << 3 | (uint8_t)conform_below(p->rng, 4)); /* mov reg, seg */
        break;
    case 1:
        if (wide(f))
            EMIT(p, 0x0f, 0xa0 | (seg & 1) << 3); /* push fs, gs */
        else if (!conform_host_is_intel())        /* whose CPUs write 16 bits of it */
            EMIT(p, 0x06 | (seg & 3) << 3);       /* push es, cs, ss, ds */
        break;
    case 2:
        EMIT(p, prefixes[seg], 0x8b, 0x5d, 0x40); /* mov ebx, seg:[rbp + 64] */
        break;
    default:
        EMIT(p, prefixes[seg], 0x89, 0x5d, 0x50); /* mov seg:[rbp + 80], ebx */
        break;
    }
}

/* lar, lsl, verr, verw */
static void emit_question(struct far *f)
{
    struct program *p = &f->p;
    uint16_t sel = any_selector(p->rng);
    unsigned which = (unsigned)conform_below(p->rng, 4);
    if (which == 1 && (sel | 3) == CPU_NUMBER)
        return;
    EMIT(p, 0xb8);
    program_emit32(p, sel | (uint32_t)(conform_random(p->rng) << 16));
    if (which >= 2) {
        EMIT(p, 0x0f, 0x00, 0xe0 | (uint8_t)(which & 1) << 3); /* verr, verw ax */
        return;
    }
    emit_size(f, true);
    if (conform_chance(p->rng, 30))
        EMIT(p, 0x0f, 0x02 | (uint8_t)which, 0x4d, put(f, &sel, 2)); /* ecx, [rbp + */
    else
        EMIT(p, 0x0f, 0x02 | (uint8_t)which, 0xc8); /* ecx, eax */
}

/* jmp far and call far. */
static void emit_far(struct far *f)
{
    struct program *p = &f->p;
    uint16_t sel = code_selector(p->rng);
    bool call = conform_chance(p->rng, 40);
    if (!wide(f) && conform_chance(p->rng, 50)) {
        uint64_t to = target(f, sel, 7);
        EMIT(p, call ? 0x9a : 0xea);
        program_emit32(p, (uint32_t)to);
        program_emit(p, (const uint8_t *)&sel, 2);
    } else {
        unsigned from = p->n, size = emit_size(f, !conform_host_is_intel());
        uint64_t to = target(f, sel, 3);
        uint8_t at = put_pointer(f, to, sel, size == 8 ? 4 : size);
        EMIT(p, 0xff, call ? 0x5d : 0x6d, at);
        if (size == 2 && p->n - from == 4) /* it leads to where nothing is */
            return;
    }
    enter(f, sel);
}

/* Stores a word of a frame at [rsp + at]. */
static void emit_word(struct far *f, uint8_t at, uint64_t value, unsigned size)
{
    struct program *p = &f->p;
    if (size != 4)
        EMIT(p, size == 2 ? 0x66 : 0x48);
    EMIT(p, 0xc7, 0x44, 0x24, at);
    program_emit(p, (const uint8_t *)&value, MIN(size, 4u));
}

static void emit_return(struct far *f)
{
    struct program *p = &f->p;
    uint16_t sel = code_selector(p->rng);
    bool pops = conform_chance(p->rng, 30);
    unsigned size = conform_chance(p->rng, 8) ? 2 : wide(f) && conform_chance(p->rng, 60) ? 8 : 4;
    unsigned word = size == 4 ? 8 : 9, own = (size != 4) + (pops ? 3 : 1);
    emit_word(f, (uint8_t)size, sel, size);
    emit_word(f, 0, (uint32_t)target(f, sel, word + own), size);
    if (size != 4)
        EMIT(p, size == 2 ? 0x66 : 0x48);
    if (pops)
        EMIT(p, 0xca, 8 * (uint8_t)conform_below(p->rng, 4), 0);
    else
        EMIT(p, 0xcb);
    enter(f, sel);
}

/* Flags that an IRET may find: not TF, which would be for the test's own debugger. */
static uint32_t some_flags(struct conform_rng *rng)
{
    uint32_t flags = 0x202 | ((uint32_t)conform_random(rng) & 0xcd5);
    if (conform_chance(rng, 20))
        flags ^= (uint32_t)conform_random(rng) & 0x3a7000; /* IOPL NT VM AC, VIF VIP ID */
    return flags;
}

static void emit_iret(struct far *f)
{
    struct program *p = &f->p;
    uint16_t cs = code_selector(p->rng);
    uint16_t ss = conform_chance(p->rng, 25) ? any_selector(p->rng) : CONFORM_SS;
    unsigned size = conform_chance(p->rng, 8) ? 2 : wide(f) && conform_chance(p->rng, 60) ? 8 : 4;
    unsigned word = size == 4 ? 8 : 9;
    emit_word(f, (uint8_t)(4 * size), ss, size);
    uint64_t sp = CONFORM_STACK + 1024 + 8 * conform_below(p->rng, 128);
    if (conform_chance(p->rng, 5)) /* an upper half */
        sp |= 0x80000000;
    emit_word(f, (uint8_t)(3 * size), sp, size);
    emit_word(f, (uint8_t)(2 * size), some_flags(p->rng), size);
    emit_word(f, (uint8_t)size, cs, size);
    emit_word(f, 0, (uint32_t)target(f, cs, word + 1 + (size != 4)), size);
    if (size != 4)
        EMIT(p, size == 2 ? 0x66 : 0x48);
    EMIT(p, 0xcf);
    enter(f, cs);
}

/* into, bound, int n, where there is no other fault. */
static void emit_trap(struct far *f)
{
    struct program *p = &f->p;
    uint8_t vector = (uint8_t)(3 + conform_below(p->rng, 4));
    uint32_t bounds[2] = {(uint32_t)-conform_below(p->rng, 64),
                          (uint32_t)conform_below(p->rng, 64)};
    EMIT(p, 0x70 | (uint8_t)conform_below(p->rng, 16), 2);
    switch (conform_below(p->rng, 3)) {
    case 0:
        EMIT(p, 0xcd, vector);
        break;
    case 1:
        EMIT(p, wide(f) ? 0x90 : 0xce, 0x90);
        break;
    default:
        EMIT(p, 0x90, 0x90);
        if (wide(f))
            break;
        EMIT(p, 0xb9); /* mov ecx, */
        program_emit32(p, (uint32_t)conform_below(p->rng, 96) - 48);
        EMIT(p, 0x62, 0x4d, put(f, bounds, 8)); /* bound ecx, [ebp + */
        break;
    }
}

/* ---- the whole ---- */

static void set_registers(struct conform_case *c)
{
    uint32_t mxcsr = MXCSR_INIT;
    uint16_t fcw = FCW_INIT, fsw = 0;
    memcpy(c->in.xsave + 24, &mxcsr, 4);
    memcpy(c->in.xsave, &fcw, 2);
    memcpy(c->in.xsave + 2, &fsw, 2);
    c->in.r[RBP] = CONFORM_DATA;
    c->in.r[RSP] = CONFORM_STACK + 2048;
    if (c->in.rflags & 0x400)
        c->in.rflags &= ~UINT64_C(0x400);
}

void conform_generate_far(uint64_t seed, unsigned index, enum x86_code_mode mode,
                          struct conform_case *c)
{
    typedef void piece_fn(struct far * f);
    static piece_fn *const pieces[] = {emit_load, emit_load, emit_pointer_load, emit_use,
                                       emit_use,  emit_far,  emit_far,          emit_question,
                                       emit_trap, emit_iret, emit_return,       emit_question};
    struct conform_rng rng = {seed ^ (uint64_t)index << 20 ^ (uint64_t)mode << 56};
    struct far f = {.c = c};
    conform_random(&rng);
    c->mode = mode;
    c->program = c->segments = true;
    conform_random_state(&rng, c);
    set_registers(c);
    memset(c->mem[CONFORM_PAGE_CODE], CONFORM_FILL, 4096);
    f.p = (struct program){.rng = &rng,
                           .mode = mode,
                           .code = c->mem[CONFORM_PAGE_CODE] + (CONFORM_START - CONFORM_CODE)};
    unsigned n = 1 + (unsigned)conform_below(&rng, 8);
    for (unsigned i = 0; i < n && f.p.n < MAX_BYTES; i++)
        pieces[conform_below(&rng, ARRAY_LEN(pieces))](&f);
    c->code_bytes = f.p.n;
    c->insn = (struct x86_insn){.id = X86_INVALID};
}
