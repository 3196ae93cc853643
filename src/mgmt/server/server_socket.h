/* WebSockets of the API: each is a route with x-virga-websocket. Who calls is looked at as for any
 * other request (by its bearer token, or the `ticket` of its query), and again from time to time
 * while it is open: 1008 ends it when its token or its role has gone. Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_SOCKET_H
#define MGMT_SERVER_SERVER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "api/gen/enums.h"
#include "api/gen/routes.h"

struct server;
struct server_call;
struct web_request;
struct web_socket;
struct web_socket_ops;

#define SERVER_SOCKET_POLICY 1008 /* no longer allowed */
#define SERVER_SOCKET_SLOW   1013 /* does not read: come again */

struct server_socket_route {
    enum api_op op;
    /* `c` has route, caller, project and query; it is freed when this returns, so what outlives
     * that is copied. It is not replied to: 0 accepts, having set *session; otherwise the refusal
     * is set. */
    int (*open)(struct server_call *c, struct web_socket *socket, void **session);
    /* As in struct web_socket_ops; may be NULL. */
    void (*message)(void *session, const char *data, size_t bytes, bool text);
    void (*close)(void *session);
};
/* All of them: the table is in server_socket.c. */
extern const struct server_socket_route server_socket_events;
extern const struct server_socket_route server_socket_console;

/* web_config.find_endpoint */
const struct web_socket_ops *server_socket_find(void *ctx, const struct web_request *request);
/* The handler of these routes for requests that are no WebSocket. */
int server_socket_only(struct server_call *c);

/* Asks for each open one whether it may go on; called by a timer. */
void server_socket_sweep(struct server *s);

#endif
