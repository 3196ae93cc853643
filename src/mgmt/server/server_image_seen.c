/* Where images are wanted, what agents report of them, and what follows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"

static const struct store_id nowhere;

static const struct api_image_source *source_of(const struct catalog_object *v)
{
    return ((struct api_image *)v->doc)->source.v;
}

static struct api_image_status *status_of(const struct catalog_object *v)
{
    return ((struct api_image *)v->doc)->status.v;
}

/* The checksum that the content has to have. */
static const char *sha256_of(const struct catalog_object *v)
{
    const char *known = server_storage_value(&status_of(v)->sha256);
    return known ? known : server_storage_value(&source_of(v)->sha256);
}

/* ---- for volumes ---- */

int server_image_use(struct server_call *c, struct server_txn *t,
                     const struct catalog_object *image, int64_t size_gib, const char *pointer,
                     int64_t *needs_gib)
{
    const struct catalog_slot *slot = catalog_find(c->s->catalog, CATALOG_IMAGE, &image->id);
    if (!slot)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND,
                               "image %s is gone: use another", image->name);
    int r = server_call_wait(c, slot);
    if (r)
        return r;
    const struct catalog_object *v = slot->now;
    const struct api_image *doc = v->doc;
    const struct api_image_status *status = doc->status.v;
    if (server_storage_phase(v) != SERVER_STORAGE_READY)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_IMAGE_NOT_READY,
                               "image %s is in state %s: wait until it is ready, or use another",
                               v->name, api_types_image_status_state.names[status->state.v]);
    uint64_t bytes =
        status->virtual_size_bytes.is == API_VALUE ? (uint64_t)status->virtual_size_bytes.v : 0;
    int64_t needs = (int64_t)((bytes + GIB - 1) / GIB);
    needs = MAX(needs, doc->min_disk_gib.is == API_VALUE ? doc->min_disk_gib.v : 0);
    needs = MAX(needs, (int64_t)1);
    if (size_gib && size_gib < needs)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                               "%lld: image %s needs %lld GiB: ask for as many or more",
                               (long long)size_gib, v->name, (long long)needs);
    server_storage_sum_hold(t, CATALOG_IMAGE, &v->id, &nowhere, 1);
    *needs_gib = needs;
    return 0;
}

const struct store_id *server_image_host_of(const struct catalog_object *image,
                                            struct store_id *host)
{
    return !server_image_portable(image) && server_storage_id(&image->own->host, host) ? host
                                                                                       : NULL;
}

bool server_image_on(const struct server *s, const struct store_id *image,
                     const struct store_id *host)
{
    const struct server_storage_fact *f =
        server_storage_fact_find(s->storage, CATALOG_IMAGE, image, host);
    return f && f->reported && f->state == SERVER_STORAGE_PRESENT;
}

/* ---- what hosts are told ---- */

static bool needed_on(const struct server *s, const struct catalog_object *image,
                      const struct store_id *host)
{
    const struct catalog_list *volumes = catalog_under(s->catalog, CATALOG_VOLUME, host);
    for (size_t i = 0; i < volumes->n; i++) {
        const struct catalog_object *v = volumes->slots[i]->now;
        const char *from = server_storage_value(&((struct api_volume *)v->doc)->image);
        if (from && !strcmp(from, image->id_text) &&
            server_storage_phase(v) != SERVER_STORAGE_REMOVING)
            return true;
    }
    return false;
}

/* What has a copy keeps it until the image is deleted: the next volume need not wait. */
static bool wish_of(const struct server *s, const struct catalog_object *image,
                    const struct store_id *host, enum server_storage_wish *wish)
{
    bool mine = server_storage_host_is(image, host);
    bool has = server_storage_fact_find(s->storage, CATALOG_IMAGE, &image->id, host);
    switch (server_storage_phase(image)) {
    case SERVER_STORAGE_WAITING:
        return false;
    case SERVER_STORAGE_MAKING:
        *wish = mine ? SERVER_STORAGE_MAKE : SERVER_STORAGE_REMOVE;
        return mine || has;
    case SERVER_STORAGE_READY:
        *wish = server_image_portable(image) ? SERVER_STORAGE_MAKE : SERVER_STORAGE_KEEP;
        return mine || has || (server_image_portable(image) && needed_on(s, image, host));
    case SERVER_STORAGE_BROKEN:
        *wish = server_storage_made(image) ? SERVER_STORAGE_KEEP : SERVER_STORAGE_REMOVE;
        return mine || has;
    default:
        *wish = SERVER_STORAGE_REMOVE;
        return mine || has;
    }
}

static void want_source(const struct server *s, const struct catalog_object *image,
                        struct server_image_want *want)
{
    const struct api_image_source *source = source_of(image);
    switch (source->kind.v) {
    case API_IMAGE_SOURCE_KIND_URL:
        want->from = SERVER_IMAGE_URL;
        want->url = server_storage_value(&source->url);
        break;
    case API_IMAGE_SOURCE_KIND_DEBIAN:
        want->from = SERVER_IMAGE_DEBIAN;
        want->debian = source->debian.v;
        break;
    case API_IMAGE_SOURCE_KIND_VM:
    case API_IMAGE_SOURCE_KIND_VOLUME:
        want->from = SERVER_IMAGE_VOLUME;
        break;
    case API_IMAGE_SOURCE_KIND_SNAPSHOT:
        want->from = SERVER_IMAGE_SNAPSHOT;
        break;
    default:
        want->from = SERVER_IMAGE_CONTENT;
        server_image_file(s, image, want->file);
        break;
    }
    (void)server_storage_id(&image->own->resource, &want->resource);
    want->format = source->format.is == API_VALUE ? source->format.v : API_IMAGE_FORMAT_AUTO;
}

bool server_image_want(struct server *s, const struct catalog_object *image,
                       const struct store_id *host, struct server_image_want *want)
{
    memset(want, 0, sizeof(*want));
    if (!wish_of(s, image, host, &want->wish))
        return false;
    want->id = image->id;
    want->generation = server_storage_wish(image);
    snprintf(want->path, sizeof(want->path), "/v1/images/%s/content", image->id_text);
    want->sha256 = sha256_of(image);
    want_source(s, image, want);
    return true;
}

void server_image_each(struct server *s, const struct store_id *host,
                       void (*each)(void *ctx, const struct server_image_want *want), void *ctx)
{
    const struct catalog_list *images = catalog_all(s->catalog, CATALOG_IMAGE);
    struct server_image_want want;
    for (size_t i = 0; i < images->n; i++)
        if (server_image_want(s, images->slots[i]->now, host, &want))
            each(ctx, &want);
}

void server_image_hosts(struct server *s, const struct catalog_object *image,
                        void (*each)(void *ctx, const struct catalog_object *image,
                                     const struct store_id *host),
                        void *ctx)
{
    struct store_id host;
    const struct server_storage_fact *f =
        server_storage_fact_find(s->storage, CATALOG_IMAGE, &image->id, &nowhere);
    if (server_storage_id(&image->own->host, &host))
        each(ctx, image, &host);
    for (f = f ? f->copies : NULL; f; f = f->next_copy)
        if (!server_storage_host_is(image, &f->host))
            each(ctx, image, &f->host);
}

/* ---- what they say ---- */

/* Volumes that wait for it there can be made now, or cannot. */
static void settle_volumes(struct server *s, const struct catalog_object *image,
                           const struct store_id *host)
{
    const struct catalog_list *volumes = catalog_under(s->catalog, CATALOG_VOLUME, host);
    for (size_t i = 0; i < volumes->n; i++) {
        const struct catalog_object *v = volumes->slots[i]->now;
        const char *from = server_storage_value(&((struct api_volume *)v->doc)->image);
        if (from && !strcmp(from, image->id_text) &&
            server_storage_phase(v) == SERVER_STORAGE_MAKING)
            server_storage_settle(s, CATALOG_VOLUME, &v->id);
    }
}

void server_image_seen(struct server *s, const struct store_id *host,
                       const struct server_image_seen *seen)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_IMAGE, &seen->id);
    if (!slot)
        return;
    struct server_storage_fact *f =
        server_storage_fact_get(s->storage, CATALOG_IMAGE, &seen->id, host);
    if (!f)
        return; /* it will be said again */
    bool was = f->reported && f->state == seen->state;
    bool answer = seen->generation == server_storage_wish(slot->now);
    f->reported = true;
    f->generation = seen->generation;
    f->state = seen->state;
    f->percent = seen->percent;
    f->received_bytes = seen->received_bytes;
    f->size_bytes = seen->size_bytes;
    f->virtual_bytes = seen->virtual_size_bytes;
    f->format = seen->format;
    server_storage_fact_text(&f->sha256, seen->sha256);
    server_storage_fact_text(&f->reason, seen->reason);
    if (!was && answer && (f->state == SERVER_STORAGE_FAILED || f->state == SERVER_STORAGE_PRESENT))
        settle_volumes(s, slot->now, host);
    server_storage_settle(s, CATALOG_IMAGE, &seen->id);
}

/* ---- what follows ---- */

enum step { STEP_NONE, STEP_PLACE, STEP_READY, STEP_BROKEN, STEP_BACK, STEP_GONE };

struct decision {
    enum step step;
    enum api_problem_code code;
    const char *why;
    struct server_storage_place place;
};

/* The host's copy, if its agent has spoken of it. */
static const struct server_storage_fact *
copy_on(const struct server *s, const struct catalog_object *image, const struct store_id *host)
{
    const struct server_storage_fact *f =
        server_storage_fact_find(s->storage, CATALOG_IMAGE, &image->id, host);
    return f && f->reported ? f : NULL;
}

static bool mismatch(const struct catalog_object *v, const struct server_storage_fact *f)
{
    const char *wanted = sha256_of(v);
    return wanted && f->sha256 && strcmp(wanted, f->sha256) != 0;
}

static void find_place(const struct server *s, const struct catalog_object *v, struct decision *d,
                       char why[static 256])
{
    d->place = (struct server_storage_place){.project = v->project};
    d->step = server_storage_place(s, &d->place, why) ? STEP_NONE : STEP_PLACE;
    d->why = d->step == STEP_NONE ? why : NULL;
}

/* Where it may be imported by any host, one that is lost is replaced. */
static void decide_making(const struct server *s, const struct catalog_object *v,
                          struct decision *d, char why[static 256])
{
    struct store_id host;
    bool placed = server_storage_id(&v->own->host, &host);
    bool bound = v->own->resource.is == API_VALUE;
    if (bound && (!placed || !server_storage_host_exists(s, &host))) {
        *d = (struct decision){STEP_BROKEN,
                               API_PROBLEM_CODE_HOST_FAILED,
                               "the host of what it is copied from was taken from the cloud",
                               {}};
        return;
    }
    if (!placed || (!bound && server_storage_host_lost(s, &host))) {
        find_place(s, v, d, why);
        return;
    }
    const struct server_storage_fact *f = copy_on(s, v, &host);
    bool answer = f && f->generation == server_storage_wish(v);
    if (!answer || (f->state != SERVER_STORAGE_PRESENT && f->state != SERVER_STORAGE_FAILED))
        return;
    d->step = f->state == SERVER_STORAGE_PRESENT && !mismatch(v, f) ? STEP_READY : STEP_BROKEN;
    d->code = mismatch(v, f) ? API_PROBLEM_CODE_IMAGE_CHECKSUM : API_PROBLEM_CODE_HOST_FAILED;
    d->why = f->reason && f->reason[0] ? f->reason : "the host could not import it";
    if (mismatch(v, f)) {
        snprintf(why, 256, "the content's sha256 is %s: give that one, or another source",
                 f->sha256);
        d->why = why;
    }
}

static void decide_ready(const struct server *s, const struct catalog_object *v, struct decision *d,
                         char why[static 256])
{
    struct store_id host;
    bool portable = server_image_portable(v);
    bool there = server_storage_id(&v->own->host, &host) && server_storage_host_exists(s, &host);
    if (!there && portable) {
        find_place(s, v, d, why);
        return;
    }
    const struct server_storage_fact *f = there ? copy_on(s, v, &host) : NULL;
    bool answer = f && f->generation == server_storage_wish(v);
    bool lost = answer && (f->state == SERVER_STORAGE_ABSENT || f->state == SERVER_STORAGE_FAILED);
    d->code = API_PROBLEM_CODE_HOST_FAILED;
    d->why = there ? "its host no longer has it" : "its only host was taken from the cloud";
    if (!portable && (!there || lost))
        d->step = STEP_BROKEN;
}

/* Hosts that do not answer are not waited for: what they have is told to go when they come. */
static void decide_removing(const struct server *s, const struct catalog_object *v,
                            const struct server_storage_fact *whole, struct decision *d)
{
    struct store_id host;
    bool told = !server_storage_id(&v->own->host, &host) || server_storage_host_lost(s, &host);
    d->step = STEP_GONE;
    for (const struct server_storage_fact *f = whole->copies; f; f = f->next_copy) {
        bool answer = f->generation == server_storage_wish(v);
        bool mine = server_storage_host_is(v, &f->host);
        if (server_storage_host_lost(s, &f->host))
            continue;
        if (answer && f->state == SERVER_STORAGE_FAILED) {
            d->step = STEP_BACK;
            d->why = f->reason && f->reason[0] ? f->reason : "the host could not remove it";
            return;
        }
        if (!answer || f->state != SERVER_STORAGE_ABSENT)
            d->step = STEP_NONE;
        else
            told |= mine;
    }
    if (!told)
        d->step = STEP_NONE;
}

static void decide(const struct server *s, const struct catalog_object *v,
                   const struct server_storage_fact *whole, struct decision *d,
                   char why[static 256])
{
    struct store_id host;
    *d = (struct decision){.step = STEP_NONE};
    switch (server_storage_phase(v)) {
    case SERVER_STORAGE_MAKING:
        decide_making(s, v, d, why);
        break;
    case SERVER_STORAGE_READY:
        decide_ready(s, v, d, why);
        break;
    case SERVER_STORAGE_REMOVING:
        decide_removing(s, v, whole, d);
        break;
    case SERVER_STORAGE_BROKEN:
        if (server_storage_made(v) && server_storage_id(&v->own->host, &host) &&
            server_image_on(s, &v->id, &host))
            d->step = STEP_READY;
        break;
    default:
        break;
    }
}

static int set_content(const struct server *s, struct catalog_object *v)
{
    struct api_image_status *status = status_of(v);
    struct store_id host;
    const struct server_storage_fact *f =
        server_storage_id(&v->own->host, &host) ? copy_on(s, v, &host) : NULL;
    if (!f)
        return 0;
    status->format.is = API_VALUE;
    status->format.v = f->format;
    status->size_bytes =
        (struct api_int){API_VALUE, (int64_t)MIN(f->size_bytes, UINT64_C(1) << 56)};
    status->virtual_size_bytes =
        (struct api_int){API_VALUE, (int64_t)MIN(f->virtual_bytes, UINT64_C(1) << 56)};
    return f->sha256 ? server_meta_text(v, &status->sha256, f->sha256) : 0;
}

static void apply(struct server_txn *t, struct catalog_object *v, const struct decision *d)
{
    int r = 0;
    switch (d->step) {
    case STEP_PLACE:
        server_storage_wish_next(v);
        *server_storage_reason(v) = (struct api_text){0};
        r = server_storage_set_host(v, &d->place.found_host);
        break;
    case STEP_READY:
        r = set_content(t->s, v);
        server_storage_ready(t, v);
        break;
    case STEP_BACK:
        server_storage_back(t, v, d->why);
        break;
    default:
        server_storage_broken(t, v, d->code, d->why);
        break;
    }
    if (r && !t->failed)
        t->failed = r;
}

static void change(struct server *s, struct catalog_slot *slot, struct server_storage_fact *f,
                   const struct decision *d)
{
    struct server_txn *t = server_storage_change(s, f);
    if (!t)
        return;
    if (d->step == STEP_GONE) {
        const struct api_text *operation = server_storage_operation(slot->now);
        server_quota_add(t, &slot->now->project, "images", -1);
        if (operation->is == API_VALUE)
            server_operation_end(t, operation->v, NULL);
        server_txn_remove(t, slot);
        server_storage_commit(t, f);
        return;
    }
    struct catalog_object *v = catalog_copy(slot->now);
    if (v) {
        apply(t, v, d);
        server_txn_put(t, slot, v, false);
    } else {
        t->failed = -ENOMEM;
    }
    server_storage_commit(t, f);
}

/* What is shown and not stored: how far it is; what it waits for. */
static void show(struct server *s, const struct catalog_slot *slot, const char *why)
{
    struct store_id host;
    const struct api_text *operation = server_storage_operation(slot->now);
    const struct server_storage_fact *f =
        server_storage_id(&slot->now->own->host, &host) ? copy_on(s, slot->now, &host) : NULL;
    const char *said = server_storage_value(server_storage_reason(slot->now));
    bool working =
        f && f->state == SERVER_STORAGE_WORKING && f->generation == server_storage_wish(slot->now);
    if (working && operation->is == API_VALUE)
        server_operation_step(s, operation->v, MAX(MIN(f->percent, 99), 0), "importing");
    const struct api_int *had = &status_of(slot->now)->received_bytes;
    int64_t received = working ? (int64_t)MIN(f->received_bytes, UINT64_C(1) << 56) : 0;
    bool more = received > 0 && (had->is != API_VALUE || had->v != received);
    bool waits = why && (!said || strcmp(said, why) != 0);
    struct catalog_object *v = more || waits ? catalog_copy(slot->now) : NULL;
    if (!v)
        return;
    if (more)
        status_of(v)->received_bytes = (struct api_int){API_VALUE, received};
    if (waits && server_meta_text(v, &status_of(v)->reason, why)) {
        catalog_unref(v);
        return;
    }
    server_storage_show(s, slot, v);
}

void server_image_settle(struct server *s, struct catalog_slot *slot, struct server_storage_fact *f)
{
    struct decision d;
    char why[256] = "";
    decide(s, slot->now, f, &d, why);
    if (d.step != STEP_NONE)
        change(s, slot, f, &d);
    else if (server_storage_phase(slot->now) == SERVER_STORAGE_MAKING)
        show(s, slot, why[0] ? why : NULL);
}
