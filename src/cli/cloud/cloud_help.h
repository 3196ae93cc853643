/* What operations and fields mean in words, and which command an operation is: the tables that
 * tools/apigen makes from the API's description (gen/help.c), and the pages that --help prints. */
#ifndef CLI_CLOUD_CLOUD_HELP_H
#define CLI_CLOUD_CLOUD_HELP_H

#include <stdio.h>

#include "api/api_route.h"
#include "api/api_types.h"

struct cloud_command;
struct cloud_flags;

struct cloud_help_op {
    const char *noun,
        *verb;           /* as the rules of names give them; cloud_command.h has the last word */
    const char *summary; /* without a full stop */
    const char *description; /* may be empty */
};
extern const struct cloud_help_op cloud_help_ops[API_OPS];

struct cloud_help_object {
    const struct api_types_object *object;
    const char *description;
    const char *const *fields; /* as many as the object has */
};
/* Every object that a request is made of; ended by a NULL object. */
extern const struct cloud_help_object cloud_help_objects[];

/* What a field means; "" where nothing is said. */
const char *cloud_help_field(const struct api_types_object *o, const struct api_types_field *f);

/* `virga help`: the nouns. */
void cloud_help_nouns(FILE *out);
/* `virga NOUN`: its verbs. */
void cloud_help_noun(const char *noun, FILE *out);
/* `virga NOUN VERB --help`. */
void cloud_help_command(const struct cloud_command *c, FILE *out);
/* "web" of "virga vm start VM": what a command takes besides flags, such as "VM [FLAVOR]". */
void cloud_help_words(const struct cloud_command *c, char *out, size_t out_bytes);
/* What a flag's value looks like: "SIZE", "shared|dedicated"; "" for one without. */
void cloud_help_value(const struct api_types_field *f, char *out, size_t out_bytes);

#endif
