/* Users and their passwords. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_ref.h"

static int check_user(struct server_txn *t, struct catalog_object *v)
{
    struct api_user *user = v->doc;
    return server_ref_one(t, v, CATALOG_PROJECT, &user->default_project, "/default_project", NULL);
}

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_user *user = v->doc;
    const char *hash;
    (void)t;
    if (user->password.is == API_VALUE) {
        /* It was hashed before: user_create(). What the request held has been wiped. */
        int e = server_identity_hash(c, "", &hash);
        if (e || server_meta_text(v, &user->password, hash))
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                   "no memory: try again");
    }
    return check_user(t, v);
}

static int patch(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v)
{
    const struct api_user *was = before->doc, *user = v->doc;
    bool disabled = was->enabled.v && !user->enabled.v;
    int e = check_user(t, v);
    if (!e && disabled)
        e = server_identity_spare_admin(c, t, before, NULL);
    if (!e && disabled) {
        /* What it had open does not come back with it. */
        v->own->serial = (struct api_int){API_VALUE, server_now_ms()};
        e = server_identity_end_sessions(c, t, before);
    }
    return e;
}

static int remove_user(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    int e = server_identity_spare_admin(c, t, v, NULL);
    return e ? e : server_identity_remove_with(c, t, v);
}

static const struct server_resource user_resource = {
    .kind = CATALOG_USER, .create = create, .patch = patch, .remove = remove_user};

static int user_create(struct server_call *c)
{
    const struct api_user_create *body = c->request.body;
    const char *hash;
    int r = body->password.is == API_VALUE ? server_identity_hash(c, body->password.v, &hash) : 0;
    if (r == SERVER_IDENTITY_LATER)
        return 0;
    return r ? r : server_resource_create(c, &user_resource);
}
static int user_get(struct server_call *c)
{
    return server_resource_get(c, &user_resource);
}
static int user_list(struct server_call *c)
{
    return server_resource_list(c, &user_resource);
}
static int user_patch(struct server_call *c)
{
    return server_resource_patch(c, &user_resource);
}
static int user_delete(struct server_call *c)
{
    return server_resource_delete(c, &user_resource);
}

/* ---- passwords ---- */

/* Whose password it is. Others than administrators are not told who there is. */
static int find_user(struct server_call *c, struct catalog_slot **slot)
{
    static const struct store_id nobody;
    struct store_id self = server_store_id(&c->who.user);
    bool admin = c->who.cloud_role == API_ROLE_ADMIN;
    struct catalog_slot *found =
        catalog_find_text(c->s->catalog, CATALOG_USER, &nobody, c->request.match.params[0]);
    bool own = found && !memcmp(&found->now->id, &self, sizeof(self));
    if (!own && !admin)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN,
                               "setting the password of others takes the role admin in the cloud");
    *slot = server_call_object(c, CATALOG_USER, 0);
    return *slot ? 0 : -ENOENT;
}

/* One's own takes the old one. */
static int check_old(struct server_call *c, const struct catalog_object *v)
{
    const struct api_user_password *body = c->request.body;
    const struct api_user *user = v->doc;
    struct store_id self = server_store_id(&c->who.user);
    bool own = !memcmp(&v->id, &self, sizeof(self));
    const char *hash;
    if (body->old_password.is != API_VALUE && own)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/old_password",
                               "one's own password is changed with the old one: give it");
    if (body->old_password.is != API_VALUE)
        return 0;
    int r = server_identity_login_rate(c);
    if (r)
        return r;
    return server_identity_verify(c, body->old_password.v,
                                  user->password.is == API_VALUE ? user->password.v : NULL,
                                  "the old password is wrong: try again", &hash);
}

static void password_set(struct server_txn *t, int result)
{
    if (!result)
        server_call_reply(t->call, 204, NULL, 0);
}

static int write_password(struct server_call *c, struct catalog_slot *slot, const char *hash)
{
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    struct catalog_object *v = catalog_copy(slot->now);
    struct api_user *user = v ? v->doc : NULL;
    int e = 0;
    if (!v || server_meta_text(v, &user->password, hash))
        e = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    if (!e)
        e = server_identity_end_sessions(c, t, slot->now);
    if (e) {
        catalog_unref(v);
        server_txn_abandon(t);
        return e;
    }
    v->own->serial = (struct api_int){API_VALUE, server_now_ms()};
    server_txn_put(t, slot, v, true);
    return server_txn_commit(t, password_set, NULL);
}

static int user_set_password(struct server_call *c)
{
    const struct api_user_password *body = c->request.body;
    struct catalog_slot *slot = NULL;
    const char *hash;
    int r = find_user(c, &slot);
    if (!r)
        r = check_old(c, slot->now);
    if (!r)
        r = server_identity_hash(c, body->new_password.v, &hash);
    if (r == SERVER_IDENTITY_LATER)
        return 0;
    if (!r)
        r = server_call_wait(c, slot);
    return r ? r : write_password(c, slot, hash);
}

const struct server_route server_identity_user_routes[] = {
    {API_OP_USER_LIST, user_list},
    {API_OP_USER_CREATE, user_create},
    {API_OP_USER_GET, user_get},
    {API_OP_USER_PATCH, user_patch},
    {API_OP_USER_DELETE, user_delete},
    {API_OP_USER_SET_PASSWORD, user_set_password},
    {0},
};
