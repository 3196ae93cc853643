/* Hosts that are emptied, switched off, or known to be off: fence, drain, maintenance.
 *
 * Every driver of volumes that there is keeps them on one host, so VMs are not moved: a drain wants
 * none to be there, maintenance wants none to run, or stops them.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_HOST_EMPTY_H
#define MGMT_SERVER_SERVER_HOST_EMPTY_H

#include "mgmt/server/server_internal.h"

extern const struct server_route server_host_empty_routes[];

/* A host with an operation under way: what is due of it. Called once a second. */
void server_host_empty_step(struct server *s, struct catalog_slot *slot);
/* A new version gives up what is under way: another request took its place. */
void server_host_empty_end(struct server_txn *t, struct catalog_object *v);
/* Whether VMs may be started on a host. */
bool server_host_empty_may_run(struct server *s, const struct store_id *host);

#endif
