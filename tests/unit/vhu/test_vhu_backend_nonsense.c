/* Each end against a peer that asks for the impossible, or talks nonsense, or nothing. */
#include "vhu/vhu_backend.h"

#include "vhu_fixture.h"

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
    TAP_RUN(memory_that_could_kill_the_back_end_is_refused);
    TAP_RUN(rings_that_make_no_sense_are_refused);
    TAP_RUN(a_malformed_ring_stops_and_others_go_on);
    TAP_RUN(a_back_end_survives_random_messages);
    TAP_RUN(a_front_end_survives_random_replies);
    TAP_RUN(a_silent_back_end_costs_the_time_limit_and_no_more);
    return tap_done();
}
