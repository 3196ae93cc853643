/* Who calls, and may they. The server asks, for each request:
 *
 *   auth_check()   the text behind "Bearer": who is it       401
 *   auth_may()     the route and the project: may it         401, 403, 404
 *
 * Both cost a few look-ups in mgmt/auth/auth_table.h, allocate nothing, and say no with a problem
 * that never repeats a secret. A WebSocket lives on after its request: auth_still() asks again.
 *
 * Rules. A role includes those before it: reader, member, operator, admin. A role in the cloud is
 * the role in every project; in a project the higher one of both counts. A token can do what its
 * owner may, within its scopes; one that is restricted to a project has no role elsewhere, neither
 * in other projects nor in the cloud, where it only reads what anybody signed in may read. Whoever
 * has no role in a project is told that there is no such project, in the words used when there is
 * none. */
#ifndef MGMT_AUTH_AUTH_H
#define MGMT_AUTH_AUTH_H

#include "api/api_problem.h"
#include "api/api_route.h"
#include "mgmt/auth/auth_table.h"

/* A caller, by value: what was true when it was checked. Roles in projects are asked of the table.
 */
struct auth_principal {
    enum auth_token_kind kind; /* what it came with; of a ticket, what made that */
    struct auth_id user;
    struct auth_id token; /* the id of the API token or the session */
    char user_name[AUTH_RECORD_NAME_BYTES];
    char token_name[AUTH_RECORD_NAME_BYTES]; /* empty: a session */
    enum api_types_role cloud_role;          /* by this token; API_ROLE_ANY: signed in, no role */
    uint32_t scopes;                         /* a bit for each enum api_token_scope */
    struct auth_id project;                  /* the only one that the token works in; zero: all */
    struct auth_id default_project;          /* the user's; zero: none */
    int64_t created_ms;                      /* of a session */
    int64_t expires_ms;                      /* since 1970; of a session, as moved by this use */
    uint32_t rate_limit_per_min;
    /* Nobody used it yet in this minute: the time to store a token's last_used_at, or the end of a
     * session that is stored. */
    bool first_in_minute;
};

/* Who a text (of an API token or a session; NULL: none was sent) speaks for. Refusals:
 * auth.required, auth.invalid, auth.expired. Returns 0 or what api_problem_set() does; `p` is
 * untouched then. */
int auth_check(struct auth_table *t, const char *text, size_t bytes, int64_t now_ms,
               struct auth_principal *p, struct api_refusal *refusal);
/* The same of a ticket, which is used up by it. */
int auth_check_ticket(struct auth_table *t, const char *text, size_t bytes, int64_t now_ms,
                      struct auth_principal *p, struct api_refusal *refusal);
/* Whether what it came with would still be taken: not revoked, not expired (a session is not moved
 * by this), its user neither disabled nor gone. Asked of a WebSocket from time to time. */
bool auth_still(const struct auth_table *t, const struct auth_principal *p, int64_t now_ms);

/* Where a request acts. */
struct auth_where {
    /* As the caller wrote it, or its name or id where it follows from the token; NULL: nobody
     * named one, which is refused (project.required). */
    const char *project_text;
    const struct auth_id *project; /* NULL: there is none of that name */
    bool all_projects;             /* Virga-Project: *; the others are not looked at: what is listed
                                      has to be asked of auth_role_in(), project by project */
};

/* Whether a caller may use a route there. `p` NULL: nobody is signed in. `where` is for routes with
 * API_ROUTE_PROJECT, else NULL. Refusals: auth.required, auth.scope, auth.forbidden (which scope or
 * role it would take, and which there is), project.required, resource.not_found. Returns 0 or what
 * api_problem_set() does. What a route's own handler asks (one's own token, a project that is
 * disabled) is not asked here. */
int auth_may(const struct auth_table *t, const struct auth_principal *p,
             const struct api_route *route, const struct auth_where *where,
             struct api_refusal *refusal);

/* The role of a caller in a project: API_ROLE_NONE: none, so the project does not exist for it. */
enum api_types_role auth_role_in(const struct auth_table *t, const struct auth_principal *p,
                                 const struct auth_id *project);

/* The project that is meant where none is named: the one the token is restricted to, else the
 * user's default. Zero: none. */
struct auth_id auth_default_project(const struct auth_principal *p);

/* Whether a caller may make this token: none may do more, elsewhere or longer than the token that
 * makes it (a session's user may make any of his own). Refusals: auth.scope. */
int auth_may_make_token(const struct auth_principal *p, const struct auth_api_token *token,
                        struct api_refusal *refusal);

/* "member" */
const char *auth_role_name(enum api_types_role role);

#endif
