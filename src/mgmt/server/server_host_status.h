/* A host's status, from what its agent said of it. */
#ifndef MGMT_SERVER_SERVER_HOST_STATUS_H
#define MGMT_SERVER_SERVER_HOST_STATUS_H

#include "mgmt/server/server_host.h"

/* Writes into v, a copy of the host's object. Returns 0 or -ENOMEM. */
int server_host_status_fill(const struct server_host *host, struct catalog_object *v);

#endif
