/* virtio-net with an I/O thread for each of two queue pairs, and the driver in a third: for the
 * thread sanitizer, and for kicks that get lost. */
#include "dev/virtio/virtio_net.h"

#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "../virtio_driver.h"
#include "base/clock.h"
#include "io/iothread.h"
#include "net/net_null.h"
#include "tap.h"

#define HDR         NET_HDR_BYTES
#define FRAME       200
#define PACKETS     20000
#define SLOTS       64
#define PATIENCE_NS INT64_C(60000000000)

/* Sends PACKETS numbered packets on `pair` of a looping back end, and checks that they come back
 * to it in order. A full queue of the loop loses packets: at most SLOTS are on the way, which
 * fit. Returns how many came back. */
static uint32_t run_pair(struct vdrv *d, unsigned pair, unsigned first, unsigned count,
                         void (*disturb)(struct vdrv *d, uint32_t round))
{
    struct vdrv_ring *rx = &d->rings[2 * pair], *tx = &d->rings[2 * pair + 1];
    uint64_t rx_gpa = vdrv_alloc(d, SLOTS * 256, NULL), tx_gpa = vdrv_alloc(d, SLOTS * 256, NULL);
    uint32_t sent = first, got = first, end = first + count;
    int id;
    uintptr_t slot;
    uint32_t len;
    for (unsigned i = 0; i < SLOTS; i++)
        vdrv_add(d, 2 * pair, &(struct vdrv_buf){rx_gpa + i * 256, 256}, 0, 1, i);
    vdrv_kick(d, 2 * pair);
    int64_t deadline_ns = clock_now_ns() + PATIENCE_NS;
    while (got < end && clock_now_ns() < deadline_ns && !virtio_device_is_broken(d->dev)) {
        while (vdrv_ring_used(tx, &id, &slot, &len))
            ;
        for (; sent < end && sent - got < SLOTS / 2; sent++) {
            uint64_t gpa = tx_gpa + sent % SLOTS * 256;
            le32_write(guest_mem_ptr(d->mem, gpa + HDR + 14, 4), sent);
            if (vdrv_add(d, 2 * pair + 1, &(struct vdrv_buf){gpa, HDR + FRAME}, 1, 0, 0) < 0)
                break;
        }
        vdrv_kick(d, 2 * pair + 1);
        while (vdrv_ring_used(rx, &id, &slot, &len)) {
            uint64_t gpa = rx_gpa + slot * 256;
            if (len != HDR + FRAME || le32_read(guest_mem_ptr(d->mem, gpa + HDR + 14, 4)) != got)
                return got - first;
            got++;
            vdrv_add(d, 2 * pair, &(struct vdrv_buf){gpa, 256}, 0, 1, slot);
        }
        vdrv_kick(d, 2 * pair);
        if (disturb)
            disturb(d, got);
    }
    return got - first;
}

struct rig {
    struct guest_mem mem;
    struct iothread *threads[2];
    struct vdrv d;
};

static void open_rig(struct rig *r, unsigned flags)
{
    memset(r, 0, sizeof(*r));
    struct virtio_net_options o = {.mac = {2, 1, 1, 1, 1, 1}, .n_loops = 2};
    for (int i = 0; i < 2; i++) {
        r->threads[i] = iothread_create("net", NULL, NULL);
        if (!r->threads[i])
            abort();
        o.loops[i] = iothread_loop(r->threads[i]);
    }
    if (guest_mem_init(&r->mem, 32 << 20, 0, NULL))
        abort();
    struct net_backend *nb = net_null_create(2, 0, NET_NULL_LOOP, NULL);
    if (!vdrv_open(&r->d, &r->mem, virtio_net_create(&r->mem, nb, &o, NULL), flags))
        abort();
    uint8_t ack = 1;
    vdrv_request(&r->d, 4, NULL, "\4\0\2\0", 4, &ack, 1);
    if (ack != VIRTIO_NET_OK)
        abort();
}

static void close_rig(struct rig *r)
{
    vdrv_close(&r->d);
    for (int i = 0; i < 2; i++)
        iothread_destroy(r->threads[i]);
    guest_mem_fini(&r->mem);
}

static void loses_no_packet_and_no_kick(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED, VDRV_NO_EVENT_IDX};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, flags[f]);
        CHECK_EQ(run_pair(&r.d, f % 2, 0, PACKETS, NULL), PACKETS);
        close_rig(&r);
    }
}

static void pause_and_resume(struct vdrv *d, uint32_t round)
{
    if (round % 97)
        return;
    virtio_device_pause(d->dev);
    virtio_device_resume(d->dev);
}

static void loses_no_packet_over_pauses(void)
{
    static const unsigned flags[] = {0, VDRV_PACKED};
    for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
        struct rig r;
        open_rig(&r, flags[f]);
        CHECK_EQ(run_pair(&r.d, 1, 0, PACKETS / 4, pause_and_resume), PACKETS / 4);
        close_rig(&r);
    }
}

static void look_and_change(struct vdrv *d, uint32_t round)
{
    struct rate_limit limit = {.ops_per_s = 10000000};
    struct virtio_net_counters c;
    uint8_t le[8];
    if (round % 31)
        return;
    virtio_net_counters_get(d->dev, &c);
    virtio_transport_config_read(d->dev, 0, le, 8);
    virtio_net_set_limits(d->dev, &limit, &limit);
}

static void may_be_looked_at_and_changed_while_it_runs(void)
{
    struct rig r;
    open_rig(&r, 0);
    CHECK_EQ(run_pair(&r.d, 0, 0, PACKETS / 4, look_and_change), PACKETS / 4);
    close_rig(&r);
}

int main(void)
{
    TAP_RUN(loses_no_packet_and_no_kick);
    TAP_RUN(loses_no_packet_over_pauses);
    TAP_RUN(may_be_looked_at_and_changed_while_it_runs);
    return tap_done();
}
