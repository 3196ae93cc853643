/* Whether a saved VM fits a config: the fields that are marked as seen by the guest are compared,
 * by the tables. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "base/uuid.h"
#include "vmmapi/vm_config_internal.h"

/* A scalar as a person writes it. */
static void value_text(const void *object, const struct vm_config_field *f, char *out, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)object + f->offset;
    uint32_t v;
    uint64_t wide;
    switch (f->kind) {
    case VM_CONFIG_KIND_TEXT:
    case VM_CONFIG_KIND_NAME:
        snprintf(out, bytes, "\"%s\"", (const char *)at);
        break;
    case VM_CONFIG_KIND_BOOL:
        snprintf(out, bytes, "%s", *at ? "on" : "off");
        break;
    case VM_CONFIG_KIND_UINT:
        memcpy(&v, at, sizeof(v));
        snprintf(out, bytes, "%" PRIu32, v);
        break;
    case VM_CONFIG_KIND_SIZE:
        memcpy(&wide, at, sizeof(wide));
        snprintf(out, bytes, "%" PRIu64, wide);
        break;
    case VM_CONFIG_KIND_MAC:
        snprintf(out, bytes, "%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2], at[3], at[4],
                 at[5]);
        break;
    case VM_CONFIG_KIND_UUID:
        uuid_format(at, out);
        break;
    default:
        snprintf(out, bytes, "?");
        break;
    }
}

static int differs(const char *where, const char *now, const char *saved, struct err *err)
{
    return err_set(err, EINVAL,
                   "%s is %s, the saved VM's is %s: give the config that it was saved with", where,
                   now, saved);
}

static int check_object(const void *now, const void *saved, const struct vm_config_object *o,
                        const char *where, struct err *err);

static int check_list(const void *now, const void *saved, const struct vm_config_field *f,
                      const char *where, struct err *err)
{
    uint32_t n, n_saved;
    memcpy(&n, (const char *)now + f->count_offset, sizeof(n));
    memcpy(&n_saved, (const char *)saved + f->count_offset, sizeof(n_saved));
    if (n != n_saved)
        return err_set(err, EINVAL,
                       "%s has %" PRIu32 " entries, the saved VM's has %" PRIu32
                       ": give the config that it was saved with",
                       where, n, n_saved);
    int ret = 0;
    for (uint32_t i = 0; !ret && i < n; i++) {
        char item[128];
        size_t at = f->offset + i * f->object->bytes;
        snprintf(item, sizeof(item), "%s[%" PRIu32 "]", where, i);
        ret = check_object((const char *)now + at, (const char *)saved + at, f->object, item, err);
    }
    return ret;
}

static int check_field(const void *now, const void *saved, const struct vm_config_field *f,
                       const char *where, struct err *err)
{
    char a[96], b[96];
    switch (f->kind) {
    case VM_CONFIG_KIND_LIST:
        return check_list(now, saved, f, where, err);
    case VM_CONFIG_KIND_OBJECT:
        return check_object((const char *)now + f->offset, (const char *)saved + f->offset,
                            f->object, where, err);
    default:
        break;
    }
    if (!f->seen)
        return 0;
    value_text(now, f, a, sizeof(a));
    value_text(saved, f, b, sizeof(b));
    return strcmp(a, b) ? differs(where, a, b, err) : 0;
}

static int check_object(const void *now, const void *saved, const struct vm_config_object *o,
                        const char *where, struct err *err)
{
    int ret = 0;
    for (size_t i = 0; !ret && i < o->n_fields; i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s%s%s", where, *where ? "." : "", o->fields[i].key);
        ret = check_field(now, saved, &o->fields[i], path, err);
    }
    return ret;
}

int vm_config_check_saved(const struct vm_config *now, const struct vm_config *saved,
                          struct err *err)
{
    int ret = check_object(now, saved, &vm_config_root, "", err);
    bool console = now->virtio_console.kind != VM_CONFIG_CONSOLE_NONE;
    bool saved_console = saved->virtio_console.kind != VM_CONFIG_CONSOLE_NONE;
    if (!ret && console != saved_console)
        ret = differs("virtio_console", console ? "there" : "none",
                      saved_console ? "there" : "none", err);
    return ret;
}
