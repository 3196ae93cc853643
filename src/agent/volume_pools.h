/* Several drivers, each with a name, as one: a volume is made in the pool that its spec names, and
 * found in whichever has it. Ids are unique over all pools. Its operations may be called by several
 * workers for one id: they wait for each other, since drivers take one at a time. */
#ifndef AGENT_VOLUME_POOLS_H
#define AGENT_VOLUME_POOLS_H

#include "agent/volume_driver.h"

#define VOLUME_POOLS_MAX 32

/* No pools yet. Closing it closes those that were added. Errors: ENOMEM. */
struct volume_driver *volume_pools_open(struct err *err);
/* Owns: `pool`, from now on, also where it fails. The first one takes what names none.
 * Errors: EEXIST (the name is taken), ENOSPC, ENAMETOOLONG. */
int volume_pools_add(struct volume_driver *d, const char *name, struct volume_driver *pool,
                     struct err *err);
/* A pool by its name; "" or NULL: the first. NULL: none, and err says so. */
struct volume_driver *volume_pools_find(struct volume_driver *d, const char *name, struct err *err);

#endif
