/* The body of a request: --from first, flags over it, then what is still missing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud_help.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_value.h"
#include "cli/cloud/cloud_yaml.h"

static int read_from(const char *path, json_t **body, struct err *err)
{
    char *text = NULL;
    size_t bytes = 0;
    int r = cloud_value_read_file(path, CLOUD_YAML_MAX_BYTES, &text, &bytes, err);
    if (!r) {
        r = cloud_yaml_read(text, bytes, body, err);
        explicit_bzero(text, bytes);
    }
    free(text);
    if (!r && !json_is_object(*body)) {
        json_decref(*body);
        r = err_set(err, EINVAL, "there is a list or a value; it should be fields with values");
    }
    return r ? err_wrap(err, "--from %.200s", path) : 0;
}

/* The flags' words say "labels" or "qos.read-iops"; the API's fields have underscores. */
static int unset(const struct cloud_run *r, const struct api_route *route, json_t *body,
                 struct err *err)
{
    for (size_t i = 0; i < json_array_size(r->args.unset); i++) {
        const char *text = json_string_value(json_array_get(r->args.unset, i));
        bool negated;
        size_t dot = strcspn(text, ".");
        const struct cloud_flag *f = cloud_flags_find(&r->flags, text, strlen(text), &negated);
        if (f && f->place == CLOUD_FLAG_BODY && !(f->field->flags & API_FIELD_NULLABLE))
            return err_set(err, EINVAL, "--unset: %s cannot be without a value", text);
        if (f && f->place == CLOUD_FLAG_BODY) {
            cloud_value_put(body, f->path, json_null());
            continue;
        }
        /* "labels.KEY": the key is the person's own. */
        const struct api_types_field *map = api_types_find(route->request, text, dot);
        if (!map || map->kind != API_KIND_MAP || !text[dot])
            return err_set(err, EINVAL, "--unset: there is no field \"%.64s\" here", text);
        json_t *keys = json_object_get(body, map->name);
        if (!json_is_object(keys))
            json_object_set_new(body, map->name, keys = json_object());
        json_object_set_new(keys, text + dot + 1, json_null());
    }
    return 0;
}

static int ask(const struct cloud_flag *flag, json_t *body, struct err *err)
{
    char *text = NULL;
    char prompt[CLOUD_FLAG_NAME_BYTES];
    snprintf(prompt, sizeof(prompt), "%s", flag->name);
    for (char *p = prompt; *p; p++)
        *p = *p == '-' ? ' ' : *p;
    int r = cloud_value_ask_secret(prompt, &text, err);
    if (r)
        return err_set(err, EINVAL, "--%s is needed: give @FILE, or - for a line of standard input",
                       flag->name);
    json_t *v = json_string(text);
    explicit_bzero(text, strlen(text));
    free(text);
    return v ? cloud_value_put(body, flag->path, v)
             : err_set(err, EINVAL, "--%s: what was typed is no UTF-8 text", flag->name);
}

/* Asks for what is secret and needed; names all else that is needed and missing. */
static int complete(const struct cloud_run *r, json_t *body, struct err *err)
{
    char missing[400] = "";
    size_t n = 0;
    for (size_t i = 0; i < r->flags.n; i++) {
        const struct cloud_flag *f = &r->flags.v[i];
        if (f->place != CLOUD_FLAG_BODY || !(f->field->flags & API_FIELD_REQUIRED) ||
            strchr(f->path, '.') || json_object_get(body, f->path))
            continue;
        if (cloud_flag_is_secret(f->field)) {
            int e = ask(f, body, err);
            if (e)
                return e;
        } else if (n < sizeof(missing)) {
            n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s--%s", n ? ", " : "",
                                  f->name);
        }
    }
    return n ? err_set(err, EINVAL, "%s %s needed: --help says what %s", missing,
                       strchr(missing, ',') ? "are" : "is",
                       strchr(missing, ',') ? "they are"
                                            : "it "
                                              "is")
             : 0;
}

int cloud_run_body(struct cloud_run *r, const struct api_route *route, json_t **body,
                   struct err *err)
{
    json_t *out = NULL;
    int e = 0;
    if (r->args.common[CLOUD_FROM])
        e = read_from(r->args.common[CLOUD_FROM], &out, err);
    else
        out = json_object();
    if (e)
        return e;
    json_object_update_recursive(out, r->args.body); /* flags win */
    e = unset(r, route, out, err);
    e = e ? e : complete(r, out, err);
    if (!e && route->method == API_METHOD_PATCH && !json_object_size(out))
        e = err_set(err, EINVAL, "nothing is to be changed: give a flag; --help lists them");
    if (e) {
        json_decref(out);
        return e;
    }
    if (!json_object_size(out) && route->flags & API_ROUTE_BODY_OPTIONAL) {
        json_decref(out);
        out = NULL;
    }
    *body = out;
    return 0;
}
