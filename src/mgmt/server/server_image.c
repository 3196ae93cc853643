/* Images as users make, change and delete them. */
#include "mgmt/server/server_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_storage_internal.h"

static const struct store_id nowhere;

/* ---- sources ---- */

static const struct api_image_source *source_of(const struct catalog_object *v)
{
    return ((struct api_image *)v->doc)->source.v;
}

bool server_image_portable(const struct catalog_object *image)
{
    const struct api_image_source *source = source_of(image);
    enum api_image_source_kind kind = source ? source->kind.v : API_IMAGE_SOURCE_KIND_N;
    return kind == API_IMAGE_SOURCE_KIND_UPLOAD || kind == API_IMAGE_SOURCE_KIND_URL ||
           kind == API_IMAGE_SOURCE_KIND_FILE;
}

/* Which members belong to which kind: a bit for each kind. */
#define OF(kind) (1u << API_IMAGE_SOURCE_KIND_##kind)
static const struct {
    const char *member;
    unsigned kinds;    /* that may have it */
    unsigned required; /* that must */
} members[] = {
    {"url", OF(URL), OF(URL)},
    {"file", OF(FILE), OF(FILE)},
    {"sha256", OF(UPLOAD) | OF(URL) | OF(FILE), 0},
    {"size_bytes", OF(UPLOAD), 0},
    {"resource", OF(VM) | OF(VOLUME) | OF(SNAPSHOT), OF(VM) | OF(VOLUME) | OF(SNAPSHOT)},
    {"debian", OF(DEBIAN), 0},
};

static int check_members(struct server_call *c, const struct api_image_source *source)
{
    const char *kind = api_types_image_source_kind.names[source->kind.v];
    unsigned bit = 1u << source->kind.v;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *name = members[i].member;
        const struct api_types_field *f =
            api_types_find(&api_types_image_source, name, strlen(name));
        bool given = api_types_is(source, f) == API_VALUE;
        char pointer[64] = "/source/";
        strncat(pointer, name, sizeof(pointer) - strlen(pointer) - 1);
        if (given && !(members[i].kinds & bit))
            r = api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                                "means nothing for a source of kind %s: leave it out", kind);
        else if (!given && (members[i].required & bit))
            r = api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer,
                                "missing: a source of kind %s needs it", kind);
    }
    return r;
}

static int check_url(struct server_call *c, const struct api_image_source *source)
{
    const char *url = server_storage_value(&source->url);
    if (!url || !strncmp(url, "http://", 7) || !strncmp(url, "https://", 8))
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/source/url",
                           "%.64s: only http:// and https:// are fetched", url);
}

static int copy_from(struct server_call *c, struct catalog_object *v,
                     const struct catalog_slot *slot)
{
    struct store_id host;
    int r = server_call_wait(c, slot);
    if (r)
        return r;
    if (server_storage_phase(slot->now) != SERVER_STORAGE_READY ||
        !server_storage_id(&slot->now->own->host, &host))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                               "/source/resource", "%s %s is not available: wait until it is",
                               catalog_kinds[slot->now->kind].name, slot->now->name);
    if (slot->now->kind == CATALOG_VOLUME)
        r = server_storage_unused(c, slot->now, "copy it");
    if (!r && (server_meta_text(v, &v->own->resource, slot->now->id_text) ||
               server_storage_set_host(v, &host)))
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    return r;
}

/* The volume of a VM's first disk. */
static const struct catalog_slot *boot_volume(struct server_call *c, const struct catalog_slot *vm)
{
    const struct api_vm *doc = vm->now->doc;
    struct store_id id;
    const struct catalog_slot *slot =
        doc->status.is == API_VALUE && server_storage_id(&doc->status.v->boot_volume, &id)
            ? catalog_find(c->s->catalog, CATALOG_VOLUME, &id)
            : NULL;
    if (!slot)
        api_problem_add(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE, "/source/resource",
                        "VM %s has no volume that it boots from", vm->now->name);
    return slot;
}

static int check_resource(struct server_call *c, struct catalog_object *v,
                          struct api_image_source *source)
{
    struct catalog_slot *slot;
    enum catalog_kind kind = source->kind.v == API_IMAGE_SOURCE_KIND_VM       ? CATALOG_VM
                             : source->kind.v == API_IMAGE_SOURCE_KIND_VOLUME ? CATALOG_VOLUME
                                                                              : CATALOG_SNAPSHOT;
    int r = server_storage_ref(c, v, kind, &source->resource, "/source/resource", &slot);
    if (r || !slot)
        return r;
    const struct catalog_slot *from = kind == CATALOG_VM ? boot_volume(c, slot) : slot;
    return from ? copy_from(c, v, from) : -EINVAL;
}

int server_image_copied(struct server_call *c, const struct catalog_object *v)
{
    const struct catalog_list *images = catalog_all(c->s->catalog, CATALOG_IMAGE);
    for (size_t i = 0; i < images->n; i++) {
        const struct catalog_object *image = images->slots[i]->now;
        const char *from = server_storage_value(&image->own->resource);
        if (from && !strcmp(from, v->id_text) &&
            server_storage_phase(image) == SERVER_STORAGE_MAKING)
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                                   "image %s is being copied from %s %s: wait for its end",
                                   image->name, catalog_kinds[v->kind].name, v->name);
    }
    return 0;
}

/* ---- a new one ---- */

static int check_visibility(struct server_call *c, const struct catalog_object *v)
{
    if (!server_shared(v) || c->who.cloud_role >= API_ROLE_OPERATOR)
        return 0;
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_AUTH_FORBIDDEN, "/visibility",
                           "public: only operators share images with every project: leave it out");
}

static int fill_source(struct server_call *c, struct catalog_object *v,
                       struct api_image_source *source)
{
    enum api_image_source_kind kind = source->kind.v;
    if (kind == API_IMAGE_SOURCE_KIND_DEBIAN) {
        if (source->debian.is != API_VALUE)
            source->debian.v = api_json_new(&api_types_image_debian, &v->arena);
        source->debian.is = source->debian.v ? API_VALUE : API_ABSENT;
        if (!source->debian.v ||
            api_json_fill(&api_types_image_debian, source->debian.v, &v->arena))
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                   "no memory: try again");
    }
    if (kind == API_IMAGE_SOURCE_KIND_UPLOAD && !c->s->config.state_dir)
        return api_problem_set(
            &c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
            "kind upload: this server has no state directory to keep uploads in");
    if (source->resource.is == API_VALUE)
        return check_resource(c, v, source);
    return check_url(c, source);
}

static int image_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_image *doc = v->doc;
    struct api_image_source *source = doc->source.v;
    bool upload = source->kind.v == API_IMAGE_SOURCE_KIND_UPLOAD;
    int r = server_storage_set_phase(v, upload ? SERVER_STORAGE_WAITING : SERVER_STORAGE_MAKING);
    if (!r)
        r = check_members(c, source);
    if (!r)
        r = check_visibility(c, v);
    if (!r)
        r = fill_source(c, v, source);
    if (r)
        return r;
    server_storage_wish_next(v);
    if (upload)
        doc->status.v->received_bytes = (struct api_int){API_VALUE, 0};
    return server_storage_begin(t, v, true);
}

static int image_patch(struct server_call *c, struct server_txn *t,
                       const struct catalog_object *before, struct catalog_object *v)
{
    (void)t;
    return server_shared(before) ? 0 : check_visibility(c, v);
}

static const struct server_resource image = {
    .kind = CATALOG_IMAGE, .create = image_create, .patch = image_patch, .quota = "images"};

/* A file to import: whether it is there is asked in a worker. */
struct look {
    struct server_job job;
    struct server_call *c;
    const char *dir, *name;
    int error;
};

static void look_work(struct server_job *j)
{
    struct look *l = container_of(j, struct look, job);
    struct stat st;
    CLEANUP_CLOSE int dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstatat(dir, l->name, &st, AT_SYMLINK_NOFOLLOW))
        l->error = errno;
    else
        l->error = S_ISREG(st.st_mode) ? 0 : EINVAL;
}

static void look_done(struct server_job *j)
{
    struct look *l = container_of(j, struct look, job);
    struct server_call *c = l->c;
    int r;
    if (l->error)
        r = api_problem_add(&c->refusal, API_PROBLEM_CODE_REFERENCE_NOT_FOUND, "/source/file",
                            "%s: no such file in the server's import folder (%s)", l->name,
                            l->error == EINVAL ? "it is no regular file" : strerror(l->error));
    else
        r = server_resource_create(c, &image);
    free(l);
    if (r) /* a file refers to nothing that could be waited for */
        server_call_refuse(c);
}

static int look_for_file(struct server_call *c, const char *name)
{
    if (!c->s->config.import_dir)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "kind file: this server has no import folder: start it with "
                               "--import, or upload the image");
    struct look *l = calloc(1, sizeof(*l));
    int r = -ENOMEM;
    if (l) {
        *l = (struct look){.job = {.work = look_work, .done = look_done},
                           .c = c,
                           .dir = c->s->config.import_dir,
                           .name = name,
                           .error = ECANCELED};
        r = server_workers_submit(c->s->workers, &l->job);
    }
    if (!r)
        return 0;
    free(l);
    c->refusal.retry_after_s = 1;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "too much waits: try again");
}

static int create(struct server_call *c)
{
    const struct api_image_create *body = c->request.body;
    const struct api_image_source *source = body->source.v;
    if (source->kind.v == API_IMAGE_SOURCE_KIND_FILE && source->file.is == API_VALUE)
        return look_for_file(c, source->file.v);
    return server_resource_create(c, &image);
}

/* ---- showing ---- */

/* How many volumes need it changes without the image: it is looked at when somebody asks. */
static void refresh(struct server *s, const struct catalog_slot *slot)
{
    const struct api_image *doc = slot->now->doc;
    int64_t users = server_storage_sum(s->storage, CATALOG_IMAGE, &slot->now->id, &nowhere);
    if (slot->writing || doc->status.is != API_VALUE ||
        (doc->status.v->users.is == API_VALUE && doc->status.v->users.v == users))
        return;
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return;
    ((struct api_image *)v->doc)->status.v->users = (struct api_int){API_VALUE, users};
    server_storage_show(s, slot, v);
}

static bool shown(struct server_call *c, const struct catalog_object *v)
{
    return c->request.all_projects || server_shared(v) ||
           !memcmp(&v->project, &c->project, sizeof(v->project));
}

/* One's own, or a public one by its id. */
struct catalog_slot *server_image_visible(struct server_call *c)
{
    struct store_id id;
    struct catalog_slot *slot = catalog_id_parse(c->request.match.params[0], &id)
                                    ? NULL
                                    : catalog_find(c->s->catalog, CATALOG_IMAGE, &id);
    return slot && server_shared(slot->now) ? slot : server_call_object(c, CATALOG_IMAGE, 0);
}

static int get(struct server_call *c)
{
    const struct catalog_slot *slot = server_image_visible(c);
    if (!slot)
        return -ENOENT;
    refresh(c->s, slot);
    server_call_reply_object(c, 200, slot->now);
    return 0;
}

static int list(struct server_call *c)
{
    const struct catalog_list *all = catalog_all(c->s->catalog, CATALOG_IMAGE);
    for (size_t i = 0; i < all->n; i++)
        refresh(c->s, all->slots[i]);
    return server_list_reply(c, all, shown);
}

static int patch(struct server_call *c)
{
    return server_resource_patch(c, &image);
}

/* ---- the end ---- */

static int remove_image(struct server_call *c)
{
    struct catalog_slot *slot;
    int r = server_storage_deletable(c, CATALOG_IMAGE, ", or set deprecated", &slot);
    if (!r)
        r = server_storage_unprotected(c, slot->now);
    return r ? r : server_storage_delete(c, slot);
}

int server_image_cancel(struct server_call *c, struct server_txn *t, struct catalog_slot *slot)
{
    int r = server_call_wait(c, slot);
    if (r)
        return r;
    enum server_storage_phase phase = server_storage_phase(slot->now);
    if (phase != SERVER_STORAGE_WAITING && phase != SERVER_STORAGE_MAKING)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_OPERATION_NOT_CANCELLABLE,
                               "image %s is not being imported any more", slot->now->name);
    struct catalog_object *v = catalog_copy(slot->now);
    if (!v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    struct api_text *operation = server_storage_operation(v);
    if (operation->is == API_VALUE)
        server_operation_cancelled(t, operation->v);
    *operation = (struct api_text){0};
    server_storage_broken(t, v, API_PROBLEM_CODE_HOST_FAILED, "the import was cancelled");
    server_txn_put(t, slot, v, true);
    return 0;
}

const struct server_route server_image_routes[] = {
    {API_OP_IMAGE_LIST, list},
    {API_OP_IMAGE_CREATE, create},
    {API_OP_IMAGE_GET, get},
    {API_OP_IMAGE_PATCH, patch},
    {API_OP_IMAGE_DELETE, remove_image},
    {API_OP_IMAGE_UPLOAD, server_image_upload},
    {API_OP_IMAGE_DOWNLOAD, server_image_download},
    {0},
};
