/* The server's end of the link to an agent (docs/arch/19-link.md): a WebSocket by mutual TLS, on a
 * listener of its own. */
#ifndef MGMT_SERVER_SERVER_LINK_H
#define MGMT_SERVER_SERVER_LINK_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"

struct server;
struct server_link;

/* Listens for agents, with a certificate of the cloud's own authority. Errors: what could not be
 * made or bound. */
int server_link_listen(struct server *s, struct err *err);

/* Sends a message; `body` is a struct of the type. What does not go out is made up for by the next
 * connection. */
void server_link_send(struct server_link *l, enum link_type type, void *body);
/* Bytes of a stream; longer ones go in pieces. */
void server_link_stream(struct server_link *l, uint32_t stream, const char *data, size_t bytes);
/* The connection of a host that has been welcomed. NULL: it has none. */
struct server_link *server_link_to(struct server *s, const struct store_id *host);
/* Closes; the host is no longer connected when it returns. */
void server_link_end(struct server_link *l, const char *why);

/* Tells the host of a VM, a volume, a snapshot or an image what it shall be now: at once, or, after
 * server_link_gather(), with all that is told that host until server_link_tell(). */
void server_link_want(struct server *s, const struct catalog_object *v);
void server_link_gather(struct server *s);
void server_link_tell(struct server *s);
/* Before the first and after the last of these. Errors: ENOMEM. */
int server_link_wants_init(struct server *s);
void server_link_wants_fini(struct server *s);
/* Tells the host that it may forget a VM. */
void server_link_gone(struct server *s, const struct store_id *host,
                      const struct catalog_object *v);

/* Takes what an agent says after its hello (server_link_take.c); an inventory's memory is stolen
 * from the arena. */
struct server_host;
void server_link_take(struct server *s, struct server_host *host, const struct link_message *m,
                      struct api_arena *arena);

#endif
