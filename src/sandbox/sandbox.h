/* The monitor's cage. One single-threaded launcher opens all files, then calls sandbox_launch():
 *
 *   launcher ---- clone ----> monitor: own user, mount, pid, net, ipc, uts namespaces; empty root;
 *      |                      unprivileged uid; no capabilities; Landlock; rlimits
 *      |                         |-- threads, each with the seccomp filter of its kind
 *   stays as the broker  <------ '-- sandbox_connect(): what must be opened later
 *
 * The child returns from sandbox_launch() and goes on; the parent never does: it serves the broker
 * (sandbox/broker.h), forwards signals, waits for the child and exits as the child did.
 *
 * Each protection is taken where the kernel grants it. SANDBOX_AUTO goes on without those that it
 * refuses and reports which are on; SANDBOX_REQUIRE fails instead. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct sandbox;

enum sandbox_mode { SANDBOX_AUTO, SANDBOX_REQUIRE, SANDBOX_OFF };

/* The protections, as bits of sandbox_active(). */
enum sandbox_protection {
    SANDBOX_USER_NS = 1 << 0,
    SANDBOX_MOUNT_NS = 1 << 1, /* with an empty, read-only root */
    SANDBOX_PID_NS = 1 << 2,
    SANDBOX_NET_NS = 1 << 3,
    SANDBOX_IPC_NS = 1 << 4, /* and UTS */
    SANDBOX_UID = 1 << 5,    /* not root */
    SANDBOX_NO_CAPS = 1 << 6,
    SANDBOX_NO_NEW_PRIVS = 1 << 7,
    SANDBOX_LANDLOCK = 1 << 8,
    SANDBOX_RLIMITS = 1 << 9,
    SANDBOX_SECCOMP = 1 << 10,
};

/* A thread's kind chooses its filter: src/sandbox/filters/<kind>.policy. */
enum sandbox_thread {
    SANDBOX_THREAD_MAIN,   /* the event loop, the API; creates the others */
    SANDBOX_THREAD_VCPU,   /* KVM_RUN and device registers */
    SANDBOX_THREAD_DISK,   /* an iothread of disks */
    SANDBOX_THREAD_NET,    /* an iothread of NICs, vsock, consoles, shares */
    SANDBOX_THREAD_WORKER, /* blocking disk I/O where io_uring is refused */
    SANDBOX_N_THREADS,
};

#define SANDBOX_ALLOW_MAX 64

struct sandbox_config {
    enum sandbox_mode mode;
    uid_t uid; /* 0: when root, derived from `uuid`; otherwise the caller's own */
    gid_t gid; /* 0: as the uid */
    uint8_t uuid[16];
    /* Unix sockets that the broker may connect to for the monitor: exact paths, and prefixes that
     * a decimal number must follow ("/run/vm.vsock_"). Borrowed. */
    const char *const *allow_paths;
    unsigned n_allow_paths;
    const char *const *allow_numbered;
    unsigned n_allow_numbered;
    /* Files that the broker removes when the monitor has ended (the API's socket). Borrowed. */
    const char *const *remove_at_exit;
    unsigned n_remove_at_exit;
};

/* Only while the process has one thread. In the child: *sandbox is set and 0 returned; every path
 * is gone, what is open stays. In the parent: does not return on success. On failure returns in
 * the parent with err set, the child gone. SANDBOX_OFF: no fork, *sandbox has nothing active and
 * sandbox_connect() connects directly.
 * Owns: sandbox_destroy(). */
int sandbox_launch(const struct sandbox_config *config, struct sandbox **sandbox, struct err *err);
void sandbox_destroy(struct sandbox *s);

/* The protections in place (SANDBOX_SECCOMP once it can be entered), and one line that says so:
 * "user-ns mount-ns ... ; missing: landlock (reason)". Borrowed. */
unsigned sandbox_active(const struct sandbox *s);
const char *sandbox_describe(const struct sandbox *s);

/* Puts the calling thread under the filter of its kind, for good. The main thread does it last:
 * threads that it makes later inherit its filter, which therefore allows what they need. A call
 * that the filter refuses is logged by name and ends the process with SIGSYS's status, 159.
 * Errors: EPERM and those of seccomp(2), unless the mode is AUTO; then a warning is logged. */
int sandbox_enter_thread(const struct sandbox *s, enum sandbox_thread kind, struct err *err);

/* The same with the kind taken from the thread's name ("cpu0", "disk0", "net0", "blk-worker"); the
 * shape of iothread_setup.enter, with `sandbox` as its opaque. */
int sandbox_enter_named_thread(void *sandbox, const char *thread_name, struct err *err);

/* A connected stream socket to a path on the allow list, through the broker. Returns the
 * descriptor (close-on-exec, blocking) or -errno: EACCES when it is not on the list. Blocks for at
 * most a second. Threads: any. */
int sandbox_connect(struct sandbox *s, const char *path);

#endif
