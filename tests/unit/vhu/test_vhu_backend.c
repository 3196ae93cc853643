/* Front end against back end in one process. */
#include "vhu/vhu_backend.h"

#include "vhu_fixture.h"

static void both_ends_agree_on_what_they_can(void)
{
    uint64_t capacity;
    uint8_t wce = 1;
    begin(VHU_BACKEND_INFLIGHT | VHU_BACKEND_DEMAND_SEALS);
    CHECK_EQ(front.protocol_features, PF);
    CHECK_EQ(front.n_queues_max, RAMDISK_QUEUES);
    CHECK_EQ(front.features & disk.features, disk.features);
    CHECK_EQ(vhu_front_get_config(&front, 0, &capacity, 8, &err), 0);
    CHECK_EQ(le64toh(capacity), RAMDISK_BYTES / 512);
    CHECK_EQ(vhu_front_set_config(&front, 32, &wce, 1, &err), 0);
    CHECK_EQ(disk.config[32], 1);
    CHECK_EQ(vhu_front_set_config(&front, 0, &capacity, 8, &err), -EREMOTEIO);
    CHECK_EQ(vhu_front_get_config(&front, 56, &capacity, 8, &err), -EREMOTEIO);
    /* A refusal leaves the connection usable. */
    CHECK_EQ(vhu_front_get_config(&front, 0, &capacity, 8, &err), 0);
    end();
}

static void requests_go_round_and_the_ring_restarts_where_it_stopped(void)
{
    uintptr_t n;
    uint32_t base = 99;
    begin(VHU_BACKEND_DEMAND_SEALS);
    set_up(0);
    uint64_t data = vdrv_take(&next_gpa, 512);
    uint8_t *p = guest_mem_ptr(&mem, data, 512);
    for (unsigned round = 0; round < 3; round++) {
        memset(p, 0x40 + (int)round, 512);
        uint8_t *status = add(VIRTIO_BLK_T_OUT, 8, data, 512, 2 * round);
        kick();
        REQUIRE(wait_used(&n));
        CHECK_EQ(*status, 0);
        memset(p, 0, 512);
        status = add(VIRTIO_BLK_T_IN, 8, data, 512, 2 * round + 1);
        kick();
        REQUIRE(wait_used(&n));
        CHECK_EQ(*status, 0);
        CHECK_EQ(p[511], 0x40 + round);
        REQUIRE(vhu_front_ring_stop(&front, 1, &base, &err) == 0);
        CHECK_EQ(base, 2 * (round + 1));
        REQUIRE(start(base) == 0);
    }
    uint64_t calls = 0;
    CHECK(read(call_fd, &calls, 8) == 8 && calls > 0);
    end();
}

static void stopping_waits_for_what_is_in_flight(void)
{
    uintptr_t n;
    uint32_t base = 0;
    begin(0);
    set_up(0);
    uint64_t data = vdrv_take(&next_gpa, 512);
    atomic_store(&disk.hold, true);
    add(VIRTIO_BLK_T_IN, 0, data, 512, 1);
    kick();
    wait_for(&disk.n_held, 1);
    REQUIRE(atomic_load(&disk.n_held) == 1);
    vhu_front_deadline(&front, 30);
    CHECK_EQ(vhu_front_ring_stop(&front, 1, &base, &err), -ETIMEDOUT);
    CHECK(strstr(err.msg, "GET_VRING_BASE"));
    CHECK_EQ(atomic_load(&disk.n_stops), 1);
    /* The answer is given at the completion. */
    ramdisk_release(&disk);
    REQUIRE(wait_used(&n));
    struct vhu_rx rx = {0};
    int ret = 0;
    for (int ms = 0; ms < 5000 && !ret; ms++, usleep(1000))
        ret = vhu_rx_read(&rx, front.fd, VHU_TO_FRONTEND, &err);
    CHECK_EQ(ret, 1);
    CHECK_EQ(rx.msg.payload.state.num, 1);
    end();
}

static void a_peer_that_dies_while_requests_run_is_left_after_the_last(void)
{
    begin(0);
    set_up(0);
    uint64_t data = vdrv_take(&next_gpa, 512);
    atomic_store(&disk.hold, true);
    add(VIRTIO_BLK_T_IN, 0, data, 512, 1);
    kick();
    wait_for(&disk.n_held, 1);
    vhu_front_close(&front);
    wait_for(&disk.n_stops, 1);
    CHECK_EQ(atomic_load(&disk.n_stops), 1);
    CHECK_EQ(atomic_load(&disk.n_closed), 0);
    ramdisk_release(&disk);
    wait_for(&disk.n_closed, 1);
    CHECK_EQ(atomic_load(&disk.n_closed), 1);
    CHECK_EQ(disk.why.code, ECONNRESET);
    end();
}

static void a_successor_runs_each_request_in_flight_once(void)
{
    struct vhu_front_inflight in;
    uint8_t *status[6];
    uintptr_t n;
    bool seen[6] = {false};
    begin(VHU_BACKEND_INFLIGHT | VHU_BACKEND_DEMAND_SEALS);
    REQUIRE(vhu_front_get_inflight(&front, RAMDISK_QUEUES, 256, &in, &err) == 0);
    REQUIRE(vhu_front_set_inflight(&front, &in, &err) == 0);
    set_up(0);
    uint64_t data = vdrv_take(&next_gpa, 512);
    atomic_store(&disk.hold, true);
    for (unsigned i = 0; i < 6; i++)
        status[i] = add(VIRTIO_BLK_T_IN, i, data, 512, i);
    kick();
    wait_for(&disk.n_held, 6);
    REQUIRE(atomic_load(&disk.n_held) == 6);
    /* Out of order: the newest two are done, four are not. */
    loop_call(iothread_loop(disk.thread), ramdisk_release_newest_in_loop, &disk);
    loop_call(iothread_loop(disk.thread), ramdisk_release_newest_in_loop, &disk);
    ramdisk_kill(&disk);
    vhu_front_close(&front);
    atomic_store(&disk.hold, false);
    open_front();
    REQUIRE(vhu_front_set_inflight(&front, &in, &err) == 0);
    set_up(0);
    for (unsigned i = 0; i < 6; i++) {
        REQUIRE(wait_used(&n));
        CHECK(n < 6 && !seen[n]);
        seen[n] = true;
        CHECK_EQ(*status[n], 0);
    }
    CHECK_EQ(atomic_load(&disk.n_done), 6);
    /* And it goes on with new ones. */
    add(VIRTIO_BLK_T_IN, 0, data, 512, 7);
    kick();
    REQUIRE(wait_used(&n));
    CHECK_EQ(n, 7);
    close(in.fd);
    end();
}

static void what_the_back_end_writes_is_logged(void)
{
    uintptr_t n;
    begin(VHU_BACKEND_DEMAND_SEALS);
    int log_fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(log_fd >= 0 && ftruncate(log_fd, 4096) == 0);
    CHECK_EQ(vhu_front_set_log(&front, log_fd, 4096, &err), -ECONNRESET); /* not sealed */
    vhu_front_close(&front);
    wait_for(&disk.n_closed, 1);
    open_front();
    REQUIRE(fcntl(log_fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    uint8_t *log = mmap(NULL, 4096, PROT_READ, MAP_SHARED, log_fd, 0);
    REQUIRE(vhu_front_set_log(&front, log_fd, 4096, &err) == 0);
    set_up(VHU_F_LOG_ALL);
    uint64_t data = 0x200000;
    add(VIRTIO_BLK_T_IN, 0, data, 8192, 1);
    kick();
    REQUIRE(wait_used(&n));
    CHECK_EQ(log[0x200 / 8] & 3, 3);
    CHECK_EQ(log[0x1f8 / 8], 0);
    uint64_t used_page = ring.config.device / 4096;
    CHECK(log[used_page / 8] & (1 << (used_page % 8)));
    munmap(log, 4096);
    close(log_fd);
    end();
}

static void notice_of_a_changed_configuration_arrives(void)
{
    begin(0);
    CHECK(!front.config_changed);
    loop_call(iothread_loop(disk.thread), ramdisk_config_changed_in_loop, &disk);
    CHECK_EQ(vhu_front_poll(&front, &err), 0);
    CHECK(front.config_changed);
    end();
}

int main(void)
{
    TAP_RUN(both_ends_agree_on_what_they_can);
    TAP_RUN(requests_go_round_and_the_ring_restarts_where_it_stopped);
    TAP_RUN(stopping_waits_for_what_is_in_flight);
    TAP_RUN(a_peer_that_dies_while_requests_run_is_left_after_the_last);
    TAP_RUN(a_successor_runs_each_request_in_flight_once);
    TAP_RUN(what_the_back_end_writes_is_logged);
    TAP_RUN(notice_of_a_changed_configuration_arrives);
    return tap_done();
}
