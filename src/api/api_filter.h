/* Filter expressions: read once against the table of a type, then asked of many structs.
 *
 *   expression  = and { "or" and }
 *   and         = not { "and" not }
 *   not         = "not" not | "(" expression ")" | comparison
 *   comparison  = field ("eq" | "ne" | "lt" | "le" | "gt" | "ge" | "has") value
 *               | field "in" "(" value { "," value } ")"
 *   value       = text in double quotes (\" and \\ inside) | number | "true" | "false" | "null"
 *
 * `has`: a list holds the value, or a text holds the text. `null`: the field is absent. A
 * comparison through a list is true if it is for one item; `ne` if no item is equal. */
#ifndef API_API_FILTER_H
#define API_API_FILTER_H

#include <stdbool.h>

#include "api/api_arena.h"
#include "api/api_problem.h"
#include "api/api_types.h"

#define API_FILTER_NODES_MAX 128
#define API_FILTER_DEPTH_MAX 16

struct api_filter;

/* Reads an expression over items of a type. What comes out is the arena's. Errors: EINVAL
 * (query.filter_invalid, naming the place and what could stand there), ENOMEM. */
int api_filter_read(const struct api_types_object *o, const char *text, struct api_arena *arena,
                    const struct api_filter **out, struct api_refusal *refusal);
bool api_filter_match(const struct api_filter *f, const void *object);

#endif
