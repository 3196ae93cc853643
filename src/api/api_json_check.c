/* Whether values are what the description allows, and the words for it when they are not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"
#include "api/api_json_internal.h"
#include "base/util.h"

/* So much of a value is shown in a message. */
#define SHOWN 64

/* Appends as far as there is room. Returns where that begins. */
static size_t append(struct api_json_place *p, const char *text, size_t n)
{
    size_t before = p->bytes;
    n = MIN(n, sizeof(p->text) - 1 - before);
    memcpy(p->text + before, text, n);
    p->bytes = before + n;
    p->text[p->bytes] = '\0';
    return before;
}

size_t api_json_place_key(struct api_json_place *p, const char *key)
{
    /* RFC 6901: ~ and / inside a key are escaped. */
    char escaped[2 * SHOWN + 1] = "/";
    size_t n = 1;
    for (; *key && n < sizeof(escaped) - 2; key++) {
        bool special = *key == '~' || *key == '/';
        if (special)
            escaped[n++] = '~';
        escaped[n++] = !special ? *key : *key == '~' ? '0' : '1';
    }
    return append(p, escaped, n);
}

size_t api_json_place_index(struct api_json_place *p, size_t i)
{
    char text[24];
    return append(p, text, (size_t)snprintf(text, sizeof(text), "/%zu", i));
}

void api_json_place_pop(struct api_json_place *p, size_t before)
{
    p->bytes = before;
    p->text[before] = '\0';
}

/* Unicode characters, which is what the description counts. */
static int64_t characters(const char *text)
{
    int64_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* The value for a message, which may end up in a log: not that of a secret. */
static int wrong_text(struct api_json_checker *c, const char *text, const char *wanted)
{
    if (c->secret)
        return api_problem_add(c->refusal, c->code, c->place.text, "not allowed: use %s", wanted);
    return api_problem_add(c->refusal, c->code, c->place.text, "\"%.*s\"%s: use %s", SHOWN, text,
                           strlen(text) > SHOWN ? " ..." : "", wanted);
}

int api_json_check_text(struct api_json_checker *c, enum api_types_format format, int64_t min,
                        int64_t max, const char *text)
{
    if (c->lenient)
        return 0;
    int64_t n = characters(text);
    if (n < min || n > max)
        return api_problem_add(c->refusal, c->code, c->place.text,
                               "a text of %" PRId64 " characters: use %" PRId64 " to %" PRId64, n,
                               min, max);
    if (!api_format_holds(format, text, strlen(text)))
        return wrong_text(c, text, api_format_wanted(format));
    return 0;
}

int api_json_check_int(struct api_json_checker *c, const struct api_types_field *f, int64_t v)
{
    if (c->lenient || (v >= f->min && v <= f->max))
        return 0;
    return api_problem_add(c->refusal, c->code, c->place.text,
                           "%" PRId64 ": use %" PRId64 " to %" PRId64, v, f->min, f->max);
}

int api_json_check_number(struct api_json_checker *c, const struct api_types_field *f, double v)
{
    if (c->lenient || (v >= f->number_min && v <= f->number_max))
        return 0;
    return api_problem_add(c->refusal, c->code, c->place.text, "%.15g: use %.15g to %.15g", v,
                           f->number_min, f->number_max);
}

int api_json_check_count(struct api_json_checker *c, const struct api_types_field *f, size_t n)
{
    if (c->lenient || (n >= f->min_items && n <= f->max_items))
        return 0;
    return api_problem_add(c->refusal, c->code, c->place.text, "%zu of them: use %u to %u", n,
                           f->min_items, f->max_items);
}

int api_json_check_word(struct api_json_checker *c, const struct api_types_field *f,
                        const char *word, int *value)
{
    char words[160];
    size_t at = 0;
    for (uint32_t i = 0; i < f->words->n; i++)
        if (!strcmp(f->words->names[i], word)) {
            *value = (int)i;
            return 0;
        }
    for (uint32_t i = 0; i < f->words->n; i++) {
        int n = snprintf(words + at, sizeof(words) - at, "%s%s", i ? ", " : "", f->words->names[i]);
        at = MIN(at + (size_t)MAX(n, 0), sizeof(words) - 1);
    }
    return wrong_text(c, word, words);
}

int api_json_missing(struct api_json_checker *c, const struct api_types_field *f)
{
    size_t before = api_json_place_key(&c->place, f->name);
    int r = api_problem_add(c->refusal, c->code, c->place.text, "missing, and has to be given");
    api_json_place_pop(&c->place, before);
    return r;
}

static int check_object(struct api_json_checker *c, const struct api_types_object *o,
                        const void *object);

static int check_item(struct api_json_checker *c, const struct api_types_field *f, const void *item)
{
    const char *text;
    int64_t number;
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        memcpy(&text, item, sizeof(text));
        return api_json_check_text(c, f->format, f->min, f->max, text);
    case API_KIND_INT:
        memcpy(&number, item, sizeof(number));
        return api_json_check_int(c, f, number);
    case API_KIND_OBJECT:
        return check_object(c, f->object, item);
    default:
        return 0;
    }
}

static int check_list(struct api_json_checker *c, const struct api_types_field *f,
                      const void *member)
{
    struct api_list list;
    memcpy(&list, member, sizeof(list));
    int r = api_json_check_count(c, f, list.n);
    for (uint32_t i = 0; i < list.n; i++) {
        size_t before = api_json_place_index(&c->place, i);
        int one = check_item(c, f, (const char *)list.v + i * api_types_item_bytes(f));
        api_json_place_pop(&c->place, before);
        r = r ? r : one;
    }
    return r;
}

static int check_map(struct api_json_checker *c, const struct api_types_field *f,
                     const struct api_map *map)
{
    int r = api_json_check_count(c, f, map->n);
    for (uint32_t i = 0; i < map->n; i++) {
        size_t before = api_json_place_key(&c->place, map->v[i].key);
        int one = api_json_check_text(c, API_FORMAT_KEY, 1, 63, map->v[i].key);
        if (!one && map->v[i].value)
            one = api_json_check_text(c, f->format, f->min, f->max, map->v[i].value);
        api_json_place_pop(&c->place, before);
        r = r ? r : one;
    }
    return r;
}

static int check_value(struct api_json_checker *c, const struct api_types_field *f,
                       const void *member)
{
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return api_json_check_text(c, f->format, f->min, f->max,
                                   ((const struct api_text *)member)->v);
    case API_KIND_INT:
        return api_json_check_int(c, f, ((const struct api_int *)member)->v);
    case API_KIND_NUMBER:
        return api_json_check_number(c, f, ((const struct api_number *)member)->v);
    case API_KIND_LIST:
        return check_list(c, f, member);
    case API_KIND_MAP:
        return check_map(c, f, member);
    case API_KIND_OBJECT: {
        struct api_object inner;
        memcpy(&inner, member, sizeof(inner));
        return check_object(c, f->object, inner.v);
    }
    default:
        return 0;
    }
}

static int check_object(struct api_json_checker *c, const struct api_types_object *o,
                        const void *object)
{
    int r = 0;
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        enum api_is is = api_types_is(object, f);
        int one = 0;
        if (is == API_VALUE) {
            size_t before = api_json_place_key(&c->place, f->name);
            c->secret = f->flags & API_FIELD_WRITE_ONLY;
            one = check_value(c, f, api_types_at(object, f));
            c->secret = false;
            api_json_place_pop(&c->place, before);
        } else if (f->flags & API_FIELD_REQUIRED) {
            one = api_json_missing(c, f);
        }
        r = r ? r : one;
    }
    return r;
}

int api_json_check(const struct api_types_object *o, const void *object,
                   struct api_refusal *refusal)
{
    struct api_json_checker c = {.refusal = refusal, .code = API_PROBLEM_CODE_REQUEST_INVALID};
    return check_object(&c, o, object);
}

static int check_role(struct api_json_checker *c, const struct api_types_object *o,
                      const void *object, enum api_types_role role);

/* The fields of what is inside of a field. */
static int check_role_inside(struct api_json_checker *c, const struct api_types_field *f,
                             const void *member, enum api_types_role role)
{
    struct api_object inner;
    struct api_list list;
    int r = 0;
    if (f->kind == API_KIND_OBJECT) {
        memcpy(&inner, member, sizeof(inner));
        return check_role(c, f->object, inner.v, role);
    }
    if (f->kind != API_KIND_LIST || !f->object)
        return 0;
    memcpy(&list, member, sizeof(list));
    for (uint32_t i = 0; i < list.n && !r; i++) {
        size_t before = api_json_place_index(&c->place, i);
        r = check_role(c, f->object, (const char *)list.v + (size_t)i * f->object->bytes, role);
        api_json_place_pop(&c->place, before);
    }
    return r;
}

static int check_role(struct api_json_checker *c, const struct api_types_object *o,
                      const void *object, enum api_types_role role)
{
    int r = 0;
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        enum api_is is = api_types_is(object, f);
        size_t before = api_json_place_key(&c->place, f->name);
        int one = 0;
        if (is != API_ABSENT && f->role > role)
            one = api_problem_add(c->refusal, c->code, c->place.text,
                                  "only %s may give this: leave it out",
                                  f->role == API_ROLE_ADMIN ? "an admin" : "an operator");
        else if (is == API_VALUE)
            one = check_role_inside(c, f, api_types_at(object, f), role);
        api_json_place_pop(&c->place, before);
        r = r ? r : one;
    }
    return r;
}

int api_json_check_role(const struct api_types_object *o, const void *object,
                        enum api_types_role role, struct api_refusal *refusal)
{
    struct api_json_checker c = {.refusal = refusal, .code = API_PROBLEM_CODE_AUTH_FORBIDDEN};
    return check_role(&c, o, object, role);
}
