/* Makes an image of this host from what the server says of where it comes from: a file of a folder
 * that the host offers, a URL, the server itself, or Debian built here. What the server may name is
 * checked here; the work is that of agent/image_import.h and agent/image_build.h. */
#ifndef AGENT_IMAGE_ORIGIN_H
#define AGENT_IMAGE_ORIGIN_H

#include "agent/image_import.h"

struct image_origins;

struct image_origin_config {
    const char *const *folders; /* below which files may be taken, ended by NULL; NULL: none */
    const char *builder;        /* tools/image/build; NULL: this host builds no images */
    bool private_urls;          /* URLs may lead to addresses that are not public */
    /* Where the cloud's server keeps contents; host NULL: there is none. */
    struct image_fetch_server server;
    uint64_t max_bytes; /* of what comes, and of a disk as a guest sees it; 0: 4 TiB */
};

/* `dir` is for work in progress, and is swept; `pools` says which images are there. Borrows what
 * they and `config` point to. Errors: those of image_import_open(). */
struct image_origins *image_origin_open(const struct image_origin_config *config, const char *dir,
                                        struct volume_driver *pools, struct err *err);
/* No image may be in the making. NULL is allowed. */
void image_origin_close(struct image_origins *o);

enum image_origin_kind {
    IMAGE_ORIGIN_PATH,
    IMAGE_ORIGIN_URL,
    IMAGE_ORIGIN_DEBIAN,
    IMAGE_ORIGIN_SERVER,
};

struct image_origin {
    uint8_t id[16];
    enum image_origin_kind kind;
    const char *source; /* path, URL or path of the server; of Debian: ImageDebian as JSON */
    /* SERVER: where the same lies on the server's own machine, which is taken if this is it and the
     * host offers the folder; NULL: nowhere. */
    const char *file;
    bool expects; /* not of Debian: only this format (false: what it is): */
    enum image_probe_format format;
    const char *sha256;         /* not of Debian: 64 digits; NULL: any content will do */
    struct volume_driver *pool; /* where it goes */
    /* Whenever one of them grows; on the calling thread. `received_bytes`: 0 of what is built. */
    void (*progress)(void *ctx, unsigned percent, uint64_t received_bytes);
    void *ctx;
    const _Atomic bool *stop;
};

/* Makes it; one that is there already, in any pool, is fine.
 * Errors: EPERM (the path is in no folder that is offered; building needs root), EINVAL, ENOTSUP
 * (this host does not build that), those of image_import_run() and image_build_debian(). The
 * result is as image_import_run() says. Blocks for long. Threads: any number, for different ids. */
int image_origin_make(struct image_origins *o, const struct image_origin *origin,
                      struct image_import_result *result, struct err *err);

#endif
