/* API tokens: everybody's own; an administrator of the cloud sees and ends those of all. */
#include <errno.h>
#include <string.h>

#include "api/api_format.h"
#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_ref.h"

#define DAY_MS       (24 * INT64_C(3600000))
#define DEFAULT_DAYS 90
#define TOKENS_MAX   1000 /* of a user */

void server_identity_hex(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = 0;
}

static bool is_admin(const struct server_call *c)
{
    return c->who.cloud_role == API_ROLE_ADMIN;
}

static bool shown(struct server_call *c, const struct catalog_object *v)
{
    struct store_id owner = catalog_parent(v), self = server_store_id(&c->who.user);
    return !server_identity_is_session(v) && (is_admin(c) || !memcmp(&owner, &self, sizeof(self)));
}

/* What is not shown to the caller is not there for it. */
static int check_shown(struct server_call *c)
{
    const struct catalog_slot *slot = server_call_object(c, CATALOG_TOKEN, 0);
    if (!slot)
        return -ENOENT;
    if (shown(c, slot->now))
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                           "no token is called %s here: list them to see which there are",
                           c->request.match.params[0]);
}

static int64_t max_days(struct server *s)
{
    static const struct store_id zero;
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &zero);
    const struct api_settings *doc = slot ? slot->now->doc : NULL;
    return doc && doc->token_max_days.is == API_VALUE ? doc->token_max_days.v : 365;
}

/* When it ends: as asked for, or as late as is usual and allowed. */
static int set_end(struct server_call *c, struct catalog_object *v)
{
    struct api_token *token = v->doc;
    int64_t now_ms = server_now_ms(), last_ms = now_ms + max_days(c->s) * DAY_MS, ms;
    char text[SERVER_TIME_BYTES];
    if (token->expires_at.is != API_VALUE) {
        ms = now_ms + DEFAULT_DAYS * DAY_MS;
        if (ms > last_ms)
            ms = last_ms;
        if (c->who.kind == AUTH_TOKEN_API && ms > c->who.expires_ms)
            ms = c->who.expires_ms;
        server_meta_time(ms, text);
        if (!server_meta_text(v, &token->expires_at, text))
            return 0;
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    if (api_format_time(token->expires_at.v, &ms) || ms <= now_ms)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/expires_at",
                               "%s is over: name a time to come", token->expires_at.v);
    if (ms > last_ms)
        return api_problem_add(
            &c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/expires_at",
            "a token lives %lld days at most in this cloud: name an earlier time",
            (long long)max_days(c->s));
    return 0;
}

static int check_project(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_token *token = v->doc;
    const char *given = token->token_project.v;
    struct catalog_slot *slot;
    int e = server_ref_one(t, v, CATALOG_PROJECT, &token->token_project, "/token_project", &slot);
    if (e || !slot)
        return e;
    struct auth_id id = server_auth_id(&slot->now->id);
    if (auth_role_in(c->s->auth, &c->who, &id) != API_ROLE_NONE)
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, "/token_project",
                           "no project is called %s: list them to see which there are", given);
}

/* How many the caller has. */
static int check_count(struct server_call *c)
{
    struct store_id self = server_store_id(&c->who.user);
    const struct catalog_list *list = catalog_under(c->s->catalog, CATALOG_TOKEN, &self);
    if (list->n < TOKENS_MAX)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_QUOTA_EXCEEDED,
                           "%s has %zu tokens and sessions of %d: delete some", c->who.user_name,
                           list->n, TOKENS_MAX);
}

static int make_secret(struct server_call *c, struct catalog_object *v)
{
    struct api_token *token = v->doc;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    char hex[2 * sizeof(hash) + 1], owner[UUID_TEXT_BYTES];
    struct auth_api_token record;
    struct err err = {0};
    char *secret = c->kept ? c->kept : api_arena_alloc(&c->arena, AUTH_TOKEN_BYTES);
    c->kept = secret;
    uuid_format(c->who.user.bytes, owner);
    if (!secret || auth_token_make(AUTH_TOKEN_API, secret, hash, &err) ||
        server_meta_text(v, &token->owner, owner) || server_meta_text(v, &v->own->user, owner) ||
        server_meta_text(v, &token->id, v->id_text))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    server_identity_hex(hash, sizeof(hash), hex);
    if (server_meta_text(v, &v->own->secret_sha256, hex))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    if (auth_record_token(token, hash, &record, &err))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "%s", err.msg);
    return auth_may_make_token(&c->who, &record, &c->refusal);
}

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct store_id self = server_store_id(&c->who.user);
    const struct catalog_slot *user = catalog_find(c->s->catalog, CATALOG_USER, &self);
    int e = user ? server_ref_keep(t, user) : -ENOENT;
    if (!user)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_INVALID, "the user is gone");
    if (!e)
        e = check_count(c);
    if (!e)
        e = check_project(c, t, v);
    if (!e)
        e = set_end(c, v);
    return e ? e : make_secret(c, v);
}

static void created(struct server_txn *t, int result)
{
    struct server_call *c = t->call;
    const struct catalog_object *v = t->ctx;
    char *secret = c->kept;
    if (!result) {
        struct api_token_created answer = {.secret = {API_VALUE, secret}};
        answer.token.is = API_VALUE;
        answer.token.v = v->doc;
        c->kept = NULL;
        server_call_reply_struct(c, 201, &api_types_token_created, &answer);
    }
}

static const struct server_resource token_resource = {
    .kind = CATALOG_TOKEN, .create = create, .created = created};

static int token_create(struct server_call *c)
{
    return server_resource_create(c, &token_resource);
}

static int token_get(struct server_call *c)
{
    int e = check_shown(c);
    return e ? e : server_resource_get(c, &token_resource);
}

static int token_list(struct server_call *c)
{
    struct store_id self = server_store_id(&c->who.user);
    return server_list_reply(c,
                             is_admin(c) ? catalog_all(c->s->catalog, CATALOG_TOKEN)
                                         : catalog_under(c->s->catalog, CATALOG_TOKEN, &self),
                             shown);
}

static int token_patch(struct server_call *c)
{
    int e = check_shown(c);
    return e ? e : server_resource_patch(c, &token_resource);
}

static int token_delete(struct server_call *c)
{
    int e = check_shown(c);
    return e ? e : server_resource_delete(c, &token_resource);
}

const struct server_route server_identity_token_routes[] = {
    {API_OP_TOKEN_LIST, token_list},     {API_OP_TOKEN_CREATE, token_create},
    {API_OP_TOKEN_GET, token_get},       {API_OP_TOKEN_PATCH, token_patch},
    {API_OP_TOKEN_DELETE, token_delete}, {0},
};
