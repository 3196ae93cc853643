/* The words of one command line, read by the flags that its command takes. */
#ifndef CLI_CLOUD_CLOUD_ARGS_H
#define CLI_CLOUD_CLOUD_ARGS_H

#include <jansson.h>

#include "base/err.h"
#include "cli/cloud/cloud_flag.h"

#define CLOUD_ARGS_WORDS_MAX 16

struct cloud_args {
    const char
        *common[CLOUD_COMMON_N]; /* the value; of a switch "true" or "false"; NULL: not given */
    json_t *body, *query;        /* objects */
    json_t *unset;               /* paths of fields that are put back */
    const char *words[CLOUD_ARGS_WORDS_MAX];
    unsigned n_words;
    char **rest; /* what stands behind "--"; NULL: nothing; ended by NULL */
};

/* argv: without the noun and verb, ended by NULL; it must outlive the result. Errors: EINVAL, with
 * the flag and what it may have meant. */
int cloud_args_parse(struct cloud_args *a, const struct cloud_flags *flags, char **argv,
                     struct err *err);
void cloud_args_fini(struct cloud_args *a);

#endif
