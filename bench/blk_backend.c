/* How fast the raw backend is by itself, without a guest: 4 KiB random reads of a file, a number of
 * them in flight, for a number of seconds, in one thread. Prints one JSON object.
 *   bench-blk_backend FILE [depth=32] [seconds=3] [direct|cached] [uring|threads] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/util.h"
#include "blk/aio.h"
#include "blk/raw.h"

#define BLOCK_BYTES 4096
#define DEPTH_MAX   256

struct bench {
    struct loop *loop;
    struct blk *blk;
    uint64_t n_blocks, done, errors, seed;
    int64_t end_ns;
    unsigned in_flight;
    struct slot {
        struct blk_request req;
        struct iovec iov;
        struct bench *bench;
    } slots[DEPTH_MAX];
};

static void next(struct slot *s);

static void done(struct blk_request *req, int result)
{
    struct slot *s = req->opaque;
    s->bench->done++;
    s->bench->errors += result != 0;
    s->bench->in_flight--;
    if ((s->bench->done & 63) || clock_now_ns() < s->bench->end_ns)
        next(s);
    else
        s->bench->end_ns = 0;
}

static void next(struct slot *s)
{
    struct bench *b = s->bench;
    if (!b->end_ns)
        return;
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 7;
    b->seed ^= b->seed << 17;
    s->req = (struct blk_request){.op = BLK_READ,
                                  .offset = b->seed % b->n_blocks * BLOCK_BYTES,
                                  .len_bytes = BLOCK_BYTES,
                                  .iov = &s->iov,
                                  .n_iov = 1,
                                  .done = done,
                                  .opaque = s};
    b->in_flight++;
    blk_submit(b->blk, &s->req);
}

static int run(struct bench *b, unsigned depth, unsigned seconds)
{
    char *buf = aligned_alloc(4096, (size_t)depth * BLOCK_BYTES);
    if (!buf)
        return 1;
    int64_t start_ns = clock_now_ns();
    b->end_ns = start_ns + seconds * INT64_C(1000000000);
    for (unsigned i = 0; i < depth; i++) {
        b->slots[i].bench = b;
        b->slots[i].iov = (struct iovec){buf + (size_t)i * BLOCK_BYTES, BLOCK_BYTES};
        next(&b->slots[i]);
    }
    while (b->in_flight)
        loop_run_once(b->loop, -1);
    double s = (double)(clock_now_ns() - start_ns) / 1e9;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                 (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    printf("\"iops\": %.0f, \"cpu_us_per_request\": %.2f, \"errors\": %llu}\n", (double)b->done / s,
           cpu * 1e6 / (double)b->done, (unsigned long long)b->errors);
    free(buf);
    return b->errors != 0;
}

int main(int argc, char **argv)
{
    unsigned depth = argc > 2 ? (unsigned)atoi(argv[2]) : 32;
    unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 3;
    bool direct = argc > 4 && !strcmp(argv[4], "direct");
    struct aio_config config = {.kind = argc > 5 && !strcmp(argv[5], "threads") ? AIO_THREADS
                                                                                : AIO_AUTO,
                                .threads_max = 32};
    struct err err = {0};
    static struct bench b;
    int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0)) : -1;
    if (fd < 0 || !depth || depth > DEPTH_MAX || !seconds) {
        fprintf(stderr, "usage: %s FILE [depth] [seconds] [direct|cached] [uring|threads]\n",
                argv[0]);
        return 2;
    }
    b.loop = loop_create(0, &err);
    struct aio *aio = b.loop ? aio_create(b.loop, &config, &err) : NULL;
    if (aio)
        b.blk = raw_create(aio, b.loop, fd, argv[1], &(struct raw_config){.read_only = true}, &err);
    if (!b.blk || blk_info(b.blk)->size_bytes < BLOCK_BYTES) {
        fprintf(stderr, "%s\n", b.blk ? "the file is too small" : err.msg);
        return 1;
    }
    b.n_blocks = blk_info(b.blk)->size_bytes / BLOCK_BYTES;
    b.seed = 88172645463325252u;
    int status = 0;
    printf("{\"bench\": \"blk_backend\", \"depth\": %u, \"direct\": %s, \"aio\": \"%s\", ", depth,
           direct ? "true" : "false", config.kind == AIO_THREADS ? "threads" : "uring");
    status = run(&b, depth, seconds);
    blk_close(b.blk);
    aio_destroy(aio);
    loop_destroy(b.loop);
    return status;
}
