#include "dev/virtio/virtio_console.h"

#include "tap.h"
#include "virtio_driver.h"

#define RX 0
#define TX 1

struct rig {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
    char got[4096]; /* what the back end took */
    size_t n_got, room;
    unsigned ready;
};

static size_t on_output(void *opaque, const void *data, size_t len)
{
    struct rig *g = opaque;
    size_t n = MIN(len, g->room);
    n = MIN(n, sizeof(g->got) - g->n_got);
    memcpy(g->got + g->n_got, data, n);
    g->n_got += n;
    g->room -= n;
    return n;
}

static void on_input_ready(void *opaque)
{
    ((struct rig *)opaque)->ready++;
}

static struct virtio_device *console_new(struct rig *g)
{
    struct virtio_console_options o = {
        .loop = g->loop,
        .cols = 80,
        .rows = 25,
        .backend = {.output = on_output, .input_ready = on_input_ready, .opaque = g},
    };
    return virtio_console_create(&g->mem, &o, NULL);
}

static void rig_init(struct rig *g, unsigned flags)
{
    memset(g, 0, sizeof(*g));
    g->room = SIZE_MAX;
    guest_mem_init(&g->mem, 4 * MIB, 0, NULL);
    g->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    CHECK(vdrv_open(&g->d, &g->mem, console_new(g), flags));
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

static void send(struct rig *g, const char *s)
{
    void *host;
    struct vdrv_buf bufs[2] = {{vdrv_alloc(&g->d, 256, &host), 1}, {0, 0}};
    memcpy(host, s, strlen(s));
    bufs[1] = (struct vdrv_buf){bufs[0].gpa + 1, (uint32_t)strlen(s) - 1};
    vdrv_add(&g->d, TX, bufs, 2, 0, 1);
    vdrv_kick(&g->d, TX);
}

static unsigned used(struct rig *g, unsigned queue, uint32_t *last_len)
{
    int id;
    uintptr_t cookie;
    unsigned n = 0;
    while (vdrv_ring_used(&g->d.rings[queue], &id, &cookie, last_len))
        n++;
    return n;
}

static void output_reaches_the_back_end_in_order(void)
{
    struct rig g;
    uint32_t len;
    rig_init(&g, VDRV_PACKED);
    for (unsigned i = 0; i < 100; i++) {
        send(&g, i % 2 ? "odd line\n" : "even\n");
        if (i % 7 == 0)
            run_loop(&g);
        used(&g, TX, &len);
    }
    run_loop(&g);
    CHECK_EQ(g.n_got, 50 * 14);
    CHECK(!memcmp(g.got, "even\nodd line\neven\n", 19));
    rig_fini(&g);
}

static void a_back_end_without_room_holds_the_guest_back_and_loses_nothing(void)
{
    struct rig g;
    uint32_t len;
    rig_init(&g, 0);
    g.room = 3;
    send(&g, "hello ");
    send(&g, "world");
    run_loop(&g);
    CHECK_EQ(g.n_got, 3);
    CHECK_EQ(used(&g, TX, &len), 0);
    virtio_queue_kick(g.d.dev, TX); /* kicks do not get it further */
    run_loop(&g);
    CHECK_EQ(g.n_got, 3);
    g.room = 4;
    virtio_console_output_ready(g.d.dev);
    run_loop(&g);
    CHECK_EQ(g.n_got, 7);
    CHECK_EQ(used(&g, TX, &len), 1);
    virtio_device_pause(g.d.dev); /* in the middle of "world" */
    CHECK_EQ(g.d.dev->queues[TX].vq.in_flight, 0);
    g.room = SIZE_MAX;
    virtio_console_output_ready(g.d.dev);
    run_loop(&g);
    CHECK_EQ(g.n_got, 7);
    virtio_device_resume(g.d.dev);
    run_loop(&g);
    CHECK_EQ(g.n_got, 11);
    CHECK(!memcmp(g.got, "hello world", 11));
    CHECK_EQ(used(&g, TX, &len), 1);
    rig_fini(&g);
}

static void input_fills_the_guests_buffers_and_waits_for_more(void)
{
    struct rig g;
    uint32_t len = 0;
    rig_init(&g, 0);
    CHECK_EQ(virtio_console_input(g.d.dev, "early", 5), 0); /* no buffers yet */
    void *host;
    struct vdrv_buf buf = {vdrv_alloc(&g.d, 4, &host), 4};
    vdrv_add(&g.d, RX, &buf, 0, 1, 0);
    CHECK(vdrv_kick(&g.d, RX)); /* the device asked for this */
    run_loop(&g);
    CHECK_EQ(g.ready, 1);
    CHECK_EQ(virtio_console_input(g.d.dev, "abcdefgh", 8), 4);
    CHECK(!memcmp(host, "abcd", 4));
    CHECK_EQ(used(&g, RX, &len), 1);
    CHECK_EQ(len, 4);
    vdrv_ring_enable_interrupts(&g.d.rings[RX]);
    vdrv_add(&g.d, RX, &buf, 0, 1, 0);
    vdrv_kick(&g.d, RX);
    run_loop(&g);
    CHECK_EQ(g.ready, 2);
    CHECK_EQ(virtio_console_input(g.d.dev, "ef", 2), 2);
    CHECK_EQ(used(&g, RX, &len), 1);
    CHECK_EQ(len, 2);
    vdrv_add(&g.d, RX, &buf, 0, 1, 0);
    vdrv_kick(&g.d, RX);
    run_loop(&g);
    CHECK_EQ(g.ready, 2); /* nobody waited */
    rig_fini(&g);
}

static void input_before_the_driver_is_ready_is_asked_for_later(void)
{
    struct rig g;
    rig_init(&g, VDRV_NO_START);
    CHECK_EQ(virtio_console_input(g.d.dev, "x", 1), 0);
    vdrv_driver_ok(&g.d);
    run_loop(&g);
    CHECK_EQ(g.ready, 1);
    virtio_device_pause(g.d.dev);
    CHECK_EQ(virtio_console_input(g.d.dev, "x", 1), 0);
    virtio_device_resume(g.d.dev);
    run_loop(&g);
    CHECK_EQ(g.ready, 2);
    rig_fini(&g);
}

static void the_size_is_told_and_changes(void)
{
    struct rig g;
    uint8_t b[4];
    rig_init(&g, 0);
    CHECK(virtio_has(g.d.dev, 1));
    virtio_transport_config_read(g.d.dev, 0, b, 4);
    CHECK_EQ(le32_read(b), 80 | 25 << 16);
    virtio_console_resize(g.d.dev, 132, 43);
    virtio_transport_config_read(g.d.dev, 0, b, 4);
    CHECK_EQ(le32_read(b), 132 | 43 << 16);
    CHECK_EQ(g.d.config_interrupts, 1);
    rig_fini(&g);
}

static void a_half_taken_buffer_survives_a_save(void)
{
    struct rig g;
    struct state_writer w;
    struct state_reader r;
    rig_init(&g, 0);
    g.room = 2;
    send(&g, "abcdef");
    run_loop(&g);
    virtio_device_pause(g.d.dev);
    state_writer_init(&w);
    state_begin(&w, "c", 0, 1);
    virtio_transport_save(g.d.dev, &w);
    state_end(&w);
    struct vdrv_ring *rings = steal_ptr(&g.d.rings);
    vdrv_close(&g.d);
    vdrv_attach(&g.d, &g.mem, console_new(&g), 0);
    free(g.d.rings);
    g.d.rings = rings;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "c", 0, 1), 1);
    CHECK_EQ(virtio_transport_load(g.d.dev, &r), 0);
    CHECK_EQ(state_close(&r), 0);
    g.room = SIZE_MAX;
    virtio_device_resume(g.d.dev);
    run_loop(&g);
    CHECK_EQ(g.n_got, 6);
    CHECK(!memcmp(g.got, "abcdef", 6));
    state_writer_fini(&w);
    rig_fini(&g);
}

int main(void)
{
    TAP_RUN(output_reaches_the_back_end_in_order);
    TAP_RUN(a_back_end_without_room_holds_the_guest_back_and_loses_nothing);
    TAP_RUN(input_fills_the_guests_buffers_and_waits_for_more);
    TAP_RUN(input_before_the_driver_is_ready_is_asked_for_later);
    TAP_RUN(the_size_is_told_and_changes);
    TAP_RUN(a_half_taken_buffer_survives_a_save);
    return tap_done();
}
