/* virtio-balloon behind a driver that says anything: see virtio_script.h. Its own operation sets
 * the target and the statistics interval. */
#include "dev/virtio/virtio_balloon.h"

#include "virtio_script.h"

static struct virtio_device *make(void *opaque)
{
    struct virtio_script *s = opaque;
    struct virtio_balloon_options o = {.loop = s->loop,
                                       .reporting = s->flags & 0x20,
                                       .deflate_on_oom = true,
                                       .stats_interval_s = 1};
    return virtio_balloon_create(&s->mem, &o, NULL);
}

static void extra(void *opaque, struct virtio_device *dev, uint8_t byte)
{
    struct virtio_balloon_stats stats;
    virtio_balloon_set_target(dev, byte * UINT64_C(20000), NULL);
    virtio_balloon_set_stats_interval(dev, byte % 4);
    virtio_balloon_stats(dev, &stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.extra = extra, .again = make};
    struct virtio_script s;
    virtio_script_begin(&s, data, size);
    virtio_script_run(&s, make(&s), &hooks, &s);
    virtio_script_end(&s);
    return 0;
}
