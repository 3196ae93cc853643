/* Lists: page after page, as far as is wanted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_text.h"

#define PAGE_ITEMS 500

int cloud_run_limit(const struct cloud_run *r, uint64_t *most, struct err *err)
{
    const char *text = r->args.common[CLOUD_LIMIT];
    char *end;
    if (!text)
        return 0;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || !strspn(text, "0123456789") || !v)
        return err_set(err, EINVAL, "--limit: \"%.40s\" is not allowed: use a number from 1", text);
    *most = v;
    return 0;
}

/* A column that no item can have would be a column of dashes. */
static int check_column(const struct api_types_object *o, const char *path, size_t bytes,
                        struct err *err)
{
    struct cloud_text_guess guess;
    char word[64];
    while (o && bytes) {
        size_t n = strcspn(path, ".,");
        const struct api_types_field *f = api_types_find(o, path, MIN(n, bytes));
        if (!f) {
            snprintf(word, sizeof(word), "%.*s", (int)MIN(n, bytes), path);
            guess = (struct cloud_text_guess){.typed = word};
            for (uint32_t i = 0; i < o->n_fields; i++)
                cloud_text_guess(&guess, o->fields[i].name);
            return err_set(err, EINVAL, "--columns: a %s has no \"%s\"%s%s%s; -o json shows all",
                           o->what, word, guess.best ? ": " : "", guess.best ? guess.best : "",
                           guess.best ? ", perhaps?" : "");
        }
        if (n >= bytes)
            return 0;
        path += n + 1;
        bytes -= n + 1;
        o = f->object; /* the keys of a map are the person's own */
    }
    return 0;
}

static int check_columns(const struct api_types_object *o, const char *columns, struct err *err)
{
    int r = 0;
    while (columns && *columns && !r) {
        size_t n = strcspn(columns, ",");
        r = check_column(o, columns, n, err);
        columns += n + (columns[n] == ',');
    }
    return r;
}

int cloud_run_list(struct cloud_run *r, struct cloud_call *c)
{
    static const struct {
        enum cloud_flag_common flag;
        const char *name;
    } passed[] = {{CLOUD_FILTER, "filter"}, {CLOUD_SORT, "sort"}};
    json_t *query = json_deep_copy(r->args.query), *items = json_array();
    const char *columns = r->args.common[CLOUD_COLUMNS];
    struct err err = {0};
    uint64_t most = UINT64_MAX;
    int status = CLOUD_EXIT_DONE;
    if (cloud_run_limit(r, &most, &err) ||
        check_columns(api_route_table[c->op].item, columns, &err))
        status = cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        if (r->args.common[passed[i].flag])
            json_object_set_new(query, passed[i].name, json_string(r->args.common[passed[i].flag]));
    c->query = query;
    for (bool more = true; more && !status && json_array_size(items) < most;) {
        json_t *page = NULL;
        uint64_t n = MIN(most - json_array_size(items), (uint64_t)PAGE_ITEMS);
        json_object_set_new(query, "limit", json_integer((json_int_t)n));
        status = cloud_run_call(r, c, &page, NULL);
        json_t *cursor = json_object_get(page, "next_cursor");
        json_array_extend(items, json_object_get(page, "items"));
        /* A page that is empty and goes on would be asked for without an end. */
        more = json_is_string(cursor) && json_array_size(json_object_get(page, "items"));
        if (more)
            json_object_set(query, "cursor", cursor);
        json_decref(page);
    }
    if (!columns)
        columns = cloud_command_noun(r->command.noun).columns;
    if (!status && r->form == CLOUD_PRINT_TABLE)
        cloud_run_names(r, items, columns);
    if (!status)
        cloud_print_list(items, r->form, columns, stdout);
    json_decref(items);
    json_decref(query);
    return status;
}
