/* Values: from text and numbers into the fields that the tables describe. */
#include "vmmapi/vm_config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "base/uuid.h"

static void *field_at(void *object, const struct vm_config_field *f)
{
    return (char *)object + f->offset;
}

static uint32_t *count_at(void *object, const struct vm_config_field *f)
{
    return (uint32_t *)(void *)((char *)object + f->count_offset);
}

int vm_config_parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGTP";
    uint64_t v = 0;
    const char *p = text;
    if (*p < '0' || *p > '9')
        return -EINVAL;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return -EINVAL;
    if (*p) {
        char up = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        const char *l = strchr(letters, up);
        if (l) {
            unsigned shift = 10 * (unsigned)(l - letters + 1);
            if (v > UINT64_MAX >> shift)
                return -EINVAL;
            v <<= shift;
            p++;
            if (*p == 'i')
                p++;
        }
        if (*p == 'B' || *p == 'b')
            p++;
        if (*p)
            return -EINVAL;
    }
    *bytes = v;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int hex_byte(const char *p)
{
    int hi = hex_digit(p[0]);
    int lo = hi < 0 ? -1 : hex_digit(p[1]);
    return lo < 0 ? -1 : hi << 4 | lo;
}

int vm_config_parse_mac(const char *text, uint8_t mac[6])
{
    static const uint8_t zero[6];
    uint8_t v[6];
    if (strlen(text) != 17)
        return -EINVAL;
    for (int i = 0; i < 6; i++) {
        int b = hex_byte(text + 3 * i);
        if (b < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return -EINVAL;
        v[i] = (uint8_t)b;
    }
    if (v[0] & 1 || !memcmp(v, zero, 6))
        return -EINVAL;
    memcpy(mac, v, 6);
    return 0;
}

/* "a, b or c" of the names on offer. */
static void join_names(const char *const *names, char *out, size_t out_bytes)
{
    size_t n = 0;
    out[0] = '\0';
    for (; *names && n < out_bytes; names++)
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s",
                              n == 0     ? ""
                              : names[1] ? ", "
                                         : " or ",
                              *names);
}

int vm_config_unknown_key(const struct vm_config_object *o, const char *where, struct err *err)
{
    char keys[320];
    size_t n = 0;
    keys[0] = '\0';
    for (size_t i = 0; i < o->n_fields && n < sizeof(keys); i++)
        n += (size_t)snprintf(keys + n, sizeof(keys) - n, "%s%s", i ? ", " : "", o->fields[i].key);
    return err_set(err, EINVAL, "%s is not a known key; valid keys here: %s", where, keys);
}

/* What a person typed, cut to a length that leaves room for the rest of the message. */
#define SHOWN "\"%.64s\""

static bool printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

static bool is_name(const char *s)
{
    for (const char *p = s; *p; p++) {
        bool alnum =
            (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (!alnum && (p == s || !strchr("._-", *p)))
            return false;
    }
    return *s != '\0';
}

static int set_chars(void *object, const struct vm_config_field *f, const char *where,
                     const char *text, struct err *err)
{
    bool name = f->kind == VM_CONFIG_KIND_NAME;
    if (strlen(text) >= f->max)
        return err_set(err, EINVAL, "%s is " SHOWN ": use at most %" PRIu64 " characters", where,
                       text, f->max - 1);
    if (name && !is_name(text))
        return err_set(err, EINVAL,
                       "%s is " SHOWN ": use letters, digits and ._- (not first), not empty", where,
                       text);
    if (!printable(text))
        return err_set(err, EINVAL, "%s has a character that is not printable ASCII", where);
    memset(field_at(object, f), 0, f->max);
    memcpy(field_at(object, f), text, strlen(text));
    return 0;
}

static int set_string(void *object, const struct vm_config_field *f, const char *where,
                      const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (len < f->min)
        return err_set(err, EINVAL, "%s is empty: leave it out or give a value", where);
    if (len > f->max)
        return err_set(err, EINVAL, "%s is " SHOWN "... (%zu bytes): use at most %" PRIu64, where,
                       text, len, f->max);
    char *dup = strdup(text);
    if (!dup)
        return err_set(err, ENOMEM, "%s: no memory", where);
    char **slot = field_at(object, f);
    free(*slot);
    *slot = dup;
    return 0;
}

static int set_enum(void *object, const struct vm_config_field *f, const char *where,
                    const char *text, struct err *err)
{
    for (uint32_t i = 0; f->names[i]; i++)
        if (!strcmp(f->names[i], text)) {
            memcpy(field_at(object, f), &i, sizeof(i));
            return 0;
        }
    char names[128];
    join_names(f->names, names, sizeof(names));
    return err_set(err, EINVAL, "%s is " SHOWN ": use %s", where, text, names);
}

static int set_in_range(void *object, const struct vm_config_field *f, const char *where,
                        uint64_t v, struct err *err)
{
    if (v < f->min || v > f->max)
        return err_set(err, EINVAL, "%s is %" PRIu64 ": use %" PRIu64 " to %" PRIu64, where, v,
                       f->min, f->max);
    if (f->kind == VM_CONFIG_KIND_SIZE) {
        memcpy(field_at(object, f), &v, sizeof(v));
    } else {
        uint32_t narrow = (uint32_t)v;
        memcpy(field_at(object, f), &narrow, sizeof(narrow));
    }
    return 0;
}

static int parse_decimal(const char *text, uint64_t *v)
{
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 19)
        return -EINVAL;
    *v = strtoull(text, NULL, 10);
    return 0;
}

static int append_pin(void *object, const struct vm_config_field *f, const char *where, uint64_t v,
                      struct err *err)
{
    uint32_t *count = count_at(object, f);
    uint32_t *list = field_at(object, f);
    if (v > 65535)
        return err_set(err, EINVAL, "%s has %" PRIu64 ": host CPU numbers are at most 65535", where,
                       v);
    if (*count >= f->max)
        return err_set(err, EINVAL, "%s has over %" PRIu64 " entries", where, f->max);
    list[(*count)++] = (uint32_t)v;
    return 0;
}

/* "0,2,4-7". */
static int set_uints(void *object, const struct vm_config_field *f, const char *where,
                     const char *text, struct err *err)
{
    const char *p = text;
    for (;;) {
        char *end;
        if (*p < '0' || *p > '9')
            break;
        uint64_t lo = strtoull(p, &end, 10), hi = lo;
        if (*end == '-') {
            p = end + 1;
            if (*p < '0' || *p > '9')
                break;
            hi = strtoull(p, &end, 10);
        }
        if (hi < lo)
            break;
        for (uint64_t v = lo; v <= hi; v++) {
            int r = append_pin(object, f, where, v, err);
            if (r)
                return r;
        }
        if (!*end)
            return 0;
        if (*end != ',')
            break;
        p = end + 1;
    }
    return err_set(err, EINVAL, "%s is " SHOWN ": use CPU numbers and ranges, as in 0,2,4-7", where,
                   text);
}

static int parse_port(const char **p, char end, uint16_t *port)
{
    unsigned v = 0;
    const char *s = *p;
    if (*s < '0' || *s > '9')
        return -EINVAL;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (unsigned)(*s - '0');
        if (v > 65535)
            return -EINVAL;
    }
    if (*s != end || v == 0)
        return -EINVAL;
    *p = end ? s + 1 : s;
    *port = (uint16_t)v;
    return 0;
}

/* "[tcp:|udp:]HOSTPORT:GUESTPORT". */
static int append_forward(void *object, const struct vm_config_field *f, const char *where,
                          const char *text, struct err *err)
{
    uint32_t *count = count_at(object, f);
    struct vm_config_forward *list = field_at(object, f);
    struct vm_config_forward v = {0};
    const char *p = text;
    if (!strncmp(p, "tcp:", 4)) {
        p += 4;
    } else if (!strncmp(p, "udp:", 4)) {
        v.udp = true;
        p += 4;
    }
    if (parse_port(&p, ':', &v.host_port) || parse_port(&p, '\0', &v.guest_port))
        return err_set(err, EINVAL,
                       "%s is " SHOWN ": use [tcp:|udp:]HOSTPORT:GUESTPORT, as in 8080:80", where,
                       text);
    if (*count >= f->max)
        return err_set(err, EINVAL, "%s has over %" PRIu64 " entries", where, f->max);
    list[(*count)++] = v;
    return 0;
}

static int set_bool(void *object, const struct vm_config_field *f, const char *where,
                    const char *text, struct err *err)
{
    bool v;
    if (!strcmp(text, "on") || !strcmp(text, "true") || !strcmp(text, "yes"))
        v = true;
    else if (!strcmp(text, "off") || !strcmp(text, "false") || !strcmp(text, "no"))
        v = false;
    else
        return err_set(err, EINVAL, "%s is " SHOWN ": use on or off", where, text);
    memcpy(field_at(object, f), &v, sizeof(v));
    return 0;
}

int vm_config_set_text(void *object, const struct vm_config_field *f, const char *where,
                       const char *text, struct err *err)
{
    uint64_t v;
    switch (f->kind) {
    case VM_CONFIG_KIND_TEXT:
    case VM_CONFIG_KIND_NAME:
        return set_chars(object, f, where, text, err);
    case VM_CONFIG_KIND_STRING:
        return set_string(object, f, where, text, err);
    case VM_CONFIG_KIND_BOOL:
        return set_bool(object, f, where, text, err);
    case VM_CONFIG_KIND_ENUM:
        return set_enum(object, f, where, text, err);
    case VM_CONFIG_KIND_UINT:
        if (parse_decimal(text, &v))
            return err_set(err, EINVAL, "%s is " SHOWN ": use a whole number", where, text);
        return set_in_range(object, f, where, v, err);
    case VM_CONFIG_KIND_SIZE:
        if (vm_config_parse_size(text, &v))
            return err_set(err, EINVAL, "%s is " SHOWN ": use a number, K, M, G or T may follow",
                           where, text);
        return set_in_range(object, f, where, v, err);
    case VM_CONFIG_KIND_MAC:
        if (vm_config_parse_mac(text, field_at(object, f)))
            return err_set(err, EINVAL,
                           "%s is " SHOWN ": use a unicast address such as 52:54:00:12:34:56",
                           where, text);
        return 0;
    case VM_CONFIG_KIND_UUID:
        if (uuid_parse(text, field_at(object, f)))
            return err_set(err, EINVAL,
                           "%s is " SHOWN ": use 8-4-4-4-12 hex digits, as uuidgen prints", where,
                           text);
        return 0;
    case VM_CONFIG_KIND_UINTS:
        return set_uints(object, f, where, text, err);
    case VM_CONFIG_KIND_FORWARDS:
        return append_forward(object, f, where, text, err);
    case VM_CONFIG_KIND_OBJECT:
    case VM_CONFIG_KIND_LIST:
        break;
    }
    return err_set(err, EINVAL, "%s is text: use a JSON %s", where,
                   f->kind == VM_CONFIG_KIND_LIST ? "list" : "object");
}

int vm_config_set_number(void *object, const struct vm_config_field *f, const char *where,
                         int64_t value, struct err *err)
{
    if (f->kind != VM_CONFIG_KIND_UINT && f->kind != VM_CONFIG_KIND_SIZE &&
        f->kind != VM_CONFIG_KIND_UINTS)
        return err_set(err, EINVAL, "%s is the number %" PRId64 ": a number is not meant here",
                       where, value);
    if (value < 0)
        return err_set(err, EINVAL, "%s is %" PRId64 ": use a number that is not negative", where,
                       value);
    if (f->kind == VM_CONFIG_KIND_UINTS)
        return append_pin(object, f, where, (uint64_t)value, err);
    return set_in_range(object, f, where, (uint64_t)value, err);
}

void *vm_config_list_append(void *object, const struct vm_config_field *f, const char *where,
                            struct err *err)
{
    uint32_t *count = count_at(object, f);
    if (*count >= f->max) {
        err_set(err, E2BIG, "%s has over %" PRIu64 " entries: this is the most a VM can have",
                where, f->max);
        return NULL;
    }
    char *item = (char *)field_at(object, f) + *count * f->object->bytes;
    memset(item, 0, f->object->bytes);
    if (f->object->init)
        f->object->init(item);
    (*count)++;
    return item;
}

void vm_config_free_object(void *object, const struct vm_config_object *o)
{
    for (size_t i = 0; i < o->n_fields; i++) {
        const struct vm_config_field *f = &o->fields[i];
        if (f->kind == VM_CONFIG_KIND_STRING) {
            char **slot = field_at(object, f);
            free(*slot);
            *slot = NULL;
        } else if (f->kind == VM_CONFIG_KIND_OBJECT) {
            vm_config_free_object(field_at(object, f), f->object);
        } else if (f->kind == VM_CONFIG_KIND_LIST) {
            uint32_t *count = count_at(object, f);
            for (uint32_t k = 0; k < *count; k++)
                vm_config_free_object((char *)field_at(object, f) + k * f->object->bytes,
                                      f->object);
            *count = 0;
        }
    }
}
