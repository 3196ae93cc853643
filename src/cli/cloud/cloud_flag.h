/* The flags of one command: those that every command has, and those that follow from the fields of
 * an operation's body and query.
 *
 * A field's flag is its name with dashes: `min_disk_gib` is --min-disk-gib, and where the name ends
 * in a unit also --min-disk, which takes 20GiB. A list's flag is named in the singular and is
 * repeated. A field inside an object is --qos.read-iops, and --read-iops where nothing else is
 * called that. */
#ifndef CLI_CLOUD_CLOUD_FLAG_H
#define CLI_CLOUD_CLOUD_FLAG_H

#include <stdbool.h>
#include <stddef.h>

#include "api/api_route.h"
#include "api/api_types.h"

#define CLOUD_FLAG_NAME_BYTES 96
#define CLOUD_FLAGS_MAX       160

enum cloud_flag_common {
    CLOUD_OUTPUT,
    CLOUD_COLUMNS,
    CLOUD_FILTER,
    CLOUD_SORT,
    CLOUD_LIMIT,
    CLOUD_PROJECT,
    CLOUD_ALL_PROJECTS,
    CLOUD_WAIT,
    CLOUD_TIMEOUT,
    CLOUD_FROM,
    CLOUD_UNSET,
    CLOUD_IF_MATCH,
    CLOUD_SAVE,
    CLOUD_FILE,
    CLOUD_YES,
    CLOUD_USER,
    CLOUD_IDENTITY,
    CLOUD_PASSWORD_STDIN,
    CLOUD_CA_FILE,
    CLOUD_FINGERPRINT,
    CLOUD_PROFILE,
    CLOUD_URL,
    CLOUD_STATE,
    CLOUD_PORT,
    CLOUD_DEBUG,
    CLOUD_HELP,
    CLOUD_COMMON_N
};

struct cloud_flag_fact {
    const char *name;
    char letter;       /* -o; 0: none */
    const char *value; /* what its value is called; NULL: a switch, with --no-NAME */
    const char *text;
};
extern const struct cloud_flag_fact cloud_flag_facts[CLOUD_COMMON_N];

enum cloud_flag_place { CLOUD_FLAG_COMMON, CLOUD_FLAG_BODY, CLOUD_FLAG_QUERY };

struct cloud_flag {
    enum cloud_flag_place place;
    enum cloud_flag_common common;       /* place COMMON */
    const struct api_types_field *field; /* otherwise */
    const struct api_types_object *owner;
    char name[CLOUD_FLAG_NAME_BYTES]; /* as help shows it, without "--" */
    char path[CLOUD_FLAG_NAME_BYTES]; /* "source.debian.size_gib" */
};

struct cloud_flags {
    size_t n;
    struct cloud_flag v[CLOUD_FLAGS_MAX];
};

/* A bit for each common flag that a command takes. */
#define CLOUD_FLAG_BIT(common) (1u << (common))
#define CLOUD_FLAG_ALWAYS                                                                          \
    (CLOUD_FLAG_BIT(CLOUD_OUTPUT) | CLOUD_FLAG_BIT(CLOUD_COLUMNS) |                                \
     CLOUD_FLAG_BIT(CLOUD_PROFILE) | CLOUD_FLAG_BIT(CLOUD_URL) | CLOUD_FLAG_BIT(CLOUD_DEBUG) |     \
     CLOUD_FLAG_BIT(CLOUD_HELP))
/* The common flags that make sense for an operation. */
unsigned cloud_flag_set_of(const struct api_route *route);

/* `route` may be NULL: only the common ones. */
void cloud_flags_build(struct cloud_flags *flags, const struct api_route *route, unsigned common);

/* The flag that a person means by the text between "--" and "=" or the end; *negated says that it
 * was --no-NAME. NULL: none. */
const struct cloud_flag *cloud_flags_find(const struct cloud_flags *flags, const char *text,
                                          size_t bytes, bool *negated);
const struct cloud_flag *cloud_flags_letter(const struct cloud_flags *flags, char letter);

/* "/nics/0/ip" as a person gave it: "--nic (1st) ip"; the pointer itself where no flag has it. */
void cloud_flags_of_pointer(const struct cloud_flags *flags, const char *pointer, char *out,
                            size_t out_bytes);

/* Units at the end of a field's name. */
enum cloud_unit {
    CLOUD_UNIT_NONE,
    CLOUD_UNIT_BYTES,
    CLOUD_UNIT_KIB,
    CLOUD_UNIT_MIB,
    CLOUD_UNIT_GIB,
    CLOUD_UNIT_SECONDS
};
/* *stem_bytes: the name without its unit. */
enum cloud_unit cloud_flag_unit(const char *field_name, size_t *stem_bytes);

/* Whether a value is a secret, which is never taken from a command line. */
bool cloud_flag_is_secret(const struct api_types_field *f);

#endif
