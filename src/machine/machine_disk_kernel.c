/* The guest's own kernel, from its disk: found in the thread that serves the disk, read straight
 * into guest RAM. At a boot no vCPU runs yet, at a reset none runs and no request is in flight, so
 * the disk is as the guest left it, and a kernel that it installed is the one that starts. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "boot/disk_kernel.h"
#include "dev/virtio/virtio_blk.h"
#include "machine/machine_internal.h"

static int read_disk(void *ctx, uint64_t offset, void *buf, size_t bytes)
{
    struct machine_device *d = ctx;
    return virtio_blk_read(d->dev, offset, buf, bytes);
}

/* A call into the disk's thread: hundreds of small reads are made there in one go. */
struct disk_call {
    struct machine_device *d;
    struct disk_kernel *kernel;
    const char *append;
    bool initrd; /* which of the two files is read */
    uint64_t offset, bytes;
    void *buf;
    struct err *err;
    int ret;
};

static void find_in_loop(void *arg)
{
    struct disk_call *c = arg;
    struct disk_reader disk = {
        .read = read_disk, .ctx = c->d, .size_bytes = virtio_blk_size_bytes(c->d->dev)};
    c->ret = disk_kernel_find(&disk, c->append, &c->kernel, c->err);
}

static void read_in_loop(void *arg)
{
    struct disk_call *c = arg;
    c->ret = c->initrd ? disk_kernel_read_initrd(c->kernel, c->offset, c->buf, c->bytes, c->err)
                       : disk_kernel_read(c->kernel, c->offset, c->buf, c->bytes, c->err);
}

static void run(struct disk_call *c, void (*fn)(void *arg))
{
    struct machine *m = c->d->machine;
    struct iothread *t =
        c->d->n_threads ? c->d->threads[0] : m->shared_threads[MACHINE_THREAD_DISKS];
    loop_call(iothread_loop(t), fn, c);
}

static int read_file(const struct disk_call *about, bool initrd, uint64_t offset, void *buf,
                     uint64_t bytes, struct err *err)
{
    struct disk_call c = *about;
    c.initrd = initrd;
    c.offset = offset;
    c.buf = buf;
    c.bytes = bytes;
    c.err = err;
    run(&c, read_in_loop);
    return c.ret;
}

static int read_kernel(void *opaque, uint64_t offset, void *buf, uint64_t bytes, struct err *err)
{
    return read_file(opaque, false, offset, buf, bytes, err);
}

static int read_initrd(void *opaque, uint64_t offset, void *buf, uint64_t bytes, struct err *err)
{
    return read_file(opaque, true, offset, buf, bytes, err);
}

/* Finds a kernel on the first disk that has one, in the order of the config: that of the devices
 * changes when one is detached. */
static int find(struct machine *m, struct disk_call *c, struct err *err)
{
    struct err first = {0};
    for (unsigned i = 0; i < m->config->n_disks; i++) {
        struct machine_device *d = machine_device_find(m, m->config->disks[i].id);
        struct err why = {0};
        if (!d || strcmp(d->kind, "disk") != 0)
            continue;
        *c = (struct disk_call){.d = d, .append = m->config->append, .err = &why};
        if (d->remote)
            c->ret = err_set(&why, ENOTSUP,
                             "another process serves it (vhost-user), which is not "
                             "asked for a kernel");
        else
            run(c, find_in_loop);
        if (!c->ret)
            return 0;
        err_wrap(&why, "disk '%s'", d->id);
        if (!first.code)
            first = why;
    }
    return err_set(err, first.code ? first.code : ENOENT,
                   "no kernel given and none to boot on a disk: %s; use --kernel (and --initrd) "
                   "with files of the host",
                   first.code ? first.msg : "the VM has no disk");
}

int machine_disk_kernel_load(struct machine *m, struct boot_config *config, struct err *err)
{
    struct disk_call c;
    int64_t begin_ns = clock_now_ns();
    int ret = find(m, &c, err);
    if (ret)
        return ret;
    m->boot_search_ns = clock_now_ns() - begin_ns;
    struct boot_source kernel = {disk_kernel_bytes(c.kernel), read_kernel, &c};
    struct boot_source initrd = {disk_kernel_initrd_bytes(c.kernel), read_initrd, &c};
    config->kernel_fd = config->initrd_fd = -1;
    config->kernel = &kernel;
    config->kernel_name = disk_kernel_name(c.kernel);
    config->initrd = initrd.size_bytes ? &initrd : NULL;
    config->initrd_name = "beside it";
    config->cmdline = disk_kernel_cmdline(c.kernel);
    ret = boot_load(&m->mem, config, &m->boot, err);
    if (ret)
        err_wrap(err, "disk '%s'", c.d->id);
    else
        log_line(LOG_INFO, "machine",
                 "the guest's own kernel: disk=%s kernel=\"%s\" chosen_by=\"%s\" search_us=%lld",
                 c.d->id, disk_kernel_name(c.kernel), disk_kernel_origin(c.kernel),
                 (long long)m->boot_search_ns / 1000);
    disk_kernel_destroy(c.kernel);
    return ret;
}
