/* What both ring formats have in common: attaching to a ring, address translation, building a chain
 * of iovecs from untrusted descriptors, dirty marking. The formats are in virtq_split.c and
 * virtq_packed.c. */
#include "virtq/virtq.h"

#include <errno.h>

#include "base/util.h"
#include "virtq/virtq_internal.h"

void *virtq_xlate_ptr(const struct virtq_xlate *x, uint64_t gpa, uint64_t len)
{
    const struct virtq_region *r = virtq_region_of(x, gpa);
    if (!r || len > r->size_bytes - (gpa - r->gpa))
        return NULL;
    return r->hva + (gpa - r->gpa);
}

struct area {
    const char *name;
    uint64_t gpa, len_bytes, align;
    void **host;
};

static int map_area(const struct virtq_xlate *x, const struct area *a, struct err *err)
{
    if (a->gpa % a->align)
        return err_set(err, EINVAL, "%s area at 0x%llx is not aligned to %llu bytes", a->name,
                       (unsigned long long)a->gpa, (unsigned long long)a->align);
    *a->host = virtq_xlate_ptr(x, a->gpa, a->len_bytes);
    if (!*a->host)
        return err_set(err, EFAULT, "%s area at 0x%llx of %llu bytes is not in guest memory",
                       a->name, (unsigned long long)a->gpa, (unsigned long long)a->len_bytes);
    return 0;
}

int virtq_init(struct virtq *vq, const struct virtq_config *config, const struct virtq_xlate *xlate,
               struct err *err)
{
    uint64_t n = config->size;
    bool packed = config->packed;
    if (!n || n > VIRTQ_SIZE_MAX || (!packed && !is_pow2(n)))
        return err_set(err, EINVAL, "queue size %llu is not %sbetween 1 and %d",
                       (unsigned long long)n, packed ? "" : "a power of two ", VIRTQ_SIZE_MAX);
    struct virtq q = {.config = *config, .xlate = xlate, .avail_wrap = true, .used_wrap = true};
    /* Sizes and alignments: 2.7, 2.8.10.1. The event fields at the end of the split areas exist
     * whether or not they were negotiated. */
    const struct area areas[] = {
        {"descriptor", config->desc, 16 * n, 16, &q.desc},
        {"driver", config->driver, packed ? 4 : 6 + 2 * n, packed ? 4 : 2, &q.driver},
        {"device", config->device, packed ? 4 : 6 + 8 * n, 4, &q.device},
    };
    for (unsigned i = 0; i < ARRAY_LEN(areas); i++) {
        int ret = map_area(xlate, &areas[i], err);
        if (ret)
            return ret;
    }
    *vq = q;
    return 0;
}

/* ---- chains ---- */

int virtq_chain_add(const struct virtq *vq, struct virtq_chain *c, uint64_t gpa, uint32_t len,
                    bool writable, struct err *err)
{
    uint32_t *total = writable ? &c->in_bytes : &c->out_bytes;
    if (!writable && c->n_in)
        return err_set(err, EPROTO, "a buffer to read follows one to write in a chain");
    if (len > UINT32_MAX - *total)
        return err_set(err, EPROTO, "the buffers of a chain add up to 4 GiB or more");
    *total += len;
    while (len) {
        const struct virtq_region *r = virtq_region_of(vq->xlate, gpa);
        if (!r)
            return err_set(err, EPROTO, "buffer at 0x%llx, %u bytes, is not in guest memory",
                           (unsigned long long)gpa, len);
        unsigned at = (unsigned)c->n_out + c->n_in;
        if (at >= c->iov_max)
            return err_set(err, EPROTO, "a chain has more than the %u buffers this device takes",
                           c->iov_max);
        uint64_t off = gpa - r->gpa;
        uint32_t n = (uint32_t)MIN(len, r->size_bytes - off);
        c->iov[at] = (struct iovec){.iov_base = r->hva + off, .iov_len = n};
        if (writable) {
            if (c->in_gpa)
                c->in_gpa[c->n_in] = gpa;
            c->n_in++;
        } else {
            c->n_out++;
        }
        gpa += n;
        len -= n;
    }
    return 0;
}

int virtq_table_open(const struct virtq *vq, uint64_t gpa, uint32_t len, struct virtq_table *t,
                     struct err *err)
{
    if (!vq->config.indirect)
        return err_set(err, EPROTO, "an indirect descriptor, which was not negotiated");
    if (!len || len % 16)
        return err_set(err, EPROTO, "an indirect table of %u bytes, not a multiple of 16", len);
    *t = (struct virtq_table){
        .gpa = gpa, .host = virtq_xlate_ptr(vq->xlate, gpa, len), .n = len / 16};
    return 0;
}

int virtq_table_fetch(const struct virtq *vq, const struct virtq_table *t, uint32_t i, void *desc,
                      struct err *err)
{
    const void *p = t->host ? t->host + 16 * (size_t)i
                            : virtq_xlate_ptr(vq->xlate, t->gpa + 16 * (uint64_t)i, 16);
    if (!p)
        return err_set(err, EPROTO, "indirect descriptor %u at 0x%llx is not in guest memory", i,
                       (unsigned long long)(t->gpa + 16 * (uint64_t)i));
    virtq_fetch(desc, p);
    return 0;
}

static void mark_written(const struct virtq *vq, const struct virtq_chain *c, uint32_t written)
{
    for (unsigned i = 0; i < c->n_in && written; i++) {
        uint32_t n = (uint32_t)MIN(c->iov[c->n_out + i].iov_len, written);
        virtq_dirty(vq, c->in_gpa[i], n);
        written -= n;
    }
}

/* ---- dispatch to the format ---- */

int virtq_pop(struct virtq *vq, struct virtq_chain *chain, struct err *err)
{
    return vq->config.packed ? virtq_packed_pop(vq, chain, err) : virtq_split_pop(vq, chain, err);
}

int virtq_pop_head(struct virtq *vq, uint16_t head, struct virtq_chain *chain, struct err *err)
{
    if (vq->config.packed)
        return err_set(err, ENOTSUP, "a packed ring has no requests to take out of turn");
    return virtq_split_pop_head(vq, head, chain, err);
}

void virtq_unpop(struct virtq *vq, const struct virtq_chain *chain)
{
    vq->in_flight--;
    if (vq->config.packed)
        virtq_packed_unpop(vq, chain);
    else
        vq->last_avail--;
}

void virtq_push(struct virtq *vq, const struct virtq_chain *chain, uint32_t written_bytes)
{
    written_bytes = MIN(written_bytes, chain->in_bytes);
    if (chain->in_gpa && vq->xlate->mark_dirty)
        mark_written(vq, chain, written_bytes);
    if (vq->config.packed)
        virtq_packed_push(vq, chain, written_bytes);
    else
        virtq_split_push(vq, chain, written_bytes);
    vq->in_flight--;
}

bool virtq_publish(struct virtq *vq)
{
    return vq->config.packed ? virtq_packed_publish(vq) : virtq_split_publish(vq);
}

void virtq_disable_kicks(struct virtq *vq)
{
    if (vq->config.packed)
        virtq_packed_disable_kicks(vq);
    else
        virtq_split_disable_kicks(vq);
}

bool virtq_enable_kicks(struct virtq *vq)
{
    return vq->config.packed ? virtq_packed_enable_kicks(vq) : virtq_split_enable_kicks(vq);
}

bool virtq_pending(const struct virtq *vq)
{
    return vq->config.packed ? virtq_packed_pending(vq) : virtq_split_pending(vq);
}

uint32_t virtq_get_base(const struct virtq *vq)
{
    return vq->config.packed ? virtq_packed_get_base(vq) : vq->last_avail;
}

void virtq_set_base(struct virtq *vq, uint32_t base)
{
    vq->in_flight = 0;
    vq->batch_slots = 0;
    vq->signalled_valid = false;
    if (vq->config.packed)
        virtq_packed_set_base(vq, base);
    else
        virtq_split_set_base(vq, base);
}
