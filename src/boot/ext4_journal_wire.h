/* The journal of ext3 and ext4 (jbd2); all big-endian.
 * Spec: Linux Documentation/filesystems/ext4/journal.rst. */
#ifndef BOOT_EXT4_JOURNAL_WIRE_H
#define BOOT_EXT4_JOURNAL_WIRE_H

/* Each block of its own begins with: magic, type, sequence. OFFSET  SIZE  MEANING */
#define EXT4_JOURNAL_WIRE_MAGIC         0xc03b3998
#define EXT4_JOURNAL_WIRE_TYPE          4 /* 4 */
#define EXT4_JOURNAL_WIRE_SEQUENCE      8 /* 4 */
#define EXT4_JOURNAL_WIRE_HEADER_BYTES  12
#define EXT4_JOURNAL_WIRE_DESCRIPTOR    1
#define EXT4_JOURNAL_WIRE_COMMIT        2
#define EXT4_JOURNAL_WIRE_SUPERBLOCK_V2 4
#define EXT4_JOURNAL_WIRE_REVOKE        5
#define EXT4_JOURNAL_WIRE_COMMIT_SUM    16 /* 4: in a commit block */
#define EXT4_JOURNAL_WIRE_REVOKES       16 /* behind the header and a length of 4 bytes */

#define EXT4_JOURNAL_WIRE_SB_BYTES       1024
#define EXT4_JOURNAL_WIRE_SB_BLOCK_BYTES 0x0c /* 4 */
#define EXT4_JOURNAL_WIRE_SB_BLOCKS      0x10 /* 4 */
#define EXT4_JOURNAL_WIRE_SB_FIRST       0x14 /* 4: block of the log */
#define EXT4_JOURNAL_WIRE_SB_SEQUENCE    0x18 /* 4: of its first transaction */
#define EXT4_JOURNAL_WIRE_SB_START       0x1c /* 4: where that begins; 0: nothing to replay */
#define EXT4_JOURNAL_WIRE_SB_INCOMPAT    0x28 /* 4 */
#define EXT4_JOURNAL_WIRE_SB_UUID        0x30 /* 16 */
#define EXT4_JOURNAL_WIRE_SB_FAST_BLOCKS 0x54 /* 4: at the end, for fast commits; 0: 256 */
#define EXT4_JOURNAL_WIRE_FAST_DEFAULT   256

#define EXT4_JOURNAL_WIRE_64BIT       0x02
#define EXT4_JOURNAL_WIRE_CSUM_V2     0x08
#define EXT4_JOURNAL_WIRE_CSUM_V3     0x10
#define EXT4_JOURNAL_WIRE_FAST_COMMIT 0x20
#define EXT4_JOURNAL_WIRE_KNOWN       0x3f /* with REVOKE and ASYNC_COMMIT */

/* Flags of a tag in a descriptor block. */
#define EXT4_JOURNAL_WIRE_ESCAPED   1
#define EXT4_JOURNAL_WIRE_SAME_UUID 2
#define EXT4_JOURNAL_WIRE_LAST_TAG  8

#endif
