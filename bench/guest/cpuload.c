/* Small programs for a guest's CPU:
 *   cpuload KERNEL REPETITIONS
 *   cpuload run REPETITIONS COMMAND...
 *
 * Each kernel does a fixed amount of work of one kind, about a tenth of a second natively, and is a
 * row of the table below. Prints "@result KERNEL NS CHECK" for each repetition: CHECK is what the
 * work came to, the same on every machine. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)

static const char *self;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* ---- computing ---- */

static uint64_t integer_loop(void)
{
    uint64_t s = 88172645463325252u, sum = 0;
    for (unsigned i = 0; i < 30000000; i++)
        sum += next_random(&s) & 0xff;
    return sum;
}

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t recursion(void)
{
    return fibonacci(34);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sorting(void)
{
    enum { N = 700000 };
    uint32_t *v = malloc(N * sizeof(*v));
    uint64_t s = 42, sum = 0;
    for (unsigned i = 0; i < N; i++)
        v[i] = (uint32_t)next_random(&s);
    qsort(v, N, sizeof(*v), compare);
    for (unsigned i = 0; i < N; i += 1000)
        sum = sum * 31 + v[i];
    free(v);
    return sum;
}

/* A table with open addressing: loads and stores all over 8 MiB. */
static uint64_t hashing(void)
{
    enum { SLOTS = 1 << 20, KEYS = 600000 };
    uint64_t *slots = calloc(SLOTS, sizeof(*slots)), s = 7, probes = 0;
    for (unsigned round = 0; round < 3; round++) {
        s = 7;
        for (unsigned i = 0; i < KEYS; i++) {
            uint64_t key = next_random(&s);
            uint64_t at = (key * 0x9e3779b97f4a7c15u) >> 44;
            while (slots[at] && slots[at] != key) {
                at = (at + 1) % SLOTS;
                probes++;
            }
            slots[at] = key;
        }
    }
    free(slots);
    return probes;
}

static uint64_t floating_point(void)
{
    enum { SIZE = 400, DEPTH = 200 };
    uint64_t inside = 0;
    for (unsigned y = 0; y < SIZE; y++)
        for (unsigned x = 0; x < SIZE; x++) {
            double cr = 3.0 * x / SIZE - 2.2, ci = 2.4 * y / SIZE - 1.2, r = 0, i = 0;
            unsigned n = 0;
            while (n < DEPTH && r * r + i * i < 4) {
                double t = r * r - i * i + cr;
                i = 2 * r * i + ci;
                r = t;
                n++;
            }
            inside += n;
        }
    return inside;
}

typedef float floats __attribute__((vector_size(16)));

static uint64_t simd(void)
{
    enum { N = 2048, ROUNDS = 20000 };
    static floats a[N], b[N];
    floats k = {0.5f, 0.25f, 0.125f, 0.75f}, sum = {0};
    for (unsigned i = 0; i < N; i++) {
        a[i] = k * (float)i;
        b[i] = k + (float)i;
    }
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (unsigned i = 0; i < N; i++)
            b[i] = a[i] * k + b[i] * 0.5f;
        sum += b[r % N];
    }
    return (uint64_t)(sum[0] + sum[1] + sum[2] + sum[3]);
}

static uint64_t memory_copy(void)
{
    enum { SIZE = 8 * MIB };
    char *a = malloc(SIZE), *b = malloc(SIZE);
    memset(a, 1, SIZE);
    for (unsigned i = 0; i < 60; i++) {
        memcpy(b, a, SIZE);
        b[i * 4096]++;
        char *t = a;
        a = b;
        b = t;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < SIZE; i += 64)
        sum += (uint64_t)a[i];
    free(a);
    free(b);
    return sum;
}

/* An interpreter's loop: an indirect branch for each of its instructions, hard to foresee. */
static uint64_t indirect_branches(void)
{
    enum { PROGRAM = 4096, STEPS = 20000000 };
    static const void *const targets[] = {&&add, &&sub,  &&exclusive_or, &&rotate,
                                          &&mul, &&swap, &&load,         &&store};
    static uint8_t program[PROGRAM];
    static uint64_t memory[256];
    uint64_t s = 99, acc = 1, other = 2;
    unsigned left = STEPS, pc = 0;
    memset(memory, 0, sizeof(memory));
    for (unsigned i = 0; i < PROGRAM; i++)
        program[i] = (uint8_t)(next_random(&s) % 8);
#define NEXT                                                                                       \
    if (!left--)                                                                                   \
        return acc + other;                                                                        \
    pc = (pc + 1) % PROGRAM;                                                                       \
    goto *targets[program[pc]]
    NEXT;
add:
    acc += other + pc;
    NEXT;
sub:
    acc -= other;
    NEXT;
exclusive_or:
    acc ^= other;
    NEXT;
rotate:
    acc = acc << 7 | acc >> 57;
    NEXT;
mul:
    acc = acc * 3 + 1;
    NEXT;
swap:
    s = acc;
    acc = other;
    other = s;
    NEXT;
load:
    other = memory[acc % 256];
    NEXT;
store:
    memory[acc % 256] = acc;
    NEXT;
#undef NEXT
}

/* ---- the kernel's part ---- */

static uint64_t system_calls(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 400000; i++)
        n += syscall(SYS_getppid) >= 0;
    return n;
}

static uint64_t page_faults(void)
{
    uint64_t n = 0;
    for (unsigned round = 0; round < 8; round++) {
        char *p = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(p, 32 * MIB, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < 32 * MIB; i += 4096)
            n += ++p[i] == 1;
        munmap(p, 32 * MIB);
    }
    return n;
}

static uint64_t fork_and_exec(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 150; i++) {
        int status;
        pid_t pid = fork();
        if (!pid) {
            execl(self, self, "nothing", "0", (char *)NULL);
            _exit(1);
        }
        n += waitpid(pid, &status, 0) == pid && status == 0;
    }
    return n;
}

/* Two processes on one CPU that wake each other through pipes. */
static uint64_t context_switches(void)
{
    enum { N = 25000 };
    int there[2], back[2];
    char c = 1;
    uint64_t n = 0;
    cpu_set_t one, before;
    sched_getaffinity(0, sizeof(before), &before);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    if (pipe(there) || pipe(back))
        abort();
    pid_t pid = fork();
    if (!pid) {
        for (unsigned i = 0; i < N; i++)
            if (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (unsigned i = 0; i < N; i++)
        n += write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1;
    waitpid(pid, NULL, 0);
    sched_setaffinity(0, sizeof(before), &before);
    for (unsigned i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    return n;
}

static volatile sig_atomic_t n_signals;

static void on_signal(int number)
{
    n_signals += number == SIGUSR1;
}

static uint64_t signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    n_signals = 0;
    for (unsigned i = 0; i < 100000; i++)
        raise(SIGUSR1);
    return (uint64_t)n_signals;
}

/* ---- two CPUs ---- */

static void *in_thread(void *sum)
{
    *(uint64_t *)sum = integer_loop();
    return NULL;
}

/* Twice the work of integer_loop, in two threads. */
static uint64_t parallel(void)
{
    pthread_t other;
    uint64_t mine, others = 0;
    if (pthread_create(&other, NULL, in_thread, &others))
        abort();
    mine = integer_loop();
    pthread_join(other, NULL);
    return mine + others;
}

static uint64_t nothing(void)
{
    return 0;
}

static const struct {
    const char *name;
    uint64_t (*run)(void);
} kernels[] = {
    {"integer", integer_loop}, {"recursion", recursion},        {"sort", sorting},
    {"hash", hashing},         {"float", floating_point},       {"simd", simd},
    {"copy", memory_copy},     {"indirect", indirect_branches}, {"syscall", system_calls},
    {"fault", page_faults},    {"fork", fork_and_exec},         {"switch", context_switches},
    {"signal", signals},       {"parallel", parallel},          {"nothing", nothing},
};

static void report(const char *name, uint64_t begin, uint64_t check)
{
    printf("@result %s %llu %llu\n", name, (unsigned long long)(now_ns() - begin),
           (unsigned long long)check);
    fflush(stdout);
}

static int run_command(unsigned repetitions, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    for (unsigned i = 0; i < repetitions; i++) {
        int status;
        uint64_t begin = now_ns();
        pid_t pid = fork();
        if (!pid) {
            execvp(argv[0], argv);
            _exit(127);
        }
        if (waitpid(pid, &status, 0) != pid || status) {
            fprintf(stderr, "cpuload: %s ended with status %x\n", argv[0], (unsigned)status);
            return 1;
        }
        report(slash ? slash + 1 : argv[0], begin, 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc < 3) {
        fprintf(stderr, "usage: cpuload KERNEL REPETITIONS | cpuload run REPETITIONS COMMAND...\n");
        return 2;
    }
    unsigned repetitions = (unsigned)atoi(argv[2]);
    if (!strcmp(argv[1], "run") && argc > 3)
        return run_command(repetitions, argv + 3);
    for (unsigned k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++) {
        if (strcmp(argv[1], kernels[k].name))
            continue;
        for (unsigned i = 0; i < repetitions; i++) {
            uint64_t begin = now_ns();
            report(kernels[k].name, begin, kernels[k].run());
        }
        return 0;
    }
    fprintf(stderr, "cpuload: no kernel '%s'\n", argv[1]);
    return 2;
}
