/* A NIC whose packets go through DPDK's testpmd, driven by the test's own virtio driver: what one
 * NIC sends, testpmd forwards to the other. */
#include "dev/virtio/vhu_net.h"

#include <errno.h>
#include <linux/virtio_net.h>

#include "io/iothread.h"
#include "tap.h"
#include "vhu_process.h"
#include "virtio_driver.h"

#define NICS   2
#define FRAMES 200

static const char *program;
static pid_t testpmd;

static struct nic {
    struct iothread *thread;
    struct guest_mem mem;
    struct virtio_device *dev;
    struct vdrv drv;
    char sock[128];
} nics[NICS];

static struct err err;

/* testpmd is the server of both sockets and forwards between its two ports. */
static pid_t start_testpmd(void)
{
    char vdev[NICS][256], prefix[64];
    for (int i = 0; i < NICS; i++)
        snprintf(vdev[i], sizeof(vdev[i]), "net_vhost%d,iface=%s,queues=1", i, nics[i].sock);
    snprintf(prefix, sizeof(prefix), "--file-prefix=virga%d", (int)getpid());
    char *argv[] = {(char *)program,
                    "--no-huge",
                    "-m",
                    "512",
                    "--no-pci",
                    "-l",
                    "0,1",
                    prefix,
                    "--vdev",
                    vdev[0],
                    "--vdev",
                    vdev[1],
                    "--",
                    "--no-numa",
                    "--total-num-mbufs=8192",
                    "--auto-start",
                    "--forward-mode=io",
                    "--stats-period=600",
                    NULL};
    return process_start(argv, process_path("testpmd.log"));
}

static int connect_again(void *opaque, struct err *e)
{
    return vhu_socket_connect(opaque, e);
}

/* Frames are 2 to a page: header and packet in one buffer. */
static void post_receive_buffers(struct nic *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        void *host;
        struct vdrv_buf b = {vdrv_alloc(&n->drv, 2048, &host), 2048};
        if (vdrv_add(&n->drv, 0, &b, 0, 1, (uintptr_t)host) < 0)
            abort();
    }
    vdrv_kick(&n->drv, 0);
}

static bool open_nic(unsigned i)
{
    struct nic *n = &nics[i];
    struct vhu_connector connector = {connect_again, n->sock};
    int fd = process_connect(n->sock, testpmd);
    n->thread = iothread_create("vhu", NULL, &err);
    if (fd < 0 || !n->thread || guest_mem_init(&n->mem, 16 * MIB, GUEST_MEM_SHARED, &err))
        return false;
    struct vhu_device_options o = {
        .loop = iothread_loop(n->thread), .fd = fd, .connector = &connector};
    struct vhu_net_options net = {.mac = {2, 0, 0, 0, 0, (uint8_t)i}, .n_pairs = 1};
    n->dev = vhu_net_create(&n->mem, &net, &o, &err);
    if (!n->dev || !vdrv_open(&n->drv, &n->mem, n->dev, 0))
        return false;
    post_receive_buffers(n, 128);
    return true;
}

static bool begin(void)
{
    process_make_dir();
    memset(nics, 0, sizeof(nics));
    for (int i = 0; i < NICS; i++)
        snprintf(nics[i].sock, sizeof(nics[i].sock), "%s/net%d.sock", process_dir, i);
    testpmd = start_testpmd();
    bool ok = open_nic(0) && open_nic(1);
    if (!ok)
        printf("# %s\n", err.msg);
    return ok;
}

static void end(void)
{
    for (int i = 0; i < NICS; i++) {
        if (nics[i].drv.dev)
            vdrv_close(&nics[i].drv);
        iothread_destroy(nics[i].thread);
        guest_mem_fini(&nics[i].mem);
    }
    process_kill(&testpmd);
    process_remove_dir();
}

static void make_frame(uint8_t *p, unsigned from, unsigned number, unsigned len)
{
    memset(p, 0xff, 6);
    memcpy(p + 6, (const uint8_t[]){2, 0, 0, 0, 0, (uint8_t)from, 0x88, 0xb5}, 8);
    le32_write(p + 14, number);
    for (unsigned i = 18; i < len; i++)
        p[i] = (uint8_t)(number + i);
}

static void send_frame(struct nic *n, unsigned from, unsigned number, unsigned len)
{
    void *host;
    struct vdrv_buf b = {vdrv_alloc(&n->drv, 12 + len, &host), 12 + len};
    make_frame((uint8_t *)host + 12, from, number, len);
    if (vdrv_add(&n->drv, 1, &b, 1, 0, 0) < 0)
        abort();
    vdrv_kick(&n->drv, 1);
    uintptr_t cookie;
    uint32_t used;
    if (!vdrv_wait_used(&n->drv, 1, NULL, 5000, &cookie, &used))
        printf("# frame %u was not taken\n", number);
}

/* Frames may be lost while testpmd still sets its ports up, so a first one is sent until it
 * arrives. Returns its number or -1. */
static int receive(struct nic *n, int timeout_ms, uint32_t *len)
{
    uintptr_t host;
    if (!vdrv_wait_used(&n->drv, 0, NULL, timeout_ms, &host, len))
        return -1;
    uint8_t *p = (uint8_t *)host;
    int number = (int)le32_read(p + 12 + 14);
    uint8_t expect[2048];
    make_frame(expect, p[12 + 11], (unsigned)number, *len - 12);
    if (memcmp(p + 12, expect, *len - 12))
        number = -2;
    post_receive_buffers(n, 1);
    return number;
}

static bool first_frame_passes(unsigned from)
{
    uint32_t len;
    for (int i = 0; i < 100; i++) {
        send_frame(&nics[from], from, 999999, 60);
        if (receive(&nics[!from], 100, &len) == 999999) {
            while (receive(&nics[!from], 200, &len) >= 0)
                ;
            return true;
        }
    }
    return false;
}

static void frames_pass(unsigned from)
{
    unsigned good = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        uint32_t len = 0;
        send_frame(&nics[from], from, i, 60 + i * 7);
        int number = receive(&nics[!from], 5000, &len);
        good += number == (int)i && len == 12 + 60 + i * 7;
    }
    CHECK_EQ(good, FRAMES);
}

static void frames_pass_through_testpmd_both_ways(void)
{
    if (!begin() || !first_frame_passes(0)) {
        process_show(process_path("testpmd.log"));
        CHECK(!"no frame passed testpmd");
        end();
        return;
    }
    frames_pass(0);
    frames_pass(1);
    CHECK(nics[0].dev->features & (UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF));
    end();
}

static void frames_pass_again_after_pause_reset_and_a_new_testpmd(void)
{
    struct nic *n = &nics[0];
    uint16_t status = 0;
    if (!begin() || !first_frame_passes(0)) {
        CHECK(!"no frame passed testpmd");
        end();
        return;
    }
    virtio_device_pause(n->dev);
    virtio_device_resume(n->dev);
    CHECK(first_frame_passes(0));
    CHECK(first_frame_passes(1));

    vdrv_reset(&n->drv);
    n->drv.next_gpa = 0x10000;
    REQUIRE(vdrv_negotiate(&n->drv, 0));
    vdrv_setup_queues(&n->drv);
    vdrv_driver_ok(&n->drv);
    post_receive_buffers(n, 128);
    CHECK(first_frame_passes(0));
    CHECK(first_frame_passes(1));

    process_kill(&testpmd);
    for (int ms = 0; ms < 5000; ms++, usleep(1000)) {
        virtio_transport_config_read(n->dev, 6, &status, 2);
        if (!status)
            break;
    }
    CHECK_EQ(status, 0); /* the link is down */
    for (int i = 0; i < NICS; i++)
        unlink(nics[i].sock);
    testpmd = start_testpmd();
    CHECK(first_frame_passes(0));
    CHECK(first_frame_passes(1));
    virtio_transport_config_read(n->dev, 6, &status, 2);
    CHECK_EQ(status, VIRTIO_NET_S_LINK_UP);
    end();
}

int main(void)
{
    program = process_find("dpdk-testpmd");
    if (!program) {
        printf("1..0 # SKIP dpdk-testpmd (dpdk-dev) is not installed\n");
        return 0;
    }
    TAP_RUN(frames_pass_through_testpmd_both_ways);
    TAP_RUN(frames_pass_again_after_pause_reset_and_a_new_testpmd);
    return tap_done();
}
