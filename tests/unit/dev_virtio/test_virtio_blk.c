#include "dev/virtio/virtio_blk.h"

#include "blk_fixture.h"

static void writes_and_reads_in(unsigned flags)
{
    struct rig r;
    uint8_t a[1536], b[1536];
    open_rig(&r, &plain, flags);
    for (unsigned i = 0; i < sizeof(a); i++)
        a[i] = (uint8_t)(i * 7);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 5, a, sizeof(a), NULL, 0), VIRTIO_BLK_S_OK);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 5, NULL, 0, b, sizeof(b)), VIRTIO_BLK_S_OK);
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    CHECK(memcmp(null_bytes(r.disk) + 5 * 512, a, sizeof(a)) == 0);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL, 0), VIRTIO_BLK_S_OK);
    CHECK_EQ(virtio_blk_counters(r.d.dev)->read_bytes, sizeof(a));
    CHECK(r.d.interrupts[0] >= 1);
    close_rig(&r);
}

static void writes_and_reads(void)
{
    writes_and_reads_in(0);
    writes_and_reads_in(VDRV_PACKED);
    writes_and_reads_in(VDRV_INDIRECT | VDRV_NO_EVENT_IDX);
    writes_and_reads_in(VDRV_PACKED | VDRV_INDIRECT);
}

static void any_framing_is_taken(void)
{
    struct rig r;
    open_rig(&r, &plain, 0);
    /* Header and data in one buffer of three pieces, data and status in one. */
    uint8_t out[16 + 512] = {VIRTIO_BLK_T_OUT};
    uint8_t in[513];
    out[8] = 9;
    memset(out + 16, 0x5a, 512);
    CHECK_EQ(vdrv_request(&r.d, 0, r.loop, out, sizeof(out), in, 1), 1);
    CHECK_EQ(in[0], VIRTIO_BLK_S_OK);
    out[0] = VIRTIO_BLK_T_IN;
    CHECK_EQ(vdrv_request(&r.d, 0, r.loop, out, 16, in, 513), 513);
    CHECK_EQ(in[0], 0x5a);
    CHECK_EQ(in[511], 0x5a);
    CHECK_EQ(in[512], VIRTIO_BLK_S_OK);
    close_rig(&r);
}

static void the_serial_is_told(void)
{
    struct rig r;
    char id[20];
    open_rig(&r, &plain, 0);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_GET_ID, 0, NULL, 0, id, sizeof(id)), VIRTIO_BLK_S_OK);
    CHECK(strncmp(id, "disk-number-one", 20) == 0);
    close_rig(&r);
}

static void refuses_what_lies_outside_or_is_odd(void)
{
    struct rig r;
    uint8_t buf[1024] = {0};
    open_rig(&r, &plain, 0);
    uint64_t sectors = DISK_SIZE / 512;
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, sectors, NULL, 0, buf, 512), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, sectors - 1, NULL, 0, buf, 1024), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, UINT64_MAX, buf, 512, NULL, 0), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, buf, 512, NULL, 0),
             VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 0, NULL, 0, buf, 511), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, 99, 0, NULL, 0, NULL, 0), VIRTIO_BLK_S_UNSUPP);
    CHECK(!virtio_device_is_broken(r.d.dev));
    close_rig(&r);
}

static void a_request_without_header_or_status_breaks_the_device(void)
{
    struct rig r;
    uint8_t buf[16] = {0};
    open_rig(&r, &plain, 0);
    CHECK_EQ(vdrv_request(&r.d, 0, r.loop, buf, 15, buf, 1), -1);
    CHECK(virtio_device_is_broken(r.d.dev));
    close_rig(&r);
    open_rig(&r, &plain, 0);
    CHECK_EQ(vdrv_request(&r.d, 0, r.loop, buf, 16, NULL, 0), -1);
    CHECK(virtio_device_is_broken(r.d.dev));
    close_rig(&r);
}

struct wire_range {
    uint64_t sector;
    uint32_t n_sectors, flags;
};

static void discards_and_zeroes_in_ranges(void)
{
    struct rig r;
    open_rig(&r, &plain, 0);
    uint8_t *disk = null_bytes(r.disk);
    memset(disk, 0xff, DISK_SIZE);
    struct wire_range two[2] = {{8, 8, 0}, {32, 8, 0}};
    CHECK_EQ(run(&r, VIRTIO_BLK_T_WRITE_ZEROES, 0, two, sizeof(two), NULL, 0), VIRTIO_BLK_S_OK);
    CHECK_EQ(disk[8 * 512], 0);
    CHECK_EQ(disk[16 * 512], 0xff);
    CHECK_EQ(disk[32 * 512], 0);
    struct wire_range one = {64, 8, 0};
    CHECK_EQ(run(&r, VIRTIO_BLK_T_DISCARD, 0, &one, sizeof(one), NULL, 0), VIRTIO_BLK_S_OK);
    CHECK_EQ(disk[64 * 512], 0);
    one.flags = 1;
    CHECK_EQ(run(&r, VIRTIO_BLK_T_DISCARD, 0, &one, sizeof(one), NULL, 0), VIRTIO_BLK_S_UNSUPP);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_WRITE_ZEROES, 0, &one, sizeof(one), NULL, 0), VIRTIO_BLK_S_OK);
    one.sector = DISK_SIZE / 512 - 1;
    CHECK_EQ(run(&r, VIRTIO_BLK_T_WRITE_ZEROES, 0, &one, sizeof(one), NULL, 0), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_DISCARD, 0, &one, 15, NULL, 0), VIRTIO_BLK_S_IOERR);
    close_rig(&r);
}

static void a_read_only_disk_refuses_writes(void)
{
    struct rig r;
    uint8_t buf[512] = {0};
    memset(&r, 0, sizeof(r));
    CHECK_EQ(guest_mem_init(&r.mem, 8 << 20, 0, NULL), 0);
    r.loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_device *dev = make(&r, &plain, true);
    CHECK(dev->features_offered & 1 << VIRTIO_BLK_F_RO);
    CHECK(!(dev->features_offered & 1 << VIRTIO_BLK_F_DISCARD));
    CHECK(vdrv_open(&r.d, &r.mem, dev, 0));
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 0, NULL, 0, buf, 512), VIRTIO_BLK_S_OK);
    close_rig(&r);
}

static void write_through_flushes_each_write(void)
{
    struct rig r;
    uint8_t buf[512] = {0}, off = 0;
    open_rig(&r, &plain, 0);
    unsigned rule = faulty_add(r.faulty, &(struct faulty_rule){.op_mask = 1 << BLK_FLUSH});
    run(&r, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0);
    CHECK_EQ(faulty_hits(r.faulty, rule), 0);
    r.d.dev->ops->config_write(r.d.dev, offsetof(struct virtio_blk_config, wce), &off, 1);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0), VIRTIO_BLK_S_OK);
    CHECK_EQ(faulty_hits(r.faulty, rule), 1);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 0, NULL, 0, buf, 512), VIRTIO_BLK_S_OK);
    CHECK_EQ(faulty_hits(r.faulty, rule), 1);
    close_rig(&r);
}

static void an_error_is_reported_to_the_guest(void)
{
    struct rig r;
    uint8_t buf[512];
    open_rig(&r, &plain, 0);
    faulty_add(r.faulty, &(struct faulty_rule){.op_mask = 1 << BLK_READ, .error = EIO, .count = 1});
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 3, NULL, 0, buf, 512), VIRTIO_BLK_S_IOERR);
    CHECK_EQ(r.n_errors, 1);
    CHECK_EQ(r.last.error, EIO);
    CHECK_EQ(r.last.offset, 3 * 512);
    CHECK(!r.last.stopped);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_IN, 3, NULL, 0, buf, 512), VIRTIO_BLK_S_OK);
    close_rig(&r);
}

static unsigned finished_after(struct rig *r, int64_t ns)
{
    unsigned n = 0;
    int id;
    uintptr_t cookie;
    uint32_t len;
    for (int64_t t = 0; t < ns; t += MS) {
        loop_advance_ns(r->loop, MS);
        spin(r, 3);
        while (vdrv_ring_used(&r->d.rings[0], &id, &cookie, &len))
            n++;
    }
    return n;
}

static void a_limit_holds_over_100_ms_and_changes_live(void)
{
    struct rig r;
    void *in;
    struct virtio_blk_options o = {.limit = {.ops_per_s = 500, .ops_burst = 1}};
    open_rig(&r, &o, 0);
    for (int i = 0; i < 80; i++)
        add(&r, 0, VIRTIO_BLK_T_IN, 0, NULL, 0, &in, 512);
    unsigned n = finished_after(&r, 100 * MS);
    CHECK(n >= 50 && n <= 51);
    CHECK(virtio_blk_counters(r.d.dev)->throttled > 0);
    virtio_blk_set_limit(r.d.dev, &(struct rate_limit){.bytes_per_s = 51200, .bytes_burst = 512});
    n = finished_after(&r, 100 * MS);
    CHECK(n >= 10 && n <= 11);
    virtio_blk_set_limit(r.d.dev, &(struct rate_limit){0});
    CHECK(finished_after(&r, MS) >= 18);
    close_rig(&r);
}

static void a_grown_image_is_told_to_the_guest(void)
{
    struct rig r;
    uint64_t size = 0, capacity;
    open_rig(&r, &plain, 0);
    CHECK_EQ(virtio_blk_refresh(r.d.dev, &size, NULL), 0);
    CHECK_EQ(size, DISK_SIZE);
    CHECK_EQ(r.d.config_interrupts, 0);
    virtio_transport_config_read(r.d.dev, 0, &capacity, 8);
    CHECK_EQ(capacity, DISK_SIZE / 512);
    close_rig(&r);
}

static void every_queue_is_served(void)
{
    struct rig r;
    struct virtio_blk_options o = {.n_queues = 4, .queue_size = 16};
    open_rig(&r, &o, 0);
    CHECK(r.d.dev->features & 1 << VIRTIO_BLK_F_MQ);
    for (unsigned q = 0; q < 4; q++) {
        uint8_t buf[512];
        uintptr_t cookie;
        uint32_t len;
        memset(buf, (int)q + 1, sizeof(buf));
        uint8_t *status = add(&r, q, VIRTIO_BLK_T_OUT, q, buf, 512, NULL, 0);
        CHECK(vdrv_wait_used(&r.d, q, r.loop, 1000, &cookie, &len));
        CHECK_EQ(*status, VIRTIO_BLK_S_OK);
        CHECK_EQ(null_bytes(r.disk)[q * 512], q + 1);
        CHECK_EQ(r.d.interrupts[q], 1);
    }
    close_rig(&r);
}

static void the_configuration_space_takes_any_access(void)
{
    struct rig r;
    open_rig(&r, &plain, 0);
    for (unsigned off = 0; off < r.d.dev->config_bytes + 8; off++) {
        for (unsigned len = 1; len <= 8; len *= 2) {
            uint64_t v = 0, ones = UINT64_MAX;
            virtio_transport_config_read(r.d.dev, off, &v, len);
            virtio_transport_config_write(r.d.dev, off, &ones, len);
        }
    }
    CHECK_EQ(r.d.dev->config_bytes, 60);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(writes_and_reads);
    TAP_RUN(any_framing_is_taken);
    TAP_RUN(the_serial_is_told);
    TAP_RUN(refuses_what_lies_outside_or_is_odd);
    TAP_RUN(a_request_without_header_or_status_breaks_the_device);
    TAP_RUN(discards_and_zeroes_in_ranges);
    TAP_RUN(a_read_only_disk_refuses_writes);
    TAP_RUN(write_through_flushes_each_write);
    TAP_RUN(an_error_is_reported_to_the_guest);
    TAP_RUN(a_limit_holds_over_100_ms_and_changes_live);
    TAP_RUN(a_grown_image_is_told_to_the_guest);
    TAP_RUN(every_queue_is_served);
    TAP_RUN(the_configuration_space_takes_any_access);
    return tap_done();
}
