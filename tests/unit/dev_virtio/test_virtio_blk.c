#include "dev/virtio/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>

#include "../virtio_driver.h"
#include "blk/faulty.h"
#include "blk/null.h"
#include "tap.h"

#define MS        INT64_C(1000000)
#define DISK_SIZE (UINT64_C(1) << 20)

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct blk *disk, *faulty;
    struct vdrv d;
    struct virtio_blk_error last;
    unsigned n_errors;
};

static void io_error(void *opaque, const struct virtio_blk_error *e)
{
    struct rig *r = opaque;
    r->last = *e;
    r->n_errors++;
}

static struct virtio_device *make(struct rig *r, const struct virtio_blk_options *options,
                                  bool read_only)
{
    struct null_config nc = {
        .size_bytes = DISK_SIZE, .keep = true, .read_only = read_only, .deferred = true};
    struct virtio_blk_options o = *options;
    r->disk = null_create(r->loop, &nc, NULL);
    r->faulty = faulty_create(r->disk, NULL);
    o.loop = r->loop;
    o.io_error = io_error;
    o.opaque = r;
    return virtio_blk_create(&r->mem, r->faulty, &o, NULL);
}

static void open_rig(struct rig *r, const struct virtio_blk_options *options, unsigned flags)
{
    memset(r, 0, sizeof(*r));
    if (guest_mem_init(&r->mem, 8 << 20, 0, NULL))
        abort();
    r->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    struct virtio_device *dev = make(r, options, false);
    if (!dev || !vdrv_open(&r->d, &r->mem, dev, flags))
        abort();
}

static void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    loop_destroy(r->loop);
    guest_mem_fini(&r->mem);
}

struct wire_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/* Adds a request; returns where its status byte will be. `data` is filled with `fill` when the
 * device is to read it. */
static uint8_t *add(struct rig *r, unsigned queue, uint32_t type, uint64_t sector, const void *out,
                    uint32_t out_len, void **in, uint32_t in_len)
{
    struct vdrv_buf bufs[4];
    unsigned n_out = 1, n_in = 1, n = 1;
    struct wire_header *h;
    void *host;
    bufs[0] = (struct vdrv_buf){vdrv_alloc(&r->d, sizeof(*h), (void **)&h), sizeof(*h)};
    *h = (struct wire_header){.type = type, .sector = sector};
    if (out_len) {
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, out_len, &host), out_len};
        memcpy(host, out, out_len);
        n_out++;
    }
    if (in_len) {
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, in_len, in), in_len};
        n_in++;
    }
    bufs[n++] = (struct vdrv_buf){vdrv_alloc(&r->d, 1, &host), 1};
    *(uint8_t *)host = 0xee;
    if (vdrv_add(&r->d, queue, bufs, n_out, n_in, 0) < 0)
        abort();
    vdrv_kick(&r->d, queue);
    return host;
}

static uint8_t run(struct rig *r, uint32_t type, uint64_t sector, const void *out, uint32_t out_len,
                   void *in, uint32_t in_len)
{
    void *host = NULL;
    uintptr_t cookie;
    uint32_t len;
    uint8_t *status = add(r, 0, type, sector, out, out_len, &host, in_len);
    if (!vdrv_wait_used(&r->d, 0, r->loop, 2000, &cookie, &len))
        return 0xff;
    if (in_len)
        memcpy(in, host, in_len);
    return *status;
}

static void spin(struct rig *r, int rounds)
{
    while (rounds--)
        loop_run_once(r->loop, 0);
}

static const struct virtio_blk_options plain = {.serial = "disk-number-one"};

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

static void a_full_disk_stops_and_the_write_is_tried_again(void)
{
    struct rig r;
    uint8_t buf[512];
    uintptr_t cookie;
    uint32_t len;
    struct virtio_blk_options o = {.on_enospc = VIRTIO_BLK_STOP};
    memset(buf, 0x77, sizeof(buf));
    open_rig(&r, &o, 0);
    faulty_add(r.faulty, &(struct faulty_rule){.op_mask = 1 << BLK_WRITE, .error = ENOSPC});
    uint8_t *first = add(&r, 0, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0);
    spin(&r, 5);
    CHECK(r.last.stopped);
    CHECK_EQ(*first, 0xee);
    uint8_t *second = add(&r, 0, VIRTIO_BLK_T_OUT, 1, buf, 512, NULL, 0);
    virtio_queue_kick(r.d.dev, 0);
    spin(&r, 5);
    CHECK_EQ(r.n_errors, 1); /* nothing more was taken */
    virtio_device_pause(r.d.dev);
    virtio_device_resume(r.d.dev); /* still full */
    spin(&r, 5);
    CHECK_EQ(r.n_errors, 2);
    virtio_device_pause(r.d.dev);
    faulty_clear(r.faulty);
    virtio_device_resume(r.d.dev);
    CHECK(vdrv_wait_used(&r.d, 0, r.loop, 1000, &cookie, &len));
    CHECK(vdrv_wait_used(&r.d, 0, r.loop, 1000, &cookie, &len));
    CHECK_EQ(*first, VIRTIO_BLK_S_OK);
    CHECK_EQ(*second, VIRTIO_BLK_S_OK);
    CHECK_EQ(null_bytes(r.disk)[512], 0x77);
    close_rig(&r);
}

static void a_reset_forgets_what_was_held(void)
{
    struct rig r;
    uint8_t buf[512] = {0};
    struct virtio_blk_options o = {.on_error = VIRTIO_BLK_STOP};
    open_rig(&r, &o, 0);
    faulty_add(r.faulty, &(struct faulty_rule){.op_mask = 1 << BLK_WRITE, .error = EIO});
    add(&r, 0, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0);
    spin(&r, 5);
    CHECK(r.last.stopped);
    vdrv_reset(&r.d);
    faulty_clear(r.faulty);
    CHECK(vdrv_negotiate(&r.d, 0));
    vdrv_setup_queues(&r.d);
    vdrv_driver_ok(&r.d);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0), VIRTIO_BLK_S_OK);
    close_rig(&r);
}

/* Saves a stopped device with two held requests, loads it into another and lets both run there. */
static void held_requests_survive_save_and_load_in(unsigned flags)
{
    struct rig r;
    uint8_t buf[1024];
    uintptr_t cookie;
    uint32_t len;
    struct virtio_blk_options o = {.on_error = VIRTIO_BLK_STOP};
    memset(buf, 0x3c, sizeof(buf));
    open_rig(&r, &o, flags);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 100, buf, 512, NULL, 0), VIRTIO_BLK_S_OK);
    faulty_add(r.faulty, &(struct faulty_rule){.op_mask = ~0u, .error = EIO});
    uint8_t *first = add(&r, 0, VIRTIO_BLK_T_OUT, 4, buf, 1024, NULL, 0);
    void *in;
    uint8_t *second = add(&r, 0, VIRTIO_BLK_T_IN, 4, NULL, 0, &in, 512);
    spin(&r, 5);
    virtio_device_pause(r.d.dev);
    struct state_writer w;
    state_writer_init(&w);
    state_begin(&w, "virtio-blk", 0, 1);
    virtio_transport_save(r.d.dev, &w);
    state_end(&w);
    CHECK_EQ(w.error, 0);

    struct virtio_device *old = r.d.dev;
    struct virtio_device *new = make(&r, &o, false);
    r.d.dev = new;
    CHECK_EQ(virtio_transport_attach(new, old->transport, old->transport_opaque, NULL), 0);
    struct state_reader rd;
    state_reader_init(&rd, w.data, w.len_bytes);
    CHECK_EQ(state_open(&rd, "virtio-blk", 0, 1), 1);
    CHECK_EQ(virtio_transport_load(new, &rd), 0);
    CHECK_EQ(state_close(&rd), 0);
    virtio_device_destroy(old);
    virtio_device_resume(new);
    CHECK(vdrv_wait_used(&r.d, 0, r.loop, 1000, &cookie, &len));
    CHECK(vdrv_wait_used(&r.d, 0, r.loop, 1000, &cookie, &len));
    CHECK_EQ(*first, VIRTIO_BLK_S_OK);
    CHECK_EQ(*second, VIRTIO_BLK_S_OK);
    CHECK_EQ(null_bytes(r.disk)[4 * 512 + 1023], 0x3c);
    CHECK_EQ(*(uint8_t *)in, 0x3c);
    CHECK_EQ(run(&r, VIRTIO_BLK_T_OUT, 100, buf, 512, NULL, 0), VIRTIO_BLK_S_OK);
    for (size_t cut = 33; cut < w.len_bytes; cut++) { /* what is cut short is refused */
        struct virtio_device *third = make(&r, &o, false);
        le32_write(w.data + 4, (uint32_t)(cut - 32));
        state_reader_init(&rd, w.data, cut);
        CHECK_EQ(state_open(&rd, "virtio-blk", 0, 1), 1);
        CHECK(virtio_transport_load(third, &rd) < 0);
        virtio_device_destroy(third);
    }
    state_writer_fini(&w);
    close_rig(&r);
}

static void held_requests_survive_save_and_load(void)
{
    held_requests_survive_save_and_load_in(0);
    held_requests_survive_save_and_load_in(VDRV_PACKED);
    held_requests_survive_save_and_load_in(VDRV_PACKED | VDRV_INDIRECT);
}

static void pause_waits_for_what_is_in_flight(void)
{
    struct rig r;
    uint8_t buf[512] = {0};
    open_rig(&r, &plain, 0);
    faulty_add(r.faulty, &(struct faulty_rule){.op_mask = 1 << BLK_WRITE, .delay_ns = 50 * MS});
    uint8_t *status = add(&r, 0, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0);
    spin(&r, 3);
    CHECK_EQ(*status, 0xee);
    virtio_device_pause(r.d.dev);
    CHECK_EQ(*status, VIRTIO_BLK_S_OK);
    CHECK_EQ(r.d.dev->queues[0].vq.in_flight, 0);
    uint8_t *late = add(&r, 0, VIRTIO_BLK_T_OUT, 0, buf, 512, NULL, 0);
    spin(&r, 3);
    CHECK_EQ(*late, 0xee);
    faulty_clear(r.faulty);
    virtio_device_resume(r.d.dev);
    spin(&r, 5);
    CHECK_EQ(*late, VIRTIO_BLK_S_OK);
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
    TAP_RUN(a_full_disk_stops_and_the_write_is_tried_again);
    TAP_RUN(a_reset_forgets_what_was_held);
    TAP_RUN(held_requests_survive_save_and_load);
    TAP_RUN(pause_waits_for_what_is_in_flight);
    TAP_RUN(a_limit_holds_over_100_ms_and_changes_live);
    TAP_RUN(a_grown_image_is_told_to_the_guest);
    TAP_RUN(every_queue_is_served);
    TAP_RUN(the_configuration_space_takes_any_access);
    return tap_done();
}
