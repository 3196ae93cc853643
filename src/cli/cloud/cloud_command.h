/* Which commands there are. Most follow from the operations of the API; a table by hand renames
 * some, hides those that are parts of others, and adds the ones that are more than one call. */
#ifndef CLI_CLOUD_CLOUD_COMMAND_H
#define CLI_CLOUD_CLOUD_COMMAND_H

#include <stdbool.h>

#include "api/api_route.h"

struct cloud_run;

#define CLOUD_COMMAND_ASK          0x1 /* asks on a terminal whether it is meant */
#define CLOUD_COMMAND_PROJECT_WORD 0x2 /* its first word is the project */
#define CLOUD_COMMAND_LOCAL        0x4 /* needs no server */

struct cloud_command {
    const char *noun;
    const char *verb; /* NULL: the noun is the command */
    const char *summary, *description;
    enum api_op op;                  /* whose flags it takes; API_OPS: none */
    unsigned common;                 /* the common flags that it takes (CLOUD_FLAG_BIT) */
    unsigned flags;                  /* CLOUD_COMMAND_... */
    const char *words;               /* for help, where it is not the path's parameters; NULL */
    int (*run)(struct cloud_run *r); /* returns an exit status */
};

/* Walks over all; *cursor begins at 0. Commands of a noun may lie apart. */
bool cloud_command_next(unsigned *cursor, struct cloud_command *out);
/* Errors: ENOENT. */
int cloud_command_find(const char *noun, const char *verb, struct cloud_command *out);

struct cloud_noun {
    const char *name, *summary;
    const char *columns; /* of its lists */
};
/* What a noun is; one that nobody wrote about has the columns that most have. */
struct cloud_noun cloud_command_noun(const char *name);
/* The nouns and one-word commands in the order that help has them; NULL behind the last. */
const char *cloud_command_noun_name(unsigned i);

#endif
