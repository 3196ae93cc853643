/* Programs that live by their faults: a heap that is mapped page by page from SIGSEGV, divisions by
 * zero, undefined instructions, breakpoints, forks, pipes, threads. Prints counts that are known.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static char *heap;
static volatile unsigned faults, mapped;

static void on_segv(int sig, siginfo_t *info, void *context)
{
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)4095);
    if (page >= heap && page < heap + (1000 << 12)) {
        mprotect(page, 4096, PROT_READ | PROT_WRITE);
        mapped++;
        return;
    }
    faults++;
    siglongjmp(back, 1);
}

static void on_other(int sig)
{
    faults++;
    siglongjmp(back, 1);
}

static unsigned raise_many(void (*fault)(void), unsigned n)
{
    volatile unsigned i = 0;
    faults = 0;
    while (i < n) {
        i++;
        if (!sigsetjmp(back, 1))
            fault();
    }
    return faults;
}

static void read_nowhere(void)
{
    *(volatile int *)16;
}

static void divide(void)
{
    volatile int zero = 0, one = 1;
    one = one / zero;
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

static void *add(void *arg)
{
    for (unsigned i = 0; i < 100000; i++)
        __atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static unsigned fork_many(unsigned n)
{
    unsigned good = 0;
    for (unsigned i = 0; i < n; i++) {
        int status, fds[2];
        char byte = 0;
        if (pipe(fds))
            abort();
        pid_t pid = fork();
        if (pid == 0) {
            byte = (char)(i + 1);
            _exit(write(fds[1], &byte, 1) != 1);
        }
        good += read(fds[0], &byte, 1) == 1 && byte == (char)(i + 1) &&
                waitpid(pid, &status, 0) == pid && status == 0;
        close(fds[0]);
        close(fds[1]);
    }
    return good;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 100, sum = 0;
    pthread_t threads[4];
    struct sigaction a = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    signal(SIGFPE, on_other);
    signal(SIGILL, on_other);
    heap = mmap(NULL, 1000 << 12, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < 1000; i++)
        heap[i * 4096 + i % 4096] = (char)i;
    printf("mapped %u\n", mapped);
    printf("segv %u\n", raise_many(read_nowhere, n * 10));
    printf("fpe %u\n", raise_many(divide, n * 10));
    printf("ill %u\n", raise_many(undefined, n * 10));
    printf("forks %u\n", fork_many(n));
    for (unsigned i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add, &sum);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("added %u\n", sum);
    return 0;
}
