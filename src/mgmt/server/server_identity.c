/* Projects, users, roles, tokens, sessions, quotas. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"

/* ---- projects ---- */

/* What belongs to a project keeps it. */
static int project_remove(struct server_call *c, struct server_txn *t,
                          const struct catalog_object *v)
{
    (void)t;
    for (unsigned kind = CATALOG_NONE + 1; kind < CATALOG_KINDS; kind++) {
        if (!catalog_kinds[kind].in_project || kind == CATALOG_OPERATION)
            continue;
        size_t n = catalog_in(c->s->catalog, (enum catalog_kind)kind, &v->id)->n;
        if (n)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "project %s has %zu of kind %s: delete them first", v->name, n,
                                   catalog_kinds[kind].name);
    }
    return 0;
}

static const struct server_resource project = {.kind = CATALOG_PROJECT, .remove = project_remove};

static bool project_shown(struct server_call *c, const struct catalog_object *v)
{
    struct auth_id id = server_auth_id(&v->id);
    return auth_role_in(c->s->auth, &c->who, &id) != API_ROLE_NONE;
}

static int project_create(struct server_call *c)
{
    return server_resource_create(c, &project);
}
static int project_get(struct server_call *c)
{
    return server_resource_get(c, &project);
}
static int project_list(struct server_call *c)
{
    return server_list_reply(c, catalog_all(c->s->catalog, CATALOG_PROJECT), project_shown);
}
static int project_patch(struct server_call *c)
{
    return server_resource_patch(c, &project);
}
static int project_delete(struct server_call *c)
{
    return server_resource_delete(c, &project);
}

/* ---- sessions ---- */

struct login {
    struct auth_hasher_job job;
    struct server_call *c;
    struct store_id user;
};

static int login_failed(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FAILED,
                           "name or password is wrong: try again");
}

static void session_reply(struct server_call *c, const struct catalog_object *user)
{
    char text[AUTH_TOKEN_BYTES], end[SERVER_TIME_BYTES];
    struct auth_session session;
    struct err err = {0};
    struct auth_id id = server_auth_id(&user->id);
    if (auth_table_open_session(c->s->auth, &id, server_now_ms(), text, &session, &err)) {
        login_failed(c);
        server_call_refuse(c);
        return;
    }
    server_meta_time(session.expires_ms, end);
    struct api_session answer = {.secret = {API_VALUE, text}, .expires_at = {API_VALUE, end}};
    answer.user.is = API_VALUE;
    answer.user.v = user->doc;
    server_call_reply_struct(c, 201, &api_types_session, &answer);
    auth_password_wipe(text, sizeof(text));
}

static void login_done(struct auth_hasher_job *job, void *ctx)
{
    struct login *l = ctx;
    struct server_call *c = l->c;
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_USER, &l->user);
    if (job->result || !slot) {
        login_failed(c);
        server_call_refuse(c);
    } else {
        session_reply(c, slot->now);
    }
    free(l);
}

static int session_create(struct server_call *c)
{
    static const struct store_id nobody;
    const struct api_session_create *body = c->request.body;
    const struct catalog_slot *slot =
        catalog_find_text(c->s->catalog, CATALOG_USER, &nobody, body->user.v);
    const struct api_user *user = slot ? slot->now->doc : NULL;
    bool may =
        user && user->enabled.is == API_VALUE && user->enabled.v && user->password.is == API_VALUE;
    struct login *l = calloc(1, sizeof(*l));
    int r = -ENOMEM;
    if (l) {
        l->c = c;
        l->user = may ? slot->now->id : nobody;
        r = auth_hasher_verify(c->s->hasher, &l->job, body->password.v, strlen(body->password.v),
                               may ? user->password.v : NULL, login_done, l);
    }
    if (!r)
        return 0;
    free(l);
    if (r == -ERANGE)
        return login_failed(c);
    c->refusal.retry_after_s = 1;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "too many are signing in: try again");
}

const struct server_route server_identity_routes[] = {
    {API_OP_PROJECT_LIST, project_list},
    {API_OP_PROJECT_CREATE, project_create},
    {API_OP_PROJECT_GET, project_get},
    {API_OP_PROJECT_PATCH, project_patch},
    {API_OP_PROJECT_DELETE, project_delete},
    {API_OP_SESSION_CREATE, session_create},
    {0},
};
