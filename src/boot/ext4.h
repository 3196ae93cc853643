/* Reads files of an ext2, ext3 or ext4 file system, which nobody else has mounted: the kernel's and
 * the initrd's of a guest that boots from its disk. Never writes.
 *
 * Everything in it was written by the guest. Sizes, block numbers and depths are checked before
 * they are used, checksums wherever the file system has them (superblock, group descriptors,
 * inodes, extent blocks, directory blocks; not the index blocks of hashed directories, which are
 * read as the empty directory blocks that they look like). Nothing recurses; memory is six blocks
 * of the file system, of at most 64 KiB each, and 24 bytes for each block in a journal to replay.
 *
 * A journal that was not replayed, after a crash of the guest, is replayed in memory: blocks whose
 * newest committed content lies there are read from there. So a kernel is found as the guest's own
 * next mount would see it, and not half installed; GRUB, which does not do this, may read blocks
 * that belong to other files by now. One that does not parse is an error.
 *
 * Spec: Linux Documentation/filesystems/ext4/. */
#ifndef BOOT_EXT4_H
#define BOOT_EXT4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "boot/disk_reader.h"

#define EXT4_NAME_MAX 255

struct ext4;

struct ext4_file {
    uint32_t inode;
    uint16_t mode;
    uint32_t flags, checksum_seed;
    uint64_t size_bytes;
    uint8_t block[60]; /* i_block: extents, block numbers or the data itself */
};

/* Whether the part begins as such a file system does; the rest may still not parse. */
bool ext4_probe(const struct disk_reader *part);

/* Owns: ext4_close(). `part` is copied. Errors: EINVAL (a field of the superblock, its value),
 * ENOTSUP (a feature by its number), those of reading. */
int ext4_open(const struct disk_reader *part, struct ext4 **fs, struct err *err);
/* NULL is allowed. */
void ext4_close(struct ext4 *fs);

/* The file system's UUID as text. Borrowed. */
const char *ext4_uuid(const struct ext4 *fs);

/* Finds a file by its path from the root, through symbolic links, which stay within the file
 * system. Errors: ENOENT, ENOTDIR, ELOOP (more than 16 links), ENAMETOOLONG, EINVAL (a structure
 * that contradicts itself, named), those of reading. */
int ext4_lookup(struct ext4 *fs, const char *path, struct ext4_file *file, struct err *err);

bool ext4_is_regular(const struct ext4_file *file);

/* Reads [offset, offset + bytes) of a regular file. Errors: as ext4_lookup(), EINVAL (not within
 * the file). */
int ext4_read(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, void *buf,
              uint64_t bytes, struct err *err);

/* Calls fn(arg, name) for each name in a directory, "." and ".." too; a return other than 0 ends
 * it and is returned. Errors: as ext4_lookup(). */
int ext4_list(struct ext4 *fs, const struct ext4_file *directory,
              int (*fn)(void *arg, const char *name), void *arg, struct err *err);

#endif
