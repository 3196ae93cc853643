#include "blk/aio.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "blk/aio_internal.h"

static bool prepare(struct loop_prepare *p)
{
    struct aio *aio = p->opaque;
    return aio->kind == AIO_URING && aio_uring_before_sleep(&aio->uring);
}

struct aio *aio_create(struct loop *loop, const struct aio_config *config, struct err *err)
{
    struct aio *aio = calloc(1, sizeof(*aio));
    if (!aio) {
        err_set(err, ENOMEM, "could not allocate the state of disk I/O");
        return NULL;
    }
    aio->loop = loop;
    if (config)
        aio->config = *config;
    aio->prepare = (struct loop_prepare){.prepare = prepare, .opaque = aio};
    aio_pool_init(&aio->pool, loop, &aio->config);
    loop_prepare_add(loop, &aio->prepare);
    return aio;
}

void aio_destroy(struct aio *aio)
{
    if (!aio)
        return;
    loop_prepare_remove(aio->loop, &aio->prepare);
    if (aio->kind == AIO_URING)
        aio_uring_close(&aio->uring);
    aio_pool_fini(&aio->pool);
    free(aio);
}

/* At the first request, so that it happens in the loop's thread: a ring with one issuer belongs to
 * the thread that makes it. */
static int choose(struct aio *aio)
{
    if (aio->config.kind == AIO_THREADS) {
        aio->kind = AIO_THREADS;
        return 0;
    }
    int r = aio_uring_open(&aio->uring, aio->loop);
    if (r == 0) {
        aio->kind = AIO_URING;
        return 0;
    }
    if (aio->config.kind == AIO_URING)
        return r;
    log_line(LOG_INFO, "blk", "io_uring is refused, disks use threads errno=%d", -r);
    aio->kind = AIO_THREADS;
    return 0;
}

static bool ring_can(const struct aio_op *op)
{
    return op->code != AIO_BLKDISCARD;
}

void aio_submit(struct aio *aio, struct aio_op *op)
{
    op->next = NULL;
    if (aio->kind == AIO_AUTO && choose(aio) < 0)
        aio_pool_queue(&aio->pool, op); /* AIO_URING by force: still answered, by the pool */
    else if (aio->kind == AIO_URING && ring_can(op))
        aio_uring_queue(&aio->uring, op);
    else
        aio_pool_queue(&aio->pool, op);
}

void aio_poll(struct aio *aio)
{
    bool ring = aio->kind == AIO_URING && aio->uring.in_flight;
    if (ring && aio_uring_flush(&aio->uring))
        return;
    if (aio_pool_reap(&aio->pool))
        return;
    if (!ring)
        aio_pool_wait(&aio->pool);
    else
        aio_uring_wait(&aio->uring, aio->pool.in_flight ? 1 : 0);
    aio_pool_reap(&aio->pool);
}
