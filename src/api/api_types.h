/* What the structs and tables that tools/apigen makes of api/openapi.json (src/api/gen/) are built
 * from.
 *
 * A schema is a struct whose members each say whether they are absent, null or a value, so that a
 * PATCH can tell "leave it", "reset it" and "set it" apart; zeroed memory is "all absent". Beside
 * it stands a const table that says of each member its name, kind, place and bounds. The reader,
 * the writer, merge patches, filters and sorting all walk these tables (api/api_json.h,
 * api/api_query.h); nothing is generated but data. */
#ifndef API_API_TYPES_H
#define API_API_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum api_is {
    API_ABSENT,
    API_NULL, /* only where the schema allows null: in a PATCH, "reset it" */
    API_VALUE,
};

/* The member types. Each begins with `is`; `v` is only meaningful with API_VALUE. What they point
 * to belongs to the arena that the struct was read into, or to whoever filled it in. */
struct api_text {
    enum api_is is;
    const char *v; /* UTF-8 without NUL characters */
};
struct api_int {
    enum api_is is;
    int64_t v;
};
struct api_number {
    enum api_is is;
    double v; /* finite */
};
struct api_bool {
    enum api_is is;
    bool v;
};
/* Enums, objects and lists have types of their own in the generated structs, laid out as these. */
struct api_enum {
    enum api_is is;
    int v;
};
struct api_object {
    enum api_is is;
    void *v;
};
struct api_list {
    enum api_is is;
    uint32_t n;
    void *v; /* n items one after the other: const char *, int64_t, int, or the item's struct */
};
struct api_texts {
    enum api_is is;
    uint32_t n;
    const char **v;
};
struct api_ints {
    enum api_is is;
    uint32_t n;
    int64_t *v;
};
/* Keys that the schema does not name, such as labels. A NULL value removes the key in a PATCH. */
struct api_pair {
    const char *key, *value;
};
struct api_map {
    enum api_is is;
    uint32_t n;
    struct api_pair *v;
};
/* Any JSON: kept as its text. */
struct api_any {
    enum api_is is;
    const char *v;
};

enum api_types_kind {
    API_KIND_TEXT,
    API_KIND_INT,
    API_KIND_NUMBER,
    API_KIND_BOOL,
    API_KIND_ENUM,
    API_KIND_OBJECT,
    API_KIND_LIST,
    API_KIND_MAP,
    API_KIND_ANY,
};

/* What a text may hold beyond its length; api/api_format.h has the functions. */
enum api_types_format {
    API_FORMAT_NONE,
    API_FORMAT_NAME,
    API_FORMAT_UUID,
    API_FORMAT_TIMESTAMP,
    API_FORMAT_CIDR,
    API_FORMAT_IP,
    API_FORMAT_MAC,
    API_FORMAT_SHA256,
    API_FORMAT_URL,
    API_FORMAT_BASE64,
    API_FORMAT_HOSTNAME,
    API_FORMAT_VERSION,
    API_FORMAT_KEY, /* of a map */
    API_FORMATS
};

/* The least that a caller has to be; each includes those before it. */
enum api_types_role {
    API_ROLE_NONE, /* nobody need be signed in */
    API_ROLE_ANY,
    API_ROLE_READER,
    API_ROLE_MEMBER,
    API_ROLE_OPERATOR,
    API_ROLE_ADMIN,
};

#define API_FIELD_REQUIRED 0x01
#define API_FIELD_NULLABLE 0x02
#define API_FIELD_WRITE_ONLY                                                                       \
    0x04                           /* never written out by a server, never kept in an audit record \
                                    */
#define API_FIELD_NULL_VALUES 0x08 /* a MAP in a PATCH: null removes a key */

struct api_types_enum {
    const char *what; /* the schema's name */
    const char *const *names;
    uint32_t n;
};

struct api_types_object;

struct api_types_field {
    const char *name;
    uint32_t offset;
    uint8_t kind;      /* enum api_types_kind */
    uint8_t item_kind; /* of a LIST */
    uint8_t format;    /* of a TEXT, of a list's texts, of a map's values */
    uint8_t flags;
    uint8_t role; /* enum api_types_role: the least that may give it; NONE: whoever may call */
    uint32_t min_items, max_items;         /* LIST, MAP */
    int64_t min, max;                      /* INT: the value; TEXT, MAP: characters */
    double number_min, number_max;         /* NUMBER */
    const struct api_types_enum *words;    /* ENUM, LIST of it */
    const struct api_types_object *object; /* OBJECT, LIST of it */
    const char *fallback;                  /* the default as text; NULL: none */
};

struct api_types_object {
    const char *what; /* the schema's name: "VmCreate" */
    uint32_t bytes;
    uint32_t n_fields;
    const struct api_types_field *fields;
    /* Of a Create or Patch: the resource, so that a key of it that cannot be given is told apart
     * from one that nobody knows. NULL: none. */
    const struct api_types_object *base;
};

/* The field of that name; NULL: none. */
const struct api_types_field *api_types_find(const struct api_types_object *o, const char *name,
                                             size_t name_bytes);
/* The place of a field in a struct. */
static inline void *api_types_at(const void *object, const struct api_types_field *f)
{
    return (char *)(uintptr_t)object + f->offset;
}
/* Whether it is there; every member type begins with this. */
enum api_is api_types_is(const void *object, const struct api_types_field *f);
/* How many bytes an item of a list takes. */
size_t api_types_item_bytes(const struct api_types_field *f);
/* How many bytes the member itself takes. */
size_t api_types_member_bytes(const struct api_types_field *f);

#endif
