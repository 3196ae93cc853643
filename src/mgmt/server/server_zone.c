/* Zones. One of them is where things go that ask for none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_ref.h"

static bool is_default(const struct catalog_object *v)
{
    const struct api_zone *zone = v->doc;
    return zone->default_.is == API_VALUE && zone->default_.v;
}

struct catalog_slot *server_zone_default(struct server *s)
{
    const struct catalog_list *list = catalog_all(s->catalog, CATALOG_ZONE);
    for (size_t i = 0; i < list->n; i++)
        if (is_default(list->slots[i]->now))
            return list->slots[i];
    return NULL;
}

/* One that becomes the default takes that from the one that was. */
static int take_default(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    struct catalog_slot *other = server_zone_default(c->s);
    if (!is_default(v) || !other || !memcmp(&other->now->id, &v->id, sizeof(v->id)))
        return 0;
    int e = server_call_wait(c, other);
    struct catalog_object *was = e ? NULL : catalog_copy(other->now);
    if (e)
        return e;
    if (!was)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    ((struct api_zone *)was->doc)->default_.v = false;
    server_txn_put(t, other, was, true);
    return 0;
}

/* ---- what is counted ---- */

static struct catalog_slot *zone_of(const struct catalog_list *zones, const struct store_id *id)
{
    size_t low = 0, high = zones->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(&zones->slots[middle]->now->id, id, sizeof(*id));
        if (!order)
            return zones->slots[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void count_hosts(struct server *s, const struct catalog_list *zones)
{
    const struct catalog_list *hosts = catalog_all(s->catalog, CATALOG_HOST);
    for (size_t i = 0; i < hosts->n; i++) {
        const struct api_host *host = hosts->slots[i]->now->doc;
        struct store_id id;
        struct catalog_slot *slot =
            host->zone.is == API_VALUE && !catalog_id_parse(host->zone.v, &id) ? zone_of(zones, &id)
                                                                               : NULL;
        if (!slot)
            continue;
        struct api_zone_status *status = ((struct api_zone *)slot->now->doc)->status.v;
        status->hosts.v++;
        status->hosts_up.v +=
            host->status.is == API_VALUE && host->status.v->state.v == API_HOST_STATUS_STATE_UP;
    }
}

int server_zone_set_status(struct catalog_object *v)
{
    struct api_zone *zone = v->doc;
    zone->status.v = api_json_new(&api_types_zone_status, &v->arena);
    if (!zone->status.v)
        return -ENOMEM;
    zone->status.is = API_VALUE;
    zone->status.v->hosts = zone->status.v->hosts_up = (struct api_int){API_VALUE, 0};
    return 0;
}

/* A version to be shown, and not published. NULL: no memory. */
static struct catalog_object *shown_copy(const struct catalog_object *v)
{
    struct catalog_object *copy = catalog_copy(v);
    if (copy && !server_zone_set_status(copy))
        return copy;
    catalog_unref(copy);
    return NULL;
}

/* Counts the hosts of `n` zones, and calls `reply` with them as they are shown. */
static int with_status(struct server_call *c, struct catalog_slot *const *zones, size_t n,
                       int (*reply)(struct server_call *c, const struct catalog_list *shown))
{
    struct catalog_slot *slots = calloc(n + 1, sizeof(*slots));
    struct catalog_slot **pointers = calloc(n + 1, sizeof(struct catalog_slot *));
    struct catalog_list shown = {.slots = pointers, .n = n};
    bool failed = !slots || !pointers;
    for (size_t i = 0; !failed && i < n; i++) {
        slots[i].now = shown_copy(zones[i]->now);
        pointers[i] = &slots[i];
        failed = !slots[i].now;
    }
    if (!failed)
        count_hosts(c->s, &shown);
    for (size_t i = 0; !failed && i < n; i++)
        failed = catalog_seal(slots[i].now) != 0;
    int r = failed
                ? api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again")
                : reply(c, &shown);
    for (size_t i = 0; slots && i < n; i++)
        catalog_unref(slots[i].now);
    free(slots);
    free(pointers);
    return r;
}

static int reply_one(struct server_call *c, const struct catalog_list *shown)
{
    server_call_reply_object(c, 200, shown->slots[0]->now);
    return 0;
}

static int reply_all(struct server_call *c, const struct catalog_list *shown)
{
    return server_list_reply(c, shown, NULL);
}

/* ---- made, changed, deleted ---- */

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    if (server_zone_set_status(v))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    return take_default(c, t, v);
}

static int patch(struct server_call *c, struct server_txn *t, const struct catalog_object *before,
                 struct catalog_object *v)
{
    struct catalog_slot slot = {.now = v}, *pointer = &slot;
    const struct catalog_list shown = {.slots = &pointer, .n = 1};
    if (is_default(before) && !is_default(v))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE, "/default",
                               "one zone has to be the default: set default of another one, which "
                               "takes it from this");
    if (server_zone_set_status(v))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    count_hosts(c->s, &shown);
    return take_default(c, t, v);
}

static int remove_zone(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    static const enum catalog_kind kinds[] = {
        CATALOG_HOST, CATALOG_AGGREGATE, CATALOG_HOST_JOIN_TOKEN, CATALOG_RESERVATION, CATALOG_VM};
    int e = 0;
    (void)t;
    if (is_default(v))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "zone %s is the default: make another one the default first",
                               v->name);
    for (size_t i = 0; !e && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        e = server_ref_unused(c, v, kinds[i], "zone");
    return e;
}

static const struct server_resource zone_resource = {
    .kind = CATALOG_ZONE, .create = create, .patch = patch, .remove = remove_zone};

static int zone_get(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_ZONE, 0);
    return slot ? with_status(c, &slot, 1, reply_one) : -ENOENT;
}

static int zone_list(struct server_call *c)
{
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_ZONE);
    return with_status(c, list->slots, list->n, reply_all);
}

static int zone_create(struct server_call *c)
{
    return server_resource_create(c, &zone_resource);
}
static int zone_patch(struct server_call *c)
{
    return server_resource_patch(c, &zone_resource);
}
static int zone_delete(struct server_call *c)
{
    return server_resource_delete(c, &zone_resource);
}

const struct server_route server_zone_routes[] = {
    {API_OP_ZONE_LIST, zone_list},   {API_OP_ZONE_CREATE, zone_create}, {API_OP_ZONE_GET, zone_get},
    {API_OP_ZONE_PATCH, zone_patch}, {API_OP_ZONE_DELETE, zone_delete}, {0},
};
