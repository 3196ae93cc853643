/* Who calls, and in which project: the bridge between calls, the catalog and mgmt/auth. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_start.h"

struct auth_id server_auth_id(const struct store_id *id)
{
    struct auth_id out;
    memcpy(out.bytes, id->bytes, sizeof(out.bytes));
    return out;
}

struct store_id server_store_id(const struct auth_id *id)
{
    struct store_id out;
    memcpy(out.bytes, id->bytes, sizeof(out.bytes));
    return out;
}

/* What came after "Bearer"; NULL: nothing. */
static const char *bearer(struct server_call *c)
{
    const char *value = web_request_header(c->web, "authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

static void rate_header(struct server_call *c, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", value);
    web_reply_header(c->web, name, text);
}

/* Of a WebSocket, which browsers open without headers. */
static const char *ticket(struct server_call *c)
{
    const char *parameter;
    for (unsigned i = 0; (parameter = web_request_parameter(c->web, i)); i++)
        if (!strncmp(parameter, "ticket=", 7))
            return c->request.route->flags & API_ROUTE_WEBSOCKET ? parameter + 7 : NULL;
    return NULL;
}

static int check(struct server_call *c, const char *text)
{
    const char *of_query = text ? NULL : ticket(c);
    if (of_query)
        return auth_check_ticket(c->s->auth, of_query, strlen(of_query), server_now_ms(), &c->who,
                                 &c->refusal);
    return auth_check(c->s->auth, text, text ? strlen(text) : 0, server_now_ms(), &c->who,
                      &c->refusal);
}

static int check_rate(struct server_call *c)
{
    struct auth_rate_limit limit = {.per_min = c->who.rate_limit_per_min};
    struct auth_rate_answer a =
        auth_rate_take(c->s->token_rate, &c->who.token, &limit, clock_now_ns() / 1000);
    rate_header(c, "ratelimit-limit", a.limit);
    rate_header(c, "ratelimit-remaining", a.remaining);
    rate_header(c, "ratelimit-reset", a.reset_s);
    if (a.allowed)
        return 0;
    c->refusal.retry_after_s = a.retry_after_s;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RATE_LIMITED,
                           "the token may make %u requests a minute: try again in %u s", a.limit,
                           a.retry_after_s);
}

/* The project that is meant: named, or the token's. */
static void find_project(struct server_call *c, bool signed_in, struct auth_where *where,
                         struct auth_id *id)
{
    static const struct store_id nobody;
    where->all_projects = c->request.all_projects;
    where->project_text = c->request.project;
    if (!where->project_text && signed_in && !where->all_projects) {
        *id = auth_default_project(&c->who);
        struct store_id store_id = server_store_id(id);
        const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_PROJECT, &store_id);
        if (!auth_record_id_is_zero(id))
            where->project_text = slot ? slot->now->name : "(the token's)";
    }
    if (!where->project_text)
        return;
    const struct catalog_slot *slot =
        c->request.project
            ? catalog_find_text(c->s->catalog, CATALOG_PROJECT, &nobody, c->request.project)
            : NULL;
    if (slot)
        *id = server_auth_id(&slot->now->id);
    if (slot || !c->request.project) {
        where->project = id;
        c->project = server_store_id(id);
    }
}

/* What makes something, starts it, or makes it larger. */
static bool creates_or_starts(const struct api_route *route)
{
    switch (route->op) {
    case API_OP_VM_STOP:
    case API_OP_VM_PAUSE:
    case API_OP_VM_SHELVE:
    case API_OP_VM_MIGRATE:
    case API_OP_OPERATION_CANCEL:
        return false;
    default:
        return route->method == API_METHOD_POST;
    }
}

static int check_project(struct server_call *c)
{
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_PROJECT, &c->project);
    const struct api_project *project = slot ? slot->now->doc : NULL;
    if (!project || !creates_or_starts(c->request.route) || project->enabled.is != API_VALUE ||
        project->enabled.v)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_PROJECT_DISABLED,
                           "project %s is disabled: ask an administrator", slot->now->name);
}

int server_auth_call(struct server_call *c)
{
    const struct api_route *route = c->request.route;
    struct auth_where where = {0};
    struct auth_id project = {{0}};
    const char *text = bearer(c);
    bool signed_in = false;
    if (text || route->role != API_ROLE_NONE) {
        int r = check(c, text);
        if (r && (route->role != API_ROLE_NONE))
            return r;
        signed_in = !r;
        api_problem_init(&c->refusal);
    }
    if (signed_in) {
        int r = check_rate(c);
        if (r)
            return r;
        if (c->who.first_in_minute)
            server_identity_used(c);
    }
    bool in_project = route->flags & API_ROUTE_PROJECT;
    if (in_project)
        find_project(c, signed_in, &where, &project);
    int r = auth_may(c->s->auth, signed_in ? &c->who : NULL, route, in_project ? &where : NULL,
                     &c->refusal);
    if (r)
        return r;
    c->role = signed_in ? c->who.cloud_role : API_ROLE_NONE;
    if (in_project && where.project) {
        enum api_types_role role = auth_role_in(c->s->auth, &c->who, where.project);
        c->role = role > c->role ? role : c->role;
        return check_project(c);
    }
    return 0;
}

static void log_refused(int r, const struct catalog_object *v, const struct err *err)
{
    if (r)
        log_line(LOG_WARN, "server", "%s %s is not used: %s", catalog_kinds[v->kind].name,
                 v->id_text, err->msg[0] ? err->msg : strerror(-r));
}

static int put_user(struct server *s, const struct catalog_object *v, struct err *err)
{
    struct auth_user record;
    const struct api_user *doc = v->doc;
    int64_t since = v->own->serial.is == API_VALUE ? v->own->serial.v : 0;
    int r = auth_record_user(doc, doc->password.is == API_VALUE ? doc->password.v : NULL, since,
                             &record, err);
    return r ? r : auth_table_put_user(s->auth, &record);
}

static int put_token(struct server *s, const struct catalog_object *v, struct err *err)
{
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    struct auth_api_token record;
    struct auth_session session = {.expires_ms = 0};
    const char *hex = v->own->secret_sha256.is == API_VALUE ? v->own->secret_sha256.v : "";
    const struct api_token *doc = v->doc;
    if (strlen(hex) != 2 * sizeof(hash))
        return err_set(err, EINVAL, "it has no hash");
    for (size_t i = 0; i < sizeof(hash); i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        hash[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    if (v->own->session.is != API_VALUE || !v->own->session.v) {
        int r = auth_record_token(doc, hash, &record, err);
        return r ? r : auth_table_put_token(s->auth, &record);
    }
    struct store_id user = catalog_parent(v);
    memcpy(session.hash, hash, sizeof(hash));
    session.user = server_auth_id(&user);
    if (doc->expires_at.is != API_VALUE || doc->created_at.is != API_VALUE ||
        server_meta_parse_time(doc->expires_at.v, &session.expires_ms) ||
        server_meta_parse_time(doc->created_at.v, &session.created_ms))
        return err_set(err, EINVAL, "it has no times");
    if (v->own->serial.is == API_VALUE)
        session.created_ms = v->own->serial.v;
    return auth_table_put_session(s->auth, &session);
}

static void put(struct server *s, const struct catalog_object *v)
{
    struct err err = {0};
    struct auth_role role;
    int r = 0;
    if (v->kind == CATALOG_USER) {
        r = put_user(s, v, &err);
    } else if (v->kind == CATALOG_TOKEN) {
        r = put_token(s, v, &err);
    } else if (v->kind == CATALOG_ROLE) {
        r = auth_record_role(v->doc, &role, &err);
        r = r ? r : auth_table_put_role(s->auth, &role);
    }
    log_refused(r, v, &err);
}

void server_auth_changed(struct server *s, const struct catalog_object *before,
                         const struct catalog_object *after)
{
    if (after) {
        put(s, after);
        return;
    }
    struct auth_id id = server_auth_id(&before->id);
    if (before->kind == CATALOG_USER)
        auth_table_remove_user(s->auth, &id);
    else if (before->kind == CATALOG_ROLE)
        auth_table_remove_role(s->auth, &id);
    else if (before->kind == CATALOG_TOKEN && server_identity_is_session(before))
        auth_table_end_session(s->auth, &id); /* they share their ids: server_session.c */
    else if (before->kind == CATALOG_TOKEN)
        auth_table_remove_token(s->auth, &id);
}
