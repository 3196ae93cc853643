/* The five usual operations on any kind of object, by the tables of the API. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_ref.h"

static const struct api_types_object *type_of(const struct server_resource *r)
{
    return catalog_kinds[r->kind].type;
}

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

static void set_location(struct server_call *c, const struct catalog_object *v)
{
    size_t bytes = strlen(web_request_path(c->web)) + UUID_TEXT_BYTES + 2;
    char *text = api_arena_alloc(&c->arena, bytes);
    if (text)
        snprintf(text, bytes, "%s/%s", web_request_path(c->web), v->id_text);
    c->location = text;
}

/* Lets the arena of a call live on in a version: what a body holds is shared, not copied. */
static int merge_body(struct server_call *c, struct catalog_object *v)
{
    const struct api_types_object *type = catalog_kinds[v->kind].type;
    void *body = api_json_copy(c->request.route->request, c->request.body, &v->arena);
    if (!body || api_json_merge(type, v->doc, c->request.route->request, body, &v->arena))
        return no_memory(c);
    return 0;
}

int server_resource_create(struct server_call *c, const struct server_resource *r)
{
    static const struct store_id nobody;
    struct store_id id = catalog_id(server_now_ms());
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    struct catalog_object *v =
        catalog_new(r->kind, &id, catalog_kinds[r->kind].in_project ? &c->project : &nobody);
    int e = v ? merge_body(c, v) : no_memory(c);
    if (!e && catalog_kinds[r->kind].in_project)
        e = server_ref_keep_project(t);
    if (!e && r->create)
        e = r->create(c, t, v);
    if (!e && r->quota)
        e = server_quota_add(t, &c->project, r->quota, 1);
    if (e) {
        catalog_unref(v);
        server_txn_abandon(t);
        return e;
    }
    set_location(c, v);
    server_txn_put(t, NULL, v, true);
    if (r->created)
        return server_txn_commit(t, r->created, v);
    if (!t->answer) {
        t->answer = v;
        t->status = c->request.route->status;
    }
    return server_txn_commit(t, NULL, NULL);
}

int server_resource_get(struct server_call *c, const struct server_resource *r)
{
    const struct catalog_slot *slot = server_call_object(c, r->kind, 0);
    if (!slot)
        return -ENOENT;
    server_call_reply_object(c, 200, slot->now);
    return 0;
}

int server_resource_list(struct server_call *c, const struct server_resource *r)
{
    const struct catalog_list *list = catalog_kinds[r->kind].in_project && !c->request.all_projects
                                          ? catalog_in(c->s->catalog, r->kind, &c->project)
                                          : catalog_all(c->s->catalog, r->kind);
    return server_list_reply(c, list, NULL);
}

static int patched(struct server_call *c, const struct server_resource *r, struct server_txn *t,
                   const struct catalog_object *before, struct catalog_object *v)
{
    int e = merge_body(c, v);
    if (!e && api_json_fill(type_of(r), v->doc, &v->arena))
        e = no_memory(c);
    if (!e)
        e = api_json_check(type_of(r), v->doc, &c->refusal);
    if (!e && r->patch)
        e = r->patch(c, t, before, v);
    return e;
}

int server_resource_patch(struct server_call *c, const struct server_resource *r)
{
    struct catalog_slot *slot = server_call_object(c, r->kind, 0);
    return slot ? server_resource_patch_slot(c, r, slot) : -ENOENT;
}

int server_resource_patch_slot(struct server_call *c, const struct server_resource *r,
                               struct catalog_slot *slot)
{
    int e = server_call_wait(c, slot);
    if (!e)
        e = server_call_match(c, slot->now);
    if (e)
        return e;
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    struct catalog_object *v = catalog_copy(slot->now);
    e = v ? patched(c, r, t, slot->now, v) : no_memory(c);
    if (e) {
        catalog_unref(v);
        server_txn_abandon(t);
        return e;
    }
    server_txn_put(t, slot, v, true);
    if (!t->answer) {
        t->answer = v;
        t->status = c->request.route->status;
    }
    return server_txn_commit(t, NULL, NULL);
}

static void removed(struct server_txn *t, int result)
{
    if (!result)
        server_call_reply(t->call, 204, NULL, 0);
}

int server_resource_delete(struct server_call *c, const struct server_resource *r)
{
    struct catalog_slot *slot = server_call_object(c, r->kind, 0);
    int e = slot ? server_call_wait(c, slot) : -ENOENT;
    if (!e)
        e = server_ref_wait(c, slot);
    if (!e)
        e = server_call_match(c, slot->now);
    if (e)
        return e;
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    e = r->remove ? r->remove(c, t, slot->now) : 0;
    if (!e && r->quota)
        e = server_quota_add(t, &slot->now->project, r->quota, -1);
    if (e) {
        server_txn_abandon(t);
        return e;
    }
    server_txn_remove(t, slot);
    return server_txn_commit(t, removed, NULL);
}
