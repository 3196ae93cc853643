#include "cli/cloud/cloud_print.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_buf.h"
#include "base/util.h"
#include "cli/cloud/cloud_text.h"
#include "cli/cloud/cloud_yaml.h"

#define COLUMNS_MAX 96
#define PATH_BYTES  128
#define CELL_BYTES  (4u << 20)

const char *const cloud_print_forms[CLOUD_PRINT_FORMS] = {
    [CLOUD_PRINT_TABLE] = "table", [CLOUD_PRINT_JSON] = "json", [CLOUD_PRINT_YAML] = "yaml",
    [CLOUD_PRINT_NAME] = "name",   [CLOUD_PRINT_CSV] = "csv",
};

struct columns {
    unsigned n;
    char path[COLUMNS_MAX][PATH_BYTES];
};

static void split(struct columns *c, const char *text)
{
    c->n = 0;
    while (*text && c->n < COLUMNS_MAX) {
        size_t n = strcspn(text, ",");
        if (n && n < PATH_BYTES)
            snprintf(c->path[c->n++], PATH_BYTES, "%.*s", (int)n, text);
        text += n + (text[n] == ',');
    }
}

static void put_value(struct api_buf *b, const json_t *v)
{
    if (json_is_string(v)) {
        api_buf_puts(b, json_string_value(v));
    } else if (json_is_real(v)) {
        api_buf_printf(b, "%.6g", json_real_value(v));
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            api_buf_puts(b, i ? "," : "");
            put_value(b, json_array_get(v, i));
        }
    } else if (json_is_object(v) || v) {
        CLEANUP_FREE char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        api_buf_puts(b, text ? text : "");
    }
}

/* Everything that the path leads to, through lists too, with commas. */
static void gather(struct api_buf *b, const json_t *v, const char *path)
{
    if (json_is_array(v) && *path) {
        for (size_t i = 0; i < json_array_size(v); i++)
            gather(b, json_array_get(v, i), path);
        return;
    }
    if (!*path) {
        if (b->bytes)
            api_buf_putc(b, ',');
        put_value(b, v);
        return;
    }
    char key[PATH_BYTES];
    size_t n = strcspn(path, ".");
    /* The key of a label may hold dots itself. */
    json_t *whole = json_object_get(v, path);
    snprintf(key, sizeof(key), "%.*s", (int)n, path);
    json_t *inside = whole ? whole : json_object_get(v, key);
    if (inside && !json_is_null(inside))
        gather(b, inside, whole ? "" : path + n + (path[n] == '.'));
}

char *cloud_print_cell(const json_t *item, const char *path)
{
    struct api_buf b;
    api_buf_init(&b, CELL_BYTES);
    gather(&b, item, path);
    if (!b.bytes)
        api_buf_putc(&b, '-');
    return api_buf_steal(&b);
}

static void title_of(const char *path, char out[PATH_BYTES])
{
    const char *dot = strrchr(path, '.');
    snprintf(out, PATH_BYTES, "%s", dot ? dot + 1 : path);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

static void pad(FILE *out, size_t n)
{
    while (n--)
        fputc(' ', out);
}

static void print_rows(const struct columns *c, char **cells, size_t rows, FILE *out)
{
    size_t widths[COLUMNS_MAX] = {0};
    bool bold = cloud_text_colours(out);
    for (size_t i = 0; i < rows * c->n; i++)
        widths[i % c->n] = MAX(widths[i % c->n], cells[i] ? cloud_text_width(cells[i]) : 0);
    for (size_t i = 0; i < rows * c->n; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        bool last = i % c->n == c->n - 1;
        if (bold && i < c->n)
            fputs("\033[1m", out);
        cloud_text_put(out, cell, false);
        if (bold && i < c->n)
            fputs("\033[0m", out);
        if (last)
            fputc('\n', out);
        else
            pad(out, widths[i % c->n] - cloud_text_width(cell) + 2);
    }
}

static void print_table(const json_t *items, const struct columns *c, FILE *out)
{
    size_t rows = json_array_size(items) + 1;
    char **cells = calloc(rows * c->n, sizeof(*cells));
    if (!cells)
        return;
    for (unsigned k = 0; k < c->n; k++) {
        char title[PATH_BYTES];
        title_of(c->path[k], title);
        cells[k] = strdup(title);
        for (size_t i = 1; i < rows; i++)
            cells[i * c->n + k] = cloud_print_cell(json_array_get(items, i - 1), c->path[k]);
    }
    print_rows(c, cells, rows, out);
    for (size_t i = 0; i < rows * c->n; i++)
        free(cells[i]);
    free(cells);
}

/* Spec: RFC 4180. */
static void print_csv_cell(const char *text, FILE *out)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_csv(const json_t *items, const struct columns *c, FILE *out)
{
    for (unsigned k = 0; k < c->n; k++)
        fprintf(out, "%s%s", k ? "," : "", c->path[k]);
    fputs("\r\n", out);
    for (size_t i = 0; i < json_array_size(items); i++) {
        for (unsigned k = 0; k < c->n; k++) {
            CLEANUP_FREE char *cell = cloud_print_cell(json_array_get(items, i), c->path[k]);
            fputs(k ? "," : "", out);
            print_csv_cell(cell && strcmp(cell, "-") != 0 ? cell : "", out);
        }
        fputs("\r\n", out);
    }
}

static void print_name(const json_t *item, FILE *out)
{
    static const char *const keys[] = {"name", "id", "number"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *v = json_object_get(item, keys[i]);
        if (!v || json_is_null(v))
            continue;
        CLEANUP_FREE char *cell = cloud_print_cell(item, keys[i]);
        cloud_text_put(out, cell ? cell : "", false);
        fputc('\n', out);
        return;
    }
    /* {"token": {...}, "secret": ...}: the thing that was made. */
    const char *key;
    json_t *inside;
    json_object_foreach((json_t *)(uintptr_t)item, key, inside) if (json_is_object(inside))
    {
        print_name(inside, out);
        return;
    }
}

static void print_value(const json_t *v, enum cloud_print_form form, FILE *out)
{
    if (form == CLOUD_PRINT_YAML) {
        cloud_yaml_write(v, out);
        return;
    }
    json_dumpf(v, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fputc('\n', out);
}

void cloud_print_list(const json_t *items, enum cloud_print_form form, const char *columns,
                      FILE *out)
{
    struct columns c;
    split(&c, columns);
    if (form == CLOUD_PRINT_JSON || form == CLOUD_PRINT_YAML)
        print_value(items, form, out);
    else if (form == CLOUD_PRINT_NAME)
        for (size_t i = 0; i < json_array_size(items); i++)
            print_name(json_array_get(items, i), out);
    else if (form == CLOUD_PRINT_CSV)
        print_csv(items, &c, out);
    else if (c.n)
        print_table(items, &c, out);
}

/* Adds the paths of all scalars and lists; objects are gone into. */
static void all_paths(struct columns *c, const json_t *item, const char *prefix)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)item, key, v)
    {
        char path[PATH_BYTES];
        int n = snprintf(path, sizeof(path), "%s%s", prefix, key);
        if (n >= PATH_BYTES || c->n == COLUMNS_MAX)
            continue;
        if (json_is_object(v) && strcmp(key, "labels") != 0 && !strchr(prefix, '.')) {
            char inside[PATH_BYTES + 1];
            snprintf(inside, sizeof(inside), "%s.", path);
            all_paths(c, v, inside);
        } else {
            memcpy(c->path[c->n++], path, sizeof(path));
        }
    }
}

static void print_facts(const json_t *item, const struct columns *c, FILE *out)
{
    size_t width = 0;
    bool bold = cloud_text_colours(out);
    for (unsigned k = 0; k < c->n; k++)
        width = MAX(width, strlen(c->path[k]));
    for (unsigned k = 0; k < c->n; k++) {
        CLEANUP_FREE char *cell = cloud_print_cell(item, c->path[k]);
        if (bold)
            fputs("\033[1m", out);
        cloud_text_put(out, c->path[k], false);
        if (bold)
            fputs("\033[0m", out);
        pad(out, width - strlen(c->path[k]) + 2);
        /* A private key is lines that are copied. */
        cloud_text_put(out, cell ? cell : "", cell && strchr(cell, '\n') && strlen(cell) > 80);
        fputc('\n', out);
    }
}

void cloud_print_one(const json_t *item, enum cloud_print_form form, const char *columns, FILE *out)
{
    struct columns c = {0};
    if (form == CLOUD_PRINT_JSON || form == CLOUD_PRINT_YAML) {
        print_value(item, form, out);
        return;
    }
    if (form == CLOUD_PRINT_NAME) {
        print_name(item, out);
        return;
    }
    if (columns)
        split(&c, columns);
    else
        all_paths(&c, item, "");
    if (form == CLOUD_PRINT_CSV) {
        json_t *list = json_pack("[O]", item);
        print_csv(list, &c, out);
        json_decref(list);
    } else {
        print_facts(item, &c, out);
    }
}
