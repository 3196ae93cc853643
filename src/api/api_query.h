/* What stands behind the question mark: an operation's own parameters, and what every list takes.
 *
 * A list's query is read once, against the table of its items: fields that there are not, values of
 * another type and words that no enum has are refused with what would be right. What comes out
 * matches, orders and pages structs without looking at text again.
 *
 *   filter  name eq "web" and (status.state ne "error" or labels.tier in ("a", "b"))
 *   sort    -created_at,name        the id decides between equals, so the order is total
 *   fields  id,name,status.state    the id always comes
 *   cursor  made by api_query_cursor(): the place of the last item of a page; it belongs to the
 * filter and sort that it came from. It holds nothing secret and is not signed: a forged one is
 *           only another place. */
#ifndef API_API_QUERY_H
#define API_API_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_json.h"

#define API_QUERY_SORTS         4
#define API_QUERY_STEPS         6
#define API_QUERY_LIMIT_DEFAULT 100
#define API_QUERY_CURSOR_BYTES  2048

/* A field, or a key of a map, perhaps inside objects and lists. */
struct api_query_path {
    unsigned n;
    const struct api_types_field *steps[API_QUERY_STEPS];
    const char *key; /* the last step is a map: which key */
};

enum api_query_kind { API_QUERY_ABSENT, API_QUERY_INT, API_QUERY_NUMBER, API_QUERY_TEXT };

/* A value as it is compared: booleans and times are whole numbers, enums their words. */
struct api_query_value {
    enum api_query_kind kind;
    int64_t number;
    double real;
    const char *text;
};

struct api_query_sort {
    struct api_query_path path;
    bool descending;
};

struct api_filter;

struct api_query {
    const struct api_types_object *item;
    uint32_t limit;
    const struct api_filter *filter; /* NULL: all */
    unsigned n_sorts;                /* the last one is the id, where items have one */
    struct api_query_sort sorts[API_QUERY_SORTS + 1];
    const struct api_json_fields *fields; /* NULL: all */
    uint64_t hash;                        /* of type, filter and sort */
    bool has_cursor;
    struct api_query_value cursor[API_QUERY_SORTS + 1];
};

/* Reads a query string. `own`: the operation's parameters (route->query) or NULL, which *out
 * receives as a struct with defaults filled in. `item`: of a list (route->item), with `list` to
 * fill; or NULL. Everything is in the arena. Errors: EINVAL (query.invalid, query.filter_invalid,
 * query.cursor_invalid), ENOMEM. */
int api_query_read(const char *text, size_t bytes, const struct api_types_object *own, void **out,
                   const struct api_types_object *item, struct api_query *list,
                   struct api_arena *arena, struct api_refusal *refusal);

/* Whether an item is meant by the filter. */
bool api_query_match(const struct api_query *q, const void *item);
/* < 0: a comes before b. */
int api_query_order(const struct api_query *q, const void *a, const void *b);
/* Whether an item comes after the cursor; true without one. */
bool api_query_after(const struct api_query *q, const void *item);
/* The cursor of the page that begins behind an item. Errors: E2BIG. */
int api_query_cursor(const struct api_query *q, const void *item,
                     char text[API_QUERY_CURSOR_BYTES]);

#endif
