/* Finds the kernel that a guest's disk would boot, with its initrds and command line, the way its
 * boot loader would: what the guest installed is what starts.
 *
 * On the partitions of the disk in order (boot/gpt.h), those with ext2, ext3 or ext4:
 *   1. the default entry of grub.cfg (boot/grub_cfg.h) in /boot/grub, /grub, /boot/grub2, /grub2;
 *      where that says `blscfg` or has no entry, the newest of /boot/loader/entries/ or
 *      /loader/entries/ (boot/bls.h), or the one that grubenv's `saved_entry` names
 *   2. Debian's links /vmlinuz and /initrd.img
 *   3. the newest /boot/vmlinuz-* (or /vmlinuz-*, on a partition for /boot) and the initrd of its
 *      version
 * A file that a configuration names is looked for on its own partition first, then on the others,
 * with and without /boot before its path. What is there but cannot be used is passed over and named
 * if nothing else is found.
 *
 * All of it is the guest's: see boot/ext4.h for what is checked. A search makes at most 256 Ki
 * reads and opens at most 16 file systems. */
#ifndef BOOT_DISK_KERNEL_H
#define BOOT_DISK_KERNEL_H

#include <stdint.h>

#include "base/err.h"
#include "boot/disk_reader.h"

#define DISK_KERNEL_MAX_BYTES  (UINT64_C(128) << 20)
#define DISK_KERNEL_INITRD_MAX (UINT64_C(512) << 20) /* of all initrds */

struct disk_kernel;

/* Searches. `append` (NULL: none) ends the command line; before it stands what the entry says, or
 * root= and the file system's UUID, and console=ttyS0 where neither names a console. `disk` is
 * copied, its callback is used until disk_kernel_destroy().
 * Errors: ENOENT (what was looked at), EINVAL, ENOTSUP, E2BIG (the first thing that was passed
 * over), those of the callback. */
int disk_kernel_find(const struct disk_reader *disk, const char *append, struct disk_kernel **found,
                     struct err *err);
/* NULL is allowed. */
void disk_kernel_destroy(struct disk_kernel *k);

/* Borrowed: "/boot/vmlinuz-6.1 of partition 1", what named it ("/boot/grub/grub.cfg"), and the
 * whole command line. */
const char *disk_kernel_name(const struct disk_kernel *k);
const char *disk_kernel_origin(const struct disk_kernel *k);
const char *disk_kernel_cmdline(const struct disk_kernel *k);

uint64_t disk_kernel_bytes(const struct disk_kernel *k);
/* Of all initrds, each begun at a multiple of 4; 0: none. */
uint64_t disk_kernel_initrd_bytes(const struct disk_kernel *k);

/* Read [offset, offset + bytes). Errors: as ext4_read(). */
int disk_kernel_read(struct disk_kernel *k, uint64_t offset, void *buf, uint64_t bytes,
                     struct err *err);
int disk_kernel_read_initrd(struct disk_kernel *k, uint64_t offset, void *buf, uint64_t bytes,
                            struct err *err);

#endif
