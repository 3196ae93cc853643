/* The ports that have something on this host: those of VMs, which agent_vm plugs and unplugs, and
 * those that were left over, which are taken away when the server says so. */
#ifndef AGENT_AGENT_PORTS_H
#define AGENT_AGENT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/network_driver.h"
#include "agent/worker.h"
#include "api/api_arena.h"
#include "io/loop.h"
#include "link/gen/server.h"
#include "link/gen/types.h"

struct agent_ports;

struct agent_ports_config {
    struct loop *loop;
    struct worker_pool *workers;
    struct network_driver *networks;
    /* Something has changed: agent_ports_next() has it. In the loop; must not destroy. */
    void (*changed)(void *opaque);
    /* Whether a VM that is managed has that port. */
    bool (*in_use)(void *opaque, const uint8_t id[16]);
    void *opaque;
};

/* Looks at what is there. Errors: the drivers'. Blocks. */
struct agent_ports *agent_ports_create(const struct agent_ports_config *config, struct err *err);
/* After the worker pool has ended. NULL is allowed. */
void agent_ports_destroy(struct agent_ports *p);

/* Takes a want up. A port that a VM has stays, whatever is wanted of it here. Errors: ENOMEM. */
int agent_ports_want(struct agent_ports *p, const struct link_port_want *want, struct err *err);
/* Around a full set: what was not wanted between the two is let be. */
void agent_ports_begin_full(struct agent_ports *p);
void agent_ports_end_full(struct agent_ports *p);
/* The server has forgotten it. */
void agent_ports_gone(struct agent_ports *p, const uint8_t id[16]);
/* Lists what is there again, soon. */
void agent_ports_look(struct agent_ports *p);

/* As agent_volumes_next(). */
bool agent_ports_next(struct agent_ports *p, bool all, unsigned *at, struct api_arena *arena,
                      struct link_port_seen *out);

#endif
