/* A CD image of a few small files in one directory: the disk from which a guest's cloud-init takes
 * what it is to be ("NoCloud": a file system labelled CIDATA).
 *
 * ISO 9660 and not FAT: it cannot be written to, has no sizes to choose, and Linux, the BSDs and
 * Windows all read it. Names are there three times: in ISO 9660's own letters, in Rock Ridge
 * (Linux, BSD) and in Joliet (Windows), the last two exactly as given.
 *
 * Spec: ECMA-119 (the volume), IEEE P1281 and P1282 (Rock Ridge), Joliet Specification, 1995. */
#ifndef SEED_SEED_ISO_H
#define SEED_SEED_ISO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEED_ISO_FILES_MAX 32
#define SEED_ISO_NAME_MAX  28 /* characters */
#define SEED_ISO_BYTES_MAX (UINT32_C(64) << 20)

struct seed_iso_file {
    const char *name; /* letters, digits, '.', '-', '_' */
    const void *data;
    size_t bytes;
};

/* Makes the image, which depends on nothing but what is given; `time_s` (Unix time, 0: none) is
 * what its dates say. Its length is a multiple of 2048.
 * Owns: *image, by free(). Errors: EINVAL (a name, or two that differ only in case or
 * punctuation), E2BIG, ENOMEM. Threads: any. */
int seed_iso_make(const struct seed_iso_file *files, unsigned n, int64_t time_s, uint8_t **image,
                  size_t *bytes, struct err *err);

#endif
