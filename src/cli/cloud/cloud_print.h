/* Resources on standard output: a table, JSON, YAML, CSV or names. */
#ifndef CLI_CLOUD_CLOUD_PRINT_H
#define CLI_CLOUD_CLOUD_PRINT_H

#include <jansson.h>
#include <stdio.h>

enum cloud_print_form {
    CLOUD_PRINT_TABLE,
    CLOUD_PRINT_JSON,
    CLOUD_PRINT_YAML,
    CLOUD_PRINT_NAME,
    CLOUD_PRINT_CSV,
    CLOUD_PRINT_FORMS
};
extern const char *const cloud_print_forms[CLOUD_PRINT_FORMS];

/* Several things. `columns`: fields with commas, dots for those inside, lists are gone through. */
void cloud_print_list(const json_t *items, enum cloud_print_form form, const char *columns,
                      FILE *out);
/* One: a table of names and values. `columns` may be NULL: all of it. */
void cloud_print_one(const json_t *item, enum cloud_print_form form, const char *columns,
                     FILE *out);

/* A field of a thing as one line of text, "-" where it is absent. Owns: free(). */
char *cloud_print_cell(const json_t *item, const char *path);

#endif
