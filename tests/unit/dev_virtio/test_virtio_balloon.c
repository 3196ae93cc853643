#include "dev/virtio/virtio_balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <sys/mman.h>

#include "io/iothread.h"
#include "tap.h"
#include "virtio_driver.h"

#define PAGES_AT 0x200000 /* 512 pages of data from 2 MiB on */
#define INFLATE  0
#define DEFLATE  1
#define STATS    2
#define REPORT   3

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
};

static struct virtio_device *balloon_new(struct rig *g, uint64_t target)
{
    struct virtio_balloon_options o = {
        .loop = g->loop,
        .target_bytes = target,
        .deflate_on_oom = true,
        .reporting = true,
        .stats_interval_s = 2,
    };
    return virtio_balloon_create(&g->mem, &o, NULL);
}

static void rig_init_mem(struct rig *g, unsigned mem_flags, unsigned flags)
{
    memset(g, 0, sizeof(*g));
    REQUIRE(!guest_mem_init(&g->mem, 4 * MIB, mem_flags, NULL));
    g->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    loop_advance_ns(g->loop, 1000);
    CHECK(vdrv_open(&g->d, &g->mem, balloon_new(g, MIB), flags));
    memset(guest_mem_ptr(&g->mem, PAGES_AT, 2 * MIB), 0x5a, 2 * MIB);
}

static void rig_init(struct rig *g)
{
    rig_init_mem(g, 0, 0);
}

static void rig_fini(struct rig *g)
{
    vdrv_close(&g->d);
    loop_destroy(g->loop);
    guest_mem_fini(&g->mem);
}

static void run_loop(struct rig *g)
{
    while (loop_run_once(g->loop, 0) > 0)
        ;
}

static uint8_t page(struct rig *g, unsigned n)
{
    return *(uint8_t *)guest_mem_ptr(&g->mem, PAGES_AT + n * 4096, 1);
}

static void inflated_pages_go_back_to_the_host(void)
{
    static const unsigned mem_flags[] = {0, GUEST_MEM_SHARED};
    for (unsigned f = 0; f < ARRAY_LEN(mem_flags); f++) {
        struct rig g;
        rig_init_mem(&g, mem_flags[f], f ? VDRV_PACKED : 0);
        /* Unordered, with a neighbour, a repetition and a gap. */
        uint32_t pfns[] = {7, 5, 5, 4, 9};
        for (unsigned i = 0; i < ARRAY_LEN(pfns); i++)
            pfns[i] += PAGES_AT / 4096;
        guest_mem_dirty_start(&g.mem, NULL);
        CHECK_EQ(vdrv_request(&g.d, INFLATE, g.loop, pfns, sizeof(pfns), NULL, 0), 0);
        uint64_t dirty[16] = {0};
        guest_mem_dirty_take(&g.mem, 0, dirty);
        unsigned char resident[16];
        CHECK_EQ(mincore(guest_mem_ptr(&g.mem, PAGES_AT, 65536), 65536, resident), 0);
        for (unsigned i = 0; i < 16; i++) {
            bool gone = i == 4 || i == 5 || i == 7 || i == 9;
            CHECK_EQ(resident[i] & 1, !gone);
            CHECK_EQ(page(&g, i), gone ? 0 : 0x5a);
            CHECK_EQ(dirty[8] >> i & 1, gone);
        }
        const struct virtio_balloon_counters *c = virtio_balloon_counters(g.d.dev);
        CHECK_EQ(c->inflated_pages, 5);
        CHECK_EQ(c->refused_pages, 0);
        CHECK_EQ(vdrv_request(&g.d, DEFLATE, g.loop, pfns, sizeof(pfns), NULL, 0), 0);
        CHECK_EQ(c->deflated_pages, 5);
        rig_fini(&g);
    }
}

static void page_numbers_that_lie_touch_nothing_else(void)
{
    struct rig g;
    rig_init(&g);
    uint32_t pfns[] = {1024, 0xffffffff, 0xfffffffe, 0xc0000, PAGES_AT / 4096 + 511,
                       1025, 0x100000};
    CHECK_EQ(vdrv_request(&g.d, INFLATE, g.loop, pfns, sizeof(pfns), NULL, 0), 0);
    CHECK_EQ(virtio_balloon_counters(g.d.dev)->refused_pages, 6);
    CHECK_EQ(page(&g, 511), 0);
    CHECK_EQ(page(&g, 510), 0x5a);
    CHECK_EQ(vdrv_request(&g.d, INFLATE, g.loop, "abc", 3, NULL, 0), 0); /* less than a number */
    CHECK_EQ(vdrv_request(&g.d, INFLATE, g.loop, NULL, 0, pfns, 4), 0);  /* a writable buffer */
    CHECK(!virtio_device_is_broken(g.d.dev));
    rig_fini(&g);
}

static void a_list_without_end_is_cut(void)
{
    struct rig g;
    rig_init(&g);
    void *host;
    uint64_t at = vdrv_alloc(&g.d, 65536, &host);
    struct vdrv_buf bufs[16];
    uintptr_t cookie = 0;
    uint32_t len;
    for (unsigned i = 0; i < 16384; i++)
        le32_write((uint8_t *)host + 4 * i, PAGES_AT / 4096 + (i < 5000 ? 0 : i % 512));
    for (unsigned i = 0; i < 16; i++)
        bufs[i] = (struct vdrv_buf){at, 65536};
    vdrv_add(&g.d, INFLATE, bufs, 16, 0, 0);
    vdrv_kick(&g.d, INFLATE);
    CHECK(vdrv_wait_used(&g.d, INFLATE, g.loop, 1000, &cookie, &len));
    CHECK_EQ(virtio_balloon_counters(g.d.dev)->inflated_pages, 4096);
    CHECK_EQ(page(&g, 0), 0);
    CHECK_EQ(page(&g, 1), 0x5a);
    rig_fini(&g);
}

static void reported_ranges_go_back_whole_pages_only(void)
{
    struct rig g;
    rig_init(&g);
    struct vdrv_buf bufs[3] = {
        {PAGES_AT + 0x1000, 0x3000}, {PAGES_AT + 0x8800, 0x2000}, {PAGES_AT + 0x10010, 0x20}};
    uintptr_t cookie = 0;
    uint32_t len = 1;
    vdrv_add(&g.d, REPORT, bufs, 0, 3, 0);
    vdrv_kick(&g.d, REPORT);
    CHECK(vdrv_wait_used(&g.d, REPORT, g.loop, 1000, &cookie, &len));
    CHECK_EQ(len, 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(page(&g, i), (i >= 1 && i <= 3) || i == 9 ? 0 : 0x5a);
    CHECK_EQ(virtio_balloon_counters(g.d.dev)->reported_bytes, 0x4000);
    rig_fini(&g);
}

static void the_target_is_told_and_the_actual_size_heard(void)
{
    struct rig g;
    struct err err;
    uint8_t b[16];
    rig_init(&g);
    virtio_transport_config_read(g.d.dev, 0, b, 4);
    CHECK_EQ(le32_read(b), 256);
    CHECK_EQ(virtio_balloon_set_target(g.d.dev, 2 * MIB + 5, &err), 0);
    CHECK_EQ(g.d.config_interrupts, 1);
    virtio_transport_config_read(g.d.dev, 0, b, 16);
    CHECK_EQ(le32_read(b), 512);
    CHECK_EQ(virtio_balloon_set_target(g.d.dev, 4 * MIB + 4096, &err), -EINVAL);
    CHECK(strstr(err.msg, "larger than the guest's 4194304"));
    memset(b, 0xff, 16);
    le32_write(b + 4, 300);
    virtio_transport_config_write(g.d.dev, 0, b, 16); /* only `actual` is writable */
    CHECK_EQ(virtio_balloon_actual_bytes(g.d.dev), 300 * 4096);
    virtio_transport_config_write(g.d.dev, 5, "\0", 1);
    CHECK_EQ(virtio_balloon_actual_bytes(g.d.dev), 44 * 4096);
    virtio_transport_config_read(g.d.dev, 0, b, 4);
    CHECK_EQ(le32_read(b), 512);
    vdrv_reset(&g.d);
    CHECK_EQ(virtio_balloon_actual_bytes(g.d.dev), 0);
    struct virtio_balloon_options o = {.loop = g.loop, .target_bytes = GIB};
    CHECK(!virtio_balloon_create(&g.mem, &o, &err));
    rig_fini(&g);
}

static void give_stats(struct rig *g, uint64_t free_bytes)
{
    struct virtio_balloon_stat s[3] = {{VIRTIO_BALLOON_S_MEMFREE, free_bytes},
                                       {VIRTIO_BALLOON_S_NR + 3, 1},
                                       {VIRTIO_BALLOON_S_MEMTOT, 4 * MIB}};
    void *host;
    struct vdrv_buf buf = {vdrv_alloc(&g->d, sizeof(s), &host), sizeof(s)};
    memcpy(host, s, sizeof(s));
    vdrv_add(&g->d, STATS, &buf, 1, 0, 0);
    vdrv_kick(&g->d, STATS);
    run_loop(g);
}

static void statistics_are_asked_for_at_their_interval(void)
{
    struct rig g;
    struct virtio_balloon_stats s;
    int id;
    uintptr_t cookie;
    uint32_t len;
    rig_init(&g);
    virtio_balloon_stats(g.d.dev, &s);
    CHECK_EQ(s.updated_ns, 0);
    for (unsigned round = 1; round < 5; round++) {
        give_stats(&g, round * 1000);
        CHECK(!vdrv_ring_has_used(&g.d.rings[STATS])); /* kept */
        virtio_balloon_stats(g.d.dev, &s);
        CHECK_EQ(s.value[VIRTIO_BALLOON_STAT_FREE_BYTES], round * 1000);
        CHECK_EQ(s.value[VIRTIO_BALLOON_STAT_TOTAL_BYTES], 4 * MIB);
        CHECK_EQ(s.known,
                 1 << VIRTIO_BALLOON_STAT_FREE_BYTES | 1 << VIRTIO_BALLOON_STAT_TOTAL_BYTES);
        CHECK(s.updated_ns > 0);
        loop_advance_ns(g.loop, INT64_C(1900000000));
        CHECK(!vdrv_ring_has_used(&g.d.rings[STATS]));
        loop_advance_ns(g.loop, INT64_C(100000000));
        CHECK(vdrv_ring_used(&g.d.rings[STATS], &id, &cookie, &len));
        vdrv_ring_enable_interrupts(&g.d.rings[STATS]);
        if (round == 3)
            virtio_balloon_set_stats_interval(g.d.dev, 2); /* begins anew */
    }
    virtio_balloon_set_stats_interval(g.d.dev, 0);
    give_stats(&g, 1);
    loop_advance_ns(g.loop, INT64_C(100000000000));
    CHECK(!vdrv_ring_has_used(&g.d.rings[STATS]));
    rig_fini(&g);
}

static void a_pause_puts_the_statistics_buffer_back(void)
{
    struct rig g;
    struct virtio_balloon_stats s;
    struct state_writer w;
    struct state_reader r;
    rig_init(&g);
    give_stats(&g, 77);
    virtio_transport_config_write(g.d.dev, 4, "\x09\0\0\0", 4);
    virtio_device_pause(g.d.dev);
    CHECK_EQ(g.d.dev->queues[STATS].vq.in_flight, 0);
    state_writer_init(&w);
    state_begin(&w, "b", 0, 1);
    virtio_transport_save(g.d.dev, &w);
    state_end(&w);
    struct vdrv_ring *rings = steal_ptr(&g.d.rings);
    vdrv_close(&g.d);
    vdrv_attach(&g.d, &g.mem, balloon_new(&g, 0), 0);
    free(g.d.rings);
    g.d.rings = rings;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "b", 0, 1), 1);
    CHECK_EQ(virtio_transport_load(g.d.dev, &r), 0);
    CHECK_EQ(state_close(&r), 0);
    CHECK_EQ(virtio_balloon_actual_bytes(g.d.dev), 9 * 4096);
    virtio_device_resume(g.d.dev);
    run_loop(&g);
    virtio_balloon_stats(g.d.dev, &s);
    CHECK_EQ(s.value[VIRTIO_BALLOON_STAT_FREE_BYTES], 77);
    loop_advance_ns(g.loop, INT64_C(2000000000));
    CHECK(vdrv_ring_has_used(&g.d.rings[STATS]));
    state_writer_fini(&w);
    rig_fini(&g);
}

static void more_statistics_buffers_than_one_come_back(void)
{
    struct rig g;
    int id;
    uintptr_t cookie;
    uint32_t len;
    rig_init(&g);
    give_stats(&g, 1);
    give_stats(&g, 2);
    give_stats(&g, 3);
    CHECK(vdrv_ring_used(&g.d.rings[STATS], &id, &cookie, &len));
    CHECK(vdrv_ring_used(&g.d.rings[STATS], &id, &cookie, &len));
    CHECK(!vdrv_ring_has_used(&g.d.rings[STATS]));
    vdrv_reset(&g.d); /* with one held */
    rig_fini(&g);
}

/* A driver without statistics finds reporting on the third queue, as Linux counts. */
static void queues_are_counted_by_negotiated_features(void)
{
    struct rig g;
    rig_init(&g);
    vdrv_reset(&g.d);
    REQUIRE(vdrv_negotiate(&g.d, UINT64_C(1) << VIRTIO_BALLOON_F_STATS_VQ));
    vdrv_setup_queues(&g.d);
    vdrv_driver_ok(&g.d);
    struct vdrv_buf buf = {PAGES_AT, 0x1000};
    uintptr_t cookie = 0;
    uint32_t len;
    vdrv_add(&g.d, 2, &buf, 0, 1, 0);
    vdrv_kick(&g.d, 2);
    CHECK(vdrv_wait_used(&g.d, 2, g.loop, 1000, &cookie, &len));
    CHECK_EQ(page(&g, 0), 0);
    rig_fini(&g);
}

static void works_from_a_thread_of_its_own(void)
{
    struct rig g;
    memset(&g, 0, sizeof(g));
    REQUIRE(!guest_mem_init(&g.mem, 4 * MIB, 0, NULL));
    struct iothread *t = iothread_create("balloon", NULL, NULL);
    g.loop = iothread_loop(t);
    REQUIRE(vdrv_open(&g.d, &g.mem, balloon_new(&g, 0), VDRV_PACKED));
    for (unsigned i = 0; i < 20; i++) {
        uint32_t pfn = PAGES_AT / 4096 + i;
        *(uint8_t *)guest_mem_ptr(&g.mem, PAGES_AT + i * 4096, 1) = 1;
        CHECK_EQ(vdrv_request(&g.d, INFLATE, NULL, &pfn, 4, NULL, 0), 0);
        CHECK_EQ(page(&g, i), 0);
        virtio_balloon_set_stats_interval(g.d.dev, 1 + i % 2);
        virtio_balloon_set_target(g.d.dev, i * 4096, NULL);
        if (i % 5 == 0) {
            virtio_device_pause(g.d.dev);
            virtio_device_resume(g.d.dev);
        }
    }
    vdrv_close(&g.d);
    iothread_destroy(t);
    guest_mem_fini(&g.mem);
}

int main(void)
{
    TAP_RUN(inflated_pages_go_back_to_the_host);
    TAP_RUN(page_numbers_that_lie_touch_nothing_else);
    TAP_RUN(a_list_without_end_is_cut);
    TAP_RUN(reported_ranges_go_back_whole_pages_only);
    TAP_RUN(the_target_is_told_and_the_actual_size_heard);
    TAP_RUN(statistics_are_asked_for_at_their_interval);
    TAP_RUN(a_pause_puts_the_statistics_buffer_back);
    TAP_RUN(more_statistics_buffers_than_one_come_back);
    TAP_RUN(queues_are_counted_by_negotiated_features);
    TAP_RUN(works_from_a_thread_of_its_own);
    return tap_done();
}
