/* Front end against back end in one process, and each against a peer that talks nonsense. */
#include "vhu/vhu_backend.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "tap.h"
#include "vhu/vhu_front.h"
#include "vhu_ramdisk.h"
#define VDRV_NO_DEVICE
#include "virtio_driver.h"

#define PF                                                                                         \
    (VHU_PF_MQ | VHU_PF_LOG_SHMFD | VHU_PF_REPLY_ACK | VHU_PF_BACKEND_REQ | VHU_PF_CONFIG |        \
     VHU_PF_INFLIGHT_SHMFD)
#define QUEUE_SIZE 32

static struct ramdisk disk;
static struct guest_mem mem;
static struct vhu_front front;
static struct vdrv_ring ring;
static uint64_t next_gpa;
static int kick_fd, call_fd;
static struct err err;

static void open_front(void)
{
    if (vhu_front_open(&front, ramdisk_connect(&disk), PF, 5000, &err))
        abort();
}

static void begin(unsigned flags)
{
    ramdisk_init(&disk, flags);
    if (guest_mem_init(&mem, 4 * MIB, GUEST_MEM_SHARED, &err))
        abort();
    next_gpa = 0x1000;
    vdrv_ring_init(&ring, &mem, &next_gpa,
                   (struct virtq_config){.size = QUEUE_SIZE, .event_idx = true, .indirect = true});
    kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    open_front();
}

static void end(void)
{
    vhu_front_close(&front);
    ramdisk_fini(&disk);
    guest_mem_fini(&mem);
    close(kick_fd);
    close(call_fd);
}

static struct vhu_front_ring front_ring(uint32_t base)
{
    return (struct vhu_front_ring){.index = 1,
                                   .size = QUEUE_SIZE,
                                   .desc = ring.config.desc,
                                   .driver = ring.config.driver,
                                   .device = ring.config.device,
                                   .base = base,
                                   .kick_fd = kick_fd,
                                   .call_fd = call_fd};
}

static int share(uint64_t features)
{
    struct vhu_front_region r = {.gpa = 0, .size_bytes = mem.total_bytes, .fd = mem.fd};
    int ret = vhu_front_set_features(&front, features, &err);
    return ret ? ret : vhu_front_set_mem_table(&front, &r, 1, &err);
}

static int start(uint32_t base)
{
    struct vhu_front_ring r = front_ring(base);
    int ret = vhu_front_ring_start(&front, &r, &err);
    return ret ? ret : vhu_front_ring_enable(&front, 1, true, &err);
}

static void set_up(uint64_t extra)
{
    if (share((disk.features | extra) & ~(UINT64_C(1) << 30)) || start(0))
        abort();
}

static void kick(void)
{
    uint64_t one = 1;
    vdrv_ring_publish(&ring);
    if (write(kick_fd, &one, 8) != 8)
        abort();
}

/* Adds a request; `n` tells it from others. Its status byte is at the address returned. */
static uint8_t *add(uint32_t type, uint64_t sector, uint64_t data_gpa, uint32_t len, uintptr_t n)
{
    uint64_t hdr = vdrv_take(&next_gpa, 16), status = vdrv_take(&next_gpa, 1);
    struct virtio_blk_outhdr *h = guest_mem_ptr(&mem, hdr, 16);
    *h = (struct virtio_blk_outhdr){.type = type, .sector = sector};
    uint8_t *s = guest_mem_ptr(&mem, status, 1);
    *s = 0xff;
    bool out = type == VIRTIO_BLK_T_OUT;
    struct vdrv_buf bufs[3] = {{hdr, 16}, {data_gpa, len}, {status, 1}};
    if (vdrv_ring_add(&ring, bufs, out ? 2 : 1, out ? 1 : 2, n % 2, n) < 0)
        abort();
    return s;
}

static bool wait_used(uintptr_t *cookie)
{
    int id;
    uint32_t len;
    for (int ms = 0; ms < 5000; ms++) {
        if (vdrv_ring_used(&ring, &id, cookie, &len))
            return id >= 0;
        usleep(1000);
    }
    return false;
}

static void wait_for(_Atomic unsigned *n, unsigned value)
{
    for (int ms = 0; ms < 5000 && atomic_load(n) < value; ms++)
        usleep(1000);
}

/* ---- cooperation ---- */

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

/* ---- refusals ---- */

static void memory_that_could_kill_the_back_end_is_refused(void)
{
    begin(VHU_BACKEND_DEMAND_SEALS);
    int fd = memfd_create("soft", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(fd >= 0 && ftruncate(fd, 65536) == 0);
    struct vhu_front_region r[3] = {{.size_bytes = 65536, .fd = fd}};
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 1, &err), -EREMOTEIO);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 1, &err), 0);
    r[0].size_bytes = 65537;
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 1, &err), -EREMOTEIO);
    r[0].size_bytes = 0;
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 1, &err), -EREMOTEIO);
    r[0] = (struct vhu_front_region){.gpa = UINT64_MAX - 4095, .size_bytes = 65536, .fd = fd};
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 1, &err), -EREMOTEIO);
    r[0] = (struct vhu_front_region){.gpa = 0, .size_bytes = 65536, .fd = fd};
    r[1] = (struct vhu_front_region){.gpa = 65535, .size_bytes = 4096, .fd = fd};
    CHECK_EQ(vhu_front_set_mem_table(&front, r, 2, &err), -EREMOTEIO);
    close(fd);
    end();
}

static void rings_that_make_no_sense_are_refused(void)
{
    begin(0);
    REQUIRE(share(disk.features) == 0);
    struct vhu_front_ring r = front_ring(0);
    r.index = RAMDISK_QUEUES;
    CHECK_EQ(vhu_front_ring_start(&front, &r, &err), -EREMOTEIO);
    r = front_ring(0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    r.call_fd = null; /* not an eventfd */
    CHECK_EQ(vhu_front_ring_start(&front, &r, &err), -EREMOTEIO);
    close(null);
    r = front_ring(0);
    r.size = 24;
    CHECK_EQ(vhu_front_ring_start(&front, &r, &err), 0);
    CHECK_EQ(vhu_front_ring_enable(&front, 1, true, &err), -EREMOTEIO);
    uint32_t base;
    CHECK_EQ(vhu_front_ring_stop(&front, 1, &base, &err), 0);
    r.size = QUEUE_SIZE;
    r.desc = mem.total_bytes;
    CHECK_EQ(vhu_front_ring_start(&front, &r, &err), -EREMOTEIO);
    CHECK_EQ(atomic_load(&disk.n_starts), 0);
    end();
}

static void a_malformed_ring_stops_and_others_go_on(void)
{
    uint32_t base;
    uintptr_t n;
    begin(0);
    set_up(0);
    ring.split.avail->ring[0] = 9999;
    ring.split.avail->idx = 1;
    uint64_t one = 1;
    REQUIRE(write(kick_fd, &one, 8) == 8);
    wait_for(&disk.n_stops, 1);
    CHECK_EQ(atomic_load(&disk.n_stops), 1);
    /* The peer can stop it, mend it and start it again. */
    CHECK_EQ(vhu_front_ring_stop(&front, 1, &base, &err), 0);
    ring.split.avail->idx = 0;
    REQUIRE(start(0) == 0);
    add(VIRTIO_BLK_T_FLUSH, 0, 0x200000, 1, 2);
    kick();
    CHECK(wait_used(&n));
    end();
}

/* ---- nonsense ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t rnd(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

static void random_msg(struct vhu_msg *msg, uint32_t flags)
{
    static const uint16_t sizes[] = {0, 0, 8, 8, 8, 16, 20, 24, 40, 40, 72, 264, 268};
    vhu_msg_init(msg, rnd(VHU_REQUEST_END + 2), flags, sizes[rnd(ARRAY_LEN(sizes))]);
    if (!rnd(20))
        msg->hdr.flags ^= 1u << rnd(5);
    for (uint32_t i = 0; i < msg->hdr.size; i++)
        msg->payload.bytes[i] = rnd(3) ? 0 : (uint8_t)rnd(rnd(2) ? 4 : 256);
    const int fds[] = {kick_fd, call_fd, mem.fd};
    for (msg->n_fds = rnd(3); msg->n_fds && rnd(4) == 0;)
        msg->n_fds++;
    msg->n_fds = MIN(msg->n_fds, VHU_FDS_MAX);
    for (unsigned i = 0; i < msg->n_fds; i++)
        msg->fds[i] = fds[rnd(3)];
}

static void a_back_end_survives_random_messages(void)
{
    begin(VHU_BACKEND_INFLIGHT);
    for (int i = 0; i < 3000; i++) {
        struct vhu_msg msg;
        random_msg(&msg, rnd(2) ? VHU_FLAG_NEED_REPLY : 0);
        if (!rnd(4) || vhu_msg_send(front.fd, &msg, clock_now_ns() + 1000000000, &err)) {
            vhu_front_close(&front);
            while (atomic_load(&disk.alive))
                usleep(100);
            open_front();
            if (rnd(2) && share(disk.features) == 0 && rnd(2))
                start(0);
        }
        char drain[4096];
        while (front.fd >= 0 && recv(front.fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
            ;
    }
    vhu_front_close(&front);
    CHECK(true);
    end();
}

/* A back end that answers anything, in any size, with any descriptors. */
static void a_front_end_survives_random_replies(void)
{
    unsigned alive = 0;
    begin(0);
    for (int i = 0; i < 3000; i++) {
        int pair[2];
        struct vhu_msg msg;
        struct vhu_front f;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
            abort();
        /* Good manners up to a random point, so that the later questions are reached. */
        const uint32_t order[] = {VHU_GET_FEATURES, VHU_GET_PROTOCOL_FEATURES, VHU_GET_QUEUE_NUM,
                                  VHU_GET_CONFIG,   VHU_GET_INFLIGHT_FD,       VHU_GET_VRING_BASE};
        unsigned good = rnd(ARRAY_LEN(order) + 1);
        for (unsigned k = 0; k < good; k++) {
            vhu_msg_init(&msg, order[k], VHU_FLAG_REPLY, 8);
            msg.payload.u64 = k == 0   ? VHU_F_PROTOCOL_FEATURES | UINT64_C(1) << 32
                              : k == 1 ? PF & ~VHU_PF_REPLY_ACK
                                       : rnd(8);
            if (order[k] == VHU_GET_CONFIG) {
                msg.hdr.size = VHU_CONFIG_HEADER + 8;
                msg.payload.config.size = 8;
            } else if (order[k] == VHU_GET_INFLIGHT_FD) {
                msg.hdr.size = 24;
                msg.payload.inflight.mmap_size = rnd(2) ? 4096 : (uint64_t)rnd(256) << rnd(56);
                msg.n_fds = rnd(2);
                msg.fds[0] = mem.fd;
            }
            if (vhu_msg_send(pair[0], &msg, clock_now_ns() + 1000000000, &err))
                abort();
        }
        for (int k = 0; k < 3; k++) {
            random_msg(&msg, VHU_FLAG_REPLY);
            vhu_msg_send(pair[0], &msg, 0, NULL);
        }
        shutdown(pair[0], SHUT_WR);
        if (vhu_front_open(&f, pair[1], PF, 1000, &err) == 0) {
            uint8_t config[64];
            struct vhu_front_inflight in = {.fd = -1};
            uint32_t base;
            alive++;
            vhu_front_get_config(&f, 0, config, 8, &err);
            if (!vhu_front_get_inflight(&f, 1, 128, &in, &err))
                close(in.fd);
            vhu_front_ring_stop(&f, rnd(2), &base, &err);
            vhu_front_poll(&f, &err);
            vhu_front_close(&f);
        }
        close(pair[0]);
    }
    CHECK(alive > 100);
    end();
}

static void a_silent_back_end_costs_the_time_limit_and_no_more(void)
{
    int pair[2];
    struct vhu_front f;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    int64_t before = clock_now_ns();
    CHECK_EQ(vhu_front_open(&f, pair[1], PF, 30, &err), -ETIMEDOUT);
    CHECK(strstr(err.msg, "did not answer GET_FEATURES in time"));
    CHECK(clock_now_ns() - before >= 30000000);
    CHECK_EQ(f.fd, -1);
    close(pair[0]);
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
    TAP_RUN(memory_that_could_kill_the_back_end_is_refused);
    TAP_RUN(rings_that_make_no_sense_are_refused);
    TAP_RUN(a_malformed_ring_stops_and_others_go_on);
    TAP_RUN(a_back_end_survives_random_messages);
    TAP_RUN(a_front_end_survives_random_replies);
    TAP_RUN(a_silent_back_end_costs_the_time_limit_and_no_more);
    return tap_done();
}
