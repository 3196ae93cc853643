#include "dev/virtio/virtio_rng.h"

#include "tap.h"
#include "virtio_driver.h"

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
};

static void rig_init(struct rig *g, uint64_t bytes_per_s, unsigned flags)
{
    memset(g, 0, sizeof(*g));
    guest_mem_init(&g->mem, 4 * MIB, 0, NULL);
    g->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_rng_options o = {.loop = g->loop, .bytes_per_s = bytes_per_s, .burst_bytes = 64};
    CHECK(vdrv_open(&g->d, &g->mem, virtio_rng_create(&g->mem, &o, NULL), flags));
}

static void rig_fini(struct rig *g)
{
    vdrv_close(&g->d);
    loop_destroy(g->loop);
    guest_mem_fini(&g->mem);
}

static void fills_buffers_with_bytes_that_differ(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig g;
        uint8_t a[256], b[256];
        rig_init(&g, 0, packed ? VDRV_PACKED : 0);
        CHECK_EQ(vdrv_request(&g.d, 0, g.loop, NULL, 0, a, sizeof(a)), sizeof(a));
        CHECK_EQ(vdrv_request(&g.d, 0, g.loop, NULL, 0, b, sizeof(b)), sizeof(b));
        CHECK(memcmp(a, b, sizeof(a)) != 0);
        CHECK(g.d.interrupts[0] > 0);
        rig_fini(&g);
    }
}

static void a_request_is_bounded_over_all_its_buffers(void)
{
    struct rig g;
    rig_init(&g, 0, VDRV_INDIRECT);
    void *host;
    uint64_t at = vdrv_alloc(&g.d, 3 * 3000, &host);
    struct vdrv_buf bufs[3] = {{at, 3000}, {at + 3000, 3000}, {at + 6000, 3000}};
    uintptr_t cookie = 0;
    uint32_t len;
    vdrv_add(&g.d, 0, bufs, 0, 3, 0);
    vdrv_kick(&g.d, 0);
    CHECK(vdrv_wait_used(&g.d, 0, g.loop, 1000, &cookie, &len));
    CHECK_EQ(len, VIRTIO_RNG_REQUEST_BYTES);
    const uint8_t *p = host;
    for (unsigned i = VIRTIO_RNG_REQUEST_BYTES; i < 9000; i++)
        CHECK_EQ(p[i], 0);
    rig_fini(&g);
}

static void a_request_with_nothing_to_fill_comes_back_empty(void)
{
    struct rig g;
    rig_init(&g, 0, 0);
    CHECK_EQ(vdrv_request(&g.d, 0, g.loop, "hello", 5, NULL, 0), 0);
    rig_fini(&g);
}

static unsigned collect(struct rig *g)
{
    uint32_t len, sum = 0;
    uintptr_t cookie;
    int id;
    while (loop_run_once(g->loop, 0) > 0)
        ;
    while (vdrv_ring_used(&g->d.rings[0], &id, &cookie, &len))
        sum += len;
    return sum;
}

static void the_rate_is_kept_and_nothing_is_lost(void)
{
    struct rig g;
    rig_init(&g, 640, 0); /* burst 64 bytes, then 10 requests of 64 a second */
    struct vdrv_buf buf = {vdrv_alloc(&g.d, 64, NULL), 64};
    for (unsigned i = 0; i < 21; i++)
        vdrv_add(&g.d, 0, &buf, 0, 1, i);
    vdrv_kick(&g.d, 0);
    unsigned got = collect(&g);
    CHECK_EQ(got, 64);
    for (unsigned i = 0; i < 10; i++) {
        loop_advance_ns(g.loop, 100 * 1000 * 1000);
        got += collect(&g);
    }
    CHECK_EQ(got, 11 * 64);
    virtio_device_pause(g.d.dev); /* the timer stops with the device, and starts again */
    loop_advance_ns(g.loop, 1000 * 1000 * 1000);
    CHECK_EQ(collect(&g), 0);
    virtio_device_resume(g.d.dev);
    for (unsigned i = 0; i < 10; i++) {
        got += collect(&g);
        loop_advance_ns(g.loop, 100 * 1000 * 1000);
    }
    got += collect(&g);
    CHECK_EQ(got, 21 * 64);
    rig_fini(&g);
}

static void a_malformed_ring_breaks_the_device_only(void)
{
    struct rig g;
    rig_init(&g, 0, 0);
    struct vdrv_buf bad = {UINT64_C(1) << 40, 64};
    vdrv_add(&g.d, 0, &bad, 0, 1, 0);
    vdrv_kick(&g.d, 0);
    CHECK_EQ(collect(&g), 0);
    CHECK(virtio_device_is_broken(g.d.dev));
    rig_fini(&g);
}

int main(void)
{
    TAP_RUN(fills_buffers_with_bytes_that_differ);
    TAP_RUN(a_request_is_bounded_over_all_its_buffers);
    TAP_RUN(a_request_with_nothing_to_fill_comes_back_empty);
    TAP_RUN(the_rate_is_kept_and_nothing_is_lost);
    TAP_RUN(a_malformed_ring_breaks_the_device_only);
    return tap_done();
}
