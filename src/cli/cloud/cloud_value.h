/* What a person writes behind a flag, as the JSON that the API takes: numbers with units, key=value
 * lists, files, secrets. */
#ifndef CLI_CLOUD_CLOUD_VALUE_H
#define CLI_CLOUD_CLOUD_VALUE_H

#include <jansson.h>
#include <stdint.h>

#include "api/api_types.h"
#include "base/err.h"
#include "cli/cloud/cloud_flag.h"

/* Texts that may be long, base64 and secrets are read from a file by "@FILE" ("@@x" is "@x"); a
 * secret is never taken as it stands, since others can read command lines: "-" is a line of
 * standard input. */
#define CLOUD_VALUE_FILE_MAX_BYTES (4u << 20)

/* Puts a value into an object by the path of its field, making the objects on the way. A list
 * grows, a map gets a further key. `text` is NULL for a switch. Errors: EINVAL, naming the flag,
 * the value and what is allowed; ENOENT and its like of files. */
int cloud_value_set(json_t *object, const struct cloud_flag *flag, const char *text, bool negated,
                    struct err *err);

/* Puts any value at a path ("qos.read_iops"). Takes the value's reference. */
int cloud_value_put(json_t *object, const char *path, json_t *value);
/* What is there; NULL: nothing. Borrowed. */
json_t *cloud_value_at(json_t *object, const char *path);

/* "2GiB", "512MiB", "20G", "4096" in units of the field. Errors: EINVAL. */
int cloud_value_size(const char *text, enum cloud_unit unit, int64_t *value);
/* "90s", "5m", "1h30m", "2d", "90": in milliseconds. Errors: EINVAL. */
int cloud_value_time(const char *text, int64_t *ms);

/* The whole of a file ("-": standard input), NUL-terminated. Owns: free(). Errors: those of the
 * file, and EFBIG. */
int cloud_value_read_file(const char *path, size_t max_bytes, char **text, size_t *bytes,
                          struct err *err);
/* A line of standard input without its end; what follows stays unread. Owns: free() after it was
 * wiped. Errors: ENODATA: there is none. */
int cloud_value_read_line(char **text, struct err *err);
/* Asks on the terminal without showing what is typed. Owns: free() after it was wiped. Errors:
 * ENOTTY: there is no terminal. */
int cloud_value_ask_secret(const char *prompt, char **text, struct err *err);

#endif
