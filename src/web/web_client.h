/* WebSocket connections that we open: an agent's to its server. Any number of them on one loop. */
#ifndef WEB_WEB_CLIENT_H
#define WEB_WEB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "web/web_loop.h"

struct web_client;
struct web_link;

struct web_client_config {
    const char *authority_path;       /* PEM: what servers must be signed by; NULL: no TLS */
    const char *cert_path, *key_path; /* PEM: what we show; may be NULL */
    size_t message_max_bytes, queue_max_bytes; /* as struct web_config has them */
};

/* The strings are copied. In the loop's thread, or before it runs.
 * Errors: the files, by name. Destroy after web_loop_destroy(). */
struct web_client *web_client_create(struct web_loop *loop, const struct web_client_config *config,
                                     struct err *err);
void web_client_destroy(struct web_client *c);

/* In the loop's thread. */
struct web_link_ops {
    void (*open)(void *session);
    void (*message)(void *session, const char *data, size_t bytes, bool text);
    /* Called once, whether it was ever open or not, with why in words. The link is gone. */
    void (*close)(void *session, const char *why);
};

struct web_link_target {
    /* A name or an address, whose certificate must say so; or '+' and the path of a unix socket. */
    const char *host;
    uint16_t port;
    const char *path;
    const char *authorization; /* the header's value; may be NULL */
};

/* Begins to connect. The loop's thread. NULL: err says why, and close() is not called. */
struct web_link *web_link_connect(struct web_client *c, const struct web_link_target *target,
                                  const struct web_link_ops *ops, void *session, struct err *err);
/* As web_socket_send(), and -ENOTCONN before open(). */
int web_link_send(struct web_link *link, const char *data, size_t bytes, bool text);
/* Ends it after what is queued; close() follows. */
void web_link_end(struct web_link *link, unsigned status);

#endif
