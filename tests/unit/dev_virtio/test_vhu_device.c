/* Devices served by another process, over the tests' own back end: a disk in memory. */
#include "dev/virtio/vhu_device.h"

#include <linux/virtio_net.h>

#include "dev/virtio/fs.h"
#include "dev/virtio/vhu_net.h"
#include "vhu_device_fixture.h"

/* ---- disks ---- */

static void a_disk_shows_what_its_back_end_says_and_serves_it(void)
{
    uint64_t capacity;
    uint16_t queues;
    begin_disk(VHU_BACKEND_DEMAND_SEALS);
    virtio_transport_config_read(dev, 0, &capacity, 8);
    CHECK_EQ(capacity, RAMDISK_BYTES / 512);
    virtio_transport_config_read(dev, 34, &queues, 2);
    CHECK_EQ(queues, 2);
    CHECK_EQ(dev->n_queues, 2);
    CHECK(!(virtio_transport_features(dev) & VIRTIO_F_PACKED));
    CHECK(read_works(0));
    CHECK(read_works(1));
    wait_for(&drv.interrupts[0], 1);
    CHECK(atomic_load(&drv.interrupts[0]) > 0);
    end();
}

static void writing_the_cache_mode_reaches_the_back_end(void)
{
    uint8_t wce = 1;
    begin_disk(0);
    virtio_transport_config_write(dev, offsetof(struct virtio_blk_config, wce), &wce, 1);
    virtio_transport_config_write(dev, 0, &wce, 1); /* ignored: read-only */
    wait_for(&disk.n_config_writes, 1);
    CHECK_EQ(disk.config[32], 1);
    CHECK_EQ(le64_read(disk.config), RAMDISK_BYTES / 512);
    end();
}

static void a_grown_disk_is_announced(void)
{
    uint64_t capacity;
    begin_disk(0);
    CHECK(read_works(0));
    le64_write(disk.config, 4096);
    loop_call(iothread_loop(disk.thread), ramdisk_config_changed_in_loop, &disk);
    wait_for(&drv.config_interrupts, 1);
    CHECK_EQ(atomic_load(&drv.config_interrupts), 1);
    virtio_transport_config_read(dev, 0, &capacity, 8);
    CHECK_EQ(capacity, 4096);
    end();
}

static void pausing_takes_the_rings_back_and_resuming_goes_on(void)
{
    begin_disk(0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(read_works(0));
        virtio_device_pause(dev);
        CHECK_EQ(virtq_get_base(&dev->queues[0].vq), i * 2 + 1);
        unsigned done = atomic_load(&disk.n_done);
        uint8_t *status = add_read(0, 0, 7); /* waits for the resume */
        CHECK_EQ(atomic_load(&disk.n_done), done);
        uintptr_t n;
        uint32_t len;
        virtio_device_resume(dev);
        CHECK(vdrv_wait_used(&drv, 0, NULL, 5000, &n, &len));
        CHECK_EQ(*status, 0);
    }
    end();
}

static void a_reset_device_can_be_used_again(void)
{
    begin_disk(VHU_BACKEND_INFLIGHT);
    CHECK(read_works(0));
    for (int i = 0; i < 3; i++) {
        vdrv_reset(&drv);
        CHECK(!dev->active);
        drv.next_gpa = 0x10000;
        REQUIRE(vdrv_negotiate(&drv, 0));
        vdrv_setup_queues(&drv);
        vdrv_driver_ok(&drv);
        CHECK(read_works(0));
        CHECK(read_works(1));
    }
    end();
}

static void state_travels_to_a_device_on_another_back_end(void)
{
    struct state_writer w;
    struct state_reader r;
    begin_disk(VHU_BACKEND_INFLIGHT);
    CHECK(read_works(0));
    CHECK(read_works(0));
    CHECK(read_works(1));
    virtio_device_pause(dev);
    state_writer_init(&w);
    state_begin(&w, "t", 0, 1);
    virtio_transport_save(dev, &w);
    state_end(&w);
    REQUIRE(w.error == 0);
    virtio_device_destroy(dev);
    wait_for(&disk.n_closed, 1);
    struct vhu_device_options o = options(0);
    REQUIRE((dev = vhu_blk_create(&mem, 2, &o, &err)));
    drv.dev = dev;
    static const struct virtio_transport_ops ops = {.interrupt = vdrv_on_interrupt,
                                                    .config_interrupt = vdrv_on_config};
    REQUIRE(virtio_transport_attach(dev, &ops, &drv, &err) == 0);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "t", 0, 1), 1);
    CHECK_EQ(virtio_transport_load(dev, &r), 0);
    CHECK_EQ(state_close(&r), 0);
    virtio_device_resume(dev);
    CHECK(read_works(0));
    CHECK(read_works(1));
    state_writer_fini(&w);
    end();
}

/* ---- dirty log ---- */

static bool dirty(uint64_t gpa)
{
    uint64_t bits[4 * MIB / 4096 / 64] = {0};
    guest_mem_dirty_take(&mem, 0, bits);
    return bits[gpa / 4096 / 64] >> (gpa / 4096 % 64) & 1;
}

static void what_the_other_process_writes_is_known(void)
{
    begin_disk(VHU_BACKEND_DEMAND_SEALS | VHU_BACKEND_INFLIGHT);
    CHECK(read_works(0));
    REQUIRE(guest_mem_dirty_start(&mem, &err) == 0);
    REQUIRE(virtio_device_log_start(dev, &err) == 0);
    drv.next_gpa = 0x200000;
    CHECK(read_works(0));
    virtio_device_log_sync(dev);
    CHECK(dirty(0x200000));
    CHECK(!dirty(0x200000));
    drv.next_gpa = 0x300000;
    ramdisk_kill(&disk); /* its successor is told to log, too */
    CHECK(read_works(0));
    virtio_device_log_sync(dev);
    CHECK(dirty(0x300000));
    virtio_device_log_stop(dev);
    CHECK(read_works(0));
    guest_mem_dirty_stop(&mem);
    end();
}

/* ---- NICs and shares over the same back end: only what the monitor itself adds ---- */

static bool begin_net(unsigned pairs, unsigned flags)
{
    begin(0);
    disk.features |= UINT64_C(1) << VIRTIO_NET_F_MQ;
    struct vhu_device_options o = options(0);
    struct vhu_net_options n = {.mac = {2, 0, 0, 0, 0, 7}, .n_pairs = pairs, .mtu = 9000};
    dev = vhu_net_create(&mem, &n, &o, &err);
    return dev && vdrv_open(&drv, &mem, dev, flags);
}

static void a_nic_has_our_address_and_its_link_follows_the_back_end(void)
{
    struct virtio_net_config c;
    REQUIRE(begin_net(1, 0));
    virtio_transport_config_read(dev, 0, &c, sizeof(c));
    CHECK_EQ(c.mac[0], 2);
    CHECK_EQ(c.mac[5], 7);
    CHECK_EQ(c.status, VIRTIO_NET_S_LINK_UP);
    CHECK_EQ(c.mtu, 9000);
    CHECK_EQ(dev->n_queues, 2);
    atomic_store(&refuse_connects, true);
    wait_for(&disk.n_starts, 2);
    ramdisk_kill(&disk);
    wait_for(&drv.config_interrupts, 1);
    virtio_transport_config_read(dev, 0, &c, sizeof(c));
    CHECK_EQ(c.status, 0);
    atomic_store(&refuse_connects, false);
    wait_for(&drv.config_interrupts, 2);
    virtio_transport_config_read(dev, 0, &c, sizeof(c));
    CHECK_EQ(c.status, VIRTIO_NET_S_LINK_UP);
    vhu_net_set_link(dev, false);
    virtio_transport_config_read(dev, 0, &c, sizeof(c));
    CHECK_EQ(c.status, 0);
    CHECK(!virtio_device_is_broken(dev));
    end();
}

static void the_driver_chooses_how_many_queue_pairs_run(void)
{
    struct virtio_net_config c;
    uint8_t ack = 0xff;
    REQUIRE(begin_net(2, 0));
    virtio_transport_config_read(dev, 0, &c, sizeof(c));
    CHECK_EQ(c.max_virtqueue_pairs, 2);
    REQUIRE(dev->n_queues == 5);
    wait_for(&disk.n_starts, 2);
    CHECK_EQ(atomic_load(&disk.n_starts), 2);
    const uint8_t two[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};
    CHECK_EQ(vdrv_request(&drv, 4, NULL, two, 4, &ack, 1), 1);
    CHECK_EQ(ack, VIRTIO_NET_OK);
    wait_for(&disk.n_starts, 4);
    CHECK_EQ(atomic_load(&disk.n_starts), 4);
    const uint8_t three[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 3, 0};
    CHECK_EQ(vdrv_request(&drv, 4, NULL, three, 4, &ack, 1), 1);
    CHECK_EQ(ack, VIRTIO_NET_ERR);
    CHECK_EQ(vdrv_request(&drv, 4, NULL, two, 3, &ack, 1), 1);
    CHECK_EQ(ack, VIRTIO_NET_ERR);
    /* All pairs are on again after the back end was replaced, and after a pause. */
    ramdisk_kill(&disk);
    wait_for(&disk.n_starts, 8);
    CHECK_EQ(atomic_load(&disk.n_starts), 8);
    virtio_device_pause(dev);
    virtio_device_resume(dev);
    wait_for(&disk.n_starts, 12);
    CHECK_EQ(atomic_load(&disk.n_starts), 12);
    end();
}

static void a_driver_without_multi_queue_finds_the_control_queue_at_two(void)
{
    uint8_t ack = 0xff;
    REQUIRE(begin_net(2, VDRV_NO_START));
    vdrv_reset(&drv);
    drv.next_gpa = 0x10000;
    REQUIRE(vdrv_negotiate(&drv, UINT64_C(1) << VIRTIO_NET_F_MQ));
    vdrv_setup_queues(&drv);
    vdrv_driver_ok(&drv);
    const uint8_t rx[] = {VIRTIO_NET_CTRL_RX, 0, 1};
    CHECK_EQ(vdrv_request(&drv, 2, NULL, rx, 3, &ack, 1), 1);
    CHECK_EQ(ack, VIRTIO_NET_ERR);
    wait_for(&disk.n_starts, 2);
    CHECK_EQ(atomic_load(&disk.n_starts), 2);
    end();
}

static void a_share_shows_its_tag_and_breaks_with_its_server(void)
{
    uint8_t c[40];
    begin(0);
    struct vhu_device_options o = options(0);
    CHECK(!fs_create(&mem, "", &o, &err));
    wait_for(&disk.n_closed, 1);
    o = options(0);
    REQUIRE((dev = fs_create(&mem, "home", &o, &err)));
    REQUIRE(vdrv_open(&drv, &mem, dev, 0));
    virtio_transport_config_read(dev, 0, c, sizeof(c));
    CHECK(!memcmp(c, "home\0\0", 6));
    CHECK_EQ(le32_read(c + 36), 1);
    CHECK_EQ(dev->n_queues, 2);
    wait_for(&disk.n_starts, 2);
    ramdisk_kill(&disk);
    CHECK(wait_broken());
    end();
}

int main(void)
{
    TAP_RUN(a_disk_shows_what_its_back_end_says_and_serves_it);
    TAP_RUN(writing_the_cache_mode_reaches_the_back_end);
    TAP_RUN(a_grown_disk_is_announced);
    TAP_RUN(pausing_takes_the_rings_back_and_resuming_goes_on);
    TAP_RUN(a_reset_device_can_be_used_again);
    TAP_RUN(state_travels_to_a_device_on_another_back_end);
    TAP_RUN(what_the_other_process_writes_is_known);
    TAP_RUN(a_nic_has_our_address_and_its_link_follows_the_back_end);
    TAP_RUN(the_driver_chooses_how_many_queue_pairs_run);
    TAP_RUN(a_driver_without_multi_queue_finds_the_control_queue_at_two);
    TAP_RUN(a_share_shows_its_tag_and_breaks_with_its_server);
    return tap_done();
}
