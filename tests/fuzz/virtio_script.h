/* Drives any virtio device from a fuzz input: a driver that mostly knows how rings are laid out and
 * says anything it likes through them. Used by the fuzz_virtio_* targets:
 *
 *   struct virtio_script s;
 *   virtio_script_begin(&s, data, size);
 *   virtio_script_run(&s, my_device_new(&s.mem, s.loop), extra, opaque);
 *   virtio_script_end(&s);
 *
 * Input. Byte 0: bit 0 packed ring, bit 1 no event index, bit 2 chains in indirect tables, bits 3
 * to 7 own features 0 to 4 that the driver refuses. Then operations, one byte each with arguments:
 *   OP % 16  ARGUMENTS                      DOES
 *   0 to 3   queue, counts, (slot, len)*    adds a chain: low 3 bits of counts buffers to read, the
 *                                           next 3 to write, each at slot * 1 KiB of the data area,
 *                                           slot 255: outside memory; len * 16 bytes, odd: len
 *   4, 5     off16, len, bytes              writes the data area
 *   6        off16, len, bytes              writes the rings and tables
 *   7, 8     queue                          kicks
 *   9        off, len, bytes                writes configuration space
 *   10       off, len                       reads it
 *   11       byte                           turns the clock by byte * 10 ms
 *   12                                      pauses and resumes
 *   13                                      resets and starts again
 *   14                                      saves, loads into the same device's successor: see
 * extra 15       byte                           the target's own: extra(opaque, device, byte)
 */
#ifndef TESTS_FUZZ_VIRTIO_SCRIPT_H
#define TESTS_FUZZ_VIRTIO_SCRIPT_H

#include "../unit/virtio_driver.h"
#include "base/log.h"

#define VIRTIO_SCRIPT_MEM_BYTES (2 * MIB)
#define VIRTIO_SCRIPT_DATA      0x180000
#define VIRTIO_SCRIPT_RINGS     0x10000

struct virtio_script {
    struct guest_mem mem;
    struct loop *loop;
    struct vdrv d;
    const uint8_t *at, *end;
    uint8_t flags;
};

static inline uint8_t virtio_script_byte(struct virtio_script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static inline uint16_t virtio_script_u16(struct virtio_script *s)
{
    uint8_t low = virtio_script_byte(s);
    return (uint16_t)(low | virtio_script_byte(s) << 8);
}

static inline void virtio_script_begin(struct virtio_script *s, const uint8_t *data, size_t size)
{
    memset(s, 0, sizeof(*s));
    log_setup(2, LOG_ERROR, NULL);
    if (guest_mem_init(&s->mem, VIRTIO_SCRIPT_MEM_BYTES, 0, NULL))
        abort();
    s->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    s->at = data;
    s->end = data + size;
    s->flags = virtio_script_byte(s);
}

static inline void virtio_script_settle(struct virtio_script *s)
{
    for (unsigned n = 0; n < 64 && loop_run_once(s->loop, 0) > 0; n++)
        ;
}

static inline void virtio_script_start(struct virtio_script *s)
{
    s->d.next_gpa = VIRTIO_SCRIPT_RINGS;
    if (!vdrv_negotiate(&s->d, s->flags >> 3)) { /* some need others: then take them all */
        vdrv_reset(&s->d);
        if (!vdrv_negotiate(&s->d, 0))
            abort();
    }
    vdrv_setup_queues(&s->d);
    vdrv_driver_ok(&s->d);
}

static inline void virtio_script_add(struct virtio_script *s)
{
    struct vdrv_buf bufs[14];
    unsigned queue = virtio_script_byte(s) % s->d.dev->n_queues;
    unsigned counts = virtio_script_byte(s), n_out = counts & 7, n_in = counts >> 3 & 7;
    for (unsigned i = 0; i < n_out + n_in; i++) {
        uint8_t slot = virtio_script_byte(s), len = virtio_script_byte(s);
        bufs[i].gpa =
            slot == 255 ? VIRTIO_SCRIPT_MEM_BYTES - 64 : VIRTIO_SCRIPT_DATA + slot % 128u * 1024;
        bufs[i].len = len % 2 ? len : len * 16u;
    }
    vdrv_add(&s->d, queue, bufs, n_out, n_in, 0);
    vdrv_ring_publish(&s->d.rings[queue]);
    virtio_queue_kick(s->d.dev, queue);
}

static inline void virtio_script_poke(struct virtio_script *s, uint64_t base)
{
    uint64_t at = base + virtio_script_u16(s);
    uint8_t len = virtio_script_byte(s);
    uint8_t *p = guest_mem_ptr(&s->mem, at, len);
    for (unsigned i = 0; i < len && p; i++)
        p[i] = virtio_script_byte(s);
}

static inline void virtio_script_config(struct virtio_script *s, bool write)
{
    uint8_t bytes[8];
    unsigned off = virtio_script_byte(s), len = virtio_script_byte(s) % 9u;
    for (unsigned i = 0; write && i < len; i++)
        bytes[i] = virtio_script_byte(s);
    if (write)
        virtio_transport_config_write(s->d.dev, off, bytes, len);
    else
        virtio_transport_config_read(s->d.dev, off, bytes, len);
}

/* Saves the device and gives the bytes, or what the input made of them, to a new one. */
static inline void virtio_script_reload(struct virtio_script *s,
                                        struct virtio_device *(*again)(void *opaque), void *opaque)
{
    struct state_writer w;
    struct state_reader r;
    if (!again)
        return;
    virtio_device_pause(s->d.dev);
    state_writer_init(&w);
    state_begin(&w, "fuzz", 0, 1);
    virtio_transport_save(s->d.dev, &w);
    state_end(&w);
    unsigned flips = virtio_script_byte(s) % 4u;
    for (unsigned i = 0; i < flips; i++) {
        size_t at = 32 + virtio_script_u16(s) % (w.len_bytes - 32);
        w.data[at] = virtio_script_byte(s);
    }
    struct vdrv_ring *rings = steal_ptr(&s->d.rings);
    unsigned flags = s->d.flags;
    uint64_t next = s->d.next_gpa;
    vdrv_close(&s->d);
    vdrv_attach(&s->d, &s->mem, again(opaque), flags);
    free(s->d.rings);
    s->d.rings = rings;
    s->d.next_gpa = next;
    state_reader_init(&r, w.data, w.len_bytes);
    if (state_open(&r, "fuzz", 0, 1) > 0 && !virtio_transport_load(s->d.dev, &r) &&
        !state_close(&r))
        virtio_device_resume(s->d.dev);
    else
        virtio_transport_set_status(s->d.dev, 0);
    virtio_device_resume(s->d.dev);
    state_writer_fini(&w);
}

struct virtio_script_hooks {
    void (*extra)(void *opaque, struct virtio_device *dev, uint8_t byte); /* operation 15 */
    struct virtio_device *(*again)(void *opaque);                         /* operation 14 */
};

/* Takes `dev` over. */
static inline void virtio_script_run(struct virtio_script *s, struct virtio_device *dev,
                                     const struct virtio_script_hooks *hooks, void *opaque)
{
    vdrv_attach(&s->d, &s->mem, dev,
                (s->flags & 1 ? VDRV_PACKED : 0) | (s->flags & 2 ? VDRV_NO_EVENT_IDX : 0) |
                    (s->flags & 4 ? VDRV_INDIRECT : 0));
    virtio_script_start(s);
    for (unsigned n = 0; n < 512 && s->at < s->end; n++) {
        uint8_t op = virtio_script_byte(s) % 16;
        if (op < 4)
            virtio_script_add(s);
        else if (op < 6)
            virtio_script_poke(s, VIRTIO_SCRIPT_DATA);
        else if (op == 6)
            virtio_script_poke(s, VIRTIO_SCRIPT_RINGS);
        else if (op < 9)
            virtio_queue_kick(s->d.dev, virtio_script_byte(s) % s->d.dev->n_queues);
        else if (op < 11)
            virtio_script_config(s, op == 9);
        else if (op == 11)
            loop_advance_ns(s->loop, virtio_script_byte(s) * INT64_C(10000000));
        else if (op == 12) {
            virtio_device_pause(s->d.dev);
            virtio_device_resume(s->d.dev);
        } else if (op == 13) {
            vdrv_reset(&s->d);
            virtio_script_start(s);
        } else if (op == 14)
            virtio_script_reload(s, hooks ? hooks->again : NULL, opaque);
        else if (hooks && hooks->extra)
            hooks->extra(opaque, s->d.dev, virtio_script_byte(s));
        virtio_script_settle(s);
    }
}

static inline void virtio_script_end(struct virtio_script *s)
{
    vdrv_close(&s->d);
    virtio_script_settle(s);
    loop_destroy(s->loop);
    guest_mem_fini(&s->mem);
}

#endif
