#include "api/api_query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_filter.h"
#include "api/api_query_internal.h"
#include "api/gen/common.h"
#include "base/util.h"

#define PARAMETERS_MAX 32
#define TEXT_MAX       8192
#define FIELDS_MAX     64
/* A text that things are sorted by ends up in cursors. */
#define SORT_TEXT_MAX 63

struct reading {
    struct api_arena *arena;
    struct api_refusal *refusal;
    const struct api_types_object *own, *item;
    void *own_values;
    struct api_list_query *list_values;
};

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Percent-encoding and + for a blank undone in place; what comes out has to be UTF-8 without NUL.
 */
static int decode(char *text)
{
    char *to = text;
    for (const char *s = text; *s; s++) {
        if (*s != '%') {
            *to++ = *s == '+' ? ' ' : *s;
            continue;
        }
        int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);
        if (low < 0 || !(high | low))
            return -EINVAL;
        *to++ = (char)(high << 4 | low);
        s += 2;
    }
    *to = '\0';
    for (size_t left = (size_t)(to - text), n; left; left -= n, text += n)
        if (!(n = api_buf_utf8(text, left)))
            return -EINVAL;
    return 0;
}

static int unknown(const struct reading *r, const char *name)
{
    char names[200] = "";
    size_t at = 0;
    const struct api_types_object *tables[] = {r->own, r->item ? &api_types_list_query : NULL};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (uint32_t i = 0; tables[t] && i < tables[t]->n_fields && at < sizeof(names) - 1; i++) {
            int n = snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "",
                             tables[t]->fields[i].name);
            at = MIN(at + (size_t)MAX(n, 0), sizeof(names) - 1);
        }
    return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, name,
                           "no such parameter: use %s", at ? names : "none");
}

static int read_parameter(struct reading *r, char *name, char *value)
{
    if (decode(name) || decode(value))
        return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, "",
                               "a parameter that is not UTF-8 with percent signs before two "
                               "hexadecimal digits");
    void *values = r->own_values;
    const struct api_types_field *f = r->own ? api_types_find(r->own, name, strlen(name)) : NULL;
    if (!f && r->item) {
        f = api_types_find(&api_types_list_query, name, strlen(name));
        values = r->list_values;
    }
    if (!f)
        return unknown(r, name);
    if (api_types_is(values, f) != API_ABSENT)
        return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, name,
                               "given twice: give it once");
    return api_json_set_text(f, values, value, name, API_PROBLEM_CODE_QUERY_INVALID, r->arena,
                             r->refusal);
}

static int read_parameters(struct reading *r, char *text)
{
    unsigned n = 0;
    int e = 0;
    while (text && *text) {
        char *next = strchr(text, '&');
        if (next)
            *next++ = '\0';
        char *equals = strchr(text, '=');
        char *end = text + strlen(text);
        if (equals)
            *equals++ = '\0';
        if (++n > PARAMETERS_MAX)
            return api_problem_set(r->refusal, API_PROBLEM_CODE_QUERY_INVALID,
                                   "over %d parameters: give each once", PARAMETERS_MAX);
        int one = *text || equals ? read_parameter(r, text, equals ? equals : end) : 0;
        e = e ? e : one;
        text = next;
    }
    return e;
}

static bool can_sort(const struct api_query_path *path)
{
    for (unsigned i = 0; i < path->n; i++)
        if (path->steps[i]->kind == API_KIND_LIST)
            return false;
    const struct api_types_field *f = api_query_path_last(path);
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return f->max <= SORT_TEXT_MAX;
    case API_KIND_INT:
    case API_KIND_NUMBER:
    case API_KIND_BOOL:
    case API_KIND_ENUM:
        return true;
    default:
        return false;
    }
}

static int add_sort(struct reading *r, struct api_query *q, const char *text, size_t bytes)
{
    struct api_query_sort *s = &q->sorts[q->n_sorts];
    s->descending = bytes && *text == '-';
    text += s->descending;
    bytes -= s->descending;
    if (q->n_sorts == API_QUERY_SORTS)
        return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, "sort",
                               "over %d fields: use fewer", API_QUERY_SORTS);
    int e = api_query_path_read(q->item, text, bytes, &s->path, "sort",
                                API_PROBLEM_CODE_QUERY_INVALID, r->arena, r->refusal);
    if (e)
        return e;
    if (!can_sort(&s->path))
        return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, "sort",
                               "cannot sort by %.*s: use a number, a time, a name or a state",
                               (int)MIN(bytes, (size_t)64), text);
    q->n_sorts++;
    return 0;
}

static int read_sort(struct reading *r, struct api_query *q, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, ",");
        int e = add_sort(r, q, text, n);
        if (e)
            return e;
        text += n + (text[n] == ',');
    }
    const struct api_types_field *id = api_types_find(q->item, "id", 2);
    if (!id) /* records that are numbered */
        id = api_types_find(q->item, "number", 6);
    if (id)
        q->sorts[q->n_sorts++] = (struct api_query_sort){.path = {.n = 1, .steps = {id}}};
    return 0;
}

/* The selection of a name among its neighbours; a new one where it is not there yet. */
static struct api_json_fields *select_name(struct reading *r, const struct api_json_fields **first,
                                           const char *name, bool *is_new)
{
    for (const struct api_json_fields *f = *first; f; f = f->next)
        if (f->name_bytes == strlen(name) && !memcmp(f->name, name, f->name_bytes)) {
            *is_new = false;
            return (struct api_json_fields *)(uintptr_t)f;
        }
    struct api_json_fields *f = api_arena_alloc(r->arena, sizeof(*f));
    *is_new = true;
    if (f) {
        *f = (struct api_json_fields){name, strlen(name), NULL, *first};
        *first = f;
    }
    return f;
}

static int select_path(struct reading *r, const struct api_json_fields **first,
                       const struct api_query_path *path)
{
    for (unsigned i = 0; i < path->n; i++) {
        bool is_new, last = i + 1 == path->n;
        struct api_json_fields *f = select_name(r, first, path->steps[i]->name, &is_new);
        if (!f)
            return -ENOMEM;
        if (!is_new && !f->inside) /* all of it is selected already */
            return 0;
        if (last)
            f->inside = NULL;
        first = &f->inside;
    }
    return 0;
}

static int read_fields(struct reading *r, struct api_query *q, const char *text)
{
    struct api_query_path path;
    unsigned n = 0;
    if (!text)
        return 0;
    const struct api_types_field *id = api_types_find(q->item, "id", 2);
    path = (struct api_query_path){.n = 1, .steps = {id}};
    int e = id ? select_path(r, &q->fields, &path) : 0;
    while (!e && *text) {
        size_t bytes = strcspn(text, ",");
        if (++n > FIELDS_MAX)
            return api_problem_add(r->refusal, API_PROBLEM_CODE_QUERY_INVALID, "fields",
                                   "over %d fields: use fewer", FIELDS_MAX);
        e = api_query_path_read(q->item, text, bytes, &path, "fields",
                                API_PROBLEM_CODE_QUERY_INVALID, r->arena, r->refusal);
        if (!e)
            e = select_path(r, &q->fields, &path);
        text += bytes + (text[bytes] == ',');
    }
    return e;
}

static const char *text_of(const struct api_text *t)
{
    return t->is == API_VALUE ? t->v : NULL;
}

/* FNV-1a: says whether a cursor belongs to this list; nothing is protected by it. */
static uint64_t hash(uint64_t h, const char *text)
{
    for (; text && *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static int read_list(struct reading *r, struct api_query *q)
{
    const struct api_list_query *v = r->list_values;
    const char *filter = text_of(&v->filter), *sort = text_of(&v->sort);
    q->limit = v->limit.is == API_VALUE ? (uint32_t)v->limit.v : API_QUERY_LIMIT_DEFAULT;
    q->hash = hash(hash(hash(UINT64_C(0xcbf29ce484222325), q->item->what), filter), sort);
    int e = filter ? api_filter_read(q->item, filter, r->arena, &q->filter, r->refusal) : 0;
    int one = read_sort(r, q, sort);
    e = e ? e : one;
    one = read_fields(r, q, text_of(&v->fields));
    e = e ? e : one;
    if (!e && v->cursor.is == API_VALUE)
        e = api_query_cursor_read(q, v->cursor.v, r->arena, r->refusal);
    return e;
}

static int read_all(struct reading *r, const char *text, size_t bytes, struct api_query *list)
{
    char *copy = api_arena_text(r->arena, text, bytes);
    r->own_values = r->own ? api_json_new(r->own, r->arena) : NULL;
    r->list_values = r->item ? api_json_new(&api_types_list_query, r->arena) : NULL;
    if (!copy || (r->own && !r->own_values) || (r->item && !r->list_values))
        return -ENOMEM;
    int e = read_parameters(r, copy);
    if (!e && r->own)
        e = api_json_fill(r->own, r->own_values, r->arena);
    if (!e && r->item) {
        *list = (struct api_query){.item = r->item};
        e = read_list(r, list);
    }
    return e;
}

int api_query_read(const char *text, size_t bytes, const struct api_types_object *own, void **out,
                   const struct api_types_object *item, struct api_query *list,
                   struct api_arena *arena, struct api_refusal *refusal)
{
    struct reading r = {.arena = arena, .refusal = refusal, .own = own, .item = item};
    if (bytes > TEXT_MAX || (bytes && memchr(text, 0, bytes)))
        return api_problem_set(refusal, API_PROBLEM_CODE_QUERY_INVALID,
                               "the query has %zu bytes or a NUL: at most %d without are read",
                               bytes, TEXT_MAX);
    int e = read_all(&r, text, bytes, list);
    if (e == -ENOMEM)
        api_problem_set(refusal, API_PROBLEM_CODE_QUERY_INVALID,
                        "the query holds more than can be read at once: ask for less");
    api_problem_summarize(e ? refusal : NULL);
    if (!e && own)
        *out = r.own_values;
    return e;
}

bool api_query_match(const struct api_query *q, const void *item)
{
    return !q->filter || api_filter_match(q->filter, item);
}

static int ordered(const struct api_query_sort *s, const struct api_query_value *a,
                   const struct api_query_value *b)
{
    int order = api_query_value_order(a, b);
    return s->descending ? -order : order;
}

int api_query_order(const struct api_query *q, const void *a, const void *b)
{
    for (unsigned i = 0; i < q->n_sorts; i++) {
        struct api_query_value x = api_query_path_value(&q->sorts[i].path, a);
        struct api_query_value y = api_query_path_value(&q->sorts[i].path, b);
        int order = ordered(&q->sorts[i], &x, &y);
        if (order)
            return order;
    }
    return 0;
}

bool api_query_after(const struct api_query *q, const void *item)
{
    for (unsigned i = 0; q->has_cursor && i < q->n_sorts; i++) {
        struct api_query_value v = api_query_path_value(&q->sorts[i].path, item);
        int order = ordered(&q->sorts[i], &v, &q->cursor[i]);
        if (order)
            return order > 0;
    }
    return !q->has_cursor;
}
