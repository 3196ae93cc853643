/* Where an image's content comes from: a file of this host, or a URL. Either way it ends as a file
 * whose checksum is the one that was asked for. */
#ifndef AGENT_IMAGE_SOURCE_H
#define AGENT_IMAGE_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

#define IMAGE_SOURCE_PATH_BYTES 512

struct image_source_config {
    const char *const *folders; /* below which files may be taken, ended by NULL; NULL: none */
    /* PEM, for URLs that begin with `own_prefix`: the cloud's own server knows us by these. */
    const char *own_prefix, *authority_path, *cert_path, *key_path;
};

struct image_source {
    const char *path;   /* NULL: a URL */
    const char *url;    /* http or https */
    const char *sha256; /* 64 digits; NULL: any content will do */
};

/* Gives the path of a file with the content: the source's own, or `fetched`, into which a URL is
 * fetched. `percent` is set while it goes on, where that is known; `stop` ends it early.
 * Errors: EPERM (the path is in no folder that is offered), ENOENT, EBADMSG (another checksum),
 * EINVAL, ECONNREFUSED (could not be fetched: err says why), ENOSPC, ECANCELED. Blocks for long. */
int image_source_get(const struct image_source_config *config, const struct image_source *source,
                     const char *fetched, char path[IMAGE_SOURCE_PATH_BYTES],
                     _Atomic unsigned *percent, const _Atomic bool *stop, struct err *err);

#endif
