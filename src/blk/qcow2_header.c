/* The header: untrusted bytes to checked numbers. */
#include <errno.h>

#include "blk/qcow2_internal.h"

bool qcow2_probe(const void *head, size_t len)
{
    return len >= 8 && qcow2_be32(head) == QCOW2_WIRE_MAGIC;
}

static int check_features(const struct qcow2_header *h, const char *name, struct err *err)
{
    if (h->incompatible & QCOW2_WIRE_DATA_FILE)
        return err_set(err, ENOTSUP,
                       "qcow2 image %s has an external data file, which is not supported; convert "
                       "it with 'qemu-img convert -O qcow2'",
                       name);
    if (h->incompatible & QCOW2_WIRE_EXTENDED_L2)
        return err_set(err, ENOTSUP,
                       "qcow2 image %s has extended L2 entries, which are not supported; convert "
                       "it with 'qemu-img convert -O qcow2 -o extended_l2=off'",
                       name);
    uint64_t known = QCOW2_WIRE_DIRTY | QCOW2_WIRE_CORRUPT | QCOW2_WIRE_COMPRESSION;
    if (h->incompatible & ~known)
        return err_set(err, ENOTSUP,
                       "qcow2 image %s needs unknown features: incompatible_features is 0x%llx",
                       name, (unsigned long long)h->incompatible);
    if (h->compression > 1)
        return err_set(err, ENOTSUP,
                       "qcow2 image %s: field compression_type is %u, known are 0 "
                       "(zlib) and 1 (zstd)",
                       name, h->compression);
    return 0;
}

static int check_fields(const struct qcow2_header *h, const char *name, struct err *err)
{
#define REFUSE(field, why)                                                                         \
    return err_set(err, EINVAL, "qcow2 image %s: field " #field " is %llu, which " why, name,      \
                   (unsigned long long)h->field)
    uint64_t cluster = UINT64_C(1) << h->cluster_bits;
    uint64_t l2_covers = cluster * (cluster / 8);
    if (h->size_bytes > INT64_MAX - l2_covers)
        REFUSE(size_bytes, "is too large");
    if (h->l1_offset % cluster || h->l1_offset > INT64_MAX)
        REFUSE(l1_offset, "is not the offset of a cluster");
    if (h->l1_entries > QCOW2_L1_BYTES_MAX / 8)
        REFUSE(l1_entries, "is more than the 4194304 supported");
    if (h->l1_entries < (h->size_bytes + l2_covers - 1) / l2_covers)
        REFUSE(l1_entries, "is too few for the image's size");
    if (h->reftable_offset % cluster || !h->reftable_offset || h->reftable_offset > INT64_MAX)
        REFUSE(reftable_offset, "is not the offset of a cluster");
    if (!h->reftable_clusters || h->reftable_clusters > QCOW2_REFTABLE_MAX / cluster)
        REFUSE(reftable_clusters, "is none, or more than the 8 MiB supported");
    if (h->refcount_order > 6)
        REFUSE(refcount_order, "is more than 6");
    if (h->header_len > cluster || h->header_len < QCOW2_WIRE_HEADER_V2)
        REFUSE(header_len, "does not fit the first cluster");
    if (h->backing_offset && (h->backing_len > QCOW2_BACKING_NAME_MAX || !h->backing_len))
        REFUSE(backing_len, "is not from 1 to 1023");
    if (h->backing_offset && !range_within(h->backing_offset, h->backing_len, cluster))
        REFUSE(backing_offset, "is outside the first cluster");
#undef REFUSE
    return 0;
}

int qcow2_header_parse(const uint8_t *head, size_t len, const char *name, struct qcow2_header *out,
                       struct err *err)
{
    if (len < QCOW2_WIRE_HEADER_V2 || !qcow2_probe(head, len))
        return err_set(err, EINVAL, "%s is not a qcow2 image: it does not begin with the header",
                       name);
    struct qcow2_header h = {
        .version = qcow2_be32(head + 4),
        .backing_offset = qcow2_be64(head + 8),
        .backing_len = qcow2_be32(head + 16),
        .cluster_bits = qcow2_be32(head + 20),
        .size_bytes = qcow2_be64(head + 24),
        .l1_entries = qcow2_be32(head + 36),
        .l1_offset = qcow2_be64(head + 40),
        .reftable_offset = qcow2_be64(head + QCOW2_WIRE_REFTABLE_AT),
        .reftable_clusters = qcow2_be32(head + 56),
        .n_snapshots = qcow2_be32(head + 60),
        .refcount_order = 4,
        .header_len = QCOW2_WIRE_HEADER_V2,
    };
    if (h.version != 2 && h.version != 3)
        return err_set(err, ENOTSUP, "qcow2 image %s: field version is %u, known are 2 and 3", name,
                       h.version);
    if (qcow2_be32(head + 32))
        return err_set(err, ENOTSUP,
                       "qcow2 image %s is encrypted (method %u), which is not "
                       "supported",
                       name, qcow2_be32(head + 32));
    if (h.cluster_bits < 9 || h.cluster_bits > 21)
        return err_set(err, EINVAL, "qcow2 image %s: field cluster_bits is %u, must be 9 to 21",
                       name, h.cluster_bits);
    if (h.version == 3) {
        if (len < QCOW2_WIRE_HEADER_V3)
            return err_set(err, EINVAL, "qcow2 image %s is cut short inside its header", name);
        h.incompatible = qcow2_be64(head + QCOW2_WIRE_INCOMPAT_AT);
        h.compatible = qcow2_be64(head + 80);
        h.autoclear = qcow2_be64(head + QCOW2_WIRE_AUTOCLEAR_AT);
        h.refcount_order = qcow2_be32(head + 96);
        h.header_len = qcow2_be32(head + 100);
        if (h.header_len < QCOW2_WIRE_HEADER_V3)
            return err_set(err, EINVAL,
                           "qcow2 image %s: field header_length is %u, must be 104 or "
                           "more",
                           name, h.header_len);
        if ((h.incompatible & QCOW2_WIRE_COMPRESSION) && h.header_len > 104 && len > 104)
            h.compression = head[104];
    }
    int r = check_features(&h, name, err);
    if (r == 0)
        r = check_fields(&h, name, err);
    if (r == 0)
        *out = h;
    return r;
}

int qcow2_read_backing(const void *head, size_t len, const char *name, struct qcow2_backing *out,
                       struct err *err)
{
    const uint8_t *bytes = head;
    struct qcow2_header h;
    int r = qcow2_header_parse(bytes, len, name, &h, err);
    if (r < 0)
        return r;
    struct qcow2_backing b = {0};
    if (h.backing_offset) {
        if (!range_within(h.backing_offset, h.backing_len, len))
            return err_set(err, EINVAL,
                           "qcow2 image %s: the name of its backing file is at %llu, "
                           "past the first %zu bytes",
                           name, (unsigned long long)h.backing_offset, len);
        memcpy(b.name, bytes + h.backing_offset, h.backing_len);
        if (strlen(b.name) != h.backing_len)
            return err_set(err, EINVAL,
                           "qcow2 image %s: the name of its backing file has a NUL "
                           "byte in it",
                           name);
    }
    uint64_t end = MIN(len, h.backing_offset ? h.backing_offset : UINT64_C(1) << h.cluster_bits);
    for (uint64_t at = h.header_len; at + 8 <= end;) {
        uint32_t type = qcow2_be32(bytes + at), n = qcow2_be32(bytes + at + 4);
        at += 8;
        if (type == QCOW2_WIRE_EXT_END)
            break;
        if (n > end - at)
            return err_set(err, EINVAL,
                           "qcow2 image %s: header extension 0x%08x of %u bytes does "
                           "not fit",
                           name, type, n);
        if (type == QCOW2_WIRE_EXT_BACKING)
            memcpy(b.format, bytes + at, MIN(n, sizeof(b.format) - 1));
        at += align_up(n, 8);
    }
    *out = b;
    return 0;
}
