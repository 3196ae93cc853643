/* The config as JSON, read and written by the tables. jansson builds the tree; what reaches it is
 * bounded in size and in nesting first. */
#include "vmmapi/vm_config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "base/uuid.h"
#include "vmmapi/vm_config_internal.h"

#define NESTING_MAX 8

/* Where in the document a value is: "disks[1].format". Too long a path is cut, never overrun. */
struct place {
    char text[128];
    size_t len;
};

static size_t place_grew(struct place *p, int n)
{
    size_t before = p->len;
    if (n > 0)
        p->len = MIN(p->len + (size_t)n, sizeof(p->text) - 1);
    return before;
}

static size_t place_key(struct place *p, const char *key)
{
    return place_grew(
        p, snprintf(p->text + p->len, sizeof(p->text) - p->len, "%s%.48s", p->len ? "." : "", key));
}

static size_t place_index(struct place *p, size_t i)
{
    return place_grew(p, snprintf(p->text + p->len, sizeof(p->text) - p->len, "[%zu]", i));
}

static void place_pop(struct place *p, size_t before)
{
    p->len = before;
    p->text[before] = '\0';
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
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

static const char *wanted_name(const struct vm_config_field *f)
{
    switch (f->kind) {
    case VM_CONFIG_KIND_BOOL:
        return "true or false";
    case VM_CONFIG_KIND_UINT:
        return "a number";
    case VM_CONFIG_KIND_SIZE:
        return "a number of bytes or text such as \"512M\"";
    case VM_CONFIG_KIND_OBJECT:
        return "an object";
    case VM_CONFIG_KIND_UINTS:
        return "a list of numbers";
    case VM_CONFIG_KIND_FORWARDS:
        return "a list of texts";
    case VM_CONFIG_KIND_LIST:
        return "a list of objects";
    default:
        return "text";
    }
}

static int wrong_type(const struct vm_config_field *f, const struct place *at, const json_t *v,
                      struct err *err)
{
    return err_set(err, EINVAL, "%s is %s: use %s", at->text, type_name(v), wanted_name(f));
}

static int read_object(void *object, const struct vm_config_object *o, const json_t *json,
                       struct place *at, struct err *err);

static int read_text(void *object, const struct vm_config_field *f, const json_t *v,
                     struct place *at, struct err *err)
{
    const char *text = json_string_value(v);
    if (strlen(text) != json_string_length(v))
        return err_set(err, EINVAL, "%s holds a NUL character: remove it", at->text);
    return vm_config_set_text(object, f, at->text, text, err);
}

static int read_scalar(void *object, const struct vm_config_field *f, const json_t *v,
                       struct place *at, struct err *err)
{
    bool text_only = f->kind != VM_CONFIG_KIND_BOOL && f->kind != VM_CONFIG_KIND_UINT;
    bool number = f->kind == VM_CONFIG_KIND_UINT || f->kind == VM_CONFIG_KIND_SIZE;
    if (json_is_string(v) && text_only)
        return read_text(object, f, v, at, err);
    if (json_is_integer(v) && number)
        return vm_config_set_number(object, f, at->text, json_integer_value(v), err);
    if (json_is_boolean(v) && f->kind == VM_CONFIG_KIND_BOOL)
        return vm_config_set_text(object, f, at->text, json_is_true(v) ? "on" : "off", err);
    return wrong_type(f, at, v, err);
}

static int read_list(void *object, const struct vm_config_field *f, const json_t *list,
                     struct place *at, struct err *err)
{
    if (!json_is_array(list))
        return wrong_type(f, at, list, err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        size_t before = place_index(at, i);
        int r = 0;
        if (f->kind == VM_CONFIG_KIND_LIST) {
            void *item = vm_config_list_append(object, f, at->text, err);
            r = !item ? -E2BIG : read_object(item, f->object, v, at, err);
        } else if (f->kind == VM_CONFIG_KIND_UINTS && json_is_integer(v)) {
            r = vm_config_set_number(object, f, at->text, json_integer_value(v), err);
        } else if (f->kind == VM_CONFIG_KIND_FORWARDS && json_is_string(v)) {
            r = read_text(object, f, v, at, err);
        } else {
            r = wrong_type(f, at, v, err);
        }
        if (r)
            return r;
        place_pop(at, before);
    }
    return 0;
}

static int read_field(void *object, const struct vm_config_field *f, const json_t *v,
                      struct place *at, struct err *err)
{
    switch (f->kind) {
    case VM_CONFIG_KIND_OBJECT:
        return read_object((char *)object + f->offset, f->object, v, at, err);
    case VM_CONFIG_KIND_LIST:
    case VM_CONFIG_KIND_UINTS:
    case VM_CONFIG_KIND_FORWARDS:
        return read_list(object, f, v, at, err);
    default:
        return read_scalar(object, f, v, at, err);
    }
}

/* The nesting is that of the tables, so the recursion is bounded whatever the document holds. */
static int read_object(void *object, const struct vm_config_object *o, const json_t *json,
                       struct place *at, struct err *err)
{
    if (!json_is_object(json))
        return err_set(err, EINVAL, "%s is %s: use an object", at->len ? at->text : "the document",
                       type_name(json));
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)json, key, v)
    {
        size_t before = place_key(at, key);
        const struct vm_config_field *f = vm_config_find_field(o, key, strlen(key));
        int r = f ? read_field(object, f, v, at, err) : vm_config_unknown_key(o, at->text, err);
        if (r)
            return r;
        place_pop(at, before);
    }
    return 0;
}

/* jansson recurses for each level; this stops a deep document before it gets there. */
static bool too_deep(const char *text, size_t bytes)
{
    unsigned depth = 0;
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
            if (++depth > NESTING_MAX)
                return true;
        } else if ((ch == '}' || ch == ']') && depth) {
            depth--;
        }
    }
    return false;
}

static int read_document(void *object, const struct vm_config_object *o, const char *text,
                         size_t bytes, struct err *err)
{
    if (bytes > VM_CONFIG_JSON_MAX_BYTES)
        return err_set(err, E2BIG, "the document has %zu bytes: at most %d are read", bytes,
                       VM_CONFIG_JSON_MAX_BYTES);
    if (too_deep(text, bytes))
        return err_set(err, EINVAL, "the document nests over %d levels deep", NESTING_MAX);
    json_error_t je;
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &je);
    if (!json)
        return err_set(err, EINVAL, "line %d, column %d is not JSON: %.120s", je.line, je.column,
                       je.text);
    struct place at = {.len = 0};
    int r = read_object(object, o, json, &at, err);
    json_decref(json);
    return r;
}

int vm_config_from_json(struct vm_config *c, const char *text, size_t text_bytes, struct err *err)
{
    return read_document(c, &vm_config_root, text, text_bytes, err);
}

int vm_config_from_file(struct vm_config *c, const char *path, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_sys(err, errno, "could not open the config \"%.200s\"", path);
    CLEANUP_FREE char *text = malloc(VM_CONFIG_JSON_MAX_BYTES + 1);
    if (!text)
        return err_set(err, ENOMEM, "no memory to read the config");
    size_t n = 0;
    while (n <= VM_CONFIG_JSON_MAX_BYTES) {
        ssize_t r = read(fd, text + n, VM_CONFIG_JSON_MAX_BYTES + 1 - n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_sys(err, errno, "could not read the config \"%.200s\"", path);
        if (r == 0)
            break;
        n += (size_t)r;
    }
    int r = vm_config_from_json(c, text, n, err);
    if (r)
        err_wrap(err, "%.200s", path);
    return r;
}

int vm_config_disk_from_json(struct vm_config_disk *d, const char *text, size_t text_bytes,
                             struct err *err)
{
    memset(d, 0, sizeof(*d));
    vm_config_disk_object.init(d);
    int r = read_document(d, &vm_config_disk_object, text, text_bytes, err);
    if (!r && !d->id[0])
        r = err_set(err, EINVAL, "id is missing: name the disk, it is detached by it");
    if (!r)
        r = vm_config_finish_disk(d, "the disk", err);
    if (r)
        vm_config_disk_fini(d);
    return r;
}

int vm_config_nic_from_json(struct vm_config_nic *n, const char *text, size_t text_bytes,
                            struct err *err)
{
    static const uint8_t no_mac[6];
    memset(n, 0, sizeof(*n));
    vm_config_nic_object.init(n);
    int r = read_document(n, &vm_config_nic_object, text, text_bytes, err);
    if (!r && !n->id[0])
        r = err_set(err, EINVAL, "id is missing: name the NIC, it is detached by it");
    if (!r && !memcmp(n->mac, no_mac, 6))
        r = err_set(err, EINVAL, "mac is missing: give the NIC's address");
    if (!r)
        r = vm_config_finish_nic(n, "the NIC", err);
    if (r)
        vm_config_nic_fini(n);
    return r;
}

static json_t *write_object(const void *object, const struct vm_config_object *o);

static json_t *write_size(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return json_integer((json_int_t)v);
}

static json_t *write_uint(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return json_integer(v);
}

static json_t *write_name(const struct vm_config_field *f, const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return json_string(f->names[v]);
}

static json_t *write_bytes(const struct vm_config_field *f, const uint8_t *b)
{
    char text[UUID_TEXT_BYTES];
    static const uint8_t zero[16];
    size_t n = f->kind == VM_CONFIG_KIND_MAC ? 6 : 16;
    if (!memcmp(b, zero, n))
        return NULL;
    if (f->kind == VM_CONFIG_KIND_MAC)
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
                 b[5]);
    else
        uuid_format(b, text);
    return json_string(text);
}

static json_t *write_list(const struct vm_config_field *f, const void *at, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (f->kind == VM_CONFIG_KIND_LIST) {
            json_array_append_new(list,
                                  write_object((const char *)at + i * f->object->bytes, f->object));
        } else if (f->kind == VM_CONFIG_KIND_UINTS) {
            json_array_append_new(list, json_integer(((const uint32_t *)at)[i]));
        } else {
            const struct vm_config_forward *fw = (const struct vm_config_forward *)at + i;
            json_array_append_new(list, json_sprintf("%s:%u:%u", fw->udp ? "udp" : "tcp",
                                                     fw->host_port, fw->guest_port));
        }
    }
    return list;
}

/* Host paths are bytes; JSON is UTF-8. One that is not is shown with its odd bytes replaced. */
static json_t *write_string(const char *s)
{
    json_t *v = json_string(s);
    char *shown = v ? NULL : strdup(s);
    for (char *p = shown; p && *p; p++)
        if ((unsigned char)*p > 0x7e)
            *p = '?';
    if (shown)
        v = json_string(shown);
    free(shown);
    return v;
}

/* NULL: nothing to write, the key is left out. */
static json_t *write_field(const void *object, const struct vm_config_field *f)
{
    const char *at = (const char *)object + f->offset;
    uint32_t count;
    bool flag;
    switch (f->kind) {
    case VM_CONFIG_KIND_TEXT:
    case VM_CONFIG_KIND_NAME:
        return *at ? json_string(at) : NULL;
    case VM_CONFIG_KIND_STRING: {
        const char *s;
        memcpy(&s, at, sizeof(s));
        return s ? write_string(s) : NULL;
    }
    case VM_CONFIG_KIND_BOOL:
        memcpy(&flag, at, sizeof(flag));
        return json_boolean(flag);
    case VM_CONFIG_KIND_UINT:
        return write_uint(at);
    case VM_CONFIG_KIND_SIZE:
        return write_size(at);
    case VM_CONFIG_KIND_ENUM:
        return write_name(f, at);
    case VM_CONFIG_KIND_MAC:
    case VM_CONFIG_KIND_UUID:
        return write_bytes(f, (const uint8_t *)at);
    case VM_CONFIG_KIND_OBJECT:
        return write_object(at, f->object);
    case VM_CONFIG_KIND_UINTS:
    case VM_CONFIG_KIND_FORWARDS:
    case VM_CONFIG_KIND_LIST:
        memcpy(&count, (const char *)object + f->count_offset, sizeof(count));
        return write_list(f, at, count);
    }
    return NULL;
}

/* Only a vsock that is there has a cid in range: one that is not is left out as a whole. */
static bool left_out(const struct vm_config_field *f, const void *object)
{
    return f->object == &vm_config_vsock_object &&
           ((const struct vm_config *)object)->vsock.cid == 0;
}

static json_t *write_object(const void *object, const struct vm_config_object *o)
{
    json_t *json = json_object();
    for (size_t i = 0; i < o->n_fields; i++) {
        if (left_out(&o->fields[i], object))
            continue;
        json_t *v = write_field(object, &o->fields[i]);
        if (v)
            json_object_set_new(json, o->fields[i].key, v);
    }
    return json;
}

char *vm_config_to_json(const struct vm_config *c)
{
    json_t *json = write_object(c, &vm_config_root);
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    return text;
}
