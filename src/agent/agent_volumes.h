/* The volumes, snapshots and images of a host, whether a VM has them or not: made to be what is
 * wanted of each, and told of when they change.
 *
 * What is wanted comes whole (struct link_volume_want), and is done on a worker by operations that
 * may have been done before. What the drivers list and nobody has named is told of and left alone.
 * What failed is tried again by itself after a while, unless it can only fail again. */
#ifndef AGENT_AGENT_VOLUMES_H
#define AGENT_AGENT_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/image_origin.h"
#include "agent/volume_driver.h"
#include "agent/worker.h"
#include "api/api_arena.h"
#include "io/loop.h"
#include "link/gen/server.h"
#include "link/gen/types.h"

struct agent_volumes;

struct agent_volumes_config {
    struct loop *loop;
    struct worker_pool *workers;
    struct volume_driver *pools; /* of volume_pools_open() */
    struct image_origins *images;
    /* Something has changed: agent_volumes_next() has it. In the loop; must not destroy. */
    void (*changed)(void *opaque);
    /* Whether a VM that is managed has that volume. */
    bool (*in_use)(void *opaque, const uint8_t id[16]);
    void *opaque;
};

/* Looks at what is there. Borrows what `config` points to. Errors: the drivers'. Blocks. */
struct agent_volumes *agent_volumes_create(const struct agent_volumes_config *config,
                                           struct err *err);
/* After the worker pool has ended: see agent_volumes_stop(). NULL is allowed. */
void agent_volumes_destroy(struct agent_volumes *v);
/* What is being fetched is given up, so that the workers can end. */
void agent_volumes_stop(struct agent_volumes *v);

/* Takes a want up. Errors: EINVAL: something that its kind needs is missing; ENOMEM. */
int agent_volumes_want(struct agent_volumes *v, const struct link_volume_want *want,
                       struct err *err);
/* Around a full set: what was not wanted between the two is let be. */
void agent_volumes_begin_full(struct agent_volumes *v);
void agent_volumes_end_full(struct agent_volumes *v);
/* The server has forgotten it. */
void agent_volumes_gone(struct agent_volumes *v, const uint8_t id[16]);
/* As agent_host.source of agent/agent_vm.h: an image that is wanted here and is not here yet. */
int agent_volumes_source(struct agent_volumes *v, const struct volume_spec *volume,
                         char why[static 256]);
/* Lists what is there again, soon: VMs make and remove volumes too. */
void agent_volumes_look(struct agent_volumes *v);

/* What is to be told next: of all (`all`, from *at on; begin with 0), or of those that have changed
 * since they were told. False: no more. Texts are the arena's or of the table, until the next call
 * of any other function. */
bool agent_volumes_next(struct agent_volumes *v, bool all, unsigned *at, struct api_arena *arena,
                        struct link_volume_seen *out);

#endif
