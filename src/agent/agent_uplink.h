/* An agent_link on a thread of its own, for an io/loop.h loop: messages are made here and read
 * there, so that a large one stops nobody's loop. All functions are for the loop's thread, and all
 * callbacks come in it. */
#ifndef AGENT_AGENT_UPLINK_H
#define AGENT_AGENT_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"
#include "link/link.h"

struct agent_uplink;

/* What waits to be sent, or to be looked at, beyond which there is no link any more. */
#define AGENT_UPLINK_QUEUE_MAX_BYTES (32u << 20)

struct agent_uplink_ops {
    void (*up)(void *opaque, const struct link_welcome *welcome);
    /* What it points to is valid during the call. */
    void (*message)(void *opaque, const struct link_message *m);
    void (*stream)(void *opaque, uint32_t stream, const char *data, size_t bytes);
    void (*down)(void *opaque, const char *why, unsigned ms);
};

struct agent_uplink_config {
    struct loop *loop;
    const char *host; /* of the server */
    uint16_t port;
    const char *authority_path, *cert_path, *key_path; /* PEM; all NULL: no TLS */
    uint8_t id[16], boot[16], instance[16];            /* what hello says */
    const struct agent_uplink_ops *ops;
    void *opaque;
};

/* Dials at once. Errors: ENOMEM, EAGAIN (no thread), EINVAL (the certificates). */
struct agent_uplink *agent_uplink_create(const struct agent_uplink_config *config, struct err *err);
/* Says bye and waits for at most a second. NULL is allowed. No callback comes after it. */
void agent_uplink_destroy(struct agent_uplink *u, const char *reason);

/* Errors: ENOTCONN, EAGAIN (the server does not read), ENOMEM. What was taken may still be lost
 * with its connection. */
int agent_uplink_send(struct agent_uplink *u, enum link_type type, void *body);
int agent_uplink_stream(struct agent_uplink *u, uint32_t stream, const void *data, size_t bytes);
/* `seq` of the last desired set that was taken up whole, for the next hello. */
void agent_uplink_took(struct agent_uplink *u, int64_t desired_seq);
/* Reads the certificates again, for the next connection. What cannot be read is logged, and the old
 * ones stay. */
void agent_uplink_renew(struct agent_uplink *u);

#endif
