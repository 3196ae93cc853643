#include "cli/cloud/cloud_yaml.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/util.h"

struct reader {
    yaml_parser_t parser;
    struct err *err;
};

static int refuse(struct reader *r, const yaml_event_t *e, const char *what)
{
    return err_set(r->err, EINVAL, "line %zu: %s", e->start_mark.line + 1, what);
}

static int next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return 0;
    return err_set(r->err, EINVAL, "line %zu: %s", r->parser.problem_mark.line + 1,
                   r->parser.problem ? r->parser.problem : "this is no YAML");
}

/* What a scalar without quotes means. Spec: YAML 1.2.2, 10.3.2 (without octal and hexadecimal).
 * NULL: a text. */
static json_t *meaning(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"},
                             *const trues[] = {"true", "True", "TRUE"},
                             *const falses[] = {"false", "False", "FALSE"};
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (!strcmp(text, nulls[i]))
            return json_null();
    for (size_t i = 0; i < ARRAY_LEN(trues); i++)
        if (!strcmp(text, trues[i]) || !strcmp(text, falses[i]))
            return json_boolean(!strcmp(text, trues[i]));
    size_t sign = *text == '-' || *text == '+', digits = strspn(text + sign, "0123456789");
    if (!digits && text[sign] != '.')
        return NULL;
    char *end;
    errno = 0;
    if (digits && !text[sign + digits]) {
        long long v = strtoll(text, &end, 10);
        return errno ? NULL : json_integer(v);
    }
    if (strspn(text, "+-.0123456789eE") != strlen(text))
        return NULL;
    double v = strtod(text, &end);
    return *end || end == text || !isfinite(v) ? NULL : json_real(v);
}

static int read_value(struct reader *r, yaml_event_t *e, unsigned depth, json_t **out);

static int read_items(struct reader *r, json_t *list, unsigned depth)
{
    for (;;) {
        yaml_event_t e;
        json_t *item = NULL;
        int n = next(r, &e);
        if (n)
            return n;
        bool end = e.type == YAML_SEQUENCE_END_EVENT;
        n = end ? 0 : read_value(r, &e, depth + 1, &item);
        yaml_event_delete(&e);
        if (n || end)
            return n;
        json_array_append_new(list, item);
    }
}

static int read_pair(struct reader *r, const yaml_event_t *key, json_t *map, unsigned depth)
{
    yaml_event_t e;
    json_t *value = NULL;
    if (key->type != YAML_SCALAR_EVENT)
        return refuse(r, key, "a key is a text");
    const char *name = (const char *)key->data.scalar.value;
    if (json_object_get(map, name))
        return refuse(r, key, "this key is there twice");
    int n = next(r, &e);
    if (n)
        return n;
    n = read_value(r, &e, depth + 1, &value);
    yaml_event_delete(&e);
    if (!n && json_object_set_new(map, name, value))
        n = refuse(r, key, "a key that is no text");
    return n;
}

static int read_pairs(struct reader *r, json_t *map, unsigned depth)
{
    for (;;) {
        yaml_event_t e;
        int n = next(r, &e);
        if (n)
            return n;
        bool end = e.type == YAML_MAPPING_END_EVENT;
        n = end ? 0 : read_pair(r, &e, map, depth);
        yaml_event_delete(&e);
        if (n || end)
            return n;
    }
}

static int read_value(struct reader *r, yaml_event_t *e, unsigned depth, json_t **out)
{
    int n = 0;
    json_t *v = NULL;
    if (depth > CLOUD_YAML_DEPTH_MAX)
        return refuse(r, e, "this is nested too deep");
    switch (e->type) {
    case YAML_SCALAR_EVENT: {
        const char *text = (const char *)e->data.scalar.value;
        if (e->data.scalar.anchor || strlen(text) != e->data.scalar.length)
            return refuse(r, e, "no anchors and no NUL characters here");
        if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
            v = meaning(text);
        v = v ? v : json_string(text);
        break;
    }
    case YAML_SEQUENCE_START_EVENT:
        n = read_items(r, v = json_array(), depth);
        break;
    case YAML_MAPPING_START_EVENT:
        n = read_pairs(r, v = json_object(), depth);
        break;
    default:
        return refuse(r, e, "aliases are not taken here");
    }
    if (n || !v) {
        json_decref(v);
        return n ? n : refuse(r, e, "this is no UTF-8 text");
    }
    *out = v;
    return 0;
}

int cloud_yaml_read(const char *text, size_t bytes, json_t **value, struct err *err)
{
    struct reader r = {.err = err};
    json_t *out = NULL;
    int n = 0;
    if (bytes > CLOUD_YAML_MAX_BYTES)
        return err_set(err, EFBIG, "more than %u bytes", CLOUD_YAML_MAX_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ENOMEM, "no memory to read YAML");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    for (bool end = false; !n && !end;) {
        yaml_event_t e;
        n = next(&r, &e);
        if (n)
            break;
        end = e.type == YAML_STREAM_END_EVENT;
        bool frame = end || e.type == YAML_STREAM_START_EVENT ||
                     e.type == YAML_DOCUMENT_START_EVENT || e.type == YAML_DOCUMENT_END_EVENT;
        if (!frame)
            n = out ? refuse(&r, &e, "a second document") : read_value(&r, &e, 0, &out);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&r.parser);
    if (!n && !out)
        n = err_set(err, EINVAL, "there is nothing in it");
    if (n)
        json_decref(out);
    else
        *value = out;
    return n;
}

static int put(yaml_emitter_t *emitter, yaml_event_t *e, int made)
{
    return made && yaml_emitter_emit(emitter, e) ? 0 : -EIO;
}

/* The shortest that reads back the same, and with a point: YAML 1.1 takes 1e9 for a text, and any
 * reader 1 for an integer. */
static void write_real(double v, char *out, size_t out_bytes)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    size_t mantissa = strcspn(text, "e");
    snprintf(out, out_bytes, "%.*s%s%s", (int)mantissa, text,
             memchr(text, '.', mantissa) ? "" : ".0", text + mantissa);
}

static int write_scalar(yaml_emitter_t *emitter, const json_t *v)
{
    yaml_event_t e;
    char number[48];
    const char *text = json_string_value(v);
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;
    if (text) {
        json_t *other = meaning(text);
        style = other                ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                : strchr(text, '\n') ? YAML_LITERAL_SCALAR_STYLE
                                     : YAML_ANY_SCALAR_STYLE;
        json_decref(other);
    } else if (json_is_integer(v)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
        text = number;
    } else if (json_is_real(v)) {
        write_real(json_real_value(v), number, sizeof(number));
        text = number;
    } else {
        text = json_is_null(v) ? "null" : json_is_true(v) ? "true" : "false";
    }
    return put(emitter, &e,
               yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text,
                                            (int)strlen(text), 1, 1, style));
}

static int write_value(yaml_emitter_t *emitter, const json_t *v)
{
    yaml_event_t e;
    int r;
    if (json_is_array(v)) {
        r = put(emitter, &e,
                yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE));
        for (size_t i = 0; i < json_array_size(v) && !r; i++)
            r = write_value(emitter, json_array_get(v, i));
        return r ? r : put(emitter, &e, yaml_sequence_end_event_initialize(&e));
    }
    if (!json_is_object(v))
        return write_scalar(emitter, v);
    const char *key;
    json_t *inside;
    r = put(emitter, &e,
            yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE));
    json_object_foreach((json_t *)(uintptr_t)v, key, inside)
    {
        json_t *name = json_string(key);
        r = r ? r : write_scalar(emitter, name);
        json_decref(name);
        r = r ? r : write_value(emitter, inside);
    }
    return r ? r : put(emitter, &e, yaml_mapping_end_event_initialize(&e));
}

int cloud_yaml_write(const json_t *value, FILE *out)
{
    yaml_emitter_t emitter;
    yaml_event_t e;
    if (!yaml_emitter_initialize(&emitter))
        return -ENOMEM;
    yaml_emitter_set_output_file(&emitter, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    int r = put(&emitter, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
    r = r ? r : put(&emitter, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
    r = r ? r : write_value(&emitter, value);
    r = r ? r : put(&emitter, &e, yaml_document_end_event_initialize(&e, 1));
    r = r ? r : put(&emitter, &e, yaml_stream_end_event_initialize(&e));
    yaml_emitter_delete(&emitter);
    return r;
}
