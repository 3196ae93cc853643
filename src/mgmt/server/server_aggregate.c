/* Host aggregates. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_ref.h"

#define HOSTS_MAX 10000 /* api/infra.yaml */

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* Of an aggregate that has a zone all hosts are in it. */
static int check_zone(struct server_call *c, const struct api_aggregate *aggregate,
                      const struct catalog_object *host, const char *pointer)
{
    const struct api_host *doc = host->doc;
    if (aggregate->zone.is != API_VALUE ||
        (doc->zone.is == API_VALUE && !strcmp(doc->zone.v, aggregate->zone.v)))
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, pointer,
                           "host %s is in another zone than the aggregate: move it, or choose "
                           "others",
                           host->name);
}

static int check(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_aggregate *aggregate = v->doc;
    int e = server_ref_one(t, v, CATALOG_ZONE, &aggregate->zone, "/zone", NULL);
    if (!e)
        e = server_ref_list(t, v, CATALOG_PROJECT, &aggregate->dedicated_to, "/dedicated_to");
    if (!e)
        e = server_ref_list(t, v, CATALOG_HOST, &aggregate->hosts, "/hosts");
    for (uint32_t i = 0; !e && aggregate->hosts.is == API_VALUE && i < aggregate->hosts.n; i++) {
        const struct catalog_slot *slot =
            catalog_find_id(c->s->catalog, CATALOG_HOST, aggregate->hosts.v[i]);
        if (slot)
            e = check_zone(c, aggregate, slot->now, "/hosts");
    }
    return e;
}

static int patch(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v)
{
    (void)before;
    return check(c, t, v);
}

static int remove_aggregate(struct server_call *c, struct server_txn *t,
                            const struct catalog_object *v)
{
    const struct api_aggregate *aggregate = v->doc;
    (void)t;
    if (aggregate->hosts.is == API_VALUE && aggregate->hosts.n)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "aggregate %s has %u hosts: take them out first", v->name,
                               aggregate->hosts.n);
    return server_ref_unused(c, v, CATALOG_RESERVATION, "aggregate");
}

static const struct server_resource aggregate_resource = {
    .kind = CATALOG_AGGREGATE, .create = check, .patch = patch, .remove = remove_aggregate};

static int aggregate_create(struct server_call *c)
{
    return server_resource_create(c, &aggregate_resource);
}
static int aggregate_get(struct server_call *c)
{
    return server_resource_get(c, &aggregate_resource);
}
static int aggregate_list(struct server_call *c)
{
    return server_resource_list(c, &aggregate_resource);
}
static int aggregate_patch(struct server_call *c)
{
    return server_resource_patch(c, &aggregate_resource);
}
static int aggregate_delete(struct server_call *c)
{
    return server_resource_delete(c, &aggregate_resource);
}

/* ---- one host more, one less ---- */

static int add_host(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                    struct catalog_slot *host)
{
    struct api_aggregate *aggregate = v->doc;
    struct api_texts *hosts = &aggregate->hosts;
    int e = server_call_wait(c, host); /* it may be on its way to another zone */
    if (!e)
        e = server_ref_keep(t, host);
    if (!e)
        e = check_zone(c, aggregate, host->now, "/host");
    uint32_t n = hosts->is == API_VALUE ? hosts->n : 0;
    if (!e && n == HOSTS_MAX)
        e = api_problem_set(&c->refusal, API_PROBLEM_CODE_QUOTA_EXCEEDED,
                            "an aggregate has %d hosts at most: make another one", HOSTS_MAX);
    const char **ids = e ? NULL : api_arena_array(&v->arena, n + 1, sizeof(*ids));
    if (e)
        return e;
    if (!ids)
        return no_memory(c);
    if (n)
        memcpy(ids, hosts->v, n * sizeof(*ids));
    ids[n] = api_arena_text(&v->arena, host->now->id_text, UUID_TEXT_BYTES - 1);
    *hosts = (struct api_texts){API_VALUE, n + 1, ids};
    return ids[n] ? 0 : no_memory(c);
}

static void take_out(struct catalog_object *v, const char *host_id)
{
    struct api_texts *hosts = &((struct api_aggregate *)v->doc)->hosts;
    uint32_t n = 0;
    for (uint32_t i = 0; i < hosts->n; i++)
        if (strcmp(hosts->v[i], host_id) != 0)
            hosts->v[n++] = hosts->v[i];
    hosts->n = n;
}

/* `adds`: puts the host in; otherwise takes it out. */
static int change(struct server_call *c, struct catalog_slot *slot, struct catalog_slot *host,
                  bool adds)
{
    int e = server_call_wait(c, slot);
    struct server_txn *t = e ? NULL : server_txn_begin(c->s, c);
    if (!t)
        return e ? e : -EAGAIN;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        e = no_memory(c);
    else if (adds)
        e = add_host(c, t, v, host);
    else
        take_out(v, host->now->id_text);
    if (e) {
        catalog_unref(v);
        server_txn_abandon(t);
        return e;
    }
    server_txn_put(t, slot, v, true);
    t->answer = v;
    t->status = c->request.route->status;
    return server_txn_commit(t, NULL, NULL);
}

static int aggregate_add_host(struct server_call *c)
{
    static const struct store_id nobody;
    const struct api_aggregate_add_host *body = c->request.body;
    struct catalog_slot *slot = server_call_object(c, CATALOG_AGGREGATE, 0);
    if (!slot)
        return -ENOENT;
    struct catalog_slot *host =
        catalog_find_text(c->s->catalog, CATALOG_HOST, &nobody, body->host.v);
    if (!host)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, "/host",
                               "no host is called %s: list them to see which there are",
                               body->host.v);
    int e = server_call_wait(c, slot);
    if (e)
        return e;
    if (server_ref_has(&((const struct api_aggregate *)slot->now->doc)->hosts, host->now)) {
        server_call_reply_object(c, c->request.route->status, slot->now);
        return 0;
    }
    return change(c, slot, host, true);
}

static int aggregate_remove_host(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_AGGREGATE, 0);
    struct catalog_slot *host = slot ? server_call_object(c, CATALOG_HOST, 1) : NULL;
    if (!host)
        return -ENOENT;
    int e = server_call_wait(c, slot);
    if (e)
        return e;
    if (!server_ref_has(&((const struct api_aggregate *)slot->now->doc)->hosts, host->now))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                               "host %s is not in aggregate %s: look at the aggregate's hosts",
                               host->now->name, slot->now->name);
    return change(c, slot, host, false);
}

const struct server_route server_aggregate_routes[] = {
    {API_OP_AGGREGATE_LIST, aggregate_list},
    {API_OP_AGGREGATE_CREATE, aggregate_create},
    {API_OP_AGGREGATE_GET, aggregate_get},
    {API_OP_AGGREGATE_PATCH, aggregate_patch},
    {API_OP_AGGREGATE_DELETE, aggregate_delete},
    {API_OP_AGGREGATE_ADD_HOST, aggregate_add_host},
    {API_OP_AGGREGATE_REMOVE_HOST, aggregate_remove_host},
    {0},
};
