/* Virtqueues, device side: split and packed rings, indirect descriptors, event index, over any
 * table that maps guest addresses to host pointers; shared by devices, switch and volume engine.
 * Everything read from a ring is untrusted: a chain that loops, is too long, leaves memory or has
 * reserved bits set makes virtq_pop() return an error, after which the device needs a reset.
 * Spec: virtio 1.2, 2.7 (split) and 2.8 (packed). */
#ifndef VIRTQ_VIRTQ_H
#define VIRTQ_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

#define VIRTQ_SIZE_MAX    1024 /* entries offered and accepted */
#define VIRTQ_REGIONS_MAX 16

struct virtq_region {
    uint64_t gpa, size_bytes;
    uint8_t *hva;
};

/* Guest-physical (or vhost-user) address to host pointer. Constant while a queue is active. */
struct virtq_xlate {
    unsigned n_regions;
    struct virtq_region regions[VIRTQ_REGIONS_MAX];
    /* Told about every range the device writes; may be NULL. Called from the queue's thread. */
    void (*mark_dirty)(void *opaque, uint64_t gpa, uint64_t len);
    void *opaque;
};

/* Host pointer for [gpa, gpa+len), or NULL unless all of it lies in one region. */
void *virtq_xlate_ptr(const struct virtq_xlate *x, uint64_t gpa, uint64_t len);

struct virtq_config {
    uint16_t size;                    /* entries; a power of two for split rings */
    uint64_t desc, driver, device;    /* gpa of the three areas */
    bool packed, event_idx, indirect; /* negotiated features */
};

/* One request: buffers the device reads (first n_out of iov), then buffers it may write. */
struct virtq_chain {
    uint16_t id;     /* head index (split) or buffer id (packed) */
    uint16_t n_desc; /* ring slots it takes (packed bookkeeping) */
    uint16_t n_out, n_in;
    uint32_t out_bytes, in_bytes;
    struct iovec *iov; /* caller's array */
    uint64_t *in_gpa;  /* caller's array or NULL: gpa of each writable buffer, for dirty marking */
    uint16_t iov_max;
};

struct virtq {
    struct virtq_config config;
    const struct virtq_xlate *xlate;
    void *desc, *driver, *device; /* host pointers of the three areas */
    uint16_t last_avail;          /* next entry to take; packed: slot, wrap in avail_wrap */
    uint16_t shadow_avail;        /* split: the driver's idx as last seen */
    uint16_t used_idx;            /* next used entry; published by virtq_publish() */
    uint16_t batch_slots;         /* used entries (packed: slots) not yet published */
    uint16_t batch_first_slot, batch_first_flags; /* packed: head of the batch, held back */
    bool avail_wrap, used_wrap;                   /* packed ring wrap counters */
    bool signalled_valid; /* split, event idx: an interrupt was sent since attach */
    unsigned in_flight;   /* popped and not pushed; never more than config.size */
};

/* Attaches to a ring in guest memory. Errors: EINVAL naming the field (size, alignment), EFAULT
 * (area outside memory). */
int virtq_init(struct virtq *vq, const struct virtq_config *config, const struct virtq_xlate *xlate,
               struct err *err);

/* Takes the next request. The caller sets chain->iov, ->iov_max, ->in_gpa before.
 * Returns 1, 0 when the ring is empty, or -errno when it is malformed (EPROTO with the reason). */
int virtq_pop(struct virtq *vq, struct virtq_chain *chain, struct err *err);
/* Takes the request that begins at descriptor `head` out of turn: one that a predecessor of this
 * process took and did not complete. Split rings only. Returns 1, or -errno as virtq_pop(). */
int virtq_pop_head(struct virtq *vq, uint16_t head, struct virtq_chain *chain, struct err *err);
/* Gives the last popped chain back untaken (the last `n_desc` slots). */
void virtq_unpop(struct virtq *vq, const struct virtq_chain *chain);

/* Completes a request of which `written_bytes` were filled in. Not visible to the driver before
 * virtq_publish(). Completions may be in any order. Marks the written part dirty if in_gpa is set.
 */
void virtq_push(struct virtq *vq, const struct virtq_chain *chain, uint32_t written_bytes);
/* Makes the completions visible. Returns true if the driver wants an interrupt. */
bool virtq_publish(struct virtq *vq);

/* Asks the driver not to kick, or to kick again. Enabling returns true if requests came meanwhile
 * (then pop again before sleeping). Enabling before every sleep is not optional: with the event
 * index the driver only kicks for the position last enabled. */
void virtq_disable_kicks(struct virtq *vq);
bool virtq_enable_kicks(struct virtq *vq);

/* Whether requests wait, without taking one. */
bool virtq_pending(const struct virtq *vq);

/* Position in the ring as vhost-user's VHOST_USER_GET/SET_VRING_BASE carries it (split: the avail
 * index; packed: avail slot | wrap << 15 | used slot << 16 | wrap << 31). For save and restore:
 * only while nothing is in flight. */
uint32_t virtq_get_base(const struct virtq *vq);
void virtq_set_base(struct virtq *vq, uint32_t base);

#endif
