/* virtio-blk behind a driver that says anything (see virtio_script.h), over a disk in memory whose
 * requests fail and wait when the input says so. */
#include "blk/faulty.h"
#include "blk/null.h"
#include "dev/virtio/virtio_blk.h"

#include <errno.h>

#include "virtio_script.h"

struct target {
    struct virtio_script s;
    struct blk *faulty;
};

static void io_error(void *opaque, const struct virtio_blk_error *e)
{
}

static struct virtio_device *make(void *opaque)
{
    struct target *t = opaque;
    struct null_config nc = {.size_bytes = 64 * KIB, .keep = true, .deferred = true};
    struct virtio_blk_options o = {.loop = t->s.loop,
                                   .n_queues = 2,
                                   .queue_size = 16,
                                   .serial = "fuzz",
                                   .on_error = VIRTIO_BLK_STOP,
                                   .io_error = io_error,
                                   .opaque = t};
    t->faulty = faulty_create(null_create(t->s.loop, &nc, NULL), NULL);
    return virtio_blk_create(&t->s.mem, t->faulty, &o, NULL);
}

/* The input's own operation: what fails from here on, or a limit. */
static void extra(void *opaque, struct virtio_device *dev, uint8_t byte)
{
    struct target *t = opaque;
    uint64_t size;
    faulty_clear(t->faulty);
    if (byte & 0x80)
        virtio_blk_set_limit(dev, &(struct rate_limit){.ops_per_s = byte & 0x7f,
                                                       .bytes_per_s = (byte & 0x70) * 100u});
    else if (byte)
        faulty_add(t->faulty, &(struct faulty_rule){.op_mask = byte & 31,
                                                    .error = byte & 32 ? EIO : EOPNOTSUPP,
                                                    .delay_ns = byte & 64 ? 20000000 : 0,
                                                    .count = byte % 5u});
    virtio_blk_refresh(dev, &size, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.again = make, .extra = extra};
    struct target t;
    virtio_script_begin(&t.s, data, size);
    virtio_script_run(&t.s, make(&t), &hooks, &t);
    virtio_script_end(&t.s);
    return 0;
}
