/* From guest clusters to host clusters: L1, L2 and what their entries say. */
#include <errno.h>

#include "blk/qcow2_internal.h"

void qcow2_map_compressed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *bytes)
{
    unsigned x = 62 - (q->h.cluster_bits - 8);
    *offset = entry & ((UINT64_C(1) << x) - 1);
    uint64_t sectors = ((entry & ~(QCOW2_WIRE_COMPRESSED | QCOW2_WIRE_COPIED)) >> x) + 1;
    *bytes = sectors * 512 - *offset % 512;
}

/* Takes one L2 entry apart. */
static int decode(struct qcow2 *q, uint64_t guest, uint64_t entry, struct qcow2_extent *ext)
{
    *ext = (struct qcow2_extent){.has_l2 = true, .entry = entry, .n_clusters = 1};
    if (entry & QCOW2_WIRE_COMPRESSED) {
        uint64_t bytes;
        ext->kind = QCOW2_COMPRESSED;
        qcow2_map_compressed(q, entry, &ext->host, &bytes);
        if (ext->host + 1 > q->file->info.size_bytes)
            return qcow2_set_corrupt(q,
                                     "the compressed cluster of guest offset 0x%llx is at 0x%llx, "
                                     "outside the file",
                                     (unsigned long long)guest, (unsigned long long)ext->host);
        return 0;
    }
    bool zero = entry & QCOW2_WIRE_ZERO;
    ext->host = entry & QCOW2_WIRE_OFFSET;
    ext->copied = entry & QCOW2_WIRE_COPIED;
    if ((entry & QCOW2_WIRE_L2_RESERVED) || (zero && q->h.version < 3) ||
        ext->host % q->cluster_bytes)
        return qcow2_set_corrupt(q,
                                 "the L2 entry of guest offset 0x%llx is 0x%llx, which has bits "
                                 "set that must not be",
                                 (unsigned long long)guest, (unsigned long long)entry);
    if (zero)
        ext->kind = ext->host ? QCOW2_ZERO_ALLOCATED : QCOW2_ZERO;
    else
        ext->kind = ext->host ? QCOW2_NORMAL : QCOW2_UNALLOCATED;
    if (ext->host)
        return qcow2_check_host(q, "a data cluster", ext->host, q->cluster_bytes);
    return 0;
}

/* Counts the entries after the first that go on in the same way. */
static void extend(struct qcow2 *q, const uint8_t *entries, uint64_t max, struct qcow2_extent *ext)
{
    if (ext->kind == QCOW2_COMPRESSED || ext->kind == QCOW2_ZERO_ALLOCATED)
        return;
    for (uint64_t i = 1; i < max; i++) {
        uint64_t expected = ext->entry;
        if (ext->kind == QCOW2_NORMAL)
            expected += i * q->cluster_bytes;
        if (qcow2_be64(entries + 8 * i) != expected)
            return;
        if (ext->kind == QCOW2_NORMAL &&
            !qcow2_host_is_data(q, ext->host, (i + 1) * q->cluster_bytes))
            return; /* refused when its turn comes */
        ext->n_clusters++;
    }
}

int qcow2_map_lookup(struct qcow2 *q, struct qcow2_op *op, uint64_t guest, uint64_t max_clusters,
                     struct qcow2_extent *ext, struct qcow2_page **page)
{
    uint64_t cluster = guest >> q->h.cluster_bits;
    uint64_t l1_index = cluster / q->l2_entries, l2_index = cluster % q->l2_entries;
    uint64_t per_page = q->page_bytes / 8;
    *page = NULL;
    if (l1_index >= q->l1.entries)
        return -EINVAL;
    uint64_t l1_entry = qcow2_table_get(&q->l1, l1_index);
    uint64_t l2_offset = l1_entry & QCOW2_WIRE_OFFSET;
    if (l1_entry & QCOW2_WIRE_L1_RESERVED)
        return qcow2_set_corrupt(q, "L1 entry %llu is 0x%llx, which has bits set that must not be",
                                 (unsigned long long)l1_index, (unsigned long long)l1_entry);
    if (!l2_offset) {
        *ext = (struct qcow2_extent){.kind = QCOW2_UNALLOCATED,
                                     .n_clusters = MIN(max_clusters, per_page)};
        return 0;
    }
    int r = qcow2_check_host(q, "an L2 table", l2_offset, q->cluster_bytes);
    if (r < 0)
        return r;
    uint64_t at = l2_offset + l2_index / per_page * q->page_bytes;
    r = qcow2_cache_get(q, op, at, false, page);
    if (r < 0)
        return r;
    const uint8_t *entries = (*page)->data + l2_index % per_page * 8;
    r = decode(q, guest, qcow2_be64(entries), ext);
    if (r == 0)
        extend(q, entries, MIN(max_clusters, per_page - l2_index % per_page), ext);
    return r;
}

int qcow2_map_own_l2(struct qcow2 *q, struct qcow2_op *op, uint64_t guest)
{
    uint64_t l1_index = (guest >> q->h.cluster_bits) / q->l2_entries;
    uint64_t entry = qcow2_table_get(&q->l1, l1_index);
    if ((entry & QCOW2_WIRE_OFFSET) && (entry & QCOW2_WIRE_COPIED))
        return 0;
    return qcow2_lane_new_l2(q, op, l1_index);
}
