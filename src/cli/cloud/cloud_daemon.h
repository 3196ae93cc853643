/* The daemons of a cloud on this machine, for `virga up` and `virga down`: started in the
 * background with a log, found again by a file that names the process and when it began. A machine
 * with systemd may as well run them as services: what serves already is left alone. */
#ifndef CLI_CLOUD_CLOUD_DAEMON_H
#define CLI_CLOUD_CLOUD_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define CLOUD_DAEMON_PATH_BYTES 512

struct cloud_daemon {
    const char *name;  /* "virgad": the program beside this one, its log and its file */
    const char *state; /* the folder of both */
};

/* The process, or 0: it does not run. */
pid_t cloud_daemon_pid(const struct cloud_daemon *d);
/* Starts it, unless it runs. argv[0] is ignored. Errors: what could not be made or started. */
int cloud_daemon_start(const struct cloud_daemon *d, const char *const *argv, struct err *err);
/* Asks it to end and waits, at most so long. Errors: ETIMEDOUT. */
int cloud_daemon_stop(const struct cloud_daemon *d, int timeout_ms, struct err *err);
/* The program beside this one. Errors: ENAMETOOLONG, EIO. */
int cloud_daemon_program(const char *name, char path[CLOUD_DAEMON_PATH_BYTES], struct err *err);
/* The end of its log, for a failure: one line. */
void cloud_daemon_last_words(const struct cloud_daemon *d, char *text, size_t bytes);

#endif
