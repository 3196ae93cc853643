/* Volumes, snapshots, pools and images: what they share with the rest of the server.
 *
 * Theory of operation. An object's document says what is wanted (its phase and the number of its
 * wish); a fact says what an agent reported last. Settling looks at both and makes one change, if
 * one follows: it runs when a fact comes, when an object was written, when a host comes or goes.
 * While that change is on its way nothing else is begun for the object; once it is there, settling
 * runs again. A change that the store did not take is tried again after a while. So it does not
 * matter in which order things happen, or how often, or which of them the server slept through. */
#include "mgmt/server/server_storage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_storage_internal.h"

static const struct store_id nowhere;

/* ---- settling ---- */

void server_storage_settle(struct server *s, enum catalog_kind kind, const struct store_id *id)
{
    struct catalog_slot *slot = catalog_find(s->catalog, kind, id);
    if (!slot || slot->writing)
        return;
    struct server_storage_fact *f = server_storage_fact_get(s->storage, kind, id, &nowhere);
    if (!f || f->settling)
        return;
    if (kind == CATALOG_IMAGE)
        server_image_settle(s, slot, f);
    else
        server_storage_settle_disk(s, slot, f);
}

/* Settling may remove objects, but not before the store has answered. */
void server_storage_settle_all(struct server *s, enum catalog_kind kind,
                               const struct store_id *host)
{
    const struct catalog_list *list =
        host ? catalog_under(s->catalog, kind, host) : catalog_all(s->catalog, kind);
    for (size_t i = 0; i < list->n; i++)
        server_storage_settle(s, kind, &list->slots[i]->now->id);
}

static void arm(struct server_storage *st)
{
    if (st->timer && !st->armed)
        web_timer_arm(st->timer, SERVER_STORAGE_RETRY_US);
    st->armed = true;
}

/* One pass over all facts: it follows a store that failed, and is rare. */
static void retry(void *ctx)
{
    struct server_storage *st = ctx;
    st->armed = false;
    for (size_t i = 0; i < st->n_buckets; i++)
        for (struct server_storage_fact *f = st->facts[i]; f; f = f->next)
            if (f->retry) {
                f->retry = f->settling = false;
                server_storage_settle(st->s, f->kind, &f->id);
            }
}

static void put_off(struct server_storage *st, struct server_storage_fact *f)
{
    f->settling = f->retry = true;
    arm(st);
}

struct server_txn *server_storage_change(struct server *s, struct server_storage_fact *f)
{
    struct server_txn *t = server_txn_begin(s, NULL);
    if (t)
        f->settling = true;
    else
        put_off(s->storage, f);
    return t;
}

struct key {
    enum catalog_kind kind;
    struct store_id id;
};

/* The fact may be gone with its object. Settling goes on in server_storage_written(). */
static void changed(struct server_txn *t, int result)
{
    const struct key *key = t->ctx;
    struct server_storage *st = t->s->storage;
    struct server_storage_fact *f = server_storage_fact_find(st, key->kind, &key->id, &nowhere);
    if (f && result)
        put_off(st, f);
    else if (f)
        f->settling = false;
}

void server_storage_commit(struct server_txn *t, struct server_storage_fact *f)
{
    struct server_storage *st = t->s->storage;
    struct key *key = api_arena_alloc(&t->arena, sizeof(*key));
    if (!key) {
        t->failed = -ENOMEM;
    } else {
        key->kind = f->kind;
        key->id = f->id;
    }
    if (server_txn_commit(t, changed, key))
        put_off(st, f);
}

/* ---- hooks ---- */

static void count_volume(struct server_storage *st, const struct catalog_object *v, int sign)
{
    const struct api_volume *doc = v->doc;
    struct store_id id, host = nowhere;
    if (server_storage_id(&doc->image, &id))
        server_storage_sum_add(st, CATALOG_IMAGE, &id, &nowhere, sign);
    if (server_storage_id(&doc->snapshot, &id))
        server_storage_sum_add(st, CATALOG_SNAPSHOT, &id, &nowhere, sign);
    if (!server_storage_id(&doc->pool, &id) || doc->size_gib.is != API_VALUE)
        return;
    server_storage_sum_add(st, CATALOG_POOL, &id, &nowhere, sign * doc->size_gib.v);
    if (server_storage_id(&v->own->host, &host))
        server_storage_sum_add(st, CATALOG_POOL, &id, &host, sign * doc->size_gib.v);
}

/* A host that could not have the image is asked again by a new volume, and what it said before does
 * not count. */
static void ask_again(struct server_storage *st, const struct catalog_object *v)
{
    struct store_id image, host;
    if (!server_storage_id(&((const struct api_volume *)v->doc)->image, &image) ||
        !server_storage_id(&v->own->host, &host))
        return;
    struct server_storage_fact *f = server_storage_fact_find(st, CATALOG_IMAGE, &image, &host);
    if (f && f->state == SERVER_STORAGE_FAILED)
        f->reported = false;
}

/* Added first: a sum that passes through zero would be forgotten, which is fine, but not below. */
void server_storage_changed(struct server *s, const struct catalog_object *before,
                            const struct catalog_object *after)
{
    enum catalog_kind kind = after ? after->kind : before->kind;
    if (!s->storage)
        return;
    if (kind == CATALOG_VOLUME) {
        if (after)
            count_volume(s->storage, after, 1);
        if (after && !before)
            ask_again(s->storage, after);
        if (before)
            count_volume(s->storage, before, -1);
    }
    if (after)
        return;
    if (kind == CATALOG_VOLUME || kind == CATALOG_SNAPSHOT || kind == CATALOG_IMAGE)
        server_storage_fact_forget(s->storage, kind, &before->id);
    if (kind == CATALOG_IMAGE)
        server_image_unlink(s, before);
}

void server_storage_written(struct server *s, enum catalog_kind kind, const struct store_id *id)
{
    switch (kind) {
    case CATALOG_VOLUME:
    case CATALOG_SNAPSHOT:
    case CATALOG_IMAGE:
        server_storage_settle(s, kind, id);
        break;
    case CATALOG_POOL: /* a host may be able to import now */
        server_storage_settle_all(s, CATALOG_IMAGE, NULL);
        break;
    case CATALOG_HOST:
        if (!server_storage_host_exists(s, id)) {
            server_storage_settle_all(s, CATALOG_VOLUME, id);
            server_storage_settle_all(s, CATALOG_SNAPSHOT, id);
        }
        if (server_storage_host_lost(s, id))
            server_storage_settle_all(s, CATALOG_IMAGE, NULL);
        break;
    default:
        break;
    }
}

struct server_storage *server_storage_create(struct server *s)
{
    struct server_storage *st = calloc(1, sizeof(*st));
    if (!st)
        return NULL;
    st->s = s;
    st->timer = web_timer_create(s->loop, retry, st);
    if (st->timer)
        return st;
    free(st);
    return NULL;
}

void server_storage_destroy(struct server_storage *st)
{
    if (!st)
        return;
    web_timer_destroy(st->timer);
    server_storage_fact_fini(st);
    server_storage_pool_fini(st);
    free(st);
}

/* What was left half way is taken up again. */
int server_storage_start(struct server *s, struct err *err)
{
    int r = server_image_start(s, err);
    if (r)
        return r;
    server_storage_settle_all(s, CATALOG_VOLUME, NULL);
    server_storage_settle_all(s, CATALOG_SNAPSHOT, NULL);
    server_storage_settle_all(s, CATALOG_IMAGE, NULL);
    return 0;
}

const struct server_route server_storage_routes[] = {
    {API_OP_POOL_LIST, server_storage_pool_list},
    {API_OP_POOL_CREATE, server_storage_pool_create},
    {API_OP_POOL_GET, server_storage_pool_get},
    {API_OP_POOL_PATCH, server_storage_pool_patch},
    {API_OP_POOL_DELETE, server_storage_pool_delete},
    {API_OP_VOLUME_LIST, server_storage_volume_list},
    {API_OP_VOLUME_CREATE, server_storage_volume_create},
    {API_OP_VOLUME_GET, server_storage_volume_get},
    {API_OP_VOLUME_PATCH, server_storage_volume_patch},
    {API_OP_VOLUME_DELETE, server_storage_volume_delete},
    {API_OP_VOLUME_RESIZE, server_storage_volume_resize},
    {API_OP_VOLUME_RESTORE, server_storage_volume_restore},
    {API_OP_SNAPSHOT_LIST, server_storage_snapshot_list},
    {API_OP_SNAPSHOT_CREATE, server_storage_snapshot_create},
    {API_OP_SNAPSHOT_GET, server_storage_snapshot_get},
    {API_OP_SNAPSHOT_PATCH, server_storage_snapshot_patch},
    {API_OP_SNAPSHOT_DELETE, server_storage_snapshot_delete},
    {0},
};
