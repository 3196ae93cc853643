/* JSON and the structs of src/api/gen/, both ways, by the tables.
 *
 * Reading: one document into one struct, all of whose memory is the arena's. Every value is checked
 * against the description as it is read; all that is wrong is told at once, each with its JSON
 * pointer, what is there and what is allowed. A key that is given twice is refused, and one that
 * nobody knows, unless the reader is a client of a newer server. The nesting of the tables bounds
 * the recursion, their maxItems and the arena's limit bound the memory.
 *
 *   struct api_vm_create *c;
 *   r = api_json_read(&api_types_vm_create, text, bytes, 0, &arena, (void **)&c, &refusal);
 *   if (!r && c->disk_gib.is == API_VALUE) ...
 *
 * Threads: everything here may run at once on different structs. */
#ifndef API_API_JSON_H
#define API_API_JSON_H

#include <stddef.h>

#include "api/api_arena.h"
#include "api/api_buf.h"
#include "api/api_problem.h"
#include "api/api_types.h"

/* A batch of 100 VMs each with 64 KiB of user data in base64 fits. */
#define API_JSON_MAX_BYTES (10u << 20)
#define API_JSON_MAX_DEPTH 32
/* What an arena should allow for a document of so many bytes: the largest struct for each few bytes
 * of JSON is bounded by the lists' maxItems; this covers all of them. */
#define API_JSON_ARENA_BYTES (32u << 20)

/* For clients of a server that may be newer, and may have been asked for some fields only: unknown
 * keys and words are skipped, bounds are not looked at, nothing has to be there. Kinds still are.
 */
#define API_JSON_LENIENT 0x1
/* For a peer that may be newer: unknown keys are skipped; all else is checked as ever. */
#define API_JSON_NEWER 0x4

/* Errors: EINVAL (request.malformed: not JSON; request.invalid: not what is allowed), E2BIG
 * (request.too_large), ENOMEM (the arena is full; request.too_large). *out is only set on success.
 */
int api_json_read(const struct api_types_object *o, const char *text, size_t bytes, unsigned flags,
                  struct api_arena *arena, void **out, struct api_refusal *refusal);

/* Which fields to write; see api_query.h. NULL: all of them. */
struct api_json_fields {
    const char *name;
    size_t name_bytes;
    const struct api_json_fields *inside; /* NULL: all that is inside */
    const struct api_json_fields *next;
};

#define API_JSON_SECRETS                                                                           \
    0x2 /* write WRITE_ONLY fields too: what goes to the store or the server                       \
         */

/* Appends the struct as JSON, fields in the description's order, absent ones left out. */
void api_json_write(const struct api_types_object *o, const void *object, unsigned flags,
                    const struct api_json_fields *fields, struct api_buf *out);

/* Applies a patch (or a create's struct) to a resource's struct by the names of fields: absent
 * leaves, null makes absent, a value replaces; objects and maps merge, lists are replaced. Fields
 * that the target has not are skipped. The target then points into the patch's arena too: keep
 * both. Spec: RFC 7396. Errors: ENOMEM. */
int api_json_merge(const struct api_types_object *target_type, void *target,
                   const struct api_types_object *patch_type, const void *patch,
                   struct api_arena *arena);

/* Gives fields that are absent their defaults, in objects inside too (objects that are absent stay
 * so). Errors: ENOMEM. */
int api_json_fill(const struct api_types_object *o, void *object, struct api_arena *arena);

/* Checks a struct that was not read (or was merged) against the description: required fields,
 * ranges, formats. Errors: EINVAL, as api_json_read() tells them. */
int api_json_check(const struct api_types_object *o, const void *object,
                   struct api_refusal *refusal);

/* Whether a caller of that role may give what a request's struct holds: some fields are for
 * operators and admins only. Errors: EPERM (auth.forbidden), naming the field. */
int api_json_check_role(const struct api_types_object *o, const void *object,
                        enum api_types_role role, struct api_refusal *refusal);

/* Whether two structs of a type mean the same. */
bool api_json_equal(const struct api_types_object *o, const void *a, const void *b);

/* Sets one field from text, as query parameters and defaults have it; lists by commas. `where`
 * names it in the refusal. Errors: EINVAL (`code`), ENOMEM. */
int api_json_set_text(const struct api_types_field *f, void *object, const char *text,
                      const char *where, enum api_problem_code code, struct api_arena *arena,
                      struct api_refusal *refusal);

/* A copy, all of whose memory is the arena's. NULL: the arena is full. */
void *api_json_copy(const struct api_types_object *o, const void *object, struct api_arena *arena);

/* A new struct, all absent. NULL: the arena is full. */
void *api_json_new(const struct api_types_object *o, struct api_arena *arena);

#endif
