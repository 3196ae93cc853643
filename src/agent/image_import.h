/* Takes images into a host's volumes: fetched or found, checked, unpacked, converted to what a
 * monitor reads, and given to the volume driver.
 *
 * Theory of operation: an import has a directory of its own by its id, in which all that it makes
 * lies under fixed names. It ends in the driver's import(), which is done as a whole or not at all;
 * before that nothing is there but this directory, and image_import_open() sweeps those that a
 * crash left. So an import that did not end is done again from the start, and one that had ended
 * finds its image. What parses a tenant's bytes is another program, confined (agent/image_child.h),
 * and what refers to other files is refused before any program opens it (agent/image_probe.h). */
#ifndef AGENT_IMAGE_IMPORT_H
#define AGENT_IMAGE_IMPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/image_fetch.h"
#include "agent/image_probe.h"
#include "agent/volume_driver.h"

struct image_import;

struct image_import_config {
    const char *dir;              /* for work in progress, ours alone; best on the pool's file
                                   * system, where an uploaded file need not be copied */
    struct volume_driver *driver; /* says which images are there, and takes them; borrowed */
    uint64_t max_bytes;           /* of what is read, as it comes */
    uint64_t max_disk_bytes;      /* as a guest sees it */
    unsigned time_max_s;          /* of each program that is run; 0: an hour */
    bool refuse_private;          /* URLs: as in struct image_fetch, and the next three */
    unsigned max_redirects, stall_s;
    const char *proxy;
    const struct image_fetch_server *server; /* borrowed; NULL: this host has none */
};

/* Makes the directory, and sweeps it. The strings are copied. Errors: those of the file system. */
struct image_import *image_import_open(const struct image_import_config *config, struct err *err);
/* No import may be running. NULL is allowed. */
void image_import_close(struct image_import *im);

enum image_import_kind {
    IMAGE_IMPORT_FILE,   /* a path of the host; an operator's word, never a tenant's */
    IMAGE_IMPORT_URL,    /* http or https */
    IMAGE_IMPORT_SERVER, /* a path of the cloud's server */
    IMAGE_IMPORT_UPLOAD, /* a path of a file that nobody writes to any more; it may be linked, and
                          * its owner changed, and stays */
};

enum image_import_stage {
    IMAGE_IMPORT_FETCH,
    IMAGE_IMPORT_UNPACK,
    IMAGE_IMPORT_CONVERT,
    IMAGE_IMPORT_STORE,
};

struct image_import_request {
    uint8_t id[16]; /* the image's; one import at a time */
    enum image_import_kind kind;
    const char *source;             /* path or URL */
    struct volume_driver *pool;     /* where it goes; NULL: the importer's driver */
    bool expects;                   /* refuse what has not this format, once it is unpacked: */
    enum image_probe_format format; /* (false: whatever it is) */
    const uint8_t *sha256;          /* of the bytes as they come; NULL: not checked */
    /* Whenever the stage or a percent changes, and every 8 MiB; percent never goes back. On the
     * calling thread. May be NULL. */
    void (*progress)(void *ctx, enum image_import_stage stage, unsigned percent,
                     uint64_t received_bytes);
    void *ctx;
    const _Atomic bool *stop; /* set by any thread: ECANCELED, soon; may be NULL */
};

struct image_import_result {
    enum image_probe_format format;           /* what the content was, once unpacked */
    uint64_t received_bytes, size_bytes;      /* as it came; as a guest sees it */
    uint8_t sha256[IMAGE_FETCH_SHA256_BYTES]; /* of the bytes as they came */
    bool was_there;                           /* of the above only size_bytes is known */
};

/* Imports; an image of that id that is there is fine. Whatever the outcome, nothing is left but the
 * image, if it says 0. With EBADMSG *result holds what came: received_bytes and sha256.
 * Errors: EBADMSG (another SHA-256), EINVAL, ENOTSUP (the content, see agent/image_probe.h; not the
 * format expected), E2BIG, ECANCELED, ETIMEDOUT, ENOSPC; those of agent/image_fetch.h,
 * agent/image_child.h and of the driver. Blocks: for a worker. Threads: any number, for different
 * ids. */
int image_import_run(struct image_import *im, const struct image_import_request *request,
                     struct image_import_result *result, struct err *err);

#endif
