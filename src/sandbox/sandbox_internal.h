/* The steps of sandbox_launch(), in the order in which the child takes them. */
#ifndef SANDBOX_SANDBOX_INTERNAL_H
#define SANDBOX_SANDBOX_INTERNAL_H

#include <linux/filter.h>
#include <pthread.h>

#include "sandbox/sandbox.h"

#define SANDBOX_REASON_BYTES 80

struct sandbox {
    enum sandbox_mode mode;
    bool launched; /* false: SANDBOX_OFF */
    unsigned active;
    unsigned missing;
    char describe[320];
    char reason[SANDBOX_REASON_BYTES]; /* of the first that is missing */
    int broker_fd;                     /* the monitor's end of the socket pair */
    uint32_t broker_sequence;
    pthread_mutex_t broker_lock;
};

/* What the child learns from the parent before it goes on. */
struct sandbox_identity {
    uid_t uid;
    gid_t gid;
    bool was_root;
};

/* namespaces.c. Moves the calling process (its next child, for the pid namespace) into as many new
 * namespaces as the kernel grants; returns 0, or the errno of the first refusal. */
int sandbox_unshare(bool was_root, unsigned *granted);
/* In the parent: the child's user namespace maps one uid and one gid, to themselves. */
int sandbox_map_ids(pid_t child, const struct sandbox_identity *id, struct err *err);
/* In the child: an empty read-only root in place of all mounts. */
int sandbox_empty_root(struct err *err);

/* confine.c */
void sandbox_choose_identity(const struct sandbox_config *config, struct sandbox_identity *id);
int sandbox_drop_bounding_set(struct err *err);
int sandbox_drop_uid(const struct sandbox_identity *id, struct err *err);
int sandbox_drop_caps(struct err *err);
int sandbox_set_rlimits(struct err *err);
int sandbox_landlock(struct err *err);

/* seccomp.c */
int sandbox_install_handler(struct err *err);

/* Made at build time from filters/<kind>.policy, in the order of enum sandbox_thread. */
struct sandbox_filter {
    const char *name;
    const struct sock_filter *code;
    unsigned short n;
};
extern const struct sandbox_filter sandbox_filters[SANDBOX_N_THREADS];

#define SANDBOX_SYSCALLS 512
extern const char *const sandbox_syscall_names[SANDBOX_SYSCALLS]; /* NULL where there is none */

/* broker.c: serves requests until the child ends; returns the exit status for the process. */
struct sandbox_broker {
    int fd;
    pid_t child;
    int child_pidfd;
    int signal_fd;
    const struct sandbox_config *config;
};
int sandbox_broker_run(const struct sandbox_broker *b);

#endif
