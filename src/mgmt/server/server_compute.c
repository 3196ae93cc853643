/* Flavors. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_flavor.h"
#include "mgmt/server/server_ref.h"

bool server_flavor_is_for(const struct catalog_object *v, const struct store_id *project)
{
    const struct api_flavor *flavor = v->doc;
    char id[UUID_TEXT_BYTES];
    if (flavor->projects.is != API_VALUE)
        return true;
    uuid_format(project->bytes, id);
    for (uint32_t i = 0; i < flavor->projects.n; i++)
        if (!strcmp(flavor->projects.v[i], id))
            return true;
    return false;
}

bool server_flavor_shown(struct server_call *c, const struct catalog_object *v)
{
    const struct api_flavor *flavor = v->doc;
    if (flavor->projects.is != API_VALUE || c->who.cloud_role >= API_ROLE_READER)
        return true;
    for (uint32_t i = 0; i < flavor->projects.n; i++) {
        struct store_id project;
        if (catalog_id_parse(flavor->projects.v[i], &project))
            continue;
        struct auth_id id = server_auth_id(&project);
        if (auth_role_in(c->s->auth, &c->who, &id) != API_ROLE_NONE)
            return true;
    }
    return false;
}

int server_flavor_ref(struct server_txn *t, struct catalog_object *v, struct api_text *ref,
                      const char *pointer, struct catalog_slot **slot)
{
    struct catalog_slot *found = NULL;
    const char *given = ref->v;
    int e = server_ref_one(t, v, CATALOG_FLAVOR, ref, pointer, &found);
    if (e || !found) {
        if (!e && slot)
            *slot = NULL;
        return e;
    }
    if (!server_flavor_is_for(found->now, &v->project))
        return api_problem_add(&t->call->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, pointer,
                               "no flavor is called %s: list them to see which there are", given);
    const struct api_flavor *flavor = found->now->doc;
    if (flavor->enabled.is == API_VALUE && !flavor->enabled.v)
        return api_problem_add(&t->call->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, pointer,
                               "flavor %s is disabled: choose another", found->now->name);
    if (slot)
        *slot = found;
    return 0;
}

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_flavor *flavor = v->doc;
    (void)c;
    return server_ref_list(t, v, CATALOG_PROJECT, &flavor->projects, "/projects");
}

static int patch(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v)
{
    (void)before;
    return create(c, t, v);
}

/* VMs keep the numbers; a reservation asks for them again and again. */
static int remove_flavor(struct server_call *c, struct server_txn *t,
                         const struct catalog_object *v)
{
    (void)t;
    return server_ref_unused(c, v, CATALOG_RESERVATION, "flavor");
}

static const struct server_resource flavor_resource = {
    .kind = CATALOG_FLAVOR, .create = create, .patch = patch, .remove = remove_flavor};

static int flavor_create(struct server_call *c)
{
    return server_resource_create(c, &flavor_resource);
}

static int flavor_get(struct server_call *c)
{
    const struct catalog_slot *slot = server_call_object(c, CATALOG_FLAVOR, 0);
    if (!slot)
        return -ENOENT;
    if (server_flavor_shown(c, slot->now))
        return server_resource_get(c, &flavor_resource);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "no flavor is called %s here: list them to see which there are",
                           c->request.match.params[0]);
}

static int flavor_list(struct server_call *c)
{
    return server_list_reply(c, catalog_all(c->s->catalog, CATALOG_FLAVOR), server_flavor_shown);
}
static int flavor_patch(struct server_call *c)
{
    return server_resource_patch(c, &flavor_resource);
}
static int flavor_delete(struct server_call *c)
{
    return server_resource_delete(c, &flavor_resource);
}

const struct server_route server_compute_routes[] = {
    {API_OP_FLAVOR_LIST, flavor_list},     {API_OP_FLAVOR_CREATE, flavor_create},
    {API_OP_FLAVOR_GET, flavor_get},       {API_OP_FLAVOR_PATCH, flavor_patch},
    {API_OP_FLAVOR_DELETE, flavor_delete}, {0},
};
