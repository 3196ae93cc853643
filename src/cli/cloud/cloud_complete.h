/* What shells and readers of manuals get of the same tables: completion and the manual page. */
#ifndef CLI_CLOUD_CLOUD_COMPLETE_H
#define CLI_CLOUD_CLOUD_COMPLETE_H

#include <stdio.h>

/* Hidden first words of virga-cloud. */
#define CLOUD_COMPLETE_WORD   "__complete"
#define CLOUD_COMPLETE_MANUAL "__manual"
#define CLOUD_COMPLETE_TABLE  "__commands"

/* words: what was typed behind `virga`, the last one being completed (maybe empty); ended by NULL.
 * Prints each word that may stand there, a tab, and what it means. Names of resources are asked
 * from the server, briefly, and left out where it does not answer. Returns an exit status. */
int cloud_complete(char **words, FILE *out);

/* virga-cloud(7), as mdoc. */
int cloud_complete_manual(FILE *out);

/* A line a command: the operation that it is (or "-"), the noun, the verb (or "-"); for tests. */
int cloud_complete_table(FILE *out);

#endif
