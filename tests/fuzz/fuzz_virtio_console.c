/* virtio-console behind a driver that says anything: see virtio_script.h. Its own operation gives
 * input (bit 7 clear: that many bytes), or room to the back end. */
#include "dev/virtio/virtio_console.h"

#include "virtio_script.h"

struct console_script {
    struct virtio_script s;
    size_t room;
    uint32_t sum; /* of all bytes output: reads them */
};

static size_t output(void *opaque, const void *data, size_t len)
{
    struct console_script *c = opaque;
    size_t n = MIN(len, c->room);
    for (size_t i = 0; i < n; i++)
        c->sum += ((const uint8_t *)data)[i];
    c->room -= n;
    return n;
}

static struct virtio_device *make(void *opaque)
{
    struct console_script *c = opaque;
    struct virtio_console_options o = {
        .loop = c->s.loop, .cols = 80, .rows = 25, .backend = {.output = output, .opaque = c}};
    return virtio_console_create(&c->s.mem, &o, NULL);
}

static void extra(void *opaque, struct virtio_device *dev, uint8_t byte)
{
    struct console_script *c = opaque;
    uint8_t bytes[128];
    memset(bytes, byte, sizeof(bytes));
    if (byte < 128) {
        if (virtio_console_input(dev, bytes, byte) > byte)
            abort();
        return;
    }
    c->room = (byte - 128u) * 40;
    virtio_console_output_ready(dev);
    virtio_console_resize(dev, byte, byte);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virtio_script_hooks hooks = {.extra = extra, .again = make};
    struct console_script c = {.room = 100};
    virtio_script_begin(&c.s, data, size);
    virtio_script_run(&c.s, make(&c), &hooks, &c);
    virtio_script_end(&c.s);
    return 0;
}
