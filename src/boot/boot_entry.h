/* One choice of a boot menu: kernel, initrds, command line, as the guest's boot loader
 * configuration names them. Filled in by boot/grub_cfg.h and boot/bls.h. */
#ifndef BOOT_BOOT_ENTRY_H
#define BOOT_BOOT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define BOOT_ENTRY_PATH_BYTES    512
#define BOOT_ENTRY_CMDLINE_BYTES 4096
#define BOOT_ENTRY_INITRDS_MAX   4

struct boot_entry {
    char kernel[BOOT_ENTRY_PATH_BYTES]; /* empty: none named */
    char cmdline[BOOT_ENTRY_CMDLINE_BYTES];
    unsigned n_initrds; /* what is loaded is all of them, one after the other */
    char initrds[BOOT_ENTRY_INITRDS_MAX][BOOT_ENTRY_PATH_BYTES];
};

/* Each takes a word that was cut out already. A path loses a device before it, as in
 * "(hd0,1)/vmlinuz": the file is looked for on each partition. An option with a space in it is
 * quoted. Errors: E2BIG (too long, or too many). */
int boot_entry_set_kernel(struct boot_entry *entry, const char *path, struct err *err);
int boot_entry_add_initrd(struct boot_entry *entry, const char *path, struct err *err);
int boot_entry_add_option(struct boot_entry *entry, const char *option, struct err *err);

/* Orders names that hold version numbers: digits by value, the rest by character, '~' before
 * everything. Returns as strcmp(3). */
int boot_entry_compare_versions(const char *a, const char *b);

#endif
