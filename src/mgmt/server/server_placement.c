/* Server groups and reservations, as they are asked for; what becomes of them the scheduler says.
 */
#include <errno.h>
#include <string.h>

#include "api/api_format.h"
#include "mgmt/server/server_flavor.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_ref.h"

/* ---- server groups ---- */

static int group_make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_server_group *group = v->doc;
    (void)t;
    if (group->max_per_host.is == API_VALUE &&
        group->policy.v != API_SERVER_GROUP_POLICY_ANTI_AFFINITY)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/max_per_host",
                               "it belongs to the policy anti_affinity: leave it out");
    group->status.v = api_json_new(&api_types_server_group_status, &v->arena);
    if (!group->status.v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    group->status.is = API_VALUE;
    group->status.v->members.is = API_VALUE;
    group->status.v->violations = (struct api_int){API_VALUE, 0};
    return 0;
}

static int group_remove(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    (void)t;
    return server_ref_unused(c, v, CATALOG_VM, "server_group");
}

static const struct server_resource group = {
    .kind = CATALOG_SERVER_GROUP, .create = group_make, .remove = group_remove};

static int group_create(struct server_call *c)
{
    return server_resource_create(c, &group);
}
static int group_get(struct server_call *c)
{
    return server_resource_get(c, &group);
}
static int group_list(struct server_call *c)
{
    return server_resource_list(c, &group);
}
static int group_patch(struct server_call *c)
{
    return server_resource_patch(c, &group);
}
static int group_delete(struct server_call *c)
{
    return server_resource_delete(c, &group);
}

/* ---- reservations ---- */

/* Absent: `otherwise`. */
static int64_t time_of(const struct api_text *text, int64_t otherwise)
{
    int64_t ms;
    return text->is == API_VALUE && !api_format_time(text->v, &ms) ? ms : otherwise;
}

static int check_times(struct server_call *c, const struct api_reservation *r)
{
    int64_t now_ms = server_now_ms();
    int64_t begin_ms = time_of(&r->starts_at, 0), end_ms = time_of(&r->ends_at, INT64_MAX);
    if (end_ms <= now_ms)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/ends_at",
                               "%s is over: name a time to come", r->ends_at.v);
    if (end_ms <= begin_ms)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/ends_at",
                               "%s is not after starts_at, %s: name a later time", r->ends_at.v,
                               r->starts_at.v);
    return 0;
}

static int reservation_make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_reservation *r = v->doc;
    int e = server_flavor_ref(t, v, &r->flavor, "/flavor", NULL);
    if (!e)
        e = server_ref_one(t, v, CATALOG_ZONE, &r->zone, "/zone", NULL);
    if (!e)
        e = server_ref_one(t, v, CATALOG_AGGREGATE, &r->aggregate, "/aggregate", NULL);
    if (!e)
        e = check_times(c, r);
    if (e)
        return e;
    r->status.v = api_json_new(&api_types_reservation_status, &v->arena);
    if (!r->status.v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    r->status.is = r->status.v->state.is = API_VALUE;
    r->status.v->state.v = API_RESERVATION_STATUS_STATE_PENDING;
    r->status.v->held = r->status.v->used = (struct api_int){API_VALUE, 0};
    return 0;
}

static int reservation_change(struct server_call *c, struct server_txn *t,
                              const struct catalog_object *before, struct catalog_object *v)
{
    const struct api_reservation *was = before->doc, *r = v->doc;
    int64_t used = was->status.is == API_VALUE && was->status.v->used.is == API_VALUE
                       ? was->status.v->used.v
                       : 0;
    (void)t;
    if (r->count.v < used)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/count",
                               "%lld VMs use it: keep room for as many", (long long)used);
    bool same_end = time_of(&was->ends_at, 0) == time_of(&r->ends_at, 0);
    return same_end ? 0 : check_times(c, r);
}

static int reservation_remove(struct server_call *c, struct server_txn *t,
                              const struct catalog_object *v)
{
    (void)t;
    return server_ref_unused(c, v, CATALOG_VM, "reservation");
}

static const struct server_resource reservation = {.kind = CATALOG_RESERVATION,
                                                   .create = reservation_make,
                                                   .patch = reservation_change,
                                                   .remove = reservation_remove};

static int reservation_create(struct server_call *c)
{
    return server_resource_create(c, &reservation);
}
static int reservation_get(struct server_call *c)
{
    return server_resource_get(c, &reservation);
}
static int reservation_list(struct server_call *c)
{
    return server_resource_list(c, &reservation);
}
static int reservation_patch(struct server_call *c)
{
    return server_resource_patch(c, &reservation);
}
static int reservation_delete(struct server_call *c)
{
    return server_resource_delete(c, &reservation);
}

const struct server_route server_placement_routes[] = {
    {API_OP_SERVER_GROUP_LIST, group_list},
    {API_OP_SERVER_GROUP_CREATE, group_create},
    {API_OP_SERVER_GROUP_GET, group_get},
    {API_OP_SERVER_GROUP_PATCH, group_patch},
    {API_OP_SERVER_GROUP_DELETE, group_delete},
    {API_OP_RESERVATION_LIST, reservation_list},
    {API_OP_RESERVATION_CREATE, reservation_create},
    {API_OP_RESERVATION_GET, reservation_get},
    {API_OP_RESERVATION_PATCH, reservation_patch},
    {API_OP_RESERVATION_DELETE, reservation_delete},
    {0},
};
