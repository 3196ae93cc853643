/* What a host has, and says only to the server that it is connected to: its pools and its NUMA
 * nodes. Where there are several servers it is kept in the host's object (catalog_own.has), so that
 * all of them can place on it.
 *
 * As a link_inventory of those two alone. What changes all the time is left out, or told roughly:
 * each change is a write. */
#ifndef MGMT_SERVER_SERVER_HOST_HAS_H
#define MGMT_SERVER_SERVER_HOST_HAS_H

#include "mgmt/catalog/catalog.h"
#include "mgmt/server/server_host.h"

/* The pools of a host, as its agent says them. */
void server_host_has_pools(struct server *s, const struct store_id *host,
                           const struct link_pool_state *pools, uint32_t n);
/* Brings v, a new version of a host that is connected here, up to date. Errors: ENOMEM. */
int server_host_has_note(const struct server_host *host, struct catalog_object *v);
/* Takes up what the object of a host says that is connected to another server; once a second. */
void server_host_has_take(struct server *s, struct catalog_slot *slot);

#endif
