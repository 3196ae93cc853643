/* What a host has, as the link tells it (link/agent.yaml). What can be read from /proc and /sys is
 * read below a root, so that tests give a tree of their own; what cannot be read is left out.
 *
 * Everything that is made here is the arena's. All of it blocks, briefly but for the probes. */
#ifndef AGENT_INVENTORY_H
#define AGENT_INVENTORY_H

#include <stdint.h>

#include "api/api_arena.h"
#include "base/err.h"
#include "link/gen/agent.h"

/* CPUs, memory, huge pages, NUMA nodes, network interfaces, kernel. `root` is "" for the host's
 * own; `offered` are the bridges that ports may be put on, ended by NULL.
 * Errors: ENOMEM; EIO: not even CPUs and memory can be told. */
int inventory_read(const char *root, const char *const *offered, struct api_arena *arena,
                   struct link_inventory *out, struct err *err);

/* Asks the monitor which engines can run guests here, and its version: `vmm_path` is run three
 * times, for at most ten seconds each. A monitor that does not answer makes an engine unusable, and
 * the reason says so. Errors: ENOMEM. */
int inventory_probe(const char *vmm_path, struct api_arena *arena, struct link_inventory *out,
                    struct err *err);

/* A pool of the driver "file" by its directory. `dir` must live as long as `out`. */
void inventory_pool(const char *name, const char *dir, struct link_pool_state *out);

/* Memory that could be had without swapping, in MiB; -1: not known. */
int64_t inventory_memory_free_mib(const char *root);
/* The load average of a minute; -1: not known. */
double inventory_load(const char *root);
/* This boot's id. Errors: ENOENT. */
int inventory_boot(const char *root, uint8_t id[16]);

#endif
