/* Devices served by another process, over the tests' own back end: a disk in memory. */
#include "dev/virtio/vhu_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>

#include "dev/virtio/fs.h"
#include "dev/virtio/vhu_blk.h"
#include "dev/virtio/vhu_net.h"
#include "tap.h"
#include "vhu_ramdisk.h"
#include "virtio_driver.h"

static struct ramdisk disk;
static struct guest_mem mem;
static struct iothread *thread;
static struct virtio_device *dev;
static struct vdrv drv;
static struct err err;
static _Atomic unsigned n_connects;
static _Atomic bool refuse_connects;

static int connect_again(void *opaque, struct err *e)
{
    if (atomic_load(&refuse_connects) || atomic_load(&disk.alive))
        return -EAGAIN;
    atomic_fetch_add(&n_connects, 1);
    return ramdisk_connect(opaque);
}

static const struct vhu_connector connector = {connect_again, &disk};

static void begin(unsigned flags)
{
    ramdisk_init(&disk, flags);
    thread = iothread_create("vhu", NULL, &err);
    if (!thread || guest_mem_init(&mem, 4 * MIB, GUEST_MEM_SHARED, &err))
        abort();
    atomic_store(&n_connects, 0);
    atomic_store(&refuse_connects, false);
}

static struct vhu_device_options options(unsigned timeout_ms)
{
    return (struct vhu_device_options){.loop = iothread_loop(thread),
                                       .fd = ramdisk_connect(&disk),
                                       .connector = &connector,
                                       .timeout_ms = timeout_ms};
}

static void begin_disk(unsigned flags)
{
    begin(flags);
    struct vhu_device_options o = options(0);
    dev = vhu_blk_create(&mem, 2, &o, &err);
    if (!dev || !vdrv_open(&drv, &mem, dev, VDRV_INDIRECT))
        abort();
}

static void end(void)
{
    vdrv_close(&drv);
    iothread_destroy(thread);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
}

static void *last_data;

/* Adds a read of one sector; its status byte is returned. */
static uint8_t *add_read(unsigned queue, uint64_t sector, uintptr_t n)
{
    void *hdr, *status;
    struct vdrv_buf bufs[3] = {{vdrv_alloc(&drv, 16, &hdr), 16},
                               {vdrv_alloc(&drv, 512, &last_data), 512},
                               {vdrv_alloc(&drv, 1, &status), 1}};
    *(struct virtio_blk_outhdr *)hdr =
        (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = sector};
    *(uint8_t *)status = 0xff;
    if (vdrv_add(&drv, queue, bufs, 1, 2, n) < 0)
        abort();
    vdrv_kick(&drv, queue);
    return status;
}

static bool read_works(unsigned queue)
{
    uintptr_t n;
    uint32_t len;
    uint8_t *status = add_read(queue, 1, 42);
    return vdrv_wait_used(&drv, queue, NULL, 5000, &n, &len) && n == 42 && *status == 0 &&
           len == 513 && ((uint8_t *)last_data)[511] == 0x5a;
}

static void wait_for(_Atomic unsigned *n, unsigned value)
{
    for (int ms = 0; ms < 5000 && atomic_load(n) < value; ms++)
        usleep(1000);
}

static bool wait_broken(void)
{
    for (int ms = 0; ms < 5000 && !virtio_device_is_broken(dev); ms++)
        usleep(1000);
    return virtio_device_is_broken(dev);
}

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

/* ---- death of the back end ---- */

static void a_disk_goes_on_after_its_back_end_died_idle(void)
{
    begin_disk(0);
    for (unsigned i = 1; i <= 3; i++) {
        CHECK(read_works(0));
        ramdisk_kill(&disk);
        wait_for(&n_connects, i);
        CHECK(read_works(0));
        CHECK(read_works(1));
        CHECK(!virtio_device_is_broken(dev));
    }
    end();
}

static void requests_in_flight_in_a_dead_back_end_are_run_by_the_next(void)
{
    bool seen[8] = {false};
    uint8_t *status[8];
    uintptr_t n;
    uint32_t len;
    begin_disk(VHU_BACKEND_INFLIGHT);
    CHECK(read_works(0));
    atomic_store(&disk.hold, true);
    atomic_store(&refuse_connects, true);
    for (unsigned i = 0; i < 6; i++)
        status[i] = add_read(0, i, i);
    wait_for(&disk.n_held, 6);
    REQUIRE(atomic_load(&disk.n_held) == 6);
    loop_call(iothread_loop(disk.thread), ramdisk_release_newest_in_loop, &disk);
    ramdisk_kill(&disk);
    status[6] = add_read(0, 0, 6); /* comes while nobody serves it */
    atomic_store(&disk.hold, false);
    atomic_store(&refuse_connects, false);
    for (unsigned i = 0; i < 7; i++) {
        REQUIRE(vdrv_wait_used(&drv, 0, NULL, 5000, &n, &len));
        CHECK(n < 7 && !seen[n]);
        seen[n] = true;
        CHECK_EQ(*status[n], 0);
    }
    CHECK_EQ(atomic_load(&disk.n_done), 8);
    CHECK(read_works(0));
    end();
}

static void requests_lost_without_record_break_the_device_until_reset(void)
{
    begin_disk(0);
    CHECK(read_works(0));
    atomic_store(&disk.hold, true);
    add_read(0, 0, 1);
    wait_for(&disk.n_held, 1);
    ramdisk_kill(&disk);
    CHECK(wait_broken());
    atomic_store(&disk.hold, false);
    wait_for(&n_connects, 1);
    vdrv_reset(&drv);
    drv.next_gpa = 0x10000;
    REQUIRE(vdrv_negotiate(&drv, 0));
    vdrv_setup_queues(&drv);
    vdrv_driver_ok(&drv);
    CHECK(read_works(0));
    end();
}

static void a_device_paused_over_a_dead_back_end_carries_what_was_in_flight(void)
{
    struct state_writer w;
    struct state_reader r;
    uintptr_t n;
    uint32_t len;
    begin_disk(VHU_BACKEND_INFLIGHT);
    CHECK(read_works(0));
    atomic_store(&disk.hold, true);
    atomic_store(&refuse_connects, true);
    uint8_t *status = add_read(0, 0, 5);
    wait_for(&disk.n_held, 1);
    ramdisk_kill(&disk);
    virtio_device_pause(dev);
    state_writer_init(&w);
    state_begin(&w, "t", 0, 1);
    virtio_transport_save(dev, &w);
    state_end(&w);
    REQUIRE(w.error == 0);
    virtio_device_destroy(dev);
    atomic_store(&disk.hold, false);
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
    REQUIRE(vdrv_wait_used(&drv, 0, NULL, 5000, &n, &len));
    CHECK_EQ(n, 5);
    CHECK_EQ(*status, 0);
    CHECK(read_works(0));
    state_writer_fini(&w);
    end();
}

static void a_back_end_that_comes_back_with_less_is_not_taken(void)
{
    begin_disk(0);
    CHECK(read_works(0));
    disk.features &= ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH);
    ramdisk_kill(&disk);
    wait_for(&n_connects, 2);
    CHECK(atomic_load(&n_connects) >= 2);
    disk.features |= UINT64_C(1) << VIRTIO_BLK_F_FLUSH;
    CHECK(read_works(0));
    end();
}

static void a_connection_can_be_handed_over(void)
{
    struct ramdisk *other = malloc(sizeof(*other));
    begin_disk(0);
    CHECK(read_works(0));
    unsigned done = atomic_load(&disk.n_done);
    ramdisk_init(other, 0);
    CHECK_EQ(vhu_device_reconnect(dev, ramdisk_connect(other), &err), 0);
    CHECK(read_works(0));
    CHECK_EQ(atomic_load(&disk.n_done), done);
    CHECK_EQ(atomic_load(&other->n_done), 1);
    end();
    ramdisk_fini(other);
    free(other);
}

static void a_back_end_that_does_not_stop_delays_a_pause_by_the_limit_only(void)
{
    begin(VHU_BACKEND_INFLIGHT);
    struct vhu_device_options o = options(50);
    REQUIRE((dev = vhu_blk_create(&mem, 1, &o, &err)));
    REQUIRE(vdrv_open(&drv, &mem, dev, 0));
    CHECK(read_works(0));
    atomic_store(&disk.hold, true);
    atomic_store(&refuse_connects, true);
    add_read(0, 0, 1);
    wait_for(&disk.n_held, 1);
    int64_t before = loop_now_ns(iothread_loop(thread));
    virtio_device_pause(dev);
    int64_t took = loop_now_ns(iothread_loop(thread)) - before;
    CHECK(took >= 50 * 1000000 && took < INT64_C(2000) * 1000000);
    ramdisk_release(&disk);
    wait_for(&disk.n_closed, 1);
    end();
}

static void a_silent_peer_makes_creation_fail_in_time(void)
{
    int pair[2];
    begin(0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    struct vhu_device_options o = {.loop = iothread_loop(thread), .fd = pair[0], .timeout_ms = 30};
    CHECK(!vhu_blk_create(&mem, 1, &o, &err));
    CHECK_EQ(err.code, ETIMEDOUT);
    CHECK_EQ(fcntl(pair[0], F_GETFD), -1); /* taken and closed */
    close(pair[1]);
    iothread_destroy(thread);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
}

static void private_guest_memory_is_refused(void)
{
    struct guest_mem private_mem;
    begin(0);
    REQUIRE(guest_mem_init(&private_mem, 1 * MIB, 0, &err) == 0);
    struct vhu_device_options o = options(0);
    CHECK(!vhu_blk_create(&private_mem, 1, &o, &err));
    CHECK(strstr(err.msg, "needs shared guest memory"));
    guest_mem_fini(&private_mem);
    iothread_destroy(thread);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
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
    REQUIRE(dev->ops->log_start(dev, &err) == 0);
    drv.next_gpa = 0x200000;
    CHECK(read_works(0));
    dev->ops->log_sync(dev);
    CHECK(dirty(0x200000));
    CHECK(!dirty(0x200000));
    drv.next_gpa = 0x300000;
    ramdisk_kill(&disk); /* its successor is told to log, too */
    CHECK(read_works(0));
    dev->ops->log_sync(dev);
    CHECK(dirty(0x300000));
    dev->ops->log_stop(dev);
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
    TAP_RUN(a_disk_goes_on_after_its_back_end_died_idle);
    TAP_RUN(requests_in_flight_in_a_dead_back_end_are_run_by_the_next);
    TAP_RUN(requests_lost_without_record_break_the_device_until_reset);
    TAP_RUN(a_device_paused_over_a_dead_back_end_carries_what_was_in_flight);
    TAP_RUN(a_back_end_that_comes_back_with_less_is_not_taken);
    TAP_RUN(a_connection_can_be_handed_over);
    TAP_RUN(a_back_end_that_does_not_stop_delays_a_pause_by_the_limit_only);
    TAP_RUN(a_silent_peer_makes_creation_fail_in_time);
    TAP_RUN(private_guest_memory_is_refused);
    TAP_RUN(what_the_other_process_writes_is_known);
    TAP_RUN(a_nic_has_our_address_and_its_link_follows_the_back_end);
    TAP_RUN(the_driver_chooses_how_many_queue_pairs_run);
    TAP_RUN(a_driver_without_multi_queue_finds_the_control_queue_at_two);
    TAP_RUN(a_share_shows_its_tag_and_breaks_with_its_server);
    return tap_done();
}
