/* A disk served by QEMU's storage daemon, driven by the test's own virtio driver. */
#include "dev/virtio/vhu_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>

#include "io/iothread.h"
#include "tap.h"
#include "vhu_process.h"
#include "virtio_driver.h"

#define DISK_BYTES (8 * MIB)
#define BLOCK      4096

static pid_t daemon_pid;
static struct iothread *thread;
static struct guest_mem mem;
static struct virtio_device *dev;
static struct vdrv drv;
static struct err err;
static const char *program;

static pid_t start_daemon(void)
{
    char blockdev[200], export[300];
    snprintf(blockdev, sizeof(blockdev), "driver=file,node-name=disk,filename=%s",
             process_path("disk.raw"));
    snprintf(export, sizeof(export),
             "type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=%s,writable=on,"
             "num-queues=2",
             process_path("blk.sock"));
    char *argv[] = {(char *)program, "--blockdev", blockdev, "--export", export, NULL};
    return process_start(argv, process_path("daemon.log"));
}

/* In the device's thread: the successor of a daemon that was killed. */
static int connect_again(void *opaque, struct err *e)
{
    return vhu_socket_connect(opaque, e);
}

static bool begin(void)
{
    static char sock[128];
    static const struct vhu_connector connector = {connect_again, sock};
    process_make_dir();
    FILE *f = fopen(process_path("disk.raw"), "w");
    if (!f || ftruncate(fileno(f), DISK_BYTES) || fclose(f))
        abort();
    snprintf(sock, sizeof(sock), "%s", process_path("blk.sock"));
    daemon_pid = start_daemon();
    thread = iothread_create("vhu", NULL, &err);
    int fd = process_connect(sock, daemon_pid);
    if (!thread || fd < 0 || guest_mem_init(&mem, 32 * MIB, GUEST_MEM_SHARED, &err))
        return false;
    struct vhu_device_options o = {
        .loop = iothread_loop(thread), .fd = fd, .connector = &connector};
    dev = vhu_blk_create(&mem, 4, &o, &err);
    if (dev && vdrv_open(&drv, &mem, dev, VDRV_INDIRECT))
        return true;
    printf("# %s\n", err.msg);
    return false;
}

static void end(void)
{
    if (drv.dev)
        vdrv_close(&drv);
    iothread_destroy(thread);
    guest_mem_fini(&mem);
    process_kill(&daemon_pid);
    process_remove_dir();
    dev = NULL;
}

struct request {
    uint8_t *data, *status;
};

static struct request add(unsigned queue, uint32_t type, uint64_t sector, uint32_t len,
                          uintptr_t cookie)
{
    struct request r;
    void *hdr, *data = NULL, *status;
    struct vdrv_buf bufs[3];
    unsigned n = 0;
    bool in = type == VIRTIO_BLK_T_IN;
    bufs[n++] = (struct vdrv_buf){vdrv_alloc(&drv, 16, &hdr), 16};
    if (len)
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(&drv, len, &data), len};
    bufs[n++] = (struct vdrv_buf){vdrv_alloc(&drv, 1, &status), 1};
    *(struct virtio_blk_outhdr *)hdr = (struct virtio_blk_outhdr){.type = type, .sector = sector};
    *(uint8_t *)status = 0xff;
    r.data = data;
    r.status = status;
    if (vdrv_add(&drv, queue, bufs, in || !len ? 1 : 2, in ? 2 : 1, cookie) < 0)
        abort();
    return r;
}

static bool wait_one(unsigned queue, uintptr_t *cookie)
{
    uint32_t len;
    return vdrv_wait_used(&drv, queue, NULL, 10000, cookie, &len);
}

static void fill(uint8_t *p, unsigned block)
{
    for (unsigned i = 0; i < BLOCK; i++)
        p[i] = (uint8_t)(block * 31 + i * 7 + (i >> 8));
}

/* Writes 64 blocks on each queue at once. */
static bool write_all(void)
{
    struct request r[2][64];
    uint8_t expect[BLOCK];
    uintptr_t c;
    for (unsigned q = 0; q < 2; q++)
        for (unsigned i = 0; i < 64; i++) {
            r[q][i] = add(q, VIRTIO_BLK_T_OUT, (q * 64 + i) * 8, BLOCK, i);
            fill(r[q][i].data, q * 64 + i);
        }
    for (unsigned q = 0; q < 2; q++)
        vdrv_kick(&drv, q);
    for (unsigned q = 0; q < 2; q++)
        for (unsigned i = 0; i < 64; i++)
            if (!wait_one(q, &c) || *r[q][c].status)
                return false;
    add(0, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
    vdrv_kick(&drv, 0);
    if (!wait_one(0, &c))
        return false;
    FILE *f = fopen(process_path("disk.raw"), "r");
    for (unsigned b = 0; b < 128; b++) {
        uint8_t got[BLOCK];
        fill(expect, b);
        if (fread(got, BLOCK, 1, f) != 1 || memcmp(got, expect, BLOCK))
            return false;
    }
    fclose(f);
    return true;
}

static bool read_all(void)
{
    struct request r[128];
    uint8_t expect[BLOCK];
    uintptr_t c;
    for (unsigned i = 0; i < 128; i++)
        r[i] = add(i % 2, VIRTIO_BLK_T_IN, i * 8, BLOCK, i);
    vdrv_kick(&drv, 0);
    vdrv_kick(&drv, 1);
    for (unsigned i = 0; i < 128; i++) {
        if (!wait_one(i % 2, &c) || *r[c].status)
            return false;
        fill(expect, (unsigned)c);
        if (memcmp(r[c].data, expect, BLOCK))
            return false;
    }
    return true;
}

static void a_disk_of_the_storage_daemon_reads_what_was_written(void)
{
    uint64_t sectors = 0;
    if (!begin()) {
        process_show(process_path("daemon.log"));
        CHECK(!"could not reach the storage daemon");
        end();
        return;
    }
    virtio_transport_config_read(dev, 0, &sectors, 8);
    CHECK_EQ(sectors, DISK_BYTES / 512);
    CHECK_EQ(dev->n_queues, 2);
    CHECK(write_all());
    CHECK(read_all());
    for (int ms = 0; ms < 5000 && !atomic_load(&drv.interrupts[0]); ms++)
        usleep(1000);
    CHECK(atomic_load(&drv.interrupts[0]) > 0);
    end();
}

static void it_goes_on_across_pause_reset_and_death_of_the_daemon(void)
{
    REQUIRE(begin());
    CHECK(write_all());
    for (int i = 0; i < 3; i++) {
        virtio_device_pause(dev);
        virtio_device_resume(dev);
        drv.next_gpa = 16 * MIB;
        CHECK(read_all());
    }
    for (int i = 0; i < 2; i++) {
        vdrv_reset(&drv);
        drv.next_gpa = 0x10000;
        REQUIRE(vdrv_negotiate(&drv, 0));
        vdrv_setup_queues(&drv);
        vdrv_driver_ok(&drv);
        drv.next_gpa = 16 * MIB;
        CHECK(read_all());
        virtio_device_pause(dev); /* so that nothing is in flight when it dies */
        process_kill(&daemon_pid);
        unlink(process_path("blk.sock"));
        daemon_pid = start_daemon();
        virtio_device_resume(dev);
        drv.next_gpa = 16 * MIB;
        CHECK(read_all());
        CHECK(!virtio_device_is_broken(dev));
    }
    end();
}

int main(void)
{
    program = process_find("qemu-storage-daemon");
    if (!program) {
        printf("1..0 # SKIP qemu-storage-daemon (qemu-system-common) is not installed\n");
        return 0;
    }
    TAP_RUN(a_disk_of_the_storage_daemon_reads_what_was_written);
    TAP_RUN(it_goes_on_across_pause_reset_and_death_of_the_daemon);
    return tap_done();
}
