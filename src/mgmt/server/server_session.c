/* Signing in and out. A session is stored, so that it survives a restart and every server that
 * shares the store knows it: an object of the kind of tokens that is not listed and makes no
 * events, whose id is the first 16 bytes of the hash of its secret. Its end, which each use moves
 * in memory, is written once a minute; what has expired is swept. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_format.h"
#include "base/util.h"
#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_ref.h"

#define SWEEP_S    60
#define SWEEP_MAX  200   /* sessions in a transaction */
#define UNSAVED_MS 30000 /* an end that was moved by less is not written */

static const char wrong[] = "name or password is wrong: try again";

bool server_identity_is_session(const struct catalog_object *token)
{
    return token->own->session.is == API_VALUE && token->own->session.v;
}

static int64_t end_of(const struct catalog_object *v)
{
    const struct api_token *token = v->doc;
    int64_t ms;
    return token->expires_at.is == API_VALUE && !api_format_time(token->expires_at.v, &ms) ? ms : 0;
}

/* ---- signing in ---- */

struct opened {
    char secret[AUTH_TOKEN_BYTES];
};

static void session_opened(struct server_txn *t, int result)
{
    struct opened *o = t->ctx;
    struct server_call *c = t->call;
    struct store_id user = server_store_id(&c->who.user);
    const struct catalog_slot *slot = catalog_find(t->s->catalog, CATALOG_USER, &user);
    const struct api_token *token = t->changes[0].v->doc;
    if (!result) {
        struct api_session answer = {.secret = {API_VALUE, o->secret},
                                     .expires_at = token->expires_at};
        answer.user.is = slot ? API_VALUE : API_ABSENT;
        answer.user.v = slot ? slot->now->doc : NULL;
        server_call_reply_struct(c, 201, &api_types_session, &answer);
    }
    auth_password_wipe(o, sizeof(*o));
    free(o);
}

/* Not before the user's sessions count again: the clock that said so may be another server's, and
 * ahead of this one's. */
static int64_t begin_of(const struct catalog_object *user)
{
    int64_t now_ms = server_now_ms(), since_ms = 0;
    if (user->own->serial.is == API_VALUE)
        since_ms = user->own->serial.v;
    return now_ms > since_ms ? now_ms : since_ms;
}

static struct catalog_object *make_session(struct server_txn *t, const struct catalog_object *user,
                                           struct opened *o)
{
    static const struct store_id nobody;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    char hex[2 * sizeof(hash) + 1], end[SERVER_TIME_BYTES];
    struct store_id id;
    struct err err = {0};
    if (auth_token_make(AUTH_TOKEN_SESSION, o->secret, hash, &err))
        return NULL;
    memcpy(&id, hash, sizeof(id));
    struct catalog_object *v = catalog_new(CATALOG_TOKEN, &id, &nobody);
    if (!v)
        return NULL;
    server_identity_hex(hash, sizeof(hash), hex);
    server_meta_time(server_now_ms() + auth_table_session_idle(t->s->auth), end);
    struct api_token *token = v->doc;
    v->own->session = (struct api_bool){API_VALUE, true};
    v->own->serial = (struct api_int){API_VALUE, begin_of(user)};
    if (!server_meta_text(v, &v->own->secret_sha256, hex) &&
        !server_meta_text(v, &v->own->user, user->id_text) &&
        !server_meta_text(v, &token->owner, user->id_text) &&
        !server_meta_text(v, &token->expires_at, end))
        return v;
    catalog_unref(v);
    return NULL;
}

/* When it last signed in, and perhaps a better hash of its password. */
static struct catalog_object *signed_in(const struct catalog_object *user, const char *hash)
{
    char now[SERVER_TIME_BYTES];
    struct catalog_object *v = catalog_copy(user);
    if (!v)
        return NULL;
    struct api_user *doc = v->doc;
    server_meta_time(server_now_ms(), now);
    if (!server_meta_text(v, &doc->last_login_at, now) &&
        (!hash || !server_meta_text(v, &doc->password, hash)))
        return v;
    catalog_unref(v);
    return NULL;
}

/* One session more than a user may have takes the place of the one that would end first. */
static void make_room(struct server_txn *t, const struct store_id *user)
{
    const struct catalog_list *list = catalog_under(t->s->catalog, CATALOG_TOKEN, user);
    struct catalog_slot *first = NULL;
    unsigned n = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct catalog_slot *slot = list->slots[i];
        if (!server_identity_is_session(slot->now))
            continue;
        n++;
        if (!slot->writing && (!first || end_of(slot->now) < end_of(first->now)))
            first = slot;
    }
    if (first && n >= AUTH_TABLE_SESSIONS_A_USER)
        server_txn_remove(t, first);
}

static int open_session(struct server_call *c, struct catalog_slot *slot, const char *hash)
{
    struct server_txn *t = server_txn_begin(c->s, c);
    struct opened *o = t ? calloc(1, sizeof(*o)) : NULL;
    struct catalog_object *session = o ? make_session(t, slot->now, o) : NULL;
    struct catalog_object *user = session ? signed_in(slot->now, hash) : NULL;
    if (!user) {
        catalog_unref(session);
        server_txn_abandon(t);
        free(o);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    const struct api_user *doc = slot->now->doc;
    c->who.user = server_auth_id(&slot->now->id);
    memccpy(c->who.user_name, doc->name.v, 0, sizeof(c->who.user_name) - 1);
    t->quiet = true;
    server_txn_put(t, NULL, session, false);
    server_txn_put(t, slot, user, false);
    make_room(t, &slot->now->id);
    int r = server_txn_commit(t, session_opened, o);
    if (r) { /* it was given up before it began, and does not call */
        auth_password_wipe(o, sizeof(*o));
        free(o);
    }
    return r;
}

static int session_create(struct server_call *c)
{
    static const struct store_id nobody;
    const struct api_session_create *body = c->request.body;
    struct catalog_slot *slot =
        catalog_find_text(c->s->catalog, CATALOG_USER, &nobody, body->user.v);
    const struct api_user *user = slot ? slot->now->doc : NULL;
    bool may = user && user->enabled.v && user->password.is == API_VALUE;
    const char *hash;
    int r = server_identity_login_rate(c);
    if (!r)
        r = server_identity_verify(c, body->password.v, may ? user->password.v : NULL, wrong,
                                   &hash);
    if (r == SERVER_IDENTITY_LATER)
        return 0;
    if (!r && !may)
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FAILED, "%s", wrong);
    if (!r)
        r = server_call_wait(c, slot);
    return r ? r : open_session(c, slot, hash);
}

/* ---- signing out ---- */

static void session_ended(struct server_txn *t, int result)
{
    if (!result)
        server_call_reply(t->call, 204, NULL, 0);
}

static int session_delete(struct server_call *c)
{
    struct store_id id = server_store_id(&c->who.token);
    struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_TOKEN, &id);
    if (c->who.kind != AUTH_TOKEN_SESSION)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "token %s is no session: delete it by DELETE /v1/tokens/%s",
                               c->who.token_name, c->who.token_name);
    if (!slot) { /* another call was faster */
        server_call_reply(c, 204, NULL, 0);
        return 0;
    }
    int e = server_call_wait(c, slot);
    struct server_txn *t = e ? NULL : server_txn_begin(c->s, c);
    if (!t)
        return e ? e : -EAGAIN;
    t->quiet = true;
    server_txn_remove(t, slot);
    return server_txn_commit(t, session_ended, NULL);
}

int server_identity_end_sessions(struct server_call *c, struct server_txn *t,
                                 const struct catalog_object *user)
{
    const struct catalog_list *list = catalog_under(t->s->catalog, CATALOG_TOKEN, &user->id);
    unsigned n = 0;
    int e = 0;
    t->quiet = true;
    for (size_t i = 0; !e && i < list->n && n < SERVER_IDENTITY_WITH_MAX; i++) {
        struct catalog_slot *slot = list->slots[i];
        if (!server_identity_is_session(slot->now))
            continue;
        e = server_call_wait(c, slot);
        n++;
        if (!e)
            server_txn_remove(t, slot);
    }
    t->quiet = false;
    return e;
}

/* ---- use and end ---- */

static int note_use(struct catalog_object *v, const struct auth_principal *who)
{
    struct api_token *token = v->doc;
    char text[SERVER_TIME_BYTES];
    if (who->kind == AUTH_TOKEN_SESSION) {
        server_meta_time(who->expires_ms, text);
        return server_meta_text(v, &token->expires_at, text);
    }
    server_meta_time(server_now_ms() / 60000 * 60000, text);
    return server_meta_text(v, &token->last_used_at, text);
}

void server_identity_used(struct server_call *c)
{
    struct store_id id = server_store_id(&c->who.token);
    struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_TOKEN, &id);
    if (!slot || slot->writing ||
        (c->who.kind == AUTH_TOKEN_SESSION && c->who.expires_ms - end_of(slot->now) < UNSAVED_MS))
        return;
    struct server_txn *t = server_txn_begin(c->s, NULL);
    struct catalog_object *v = t ? catalog_copy(slot->now) : NULL;
    if (!v || note_use(v, &c->who)) {
        catalog_unref(v);
        server_txn_abandon(t);
        return;
    }
    t->quiet = true;
    server_txn_put(t, slot, v, false);
    (void)server_txn_commit(t, NULL, NULL); /* the next minute tries again */
}

void server_identity_settings(struct server *s, const struct catalog_object *settings)
{
    const struct api_settings *doc = settings->doc;
    if (doc->session_idle_s.is == API_VALUE)
        auth_table_set_session_idle(s->auth, doc->session_idle_s.v * 1000);
}

void server_identity_sweep(struct server *s, int64_t now_ms)
{
    const struct catalog_list *list = catalog_all(s->catalog, CATALOG_TOKEN);
    struct server_txn *t = NULL;
    (void)auth_table_sweep(s->auth, now_ms);
    for (size_t i = 0; i < list->n; i++) {
        struct catalog_slot *slot = list->slots[i];
        if (!server_identity_is_session(slot->now) || slot->writing || end_of(slot->now) > now_ms)
            continue;
        if (!t)
            t = server_txn_begin(s, NULL);
        if (!t)
            return;
        t->quiet = true;
        server_txn_remove(t, slot);
        if (t->store.n_ops == SWEEP_MAX)
            break; /* the rest a minute later */
    }
    if (t)
        (void)server_txn_commit(t, NULL, NULL);
}

static void sweep(void *ctx)
{
    struct server *s = ctx;
    server_identity_sweep(s, server_now_ms());
    web_timer_arm(s->session_sweeps, SWEEP_S * INT64_C(1000000));
}

int server_identity_start(struct server *s, struct err *err)
{
    s->session_sweeps = web_timer_create(s->loop, sweep, s);
    if (!s->session_sweeps)
        return err_set(err, ENOMEM, "no memory for a timer");
    web_timer_arm(s->session_sweeps, SWEEP_S * INT64_C(1000000));
    return 0;
}

/* ---- who ---- */

static void add_role(const struct auth_role *role, void *ctx)
{
    struct api_whoami *me = ctx;
    me->roles.n += role != NULL;
}

struct roles {
    struct server_call *c;
    struct api_whoami *me;
};

static void copy_role(const struct auth_role *role, void *ctx)
{
    const struct roles *r = ctx;
    struct store_id id = server_store_id(&role->id);
    const struct catalog_slot *slot = catalog_find(r->c->s->catalog, CATALOG_ROLE, &id);
    const struct auth_id *only = &r->c->who.project;
    bool counts = auth_record_id_is_zero(only) || auth_record_id_is_zero(&role->project) ||
                  auth_record_id_equal(only, &role->project);
    if (slot && counts && r->me->roles.n < 1000)
        r->me->roles.v[r->me->roles.n++] = *(const struct api_role *)slot->now->doc;
}

static int whoami_get(struct server_call *c)
{
    struct store_id id = server_store_id(&c->who.user), token_id = server_store_id(&c->who.token);
    const struct catalog_slot *user = catalog_find(c->s->catalog, CATALOG_USER, &id);
    const struct catalog_slot *token = catalog_find(c->s->catalog, CATALOG_TOKEN, &token_id);
    struct api_whoami me = {.roles.is = API_VALUE};
    struct roles roles = {c, &me};
    auth_table_each_role(c->s->auth, &c->who.user, add_role, &me);
    me.roles.v = api_arena_array(&c->arena, me.roles.n + 1, sizeof(*me.roles.v));
    me.roles.n = 0;
    if (!user || !me.roles.v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    auth_table_each_role(c->s->auth, &c->who.user, copy_role, &roles);
    me.user.is = API_VALUE;
    me.user.v = user->now->doc;
    if (c->who.kind == AUTH_TOKEN_API && token) {
        me.token.is = API_VALUE;
        me.token.v = token->now->doc;
    }
    server_call_reply_struct(c, 200, &api_types_whoami, &me);
    return 0;
}

/* Tickets are this server's alone: a WebSocket is opened where its ticket was made. */
static int ticket_create(struct server_call *c)
{
    char text[AUTH_TOKEN_BYTES], end[SERVER_TIME_BYTES];
    int64_t expires_ms;
    struct err err = {0};
    if (auth_table_open_ticket(c->s->auth, &c->who, server_now_ms(), text, &expires_ms, &err)) {
        c->refusal.retry_after_s = 1;
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "%s", err.msg);
    }
    server_meta_time(expires_ms, end);
    struct api_ticket answer = {.ticket = {API_VALUE, text}, .expires_at = {API_VALUE, end}};
    server_call_reply_struct(c, 201, &api_types_ticket, &answer);
    auth_password_wipe(text, sizeof(text));
    return 0;
}

const struct server_route server_identity_session_routes[] = {
    {API_OP_SESSION_CREATE, session_create},
    {API_OP_SESSION_DELETE, session_delete},
    {API_OP_WHOAMI_GET, whoami_get},
    {API_OP_TICKET_CREATE, ticket_create},
    {0},
};
