/* The on-disk format. All numbers are big-endian.
 *
 * Header
 *   OFFSET SIZE MEANING
 *   0      4    magic "QFI\xfb"
 *   4      4    version: 2 or 3
 *   8      8    offset of the backing file's name, 0: none
 *   16     4    its length, at most 1023
 *   20     4    cluster_bits: a cluster is 1 << cluster_bits bytes, 9 to 21
 *   24     8    virtual size in bytes
 *   32     4    encryption method
 *   36     4    number of L1 entries
 *   40     8    offset of the L1 table
 *   48     8    offset of the refcount table
 *   56     4    its length in clusters
 *   60     4    number of internal snapshots
 *   64     8    offset of the snapshot table
 *   version 3 only:
 *   72     8    incompatible features: 0 dirty, 1 corrupt, 2 external data file, 3 compression
 *               type, 4 extended L2
 *   80     8    compatible features: 0 lazy refcounts
 *   88     8    autoclear features: 0 bitmaps, 1 raw external data
 *   96     4    refcount_order: a refcount has 1 << refcount_order bits, 0 to 6
 *   100    4    length of the header, at least 104
 *   104    1    compression type: 0 zlib, 1 zstd
 * then extensions: 4 type, 4 length, data padded to 8; type 0 ends them.
 *
 * L1 entry: bits 9-55 offset of an L2 table (0: none), bit 63 "copied": its refcount is exactly 1.
 * L2 entry: bit 62 clear: bit 0 reads as zeroes (version 3), bits 9-55 host offset, bit 63 copied;
 *   bit 62 set: compressed: with x = 62 - (cluster_bits - 8), bits 0 to x-1 byte offset, bits x to
 *   61 number of further 512-byte sectors.
 * Refcount table entry: bits 9-63 offset of a refcount block, a cluster of refcounts. */
#ifndef BLK_QCOW2_WIRE_H
#define BLK_QCOW2_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define QCOW2_WIRE_MAGIC        0x514649fbu
#define QCOW2_WIRE_HEADER_V2    72
#define QCOW2_WIRE_HEADER_V3    104
#define QCOW2_WIRE_EXT_END      0u
#define QCOW2_WIRE_EXT_BACKING  0xe2792acau
#define QCOW2_WIRE_INCOMPAT_AT  72
#define QCOW2_WIRE_AUTOCLEAR_AT 88
#define QCOW2_WIRE_REFTABLE_AT  48
#define QCOW2_WIRE_DIRTY        (UINT64_C(1) << 0)
#define QCOW2_WIRE_CORRUPT      (UINT64_C(1) << 1)
#define QCOW2_WIRE_DATA_FILE    (UINT64_C(1) << 2)
#define QCOW2_WIRE_COMPRESSION  (UINT64_C(1) << 3)
#define QCOW2_WIRE_EXTENDED_L2  (UINT64_C(1) << 4)
#define QCOW2_WIRE_COPIED       (UINT64_C(1) << 63)
#define QCOW2_WIRE_COMPRESSED   (UINT64_C(1) << 62)
#define QCOW2_WIRE_ZERO         UINT64_C(1)
#define QCOW2_WIRE_OFFSET       UINT64_C(0x00fffffffffffe00)
#define QCOW2_WIRE_L1_RESERVED  UINT64_C(0x7f000000000001ff)
#define QCOW2_WIRE_L2_RESERVED  UINT64_C(0x3f000000000001fe)

static inline uint32_t qcow2_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return be32toh(v);
}
static inline uint64_t qcow2_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return be64toh(v);
}
static inline void qcow2_put_be32(void *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, 4);
}
static inline void qcow2_put_be64(void *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, 8);
}

#endif
