/* JSON to structs. jansson builds the tree; what reaches it is bounded in size and in nesting. */
#include "api/api_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json_internal.h"
#include "base/util.h"

#define ANY_MAX_BYTES (64u << 10)

struct reader {
    struct api_json_checker check;
    struct api_arena *arena;
    unsigned flags;
    bool full; /* of the arena: nothing more is read */
};

static int read_object(struct reader *r, const struct api_types_object *o, const json_t *json,
                       void *object);

void *api_json_new(const struct api_types_object *o, struct api_arena *arena)
{
    return api_arena_alloc(arena, o->bytes);
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int wrong_type(struct reader *r, const json_t *v, const char *wanted)
{
    return api_problem_add(r->check.refusal, r->check.code, r->check.place.text, "%s: use %s",
                           type_name(v), wanted);
}

/* p, or notes that there was no room for it. */
static void *kept(struct reader *r, void *p)
{
    if (!p)
        r->full = true;
    return p;
}

static int full(struct reader *r)
{
    r->full = true;
    return -ENOMEM;
}

static int read_text(struct reader *r, const struct api_types_field *f, const json_t *v,
                     const char **out)
{
    if (!json_is_string(v))
        return wrong_type(r, v, "text");
    int e = api_json_check_text(&r->check, f->format, f->min, f->max, json_string_value(v));
    if (e)
        return e;
    *out = kept(r, api_arena_text(r->arena, json_string_value(v), json_string_length(v)));
    return *out ? 0 : full(r);
}

static int read_int(struct reader *r, const struct api_types_field *f, const json_t *v,
                    int64_t *out)
{
    if (!json_is_integer(v))
        return wrong_type(r, v, "a whole number");
    *out = json_integer_value(v);
    return api_json_check_int(&r->check, f, *out);
}

static int read_word(struct reader *r, const struct api_types_field *f, const json_t *v, int *out)
{
    if (!json_is_string(v))
        return wrong_type(r, v, "text");
    return api_json_check_word(&r->check, f, json_string_value(v), out);
}

static int read_item(struct reader *r, const struct api_types_field *f, const json_t *v, void *item)
{
    const char *text = NULL;
    int64_t number = 0;
    int word = 0, e;
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        e = read_text(r, f, v, &text);
        memcpy(item, &text, sizeof(text));
        return e;
    case API_KIND_INT:
        e = read_int(r, f, v, &number);
        memcpy(item, &number, sizeof(number));
        return e;
    case API_KIND_ENUM:
        e = read_word(r, f, v, &word);
        memcpy(item, &word, sizeof(word));
        return e;
    default:
        return read_object(r, f->object, v, item);
    }
}

static int read_list(struct reader *r, const struct api_types_field *f, const json_t *v,
                     void *member)
{
    if (!json_is_array(v))
        return wrong_type(r, v, "a list");
    size_t n = json_array_size(v), stride = api_types_item_bytes(f);
    int e = api_json_check_count(&r->check, f, n);
    if (e)
        return e;
    char *items = kept(r, api_arena_array(r->arena, n, stride));
    uint32_t used = 0;
    for (size_t i = 0; items && i < n && !r->full; i++) {
        size_t before = api_json_place_index(&r->check.place, i);
        int one = read_item(r, f, json_array_get(v, i), items + used * stride);
        api_json_place_pop(&r->check.place, before);
        e = e ? e : one;
        used++;
    }
    struct api_list list = {API_VALUE, used, items};
    memcpy(member, &list, sizeof(list));
    return r->full ? full(r) : e;
}

static int read_pair(struct reader *r, const struct api_types_field *f, const char *key,
                     const json_t *v, struct api_pair *pair)
{
    int e = api_json_check_text(&r->check, API_FORMAT_KEY, 1, 63, key);
    if (!e && !(json_is_null(v) && (f->flags & API_FIELD_NULL_VALUES)))
        e = read_text(r, f, v, &pair->value);
    pair->key = kept(r, api_arena_text(r->arena, key, strlen(key)));
    return e;
}

static int read_map(struct reader *r, const struct api_types_field *f, const json_t *v,
                    struct api_map *map)
{
    if (!json_is_object(v))
        return wrong_type(r, v, "an object");
    size_t n = json_object_size(v);
    int e = api_json_check_count(&r->check, f, n);
    if (e)
        return e;
    map->v = kept(r, api_arena_array(r->arena, n, sizeof(*map->v)));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        if (r->full)
            break;
        size_t before = api_json_place_key(&r->check.place, key);
        int one = read_pair(r, f, key, value, &map->v[map->n++]);
        api_json_place_pop(&r->check.place, before);
        e = e ? e : one;
    }
    map->is = API_VALUE;
    return r->full ? full(r) : e;
}

static int read_any(struct reader *r, const json_t *v, struct api_any *any)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t bytes = json_dumpb(v, NULL, 0, flags);
    if (!bytes || bytes > ANY_MAX_BYTES)
        return api_problem_add(r->check.refusal, r->check.code, r->check.place.text,
                               "%zu bytes: use at most %u", bytes, ANY_MAX_BYTES);
    char *text = kept(r, api_arena_alloc(r->arena, bytes + 1));
    if (!text)
        return full(r);
    json_dumpb(v, text, bytes, flags);
    *any = (struct api_any){API_VALUE, text};
    return 0;
}

static int read_number(struct reader *r, const struct api_types_field *f, const json_t *v,
                       struct api_number *out)
{
    if (!json_is_number(v))
        return wrong_type(r, v, "a number");
    *out = (struct api_number){API_VALUE, json_number_value(v)};
    return api_json_check_number(&r->check, f, out->v);
}

static int read_inner(struct reader *r, const struct api_types_field *f, const json_t *v,
                      void *member)
{
    struct api_object inner = {API_VALUE, kept(r, api_json_new(f->object, r->arena))};
    if (!inner.v)
        return full(r);
    memcpy(member, &inner, sizeof(inner));
    return read_object(r, f->object, v, inner.v);
}

static int read_value(struct reader *r, const struct api_types_field *f, const json_t *v,
                      void *member)
{
    struct api_text *text = member;
    struct api_int *number = member;
    struct api_enum word = {API_VALUE, 0};
    int e;
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        text->is = API_VALUE;
        return read_text(r, f, v, &text->v);
    case API_KIND_INT:
        number->is = API_VALUE;
        return read_int(r, f, v, &number->v);
    case API_KIND_NUMBER:
        return read_number(r, f, v, member);
    case API_KIND_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(r, v, "true or false");
        *(struct api_bool *)member = (struct api_bool){API_VALUE, json_is_true(v)};
        return 0;
    case API_KIND_ENUM:
        e = read_word(r, f, v, &word.v);
        memcpy(member, &word, sizeof(word));
        return e;
    case API_KIND_OBJECT:
        return read_inner(r, f, v, member);
    case API_KIND_LIST:
        return read_list(r, f, v, member);
    case API_KIND_MAP:
        return read_map(r, f, v, member);
    case API_KIND_ANY:
        return read_any(r, v, member);
    }
    return -EINVAL;
}

/* Why a key is not taken: the server's own, or one that nobody knows. */
static int unknown_key(struct reader *r, const struct api_types_object *o, const char *key)
{
    if (r->flags & (API_JSON_LENIENT | API_JSON_NEWER))
        return 0;
    if (o->base && api_types_find(o->base, key, strlen(key)))
        return api_problem_add(r->check.refusal, r->check.code, r->check.place.text,
                               "cannot be given here: the server sets it, or it never changes");
    char names[200];
    size_t at = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < o->n_fields && at < sizeof(names) - 1; i++) {
        int n = snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", o->fields[i].name);
        at = MIN(at + (size_t)MAX(n, 0), sizeof(names) - 1);
    }
    return api_problem_add(r->check.refusal, r->check.code, r->check.place.text,
                           "no such field: use %s", o->n_fields ? names : "none");
}

static int read_field(struct reader *r, const struct api_types_object *o, const char *key,
                      const json_t *v, void *object)
{
    const struct api_types_field *f = api_types_find(o, key, strlen(key));
    if (!f)
        return unknown_key(r, o, key);
    void *member = api_types_at(object, f);
    if (json_is_null(v)) {
        enum api_is is = API_NULL;
        if (f->flags & API_FIELD_NULLABLE) {
            memcpy(member, &is, sizeof(is));
            return 0;
        }
        /* Any JSON holds null as a value like others. */
        if (f->kind != API_KIND_ANY)
            return wrong_type(r, v, "a value, or leave it out");
    }
    r->check.secret = f->flags & API_FIELD_WRITE_ONLY;
    int e = read_value(r, f, v, member);
    r->check.secret = false;
    return e;
}

static bool given_or_optional(const json_t *json, const struct api_types_field *f)
{
    return !(f->flags & API_FIELD_REQUIRED) || json_object_get(json, f->name);
}

/* A word that a newer server knows and we do not: as if it were not there. */
static bool may_skip(const struct reader *r, const struct api_types_object *o, const char *key,
                     const json_t *v)
{
    const struct api_types_field *f = api_types_find(o, key, strlen(key));
    if (!(r->flags & API_JSON_LENIENT) || !f || f->kind != API_KIND_ENUM || !json_is_string(v))
        return false;
    struct api_json_checker nobody = {.refusal = NULL};
    int word;
    return api_json_check_word(&nobody, f, json_string_value(v), &word) != 0;
}

static int read_object(struct reader *r, const struct api_types_object *o, const json_t *json,
                       void *object)
{
    if (!json_is_object(json))
        return wrong_type(r, json, "an object");
    const char *key;
    json_t *v;
    int e = 0;
    json_object_foreach((json_t *)json, key, v)
    {
        if (r->full)
            return full(r);
        if (may_skip(r, o, key, v))
            continue;
        size_t before = api_json_place_key(&r->check.place, key);
        int one = read_field(r, o, key, v, object);
        api_json_place_pop(&r->check.place, before);
        e = e ? e : one;
    }
    for (uint32_t i = 0; i < o->n_fields && !(r->flags & API_JSON_LENIENT); i++)
        if (!given_or_optional(json, &o->fields[i])) {
            int one = api_json_missing(&r->check, &o->fields[i]);
            e = e ? e : one;
        }
    return r->full ? full(r) : e;
}

/* jansson recurses for each level and allocates a hundred bytes for each value, however short; this
 * looks at the punctuation outside of texts before it gets there. */
static int scan(const char *text, size_t bytes, unsigned flags, struct api_refusal *refusal)
{
    unsigned depth = 0, values = 0;
    bool quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        char ch = text[i];
        if (quoted) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                quoted = false;
        } else if (ch == '"') {
            quoted = true;
        } else if (ch == '{' || ch == '[') {
            values++;
            if (++depth > API_JSON_MAX_DEPTH)
                return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                                       "the document nests over %d levels deep",
                                       API_JSON_MAX_DEPTH);
        } else if ((ch == '}' || ch == ']') && depth) {
            depth--;
        } else if (ch == ',') {
            values++;
        }
    }
    if (values > API_JSON_MAX_VALUES && !(flags & API_JSON_LENIENT))
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                               "the document holds over %d values", API_JSON_MAX_VALUES);
    return 0;
}

static int parse(const char *text, size_t bytes, unsigned flags, struct api_refusal *refusal,
                 json_t **json)
{
    if (bytes > API_JSON_MAX_BYTES)
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                               "the document has %zu bytes: at most %u are read", bytes,
                               API_JSON_MAX_BYTES);
    int e = scan(text, bytes, flags, refusal);
    if (e)
        return e;
    json_error_t je;
    *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (!*json)
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                               "line %d, column %d is not JSON: %.160s", je.line, je.column,
                               je.text);
    return 0;
}

int api_json_read(const struct api_types_object *o, const char *text, size_t bytes, unsigned flags,
                  struct api_arena *arena, void **out, struct api_refusal *refusal)
{
    json_t *json = NULL;
    int e = parse(text, bytes, flags, refusal, &json);
    if (e)
        return e;
    struct reader r = {.check = {.refusal = refusal,
                                 .code = API_PROBLEM_CODE_REQUEST_INVALID,
                                 .lenient = flags & API_JSON_LENIENT},
                       .arena = arena,
                       .flags = flags};
    void *object = kept(&r, api_json_new(o, arena));
    e = object ? read_object(&r, o, json, object) : -ENOMEM;
    json_decref(json);
    if (r.full) {
        api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                        "the document holds more than can be read at once: send less");
        return -ENOMEM;
    }
    if (e) {
        api_problem_summarize(refusal);
        return e;
    }
    *out = object;
    return 0;
}
