/* Between ext4.c (superblock, groups, inodes), ext4_map.c (which block of a file lies where, and
 * reading), ext4_dir.c (directories, paths, data within the inode) and ext4_journal.c (what a crash
 * left in the journal). */
#ifndef BOOT_EXT4_INTERNAL_H
#define BOOT_EXT4_INTERNAL_H

#include <stddef.h>

#include "boot/ext4.h"
#include "boot/ext4_wire.h"

/* The last block read at each depth of a file's map, and of a directory: reading a file in order
 * reads each of its map's blocks once. */
enum ext4_slot { EXT4_SLOT_DIR = EXT4_WIRE_EXTENT_DEPTH_MAX, EXT4_SLOTS };
struct ext4_block {
    uint64_t number; /* 0: none */
    uint32_t inode;  /* whose: what was checked under another's seed is not believed */
    uint8_t *data;
};

/* A block whose newest content lies in the journal. */
struct ext4_patch {
    uint64_t block, from;
    unsigned order;
    bool escaped;
};

struct ext4 {
    struct disk_reader part;
    uint32_t compat, incompat, ro_compat;
    uint32_t block_bytes, block_shift;
    uint64_t n_blocks, n_groups;
    uint32_t n_inodes, inodes_per_group, inode_bytes, journal_inode;
    uint32_t blocks_per_group, first_block, desc_bytes, first_meta_bg, backup_groups[2];
    uint32_t checksum_seed;
    uint8_t uuid[16];
    char uuid_text[37];
    uint8_t *inode; /* the last inode read, whole */
    struct ext4_block slots[EXT4_SLOTS];
    uint8_t *memory;
    struct ext4_patch *patches; /* in the order of their blocks */
    unsigned n_patches;
};

/* ext4.c */
bool ext4_has_checksums(const struct ext4 *fs);
/* crc32c as the kernel computes it: no inversion at the end. */
uint32_t ext4_crc(uint32_t crc, const void *data, size_t bytes);
/* Reads an inode, also into fs->inode. */
int ext4_inode(struct ext4 *fs, uint32_t number, struct ext4_file *file, struct err *err);
/* Reads a block into a slot unless it is there. `fresh` says that it has yet to be checked; after a
 * failed check, clear the slot's number. */
int ext4_load_block(struct ext4 *fs, unsigned slot, const struct ext4_file *file, uint64_t number,
                    const char *what, bool *fresh, struct err *err);

/* ext4_map.c */
/* Where a block of the file lies, and how many from it on lie in one row (at least 1); physical 0
 * is a hole. */
int ext4_map(struct ext4 *fs, const struct ext4_file *file, uint64_t logical, uint64_t *physical,
             uint64_t *run, struct err *err);
/* As ext4_read(), of any kind of file but with the data in blocks. */
int ext4_read_blocks(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, void *buf,
                     uint64_t bytes, struct err *err);

/* ext4_journal.c: reads of the file system, with what lies in the journal. */
int ext4_fs_read(const struct ext4 *fs, const char *what, uint64_t offset, void *buf, size_t bytes,
                 struct err *err);
/* Finds out what that is. */
int ext4_journal_replay(struct ext4 *fs, uint32_t inode, struct err *err);

/* ext4_dir.c */
/* What an inode holds of its own data besides i_block: in fs->inode, which this reads anew. */
int ext4_inline_rest(struct ext4 *fs, const struct ext4_file *file, const uint8_t **rest,
                     size_t *bytes, struct err *err);

#endif
