/* cloud-init's texts of a VM. */
#ifndef MGMT_SERVER_SERVER_DESIRED_SEED_H
#define MGMT_SERVER_SERVER_DESIRED_SEED_H

#include "mgmt/catalog/catalog.h"
#include "seed/seed_cloud_init.h"

struct server;

/* Of the VM's object: its host name, key pair, user data, and its ports' addresses. Owns: *texts
 * is the caller's to free, when 0 is returned; otherwise a negative errno. */
int server_desired_seed(struct server *s, const struct catalog_object *v,
                        struct seed_cloud_init_texts *texts);

#endif
