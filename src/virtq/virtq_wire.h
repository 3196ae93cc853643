/* What the driver and the device share in guest memory, little-endian throughout.
 * Spec: virtio 1.2, 2.7 (split virtqueues), 2.8 (packed virtqueues). */
#ifndef VIRTQ_VIRTQ_WIRE_H
#define VIRTQ_VIRTQ_WIRE_H

#include <assert.h>
#include <stdint.h>

/* Descriptor flags. Spec: 2.7.5, 2.8.1. */
#define VIRTQ_WIRE_NEXT     (1u << 0)
#define VIRTQ_WIRE_WRITE    (1u << 1)
#define VIRTQ_WIRE_INDIRECT (1u << 2)
#define VIRTQ_WIRE_AVAIL    (1u << 7) /* packed only */
#define VIRTQ_WIRE_USED     (1u << 15)

/* Notification suppression. Spec: 2.7.6 (avail->flags), 2.7.8 (used->flags), 2.8.10 (packed). */
#define VIRTQ_WIRE_NO_INTERRUPT  1u
#define VIRTQ_WIRE_NO_NOTIFY     1u
#define VIRTQ_WIRE_EVENT_ENABLE  0u
#define VIRTQ_WIRE_EVENT_DISABLE 1u
#define VIRTQ_WIRE_EVENT_DESC    2u
#define VIRTQ_WIRE_EVENT_WRAP    (1u << 15)

struct virtq_wire_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct virtq_wire_packed_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
    uint16_t flags;
};

struct virtq_wire_avail {
    uint16_t flags;
    uint16_t idx;
    uint16_t ring[]; /* [size], then used_event */
};

struct virtq_wire_used_elem {
    uint32_t id;
    uint32_t len;
};

struct virtq_wire_used {
    uint16_t flags;
    uint16_t idx;
    struct virtq_wire_used_elem ring[]; /* [size], then a uint16_t avail_event */
};

/* Event suppression of packed rings, read and written as one word: offset and wrap in the low half,
 * flags in the high half. */
struct virtq_wire_event {
    uint16_t off_wrap;
    uint16_t flags;
};

static_assert(sizeof(struct virtq_wire_desc) == 16, "2.7.5");
static_assert(sizeof(struct virtq_wire_packed_desc) == 16, "2.8.13");
static_assert(sizeof(struct virtq_wire_used_elem) == 8, "2.7.8");
static_assert(sizeof(struct virtq_wire_avail) == 4, "2.7.6");
static_assert(sizeof(struct virtq_wire_used) == 4, "2.7.8");
static_assert(sizeof(struct virtq_wire_event) == 4, "2.8.10");

#endif
