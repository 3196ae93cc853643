/* Between disk_kernel.c (partitions, reading), disk_kernel_find.c (which kernel) and
 * disk_kernel_content.c (names of what cannot be read). */
#ifndef BOOT_DISK_KERNEL_INTERNAL_H
#define BOOT_DISK_KERNEL_INTERNAL_H

#include "boot/boot_entry.h"
#include "boot/disk_kernel.h"
#include "boot/ext4.h"
#include "boot/gpt.h"

#define DISK_KERNEL_FS_MAX 16

struct disk_kernel_fs {
    struct ext4 *fs;
    const struct gpt_partition *partition;
};

/* A file, and the file system it lies in. */
struct disk_kernel_file {
    struct ext4 *fs;
    struct ext4_file file;
};

struct disk_kernel {
    struct disk_reader disk;
    uint64_t reads_left;
    struct gpt gpt;
    unsigned n_fs;
    struct disk_kernel_fs fs[DISK_KERNEL_FS_MAX];
    struct boot_entry entry;
    struct disk_kernel_file kernel, initrds[BOOT_ENTRY_INITRDS_MAX];
    unsigned n_initrds;
    char *cmdline;
    char name[BOOT_ENTRY_PATH_BYTES + 32];
    char origin[BOOT_ENTRY_PATH_BYTES + 32];
    struct err passed_over; /* the first thing that was there and could not be used */
};

/* disk_kernel.c: notes it. */
void disk_kernel_pass_over(struct disk_kernel *k, const struct disk_kernel_fs *fs, const char *what,
                           const struct err *why);

/* disk_kernel_find.c: fills in kernel, initrds, entry, name and origin. ENOENT: there is none. */
int disk_kernel_choose(struct disk_kernel *k);

/* disk_kernel_content.c: what a partition holds, by its first bytes: "xfs", "LUKS" ... */
const char *disk_kernel_content(const struct disk_reader *part);

#endif
