/* Projects. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_ref.h"

static int check_unreferred(struct server_call *c, const struct catalog_object *project)
{
    int e = server_ref_unused(c, project, CATALOG_USER, "default_project");
    if (!e)
        e = server_ref_unused(c, project, CATALOG_FLAVOR, "projects");
    if (!e)
        e = server_ref_unused(c, project, CATALOG_HOST, "dedicated_to");
    return e ? e : server_ref_unused(c, project, CATALOG_AGGREGATE, "dedicated_to");
}

/* What belongs to a project keeps it, also what is being made. */
static int check_empty(struct server_call *c, const struct catalog_object *v)
{
    for (unsigned kind = CATALOG_NONE + 1; kind < CATALOG_KINDS; kind++) {
        if (!catalog_kinds[kind].in_project || kind == CATALOG_OPERATION)
            continue;
        size_t n = catalog_in(c->s->catalog, (enum catalog_kind)kind, &v->id)->n;
        if (n)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "project %s has %zu of kind %s: delete them first", v->name, n,
                                   catalog_kinds[kind].name);
    }
    for (uint32_t i = 0; i < api_types_quota_used.n_fields; i++)
        if (server_quota_used(c->s, &v->id, api_types_quota_used.fields[i].name))
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "project %s holds %s that are being made: wait for that, then "
                                   "delete them",
                                   v->name, api_types_quota_used.fields[i].name);
    return 0;
}

static int project_remove(struct server_call *c, struct server_txn *t,
                          const struct catalog_object *v)
{
    struct catalog_slot *quota = catalog_find(c->s->catalog, CATALOG_QUOTA, &v->id);
    int e = check_empty(c, v);
    if (!e)
        e = check_unreferred(c, v);
    if (!e)
        e = server_identity_remove_with(c, t, v);
    if (!e && quota)
        e = server_call_wait(c, quota);
    if (e || !quota)
        return e;
    t->quiet = true;
    server_txn_remove(t, quota);
    t->quiet = false;
    return 0;
}

/* With its quota, which sets no limit yet. */
static int project_make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    static const struct store_id nobody;
    struct catalog_object *quota = catalog_new(CATALOG_QUOTA, &v->id, &nobody);
    if (!quota)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    t->quiet = true;
    server_txn_put(t, NULL, quota, true);
    t->quiet = false;
    return 0;
}

static const struct server_resource project = {
    .kind = CATALOG_PROJECT, .create = project_make, .remove = project_remove};

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
    const struct catalog_slot *slot = server_call_object(c, CATALOG_PROJECT, 0);
    if (!slot)
        return -ENOENT;
    if (project_shown(c, slot->now))
        return server_resource_get(c, &project);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "no project is called %s here: list them to see which there are",
                           c->request.match.params[0]);
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

const struct server_route server_identity_routes[] = {
    {API_OP_PROJECT_LIST, project_list},     {API_OP_PROJECT_CREATE, project_create},
    {API_OP_PROJECT_GET, project_get},       {API_OP_PROJECT_PATCH, project_patch},
    {API_OP_PROJECT_DELETE, project_delete}, {0},
};
