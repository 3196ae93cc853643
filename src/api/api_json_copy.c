/* A copy of a struct that shares nothing with what it was copied from. */
#include <errno.h>
#include <string.h>

#include "api/api_json.h"

static int copy_inside(const struct api_types_object *o, void *object, struct api_arena *arena);

static int copy_text(const char **text, struct api_arena *arena)
{
    const char *copy = api_arena_text(arena, *text, strlen(*text));
    if (!copy)
        return -ENOMEM;
    *text = copy;
    return 0;
}

static int copy_list(const struct api_types_field *f, void *member, struct api_arena *arena)
{
    struct api_list list;
    memcpy(&list, member, sizeof(list));
    size_t item_bytes = api_types_item_bytes(f);
    char *items = api_arena_array(arena, list.n, item_bytes);
    if (!items)
        return -ENOMEM;
    if (list.n)
        memcpy(items, list.v, list.n * item_bytes);
    int r = 0;
    for (uint32_t i = 0; i < list.n && !r; i++) {
        void *item = items + i * item_bytes;
        if (f->item_kind == API_KIND_TEXT)
            r = copy_text(item, arena);
        else if (f->item_kind == API_KIND_OBJECT)
            r = copy_inside(f->object, item, arena);
    }
    list.v = items;
    memcpy(member, &list, sizeof(list));
    return r;
}

static int copy_map(void *member, struct api_arena *arena)
{
    struct api_map *map = member;
    struct api_pair *pairs = api_arena_array(arena, map->n, sizeof(*pairs));
    int r = pairs ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < map->n && !r; i++) {
        pairs[i] = map->v[i];
        r = copy_text(&pairs[i].key, arena);
        if (!r && pairs[i].value)
            r = copy_text(&pairs[i].value, arena);
    }
    map->v = pairs;
    return r;
}

static int copy_object(const struct api_types_field *f, void *member, struct api_arena *arena)
{
    struct api_object inner;
    memcpy(&inner, member, sizeof(inner));
    inner.v = api_json_copy(f->object, inner.v, arena);
    memcpy(member, &inner, sizeof(inner));
    return inner.v ? 0 : -ENOMEM;
}

static int copy_inside(const struct api_types_object *o, void *object, struct api_arena *arena)
{
    int r = 0;
    for (uint32_t i = 0; i < o->n_fields && !r; i++) {
        const struct api_types_field *f = &o->fields[i];
        void *member = api_types_at(object, f);
        if (api_types_is(object, f) != API_VALUE)
            continue;
        switch ((enum api_types_kind)f->kind) {
        case API_KIND_TEXT:
        case API_KIND_ANY:
            r = copy_text(&((struct api_text *)member)->v, arena);
            break;
        case API_KIND_OBJECT:
            r = copy_object(f, member, arena);
            break;
        case API_KIND_LIST:
            r = copy_list(f, member, arena);
            break;
        case API_KIND_MAP:
            r = copy_map(member, arena);
            break;
        default:
            break;
        }
    }
    return r;
}

void *api_json_copy(const struct api_types_object *o, const void *object, struct api_arena *arena)
{
    void *copy = api_json_new(o, arena);
    if (!copy)
        return NULL;
    memcpy(copy, object, o->bytes);
    return copy_inside(o, copy, arena) ? NULL : copy;
}
