/* virtio-rng behind a driver that says anything: see virtio_script.h. */
#include "dev/virtio/virtio_rng.h"

#include "virtio_script.h"

static struct virtio_device *make(void *opaque)
{
    struct virtio_script *s = opaque;
    struct virtio_rng_options o = {.loop = s->loop, .bytes_per_s = 100000, .burst_bytes = 5000};
    return virtio_rng_create(&s->mem, &o, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.again = make};
    struct virtio_script s;
    virtio_script_begin(&s, data, size);
    virtio_script_run(&s, make(&s), &hooks, &s);
    virtio_script_end(&s);
    return 0;
}
