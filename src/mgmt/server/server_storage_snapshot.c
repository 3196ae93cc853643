/* Snapshots as users make, change and delete them. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_storage_internal.h"

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* Beside its volume, and as large as that is now. */
static int lay(struct server_call *c, struct server_txn *t, struct catalog_object *v,
               const struct catalog_object *volume)
{
    struct api_snapshot *doc = v->doc;
    const struct api_volume *of = volume->doc;
    struct store_id host;
    if (!server_storage_id(&volume->own->host, &host) || !server_storage_value(&of->pool))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "volume %s lies nowhere: it has no content to keep", volume->name);
    int r = server_quota_add(t, &v->project, "volume_gib", of->size_gib.v);
    if (r)
        return r;
    server_storage_wish_next(v);
    if (server_storage_set_phase(v, SERVER_STORAGE_MAKING) || server_storage_set_host(v, &host) ||
        server_meta_text(v, &v->own->pool, of->pool.v))
        return no_memory(c);
    doc->quiesce = (struct api_bool){0}; /* a wish of the moment */
    doc->status.v->size_gib = of->size_gib;
    return server_storage_begin(t, v, false);
}

static int snapshot_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_snapshot *doc = v->doc;
    struct catalog_slot *volume;
    int r = server_storage_ref(c, v, CATALOG_VOLUME, &doc->volume, "/volume", &volume);
    if (r)
        return r;
    if (server_storage_phase(volume->now) != SERVER_STORAGE_READY)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "volume %s is not available: wait until it is", volume->now->name);
    r = server_storage_unused(c, volume->now, "make a snapshot of its volumes");
    return r ? r : lay(c, t, v, volume->now);
}

int server_storage_snapshot_delete(struct server_call *c)
{
    struct catalog_slot *slot;
    int r = server_storage_deletable(c, CATALOG_SNAPSHOT, "", &slot);
    if (!r)
        r = server_image_copied(c, slot->now);
    if (!r)
        r = server_storage_unprotected(c, slot->now);
    return r ? r : server_storage_delete(c, slot);
}

static const struct server_resource snapshot = {
    .kind = CATALOG_SNAPSHOT, .create = snapshot_create, .quota = "snapshots"};

int server_storage_snapshot_create(struct server_call *c)
{
    return server_resource_create(c, &snapshot);
}

int server_storage_snapshot_get(struct server_call *c)
{
    return server_resource_get(c, &snapshot);
}

int server_storage_snapshot_list(struct server_call *c)
{
    return server_resource_list(c, &snapshot);
}

int server_storage_snapshot_patch(struct server_call *c)
{
    return server_resource_patch(c, &snapshot);
}
