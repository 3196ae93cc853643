/* The partitions of a disk: GPT, or MBR with logical partitions. A disk without a table is one
 * partition, number 0, as a file system on the whole disk is.
 *
 * Spec: UEFI 2.10, 5.2 (MBR) and 5.3 (GPT). As Linux does, a GPT counts where the MBR is a
 * protective one, its backup where the primary one is damaged. */
#ifndef BOOT_GPT_H
#define BOOT_GPT_H

#include <stdint.h>

#include "base/err.h"
#include "boot/disk_reader.h"

#define GPT_PARTITIONS_MAX 128

enum gpt_scheme { GPT_NONE, GPT_GPT, GPT_MBR };

struct gpt_partition {
    unsigned number; /* as Linux counts; 0: the whole disk */
    uint64_t offset_bytes, size_bytes;
    char partuuid[37]; /* what root=PARTUUID= takes; empty: none */
};

struct gpt {
    enum gpt_scheme scheme;
    unsigned n;
    struct gpt_partition partitions[GPT_PARTITIONS_MAX]; /* in the order of their numbers */
};

/* Reads the table. Entries that are empty or not within the disk are left out, as are those above
 * the room for them. Errors: EINVAL (a protective MBR whose two GPTs are both damaged: says how),
 * those of reading. On failure `gpt` is not to be used. */
int gpt_read(const struct disk_reader *disk, struct gpt *gpt, struct err *err);

const char *gpt_scheme_name(enum gpt_scheme scheme);

#endif
