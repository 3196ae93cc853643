/* The disk from which cloud-init reads what a guest shall be (NoCloud): an ISO 9660 file system
 * labelled "cidata", with its files' real names by Rock Ridge.
 *
 * Spec: ECMA-119 (ISO 9660), IEEE P1281 (SUSP), IEEE P1282 (RRIP);
 * https://cloudinit.readthedocs.io, "NoCloud". */
#ifndef AGENT_SEED_DISK_H
#define AGENT_SEED_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEED_DISK_FILES_MAX 4

struct seed_disk_file {
    const char *name; /* lower case, '-' and '.': up to 32 characters */
    const char *text;
};

/* The whole file system; its size is a multiple of 2048. Owns: free(). NULL: err says why (ENOMEM,
 * EINVAL: too many, or a name). */
uint8_t *seed_disk_make(const struct seed_disk_file *files, unsigned n, size_t *bytes,
                        struct err *err);

#endif
