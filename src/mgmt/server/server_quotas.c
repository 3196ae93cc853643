/* Quotas as the API shows and changes them; what counts is server_quota.c. A project's quota holds
 * only the limits that were set for it; the others are those of the quota of id zero. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_identity.h"

static const struct store_id zero;

static void fill_limits(struct server *s, const struct store_id *project,
                        struct api_quota_limits *limits)
{
    for (uint32_t i = 0; i < api_types_quota_limits.n_fields; i++) {
        const struct api_types_field *f = &api_types_quota_limits.fields[i];
        struct api_int *limit = api_types_at(limits, f);
        *limit = (struct api_int){API_VALUE, server_quota_limit(s, project, f->name)};
    }
}

static void reply(struct server_call *c, const struct store_id *project)
{
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_QUOTA, project);
    struct api_quota_limits limits = {.vms.is = API_ABSENT};
    struct api_quota_used used = {.vms.is = API_ABSENT};
    uint64_t generation = slot ? server_meta_generation(slot->now) : 1;
    struct api_quota quota = {.generation = {API_VALUE, (int64_t)generation}};
    char etag[API_HEADER_ETAG_BYTES];
    fill_limits(c->s, project, &limits);
    for (uint32_t i = 0; i < api_types_quota_used.n_fields; i++) {
        const struct api_types_field *f = &api_types_quota_used.fields[i];
        struct api_int *n = api_types_at(&used, f);
        *n = (struct api_int){API_VALUE, server_quota_used(c->s, project, f->name)};
    }
    quota.limits.is = quota.used.is = API_VALUE;
    quota.limits.v = &limits;
    quota.used.v = &used;
    api_header_etag(generation, etag);
    web_reply_header(c->web, "etag", etag);
    server_call_reply_struct(c, 200, &api_types_quota, &quota);
}

static int quota_get(struct server_call *c)
{
    reply(c, &c->project);
    return 0;
}

static void reply_defaults(struct server_call *c)
{
    struct api_quota_limits limits = {.vms.is = API_ABSENT};
    fill_limits(c->s, &zero, &limits);
    server_call_reply_struct(c, 200, &api_types_quota_limits, &limits);
}

static int quota_defaults_get(struct server_call *c)
{
    reply_defaults(c);
    return 0;
}

static void patched(struct server_txn *t, int result)
{
    const struct store_id id = t->changes[0].id;
    if (!result && catalog_id_is_zero(&id))
        reply_defaults(t->call);
    else if (!result)
        reply(t->call, &id);
}

static int merge(struct catalog_object *v, const struct api_quota_limits_patch *patch)
{
    struct api_quota *quota = v->doc;
    if (quota->limits.is != API_VALUE) {
        quota->limits.v = api_json_new(&api_types_quota_limits, &v->arena);
        quota->limits.is = API_VALUE;
    }
    const void *own = api_json_copy(&api_types_quota_limits_patch, patch, &v->arena);
    if (!quota->limits.v || !own)
        return -ENOMEM;
    return api_json_merge(&api_types_quota_limits, quota->limits.v, &api_types_quota_limits_patch,
                          own, &v->arena);
}

/* A project that has no quota of its own yet gets one. */
static int patch_limits(struct server_call *c, const struct store_id *project,
                        const struct api_quota_limits_patch *patch)
{
    struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_QUOTA, project);
    int e = slot ? server_call_wait(c, slot) : 0;
    if (!e && !catalog_id_is_zero(project))
        e = api_header_if_match(c->wire.if_match, slot ? server_meta_generation(slot->now) : 1,
                                &c->refusal);
    struct server_txn *t = e ? NULL : server_txn_begin(c->s, c);
    if (!t)
        return e ? e : -EAGAIN;
    struct catalog_object *v =
        slot ? catalog_copy(slot->now) : catalog_new(CATALOG_QUOTA, project, &zero);
    if (!v || (patch && merge(v, patch))) {
        catalog_unref(v);
        server_txn_abandon(t);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    server_txn_put(t, slot, v, true);
    return server_txn_commit(t, patched, NULL);
}

static int quota_patch(struct server_call *c)
{
    const struct api_quota_patch *body = c->request.body;
    static const struct api_quota_limits_patch reset = {
        .vms.is = API_NULL,
        .vcpus.is = API_NULL,
        .memory_mib.is = API_NULL,
        .volumes.is = API_NULL,
        .volume_gib.is = API_NULL,
        .snapshots.is = API_NULL,
        .images.is = API_NULL,
        .networks.is = API_NULL,
        .ports.is = API_NULL,
        .floating_ips.is = API_NULL,
        .security_groups.is = API_NULL,
    };
    const struct catalog_slot *project = server_call_object(c, CATALOG_PROJECT, 0);
    if (!project)
        return -ENOENT;
    int e = server_call_wait(c, project);
    if (e)
        return e;
    return patch_limits(c, &project->now->id,
                        body->limits.is == API_VALUE  ? body->limits.v
                        : body->limits.is == API_NULL ? &reset
                                                      : NULL);
}

static int quota_defaults_patch(struct server_call *c)
{
    return patch_limits(c, &zero, c->request.body);
}

const struct server_route server_identity_quota_routes[] = {
    {API_OP_QUOTA_GET, quota_get},
    {API_OP_QUOTA_PATCH, quota_patch},
    {API_OP_QUOTA_DEFAULTS_GET, quota_defaults_get},
    {API_OP_QUOTA_DEFAULTS_PATCH, quota_defaults_patch},
    {0},
};
