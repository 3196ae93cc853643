/* How many guest instructions a second the software engine executes, by mode and kind of code:
 * `bench-interpreter [SECONDS]`. Each loop runs its own count of instructions, so the figure does
 * not depend on the engine's own counting. Prints JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "engine/soft/soft_engine.h"
#include "guests_harness.h"

struct loop_case {
    const char *name;
    enum guest_mode mode;
    const char *code;
    size_t code_bytes;
    unsigned insns; /* in one turn of the loop */
};

/* Each is an endless loop that begins at its first byte; R8 counts turns in 64-bit code, a memory
 * word elsewhere would disturb, so 32- and 16-bit code count in EBP. */
static const struct loop_case cases[] = {
    /* add %rcx,%rax; xor %rax,%rbx; lea (%rax,%rbx),%rdx; shr $3,%rdx; sub $1,%rsi; inc %r8; jmp */
    {"integer-64", GUEST_LONG,
     "\x48\x01\xc8\x48\x31\xc3\x48\x8d\x14\x18\x48\xc1\xea\x03\x48\x83\xee\x01\x49\xff\xc0\xeb\xe9",
     23, 7},
    /* mov 0xb000,%eax; add %ecx,%eax; mov %eax,0xb000; mov 0xb008,%rdx; push %rax; pop %rbx; inc
       %r8; jmp */
    {"memory-64", GUEST_LONG,
     "\x8b\x04\x25\x00\xb0\x00\x00\x01\xc8\x89\x04\x25\x00\xb0\x00\x00\x48\x8b\x14\x25\x08\xb0\x00"
     "\x00"
     "\x50\x5b\x49\xff\xc0\xeb\xe1",
     31, 8},
    /* test %eax,%eax; jz +0; cmp %ecx,%edx; jne +0; call +0; add $8,%rsp; inc %r8; jmp */
    {"branches-64", GUEST_LONG,
     "\x85\xc0\x74\x00\x39\xca\x75\x00\xe8\x00\x00\x00\x00\x48\x83\xc4\x08\x49\xff\xc0\xeb\xea", 22,
     8},
    /* paddd %xmm1,%xmm0; mulsd %xmm3,%xmm2; pxor %xmm5,%xmm4; inc %r8; jmp */
    {"vector-64", GUEST_LONG,
     "\x66\x0f\xfe\xc1\xf2\x0f\x59\xd3\x66\x0f\xef\xe5\x49\xff\xc0\xeb\xef", 17, 5},
    /* add %ecx,%eax; xor %eax,%ebx; shr $3,%edx; sub $1,%esi; inc %ebp; jmp */
    {"integer-32", GUEST_PROTECTED, "\x01\xc8\x31\xc3\xc1\xea\x03\x83\xee\x01\x45\xeb\xf3", 13, 6},
    {"integer-16", GUEST_REAL,
     "\x66\x01\xc8\x66\x31\xc3\x66\xc1\xea\x03\x66\x83\xee\x01\x66\x45\xeb\xee", 18, 6},
};

static void *kick_later(void *arg)
{
    struct pc *pc = arg;
    const struct timespec t = {.tv_sec = *(time_t *)pc->opaque};
    nanosleep(&t, NULL);
    pc->ended = true;
    engine_vcpu_kick(pc->vcpus[0]);
    return NULL;
}

static double measure(const struct loop_case *c, time_t seconds)
{
    struct pc pc;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    pthread_t thread;
    const char *why = pc_open(&pc, 1);
    if (why) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    pc_put(&pc, c->code, c->code_bytes, c->mode);
    pc.opaque = &seconds;
    int64_t begin = clock_now_ns();
    pthread_create(&thread, NULL, kick_later, &pc);
    struct engine_exit_info info = pc_run(&pc);
    if (info.reason != ENGINE_EXIT_KICKED)
        fprintf(stderr, "%s: exit %d %s\n", c->name, (int)info.reason, info.err.msg);
    int64_t ns = clock_now_ns() - begin;
    pthread_join(thread, NULL);
    engine_vcpu_get_regs(pc.vcpus[0], &regs, &sregs, NULL);
    double turns = c->mode == GUEST_LONG ? (double)regs.r8 : (double)(uint32_t)regs.rbp;
    pc_close(&pc);
    return turns * c->insns * 1e3 / (double)ns;
}

int main(int argc, char **argv)
{
    time_t seconds = argc > 1 ? atoi(argv[1]) : 2;
    pc_setup(&soft_engine, ".");
    printf("{\"figure\": \"interpreter\", \"unit\": \"million guest instructions a second\"");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        printf(", \"%s\": %.0f", cases[i].name, measure(&cases[i], MAX(seconds, 1)));
    printf("}\n");
    return 0;
}
