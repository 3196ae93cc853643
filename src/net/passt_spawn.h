/* Starting passt: what a launcher does outside the sandbox before it hands the socket in. */
#ifndef NET_PASST_SPAWN_H
#define NET_PASST_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define PASST_SPAWN_FORWARDS_MAX 64

/* Connections to `host_port` of the host arrive at `guest_port` of the guest. */
struct passt_spawn_forward {
    uint16_t host_port, guest_port;
    bool udp;
};

struct passt_spawn_options {
    const char *program;  /* NULL: "passt", found by PATH */
    const char *log_file; /* NULL: none */
    unsigned mtu;         /* given to the guest by DHCP; 0: passt's default, 65520 */
    unsigned n_forwards;
    struct passt_spawn_forward forwards[PASST_SPAWN_FORWARDS_MAX];
    int stderr_fd; /* where it complains; -1: nowhere */
    /* It shall outlive who starts it: no child of ours, in a session of its own. passt_spawn()
     * waits until it has begun, and *pid says nothing. */
    bool background;
};

/* The command line for a passt that serves descriptor `fd`. Opaque: lives as long as it is used. */
struct passt_spawn_argv {
    char *argv[16 + 2 * PASST_SPAWN_FORWARDS_MAX];
    unsigned argc;
    char numbers[2 + PASST_SPAWN_FORWARDS_MAX][16];
    unsigned n_numbers;
};

/* Reads "HOSTPORT:GUESTPORT" or "PORT", with "/tcp" or "/udp" behind it if wanted.
 * Errors: EINVAL. */
int passt_spawn_parse_forward(const char *text, struct passt_spawn_forward *out, struct err *err);

/* Fills in argv, NULL-terminated. Errors: EINVAL (too many forwards, port 0, two forwards of one
 * host port, MTU). */
int passt_spawn_argv(const struct passt_spawn_options *o, int fd, struct passt_spawn_argv *out,
                     struct err *err);

/* Starts passt on a new socket pair; the caller gets the other end (close-on-exec) for
 * passt_create() and the process id to wait for. passt ends when the socket is closed. It makes
 * itself unprivileged: started as root it becomes nobody. It finds its addresses by the host's
 * default route, and a host without one makes it end at once, which shows as a closed socket.
 * Threads: any; no fork handlers run. Errors: ENOENT (passt is not installed), EADDRINUSE (a host
 * port, after a second: the last owner may be ending), those of posix_spawn(3); EIO: one in the
 * background did not begin. Blocks: for one in the background. */
int passt_spawn(const struct passt_spawn_options *o, pid_t *pid, int *fd, struct err *err);

#endif
