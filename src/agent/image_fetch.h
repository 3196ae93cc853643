/* Brings an image's bytes into a file of ours, with its SHA-256 taken on the way: from a file of
 * the host, from a URL or from the cloud's server. */
#ifndef AGENT_IMAGE_FETCH_H
#define AGENT_IMAGE_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define IMAGE_FETCH_SHA256_BYTES 32

struct image_fetch {
    uint64_t max_bytes;  /* more is refused, before or while it comes */
    bool refuse_private; /* of URLs: addresses that are not the public Internet's */
    unsigned max_redirects;
    unsigned stall_s;  /* of URLs: less than 1 KiB/s for so long: given up; 0: 60 */
    const char *proxy; /* of URLs; NULL: none, whatever the environment says */
    /* Called now and then; total 0: not known. May be NULL. */
    void (*progress)(void *ctx, uint64_t received, uint64_t total);
    void *ctx;
    const _Atomic bool *stop; /* may be NULL */
};

struct image_fetch_result {
    uint64_t bytes;
    uint8_t sha256[IMAGE_FETCH_SHA256_BYTES];
};

/* Copies a regular file; where the file system shares extents, by that. `to` NULL (-1): only reads
 * it. Errors: EINVAL (not a regular file), E2BIG, ECANCELED, those of the file system. Blocks. */
int image_fetch_file(const struct image_fetch *f, int from, int to,
                     struct image_fetch_result *result, struct err *err);
/* http and https, also where a redirect leads. Messages hold no password of the URL.
 * Errors: EINVAL (another scheme), EACCES (a private address), E2BIG, ECANCELED, ELOOP
 * (redirects), ETIMEDOUT, ENOENT (the server says that it is not there), EIO (it refuses, or the
 * transfer ended early). Blocks. Threads: any. */
int image_fetch_url(const struct image_fetch *f, const char *url, int to,
                    struct image_fetch_result *result, struct err *err);

/* The server of the cloud, as this host speaks to it. */
struct image_fetch_server {
    const char *host;
    uint16_t port;
    const char *authority_path, *cert_path, *key_path; /* PEM; all NULL: no TLS */
    unsigned patience_s; /* nothing has come for so long, in any attempt: given up; 0: 300 */
};
/* A path of the cloud's own server, with the host's certificate. What breaks off goes on where it
 * ended, also at a server that was started again. `refuse_private`, `max_redirects` and `proxy`
 * mean nothing here: the address is the operator's word. Errors: ENOENT (it has no such image),
 * ECONNREFUSED (it does not know this host, or is another cloud's), ESTALE (its file was changed
 * meanwhile: begin anew), EINVAL (the path), E2BIG, ECANCELED, ETIMEDOUT, EIO. Blocks.
 * Threads: any. */
int image_fetch_server(const struct image_fetch *f, const struct image_fetch_server *server,
                       const char *path, int to, struct image_fetch_result *result,
                       struct err *err);

/* Whether the address is none of the public Internet's: loopback, link-local, private, multicast,
 * reserved; also where IPv6 carries such an IPv4 address. Source: IANA's special-purpose address
 * registries (RFC 6890). */
bool image_fetch_is_private(const struct sockaddr *address);

#endif
