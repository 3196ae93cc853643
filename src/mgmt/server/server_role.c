/* Role assignments, and what goes with a user or a project. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_ref.h"

static bool same(const struct api_text *a, const struct api_text *b)
{
    if (a->is != API_VALUE || b->is != API_VALUE)
        return (a->is == API_VALUE) == (b->is == API_VALUE);
    return !strcmp(a->v, b->v);
}

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_role *role = v->doc;
    int e = server_ref_one(t, v, CATALOG_USER, &role->user, "/user", NULL);
    if (!e)
        e = server_ref_one(t, v, CATALOG_PROJECT, &role->on_project, "/on_project", NULL);
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_ROLE);
    for (size_t i = 0; !e && i < list->n; i++) {
        const struct api_role *other = list->slots[i]->now->doc;
        if (same(&other->user, &role->user) && same(&other->on_project, &role->on_project) &&
            other->role.v == role->role.v)
            e = api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NAME_TAKEN,
                                "the user has the role %s there already, by assignment %s",
                                api_types_role_name.names[role->role.v],
                                list->slots[i]->now->id_text);
    }
    return e;
}

/* ---- the last administrator ---- */

static bool is_admin(const struct catalog_object *v)
{
    const struct api_role *role = v->doc;
    return role->role.is == API_VALUE && role->role.v == API_ROLE_NAME_ADMIN &&
           role->on_project.is != API_VALUE && role->user.is == API_VALUE;
}

/* Whether somebody can sign in and be one by this assignment. */
static bool works(struct server *s, const struct catalog_object *v)
{
    const struct api_role *role = v->doc;
    const struct catalog_slot *slot = catalog_find_id(s->catalog, CATALOG_USER, role->user.v);
    const struct api_user *user = slot ? slot->now->doc : NULL;
    return user && user->enabled.is == API_VALUE && user->enabled.v &&
           user->password.is == API_VALUE;
}

static int lock_settings(struct server_call *c, struct server_txn *t)
{
    static const struct store_id zero;
    struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_SETTINGS, &zero);
    int e = slot ? server_call_wait(c, slot) : 0;
    struct catalog_object *v = slot && !e ? catalog_copy(slot->now) : NULL;
    if (e || !slot)
        return e;
    if (!v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    t->quiet = true;
    server_txn_put(t, slot, v, false);
    t->quiet = false;
    return 0;
}

int server_identity_spare_admin(struct server_call *c, struct server_txn *t,
                                const struct catalog_object *user,
                                const struct catalog_object *role)
{
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_ROLE);
    bool one_goes = false, one_stays = false;
    for (size_t i = 0; i < list->n; i++) {
        const struct catalog_object *v = list->slots[i]->now;
        if (!is_admin(v) || !works(c->s, v))
            continue;
        const struct api_role *doc = v->doc;
        bool goes = v == role || (user && server_ref_is(&doc->user, user));
        one_goes |= goes;
        one_stays |= !goes;
    }
    if (!one_goes)
        return 0;
    if (!one_stays)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_PROTECTED,
                               "nobody else who can sign in is admin of the cloud: make another "
                               "one first");
    return lock_settings(c, t);
}

static int remove_role(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    return server_identity_spare_admin(c, t, NULL, v);
}

/* ---- what goes with a user or a project ---- */

static bool goes_with(const struct catalog_object *v, const struct catalog_object *owner)
{
    const struct api_role *role = v->doc;
    const struct api_token *token = v->doc;
    bool is_role = v->kind == CATALOG_ROLE;
    if (owner->kind == CATALOG_USER)
        return server_ref_is(is_role ? &role->user : &v->own->user, owner);
    return server_ref_is(is_role ? &role->on_project : &token->token_project, owner);
}

int server_identity_remove_with(struct server_call *c, struct server_txn *t,
                                const struct catalog_object *owner)
{
    static const enum catalog_kind kinds[] = {CATALOG_ROLE, CATALOG_TOKEN};
    unsigned n = 0;
    int e = 0;
    t->quiet = true;
    for (unsigned k = 0; k < 2; k++) {
        const struct catalog_list *list = catalog_all(c->s->catalog, kinds[k]);
        for (size_t i = 0; !e && i < list->n; i++) {
            struct catalog_slot *slot = list->slots[i];
            if (!goes_with(slot->now, owner))
                continue;
            e = server_call_wait(c, slot);
            if (!e && ++n <= SERVER_IDENTITY_WITH_MAX)
                server_txn_remove(t, slot);
        }
    }
    t->quiet = false;
    if (!e && n > SERVER_IDENTITY_WITH_MAX)
        e = api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                            "%s %s has %u roles and tokens, and no more than %u go with it: delete "
                            "some first",
                            catalog_kinds[owner->kind].name, owner->name, n,
                            SERVER_IDENTITY_WITH_MAX);
    return e;
}

static const struct server_resource role_resource = {
    .kind = CATALOG_ROLE, .create = create, .remove = remove_role};

static int role_create(struct server_call *c)
{
    return server_resource_create(c, &role_resource);
}
static int role_get(struct server_call *c)
{
    return server_resource_get(c, &role_resource);
}
static int role_list(struct server_call *c)
{
    return server_resource_list(c, &role_resource);
}
static int role_delete(struct server_call *c)
{
    return server_resource_delete(c, &role_resource);
}

const struct server_route server_identity_role_routes[] = {
    {API_OP_ROLE_LIST, role_list},
    {API_OP_ROLE_CREATE, role_create},
    {API_OP_ROLE_GET, role_get},
    {API_OP_ROLE_DELETE, role_delete},
    {0},
};
