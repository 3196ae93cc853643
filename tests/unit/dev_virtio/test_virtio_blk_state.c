/* Requests that a full disk holds back, over reset, save, load and pause. */
#include "dev/virtio/virtio_blk.h"

#include "blk_fixture.h"

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

int main(void)
{
    TAP_RUN(a_full_disk_stops_and_the_write_is_tried_again);
    TAP_RUN(a_reset_forgets_what_was_held);
    TAP_RUN(held_requests_survive_save_and_load);
    TAP_RUN(pause_waits_for_what_is_in_flight);
    return tap_done();
}
