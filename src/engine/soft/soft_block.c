/* Decoded blocks.
 *
 * Theory of operation. Blocks live in an arena that is emptied as a whole when it is full; stale
 * ones stay in it until then. A block is found by its guest-physical address and mode. It is good
 * while the generation of its page is what it was before its bytes were read.
 *
 * Marking and reading. Before the bytes of a block are trusted, the page's slot must have
 * SOFT_PAGE_CODE set and the bits of the block's 64-byte lines, and every store of another thread
 * must either be visible to us or see those marks: mark, membarrier(2), read the generation, read
 * the bytes, look whether the marks are still there. A store goes: write, look at the marks, clear
 * them, raise the generation. Whichever way the two interleave, either the bytes are new or the
 * block's generation is old. A page that was never written as code is marked whole, so that this
 * happens once for it.
 *
 * An instruction that lies on two pages is decoded each time: its block is used once. */
#include "engine/soft/soft_block.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HASH_BITS 16
/* Room that must be left before a block is made: its operations and copies of instructions. */
#define HEADROOM_BYTES (64 * 1024)

struct soft_blocks {
    uint8_t *arena;
    size_t used_bytes, size_bytes;
    uint64_t flushes;
    struct soft_block *hash[1 << HASH_BITS];
    /* For the instruction on two pages: never found again. */
    union {
        struct soft_block block;
        uint8_t bytes[sizeof(struct soft_block) + 3 * sizeof(struct soft_op)];
    } once;
    uint32_t once_gen;
};

int soft_blocks_init(struct soft_cpu *cpu, size_t bytes, struct err *err)
{
    struct soft_blocks *c = calloc(1, sizeof(*c));
    cpu->jumps = calloc(SOFT_JUMP_ENTRIES, sizeof(cpu->jumps[0]));
    cpu->itlb = calloc(SOFT_ITLB_ENTRIES, sizeof(cpu->itlb[0]));
    cpu->blocks = c;
    cpu->epochs[0] = cpu->epochs[1] = 1; /* the zeroed tables hold nothing */
    if (!c || !cpu->jumps || !cpu->itlb)
        return err_set(err, ENOMEM, "could not allocate the block cache of a vCPU");
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        return err_sys(err, errno, "could not map a block cache of %zu bytes", bytes);
    c->arena = arena;
    c->size_bytes = bytes;
    return 0;
}

void soft_blocks_fini(struct soft_cpu *cpu)
{
    if (cpu->blocks && cpu->blocks->arena)
        munmap(cpu->blocks->arena, cpu->blocks->size_bytes);
    free(cpu->blocks);
    free(cpu->jumps);
    free(cpu->itlb);
    cpu->blocks = NULL;
}

void soft_blocks_flush(struct soft_cpu *cpu)
{
    memset(cpu->blocks->hash, 0, sizeof(cpu->blocks->hash));
    cpu->blocks->used_bytes = 0;
    cpu->blocks->flushes++;
    cpu->block = NULL;
    soft_fetch_flush(cpu);
}

uint64_t soft_blocks_flushes(const struct soft_cpu *cpu)
{
    return cpu->blocks->flushes;
}

static void *take(struct soft_cpu *cpu, size_t bytes)
{
    struct soft_blocks *c = cpu->blocks;
    void *p = c->arena + c->used_bytes;
    c->used_bytes += align_up(bytes, 16);
    return p;
}

void *soft_keep(struct soft_cpu *cpu, const void *what, size_t bytes)
{
    return memcpy(take(cpu, bytes), what, bytes);
}

/* ---- operations that blocks end with ---- */

static const struct soft_op *fall_through(struct soft_cpu *cpu, const struct soft_op *op)
{
    return soft_goto_linked(cpu, op, soft_rip(cpu, op));
}

static const struct soft_op *leave(struct soft_cpu *cpu, const struct soft_op *op)
{
    return soft_goto(cpu, soft_rip(cpu, op));
}

void soft_break_block(struct soft_cpu *cpu)
{
    /* Every operation has one behind it: the block's last is fall_through(). The block is stale
     * (or, for a watchpoint, dropped here), so what is overwritten is not missed. */
    if (cpu->op) /* else between blocks, and the next one is looked at when it is entered */
        ((struct soft_op *)(uintptr_t)(cpu->op + 1))->fn = leave;
    if (cpu->block)
        cpu->block->gen--;
}

static const struct soft_op *raise_too_long(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_raise_error(cpu, SOFT_GP, 0);
}

static const struct soft_op *raise_undefined(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_raise(cpu, SOFT_UD);
}

/* ---- instruction fetch ---- */

struct page {
    uint64_t phys;       /* of the page */
    const uint8_t *host; /* NULL: not RAM */
};

static struct page fetch_page(struct soft_cpu *cpu, uint64_t linear)
{
    bool user = cpu->mode & SOFT_MODE_USER;
    uint64_t at = linear & ~UINT64_C(4095);
    struct soft_itlb_entry *e = &cpu->itlb[((linear >> 12) * 2 + user) & (SOFT_ITLB_ENTRIES - 1)];
    if (likely(e->page == at && e->epoch == cpu->epochs[at >> 63] && e->user == user))
        return (struct page){e->phys, e->host};
    struct soft_translation t = {.phys = at};
    if (cpu->cr0 >> 31 & 1) {
        uint32_t fault =
            soft_mmu_walk(cpu, at, SOFT_FETCH, user ? SOFT_TLB_USER : SOFT_TLB_SUPERVISOR, &t);
        if (unlikely(fault & SOFT_MMU_FAULT))
            soft_raise_page_fault(cpu, linear, fault & ~SOFT_MMU_FAULT);
    }
    cpu->fetched_local_high |= at >> 63 && !t.global;
    *e = (struct soft_itlb_entry){.page = at,
                                  .epoch = cpu->epochs[at >> 63],
                                  .user = user,
                                  .phys = t.phys,
                                  .host = guest_mem_ptr(cpu->vm->config.mem, t.phys, 4096)};
    return (struct page){e->phys, e->host};
}

/* As KVM does: what is no RAM is not executed. */
static void fetch_bytes(struct soft_cpu *cpu, const struct page *p, unsigned from, uint8_t *buf,
                        unsigned n)
{
    if (!p->host)
        soft_fail(cpu, "the guest executes where there is no RAM");
    memcpy(buf, p->host + from, n);
}

/* ---- making one ---- */

static void fill_memory_operand(const struct x86_insn *in, struct soft_op *op)
{
    bool flat = in->mode == X86_CODE64;
    op->base = in->mem_base == X86_NO_REG ? SOFT_OFFSET(SOFT_ZERO)
               : in->mem_base == X86_RIP  ? SOFT_OFFSET(SOFT_BLOCK_RIP)
                                          : SOFT_OFFSET(in->mem_base);
    op->index = in->mem_index == X86_NO_REG || in->mem_vsib ? SOFT_OFFSET(SOFT_ZERO)
                                                            : SOFT_OFFSET(in->mem_index);
    op->scale = in->mem_scale;
    op->disp = (int32_t)in->mem_disp;
    if (in->mem_base == X86_RIP)
        op->disp += op->off + op->len;
    op->seg = in->mem_segment;
    op->ea = flat ? 0 : SOFT_EA_SEGMENTED;
    if (in->adsize == 2)
        op->ea |= SOFT_EA_16;
    if (in->adsize == 4)
        op->ea |= SOFT_EA_32;
    if (flat && in->mem_segment != X86_FS && in->mem_segment != X86_GS)
        op->seg = in->mem_segment == X86_SS ? SOFT_SEG_FLAT_STACK : SOFT_SEG_FLAT;
}

/* Decoding state of one block. */
struct maker {
    struct soft_cpu *cpu;
    uint8_t bytes[SOFT_BLOCK_BYTES_MAX];
    unsigned n_available;
    unsigned n_bytes, n_ops;
    unsigned max_insns;
    bool ended; /* the last operation never falls through */
    struct soft_op ops[SOFT_BLOCK_INSNS_MAX + 1];
};

static bool offered(const struct soft_cpu *cpu, const struct x86_insn *in)
{
    return in->feature == X86_FEATURE_BASE || (cpu->features >> in->feature & 1);
}

static void end_with(struct maker *m, soft_fn *fn)
{
    m->ops[m->n_ops].fn = fn;
    m->n_ops++;
    m->ended = true;
}

/* Conditional branches leave in the middle of a block; the code behind them stays in it. */
static bool falls_through(uint16_t id)
{
    return id == X86_JCC || id == X86_LOOPCC || id == X86_JRCXZ;
}

/* Decodes and binds one instruction. False: the bytes end in the middle of it. */
static bool add_insn(struct maker *m)
{
    struct x86_insn in;
    struct soft_cpu *cpu = m->cpu;
    struct soft_op *op = &m->ops[m->n_ops];
    enum x86_decode_result r =
        decode_insn(m->bytes + m->n_bytes, m->n_available - m->n_bytes,
                    (enum x86_code_mode)(cpu->mode & SOFT_MODE_CODE_MASK), &in);
    if (r == X86_DECODE_TRUNCATED)
        return false;
    *op = (struct soft_op){.off = (uint16_t)m->n_bytes, .seg = SOFT_SEG_FLAT_STACK};
    if (r == X86_DECODE_TOO_LONG) {
        end_with(m, raise_too_long);
        return true;
    }
    op->len = r == X86_DECODE_OK ? in.length : 1;
    if (r == X86_DECODE_UNDEFINED || !offered(cpu, &in)) {
        end_with(m, raise_undefined);
        return true;
    }
    op->imm = in.imm;
    op->size = in.opsize;
    if (in.mode != X86_CODE64)
        op->seg = X86_SS;
    if (in.has_mem)
        fill_memory_operand(&in, op);
    enum soft_bound bound = soft_bind(cpu, &in, op);
    m->n_bytes += in.length;
    m->n_ops++;
    m->ended = bound == SOFT_BOUND_END && !falls_through(in.id);
    return true;
}

static void add_insns(struct maker *m)
{
    while (!m->ended && m->n_ops < m->max_insns && m->n_bytes < m->n_available)
        if (!add_insn(m))
            break;
}

static void fill_block(struct maker *m, struct soft_block *b, uint64_t phys)
{
    struct soft_op *last = &b->ops[m->n_ops];
    *b = (struct soft_block){.phys = phys,
                             .mode = m->cpu->mode,
                             .n_insns = (uint16_t)m->n_ops,
                             .n_bytes = (uint16_t)m->n_bytes};
    memcpy(b->ops, m->ops, m->n_ops * sizeof(m->ops[0]));
    *last = (struct soft_op){
        .fn = fall_through, .off = (uint16_t)m->n_bytes, .seg = SOFT_SEG_FLAT_STACK};
}

/* The one instruction that begins at the end of this page and ends on the next one. */
static struct soft_block *make_once(struct soft_cpu *cpu, struct maker *m, const struct page *page,
                                    uint64_t linear)
{
    unsigned at = (unsigned)(linear & 4095);
    unsigned here = MIN(4096 - at, X86_INSN_MAX_BYTES);
    m->n_ops = m->n_bytes = 0;
    m->ended = false;
    m->max_insns = 1;
    fetch_bytes(cpu, page, at, m->bytes, here);
    m->n_available = here;
    if (!add_insn(m)) {
        soft_check_fetch(cpu, cpu->rip + here); /* before the fault of the page there */
        uint64_t next = linear + here;
        if (!(cpu->mode & SOFT_MODE_LONG))
            next = (uint32_t)next;
        struct page second = fetch_page(cpu, next);
        fetch_bytes(cpu, &second, 0, m->bytes + here, X86_INSN_MAX_BYTES - here);
        m->n_available = X86_INSN_MAX_BYTES;
        add_insn(m);
    }
    struct soft_block *b = &cpu->blocks->once.block;
    fill_block(m, b, UINT64_MAX);
    b->gen_now = &cpu->blocks->once_gen;
    b->gen = cpu->blocks->once_gen - 1; /* never good: nothing that remembers it can use it */
    return b;
}

static uint64_t lines_of(unsigned at, unsigned n)
{
    unsigned first = at / 64, last = (at + n - 1) / 64;
    return (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

static bool marked(struct soft_vm *vm, uint64_t slot, uint64_t lines)
{
    return (atomic_load(&vm->page_flags[slot]) & SOFT_PAGE_CODE) &&
           (atomic_load(&vm->code_lines[slot]) & lines) == lines;
}

static void mark(struct soft_vm *vm, uint64_t slot, uint64_t lines)
{
    bool mixed = atomic_load(&vm->page_flags[slot]) & SOFT_PAGE_MIXED;
    atomic_fetch_or(&vm->code_lines[slot], mixed ? lines : UINT64_MAX);
    atomic_fetch_or(&vm->page_flags[slot], SOFT_PAGE_CODE);
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* Decodes from RAM, with the marks set: see the top of the file. */
static struct soft_block *make(struct soft_cpu *cpu, const struct page *page, uint64_t linear)
{
    struct soft_vm *vm = cpu->vm;
    struct maker m = {.cpu = cpu};
    unsigned at = (unsigned)(linear & 4095);
    uint64_t slot = ((uintptr_t)page->host >> 12) & vm->page_mask;
    uint64_t lines = lines_of(at, 1);
    uint32_t gen;
    size_t begin = cpu->blocks->used_bytes;
    for (;;) {
        if (!marked(vm, slot, lines))
            mark(vm, slot, lines);
        gen = __atomic_load_n(&vm->gens[slot], __ATOMIC_ACQUIRE);
        cpu->blocks->used_bytes = begin; /* what an earlier try kept */
        m.n_ops = m.n_bytes = 0;
        m.ended = false;
        m.max_insns = cpu->mode & SOFT_MODE_SINGLE ? 1 : SOFT_BLOCK_INSNS_MAX;
        m.n_available = MIN(4096 - at, SOFT_BLOCK_BYTES_MAX);
        memcpy(m.bytes, page->host + at, m.n_available);
        add_insns(&m);
        if (!m.n_ops)
            return make_once(cpu, &m, page, linear);
        lines = lines_of(at, MAX(m.n_bytes, 1u));
        if (marked(vm, slot, lines))
            break;
    }
    struct soft_block *b = take(cpu, sizeof(*b) + (m.n_ops + 1) * sizeof(struct soft_op));
    fill_block(&m, b, page->phys + at);
    b->gen = gen;
    b->gen_now = &vm->gens[slot];
    if (vm->foreign_writers) {
        uint8_t *copy = take(cpu, m.n_bytes);
        memcpy(copy, m.bytes, m.n_bytes);
        b->bytes = copy;
    }
    return b;
}

/* ---- finding one ---- */

static struct soft_block **bucket(struct soft_cpu *cpu, uint64_t phys)
{
    uint64_t h = (phys ^ (uint64_t)(cpu->mode & (SOFT_MODE_USER | SOFT_MODE_SINGLE)) << 20) *
                 UINT64_C(0x9e3779b97f4a7c15);
    return &cpu->blocks->hash[h >> (64 - HASH_BITS)];
}

static bool same_bytes(const struct soft_block *b, const struct page *page)
{
    return !b->bytes || memcmp(b->bytes, page->host + (b->phys & 4095), b->n_bytes) == 0;
}

struct soft_block *soft_block_find(struct soft_cpu *cpu, uint64_t rip)
{
    uint64_t linear = rip;
    if ((cpu->mode & SOFT_MODE_CODE_MASK) != SOFT_MODE_CODE64)
        linear = (uint32_t)(rip + cpu->seg[X86_CS].base);
    /* From here on a fault belongs to the instruction at rip, not to the one that led here. */
    cpu->rip = rip;
    cpu->op = NULL;
    struct page page = fetch_page(cpu, linear);
    struct maker m;
    if (!page.host) {
        m.cpu = cpu;
        return make_once(cpu, &m, &page, linear);
    }
    uint64_t phys = page.phys + (linear & 4095);
    struct soft_block **at = bucket(cpu, phys);
    while (*at) {
        struct soft_block *b = *at;
        /* Its generation lies elsewhere: that is not looked at for the others of the chain. */
        if (b->phys == phys && b->mode == cpu->mode) {
            if (soft_block_good(b) && same_bytes(b, &page))
                return b;
            *at = b->next; /* it stays in the arena until that is emptied */
            continue;
        }
        at = &b->next;
    }
    if (cpu->blocks->used_bytes + HEADROOM_BYTES > cpu->blocks->size_bytes)
        soft_blocks_flush(cpu);
    struct soft_block *b = make(cpu, &page, linear);
    if (b != &cpu->blocks->once.block) {
        at = bucket(cpu, phys);
        b->next = *at;
        *at = b;
    }
    return b;
}
