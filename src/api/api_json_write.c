/* Structs to JSON. */
#include <string.h>

#include "api/api_json.h"

static void write_list(const struct api_types_field *f, const struct api_list *list, unsigned flags,
                       const struct api_json_fields *fields, struct api_buf *out)
{
    size_t stride = api_types_item_bytes(f);
    const char *item = list->v;
    api_buf_putc(out, '[');
    for (uint32_t i = 0; i < list->n; i++, item += stride) {
        const char *text;
        int64_t number;
        int word;
        if (i)
            api_buf_putc(out, ',');
        switch ((enum api_types_kind)f->item_kind) {
        case API_KIND_TEXT:
            memcpy(&text, item, sizeof(text));
            api_buf_json_text(out, text);
            break;
        case API_KIND_INT:
            memcpy(&number, item, sizeof(number));
            api_buf_int(out, number);
            break;
        case API_KIND_ENUM:
            memcpy(&word, item, sizeof(word));
            api_buf_json_text(out, f->words->names[word]);
            break;
        default:
            api_json_write(f->object, item, flags, fields, out);
        }
    }
    api_buf_putc(out, ']');
}

static void write_map(const struct api_map *map, struct api_buf *out)
{
    api_buf_putc(out, '{');
    for (uint32_t i = 0; i < map->n; i++) {
        if (i)
            api_buf_putc(out, ',');
        api_buf_json_text(out, map->v[i].key);
        api_buf_putc(out, ':');
        if (map->v[i].value)
            api_buf_json_text(out, map->v[i].value);
        else
            api_buf_puts(out, "null");
    }
    api_buf_putc(out, '}');
}

static void write_value(const struct api_types_field *f, const void *member, unsigned flags,
                        const struct api_json_fields *fields, struct api_buf *out)
{
    struct api_enum word;
    struct api_object inner;
    struct api_list list;
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        api_buf_json_text(out, ((const struct api_text *)member)->v);
        break;
    case API_KIND_INT:
        api_buf_int(out, ((const struct api_int *)member)->v);
        break;
    case API_KIND_NUMBER:
        api_buf_json_number(out, ((const struct api_number *)member)->v);
        break;
    case API_KIND_BOOL:
        api_buf_puts(out, ((const struct api_bool *)member)->v ? "true" : "false");
        break;
    case API_KIND_ENUM:
        memcpy(&word, member, sizeof(word));
        api_buf_json_text(out, f->words->names[word.v]);
        break;
    case API_KIND_OBJECT:
        memcpy(&inner, member, sizeof(inner));
        api_json_write(f->object, inner.v, flags, fields, out);
        break;
    case API_KIND_LIST:
        memcpy(&list, member, sizeof(list));
        write_list(f, &list, flags, fields, out);
        break;
    case API_KIND_MAP:
        write_map(member, out);
        break;
    case API_KIND_ANY:
        api_buf_puts(out, ((const struct api_any *)member)->v);
        break;
    }
}

/* The selection of a field; NULL: it was not selected. */
static const struct api_json_fields *selected(const struct api_json_fields *fields,
                                              const struct api_types_field *f)
{
    for (; fields; fields = fields->next)
        if (strlen(f->name) == fields->name_bytes &&
            !memcmp(f->name, fields->name, fields->name_bytes))
            return fields;
    return NULL;
}

void api_json_write(const struct api_types_object *o, const void *object, unsigned flags,
                    const struct api_json_fields *fields, struct api_buf *out)
{
    const char *between = "";
    api_buf_putc(out, '{');
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        enum api_is is = api_types_is(object, f);
        const struct api_json_fields *s = selected(fields, f);
        bool hidden = (f->flags & API_FIELD_WRITE_ONLY) && !(flags & API_JSON_SECRETS);
        if (is == API_ABSENT || hidden || (fields && !s))
            continue;
        api_buf_puts(out, between);
        between = ",";
        api_buf_json_text(out, f->name);
        api_buf_putc(out, ':');
        if (is == API_NULL)
            api_buf_puts(out, "null");
        else
            write_value(f, api_types_at(object, f), flags, s ? s->inside : NULL, out);
    }
    api_buf_putc(out, '}');
}
