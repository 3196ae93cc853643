/* The named formats of texts. The description gives each a simple pattern; what is asked here is at
 * least that, and where a pattern cannot say it (a date that exists, a prefix whose host bits are
 * zero) more. */
#ifndef API_API_FORMAT_H
#define API_API_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_types.h"

/* Whether a text (with a NUL behind its bytes) has a format. */
bool api_format_holds(enum api_types_format format, const char *text, size_t bytes);
/* What it has to be, for messages: "a UUID in lower case". */
const char *api_format_wanted(enum api_types_format format);

/* A timestamp in milliseconds since 1970. Errors: EINVAL. */
int api_format_time(const char *text, int64_t *ms);
/* The other way, with milliseconds. */
#define API_FORMAT_TIME_BYTES 25
void api_format_time_text(int64_t ms, char text[API_FORMAT_TIME_BYTES]);
/* The 16 bytes of a UUID, in lower case as the API has it (base/uuid.h takes either).
 * Errors: EINVAL. */
int api_format_uuid(const char *text, uint8_t uuid[16]);

#endif
