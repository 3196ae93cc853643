/* Finds the programs that `virga` starts or becomes, and starts virga-vmm for `virga run`. */
#ifndef CLI_CLI_SPAWN_H
#define CLI_CLI_SPAWN_H

#include <sys/types.h>

#include "base/err.h"

/* The path of another program of ours, such as "virga-vmm": what the variable names, or that in
 * this program's directory, or in ../libexec/virga beside it. Errors: ENOENT, with the places
 * looked at.
 */
int cli_spawn_find(const char *program, const char *variable, char *path, size_t path_bytes,
                   struct err *err);

/* Starts it with the flags of argv (a NULL-terminated list, no program name) in which `--console
 * stdio`, given or by default, is put as the descriptor console_fd; -1 leaves them as they are.
 * Standard input is /dev/null then. Returns the pid. */
int cli_spawn(const char *path, char *const argv[], int console_fd, int virtio_console_fd,
              pid_t *pid, struct err *err);

#endif
