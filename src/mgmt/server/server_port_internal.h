/* What the files that serve ports share. */
#ifndef MGMT_SERVER_SERVER_PORT_INTERNAL_H
#define MGMT_SERVER_SERVER_PORT_INTERNAL_H

#include "mgmt/server/server_network_internal.h"

#define SERVER_PORT_POINTER_BYTES 96

/* The pointer of a field of an item of a port's list; of a NIC, whose one address has no list. */
void server_port_point(const struct server_network_where *where, const char *list, unsigned i,
                       const char *field, char pointer[SERVER_PORT_POINTER_BYTES]);
/* 0, or SERVER_WAIT: a network or a subnet of it is being written. */
int server_port_wait(struct server_call *c, const struct catalog_slot *network);
/* Gives a port the addresses that its document asks for, in its status (server_port_address.c).
 * `before` (NULL: it is new) keeps what fits; what it loses is for the caller to give back. */
int server_port_addresses(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                          const struct catalog_object *before, const struct catalog_object *network,
                          const struct server_network_where *where);

#endif
