/* Which operation a request means: the table of routes that tools/apigen makes, and the matcher
 * that walks its tree of path segments. Costs one binary search a segment; allocates nothing. */
#ifndef API_API_ROUTE_H
#define API_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_types.h"
#include "api/gen/enums.h"
#include "api/gen/routes.h"

enum api_method {
    API_METHOD_GET, /* and HEAD, which is a GET whose body is not sent */
    API_METHOD_PUT,
    API_METHOD_POST,
    API_METHOD_PATCH,
    API_METHOD_DELETE,
    API_METHODS
};

#define API_ROUTE_PROJECT       0x001 /* acts in a project; otherwise on the cloud */
#define API_ROUTE_ASYNC         0x002 /* answers 202 with an operation */
#define API_ROUTE_IDEMPOTENT    0x004 /* takes Idempotency-Key */
#define API_ROUTE_LIST          0x008 /* takes limit, cursor, filter, sort, fields */
#define API_ROUTE_WEBSOCKET     0x010
#define API_ROUTE_DRY_RUN       0x020
#define API_ROUTE_IF_MATCH      0x040 /* takes If-Match */
#define API_ROUTE_BODY_OPTIONAL 0x080

struct api_route {
    enum api_op op;
    enum api_method method;
    enum api_types_role role;
    enum api_token_scope token_scope;
    unsigned flags;
    int status; /* of a success */
    const char *id, *path;
    /* NULL: none. */
    const struct api_types_object *request, *response, *query;
    const struct api_types_object *item;        /* of a list */
    const struct api_types_object *dry_run;     /* the answer to one */
    const char *request_media, *response_media; /* of bodies that are no JSON */
    unsigned n_params;
    const char *params[API_ROUTE_PARAMS];
    /* The VM's state machine: a bit for each enum api_vm_state that it may be in (0: any), the
     * state on the way and the one at the end (-1: none). */
    uint32_t from_states;
    int via_state, to_state;
};

/* By enum api_op. */
extern const struct api_route api_route_table[API_OPS];

#define API_ROUTE_REF_BYTES 64

struct api_route_match {
    const struct api_route *route;     /* NULL: none */
    unsigned methods;                  /* a bit for each method that the path offers */
    char project[API_ROUTE_REF_BYTES]; /* from the path; empty: by header */
    /* Ids or names, in the order of route->params; API_FORMAT_NAME holds. */
    char params[API_ROUTE_PARAMS][API_ROUTE_REF_BYTES];
};

/* Finds the route of a path ("/v1/vms/web/start", without its query). Errors: ENOENT (404), ENOTSUP
 * (405; m->methods says what there is instead). */
int api_route_find(enum api_method method, const char *path, size_t path_bytes,
                   struct api_route_match *m);

/* "GET" and its like; HEAD is GET. Errors: ENOTSUP. */
int api_route_method(const char *text, size_t bytes, enum api_method *method);
const char *api_route_method_name(enum api_method method);
/* The value of an Allow header: "GET, HEAD, POST". */
#define API_ROUTE_ALLOW_BYTES 48
void api_route_allow(unsigned methods, char text[API_ROUTE_ALLOW_BYTES]);

/* Whether a token with these scopes may use a route. Write includes read, all includes every noun.
 */
bool api_route_in_scope(const struct api_route *route, const enum api_token_scope *scopes,
                        size_t n);
/* Whether a VM in that state may be acted on. */
bool api_route_in_state(const struct api_route *route, enum api_vm_state state);

#endif
