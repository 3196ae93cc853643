/* Versions of objects: made, changed, written out, read back. */
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "mgmt/catalog/catalog.h"

/* One document's worth; a VM with all its user data is the largest. */
#define ARENA_MAX_BYTES (8u << 20)
#define TEXT_MAX_BYTES  STORE_BODY_MAX
#define RANDOM_BYTES    1024 /* fetched at once */

/* Of versions of which nothing beside the API's document is known: most of an operation would be
 * this. Read-only, as are all versions that are shown. */
static const struct catalog_own nothing_own;

/* A system call for each id would take longer than all else of it. */
static void fill_random(void *to, size_t bytes)
{
    static _Thread_local uint8_t pool[RANDOM_BYTES];
    static _Thread_local size_t left;
    if (left < bytes) {
        if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
            abort(); /* not for so little, once the kernel's pool is there */
        left = sizeof(pool);
    }
    left -= bytes;
    memcpy(to, pool + left, bytes);
}

struct store_id catalog_id(int64_t now_ms)
{
    static _Thread_local int64_t last_ms;
    static _Thread_local uint16_t counter; /* RFC 9562, 6.2, method 1: within a millisecond */
    struct store_id id;
    fill_random(id.bytes, sizeof(id.bytes));
    if (now_ms > last_ms) {
        last_ms = now_ms;
        counter = 0;
    } else if (++counter == 0x1000) {
        last_ms++;
        counter = 0;
    }
    uint64_t ms = (uint64_t)last_ms;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | counter >> 8);
    id.bytes[7] = (uint8_t)counter;
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

bool catalog_id_is_zero(const struct store_id *id)
{
    static const struct store_id zero;
    return !memcmp(id, &zero, sizeof(zero));
}

int catalog_id_parse(const char *text, struct store_id *id)
{
    return uuid_parse(text, id->bytes);
}

static struct catalog_object *object_alloc(enum catalog_kind kind, const struct store_id *id,
                                           const struct store_id *project)
{
    struct catalog_object *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->kind = kind;
    v->refs = 1;
    v->id = *id;
    v->project = *project;
    uuid_format(id->bytes, v->id_text);
    v->name = v->id_text;
    api_arena_init(&v->arena, ARENA_MAX_BYTES);
    return v;
}

struct catalog_object *catalog_new(enum catalog_kind kind, const struct store_id *id,
                                   const struct store_id *project)
{
    struct catalog_object *v = object_alloc(kind, id, project);
    if (!v)
        return NULL;
    v->doc = api_json_new(catalog_kinds[kind].type, &v->arena);
    v->own = api_json_new(&catalog_own_type, &v->arena);
    if (v->doc && v->own)
        return v;
    catalog_unref(v);
    return NULL;
}

struct catalog_object *catalog_copy(const struct catalog_object *old)
{
    struct catalog_object *v = object_alloc(old->kind, &old->id, &old->project);
    if (!v)
        return NULL;
    v->doc = api_json_copy(catalog_kinds[old->kind].type, old->doc, &v->arena);
    v->own = api_json_copy(&catalog_own_type, old->own, &v->arena);
    if (v->doc && v->own)
        return v;
    catalog_unref(v);
    return NULL;
}

static void set_name(struct catalog_object *v)
{
    const struct api_types_object *type = catalog_kinds[v->kind].type;
    const struct api_types_field *f = api_types_find(type, "name", 4);
    const struct api_text *name = f ? api_types_at(v->doc, f) : NULL;
    v->name = name && name->is == API_VALUE ? name->v : v->id_text;
}

/* Leaves behind what the document no longer points to, and takes along what it points to elsewhere
 * (a request's body, the version before). */
static int move_in(struct catalog_object *v)
{
    struct api_arena arena;
    bool has_own = memcmp(v->own, &nothing_own, sizeof(nothing_own)) != 0;
    api_arena_init(&arena, ARENA_MAX_BYTES);
    /* One piece of memory, where nothing was left behind exactly what it takes. */
    arena.chunk_bytes = v->arena.taken_bytes + 2 * alignof(max_align_t);
    if (!has_own && v->own != &nothing_own)
        arena.chunk_bytes -= sizeof(nothing_own);
    void *doc = api_json_copy(catalog_kinds[v->kind].type, v->doc, &arena);
    struct catalog_own *own = (struct catalog_own *)(uintptr_t)&nothing_own;
    if (has_own && doc)
        own = api_json_copy(&catalog_own_type, v->own, &arena);
    if (!doc || !own) {
        api_arena_fini(&arena);
        return -ENOMEM;
    }
    api_arena_fini(&v->arena);
    v->arena = arena;
    v->doc = doc;
    v->own = own;
    return 0;
}

/* Whether a struct of the type could hold what answers do not show. */
static bool may_hide(const struct api_types_object *o)
{
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        bool inside = f->kind == API_KIND_OBJECT ||
                      (f->kind == API_KIND_LIST && f->item_kind == API_KIND_OBJECT);
        if (f->flags & API_FIELD_WRITE_ONLY || (inside && may_hide(f->object)))
            return true;
    }
    return false;
}

int catalog_seal(struct catalog_object *v)
{
    const struct api_types_object *type = catalog_kinds[v->kind].type;
    struct api_buf b;
    if (move_in(v))
        return -ENOMEM;
    set_name(v);
    api_buf_init(&b, TEXT_MAX_BYTES);
    api_json_write(type, v->doc, API_JSON_SECRETS, NULL, &b);
    size_t text_bytes = may_hide(type) ? 0 : b.bytes;
    api_buf_putc(&b, '\n');
    api_json_write(&catalog_own_type, v->own, API_JSON_SECRETS, NULL, &b);
    size_t body_bytes = b.bytes;
    char *body = api_buf_steal(&b);
    api_buf_fini(&b);
    if (!body)
        return -ENOMEM;
    free(v->body);
    v->body = body;
    v->body_bytes = body_bytes;
    v->text_bytes = text_bytes;
    return 0;
}

void catalog_write(const struct catalog_object *v, struct api_buf *b)
{
    if (v->body && v->text_bytes)
        api_buf_put(b, v->body, v->text_bytes);
    else
        api_json_write(catalog_kinds[v->kind].type, v->doc, 0, NULL, b);
}

static int parse_body(struct catalog_object *v, const struct store_text *body, struct err *err)
{
    struct api_refusal refusal;
    api_problem_init(&refusal);
    const char *line = memchr(body->data, '\n', body->len_bytes);
    if (!line)
        return err_set(err, EBADMSG, "%s %s in the store is cut short: restore a backup",
                       catalog_kinds[v->kind].name, v->id_text);
    size_t first = (size_t)(line - body->data);
    int r = api_json_read(catalog_kinds[v->kind].type, body->data, first, API_JSON_LENIENT,
                          &v->arena, &v->doc, &refusal);
    if (!r)
        r = api_json_read(&catalog_own_type, line + 1, body->len_bytes - first - 1,
                          API_JSON_LENIENT, &v->arena, (void **)&v->own, &refusal);
    if (r)
        return err_set(err, EBADMSG, "%s %s in the store: %s: restore a backup",
                       catalog_kinds[v->kind].name, v->id_text, refusal.detail);
    if (move_in(v))
        return err_set(err, ENOMEM, "no memory for what the store holds");
    set_name(v);
    return 0;
}

struct catalog_object *catalog_parse(const struct store_record *record, struct err *err)
{
    if (record->kind == CATALOG_NONE || record->kind >= CATALOG_KINDS) {
        err_set(err, EPROTO, "the store holds objects of kind %u: use a newer virgad",
                record->kind);
        return NULL;
    }
    struct catalog_object *v =
        object_alloc((enum catalog_kind)record->kind, &record->id, &record->project);
    if (!v) {
        err_set(err, ENOMEM, "no memory for what the store holds");
        return NULL;
    }
    v->seq = record->seq;
    if (!parse_body(v, &record->body, err))
        return v;
    catalog_unref(v);
    return NULL;
}

struct catalog_object *catalog_ref(struct catalog_object *v)
{
    v->refs++;
    return v;
}

void catalog_unref(struct catalog_object *v)
{
    if (!v || --v->refs)
        return;
    free(v->body);
    api_arena_fini(&v->arena);
    free(v);
}

static const struct api_text *parent_text(const struct catalog_object *v)
{
    const struct api_vm *vm = v->doc;
    const struct api_subnet *subnet = v->doc;
    switch (v->kind) {
    case CATALOG_VM:
        return vm->status.is == API_VALUE ? &vm->status.v->host : NULL;
    case CATALOG_SUBNET:
        return &subnet->network;
    case CATALOG_PORT:
        return &v->own->vm;
    case CATALOG_VOLUME:
    case CATALOG_SNAPSHOT:
    case CATALOG_IMAGE:
        return &v->own->host;
    case CATALOG_TOKEN:
        return &v->own->user;
    default:
        return NULL;
    }
}

struct store_id catalog_parent(const struct catalog_object *v)
{
    struct store_id id = {{0}};
    const struct api_text *text = parent_text(v);
    if (text && text->is == API_VALUE)
        (void)catalog_id_parse(text->v, &id);
    return id;
}
