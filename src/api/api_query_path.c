/* From "status.addresses.ip" to fields, and from fields to values. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"
#include "api/api_query_internal.h"
#include "base/util.h"

struct path_reader {
    const char *parameter;
    enum api_problem_code code;
    struct api_arena *arena;
    struct api_refusal *refusal;
};

static int no_field(const struct path_reader *r, const struct api_types_object *o, const char *text,
                    size_t bytes)
{
    char names[160] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < o->n_fields && at < sizeof(names) - 1; i++) {
        int n = snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", o->fields[i].name);
        at = MIN(at + (size_t)MAX(n, 0), sizeof(names) - 1);
    }
    return api_problem_add(r->refusal, r->code, r->parameter, "%s has no field \"%.*s\": use %s",
                           o->what, (int)MIN(bytes, (size_t)40), text, names);
}

static int map_key(const struct path_reader *r, struct api_query_path *path, const char *text,
                   size_t bytes)
{
    char *key = api_arena_text(r->arena, text, bytes);
    if (!key)
        return -ENOMEM;
    if (!api_format_holds(API_FORMAT_KEY, key, bytes) || bytes > 63)
        return api_problem_add(r->refusal, r->code, r->parameter, "\"%.64s\": use %s", key,
                               api_format_wanted(API_FORMAT_KEY));
    path->key = key;
    return 0;
}

int api_query_path_read(const struct api_types_object *o, const char *text, size_t bytes,
                        struct api_query_path *path, const char *parameter,
                        enum api_problem_code code, struct api_arena *arena,
                        struct api_refusal *refusal)
{
    struct path_reader r = {parameter, code, arena, refusal};
    *path = (struct api_query_path){.n = 0};
    for (;;) {
        const char *dot = memchr(text, '.', bytes);
        size_t name = dot ? (size_t)(dot - text) : bytes;
        const struct api_types_field *f = o ? api_types_find(o, text, name) : NULL;
        if (!f || path->n == API_QUERY_STEPS || f->flags & API_FIELD_WRITE_ONLY)
            return o ? no_field(&r, o, text, name)
                     : api_problem_add(refusal, code, parameter,
                                       "nothing is inside of \"%s\": leave \".%.40s\" out",
                                       api_query_path_last(path)->name, text);
        path->steps[path->n++] = f;
        if (!dot)
            return 0;
        text = dot + 1;
        bytes -= name + 1;
        /* Labels have dots in their keys: all that follows is the key. */
        if (f->kind == API_KIND_MAP)
            return map_key(&r, path, text, bytes);
        o = f->object;
    }
}

static struct api_query_value of_text(const struct api_types_field *f, const char *text)
{
    struct api_query_value v = {.kind = API_QUERY_TEXT, .text = text};
    if (f->format == API_FORMAT_TIMESTAMP && !api_format_time(text, &v.number))
        v.kind = API_QUERY_INT;
    return v;
}

static struct api_query_value of_item(const struct api_types_field *f, const void *item)
{
    struct api_query_value v = {.kind = API_QUERY_INT};
    const char *text;
    int word;
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        memcpy(&text, item, sizeof(text));
        return of_text(f, text);
    case API_KIND_ENUM:
        memcpy(&word, item, sizeof(word));
        return (struct api_query_value){.kind = API_QUERY_TEXT, .text = f->words->names[word]};
    case API_KIND_INT:
        memcpy(&v.number, item, sizeof(v.number));
        return v;
    default: /* an object: it is there */
        v.number = 1;
        return v;
    }
}

static struct api_query_value of_map(const struct api_query_path *p, const struct api_map *map)
{
    for (uint32_t i = 0; p->key && i < map->n; i++)
        if (!strcmp(map->v[i].key, p->key) && map->v[i].value)
            return (struct api_query_value){.kind = API_QUERY_TEXT, .text = map->v[i].value};
    return (struct api_query_value){.kind = p->key ? API_QUERY_ABSENT : API_QUERY_INT};
}

static struct api_query_value of_member(const struct api_query_path *p,
                                        const struct api_types_field *f, const void *member)
{
    struct api_query_value v = {.kind = API_QUERY_INT};
    struct api_enum word;
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return of_text(f, ((const struct api_text *)member)->v);
    case API_KIND_INT:
        v.number = ((const struct api_int *)member)->v;
        return v;
    case API_KIND_BOOL:
        v.number = ((const struct api_bool *)member)->v;
        return v;
    case API_KIND_NUMBER:
        v.kind = API_QUERY_NUMBER;
        v.real = ((const struct api_number *)member)->v;
        return v;
    case API_KIND_ENUM:
        memcpy(&word, member, sizeof(word));
        return (struct api_query_value){.kind = API_QUERY_TEXT, .text = f->words->names[word.v]};
    case API_KIND_MAP:
        return of_map(p, member);
    default: /* objects and any JSON: only whether they are there can be asked */
        v.number = 1;
        return v;
    }
}

struct walk {
    const struct api_query_path *path;
    bool (*visit)(void *opaque, const struct api_query_value *v);
    void *opaque;
};

static bool walk_from(const struct walk *w, unsigned step, const void *object);

static bool walk_list(const struct walk *w, unsigned step, const struct api_types_field *f,
                      const void *member)
{
    struct api_list list;
    memcpy(&list, member, sizeof(list));
    size_t stride = api_types_item_bytes(f);
    for (uint32_t i = 0; i < list.n; i++) {
        const char *item = (const char *)list.v + i * stride;
        bool last = step + 1 == w->path->n;
        struct api_query_value v = of_item(f, item);
        if (last ? w->visit(w->opaque, &v) : walk_from(w, step + 1, item))
            return true;
    }
    return false;
}

static bool walk_from(const struct walk *w, unsigned step, const void *object)
{
    const struct api_types_field *f = w->path->steps[step];
    const void *member = api_types_at(object, f);
    struct api_query_value v = {.kind = API_QUERY_ABSENT};
    struct api_object inner;
    if (api_types_is(object, f) != API_VALUE)
        return w->visit(w->opaque, &v);
    if (f->kind == API_KIND_LIST)
        return walk_list(w, step, f, member);
    if (step + 1 < w->path->n) {
        memcpy(&inner, member, sizeof(inner));
        return walk_from(w, step + 1, inner.v);
    }
    v = of_member(w->path, f, member);
    return w->visit(w->opaque, &v);
}

bool api_query_path_any(const struct api_query_path *p, const void *object,
                        bool (*visit)(void *opaque, const struct api_query_value *v), void *opaque)
{
    struct walk w = {p, visit, opaque};
    return walk_from(&w, 0, object);
}

static bool take(void *opaque, const struct api_query_value *v)
{
    *(struct api_query_value *)opaque = *v;
    return true;
}

struct api_query_value api_query_path_value(const struct api_query_path *p, const void *object)
{
    struct api_query_value v = {.kind = API_QUERY_ABSENT};
    api_query_path_any(p, object, take, &v);
    return v;
}

int api_query_value_order(const struct api_query_value *a, const struct api_query_value *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case API_QUERY_INT:
        return (a->number > b->number) - (a->number < b->number);
    case API_QUERY_NUMBER:
        return (a->real > b->real) - (a->real < b->real);
    case API_QUERY_TEXT:
        return strcmp(a->text, b->text);
    case API_QUERY_ABSENT:
        break;
    }
    return 0;
}
