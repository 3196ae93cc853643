/* What is done once, between the load and the first request (server_start.c), and what has to know
 * of every change. */
#ifndef MGMT_SERVER_SERVER_START_H
#define MGMT_SERVER_SERVER_START_H

#include "base/err.h"

struct catalog_object;
struct server;

/* A cloud that nobody is in gets its first administrator, a project and settings. Blocks. */
int server_start(struct server *s, struct err *err);

/* Of users, roles, tokens (server_auth.c). */
void server_auth_changed(struct server *s, const struct catalog_object *before,
                         const struct catalog_object *after);

#endif
