/* From what came over the wire to what a handler needs, in two steps, because who calls is looked
 * at in between:
 *
 *   api_request_route()   method, path and headers: which operation, which project
 *   (the server)          who calls, and may they: route->role, route->token_scope, rate limits
 *   api_request_read()    query and body: structs that hold nothing that is not allowed
 *
 * All refusals are problems with a 4xx code; what a handler gets has been checked as far as the
 * description goes, with defaults filled in (but for a PATCH, where absent means absent). */
#ifndef API_API_REQUEST_H
#define API_API_REQUEST_H

#include "api/api_query.h"
#include "api/api_route.h"

/* Borrowed; texts of headers are NUL-terminated, NULL: no such header. */
struct api_request_wire {
    const char *method, *target; /* the target is path?query as it came, no scheme or host */
    size_t method_bytes, target_bytes;
    const char *content_type, *project, *if_match, *idempotency_key, *request_id;
    const char *body;
    size_t body_bytes;
};

struct api_request {
    const struct api_route *route;
    struct api_route_match match; /* .methods is the Allow of a 405 */
    bool head;                    /* a GET whose body is not sent */
    const char *project;          /* from the path or the header; NULL: that of the token */
    bool all_projects;            /* Virga-Project: * */
    void *query;                  /* a struct of route->query; NULL: it has none */
    struct api_query list;        /* of a route with API_ROUTE_LIST */
    void *body;                   /* a struct of route->request; NULL: it takes none */
};

/* Errors: ENOENT (404), ENOTSUP (405), EINVAL (a header; the method). */
int api_request_route(struct api_request *r, const struct api_request_wire *wire,
                      struct api_refusal *refusal);
/* After api_request_route(). Structs are the arena's. A body that is no JSON (route->request_media)
 * is only checked for its type. Errors: EINVAL, E2BIG, ENOMEM. */
int api_request_read(struct api_request *r, const struct api_request_wire *wire,
                     struct api_arena *arena, struct api_refusal *refusal);

#endif
