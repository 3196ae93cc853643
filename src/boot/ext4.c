#include "boot/ext4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/util.h"
#include "boot/ext4_internal.h"

#define LOG_BLOCK_MAX      6 /* 64 KiB */
#define CHECKSUM_CRC32C    1
#define INODE_BYTES_REV_0  128
#define GROUP_DESC_MAX     1024
#define UNUSED_INODE_LINKS 0

uint32_t ext4_crc(uint32_t crc, const void *data, size_t bytes)
{
    return ~crc32c(~crc, data, bytes);
}

bool ext4_has_checksums(const struct ext4 *fs)
{
    return fs->ro_compat & EXT4_WIRE_RO_COMPAT_METADATA_CSUM;
}

/* CRC-16 of ANSI X3.28, bit-reversed: group descriptors before there was metadata_csum. */
static uint16_t crc16(uint16_t crc, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc >> 1) ^ (crc & 1 ? 0xa001 : 0));
    }
    return crc;
}

/* ---- superblock ---- */

bool ext4_probe(const struct disk_reader *part)
{
    uint8_t magic[2];
    return !disk_reader_read(part, "superblock", EXT4_WIRE_SB_OFFSET + EXT4_WIRE_SB_MAGIC, magic,
                             sizeof(magic), NULL) &&
           le16_read(magic) == EXT4_WIRE_MAGIC;
}

static int parse_features(struct ext4 *fs, const uint8_t *sb, struct err *err)
{
    if (le32_read(sb + EXT4_WIRE_SB_REVISION)) {
        fs->compat = le32_read(sb + EXT4_WIRE_SB_COMPAT);
        fs->incompat = le32_read(sb + EXT4_WIRE_SB_INCOMPAT);
        fs->ro_compat = le32_read(sb + EXT4_WIRE_SB_RO_COMPAT);
    }
    uint32_t unknown = fs->incompat & ~(uint32_t)EXT4_WIRE_INCOMPAT_KNOWN;
    if (unknown)
        return err_set(err, ENOTSUP, "ext4 has features that are not known here: incompat 0x%x",
                       unknown);
    if (!ext4_has_checksums(fs))
        return 0;
    uint32_t crc = ext4_crc(UINT32_MAX, sb, EXT4_WIRE_SB_CHECKSUM);
    if (sb[EXT4_WIRE_SB_CHECKSUM_TYPE] != CHECKSUM_CRC32C)
        return err_set(err, ENOTSUP, "ext4 superblock has checksums of type %u",
                       sb[EXT4_WIRE_SB_CHECKSUM_TYPE]);
    if (crc != le32_read(sb + EXT4_WIRE_SB_CHECKSUM))
        return err_set(err, EINVAL, "ext4 superblock is damaged: checksum 0x%08x, expected 0x%08x",
                       crc, le32_read(sb + EXT4_WIRE_SB_CHECKSUM));
    fs->checksum_seed = fs->incompat & EXT4_WIRE_INCOMPAT_CSUM_SEED
                            ? le32_read(sb + EXT4_WIRE_SB_CHECKSUM_SEED)
                            : ext4_crc(UINT32_MAX, fs->uuid, sizeof(fs->uuid));
    return 0;
}

static int parse_sizes(struct ext4 *fs, const uint8_t *sb, struct err *err)
{
    bool wide = fs->incompat & EXT4_WIRE_INCOMPAT_64BIT;
    uint32_t log_block = le32_read(sb + EXT4_WIRE_SB_LOG_BLOCK);
    if (log_block > LOG_BLOCK_MAX)
        return err_set(err, EINVAL, "ext4 superblock: blocks of 1024 << %u bytes", log_block);
    fs->block_shift = 10 + log_block;
    fs->block_bytes = 1u << fs->block_shift;
    fs->n_blocks = le32_read(sb + EXT4_WIRE_SB_BLOCKS_LO) |
                   (wide ? (uint64_t)le32_read(sb + EXT4_WIRE_SB_BLOCKS_HI) << 32 : 0);
    fs->first_block = le32_read(sb + EXT4_WIRE_SB_FIRST_BLOCK);
    if (fs->n_blocks > fs->part.size_bytes >> fs->block_shift || fs->first_block > 1 ||
        fs->n_blocks <= fs->first_block)
        return err_set(err, EINVAL,
                       "ext4 superblock: %llu blocks of %u bytes from %u on, in a partition of "
                       "%llu bytes",
                       (unsigned long long)fs->n_blocks, fs->block_bytes, fs->first_block,
                       (unsigned long long)fs->part.size_bytes);
    uint32_t desc = wide ? le16_read(sb + EXT4_WIRE_SB_DESC_BYTES) : EXT4_WIRE_GD_BYTES;
    fs->desc_bytes = desc;
    if (!is_pow2(desc) || desc < (wide ? EXT4_WIRE_GD_BYTES_64BIT : EXT4_WIRE_GD_BYTES) ||
        desc > GROUP_DESC_MAX)
        return err_set(err, EINVAL, "ext4 superblock: group descriptors of %u bytes", desc);
    fs->inode_bytes = le32_read(sb + EXT4_WIRE_SB_REVISION)
                          ? le16_read(sb + EXT4_WIRE_SB_INODE_BYTES)
                          : INODE_BYTES_REV_0;
    if (!is_pow2(fs->inode_bytes) || fs->inode_bytes < EXT4_WIRE_INODE_BYTES ||
        fs->inode_bytes > fs->block_bytes)
        return err_set(err, EINVAL, "ext4 superblock: inodes of %u bytes", fs->inode_bytes);
    return 0;
}

static int parse_groups(struct ext4 *fs, const uint8_t *sb, struct err *err)
{
    fs->n_inodes = le32_read(sb + EXT4_WIRE_SB_INODES);
    fs->inodes_per_group = le32_read(sb + EXT4_WIRE_SB_GROUP_INODES);
    fs->blocks_per_group = le32_read(sb + EXT4_WIRE_SB_GROUP_BLOCKS);
    fs->journal_inode = le32_read(sb + EXT4_WIRE_SB_JOURNAL_INODE);
    fs->first_meta_bg = le32_read(sb + EXT4_WIRE_SB_FIRST_META_BG);
    fs->backup_groups[0] = le32_read(sb + EXT4_WIRE_SB_BACKUP_BGS);
    fs->backup_groups[1] = le32_read(sb + EXT4_WIRE_SB_BACKUP_BGS + 4);
    if (!fs->inodes_per_group || !fs->blocks_per_group)
        return err_set(err, EINVAL, "ext4 superblock: groups of %u blocks and %u inodes",
                       fs->blocks_per_group, fs->inodes_per_group);
    fs->n_groups =
        (fs->n_blocks - fs->first_block + fs->blocks_per_group - 1) / fs->blocks_per_group;
    return 0;
}

static int parse_superblock(struct ext4 *fs, struct err *err)
{
    uint8_t sb[EXT4_WIRE_SB_BYTES];
    int ret =
        disk_reader_read(&fs->part, "ext4 superblock", EXT4_WIRE_SB_OFFSET, sb, sizeof(sb), err);
    if (ret)
        return ret;
    if (le16_read(sb + EXT4_WIRE_SB_MAGIC) != EXT4_WIRE_MAGIC)
        return err_set(err, EINVAL, "no ext4 file system: its superblock has magic 0x%04x",
                       le16_read(sb + EXT4_WIRE_SB_MAGIC));
    const uint8_t *u = memcpy(fs->uuid, sb + EXT4_WIRE_SB_UUID, sizeof(fs->uuid));
    snprintf(fs->uuid_text, sizeof(fs->uuid_text),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
    ret = parse_features(fs, sb, err);
    if (!ret)
        ret = parse_sizes(fs, sb, err);
    return ret ? ret : parse_groups(fs, sb, err);
}

static int allocate(struct ext4 *fs, struct err *err)
{
    fs->memory = malloc((size_t)fs->block_bytes * EXT4_SLOTS + fs->inode_bytes);
    if (!fs->memory)
        return err_set(err, ENOMEM, "no memory for a file system's blocks");
    for (unsigned i = 0; i < EXT4_SLOTS; i++)
        fs->slots[i].data = fs->memory + (size_t)fs->block_bytes * i;
    fs->inode = fs->memory + (size_t)fs->block_bytes * EXT4_SLOTS;
    return 0;
}

int ext4_open(const struct disk_reader *part, struct ext4 **opened, struct err *err)
{
    struct ext4 *fs = calloc(1, sizeof(*fs));
    if (!fs)
        return err_set(err, ENOMEM, "no memory for a file system");
    fs->part = *part;
    int ret = parse_superblock(fs, err);
    if (!ret)
        ret = allocate(fs, err);
    if (!ret && (fs->incompat & EXT4_WIRE_INCOMPAT_RECOVER))
        ret = ext4_journal_replay(fs, fs->journal_inode, err);
    if (ret)
        ext4_close(fs);
    else
        *opened = fs;
    return ret;
}

void ext4_close(struct ext4 *fs)
{
    if (!fs)
        return;
    free(fs->memory);
    free(fs->patches);
    free(fs);
}

const char *ext4_uuid(const struct ext4 *fs)
{
    return fs->uuid_text;
}

int ext4_load_block(struct ext4 *fs, unsigned slot, const struct ext4_file *file, uint64_t number,
                    const char *what, bool *fresh, struct err *err)
{
    struct ext4_block *b = &fs->slots[slot];
    *fresh = false;
    if (b->number == number && b->inode == file->inode)
        return 0;
    if (!number || number >= fs->n_blocks)
        return err_set(err, EINVAL, "inode %u: %s at block %llu of %llu", file->inode, what,
                       (unsigned long long)number, (unsigned long long)fs->n_blocks);
    b->number = 0;
    int ret = ext4_fs_read(fs, what, number << fs->block_shift, b->data, fs->block_bytes, err);
    if (ret)
        return ret;
    b->number = number;
    b->inode = file->inode;
    *fresh = true;
    return 0;
}

/* ---- groups ---- */

static bool is_power_of(uint64_t n, unsigned base)
{
    while (n > 1 && n % base == 0)
        n /= base;
    return n == 1;
}

/* Whether a group begins with a copy of the superblock. */
static bool has_superblock(const struct ext4 *fs, uint64_t group)
{
    if (fs->compat & EXT4_WIRE_COMPAT_SPARSE_SUPER2)
        return group == 0 || group == fs->backup_groups[0] || group == fs->backup_groups[1];
    if (group <= 1 || !(fs->ro_compat & EXT4_WIRE_RO_COMPAT_SPARSE_SUPER))
        return true;
    return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

/* The block that holds the n-th block of group descriptors. */
static uint64_t descriptor_block(const struct ext4 *fs, uint64_t n)
{
    uint64_t superblock = EXT4_WIRE_SB_OFFSET >> fs->block_shift;
    if (!(fs->incompat & EXT4_WIRE_INCOMPAT_META_BG) || n < fs->first_meta_bg)
        return superblock + 1 + n;
    uint64_t group = n * (fs->block_bytes / fs->desc_bytes);
    uint64_t first = group * fs->blocks_per_group + fs->first_block;
    /* With blocks of 1 KiB that count from 0 (bigalloc), the first is the boot block. */
    return first + has_superblock(fs, group) + (group == 0 && superblock > fs->first_block);
}

static uint16_t descriptor_checksum(const struct ext4 *fs, uint64_t group, const uint8_t *desc)
{
    static const uint8_t zero[2];
    const size_t at = EXT4_WIRE_GD_CHECKSUM, after = at + sizeof(zero);
    uint8_t number[4];
    le32_write(number, (uint32_t)group);
    if (ext4_has_checksums(fs)) {
        uint32_t crc = ext4_crc(fs->checksum_seed, number, sizeof(number));
        crc = ext4_crc(crc, desc, at);
        crc = ext4_crc(crc, zero, sizeof(zero));
        return (uint16_t)ext4_crc(crc, desc + after, fs->desc_bytes - after);
    }
    uint16_t crc = crc16(UINT16_MAX, fs->uuid, sizeof(fs->uuid));
    crc = crc16(crc, number, sizeof(number));
    crc = crc16(crc, desc, at);
    return crc16(crc, desc + after, fs->desc_bytes - after);
}

static int inode_table(struct ext4 *fs, uint64_t group, uint64_t *block, struct err *err)
{
    uint8_t desc[GROUP_DESC_MAX];
    uint32_t per_block = fs->block_bytes / fs->desc_bytes;
    uint64_t at = descriptor_block(fs, group / per_block);
    if (at >= fs->n_blocks)
        return err_set(err, EINVAL, "group %llu: its descriptor would lie at block %llu of %llu",
                       (unsigned long long)group, (unsigned long long)at,
                       (unsigned long long)fs->n_blocks);
    int ret = ext4_fs_read(fs, "group descriptor",
                           (at << fs->block_shift) + group % per_block * fs->desc_bytes, desc,
                           fs->desc_bytes, err);
    if (ret)
        return ret;
    uint16_t want = le16_read(desc + EXT4_WIRE_GD_CHECKSUM);
    bool checked = ext4_has_checksums(fs) || (fs->ro_compat & EXT4_WIRE_RO_COMPAT_GDT_CSUM);
    uint16_t crc = checked ? descriptor_checksum(fs, group, desc) : want;
    if (crc != want)
        return err_set(err, EINVAL,
                       "descriptor of group %llu is damaged: checksum 0x%04x, expected 0x%04x",
                       (unsigned long long)group, crc, want);
    *block = le32_read(desc + EXT4_WIRE_GD_INODE_TABLE_LO);
    if (fs->desc_bytes >= EXT4_WIRE_GD_BYTES_64BIT)
        *block |= (uint64_t)le32_read(desc + EXT4_WIRE_GD_INODE_TABLE_HI) << 32;
    if (!*block || *block >= fs->n_blocks)
        return err_set(err, EINVAL, "group %llu: inode table at block %llu of %llu",
                       (unsigned long long)group, (unsigned long long)*block,
                       (unsigned long long)fs->n_blocks);
    return 0;
}

/* ---- inodes ---- */

/* `seed` covers the inode's number and generation: its extent and directory blocks begin from it.
 */
static int check_inode(const struct ext4 *fs, uint32_t number, uint32_t seed, struct err *err)
{
    static const uint8_t zero[2];
    const uint8_t *i = fs->inode;
    const size_t lo = EXT4_WIRE_INODE_CHECKSUM_LO, hi = EXT4_WIRE_INODE_CHECKSUM_HI;
    bool has_hi = fs->inode_bytes > EXT4_WIRE_INODE_BYTES &&
                  le16_read(i + EXT4_WIRE_INODE_EXTRA) >= hi + 2 - EXT4_WIRE_INODE_BYTES;
    uint32_t crc = ext4_crc(seed, i, lo);
    crc = ext4_crc(crc, zero, sizeof(zero));
    if (has_hi) {
        crc = ext4_crc(crc, i + lo + 2, hi - lo - 2);
        crc = ext4_crc(crc, zero, sizeof(zero));
        crc = ext4_crc(crc, i + hi + 2, fs->inode_bytes - hi - 2);
    } else {
        crc = ext4_crc(crc, i + lo + 2, fs->inode_bytes - lo - 2);
    }
    uint32_t want = le16_read(i + lo) | (has_hi ? (uint32_t)le16_read(i + hi) << 16 : 0);
    crc = has_hi ? crc : (uint16_t)crc;
    return crc == want
               ? 0
               : err_set(err, EINVAL, "inode %u is damaged: checksum 0x%08x, expected 0x%08x",
                         number, crc, want);
}

int ext4_inode(struct ext4 *fs, uint32_t number, struct ext4_file *file, struct err *err)
{
    uint64_t table = 0, group = (uint64_t)(number - 1) / fs->inodes_per_group;
    uint64_t index = (uint64_t)(number - 1) % fs->inodes_per_group;
    if (!number || number > fs->n_inodes || group >= fs->n_groups)
        return err_set(err, EINVAL, "inode %u of %u", number, fs->n_inodes);
    int ret = inode_table(fs, group, &table, err);
    if (!ret)
        ret = ext4_fs_read(fs, "inode", (table << fs->block_shift) + index * fs->inode_bytes,
                           fs->inode, fs->inode_bytes, err);
    if (ret)
        return ret;
    const uint8_t *i = fs->inode;
    uint8_t le_number[4];
    le32_write(le_number, number);
    struct ext4_file f = {
        .inode = number,
        .mode = le16_read(i + EXT4_WIRE_INODE_MODE),
        .flags = le32_read(i + EXT4_WIRE_INODE_FLAGS),
        .size_bytes = le32_read(i + EXT4_WIRE_INODE_SIZE_LO) |
                      (uint64_t)le32_read(i + EXT4_WIRE_INODE_SIZE_HI) << 32,
    };
    memcpy(f.block, i + EXT4_WIRE_INODE_BLOCK, sizeof(f.block));
    f.checksum_seed = ext4_crc(fs->checksum_seed, le_number, sizeof(le_number));
    f.checksum_seed = ext4_crc(f.checksum_seed, i + EXT4_WIRE_INODE_GENERATION, 4);
    if (ext4_has_checksums(fs))
        ret = check_inode(fs, number, f.checksum_seed, err);
    if (ret)
        return ret;
    if (!f.mode || le16_read(i + EXT4_WIRE_INODE_LINKS) == UNUSED_INODE_LINKS)
        return err_set(err, EINVAL, "inode %u is named but not in use", number);
    if (f.flags & EXT4_WIRE_FLAG_ENCRYPTED)
        return err_set(err, ENOTSUP, "inode %u is encrypted", number);
    *file = f;
    return 0;
}
