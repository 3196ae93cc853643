/* Back ends that die, come back, or never answer. */
#include "dev/virtio/vhu_device.h"

#include "vhu_device_fixture.h"

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

int main(void)
{
    TAP_RUN(a_disk_goes_on_after_its_back_end_died_idle);
    TAP_RUN(requests_in_flight_in_a_dead_back_end_are_run_by_the_next);
    TAP_RUN(requests_lost_without_record_break_the_device_until_reset);
    TAP_RUN(a_device_paused_over_a_dead_back_end_carries_what_was_in_flight);
    TAP_RUN(a_back_end_that_comes_back_with_less_is_not_taken);
    TAP_RUN(a_connection_can_be_handed_over);
    TAP_RUN(a_back_end_that_does_not_stop_delays_a_pause_by_the_limit_only);
    TAP_RUN(a_silent_peer_makes_creation_fail_in_time);
    TAP_RUN(private_guest_memory_is_refused);
    return tap_done();
}
