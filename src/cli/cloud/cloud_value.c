#include "cli/cloud/cloud_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_buf.h"
#include "base/util.h"
#include "cli/cloud/cloud_text.h"

static int parse_item(const struct api_types_field *f, unsigned kind, const char *flag,
                      const char *text, json_t **out, struct err *err);

int cloud_value_size(const char *text, enum cloud_unit unit, int64_t *value)
{
    static const unsigned field_shift[] = {[CLOUD_UNIT_BYTES] = 0,
                                           [CLOUD_UNIT_KIB] = 10,
                                           [CLOUD_UNIT_MIB] = 20,
                                           [CLOUD_UNIT_GIB] = 30};
    static const char letters[] = "kmgtp";
    char *end;
    errno = 0;
    if (*text && !text[strspn(text, "0123456789")]) { /* all digits: exactly so many */
        *value = strtoll(text, &end, 10);
        return errno ? -EINVAL : 0;
    }
    double v = strtod(text, &end);
    if (end == text || errno || !isfinite(v) || isspace((unsigned char)*text))
        return -EINVAL;
    unsigned shift = field_shift[unit];
    if (*end) {
        const char *at = strchr(letters, tolower((unsigned char)*end));
        if (at && *at) {
            shift = 10 * (unsigned)(at - letters + 1);
            end++;
            end += *end == 'i';
        } else {
            shift = 0;
        }
        end += *end == 'B' || *end == 'b';
        if (*end)
            return -EINVAL;
    }
    v = ldexp(v, (int)shift - (int)field_shift[unit]);
    if (v != floor(v) || fabs(v) > 9007199254740991.0)
        return -EINVAL;
    *value = (int64_t)v;
    return 0;
}

int cloud_value_time(const char *text, int64_t *ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"min", 6e4}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
    double sum = 0;
    if (!*text)
        return -EINVAL;
    while (*text) {
        char *end;
        double v = strtod(text, &end);
        if (end == text || !isfinite(v) || v < 0)
            return -EINVAL;
        size_t n = 0;
        while (isalpha((unsigned char)end[n]))
            n++;
        double factor = n ? 0 : 1e3;
        for (size_t i = 0; i < ARRAY_LEN(units) && !factor; i++)
            if (strlen(units[i].name) == n && !strncmp(units[i].name, end, n))
                factor = units[i].ms;
        if (!factor)
            return -EINVAL;
        sum += v * factor;
        text = end + n;
    }
    if (sum > 1e15)
        return -EINVAL;
    *ms = (int64_t)sum;
    return 0;
}

static int bad(struct err *err, const char *flag, const char *text, const char *allowed)
{
    return err_set(err, EINVAL, "--%s: \"%.100s\" is not allowed: use %s", flag, text, allowed);
}

static int parse_int(const struct api_types_field *f, const char *flag, const char *text,
                     json_t **out, struct err *err)
{
    static const char *const suffixes[] = {
        [CLOUD_UNIT_NONE] = "",   [CLOUD_UNIT_BYTES] = "B", [CLOUD_UNIT_KIB] = "KiB",
        [CLOUD_UNIT_MIB] = "MiB", [CLOUD_UNIT_GIB] = "GiB", [CLOUD_UNIT_SECONDS] = "s"};
    size_t stem;
    enum cloud_unit unit = cloud_flag_unit(f->name, &stem);
    int64_t v = 0;
    char *end;
    int r = 0;
    char allowed[120];
    if (unit == CLOUD_UNIT_SECONDS) {
        r = cloud_value_time(text, &v);
        r = r ? r : v % 1000 ? -EINVAL : 0;
        v /= 1000;
    } else if (unit != CLOUD_UNIT_NONE) {
        r = cloud_value_size(text, unit, &v);
    } else {
        errno = 0;
        v = strtoll(text, &end, 10);
        r = end == text || *end || errno || isspace((unsigned char)*text) ? -EINVAL : 0;
    }
    if (r || v < f->min || v > f->max) {
        snprintf(allowed, sizeof(allowed), "%s from %lld%s to %lld%s",
                 unit == CLOUD_UNIT_NONE      ? "a whole number"
                 : unit == CLOUD_UNIT_SECONDS ? "a time such as 90s, 5m or 2h"
                                              : "a size such as 512MiB or 20GiB",
                 (long long)f->min, suffixes[unit], (long long)f->max, suffixes[unit]);
        return bad(err, flag, text, allowed);
    }
    *out = json_integer(v);
    return 0;
}

static int parse_number(const struct api_types_field *f, const char *flag, const char *text,
                        json_t **out, struct err *err)
{
    char *end, allowed[96];
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= f->number_min && v <= f->number_max)) {
        snprintf(allowed, sizeof(allowed), "a number from %g to %g", f->number_min, f->number_max);
        return bad(err, flag, text, allowed);
    }
    *out = json_real(v);
    return 0;
}

static int parse_bool(const char *flag, const char *text, json_t **out, struct err *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0)
            continue;
        *out = json_boolean(!strcmp(text, yes[i]));
        return 0;
    }
    return bad(err, flag, text, "true or false");
}

static int parse_enum(const struct api_types_field *f, const char *flag, const char *text,
                      json_t **out, struct err *err)
{
    struct cloud_text_guess guess = {.typed = text};
    char allowed[200] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < f->words->n; i++) {
        if (!strcmp(text, f->words->names[i])) {
            *out = json_string(text);
            return 0;
        }
        cloud_text_guess(&guess, f->words->names[i]);
        if (n < sizeof(allowed))
            n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s%s", i ? ", " : "",
                                  f->words->names[i]);
    }
    if (guess.best && f->words->n > 4)
        snprintf(allowed, sizeof(allowed), "%s, perhaps?", guess.best);
    return bad(err, flag, text, allowed);
}

static char *base64(const char *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc((bytes + 2) / 3 * 4 + 1), *p = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t v = (uint32_t)(data[i] & 0xff) << 16;
        v |= i + 1 < bytes ? (uint32_t)(data[i + 1] & 0xff) << 8 : 0;
        v |= i + 2 < bytes ? (uint32_t)(data[i + 2] & 0xff) : 0;
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = i + 1 < bytes ? digits[v >> 6 & 63] : '=';
        *p++ = i + 2 < bytes ? digits[v & 63] : '=';
    }
    *p = '\0';
    return out;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static int text_from(const struct api_types_field *f, const char *flag, const char *text,
                     char **value, size_t *bytes, struct err *err)
{
    bool secret = cloud_flag_is_secret(f);
    bool file = text[0] == '@' && text[1] != '@' && f->format != API_FORMAT_NAME;
    if (secret && !file && strcmp(text, "-") != 0)
        return err_set(err, EINVAL,
                       "--%s: a secret on a command line can be read by others: use @FILE, - for a "
                       "line of standard input, or leave the flag out to be asked",
                       flag);
    if (file) {
        int r = cloud_value_read_file(text + 1, CLOUD_VALUE_FILE_MAX_BYTES, value, bytes, err);
        return r ? err_wrap(err, "--%s", flag) : 0;
    }
    if (secret) {
        int r = cloud_value_read_line(value, err);
        if (r)
            return err_wrap(err, "--%s", flag);
    } else {
        *value = strdup(text[0] == '@' && text[1] == '@' ? text + 1 : text);
    }
    if (!*value)
        return err_set(err, ENOMEM, "--%s: no memory for the value", flag);
    *bytes = strlen(*value);
    return 0;
}

static int parse_text(const struct api_types_field *f, const char *flag, const char *text,
                      json_t **out, struct err *err)
{
    char *value = NULL;
    size_t bytes = 0;
    int r = text_from(f, flag, text, &value, &bytes, err);
    if (r)
        return r;
    if (f->format == API_FORMAT_BASE64) {
        char *coded = base64(value, bytes);
        free(value);
        value = coded;
    } else if (cloud_flag_is_secret(f) || (text[0] == '@' && f->max <= 8191)) {
        value[strcspn(value, "\r\n")] = '\0';
    }
    *out = value ? json_string(value) : NULL;
    wipe(value);
    return *out ? 0 : err_set(err, EINVAL, "--%s: the value is no UTF-8 text", flag);
}

static int parse_pair(json_t *map, const char *flag, const char *text, struct err *err)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return bad(err, flag, text, "KEY=VALUE");
    CLEANUP_FREE char *key = strndup(text, (size_t)(eq - text));
    if (!key || json_object_set_new(map, key, json_string(eq + 1)))
        return err_set(err, EINVAL, "--%s: \"%.100s\" is no UTF-8 text", flag, text);
    return 0;
}

/* One part of "a=b,c=\"d,e\"", into a buffer of its own; *text moves behind its comma. */
static char *next_part(const char **text)
{
    size_t n = 0;
    char *out = malloc(strlen(*text) + 1);
    bool quoted = false;
    const char *p = *text;
    for (; out && *p && (quoted || *p != ','); p++) {
        if (*p == '"')
            quoted = !quoted;
        else
            out[n++] = *p;
    }
    if (out)
        out[n] = '\0';
    *text = *p ? p + 1 : p;
    return out;
}

static const struct api_types_field *field_of_key(const struct api_types_object *o, const char *key,
                                                  size_t bytes)
{
    char name[64];
    if (bytes >= sizeof(name))
        return NULL;
    for (size_t i = 0; i < bytes; i++)
        name[i] = key[i] == '-' ? '_' : key[i];
    name[bytes] = '\0';
    const struct api_types_field *f = api_types_find(o, name, bytes);
    for (uint32_t i = 0; i < o->n_fields && !f; i++) {
        size_t stem, n = strlen(o->fields[i].name);
        cloud_flag_unit(o->fields[i].name, &stem);
        if (o->fields[i].kind == API_KIND_LIST && n == bytes + 1)
            stem = bytes;
        if (stem == bytes && !strncmp(o->fields[i].name, name, bytes))
            f = &o->fields[i];
    }
    return f;
}

static int unknown_key(const struct api_types_object *o, const char *flag, const char *key,
                       struct err *err)
{
    char names[300] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < o->n_fields && n < sizeof(names); i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
                              o->fields[i].name);
    return err_set(err, EINVAL, "--%s has no \"%.60s\": use %s", flag, key, names);
}

static int set_part(const struct api_types_object *o, json_t *object, const char *flag, char *part,
                    struct err *err)
{
    char *eq = strchr(part, '=');
    const struct api_types_field *f =
        field_of_key(o, part, eq ? (size_t)(eq - part) : strlen(part));
    bool is_switch = !eq && f && f->kind == API_KIND_BOOL;
    const char *text = eq ? eq + 1 : is_switch ? "true" : part;
    if (eq && !f) {
        *eq = '\0';
        return unknown_key(o, flag, part, err);
    }
    if (!eq && !is_switch)
        f = &o->fields[0]; /* "--nic front" is "--nic network=front" */
    json_t *value = NULL;
    if (f->kind == API_KIND_LIST) {
        json_t *list = json_object_get(object, f->name);
        int r = parse_item(f, f->item_kind, flag, text, &value, err);
        if (!r && !list)
            json_object_set_new(object, f->name, list = json_array());
        return r ? r : json_array_append_new(list, value);
    }
    int r = parse_item(f, f->kind, flag, text, &value, err);
    return r ? r : json_object_set_new(object, f->name, value);
}

static int parse_object(const struct api_types_object *o, const char *flag, const char *text,
                        json_t **out, struct err *err)
{
    json_t *object = json_object();
    int r = 0;
    if (*text == '{') {
        json_error_t why;
        json_decref(object);
        object = json_loads(text, 0, &why);
        if (!object)
            return err_set(err, EINVAL, "--%s: this is no JSON: %s", flag, why.text);
        *out = object;
        return 0;
    }
    while (*text && !r) {
        CLEANUP_FREE char *part = next_part(&text);
        r = part ? set_part(o, object, flag, part, err) : err_set(err, ENOMEM, "no memory");
    }
    if (r)
        json_decref(object);
    else
        *out = object;
    return r;
}

static int parse_item(const struct api_types_field *f, unsigned kind, const char *flag,
                      const char *text, json_t **out, struct err *err)
{
    json_error_t why;
    switch (kind) {
    case API_KIND_INT:
        return parse_int(f, flag, text, out, err);
    case API_KIND_NUMBER:
        return parse_number(f, flag, text, out, err);
    case API_KIND_BOOL:
        return parse_bool(flag, text, out, err);
    case API_KIND_ENUM:
        return parse_enum(f, flag, text, out, err);
    case API_KIND_OBJECT:
        return parse_object(f->object, flag, text, out, err);
    case API_KIND_ANY:
        *out = json_loads(text, JSON_DECODE_ANY, &why);
        return *out ? 0 : err_set(err, EINVAL, "--%s: this is no JSON: %s", flag, why.text);
    default:
        return parse_text(f, flag, text, out, err);
    }
}

json_t *cloud_value_at(json_t *object, const char *path)
{
    char key[CLOUD_FLAG_NAME_BYTES];
    while (object && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(key))
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        object = json_object_get(object, key);
        path += n + (path[n] == '.');
    }
    return object;
}

int cloud_value_put(json_t *object, const char *path, json_t *value)
{
    char key[CLOUD_FLAG_NAME_BYTES];
    for (;;) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(key)) {
            json_decref(value);
            return -EINVAL;
        }
        memcpy(key, path, n);
        key[n] = '\0';
        if (!path[n])
            return json_object_set_new(object, key, value);
        json_t *inside = json_object_get(object, key);
        if (!json_is_object(inside))
            json_object_set_new(object, key, inside = json_object());
        object = inside;
        path += n + 1;
    }
}

static int set_list(json_t *object, const struct cloud_flag *flag, const char *text,
                    struct err *err)
{
    const struct api_types_field *f = flag->field;
    json_t *list = cloud_value_at(object, flag->path);
    if (!json_is_array(list)) {
        list = json_array();
        cloud_value_put(object, flag->path, list);
    }
    /* Nothing that is a name or an address holds a comma. */
    bool split = f->item_kind != API_KIND_OBJECT && f->item_kind != API_KIND_ANY;
    if (!*text)
        return 0; /* the empty list */
    while (*text) {
        json_t *value = NULL;
        CLEANUP_FREE char *part = split ? next_part(&text) : strdup(text);
        if (!split)
            text = "";
        int r = part ? parse_item(f, f->item_kind, flag->name, part, &value, err) : -ENOMEM;
        if (r)
            return r;
        json_array_append_new(list, value);
    }
    return 0;
}

int cloud_value_set(json_t *object, const struct cloud_flag *flag, const char *text, bool negated,
                    struct err *err)
{
    const struct api_types_field *f = flag->field;
    json_t *value = NULL;
    if (f->kind == API_KIND_LIST)
        return set_list(object, flag, text, err);
    if (f->kind == API_KIND_MAP) {
        json_t *map = cloud_value_at(object, flag->path);
        if (!json_is_object(map)) {
            map = json_object();
            cloud_value_put(object, flag->path, map);
        }
        return parse_pair(map, flag->name, text, err);
    }
    if (f->kind == API_KIND_BOOL && !text)
        return cloud_value_put(object, flag->path, json_boolean(!negated));
    int r = parse_item(f, f->kind, flag->name, text, &value, err);
    if (r)
        return r;
    json_t *there = cloud_value_at(object, flag->path);
    if (f->kind == API_KIND_OBJECT && json_is_object(there) && json_is_object(value)) {
        r = json_object_update(there, value);
        json_decref(value);
        return r;
    }
    return cloud_value_put(object, flag->path, value);
}
