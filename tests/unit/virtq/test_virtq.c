#include "virtq/virtq.h"

#include "virtq_rig.h"

static void layout_is_the_kernels(void)
{
    CHECK_EQ(sizeof(struct virtq_wire_desc), sizeof(struct vring_desc));
    CHECK_EQ(offsetof(struct virtq_wire_desc, len), offsetof(struct vring_desc, len));
    CHECK_EQ(offsetof(struct virtq_wire_desc, flags), offsetof(struct vring_desc, flags));
    CHECK_EQ(offsetof(struct virtq_wire_desc, next), offsetof(struct vring_desc, next));
    CHECK_EQ(sizeof(struct virtq_wire_packed_desc), sizeof(struct vring_packed_desc));
    CHECK_EQ(offsetof(struct virtq_wire_packed_desc, id), offsetof(struct vring_packed_desc, id));
    CHECK_EQ(offsetof(struct virtq_wire_packed_desc, flags),
             offsetof(struct vring_packed_desc, flags));
    CHECK_EQ(offsetof(struct virtq_wire_avail, ring), offsetof(struct vring_avail, ring));
    CHECK_EQ(offsetof(struct virtq_wire_used, ring), offsetof(struct vring_used, ring));
    CHECK_EQ(sizeof(struct virtq_wire_used_elem), sizeof(struct vring_used_elem));
    CHECK_EQ(offsetof(struct virtq_wire_event, flags),
             offsetof(struct vring_packed_desc_event, flags));
    CHECK_EQ(VIRTQ_WIRE_AVAIL, 1 << VRING_PACKED_DESC_F_AVAIL);
    CHECK_EQ(VIRTQ_WIRE_USED, 1 << VRING_PACKED_DESC_F_USED);
    CHECK_EQ(VIRTQ_WIRE_INDIRECT, VRING_DESC_F_INDIRECT);
}

static void refuses_rings_that_do_not_fit(void)
{
    struct rig g;
    rig_init(&g, formats[0]);
    static const struct {
        struct virtq_config c;
        int ret;
        const char *says;
    } bad[] = {
        {{.size = 0, .desc = 0x1000, .driver = 0x2000, .device = 0x3000}, -EINVAL, "queue size 0"},
        {{.size = 6, .desc = 0x1000, .driver = 0x2000, .device = 0x3000}, -EINVAL, "power of two"},
        {{.size = 2048, .desc = 0x1000, .driver = 0x2000, .device = 0x3000}, -EINVAL, "2048"},
        {{.size = 8, .desc = 0x1008, .driver = 0x2000, .device = 0x3000}, -EINVAL, "descriptor"},
        {{.size = 8, .desc = 0x1000, .driver = 0x2001, .device = 0x3000}, -EINVAL, "driver"},
        {{.size = 8, .desc = 0x1000, .driver = 0x2000, .device = 0x3002}, -EINVAL, "device"},
        {{.size = 8, .desc = MEM_BYTES - 64, .driver = 0x2000, .device = 0x3000}, -EFAULT, "desc"},
        {{.size = 8, .desc = 0x1000, .driver = MEM_BYTES - 16, .device = 0x3000},
         -EFAULT,
         "driver"},
        {{.size = 8, .desc = 0x1000, .driver = 0x2000, .device = ~UINT64_C(3)}, -EFAULT, "device"},
        {{.size = 8, .packed = true, .desc = 0x1000, .driver = 0x2002, .device = 0x3000},
         -EINVAL,
         "driver"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct virtq vq = {.used_idx = 77};
        struct err err = {0};
        CHECK_EQ(virtq_init(&vq, &bad[i].c, &g.xlate, &err), bad[i].ret);
        CHECK(strstr(err.msg, bad[i].says));
        CHECK_EQ(vq.used_idx, 77); /* untouched */
    }
    rig_fini(&g);
}

static void takes_and_completes_a_request_in_every_format(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        struct rig g;
        rig_init(&g, formats[f]);
        CHECK_EQ(rig_pop(&g), 0);
        CHECK(!virtq_pending(&g.vq));
        for (unsigned round = 0; round < 50; round++) {
            struct vdrv_buf bufs[3] = {{0x100000, 16}, {0x200000, 512}, {0x300000, 1}};
            int id = vdrv_ring_add(&g.ring, bufs, 1, 2, formats[f].indirect && round % 2, round);
            vdrv_ring_publish(&g.ring);
            CHECK(id >= 0 && virtq_pending(&g.vq));
            REQUIRE(rig_pop(&g) == 1);
            CHECK_EQ(g.chain.id, id);
            CHECK_EQ(g.chain.n_out, 1);
            CHECK_EQ(g.chain.n_in, 2);
            CHECK_EQ(g.chain.out_bytes, 16);
            CHECK_EQ(g.chain.in_bytes, 513);
            CHECK(g.iov[0].iov_base == g.mem.regions[0].hva + 0x100000);
            CHECK(g.iov[1].iov_base == g.mem.regions[0].hva + 0x200000);
            CHECK_EQ(g.iov[2].iov_len, 1);
            CHECK_EQ(g.in_gpa[1], 0x300000);
            uintptr_t cookie = 0;
            uint32_t len;
            virtq_push(&g.vq, &g.chain, 513);
            CHECK(!vdrv_ring_has_used(&g.ring)); /* not before publish */
            virtq_publish(&g.vq);
            REQUIRE(vdrv_ring_used(&g.ring, &id, &cookie, &len));
            CHECK_EQ(cookie, round);
            CHECK_EQ(len, 513);
            CHECK_EQ(g.vq.in_flight, 0);
        }
        rig_fini(&g);
    }
}

/* ---- malformed rings ---- */

/* Writes a split descriptor and makes entry 0 available. */
static void offer(struct rig *g, unsigned n, const struct vring_desc *d)
{
    memcpy(g->ring.split.desc, d, n * sizeof(*d));
    g->ring.split.avail->ring[0] = 0;
    g->ring.split.avail->idx = 1;
}

static void refuses_malformed_split_chains(void)
{
    enum { N = VRING_DESC_F_NEXT, W = VRING_DESC_F_WRITE, I = VRING_DESC_F_INDIRECT };
    static const struct {
        struct vring_desc d[3];
        const char *says;
    } bad[] = {
        {{{0x1000, 4, N, 1}, {0x1000, 4, N, 0}}, "loops"},
        {{{0x1000, 4, N, 0}}, "loops"},
        {{{0x1000, 4, N, 8}}, "index 8 in a table of 8"},
        {{{0x1000, 4, 8, 0}}, "reserved flags 0x8"},
        {{{0x1000, 4, 1 << 7, 0}}, "reserved flags 0x80"},
        {{{MEM_BYTES, 4, 0, 0}}, "0x400000"},
        {{{MEM_BYTES - 2, 4, 0, 0}}, "0x400000"},
        {{{UINT64_MAX - 1, 4, 0, 0}}, "not in guest memory"},
        {{{0x1000, UINT32_MAX, N, 1}, {0x1000, 1, 0, 0}}, "not in guest memory"},
        {{{0x1000, 4, W | N, 1}, {0x1000, 4, 0, 0}}, "follows"},
        {{{0x1000, 16, I | N, 1}, {0x1000, 4, 0, 0}}, "nested or has a next"},
        {{{0x1000, 15, I, 0}}, "15 bytes"},
        {{{0x1000, 0, I, 0}}, "0 bytes"},
        {{{MEM_BYTES, 16, I, 0}}, "not in guest memory"},
        {{{UINT64_MAX - 15, 64, I, 0}}, "not in guest memory"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig g;
        rig_init(&g, formats[1]);
        offer(&g, 3, bad[i].d);
        CHECK_EQ(rig_pop(&g), -EPROTO);
        if (!strstr(g.err.msg, bad[i].says)) {
            printf("# case %u said: %s\n", i, g.err.msg);
            CHECK(!"the message names the cause");
        }
        CHECK_EQ(g.vq.in_flight, 0);
        CHECK_EQ(rig_pop(&g), -EPROTO); /* and stays so */
        rig_fini(&g);
    }
}

static void refuses_bad_indirect_tables(void)
{
    enum { N = VRING_DESC_F_NEXT, I = VRING_DESC_F_INDIRECT };
    struct rig g;
    struct vring_desc head = {0x10000, 64, I, 0};
    rig_init(&g, formats[1]);
    struct vring_desc *table = guest_mem_ptr(&g.mem, 0x10000, 64);
    offer(&g, 1, &head);
    table[0] = (struct vring_desc){0x20000, 16, I, 0};
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "nested"));
    table[0] = (struct vring_desc){0x20000, 16, N, 4};
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "index 4 in a table of 4"));
    table[0] = (struct vring_desc){0x20000, 16, N, 1};
    table[1] = (struct vring_desc){0x20000, 16, N, 0};
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "loops"));
    g.vq.config.indirect = false;
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "not negotiated"));
    rig_fini(&g);
}

static void refuses_malformed_packed_chains(void)
{
    enum { N = VRING_DESC_F_NEXT, W = VRING_DESC_F_WRITE, I = VRING_DESC_F_INDIRECT, A = 1 << 7 };
    static const struct {
        struct vring_packed_desc d[3];
        const char *says;
    } bad[] = {
        {{{0x1000, 4, 0, A | 8}}, "reserved flags 0x88"},
        {{{0x1000, 16, 0, A | I | N}}, "has a next"},
        {{{0x1000, 17, 0, A | I}}, "17 bytes"},
        {{{MEM_BYTES - 16, 32, 0, A | I}}, "not in guest memory"},
        {{{0x1000, 16 * 1025, 0, A | I}}, "1025 entries"},
        {{{MEM_BYTES, 4, 0, A}}, "0x400000"},
        {{{0x1000, 4, 0, A | N | W}, {0x1000, 4, 0, A}}, "follows"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig g;
        rig_init(&g, formats[3]);
        memcpy(g.ring.pdesc, bad[i].d, sizeof(bad[i].d));
        CHECK_EQ(rig_pop(&g), -EPROTO);
        if (!strstr(g.err.msg, bad[i].says)) {
            printf("# case %u said: %s\n", i, g.err.msg);
            CHECK(!"the message names the cause");
        }
        rig_fini(&g);
    }
    struct rig g;
    rig_init(&g, formats[2]);
    for (unsigned i = 0; i < 8; i++)
        g.ring.pdesc[i] = (struct vring_packed_desc){0x1000, 4, 0, A | N};
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "longer than the ring of 8"));
    rig_fini(&g);
}

static void refuses_an_index_that_runs_ahead(void)
{
    struct rig g;
    rig_init(&g, formats[0]);
    g.ring.split.avail->idx = 9;
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "9 ahead in a ring of 8"));
    g.ring.split.avail->idx = 0xffff; /* backwards */
    CHECK_EQ(rig_pop(&g), -EPROTO);
    g.ring.split.avail->idx = 1;
    g.ring.split.avail->ring[0] = 8;
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "index 8 in a table of 8"));
    rig_fini(&g);
}

/* A device keeps its requests in an array of the ring's size: the ring must never hand out more. */
static void never_hands_out_more_requests_than_entries(void)
{
    struct rig g;
    rig_init(&g, formats[0]);
    g.ring.split.desc[0] = (struct vring_desc){0x1000, 4, 0, 0};
    for (unsigned i = 0; i < 8; i++) {
        g.ring.split.avail->idx++; /* head 0 again and again */
        CHECK_EQ(rig_pop(&g), 1);
    }
    g.ring.split.avail->idx++;
    CHECK_EQ(rig_pop(&g), -EPROTO);
    rig_fini(&g);

    rig_init(&g, formats[2]);
    for (unsigned i = 0; i < 8; i++)
        g.ring.pdesc[i] = (struct vring_packed_desc){0x1000, 4, 0, 1 << 7};
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(rig_pop(&g), 1);
    for (unsigned i = 0; i < 8; i++)
        g.ring.pdesc[i].flags = 1 << 15;
    CHECK_EQ(rig_pop(&g), -EPROTO);
    rig_fini(&g);
}

static void refuses_chains_beyond_the_callers_array_or_4_gib(void)
{
    struct rig g;
    rig_init(&g, formats[1]);
    g.chain.iov_max = 2;
    struct vdrv_buf bufs[3] = {{0x1000, 1}, {0x1000, 1}, {0x1000, 1}};
    vdrv_ring_add(&g.ring, bufs, 2, 1, false, 0);
    vdrv_ring_publish(&g.ring);
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "more than the 2 buffers"));
    rig_fini(&g);

    /* A region of 4 GiB that is not touched: the sum must not wrap. */
    rig_init(&g, formats[1]);
    g.xlate.regions[0].size_bytes = UINT64_C(1) << 33;
    bufs[0].len = bufs[1].len = 0x80000000;
    vdrv_ring_add(&g.ring, bufs, 2, 0, false, 0);
    vdrv_ring_publish(&g.ring);
    CHECK_EQ(rig_pop(&g), -EPROTO);
    CHECK(strstr(g.err.msg, "4 GiB"));
    rig_fini(&g);
}

static void empty_buffers_are_skipped(void)
{
    struct rig g;
    rig_init(&g, formats[0]);
    struct vdrv_buf bufs[3] = {{0x1000, 0}, {0x1000, 5}, {UINT64_MAX, 0}};
    vdrv_ring_add(&g.ring, bufs, 2, 1, false, 0);
    vdrv_ring_publish(&g.ring);
    CHECK_EQ(rig_pop(&g), 1);
    CHECK_EQ(g.chain.n_out, 1);
    CHECK_EQ(g.chain.n_in, 0);
    rig_fini(&g);
}

static void a_buffer_over_two_regions_becomes_two_iovecs(void)
{
    struct rig g;
    rig_init(&g, formats[1]);
    uint8_t *hva = g.mem.regions[0].hva;
    g.xlate.n_regions = 2;
    g.xlate.regions[0].size_bytes = 0x200000;
    g.xlate.regions[1] = (struct virtq_region){0x200000, 0x100000, hva + 0x300000};
    struct vdrv_buf bufs[2] = {{0x1ffff0, 0x20}, {0x1ffff8, 0x10}};
    vdrv_ring_add(&g.ring, bufs, 1, 1, false, 0);
    vdrv_ring_publish(&g.ring);
    CHECK_EQ(rig_pop(&g), 1);
    CHECK_EQ(g.chain.n_out, 2);
    CHECK_EQ(g.chain.n_in, 2);
    CHECK_EQ(g.chain.out_bytes, 0x20);
    CHECK(g.iov[0].iov_base == hva + 0x1ffff0);
    CHECK(g.iov[1].iov_base == hva + 0x300000);
    CHECK_EQ(g.iov[0].iov_len, 0x10);
    CHECK_EQ(g.in_gpa[1], 0x200000);
    /* An indirect table over both regions. */
    uint64_t table = 0x200000 - 16;
    *(struct vring_desc *)(void *)(hva + table) =
        (struct vring_desc){0x1000, 3, VRING_DESC_F_NEXT, 1};
    *(struct vring_desc *)(void *)(hva + 0x300000) = (struct vring_desc){0x2000, 4, 0, 0};
    g.ring.split.desc[7] = (struct vring_desc){table, 32, VRING_DESC_F_INDIRECT, 0};
    g.ring.split.avail->ring[1] = 7;
    g.ring.split.avail->idx = 2;
    CHECK_EQ(rig_pop(&g), 1);
    CHECK_EQ(g.chain.out_bytes, 7);
    rig_fini(&g);
}

/* ---- positions ---- */

static void gives_a_chain_back_and_takes_it_again(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        struct rig g;
        rig_init(&g, formats[f]);
        for (unsigned round = 0; round < 40; round++) {
            struct vdrv_buf bufs[3] = {{0x1000 + round, 1}, {0x2000, 1}, {0x3000, 1}};
            int id = vdrv_ring_add(&g.ring, bufs, 1 + round % 3, 0, false, round);
            uintptr_t cookie = 0;
            uint32_t len;
            vdrv_ring_publish(&g.ring);
            REQUIRE(rig_pop(&g) == 1);
            virtq_unpop(&g.vq, &g.chain);
            CHECK_EQ(g.vq.in_flight, 0);
            CHECK(virtq_pending(&g.vq));
            REQUIRE(rig_pop(&g) == 1);
            CHECK_EQ(g.chain.id, id);
            CHECK(g.iov[0].iov_base == g.mem.regions[0].hva + 0x1000 + round);
            virtq_push(&g.vq, &g.chain, 0);
            virtq_publish(&g.vq);
            CHECK(vdrv_ring_used(&g.ring, &id, &cookie, &len) && cookie == round);
        }
        rig_fini(&g);
    }
}

static void the_position_survives_a_new_attachment(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        struct rig g;
        rig_init(&g, formats[f]);
        for (unsigned round = 0; round < 40; round++) {
            struct vdrv_buf bufs[3] = {{0x1000, 1}, {0x2000, 1}, {0x3000, 1}};
            int id = vdrv_ring_add(&g.ring, bufs, 1 + round % 3, 0, false, round);
            vdrv_ring_publish(&g.ring);
            uint32_t base = virtq_get_base(&g.vq);
            CHECK_EQ(virtq_init(&g.vq, &g.ring.config, &g.xlate, &g.err), 0);
            virtq_set_base(&g.vq, base);
            uintptr_t cookie = 0;
            uint32_t len;
            REQUIRE(rig_pop(&g) == 1);
            CHECK_EQ(g.chain.id, id);
            virtq_push(&g.vq, &g.chain, 0);
            CHECK(virtq_publish(&g.vq));
            CHECK(vdrv_ring_used(&g.ring, &id, &cookie, &len) && cookie == round);
        }
        rig_fini(&g);
    }
}

static void a_hostile_position_stays_within_the_ring(void)
{
    struct rig g;
    rig_init(&g, formats[4]);
    virtq_set_base(&g.vq, 0xfffeffff);
    CHECK(g.vq.last_avail < 7 && g.vq.used_idx < 7);
    rig_pop(&g);
    rig_fini(&g);
}

/* ---- notifications ---- */

/* For every position of the event in a ring, every batch: one interrupt exactly when the batch
 * contains the event. The driver sees what the kernel's own formula says (split), or a list of
 * positions (packed). */
static void interrupts_exactly_when_the_batch_contains_the_event(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        if (!formats[f].event_idx)
            continue;
        uint16_t size = formats[f].size;
        for (unsigned start = 0; start < 2u * size; start++) {
            for (unsigned batch = 1; batch <= size; batch++) {
                for (int ahead = -(int)size; ahead < (int)size; ahead++) {
                    struct rig g;
                    memset(&g, 0, sizeof(g));
                    g.chain = (struct virtq_chain){.iov_max = 0, .n_desc = 1};
                    _Alignas(16) static uint8_t mem[4096];
                    memset(mem, 0, sizeof(mem));
                    g.xlate.n_regions = 1;
                    g.xlate.regions[0] = (struct virtq_region){0, sizeof(mem), mem};
                    struct virtq_config c = formats[f];
                    c.driver = 1024;
                    c.device = 2048;
                    CHECK_EQ(virtq_init(&g.vq, &c, &g.xlate, NULL), 0);
                    unsigned position = (unsigned)((int)start + 2 * size + ahead);
                    unsigned slot = position % size, round = position / size;
                    if (c.packed) {
                        g.vq.used_idx = g.vq.last_avail = (uint16_t)(start % size);
                        g.vq.used_wrap = g.vq.avail_wrap = start < size;
                        le16_write(mem + 1024, (uint16_t)(slot | (round % 2 ? 0 : 0x8000)));
                        le16_write(mem + 1026, VRING_PACKED_EVENT_FLAG_DESC);
                    } else {
                        g.vq.used_idx = (uint16_t)(65530 + start); /* across the wrap of idx */
                        g.vq.signalled_valid = true;
                        le16_write(mem + 1024 + 4 + 2 * size,
                                   (uint16_t)(65530 + (int)start + ahead));
                    }
                    for (unsigned i = 0; i < batch; i++)
                        virtq_push(&g.vq, &g.chain, 0);
                    bool expect = ahead >= 0 && ahead < (int)batch;
                    if (!c.packed)
                        expect = vring_need_event((uint16_t)(65530 + (int)start + ahead),
                                                  g.vq.used_idx, (uint16_t)(65530 + start));
                    CHECK_EQ(virtq_publish(&g.vq), expect);
                    CHECK_EQ(virtq_publish(&g.vq), false); /* nothing new */
                }
            }
        }
    }
}

static void honours_interrupt_and_kick_suppression_without_event_index(void)
{
    static const unsigned plain[] = {0, 2};
    for (unsigned f = 0; f < ARRAY_LEN(plain); f++) {
        struct rig g;
        rig_init(&g, formats[plain[f]]);
        struct vdrv_buf buf = {0x1000, 8};
        virtq_disable_kicks(&g.vq);
        for (unsigned round = 0; round < 6; round++) {
            int id;
            uintptr_t cookie = 0;
            uint32_t len;
            vdrv_ring_add(&g.ring, &buf, 1, 0, false, 0);
            CHECK_EQ(vdrv_ring_publish(&g.ring), round % 2);
            if (round % 2)
                vdrv_ring_disable_interrupts(&g.ring);
            else
                vdrv_ring_enable_interrupts(&g.ring);
            REQUIRE(rig_pop(&g) == 1);
            virtq_push(&g.vq, &g.chain, 0);
            CHECK_EQ(virtq_publish(&g.vq), !(round % 2));
            vdrv_ring_used(&g.ring, &id, &cookie, &len);
            if (round % 2)
                virtq_disable_kicks(&g.vq);
            else
                CHECK_EQ(virtq_enable_kicks(&g.vq), false);
        }
        rig_fini(&g);
    }
}

static void enabling_kicks_tells_what_came_meanwhile(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        struct rig g;
        rig_init(&g, formats[f]);
        struct vdrv_buf buf = {0x1000, 8};
        CHECK(!virtq_enable_kicks(&g.vq));
        virtq_disable_kicks(&g.vq);
        vdrv_ring_add(&g.ring, &buf, 1, 0, false, 0);
        vdrv_ring_publish(&g.ring);
        CHECK(virtq_enable_kicks(&g.vq));
        CHECK_EQ(rig_pop(&g), 1);
        CHECK(!virtq_enable_kicks(&g.vq));
        vdrv_ring_add(&g.ring, &buf, 1, 0, false, 0);
        CHECK(vdrv_ring_publish(&g.ring)); /* the driver kicks from here on */
        rig_fini(&g);
    }
}

int main(void)
{
    TAP_RUN(layout_is_the_kernels);
    TAP_RUN(refuses_rings_that_do_not_fit);
    TAP_RUN(takes_and_completes_a_request_in_every_format);
    TAP_RUN(refuses_malformed_split_chains);
    TAP_RUN(refuses_bad_indirect_tables);
    TAP_RUN(refuses_malformed_packed_chains);
    TAP_RUN(refuses_an_index_that_runs_ahead);
    TAP_RUN(never_hands_out_more_requests_than_entries);
    TAP_RUN(refuses_chains_beyond_the_callers_array_or_4_gib);
    TAP_RUN(empty_buffers_are_skipped);
    TAP_RUN(a_buffer_over_two_regions_becomes_two_iovecs);
    TAP_RUN(gives_a_chain_back_and_takes_it_again);
    TAP_RUN(the_position_survives_a_new_attachment);
    TAP_RUN(a_hostile_position_stays_within_the_ring);
    TAP_RUN(interrupts_exactly_when_the_batch_contains_the_event);
    TAP_RUN(honours_interrupt_and_kick_suppression_without_event_index);
    TAP_RUN(enabling_kicks_tells_what_came_meanwhile);
    return tap_done();
}
