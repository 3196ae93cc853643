/* What a list refers to by ids is shown by names, in tables that people read. */
#include <stdlib.h>
#include <string.h>

#include "api/api_buf.h"
#include "base/util.h"
#include "base/uuid.h"
#include "cli/cloud/cloud_run.h"

#define IDS_AT_ONCE 40 /* what a filter has room for */
#define NOUN_BYTES  32

/* "status.vm", "hosts" and "default_project" refer to what is listed by `vm ls` and so on. */
static enum api_op list_of(const char *column, size_t bytes)
{
    struct cloud_command command;
    char leaf[NOUN_BYTES];
    for (size_t i = bytes; i--;)
        if (column[i] == '.' || column[i] == '_') {
            column += i + 1;
            bytes -= i + 1;
            break;
        }
    snprintf(leaf, sizeof(leaf), "%.*s", (int)bytes, column);
    for (size_t n = strlen(leaf);; leaf[--n] = 0) {
        if (!cloud_command_find(leaf, "ls", &command))
            return command.op;
        if (!n || leaf[n - 1] != 's')
            return API_OPS;
    }
}

static bool is_id(const json_t *v)
{
    uint8_t id[16];
    return json_is_string(v) && !uuid_parse(json_string_value(v), id);
}

/* Goes along a column's path, through lists too. names NULL: collects what is an id as keys of
 * `ids`; else puts the name in its place. */
static void walk(json_t *v, const char *path, size_t bytes, json_t *ids, const json_t *names)
{
    size_t i, n = 0;
    json_t *item;
    while (n < bytes && path[n] != '.')
        n++;
    if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            const char *text = json_string_value(item);
            if (bytes || !is_id(item))
                walk(item, path, bytes, ids, names);
            else if (names && json_object_get(names, text))
                json_array_set(v, i, json_object_get(names, text));
            else if (!names)
                json_object_set_new(ids, text, json_null());
        }
        return;
    }
    char key[NOUN_BYTES];
    snprintf(key, sizeof(key), "%.*s", (int)n, path);
    item = bytes ? json_object_get(v, key) : NULL;
    if (n < bytes || json_is_array(item))
        walk(item, path + n + (n < bytes), bytes - n - (n < bytes), ids, names);
    else if (is_id(item) && names && json_object_get(names, json_string_value(item)))
        json_object_set(v, key, json_object_get(names, json_string_value(item)));
    else if (is_id(item) && !names)
        json_object_set_new(ids, json_string_value(item), json_null());
}

/* Asks for the names of the ids [first, first + IDS_AT_ONCE) of `ids`. */
static bool ask(struct cloud_run *r, enum api_op op, const json_t *ids, size_t first, json_t *names)
{
    struct api_buf filter;
    size_t at = 0, i;
    const char *id;
    json_t *v, *page = NULL;
    api_buf_init(&filter, 4096);
    json_object_foreach((json_t *)ids, id, v) if (at++ >= first && at <= first + IDS_AT_ONCE)
        api_buf_printf(&filter, "%s\"%s\"", at - 1 == first ? "id in (" : ", ", id);
    api_buf_putc(&filter, ')');
    char *text = api_buf_steal(&filter);
    json_t *query = json_pack("{s:s, s:s, s:i}", "filter", text ? text : "", "fields", "id,name",
                              "limit", IDS_AT_ONCE);
    const struct cloud_call c = {.op = op, .query = query, .quiet = true};
    int status = cloud_run_call(r, &c, &page, NULL);
    json_array_foreach(json_object_get(page, "items"), i, v)
    {
        const json_t *name = json_object_get(v, "name");
        id = json_string_value(json_object_get(v, "id"));
        if (id && json_string_length(name))
            json_object_set(names, id, (json_t *)name);
    }
    json_decref(page);
    json_decref(query);
    free(text);
    return !status;
}

void cloud_run_names(struct cloud_run *r, json_t *items, const char *columns)
{
    for (size_t n; *columns; columns += n + (columns[n] == ',')) {
        n = strcspn(columns, ",");
        enum api_op op = list_of(columns, n);
        if (op == API_OPS)
            continue;
        json_t *ids = json_object(), *names = json_object();
        walk(items, columns, n, ids, NULL);
        /* Who may not look there sees ids. */
        for (size_t first = 0; first < json_object_size(ids); first += IDS_AT_ONCE)
            if (!ask(r, op, ids, first, names))
                break;
        walk(items, columns, n, ids, names);
        json_decref(ids);
        json_decref(names);
    }
}
