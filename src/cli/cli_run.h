/* `virga run`: one VM in the foreground, its console on the terminal. Starts virga-vmm and links
 * nothing of it. */
#ifndef CLI_CLI_RUN_H
#define CLI_CLI_RUN_H

#include <stdio.h>

int cli_run(int argc, char **argv);
void cli_run_help(FILE *out);

#endif
