/* Volumes and snapshots between what is wanted and what agents report. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

static const struct store_id nowhere;

/* ---- what a host is told ---- */

static enum server_storage_wish wish_of(const struct catalog_object *v)
{
    switch (server_storage_phase(v)) {
    case SERVER_STORAGE_MAKING:
        return SERVER_STORAGE_MAKE;
    case SERVER_STORAGE_REMOVING:
        return SERVER_STORAGE_REMOVE;
    case SERVER_STORAGE_BROKEN:
        return server_storage_made(v) ? SERVER_STORAGE_KEEP : SERVER_STORAGE_REMOVE;
    default:
        return SERVER_STORAGE_KEEP;
    }
}

static void want_volume(const struct catalog_object *v, struct server_storage_want *want)
{
    const struct api_volume *doc = v->doc;
    want->size_bytes = (uint64_t)doc->size_gib.v * GIB;
    if (server_storage_id(&doc->image, &want->source))
        want->source_kind = CATALOG_IMAGE;
    else if (server_storage_id(&doc->snapshot, &want->source))
        want->source_kind = CATALOG_SNAPSHOT;
}

bool server_storage_want(const struct server *s, const struct catalog_object *v,
                         struct server_storage_want *want)
{
    struct store_id pool;
    memset(want, 0, sizeof(*want));
    if ((v->kind != CATALOG_VOLUME && v->kind != CATALOG_SNAPSHOT) ||
        !server_storage_id(&v->own->host, &want->host))
        return false;
    want->kind = v->kind;
    want->id = v->id;
    want->wish = wish_of(v);
    want->generation = server_storage_wish(v);
    const struct api_text *pool_id = &v->own->pool;
    if (v->kind == CATALOG_VOLUME) {
        pool_id = &((struct api_volume *)v->doc)->pool;
        want_volume(v, want);
    } else {
        const struct api_snapshot *doc = v->doc;
        want->size_bytes = (uint64_t)doc->status.v->size_gib.v * GIB;
        if (server_storage_id(&doc->volume, &want->source))
            want->source_kind = CATALOG_VOLUME;
    }
    const struct catalog_slot *slot =
        server_storage_id(pool_id, &pool) ? catalog_find(s->catalog, CATALOG_POOL, &pool) : NULL;
    want->pool = slot ? slot->now->name : "";
    return true;
}

/* ---- what it says ---- */

void server_storage_seen(struct server *s, const struct store_id *host,
                         const struct server_storage_seen *seen)
{
    const struct catalog_slot *slot = seen->kind == CATALOG_VOLUME || seen->kind == CATALOG_SNAPSHOT
                                          ? catalog_find(s->catalog, seen->kind, &seen->id)
                                          : NULL;
    if (!slot || !server_storage_host_is(slot->now, host))
        return;
    struct server_storage_fact *f =
        server_storage_fact_get(s->storage, seen->kind, &seen->id, &nowhere);
    if (!f)
        return; /* it will be said again */
    f->reported = true;
    f->generation = seen->generation;
    f->state = seen->state;
    f->percent = seen->percent;
    f->size_bytes = seen->size_bytes;
    f->used_bytes = seen->used_bytes;
    server_storage_fact_text(&f->reason, seen->reason);
    server_storage_settle(s, seen->kind, &seen->id);
}

/* ---- what follows ---- */

enum step { STEP_NONE, STEP_AGAIN, STEP_READY, STEP_BROKEN, STEP_BACK, STEP_GONE };

static bool large_enough(const struct catalog_object *v, const struct server_storage_fact *f)
{
    const struct api_volume *doc = v->doc;
    return v->kind != CATALOG_VOLUME || f->size_bytes >= (uint64_t)doc->size_gib.v * GIB;
}

static const char *reason_of(const struct server_storage_fact *f)
{
    return f->reason && f->reason[0] ? f->reason : "the host could not do it and did not say why";
}

/* The copy of the image that a new volume is made from, on its host: NULL where it is there, or
 * where nothing is to be fetched. */
static bool image_missing(const struct server *s, const struct catalog_object *v,
                          const struct server_storage_fact **copy)
{
    const struct api_volume *doc = v->doc;
    struct store_id image, host;
    *copy = NULL;
    if (v->kind != CATALOG_VOLUME || server_storage_phase(v) != SERVER_STORAGE_MAKING ||
        !server_storage_id(&doc->image, &image) || !server_storage_id(&v->own->host, &host) ||
        server_image_on(s, &image, &host))
        return false;
    *copy = server_storage_fact_find(s->storage, CATALOG_IMAGE, &image, &host);
    return true;
}

/* An agent cannot make a volume before it has the image, and may say so before it has it: that is
 * no end, it tries again. That it cannot have the image is one. */
static bool wait_for_image(const struct server *s, const struct catalog_object *v,
                           struct server_storage_fact *f, const char **why)
{
    const struct server_storage_fact *copy;
    bool answer = f->reported && f->generation == server_storage_wish(v);
    if (!image_missing(s, v, &copy) || (f->reported && f->state == SERVER_STORAGE_PRESENT))
        return false;
    if (copy && copy->reported && copy->state == SERVER_STORAGE_FAILED) {
        *why = copy->reason && copy->reason[0] ? copy->reason : "its host cannot have the image";
        return false;
    }
    if (answer && f->state == SERVER_STORAGE_FAILED) {
        f->reported = false;
        f->early = f->generation;
    }
    return true;
}

/* What is there counts whenever it was said; what is not there, or cannot be done, only if it is an
 * answer to what is wanted now. */
static enum step next_step(const struct catalog_object *v, const struct server_storage_fact *f,
                           const char **why)
{
    bool answer = f->reported && f->generation == server_storage_wish(v);
    bool there = f->reported && f->state == SERVER_STORAGE_PRESENT;
    bool absent = answer && f->state == SERVER_STORAGE_ABSENT;
    bool refused = answer && f->state == SERVER_STORAGE_FAILED;
    *why = refused ? reason_of(f) : "its host no longer has it";
    switch (server_storage_phase(v)) {
    case SERVER_STORAGE_MAKING:
        return there && large_enough(v, f) ? STEP_READY : refused ? STEP_BROKEN : STEP_NONE;
    case SERVER_STORAGE_CHANGING:
        if (there && large_enough(v, f))
            return STEP_READY;
        return refused ? STEP_BACK : absent ? STEP_BROKEN : STEP_NONE;
    case SERVER_STORAGE_REMOVING:
        return absent ? STEP_GONE : refused ? STEP_BACK : STEP_NONE;
    case SERVER_STORAGE_READY:
        return absent || refused ? STEP_BROKEN : STEP_NONE;
    default: /* broken: healed */
        return server_storage_made(v) && there ? STEP_READY : STEP_NONE;
    }
}

static enum step step_without_host(const struct catalog_object *v, const char **why)
{
    *why = "its host was taken from the cloud";
    switch (server_storage_phase(v)) {
    case SERVER_STORAGE_REMOVING:
        return STEP_GONE;
    case SERVER_STORAGE_BROKEN:
        return STEP_NONE;
    default:
        return STEP_BROKEN;
    }
}

static int64_t size_gib(const struct catalog_object *v)
{
    if (v->kind == CATALOG_VOLUME)
        return ((struct api_volume *)v->doc)->size_gib.v;
    const struct api_snapshot *doc = v->doc;
    return doc->status.v->size_gib.v;
}

static void remove_object(struct server_txn *t, struct catalog_slot *slot)
{
    const struct catalog_object *v = slot->now;
    const struct api_text *operation = server_storage_operation(v);
    server_quota_add(t, &v->project, v->kind == CATALOG_VOLUME ? "volumes" : "snapshots", -1);
    server_quota_add(t, &v->project, "volume_gib", -size_gib(v));
    if (operation->is == API_VALUE)
        server_operation_end(t, operation->v, NULL);
    server_txn_remove(t, slot);
}

/* A size that was not reached is not kept. */
static void shrink_back(struct server_txn *t, struct catalog_object *v)
{
    struct api_volume *doc = v->doc;
    if (v->kind != CATALOG_VOLUME || v->own->was_gib.is != API_VALUE)
        return;
    server_quota_add(t, &v->project, "volume_gib", v->own->was_gib.v - doc->size_gib.v);
    doc->size_gib = v->own->was_gib;
    v->own->was_gib = (struct api_int){0};
}

static struct api_int *used_at(const struct catalog_object *v)
{
    return v->kind == CATALOG_VOLUME ? &((struct api_volume *)v->doc)->status.v->used_bytes
                                     : &((struct api_snapshot *)v->doc)->status.v->used_bytes;
}

static void set_used(struct catalog_object *v, const struct server_storage_fact *f)
{
    if (f->reported && f->state == SERVER_STORAGE_PRESENT)
        *used_at(v) = (struct api_int){API_VALUE, (int64_t)MIN(f->used_bytes, UINT64_C(1) << 56)};
}

static void change(struct server *s, struct catalog_slot *slot, struct server_storage_fact *f,
                   enum step step, const char *why)
{
    struct server_txn *t = server_storage_change(s, f);
    if (!t)
        return;
    if (step == STEP_GONE) {
        remove_object(t, slot);
        server_storage_commit(t, f);
        return;
    }
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v) {
        t->failed = -ENOMEM;
        server_storage_commit(t, f);
        return;
    }
    set_used(v, f);
    if (step == STEP_AGAIN) {
        server_storage_wish_next(v);
    } else if (step == STEP_READY) {
        server_storage_ready(t, v);
        v->patient = true;
    } else {
        shrink_back(t, v);
        if (step == STEP_BACK)
            server_storage_back(t, v, why);
        else
            server_storage_broken(t, v, API_PROBLEM_CODE_HOST_FAILED, why);
    }
    server_txn_put(t, slot, v, false);
    server_storage_commit(t, f);
}

/* What is shown and not stored: how far it is, and how much is written, in steps of a MiB. */
static void show(struct server *s, const struct catalog_slot *slot,
                 const struct server_storage_fact *f)
{
    const struct api_text *operation = server_storage_operation(slot->now);
    const struct api_int *used = used_at(slot->now);
    if (f->state == SERVER_STORAGE_WORKING && operation->is == API_VALUE)
        server_operation_step(s, operation->v, MAX(MIN(f->percent, 99), 0), NULL);
    if (f->state != SERVER_STORAGE_PRESENT ||
        (used->is == API_VALUE && (uint64_t)used->v / MIB == f->used_bytes / MIB))
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    set_used(v, f);
    server_storage_show(s, slot, v);
}

void server_storage_settle_disk(struct server *s, struct catalog_slot *slot,
                                struct server_storage_fact *f)
{
    struct store_id host;
    const char *why = NULL, *no_image = NULL;
    bool has_host =
        server_storage_id(&slot->now->own->host, &host) && server_storage_host_exists(s, &host);
    bool waits = has_host && wait_for_image(s, slot->now, f, &no_image);
    bool again = f->early && f->early == server_storage_wish(slot->now) &&
                 server_storage_phase(slot->now) == SERVER_STORAGE_MAKING;
    enum step step = no_image   ? STEP_BROKEN
                     : has_host ? next_step(slot->now, f, &why)
                                : step_without_host(slot->now, &why);
    if (step == STEP_NONE && again)
        step = STEP_AGAIN;
    if (step != STEP_NONE && !waits)
        change(s, slot, f, step, no_image ? no_image : why);
    else if (f->reported)
        show(s, slot, f);
}
