/* Volumes as users make, change and delete them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

static const struct store_id nowhere;

/* ---- a new one ---- */

static const char *at(char text[static 64], const char *where, const char *member)
{
    snprintf(text, 64, "%s/%s", where, member);
    return text;
}

/* What the driver of today does not do. */
static int check_features(struct server_call *c, const struct catalog_object *v)
{
    const struct api_volume *doc = v->doc;
    const struct api_qos *qos = doc->qos.is == API_VALUE ? doc->qos.v : NULL;
    const char *what = NULL, *instead = "";
    if (doc->encrypted.is == API_VALUE && doc->encrypted.v)
        what = "encrypted: true";
    else if (qos && (qos->read_iops.is == API_VALUE || qos->write_iops.is == API_VALUE ||
                     qos->read_mib_per_s.is == API_VALUE || qos->write_mib_per_s.is == API_VALUE))
        what = "qos";
    if (doc->source_volume.is == API_VALUE) {
        what = "source_volume";
        instead = ", and make it from a snapshot of that volume";
    }
    if (!what)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "%s: no volume driver of this cloud offers it: leave it out%s", what,
                           instead);
}

/* It can only be made on one host: is that where it shall be? */
static int bind_host(struct server_call *c, struct server_storage_place *p,
                     const struct store_id *host, const struct catalog_object *from)
{
    char text[UUID_TEXT_BYTES];
    if (catalog_id_is_zero(&p->host))
        p->host = *host;
    if (!memcmp(&p->host, host, sizeof(*host)))
        return 0;
    uuid_format(host->bytes, text);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                           "%s %s lies on host %s and cannot be had on another: ask for that host",
                           catalog_kinds[from->kind].name, from->name, text);
}

/* From a snapshot: beside it, and at least as large. */
static int use_snapshot(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                        struct server_storage_place *p, const struct catalog_object *snapshot,
                        const char *where)
{
    struct api_volume *doc = v->doc;
    const struct api_snapshot *of = snapshot->doc;
    struct store_id host, pool;
    char text[64];
    if (server_storage_phase(snapshot) != SERVER_STORAGE_READY ||
        !server_storage_id(&snapshot->own->host, &host) ||
        !server_storage_id(&snapshot->own->pool, &pool))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "snapshot %s is not available: wait until it is, or use another",
                               snapshot->name);
    int64_t least = of->status.v->size_gib.is == API_VALUE ? of->status.v->size_gib.v : 1;
    if (doc->size_gib.is != API_VALUE)
        doc->size_gib = (struct api_int){API_VALUE, least};
    if (doc->size_gib.v < least)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               at(text, where, "size_gib"),
                               "%lld: snapshot %s has %lld GiB: ask for as many or more",
                               (long long)doc->size_gib.v, snapshot->name, (long long)least);
    if (!catalog_id_is_zero(&p->pool) && memcmp(&p->pool, &pool, sizeof(pool)) != 0)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               at(text, where, "pool"),
                               "snapshot %s lies in another pool: leave pool out", snapshot->name);
    p->pool = pool;
    server_storage_sum_hold(t, CATALOG_SNAPSHOT, &snapshot->id, &nowhere, 1);
    return bind_host(c, p, &host, snapshot);
}

static int use_image(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                     struct server_storage_place *p, const struct catalog_object *image,
                     const char *where)
{
    struct api_volume *doc = v->doc;
    struct store_id host;
    char text[64];
    int64_t needs_gib;
    int r = server_image_use(c, t, image, doc->size_gib.is == API_VALUE ? doc->size_gib.v : 0,
                             at(text, where, "size_gib"), &needs_gib);
    if (r)
        return r;
    if (doc->size_gib.is != API_VALUE)
        doc->size_gib = (struct api_int){API_VALUE, needs_gib};
    p->image = image;
    return server_image_host_of(image, &host) ? bind_host(c, p, &host, image) : 0;
}

static int use_source(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                      struct server_storage_place *p, const char *where)
{
    struct api_volume *doc = v->doc;
    struct catalog_slot *image, *snapshot, *pool, *zone;
    char text[64];
    int r = server_storage_ref(c, v, CATALOG_POOL, &doc->pool, at(text, where, "pool"), &pool);
    if (!r)
        r = server_storage_ref(c, v, CATALOG_ZONE, &doc->zone, at(text, where, "zone"), &zone);
    if (!r)
        r = server_storage_ref(c, v, CATALOG_IMAGE, &doc->image, at(text, where, "image"), &image);
    if (!r)
        r = server_storage_ref(c, v, CATALOG_SNAPSHOT, &doc->snapshot, at(text, where, "snapshot"),
                               &snapshot);
    if (r)
        return r;
    p->pool = pool ? pool->now->id : nowhere;
    p->zone = zone ? zone->now->id : nowhere;
    if (image && snapshot)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                               at(text, where, "snapshot"),
                               "an image is given too: give one or the other");
    if (image)
        return use_image(c, t, v, p, image->now, where);
    if (snapshot)
        return use_snapshot(c, t, v, p, snapshot->now, where);
    if (doc->size_gib.is == API_VALUE)
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID,
                           at(text, where, "size_gib"),
                           "missing: an empty volume needs a size, 1 to 65536");
}

int server_storage_volume_init(struct server_call *c, struct server_txn *t,
                               struct catalog_object *v, struct server_storage_place *p,
                               const char *where)
{
    struct api_volume *doc = v->doc;
    char why[256], pool[UUID_TEXT_BYTES];
    int r = check_features(c, v);
    if (!r)
        r = use_source(c, t, v, p, where);
    if (r)
        return r;
    p->project = v->project;
    p->size_gib = doc->size_gib.v;
    if (server_storage_place(c->s, p, why))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                               "no place for a volume: %s", why);
    r = server_quota_add(t, &v->project, "volume_gib", doc->size_gib.v);
    if (r)
        return r;
    server_storage_sum_hold(t, CATALOG_POOL, &p->found_pool, &nowhere, doc->size_gib.v);
    server_storage_sum_hold(t, CATALOG_POOL, &p->found_pool, &p->found_host, doc->size_gib.v);
    server_storage_wish_next(v);
    uuid_format(p->found_pool.bytes, pool);
    r = server_storage_set_phase(v, SERVER_STORAGE_MAKING);
    if (!r)
        r = server_storage_set_host(v, &p->found_host);
    if (!r)
        r = server_meta_text(v, &doc->pool, pool);
    return r ? api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again")
             : 0;
}

static int volume_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct server_storage_place p = {0};
    int r = server_storage_volume_init(c, t, v, &p, "");
    return r ? r : server_storage_begin(t, v, false);
}

/* ---- changes ---- */

static int volume_patch(struct server_call *c, struct server_txn *t,
                        const struct catalog_object *before, struct catalog_object *v)
{
    (void)t;
    (void)before;
    return check_features(c, v);
}

int server_storage_unused(struct server_call *c, const struct catalog_object *volume,
                          const char *what)
{
    struct store_id id;
    if (!server_storage_id(&volume->own->vm, &id))
        return 0;
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_VM, &id);
    const struct api_vm *vm = slot ? slot->now->doc : NULL;
    const struct api_vm_status *status = vm && vm->status.is == API_VALUE ? vm->status.v : NULL;
    if (!status || status->state.v == API_VM_STATE_STOPPED ||
        status->state.v == API_VM_STATE_SHELVED || status->state.v == API_VM_STATE_DELETED)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                           "volume %s is in use by VM %s, which is %s: stop it to %s", volume->name,
                           slot->now->name, api_types_vm_state.names[status->state.v], what);
}

/* Of the path, ready for a new operation. */
static int take(struct server_call *c, struct catalog_slot **slot)
{
    *slot = server_call_object(c, CATALOG_VOLUME, 0);
    int r = *slot ? server_call_wait(c, *slot) : -ENOENT;
    if (!r)
        r = server_call_match(c, (*slot)->now);
    return r;
}

static int check_resize(struct server_call *c, const struct catalog_object *v, int64_t size_gib)
{
    const struct api_volume *doc = v->doc;
    if (server_storage_phase(v) != SERVER_STORAGE_READY)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "volume %s is not available: only such volumes are resized",
                               v->name);
    if (size_gib < doc->size_gib.v)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/size_gib",
                               "%lld: the volume has %lld GiB and never shrinks: ask for more",
                               (long long)size_gib, (long long)doc->size_gib.v);
    return server_storage_unused(c, v, "resize it");
}

/* Room on its host for what is added. */
static int grow(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                int64_t size_gib)
{
    struct api_volume *doc = v->doc;
    struct server_storage_place p = {.size_gib = size_gib - doc->size_gib.v};
    char why[256] = "it lies nowhere";
    if (!server_storage_id(&v->own->host, &p.host) || !server_storage_id(&doc->pool, &p.pool) ||
        (p.size_gib && server_storage_place(c->s, &p, why)))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_PLACEMENT_NO_HOST,
                               "no room to grow: %s", why);
    int r = server_quota_add(t, &v->project, "volume_gib", p.size_gib);
    if (r)
        return r;
    server_storage_sum_hold(t, CATALOG_POOL, &p.pool, &nowhere, p.size_gib);
    server_storage_sum_hold(t, CATALOG_POOL, &p.pool, &p.host, p.size_gib);
    v->own->was_gib = doc->size_gib;
    doc->size_gib.v = size_gib;
    server_storage_wish_next(v);
    r = server_storage_set_phase(v, SERVER_STORAGE_CHANGING);
    return r ? r : server_storage_begin(t, v, false);
}

int server_storage_volume_resize(struct server_call *c)
{
    const struct api_volume_resize *body = c->request.body;
    struct catalog_slot *slot;
    int r = take(c, &slot);
    if (!r)
        r = server_storage_idle(c, slot->now);
    if (!r)
        r = check_resize(c, slot->now, body->size_gib.v);
    struct server_txn *t = r ? NULL : server_txn_begin(c->s, c);
    if (!t)
        return r ? r : -EAGAIN;
    struct catalog_object *v = catalog_copy(slot->now);
    r = v ? grow(c, t, v, body->size_gib.v)
          : api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    if (r) {
        catalog_unref(v);
        server_txn_abandon(t);
        return r;
    }
    server_txn_put(t, slot, v, true);
    return server_txn_commit(t, NULL, NULL);
}

int server_storage_volume_restore(struct server_call *c)
{
    if (!server_call_object(c, CATALOG_VOLUME, 0))
        return -ENOENT;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "no volume driver of this cloud puts volumes back: make a volume from "
                           "the snapshot");
}

int server_storage_volume_delete(struct server_call *c)
{
    struct catalog_slot *slot;
    int r = take(c, &slot);
    if (r)
        return r;
    const struct catalog_object *v = slot->now;
    enum server_storage_phase phase = server_storage_phase(v);
    const char *vm = server_storage_value(&v->own->vm);
    if (vm)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "volume %s belongs to VM %s: detach it, or delete the VM", v->name,
                               vm);
    if (phase == SERVER_STORAGE_REMOVING || phase == SERVER_STORAGE_CHANGING)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_BUSY,
                               "volume %s is being %s: wait for the end", v->name,
                               phase == SERVER_STORAGE_REMOVING ? "deleted" : "resized");
    r = server_image_copied(c, v);
    if (!r)
        r = server_storage_unprotected(c, v);
    return r ? r : server_storage_delete(c, slot);
}

/* ---- the rest by rule ---- */

static const struct server_resource volume = {
    .kind = CATALOG_VOLUME, .create = volume_create, .patch = volume_patch, .quota = "volumes"};

int server_storage_volume_create(struct server_call *c)
{
    return server_resource_create(c, &volume);
}

int server_storage_volume_get(struct server_call *c)
{
    return server_resource_get(c, &volume);
}

int server_storage_volume_list(struct server_call *c)
{
    return server_resource_list(c, &volume);
}

int server_storage_volume_patch(struct server_call *c)
{
    return server_resource_patch(c, &volume);
}
