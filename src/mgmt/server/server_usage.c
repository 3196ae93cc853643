/* Intervals: open in the object, closed as a row. */
#include "mgmt/server/server_usage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage_row.h"

static void fail(struct server_txn *t, int r)
{
    t->failed = t->failed ? t->failed : r;
}

/* As text in an arena; NULL: no memory. */
static const char *text_of(const struct server_usage_row *row, struct api_arena *arena)
{
    struct api_buf b;
    api_buf_init(&b, 512);
    server_usage_row_write(row, &b);
    const char *text = b.failed ? NULL : api_arena_text(arena, b.text, b.bytes);
    api_buf_fini(&b);
    return text;
}

static int64_t next_number(const struct catalog_object *v)
{
    return v->own->usage_number.is == API_VALUE ? v->own->usage_number.v + 1 : 1;
}

/* The row of what is open in `v`, and its end, which is *now_ms if no clock was set back; false:
 * nothing is. */
static bool close_row(struct server_txn *t, const struct catalog_object *v, int64_t *now_ms)
{
    struct server_usage_row row;
    if (v->own->usage.is != API_VALUE)
        return false;
    if (server_usage_row_read(v->own->usage.v, strlen(v->own->usage.v), &row)) {
        fail(t, -EBADMSG);
        return false;
    }
    *now_ms = MAX(*now_ms, row.begin_ms); /* a clock that was set back counts nothing */
    row.end_ms = *now_ms;
    const char *text = text_of(&row, &t->arena);
    if (!text) {
        fail(t, -ENOMEM);
        return false;
    }
    struct store_op op = {.type = STORE_USAGE,
                          .row = {.at_ms = row.end_ms,
                                  .project = v->project,
                                  .object = v->id,
                                  .actor = v->id,
                                  .kind = (uint8_t)v->kind,
                                  .name = store_text_of(SERVER_USAGE_INTERVAL),
                                  .body = store_text_of(text),
                                  .number = (uint64_t)next_number(v)}};
    server_txn_op(t, &op);
    return true;
}

/* Returns when. */
static int64_t close_now(struct server_txn *t, struct catalog_object *v)
{
    int64_t now_ms = server_now_ms();
    if (close_row(t, v, &now_ms)) {
        v->own->usage_number = (struct api_int){API_VALUE, next_number(v)};
        v->own->usage = (struct api_text){0};
    }
    return now_ms;
}

void server_usage_close(struct server_txn *t, struct catalog_object *v)
{
    (void)close_now(t, v);
}

void server_usage_end(struct server_txn *t, const struct catalog_object *v)
{
    int64_t now_ms = server_now_ms();
    (void)close_row(t, v, &now_ms);
}

static const char *name_of(const struct catalog_object *v)
{
    const struct api_types_object *type = catalog_kinds[v->kind].type;
    const struct api_types_field *f = api_types_find(type, "name", 4);
    const struct api_text *name = f ? api_types_at(v->doc, f) : NULL;
    return name && name->is == API_VALUE ? name->v : "";
}

void server_usage_open(struct server_txn *t, struct catalog_object *v,
                       const struct server_usage_rate *rates, unsigned n, const char *flavor)
{
    /* One begins where the other ends, and not a moment before. */
    struct server_usage_row row = {.begin_ms = close_now(t, v),
                                   .n = MIN(n, (unsigned)SERVER_USAGE_RATES_MAX)};
    memcpy(row.rates, rates, row.n * sizeof(*rates));
    snprintf(row.flavor, sizeof(row.flavor), "%s", flavor ? flavor : "");
    snprintf(row.name, sizeof(row.name), "%s", name_of(v));
    const char *text = row.n ? text_of(&row, &v->arena) : NULL;
    if (text)
        v->own->usage = (struct api_text){API_VALUE, text};
    else if (row.n)
        fail(t, -ENOMEM);
}
