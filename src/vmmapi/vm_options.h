/* The command line of `virga-vmm` and `virga run`: flags that change a struct vm_config. Both
 * programs use this one table, so they cannot drift apart; help texts, completions and the man
 * page's list are checked against it. */
#ifndef VMMAPI_VM_OPTIONS_H
#define VMMAPI_VM_OPTIONS_H

#include <stdio.h>

#include "base/err.h"
#include "vmmapi/vm_config.h"

struct vm_options_flag {
    const char *name;  /* without the dashes */
    const char *value; /* what the value is called in the help; NULL: a flag without value */
    const char *help;  /* one line */
    bool many;         /* may be given more than once */
};

/* All flags, in the order of the help; the last has a NULL name. */
extern const struct vm_options_flag vm_options_flags[];

/* Reads argv[0 .. argc-1] (no program name) into `c`, which vm_config_init() prepared; accepts
 * "--flag value" and "--flag=value". Call vm_config_finish() afterwards. Shape: a comma within a
 * value such as a path is written twice. Errors: EINVAL, naming the flag, the value and the
 * remedy; what vm_config_from_file() returns. */
int vm_options_parse(struct vm_config *c, int argc, char *const argv[], struct err *err);

/* The flags as help text, one or two lines each. */
void vm_options_print_help(FILE *out);

#endif
