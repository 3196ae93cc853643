/* Fields from plain text: query parameters and defaults. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json_internal.h"

static int wrong(struct api_json_checker *c, const char *text, const char *wanted)
{
    return api_problem_add(c->refusal, c->code, c->place.text, "\"%.64s\": use %s", text, wanted);
}

static int set_int(struct api_json_checker *c, const struct api_types_field *f, const char *text,
                   int64_t *v)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    /* strtoll() takes leading blanks and a plus too; a number has one form here. */
    if (errno || *end || !*text || !strchr("-0123456789", *text))
        return wrong(c, text, "a whole number");
    *v = n;
    return api_json_check_int(c, f, n);
}

static int set_number(struct api_json_checker *c, const struct api_types_field *f, const char *text,
                      double *v)
{
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    if (errno || *end || !*text || strspn(text, "-0123456789.eE+") != strlen(text))
        return wrong(c, text, "a number");
    *v = n;
    return api_json_check_number(c, f, n);
}

static int set_item(struct api_json_checker *c, const struct api_types_field *f, char *text,
                    void *item)
{
    int64_t number = 0;
    int word = 0, r;
    switch ((enum api_types_kind)f->item_kind) {
    case API_KIND_TEXT:
        memcpy(item, &text, sizeof(text));
        return api_json_check_text(c, f->format, f->min, f->max, text);
    case API_KIND_INT:
        r = set_int(c, f, text, &number);
        memcpy(item, &number, sizeof(number));
        return r;
    case API_KIND_ENUM:
        r = api_json_check_word(c, f, text, &word);
        memcpy(item, &word, sizeof(word));
        return r;
    default:
        return wrong(c, text, "a body: this cannot be given as text");
    }
}

static int set_list(struct api_json_checker *c, const struct api_types_field *f, const char *text,
                    struct api_arena *arena, void *member)
{
    char *copy = api_arena_text(arena, text, strlen(text));
    size_t n = *text ? 1 : 0, stride = api_types_item_bytes(f);
    for (const char *p = text; *p; p++)
        n += *p == ',';
    int r = api_json_check_count(c, f, n);
    if (r)
        return r;
    char *items = api_arena_array(arena, n, stride);
    if (!items || !copy)
        return -ENOMEM;
    for (size_t i = 0; i < n && !r; i++) {
        char *comma = strchr(copy, ',');
        if (comma)
            *comma = '\0';
        r = set_item(c, f, copy, items + i * stride);
        copy = comma ? comma + 1 : copy;
    }
    struct api_list list = {API_VALUE, (uint32_t)n, items};
    if (!r)
        memcpy(member, &list, sizeof(list));
    return r;
}

static int set_text(struct api_json_checker *c, const struct api_types_field *f, const char *text,
                    struct api_arena *arena, struct api_text *out)
{
    int r = api_json_check_text(c, f->format, f->min, f->max, text);
    char *copy = r ? NULL : api_arena_text(arena, text, strlen(text));
    if (r || !copy)
        return r ? r : -ENOMEM;
    *out = (struct api_text){API_VALUE, copy};
    return 0;
}

int api_json_set_text(const struct api_types_field *f, void *object, const char *text,
                      const char *where, enum api_problem_code code, struct api_arena *arena,
                      struct api_refusal *refusal)
{
    struct api_json_checker c = {.refusal = refusal, .code = code};
    void *member = api_types_at(object, f);
    struct api_enum word = {API_VALUE, 0};
    struct api_int number = {API_VALUE, 0};
    struct api_number real = {API_VALUE, 0};
    bool yes = !strcmp(text, "true"), no = !strcmp(text, "false");
    int r;
    snprintf(c.place.text, sizeof(c.place.text), "%s", where);
    c.place.bytes = strlen(c.place.text);
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_TEXT:
        return set_text(&c, f, text, arena, member);
    case API_KIND_INT:
        r = set_int(&c, f, text, &number.v);
        if (!r)
            memcpy(member, &number, sizeof(number));
        return r;
    case API_KIND_NUMBER:
        r = set_number(&c, f, text, &real.v);
        if (!r)
            memcpy(member, &real, sizeof(real));
        return r;
    case API_KIND_BOOL:
        if (!yes && !no)
            return wrong(&c, text, "true or false");
        *(struct api_bool *)member = (struct api_bool){API_VALUE, yes};
        return 0;
    case API_KIND_ENUM:
        r = api_json_check_word(&c, f, text, &word.v);
        if (!r)
            memcpy(member, &word, sizeof(word));
        return r;
    case API_KIND_LIST:
        return set_list(&c, f, text, arena, member);
    default:
        return wrong(&c, text, "a body: this cannot be given as text");
    }
}
