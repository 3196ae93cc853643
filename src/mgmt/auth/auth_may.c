/* Whether a caller may use a route. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/auth/auth.h"
#include "mgmt/auth/auth_table_internal.h"

const char *auth_role_name(enum api_types_role role)
{
    static const char *const NAMES[] = {
        [API_ROLE_NONE] = "none",         [API_ROLE_ANY] = "any",
        [API_ROLE_READER] = "reader",     [API_ROLE_MEMBER] = "member",
        [API_ROLE_OPERATOR] = "operator", [API_ROLE_ADMIN] = "admin",
    };
    return (unsigned)role < ARRAY_LEN(NAMES) ? NAMES[role] : "none";
}

enum api_types_role auth_role_in(const struct auth_table *t, const struct auth_principal *p,
                                 const struct auth_id *project)
{
    if (auth_record_id_is_zero(project) ||
        (!auth_record_id_is_zero(&p->project) && !auth_record_id_equal(&p->project, project)))
        return API_ROLE_NONE;
    return auth_table_role(t, &p->user, project);
}

struct auth_id auth_default_project(const struct auth_principal *p)
{
    return auth_record_id_is_zero(&p->project) ? p->default_project : p->project;
}

/* "compute:read, image:write" */
static void scope_names(uint32_t scopes, char *text, size_t bytes)
{
    size_t n = 0;
    snprintf(text, bytes, "none");
    for (unsigned i = 0; i < API_TOKEN_SCOPE_N && n < bytes; i++)
        if (scopes >> i & 1)
            n += (size_t)snprintf(text + n, bytes - n, "%s%s", n ? ", " : "",
                                  api_types_token_scope.names[i]);
}

/* What to call the token in a message. */
static const char *token_name(const struct auth_principal *p)
{
    return *p->token_name ? p->token_name : "of this session";
}

static int refuse_scope(const struct auth_principal *p, const char *needed,
                        struct api_refusal *refusal)
{
    char has[400];
    scope_names(p->scopes, has, sizeof(has));
    return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_SCOPE,
                           "this takes the scope %s; the token %s has %s", needed, token_name(p),
                           has);
}

static int may_in_project(const struct auth_table *t, const struct auth_principal *p,
                          const struct api_route *route, const struct auth_where *where,
                          struct api_refusal *refusal)
{
    if (where->all_projects)
        return 0;
    if (!where->project_text)
        return api_problem_set(refusal, API_PROBLEM_CODE_PROJECT_REQUIRED,
                               "name a project, by the header Virga-Project or in the path");
    enum api_types_role role = where->project ? auth_role_in(t, p, where->project) : API_ROLE_NONE;
    if (role == API_ROLE_NONE)
        return api_problem_set(refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                               "there is no project \"%.63s\"", where->project_text);
    if (role < route->role)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "this takes the role %s in project %.63s, where %s is %s",
                               auth_role_name(route->role), where->project_text, p->user_name,
                               auth_role_name(role));
    return 0;
}

/* A token that works in one project only reads in the cloud what anybody may, and makes tickets,
 * which can do no more than it can. */
static bool is_for_restricted(const struct api_route *route)
{
    return route->op == API_OP_TICKET_CREATE ||
           (route->role == API_ROLE_ANY && !(route->token_scope & 1));
}

static int may_in_cloud(const struct auth_principal *p, const struct api_route *route,
                        struct api_refusal *refusal)
{
    if (!auth_record_id_is_zero(&p->project) && !is_for_restricted(route))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_SCOPE,
                               "the token %s works only in its project, and this acts on the cloud",
                               token_name(p));
    if (p->cloud_role >= route->role)
        return 0;
    return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                           "this takes the role %s in the cloud, where %s %s%s",
                           auth_role_name(route->role), p->user_name,
                           p->cloud_role == API_ROLE_ANY ? "has no role" : "is ",
                           p->cloud_role == API_ROLE_ANY ? "" : auth_role_name(p->cloud_role));
}

int auth_may(const struct auth_table *t, const struct auth_principal *p,
             const struct api_route *route, const struct auth_where *where,
             struct api_refusal *refusal)
{
    if (route->role == API_ROLE_NONE)
        return 0;
    if (!p)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_REQUIRED,
                               "sign in, or send a token: Authorization: Bearer TOKEN");
    if (!auth_record_in_scope(p->scopes, route->token_scope))
        return refuse_scope(p, api_types_token_scope.names[route->token_scope], refusal);
    if (route->flags & API_ROUTE_PROJECT)
        return may_in_project(t, p, route, where, refusal);
    return may_in_cloud(p, route, refusal);
}

int auth_may_make_token(const struct auth_principal *p, const struct auth_api_token *token,
                        struct api_refusal *refusal)
{
    if (!auth_record_id_equal(&p->user, &token->owner))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "a token can be made for oneself only");
    if (p->kind == AUTH_TOKEN_SESSION)
        return 0;
    for (unsigned i = 0; i < API_TOKEN_SCOPE_N; i++) {
        /* What covers everything is covered by nothing less. */
        if (token->scopes >> i & 1 && !auth_record_in_scope(p->scopes, (enum api_token_scope)i))
            return refuse_scope(p, api_types_token_scope.names[i], refusal);
    }
    if (!auth_record_id_is_zero(&p->project) && !auth_record_id_equal(&p->project, &token->project))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_SCOPE,
                               "the token %s works only in its project, so does what it makes",
                               token_name(p));
    if (token->expires_ms > p->expires_ms)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_SCOPE,
                               "a token that a token makes expires no later than that one; sign in "
                               "with a password to make this");
    return 0;
}
