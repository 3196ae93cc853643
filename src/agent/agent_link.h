/* An agent's connection to its server: dialled, dialled again when it ends, hello and welcome
 * said. In the thread of a web_loop; agent/agent_uplink.h brings it to another.
 *
 * When it is dialled again is random between half and the whole of a time that doubles, from a
 * quarter of a second to half a minute, and begins anew once a server has said welcome: a server
 * that comes back is not asked by all its hosts at once. A server that accepts and says nothing is
 * left after a while. */
#ifndef AGENT_AGENT_LINK_H
#define AGENT_AGENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "link/link.h"
#include "web/web_client.h"

struct agent_link;

/* All in the loop's thread. None may destroy the link. */
struct agent_link_ops {
    /* Fills in what is said first; called for each connection. */
    void (*hello)(void *opaque, struct link_hello *hello);
    /* The server has said welcome: from here on there is a link. */
    void (*up)(void *opaque, const struct link_welcome *welcome);
    /* A message after welcome. What it points to is the arena's, which may be taken: copied away
     * and initialised anew. */
    void (*message)(void *opaque, const struct link_message *m, struct api_arena *arena);
    void (*stream)(void *opaque, uint32_t stream, const char *data, size_t bytes);
    /* No connection; after up() or without. `ms` is when it is tried again. */
    void (*down)(void *opaque, const char *why, unsigned ms);
};

struct agent_link_config {
    struct web_loop *loop;
    struct web_client *client; /* see agent_link_use() */
    const char *host;          /* copied */
    uint16_t port;
    unsigned first_dial_ms; /* when it begins to dial; 0: at once */
    const struct agent_link_ops *ops;
    void *opaque;
};

/* Begins to dial when the loop runs. In the loop's thread, or before it runs.
 * Errors: ENOMEM, ENAMETOOLONG. */
struct agent_link *agent_link_create(const struct agent_link_config *config, struct err *err);
/* Connections from now on are made with these certificates. */
void agent_link_use(struct agent_link *l, struct web_client *client);
/* Dials no more; says bye and ends what there is. True: there was a connection, whose down()
 * follows. The loop's thread. */
bool agent_link_stop(struct agent_link *l, const char *reason);
bool agent_link_is_up(const struct agent_link *l);
/* Ends this connection; the next is dialled as after any. */
void agent_link_drop(struct agent_link *l);
/* After web_loop_destroy(). NULL is allowed. */
void agent_link_destroy(struct agent_link *l);
/* Frees its timer: after agent_link_stop(), before web_loop_destroy(). */
void agent_link_fini(struct agent_link *l);

/* Errors: ENOTCONN: there is no link; EAGAIN: the server does not read; ENOMEM. */
int agent_link_send(struct agent_link *l, enum link_type type, void *body);
/* A frame that was made already. */
int agent_link_send_frame(struct agent_link *l, const char *data, size_t bytes, bool text);

#endif
