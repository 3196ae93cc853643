#include "dev/virtio/virtio.h"

#include <errno.h>

#include "io/iothread.h"
#include "tap.h"
#include "virtio_driver.h"

#include "echo_device.h"

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct echo *e;
    struct vdrv d;
};

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof(*g));
    guest_mem_init(&g->mem, 4 * MIB, 0, NULL);
    g->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    g->e = echo_new(&g->mem, g->loop);
}

static void rig_fini(struct rig *g)
{
    vdrv_close(&g->d);
    loop_destroy(g->loop);
    guest_mem_fini(&g->mem);
}

static void check_echo(struct rig *g, struct loop *loop, unsigned queue)
{
    uint32_t in = 0, out = 0x12345678 + queue;
    CHECK_EQ(vdrv_request(&g->d, queue, loop, &out, 4, &in, 4), 4);
    CHECK_EQ(in, ~out);
}

static void serves_requests_in_every_ring_format(void)
{
    static const unsigned flags[] = {0,
                                     VDRV_PACKED,
                                     VDRV_NO_EVENT_IDX,
                                     VDRV_INDIRECT,
                                     VDRV_PACKED | VDRV_NO_EVENT_IDX,
                                     VDRV_PACKED | VDRV_INDIRECT};
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        struct rig g;
        rig_init(&g);
        REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, flags[i]));
        for (unsigned n = 0; n < 50; n++)
            check_echo(&g, g.loop, n % 2);
        CHECK_EQ(g.e->served, 50);
        CHECK(g.d.interrupts[0] > 0 && g.d.interrupts[1] > 0);
        rig_fini(&g);
    }
}

static void serves_requests_in_a_thread(void)
{
    struct rig g;
    rig_init(&g);
    struct iothread *t = iothread_create("echo", NULL, NULL);
    g.e->loop = iothread_loop(t);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, VDRV_PACKED));
    for (unsigned n = 0; n < 20; n++) {
        check_echo(&g, NULL, n % 2);
        virtio_device_pause(&g.e->dev);
        virtio_device_resume(&g.e->dev);
    }
    vdrv_reset(&g.d);
    vdrv_close(&g.d);
    iothread_destroy(t);
    loop_destroy(g.loop);
    guest_mem_fini(&g.mem);
}

static void refuses_features_that_were_not_offered(void)
{
    struct rig g;
    rig_init(&g);
    vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
    static const uint64_t bad[] = {VIRTIO_F_V1 | UINT64_C(1) << 40, ECHO_FEATURE, 0};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        virtio_transport_set_features(&g.e->dev, bad[i]);
        virtio_transport_set_status(&g.e->dev, 11);
        CHECK_EQ(g.e->dev.status, 3); /* FEATURES_OK did not stick */
        CHECK_EQ(g.e->dev.features, 0);
        vdrv_reset(&g.d);
    }
    g.e->refuse_features = true;
    CHECK(!vdrv_negotiate(&g.d, 0));
    g.e->refuse_features = false;
    CHECK(vdrv_negotiate(&g.d, 0));
    uint64_t agreed = g.e->dev.features;
    virtio_transport_set_features(&g.e->dev, 0);
    CHECK_EQ(g.e->dev.features_driver, agreed); /* frozen */
    vdrv_reset(&g.d);
    g.e->dev.features_withheld = VIRTIO_F_PACKED | VIRTIO_F_EVENT;
    CHECK_EQ(virtio_transport_features(&g.e->dev) & VIRTIO_F_COMMON,
             VIRTIO_F_V1 | VIRTIO_F_INDIRECT);
    rig_fini(&g);
}

static void the_status_only_grows_until_reset(void)
{
    struct rig g;
    rig_init(&g);
    vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
    virtio_transport_set_status(&g.e->dev, 1 | 4); /* DRIVER_OK without features */
    CHECK_EQ(g.e->dev.status, 1);
    CHECK_EQ(g.e->activated, 0);
    virtio_transport_set_status(&g.e->dev, 64 | 32 | 16 | 128);
    CHECK_EQ(g.e->dev.status, 129); /* neither NEEDS_RESET nor unknown bits are the driver's */
    vdrv_reset(&g.d);
    CHECK_EQ(g.e->dev.status, 0);
    REQUIRE(vdrv_negotiate(&g.d, 0));
    vdrv_setup_queues(&g.d);
    vdrv_driver_ok(&g.d);
    vdrv_driver_ok(&g.d);
    CHECK_EQ(g.e->activated, 1);
    CHECK_EQ(g.e->dev.status, 15);
    CHECK(!virtio_transport_queue_open(&g.e->dev, 0));
    vdrv_reset(&g.d);
    vdrv_reset(&g.d);
    CHECK_EQ(g.e->reset, 1);
    CHECK(virtio_transport_queue_open(&g.e->dev, 0));
    CHECK(!virtio_transport_queue_open(&g.e->dev, 2));
    rig_fini(&g);
    CHECK(true);
}

static void a_ring_outside_memory_breaks_the_device_until_reset(void)
{
    struct rig g;
    rig_init(&g);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, VDRV_NO_START));
    g.e->dev.queues[1].config.desc = 16 * MIB;
    vdrv_driver_ok(&g.d);
    CHECK_EQ(g.e->dev.status, 15 | 64);
    CHECK_EQ(g.e->activated, 0);
    CHECK_EQ(g.d.config_interrupts, 1);
    vdrv_reset(&g.d);
    REQUIRE(vdrv_negotiate(&g.d, 0));
    vdrv_setup_queues(&g.d);
    g.e->dev.queues[0].config.size = 32; /* over the maximum of 16 */
    vdrv_driver_ok(&g.d);
    CHECK(virtio_device_is_broken(&g.e->dev));
    vdrv_reset(&g.d);
    REQUIRE(vdrv_negotiate(&g.d, 0));
    vdrv_setup_queues(&g.d);
    vdrv_driver_ok(&g.d);
    check_echo(&g, g.loop, 1);
    rig_fini(&g);
}

static void a_failed_activation_breaks_the_device(void)
{
    struct rig g;
    rig_init(&g);
    g.e->refuse_activation = true;
    CHECK(!vdrv_open(&g.d, &g.mem, &g.e->dev, 0));
    CHECK_EQ(g.e->activated, 1);
    vdrv_reset(&g.d);
    CHECK_EQ(g.e->reset, 1);
    rig_fini(&g);
}

static void a_malformed_chain_stops_the_queue_until_reset(void)
{
    struct rig g;
    rig_init(&g);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, 0));
    struct vdrv_buf bad = {64 * MIB, 4};
    vdrv_add(&g.d, 0, &bad, 1, 0, 0);
    vdrv_kick(&g.d, 0);
    loop_run_once(g.loop, 0);
    CHECK(virtio_device_is_broken(&g.e->dev));
    CHECK_EQ(g.d.config_interrupts, 1);
    virtio_queue_kick(&g.e->dev, 0);
    virtio_queue_kick(&g.e->dev, 1);
    while (loop_run_once(g.loop, 0) > 0)
        ;
    CHECK_EQ(g.e->served, 0);
    CHECK_EQ(g.d.config_interrupts, 1);
    vdrv_reset(&g.d);
    REQUIRE(vdrv_negotiate(&g.d, 0));
    vdrv_setup_queues(&g.d);
    vdrv_driver_ok(&g.d);
    check_echo(&g, g.loop, 0);
    rig_fini(&g);
}

static void kicks_during_a_pause_are_not_lost(void)
{
    struct rig g;
    rig_init(&g);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, 0));
    struct vdrv_buf buf = {0x100000, 4};
    uintptr_t cookie = 0;
    uint32_t len;
    while (loop_run_once(g.loop, 0) > 0) /* the kick of the activation */
        ;
    virtio_device_pause(&g.e->dev);
    virtio_device_pause(&g.e->dev);
    CHECK_EQ(g.e->paused, 1);
    vdrv_add(&g.d, 0, &buf, 1, 0, 7);
    vdrv_ring_publish(&g.d.rings[0]); /* the kick itself got lost */
    while (loop_run_once(g.loop, 0) > 0)
        ;
    CHECK_EQ(g.e->served, 0);
    virtio_device_resume(&g.e->dev);
    virtio_device_resume(&g.e->dev);
    CHECK_EQ(g.e->resumed, 1);
    CHECK(vdrv_wait_used(&g.d, 0, g.loop, 1000, &cookie, &len));
    CHECK_EQ(cookie, 7);
    /* Reset, and a start, while paused. */
    virtio_device_pause(&g.e->dev);
    vdrv_reset(&g.d);
    REQUIRE(vdrv_negotiate(&g.d, 0));
    vdrv_setup_queues(&g.d);
    vdrv_driver_ok(&g.d);
    CHECK_EQ(g.e->activated, 1);
    virtio_device_resume(&g.e->dev);
    CHECK_EQ(g.e->activated, 2);
    check_echo(&g, g.loop, 1);
    rig_fini(&g);
}

static void the_config_space_is_bounded(void)
{
    struct rig g;
    uint8_t b[8];
    rig_init(&g);
    vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
    virtio_transport_config_read(&g.e->dev, 4, b, 8);
    CHECK(!memcmp(b, "ig\0\0\0\0\0\0", 8));
    virtio_transport_config_read(&g.e->dev, UINT64_MAX, b, 8);
    CHECK(!memcmp(b, "\0\0\0\0\0\0\0\0", 8));
    virtio_transport_config_write(&g.e->dev, 4, "abcd", 4); /* over the end: ignored whole */
    virtio_transport_config_write(&g.e->dev, 1, "X", 1);
    CHECK(!memcmp(g.e->config, "cXnfig", 6));
    rig_fini(&g);
}

static void only_queues_that_the_driver_enabled_are_served(void)
{
    struct rig g;
    rig_init(&g);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, VDRV_NO_START));
    g.e->dev.queues[0].enabled = false;
    vdrv_driver_ok(&g.d);
    CHECK(!virtio_device_is_broken(&g.e->dev));
    virtio_queue_kick(&g.e->dev, 0);
    check_echo(&g, g.loop, 1);
    rig_fini(&g);
}

static void a_saved_device_goes_on_with_its_rings(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig g;
        struct state_writer w;
        struct state_reader r;
        rig_init(&g);
        REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, packed ? VDRV_PACKED : 0));
        for (unsigned n = 0; n < 21; n++)
            check_echo(&g, g.loop, n % 2);
        g.e->number = 4711;
        virtio_device_pause(&g.e->dev);
        struct vdrv_buf buf = {0x200000, 4};
        vdrv_add(&g.d, 1, &buf, 1, 0, 99); /* a request that waits over the save */
        vdrv_kick(&g.d, 1);
        state_writer_init(&w);
        state_begin(&w, "x", 0, 1);
        virtio_transport_save(&g.e->dev, &w);
        state_end(&w);
        CHECK_EQ(w.error, 0);

        struct vdrv_ring *rings = steal_ptr(&g.d.rings);
        uint64_t next = g.d.next_gpa;
        vdrv_close(&g.d);
        g.e = echo_new(&g.mem, g.loop);
        vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
        free(g.d.rings);
        g.d.rings = rings;
        g.d.next_gpa = next;
        state_reader_init(&r, w.data, w.len_bytes);
        CHECK_EQ(state_open(&r, "x", 0, 1), 1);
        CHECK_EQ(virtio_transport_load(&g.e->dev, &r), 0);
        CHECK_EQ(state_close(&r), 0);
        CHECK_EQ(g.e->number, 4711);
        CHECK_EQ(g.e->activated, 0);
        /* Saved again before it ran, it says the same. */
        struct state_writer w2;
        state_writer_init(&w2);
        state_begin(&w2, "x", 0, 1);
        virtio_transport_save(&g.e->dev, &w2);
        state_end(&w2);
        CHECK(w2.len_bytes == w.len_bytes && !memcmp(w.data, w2.data, w.len_bytes));
        state_writer_fini(&w2);
        virtio_device_resume(&g.e->dev);
        CHECK_EQ(g.e->activated, 1);
        uintptr_t cookie = 0;
        uint32_t len;
        CHECK(vdrv_wait_used(&g.d, 1, g.loop, 1000, &cookie, &len));
        CHECK_EQ(cookie, 99);
        for (unsigned n = 0; n < 21; n++)
            check_echo(&g, g.loop, n % 2);
        state_writer_fini(&w);
        rig_fini(&g);
    }
}

static void refuses_state_that_does_not_fit(void)
{
    struct rig g;
    struct state_writer w;
    struct state_reader r;
    rig_init(&g);
    REQUIRE(vdrv_open(&g.d, &g.mem, &g.e->dev, 0));
    virtio_device_pause(&g.e->dev);
    state_writer_init(&w);
    state_begin(&w, "x", 0, 1);
    virtio_transport_save(&g.e->dev, &w);
    state_end(&w);
    rig_fini(&g);
    /* Every single byte changed, and every length: no crash, and no ring outside memory. */
    for (size_t i = 32; i < w.len_bytes; i++)
        for (unsigned bit = 0; bit < 8; bit += 3) {
            rig_init(&g);
            vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
            w.data[i] ^= (uint8_t)(1 << bit);
            state_reader_init(&r, w.data, w.len_bytes);
            state_open(&r, "x", 0, 1);
            if (!virtio_transport_load(&g.e->dev, &r)) {
                virtio_device_resume(&g.e->dev);
                while (loop_run_once(g.loop, 0) > 0)
                    ;
            }
            w.data[i] ^= (uint8_t)(1 << bit);
            rig_fini(&g);
        }
    rig_init(&g);
    vdrv_attach(&g.d, &g.mem, &g.e->dev, 0);
    g.e->dev.features_offered = 0;
    state_reader_init(&r, w.data, w.len_bytes);
    state_open(&r, "x", 0, 1);
    CHECK(virtio_transport_load(&g.e->dev, &r) < 0);
    CHECK(strstr(r.err.msg, "features 0x20"));
    rig_fini(&g);
    state_writer_fini(&w);
}

int main(void)
{
    TAP_RUN(serves_requests_in_every_ring_format);
    TAP_RUN(serves_requests_in_a_thread);
    TAP_RUN(refuses_features_that_were_not_offered);
    TAP_RUN(the_status_only_grows_until_reset);
    TAP_RUN(a_ring_outside_memory_breaks_the_device_until_reset);
    TAP_RUN(a_failed_activation_breaks_the_device);
    TAP_RUN(a_malformed_chain_stops_the_queue_until_reset);
    TAP_RUN(kicks_during_a_pause_are_not_lost);
    TAP_RUN(the_config_space_is_bounded);
    TAP_RUN(only_queues_that_the_driver_enabled_are_served);
    TAP_RUN(a_saved_device_goes_on_with_its_rings);
    TAP_RUN(refuses_state_that_does_not_fit);
    return tap_done();
}
