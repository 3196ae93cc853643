#include "api/api_types.h"

#include <assert.h>
#include <string.h>

/* The generated structs spell these out with types of their own. */
static_assert(sizeof(enum api_is) == sizeof(int), "a member begins with an int");
static_assert(offsetof(struct api_object, v) == offsetof(struct api_text, v), "one layout");
static_assert(offsetof(struct api_list, v) == offsetof(struct api_texts, v), "one layout");

const struct api_types_field *api_types_find(const struct api_types_object *o, const char *name,
                                             size_t name_bytes)
{
    for (uint32_t i = 0; i < o->n_fields; i++)
        if (strlen(o->fields[i].name) == name_bytes && !memcmp(o->fields[i].name, name, name_bytes))
            return &o->fields[i];
    return NULL;
}

enum api_is api_types_is(const void *object, const struct api_types_field *f)
{
    enum api_is is;
    memcpy(&is, api_types_at(object, f), sizeof(is));
    return is;
}

size_t api_types_item_bytes(const struct api_types_field *f)
{
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        return sizeof(const char *);
    case API_KIND_INT:
        return sizeof(int64_t);
    case API_KIND_ENUM:
        return sizeof(int);
    default:
        return f->object ? f->object->bytes : 0;
    }
}

size_t api_types_member_bytes(const struct api_types_field *f)
{
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return sizeof(struct api_text);
    case API_KIND_INT:
        return sizeof(struct api_int);
    case API_KIND_NUMBER:
        return sizeof(struct api_number);
    case API_KIND_BOOL:
        return sizeof(struct api_bool);
    case API_KIND_ENUM:
        return sizeof(struct api_enum);
    case API_KIND_OBJECT:
        return sizeof(struct api_object);
    case API_KIND_LIST:
        return sizeof(struct api_list);
    case API_KIND_MAP:
        return sizeof(struct api_map);
    case API_KIND_ANY:
        return sizeof(struct api_any);
    }
    return 0;
}
