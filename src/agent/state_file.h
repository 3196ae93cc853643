/* Small files that an agent must not lose: each is replaced as a whole, durably, or stays as it
 * was. */
#ifndef AGENT_STATE_FILE_H
#define AGENT_STATE_FILE_H

#include <stddef.h>

#include "base/err.h"

#define STATE_FILE_MAX_BYTES (16u << 20)

/* Mode 0600. Errors: those of the file system, naming the path. Blocks. */
int state_file_write(const char *path, const char *text, size_t bytes, struct err *err);
/* The whole file, terminated. Owns: free(). NULL: err says why (ENOENT, E2BIG, ...). Blocks. */
char *state_file_read(const char *path, size_t *bytes, struct err *err);

#endif
