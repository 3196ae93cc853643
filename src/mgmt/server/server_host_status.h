/* A host's status, from what its agent said of it. */
#ifndef MGMT_SERVER_SERVER_HOST_STATUS_H
#define MGMT_SERVER_SERVER_HOST_STATUS_H

#include "mgmt/server/server_host.h"

/* Writes into v, a copy of the host's object. Returns 0 or -ENOMEM. */
int server_host_status_fill(const struct server_host *host, struct catalog_object *v);
/* That it was heard of now. Errors: ENOMEM. */
int server_host_status_heard(struct catalog_object *v);
/* A host has said that it lives: its object shows when. That is not stored by itself, only when
 * something else is. */
void server_host_status_seen(struct server *s, const struct store_id *host);

#endif
