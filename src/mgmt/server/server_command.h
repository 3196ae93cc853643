/* Commands to agents: what is not a state. Each is answered by the agent that it was sent to, or
 * nobody knows what became of it: its connection ended, or it took too long.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_COMMAND_H
#define MGMT_SERVER_SERVER_COMMAND_H

#include "link/link.h"
#include "mgmt/catalog/catalog.h"

struct server;
struct server_call;

/* `result` is borrowed; NULL: nobody knows. */
typedef void server_command_done(void *ctx, const struct link_result *result);

/* Sends it to the host of the VM. `command` has kind and what the kind takes; id and vm are set
 * here. Errors: ENOTCONN (the host is not connected: `done` is not called), ENOMEM. */
int server_command_send(struct server *s, const struct catalog_object *vm,
                        struct link_command *command, server_command_done *done, void *ctx);
/* From the link. */
void server_command_result(struct server *s, const struct store_id *host,
                           const struct link_result *result);
/* A host's connection has ended; NULL: all have, the server ends. */
void server_command_lost(struct server *s, const struct store_id *host);

/* The handler of vm_console_log. */
int server_command_console_log(struct server_call *c);

#endif
