/* JSON to structs, from the text itself. */
#include "api/api_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json_internal.h"
#include "api/api_json_scan.h"
#include "base/util.h"

#define ANY_MAX_BYTES (64u << 10)
#define WORD_BYTES    256  /* longer keys and words are none that anybody knows */
#define FIELDS_MAX    256  /* of one struct */
#define KEYS_LOOKED   1024 /* a map with more, which only LENIENT reads, may name one twice */

struct reader {
    struct api_json_checker check;
    struct api_json_cursor at;
    struct api_arena *arena;
    unsigned flags;
    bool full; /* of the arena: nothing more is read */
};

static int read_object(struct reader *r, const struct api_types_object *o, void *object);

void *api_json_new(const struct api_types_object *o, struct api_arena *arena)
{
    return api_arena_alloc(arena, o->bytes);
}

static const char *type_name(struct api_json_cursor c)
{
    int64_t whole;
    double real;
    switch (api_json_peek(&c)) {
    case '{':
        return "an object";
    case '[':
        return "a list";
    case '"':
        return "text";
    case 't':
        return "true";
    case 'f':
        return "false";
    case 'n':
        return "null";
    default:
        return api_json_take_number(&c, &whole, &real) ? "a whole number"
                                                       : "a number with a fraction";
    }
}

static int wrong_type(struct reader *r, const char *wanted)
{
    const char *is = type_name(r->at);
    api_json_skip(&r->at);
    return api_problem_add(r->check.refusal, r->check.code, r->check.place.text, "%s: use %s", is,
                           wanted);
}

static bool is_number(char ch)
{
    return ch == '-' || (ch >= '0' && ch <= '9');
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

static int read_text(struct reader *r, const struct api_types_field *f, const char **out)
{
    if (api_json_peek(&r->at) != '"')
        return wrong_type(r, "text");
    size_t bytes = api_json_text_bytes(&r->at);
    char *text = kept(r, api_arena_text(r->arena, r->at.at + 1, bytes));
    if (!text)
        return full(r);
    api_json_take_text(&r->at, text, bytes + 1);
    *out = text;
    return api_json_check_text(&r->check, f->format, f->min, f->max, text);
}

static int read_int(struct reader *r, const struct api_types_field *f, int64_t *out)
{
    struct api_json_cursor here = r->at;
    double real;
    if (!is_number(api_json_peek(&r->at)) || !api_json_take_number(&r->at, out, &real)) {
        r->at = here;
        return wrong_type(r, "a whole number");
    }
    return api_json_check_int(&r->check, f, *out);
}

static int read_word(struct reader *r, const struct api_types_field *f, int *out)
{
    char word[WORD_BYTES];
    if (api_json_peek(&r->at) != '"')
        return wrong_type(r, "text");
    api_json_take_text(&r->at, word, sizeof(word));
    return api_json_check_word(&r->check, f, word, out);
}

static int read_item(struct reader *r, const struct api_types_field *f, void *item)
{
    const char *text = NULL;
    int64_t number = 0;
    int word = 0, e;
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        e = read_text(r, f, &text);
        memcpy(item, &text, sizeof(text));
        return e;
    case API_KIND_INT:
        e = read_int(r, f, &number);
        memcpy(item, &number, sizeof(number));
        return e;
    case API_KIND_ENUM:
        e = read_word(r, f, &word);
        memcpy(item, &word, sizeof(word));
        return e;
    default:
        return read_object(r, f->object, item);
    }
}

/* Of a list or a map: how many there are; when that is refused it is passed over. */
static int count(struct reader *r, const struct api_types_field *f, size_t *n)
{
    *n = api_json_count(&r->at);
    int e = api_json_check_count(&r->check, f, *n);
    if (e)
        api_json_skip(&r->at);
    return e;
}

static int read_list(struct reader *r, const struct api_types_field *f, void *member)
{
    if (api_json_peek(&r->at) != '[')
        return wrong_type(r, "a list");
    size_t n, stride = api_types_item_bytes(f);
    int e = count(r, f, &n);
    if (e)
        return e;
    char *items = kept(r, api_arena_array(r->arena, n, stride));
    uint32_t used = 0;
    if (!items)
        return full(r);
    for (bool more = api_json_enter(&r->at); more; more = api_json_more(&r->at)) {
        size_t before = api_json_place_index(&r->check.place, used);
        int one = read_item(r, f, items + used * stride);
        api_json_place_pop(&r->check.place, before);
        e = e ? e : one;
        used++;
        if (r->full)
            return full(r);
    }
    struct api_list list = {API_VALUE, used, items};
    memcpy(member, &list, sizeof(list));
    return e;
}

static int twice(struct reader *r)
{
    return api_problem_add(r->check.refusal, r->check.code, r->check.place.text,
                           "given twice: give it once");
}

static int read_pair(struct reader *r, const struct api_types_field *f, struct api_map *map)
{
    struct api_pair *pair = &map->v[map->n];
    size_t bytes = (api_json_peek(&r->at), api_json_text_bytes(&r->at));
    char *key = kept(r, api_arena_text(r->arena, r->at.at + 1, bytes));
    if (!key)
        return full(r);
    api_json_take_key(&r->at, key, bytes + 1);
    pair->key = key;
    size_t before = api_json_place_key(&r->check.place, key);
    int e = api_json_check_text(&r->check, API_FORMAT_KEY, 1, 63, key);
    for (uint32_t i = 0; i < map->n && map->n < KEYS_LOOKED && !e; i++)
        if (!strcmp(map->v[i].key, key))
            e = twice(r);
    if (e || (api_json_peek(&r->at) == 'n' && (f->flags & API_FIELD_NULL_VALUES)))
        api_json_skip(&r->at);
    else
        e = read_text(r, f, &pair->value);
    api_json_place_pop(&r->check.place, before);
    map->n++;
    return e;
}

static int read_map(struct reader *r, const struct api_types_field *f, struct api_map *map)
{
    if (api_json_peek(&r->at) != '{')
        return wrong_type(r, "an object");
    size_t n;
    int e = count(r, f, &n);
    if (e)
        return e;
    map->v = kept(r, api_arena_array(r->arena, n, sizeof(*map->v)));
    if (!map->v)
        return full(r);
    for (bool more = api_json_enter(&r->at); more; more = api_json_more(&r->at)) {
        int one = read_pair(r, f, map);
        e = e ? e : one;
        if (r->full)
            return full(r);
    }
    map->is = API_VALUE;
    return e;
}

static int read_any(struct reader *r, struct api_any *any)
{
    struct api_json_cursor end = r->at;
    api_json_skip(&end);
    size_t most = (size_t)(end.at - r->at.at);
    char *text = kept(r, api_arena_text(r->arena, r->at.at, most));
    if (!text)
        return full(r);
    size_t bytes = api_json_take_any(&r->at, text);
    text[bytes] = '\0';
    *any = (struct api_any){API_VALUE, text};
    return bytes <= ANY_MAX_BYTES
               ? 0
               : api_problem_add(r->check.refusal, r->check.code, r->check.place.text,
                                 "%zu bytes: use at most %u", bytes, ANY_MAX_BYTES);
}

static int read_number(struct reader *r, const struct api_types_field *f, struct api_number *out)
{
    int64_t whole;
    if (!is_number(api_json_peek(&r->at)))
        return wrong_type(r, "a number");
    out->is = API_VALUE;
    api_json_take_number(&r->at, &whole, &out->v);
    return api_json_check_number(&r->check, f, out->v);
}

static int read_bool(struct reader *r, struct api_bool *out)
{
    char ch = api_json_peek(&r->at);
    if (ch != 't' && ch != 'f')
        return wrong_type(r, "true or false");
    *out = (struct api_bool){API_VALUE, ch == 't'};
    api_json_skip(&r->at);
    return 0;
}

static int read_inner(struct reader *r, const struct api_types_field *f, void *member)
{
    struct api_object inner = {API_VALUE, kept(r, api_json_new(f->object, r->arena))};
    if (!inner.v)
        return full(r);
    memcpy(member, &inner, sizeof(inner));
    return read_object(r, f->object, inner.v);
}

static int read_value(struct reader *r, const struct api_types_field *f, void *member)
{
    struct api_text *text = member;
    struct api_int *number = member;
    struct api_enum word = {API_VALUE, 0};
    int e;
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        text->is = API_VALUE;
        return read_text(r, f, &text->v);
    case API_KIND_INT:
        number->is = API_VALUE;
        return read_int(r, f, &number->v);
    case API_KIND_NUMBER:
        return read_number(r, f, member);
    case API_KIND_BOOL:
        return read_bool(r, member);
    case API_KIND_ENUM:
        e = read_word(r, f, &word.v);
        memcpy(member, &word, sizeof(word));
        return e;
    case API_KIND_OBJECT:
        return read_inner(r, f, member);
    case API_KIND_LIST:
        return read_list(r, f, member);
    case API_KIND_MAP:
        return read_map(r, f, member);
    case API_KIND_ANY:
        return read_any(r, member);
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

/* A word that a newer server knows and we do not: as if it were not there. */
static bool may_skip(const struct reader *r, const struct api_types_field *f)
{
    struct api_json_cursor c = r->at;
    if (!(r->flags & API_JSON_LENIENT) || f->kind != API_KIND_ENUM || api_json_peek(&c) != '"')
        return false;
    struct api_json_checker nobody = {.refusal = NULL};
    char text[WORD_BYTES];
    int word;
    api_json_take_text(&c, text, sizeof(text));
    return api_json_check_word(&nobody, f, text, &word) != 0;
}

static int read_field(struct reader *r, const struct api_types_field *f, void *member)
{
    if (api_json_peek(&r->at) == 'n') {
        enum api_is is = API_NULL;
        if (f->flags & API_FIELD_NULLABLE) {
            memcpy(member, &is, sizeof(is));
            api_json_skip(&r->at);
            return 0;
        }
        /* Any JSON holds null as a value like others. */
        if (f->kind != API_KIND_ANY)
            return wrong_type(r, "a value, or leave it out");
    }
    r->check.secret = f->flags & API_FIELD_WRITE_ONLY;
    int e = read_value(r, f, member);
    r->check.secret = false;
    return e;
}

/* Most documents have their fields in the description's order: `next` is looked at first. */
static const struct api_types_field *find(const struct api_types_object *o, const char *key,
                                          size_t bytes, uint32_t *next)
{
    const struct api_types_field *f = *next < o->n_fields && !strcmp(o->fields[*next].name, key)
                                          ? &o->fields[*next]
                                          : api_types_find(o, key, bytes);
    if (f)
        *next = (uint32_t)(f - o->fields) + 1;
    return f;
}

/* A key and its value; `seen` has a bit for each field. */
static int read_member(struct reader *r, const struct api_types_object *o, void *object,
                       uint64_t *seen, uint32_t *next)
{
    char key[WORD_BYTES];
    size_t bytes = api_json_take_key(&r->at, key, sizeof(key));
    const struct api_types_field *f = find(o, key, bytes, next);
    if (f && may_skip(r, f)) {
        api_json_skip(&r->at);
        return 0;
    }
    size_t before = api_json_place_key(&r->check.place, key), i = f ? (size_t)(f - o->fields) : 0;
    uint64_t bit = UINT64_C(1) << i % 64;
    int e = !f ? unknown_key(r, o, key) : seen[i / 64] & bit ? twice(r) : 0;
    if (!f || e)
        api_json_skip(&r->at);
    else
        e = read_field(r, f, api_types_at(object, f));
    if (f)
        seen[i / 64] |= bit;
    api_json_place_pop(&r->check.place, before);
    return e;
}

static int read_object(struct reader *r, const struct api_types_object *o, void *object)
{
    uint64_t seen[FIELDS_MAX / 64] = {0};
    uint32_t next = 0;
    int e = 0;
    if (o->n_fields > FIELDS_MAX)
        return -EINVAL; /* the tables are ours */
    if (api_json_peek(&r->at) != '{')
        return wrong_type(r, "an object");
    for (bool more = api_json_enter(&r->at); more; more = api_json_more(&r->at)) {
        int one = read_member(r, o, object, seen, &next);
        e = e ? e : one;
        if (r->full)
            return full(r);
    }
    for (uint32_t i = 0; i < o->n_fields && !(r->flags & API_JSON_LENIENT); i++)
        if (o->fields[i].flags & API_FIELD_REQUIRED && !(seen[i / 64] >> i % 64 & 1)) {
            int one = api_json_missing(&r->check, &o->fields[i]);
            e = e ? e : one;
        }
    return e;
}

static int scan(const char *text, size_t bytes, struct api_refusal *refusal)
{
    if (bytes > API_JSON_MAX_BYTES)
        return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_TOO_LARGE,
                               "the document has %zu bytes: at most %u are read", bytes,
                               API_JSON_MAX_BYTES);
    return api_json_scan(text, bytes, refusal);
}

int api_json_read(const struct api_types_object *o, const char *text, size_t bytes, unsigned flags,
                  struct api_arena *arena, void **out, struct api_refusal *refusal)
{
    int e = scan(text, bytes, refusal);
    if (e)
        return e;
    struct reader r = {.check = {.refusal = refusal,
                                 .code = API_PROBLEM_CODE_REQUEST_INVALID,
                                 .lenient = flags & API_JSON_LENIENT},
                       .at = {text, text + bytes},
                       .arena = arena,
                       .flags = flags};
    void *object = kept(&r, api_json_new(o, arena));
    e = object ? read_object(&r, o, object) : -ENOMEM;
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
