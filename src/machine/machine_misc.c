/* The devices besides disks and NICs: shared directories, random numbers, vsock, balloon, console.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "dev/virtio/fs.h"
#include "dev/virtio/virtio_balloon.h"
#include "dev/virtio/virtio_console.h"
#include "dev/virtio/virtio_rng.h"
#include "dev/virtio/virtio_vsock.h"
#include "machine/machine_internal.h"

#define BALLOON_STATS_INTERVAL_S 5
/* Until somebody says how large the terminal is. A console without a size at first can never be
 * given one. */
#define CONSOLE_COLUMNS 80
#define CONSOLE_ROWS    24

/* Plugs in what a constructor made, or undoes the reservation. */
static int finish(struct machine_device *d, struct virtio_device *dev, struct err *err)
{
    int ret = dev ? machine_device_plug(d, dev, err) : err_wrap(err, "%s '%s'", d->kind, d->id);
    if (ret)
        machine_device_abandon(d);
    return ret;
}

static int add_share(struct machine *m, const struct vm_config_share *c, int *fd, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "share", c->tag, &d, err);
    if (ret)
        return ret;
    struct vhu_device_options options = {.connector = machine_device_connector(d, c->socket)};
    struct virtio_device *dev = NULL;
    d->remote = true;
    options.loop = machine_device_loop(d, MACHINE_THREAD_MISC, true, err);
    if (options.loop) {
        options.fd = steal_fd(fd);
        dev = fs_create(&m->mem, c->tag, &options, err);
    }
    return finish(d, dev, err);
}

static int add_rng(struct machine *m, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "rng", "rng", &d, err);
    if (ret)
        return ret;
    struct virtio_rng_options options = {
        .loop = machine_device_loop(d, MACHINE_THREAD_MISC, false, err)};
    return finish(d, options.loop ? virtio_rng_create(&m->mem, &options, err) : NULL, err);
}

/* ---- vsock ---- */

/* The host's end of port P is the listening socket's path with "_P" behind it. */
static int vsock_connect(void *opaque, uint32_t port, uint64_t ticket)
{
    struct machine *m = opaque;
    const struct machine_callbacks *cb = &m->setup.callbacks;
    char path[256];
    int n = snprintf(path, sizeof(path), "%s_%u", m->config->vsock.path, port);
    if (!cb->connect || n < 0 || (size_t)n >= sizeof(path))
        return -ECONNREFUSED;
    return cb->connect(cb->opaque, path);
}

static int add_vsock(struct machine *m, int *listen_fd, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "vsock", "vsock", &d, err);
    if (ret)
        return ret;
    struct virtio_vsock_options options = {
        .guest_cid = m->config->vsock.cid,
        .loop = machine_device_loop(d, MACHINE_THREAD_MISC, false, err),
        .listen_fd = -1,
        .connector = {.connect = vsock_connect, .opaque = m},
    };
    if (options.loop)
        options.listen_fd = steal_fd(listen_fd);
    return finish(d, options.loop ? virtio_vsock_create(&m->mem, &options, err) : NULL, err);
}

/* ---- balloon ---- */

static int add_balloon(struct machine *m, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "balloon", "balloon", &d, err);
    if (ret)
        return ret;
    struct virtio_balloon_options options = {
        .loop = machine_device_loop(d, MACHINE_THREAD_MISC, false, err),
        .deflate_on_oom = m->config->balloon.deflate_on_oom,
        .reporting = m->config->balloon.free_page_reporting,
        .stats_interval_s = BALLOON_STATS_INTERVAL_S,
    };
    return finish(d, options.loop ? virtio_balloon_create(&m->mem, &options, err) : NULL, err);
}

static struct virtio_device *balloon(struct machine *m, struct err *err)
{
    struct machine_device *d = machine_device_find(m, "balloon");
    if (!d)
        err_set(err, ENOTSUP, "the VM has no balloon: it was configured without");
    return d ? d->dev : NULL;
}

int machine_balloon_get(struct machine *m, struct machine_balloon *b, struct err *err)
{
    struct virtio_device *dev = balloon(m, err);
    if (!dev)
        return -ENOTSUP;
    struct virtio_balloon_stats stats;
    virtio_balloon_stats(dev, &stats);
    *b = (struct machine_balloon){
        .target_bytes = virtio_balloon_target_bytes(dev),
        .actual_bytes = virtio_balloon_actual_bytes(dev),
        .has_stats = stats.updated_ns != 0,
        .free_bytes = stats.value[VIRTIO_BALLOON_STAT_FREE_BYTES],
        .available_bytes = stats.value[VIRTIO_BALLOON_STAT_AVAILABLE_BYTES],
        .total_bytes = stats.value[VIRTIO_BALLOON_STAT_TOTAL_BYTES],
    };
    return 0;
}

int machine_balloon_set(struct machine *m, uint64_t target_bytes, struct err *err)
{
    struct virtio_device *dev = balloon(m, err);
    if (!dev)
        return -ENOTSUP;
    bus_lock(&m->bus);
    int ret = virtio_balloon_set_target(dev, target_bytes, err);
    bus_unlock(&m->bus);
    return ret;
}

/* ---- the virtio console ---- */

static size_t console_output(void *opaque, const void *data, size_t len)
{
    struct machine *m = opaque;
    serial_port_output(m->virtio_console_port, data, len);
    return len;
}

static void console_input_ready(void *opaque)
{
    struct machine *m = opaque;
    serial_port_input_ready(m->virtio_console_port);
}

static size_t console_input(void *opaque, const uint8_t *data, size_t len)
{
    struct machine *m = opaque;
    return m->virtio_console ? virtio_console_input(m->virtio_console, data, len) : 0;
}

struct create_port {
    struct machine *m;
    struct serial_port_config config;
    struct err *err;
};

/* In the loop that the port belongs to. */
static void create_port(void *opaque)
{
    struct create_port *x = opaque;
    x->m->virtio_console_port = serial_port_create(&x->config, x->err);
}

/* In the loop: from now on, input goes to the device. */
static void connect_console(void *opaque)
{
    struct machine *m = opaque;
    m->virtio_console = machine_device_find(m, "console")->dev;
}

/* Port and device are both served by the loop; they refer to each other. */
static struct virtio_device *create_console(struct machine *m, struct machine_console_files *files,
                                            struct loop *loop, struct err *err)
{
    struct create_port port = {.m = m, .err = err};
    port.config = (struct serial_port_config){
        .loop = loop,
        .in_fd = files->in_fd,
        .out_fd = files->out_fd,
        .listen_fd = files->listen_fd,
        .max_bytes = m->config->virtio_console.max_bytes,
        .input = console_input,
        .opaque = m,
    };
    *files = (struct machine_console_files){.in_fd = -1, .out_fd = -1, .listen_fd = -1};
    loop_call(loop, create_port, &port);
    if (!m->virtio_console_port)
        return NULL;
    struct virtio_console_options options = {
        .loop = loop,
        .cols = CONSOLE_COLUMNS,
        .rows = CONSOLE_ROWS,
        .backend = {.output = console_output, .input_ready = console_input_ready, .opaque = m},
    };
    return virtio_console_create(&m->mem, &options, err);
}

static int add_console(struct machine *m, struct machine_console_files *files, struct err *err)
{
    struct machine_device *d;
    int ret = machine_device_reserve(m, "console", "console", &d, err);
    if (ret)
        return ret;
    struct loop *loop = machine_device_loop(d, MACHINE_THREAD_MISC, false, err);
    ret = finish(d, loop ? create_console(m, files, loop, err) : NULL, err);
    if (!ret)
        loop_call(loop, connect_console, m);
    return ret;
}

int machine_console_resize(struct machine *m, uint16_t columns, uint16_t rows, struct err *err)
{
    if (!m->virtio_console)
        return err_set(err, ENOTSUP, "the VM has no virtio console: it was configured without");
    bus_lock(&m->bus);
    virtio_console_resize(m->virtio_console, columns, rows);
    bus_unlock(&m->bus);
    return 0;
}

int machine_misc_add(struct machine *m, struct machine_files *files, struct err *err)
{
    const struct vm_config *c = m->config;
    int ret = 0;
    for (unsigned i = 0; !ret && i < c->n_shares; i++)
        ret = add_share(m, &c->shares[i], &files->share_fds[i], err);
    if (!ret && c->rng)
        ret = add_rng(m, err);
    if (!ret && c->balloon.enabled)
        ret = add_balloon(m, err);
    if (!ret && c->vsock.cid)
        ret = add_vsock(m, &files->vsock_listen_fd, err);
    if (!ret && c->virtio_console.kind != VM_CONFIG_CONSOLE_NONE)
        ret = add_console(m, &files->virtio_console, err);
    return ret;
}
