/* Shared by virtq.c and the two ring formats; never leaves this module. */
#ifndef VIRTQ_VIRTQ_INTERNAL_H
#define VIRTQ_VIRTQ_INTERNAL_H

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "virtq/virtq.h"
#include "virtq/virtq_wire.h"

/* The ring is shared memory, so what can change under our hands is loaded and stored with atomics.
 * Where the device publishes something and then looks at what the driver wrote (and the driver does
 * the same the other way round), both need a full barrier between the two (2.7.13.3.1, 2.7.14): the
 * store is a sequentially consistent exchange, which on x86 is cheaper than a store and MFENCE. */
static inline uint16_t virtq_load16(const uint16_t *p)
{
    return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}
static inline uint16_t virtq_load16_acquire(const uint16_t *p)
{
    return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}
static inline uint16_t virtq_load16_seq(const uint16_t *p)
{
    return le16toh(__atomic_load_n(p, __ATOMIC_SEQ_CST));
}
static inline void virtq_store16(uint16_t *p, uint16_t v)
{
    __atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}
static inline void virtq_store16_seq(uint16_t *p, uint16_t v)
{
    (void)__atomic_exchange_n(p, htole16(v), __ATOMIC_SEQ_CST);
}

/* Copies a descriptor once: the driver may rewrite it meanwhile, so every check and every use must
 * see the same bytes. The barrier keeps the compiler from reading it again. */
static inline void virtq_fetch(void *to, const void *from)
{
    memcpy(to, from, 16);
    __asm__ volatile("" ::: "memory");
}

static inline const struct virtq_region *virtq_region_of(const struct virtq_xlate *x, uint64_t gpa)
{
    for (unsigned i = 0; i < x->n_regions; i++)
        if (gpa - x->regions[i].gpa < x->regions[i].size_bytes)
            return &x->regions[i];
    return NULL;
}

static inline void virtq_dirty(const struct virtq *vq, uint64_t gpa, uint64_t len)
{
    if (vq->xlate->mark_dirty)
        vq->xlate->mark_dirty(vq->xlate->opaque, gpa, len);
}

static inline void virtq_chain_clear(struct virtq_chain *c)
{
    c->n_desc = c->n_out = c->n_in = 0;
    c->out_bytes = c->in_bytes = 0;
}

/* Adds one descriptor's buffer to the chain, as several iovecs where it spans regions.
 * Errors: EPROTO. */
int virtq_chain_add(const struct virtq *vq, struct virtq_chain *c, uint64_t gpa, uint32_t len,
                    bool writable, struct err *err);

/* An indirect table: host pointer if it lies in one region, else looked up entry by entry. */
struct virtq_table {
    uint64_t gpa;
    const uint8_t *host;
    uint32_t n; /* entries */
};
int virtq_table_open(const struct virtq *vq, uint64_t gpa, uint32_t len, struct virtq_table *t,
                     struct err *err);
/* Copies entry i (< t->n) of 16 bytes. */
int virtq_table_fetch(const struct virtq *vq, const struct virtq_table *t, uint32_t i, void *desc,
                      struct err *err);

int virtq_split_pop(struct virtq *vq, struct virtq_chain *chain, struct err *err);
int virtq_split_pop_head(struct virtq *vq, uint16_t head, struct virtq_chain *chain,
                         struct err *err);
void virtq_split_push(struct virtq *vq, const struct virtq_chain *chain, uint32_t written_bytes);
bool virtq_split_publish(struct virtq *vq);
void virtq_split_disable_kicks(struct virtq *vq);
bool virtq_split_enable_kicks(struct virtq *vq);
bool virtq_split_pending(const struct virtq *vq);
void virtq_split_set_base(struct virtq *vq, uint32_t base);

int virtq_packed_pop(struct virtq *vq, struct virtq_chain *chain, struct err *err);
void virtq_packed_unpop(struct virtq *vq, const struct virtq_chain *chain);
void virtq_packed_push(struct virtq *vq, const struct virtq_chain *chain, uint32_t written_bytes);
bool virtq_packed_publish(struct virtq *vq);
void virtq_packed_disable_kicks(struct virtq *vq);
bool virtq_packed_enable_kicks(struct virtq *vq);
bool virtq_packed_pending(const struct virtq *vq);
uint32_t virtq_packed_get_base(const struct virtq *vq);
void virtq_packed_set_base(struct virtq *vq, uint32_t base);

#endif
