/* ext4 on the disk: where fields lie in its structures; all little-endian. Read by le16_read() and
 * its kin, since a structure may lie at any offset of what was read.
 *
 * Spec: Linux Documentation/filesystems/ext4/ (super.rst, group_descr.rst, inodes.rst, ifork.rst,
 * directory.rst, attributes.rst). */
#ifndef BOOT_EXT4_WIRE_H
#define BOOT_EXT4_WIRE_H

/* Superblock: 1024 bytes, 1024 from the beginning.          OFFSET  SIZE  MEANING */
#define EXT4_WIRE_SB_OFFSET        1024
#define EXT4_WIRE_SB_BYTES         1024
#define EXT4_WIRE_SB_INODES        0x00  /* 4 */
#define EXT4_WIRE_SB_BLOCKS_LO     0x04  /* 4 */
#define EXT4_WIRE_SB_FIRST_BLOCK   0x14  /* 4 */
#define EXT4_WIRE_SB_LOG_BLOCK     0x18  /* 4: 1024 << this */
#define EXT4_WIRE_SB_GROUP_BLOCKS  0x20  /* 4 */
#define EXT4_WIRE_SB_GROUP_INODES  0x28  /* 4 */
#define EXT4_WIRE_SB_MAGIC         0x38  /* 2 */
#define EXT4_WIRE_SB_REVISION      0x4c  /* 4: 0 has nothing of what follows */
#define EXT4_WIRE_SB_INODE_BYTES   0x58  /* 2 */
#define EXT4_WIRE_SB_COMPAT        0x5c  /* 4 */
#define EXT4_WIRE_SB_INCOMPAT      0x60  /* 4 */
#define EXT4_WIRE_SB_RO_COMPAT     0x64  /* 4 */
#define EXT4_WIRE_SB_UUID          0x68  /* 16 */
#define EXT4_WIRE_SB_JOURNAL_INODE 0xe0  /* 4 */
#define EXT4_WIRE_SB_DESC_BYTES    0xfe  /* 2 */
#define EXT4_WIRE_SB_FIRST_META_BG 0x104 /* 4 */
#define EXT4_WIRE_SB_BLOCKS_HI     0x150 /* 4 */
#define EXT4_WIRE_SB_CHECKSUM_TYPE 0x175 /* 1: 1 is crc32c */
#define EXT4_WIRE_SB_BACKUP_BGS    0x24c /* 4, 4 */
#define EXT4_WIRE_SB_CHECKSUM_SEED 0x270 /* 4 */
#define EXT4_WIRE_SB_CHECKSUM      0x3fc /* 4: of all before it */
#define EXT4_WIRE_MAGIC            0xef53

#define EXT4_WIRE_COMPAT_SPARSE_SUPER2 0x200
#define EXT4_WIRE_INCOMPAT_RECOVER     0x4
#define EXT4_WIRE_INCOMPAT_META_BG     0x10
#define EXT4_WIRE_INCOMPAT_64BIT       0x80
#define EXT4_WIRE_INCOMPAT_CSUM_SEED   0x2000
/* FILETYPE RECOVER META_BG EXTENTS 64BIT MMP FLEX_BG EA_INODE CSUM_SEED LARGEDIR INLINE_DATA
 * ENCRYPT CASEFOLD: what reading has to know of them is known here. */
#define EXT4_WIRE_INCOMPAT_KNOWN          0x3e7d6
#define EXT4_WIRE_INCOMPAT_FILETYPE       0x2
#define EXT4_WIRE_RO_COMPAT_SPARSE_SUPER  0x1
#define EXT4_WIRE_RO_COMPAT_GDT_CSUM      0x10
#define EXT4_WIRE_RO_COMPAT_METADATA_CSUM 0x400

/* Group descriptor: 32 bytes, or what the superblock says. */
#define EXT4_WIRE_GD_BYTES          32
#define EXT4_WIRE_GD_BYTES_64BIT    64
#define EXT4_WIRE_GD_INODE_TABLE_LO 0x08 /* 4 */
#define EXT4_WIRE_GD_CHECKSUM       0x1e /* 2 */
#define EXT4_WIRE_GD_INODE_TABLE_HI 0x28 /* 4 */

/* Inode: 128 bytes, or what the superblock says. */
#define EXT4_WIRE_INODE_BYTES       128
#define EXT4_WIRE_INODE_MODE        0x00 /* 2 */
#define EXT4_WIRE_INODE_SIZE_LO     0x04 /* 4 */
#define EXT4_WIRE_INODE_LINKS       0x1a /* 2 */
#define EXT4_WIRE_INODE_FLAGS       0x20 /* 4 */
#define EXT4_WIRE_INODE_BLOCK       0x28 /* 60 */
#define EXT4_WIRE_INODE_GENERATION  0x64 /* 4 */
#define EXT4_WIRE_INODE_SIZE_HI     0x6c /* 4 */
#define EXT4_WIRE_INODE_CHECKSUM_LO 0x7c /* 2 */
#define EXT4_WIRE_INODE_EXTRA       0x80 /* 2: bytes in use after 128 */
#define EXT4_WIRE_INODE_CHECKSUM_HI 0x82 /* 2 */
#define EXT4_WIRE_INODE_ROOT        2

#define EXT4_WIRE_FLAG_ENCRYPTED 0x800
#define EXT4_WIRE_FLAG_INDEX     0x1000
#define EXT4_WIRE_FLAG_EXTENTS   0x80000
#define EXT4_WIRE_FLAG_INLINE    0x10000000

/* Extent tree: a header of 12 bytes, entries of 12 bytes, in blocks a tail of 4. */
#define EXT4_WIRE_EXTENT_MAGIC     0xf30a
#define EXT4_WIRE_EXTENT_BYTES     12
#define EXT4_WIRE_EXTENT_DEPTH_MAX 5
#define EXT4_WIRE_EH_MAGIC         0 /* 2 */
#define EXT4_WIRE_EH_ENTRIES       2 /* 2 */
#define EXT4_WIRE_EH_MAX           4 /* 2 */
#define EXT4_WIRE_EH_DEPTH         6 /* 2 */
#define EXT4_WIRE_EI_BLOCK         0 /* 4: index entry */
#define EXT4_WIRE_EI_LEAF_LO       4 /* 4 */
#define EXT4_WIRE_EI_LEAF_HI       8 /* 2 */
#define EXT4_WIRE_EE_BLOCK         0 /* 4: leaf entry */
#define EXT4_WIRE_EE_LEN           4 /* 2: above 32768, not written yet */
#define EXT4_WIRE_EE_START_HI      6 /* 2 */
#define EXT4_WIRE_EE_START_LO      8 /* 4 */
#define EXT4_WIRE_EE_LEN_MAX       32768

/* Directory entry: 8 bytes and the name. */
#define EXT4_WIRE_DE_BYTES         8
#define EXT4_WIRE_DE_INODE         0 /* 4 */
#define EXT4_WIRE_DE_LEN           4 /* 2 */
#define EXT4_WIRE_DE_NAME_LEN      6 /* 1 */
#define EXT4_WIRE_DE_TYPE          7 /* 1; without FILETYPE the name length's high byte */
#define EXT4_WIRE_DE_TAIL_BYTES    12
#define EXT4_WIRE_DE_TAIL_TYPE     0xde
#define EXT4_WIRE_DE_TAIL_CHECKSUM 8 /* 4 */

/* Attributes in the inode: a magic of 4 bytes, entries of 16 bytes and a name. */
#define EXT4_WIRE_XATTR_MAGIC        0xea020000
#define EXT4_WIRE_XATTR_BYTES        16
#define EXT4_WIRE_XATTR_NAME_LEN     0 /* 1 */
#define EXT4_WIRE_XATTR_INDEX        1 /* 1 */
#define EXT4_WIRE_XATTR_VALUE_OFFSET 2 /* 2: from the first entry */
#define EXT4_WIRE_XATTR_VALUE_INODE  4 /* 4 */
#define EXT4_WIRE_XATTR_VALUE_BYTES  8 /* 4 */
#define EXT4_WIRE_XATTR_SYSTEM       7

#endif
