/* Stands between a terminal and a guest's console until the monitor ends: raw mode and back, the
 * escape key, signals, the window's size. */
#ifndef CLI_CLI_RELAY_H
#define CLI_CLI_RELAY_H

#include <sys/types.h>

#include "base/err.h"

struct cli_relay_config {
    pid_t monitor;
    int console_fd;         /* our end of the console; -1: the console is elsewhere, only wait */
    int signal_fd;          /* of cli_relay_signals() */
    const char *name;       /* the VM's, for the greeting */
    const char *api_socket; /* where the window's size is told; NULL: nowhere */
};

/* Blocks the signals that the relay wants and returns a signalfd. Before the monitor is started, so
 * that none is lost. */
int cli_relay_signals(struct err *err);

/* Returns the exit status: the monitor's own, or 128 and the signal that ended it. */
int cli_relay_run(const struct cli_relay_config *config);

#endif
