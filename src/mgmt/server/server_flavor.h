/* Flavors: who sees which, and who may use it. */
#ifndef MGMT_SERVER_SERVER_FLAVOR_H
#define MGMT_SERVER_SERVER_FLAVOR_H

#include "mgmt/server/server_internal.h"

/* Whether the caller sees one: it has a role in the cloud, or in a project that may use it. */
bool server_flavor_shown(struct server_call *c, const struct catalog_object *v);
/* Whether a project may use one, enabled or not. */
bool server_flavor_is_for(const struct catalog_object *v, const struct store_id *project);
/* Resolves the reference of a new version of something in a project, as server_ref_one() does: to a
 * flavor that this project may use and that is enabled. */
int server_flavor_ref(struct server_txn *t, struct catalog_object *v, struct api_text *ref,
                      const char *pointer, struct catalog_slot **slot);

#endif
