/* The monitor's API: HTTP/1.1 with JSON on a unix socket, served by the main loop. What a request
 * asks for reaches the VM through struct control_ops; the machine implements it, control_null.h is
 * the one for tests. Paths and words are those of vmmapi/vm_api.h; docs/arch/08-api.md explains. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "io/loop.h"
#include "vmmapi/vm_api.h"
#include "vmmapi/vm_config.h"

struct control;

#define CONTROL_FDS_MAX 16

/* Descriptors that came with a request (SCM_RIGHTS), in order. A slot that keeps one sets its
 * entry to -1; control closes the others after the call. */
struct control_fds {
    int fd[CONTROL_FDS_MAX];
    unsigned n;
};

struct control_status {
    enum vm_api_state state;
    const char *reason; /* why it is paused or stopped, in words; NULL: nothing to say. Borrowed */
    const char *engine; /* the engine in use: "kvm". Borrowed */
    uint64_t uptime_ms; /* since boot, pauses not counted; 0 before */
};

struct control_balloon {
    uint64_t target_bytes;    /* taken from the guest, as asked */
    uint64_t actual_bytes;    /* as the guest has given */
    bool has_stats;           /* the guest reported: */
    uint64_t free_bytes;      /* unused by the guest */
    uint64_t available_bytes; /* could be had without swapping */
    uint64_t total_bytes;
};

/* Receives one counter: ("disk0", "read_bytes", 4096). */
typedef void control_counter_fn(void *arg, const char *device, const char *counter, uint64_t value);

/* Receives one address that the guest was seen with: ("net0", "10.0.0.5"). */
typedef void control_address_fn(void *arg, const char *nic, const char *ip);

/* What a VM offers. All slots run on the loop's thread and must not wait for the guest; those that
 * return int return 0 or -errno with err set (vm_api_problem_code() gives the HTTP status: EBUSY is
 * "not in this run state", ENOENT an id that is not there, EEXIST one that is, ENOTSUP a device
 * that this VM does not have). A NULL slot answers 501. */
struct control_ops {
    /* GET /v1/vm. Fills all of *status. Must be there. */
    void (*status)(void *vm, struct control_status *status);
    /* GET /v1/vm/config: the finished config, attached devices included. Must be there. */
    const struct vm_config *(*config)(void *vm);
    /* GET /v1/vm/counters: calls fn for each; devices may come in any order, each in one go. */
    void (*counters)(void *vm, control_counter_fn *fn, void *arg);

    /* GET /v1/vm, "addresses": calls fn for each. */
    void (*addresses)(void *vm, control_address_fn *fn, void *arg);

    /* PUT /v1/vm/boot: CREATED to RUNNING. EBUSY in any other state. */
    int (*boot)(void *vm, struct err *err);
    /* PUT /v1/vm/pause: done when it returns; pausing a paused VM is fine. */
    int (*pause)(void *vm, struct err *err);
    /* PUT /v1/vm/resume: also retries requests that an I/O error stopped. */
    int (*resume)(void *vm, struct err *err);
    /* PUT /v1/vm/reset: as the reset button; a paused VM stays paused. */
    int (*reset)(void *vm, struct err *err);
    /* PUT /v1/vm/power-button: asks the guest; what it does comes as an event. */
    int (*power_button)(void *vm, struct err *err);
    /* PUT /v1/vm/stop: at once, as pulling the plug; the process ends after the answer is sent. */
    int (*stop)(void *vm, struct err *err);

    /* PUT /v1/vm/save: PAUSED. Writes the VM to fds->fd[0], an empty file, in the background;
     * "saved" or "save-failed" comes as an event. EBUSY while another save goes on; until the event
     * the slots that change the run state and the devices answer EBUSY. */
    int (*save)(void *vm, struct control_fds *fds, struct err *err);

    /* POST /v1/vm/disks: hot plug. `disk` is checked and finished; its path or socket is only a
     * name here: what is used is fds->fd[0] (the image; with a qcow2 chain, further ones are its
     * backing files from the top down) or, for vhost-user, the connected socket. The VM copies
     * what it keeps of `disk`. */
    int (*attach_disk)(void *vm, const struct vm_config_disk *disk, struct control_fds *fds,
                       struct err *err);
    /* DELETE /v1/vm/disks/ID: asks the guest to let it go; "detached" comes as an event. */
    int (*detach_disk)(void *vm, const char *id, struct err *err);
    /* POST /v1/vm/nics: fds are the TAP's queues, or one passt or vhost-user socket. */
    int (*attach_nic)(void *vm, const struct vm_config_nic *nic, struct control_fds *fds,
                      struct err *err);
    int (*detach_nic)(void *vm, const char *id, struct err *err);

    /* GET and PUT /v1/vm/balloon. */
    int (*balloon_get)(void *vm, struct control_balloon *balloon, struct err *err);
    int (*balloon_set)(void *vm, uint64_t target_bytes, struct err *err);
    /* PUT /v1/vm/console: the size of the terminal on the virtio console. */
    int (*console_resize)(void *vm, uint16_t columns, uint16_t rows, struct err *err);
};

/* Binds and listens: mode 0600, a socket left behind by a dead process is replaced, one that is
 * served is refused (EADDRINUSE). For the launcher, before the sandbox. Returns the descriptor. */
int control_listen(const char *path, struct err *err);

struct control_config {
    int listen_fd;     /* taken over; -1: no socket, only control_adopt() */
    uid_t allowed_uid; /* besides root; the creator's. Peers whose uid has no number here (they are
                          outside our user namespace) are admitted: the socket's mode decided */
    const struct control_ops *ops;
    void *vm;
    /* After the answer to PUT /v1/vm/stop went out (or could not). May be NULL. */
    void (*stopped)(void *vm);
};

/* Serves on `loop`. Owns: control_destroy(). */
struct control *control_create(struct loop *loop, const struct control_config *config,
                               struct err *err);
void control_destroy(struct control *c);

/* Serves one more, already connected stream socket (a socketpair of tests or of the caller);
 * takes it over. Errors: ENOSPC when there are too many. */
int control_adopt(struct control *c, int fd, struct err *err);

/* Tells the readers of GET /v1/vm/events, and keeps it for those that come: the last 64 events.
 * `device` and `text` may be NULL; both are copied and cut. Threads: the loop's. */
void control_event(struct control *c, enum vm_api_event event, const char *device,
                   const char *text);

#endif
