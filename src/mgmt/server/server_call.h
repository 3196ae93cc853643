/* What a call is given by the rest of the server; see server_internal.h for what it offers. */
#ifndef MGMT_SERVER_SERVER_CALL_H
#define MGMT_SERVER_SERVER_CALL_H

#include <stdbool.h>

struct catalog_object;
struct catalog_slot;
struct server;
struct server_call;
struct web_request;

/* web_config.headers, of every listener that calls come by; ended by NULL. */
extern const char *const server_call_headers[];
/* web_config.handle. */
void server_call_begin(void *ctx, struct web_request *web);

/* Who calls, in which project, and may they: fills in c->who, c->project, c->role
 * (server_auth.c). */
int server_auth_call(struct server_call *c);
/* What is no part of the API: /metrics, /healthz, /readyz (server_plain.c). True: it is answered.
 */
bool server_plain_reply(struct server_call *c);
/* Whether other projects may refer to it: a public image, a shared network. */
bool server_shared(const struct catalog_object *v);

#endif
