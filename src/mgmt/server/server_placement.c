/* Server groups, as they are asked for; what becomes of them the scheduler says. */
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_ref.h"

/* ---- server groups ---- */

static int group_make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_server_group *group = v->doc;
    (void)t;
    if (group->max_per_host.is == API_VALUE &&
        group->policy.v != API_SERVER_GROUP_POLICY_ANTI_AFFINITY)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/max_per_host",
                               "it belongs to the policy anti_affinity: leave it out");
    group->status.v = api_json_new(&api_types_server_group_status, &v->arena);
    if (!group->status.v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    group->status.is = API_VALUE;
    group->status.v->members.is = API_VALUE;
    group->status.v->violations = (struct api_int){API_VALUE, 0};
    return 0;
}

static int group_remove(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    (void)t;
    return server_ref_unused(c, v, CATALOG_VM, "server_group");
}

static const struct server_resource group = {
    .kind = CATALOG_SERVER_GROUP, .create = group_make, .remove = group_remove};

static int group_create(struct server_call *c)
{
    return server_resource_create(c, &group);
}
static int group_get(struct server_call *c)
{
    return server_resource_get(c, &group);
}
static int group_list(struct server_call *c)
{
    return server_resource_list(c, &group);
}
static int group_patch(struct server_call *c)
{
    return server_resource_patch(c, &group);
}
static int group_delete(struct server_call *c)
{
    return server_resource_delete(c, &group);
}

const struct server_route server_placement_routes[] = {
    {API_OP_SERVER_GROUP_LIST, group_list},     {API_OP_SERVER_GROUP_CREATE, group_create},
    {API_OP_SERVER_GROUP_GET, group_get},       {API_OP_SERVER_GROUP_PATCH, group_patch},
    {API_OP_SERVER_GROUP_DELETE, group_delete}, {0},
};
