/* The guest's side of virtio for tests: a driver that lays out rings in guest memory (both formats,
 * by the kernel's own structs), adds chains, decides whether to kick, and collects used buffers;
 * and on top of it a driver for a whole device, attached by a small transport of its own, so that a
 * device is tested with no PCI and no guest.
 *
 *   struct vdrv d;
 *   vdrv_open(&d, &mem, dev, VDRV_PACKED);          negotiate, set up every queue, DRIVER_OK
 *   vdrv_request(&d, 0, loop, req, len, resp, len)  one request, waiting for its completion
 *   vdrv_close(&d);                                 destroys the device
 *
 * For more than one request at a time: vdrv_add(), vdrv_kick(), vdrv_used(). The include needs
 * virtq_dep; the device part (VDRV_NO_DEVICE not defined) needs dev_virtio_dep. */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include <assert.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "mem/guest_mem.h"
#include "virtq/virtq.h"

#define VDRV_INDIRECT_MAX 64 /* buffers in one indirect table */

struct vdrv_buf {
    uint64_t gpa;
    uint32_t len;
};

/* One ring, driver side. Fields may be poked by tests of malformed rings. */
struct vdrv_ring {
    struct guest_mem *mem;
    struct virtq_config config; /* what to hand to the device */
    struct vring split;
    struct vring_packed_desc *pdesc;
    struct vring_packed_desc_event *driver_event, *device_event;
    uint64_t tables; /* indirect tables, one a ring entry */
    uint16_t free_slots;
    uint16_t next_avail, last_used, added; /* packed: slots */
    bool avail_wrap, used_wrap;
    uint16_t free_head, free_next[VIRTQ_SIZE_MAX]; /* split: descriptors; packed: ids */
    uint16_t slots[VIRTQ_SIZE_MAX];                /* taken by the chain of this id */
    uintptr_t cookie[VIRTQ_SIZE_MAX];
};

static inline uint64_t vdrv_take(uint64_t *next_gpa, uint64_t bytes)
{
    uint64_t at = align_up(*next_gpa, 64);
    *next_gpa = at + bytes;
    return at;
}

/* Lays a ring out from *next_gpa on, which is moved past it. */
static inline void vdrv_ring_init(struct vdrv_ring *r, struct guest_mem *mem, uint64_t *next_gpa,
                                  struct virtq_config config)
{
    uint64_t n = config.size;
    memset(r, 0, sizeof(*r));
    r->mem = mem;
    config.desc = vdrv_take(next_gpa, 16 * n);
    config.driver = vdrv_take(next_gpa, config.packed ? 4 : 6 + 2 * n);
    config.device = vdrv_take(next_gpa, config.packed ? 4 : 6 + 8 * n);
    r->tables = vdrv_take(next_gpa, n * VDRV_INDIRECT_MAX * 16);
    r->config = config;
    r->free_slots = config.size;
    r->avail_wrap = r->used_wrap = true;
    for (uint16_t i = 0; i < n; i++)
        r->free_next[i] = (uint16_t)(i + 1);
    void *desc = guest_mem_ptr(mem, config.desc, 16 * n);
    void *driver = guest_mem_ptr(mem, config.driver, 4);
    void *device = guest_mem_ptr(mem, config.device, 4);
    assert(desc && driver && device && guest_mem_ptr(mem, r->tables, n * VDRV_INDIRECT_MAX * 16));
    memset(desc, 0, 16 * n);
    memset(driver, 0, config.packed ? 4 : 6 + 2 * n);
    memset(device, 0, config.packed ? 4 : 6 + 8 * n);
    if (config.packed) {
        r->pdesc = desc;
        r->driver_event = driver;
        r->device_event = device;
    } else {
        r->split =
            (struct vring){.num = config.size, .desc = desc, .avail = driver, .used = device};
    }
}

static inline void *vdrv_table(struct vdrv_ring *r, uint16_t id, uint64_t *gpa)
{
    *gpa = r->tables + (uint64_t)id * VDRV_INDIRECT_MAX * 16;
    return guest_mem_ptr(r->mem, *gpa, VDRV_INDIRECT_MAX * 16);
}

static inline int vdrv_add_split(struct vdrv_ring *r, const struct vdrv_buf *bufs, unsigned n_out,
                                 unsigned n_in, bool indirect, uintptr_t cookie)
{
    unsigned n = n_out + n_in, need = indirect ? 1 : n;
    if (!n || need > r->free_slots)
        return -1;
    uint16_t head = r->free_head, at = head;
    struct vring_desc *table = r->split.desc;
    uint64_t gpa;
    if (indirect) {
        table = vdrv_table(r, head, &gpa);
        r->split.desc[head] = (struct vring_desc){
            .addr = gpa, .len = n * 16, .flags = VRING_DESC_F_INDIRECT, .next = 0};
    }
    for (unsigned i = 0; i < n; i++) {
        uint16_t slot = indirect ? (uint16_t)i : at;
        uint16_t next = indirect ? (uint16_t)(i + 1) : r->free_next[at];
        table[slot] = (struct vring_desc){
            .addr = bufs[i].gpa,
            .len = bufs[i].len,
            .flags = (uint16_t)((i >= n_out ? VRING_DESC_F_WRITE : 0) |
                                (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
            .next = i + 1 < n ? next : 0,
        };
        if (!indirect && i + 1 < n)
            at = next;
    }
    r->free_head = r->free_next[at];
    r->free_slots = (uint16_t)(r->free_slots - need);
    r->slots[head] = (uint16_t)need;
    r->cookie[head] = cookie;
    r->split.avail->ring[r->next_avail % r->config.size] = head;
    r->next_avail++;
    r->added++;
    return head;
}

static inline int vdrv_add_packed(struct vdrv_ring *r, const struct vdrv_buf *bufs, unsigned n_out,
                                  unsigned n_in, bool indirect, uintptr_t cookie)
{
    unsigned n = n_out + n_in, need = indirect ? 1 : n;
    if (!n || need > r->free_slots)
        return -1;
    uint16_t id = r->free_head, slot = r->next_avail, head = slot, head_flags = 0;
    uint64_t gpa = 0;
    if (indirect) {
        struct vring_packed_desc *table = vdrv_table(r, id, &gpa);
        for (unsigned i = 0; i < n; i++)
            table[i] = (struct vring_packed_desc){
                .addr = bufs[i].gpa,
                .len = bufs[i].len,
                .flags = i >= n_out ? VRING_DESC_F_WRITE : 0,
            };
    }
    for (unsigned i = 0; i < need; i++) {
        uint16_t flags = (uint16_t)(r->avail_wrap ? 1 << VRING_PACKED_DESC_F_AVAIL
                                                  : 1 << VRING_PACKED_DESC_F_USED);
        if (indirect)
            flags |= VRING_DESC_F_INDIRECT;
        else
            flags |= (uint16_t)((i >= n_out ? VRING_DESC_F_WRITE : 0) |
                                (i + 1 < n ? VRING_DESC_F_NEXT : 0));
        r->pdesc[slot].addr = indirect ? gpa : bufs[i].gpa;
        r->pdesc[slot].len = indirect ? n * 16 : bufs[i].len;
        r->pdesc[slot].id = id;
        if (i)
            __atomic_store_n(&r->pdesc[slot].flags, flags, __ATOMIC_RELAXED);
        else
            head_flags = flags;
        if (++slot == r->config.size) {
            slot = 0;
            r->avail_wrap = !r->avail_wrap;
        }
    }
    r->free_head = r->free_next[id];
    r->free_slots = (uint16_t)(r->free_slots - need);
    r->slots[id] = (uint16_t)need;
    r->cookie[id] = cookie;
    r->next_avail = slot;
    r->added = (uint16_t)(r->added + need);
    __atomic_store_n(&r->pdesc[head].flags, head_flags, __ATOMIC_RELEASE);
    return id;
}

/* Adds a chain of n_out buffers to read, then n_in to write. Returns its id, or -1 if the ring is
 * full. A split ring shows it to the device at vdrv_ring_publish(), a packed one at once. */
static inline int vdrv_ring_add(struct vdrv_ring *r, const struct vdrv_buf *bufs, unsigned n_out,
                                unsigned n_in, bool indirect, uintptr_t cookie)
{
    return r->config.packed ? vdrv_add_packed(r, bufs, n_out, n_in, indirect, cookie)
                            : vdrv_add_split(r, bufs, n_out, n_in, indirect, cookie);
}

/* Shows what was added. Returns whether the device asks for a kick. */
static inline bool vdrv_ring_publish(struct vdrv_ring *r)
{
    uint16_t added = r->added, new = r->next_avail, old = (uint16_t)(new - added);
    r->added = 0;
    if (!r->config.packed) {
        __atomic_exchange_n(&r->split.avail->idx, new, __ATOMIC_SEQ_CST);
        if (!r->config.event_idx)
            return !(__atomic_load_n(&r->split.used->flags, __ATOMIC_SEQ_CST) &
                     VRING_USED_F_NO_NOTIFY);
        uint16_t *event = (uint16_t *)(void *)&r->split.used->ring[r->config.size];
        return vring_need_event(__atomic_load_n(event, __ATOMIC_SEQ_CST), new, old);
    }
    /* A read-modify-write of nothing: the full barrier between our flags and the device's event. */
    __atomic_fetch_add((uint32_t *)(void *)r->driver_event, 0, __ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n((uint32_t *)(void *)r->device_event, __ATOMIC_SEQ_CST);
    uint16_t flags = (uint16_t)(event >> 16), off = event & 0x7fff;
    if (flags != VRING_PACKED_EVENT_FLAG_DESC)
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    if ((event >> 15 & 1) != r->avail_wrap)
        off = (uint16_t)(off - r->config.size);
    return vring_need_event(off, new, old);
}

static inline bool vdrv_ring_has_used(const struct vdrv_ring *r)
{
    if (!r->config.packed)
        return __atomic_load_n(&r->split.used->idx, __ATOMIC_SEQ_CST) != r->last_used;
    uint16_t flags = __atomic_load_n(&r->pdesc[r->last_used].flags, __ATOMIC_SEQ_CST);
    bool avail = flags & 1 << VRING_PACKED_DESC_F_AVAIL,
         used = flags & 1 << VRING_PACKED_DESC_F_USED;
    return avail == used && used == r->used_wrap;
}

/* Takes one used chain. Returns false if there is none; *id is -1 if the device returned an id that
 * is not in flight. */
static inline bool vdrv_ring_used(struct vdrv_ring *r, int *id, uintptr_t *cookie, uint32_t *len)
{
    if (!vdrv_ring_has_used(r))
        return false;
    uint32_t got;
    if (r->config.packed) {
        got = r->pdesc[r->last_used].id;
        *len = r->pdesc[r->last_used].len;
    } else {
        struct vring_used_elem *e = &r->split.used->ring[r->last_used % r->config.size];
        got = e->id;
        *len = e->len;
    }
    if (got >= r->config.size || !r->slots[got]) {
        *id = -1;
        *cookie = 0;
        return true;
    }
    *id = (int)got;
    *cookie = r->cookie[got];
    uint16_t n = r->slots[got], tail = (uint16_t)got;
    r->slots[got] = 0;
    r->free_slots = (uint16_t)(r->free_slots + n);
    if (r->config.packed) {
        r->last_used = (uint16_t)(r->last_used + n);
        if (r->last_used >= r->config.size) {
            r->last_used = (uint16_t)(r->last_used - r->config.size);
            r->used_wrap = !r->used_wrap;
        }
    } else {
        r->last_used++;
        while (r->split.desc[tail].flags & VRING_DESC_F_NEXT)
            tail = r->split.desc[tail].next;
    }
    r->free_next[tail] = r->free_head;
    r->free_head = (uint16_t)got;
    return true;
}

/* Interrupt suppression. Enabling returns true if used chains came meanwhile. */
static inline void vdrv_ring_disable_interrupts(struct vdrv_ring *r)
{
    if (r->config.packed)
        __atomic_store_n((uint32_t *)(void *)r->driver_event,
                         (uint32_t)VRING_PACKED_EVENT_FLAG_DISABLE << 16, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&r->split.avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

static inline bool vdrv_ring_enable_interrupts(struct vdrv_ring *r)
{
    if (r->config.packed) {
        uint32_t off = r->last_used | (uint32_t)r->used_wrap << 15;
        uint32_t word = r->config.event_idx ? off | VRING_PACKED_EVENT_FLAG_DESC << 16 : 0;
        __atomic_exchange_n((uint32_t *)(void *)r->driver_event, word, __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(&r->split.avail->flags, 0, __ATOMIC_RELAXED);
        __atomic_exchange_n(&r->split.avail->ring[r->config.size], r->last_used, __ATOMIC_SEQ_CST);
    }
    return vdrv_ring_has_used(r);
}

#ifndef VDRV_NO_DEVICE

#include "dev/virtio/virtio_transport.h"
#include "io/loop.h"

enum vdrv_flags {
    VDRV_PACKED = 1 << 0,
    VDRV_NO_EVENT_IDX = 1 << 1,
    VDRV_INDIRECT = 1 << 2, /* put every chain of more than one buffer in a table */
    VDRV_NO_START = 1 << 3, /* stop before DRIVER_OK */
};

struct vdrv {
    struct guest_mem *mem;
    struct virtio_device *dev;
    unsigned flags;
    uint64_t next_gpa; /* of memory not yet used: vdrv_alloc() */
    struct vdrv_ring *rings;
    _Atomic unsigned interrupts[VIRTIO_QUEUES_MAX];
    _Atomic unsigned config_interrupts;
};

static inline void vdrv_on_interrupt(void *opaque, unsigned queue)
{
    struct vdrv *d = opaque;
    atomic_fetch_add(&d->interrupts[queue], 1);
}
static inline void vdrv_on_config(void *opaque)
{
    struct vdrv *d = opaque;
    atomic_fetch_add(&d->config_interrupts, 1);
}
static inline int vdrv_no_fd(void *opaque, unsigned queue)
{
    (void)opaque, (void)queue;
    return -1;
}

/* Guest memory that nothing else uses, zeroed; its host pointer in *host (may be NULL). */
static inline uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, void **host)
{
    uint64_t gpa = vdrv_take(&d->next_gpa, bytes);
    void *p = guest_mem_ptr(d->mem, gpa, bytes);
    assert(p);
    memset(p, 0, bytes);
    if (host)
        *host = p;
    return gpa;
}

/* Attaches the test's transport without talking to the device. */
static inline void vdrv_attach(struct vdrv *d, struct guest_mem *mem, struct virtio_device *dev,
                               unsigned flags)
{
    static const struct virtio_transport_ops ops = {
        .interrupt = vdrv_on_interrupt,
        .config_interrupt = vdrv_on_config,
        .interrupt_fd = vdrv_no_fd,
    };
    memset(d, 0, sizeof(*d));
    d->mem = mem;
    d->dev = dev;
    d->flags = flags;
    d->next_gpa = 0x10000;
    d->rings = calloc(dev->n_queues, sizeof(*d->rings));
    struct err err = {0};
    int ret = virtio_transport_attach(dev, &ops, d, &err);
    assert(d->rings && !ret);
    (void)ret;
}

/* Negotiates all that is offered but what `flags` and `refuse` leave out. Returns false if the
 * device refuses the features. */
static inline bool vdrv_negotiate(struct vdrv *d, uint64_t refuse)
{
    uint64_t f = virtio_transport_features(d->dev) & ~refuse;
    if (!(d->flags & VDRV_PACKED))
        f &= ~VIRTIO_F_PACKED;
    if (d->flags & VDRV_NO_EVENT_IDX)
        f &= ~VIRTIO_F_EVENT;
    virtio_transport_set_status(d->dev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    virtio_transport_set_features(d->dev, f);
    virtio_transport_set_status(d->dev, atomic_load(&d->dev->status) | VIRTIO_STATUS_FEATURES_OK);
    return atomic_load(&d->dev->status) & VIRTIO_STATUS_FEATURES_OK;
}

/* Lays out and enables every queue. */
static inline void vdrv_setup_queues(struct vdrv *d)
{
    for (unsigned i = 0; i < d->dev->n_queues; i++) {
        struct virtio_queue *q = &d->dev->queues[i];
        struct virtq_config c = {
            .size = q->size_max,
            .packed = virtio_has(d->dev, VIRTIO_F_PACKED),
            .event_idx = virtio_has(d->dev, VIRTIO_F_EVENT),
            .indirect = virtio_has(d->dev, VIRTIO_F_INDIRECT),
        };
        vdrv_ring_init(&d->rings[i], d->mem, &d->next_gpa, c);
        q->config = d->rings[i].config;
        q->enabled = true;
    }
}

static inline void vdrv_driver_ok(struct vdrv *d)
{
    virtio_transport_set_status(d->dev, atomic_load(&d->dev->status) | VIRTIO_STATUS_DRIVER_OK);
}

/* Attaches, negotiates and starts. Rings and vdrv_alloc() use memory from 64 KiB up. */
static inline bool vdrv_open(struct vdrv *d, struct guest_mem *mem, struct virtio_device *dev,
                             unsigned flags)
{
    vdrv_attach(d, mem, dev, flags);
    if (!vdrv_negotiate(d, 0))
        return false;
    vdrv_setup_queues(d);
    if (!(flags & VDRV_NO_START))
        vdrv_driver_ok(d);
    return !virtio_device_is_broken(dev);
}

/* Resets the device and forgets the rings; vdrv_negotiate() etc. may follow. */
static inline void vdrv_reset(struct vdrv *d)
{
    virtio_transport_set_status(d->dev, 0);
}

/* Destroys the device. */
static inline void vdrv_close(struct vdrv *d)
{
    virtio_device_destroy(d->dev);
    free(d->rings);
    memset(d, 0, sizeof(*d));
}

static inline int vdrv_add(struct vdrv *d, unsigned queue, const struct vdrv_buf *bufs,
                           unsigned n_out, unsigned n_in, uintptr_t cookie)
{
    bool indirect =
        (d->flags & VDRV_INDIRECT) && d->rings[queue].config.indirect && n_out + n_in > 1;
    return vdrv_ring_add(&d->rings[queue], bufs, n_out, n_in, indirect, cookie);
}

/* Publishes, and kicks if the device wants it. Returns whether it did. */
static inline bool vdrv_kick(struct vdrv *d, unsigned queue)
{
    bool kick = vdrv_ring_publish(&d->rings[queue]);
    if (kick)
        virtio_queue_kick(d->dev, queue);
    return kick;
}

/* Waits for the next used chain: by running `loop`, or, if NULL, by polling (an I/O thread serves
 * the device). Returns false after `timeout_ms` without one. */
static inline bool vdrv_wait_used(struct vdrv *d, unsigned queue, struct loop *loop, int timeout_ms,
                                  uintptr_t *cookie, uint32_t *len)
{
    int id = -1;
    for (int spent = 0; !vdrv_ring_used(&d->rings[queue], &id, cookie, len); spent++) {
        if (spent > timeout_ms || virtio_device_is_broken(d->dev))
            return false;
        if (loop)
            loop_run_once(loop, 1);
        else
            usleep(1000);
    }
    return id >= 0;
}

/* One request: `out_len` bytes to the device, up to `in_len` back. Returns the length the device
 * reports as written, or -1 if it did not answer within 5 s. Each call uses up guest memory. */
static inline int64_t vdrv_request(struct vdrv *d, unsigned queue, struct loop *loop,
                                   const void *out, uint32_t out_len, void *in, uint32_t in_len)
{
    struct vdrv_buf bufs[2];
    unsigned n = 0;
    void *host_in = NULL;
    uintptr_t cookie = 0;
    uint32_t len = 0;
    if (out_len) {
        void *host;
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(d, out_len, &host), out_len};
        memcpy(host, out, out_len);
    }
    if (in_len)
        bufs[n++] = (struct vdrv_buf){vdrv_alloc(d, in_len, &host_in), in_len};
    if (vdrv_add(d, queue, bufs, out_len != 0, in_len != 0, 0) < 0)
        return -1;
    vdrv_kick(d, queue);
    if (!vdrv_wait_used(d, queue, loop, 5000, &cookie, &len))
        return -1;
    if (in_len)
        memcpy(in, host_in, in_len);
    return len;
}

#endif /* VDRV_NO_DEVICE */
#endif
