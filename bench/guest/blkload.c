/* Random reads at a fixed queue depth, for a guest: blkload DEVICE SECONDS DEPTH BYTES.
 *
 * Uses the kernel's AIO system calls by number, so that it is one small static program. Prints
 * "@result {...}" with requests per second and the mean time of one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 1024

struct load {
    int fd;
    aio_context_t ctx;
    uint64_t n_blocks, block_bytes, seed;
    struct iocb cbs[DEPTH_MAX];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    printf("@failed %s: %s\n", what, strerror(errno));
    exit(1);
}

/* xorshift64*: the same sequence of blocks in every run. */
static uint64_t next(struct load *l)
{
    l->seed ^= l->seed >> 12;
    l->seed ^= l->seed << 25;
    l->seed ^= l->seed >> 27;
    return l->seed * UINT64_C(2685821657736338717);
}

static void prepare(struct load *l, struct iocb *cb)
{
    cb->aio_offset = (int64_t)(next(l) % l->n_blocks * l->block_bytes);
}

/* Submits all of them; the kernel may take fewer at a time. */
static void submit(struct load *l, struct iocb **list, long n)
{
    while (n > 0) {
        long done = syscall(SYS_io_submit, l->ctx, n, list);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            fail("io_submit");
        if (done > 0) {
            list += done;
            n -= done;
        }
    }
}

static uint64_t run(struct load *l, unsigned depth, double seconds, double *took_s)
{
    struct io_event events[DEPTH_MAX];
    struct iocb *list[DEPTH_MAX];
    uint64_t done = 0;
    double begin = now_s(), end = begin + seconds;
    for (unsigned i = 0; i < depth; i++) {
        prepare(l, &l->cbs[i]);
        list[i] = &l->cbs[i];
    }
    submit(l, list, depth);
    for (;;) {
        long n = syscall(SYS_io_getevents, l->ctx, 1, (long)depth, events, NULL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail("io_getevents");
        for (long i = 0; i < n; i++) {
            if (events[i].res != (int64_t)l->block_bytes) {
                errno = (int)-events[i].res;
                fail("a read");
            }
            list[i] = &l->cbs[events[i].data];
            prepare(l, list[i]);
        }
        done += (uint64_t)n;
        double now = now_s();
        if (now >= end) {
            *took_s = now - begin;
            return done;
        }
        submit(l, list, n);
    }
}

int main(int argc, char **argv)
{
    static struct load l = {.seed = 88172645463325252ull};
    if (argc != 5)
        return 2;
    double seconds = atof(argv[2]), took_s = 0;
    unsigned depth = (unsigned)atoi(argv[3]);
    l.block_bytes = (uint64_t)atoll(argv[4]);
    uint64_t bytes = 0;
    void *buffer = NULL;
    l.fd = open(argv[1], O_RDONLY | O_DIRECT);
    if (l.fd < 0 || ioctl(l.fd, BLKGETSIZE64, &bytes) < 0)
        fail(argv[1]);
    l.n_blocks = bytes / l.block_bytes;
    if (!depth || depth > DEPTH_MAX || !l.n_blocks ||
        posix_memalign(&buffer, 4096, depth * l.block_bytes) ||
        syscall(SYS_io_setup, depth, &l.ctx) < 0)
        fail("io_setup");
    for (unsigned i = 0; i < depth; i++) {
        l.cbs[i] = (struct iocb){.aio_data = i,
                                 .aio_lio_opcode = IOCB_CMD_PREAD,
                                 .aio_fildes = (uint32_t)l.fd,
                                 .aio_buf = (uintptr_t)buffer + i * l.block_bytes,
                                 .aio_nbytes = l.block_bytes};
    }
    uint64_t done = run(&l, depth, seconds, &took_s);
    printf("@result {\"requests\": %llu, \"seconds\": %.6f, \"per_s\": %.1f, \"mean_us\": %.1f}\n",
           (unsigned long long)done, took_s, (double)done / took_s,
           took_s * 1e6 * depth / (double)done);
    return 0;
}
