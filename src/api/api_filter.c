#include "api/api_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_format.h"
#include "api/api_query_internal.h"
#include "base/util.h"

#define IN_MAX 64

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_HAS, OP_IN, OP_AND, OP_OR, OP_NOT };
static const char *const op_names[] = {"eq", "ne", "lt", "le", "gt", "ge", "has", "in"};

struct api_filter {
    enum op op;
    const struct api_filter *a, *b; /* AND, OR, NOT (a only) */
    struct api_query_path path;
    unsigned n_values;
    struct api_query_value *values; /* one, but for IN; ABSENT is null */
};

struct parser {
    const struct api_types_object *type;
    const char *text, *at;
    struct api_arena *arena;
    struct api_refusal *refusal;
    unsigned nodes, depth;
};

static int wrong(struct parser *p, const char *wanted)
{
    return api_problem_add(p->refusal, API_PROBLEM_CODE_QUERY_FILTER_INVALID, "filter",
                           "at character %zu, before \"%.32s\": %s", (size_t)(p->at - p->text) + 1,
                           p->at, wanted);
}

static void skip_blanks(struct parser *p)
{
    p->at += strspn(p->at, " \t");
}

static size_t word_bytes(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/");
}

/* Takes a word or a sign if it is next. */
static bool take(struct parser *p, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(p);
    if (strncmp(p->at, word, n) != 0 || (word_bytes(word) && word_bytes(p->at) != n))
        return false;
    p->at += n;
    return true;
}

static int read_quoted(struct parser *p, struct api_query_value *v)
{
    const char *end = p->at + 1;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return wrong(p, "close the quotes");
    char *copy = api_arena_alloc(p->arena, (size_t)(end - p->at)), *to = copy;
    if (!copy)
        return -ENOMEM;
    for (const char *s = p->at + 1; s < end; s++) {
        if (*s == '\\')
            s++;
        *to++ = *s;
    }
    *to = '\0';
    *v = (struct api_query_value){.kind = API_QUERY_TEXT, .text = copy};
    p->at = end + 1;
    return 0;
}

static int read_digits(struct parser *p, struct api_query_value *v)
{
    char text[64], *end;
    size_t n = strspn(p->at, "-+0123456789.eE");
    if (!n || n >= sizeof(text))
        return wrong(p, "use text in double quotes, a number, true, false or null");
    memcpy(text, p->at, n);
    text[n] = '\0';
    errno = 0;
    v->number = strtoll(text, &end, 10);
    v->kind = API_QUERY_INT;
    if (*end || errno) {
        errno = 0;
        v->kind = API_QUERY_NUMBER;
        v->real = strtod(text, &end);
        if (*end || errno)
            return wrong(p, "this is no number");
    }
    p->at += n;
    return 0;
}

/* A literal, not yet of the field's kind. */
static int read_literal(struct parser *p, struct api_query_value *v, bool *is_bool)
{
    skip_blanks(p);
    *v = (struct api_query_value){.kind = API_QUERY_ABSENT};
    *is_bool = false;
    if (*p->at == '"')
        return read_quoted(p, v);
    if (take(p, "null"))
        return 0;
    if (take(p, "true") || take(p, "false")) {
        *v = (struct api_query_value){.kind = API_QUERY_INT, .number = p->at[-2] == 'u'};
        *is_bool = true;
        return 0;
    }
    return read_digits(p, v);
}

static bool knows_word(const struct api_types_enum *words, const char *text)
{
    for (uint32_t i = 0; i < words->n; i++)
        if (!strcmp(words->names[i], text))
            return true;
    return false;
}

/* Brings a literal to the kind that the field's values have when they are compared. */
static int fit(struct parser *p, const struct api_types_field *f, enum op op,
               struct api_query_value *v, bool is_bool)
{
    enum api_types_kind kind = f->kind == API_KIND_LIST ? f->item_kind : f->kind;
    if (v->kind == API_QUERY_ABSENT)
        return op == OP_EQ || op == OP_NE ? 0 : wrong(p, "null goes with eq and ne only");
    bool text = v->kind == API_QUERY_TEXT;
    switch (kind) {
    case API_KIND_TEXT:
    case API_KIND_MAP:
        if (!text)
            return wrong(p, "this field holds text: use double quotes");
        if (f->format == API_FORMAT_TIMESTAMP && op != OP_HAS) {
            v->kind = API_QUERY_INT;
            return api_format_time(v->text, &v->number)
                       ? wrong(p, api_format_wanted(API_FORMAT_TIMESTAMP))
                       : 0;
        }
        return 0;
    case API_KIND_ENUM:
        if (!text || !knows_word(f->words, v->text))
            return wrong(p, "this field has no such word; the reference lists its words");
        return 0;
    case API_KIND_BOOL:
        return is_bool ? 0 : wrong(p, "this field is true or false");
    case API_KIND_INT:
        return v->kind == API_QUERY_INT && !is_bool ? 0 : wrong(p, "this field is a whole number");
    case API_KIND_NUMBER:
        if (text || is_bool)
            return wrong(p, "this field is a number");
        v->real = v->kind == API_QUERY_INT ? (double)v->number : v->real;
        v->kind = API_QUERY_NUMBER;
        return 0;
    default:
        return wrong(p, "this field is an object: compare a field inside, or with null");
    }
}

static int read_value(struct parser *p, struct api_filter *node)
{
    bool is_bool;
    struct api_query_value v;
    int r = read_literal(p, &v, &is_bool);
    if (!r)
        r = fit(p, api_query_path_last(&node->path), node->op, &v, is_bool);
    if (!r)
        node->values[node->n_values++] = v;
    return r;
}

static int read_values(struct parser *p, struct api_filter *node)
{
    unsigned max = node->op == OP_IN ? IN_MAX : 1;
    node->values = api_arena_array(p->arena, max, sizeof(*node->values));
    if (!node->values)
        return -ENOMEM;
    if (node->op != OP_IN)
        return read_value(p, node);
    if (!take(p, "("))
        return wrong(p, "\"in\" takes a list in parentheses");
    do {
        if (node->n_values == max)
            return wrong(p, "the list is too long");
        int r = read_value(p, node);
        if (r)
            return r;
    } while (take(p, ","));
    return take(p, ")") ? 0 : wrong(p, "close the parenthesis");
}

static int new_node(struct parser *p, enum op op, struct api_filter **node)
{
    if (++p->nodes > API_FILTER_NODES_MAX)
        return wrong(p, "the filter is too long");
    *node = api_arena_alloc(p->arena, sizeof(**node));
    if (!*node)
        return -ENOMEM;
    (*node)->op = op;
    return 0;
}

/* `has` looks into a list or a text. */
static bool can_have(const struct api_query_path *path)
{
    const struct api_types_field *f = api_query_path_last(path);
    return f->kind == API_KIND_LIST || f->kind == API_KIND_TEXT || f->kind == API_KIND_MAP;
}

static int read_comparison(struct parser *p, const struct api_filter **out)
{
    struct api_filter *node = NULL;
    skip_blanks(p);
    size_t n = word_bytes(p->at);
    if (!n)
        return wrong(p, "the name of a field is wanted here");
    int r = new_node(p, OP_EQ, &node);
    if (!r)
        r = api_query_path_read(p->type, p->at, n, &node->path, "filter",
                                API_PROBLEM_CODE_QUERY_FILTER_INVALID, p->arena, p->refusal);
    if (r)
        return r;
    p->at += n;
    for (size_t i = 0; i < ARRAY_LEN(op_names); i++)
        if (take(p, op_names[i])) {
            node->op = (enum op)i;
            if (node->op == OP_HAS && !can_have(&node->path))
                return wrong(p, "\"has\" is for lists and texts");
            *out = node;
            return read_values(p, node);
        }
    return wrong(p, "use eq, ne, lt, le, gt, ge, has or in");
}

static int read_or(struct parser *p, const struct api_filter **out);

static int read_not(struct parser *p, const struct api_filter **out)
{
    struct api_filter *node = NULL;
    if (++p->depth > API_FILTER_DEPTH_MAX)
        return wrong(p, "the filter nests too deep");
    int r;
    if (take(p, "not")) {
        r = new_node(p, OP_NOT, &node);
        if (!r)
            r = read_not(p, &node->a);
        if (!r)
            *out = node;
    } else if (take(p, "(")) {
        r = read_or(p, out);
        if (!r && !take(p, ")"))
            r = wrong(p, "close the parenthesis");
    } else {
        r = read_comparison(p, out);
    }
    p->depth--;
    return r;
}

/* What is joined by one word; the left one first. */
static int read_joined(struct parser *p, const char *word, enum op op,
                       int (*read_part)(struct parser *, const struct api_filter **),
                       const struct api_filter **out)
{
    int r = read_part(p, out);
    while (!r && take(p, word)) {
        struct api_filter *node = NULL;
        r = new_node(p, op, &node);
        if (r)
            break;
        node->a = *out;
        r = read_part(p, &node->b);
        *out = node;
    }
    return r;
}

static int read_and(struct parser *p, const struct api_filter **out)
{
    return read_joined(p, "and", OP_AND, read_not, out);
}

static int read_or(struct parser *p, const struct api_filter **out)
{
    return read_joined(p, "or", OP_OR, read_and, out);
}

int api_filter_read(const struct api_types_object *o, const char *text, struct api_arena *arena,
                    const struct api_filter **out, struct api_refusal *refusal)
{
    struct parser p = {.type = o, .text = text, .at = text, .arena = arena, .refusal = refusal};
    const struct api_filter *f = NULL;
    int r = read_or(&p, &f);
    skip_blanks(&p);
    if (!r && *p.at)
        r = wrong(&p, "\"and\", \"or\" or the end is wanted here");
    if (!r)
        *out = f;
    return r;
}

struct question {
    enum op op;
    bool in_list; /* `has` compares items of a list for equality */
    const struct api_query_value *values;
    unsigned n_values;
};

static bool holds(void *opaque, const struct api_query_value *v)
{
    const struct question *q = opaque;
    const struct api_query_value *w = q->values;
    bool same_kind = v->kind == w->kind;
    int order = api_query_value_order(v, w);
    switch (q->op) {
    case OP_LT:
        return same_kind && order < 0;
    case OP_LE:
        return same_kind && order <= 0;
    case OP_GT:
        return same_kind && order > 0;
    case OP_GE:
        return same_kind && order >= 0;
    case OP_HAS:
        if (v->kind == API_QUERY_TEXT && !q->in_list)
            return w->kind == API_QUERY_TEXT && strstr(v->text, w->text);
        return !order;
    case OP_IN:
        for (unsigned i = 0; i < q->n_values; i++)
            if (!api_query_value_order(v, &q->values[i]))
                return true;
        return false;
    default: /* EQ, and NE, which is its opposite over all items */
        return !order;
    }
}

/* A list that is empty or absent has no item to be asked; to compare with null it is absent. */
static bool compare(const struct api_filter *f, const void *object)
{
    bool list = api_query_path_last(&f->path)->kind == API_KIND_LIST;
    struct question q = {f->op, list, f->values, f->n_values};
    bool any = api_query_path_any(&f->path, object, holds, &q);
    return f->op == OP_NE ? !any : any;
}

bool api_filter_match(const struct api_filter *f, const void *object)
{
    switch (f->op) {
    case OP_AND:
        return api_filter_match(f->a, object) && api_filter_match(f->b, object);
    case OP_OR:
        return api_filter_match(f->a, object) || api_filter_match(f->b, object);
    case OP_NOT:
        return !api_filter_match(f->a, object);
    default:
        return compare(f, object);
    }
}
