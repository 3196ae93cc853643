/* Images, as VMs, volumes and the agents' link need them.
 *
 * One host imports (own.host); from then on the content never changes. Others fetch it when a
 * volume is made from it there. Which host has it is told by the agents and not stored. Design:
 * docs/arch/23-storage-server.md.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_IMAGE_H
#define MGMT_SERVER_SERVER_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "mgmt/server/server_storage.h"

struct web_request;

/* ---- for VMs and volumes ---- */

/* Whether a disk can be made from it: ready, and `size_gib` (0: its own size, which *needs_gib
 * receives) is enough. Names `pointer`. Takes it in use until the transaction has ended; what is
 * written then counts by itself. Errors: image.not_ready, request.invalid. May be SERVER_WAIT. */
int server_image_use(struct server_call *c, struct server_txn *t,
                     const struct catalog_object *image, int64_t size_gib, const char *pointer,
                     int64_t *needs_gib);
/* Where it forces a VM to be placed, since no other host could fetch it: `host` filled in, or NULL:
 * anywhere. */
const struct store_id *server_image_host_of(const struct catalog_object *image,
                                            struct store_id *host);

/* ---- for the agents' link ---- */

enum server_image_from {
    SERVER_IMAGE_CONTENT,  /* GET `path` of this server, with the agent's certificate */
    SERVER_IMAGE_URL,      /* GET `url` */
    SERVER_IMAGE_DEBIAN,   /* build `debian` */
    SERVER_IMAGE_VOLUME,   /* copy the volume `resource` of this host, which no monitor uses */
    SERVER_IMAGE_SNAPSHOT, /* copy the snapshot `resource` of this host */
};

struct server_image_want {
    struct store_id id;
    enum server_storage_wish wish;
    int64_t generation; /* comes back with what is reported */
    enum server_image_from from;
    char path[80];   /* "/v1/images/ID/content" */
    char file[512];  /* the same content on the server's own machine; "": no such file */
    const char *url; /* borrowed from the version */
    struct store_id resource;
    const struct api_image_debian *debian; /* borrowed from the version */
    enum api_image_format format;          /* API_IMAGE_FORMAT_AUTO: told by the content */
    const char *sha256;                    /* that the content must have; NULL: any */
};
/* What a host is told of an image. False: nothing: it neither has it nor needs it. */
bool server_image_want(struct server *s, const struct catalog_object *image,
                       const struct store_id *host, struct server_image_want *want);
/* Every image that a host is told something of; `each` must not change the catalog. */
void server_image_each(struct server *s, const struct store_id *host,
                       void (*each)(void *ctx, const struct server_image_want *want), void *ctx);

/* The hosts that have to do with one: where it lies, and those that spoke of it. `each` must not
 * change the catalog. */
void server_image_hosts(struct server *s, const struct catalog_object *image,
                        void (*each)(void *ctx, const struct catalog_object *image,
                                     const struct store_id *host),
                        void *ctx);

/* What an agent says of one: always the whole state. */
struct server_image_seen {
    struct store_id id;
    int64_t generation; /* of the wish that it knew */
    enum server_storage_state state;
    int percent;                  /* WORKING */
    uint64_t received_bytes;      /* WORKING */
    enum api_image_format format; /* PRESENT: what the content was */
    uint64_t size_bytes;          /* PRESENT: taken on the host */
    uint64_t virtual_size_bytes;  /* PRESENT */
    const char *sha256;           /* PRESENT, FAILED: of the content as it came; NULL: unknown */
    const char *reason;           /* FAILED; may be NULL */
};
void server_image_seen(struct server *s, const struct store_id *host,
                       const struct server_image_seen *seen);
/* Whether a host has it, as its agent last said. */
bool server_image_on(const struct server *s, const struct store_id *image,
                     const struct store_id *host);

/* Answers a request of the agents' listener for the content of an image: for a host that was told
 * to have it. False: it is another request, and not answered. */
bool server_image_give(struct server *s, struct web_request *request);

/* Gives up an import at the user's wish: the image is in state error, the operation is cancelled.
 * As a handler. Errors: operation.not_cancellable. */
int server_image_cancel(struct server_call *c, struct server_txn *t, struct catalog_slot *image);

#endif
