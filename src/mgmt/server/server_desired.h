/* What a host shall be told: wants of the link, made from objects. */
#ifndef MGMT_SERVER_SERVER_DESIRED_H
#define MGMT_SERVER_SERVER_DESIRED_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"

struct server;
struct server_host;
struct server_link;

/* The full set, in parts. */
void server_desired_all(struct server *s, struct server_host *host);
/* Some objects of one host, whose link it is, in one message where they fit. Before a VM or a
 * volume that is being made come the images that it is made from. */
void server_desired_some(struct server *s, struct server_link *l, const struct store_id *host,
                         struct catalog_object *const *some, size_t n);

/* What an agent says of one (server_desired_seen.c). */
void server_desired_volume_seen(struct server *s, const struct store_id *host,
                                const struct link_volume_seen *seen);

#endif
