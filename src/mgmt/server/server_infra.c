/* Hosts, as people see and change them. What makes them: server_join.c. */
#include "mgmt/server/server_infra.h"

#include <errno.h>
#include <string.h>

#include "mgmt/server/server_host.h"
#include "mgmt/server/server_host_empty.h"
#include "mgmt/server/server_ref.h"

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* ---- patch ---- */

/* A host goes to another zone with nothing on it, and into no aggregate of the old one. */
static int move_zone(struct server_call *c, const struct catalog_object *host)
{
    size_t vms = catalog_under(c->s->catalog, CATALOG_VM, &host->id)->n;
    if (vms)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/zone",
                               "%zu VMs are on host %s: drain it before it changes its zone", vms,
                               host->name);
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_AGGREGATE);
    for (size_t i = 0; i < list->n; i++) {
        const struct catalog_object *v = list->slots[i]->now;
        const struct api_aggregate *aggregate = v->doc;
        if (aggregate->zone.is == API_VALUE && server_ref_has(&aggregate->hosts, host))
            return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/zone",
                                   "host %s is in aggregate %s, all of whose hosts are in one "
                                   "zone: take it out first",
                                   host->name, v->name);
    }
    return 0;
}

static int patch(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v)
{
    struct api_host *host = v->doc;
    const struct api_host *was = before->doc;
    struct catalog_slot *zone;
    int e = server_ref_one(t, v, CATALOG_ZONE, &host->zone, "/zone", &zone);
    if (!e)
        e = server_ref_one(t, v, CATALOG_PROJECT, &host->dedicated_to, "/dedicated_to", NULL);
    if (!e && !zone) { /* reset: the default one */
        zone = server_zone_default(c->s);
        if (zone && (e = server_ref_keep(t, zone)))
            return e;
        if (zone && server_meta_text(v, &host->zone, zone->now->id_text))
            return no_memory(c);
    }
    if (!e && zone && !server_ref_is(&was->zone, zone->now))
        e = move_zone(c, before);
    return e;
}

/* ---- delete ---- */

static int check_empty(struct server_call *c, const struct catalog_object *v)
{
    static const enum catalog_kind kinds[] = {CATALOG_VM, CATALOG_VOLUME, CATALOG_SNAPSHOT,
                                              CATALOG_IMAGE};
    const struct api_host *host = v->doc;
    bool up = host->status.is == API_VALUE && host->status.v->state.v == API_HOST_STATUS_STATE_UP;
    if (up && (host->mode.is != API_VALUE || host->mode.v == API_HOST_MODE_ACTIVE))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "host %s is up and takes VMs: cordon or drain it first", v->name);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = catalog_under(c->s->catalog, kinds[i], &v->id)->n;
        if (n)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "host %s has %zu of kind %s: move or delete them first", v->name,
                                   n, catalog_kinds[kinds[i]].name);
    }
    return server_ref_unused(c, v, CATALOG_VM, "host");
}

static int leave_aggregates(struct server_call *c, struct server_txn *t,
                            const struct catalog_object *host)
{
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_AGGREGATE);
    for (size_t i = 0; i < list->n; i++) {
        struct catalog_slot *slot = list->slots[i];
        if (!server_ref_has(&((const struct api_aggregate *)slot->now->doc)->hosts, host))
            continue;
        int e = server_call_wait(c, slot);
        if (e)
            return e;
        struct catalog_object *v = catalog_copy(slot->now);
        if (!v)
            return no_memory(c);
        struct api_texts *hosts = &((struct api_aggregate *)v->doc)->hosts;
        uint32_t n = 0;
        for (uint32_t k = 0; k < hosts->n; k++)
            if (strcmp(hosts->v[k], host->id_text) != 0)
                hosts->v[n++] = hosts->v[k];
        hosts->n = n;
        server_txn_put(t, slot, v, true);
    }
    return 0;
}

/* Its certificate goes with it: nobody has that serial number any more. */
static int remove_host(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    int e = check_empty(c, v);
    return e ? e : leave_aggregates(c, t, v);
}

static const struct server_resource host_resource = {
    .kind = CATALOG_HOST, .patch = patch, .remove = remove_host};

static int host_get(struct server_call *c)
{
    return server_resource_get(c, &host_resource);
}
static int host_list(struct server_call *c)
{
    return server_resource_list(c, &host_resource);
}
static int host_patch(struct server_call *c)
{
    return server_resource_patch(c, &host_resource);
}
static int host_delete(struct server_call *c)
{
    return server_resource_delete(c, &host_resource);
}

/* ---- mode ---- */

static int set_mode(struct server_call *c, enum api_host_mode mode)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_HOST, 0);
    int e = slot ? server_call_wait(c, slot) : -ENOENT;
    if (e)
        return e;
    const struct api_host *now = slot->now->doc;
    bool fenced = server_host_fenced(c->s, &slot->now->id);
    bool back = fenced && mode == API_HOST_MODE_ACTIVE;
    if (now->mode.is == API_VALUE && now->mode.v == mode && !back) {
        server_call_reply_object(c, 200, slot->now);
        return 0;
    }
    struct server_txn *t = server_txn_begin(c->s, c);
    struct catalog_object *v = t ? catalog_copy(slot->now) : NULL;
    if (!v) {
        server_txn_abandon(t);
        return no_memory(c);
    }
    struct api_host *host = v->doc;
    host->mode.is = API_VALUE;
    host->mode.v = mode;
    server_host_empty_end(t, v);
    if (back) { /* its agent may come again */
        host->status.v->state.v = API_HOST_STATUS_STATE_UNREACHABLE;
        host->status.v->reason = (struct api_text){API_ABSENT, NULL};
    }
    server_txn_put(t, slot, v, true);
    t->answer = v;
    t->status = 200;
    return server_txn_commit(t, NULL, NULL);
}

static int host_cordon(struct server_call *c)
{
    return set_mode(c, API_HOST_MODE_CORDONED);
}
static int host_activate(struct server_call *c)
{
    return set_mode(c, API_HOST_MODE_ACTIVE);
}

const struct server_route server_infra_routes[] = {
    {API_OP_HOST_LIST, host_list},
    {API_OP_HOST_GET, host_get},
    {API_OP_HOST_PATCH, host_patch},
    {API_OP_HOST_DELETE, host_delete},
    {API_OP_HOST_CORDON, host_cordon},
    {API_OP_HOST_ACTIVATE, host_activate},
    {0},
};
