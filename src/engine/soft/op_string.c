/* String instructions, with and without repetition.
 *
 * Theory of operation. A repeated instruction is done in runs: as many elements as lie in one page
 * on each side, by the host's own instruction with the same element size and direction, so that
 * overlapping strings come out as the real CPU leaves them. What has no host address (MMIO) or
 * crosses a page is done one element at a time. After each run the registers show the progress:
 * a fault, an interrupt or a single step in the middle finds the instruction restartable.
 *
 * Spec: Intel SDM volume 2, REP and the instructions; volume 1, 7.3.9.3. */
#include "engine/soft/soft_io.h"
#include "engine/soft/soft_op.h"

/* What ends a repeated comparison early. */
enum { REP_WHILE_EQUAL, REP_WHILE_NOT_EQUAL };

/* ---- registers, in the address size ---- */

static inline uint64_t address_mask(const struct soft_op *op)
{
    return op->ea & SOFT_EA_16 ? UINT16_MAX : op->ea & SOFT_EA_32 ? UINT32_MAX : UINT64_MAX;
}

static inline void set_sized(struct soft_cpu *cpu, const struct soft_op *op, unsigned reg,
                             uint64_t value)
{
    if (unlikely(op->ea & SOFT_EA_16))
        *soft_r16(cpu, SOFT_OFFSET(reg)) = (uint16_t)value;
    else
        cpu->r[reg] = op->ea & SOFT_EA_32 ? (uint32_t)value : value;
}

static inline bool descending(const struct soft_cpu *cpu)
{
    return cpu->rflags & SOFT_RFLAGS_DF;
}

/* Moves rSI or rDI by n elements. */
static inline void advance(struct soft_cpu *cpu, const struct soft_op *op, unsigned reg, uint64_t n)
{
    uint64_t bytes = n * op->size;
    set_sized(cpu, op, reg, descending(cpu) ? cpu->r[reg] - bytes : cpu->r[reg] + bytes);
}

/* ---- one of the two strings ---- */

struct string {
    uint64_t linear; /* of the next element */
    uint8_t *host;   /* the same, if n is not 0 */
    uint64_t n;      /* elements from there on that lie in this page of RAM and in the segment */
};

/* The page's address in the host and how far it goes; NULL if it has none. */
static inline uint8_t *page_at(struct soft_cpu *cpu, uint64_t linear, enum soft_access access)
{
    const struct soft_tlb_entry *e = soft_tlb_at(cpu, linear);
    uint8_t *host;
    if (likely((linear ^ (access == SOFT_WRITE ? e->write : e->read)) < 4096))
        return (uint8_t *)(linear + e->addend);
    soft_span(cpu, linear, access, &host);
    return host;
}

/* Elements of [seg:offset ...) that the segment's limit allows, at least one (it was checked). */
static uint64_t segment_room(const struct soft_cpu *cpu, const struct soft_op *op, unsigned seg,
                             uint64_t offset)
{
    const struct soft_seg *s = &cpu->seg[seg];
    if ((s->type & 12) == 4) /* data, expand-down */
        return 1;
    return descending(cpu) ? UINT64_MAX : MAX(((uint64_t)s->limit + 1 - offset) / op->size, 1u);
}

/* Finds the string at [seg:reg], of at most `max` elements. Raises the faults of the first one. */
static inline struct string find(struct soft_cpu *cpu, const struct soft_op *op, unsigned seg,
                                 unsigned reg, enum soft_access access, uint64_t max)
{
    unsigned size = op->size;
    uint64_t mask = address_mask(op), offset = cpu->r[reg] & mask;
    struct string s = {.linear = soft_linear(cpu, seg, offset, size, access)};
    s.host = page_at(cpu, s.linear, access);
    if (unlikely(!s.host))
        return s;
    unsigned in_page = (unsigned)(s.linear & 4095);
    if (descending(cpu)) {
        s.n = in_page + size > 4096 ? 0 : in_page / size + 1;
        if (unlikely(mask != UINT64_MAX))
            s.n = MIN(s.n, offset / size + 1);
    } else {
        s.n = (4096 - in_page) / size;
        if (unlikely(mask != UINT64_MAX))
            s.n = MIN(s.n, (mask + 1 - offset) / size);
    }
    if (unlikely(op->ea & SOFT_EA_SEGMENTED))
        s.n = MIN(s.n, segment_room(cpu, op, seg, offset));
    s.n = MIN(s.n, max);
    return s;
}

static inline struct string find_source(struct soft_cpu *cpu, const struct soft_op *op,
                                        uint64_t max)
{
    return find(cpu, op, op->seg, SOFT_RSI, SOFT_READ, max);
}

static inline struct string find_destination(struct soft_cpu *cpu, const struct soft_op *op,
                                             enum soft_access access, uint64_t max)
{
    return find(cpu, op, X86_ES, SOFT_RDI, access, max);
}

static uint64_t load_one(struct soft_cpu *cpu, uint64_t linear, unsigned size)
{
    switch (size) {
    case 1:
        return soft_load8(cpu, linear);
    case 2:
        return soft_load16(cpu, linear);
    case 4:
        return soft_load32(cpu, linear);
    default:
        return soft_load64(cpu, linear);
    }
}

static void store_one(struct soft_cpu *cpu, uint64_t linear, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        soft_store8(cpu, linear, (uint8_t)value);
        break;
    case 2:
        soft_store16(cpu, linear, (uint16_t)value);
        break;
    case 4:
        soft_store32(cpu, linear, (uint32_t)value);
        break;
    default:
        soft_store64(cpu, linear, value);
        break;
    }
}

/* n elements were written through `host`, the first of which is there. */
static inline void written(struct soft_cpu *cpu, const struct soft_op *op, const uint8_t *host,
                           uint64_t n)
{
    if (likely(!cpu->page_flags[((uintptr_t)host >> 12) & cpu->page_mask]))
        return;
    if (descending(cpu))
        host -= (n - 1) * op->size;
    soft_written(cpu, host, (unsigned)(n * op->size));
}

/* ---- the host's instructions ---- */

#define BY_SIZE(size, run)                                                                         \
    do {                                                                                           \
        if ((size) == 1)                                                                           \
            run("b");                                                                              \
        else if ((size) == 2)                                                                      \
            run("w");                                                                              \
        else if ((size) == 4)                                                                      \
            run("l");                                                                              \
        else                                                                                       \
            run("q");                                                                              \
    } while (0)

static void host_movs(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size, bool down)
{
#define UP(s) __asm__ volatile("rep movs" s : "+D"(to), "+S"(from), "+c"(n)::"memory")
#define DOWN(s)                                                                                    \
    __asm__ volatile("std; rep movs" s "; cld" : "+D"(to), "+S"(from), "+c"(n)::"memory")
    if (likely(!down))
        BY_SIZE(size, UP);
    else
        BY_SIZE(size, DOWN);
#undef UP
#undef DOWN
}

static void host_stos(uint8_t *to, uint64_t value, uint64_t n, unsigned size, bool down)
{
#define UP(s) __asm__ volatile("rep stos" s : "+D"(to), "+c"(n) : "a"(value) : "memory")
#define DOWN(s)                                                                                    \
    __asm__ volatile("std; rep stos" s "; cld" : "+D"(to), "+c"(n) : "a"(value) : "memory")
    if (likely(!down))
        BY_SIZE(size, UP);
    else
        BY_SIZE(size, DOWN);
#undef UP
#undef DOWN
}

/* Compares up to n elements until one differs (or, with `until_equal`, until one does not). Returns
 * how many were compared and the flags of the last. */
static uint64_t host_cmps(const uint8_t *a, const uint8_t *b, uint64_t n, unsigned size, bool down,
                          bool until_equal, uint32_t *fl)
{
    uint64_t left = n, f;
#define COMPARE(before, rep, s, after)                                                             \
    __asm__ volatile(before rep " cmps" s "; lahf; seto %%al" after                                \
                     : "+S"(a), "+D"(b), "+c"(left), "=a"(f)::"memory", "cc")
#define EQUAL(s)          COMPARE("", "repe", s, "")
#define DIFFERENT(s)      COMPARE("", "repne", s, "")
#define EQUAL_DOWN(s)     COMPARE("std; ", "repe", s, "; cld")
#define DIFFERENT_DOWN(s) COMPARE("std; ", "repne", s, "; cld")
    if (down && until_equal)
        BY_SIZE(size, DIFFERENT_DOWN);
    else if (down)
        BY_SIZE(size, EQUAL_DOWN);
    else if (until_equal)
        BY_SIZE(size, DIFFERENT);
    else
        BY_SIZE(size, EQUAL);
#undef COMPARE
    *fl = (uint32_t)f;
    return n - left;
}

/* The same with the accumulator in place of one string. */
static uint64_t host_scas(uint64_t value, const uint8_t *b, uint64_t n, unsigned size, bool down,
                          bool until_equal, uint32_t *fl)
{
    uint64_t left = n;
#define COMPARE(before, rep, s, after)                                                             \
    __asm__ volatile(before rep " scas" s "; lahf; seto %%al" after                                \
                     : "+D"(b), "+c"(left), "+a"(value)::"memory", "cc")
    if (down && until_equal)
        BY_SIZE(size, DIFFERENT_DOWN);
    else if (down)
        BY_SIZE(size, EQUAL_DOWN);
    else if (until_equal)
        BY_SIZE(size, DIFFERENT);
    else
        BY_SIZE(size, EQUAL);
#undef COMPARE
#undef EQUAL
#undef DIFFERENT
#undef EQUAL_DOWN
#undef DIFFERENT_DOWN
    *fl = (uint32_t)value;
    return n - left;
}

/* ---- a run of each instruction: does between 1 and `max` elements and says how many ---- */

static inline uint64_t movs_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    struct string from = find_source(cpu, op, max);
    unsigned size = op->size;
    uint64_t n = 1, value = 0;
    if (unlikely(!from.n))
        value = load_one(cpu, from.linear, size); /* its faults come first */
    struct string to = find_destination(cpu, op, SOFT_WRITE, max);
    if (likely(from.n && to.n)) {
        n = MIN(from.n, to.n);
        host_movs(to.host, from.host, n, size, descending(cpu));
        written(cpu, op, to.host, n);
    } else {
        if (from.n)
            value = load_one(cpu, from.linear, size);
        store_one(cpu, to.linear, value, size);
    }
    advance(cpu, op, SOFT_RSI, n);
    advance(cpu, op, SOFT_RDI, n);
    return n;
}

static inline uint64_t stos_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    struct string to = find_destination(cpu, op, SOFT_WRITE, max);
    uint64_t n = 1, value = cpu->r[SOFT_RAX];
    if (likely(to.n)) {
        n = to.n;
        host_stos(to.host, value, n, op->size, descending(cpu));
        written(cpu, op, to.host, n);
    } else {
        store_one(cpu, to.linear, value, op->size);
    }
    advance(cpu, op, SOFT_RDI, n);
    return n;
}

/* Only the last element is seen afterwards. */
static inline uint64_t lods_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    struct string from = find_source(cpu, op, max);
    uint64_t n = MAX(from.n, 1u), skip = (n - 1) * op->size;
    uint64_t at = descending(cpu) ? from.linear - skip : from.linear + skip;
    uint64_t value = load_one(cpu, at, op->size);
    if (op->size == 1)
        *soft_r8(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint8_t)value;
    else if (op->size == 2)
        *soft_r16(cpu, SOFT_OFFSET(SOFT_RAX)) = (uint16_t)value;
    else
        cpu->r[SOFT_RAX] = value;
    advance(cpu, op, SOFT_RSI, n);
    return n;
}

/* op->c says when to stop. Faults come in the order of the host's CPUs: [rDI] is read first. */
static inline uint64_t cmps_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    struct string b = find_destination(cpu, op, SOFT_READ, max);
    unsigned size = op->size;
    uint64_t n = 1, other = 0;
    if (unlikely(!b.n))
        other = load_one(cpu, b.linear, size);
    struct string a = find_source(cpu, op, max);
    if (likely(a.n && b.n)) {
        n = host_cmps(a.host, b.host, MIN(a.n, b.n), size, descending(cpu),
                      op->c == REP_WHILE_NOT_EQUAL, &cpu->fl);
    } else {
        if (b.n)
            other = load_one(cpu, b.linear, size);
        uint64_t value = load_one(cpu, a.linear, size);
        host_scas(value, (const uint8_t *)&other, 1, size, false, false, &cpu->fl);
    }
    advance(cpu, op, SOFT_RSI, n);
    advance(cpu, op, SOFT_RDI, n);
    return n;
}

static inline uint64_t scas_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    struct string b = find_destination(cpu, op, SOFT_READ, max);
    uint64_t n = 1, value = cpu->r[SOFT_RAX];
    if (likely(b.n)) {
        n = host_scas(value, b.host, b.n, op->size, descending(cpu), op->c == REP_WHILE_NOT_EQUAL,
                      &cpu->fl);
    } else {
        uint64_t other = load_one(cpu, b.linear, op->size);
        host_scas(value, (const uint8_t *)&other, 1, op->size, false, false, &cpu->fl);
    }
    advance(cpu, op, SOFT_RDI, n);
    return n;
}

static inline uint64_t ins_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    uint16_t port = (uint16_t)cpu->r[SOFT_RDX];
    soft_io_check(cpu, port, op->size);
    uint64_t offset = cpu->r[SOFT_RDI] & address_mask(op);
    uint64_t at = soft_linear(cpu, X86_ES, offset, op->size, SOFT_WRITE);
    soft_check_store(cpu, at, op->size); /* a port is not read in vain */
    store_one(cpu, at, soft_io_read(cpu, port, op->size), op->size);
    advance(cpu, op, SOFT_RDI, 1);
    return 1;
}

static inline uint64_t outs_run(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max)
{
    uint16_t port = (uint16_t)cpu->r[SOFT_RDX];
    soft_io_check(cpu, port, op->size);
    uint64_t offset = cpu->r[SOFT_RSI] & address_mask(op);
    uint64_t at = soft_linear(cpu, op->seg, offset, op->size, SOFT_READ);
    soft_io_write(cpu, port, (uint32_t)load_one(cpu, at, op->size), op->size);
    advance(cpu, op, SOFT_RSI, 1);
    return 1;
}

/* ---- handlers ---- */

/* Whether a repetition is to let the run loop look around. A single step traps after each
 * element. */
static inline bool must_pause(struct soft_cpu *cpu)
{
    return --cpu->countdown < 0 ||
           atomic_load_explicit(&cpu->attention, memory_order_relaxed) != 0 ||
           (cpu->rflags & SOFT_RFLAGS_TF);
}

typedef uint64_t run_fn(struct soft_cpu *cpu, const struct soft_op *op, uint64_t max);

static inline __attribute__((always_inline)) const struct soft_op *
repeat(struct soft_cpu *cpu, const struct soft_op *op, run_fn *run, bool compares)
{
    uint64_t left = cpu->r[SOFT_RCX] & address_mask(op);
    uint64_t most = cpu->rflags & SOFT_RFLAGS_TF ? 1 : UINT64_MAX;
    while (left) {
        left -= run(cpu, op, MIN(left, most));
        set_sized(cpu, op, SOFT_RCX, left);
        if (compares && !(cpu->fl & SOFT_FL_ZF) == (op->c == REP_WHILE_EQUAL))
            break;
        if (left && unlikely(must_pause(cpu)))
            return soft_stop(cpu, soft_rip(cpu, op));
    }
    SOFT_NEXT(cpu, op);
}

#define HANDLERS(name, compares)                                                                   \
    static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)              \
    {                                                                                              \
        name##_run(cpu, op, 1);                                                                    \
        SOFT_NEXT(cpu, op);                                                                        \
    }                                                                                              \
    static const struct soft_op *rep_##name(struct soft_cpu *cpu, const struct soft_op *op)        \
    {                                                                                              \
        return repeat(cpu, op, name##_run, compares);                                              \
    }
HANDLERS(movs, false)
HANDLERS(stos, false)
HANDLERS(lods, false)
HANDLERS(cmps, true)
HANDLERS(scas, true)
HANDLERS(ins, false)
HANDLERS(outs, false)

/* The right to a port is looked at even if no element is to be moved. */
static const struct soft_op *rep_checked(struct soft_cpu *cpu, const struct soft_op *op,
                                         soft_fn *fn)
{
    if (!(cpu->r[SOFT_RCX] & address_mask(op)))
        soft_io_check(cpu, (uint16_t)cpu->r[SOFT_RDX], op->size);
    return fn(cpu, op);
}

static const struct soft_op *rep_ins_checked(struct soft_cpu *cpu, const struct soft_op *op)
{
    return rep_checked(cpu, op, rep_ins);
}

static const struct soft_op *rep_outs_checked(struct soft_cpu *cpu, const struct soft_op *op)
{
    return rep_checked(cpu, op, rep_outs);
}

enum soft_bound soft_bind_string(struct soft_cpu *cpu, const struct x86_insn *insn,
                                 struct soft_op *op)
{
    bool repeated = insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE);
    if (!(insn->flags & X86_FLAG_STRING))
        return SOFT_UNBOUND;
    op->c = insn->prefixes & X86_PREFIX_REPNE ? REP_WHILE_NOT_EQUAL : REP_WHILE_EQUAL;
    op->size = insn->opcode & 1 ? insn->opsize : 1;
    switch (insn->id) {
    case X86_MOVS:
        op->fn = repeated ? rep_movs : movs;
        return SOFT_BOUND;
    case X86_STOS:
        op->fn = repeated ? rep_stos : stos;
        return SOFT_BOUND;
    case X86_LODS:
        op->fn = repeated ? rep_lods : lods;
        return SOFT_BOUND;
    case X86_CMPS:
        op->fn = repeated ? rep_cmps : cmps;
        return SOFT_BOUND;
    case X86_SCAS:
        op->fn = repeated ? rep_scas : scas;
        return SOFT_BOUND;
    case X86_INS:
        op->size = MIN(op->size, 4); /* there are no 8-byte ports */
        op->fn = repeated ? rep_ins_checked : ins;
        return SOFT_BOUND;
    case X86_OUTS:
        op->size = MIN(op->size, 4);
        op->fn = repeated ? rep_outs_checked : outs;
        return SOFT_BOUND;
    default:
        return SOFT_UNBOUND;
    }
}
