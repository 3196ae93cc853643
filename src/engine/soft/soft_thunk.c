/* Thunks: see soft_thunk.h.
 *
 * In a thunk: RDI points to the operand of ModRM.reg (XMM1, YMM1 or MM1), RSI to that of ModRM.rm
 * (XMM3, YMM3 or MM3, or memory as it stands), R8 to that of VEX.vvvv (XMM2), R9 to the rest.
 * General registers are RAX. So a guest's instruction differs from its thunk's only in ModRM, REX
 * and VEX. */
#include "engine/soft/soft_thunk.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "engine/soft/soft_block.h"

#define ARENA_BYTES (4 * MIB)
#define THUNK_MAX   128
#define HASH_BITS   12

struct entry {
    uint8_t key[16];
    uint32_t offset; /* of the code; 0: none (offset 0 is never used) */
    uint32_t next;   /* index + 1 */
};

struct soft_thunks {
    uint8_t *write, *exec;
    uint32_t used;
    uint32_t n, max;
    struct entry *entries;
    uint32_t hash[1 << HASH_BITS]; /* index + 1 */
};

/* ---- exceptions that the guest has unmasked ---- */

/* Returns 0, or 1 where the thunk was interrupted. SIGFPE finds in R12 where to go on, in R13 with
 * which stack; no thunk touches them. */
__attribute__((naked, noinline)) static unsigned try_thunk(void *reg, void *rm, soft_thunk_fn *fn,
                                                           uint32_t *mxcsr, void *vvvv,
                                                           struct soft_thunk_io *io)
{
    __asm__("push %r12\n\t"
            "push %r13\n\t"
            "push %rbx\n\t"
            "lea soft_thunk_raised(%rip), %r12\n\t"
            "mov %rsp, %r13\n\t"
            "mov %rcx, %rbx\n\t"
            "ldmxcsr (%rbx)\n\t"
            "call *%rdx\n\t"
            "xor %eax, %eax\n"
            "soft_thunk_raised:\n\t"
            "stmxcsr (%rbx)\n\t"
            "pop %rbx\n\t"
            "pop %r13\n\t"
            "pop %r12\n\t"
            "ret");
}

extern const char soft_thunk_raised[];

static void on_sigfpe(int sig, siginfo_t *info, void *context)
{
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (g[REG_R12] != (greg_t)(uintptr_t)soft_thunk_raised)
        abort(); /* a defect of our own */
    g[REG_RIP] = g[REG_R12];
    g[REG_RSP] = g[REG_R13];
    g[REG_RAX] = 1;
}

bool soft_thunk_try(soft_thunk_fn *thunk, void *reg, void *rm, void *vvvv, struct soft_thunk_io *io,
                    uint32_t *mxcsr)
{
    bool raised = try_thunk(reg, rm, thunk, mxcsr, vvvv, io);
    __builtin_ia32_ldmxcsr(0x1f80);
    return !raised;
}

static int handle_sigfpe(struct err *err)
{
    struct sigaction sa = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO};
    sigemptyset(&sa.sa_mask);
    if (sigaction(SIGFPE, &sa, NULL) < 0)
        return err_sys(err, errno, "could not handle SIGFPE");
    return 0;
}

/* ---- the memory ---- */

static int map_arena(struct soft_thunks *t, struct err *err)
{
    CLEANUP_CLOSE int fd = memfd_create("virga-thunks", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, ARENA_BYTES) < 0)
        return err_sys(err, errno, "could not make the memory of the soft engine's thunks");
    t->write = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    t->exec = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (t->write == MAP_FAILED || t->exec == MAP_FAILED)
        return err_sys(err, errno, "could not map executable memory for the soft engine");
    return 0;
}

int soft_fpu_init(struct soft_cpu *cpu, struct err *err)
{
    struct soft_thunks *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(err, ENOMEM, "could not allocate the thunks of a vCPU");
    cpu->thunks = t;
    t->write = t->exec = MAP_FAILED;
    t->max = ARENA_BYTES / 32;
    t->entries = mmap(NULL, t->max * sizeof(t->entries[0]), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->entries == MAP_FAILED)
        return err_sys(err, errno, "could not map the table of thunks");
    t->used = 64;
    int ret = handle_sigfpe(err);
    return ret ? ret : map_arena(t, err);
}

void soft_fpu_fini(struct soft_cpu *cpu)
{
    struct soft_thunks *t = cpu->thunks;
    if (!t)
        return;
    if (t->write != MAP_FAILED)
        munmap(t->write, ARENA_BYTES);
    if (t->exec != MAP_FAILED)
        munmap(t->exec, ARENA_BYTES);
    if (t->entries && t->entries != MAP_FAILED)
        munmap(t->entries, t->max * sizeof(t->entries[0]));
    free(t);
    cpu->thunks = NULL;
}

void soft_thunks_flush(struct soft_cpu *cpu)
{
    struct soft_thunks *t = cpu->thunks;
    t->used = 64;
    t->n = 0;
    memset(t->hash, 0, sizeof(t->hash));
    soft_blocks_flush(cpu);
}

/* ---- emitting ---- */

struct code {
    uint8_t bytes[THUNK_MAX];
    unsigned n;
};

static void emit(struct code *c, const uint8_t *bytes, unsigned n)
{
    memcpy(c->bytes + c->n, bytes, n);
    c->n += n;
}
#define EMIT(c, ...) emit(c, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* What an instruction's operands are, as far as its thunk is concerned. */
struct shape {
    bool vex, mem;
    const struct x86_operand *reg, *rm, *vvvv; /* NULL: none */
    bool implicit;                             /* XMM0 or is4 */
    bool implicit_out;                         /* pcmpXstrm writes XMM0 */
    bool explicit_length;                      /* pcmpestrX reads RAX and RDX */
    bool index_out;                            /* pcmpXstri writes RCX */
    bool flags_out;
};

static bool is_vector(const struct x86_operand *o)
{
    return o->kind == X86_OPERAND_XMM || o->kind == X86_OPERAND_YMM || o->kind == X86_OPERAND_MMX;
}

static bool listed(uint16_t id, const uint16_t *ids, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void describe(const struct x86_insn *in, struct shape *s)
{
    static const uint16_t by_length[] = {X86_PCMPESTRI, X86_VPCMPESTRI, X86_PCMPESTRM,
                                         X86_VPCMPESTRM};
    static const uint16_t to_index[] = {X86_PCMPESTRI, X86_VPCMPESTRI, X86_PCMPISTRI,
                                        X86_VPCMPISTRI};
    static const uint16_t to_mask[] = {X86_PCMPESTRM, X86_VPCMPESTRM, X86_PCMPISTRM,
                                       X86_VPCMPISTRM};
    *s = (struct shape){
        .vex = in->prefixes & X86_PREFIX_VEX,
        .mem = in->has_mem,
        .explicit_length = listed(in->id, by_length, ARRAY_LEN(by_length)),
        .index_out = listed(in->id, to_index, ARRAY_LEN(to_index)),
        .implicit_out = listed(in->id, to_mask, ARRAY_LEN(to_mask)),
        .flags_out = in->flags & X86_FLAG_WRITES_FLAGS,
    };
    s->implicit = s->implicit_out;
    for (unsigned i = 0; i < in->n_operands; i++) {
        const struct x86_operand *o = &in->operands[i];
        if (o->place == X86_PLACE_REG)
            s->reg = o;
        else if (o->place == X86_PLACE_RM)
            s->rm = o;
        else if (o->place == X86_PLACE_VVVV)
            s->vvvv = o;
        else if (o->place == X86_PLACE_IS4 || (o->implicit && is_vector(o)))
            s->implicit = true;
    }
}

/* ---- loads and stores around the instruction ---- */

static bool is_mmx(const struct x86_operand *o)
{
    return o->kind == X86_OPERAND_MMX;
}

static void load_reg(struct code *c, const struct shape *s)
{
    if (!s->reg)
        return;
    if (s->reg->kind == X86_OPERAND_GPR)
        EMIT(c, 0x49, 0x8b, 0x01); /* mov (%r9), %rax */
    else if (is_mmx(s->reg))
        EMIT(c, 0x0f, 0x6f, 0x0f); /* movq (%rdi), %mm1 */
    else if (s->vex)
        EMIT(c, 0xc5, 0xfe, 0x6f, 0x0f); /* vmovdqu (%rdi), %ymm1 */
    else
        EMIT(c, 0x0f, 0x10, 0x0f); /* movups (%rdi), %xmm1 */
}

static void load_rm(struct code *c, const struct shape *s)
{
    if (!s->rm || s->mem)
        return;
    if (s->rm->kind == X86_OPERAND_GPR)
        EMIT(c, 0x49, 0x8b, 0x01);
    else if (is_mmx(s->rm))
        EMIT(c, 0x0f, 0x6f, 0x1e); /* movq (%rsi), %mm3 */
    else if (s->vex)
        EMIT(c, 0xc5, 0xfe, 0x6f, 0x1e); /* vmovdqu (%rsi), %ymm3 */
    else
        EMIT(c, 0x0f, 0x10, 0x1e);
}

static void load_rest(struct code *c, const struct shape *s)
{
    if (s->vvvv)
        EMIT(c, 0xc4, 0xc1, 0x7e, 0x6f, 0x10); /* vmovdqu (%r8), %ymm2 */
    if (s->implicit) {
        EMIT(c, 0x4d, 0x8b, 0x59, 0x20); /* mov 32(%r9), %r11 */
        if (s->implicit_out && s->vex)
            EMIT(c, 0xc4, 0xc1, 0x7e, 0x6f, 0x03); /* vmovdqu (%r11), %ymm0 */
        else if (s->vex)
            EMIT(c, 0xc4, 0xc1, 0x7e, 0x6f, 0x23); /* vmovdqu (%r11), %ymm4 */
        else
            EMIT(c, 0x41, 0x0f, 0x10, 0x03); /* movups (%r11), %xmm0 */
    }
    if (s->explicit_length) {
        EMIT(c, 0x49, 0x8b, 0x01);       /* mov (%r9), %rax */
        EMIT(c, 0x49, 0x8b, 0x51, 0x08); /* mov 8(%r9), %rdx */
    }
}

static void store_results(struct code *c, const struct shape *s)
{
    if (s->flags_out) {
        EMIT(c, 0x9f, 0x0f, 0x90, 0xc0); /* lahf; seto %al */
        EMIT(c, 0x49, 0x89, 0x41, 0x18); /* mov %rax, 24(%r9) */
    }
    if (s->index_out)
        EMIT(c, 0x49, 0x89, 0x49, 0x10); /* mov %rcx, 16(%r9) */
    if (s->implicit_out && s->vex)
        EMIT(c, 0xc4, 0xc1, 0x7e, 0x7f, 0x03); /* vmovdqu %ymm0, (%r11) */
    else if (s->implicit_out)
        EMIT(c, 0x41, 0x0f, 0x11, 0x03);
    if (s->reg && s->reg->access & X86_ACCESS_WRITE) {
        if (s->reg->kind == X86_OPERAND_GPR)
            EMIT(c, 0x49, 0x89, 0x01); /* mov %rax, (%r9) */
        else if (is_mmx(s->reg))
            EMIT(c, 0x0f, 0x7f, 0x0f);
        else if (s->vex)
            EMIT(c, 0xc5, 0xfe, 0x7f, 0x0f);
        else
            EMIT(c, 0x0f, 0x11, 0x0f);
    }
    if (s->vvvv && s->vvvv->access & X86_ACCESS_WRITE)
        EMIT(c, 0xc4, 0xc1, 0x7e, 0x7f, 0x10);
    if (s->rm && !s->mem && s->rm->access & X86_ACCESS_WRITE) {
        if (s->rm->kind == X86_OPERAND_GPR)
            EMIT(c, 0x49, 0x89, 0x01);
        else if (is_mmx(s->rm))
            EMIT(c, 0x0f, 0x7f, 0x1e);
        else if (s->vex)
            EMIT(c, 0xc5, 0xfe, 0x7f, 0x1e);
        else
            EMIT(c, 0x0f, 0x11, 0x1e);
    }
}

/* ---- the instruction ---- */

static uint8_t new_modrm(const struct x86_insn *in, const struct shape *s)
{
    unsigned reg = !s->reg ? in->modrm >> 3 & 7 : s->reg->kind == X86_OPERAND_GPR ? 0 : 1;
    if (s->mem)
        return (uint8_t)(reg << 3 | 6); /* (%rsi) */
    unsigned rm = s->rm && s->rm->kind != X86_OPERAND_GPR ? 3 : 0;
    return (uint8_t)(0xc0 | reg << 3 | rm);
}

static void emit_insn(struct code *c, const struct x86_insn *in, const struct shape *s)
{
    static const uint8_t pp_of[256] = {[0x66] = 1, [0xf3] = 2, [0xf2] = 3};
    static const uint8_t escape[] = {0, 0, 0x38, 0x3a};
    uint8_t w = in->rex & 8;
    if (s->vex) {
        uint8_t vvvv = s->vvvv ? 0xd : 0xf; /* 2, or none, inverted */
        EMIT(c, 0xc4, (uint8_t)(0xe0 | in->map),
             (uint8_t)(w << 4 | vvvv << 3 | in->vex_l << 2 | pp_of[in->mandatory]));
    } else {
        if (in->mandatory)
            EMIT(c, in->mandatory);
        if (w)
            EMIT(c, 0x48);
        EMIT(c, 0x0f);
        if (in->map > 1)
            EMIT(c, escape[in->map]);
    }
    EMIT(c, in->opcode);
    if (in->has_modrm)
        EMIT(c, new_modrm(in, s));
    if (in->imm_bytes) {
        bool is4 = in->operands[3].place == X86_PLACE_IS4;
        EMIT(c, is4 ? 0x40 : (uint8_t)in->imm);
    }
}

static void emit_thunk(struct code *c, const struct x86_insn *in)
{
    struct shape s;
    describe(in, &s);
    load_reg(c, &s);
    load_rm(c, &s);
    load_rest(c, &s);
    emit_insn(c, in, &s);
    store_results(c, &s);
    /* The x87 state is saved then; cvtpi2ps from memory finds it in its registers and leaves it. */
    if ((s.reg && is_mmx(s.reg)) || (s.rm && !s.mem && is_mmx(s.rm)))
        EMIT(c, 0x0f, 0x77); /* emms */
    if (s.vex)
        EMIT(c, 0xc5, 0xf8, 0x77); /* vzeroupper */
    EMIT(c, 0xc3);
}

/* ---- finding and keeping ---- */

static uint32_t hash_of(const uint8_t key[16])
{
    uint64_t h = (le64_read(key) ^ le64_read(key + 8) * UINT64_C(0xc2b2ae3d27d4eb4f)) *
                 UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> (64 - HASH_BITS));
}

/* Everything that a thunk depends on. */
static void make_key(const struct x86_insn *in, uint8_t key[16])
{
    memset(key, 0, 16);
    key[0] = (uint8_t)(in->map | (in->prefixes & X86_PREFIX_VEX ? 0x80 : 0));
    key[1] = in->opcode;
    key[2] = in->mandatory;
    key[3] = (uint8_t)((in->rex & 8) | in->vex_l | (in->has_mem ? 0x10 : 0));
    key[4] = in->modrm & 0x38; /* an opcode extension, or a register: which does not matter */
    for (unsigned i = 0; i < in->n_operands; i++)
        if (in->operands[i].place == X86_PLACE_REG)
            key[4] = 0xff;
    key[5] = in->operands[3].place == X86_PLACE_IS4 ? 0x40 : (uint8_t)in->imm;
    if (!in->imm_bytes)
        key[5] = 0;
    key[6] = in->flags & X86_FLAG_X87 ? in->modrm : 0;
    key[7] = 1;
    le16_write(key + 8, in->id);
}

static soft_thunk_fn *keep(struct soft_thunks *t, const uint8_t key[16], const struct code *c)
{
    if (t->n == t->max || t->used + THUNK_MAX > ARENA_BYTES)
        return NULL;
    uint32_t h = hash_of(key);
    struct entry *e = &t->entries[t->n++];
    memcpy(e->key, key, 16);
    e->offset = t->used;
    e->next = t->hash[h];
    t->hash[h] = t->n;
    memcpy(t->write + t->used, c->bytes, c->n);
    t->used = (uint32_t)align_up(t->used + c->n, 16);
    return (soft_thunk_fn *)(void *)(t->exec + e->offset);
}

static soft_thunk_fn *find(struct soft_thunks *t, const uint8_t key[16])
{
    for (uint32_t i = t->hash[hash_of(key)]; i; i = t->entries[i - 1].next)
        if (memcmp(t->entries[i - 1].key, key, 16) == 0)
            return (soft_thunk_fn *)(void *)(t->exec + t->entries[i - 1].offset);
    return NULL;
}

soft_thunk_fn *soft_thunk_get(struct soft_cpu *cpu, const struct x86_insn *in)
{
    uint8_t key[16];
    make_key(in, key);
    soft_thunk_fn *fn = find(cpu->thunks, key);
    if (fn)
        return fn;
    struct code c = {.n = 0};
    emit_thunk(&c, in);
    return keep(cpu->thunks, key, &c);
}

soft_thunk_fn *soft_thunk_get_x87(struct soft_cpu *cpu, const struct x86_insn *in)
{
    uint8_t key[16];
    make_key(in, key);
    soft_thunk_fn *fn = find(cpu->thunks, key);
    if (fn)
        return fn;
    struct code c = {.n = 0};
    if (in->flags & X86_FLAG_READS_FLAGS) {
        EMIT(&c, 0x49, 0x8b, 0x41, 0x18); /* mov 24(%r9), %rax */
        EMIT(&c, 0x04, 0x7f, 0x9e);       /* add $0x7f, %al; sahf */
    }
    EMIT(&c, in->opcode, in->has_mem ? (uint8_t)((in->modrm & 0x38) | 6) : in->modrm);
    if (in->flags & X86_FLAG_WRITES_FLAGS) {
        EMIT(&c, 0x9f, 0x0f, 0x90, 0xc0);
        EMIT(&c, 0x49, 0x89, 0x41, 0x18);
    }
    EMIT(&c, 0xc3);
    return keep(cpu->thunks, key, &c);
}
