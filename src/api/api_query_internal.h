/* Paths and values, which filters, sorting and cursors share. */
#ifndef API_API_QUERY_INTERNAL_H
#define API_API_QUERY_INTERNAL_H

#include "api/api_query.h"

/* Resolves a dotted path. Errors: EINVAL with `code`, naming `parameter`; ENOMEM. */
int api_query_path_read(const struct api_types_object *o, const char *text, size_t bytes,
                        struct api_query_path *path, const char *parameter,
                        enum api_problem_code code, struct api_arena *arena,
                        struct api_refusal *refusal);
/* The field that a path ends in. */
static inline const struct api_types_field *api_query_path_last(const struct api_query_path *p)
{
    return p->steps[p->n - 1];
}
/* Calls `visit` with each value that the path leads to: several where it goes through lists, one
 * that is absent where it leads to none. Ends with true as soon as a visit does. */
bool api_query_path_any(const struct api_query_path *p, const void *object,
                        bool (*visit)(void *opaque, const struct api_query_value *v), void *opaque);
/* The one value of a path that goes through no list. */
struct api_query_value api_query_path_value(const struct api_query_path *p, const void *object);

/* Absent comes first, then by value. Kinds that differ compare by kind. */
int api_query_value_order(const struct api_query_value *a, const struct api_query_value *b);

/* api_query_cursor.c. Errors: EINVAL (query.cursor_invalid), ENOMEM. */
int api_query_cursor_read(struct api_query *q, const char *text, struct api_arena *arena,
                          struct api_refusal *refusal);

#endif
