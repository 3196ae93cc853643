/* Which block of a file lies where: extent trees, and the indirect blocks of ext2 and ext3. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/ext4_internal.h"

#define DIRECT_BLOCKS  12
#define INDIRECT_DEPTH 3
#define LOGICAL_END    (UINT64_C(1) << 32)
#define READ_MAX_BYTES (4 * MIB) /* of one request to the disk */

/* ---- extents ---- */

struct node {
    const uint8_t *data;
    unsigned n, depth;
};

static const uint8_t *entry(const struct node *node, unsigned i)
{
    return node->data + EXT4_WIRE_EXTENT_BYTES * (1 + i);
}

static uint32_t extent_length(const uint8_t *e)
{
    uint32_t n = le16_read(e + EXT4_WIRE_EE_LEN);
    return n > EXT4_WIRE_EE_LEN_MAX ? n - EXT4_WIRE_EE_LEN_MAX : n;
}

/* In order, and none over another. */
static int check_entries(const struct ext4_file *file, const struct node *node, struct err *err)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < node->n; i++) {
        const uint8_t *e = entry(node, i);
        uint64_t first = le32_read(e + EXT4_WIRE_EE_BLOCK); /* the same place in both kinds */
        uint32_t len = node->depth ? 1 : extent_length(e);
        if (first < end || !len)
            return err_set(err, EINVAL, "inode %u: extent of %u blocks from %llu, after %llu",
                           file->inode, len, (unsigned long long)first, (unsigned long long)end);
        end = first + len;
    }
    return 0;
}

static int open_node(const struct ext4_file *file, const uint8_t *data, uint32_t bytes,
                     struct node *node, struct err *err)
{
    unsigned magic = le16_read(data + EXT4_WIRE_EH_MAGIC);
    unsigned room = bytes / EXT4_WIRE_EXTENT_BYTES - 1;
    *node = (struct node){.data = data,
                          .n = le16_read(data + EXT4_WIRE_EH_ENTRIES),
                          .depth = le16_read(data + EXT4_WIRE_EH_DEPTH)};
    if (magic != EXT4_WIRE_EXTENT_MAGIC || node->n > room ||
        node->depth > EXT4_WIRE_EXTENT_DEPTH_MAX || le16_read(data + EXT4_WIRE_EH_MAX) > room)
        return err_set(err, EINVAL,
                       "inode %u: extent header with magic 0x%04x, %u entries of %u, depth %u",
                       file->inode, magic, node->n, room, node->depth);
    return 0;
}

static int check_node_checksum(const struct ext4 *fs, const struct ext4_file *file,
                               const struct node *node, struct err *err)
{
    if (!ext4_has_checksums(fs))
        return 0;
    size_t tail = EXT4_WIRE_EXTENT_BYTES * (1 + (size_t)le16_read(node->data + EXT4_WIRE_EH_MAX));
    if (tail + 4 > fs->block_bytes)
        return err_set(err, EINVAL, "inode %u: extent block has no room for its checksum",
                       file->inode);
    uint32_t crc = ext4_crc(file->checksum_seed, node->data, tail);
    uint32_t want = le32_read(node->data + tail);
    return crc == want ? 0
                       : err_set(err, EINVAL,
                                 "inode %u: extent block is damaged: checksum 0x%08x, expected "
                                 "0x%08x",
                                 file->inode, crc, want);
}

/* The entry that covers `logical`, or comes last before it: -1 if all come after. */
static int find_entry(const struct node *node, uint64_t logical)
{
    int lo = 0, hi = (int)node->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (le32_read(entry(node, (unsigned)mid) + EXT4_WIRE_EE_BLOCK) <= logical)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

static int load_child(struct ext4 *fs, const struct ext4_file *file, const uint8_t *e,
                      unsigned depth, struct node *node, struct err *err)
{
    uint64_t number =
        le32_read(e + EXT4_WIRE_EI_LEAF_LO) | (uint64_t)le16_read(e + EXT4_WIRE_EI_LEAF_HI) << 32;
    bool fresh;
    int ret = ext4_load_block(fs, depth, file, number, "extent block", &fresh, err);
    if (!ret)
        ret = open_node(file, fs->slots[depth].data, fs->block_bytes, node, err);
    if (!ret && node->depth != depth)
        ret = err_set(err, EINVAL, "inode %u: extent block of depth %u where %u is due",
                      file->inode, node->depth, depth);
    if (!ret && fresh)
        ret = check_node_checksum(fs, file, node, err);
    if (!ret && fresh)
        ret = check_entries(file, node, err);
    if (ret)
        fs->slots[depth].number = 0;
    return ret;
}

static int map_leaf(const struct ext4 *fs, const struct ext4_file *file, const struct node *node,
                    uint64_t logical, uint64_t end, uint64_t *physical, uint64_t *run,
                    struct err *err)
{
    int i = find_entry(node, logical);
    if (i + 1 < (int)node->n)
        end = MIN(end, le32_read(entry(node, (unsigned)(i + 1)) + EXT4_WIRE_EE_BLOCK));
    *physical = 0;
    *run = MAX(end, logical + 1) - logical;
    if (i < 0)
        return 0;
    const uint8_t *e = entry(node, (unsigned)i);
    uint64_t skip = logical - le32_read(e + EXT4_WIRE_EE_BLOCK), len = extent_length(e);
    if (skip >= len)
        return 0; /* a hole up to the next */
    *run = len - skip;
    if (le16_read(e + EXT4_WIRE_EE_LEN) > EXT4_WIRE_EE_LEN_MAX)
        return 0; /* reserved, not written: reads as zeroes */
    uint64_t start =
        le32_read(e + EXT4_WIRE_EE_START_LO) | (uint64_t)le16_read(e + EXT4_WIRE_EE_START_HI) << 32;
    if (!start || !range_within(start, len, fs->n_blocks))
        return err_set(err, EINVAL, "inode %u: extent of %llu blocks at %llu of %llu", file->inode,
                       (unsigned long long)len, (unsigned long long)start,
                       (unsigned long long)fs->n_blocks);
    *physical = start + skip;
    return 0;
}

static int map_extents(struct ext4 *fs, const struct ext4_file *file, uint64_t logical,
                       uint64_t *physical, uint64_t *run, struct err *err)
{
    struct node node;
    uint64_t end = LOGICAL_END;
    int ret = open_node(file, file->block, sizeof(file->block), &node, err);
    if (!ret)
        ret = check_entries(file, &node, err);
    for (unsigned depth = ret ? 0 : node.depth; !ret && depth; depth--) {
        int i = find_entry(&node, logical);
        if (i + 1 < (int)node.n)
            end = MIN(end, le32_read(entry(&node, (unsigned)(i + 1)) + EXT4_WIRE_EI_BLOCK));
        if (i < 0) {
            *physical = 0;
            *run = MAX(end, logical + 1) - logical;
            return 0;
        }
        ret = load_child(fs, file, entry(&node, (unsigned)i), depth - 1, &node, err);
    }
    return ret ? ret : map_leaf(fs, file, &node, logical, end, physical, run, err);
}

/* ---- indirect blocks ---- */

/* The pointers from `i` on that lie in one row. */
static int map_pointers(const struct ext4 *fs, const struct ext4_file *file, const uint8_t *table,
                        uint64_t i, uint64_t n, uint64_t *physical, uint64_t *run, struct err *err)
{
    uint64_t first = le32_read(table + 4 * i), k = 1;
    while (i + k < n && le32_read(table + 4 * (i + k)) == (first ? first + k : 0))
        k++;
    if (!range_within(first, k, fs->n_blocks))
        return err_set(err, EINVAL, "inode %u: %llu blocks at %llu of %llu", file->inode,
                       (unsigned long long)k, (unsigned long long)first,
                       (unsigned long long)fs->n_blocks);
    *physical = first;
    *run = k;
    return 0;
}

static int map_indirect(struct ext4 *fs, const struct ext4_file *file, uint64_t logical,
                        uint64_t *physical, uint64_t *run, struct err *err)
{
    const unsigned shift = fs->block_shift - 2; /* pointers in a block, as a power of two */
    const uint64_t per_block = UINT64_C(1) << shift;
    if (logical < DIRECT_BLOCKS)
        return map_pointers(fs, file, file->block, logical, DIRECT_BLOCKS, physical, run, err);
    uint64_t rel = logical - DIRECT_BLOCKS;
    unsigned depth = 1;
    while (depth <= INDIRECT_DEPTH && rel >= UINT64_C(1) << (shift * depth))
        rel -= UINT64_C(1) << (shift * depth++);
    if (depth > INDIRECT_DEPTH)
        return err_set(err, EINVAL, "inode %u: block %llu is beyond what its map reaches",
                       file->inode, (unsigned long long)logical);
    uint64_t number = le32_read(file->block + 4 * (DIRECT_BLOCKS + depth - 1));
    while (depth--) {
        bool fresh;
        uint64_t below = shift * depth, i = (rel >> below) & (per_block - 1);
        if (!number) { /* a hole of all that this block would map */
            *physical = 0;
            *run =
                (UINT64_C(1) << (below + shift)) - (rel & ((UINT64_C(1) << (below + shift)) - 1));
            return 0;
        }
        int ret = ext4_load_block(fs, depth, file, number, "indirect block", &fresh, err);
        if (ret)
            return ret;
        if (!depth)
            return map_pointers(fs, file, fs->slots[0].data, i, per_block, physical, run, err);
        number = le32_read(fs->slots[depth].data + 4 * i);
    }
    return 0;
}

int ext4_map(struct ext4 *fs, const struct ext4_file *file, uint64_t logical, uint64_t *physical,
             uint64_t *run, struct err *err)
{
    if (logical >= LOGICAL_END)
        return err_set(err, EINVAL, "inode %u: block %llu is beyond the largest file", file->inode,
                       (unsigned long long)logical);
    return file->flags & EXT4_WIRE_FLAG_EXTENTS
               ? map_extents(fs, file, logical, physical, run, err)
               : map_indirect(fs, file, logical, physical, run, err);
}

int ext4_read_blocks(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, void *buf,
                     uint64_t bytes, struct err *err)
{
    for (uint8_t *to = buf; bytes;) {
        uint64_t physical = 0, run = 1, within = offset & (fs->block_bytes - 1);
        int ret = ext4_map(fs, file, offset >> fs->block_shift, &physical, &run, err);
        if (ret)
            return ret;
        size_t n = (size_t)MIN(bytes, (run << fs->block_shift) - within);
        if (physical) {
            n = MIN(n, READ_MAX_BYTES);
            ret = ext4_fs_read(fs, "file", (physical << fs->block_shift) + within, to, n, err);
            if (ret)
                return err_wrap(err, "inode %u", file->inode);
        } else {
            memset(to, 0, n);
        }
        to += n;
        offset += n;
        bytes -= n;
    }
    return 0;
}
