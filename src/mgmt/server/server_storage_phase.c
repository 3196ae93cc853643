/* What volumes, snapshots and images have in common on their way: phases, wishes, operations. */
#include <errno.h>
#include <string.h>

#include "mgmt/server/server_storage_internal.h"

/* ---- the status of each kind ---- */

static struct api_volume_status *volume_status(const struct catalog_object *v)
{
    const struct api_volume *doc = v->doc;
    return doc->status.is == API_VALUE ? doc->status.v : NULL;
}

static struct api_snapshot_status *snapshot_status(const struct catalog_object *v)
{
    const struct api_snapshot *doc = v->doc;
    return doc->status.is == API_VALUE ? doc->status.v : NULL;
}

static struct api_image_status *image_status(const struct catalog_object *v)
{
    const struct api_image *doc = v->doc;
    return doc->status.is == API_VALUE ? doc->status.v : NULL;
}

static enum server_storage_phase volume_phase(enum api_volume_status_state state)
{
    switch (state) {
    case API_VOLUME_STATUS_STATE_CREATING:
        return SERVER_STORAGE_MAKING;
    case API_VOLUME_STATUS_STATE_RESIZING:
    case API_VOLUME_STATUS_STATE_RESTORING:
        return SERVER_STORAGE_CHANGING;
    case API_VOLUME_STATUS_STATE_DELETING:
        return SERVER_STORAGE_REMOVING;
    case API_VOLUME_STATUS_STATE_ERROR:
        return SERVER_STORAGE_BROKEN;
    default:
        return SERVER_STORAGE_READY;
    }
}

static enum server_storage_phase image_phase(enum api_image_status_state state)
{
    switch (state) {
    case API_IMAGE_STATUS_STATE_WAITING:
        return SERVER_STORAGE_WAITING;
    case API_IMAGE_STATUS_STATE_IMPORTING:
        return SERVER_STORAGE_MAKING;
    case API_IMAGE_STATUS_STATE_ERROR:
        return SERVER_STORAGE_BROKEN;
    case API_IMAGE_STATUS_STATE_DELETING:
        return SERVER_STORAGE_REMOVING;
    default:
        return SERVER_STORAGE_READY;
    }
}

static enum server_storage_phase snapshot_phase(enum api_snapshot_status_state state)
{
    switch (state) {
    case API_SNAPSHOT_STATUS_STATE_CREATING:
        return SERVER_STORAGE_MAKING;
    case API_SNAPSHOT_STATUS_STATE_DELETING:
        return SERVER_STORAGE_REMOVING;
    case API_SNAPSHOT_STATUS_STATE_ERROR:
        return SERVER_STORAGE_BROKEN;
    default:
        return SERVER_STORAGE_READY;
    }
}

enum server_storage_phase server_storage_phase(const struct catalog_object *v)
{
    if (v->kind == CATALOG_VOLUME && volume_status(v))
        return volume_phase(volume_status(v)->state.v);
    if (v->kind == CATALOG_SNAPSHOT && snapshot_status(v))
        return snapshot_phase(snapshot_status(v)->state.v);
    if (v->kind == CATALOG_IMAGE && image_status(v))
        return image_phase(image_status(v)->state.v);
    return SERVER_STORAGE_BROKEN;
}

static int set_volume(struct catalog_object *v, enum server_storage_phase phase)
{
    static const enum api_volume_status_state states[] = {
        [SERVER_STORAGE_MAKING] = API_VOLUME_STATUS_STATE_CREATING,
        [SERVER_STORAGE_READY] = API_VOLUME_STATUS_STATE_AVAILABLE,
        [SERVER_STORAGE_CHANGING] = API_VOLUME_STATUS_STATE_RESIZING,
        [SERVER_STORAGE_REMOVING] = API_VOLUME_STATUS_STATE_DELETING,
        [SERVER_STORAGE_BROKEN] = API_VOLUME_STATUS_STATE_ERROR,
    };
    struct api_volume *doc = v->doc;
    if (!volume_status(v)) {
        doc->status.v = api_json_new(&api_types_volume_status, &v->arena);
        doc->status.is = doc->status.v ? API_VALUE : API_ABSENT;
    }
    if (!volume_status(v))
        return -ENOMEM;
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = phase == SERVER_STORAGE_READY && v->own->vm.is == API_VALUE
                                 ? API_VOLUME_STATUS_STATE_ATTACHED
                                 : states[phase];
    return 0;
}

static int set_snapshot(struct catalog_object *v, enum server_storage_phase phase)
{
    static const enum api_snapshot_status_state states[] = {
        [SERVER_STORAGE_MAKING] = API_SNAPSHOT_STATUS_STATE_CREATING,
        [SERVER_STORAGE_READY] = API_SNAPSHOT_STATUS_STATE_AVAILABLE,
        [SERVER_STORAGE_REMOVING] = API_SNAPSHOT_STATUS_STATE_DELETING,
        [SERVER_STORAGE_BROKEN] = API_SNAPSHOT_STATUS_STATE_ERROR,
    };
    struct api_snapshot *doc = v->doc;
    if (!snapshot_status(v)) {
        doc->status.v = api_json_new(&api_types_snapshot_status, &v->arena);
        doc->status.is = doc->status.v ? API_VALUE : API_ABSENT;
    }
    if (!snapshot_status(v))
        return -ENOMEM;
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = states[phase];
    return 0;
}

static int set_image(struct catalog_object *v, enum server_storage_phase phase)
{
    static const enum api_image_status_state states[] = {
        [SERVER_STORAGE_WAITING] = API_IMAGE_STATUS_STATE_WAITING,
        [SERVER_STORAGE_MAKING] = API_IMAGE_STATUS_STATE_IMPORTING,
        [SERVER_STORAGE_READY] = API_IMAGE_STATUS_STATE_READY,
        [SERVER_STORAGE_REMOVING] = API_IMAGE_STATUS_STATE_DELETING,
        [SERVER_STORAGE_BROKEN] = API_IMAGE_STATUS_STATE_ERROR,
    };
    struct api_image *doc = v->doc;
    if (!image_status(v)) {
        doc->status.v = api_json_new(&api_types_image_status, &v->arena);
        doc->status.is = doc->status.v ? API_VALUE : API_ABSENT;
    }
    if (!image_status(v))
        return -ENOMEM;
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = states[phase];
    return 0;
}

int server_storage_set_phase(struct catalog_object *v, enum server_storage_phase phase)
{
    return v->kind == CATALOG_VOLUME     ? set_volume(v, phase)
           : v->kind == CATALOG_SNAPSHOT ? set_snapshot(v, phase)
                                         : set_image(v, phase);
}

struct api_text *server_storage_operation(const struct catalog_object *v)
{
    return v->kind == CATALOG_VOLUME     ? &volume_status(v)->operation
           : v->kind == CATALOG_SNAPSHOT ? &snapshot_status(v)->operation
                                         : &image_status(v)->operation;
}

struct api_text *server_storage_reason(const struct catalog_object *v)
{
    return v->kind == CATALOG_VOLUME     ? &volume_status(v)->reason
           : v->kind == CATALOG_SNAPSHOT ? &snapshot_status(v)->reason
                                         : &image_status(v)->reason;
}

/* ---- what is kept beside it ---- */

const char *server_storage_value(const struct api_text *text)
{
    return text->is == API_VALUE ? text->v : NULL;
}

bool server_storage_id(const struct api_text *text, struct store_id *id)
{
    return text->is == API_VALUE && !catalog_id_parse(text->v, id);
}

int64_t server_storage_wish(const struct catalog_object *v)
{
    return v->own->wish.is == API_VALUE ? v->own->wish.v : 0;
}

void server_storage_wish_next(struct catalog_object *v)
{
    v->own->wish = (struct api_int){API_VALUE, server_storage_wish(v) + 1};
}

bool server_storage_made(const struct catalog_object *v)
{
    return v->own->made.is == API_VALUE && v->own->made.v;
}

bool server_storage_host_is(const struct catalog_object *v, const struct store_id *host)
{
    struct store_id id;
    return server_storage_id(&v->own->host, &id) && !memcmp(&id, host, sizeof(id));
}

int server_storage_set_host(struct catalog_object *v, const struct store_id *host)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(host->bytes, text);
    int r = server_meta_text(v, &v->own->host, text);
    if (!r && v->kind == CATALOG_VOLUME)
        r = server_meta_text(v, &volume_status(v)->host, text);
    return r;
}

/* ---- steps ---- */

static void failed(struct server_txn *t, int r)
{
    if (r && !t->failed)
        t->failed = r;
}

static void end(struct server_txn *t, struct catalog_object *v, const struct api_refusal *problem)
{
    struct api_text *operation = server_storage_operation(v);
    if (operation->is == API_VALUE)
        server_operation_end(t, operation->v, problem);
    *operation = (struct api_text){0};
}

void server_storage_ready(struct server_txn *t, struct catalog_object *v)
{
    v->own->made = (struct api_bool){API_VALUE, true};
    v->own->was_gib = (struct api_int){0};
    *server_storage_reason(v) = (struct api_text){0};
    failed(t, server_storage_set_phase(v, SERVER_STORAGE_READY));
    end(t, v, NULL);
}

/* A status holds less of a reason than an agent may send. */
static void set_reason(struct server_txn *t, struct catalog_object *v, const char *why)
{
    char text[256];
    size_t n = strnlen(why, sizeof(text) - 1);
    while (n && n < strlen(why) && ((unsigned char)why[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    memcpy(text, why, n);
    text[n] = 0;
    failed(t, server_meta_text(v, server_storage_reason(v), text));
}

void server_storage_broken(struct server_txn *t, struct catalog_object *v,
                           enum api_problem_code code, const char *why)
{
    struct api_refusal problem;
    api_problem_init(&problem);
    api_problem_set(&problem, code, "%s", why);
    set_reason(t, v, why);
    failed(t, server_storage_set_phase(v, SERVER_STORAGE_BROKEN));
    if (!server_storage_made(v))
        server_storage_wish_next(v);
    end(t, v, &problem);
}

void server_storage_back(struct server_txn *t, struct catalog_object *v, const char *why)
{
    struct api_refusal problem;
    api_problem_init(&problem);
    api_problem_set(&problem, API_PROBLEM_CODE_HOST_FAILED, "%s", why);
    set_reason(t, v, why);
    failed(t, server_storage_set_phase(v, server_storage_made(v) ? SERVER_STORAGE_READY
                                                                 : SERVER_STORAGE_BROKEN));
    server_storage_wish_next(v);
    end(t, v, &problem);
}

int server_storage_begin(struct server_txn *t, struct catalog_object *v, bool cancellable)
{
    const char *id = server_operation_begin(t, v, cancellable);
    int r = id ? server_meta_text(v, server_storage_operation(v), id) : -ENOMEM;
    failed(t, r);
    return r;
}

int server_storage_idle(struct server_call *c, const struct catalog_object *v)
{
    const char *operation = server_storage_value(server_storage_operation(v));
    if (!operation)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_BUSY,
                           "operation %s on %s %s is under way: wait for its end", operation,
                           catalog_kinds[v->kind].name, v->name);
}

int server_storage_unprotected(struct server_call *c, const struct catalog_object *v)
{
    const struct api_types_field *f =
        api_types_find(catalog_kinds[v->kind].type, "delete_protection", 17);
    const struct api_bool *on = api_types_at(v->doc, f);
    if (on->is != API_VALUE || !on->v)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_PROTECTED,
                           "%s %s is protected: set delete_protection to false first",
                           catalog_kinds[v->kind].name, v->name);
}

int server_storage_deletable(struct server_call *c, enum catalog_kind kind, const char *or_else,
                             struct catalog_slot **slot)
{
    static const struct store_id nowhere;
    *slot = server_call_object(c, kind, 0);
    int r = *slot ? server_call_wait(c, *slot) : -ENOENT;
    if (!r)
        r = server_call_match(c, (*slot)->now);
    if (r)
        return r;
    const struct catalog_object *v = (*slot)->now;
    const char *kind_name = catalog_kinds[kind].name;
    int64_t users = server_storage_sum(c->s->storage, kind, &v->id, &nowhere);
    if (server_storage_phase(v) == SERVER_STORAGE_REMOVING)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_BUSY,
                               "%s %s is being deleted: wait for the end", kind_name, v->name);
    if (users > 0)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "%lld volumes are made from %s %s and still need it: delete them "
                               "first%s",
                               (long long)users, kind_name, v->name, or_else);
    return 0;
}

/* An operation that has not ended, a creation, ends as cancelled. */
int server_storage_delete(struct server_call *c, struct catalog_slot *slot)
{
    struct server_txn *t = server_txn_begin(c->s, c);
    if (!t)
        return -EAGAIN;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v) {
        server_txn_abandon(t);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    struct api_text *operation = server_storage_operation(v);
    if (operation->is == API_VALUE)
        server_operation_cancelled(t, operation->v);
    failed(t, server_storage_set_phase(v, SERVER_STORAGE_REMOVING));
    server_storage_wish_next(v);
    *server_storage_reason(v) = (struct api_text){0};
    server_storage_begin(t, v, false);
    server_txn_put(t, slot, v, false);
    return server_txn_commit(t, NULL, NULL);
}

void server_storage_show(struct server *s, const struct catalog_slot *slot,
                         struct catalog_object *v)
{
    v->seq = slot->now->seq;
    if (slot->writing || catalog_seal(v))
        catalog_unref(v);
    else
        catalog_publish(s->catalog, v);
}

int server_storage_ref(struct server_call *c, struct catalog_object *v, enum catalog_kind kind,
                       struct api_text *ref, const char *pointer, struct catalog_slot **slot)
{
    int r = server_call_ref(c, kind, ref, pointer, slot);
    if (r || !*slot)
        return r;
    if (server_meta_text(v, ref, (*slot)->now->id_text))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    return server_call_wait(c, *slot);
}
