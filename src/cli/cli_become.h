/* The commands of the cloud are another program, virga-cloud: it links HTTP, TLS and WebSockets,
 * for which `virga run` should not pay at its start. */
#ifndef CLI_CLI_BECOME_H
#define CLI_CLI_BECOME_H

/* Becomes virga-cloud with the same words. Returns, with an exit status and after a message, only
 * when that cannot be. */
int cli_become_cloud(char **argv);

#endif
