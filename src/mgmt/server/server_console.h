/* Consoles of VMs: WebSockets of people, streams of agents.
 *
 * Each watcher has a stream of its own at the agent, whose output it gets and whose input it gives.
 * Both ends are bounded: a watcher that does not read is ended (1013), an agent that does not read
 * ends with its connection, and a VM has so many watchers.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_CONSOLE_H
#define MGMT_SERVER_SERVER_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#include "mgmt/store/store.h"

struct server;

/* What a host sends of a stream, and its end. */
void server_console_data(struct server *s, const struct store_id *host, uint32_t stream,
                         const char *data, size_t bytes);
void server_console_end(struct server *s, const struct store_id *host, uint32_t stream);
/* A host's connection has ended: so have its streams. */
void server_console_lost(struct server *s, const struct store_id *host);

#endif
