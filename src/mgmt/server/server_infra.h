/* What the files of the noun infra offer: tables of routes, and the cloud's own authority, which
 * signs the certificates of hosts. */
#ifndef MGMT_SERVER_SERVER_INFRA_H
#define MGMT_SERVER_SERVER_INFRA_H

#include "mgmt/server/server_internal.h"

extern const struct server_route server_zone_routes[];
extern const struct server_route server_aggregate_routes[];
extern const struct server_route server_join_routes[];

/* The zone of what asks for none. NULL: there is none. */
struct catalog_slot *server_zone_default(struct server *s);
/* Gives a version a status that counts nothing: what is shown is counted anew. Errors: ENOMEM. */
int server_zone_set_status(struct catalog_object *v);

/* A key and a certificate for the cloud, into the settings' version. Errors: ENOMEM. */
int server_join_make_authority(struct catalog_object *settings, struct err *err);
/* Sees to it that there is one, once at the start. Blocks. */
int server_join_start(struct server *s, struct err *err);
/* The authority's certificate (PEM), which everybody may see. NULL: there is none. Borrowed. */
const char *server_join_authority(const struct server *s);
/* Signs a host's request: a certificate whose common name is the host's id, and its serial number,
 * which the HOST object keeps (own.certificate): a certificate with another one is no longer, or
 * not yet, that host's. Owns: free(). Errors: EINVAL. */
char *server_join_sign(const struct server *s, const char *request_pem, const char *host_id,
                       char serial[64], struct err *err);

#endif
