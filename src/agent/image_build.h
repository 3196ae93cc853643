/* Builds a Debian image by our recipe (tools/image/build debian-cloud: mmdebstrap and mke2fs) and
 * imports it. The recipe keeps what it made for the next one that asks for the same. */
#ifndef AGENT_IMAGE_BUILD_H
#define AGENT_IMAGE_BUILD_H

#include "agent/image_import.h"

#define IMAGE_BUILD_PACKAGES_MAX 200

struct image_build {
    uint8_t id[16];
    const char *program;         /* the path of tools/image/build */
    const char *suite;           /* "bookworm"; NULL: that of this host, the only one it builds */
    unsigned size_gib;           /* of the disk; 0: 2 */
    const char *const *packages; /* further ones, ended by NULL; may be NULL */
    unsigned time_max_s;         /* 0: an hour */
    struct volume_driver *pool;  /* where it goes; NULL: the importer's driver */
    /* `doing` is a line of the recipe's, for people. percent never goes back. May be NULL. */
    void (*progress)(void *ctx, unsigned percent, const char *doing);
    void *ctx;
    const _Atomic bool *stop;
};

/* Errors: EINVAL (a package's name, the size), ECANCELED, ETIMEDOUT, EIO (the recipe's last words),
 * ENOENT (there is no recipe), those of image_import_run(). Needs root. Blocks: for a worker. */
int image_build_debian(struct image_import *im, const struct image_build *b,
                       struct image_import_result *result, struct err *err);

#endif
