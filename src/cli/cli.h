/* The `virga` program: its commands, one file each, in a const table that main() hands over. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

struct cli_command {
    const char *name;
    const char *summary; /* one line of `virga --help` */
    /* argv[0] is the command's name. Returns the program's exit status; has printed what failed. */
    int (*run)(int argc, char **argv);
    /* `virga help NAME` and `virga NAME --help`. */
    void (*help)(FILE *out);
};

/* Exit statuses of ours, besides those that a guest chose. */
#define CLI_EXIT_FAILED 1
#define CLI_EXIT_USAGE  2

/* Finds the command that argv[1] names in the table (ended by a NULL name) and runs it. Of words
 * that the table does not have virga-cloud is asked, which this program becomes. */
int cli_main(const struct cli_command *commands, int argc, char **argv);

#endif
