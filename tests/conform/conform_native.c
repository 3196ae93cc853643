/* The real CPU as an executor.
 *
 * A child process has the pages of a case at their addresses. For each case it loads all registers
 * and jumps to the code; the code ends in a trap, if only that of the int3 where it arrives, and
 * the handler of the signal finds the state in its context. The handler leaves by longjmp.
 *
 * The child lives until a case kills it; then the next batch starts another. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <asm/hwcap2.h>
#include <asm/prctl.h>

#include "base/util.h"
#include "conform.h"

#define REPLY_TIMEOUT_MS 20000
#define ALTSTACK_BYTES   (128 * 1024)
#define TRAP_BP          3
#define TRAP_PF          14
#define PF_FETCH         16   /* error code */
#define LDT_WRITE        0x11 /* of modify_ldt(2) */

struct native {
    struct conform_executor executor;
    struct conform_batch *batch;
    pid_t pid; /* 0: none */
    int to, from;
};

/* Of the child: what its signal handler works on. */
static struct {
    jmp_buf back;
    struct conform_result *result;
    bool segments;    /* the case is about them */
    bool has_bases;   /* RDFSBASE and RDGSBASE are there */
    uint64_t fs_base; /* of the C library: nothing of it works under another one */
} child;

/* ---- the child ---- */

/* Loads everything and jumps, by a far jump: it chooses the code size too. Offsets are those of
 * struct conform_state. */
__attribute__((noinline, noreturn)) static void enter(const struct conform_state *in,
                                                      uint16_t selector)
{
    __asm__ volatile("mov %c[xsave](%%rdi), %%al\n\t" /* touch it before the stack is gone */
                     "lea %c[xsave](%%rdi), %%rcx\n\t"
                     "mov $7, %%eax\n\t"
                     "xor %%edx, %%edx\n\t"
                     "xrstor64 (%%rcx)\n\t"
                     "mov %c[rip](%%rdi), %%eax\n\t"
                     "mov %%eax, conform_native_target(%%rip)\n\t"
                     "mov %%si, 4 + conform_native_target(%%rip)\n\t"
                     "pushq %c[rflags](%%rdi)\n\t"
                     "popfq\n\t"
                     "mov 0(%%rdi), %%rax\n\t"
                     "mov 8(%%rdi), %%rcx\n\t"
                     "mov 16(%%rdi), %%rdx\n\t"
                     "mov 24(%%rdi), %%rbx\n\t"
                     "mov 32(%%rdi), %%rsp\n\t"
                     "mov 40(%%rdi), %%rbp\n\t"
                     "mov 48(%%rdi), %%rsi\n\t"
                     "mov 64(%%rdi), %%r8\n\t"
                     "mov 72(%%rdi), %%r9\n\t"
                     "mov 80(%%rdi), %%r10\n\t"
                     "mov 88(%%rdi), %%r11\n\t"
                     "mov 96(%%rdi), %%r12\n\t"
                     "mov 104(%%rdi), %%r13\n\t"
                     "mov 112(%%rdi), %%r14\n\t"
                     "mov 120(%%rdi), %%r15\n\t"
                     "mov 56(%%rdi), %%rdi\n\t"
                     "ljmp *conform_native_target(%%rip)\n\t"
                     ".pushsection .bss\n\t"
                     ".balign 8\n\t"
                     ".local conform_native_target\n\t"
                     "conform_native_target: .skip 8\n\t"
                     ".popsection"
                     :
                     : "D"(in), "S"(selector), [xsave] "i"(offsetof(struct conform_state, xsave)),
                       [rip] "i"(offsetof(struct conform_state, rip)),
                       [rflags] "i"(offsetof(struct conform_state, rflags))
                     : "memory");
    __builtin_unreachable();
}

/* The XSAVE image that the kernel put on the signal stack. */
static void copy_fpu(const ucontext_t *uc, struct conform_state *out)
{
    memcpy(out->xsave, uc->uc_mcontext.fpregs, CONFORM_XSAVE_BYTES);
}

/* The C library's has a place for errno. */
static void set_base(int code, uint64_t base)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(SYS_arch_prctl), "D"((long)code), "S"(base)
                     : "rcx", "r11", "memory");
}

/* What the case has left in segment registers, and then those of C code. */
static void take_segments(const ucontext_t *uc, struct conform_result *r)
{
    uint64_t csgsfs = (uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS];
    __asm__ volatile("mov %%es, %0" : "=r"(r->selectors[X86_ES]));
    __asm__ volatile("mov %%ds, %0" : "=r"(r->selectors[X86_DS]));
    __asm__ volatile("mov %%fs, %0" : "=r"(r->selectors[X86_FS]));
    __asm__ volatile("mov %%gs, %0" : "=r"(r->selectors[X86_GS]));
    r->selectors[X86_CS] = (uint16_t)csgsfs;
    r->selectors[X86_SS] = (uint16_t)(csgsfs >> 48);
    r->has_bases = child.has_bases;
    if (child.has_bases) {
        __asm__ volatile("rdfsbase %0" : "=r"(r->bases[0]));
        __asm__ volatile("rdgsbase %0" : "=r"(r->bases[1]));
    }
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(CONFORM_SS));
    set_base(ARCH_SET_FS, child.fs_base);
    set_base(ARCH_SET_GS, CONFORM_GS_BASE);
}

/* Of the int3, or int 3, before this address. */
static unsigned breakpoint_bytes(uint64_t rip)
{
    bool in_case = rip - (CONFORM_CODE - 4095) < 3 * 4096;
    return !in_case || *(const uint8_t *)(rip - 1) == CONFORM_FILL ? 1 : 2;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
    /* The kernel leaves AC as the code had it. */
    __asm__ volatile("pushfq; andq $~0x40000, (%%rsp); popfq" : : : "memory", "cc");
    const ucontext_t *uc = context;
    const greg_t *g = uc->uc_mcontext.gregs;
    struct conform_result *r = child.result;
    if (child.segments)
        take_segments(uc, r);
    for (unsigned i = 0; i < 16; i++)
        r->out.r[i] = (uint64_t)g[order[i]];
    r->out.rip = (uint64_t)g[REG_RIP];
    r->out.rflags = (uint64_t)g[REG_EFL];
    copy_fpu(uc, &r->out);
    r->vector = (int)g[REG_TRAPNO];
    r->error = (uint32_t)g[REG_ERR];
    r->cr2 = (uint64_t)g[REG_CR2];
    r->ran = true;
    if (r->vector == TRAP_BP) {
        r->vector = CONFORM_NO_FAULT;
        r->out.rip -= breakpoint_bytes(r->out.rip);
    } else if (r->vector == TRAP_PF && r->error & PF_FETCH && r->cr2 == r->out.rip) {
        r->vector = CONFORM_NO_FAULT; /* it arrived where nothing is */
    }
    longjmp(child.back, 1);
}

static void *map_page(uint64_t at)
{
    void *p = mmap((void *)at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        _exit(2);
    return p;
}

/* Pages that no case may change. */
static void map_constant_pages(void)
{
    static const uint64_t fill[] = {CONFORM_CODE - 4096, CONFORM_CODE + 4096};
    for (unsigned i = 0; i < ARRAY_LEN(fill); i++) {
        memset(map_page(fill[i]), CONFORM_FILL, 4096);
        mprotect((void *)fill[i], 4096, PROT_READ | PROT_EXEC);
    }
    uint64_t data = CONFORM_DATA + 8192;
    conform_fill_read_only(map_page(data));
    mprotect((void *)data, 4096, PROT_READ);
}

static void child_setup(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        map_page(conform_page_at(i));
    map_constant_pages();
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(CONFORM_SS));
    syscall(SYS_arch_prctl, ARCH_SET_GS, CONFORM_GS_BASE);
    syscall(SYS_arch_prctl, ARCH_GET_FS, &child.fs_base);
    child.has_bases = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    for (unsigned i = 0; i < CONFORM_LDT_ENTRIES; i++) {
        struct user_desc d = conform_ldt[i];
        d.entry_number = i;
        if (d.limit)
            syscall(SYS_modify_ldt, LDT_WRITE, &d, sizeof(d));
    }
    stack_t stack = {.ss_sp = mmap(NULL, ALTSTACK_BYTES, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                     .ss_size = ALTSTACK_BYTES};
    sigaltstack(&stack, NULL);
    struct sigaction sa = {.sa_sigaction = on_signal,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &sa, NULL);
}

static void run_one(const struct conform_case *c, struct conform_result *r)
{
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        memcpy((void *)conform_page_at(i), c->mem[i], 4096);
    child.result = r;
    child.segments = c->segments;
    if (!setjmp(child.back)) {
        if (c->segments)
            set_base(ARCH_SET_FS, CONFORM_FS_BASE);
        enter(&c->in, c->mode == X86_CODE64 ? CONFORM_CS64 : CONFORM_CS32);
    }
    r->changed = 0;
    for (unsigned i = 0; i < CONFORM_PAGES; i++) {
        const void *page = (const void *)conform_page_at(i);
        if (memcmp(page, c->mem[i], 4096) == 0)
            continue;
        r->changed |= 1u << i;
        memcpy(r->mem[i], page, 4096);
    }
}

/* Serves batches until the parent is gone. */
static _Noreturn void serve(struct conform_batch *batch, int from_parent, int to_parent)
{
    uint32_t range[2];
    child_setup();
    while (read(from_parent, range, sizeof(range)) == sizeof(range)) {
        for (uint32_t i = range[0]; i < range[1]; i++)
            run_one(&batch->cases[i], &batch->results[i]);
        if (write(to_parent, "", 1) != 1)
            break;
    }
    _exit(0);
}

/* ---- the parent ---- */

static bool start(struct native *n)
{
    int down[2], up[2];
    if (pipe(down) < 0 || pipe(up) < 0)
        return false;
    fflush(stdout);
    n->pid = fork();
    if (n->pid < 0)
        return false;
    if (!n->pid) {
        close(down[1]);
        close(up[0]);
        serve(n->batch, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    n->to = down[1];
    n->from = up[0];
    return true;
}

static void stop(struct native *n)
{
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
    close(n->to);
    close(n->from);
    n->pid = 0;
}

/* Whether the child did cases [from, to). */
static bool ask(struct native *n, uint32_t from, uint32_t to)
{
    uint32_t range[2] = {from, to};
    char byte;
    struct pollfd p = {.fd = n->from, .events = POLLIN};
    if (write(n->to, range, sizeof(range)) != sizeof(range))
        return false;
    return poll(&p, 1, REPLY_TIMEOUT_MS) == 1 && read(n->from, &byte, 1) == 1;
}

static void native_run(void *self, const struct conform_case *cases, struct conform_result *results,
                       unsigned count)
{
    struct native *n = self;
    unsigned first = (unsigned)(cases - n->batch->cases), at = 0;
    for (unsigned i = 0; i < count; i++)
        results[i].ran = false;
    while (at < count) {
        if (!n->pid && !start(n))
            return;
        if (ask(n, first + at, first + count))
            return;
        /* One of them killed it or does not end: go on behind it. */
        stop(n);
        while (at < count && results[at].ran)
            at++;
        at++;
    }
}

struct conform_batch *conform_batch_create(void)
{
    void *p = mmap(NULL, sizeof(struct conform_batch), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

const struct conform_executor *conform_native(struct conform_batch *batch)
{
    /* Kept free of anything else, here and in the children. */
    void *p = mmap((void *)CONFORM_LOW, CONFORM_HIGH - CONFORM_LOW, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (void *)CONFORM_LOW)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    struct native *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->executor = (struct conform_executor){"cpu", native_run, n};
    n->batch = batch;
    return &n->executor;
}
