/* JSON as text: whether it is JSON at all, and a cursor over one that is. Spec: RFC 8259.
 *
 * A document is looked at twice: api_json_scan() says whether it is whole and well-formed, and the
 * cursor then trusts it. No tree is built between text and structs: jansson's took most of
 * the time of reading one (docs/arch/15-api.md). */
#ifndef API_API_JSON_SCAN_H
#define API_API_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_problem.h"

/* Any one value, whitespace around it allowed. Refused beside what is no JSON: bytes that are no
 * UTF-8, NUL characters (\u0000), whole numbers beyond 64 bits, numbers beyond what a double holds,
 * nesting over API_JSON_MAX_DEPTH. Errors: EINVAL (request.malformed, with line and column). */
int api_json_scan(const char *text, size_t bytes, struct api_refusal *refusal);

/* On a value of a text that was scanned. */
struct api_json_cursor {
    const char *at, *end;
};

/* The first character of the value: { [ " t f n - or a digit. */
char api_json_peek(struct api_json_cursor *c);
/* Into an object or a list. False: it was empty, and the cursor is behind it. */
bool api_json_enter(struct api_json_cursor *c);
/* Behind a value in an object or a list: whether there is another. False: the cursor is behind the
 * object or list. */
bool api_json_more(struct api_json_cursor *c);
/* How many values the object or list has; the cursor stays. */
size_t api_json_count(const struct api_json_cursor *c);
/* Behind the value. */
void api_json_skip(struct api_json_cursor *c);
/* At most so many bytes the text has; the cursor stays. */
size_t api_json_text_bytes(const struct api_json_cursor *c);
/* The text without quotes and escapes, and a NUL: what does not fit into `room` bytes is cut.
 * Returns how many bytes were written without the NUL. The cursor is behind it. */
size_t api_json_take_text(struct api_json_cursor *c, char *to, size_t room);
/* A key, and the colon behind it. */
size_t api_json_take_key(struct api_json_cursor *c, char *to, size_t room);
/* True: a whole number, *whole is set; *real is in either case. The cursor is behind it. */
bool api_json_take_number(struct api_json_cursor *c, int64_t *whole, double *real);
/* The value as it stands, without whitespace between its parts: at most
 * end - at bytes, no NUL. Returns how many. The cursor is behind it. */
size_t api_json_take_any(struct api_json_cursor *c, char *to);

#endif
