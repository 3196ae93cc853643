/* A host that is not there: a real connection to a server, and VMs that run as soon as they are
 * wanted. For trying a server with a fleet; any number of them on one web_loop. */
#ifndef AGENT_SIMULATED_HOST_H
#define AGENT_SIMULATED_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "web/web_client.h"

struct simulated_host;

/* What all of a fleet have. */
struct simulated_host_config {
    struct web_loop *loop;
    const char *server; /* HOST */
    uint16_t port;
    unsigned first_dial_ms; /* as in agent_link.h; of the host that is made next */
    unsigned cpus, numa_nodes;
    uint64_t memory_mib, pool_bytes;
};

/* Dials when the loop runs. In its thread, or before it runs. Borrows `config`. Errors: ENOMEM. */
struct simulated_host *simulated_host_create(const struct simulated_host_config *config,
                                             struct web_client *client, const uint8_t id[16],
                                             struct err *err);
/* Says bye. The loop's thread, or when it does not run. */
void simulated_host_stop(struct simulated_host *h);
/* After simulated_host_stop(), before web_loop_destroy(). */
void simulated_host_fini(struct simulated_host *h);
/* After web_loop_destroy(). NULL is allowed. */
void simulated_host_destroy(struct simulated_host *h);

bool simulated_host_is_up(const struct simulated_host *h);
/* VMs that "run". */
unsigned simulated_host_running(const struct simulated_host *h);

#endif
