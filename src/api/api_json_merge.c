/* Merge patches, defaults and comparison: what is done with structs beside reading and writing. */
#include <errno.h>
#include <string.h>

#include "api/api_json.h"

static bool same_shape(const struct api_types_field *a, const struct api_types_field *b)
{
    return a->kind == b->kind && (a->kind != API_KIND_LIST || a->item_kind == b->item_kind);
}

static int merge_inner(const struct api_types_field *to, void *member,
                       const struct api_types_field *from, const void *patch,
                       struct api_arena *arena)
{
    struct api_object inner, change;
    memcpy(&inner, member, sizeof(inner));
    memcpy(&change, patch, sizeof(change));
    if (inner.is != API_VALUE) {
        inner = (struct api_object){API_VALUE, api_json_new(to->object, arena)};
        if (!inner.v)
            return -ENOMEM;
    } else {
        /* A copy: the target may share what is inside with what it was copied from. */
        void *copy = api_json_new(to->object, arena);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, inner.v, to->object->bytes);
        inner.v = copy;
    }
    int r = api_json_merge(to->object, inner.v, from->object, change.v, arena);
    if (!r)
        memcpy(member, &inner, sizeof(inner));
    return r;
}

static const struct api_pair *find_pair(const struct api_map *map, const char *key)
{
    for (uint32_t i = 0; map->is == API_VALUE && i < map->n; i++)
        if (!strcmp(map->v[i].key, key))
            return &map->v[i];
    return NULL;
}

static int merge_map(struct api_map *map, const struct api_map *patch, struct api_arena *arena)
{
    uint32_t had = map->is == API_VALUE ? map->n : 0;
    struct api_map out = {API_VALUE, 0, NULL};
    out.v = api_arena_array(arena, (size_t)had + patch->n, sizeof(*out.v));
    if (!out.v)
        return -ENOMEM;
    for (uint32_t i = 0; i < had; i++)
        if (!find_pair(patch, map->v[i].key))
            out.v[out.n++] = map->v[i];
    for (uint32_t i = 0; i < patch->n; i++)
        if (patch->v[i].value)
            out.v[out.n++] = patch->v[i];
    *map = out;
    return 0;
}

/* A list of another type of object (a Create's in a resource's) is copied item by item. */
static int merge_list(const struct api_types_field *to, void *member,
                      const struct api_types_field *from, const void *patch,
                      struct api_arena *arena)
{
    struct api_list list;
    memcpy(&list, patch, sizeof(list));
    if (from->object && from->object != to->object) {
        char *items = api_arena_array(arena, list.n, to->object->bytes);
        const char *item = list.v;
        if (!items)
            return -ENOMEM;
        for (uint32_t i = 0; i < list.n; i++) {
            int r = api_json_merge(to->object, items + (size_t)i * to->object->bytes, from->object,
                                   item + (size_t)i * from->object->bytes, arena);
            if (r)
                return r;
        }
        list.v = items;
    }
    memcpy(member, &list, sizeof(list));
    return 0;
}

static int merge_field(const struct api_types_field *to, void *member,
                       const struct api_types_field *from, const void *patch,
                       struct api_arena *arena)
{
    switch ((enum api_types_kind)to->kind) {
    case API_KIND_OBJECT:
        return merge_inner(to, member, from, patch, arena);
    case API_KIND_MAP:
        return merge_map(member, patch, arena);
    case API_KIND_LIST:
        return merge_list(to, member, from, patch, arena);
    default:
        memcpy(member, patch, api_types_member_bytes(to));
        return 0;
    }
}

int api_json_merge(const struct api_types_object *target_type, void *target,
                   const struct api_types_object *patch_type, const void *patch,
                   struct api_arena *arena)
{
    for (uint32_t i = 0; i < patch_type->n_fields; i++) {
        const struct api_types_field *from = &patch_type->fields[i];
        const struct api_types_field *to =
            api_types_find(target_type, from->name, strlen(from->name));
        enum api_is is = api_types_is(patch, from);
        if (is == API_ABSENT || !to || !same_shape(to, from))
            continue;
        void *member = api_types_at(target, to);
        if (is == API_NULL) {
            memset(member, 0, api_types_member_bytes(to));
            continue;
        }
        int r = merge_field(to, member, from, api_types_at(patch, from), arena);
        if (r)
            return r;
    }
    return 0;
}

static int fill_field(const struct api_types_field *f, void *object, struct api_arena *arena)
{
    enum api_is is = api_types_is(object, f);
    struct api_list list;
    struct api_object inner;
    int r = 0;
    if (is == API_ABSENT)
        return f->fallback ? api_json_set_text(f, object, f->fallback, f->name,
                                               API_PROBLEM_CODE_SERVER_INTERNAL, arena, NULL)
                           : 0;
    if (is == API_VALUE && f->kind == API_KIND_OBJECT) {
        memcpy(&inner, api_types_at(object, f), sizeof(inner));
        return api_json_fill(f->object, inner.v, arena);
    }
    if (is == API_VALUE && f->kind == API_KIND_LIST && f->item_kind == API_KIND_OBJECT) {
        memcpy(&list, api_types_at(object, f), sizeof(list));
        for (uint32_t i = 0; i < list.n && !r; i++)
            r = api_json_fill(f->object, (char *)list.v + (size_t)i * f->object->bytes, arena);
    }
    return r;
}

int api_json_fill(const struct api_types_object *o, void *object, struct api_arena *arena)
{
    for (uint32_t i = 0; i < o->n_fields; i++) {
        int r = fill_field(&o->fields[i], object, arena);
        if (r)
            return r;
    }
    return 0;
}

static bool equal_lists(const struct api_types_field *f, const void *a, const void *b)
{
    struct api_list x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    size_t stride = api_types_item_bytes(f);
    if (x.n != y.n)
        return false;
    for (uint32_t i = 0; i < x.n; i++) {
        const char *p = (const char *)x.v + i * stride, *q = (const char *)y.v + i * stride;
        const char *s, *t;
        bool same;
        if (f->item_kind == API_KIND_TEXT) {
            memcpy(&s, p, sizeof(s));
            memcpy(&t, q, sizeof(t));
            same = !strcmp(s, t);
        } else {
            same = f->object ? api_json_equal(f->object, p, q) : !memcmp(p, q, stride);
        }
        if (!same)
            return false;
    }
    return true;
}

static bool equal_maps(const struct api_map *a, const struct api_map *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct api_pair *other = find_pair(b, a->v[i].key);
        if (!other || !other->value != !a->v[i].value ||
            (other->value && strcmp(other->value, a->v[i].value) != 0))
            return false;
    }
    return true;
}

static bool equal_values(const struct api_types_field *f, const void *a, const void *b)
{
    struct api_object x, y;
    struct api_enum s, t;
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return !strcmp(((const struct api_text *)a)->v, ((const struct api_text *)b)->v);
    case API_KIND_ANY:
        return !strcmp(((const struct api_any *)a)->v, ((const struct api_any *)b)->v);
    case API_KIND_INT:
        return ((const struct api_int *)a)->v == ((const struct api_int *)b)->v;
    case API_KIND_NUMBER:
        return ((const struct api_number *)a)->v == ((const struct api_number *)b)->v;
    case API_KIND_BOOL:
        return ((const struct api_bool *)a)->v == ((const struct api_bool *)b)->v;
    case API_KIND_ENUM:
        memcpy(&s, a, sizeof(s));
        memcpy(&t, b, sizeof(t));
        return s.v == t.v;
    case API_KIND_OBJECT:
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return api_json_equal(f->object, x.v, y.v);
    case API_KIND_LIST:
        return equal_lists(f, a, b);
    case API_KIND_MAP:
        return equal_maps(a, b);
    }
    return false;
}

bool api_json_equal(const struct api_types_object *o, const void *a, const void *b)
{
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        enum api_is is = api_types_is(a, f);
        if (is != api_types_is(b, f) ||
            (is == API_VALUE && !equal_values(f, api_types_at(a, f), api_types_at(b, f))))
            return false;
    }
    return true;
}
