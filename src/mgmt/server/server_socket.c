#include "mgmt/server/server_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_event.h"

/* Add a line for a new one. */
static const struct server_socket_route *const routes[] = {
    &server_socket_events,
    &server_socket_console,
};

struct server_socket {
    struct server *s;
    struct web_socket *web;
    const struct server_socket_route *route;
    void *session;
    struct auth_principal who;
    struct store_id project; /* zero: all, or none */
    enum api_types_role role;
    struct server_socket *next, **link;
};

static const struct server_socket_route *find(enum api_op op)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (routes[i]->op == op)
            return routes[i];
    return NULL;
}

static int open_socket(void *ctx, const struct web_request *request, struct web_socket *web,
                       void **session)
{
    struct server_socket *k = calloc(1, sizeof(*k));
    struct server_call *c = k ? server_call_socket(ctx, request) : NULL;
    if (!c) {
        free(k);
        return 503;
    }
    k->s = ctx;
    k->web = web;
    int r = c->refusal.set ? -EINVAL : 0;
    k->route = r ? NULL : find(c->request.route->op);
    if (!r && !k->route)
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_ROUTE_NOT_FOUND, "it is no WebSocket");
    if (!r)
        r = k->route->open(c, web, &k->session);
    int status = r ? api_problem_status(c->refusal.code) : 0;
    k->who = c->who;
    k->project = c->project;
    if (!r)
        k->role = c->request.route->role;
    server_call_socket_free(c);
    if (status) {
        free(k);
        return status;
    }
    k->next = k->s->sockets;
    k->link = &k->s->sockets;
    if (k->next)
        k->next->link = &k->next;
    k->s->sockets = k;
    *session = k;
    return 0;
}

static void on_message(void *session, const char *data, size_t bytes, bool text)
{
    struct server_socket *k = session;
    if (k->route->message)
        k->route->message(k->session, data, bytes, text);
}

static void on_close(void *session)
{
    struct server_socket *k = session;
    *k->link = k->next;
    if (k->next)
        k->next->link = k->link;
    k->route->close(k->session);
    free(k);
}

const struct web_socket_ops *server_socket_find(void *ctx, const struct web_request *request)
{
    static const struct web_socket_ops ops = {open_socket, on_message, on_close};
    struct api_route_match match;
    const char *path = web_request_path(request);
    (void)ctx;
    if (api_route_find(API_METHOD_GET, path, strlen(path), &match) ||
        !(match.route->flags & API_ROUTE_WEBSOCKET))
        return NULL;
    return &ops;
}

int server_socket_only(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                           "%s is a WebSocket: connect with Upgrade: websocket",
                           web_request_path(c->web));
}

static bool may_go_on(const struct server_socket *k, int64_t now_ms)
{
    if (!auth_still(k->s->auth, &k->who, now_ms))
        return false;
    if (catalog_id_is_zero(&k->project))
        return true; /* what it may see is asked piece by piece */
    struct auth_id project = server_auth_id(&k->project);
    return auth_role_in(k->s->auth, &k->who, &project) >= k->role;
}

void server_socket_sweep(struct server *s)
{
    int64_t now_ms = server_now_ms();
    for (struct server_socket *k = s->sockets, *next; k; k = next) {
        next = k->next;
        if (!may_go_on(k, now_ms))
            web_socket_end(k->web, SERVER_SOCKET_POLICY);
    }
}
