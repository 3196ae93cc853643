/* Layout: cluster 0 the header, 1 the refcount table, 2 the refcount block, from 3 on the L1 table.
 * One refcount block describes 2 GiB of file, which the L1 table of no size that is allowed fills.
 */
#include "blk/qcow2_create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "blk/qcow2.h"
#include "blk/qcow2_wire.h"

#define CLUSTER_BITS    16u
#define CLUSTER_BYTES   (UINT64_C(1) << CLUSTER_BITS)
#define L2_COVERS_BYTES (CLUSTER_BYTES / 8 * CLUSTER_BYTES) /* 512 MiB */
#define REFCOUNT_ORDER  4u                                  /* 16 bits */
#define REFTABLE_AT     CLUSTER_BYTES
#define REFBLOCK_AT     (2 * CLUSTER_BYTES)
#define L1_AT           (3 * CLUSTER_BYTES)
#define BACKING_NAME_AT 512u

static int check(const struct qcow2_create_options *o, struct err *err)
{
    if (!o->size_bytes || o->size_bytes % 512 || o->size_bytes > QCOW2_CREATE_MAX_BYTES)
        return err_set(err, EINVAL,
                       "cannot make an image of %llu bytes: it must be a multiple of 512 up to "
                       "1 PiB",
                       (unsigned long long)o->size_bytes);
    if (o->backing && (!*o->backing || strlen(o->backing) > QCOW2_BACKING_NAME_MAX))
        return err_set(err, EINVAL, "a backing file's name has 1 to %d bytes, this one %zu",
                       QCOW2_BACKING_NAME_MAX, strlen(o->backing));
    if (o->backing && strcmp(o->backing_format, "raw") != 0 &&
        strcmp(o->backing_format, "qcow2") != 0)
        return err_set(err, EINVAL, "a backing file is raw or qcow2, not %.20s", o->backing_format);
    return 0;
}

static void fill_header(uint8_t *h, const struct qcow2_create_options *o, uint64_t l1_entries)
{
    qcow2_put_be32(h, QCOW2_WIRE_MAGIC);
    qcow2_put_be32(h + 4, 3);
    qcow2_put_be32(h + 20, CLUSTER_BITS);
    qcow2_put_be64(h + 24, o->size_bytes);
    qcow2_put_be32(h + 36, (uint32_t)l1_entries);
    qcow2_put_be64(h + 40, L1_AT);
    qcow2_put_be64(h + QCOW2_WIRE_REFTABLE_AT, REFTABLE_AT);
    qcow2_put_be32(h + 56, 1);
    qcow2_put_be32(h + 96, REFCOUNT_ORDER);
    qcow2_put_be32(h + 100, QCOW2_WIRE_HEADER_V3);
    if (!o->backing)
        return; /* the extensions end at once: type 0 */
    size_t format_bytes = strlen(o->backing_format), name_bytes = strlen(o->backing);
    uint8_t *extension = h + QCOW2_WIRE_HEADER_V3;
    qcow2_put_be32(extension, QCOW2_WIRE_EXT_BACKING);
    qcow2_put_be32(extension + 4, (uint32_t)format_bytes);
    memcpy(extension + 8, o->backing_format, format_bytes);
    qcow2_put_be64(h + 8, BACKING_NAME_AT);
    qcow2_put_be32(h + 16, (uint32_t)name_bytes);
    memcpy(h + BACKING_NAME_AT, o->backing, name_bytes);
}

static int write_all(int fd, const uint8_t *data, uint64_t bytes, struct err *err)
{
    for (uint64_t at = 0; at < bytes;) {
        ssize_t n = pwrite(fd, data + at, (size_t)(bytes - at), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, n < 0 ? errno : EIO, "could not write a new image");
        at += (uint64_t)n;
    }
    return 0;
}

int qcow2_create(int fd, const struct qcow2_create_options *o, struct err *err)
{
    int ret = check(o, err);
    if (ret)
        return ret;
    uint64_t l1_entries = (o->size_bytes + L2_COVERS_BYTES - 1) / L2_COVERS_BYTES;
    uint64_t l1_clusters = (l1_entries * 8 + CLUSTER_BYTES - 1) / CLUSTER_BYTES;
    uint64_t clusters = L1_AT / CLUSTER_BYTES + l1_clusters;
    CLEANUP_FREE uint8_t *head = calloc(3, CLUSTER_BYTES);
    if (!head)
        return err_set(err, ENOMEM, "could not allocate a new image's tables");
    fill_header(head, o, l1_entries);
    qcow2_put_be64(head + REFTABLE_AT, REFBLOCK_AT);
    for (uint64_t i = 0; i < clusters; i++)
        head[REFBLOCK_AT + i * 2 + 1] = 1; /* big-endian */
    ret = write_all(fd, head, 3 * CLUSTER_BYTES, err);
    if (!ret && ftruncate(fd, (off_t)(clusters * CLUSTER_BYTES)) < 0) /* the L1 table: zeroes */
        ret = err_sys(err, errno, "could not write a new image");
    return ret;
}
