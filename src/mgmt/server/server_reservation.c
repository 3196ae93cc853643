/* Reservations, as people ask for them. One that begins at once has all its room with the answer,
 * or is refused. */
#include "mgmt/server/server_reservation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"
#include "mgmt/server/server_flavor.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_ref.h"
#include "mgmt/server/server_usage.h"

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

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* ---- room ---- */

static int no_room(struct server_call *c, const struct catalog_object *v, uint32_t lacks)
{
    const struct api_reservation *doc = v->doc;
    struct sched_request request;
    struct sched_refusals refusals;
    const char *which = "";
    char text[384] = "";
    const char *what = server_reservation_request(c->s, v, &request, &which);
    if (what)
        snprintf(text, sizeof(text), "no host %s %s", what, which);
    else if (!sched_explain(c->s->sched, &request, &refusals, NULL))
        sched_refusals_text(&refusals, text, sizeof(text));
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                           "reservation %s: there is no room for %u of %lld places (%s): ask for "
                           "fewer, or for a later time",
                           doc->name.v, lacks, (long long)doc->count.v, text);
}

/* `strict`: it has room for all, or is refused. */
static int fill(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                const struct server_reservation *aux, bool strict)
{
    const struct api_reservation *doc = v->doc;
    uint32_t lacks = 0;
    if (time_of(&doc->starts_at, 0) > server_now_ms())
        return 0;
    int r = server_reservation_fill(t, v, aux, &lacks);
    if (r == -ENOMEM)
        return no_memory(c);
    if (r)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_CONFLICT,
                               "hosts changed meanwhile: try again");
    return lacks && strict ? no_room(c, v, lacks) : 0;
}

/* ---- made, changed, deleted ---- */

static int make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_reservation *r = v->doc;
    struct catalog_slot *flavor;
    int e = server_flavor_ref(t, v, &r->flavor, "/flavor", &flavor);
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
        return no_memory(c);
    r->status.is = r->status.v->state.is = API_VALUE;
    r->status.v->state.v = API_RESERVATION_STATUS_STATE_PENDING;
    r->status.v->held = r->status.v->used = (struct api_int){API_VALUE, 0};
    server_reservation_size(v, flavor->now->doc);
    return fill(c, t, v, NULL, true);
}

static bool same_text(const struct api_text *a, const struct api_text *b)
{
    return a->is == b->is && (a->is != API_VALUE || !strcmp(a->v, b->v));
}

static int change(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                  struct catalog_object *v)
{
    const struct api_reservation *was = before->doc, *r = v->doc;
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_RESERVATION, &v->id);
    bool same_end = same_text(&was->ends_at, &r->ends_at), same_count = was->count.v == r->count.v;
    long long used = slot ? server_reservation_used(slot) : 0;
    if (same_end && same_count)
        return 0;
    if (was->status.v->state.v == API_RESERVATION_STATUS_STATE_ENDED)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "reservation %s has ended: make another one", before->name);
    if (r->count.v < used)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/count",
                               "%lld VMs use it: keep room for as many", used);
    int e = same_end ? 0 : check_times(c, r);
    return e || same_count ? e : fill(c, t, v, slot ? slot->aux : NULL, r->count.v > was->count.v);
}

/* Its VMs stay, as what they are: a name that leads nowhere is none. */
static int end(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    (void)c;
    server_usage_end(t, v);
    return 0;
}

static const struct server_resource reservation = {
    .kind = CATALOG_RESERVATION, .create = make, .patch = change, .remove = end};

static int reservation_create(struct server_call *c)
{
    return server_resource_create(c, &reservation);
}

static int reservation_get(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_RESERVATION, 0);
    if (!slot)
        return -ENOENT;
    server_reservation_show(c->s, slot);
    return server_resource_get(c, &reservation);
}

static int reservation_list(struct server_call *c)
{
    const struct catalog_list *all = catalog_all(c->s->catalog, CATALOG_RESERVATION);
    for (size_t i = 0; i < all->n; i++)
        server_reservation_show(c->s, all->slots[i]);
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

const struct server_route server_reservation_routes[] = {
    {API_OP_RESERVATION_LIST, reservation_list},
    {API_OP_RESERVATION_CREATE, reservation_create},
    {API_OP_RESERVATION_GET, reservation_get},
    {API_OP_RESERVATION_PATCH, reservation_patch},
    {API_OP_RESERVATION_DELETE, reservation_delete},
    {0},
};

/* ---- VMs that use one ---- */

int server_reservation_usable(struct server_call *c, const struct catalog_object *v,
                              const char *flavor_id)
{
    const struct api_reservation *r = v->doc;
    enum api_reservation_status_state state = r->status.v->state.v;
    if (state == API_RESERVATION_STATUS_STATE_PENDING)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, "/reservation",
                               "reservation %s has not begun (starts_at %s): wait, or leave it out",
                               v->name, r->starts_at.is == API_VALUE ? r->starts_at.v : "now");
    if (state == API_RESERVATION_STATUS_STATE_ENDED)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, "/reservation",
                               "reservation %s has ended: name another one, or leave it out",
                               v->name);
    if (strcmp(r->flavor.v, flavor_id) != 0)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/reservation",
                               "reservation %s keeps room for VMs of flavor %s: name that flavor, "
                               "or leave it out",
                               v->name, r->flavor.v);
    return 0;
}

const struct catalog_slot *server_reservation_of(struct server *s, const struct api_vm *vm)
{
    const struct catalog_slot *slot =
        vm->reservation.is == API_VALUE
            ? catalog_find_id(s->catalog, CATALOG_RESERVATION, vm->reservation.v)
            : NULL;
    const struct api_reservation *r = slot ? slot->now->doc : NULL;
    return r && (r->status.v->state.v == API_RESERVATION_STATUS_STATE_ACTIVE ||
                 r->status.v->state.v == API_RESERVATION_STATUS_STATE_PARTIAL)
               ? slot
               : NULL;
}
